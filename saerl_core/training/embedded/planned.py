"""TRL's GRPO trainer, asking the session for each batch when it is about to generate, and not before."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saerl_core.errors import BackendError
from saerl_core.policy.context import context_tokens
from saerl_core.policy.prompt_format import prompt_tokens
from saerl_core.protocols import StepMetrics
from saerl_core.seeds import stage_seed
from saerl_core.training.embedded.decoding import Rollouts, sample_rollouts
from saerl_core.training.embedded.trl_settings import Rules
from saerl_core.training.embedded.zero_advantage import Batch, live_part
from saerl_core.training.session import PromptRow, TrainedGroup, TrainingSession

if TYPE_CHECKING:
    import torch
    from trl import GRPOTrainer as _Trl

    from saerl_core.rollouts.grading import Grader, Verdict
else:
    _Trl = object  # `planned_trainer` mixes TRL's class in, so that importing this module needs no trl

_MAX_LOGPROB_GAP = 0.1  # float32 rounding stays below 1e-4; a wrong position or mask gives more than 1


class Placeholders:
    """The data loader of a run whose batches are not known yet: it yields `n` empty batches and looks nothing up.

    TRL's own loader asks a lazy sampler for batch i + 1 before batch i is trained (accelerate fetches one batch ahead
    to know which is the last); with placeholders nothing is decided when they are fetched.
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
    """What is known about the step in progress; lists have one entry a rollout unless said otherwise."""

    batch: list[PromptRow]  # one entry a slot
    started: float
    rollouts: Rollouts | None = None
    prompt_ids: list[str] = field(default_factory=list)  # as they came with the completions that were graded
    verdicts: "list[Verdict]" = field(default_factory=list)
    trained_rows: list[int] = field(default_factory=list)  # places in the batch that reached the loss, in its order


class PlannedTrainer(_Trl):  # type: ignore[misc]  # trl ships no types
    """What is ours of the trainer: batches, rollouts, grades, bookkeeping. TRL does advantages, losses and updates."""

    session: TrainingSession
    rules: Rules
    grader: "Grader"
    after_step: Callable[[StepMetrics], None]
    save_to: "Callable[[PlannedTrainer], None]"
    record: StepRecord
    encoded: dict[str, list[int]]  # prompt_id -> tokens; each prompt is tokenised once a run

    def get_train_dataloader(self) -> Placeholders:
        """Return a loader that decides nothing."""
        return Placeholders(self.args.max_steps * self.args.gradient_accumulation_steps)

    def create_scheduler(self, num_training_steps: int, optimizer: object = None) -> object:
        """Return a warm-up whose first step already learns: lr * min(1, (step + 1) / warmup_steps)."""
        from torch.optim.lr_scheduler import LambdaLR

        warmup = max(1, self.session.job.config.warmup_steps)
        self.lr_scheduler: LambdaLR = LambdaLR(self.optimizer, lambda step: min(1.0, (step + 1) / warmup))
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def floating_point_ops(self, inputs: object) -> int:
        """Return 0: nobody reads the count, and placeholders have no tokens to estimate it from."""
        return 0

    def _generate_and_score_completions(self, inputs: list[dict[str, object]]) -> Batch:
        """Ask for the batch that is due; TRL has its rollouts sampled and graded and computes the advantages."""
        import torch

        self.record = StepRecord(self.session.ask(), time.perf_counter())
        rows = [
            {"prompt": r.prompt, "prompt_id": r.prompt_id, "answer": r.answer}
            for r in self.record.batch
            for _ in range(self.num_generations)
        ]
        output: Batch = super()._generate_and_score_completions(rows)
        output["advantages"] = output["advantages"] * self.rules.advantage_factor
        output["row"] = torch.arange(len(rows), device=output["advantages"].device)  # shuffled and split with the rest
        return output

    def sample(self) -> dict[str, object]:
        """Sample the rollouts of the step's batch.

        The stream of random numbers is named by seed and step, so that a step that is trained again after a kill
        gives the same rollouts.
        """
        import torch

        job, batch = self.session.job, self.record.batch
        seed = stage_seed(job.seed, f"training/rollouts/{self.session.next_step}")
        tokens = [self._encode(row) for row in batch]
        self.record.rollouts = sample_rollouts(
            self.model,
            tokens,
            self.num_generations,
            temperature=self.temperature,
            max_tokens=self.max_completion_length,
            stop=frozenset(self.eos_token_ids),
            generator=torch.Generator(device=self.model.device).manual_seed(seed),
        )
        return {
            "prompt_ids": [t for t in tokens for _ in range(self.num_generations)],
            "completion_ids": self.record.rollouts.completion_ids,
            "logprobs": self.record.rollouts.logprobs,
        }

    def _encode(self, row: PromptRow) -> list[int]:
        if row.prompt_id not in self.encoded:
            [tokens] = prompt_tokens(self.processing_class, [row.prompt], self.session.job.policy.prompt_format)
            limit = context_tokens(self.model.config)
            if limit is not None and len(tokens) + self.max_completion_length > limit:
                raise BackendError(
                    f"prompt '{row.prompt_id}' has {len(tokens)} tokens; with training.max_completion_tokens "
                    f"{self.max_completion_length} it must have between 1 and "
                    f"{limit - self.max_completion_length}; "
                    "lower prompts.max_prompt_chars or training.max_completion_tokens"
                )
            self.encoded[row.prompt_id] = tokens
        return self.encoded[row.prompt_id]

    def grade(self, completions: list[str], prompt_id: list[str], answer: list[str]) -> list[float]:
        """Grade the rollouts; a verdict that the grader cannot give is rewarded with 0 and counted."""
        self.record.prompt_ids = list(prompt_id)
        self.record.verdicts = self.grader.grade(completions, answer)
        return [verdict.reward for verdict in self.record.verdicts]

    def _compute_loss(self, model: object, inputs: Batch) -> "torch.Tensor":
        """Return TRL's loss, scaled as the algorithm wants it; rollouts without a gradient stay out of the model."""
        self.record.trained_rows.extend(inputs["row"].tolist())
        factor = self.rules.loss_factor
        if self.beta == 0.0:
            inputs, share = live_part(inputs)
            factor *= share if self.rules.averages_sequences else 1.0
        self._sampled = (inputs["sampling_per_token_logps"], inputs["completion_mask"])
        loss: torch.Tensor = super()._compute_loss(model, inputs)
        return loss * factor

    def _get_per_token_logps_and_entropies(self, model: object, *args: object, **kwargs: object) -> tuple[Any, ...]:
        """Return TRL's log-probabilities, and fail if they are not those that the tokens were sampled with."""
        out: tuple[Any, ...] = super()._get_per_token_logps_and_entropies(model, *args, **kwargs)
        if model is not self.ref_model:
            sampled, mask = self._sampled
            gap = float(((out[0].detach() - sampled) * mask).abs().max())
            if not gap < _MAX_LOGPROB_GAP:
                raise BackendError(
                    f"at step {self.session.next_step} the log-probabilities in training and in sampling differ by "
                    f"{gap:.3g} "
                    f"(bound {_MAX_LOGPROB_GAP}); the embedded backend needs a policy that does not notice left "
                    "padding "
                    "(rotary positions): take another policy, or the openrlhf backend"
                )
        return out

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Finish the step when TRL reports its loss."""
        super().log(logs, start_time)
        self.state.log_history.clear()
        if "loss" in logs:
            self._finish(logs)

    def _finish(self, logs: dict[str, float]) -> None:
        record, totals = self.record, self.session.totals
        rollouts = record.rollouts
        assert rollouts is not None
        if not (math.isfinite(logs["loss"]) and math.isfinite(logs["grad_norm"])):
            raise BackendError(
                f"loss {logs['loss']} and gradient norm {logs['grad_norm']} at step {self.session.next_step} are not "
                "finite; "
                "lower training.lr and delete the training folder"
            )
        n_tokens = [len(ids) for ids in rollouts.completion_ids]
        totals.n_rollouts += len(n_tokens)
        totals.n_generated_tokens += sum(n_tokens)
        totals.n_prefill_tokens += rollouts.n_prefill_tokens
        failures = [v.failure for v in record.verdicts if v.failure]
        totals.n_unknown += sum(v.correct is None for v in record.verdicts) - len(failures)
        totals.n_reward_errors += len(failures)
        totals.first_reward_error = totals.first_reward_error or next(iter(failures), "")
        metrics = {
            "completion_tokens_mean": sum(n_tokens) / len(n_tokens),
            "truncated_frac": sum(i[-1] not in self.eos_token_ids for i in rollouts.completion_ids) / len(n_tokens),
            "entropy": rollouts.entropy,
            "loss": logs["loss"],
            "grad_norm": logs["grad_norm"],
            "lr": logs["learning_rate"],
            "step_s": time.perf_counter() - record.started,
        }
        if self.beta != 0.0:
            metrics["kl"] = logs["kl"]
        self.after_step(self.session.finish(trained_groups(record, self.num_generations), metrics))

    def _save_checkpoint(self, model: object, trial: object) -> None:
        self.save_to(self)

    def write_state(self, folder: Path) -> None:
        """Write model, tokenizer, optimizer, scheduler, RNG states and step: all that `train` can resume from."""
        self.model.save_pretrained(folder)
        self.processing_class.save_pretrained(folder)
        self._save_optimizer_and_scheduler(str(folder))
        self._save_rng_state(str(folder))
        self.state.save_to_json(str(folder / "trainer_state.json"))


def trained_groups(record: StepRecord, group_size: int) -> list[TrainedGroup]:
    """Return the groups whose rollouts reached the loss, in slot order.

    `BackendError` where a rollout was lost or trained twice, or where a group mixes prompts.
    """
    n = len(record.prompt_ids)
    if sorted(record.trained_rows) != list(range(n)):
        raise BackendError(
            f"{len(set(record.trained_rows))} of {n} graded rollouts reached the loss, in {len(record.trained_rows)} "
            "rows; "
            "every rollout must be trained once: use the versions of trl and transformers in constraints.txt"
        )
    groups = []
    for start in range(0, n, group_size):
        ids = record.prompt_ids[start : start + group_size]
        if len(set(ids)) != 1:
            raise BackendError(f"one group holds rollouts of several prompts: {', '.join(sorted(set(ids)))}")
        verdicts = record.verdicts[start : start + group_size]
        is_scored = any(v.score is not None for v in verdicts)
        rewards = tuple(v.reward for v in verdicts) if is_scored else None
        groups.append(TrainedGroup(ids[0], len(ids), sum(v.correct is True for v in verdicts), rewards))
    return groups


def planned_trainer() -> type[Any]:
    """Return TRL's GRPO trainer with `PlannedTrainer` in front."""
    from trl import GRPOTrainer

    return type("PlannedGRPOTrainer", (PlannedTrainer, GRPOTrainer), {})
