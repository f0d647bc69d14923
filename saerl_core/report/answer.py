"""What a table of runs shows of one run: the answer in at most eight values, its curve, and all else."""

import json
import math

from saerl_core.ledger import cost_metrics
from saerl_core.report.control import versus
from saerl_core.report.facts import cost_by_purpose, gain_of
from saerl_core.report.inputs import ReportInputs


def answer_metrics(inputs: ReportInputs) -> dict[str, float]:
    """Return the headline values, shares as 0 ... 1; what the run did not measure is left out.

    `rollouts` and `tokens` are those of selection and training: what the order cost, whether a control ran or not.
    """
    spent = cost_by_purpose(inputs.costs).loc[["selection", "training"]].sum()
    values = {"rollouts": float(spent["n_rollouts"]), "tokens": float(spent["n_generated_tokens"])}
    gain, against = gain_of(inputs), versus(inputs)
    if gain is not None:
        values |= {"accuracy_before": gain.before, "accuracy_after": gain.after, "gain": gain.gain}
        values["gain_stderr"] = gain.stderr
    if against is not None:
        values["gain_over_control"] = against.gain
    if inputs.training is not None:
        values["dead_group_share"] = float(inputs.training.log["zero_std_frac"].mean())
    return {name: value for name, value in values.items() if math.isfinite(value)}


def accuracy_curve(inputs: ReportInputs) -> dict[int, float]:
    """Return held-out accuracy by generated rollouts.

    The scores taken while training; where there are none, the evaluation before and after.
    """
    if inputs.training is None:
        return {}
    log = inputs.training.log.dropna(subset="eval_pass_at_1")
    if len(log):
        return {int(n): float(v) for n, v in zip(log["n_rollouts_total"], log["eval_pass_at_1"], strict=True)}
    gain = gain_of(inputs)
    return {} if gain is None else {0: gain.before, inputs.training.report.n_rollouts: gain.after}


def diagnostics(inputs: ReportInputs, forecasts: dict[str, float]) -> str:
    """Return every value of every stage as JSON, by the stage's step, with the ledger and the forecasts' scores."""
    found = {stage.step: report.metrics(stage.prefix) for stage, report in inputs.reports()}
    return json.dumps({**found, "costs": cost_metrics(inputs.costs), "forecasts": forecasts}, indent=2, sort_keys=True)
