"""What is believed of every prompt's current pass rate: a Bayesian linear model on frozen features, and a memory."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from saerl_core.plan.choosers import Learnt

_CENTRE = 0.5  # the model predicts the distance from it: without data every prompt is as likely right as wrong
_LOW, _HIGH = 0.02, 0.98  # a linear model leaves [0, 1]; a prediction of exactly 0 or 1 would never be tried again


@dataclass(frozen=True)
class Beliefs:
    """Settings of the model, see docs/method.md."""

    ridge: float  # lambda: precision of the prior on the weights
    forgetting: float  # share of the evidence that is kept from step to step: the policy changes
    noise: float  # variance of an observed pass rate around its mean, for Thompson sampling
    memory_weight: float  # pseudo-observations that a prompt's own residual is shrunk by
    memory_kept: float  # share of a prompt's own evidence that is kept from step to step


class PassRateModel:
    """Predicts p_i = .5 + x_i w + m_i, clipped to [.02, .98], from the group pass rates that were observed so far.

        A <- f A + X_B' X_B,   b <- f b + X_B' (y_B - .5),   w ~ N((A + lambda I)^-1 b, noise (A + lambda I)^-1)
        m_i = r_i c_i / (c_i + k),   r_i the mean residual of prompt i, c_i its (fading) count

    X holds a constant column. Rows are prompts in a fixed order; all indices are into it.
    """

    def __init__(self, features: Float64[np.ndarray, "n d"], beliefs: Beliefs) -> None:
        self.features = np.hstack([features, np.ones((len(features), 1))])
        self.beliefs = beliefs
        n, d = self.features.shape
        self._gram = np.zeros((d, d))
        self._moment = np.zeros(d)
        self._residual = np.zeros(n)
        self._count = np.zeros(n)

    def mean(self, index: Int64[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
        """Return the expected pass rates."""
        return self._rates(index, self._weights())

    def draw(self, index: Int64[np.ndarray, " k"], rng: np.random.Generator) -> Float64[np.ndarray, " k"]:
        """Return pass rates under one draw of the weights from their posterior (Thompson sampling)."""
        factor = np.linalg.cholesky(self._precision())
        noise = np.sqrt(self.beliefs.noise) * np.linalg.solve(factor.T, rng.standard_normal(len(self._moment)))
        return self._rates(index, self._weights() + noise)

    def observe(self, index: Int64[np.ndarray, " k"], rates: Float64[np.ndarray, " k"]) -> None:
        """Learn from the pass rates of one batch; what was known before fades."""
        rows, kept = self.features[index], self.beliefs.forgetting
        self._gram = kept * self._gram + rows.T @ rows
        self._moment = kept * self._moment + rows.T @ (rates - _CENTRE)
        residual = rates - _CENTRE - rows @ self._weights()
        self._count *= self.beliefs.memory_kept
        seen = self._count[index]
        self._residual[index] = (self._residual[index] * seen + residual) / (seen + 1.0)
        self._count[index] = seen + 1.0

    def state(self) -> Learnt:
        """Return everything that was learnt, as JSON; prompts that were never seen take no room."""
        seen = np.flatnonzero(self._count)
        return {
            "gram": self._gram.tolist(),
            "moment": self._moment.tolist(),
            "seen": seen.tolist(),
            "residual": self._residual[seen].tolist(),
            "count": self._count[seen].tolist(),
        }

    def load(self, state: Learnt) -> None:
        """Restore what `state` returned."""
        self._gram, self._moment = np.array(state["gram"], dtype=np.float64), np.array(state["moment"])
        seen = np.array(state["seen"], dtype=np.int64)
        self._residual[:], self._count[:] = 0.0, 0.0
        self._residual[seen], self._count[seen] = np.array(state["residual"]), np.array(state["count"])

    def _precision(self) -> Float64[np.ndarray, "d1 d1"]:
        return self._gram + self.beliefs.ridge * np.eye(len(self._gram))

    def _weights(self) -> Float64[np.ndarray, " d1"]:
        return np.asarray(np.linalg.solve(self._precision(), self._moment))

    def _rates(self, index: Int64[np.ndarray, " k"], weights: Float64[np.ndarray, " d1"]) -> Float64[np.ndarray, " k"]:
        count = self._count[index]
        own = self._residual[index] * count / (count + self.beliefs.memory_weight)
        return np.asarray(np.clip(_CENTRE + self.features[index] @ weights + own, _LOW, _HIGH))
