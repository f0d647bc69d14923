"""The epochs of a static strategy: its order of each, checked, thinned and mixed."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from saerl_core.config.run import PlanConfig
from saerl_core.errors import DataError
from saerl_core.plan.batches import Batch, Order
from saerl_core.plan.blame import blamed
from saerl_core.plan.mixing import swap_tails
from saerl_core.plan.strategies.base import Candidates, StaticStrategy
from saerl_core.plan.thinning import thin
from saerl_core.seeds import stage_rng

_COLUMNS = ["step", "slot", "epoch", "prompt_id", "is_mixed"]


def planned_table(
    row: StaticStrategy[Any], candidates: Candidates, config: PlanConfig, seed: int
) -> tuple[pd.DataFrame, set[str]]:
    """Return who is trained on in which step and slot, and the prompts of batches that `n_steps` left no room for.

    Raises `DataError` when the strategy returns no batch, one that is not full, a prompt twice in an epoch, or a
    prompt that is not a candidate.
    """
    allowed = set(candidates.prompt_ids)
    rows: list[tuple[int, int, int, str, bool]] = []
    thinned_out: set[str] = set()
    n_done = epoch = 0
    while epoch == 0 or n_done < (config.n_steps or 0):
        with blamed(config.strategy.name, f"ordering epoch {epoch}"):
            order = row.order(candidates, config.strategy, stage_rng(seed, f"plan/epoch={epoch}"))
        if not isinstance(order, Order):
            raise DataError(f"strategy '{row.name}' returned a {type(order).__name__}; it must return an Order")
        batches = [Batch(tuple(b.prompt_ids), b.group) for b in order.batches]
        check_batches(batches, allowed, config.prompts_per_step, row.name)
        chosen = thin(batches, len(batches) if config.n_steps is None else config.n_steps - n_done)
        thinned_out |= {p for b in set(batches) - set(chosen) for p in b.prompt_ids}
        for step, (batch, mixed) in enumerate(swap_tails(chosen, order.n_swap), start=n_done):
            rows += [(step, slot, epoch, p, p in mixed) for slot, p in enumerate(batch.prompt_ids)]
        n_done, epoch = n_done + len(chosen), epoch + 1
    return pd.DataFrame(rows, columns=_COLUMNS), thinned_out


def check_batches(batches: Sequence[Batch], allowed: set[str], prompts_per_step: int, strategy: str) -> None:
    """Raise `DataError` for an epoch that is no order of the candidates; it names the batch and the prompt."""
    if not batches:
        raise DataError(f"strategy '{strategy}' returned no batch; it must return at least one full batch an epoch")
    seen: set[str] = set()
    for i, batch in enumerate(batches):
        here = f"strategy '{strategy}' returned, as batch {i} of an epoch,"
        if len(batch.prompt_ids) != prompts_per_step:
            raise DataError(
                f"{here} {len(batch.prompt_ids)} prompts; every batch must have plan.prompts_per_step = "
                f"{prompts_per_step}, and a remainder is left out"
            )
        for prompt_id in batch.prompt_ids:
            if prompt_id not in allowed:
                raise DataError(f"{here} prompt {prompt_id!r}, which is none of its {len(allowed)} candidates")
            if prompt_id in seen:
                raise DataError(f"{here} prompt {prompt_id!r}, which the epoch holds already; once is allowed")
            seen.add(prompt_id)
