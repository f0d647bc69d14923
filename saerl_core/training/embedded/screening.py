"""Screening: more prompts are sampled than are trained on, so that a batch is full of groups that teach something.

`dynamic` is the dynamic sampling of DAPO (arXiv:2503.14476): groups whose rewards are all equal are left out and
others are sampled in their place. `pilot` samples a part of every group first and the rest only where the pilot's
rewards differ. Whatever is sampled is counted, booked and seen by the curriculum, so that an order with screening costs
as many rollouts as one without.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from saerl_core.config.training import TrainingConfig
from saerl_core.rollouts.grading import Verdict
from saerl_core.training.session import GradedGroup, PromptRow, TrainingSession


@dataclass(frozen=True)
class SampledGroup:
    """The rollouts of one prompt, graded; lists have one entry a rollout."""

    row: PromptRow
    completion_ids: list[list[int]]
    logprobs: list[list[float]]  # of each sampled token, at the sampling temperature
    texts: list[str]  # the completions as the grader read them
    verdicts: list[Verdict]

    @property
    def graded(self) -> GradedGroup:
        """What the books keep of it."""
        scored = any(v.score is not None for v in self.verdicts)
        rewards = tuple(v.reward for v in self.verdicts) if scored else None
        n_correct = sum(v.correct is True for v in self.verdicts)
        return GradedGroup(self.row.prompt_id, len(self.verdicts), n_correct, rewards)

    def with_more(self, more: "SampledGroup") -> "SampledGroup":
        """Return the group with further rollouts of the same prompt behind its own."""
        return replace(
            self,
            completion_ids=self.completion_ids + more.completion_ids,
            logprobs=self.logprobs + more.logprobs,
            texts=self.texts + more.texts,
            verdicts=self.verdicts + more.verdicts,
        )

    def filled(self, n: int) -> "SampledGroup":
        """Return `n` rollouts, its own again and again: only a flat group is filled up, which has no advantages."""
        group = self
        while len(group.verdicts) < n:
            group = group.with_more(self)
        return SampledGroup(self.row, group.completion_ids[:n], group.logprobs[:n], group.texts[:n], group.verdicts[:n])


@dataclass(frozen=True)
class Collected:
    """What was sampled for an update, in the curriculum's order, and the places of those that are trained on."""

    groups: list[SampledGroup]
    chosen: list[int]  # ascending; as many as a batch has prompts

    def trained(self, group_size: int) -> list[SampledGroup]:
        """Return the groups of the batch, `group_size` rollouts each."""
        return [self.groups[i].filled(group_size) for i in self.chosen]


Sample = Callable[[Sequence[PromptRow], int], list[SampledGroup]]


def collect(session: TrainingSession, sample: Sample) -> Collected:
    """Sample until the batch of an update is full, at most `max_rounds` batches of prompts; book everything.

    `sample(rows, n)` gives `n` graded rollouts of each prompt. Where the batch cannot be filled, flat groups stand in
    the empty places: they have no advantage, as in an update without screening. The last update samples all that is
    left of the curriculum, so that what was handed out is what was sampled.
    """
    config, size = session.job.config, session.job.prompts_per_step
    groups: list[SampledGroup] = []
    while (due := _n_due(session, groups)) > 0:
        rows = session.pull(due)
        found = _sampled(rows, sample, config)
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


def _worth(groups: Sequence[SampledGroup], config: TrainingConfig) -> list[bool]:
    """Tell which groups belong into the batch."""
    return [config.screen == "none" or not group.graded.is_flat for group in groups]


def _n_due(session: TrainingSession, groups: Sequence[SampledGroup]) -> int:
    """Return how many prompts are to be sampled next; 0 where the batch is full or cannot get fuller."""
    config, size = session.job.config, session.job.prompts_per_step
    missing = size - sum(_worth(groups, config))
    due = min(missing, config.max_rounds * size - len(groups)) if config.screen != "none" else missing
    is_short_end = len(groups) > 0 and session.n_left - max(0, due) < size
    return session.n_left if is_short_end else max(0, due)


def _sampled(rows: Sequence[PromptRow], sample: Sample, config: TrainingConfig) -> list[SampledGroup]:
    """Sample whole groups, or pilots and the rest of those whose pilots differ."""
    if config.screen != "pilot":
        return sample(rows, config.group_size)
    groups = sample(rows, config.pilot_rollouts)
    mixed = [i for i, group in enumerate(groups) if not group.graded.is_flat]
    rest = sample([rows[i] for i in mixed], config.group_size - config.pilot_rollouts) if mixed else []
    for i, more in zip(mixed, rest, strict=True):
        groups[i] = groups[i].with_more(more)
    return groups
