"""Which prompts stay: by what the quality probe is sure of, or by a cut that a person asked for; and why, in words."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from saerl_core.config.run import QualityConfig
from saerl_core.probe_rows import WorstPrompt
from saerl_core.records import QualityReport
from saerl_core.signals.broken import Broken

N_WORST = 10
FEW_GOOD = (
    200  # the ceiling of the calibration is the tail of the good scores: a twentieth of fewer is under ten prompts
)
_WHO = "; a strategy that filters by quality leaves them out"  # the step that scores does not know the plan


@dataclass(frozen=True)
class Kept:
    """The column `keep` of the sorted pool, and what is said about it."""

    keep: Bool[np.ndarray, " n"]
    note: str
    values: dict[str, float]
    worst: tuple[WorstPrompt, ...]


def choose_kept(
    pool: pd.DataFrame, scores: Float[np.ndarray, " n"], broken: Broken | None, config: QualityConfig
) -> Kept:
    """Return which prompts of a pool that is sorted by prompt_id stay.

    `threshold`: those that score at least that. `drop_quantile`: all but that share of the usable ones (ties by
    prompt_id). Neither set: all but those whose calibrated probability of being broken is above `drop_above`, and all
    where corruptions were told from fewer than `FEW_GOOD` usable prompts. A prompt that is not usable stays unless it
    scores as low as what is dropped: the plan leaves it out anyway.
    """
    usable = pool["usable"].to_numpy(dtype=bool)
    few = broken is not None and config.labels == "corruptions" and broken.n_good < FEW_GOOD
    if config.threshold is not None:
        keep, cut = scores >= config.threshold, f"Below quality.threshold {config.threshold:g}:"
    elif config.drop_quantile is not None:
        keep = _above_quantile(pool, usable, scores, config.drop_quantile)
        cut = f"Below quality.drop_quantile {config.drop_quantile:g}, the lowest scores, sure or not:"
    else:
        keep, cut = np.ones(len(pool), dtype=bool), ""
        if broken is not None and not few:
            keep = broken.probability <= config.drop_above
    n, n_dropped = int(usable.sum()), int((~keep & usable).sum())
    values = {"n_dropped": float(n_dropped), "drop_frac": n_dropped / n if n else 0.0}
    if broken is not None:
        values |= {"broken_frac": broken.share, "n_calibrated": float(broken.n_good + broken.n_bad)}
    share = f"{n_dropped:,} of {n:,} usable prompts ({n_dropped / n if n else 0.0:.1%})"
    if few and broken is not None:
        note = _few_note(f"{cut} {share}{_WHO}." if cut else "", broken)
    elif cut:
        note = f"{cut} {share}{_WHO}. {_sure(broken, usable, config)}"
    else:
        note = _default_note(broken, share, n_dropped, config)
    return Kept(keep, note.strip(), values, _worst(pool, usable, scores, None if few else broken, keep))


def with_kept(report: QualityReport, kept: Kept) -> QualityReport:
    """Return the report with what is said about the choice."""
    update = {"notes": (*report.notes, kept.note), "values": {**report.values, **kept.values}, "worst": kept.worst}
    return report.model_copy(update=update)


def _above_quantile(
    pool: pd.DataFrame, usable: Bool[np.ndarray, " n"], scores: Float[np.ndarray, " n"], quantile: float
) -> Bool[np.ndarray, " n"]:
    rows = np.flatnonzero(usable)
    n_dropped = int(quantile * len(rows))
    order = rows[np.lexsort((pool["prompt_id"].astype(str).to_numpy()[rows], scores[rows]))]
    keep = np.ones(len(pool), dtype=bool)
    keep[order[:n_dropped]] = False
    if n_dropped:
        keep[~usable & (scores < scores[order[n_dropped - 1]])] = False
    return keep


def _default_note(broken: Broken | None, share: str, n_dropped: int, config: QualityConfig) -> str:
    if broken is None:
        return (
            "No prompt is left out for its quality: a probability of being broken can be calibrated on two classes of "
            "at least 30 prompts only. quality.threshold or quality.drop_quantile cut all the same."
        )
    base = f"calibrated out of fold on {broken.n_good:,} good and {broken.n_bad:,} bad examples"
    if n_dropped == 0:
        return (
            f"No prompt is left out for its quality: for none does the probe reach a probability of being broken above "
            f"quality.drop_above = {config.drop_above:g} ({base})."
        )
    return (
        f"Below the cut of quality: {share}, whose probability of being broken is above quality.drop_above = "
        f"{config.drop_above:g} ({base}){_WHO}. About {broken.share:.1%} of such prompts are broken by the same "
        f"calibration. The page shows the {N_WORST} lowest scores."
    )


def _few_note(cut: str, broken: Broken) -> str:
    """Say that so few good examples make no cut, or, where a person has asked for one, that it rests on little."""
    why = (
        f"The quality probe learnt from {broken.n_good:,} good prompts of the pool against {broken.n_bad:,} broken on "
        f"purpose. Below {FEW_GOOD} good ones its score says little about a single prompt, and its probability of "
        "being broken nothing that can be trusted"
    )
    if cut:
        return f"{cut} {why}: do not trust this cut; without quality.threshold and quality.drop_quantile there is none."
    return (
        f"No prompt is left out for its quality: {broken.n_good:,} good examples are too few. {why}. Read the lowest "
        "scores on the page yourself; quality.threshold or quality.drop_quantile cut all the same."
    )


def _sure(broken: Broken | None, usable: Bool[np.ndarray, " n"], config: QualityConfig) -> str:
    """Say how many prompts the probe itself is sure of, where a person has asked for another cut."""
    if broken is None:
        return ""
    n_sure = int(((broken.probability > config.drop_above) & usable).sum())
    return f"The probe is sure (probability of being broken above {config.drop_above:g}) of {n_sure:,} of them all."


def _worst(
    pool: pd.DataFrame,
    usable: Bool[np.ndarray, " n"],
    scores: Float[np.ndarray, " n"],
    broken: Broken | None,
    keep: Bool[np.ndarray, " n"],
) -> tuple[WorstPrompt, ...]:
    ids = pool["prompt_id"].astype(str).to_numpy()
    rows = np.flatnonzero(usable)
    rows = rows[np.lexsort((ids[rows], scores[rows]))][:N_WORST]
    return tuple(
        WorstPrompt(
            prompt_id=str(ids[i]),
            score=float(scores[i]),
            broken=None if broken is None else float(broken.probability[i]),
            kept=bool(keep[i]),
        )
        for i in rows
    )
