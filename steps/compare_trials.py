"""Say what every arm bought: statistics, the page, runs of the trials below the comparison's; never cached."""

from typing import Annotated

import pandas as pd
from zenml import step
from zenml.types import HTMLString

from saerl_core.compare.statistics import Comparison
from saerl_core.compare.statistics import compare_trials as compare_them
from saerl_core.compare.tables import from_tables
from saerl_core.config.run import CompareConfig
from saerl_core.environment import state_dir
from saerl_core.report.comparison import ComparisonInputs, answer_in_words, comparison_table, render_comparison
from steps._facts import run_facts
from tracking import runtime
from tracking.children import charts_address, curve_address, log_trials


@step(experiment_tracker=True, enable_cache=False)
def compare_trials(
    curves: pd.DataFrame, items: pd.DataFrame, shares: pd.DataFrame, failures: pd.DataFrame, config: CompareConfig
) -> tuple[Annotated[HTMLString, "comparison"], Annotated[pd.DataFrame, "comparison_table"]]:
    """Compare the arms, write the page, log the trials."""
    with runtime.stage("compare_trials"):
        trials = from_tables(curves, items, shares)
        comparison = compare_them(trials, config.baseline)
        facts = run_facts()
        lost = [(str(arm), int(seed), str(why)) for arm, seed, why in failures.itertuples(index=False)]
        page = render_comparison(ComparisonInputs(facts, comparison, trials, lost, facts.command))
        path = state_dir() / "comparison.html"
        path.write_text(page, encoding="utf-8")
        table = comparison_table(comparison)
        table.to_csv(state_dir() / "comparison.csv", index=False)
        run_ids = log_trials(trials, facts.run_name)
        tags = {"saerl.comparison": facts.run_name, "saerl.baseline": config.baseline}
        runtime.log_summary(_headlines(comparison), {}, tags, [path, state_dir() / "comparison.csv"])
        runtime.say("\n".join([*answer_in_words(comparison), *(f"FAILED: {arm}, seed {s}: {w}" for arm, s, w in lost)]))
        runtime.say(f"the page: {path}")
        curves_at, charts_at = curve_address(run_ids), charts_address(facts.run_name)
        if curves_at is not None:
            runtime.say(f"accuracy over rollouts of all trials in MLflow: {curves_at}\ntheir charts: {charts_at}")
    return HTMLString(page), table


def _headlines(comparison: Comparison) -> dict[str, float]:
    best = max(comparison.rows[1:], key=lambda row: row.gain.mean, default=comparison.rows[0])
    return {
        "baseline_accuracy": comparison.rows[0].accuracy,
        "best_accuracy": best.accuracy,
        "best_gain": best.gain.mean,
        "best_share_of_rollouts": best.saving("n_rollouts").ratio,
    }
