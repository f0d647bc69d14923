"""The SAE probe and its baselines on the same prompts: one row each, and in words whether the SAE wins."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from saerl_core.probe_rows import ProbeRow
from saerl_core.signals.scores import bootstrap_spearman, mae, r2, spearman, spearman_within

_FLOOR = "mean"  # predicts the mean label: no order, so no rank correlation


@dataclass(frozen=True)
class Comparison:
    """Labels, the predictions of every feature set for them, and the clusters of the prompts."""

    truth: Float[np.ndarray, " n"]
    predictions: dict[str, Float[np.ndarray, " n"]]
    clusters: Int[np.ndarray, " n"]


def judge(comparison: Comparison) -> tuple[ProbeRow, ...]:
    """Return spearman, r2, mae and, where a cluster is large enough, spearman_within of every feature set."""
    return tuple(
        ProbeRow(features=name, scores=_scores(comparison, name), n=len(comparison.truth))
        for name in comparison.predictions
    )


def compare(comparison: Comparison, rng: np.random.Generator) -> tuple[dict[str, float], str]:
    """Return the SAE's scores, its gain over the best baseline with bootstrap 95 % intervals, and a sentence.

    The best baseline is the one of the highest Spearman on these prompts, which favours the baselines a little. The
    interval of the gain is paired: every replicate draws the same prompts for both.
    """
    baselines = {
        name: spearman(comparison.truth, p) for name, p in comparison.predictions.items() if name not in ("sae", _FLOOR)
    }
    best = max(baselines, key=lambda name: baselines[name])
    found = _scores(comparison, "sae")
    draws = bootstrap_spearman(comparison.truth, [comparison.predictions["sae"], comparison.predictions[best]], rng)
    lo, hi = np.quantile(draws[:, 0], (0.025, 0.975))
    gain_lo, gain_hi = np.quantile(draws[:, 0] - draws[:, 1], (0.025, 0.975))
    gain = found["spearman"] - baselines[best]
    values = {
        **found,
        "spearman_lo": float(lo),
        "spearman_hi": float(hi),
        "spearman_best_baseline": baselines[best],
        "spearman_gain": gain,
        "spearman_gain_lo": float(gain_lo),
        "spearman_gain_hi": float(gain_hi),
    }
    sentence = (
        f"the SAE probe (Spearman {found['spearman']:.3f}, 95 % interval {lo:.3f} to {hi:.3f}) "
        f"{verdict(gain_lo, gain_hi)} the best baseline, {best} ({baselines[best]:.3f}); difference {gain:+.3f}, "
        f"95 % interval {gain_lo:+.3f} to {gain_hi:+.3f}."
    )
    return values, sentence


def verdict(gain_lo: float, gain_hi: float) -> str:
    """Return in words what the 95 % interval of a gain over a baseline says."""
    if gain_lo > 0:
        return "beats"
    return "is worse than" if gain_hi < 0 else "cannot be told apart from"


def _scores(comparison: Comparison, name: str) -> dict[str, float]:
    predicted = comparison.predictions[name]
    found = {
        "spearman": 0.0 if name == _FLOOR else spearman(comparison.truth, predicted),
        "r2": r2(comparison.truth, predicted),
        "mae": mae(comparison.truth, predicted),
    }
    within = 0.0 if name == _FLOOR else spearman_within(comparison.truth, predicted, comparison.clusters)
    return {**found, "spearman_within": within} if np.isfinite(within) else found
