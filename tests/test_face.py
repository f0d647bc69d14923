"""What `import saerl_core` gives: names, signatures, no heavy library, and what it does with what people have."""

import inspect
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import saerl_core
from saerl_core import BatchOutcome, face_signals, load_plan, load_prompts, make_curriculum, make_plan, save_plan
from saerl_core.config.run import PromptsConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.plan.strategies import STRATEGIES, difficulty, lookup
from saerl_core.records import PromptVectors
from tests.plan.pools import Row, make_inputs, steps_of

ROOT = Path(__file__).resolve().parent.parent
SIGNATURES = {  # the face: a change here is a change for every notebook
    "BatchOutcome": "step prompt_ids n_rollouts n_correct",
    "Point": "step n_rollouts n_tokens seconds accuracy",
    "Trial": "arm seed curve items label_rollouts=0 zero_std_frac=() trained_on=<factory>",
    "compare_trials": "trials baseline seed=0 n_bootstrap=10000 axes=('n_rollouts', 'n_tokens', 'step', 'seconds')",
    "export_plan": "plan prompts format folder * prompt_format=None grading='math' group_size=None overwrite=False",
    "grade": "completions golds kind='math'",
    "load_plan": "folder",
    "load_prompts": "source * columns=None answer_after=None seed=0",
    "make_curriculum": "plan",
    "make_plan": (
        "prompts strategy * prompts_per_step=32 n_steps=None seed=0 quality=None clusters=None difficulty=None "
        "vectors=None min_quality=0.5"
    ),
    "observe_rollouts": "log plan_folder format=None * correct_at=None",
    "register_strategy": "row",
    "save_plan": "plan folder",
    "sentence": "row comparison",
}
ROWS = [
    {"prompt": f"How much is {i} plus {j}?", "answer": str(i + j), "cluster": "ab"[i % 2], "pass_rate": (i + j) / 12}
    for i in range(8)
    for j in range(5)
]


@pytest.fixture(scope="module")
def pool():
    return load_prompts(ROWS)


def shape_of(function):
    shown, keyword_only = [], False
    for p in inspect.signature(function).parameters.values():
        if p.kind is p.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            shown.append("*")
        shown.append(p.name if p.default is p.empty else f"{p.name}={p.default!r}")
    return " ".join(shown)


def test_names_and_signatures():
    assert sorted(saerl_core.__all__) == sorted(SIGNATURES) == sorted(saerl_core._FACE)
    assert set(SIGNATURES) <= set(dir(saerl_core))
    assert {name: shape_of(getattr(saerl_core, name)) for name in SIGNATURES} == SIGNATURES
    with pytest.raises(AttributeError, match="no attribute 'make_plans'"):
        _ = saerl_core.make_plans


def test_the_page_tells_of_every_name_and_column():
    page = (ROOT / "docs" / "python.md").read_text()
    columns = [name for names in face_signals._NAMES.values() for name in names]
    assert [name for name in [*SIGNATURES, *columns] if not re.search(rf"\b{name}\b", page)] == []


def test_using_it_loads_none_of_the_heavy_libraries():
    code = (
        "import sys, json, saerl_core as s, saerl_core.errors\n"
        "assert 'pandas' not in sys.modules and 'pydantic' not in sys.modules, 'import alone loads nothing'\n"
        "rows = json.loads(sys.argv[1])\n"
        "for name in ('saerl', 'vanilla', 'difficulty', 'adaptive', 'mopps', 'bandit'):\n"
        "    c = s.make_curriculum(s.make_plan(rows, name, prompts_per_step=8))\n"
        "    b = c.next_batch(0); c.observe(s.BatchOutcome(0, tuple(b), (4,) * 8, (2,) * 8))\n"
        "for n in (0.5, '1', None, float('nan')):\n"
        "    try:\n"
        "        s.BatchOutcome(0, ('a',), (1,), (n,))\n"
        "    except saerl_core.errors.DataError:\n"
        "        continue\n"
        "    raise SystemExit(f'{n} passes for a number of correct rollouts')\n"
        "s.grade('\\\\boxed{4}', '4'); s.sentence; s.compare_trials; s.Trial\n"
        "print([m for m in ('zenml', 'mlflow', 'torch', 'transformers', 'datasets', 'trl') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(ROWS)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


# --- prompts


def test_rows_read_as_the_same_rows_of_a_file(tmp_path, pool):
    path = tmp_path / "rows"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    config = PromptsConfig(source="file", path=str(path), format="jsonl")
    from_file = load_prompts(config).train
    pd.testing.assert_frame_equal(pool.train, from_file)
    pd.testing.assert_frame_equal(load_prompts(pd.DataFrame(ROWS)).train, pool.train)
    pd.testing.assert_frame_equal(load_prompts(iter(ROWS)).train, pool.train)
    (tmp_path / "rows.jsonl").write_text(path.read_text())
    named = load_prompts(tmp_path / "rows.jsonl").train
    assert list(named["prompt_id"]) == list(from_file["prompt_id"])


def test_rejected_rows_keep_signals_beside_their_prompts():
    rows = [*ROWS[:3], {"prompt": "No answer", "cluster": "z"}, *ROWS[3:]]
    found = load_prompts(rows)
    assert list(found.issues.loc[found.issues["rejected"], "line"]) == [4]
    assert list(found.train["cluster"]) == [row["cluster"] for row in ROWS]
    assert list(found.train["known_pass_rate"]) == pytest.approx([row["pass_rate"] for row in ROWS])


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_signals_of_a_file_stand_beside_its_prompts(kind, tmp_path):
    rows = pd.DataFrame([{"prompt": None, "answer": "1", "cluster": "z"}, *ROWS]).assign(
        difficulty=[None, None, *[0.5] * 39], keep=[True, *[False] * 4, *[True] * 36]
    )
    path = tmp_path / f"mine.{kind}"
    {
        "csv": lambda: rows.to_csv(path, index=False),
        "parquet": lambda: rows.to_parquet(path),
        "jsonl": lambda: rows.to_json(path, orient="records", lines=True),
    }[kind]()
    found = load_prompts(PromptsConfig(source="file", path=str(path), max_rows=14)).train
    assert list(found["cluster"]) == [row["cluster"] for row in ROWS[:14]]
    plan = make_plan(found, {"name": "saerl", "mix_frac": 0}, prompts_per_step=6)
    assert list(plan.table["difficulty"]) == [0.5] * 6
    assert set(plan.decisions["reason"]) == {"planned", "low quality", "remainder"}
    assert "1 of 14 prompts have no difficulty and count as hard as the mean of the others, 0.50" in plan.notes


@pytest.mark.parametrize(
    "row",
    [
        {"question": "How much is 2+2?", "answer": "So it is\n#### 4"},
        {"prompt": np.array([{"role": "user", "content": "How much is 2+2?"}], dtype=object), "answer": np.int64(4)},
        {"prompt": "How much is 2+2?", "answer": "4", "level": float("nan"), "topic": pd.NA, "when": pd.Timestamp(0)},
        {"prompt": "How much is 2+2?", "answer": "4", "pass_rate": np.float32(0.5), "extra": {1: (2, pd.NaT)}},
    ],
)
def test_rows_as_libraries_give_them(row):
    found = load_prompts([row]).train
    assert found.loc[0, ["prompt", "answer"]].tolist() == ["How much is 2+2?", "4"]


@pytest.mark.parametrize(
    ("given", "options", "error", "told"),
    [
        ("nowhere.jsonl", {}, ConfigError, "prompts.path is 'nowhere.jsonl', but there is no such file"),
        (ROWS, {"columns": {"promt": "x"}}, ConfigError, r"prompts.columns.promt is not a setting; did you mean"),
        (ROWS, {"columns": {"prompt": "text"}}, DataError, r"'rows' has no column 'text'"),
        ([], {}, DataError, "'rows' has no rows"),
        ([{"prompt": b"x", "answer": "1"}], {}, DataError, "column 'prompt' of row 1 holds bytes"),
        (PromptsConfig(), {"answer_after": "####"}, ConfigError, "beside a PromptsConfig"),
    ],
)
def test_prompts_that_cannot_be_read_are_told(given, options, error, told):
    with pytest.raises(error, match=told):
        load_prompts(given, **options)


# --- plans


@pytest.mark.parametrize("name", [name for name in STRATEGIES if not name.startswith("oracle_")])
def test_every_strategy_plans_and_its_plan_comes_back(name, pool, tmp_path):
    plan = make_plan(pool, name, prompts_per_step=8, n_steps=4)
    save_plan(plan, str(tmp_path / "plan"))
    again = load_plan(str(tmp_path / "plan"))
    assert (again.plan_hash, again.notes) == (plan.plan_hash, plan.notes)
    curriculum = make_curriculum(again)
    for step in range(4):
        batch = curriculum.next_batch(step)
        assert len(set(batch)) == 8
        curriculum.observe(BatchOutcome(step, tuple(batch), (4,) * 8, (step,) * 8))


def test_signals_are_found_in_the_rows(pool):
    plan = make_plan(pool, {"name": "saerl", "mix_frac": 0.0}, prompts_per_step=4)
    table = plan.table.merge(pool.train[["prompt_id", "cluster", "known_pass_rate"]])
    assert (table.groupby("step")["cluster"].nunique() == 1).all()
    assert table["difficulty"].to_numpy() == pytest.approx(1 - table["known_pass_rate"].to_numpy())
    for _, rows in table.sort_values(["step", "slot"]).groupby("cluster"):
        assert rows["difficulty"].is_monotonic_increasing
    assert plan.notes[0] == "no quality was given: no prompt is left out for it"
    assert len(plan.notes) == 1


def test_a_table_of_ids_and_signals_is_enough():
    mine = pd.DataFrame({"prompt_id": [3, 1, 2, 0], "difficulty": [0.9, 0.1, 0.5, 0.0]})
    assert steps_of(make_plan(mine, "difficulty", prompts_per_step=2).table) == [["0", "1"], ["2", "3"]]


HARD = [0.7, 0.1, 0.5, 0.3]
IDS = ["p0", "p1", "p2", "p3"]
BY_ID = pd.DataFrame({"prompt_id": IDS[::-1], "difficulty": HARD[::-1]})


@pytest.mark.parametrize(
    "signal",
    [
        HARD,
        np.array(HARD),
        pd.Series(HARD, index=IDS).sort_values(),
        pd.Series(HARD),
        BY_ID,
        BY_ID.assign(pass_rate=1 - BY_ID["difficulty"]).drop(columns="difficulty"),
        "my column",
        make_inputs([Row(p, 0, d) for p, d in zip(IDS, HARD, strict=True)]).difficulty,
    ],
    ids=["list", "array", "series by id", "series", "table", "pass rates", "column", "whole table"],
)
def test_a_signal_in_every_shape(signal):
    prompts = pd.DataFrame({"prompt_id": IDS, "my column": HARD})
    plan = make_plan(prompts, "difficulty", prompts_per_step=2, difficulty=signal)
    assert steps_of(plan.table) == [["p1", "p3"], ["p2", "p0"]]


@pytest.mark.parametrize(
    ("hard", "found", "note"),
    [
        ([1, 5, 3, None], [0.0, 1.0, 0.5, 0.5], "difficulty runs from 1 to 5: these became 0 and 1"),
        ([7, 7, 7, 7], [0.5] * 4, "difficulty runs from 7 to 7"),
        (["hard", "easy", "easy", "hard"], [0.5] * 4, "the column 'difficulty' holds no numbers and is not read"),
        (["0.25", "0.5", "0.75", "1"], [0.25, 0.5, 0.75, 1.0], "no quality was given"),
    ],
)
def test_difficulties_on_scales_that_people_have(hard, found, note):
    prompts = pd.DataFrame({"prompt_id": IDS, "difficulty": hard})
    plan = make_plan(prompts, "vanilla", prompts_per_step=4)
    assert plan.table.sort_values("prompt_id")["difficulty"].tolist() == found
    assert any(said.startswith(note) for said in plan.notes)


def test_clusters_are_names_or_numbers_and_a_missing_one_is_its_own():
    prompts = pd.DataFrame({"prompt_id": IDS, "topic": ["b", None, "a", "b"], "cluster": [7.0, 7.0, np.nan, 2.0]})
    by_name = make_plan(prompts, "difficulty", prompts_per_step=4, difficulty=HARD, clusters="topic").table
    assert by_name.set_index("prompt_id")["cluster_id"].to_dict() == {"p0": 1, "p1": 2, "p2": 0, "p3": 1}
    by_number = make_plan(prompts, "difficulty", prompts_per_step=4, difficulty=HARD).table
    assert by_number.set_index("prompt_id")["cluster_id"].to_dict() == {"p0": 7, "p1": 7, "p2": 8, "p3": 2}


@pytest.mark.parametrize(
    ("quality", "options", "left_out"),
    [
        ([0.9, 0.2, 0.6, None], {}, {"p1"}),
        ([0.9, 0.2, 0.6, None], {"min_quality": 0.7}, {"p1", "p2"}),
        ([True, False, True, True], {"min_quality": 1.0}, {"p1"}),
    ],
)
def test_prompts_of_low_quality_are_left_out(quality, options, left_out):
    prompts = pd.DataFrame({"prompt_id": IDS, "cluster": 0, "difficulty": HARD})
    plan = make_plan(prompts, "saerl", prompts_per_step=2, quality=quality, **options)
    reasons = plan.decisions.set_index("prompt_id")["reason"]
    assert set(reasons[reasons == "low quality"].index) == left_out


def test_what_is_missing_is_neutral_and_told():
    bare = load_prompts([{"prompt": f"How much is {i} times 7?", "answer": str(7 * i)} for i in range(20)])
    with pytest.warns(UserWarning, match="strategy 'saerl' goes by") as caught:
        plan = make_plan(bare, "saerl", prompts_per_step=5)
    assert [str(w.message).split(", but ")[1] for w in caught] == list(plan.notes[1:3])
    assert set(plan.table["cluster_id"]) == {0}
    assert set(plan.table["difficulty"]) == {0.5}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make_plan(bare, "vanilla", prompts_per_step=5).notes[:3] == plan.notes[:3]


def test_a_few_missing_values_are_the_mean_and_told():
    prompts = pd.DataFrame({"prompt_id": IDS, "difficulty": [0.2, None, 0.6, 0.9]})
    plan = make_plan(prompts, "difficulty", prompts_per_step=4)
    assert plan.table.set_index("prompt_id").loc["p1", "difficulty"] == pytest.approx(1.7 / 3)
    assert "1 of 4 prompts have no difficulty and count as hard as the mean of the others, 0.57" in plan.notes


def test_vectors_come_from_the_text_where_none_are_given(pool):
    plan = make_plan(pool, "adaptive", prompts_per_step=8)
    assert plan.vectors.shape[1] > 4
    assert "no vectors were given: they are TF-IDF and length of the prompts" in plan.notes
    mine = np.eye(len(pool.train))
    for given in (mine, PromptVectors(tuple(pool.train["prompt_id"]), mine)):
        assert make_plan(pool, "adaptive", prompts_per_step=8, vectors=given).vectors.shape == (40, 40)


@pytest.mark.parametrize(
    ("strategy", "options", "error", "told"),
    [
        ("sarl", {}, ConfigError, r"plan.strategy = 'sarl' is not known \(did you mean 'saerl'\?\)"),
        ({"name": "saerl", "mix_frc": 1}, {}, ConfigError, "plan.strategy.mix_frc is not a setting; did you mean"),
        ({"name": "saerl", "grouping": "interleaved", "use_clusters": False}, {}, ConfigError, "nothing to interleave"),
        ("vanilla", {"prompts_per_step": 0}, ConfigError, "plan.prompts_per_step = 0 is out of range"),
        ("vanilla", {"prompts_per_step": 41}, DataError, "only 40 of 40 prompts can be planned"),
        ("vanilla", {"difficulty": [0.5]}, DataError, "difficulty has 1 values for 40 prompts"),
        ("vanilla", {"difficulty": "hardness"}, DataError, "difficulty is 'hardness', but the prompts have no such"),
        ("vanilla", {"clusters": "topic"}, DataError, "clusters is 'topic', but no prompt has a value in this column"),
        ("vanilla", {"difficulty": "prompt"}, DataError, "difficulty holds what is no number"),
        ("vanilla", {"difficulty": [float("inf")] * 40}, DataError, "difficulty holds infinite values"),
        ("vanilla", {"quality": range(40)}, DataError, "quality runs from 0 to 39; give numbers from 0 to 1"),
        ("vanilla", {"difficulty": BY_ID}, DataError, "or none of the 40 prompts"),
        ("vanilla", {"clusters": BY_ID}, DataError, "the table of clusters has the columns"),
        ("adaptive", {"vectors": np.zeros((3, 2))}, DataError, r"shape \(3, 2\); give one row .* each of the 40"),
        ("adaptive", {"vectors": np.full((40, 2), np.nan)}, DataError, "finite numbers"),
    ],
)
def test_what_makes_no_plan_is_told(pool, strategy, options, error, told):
    with pytest.raises(error, match=told):
        make_plan(pool, strategy, **{"prompts_per_step": 8, **options})


# --- a strategy of one's own


def test_a_strategy_is_registered_in_this_process(pool, monkeypatch):
    monkeypatch.setattr(lookup, "_REGISTERED", {})

    class Settings(difficulty.DifficultySettings):
        name: str = "hardest"

    def order(candidates, settings, rng):
        found = difficulty.order_by_difficulty(candidates, settings, rng)
        return type(found)(found.batches[::-1])

    row = difficulty.StaticStrategy(
        settings=Settings, title="hard to easy", source="a test", signals=("difficulty",), order=order
    )
    saerl_core.register_strategy(row)
    steps = steps_of(make_plan(pool, "hardest", prompts_per_step=8).table)
    assert steps == steps_of(make_plan(pool, "difficulty", prompts_per_step=8).table)[::-1]
    with pytest.raises(ConfigError, match="did you mean 'hardest'"):
        make_plan(pool, "hardst")
    with pytest.raises(ConfigError, match="'difficulty' is one of saerl's own"):
        saerl_core.register_strategy(difficulty.STRATEGY)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("grade({'a': '1'}, '1')", "DataError: the completions are {'a': '1'} (dict); give a text or a list of texts"),
        ("grade('1', 1)", "DataError: the gold answer is 1 (int); gold answers are texts: give str(...) of it"),
        ("load_prompts(3)", "DataError: prompts are a int; give a path, rows, a DataFrame or a PromptsConfig"),
        ("load_prompts(['a'])", "DataError: row 1 is a str; give mappings such as {'prompt': ..., 'answer': ...}"),
        ("grade('1', '1', kind='mth')", "ConfigError: grading.kind = 'mth' is not known (did you mean 'math'?)"),
        ("register_strategy(int)", "ConfigError: strategy '' is a type, and must be a StaticStrategy or an Online"),
        ("make_plan('nowhere.jsonl', 'vanilla')", "ConfigError: prompts.path is 'nowhere.jsonl', but there is no such"),
        ("make_plan([{'prompt': 'a', 'answer': '1'}], 3)", "ConfigError: plan.strategy = 3 is not known"),
    ],
)
def test_what_no_type_checker_has_seen_is_told_too(call, told):
    """In a process of its own: here every annotation is checked at each call."""
    done = subprocess.run(
        [sys.executable, "-c", f"from saerl_core import *; {call}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"n_steps": 0}, "plan.n_steps = 0 is out of range: it must be at least 1; leave it out for one epoch"),
        ({"min_quality": float("nan")}, "min_quality is nan, but qualities lie from 0 to 1"),
    ],
)
def test_sizes_of_a_plan_that_are_none_are_refused(pool, given, told):
    with pytest.raises(ConfigError, match=told):
        make_plan(pool, "vanilla", prompts_per_step=8, **given)
