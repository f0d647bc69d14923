"""The everyday world: its text says what its key says, its bad prompts are bad, its splits share no calculation."""

import re

import numpy as np
import pandas as pd
import pytest

from saerl_core import grade
from saerl_core.config.run import EverydayConfig, PromptsConfig
from saerl_core.errors import ConfigError
from saerl_core.ids import normalise_text
from saerl_core.prompts.load import load_prompts
from saerl_core.world.corruptions import KINDS
from saerl_core.world.everyday import TOPICS, calculation, sample_problem
from saerl_core.world.problems import LEVELS, Problem
from saerl_core.world.splits import SPLITS, build_world

# What a careful person reads: written down here once more, and differently from the world's own tables.
READINGS = (
    (r"(\w+) (?:has|owns) (\d+) (?:bags with|boxes of) (\d+) (\w+)(?: in)? each", lambda v, a, b: a * b),
    (r"(\w+) has (\d+) times as many (\w+)", lambda v, n: v * n),
    (r"(\w+) has (\d+) more (\w+) than (\w+)", lambda v, n: v + n),
    (r"(\w+) has (\d+) fewer (\w+) than (\w+)", lambda v, n: v - n),
    (r"(\w+) (?:buys|finds|wins) (\d+) (?:more )?(\w+)(?: at a fair)?", lambda v, n: v + n),
    (r"A neighbour brings (\w+) (\d+) more (\w+)", lambda v, n: v + n),
    (r"(\w+) (?:gives|sells) (\d+) of the (\w+)(?: away)?", lambda v, n: v - n),
    (r"(\d+) of the (\w+) go missing", lambda v, n: v - n),
    (r"(\w+) packs the (\w+) into (\d+) bags with the same number in each and keeps only one bag", lambda v, n: v / n),
    (r"(\w+) puts the (\w+) in (\d+) equal rows and keeps only one row", lambda v, n: v / n),
    (r"(\w+) has (\d+) (\w+)", lambda v, n: n),
)


def read(prompt: str) -> str | None:
    """Return the answer that the sentences determine; None where one of them cannot be read or nothing is asked."""
    *story, question = re.split(r"(?<=\.) ", prompt)
    asked = re.fullmatch(r"How many (\w+) (?:does|has) (\w+) (?:have )?now\?", question)
    if asked is None:
        return None
    value = 0.0
    for sentence in story:
        plain = sentence.removesuffix(".").removeprefix("A month later ")
        found = next(((m, rule) for pattern, rule in READINGS if (m := re.fullmatch(pattern, plain))), None)
        if found is None or asked[1] not in plain:
            return None
        match, rule = found
        value = rule(value, *(int(g) for g in match.groups() if g.isdigit()))
    owner = next((w for s in reversed(story) for w in re.findall(r"[A-Z]\w+", s) if w not in ("A", "The")), None)
    if owner is None or asked[2] not in prompt.split("How many", maxsplit=1)[0]:
        return None
    return str(int(value)) if value == int(value) else None


@pytest.fixture(scope="module")
def world() -> dict[str, pd.DataFrame]:
    return build_world(EverydayConfig(), 0, "everyday")


def test_the_text_of_a_prompt_says_its_key_exactly_where_it_is_sound(world: dict[str, pd.DataFrame]):
    for row in pd.concat(world.values()).itertuples():
        assert (read(row.prompt) == row.answer) == (row.truth == "clean"), row


def test_every_cell_has_its_steps_and_a_positive_answer():
    rng = np.random.default_rng(0)
    for topic in TOPICS:
        for level in LEVELS:
            for _ in range(50):
                problem = sample_problem(topic, level, rng)
                assert problem.scratch.count("=") == (1, 1, 2, 2, 3)[level - 1]
                assert problem.scratch.endswith(f"={problem.answer}")
                assert int(problem.answer) >= 1
                assert all(eval(part.replace("=", "==").replace("/", "//")) for part in problem.scratch.split(";"))
    with pytest.raises(ConfigError, match="no topic 'chess' at level 1"):
        sample_problem("chess", 1, rng)


def test_the_share_and_the_kinds_of_bad_prompts_are_known(world: dict[str, pd.DataFrame]):
    assert dict(world["train"]["truth"].value_counts()) == {"clean": 960, **dict.fromkeys(KINDS, 60)}
    assert set(world["dev"]["truth"]) == set(world["test"]["truth"]) == {"clean"}
    assert [len(world[split]) for split in SPLITS] == [1200, 100, 200]
    assert set(world["test"]["topic"]) == set(TOPICS)


def test_splits_of_any_seed_share_no_prompt():
    seen: dict[str, set[str]] = {split: set() for split in SPLITS}
    for seed in (0, 1):
        built = build_world(EverydayConfig(n_train=300, n_dev=60, n_test=60, bad_frac=0.0), seed, "everyday")
        for split in SPLITS:
            seen[split].update(normalise_text(p) for p in built[split]["prompt"])
    assert not seen["train"] & (seen["dev"] | seen["test"])
    assert not seen["dev"] & seen["test"]


def test_the_order_of_a_sum_or_product_is_no_other_calculation():
    def of(scratch: str) -> str:
        return calculation(Problem("", scratch, "", "gain", 1))

    assert of("9+5=14;14*2=28") == of("5+9=14;2*14=28")
    assert of("9-5=4") != of("5-9=4")


def test_a_pool_is_split_by_the_calculation(monkeypatch: pytest.MonkeyPatch):
    from saerl_core.world import worlds

    drawn: list[Problem] = []
    row = worlds.WORLDS["everyday"]

    def sample(topic: str, level: int, rng: np.random.Generator) -> Problem:
        drawn.append(row.sample(topic, level, rng))
        return drawn[-1]

    spied = worlds.World(row.topics, sample, row.corrupt, row.split_text)
    monkeypatch.setitem(worlds.WORLDS, "everyday", spied)
    tables = build_world(EverydayConfig(n_train=200, n_dev=40, n_test=80), 4, "everyday")
    of_prompt = {problem.prompt: calculation(problem) for problem in drawn}
    train, test = (
        {of_prompt[p] for p in tables[split].loc[tables[split]["truth"] == "clean", "prompt"]}
        for split in ("train", "test")
    )
    assert not train & test


def test_the_same_seed_gives_the_same_pool_and_the_math_grader_reads_its_keys(world: dict[str, pd.DataFrame]):
    again = build_world(EverydayConfig(), 0, "everyday")
    pd.testing.assert_frame_equal(again["train"], world["train"])
    assert not again["train"]["prompt"].equals(build_world(EverydayConfig(), 1, "everyday")["train"]["prompt"])
    keys = list(world["test"]["answer"])
    said = [f"So the answer is {key} pens." for key in keys]
    assert all(verdict.correct for verdict in grade(said, keys, "math"))


def test_load_prompts_takes_it_as_a_source():
    sizes = EverydayConfig(n_train=100, n_dev=10, n_test=20)
    found = load_prompts(PromptsConfig(source="everyday", everyday=sizes), 0)
    assert (len(found.train), len(found.dev), len(found.test)) == (100, 10, 20)
    assert set(found.train["source"]) == {"everyday/train"}
    assert found.train["usable"].all()
    assert found.report.counts["n_truth_garbled"] == 5
    assert found.report.counts["n_contaminated"] == 0


def test_a_pool_that_is_too_large_is_refused():
    sizes = EverydayConfig(n_train=1, n_test=1, level_weights=(0, 0, 0, 0, 0))
    with pytest.raises(ConfigError, match=r"everyday.level_weights is \(0.0, "):
        build_world(sizes, 0, "everyday")
