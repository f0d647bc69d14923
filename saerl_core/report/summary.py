"""The closing lines that a person reads in the terminal."""

from saerl_core.report import facts, numbers
from saerl_core.report.control import versus, versus_sentence
from saerl_core.report.inputs import ReportInputs
from saerl_core.report.section_run import what_ran

_N_SLOWEST = 3


def summary_text(inputs: ReportInputs) -> str:
    """Say in a few plain lines what ran, what it bought, what it cost and where the time went."""
    gain, proof = facts.gain_of(inputs), facts.order_proof(inputs)
    against = versus(inputs)
    lines = [what_ran(inputs)] if against is None else [versus_sentence(against), what_ran(inputs)]
    if gain is not None:
        lines += [facts.gain_sentence(gain), facts.comparison_advice(inputs)]
    elif inputs.training is None:
        lines.append("Training is off: the run stopped at the plan.")
    else:
        lines.append("Nothing was compared before and after: evaluation is off, or there are no held-out prompts.")
    if proof is not None:
        lines.append(facts.order_sentence(proof))
    lines.append(_cost_line(inputs))
    slowest = inputs.costs.nlargest(_N_SLOWEST, "seconds")
    where = ", ".join(
        f"{stage} {numbers.duration(float(s))}" for stage, s in zip(slowest["stage"], slowest["seconds"], strict=True)
    )
    if where:
        lines.append(f"Most of the time: {where}.")
    n_notes = len(inputs.notes())
    if n_notes:
        which = f"{n_notes} notes" if n_notes > 1 else "1 note"
        lines.append(f"{which} from the stages; the report shows {'them' if n_notes > 1 else 'it'}.")
    return "\n".join(lines)


def _cost_line(inputs: ReportInputs) -> str:
    total = inputs.costs[["seconds", "n_rollouts", "n_generated_tokens"]].sum()
    text = (
        f"Cost: {numbers.count(total['n_rollouts'])} rollouts, {numbers.count(total['n_generated_tokens'])} generated "
        f"tokens, {numbers.duration(float(total['seconds']))}"
    )
    control = facts.cost_by_purpose(inputs.costs).to_dict("index")["control"]
    if control["seconds"] > 0:
        text += f" (the control: {numbers.count(control['n_rollouts'])} and {numbers.duration(control['seconds'])})"
    share = facts.selection_share(inputs.costs, "seconds")
    return text + (
        f"; selection took {numbers.percent(share, 0)} of the time of selection and training."
        if inputs.training
        else "."
    )
