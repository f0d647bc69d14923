"""What the embedded trainer samples for an update: whole groups, or pilots and the rest of those that differ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from saerl_core.config.training import TrainingConfig
from saerl_core.rollouts.grading import Verdict
from saerl_core.training.screening import Collected, collect
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


Sample = Callable[[Sequence[PromptRow], int], list[SampledGroup]]


def collect_groups(session: TrainingSession, sample: Sample) -> Collected[SampledGroup]:
    """Sample until the batch of an update is full, and book everything; `sample(rows, n)` gives `n` graded rollouts."""
    return collect(session, lambda rows: _sampled(rows, sample, session.job.config))


def batch_of(collected: Collected[SampledGroup], group_size: int) -> list[SampledGroup]:
    """Return the groups of the batch, `group_size` rollouts each."""
    return [collected.groups[i].filled(group_size) for i in collected.chosen]


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
