"""The driver's side of one attempt: hand out a batch, wait for its report, prove it from the audit, book it, go on."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saerl_core.errors import BackendError
from saerl_core.protocols import StepMetrics
from saerl_core.training import checkpoints as store
from saerl_core.training.openrlhf.files import SESSIONS, RenderedPrompts
from saerl_core.training.openrlhf.mailbox import Mailbox
from saerl_core.training.openrlhf.metrics import evaluation_metrics, step_metrics
from saerl_core.training.openrlhf.process import TrainerProcess
from saerl_core.training.openrlhf.reading import AuditReader, GradedStep
from saerl_core.training.openrlhf.resume import prune_sessions
from saerl_core.training.openrlhf.rounds import Rounds
from saerl_core.training.screening import collect
from saerl_core.training.session import GradedGroup, PromptRow, TrainingSession

if TYPE_CHECKING:
    from tqdm import tqdm

_LOOK_S = 1.0  # between two looks into audit and evaluations: the folder may be on a slow shared file system
_END_POLL_S = 0.1


class Conversation:
    """One attempt, from its first batch to the end of the trainer."""

    def __init__(
        self,
        session: TrainingSession,
        prompts: RenderedPrompts,
        attempt: Path,
        now: store.Fingerprint,
        bar: "tqdm[Any]",
    ) -> None:
        self._session = session
        self._config = session.job.config
        self._prompts = prompts
        self._root = attempt.parent
        self._now = now
        self._bar = bar
        self._mailbox = Mailbox(attempt / "mailbox")
        self._audit = AuditReader(attempt / "audit")
        self._evaluated: set[int] = set()
        self._signs = 0
        self._last_sign = self._last_look = time.monotonic()

    def hold(self, trainer: TrainerProcess) -> None:
        """Train all steps that are left and wait until the trainer has saved the policy and ended.

        Raises:
            BackendError: the trainer ended, was silent for too long or left the plan; the books cannot be written.
            DataError: the curriculum named a prompt that is not usable.
        """
        train = self._train_planned if self._config.screen == "none" else self._train_screened
        while not self._session.is_done:
            train(trainer)
        self._mailbox.send_batch(self._session.next_step, [])
        while trainer.poll() is None:
            self._look(trainer)
            time.sleep(_END_POLL_S)
        self._pass_on_evaluations()
        if trainer.poll() != 0:
            raise trainer.failure()

    def _train_planned(self, trainer: TrainerProcess) -> None:
        session, step = self._session, self._session.next_step
        batch = [row.prompt_id for row in session.pull(session.job.prompts_per_step)]
        n_prompt_tokens = self._count_tokens(batch)
        self._mailbox.send_batch(step, batch)
        report = self._mailbox.wait_for_report(step, lambda: self._expect_alive(trainer))
        self._pass_on_evaluations()  # of the step before: they came between its report and this one
        graded = self._audit.step(step, batch, self._config.group_size)
        metrics = step_metrics(report, with_kl=self._config.kl_coef > 0)
        self._count(graded, metrics, n_prompt_tokens)
        session.sampled(graded.groups)
        self._finish(graded, metrics)

    def _train_screened(self, trainer: TrainerProcess) -> None:
        """Sample round by round until `screening.collect` has its batch; the prompts are booked as they are sampled."""
        session, step, n_prompt_tokens = self._session, self._session.next_step, 0
        rounds = Rounds(step, self._mailbox, self._audit, self._config.group_size, lambda: self._expect_alive(trainer))

        def sample(rows: Sequence[PromptRow]) -> list[GradedGroup]:
            nonlocal n_prompt_tokens
            n_prompt_tokens += self._count_tokens([row.prompt_id for row in rows])
            return rounds(rows)

        collected = collect(session, sample)
        rounds.train(collected.chosen)
        report = self._mailbox.wait_for_report(step, lambda: self._expect_alive(trainer))
        self._pass_on_evaluations()
        graded = rounds.whole()
        n_rollouts = sum(group.n_rollouts for group in graded.groups)
        metrics = step_metrics(report, with_kl=self._config.kl_coef > 0)
        metrics["completion_tokens_mean"] = rounds.n_tokens / n_rollouts  # OpenRLHF saw those that are trained on
        self._count(graded, metrics, n_prompt_tokens)
        self._finish(graded, metrics, collected.chosen)

    def _finish(self, graded: GradedStep, metrics: StepMetrics, trained: Sequence[int] | None = None) -> None:
        extra = {"reward_error_n": float(graded.n_errors), "unknown_n": float(graded.n_unknown)}
        full = self._session.finish({**metrics, **extra}, trained)
        self._save_books()
        self._bar.set_postfix_str(f"reward {full['reward_mean']:.2f}, zero-std {full['zero_std_frac']:.2f}")
        self._bar.update(self._session.n_asked - self._bar.n)

    def _count_tokens(self, batch: list[str]) -> int:
        """Return the tokens of a batch; OpenRLHF would cut a prompt that is too long from the left, with a warning."""
        limit, sizes = self._config.openrlhf.max_prompt_tokens, {i: self._prompts.n_tokens(i) for i in batch}
        for prompt_id, size in sizes.items():
            if size > limit:
                raise BackendError(
                    f"prompt '{prompt_id}' has {size} tokens, more than training.openrlhf.max_prompt_tokens = {limit}; "
                    "raise it, or lower prompts.max_prompt_chars"
                )
        return sum(sizes[i] for i in batch)

    def _count(self, graded: GradedStep, metrics: StepMetrics, n_prompt_tokens: int) -> None:
        totals, n_rollouts = self._session.totals, sum(group.n_rollouts for group in graded.groups)
        totals.n_rollouts += n_rollouts
        totals.n_generated_tokens += round(metrics["completion_tokens_mean"] * n_rollouts)
        totals.n_prefill_tokens += n_prompt_tokens
        totals.n_unknown += graded.n_unknown
        totals.n_reward_errors += graded.n_errors
        totals.first_reward_error = totals.first_reward_error or graded.first_error

    def _save_books(self) -> None:
        """Save the books wherever the trainer saves a checkpoint; it does so once it has the next batch."""
        step = self._session.next_step
        if step % self._config.save_every_steps and not self._session.is_done:
            return
        place = store.checkpoint_folder(self._root / SESSIONS, step)
        with store.complete_folder(place, f"the books after {step} steps") as folder:
            store.save_session(folder, self._session, self._now)
        prune_sessions(self._root, self._config.openrlhf.max_checkpoints + 1)

    def _expect_alive(self, trainer: TrainerProcess) -> None:
        if trainer.poll() is not None:
            raise trainer.failure()
        self._look(trainer)

    def _look(self, trainer: TrainerProcess) -> None:
        """Now and then look for signs of life; a trainer whose log grows may still wait forever, so that is none."""
        now = time.monotonic()
        if now - self._last_look < _LOOK_S:
            return
        self._last_look = now
        self._audit.update()
        self._pass_on_evaluations()
        signs = self._audit.n_lines + self._session.next_step + len(self._evaluated)
        if signs != self._signs:
            self._signs, self._last_sign = signs, now
        if now - self._last_sign > self._config.openrlhf.watchdog_s:
            raise BackendError(
                f"the trainer has graded no rollout and finished no step for {self._config.openrlhf.watchdog_s:.0f} s "
                f"(training.openrlhf.watchdog_s) and was ended; {trainer.last_words()}; raise "
                "training.openrlhf.watchdog_s where a step takes longer, else look for GPUs that another program holds"
            )

    def _pass_on_evaluations(self) -> None:
        for report in self._mailbox.evaluations(self._evaluated):
            self._evaluated.add(report.step)
            metrics, n = evaluation_metrics(report), round(report.metrics.get("eval_num_samples", 0.0))
            n_tokens = round(n * metrics.get("eval_completion_tokens_mean", 0.0))
            self._session.evaluated(report.step - 1, metrics, n, n_tokens)  # OpenRLHF counts finished steps
