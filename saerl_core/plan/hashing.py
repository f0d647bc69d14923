"""The identity of a training order."""

import hashlib

import pandas as pd


def plan_hash(table: pd.DataFrame) -> str:
    """Return the sha256 over (step, slot, prompt_id), in step and slot order; the row order does not matter."""
    rows = table.sort_values(["step", "slot"])
    lines = zip(rows["step"], rows["slot"], rows["prompt_id"], strict=True)
    text = "".join(f"{int(step)}\t{int(slot)}\t{prompt_id}\n" for step, slot, prompt_id in lines)
    return hashlib.sha256(text.encode()).hexdigest()
