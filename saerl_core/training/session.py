"""Between curriculum and backend: which prompts are due, what was trained, what every step measured. No torch."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
import pandas as pd

from saerl_core.errors import BackendError
from saerl_core.protocols import BatchOutcome, Curriculum, OnStep, StepMetrics
from saerl_core.records import TrainingReport, TrainJob
from saerl_core.rollouts.reward_pool import ENOUGH, refuse_mostly_failed
from saerl_core.tables import CONSUMED, TRAINING_LOG
from saerl_core.training.consumed import ConsumedHash, batches_of

_WINDOW = 5  # steps that reward_first5_mean and reward_last5_mean look at


@dataclass(frozen=True)
class PromptRow:
    """What a backend needs of one prompt."""

    prompt_id: str
    prompt: str
    answer: str


@dataclass(frozen=True)
class GradedGroup:
    """The rollouts of one prompt with what they were rewarded with."""

    prompt_id: str
    n_rollouts: int
    n_correct: int
    rewards: tuple[float, ...] | None = None  # of a user's function; None: 1 for each correct rollout, else 0

    @property
    def sum_rewards(self) -> float:
        """Sum of what the rollouts were rewarded with."""
        return float(self.n_correct) if self.rewards is None else sum(self.rewards)

    @property
    def graded(self) -> "GradedGroup":
        """Itself: all that a backend keeps of a group that another process sampled."""
        return self

    @property
    def is_flat(self) -> bool:
        """Whether all rewards are equal, so that the group has no advantage to learn from."""
        return self.n_correct in (0, self.n_rollouts) if self.rewards is None else len(set(self.rewards)) == 1


@dataclass
class Totals:
    """Cost counters over all steps, saved with each checkpoint."""

    n_rollouts: int = 0
    n_generated_tokens: int = 0
    n_prefill_tokens: int = 0
    n_unknown: int = 0  # rollouts that the grader could not judge: trained with reward 0
    n_reward_errors: int = 0  # rollouts on which the reward function failed: trained with reward 0
    first_reward_error: str = ""
    n_eval_rollouts: int = 0  # of scores while training; in none of the counters above
    n_eval_tokens: int = 0


class TrainingSession:
    """One training run as the curriculum sees it: a backend pulls prompts, books what it sampled, and updates."""

    def __init__(self, job: TrainJob, curriculum: Curriculum, on_step: OnStep) -> None:
        self.job = job
        self.curriculum = curriculum
        self.totals = Totals()
        self.next_step = 0  # updates that were done
        self.n_asked = 0  # batches that the curriculum gave; without screening one for every update
        self.resumed_from_step = 0
        self._on_step = on_step
        columns = (job.prompts["prompt_id"], job.prompts["prompt"], job.prompts["answer"])
        self._rows = {str(i): PromptRow(str(i), str(p), str(a)) for i, p, a in zip(*columns, strict=True)}
        self._queue: list[PromptRow] = []  # of the newest batch: what was not pulled yet
        self._log: list[dict[str, float | int | str | None]] = []
        self._consumed: list[dict[str, int | str | bool]] = []
        self._sampled: list[GradedGroup] = []  # since the last update
        self._hash = ConsumedHash()
        self._noted: list[str] = []

    @property
    def n_left(self) -> int:
        """Prompts that can still be pulled: of the newest batch, and of further ones while the budget lasts."""
        job, size = self.job, self.job.prompts_per_step
        room = job.max_rollouts is None or self.totals.n_rollouts + size * job.config.group_size <= job.max_rollouts
        return len(self._queue) + (job.n_steps - self.n_asked) * size * room

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be sampled."""
        return self.n_left == 0

    def note(self, sentence: str) -> None:
        """Keep a sentence for the report of the training, once, over every resume."""
        if sentence not in self._noted:
            self._noted.append(sentence)

    def pull(self, n: int) -> list[PromptRow]:
        """Return the next prompts to be sampled, in slot order: `n`, or fewer where a batch of the curriculum ends.

        What was pulled must be booked by `sampled` before more is: a curriculum sees the rewards of a whole batch
        before it is asked for the next. `BackendError` when the curriculum's answer is no batch.
        """
        if not self._queue:
            self._queue = self._ask()
            self.n_asked += 1
        pulled, self._queue = self._queue[:n], self._queue[n:]
        return pulled

    def _ask(self) -> list[PromptRow]:
        step, size = self.n_asked, self.job.prompts_per_step
        ids = self.curriculum.next_batch(step)
        if len(ids) != size:
            raise BackendError(
                f"the curriculum gave {len(ids)} prompts for step {step}, but prompts_per_step is {size}; "
                "every batch must be full, because one batch is one optimizer step"
            )
        unknown = [i for i in ids if i not in self._rows]
        if unknown:
            raise BackendError(
                f"the curriculum named prompt '{unknown[0]}' for step {step}, which is not among the {len(self._rows)} "
                "prompts of this job; train with the prompts that the plan was made from"
            )
        return [self._rows[i] for i in ids]

    def sampled(self, groups: Sequence[GradedGroup]) -> None:
        """Book what was pulled, in its order, with its rewards; the curriculum observes a batch that is whole."""
        batch = self.n_asked - 1
        first = self._n_booked(batch)
        for slot, group in enumerate(groups, start=first):
            row: dict[str, int | str | bool] = {"step": batch, "slot": slot, "prompt_id": group.prompt_id}
            counts = {"n_rollouts": group.n_rollouts, "n_correct": group.n_correct}
            self._consumed.append({**row, **counts, "update": self.next_step, "is_trained": False})
        self._hash.add(batch, [g.prompt_id for g in groups], first_slot=first)
        self._sampled.extend(groups)
        size = self._n_booked(batch)
        if size >= self.job.prompts_per_step:
            rows = self._consumed[-size:]
            ids, n_rollouts, n_correct = (tuple(r[k] for r in rows) for k in ("prompt_id", "n_rollouts", "n_correct"))
            self.curriculum.observe(BatchOutcome(batch, ids, n_rollouts, n_correct))  # type: ignore[arg-type]

    def _n_booked(self, batch: int) -> int:
        """Return how many groups of the newest batch are booked."""
        newest = takewhile(lambda row: row["step"] == batch, reversed(self._consumed))
        return sum(1 for _ in newest)

    def finish(self, metrics: StepMetrics, trained: Collection[int] | None = None) -> StepMetrics:
        """Book an update: log row, which of the groups sampled for it reached the loss, `on_step`; return its metrics.

        `metrics` holds the columns of tables.TRAINING_LOG that only the backend knows; `kl`, `entropy` and
        `grad_norm` may be absent. `trained` are places among the groups sampled for this update; None: all. Raises
        `BackendError` where a user's reward function fails on most rollouts.
        """
        step, groups = self.next_step, self._sampled
        places = range(len(groups)) if trained is None else trained
        for place in places:
            self._consumed[len(self._consumed) - len(groups) + place]["is_trained"] = True
        full = {**metrics, **self._group_metrics(groups), "screened_frac": 1 - len(places) / len(groups)}
        digest = self._hash.digest()
        self._log.append({**dict.fromkeys(TRAINING_LOG.columns), **full, "step": step, "consumed_hash": digest})
        self.next_step, self._sampled = step + 1, []
        self._on_step(step, full)
        if self.totals.n_rollouts >= ENOUGH or self.is_done:
            failed, first = self.totals.n_reward_errors, self.totals.first_reward_error
            refuse_mostly_failed(self.job.grading, failed, self.totals.n_rollouts, first)
        return full

    def evaluated(self, step: int, metrics: StepMetrics, n_rollouts: int, n_tokens: int) -> None:
        """Pass on held-out scores of the policy after `step` in an `on_step` of their own; count cost, keep pass@1."""
        if 0 <= step < len(self._log):
            self._log[step]["eval_pass_at_1"] = metrics.get("eval_pass_at_1")
        self.totals.n_eval_rollouts += n_rollouts
        self.totals.n_eval_tokens += n_tokens
        self._on_step(step, metrics)

    def _group_metrics(self, groups: Sequence[GradedGroup]) -> StepMetrics:
        """Return the metrics that follow from the rewards, and the running totals."""
        n_rollouts = sum(g.n_rollouts for g in groups)
        return {
            "reward_mean": sum(g.sum_rewards for g in groups) / n_rollouts,
            "zero_std_frac": sum(g.is_flat for g in groups) / len(groups),
            "n_rollouts_total": float(self.totals.n_rollouts),
            "n_tokens_total": float(self.totals.n_generated_tokens),
        }

    def log(self) -> pd.DataFrame:
        """Return the training log so far."""
        return TRAINING_LOG.check(pd.DataFrame(self._log, columns=list(TRAINING_LOG.columns)))

    def consumed(self) -> pd.DataFrame:
        """Return what was trained on so far."""
        return CONSUMED.check(pd.DataFrame(self._consumed, columns=list(CONSUMED.columns)))

    def state_dict(self) -> dict[str, Any]:
        """Return the JSON-serialisable state; log and consumed are tables and are saved as such."""
        return {
            "next_step": self.next_step,
            "n_asked": self.n_asked,
            "queue": [row.prompt_id for row in self._queue],
            "resumed_from_step": self.resumed_from_step,
            "totals": vars(self.totals),
            "notes": list(self._noted),
            "curriculum": self.curriculum.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any], log: pd.DataFrame, consumed: pd.DataFrame) -> None:
        """Restore a saved session; the next batch is the one that was due when it was saved.

        Where every step is done nothing is resumed: what the finished training said about itself stays.
        """
        self.next_step = int(state["next_step"])
        self.n_asked = int(state["n_asked"])
        self._queue = [self._rows[i] for i in state["queue"]]
        self.resumed_from_step = int(state.get("resumed_from_step", 0)) if self.is_done else self.next_step
        self.totals = Totals(**state["totals"])
        self._noted = list(dict.fromkeys([*map(str, state.get("notes", ())), *self._noted]))
        self.curriculum.load_state_dict(state["curriculum"])
        log = log.astype(object).where(log.notna(), None)
        self._log = [{str(k): v for k, v in row.items()} for row in log.to_dict("records")]
        self._consumed = [{str(k): v for k, v in row.items()} for row in consumed.to_dict("records")]
        self._hash = ConsumedHash()
        for step, ids in batches_of(consumed).items():
            self._hash.add(step, ids)

    def report(self) -> TrainingReport:
        """Return headline numbers and cost of the whole run, the steps before a resume included."""
        log = self.log()
        return TrainingReport(
            stage="train_policy",
            n_rollouts=self.totals.n_rollouts,
            n_generated_tokens=self.totals.n_generated_tokens,
            n_prefill_tokens=self.totals.n_prefill_tokens,
            notes=self._notes(),
            values={
                "n_steps": float(len(log)),
                "resumed_from_step": float(self.resumed_from_step),
                "reward_first5_mean": float(log["reward_mean"].head(_WINDOW).mean()),
                "reward_last5_mean": float(log["reward_mean"].tail(_WINDOW).mean()),
                "zero_std_frac_mean": float(log["zero_std_frac"].mean()),
                "step_s_median": float(np.median(log["step_s"])),
                "n_unknown": float(self.totals.n_unknown),
                **self._eval_cost(),
            },
        )

    def _eval_cost(self) -> dict[str, float]:
        totals = self.totals
        if totals.n_eval_rollouts == 0:
            return {}
        return {"n_eval_rollouts": float(totals.n_eval_rollouts), "n_eval_tokens": float(totals.n_eval_tokens)}

    def _notes(self) -> tuple[str, ...]:
        totals, notes = self.totals, list(self._noted)
        if totals.n_unknown:
            notes.append(
                f"{totals.n_unknown} of {totals.n_rollouts} rollouts could not be judged by the grader and were "
                "trained with reward 0"
            )
        if totals.n_reward_errors:
            notes.append(
                f"the reward function failed on {totals.n_reward_errors} of {totals.n_rollouts} rollouts, which were "
                f"trained with reward 0; the first failure: {totals.first_reward_error}"
            )
        return tuple(notes)
