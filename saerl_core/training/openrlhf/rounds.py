"""The driver's side of screening: the rounds of one update, each proved from the audit before the next is chosen."""

from collections.abc import Callable, Sequence

from saerl_core.training.openrlhf.mailbox import Mailbox
from saerl_core.training.openrlhf.reading import AuditReader, GradedStep
from saerl_core.training.session import GradedGroup, PromptRow


class Rounds:
    """Samples with the trainer for one update; `screening.collect` calls it once a round."""

    def __init__(
        self, step: int, mailbox: Mailbox, audit: AuditReader, group_size: int, while_waiting: Callable[[], None]
    ) -> None:
        self._step, self._mailbox, self._audit, self._group_size = step, mailbox, audit, group_size
        self._while_waiting = while_waiting
        self.graded: list[GradedStep] = []  # a round each
        self.n_tokens = 0  # generated so far

    def __call__(self, rows: Sequence[PromptRow]) -> list[GradedGroup]:
        """Return the rollouts of the prompts, in their order; `BackendError` where the trainer sampled others."""
        ids, number = [row.prompt_id for row in rows], len(self.graded)
        if number == 0:
            self._mailbox.send_batch(self._step, ids)
        else:
            self._mailbox.send_more(self._step, number, ids, [])
        self.n_tokens += self._mailbox.wait_for_sampled(self._step, number, self._while_waiting)
        first = sum(len(graded.groups) for graded in self.graded)
        self.graded.append(self._audit.step(self._step, ids, self._group_size, first_slot=first))
        return self.graded[-1].groups

    def train(self, chosen: list[int]) -> None:
        """Tell the trainer that the batch is complete: the slots that reach the loss."""
        self._mailbox.send_more(self._step, len(self.graded), [], chosen)

    def whole(self) -> GradedStep:
        """Return everything that was sampled, as one step."""
        return GradedStep(
            groups=[group for graded in self.graded for group in graded.groups],
            n_unknown=sum(graded.n_unknown for graded in self.graded),
            n_errors=sum(graded.n_errors for graded in self.graded),
            first_error=next((graded.first_error for graded in self.graded if graded.first_error), ""),
        )
