import numpy as np
import pandas as pd
import pytest

from saerl_core.config.run import EvaluationConfig, GradingConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.evaluation.evaluate import evaluate_policies
from saerl_core.records import EvaluationReport, PolicyRef
from saerl_core.rollouts import engines
from saerl_core.tables import ITEM_SCORES, SCORES
from tests.evaluation.scripted import AFTER, BEFORE, CORRECT, ScriptedSampler, made

CONFIG = EvaluationConfig(n_samples=4, ks=(2,))


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    made.clear()
    monkeypatch.setattr(engines, "Sampler", ScriptedSampler)


def items() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "prompt_id": ["d", "a", "c", "b"],
            "prompt": ["3", "0", "2", "1"],
            "answer": "7",
            "topic": ["mod", "add", "mod", None],
            "level": [2.0, 1.0, 2.5, np.nan],
            "usable": True,
        }
    )


def run(prompts: pd.DataFrame, after: PolicyRef | None = AFTER) -> tuple[pd.DataFrame, EvaluationReport]:
    scores, _, report = evaluate_policies(BEFORE, after, prompts, CONFIG, GradingConfig(), 5)
    return scores, report


def test_outcomes_of_every_item_say_what_the_scores_are_means_of() -> None:
    table, per_item, _ = evaluate_policies(BEFORE, AFTER, items(), CONFIG, GradingConfig(), 5)
    pd.testing.assert_frame_equal(per_item, ITEM_SCORES.check(per_item))
    cells = per_item.set_index(["policy", "prompt_id"])
    assert [cells.loc[("after", i), "n_correct"] for i in "abcd"] == CORRECT["after"]
    assert cells.loc[("before", "d"), "topic"] == "mod"
    assert cells.loc[("before", "b"), ["topic", "level"]].isna().all()
    rates = (per_item["n_correct"] / per_item["n_samples"]).groupby(per_item["policy"]).mean()
    means = table[(table["slice"] == "all") & (table["metric"] == "pass@1")].set_index("policy")["value"]
    assert rates.to_dict() == pytest.approx(means.to_dict())


def test_scores_by_hand() -> None:
    table, _ = run(items())
    pd.testing.assert_frame_equal(table, SCORES.check(table))
    cells = table.set_index(["policy", "slice", "metric"])
    # pass@1 before: 0, 1/4, 2/4, 3/4; pass@2 of c = 0..4 out of 4: 0, 1/2, 5/6, 1, 1
    assert cells.loc[("before", "all", "pass@1"), "value"] == pytest.approx(6 / 16)
    assert cells.loc[("before", "all", "pass@1"), "stderr"] == pytest.approx(np.std([0, 1, 2, 3], ddof=1) / 4 / 2)
    assert cells.loc[("before", "all", "pass@2"), "value"] == pytest.approx((0 + 1 / 2 + 5 / 6 + 1) / 4)
    assert cells.loc[("after", "all", "pass@1"), "value"] == pytest.approx(10 / 16)
    assert cells.loc[("after", "topic=mod", "pass@1"), "value"] == pytest.approx(7 / 8)
    assert cells.loc[("before", "level=2", "pass@1"), "value"] == pytest.approx(3 / 4)
    assert np.isnan(cells.loc[("before", "level=2", "pass@1"), "stderr"])
    assert set(table["slice"]) == {"all", "topic=add", "topic=mod", "level=1", "level=2", "level=2.5"}
    assert cells.loc[("after", "topic=mod", "pass@1"), "n_prompts"] == 2
    assert set(table["benchmark"]) == {"test"}


def test_the_gain_is_paired() -> None:
    _, report = run(items())
    assert report.values["gain_pass_at_1"] == pytest.approx((2 + 0 + 2 + 0) / 16)
    assert report.values["gain_pass_at_1_stderr"] == pytest.approx(np.std([2, 0, 2, 0], ddof=1) / 4 / 2)
    assert report.values["pass_at_1_before"] == pytest.approx(6 / 16)
    assert report.values["pass_at_2_after"] == pytest.approx((5 / 6 + 1 / 2 + 1 + 1) / 4)
    assert report.values["truncated_frac_before"] == 1 / 4
    assert (report.n_rollouts, report.n_generated_tokens, report.n_prefill_tokens) == (32, 20, 2)
    assert all(np.isfinite(v) for v in report.values.values())
    assert made[0].seed == made[1].seed
    assert made[0].asked == made[1].asked == [(["0", "1", "2", "3"], 4)]


def test_the_row_order_does_not_matter() -> None:
    table, report = run(items())
    other, other_report = run(items()[::-1])
    pd.testing.assert_frame_equal(table, other)
    assert report == other_report


def test_without_training_there_is_no_gain() -> None:
    table, report = run(items(), after=None)
    assert set(table["policy"]) == {"before"}
    assert not [name for name in report.values if "after" in name or "gain" in name]


def test_unknown_verdicts_are_not_correct_and_counted() -> None:
    prompts = items()
    prompts.loc[prompts["prompt"] == "3", "answer"] = " "
    *_, report = evaluate_policies(BEFORE, AFTER, prompts, CONFIG, GradingConfig(kind="math"), 5)
    assert report.values["unknown_frac"] == 1 / 4
    assert report.values["unknown_frac_after"] == 1 / 4
    assert "8 x gold not readable" in report.notes[0]


def test_unusable_prompts_are_left_out_and_told() -> None:
    prompts = items()
    prompts.loc[0, "usable"] = False
    table, report = run(prompts)
    assert table["n_prompts"].max() == 3
    assert report.notes == ("1 prompts of the split are not usable and were not evaluated; their flags say why",)
    for empty in (prompts[:0], prompts.assign(usable=False)):
        with pytest.raises(DataError, match=r"set evaluation\.enabled to false"):
            run(empty)


def test_a_k_beyond_the_samples_is_refused_before_any_work() -> None:
    with pytest.raises(ConfigError, match="pass@9"):
        evaluate_policies(BEFORE, AFTER, items(), EvaluationConfig(n_samples=4, ks=(9,)), GradingConfig(), 5)
    assert made == []
