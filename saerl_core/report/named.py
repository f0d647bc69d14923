"""What the page says with the names of latents: chips of a cluster, and what makes a prompt hard, good or bad."""

from collections.abc import Sequence

from saerl_core.named_features import NamedFeatures
from saerl_core.probe_rows import FeatureWeight
from saerl_core.records import ClusterCard
from saerl_core.report import facts, numbers
from saerl_core.report.blocks import Block, Missing, Table, Text
from saerl_core.report.inputs import ReportInputs

N_STRONGEST = 10  # latents each way
_N_CHIPS = 6


def cluster_chips(card: ClusterCard, named: NamedFeatures) -> list[tuple[str, str]]:
    """Return names of the latents that stand out in a cluster, each once, with what stands behind it."""
    found: dict[str, str] = {}
    for latent, lift in card.top_features:
        name, stronger = named[latent].name, numbers.number(lift, 2)
        told = f"latent #{latent}, {stronger} standard deviations above the pool"
        found[name] = f"{found[name]}; {told}" if name in found else told
    return list(found.items())[:_N_CHIPS]


def what_makes_a_prompt(inputs: ReportInputs) -> list[Block]:
    """Return the latents that the probes go by: the strongest each way, with names and examples."""
    named = NamedFeatures.of(inputs.feature_names)
    hard, good = inputs.difficulty_report.weights, inputs.quality_report.weights
    title = "What makes a prompt hard, good, bad here"
    if not hard and not good:
        return [Missing(f"{title}: no probe was fitted, or none of its weights differs from 0.")]
    blocks: list[Block] = [Text(f"{title}. {_how(inputs)}")]
    label = facts.LABEL_NAMES[inputs.difficulty_report.label]
    unit = "log-odds of being sound" if "auc" in inputs.quality_report.values else "quality score"
    told = "sound against corrupted" if inputs.config.quality.labels == "corruptions" else "by your labels"
    for words, own, other, sign, column in (
        (f"Hard prompts (label: the {label})", hard, good, 1, ("difficulty", "quality")),
        ("Easy prompts", hard, good, -1, ("difficulty", "quality")),
        (f"Good prompts ({told})", good, hard, 1, (unit, "difficulty")),
        ("Bad prompts", good, hard, -1, (unit, "difficulty")),
    ):
        blocks.append(_table(words, own, other, sign, column, named, len(inputs.train)))
    return blocks


def strongest(weights: Sequence[FeatureWeight], sign: int, n: int = N_STRONGEST) -> list[FeatureWeight]:
    """Return the weights of the largest effects of a sign, the largest first, ties by latent."""
    found = [weight for weight in weights if sign * weight.effect > 0]
    return sorted(found, key=lambda weight: (-abs(weight.effect), weight.latent))[:n]


def _how(inputs: ReportInputs) -> str:
    named = "" if inputs.feature_names is not None else " This run has no names of latents."
    return (
        "The latents that the probes on SAE features go by, named after the words that they fire on. An effect is the "
        "probe's weight times the standard deviation of the latent: how far one of them moves the prediction. Latents "
        "overlap, so an effect says what the probe goes by, not what is the cause." + named
    )


def _table(
    title: str,
    own: Sequence[FeatureWeight],
    other: Sequence[FeatureWeight],
    sign: int,
    columns: tuple[str, str],
    named: NamedFeatures,
    n_pool: int,
) -> Table | Missing:
    rows = []
    beside = {weight.latent: weight.effect for weight in other}
    for weight in strongest(own, sign):
        name = named[weight.latent]
        rows.append(
            [
                name.name,
                name.examples[0] if name.examples else numbers.DASH,
                numbers.number(weight.effect, 2),
                numbers.number(beside.get(weight.latent, 0.0) if other else None, 2),
                numbers.percent(None if name.n_prompts is None else name.n_prompts / max(1, n_pool)),
                f"#{weight.latent}",
            ]
        )
    if not rows:
        return Missing(f"{title}: {'no weight of the probe has this sign' if own else 'no probe was fitted'}.")
    heads = ["fires on", "strongest example", *(f"effect on {name}" for name in columns), "in prompts", "latent"]
    return Table(title, heads, rows, n_text=2)
