"""The table of algorithms: everything that more than one place must know of each.

How an algorithm is spelt stands with its backend (`training.embedded.trl_settings`, `training.openrlhf.algorithms`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Algorithm:
    """One row: a name for the configuration, one for readers, and what sets it apart in more than one place."""

    name: str
    title: str
    clip_high: float | None = None  # upper clip where none is set; None: the lower one. It never acts: ratios are 1
    refused_by: Mapping[str, str] = field(default_factory=dict)  # backend -> why, as it stands after "which"
    has_critic: bool = False
    penalises_length: bool = False  # takes training.openrlhf.overlong_*

    def clip_range(self, low: float, high: float | None) -> tuple[float, float]:
        """Return both clips for the configured ones."""
        own = self.clip_high if self.clip_high is not None else low
        return low, high if high is not None else own


def _not_embedded(why: str) -> Mapping[str, str]:
    return {"embedded": why}


BACKENDS: Mapping[str, str] = {"embedded": "embedded", "openrlhf": "OpenRLHF"}  # in the configuration -> for readers
_ROWS = (
    Algorithm("grpo", "GRPO"),
    Algorithm("dr_grpo", "Dr. GRPO"),
    Algorithm("dapo", "DAPO", clip_high=0.28, penalises_length=True),
    Algorithm("rloo", "RLOO"),
    Algorithm(
        "reinforce++",
        "REINFORCE++",
        refused_by=_not_embedded(
            "whitens advantages over the whole batch and counts the KL in the reward, not in the loss"
        ),
    ),
    Algorithm(
        "reinforce++-baseline",
        "REINFORCE++ with a group baseline",
        refused_by=_not_embedded("whitens advantages over the whole batch, while the embedded backend keeps to groups"),
    ),
    Algorithm(
        "gspo",
        "GSPO",
        refused_by=_not_embedded(
            "takes one probability ratio for a whole completion, while the embedded backend takes one a token"
        ),
    ),
    Algorithm(
        "ppo",
        "PPO",
        refused_by=_not_embedded("needs a critic, which the embedded backend does not train"),
        has_critic=True,
    ),
)
ALGORITHMS: Mapping[str, Algorithm] = {row.name: row for row in _ROWS}


def trained_by(backend: str) -> tuple[str, ...]:
    """Return the names of the algorithms that a backend trains, in the order of the table."""
    return tuple(name for name, row in ALGORITHMS.items() if backend not in row.refused_by)
