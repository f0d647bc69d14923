"""One prompt's way through a run in words: its features, its cluster, what was predicted, planned and trained."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from saerl_core.errors import DataError
from saerl_core.named_features import FeatureName, NamedFeatures, printable
from saerl_core.plans import BatchPlan
from saerl_core.probe_rows import FeatureWeight
from saerl_core.records import ClustersReport, DifficultyReport, QualityReport, SaeFeatures
from saerl_core.report import facts, numbers
from saerl_core.tables import LOW_QUALITY

_N_FEATURES, _N_NEAR, _N_STEPS = 8, 3, 8
_MAX_TEXT, _MIN_PREFIX = 400, 4
_MARKS = "«»…⏎⇥␣\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class ExplainInputs:
    """The records of a run that say something about one prompt; what is None was not part of the run."""

    run_name: str
    prompts: pd.DataFrame  # tables.PROMPTS
    features: SaeFeatures
    quality: pd.DataFrame  # tables.QUALITY
    quality_report: QualityReport
    clusters: pd.DataFrame  # tables.CLUSTERS
    clusters_report: ClustersReport
    difficulty: pd.DataFrame  # tables.DIFFICULTY
    difficulty_report: DifficultyReport
    plan: BatchPlan  # an online one filled with what was trained on
    names: pd.DataFrame | None = None  # named_features.FEATURE_NAMES
    pass_rates: pd.DataFrame | None = None  # tables.PASS_RATES
    consumed: pd.DataFrame | None = None  # tables.CONSUMED
    handed_out: pd.DataFrame | None = None  # tables.HANDED_OUT


def explain_prompt(inputs: ExplainInputs, prompt_id: str) -> str:
    """Return the way of a prompt as lines of text without control characters.

    A prefix of at least four characters will do where it is that of one prompt. Raises `DataError` for an unknown id,
    with the nearest ones.
    """
    known = [str(p) for p in inputs.prompts["prompt_id"]]
    found = find_prompt(known, prompt_id)
    names = NamedFeatures.of(inputs.names)
    lines = [
        f"prompt {found} of run {inputs.run_name}",
        *_text(_row(inputs.prompts, found)),
        *_features(inputs, names, found),
        _cluster(inputs, names, found),
        _quality(inputs, found),
        *_difficulty(inputs, found),
        *_planned(inputs, found),
        *_trained(inputs, found),
    ]
    return "\n".join(printable(line) for line in lines)


def find_prompt(known: Sequence[str], given: str) -> str:
    """Return the id that was meant: this one, or the only one that begins so."""
    if given in known:
        return given
    begin = [p for p in known if p.startswith(given)] if len(given) >= _MIN_PREFIX else []
    if len(begin) == 1:
        return begin[0]
    if begin:
        told = f"{len(begin)} ids begin so, among them {', '.join(sorted(begin)[:_N_NEAR])}; give more characters"
    else:
        near = difflib.get_close_matches(given, known, n=_N_NEAR, cutoff=0.0)
        told = f"the nearest of its {len(known):,} ids are {', '.join(near)}"
    raise DataError(f"'{printable(given)}' is no prompt of the run: {told}")


def _row(table: pd.DataFrame, prompt_id: str) -> pd.Series:
    return table.loc[table["prompt_id"] == prompt_id].iloc[0]


def _line(name: str, text: str) -> str:
    return f"{name:<12}{text}"


def _text(row: pd.Series) -> list[str]:
    known = [f"{name} {row[name]}" for name in ("source", "topic", "level") if not pd.isna(row[name])]
    if float(row["contamination"]) > 0:
        known.append(f"{numbers.percent(float(row['contamination']), 0)} covered by an evaluation item")
    flags = str(row["flags"]).replace(",", ", ") or "none"
    return [
        _line("text", numbers.short(str(row["prompt"]), _MAX_TEXT)),
        _line("answer", numbers.short(str(row["answer"]), _MAX_TEXT)),
        _line("from", ", ".join(known)),
        _line("flags", flags if row["usable"] else f"{flags}; not usable"),
    ]


def _features(inputs: ExplainInputs, names: NamedFeatures, prompt_id: str) -> list[str]:
    """List the latents that stand out most, in standard deviations above the pool's mean, with what they add."""
    matrix = inputs.features.matrix
    row = inputs.features.rows([prompt_id])
    head = _line("features", f"{row.nnz} of {matrix.shape[1]:,} latents are active")
    if not row.nnz:
        return [head]
    text, values = str(_row(inputs.prompts, prompt_id)["prompt"]), row.data.astype(np.float64)
    columns = matrix[:, row.indices].astype(np.float64)
    mean = np.asarray(columns.mean(axis=0)).ravel()
    deviation = np.sqrt(np.maximum(np.asarray(columns.multiply(columns).mean(axis=0)).ravel() - mean**2, 1e-24))
    lift = (values - mean) / deviation
    hard, good = _by_latent(inputs.difficulty_report.weights), _by_latent(inputs.quality_report.weights)
    lines = [f"{head}; those that stand out most, and what each adds to the probes:"]
    for j in np.lexsort((row.indices, -lift))[:_N_FEATURES]:
        latent = int(row.indices[j])
        name = names[latent]
        said = [
            f"activation {numbers.number(float(values[j]))}",
            f"{numbers.fixed(float(lift[j]), 1)} sd above the pool",
        ]
        said += [
            f"{probe} {weights[latent] * np.log1p(values[j]):+.3f}"
            for probe, weights in (("difficulty", hard), ("quality", good))
            if latent in weights
        ]
        lines.append(f"  {name.name} (#{latent}): {', '.join(said)}{_example(name, text)}")
    return lines


def _example(name: FeatureName, text: str) -> str:
    """Return the text that a latent is strongest in, and whether it is of this prompt."""
    if not name.examples:
        return ""
    where = "this prompt" if _bare(name.examples[0]) in _bare(text) else "another prompt"
    return f"; strongest in {where}: {name.examples[0]}"


def _bare(text: str) -> str:
    """Return a text without blanks and without what marks an example: its token, its blanks, where it was cut out."""
    return "".join(c for c in printable(text) if not c.isspace() and c not in _MARKS)


def _by_latent(weights: Sequence[FeatureWeight]) -> dict[int, float]:
    return {weight.latent: weight.weight for weight in weights}


def _cluster(inputs: ExplainInputs, names: NamedFeatures, prompt_id: str) -> str:
    cluster = int(_row(inputs.clusters, prompt_id)["cluster_id"])
    said = [str(cluster), f"{int((inputs.clusters['cluster_id'] == cluster).sum()):,} prompts"]
    for card in inputs.clusters_report.cards:
        if card.cluster_id == cluster:
            if card.main_topic:
                said.append(f"mainly {numbers.short(card.main_topic, 40)} ({numbers.percent(card.main_topic_frac, 0)})")
            fires = list(dict.fromkeys(names[latent].name for latent, _ in card.top_features))
            none = "no latent is stronger in it than in the whole pool"
            said.append(f"fires on {' | '.join(fires[:_N_FEATURES])}" if fires else none)
    return _line("cluster", ", ".join(said))


def _quality(inputs: ExplainInputs, prompt_id: str) -> str:
    row = _row(inputs.quality, prompt_id)
    why = str(_row(inputs.plan.decisions, prompt_id)["reason"])
    low = "below the cut, left out for it" if why == LOW_QUALITY else "below the cut, not left out for it"
    kept = "above the cut" if row["keep"] else low
    return _line("quality", f"{float(row['quality_score']):.3f} (1 is good), {kept}")


def _difficulty(inputs: ExplainInputs, prompt_id: str) -> list[str]:
    row = _row(inputs.difficulty, prompt_id)
    own, predicted = float(row["difficulty"]), float(row["predicted"])
    kind = inputs.difficulty_report.label
    label = facts.LABEL_NAMES[kind]
    of_rates = kind in ("pass_rate", "known_pass_rate")  # of other labels the difficulty is no pass rate
    told = f"a pass rate of {1 - predicted:.0%}" if of_rates else f"by the {label}"
    from_label = f"; {own:.3f} from the {label}, which counts" if row["is_labelled"] else ""
    rank = f"rank {float(row['calibrated']):.2f} in its cluster (0 is easiest)"
    verb = "" if kind in ("likelihood", "none") else "predicted "  # these are no predictions
    lines = [_line("difficulty", f"{verb}{predicted:.3f}, {told}{from_label}; {rank}")]
    rates = inputs.pass_rates
    if rates is not None and (rates["prompt_id"] == prompt_id).any():
        rate = _row(rates, prompt_id)
        lines.append(_line("measured", f"{rate['n_correct']} of {rate['n_rollouts']} rollouts were right"))
    return lines


def _planned(inputs: ExplainInputs, prompt_id: str) -> list[str]:
    plan = inputs.plan
    decision = _row(plan.decisions, prompt_id)
    strategy = f"strategy {plan.strategy}"
    if not decision["planned"]:
        return [_line("plan", f"{strategy}: not planned, {decision['reason']}")]
    rows = plan.table[plan.table["prompt_id"] == prompt_id].sort_values(["step", "slot"])
    steps = _few([f"step {step} slot {slot}" for step, slot in zip(rows["step"], rows["slot"], strict=True)])
    lines = [_line("plan", f"{strategy}, {plan.n_steps} steps: planned at {steps}")]
    if inputs.handed_out is None:
        return lines
    given = (
        inputs.handed_out[inputs.handed_out["prompt_id"] == prompt_id].dropna(subset="predicted").sort_values("step")
    )
    told = [
        f"step {step}: expected a pass rate of {predicted:.0%}" + ("" if pd.isna(why) else f" ({why})")
        for step, predicted, why in zip(given["step"], given["predicted"], given["why"], strict=True)
    ]
    return [*lines, *([_line("why", _few(told))] if told else [])]


def _trained(inputs: ExplainInputs, prompt_id: str) -> list[str]:
    if inputs.consumed is None:
        return [_line("training", "the run has not trained, or has not finished training")]
    rows = inputs.consumed[inputs.consumed["prompt_id"] == prompt_id].sort_values(["step", "slot"])
    groups = [
        f"step {step}: {right} of {n} right" + ("" if trained else ", screened out")
        for step, right, n, trained in zip(
            rows["step"], rows["n_correct"], rows["n_rollouts"], rows["is_trained"], strict=True
        )
    ]
    return [_line("training", _few(groups) if groups else "never sampled")]


def _few(items: Sequence[str]) -> str:
    more = f" and {len(items) - _N_STEPS} more" if len(items) > _N_STEPS else ""
    return "; ".join(items[:_N_STEPS]) + more
