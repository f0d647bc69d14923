"""What is believed of every prompt's current pass rate: a Bayesian linear model on frozen features, and a memory.

All evidence is counted in rollouts, so that one setting serves every group and batch size.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from saerl_core.plan.choosers import Learnt

_CENTRE = 0.5  # the model predicts the distance from it: without data every prompt is as likely right as wrong
_LOW, _HIGH = 0.02, 0.98  # a linear model leaves [0, 1]; a prediction of exactly 0 or 1 would never be tried again
_PRIOR_CORRELATION, _PRIOR_GROUPS = 0.3, 20.0  # of rewards inside a group, until as many groups have been seen


@dataclass(frozen=True)
class Beliefs:
    """Settings of the model, see docs/method.md."""

    prior_rollouts: float  # lambda: the prior on the weights is worth as many
    half_life_rollouts: float  # after as many, evidence counts half: the policy changes
    noise: float  # variance of one rollout's reward around the model's rate, for Thompson sampling
    memory_prior_rollouts: float  # k: rollouts that a prompt's own residual is shrunk by
    memory_half_life_rollouts: float  # after as many, what is remembered of a prompt itself counts half


class PassRateModel:
    """Predicts p_i = .5 + x_i w + m_i, clipped to [.02, .98], from the group pass rates that were observed so far.

        A <- f A + X_B' N_B X_B,   b <- f b + X_B' N_B (y_B - .5),   f = 2^(-rollouts of the step / half-life)
        w ~ N((A + lambda I)^-1 b, noise (A + lambda I)^-1)
        m_i = r_i c_i / (c_i + k),   r_i the mean residual of prompt i, c_i its (fading) rollouts

    N_B are the rollouts of each prompt of the batch; X holds a constant column. Around p_i the true rate of a prompt
    is taken to be Beta-distributed with concentration kappa + c_i, where 1 / (kappa + 1) is the correlation of rewards
    inside a group that the model could not foresee, estimated from prompts met for the first time. Rows are prompts in
    a fixed order; all indices are into it.
    """

    def __init__(self, features: Float64[np.ndarray, "n d"], beliefs: Beliefs) -> None:
        self.features, self.beliefs = features, beliefs
        n, d = features.shape
        self._gram = np.zeros((d + 1, d + 1))
        self._moment = np.zeros(d + 1)
        self._residual = np.zeros(n)
        self._count = np.zeros(n)
        self._excess, self._room = _PRIOR_CORRELATION * _PRIOR_GROUPS * 0.25, _PRIOR_GROUPS * 0.25

    def mean(self, index: Int64[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
        """Return the expected pass rates."""
        return self._rates(index, self._weights())

    def draw(self, index: Int64[np.ndarray, " k"], rng: np.random.Generator) -> Float64[np.ndarray, " k"]:
        """Return pass rates under one draw of the weights from their posterior (Thompson sampling)."""
        factor = np.linalg.cholesky(self._precision())
        noise = np.sqrt(self.beliefs.noise) * np.linalg.solve(factor.T, rng.standard_normal(len(self._moment)))
        return self._rates(index, self._weights() + noise)

    def concentration(self, index: Int64[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
        """Return how many rollouts the belief about each prompt is worth: those of the model, and its own."""
        correlation = float(np.clip(self._excess / self._room, 0.02, 0.95))
        return np.asarray(1.0 / correlation - 1.0 + self._count[index])

    def sd(self, index: Int64[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
        """Return the standard deviation of each prompt's rate: of the weights, and of what features cannot say."""
        rows, mean = self._rows(index), self.mean(index)
        weights = self.beliefs.noise * np.einsum("ij,ji->i", rows, np.linalg.solve(self._precision(), rows.T))
        own = mean * (1.0 - mean) / (self.concentration(index) + 1.0)
        return np.asarray(np.minimum(np.sqrt(weights + own), 0.5))  # no rate within [0, 1] spreads more

    def observe(
        self, index: Int64[np.ndarray, " k"], n_rollouts: Int64[np.ndarray, " k"], n_correct: Int64[np.ndarray, " k"]
    ) -> None:
        """Learn from the rollouts of one batch; what was known before fades."""
        n = np.asarray(n_rollouts, dtype=np.float64)
        rates, total = n_correct / n, float(n.sum())
        kept = 0.5 ** (total / self.beliefs.half_life_rollouts)
        self._learn_spread(index, n, rates, kept)
        rows = self._rows(index)
        self._gram = kept * self._gram + rows.T @ (n[:, np.newaxis] * rows)
        self._moment = kept * self._moment + rows.T @ (n * (rates - _CENTRE))
        residual = rates - _CENTRE - rows @ self._weights()
        self._count *= 0.5 ** (total / self.beliefs.memory_half_life_rollouts)
        seen = self._count[index]
        self._residual[index] = (self._residual[index] * seen + residual * n) / (seen + n)
        self._count[index] = seen + n

    def state(self) -> Learnt:
        """Return everything that was learnt, as JSON; prompts that were never seen take no room."""
        seen = np.flatnonzero(self._count)
        return {
            "gram": self._gram.tolist(),
            "moment": self._moment.tolist(),
            "seen": seen.tolist(),
            "residual": self._residual[seen].tolist(),
            "count": self._count[seen].tolist(),
            "spread": [self._excess, self._room],
        }

    def load(self, state: Learnt) -> None:
        """Restore what `state` returned."""
        self._gram, self._moment = np.array(state["gram"], dtype=np.float64), np.array(state["moment"])
        seen = np.array(state["seen"], dtype=np.int64)
        self._residual[:], self._count[:] = 0.0, 0.0
        self._residual[seen], self._count[seen] = np.array(state["residual"]), np.array(state["count"])
        self._excess, self._room = (float(v) for v in np.array(state["spread"]))

    def _learn_spread(
        self,
        index: Int64[np.ndarray, " k"],
        n: Float64[np.ndarray, " k"],
        rates: Float64[np.ndarray, " k"],
        kept: float,
    ) -> None:
        """Compare the errors on new prompts with those that chance alone would make (moments of a beta-binomial)."""
        new = (self._count[index] == 0) & (n > 1)
        if not new.any():
            return
        mean = self.mean(index[new])
        room = mean * (1.0 - mean)
        excess = (rates[new] - mean) ** 2 - room / n[new]
        self._excess = kept * self._excess + float(excess.sum())
        self._room = kept * self._room + float((room * (1.0 - 1.0 / n[new])).sum())

    def _precision(self) -> Float64[np.ndarray, "d1 d1"]:
        return self._gram + self.beliefs.prior_rollouts * np.eye(len(self._gram))

    def _weights(self) -> Float64[np.ndarray, " d1"]:
        return np.asarray(np.linalg.solve(self._precision(), self._moment))

    def _rows(self, index: Int64[np.ndarray, " k"]) -> Float64[np.ndarray, "k d1"]:
        return np.hstack([self.features[index], np.ones((len(index), 1))])

    def _rates(self, index: Int64[np.ndarray, " k"], weights: Float64[np.ndarray, " d1"]) -> Float64[np.ndarray, " k"]:
        few = len(index) < len(self.features) // 4  # copying most rows of a large pool costs more than the products
        linear = self.features[index] @ weights[:-1] if few else (self.features @ weights[:-1])[index]
        count = self._count[index]
        own = self._residual[index] * count / (count + self.beliefs.memory_prior_rollouts)
        return np.asarray(np.clip(_CENTRE + linear + weights[-1] + own, _LOW, _HIGH))


def live_share(
    mean: Float64[np.ndarray, " k"], concentration: Float64[np.ndarray, " k"], group: int
) -> Float64[np.ndarray, " k"]:
    """Return the probability that a group of `group` rollouts has both rewards, the rate being Beta-distributed.

    1 - E[p^G] - E[(1-p)^G] with p ~ Beta(m kappa, (1-m) kappa): products of ratios, exact.
    """
    a, b = mean * concentration, (1.0 - mean) * concentration
    right, wrong = np.ones_like(a), np.ones_like(a)
    for j in range(group):
        right *= (a + j) / (concentration + j)
        wrong *= (b + j) / (concentration + j)
    return np.asarray(1.0 - right - wrong)
