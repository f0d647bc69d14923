"""The proof that the planned order was trained: what was consumed, against what was handed out."""

import hashlib
from typing import TYPE_CHECKING

import pandas as pd

from saerl_core.errors import BackendError
from saerl_core.tables import CONSUMED

if TYPE_CHECKING:
    from hashlib import _Hash


class ConsumedHash:
    """A running sha256 over lines "step <tab> slot <tab> prompt_id"; after the last step of a static plan, its hash."""

    def __init__(self) -> None:
        self._digest: _Hash = hashlib.sha256()

    def add(self, step: int, prompt_ids: list[str], *, first_slot: int = 0) -> None:
        """Take in prompts of a step, in slot order from `first_slot` on."""
        for slot, prompt_id in enumerate(prompt_ids, start=first_slot):
            self._digest.update(f"{step}\t{slot}\t{prompt_id}\n".encode())

    def digest(self) -> str:
        """Return the hash so far."""
        return self._digest.hexdigest()


def batches_of(consumed: pd.DataFrame) -> dict[int, list[str]]:
    """Return the prompt ids of every trained step in slot order, steps ascending."""
    rows = CONSUMED.check(consumed).sort_values(["step", "slot"])
    batches: dict[int, list[str]] = {}
    for step, prompt_id in zip(rows["step"], rows["prompt_id"], strict=True):
        batches.setdefault(int(step), []).append(str(prompt_id))
    return batches


def check_consumed(planned: list[list[str]], consumed: pd.DataFrame) -> None:
    """Compare what was trained on with what was planned; `BackendError` at the first difference.

    `planned[step]` holds the prompt ids of a step in slot order; `consumed` is `tables.CONSUMED`. Order inside a
    batch counts.
    """
    trained = batches_of(consumed)
    beyond = [step for step in trained if step >= len(planned)]
    for step, batch in enumerate(planned):
        got = trained.get(step, [])
        for slot in range(max(len(batch), len(got))):
            want_id = batch[slot] if slot < len(batch) else "nothing"
            got_id = got[slot] if slot < len(got) else "nothing"
            if want_id != got_id:
                raise BackendError(
                    f"training left the plan at step {step}, slot {slot}: {want_id} was planned, {got_id} was trained; "
                    "the result is not that of this plan: delete the training folder and train again"
                )
    if beyond:
        raise BackendError(
            f"training went on to step {max(beyond)}, but only {len(planned)} batches were planned; "
            "the result is not that of this plan: delete the training folder and train again"
        )
