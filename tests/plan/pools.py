"""Small pools with signals for the tests of the plan."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from saerl_core.plan.inputs import PlanInputs


@dataclass(frozen=True)
class Row:
    """One prompt and what the signals say about it."""

    prompt_id: str
    cluster_id: int
    difficulty: float
    keep: bool = True
    flags: str = ""  # not empty: not usable


def make_inputs(rows: Sequence[Row]) -> PlanInputs:
    """Build the four tables; `calibrated` is the rank of the difficulty in its cluster, mapped to [0, 1]."""
    frame = pd.DataFrame([vars(row) for row in rows])
    ranks = frame.groupby("cluster_id")["difficulty"].rank() - 1
    last = (frame.groupby("cluster_id")["difficulty"].transform("size") - 1).clip(lower=1)
    ids = frame[["prompt_id"]]
    nothing = dict.fromkeys(("topic", "level", "quality_label", "duplicate_of"))
    known = {"truth": "clean", "known_pass_rate": 1.0 - frame["difficulty"]}  # for oracles
    return PlanInputs(
        prompts=ids.assign(
            prompt="1+1=",
            answer="2",
            source="test",
            conflict=False,
            contamination=0.0,
            flags=frame["flags"],
            **nothing,
            **known,
        ).assign(usable=frame["flags"] == ""),
        quality=ids.assign(quality_score=0.5, keep=frame["keep"]),
        clusters=frame[["prompt_id", "cluster_id"]].assign(centroid_distance=0.1),
        difficulty=frame[["prompt_id", "difficulty"]].assign(
            predicted=frame["difficulty"], calibrated=ranks / last, is_labelled=False
        ),
    )


def steps_of(table: pd.DataFrame) -> list[list[str]]:
    """The prompt ids of every step in slot order."""
    ordered = table.sort_values(["step", "slot"])
    return [rows["prompt_id"].tolist() for _, rows in ordered.groupby("step")]
