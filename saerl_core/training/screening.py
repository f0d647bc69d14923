"""Screening: more prompts are sampled than are trained on, so that a batch is full of groups that teach something.

`dynamic` is the dynamic sampling of DAPO (arXiv:2503.14476): groups whose rewards are all equal are left out and
others are sampled in their place. `pilot` samples a part of every group first and the rest only where the pilot's
rewards differ. Whatever is sampled is counted, booked and seen by the curriculum, so that an order with screening costs
as many rollouts as one without.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

from saerl_core.config.training import TrainingConfig
from saerl_core.training.session import GradedGroup, PromptRow, TrainingSession


@runtime_checkable
class Graded(Protocol):
    """The rollouts of one prompt, whatever else a backend keeps of them."""

    @property
    def graded(self) -> GradedGroup:
        """What the books keep of it."""
        ...


Group = TypeVar("Group", bound=Graded)


@dataclass(frozen=True)
class Collected(Generic[Group]):
    """What was sampled for an update, in the curriculum's order, and the places of those that are trained on."""

    groups: list[Group]
    chosen: list[int]  # ascending; as many as a batch has prompts


def collect(session: TrainingSession, sample: Callable[[Sequence[PromptRow]], list[Group]]) -> Collected[Group]:
    """Sample until the batch of an update is full, at most `max_rounds` batches of prompts; book everything.

    `sample` is called once a round with the prompts that are due, and gives their rollouts in the same order. Where the
    batch cannot be filled, flat groups stand in the empty places: they have no advantage, as in an update without
    screening. The last update samples all that is left of the curriculum, so that what was handed out is what was
    sampled.
    """
    config, size = session.job.config, session.job.prompts_per_step
    groups: list[Group] = []
    while (due := _n_due(session, groups)) > 0:
        found = sample(session.pull(due))
        session.sampled([group.graded for group in found])
        groups += found
    wanted = _worth(groups, config)
    live, flat = ([i for i, is_live in enumerate(wanted) if is_live is kind] for kind in (True, False))
    if config.screen != "none" and len(live) < size:
        session.note(
            f"updates that {config.max_rounds} x {size} prompts (training.max_rounds x plan.prompts_per_step) could "
            "not fill with groups of differing rewards were made with what there was"
        )
    return Collected(groups, sorted((live + flat)[:size]))


def _worth(groups: Sequence[Graded], config: TrainingConfig) -> list[bool]:
    """Tell which groups belong into the batch."""
    return [config.screen == "none" or not group.graded.is_flat for group in groups]


def _n_due(session: TrainingSession, groups: Sequence[Graded]) -> int:
    """Return how many prompts are to be sampled next; 0 where the batch is full or cannot get fuller."""
    config, size = session.job.config, session.job.prompts_per_step
    missing = size - sum(_worth(groups, config))
    due = min(missing, config.max_rounds * size - len(groups)) if config.screen != "none" else missing
    is_short_end = len(groups) > 0 and session.n_left - max(0, due) < size
    return session.n_left if is_short_end else max(0, due)
