"""One prompt's way in words."""

import dataclasses
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from saerl_core.errors import DataError
from saerl_core.records import FeatureMeta, SaeFeatures
from saerl_core.report.explain import ExplainInputs, explain_prompt, find_prompt
from saerl_core.report.inputs import ReportInputs
from saerl_core.tables import HANDED_OUT
from tests.report.factory import full_run, hostile_run


def inputs_of(run: ReportInputs) -> ExplainInputs:
    """Every prompt has latent 4; the first one alone has latent 2, with activation e - 1."""
    x = np.zeros((len(run.train), 512), dtype=np.float32)
    x[:, 4], x[0, 2] = 1.0, np.e - 1
    meta = FeatureMeta("m", "h", "s", "mean", 1.0)
    assert run.training is not None
    return ExplainInputs(
        run_name="saerl-s0",
        prompts=run.train,
        features=SaeFeatures(tuple(run.train["prompt_id"]), sparse.csr_matrix(x), meta),
        quality=run.quality,
        quality_report=run.quality_report,
        clusters=run.clusters,
        clusters_report=run.clusters_report,
        difficulty=run.difficulty,
        difficulty_report=run.difficulty_report,
        plan=run.plan,
        names=run.feature_names,
        pass_rates=run.pass_rates,
        consumed=run.training.consumed,
    )


@pytest.fixture(scope="module")
def inputs() -> ExplainInputs:
    return inputs_of(full_run(300, n_steps=4))


def lines_of(inputs: ExplainInputs, prompt_id: str) -> dict[str, str]:
    """Return the lines by their heads."""
    lines = explain_prompt(inputs, prompt_id).splitlines()
    return {line[:12].strip(): line[12:] for line in lines[1:] if not line.startswith("  ")}


def test_a_planned_prompt(inputs):
    prompt_id = inputs.plan.batch(1)[2]
    group = inputs.consumed[(inputs.consumed["step"] == 1) & (inputs.consumed["slot"] == 2)].iloc[0]
    found = lines_of(inputs, prompt_id)
    assert list(found) == [
        "text",
        "answer",
        "from",
        "flags",
        "features",
        "cluster",
        "quality",
        "difficulty",
        *(["measured"] if "measured" in found else []),
        "plan",
        "training",
    ]
    assert "step 1 slot 2" in found["plan"]
    assert f"step 1: {group['n_correct']} of {group['n_rollouts']} right" in found["training"]
    assert found["quality"].endswith("above the cut")
    predicted = inputs.difficulty.set_index("prompt_id").loc[prompt_id, "predicted"]
    assert found["difficulty"].startswith(f"predicted {predicted:.3f}, a pass rate of {1 - predicted:.0%}")


def test_features_by_hand(inputs):
    """Latent 2 stands out; its weight is 2 x its effect (0.05 and 0.25), and log(1 + e - 1) = 1."""
    lines = explain_prompt(inputs, str(inputs.prompts["prompt_id"].iloc[0])).splitlines()
    first, second = [line for line in lines if line.startswith("  ")]
    assert first.startswith(
        "  word 2 (#2): activation 1.72, 17.3 sd above the pool, difficulty +0.100, quality +0.500; "
        "strongest in another prompt: «"
    )
    assert second.startswith("  word 4 (#4): activation 1, 0.0 sd above the pool")


def test_a_prompt_that_was_left_out_says_why(inputs):
    left = inputs.plan.decisions[~inputs.plan.decisions["planned"]].iloc[0]
    found = lines_of(inputs, str(left["prompt_id"]))
    assert found["plan"].endswith(f"not planned, {left['reason']}")
    assert found["training"] == "never sampled"
    assert lines_of(replace(inputs, consumed=None), str(left["prompt_id"]))["training"].startswith("the run has not")


def test_what_an_online_strategy_expected(inputs):
    prompt_id = inputs.plan.batch(1)[2]
    row = {"step": 1, "slot": 2, "prompt_id": prompt_id, "predicted": 0.42, "sd": 0.1, "n_seen": 4, "why": "explore"}
    given = HANDED_OUT.check(
        pd.DataFrame([row, {**row, "step": 2, "why": None}, {**row, "step": 3, "predicted": None}])
    )
    found = lines_of(replace(inputs, handed_out=given), prompt_id)
    assert found["why"] == "step 1: expected a pass rate of 42% (explore); step 2: expected a pass rate of 42%"


def test_a_run_of_before_there_were_names(inputs):
    text = explain_prompt(replace(inputs, names=None, pass_rates=None), str(inputs.prompts["prompt_id"].iloc[0]))
    assert "  #2 (#2): activation 1.72" in text
    assert "measured" not in text


def test_no_terminal_obeys_a_prompt():
    inputs = inputs_of(hostile_run())
    prompts = inputs.prompts.assign(prompt="\x1b[2Jgone\u202e\nnext", answer="\x07", source="\x1b]0;x", flags="\x9b1m")
    text = explain_prompt(replace(inputs, prompts=prompts), str(prompts["prompt_id"].iloc[0]))
    assert all(line.isprintable() for line in text.split("\n"))
    assert "text        �[2Jgone� next" in text


@pytest.mark.parametrize("given", ["abcdef12", "abcde"])
def test_the_beginning_of_an_id_will_do(given):
    assert find_prompt(["abcdef12", "abcf0000", "12345678"], given) == "abcdef12"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("abc", "'abc' is no prompt of the run: the nearest of its 3 ids are "),
        ("abcd", "2 ids begin so, among them abcdef12, abcdf000; give more characters"),
        ("abcdef13", "the nearest of its 3 ids are abcdef12, "),
        ("", "'' is no prompt of the run"),
        ("\x1b[2J", "'�[2J' is no prompt"),
    ],
)
def test_an_unknown_id_is_told_with_the_nearest(given, told):
    with pytest.raises(DataError) as error:
        find_prompt(["abcdef12", "abcdf000", "12345678"], given)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_difficulty_that_rests_on_no_rates_is_told_as_no_pass_rate(inputs):
    of_likelihood = inputs.difficulty_report.model_copy(update={"label": "likelihood"})
    found = lines_of(dataclasses.replace(inputs, difficulty_report=of_likelihood), inputs.plan.batch(1)[2])
    assert "pass rate" not in found["difficulty"]
    assert "by the policy's likelihood of the answer" in found["difficulty"]
    assert "predicted" not in found["difficulty"]


def test_whose_text_an_example_is_is_said(inputs):
    text = "What is 3 + 4? Say it."
    prompts = inputs.prompts.assign(prompt=[text] + ["other"] * (len(inputs.prompts) - 1))
    for example, whose in (("…is 3«␣+» 4? Sa…", "this prompt"), ("…is 3«␣-» 4? Sa…", "another prompt")):
        changed = replace(inputs, prompts=prompts, names=inputs.names.assign(examples=example))
        lines = explain_prompt(changed, str(prompts["prompt_id"].iloc[0])).splitlines()
        assert sum(f"; strongest in {whose}: {example}" in line for line in lines) == 2


def test_a_cluster_that_nothing_tells_from_the_pool(inputs):
    cards = tuple(card.model_copy(update={"top_features": ()}) for card in inputs.clusters_report.cards)
    report = inputs.clusters_report.model_copy(update={"cards": cards})
    found = lines_of(replace(inputs, clusters_report=report), inputs.plan.batch(1)[2])
    assert found["cluster"].endswith("no latent is stronger in it than in the whole pool")


def test_a_prompt_below_the_cut_says_whether_that_left_it_out(inputs):
    low = inputs.plan.decisions.loc[inputs.plan.decisions["reason"] == "low quality", "prompt_id"].iloc[0]
    assert lines_of(inputs, str(low))["quality"].endswith("below the cut, left out for it")
    unfiltered = replace(inputs, quality=inputs.quality.assign(keep=False))
    found = lines_of(unfiltered, inputs.plan.batch(1)[2])
    assert found["quality"].endswith("below the cut, not left out for it")
