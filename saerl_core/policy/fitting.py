"""The training loop of the small LMs: next-token prediction with a weight a token."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saerl_core.errors import BackendError

if TYPE_CHECKING:
    import torch
    from tqdm import tqdm
    from transformers import PreTrainedModel

    Bar = tqdm[object]

_WARMUP_STEPS = 30
_LOG_EVERY = 25
_PATIENCE = 2  # looks without a new best


@dataclass(frozen=True)
class TokenBatch:
    """Right-padded token ids and the weight of each token in the loss (0 for padding and the first token)."""

    ids: "torch.Tensor"  # int64, batch x seq
    weights: "torch.Tensor"  # float32, batch x seq


@dataclass(frozen=True)
class Rates:
    """Learning rates: Muon for the matrices of the blocks, AdamW for everything else; falling over the last share."""

    matrices: float
    others: float
    decay_frac: float


@dataclass
class EarlyStop:
    """Ends a training whose loss on texts kept out has risen twice in a row, and gives back the best weights."""

    loss: Callable[[], float]  # on the texts kept out
    stopped_at: int | None = None  # step; None: it ran to its end
    best: float = math.inf
    _weights: "dict[str, torch.Tensor] | None" = None
    _n_worse: int = 0

    def wants_to_stop(self, model: "PreTrainedModel", step: int) -> bool:
        """Look at the loss now; true at the second look in a row without a new best."""
        model.eval()
        loss = self.loss()
        model.train()
        if loss < self.best:
            self.best, self._n_worse = loss, 0
            self._weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
            return False
        self._n_worse += 1
        if self._n_worse < _PATIENCE:
            return False
        self.stopped_at = step
        return True

    def give_back(self, model: "PreTrainedModel") -> None:
        """Put the best weights back where the training was stopped."""
        if self.stopped_at is not None and self._weights is not None:
            model.load_state_dict(self._weights)


def fit(
    model: "PreTrainedModel",
    batches: Iterator[TokenBatch],
    n_steps: int,
    rates: Rates,
    bar: "Bar",
    stop: EarlyStop | None = None,
) -> list[tuple[int, float]]:
    """Train for `n_steps` batches and return (step, loss) at every 25th step and the last; 1-based, nats a token.

    Padding stands on the right, so causal attention needs no mask. With `stop` it may end at any of these steps.
    `BackendError` when the loss stops being finite.
    """
    import torch

    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n and "lm_head" not in n]
    taken = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in taken]
    optimizers = (
        torch.optim.Muon(matrices, lr=rates.matrices, weight_decay=0.05),
        torch.optim.AdamW(others, lr=rates.others, betas=(0.9, 0.98), weight_decay=0.0),
    )
    curve: list[tuple[int, float]] = []
    model.train()
    for step in range(1, n_steps + 1):
        factor = _schedule(step, n_steps, rates.decay_frac)
        loss = _loss(model, next(batches))
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer, rate in zip(optimizers, (rates.matrices, rates.others), strict=True):
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        bar.update(1)
        if step % _LOG_EVERY == 0 or step == n_steps:
            curve.append((step, _finite(float(loss.detach()), step)))
            bar.set_postfix(loss=f"{curve[-1][1]:.3f}")
            if stop is not None and stop.wants_to_stop(model, step):
                stop.give_back(model)
                break
    model.eval()
    return curve


def weighted_loss(logits: "torch.Tensor", batch: TokenBatch) -> "torch.Tensor":
    """Return the weighted mean cross-entropy of the next token, in nats."""
    from torch.nn.functional import cross_entropy

    each = cross_entropy(logits[:, :-1].flatten(0, 1), batch.ids[:, 1:].flatten(), reduction="none")
    weights = batch.weights[:, 1:].flatten()
    return (each * weights).sum() / weights.sum()


def _loss(model: "PreTrainedModel", batch: TokenBatch) -> "torch.Tensor":
    return weighted_loss(model(input_ids=batch.ids, use_cache=False).logits, batch)


def _schedule(step: int, n_steps: int, decay_frac: float) -> float:
    return min(1.0, step / _WARMUP_STEPS) * min(1.0, (n_steps - step + 1) / max(1.0, n_steps * decay_frac))


def _finite(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        raise BackendError(
            f"pre-training diverged: the loss at step {step} is {loss}; change the seed or lower policy.hidden_size"
        )
    return loss
