"""How probable it is that a prompt is broken, calibrated on out-of-fold scores: what the quality probe is sure of."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from saerl_core.signals.quality_items import QualityItems

MIN_CLASS = 30  # fewer of either class calibrate nothing
_CEILING_TEST = 6.63  # chi-squared of one degree of freedom, 1 %: twice the gain in log-likelihood
_EPSILON = 1e-6


@dataclass(frozen=True)
class Broken:
    """P(broken) of every prompt of the pool, and the share of the pool that is broken by the same calibration."""

    probability: Float[np.ndarray, " n"]
    share: float
    n_good: int  # rows that it was calibrated on
    n_bad: int


def calibrate_broken(items: QualityItems, scores: Float[np.ndarray, " n"]) -> Broken | None:
    """Return the calibrated probability of being broken of every pool prompt; None where nothing can be calibrated.

    A user's two classes: Platt scaling (Platt 1999), a logistic regression of the label on the score's log-odds.
    Corruptions: the "good" class is the pool, which may hold broken prompts of its own, so that the plain logistic
    curve would call the pool's worst prompts as good as any. The curve gets a ceiling instead. With b the density of
    the corruptions, p = (1 - share) c + share b that of the pool and log(b / c) linear in the log-odds z, as Platt
    assumes,

        p / b = exp(-(a + slope z)) + share,    P(broken) = share b / p,

    fitted by maximum likelihood. `share` is 0 unless the ceiling explains the scores better at the 1 % level: where
    the corruptions' odds rise without end towards the worst scores, nothing in the pool is like them. Graded labels
    have no classes: None.
    """
    rows = items.labelled
    if not items.is_binary:
        return None
    bad = items.labels[rows] == 0
    n_bad, n_good = int(bad.sum()), int((~bad).sum())
    if min(n_bad, n_good) < MIN_CLASS:
        return None
    z = -_log_odds(scores)
    middle, spread = float(z[rows].mean()), float(z[rows].std())
    if spread < _EPSILON:
        return Broken(np.zeros(items.n_pool), 0.0, n_good, n_bad)
    z = (z - middle) / spread
    if len(items.labels) == items.n_pool:
        return Broken(_platt(z[rows], bad, z[: items.n_pool]), n_bad / (n_bad + n_good), n_good, n_bad)
    a, slope, share = _with_ceiling(z[rows], bad)
    odds = np.exp(-np.clip(a + slope * z[: items.n_pool], -50, 50))
    return Broken(share / (odds + share) if share > 0 else np.zeros(items.n_pool), share, n_good, n_bad)


def _log_odds(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    inside = np.clip(scores, _EPSILON, 1 - _EPSILON)
    return np.asarray(np.log(inside / (1 - inside)))


def _platt(z: Float[np.ndarray, " m"], bad: np.ndarray, where: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e3).fit(z[:, None], bad.astype(np.int64))
    return np.asarray(model.predict_proba(where[:, None])[:, 1])


def _with_ceiling(z: Float[np.ndarray, " m"], bad: np.ndarray) -> tuple[float, float, float]:
    """Return (a, slope, share); share 0 where a ceiling is not needed, or where the slope says nothing."""
    from scipy.optimize import minimize

    prior = np.log(bad.sum() / (~bad).sum())

    def loss(parameters: Float[np.ndarray, " k"]) -> float:
        share = 1.0 / (1.0 + np.exp(-parameters[2])) if len(parameters) == 3 else 0.0
        line = np.clip(parameters[0] + parameters[1] * z, -50, 50)
        log_odds = prior - np.log(np.exp(-line) + share)
        return float(np.logaddexp(0.0, np.where(bad, -log_odds, log_odds)).sum())

    bounds = [(-30.0, 30.0), (0.0, 30.0)]
    plain = minimize(loss, np.array([0.0, 1.0]), method="L-BFGS-B", bounds=bounds)
    starts = [np.array([*plain.x, np.log(s / (1 - s))]) for s in (0.02, 0.2)]
    fits = [minimize(loss, start, method="L-BFGS-B", bounds=[*bounds, (-12.0, 2.0)]) for start in starts]
    best = min(fits, key=lambda fit: float(fit.fun))
    if 2 * (plain.fun - best.fun) < _CEILING_TEST:
        return float(plain.x[0]), float(plain.x[1]), 0.0
    return float(best.x[0]), float(best.x[1]), float(1.0 / (1.0 + np.exp(-best.x[2])))
