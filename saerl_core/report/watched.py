"""Which named features fire in other answers after training than before: what training did beside the score."""

from saerl_core.named_features import NamedFeatures
from saerl_core.records import FeatureShift, WatchReport
from saerl_core.report import numbers
from saerl_core.report.blocks import Block, Missing, Table, Text
from saerl_core.report.inputs import ReportInputs


def watched(inputs: ReportInputs) -> list[Block]:
    """Return the sentence and the table of shifts; nothing where the run did not look."""
    report = inputs.watch_report
    if report is None:
        return []
    named = NamedFeatures.of(inputs.feature_names)
    rows = [_row(shift, named) for shift in report.shifts]
    text = Text(watched_sentence(report))
    if not rows:
        return [text, Missing("No latent fires in more or in fewer answers than before.")]
    heads = ["fires on", "answers before", "answers after", "z", "beyond chance", "latent"]
    caption = (
        "The latents that rose most, then those that fell most. A name comes from the prompts of the pool: it says on "
        "what the latent fired there, not what it means in an answer."
    )
    return [text, Table("Features in the answers, before and after training", heads, rows, caption=caption)]


def watched_sentence(report: WatchReport) -> str:
    """Say how many latents moved beyond chance, and how many of a random SAE did."""
    v = {name: int(value) for name, value in report.values.items()}
    return (
        f"Answers to {v['n_answers']:,} held-out prompts before and after training, {v['n_answers_changed']:,} of "
        f"which changed, read with the SAE: {v['n_moved']:,} of {v['n_latents']:,} latents fire in more or in fewer of "
        f"them, beyond chance; of a random SAE on the same activations {v['n_moved_random_sae']:,} of "
        f"{v['n_latents_random_sae']:,}."
    )


def _row(shift: FeatureShift, named: NamedFeatures) -> list[str]:
    shares = (numbers.percent(shift.before), numbers.percent(shift.after))
    return [
        named[shift.latent].name,
        *shares,
        numbers.number(shift.z, 2),
        "yes" if shift.is_alarm else "no",
        f"#{shift.latent}",
    ]
