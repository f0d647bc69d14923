"""TRL's GRPO trainer, asking the session for each batch when it is about to generate, and not before."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saerl_core.errors import BackendError
from saerl_core.protocols import StepMetrics
from saerl_core.training.embedded.rules import Rules
from saerl_core.training.session import PromptRow, TrainedGroup, TrainingSession

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from trl import GRPOTrainer as _Trl

    from saerl_core.rollouts.grading import Grader
else:
    _Trl = object  # `planned_trainer` mixes TRL's class in, so that importing this module needs no trl

Tensors = dict[str, Any]


class Placeholders:
    """The data loader of a run whose batches are not known yet: it yields `n` empty batches and looks nothing up.

    TRL's own loader would ask a lazy sampler for batch i + 1 before batch i is trained (accelerate fetches one batch ahead to
    find the last one); with placeholders nothing is decided when they are fetched.
    """

    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[list[dict[str, str]]]:
        for _ in range(self._n):
            yield [{}]


@dataclass
class StepRecord:
    """What is known about the step in progress."""

    rows: list[PromptRow]
    started: float
    trained_rows: list[int] = field(default_factory=list)  # places in the batch that reached the loss
    correct: list[bool | None] = field(default_factory=list)  # one verdict a rollout
    prompt_ids: list[str] = field(default_factory=list)  # one a rollout, as the rewards saw them
    completion_tokens: list[int] = field(default_factory=list)
    n_truncated: int = 0


class PlannedTrainer(_Trl):  # type: ignore[misc]  # trl ships no types
    """The part of the trainer that is ours; TRL computes advantages, losses and gradients."""

    session: TrainingSession
    rules: Rules
    grader: "Grader"
    after_step: "Callable[[StepMetrics], None]"
    save_to: "Callable[[PlannedTrainer], None]"
    record: StepRecord | None = None

    def get_train_dataloader(self) -> Placeholders:
        """Return a loader that decides nothing."""
        return Placeholders(self.args.max_steps * self.args.gradient_accumulation_steps)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Return a linear warm-up to a constant rate whose first step already learns: lr * min(1, (step + 1) / warmup)."""
        from torch.optim.lr_scheduler import LambdaLR

        warmup = max(1, self.session.job.config.warmup_steps)
        if self.lr_scheduler is None:
            self.lr_scheduler = LambdaLR(self.optimizer, lambda step: min(1.0, (step + 1) / warmup))
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: nobody reads the count, and placeholders have no tokens to estimate it from."""
        return 0

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Tensors:
        """Ask for the batch that is due and let TRL generate, grade and compare its rollouts."""
        import torch

        self.record = StepRecord(self.session.ask(), time.perf_counter())
        rows = [
            {"prompt": r.prompt, "prompt_id": r.prompt_id, "answer": r.answer}
            for r in self.record.rows
            for _ in range(self.num_generations)
        ]
        output: Tensors = super()._generate_and_score_completions(rows)
        output["advantages"] = output["advantages"] * self.rules.advantage_factor
        output["row"] = torch.arange(len(rows), device=output["advantages"].device)  # shuffled and split with the rest
        return output

    def _compute_loss(self, model: Any, inputs: Tensors) -> "torch.Tensor":
        assert self.record is not None
        self.record.trained_rows.extend(inputs["row"].tolist())
        loss: torch.Tensor = super()._compute_loss(model, inputs)
        return loss * self.rules.loss_factor

    def reward(
        self, completions: list[str], completion_ids: list[list[int]], prompt_id: list[str], answer: list[str]
    ) -> list[float]:
        """Grade the rollouts and keep what the step's record needs; unknown verdicts are rewarded with 0."""
        assert self.record is not None
        record = self.record
        record.correct = [v.correct for v in self.grader.grade(completions, answer)]
        record.prompt_ids = list(prompt_id)
        record.completion_tokens = [len(ids) for ids in completion_ids]
        record.n_truncated = sum(ids[-1] not in self.eos_token_ids for ids in completion_ids)
        return [1.0 if correct else 0.0 for correct in record.correct]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Finish the step when TRL reports its loss."""
        super().log(logs, start_time)
        self.state.log_history.clear()
        if "loss" in logs:
            self._finish(logs)

    def _finish(self, logs: dict[str, float]) -> None:
        record = self.record
        assert record is not None
        step, totals = self.session.next_step, self.session.totals
        if not all(map(_finite, (logs["loss"], logs["grad_norm"]))):
            raise BackendError(
                f"loss {logs['loss']} and gradient norm {logs['grad_norm']} at step {step} are not finite; lower training.lr "
                "and delete the training folder"
            )
        tokens, n = record.completion_tokens, len(record.completion_tokens)
        totals.n_rollouts += n
        totals.n_generated_tokens += sum(tokens)
        totals.n_unknown += record.correct.count(None)
        metrics = {
            "completion_tokens_mean": sum(tokens) / n,
            "truncated_frac": record.n_truncated / n,
            "loss": logs["loss"],
            "grad_norm": logs["grad_norm"],
            "lr": logs["learning_rate"],
            "step_s": time.perf_counter() - record.started,
            "entropy": logs["entropy"],
        }
        if self.beta != 0.0:
            metrics["kl"] = logs["kl"]
        self.after_step(self.session.finish(trained_groups(record, self.num_generations), metrics))
        self.record = None

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self.save_to(self)

    def write_state(self, folder: Path) -> None:
        """Write model, tokenizer, optimizer, scheduler, RNG states and step count into a folder, as `train` resumes from."""
        self.model.save_pretrained(folder)
        self.processing_class.save_pretrained(folder)
        self._save_optimizer_and_scheduler(str(folder))
        self._save_rng_state(str(folder))
        self.state.save_to_json(str(folder / "trainer_state.json"))


def trained_groups(record: StepRecord, group_size: int) -> list[TrainedGroup]:
    """Return the groups that reached the loss, in slot order; `BackendError` where rollouts were lost, doubled or mixed."""
    if sorted(record.trained_rows) != list(range(len(record.prompt_ids))):
        raise BackendError(
            f"{len(record.trained_rows)} rollouts reached the loss, but {len(record.prompt_ids)} were graded; every rollout "
            "must be trained once: report this together with the versions of trl and transformers"
        )
    groups = []
    for start in range(0, len(record.prompt_ids), group_size):
        ids, correct = (part[start : start + group_size] for part in (record.prompt_ids, record.correct))
        if len(set(ids)) != 1:
            raise BackendError(f"rollouts of the prompts {sorted(set(ids))} were mixed in one group")
        groups.append(TrainedGroup(str(ids[0]), len(ids), sum(c is True for c in correct)))
    return groups


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")


def planned_trainer() -> type[Any]:
    """Return TRL's GRPO trainer with `PlannedTrainer` in front."""
    from trl import GRPOTrainer

    return type("PlannedGRPOTrainer", (PlannedTrainer, GRPOTrainer), {})
