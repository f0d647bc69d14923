"""TRL's GRPO trainer, asking the session for each batch when it is about to generate, and not before."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saerl_core.errors import BackendError
from saerl_core.policy.context import context_tokens
from saerl_core.policy.prompt_format import prompt_tokens
from saerl_core.protocols import StepMetrics
from saerl_core.seeds import stage_seed
from saerl_core.training.embedded.decoding import sample_rollouts
from saerl_core.training.embedded.screening import SampledGroup, batch_of, collect_groups
from saerl_core.training.embedded.trl_settings import Rules
from saerl_core.training.embedded.zero_advantage import Batch, live_part
from saerl_core.training.screening import Collected
from saerl_core.training.session import PromptRow, TrainingSession
from saerl_core.unused_trackers import unused_trackers

if TYPE_CHECKING:
    import torch
    from trl import GRPOTrainer as _Trl

    from saerl_core.rollouts.grading import Grader
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
    """What is known about the step in progress."""

    started: float
    n_draws: int = 0  # how often rollouts were sampled for it
    collected: Collected[SampledGroup] = field(default_factory=lambda: Collected([], []))
    batch: list[SampledGroup] = field(default_factory=list)  # what is trained on
    prompt_ids: list[str] = field(default_factory=list)  # one a rollout, as they came back with the completions
    losses: list[dict[str, float]] = field(default_factory=list)  # what TRL said of each optimizer step
    trained_rows: list[int] = field(default_factory=list)  # places in the batch that reached the loss, in its order
    entropies: list[tuple[float, int]] = field(default_factory=list)  # of each draw: mean, in nats, and its tokens
    n_prefill_tokens: int = 0


class PlannedTrainer(_Trl):  # type: ignore[misc]  # trl ships no types
    """What is ours of the trainer: batches, rollouts, grades, bookkeeping. TRL does advantages, losses and updates."""

    session: TrainingSession
    rules: Rules
    grader: "Grader"
    after_step: Callable[[StepMetrics], None]
    save_to: "Callable[[PlannedTrainer], None]"
    record: StepRecord
    _sampled: "tuple[torch.Tensor, torch.Tensor] | None" = None  # log-probabilities and mask of a micro-batch
    encoded: dict[str, list[int]]  # prompt_id -> tokens; each prompt is tokenised once a run

    def get_train_dataloader(self) -> Placeholders:
        """Return a loader that decides nothing."""
        return Placeholders(self.args.max_steps * self.args.gradient_accumulation_steps)

    def create_scheduler(self, num_training_steps: int, optimizer: object = None) -> object:
        """Return a warm-up whose first batch already learns: lr * min(1, (batch + 1) / warmup_steps)."""
        from torch.optim.lr_scheduler import LambdaLR

        warmup, each = max(1, self.session.job.config.warmup_steps), self._n_updates
        self.lr_scheduler: LambdaLR = LambdaLR(self.optimizer, lambda step: min(1.0, (step // each + 1) / warmup))
        self._created_lr_scheduler = True
        return self.lr_scheduler

    @property
    def _n_updates(self) -> int:
        return self.session.job.config.updates_per_batch

    def floating_point_ops(self, inputs: object) -> int:
        """Return 0: nobody reads the count, and placeholders have no tokens to estimate it from."""
        return 0

    def _generate_and_score_completions(self, inputs: list[dict[str, object]]) -> Batch:
        """Sample and grade the batch that is due; TRL computes the advantages of what is trained on."""
        import torch

        self.record = record = StepRecord(time.perf_counter())
        record.collected = collect_groups(self.session, self.draw)
        record.batch = batch_of(record.collected, self.num_generations)
        rows = [
            {"prompt": g.row.prompt, "prompt_id": g.row.prompt_id, "answer": g.row.answer}
            for g in record.batch
            for _ in range(self.num_generations)
        ]
        self._sampled = None
        output: Batch = super()._generate_and_score_completions(rows)
        if self._n_updates > 1:  # the policy moves within the batch; what it was when it sampled is known exactly
            output["old_per_token_logps"] = output["sampling_per_token_logps"]
        output["advantages"] = output["advantages"] * self.rules.advantage_factor
        output["row"] = torch.arange(len(rows), device=output["advantages"].device)  # shuffled and split with the rest
        return output

    def draw(self, rows: Sequence[PromptRow], n: int) -> list[SampledGroup]:
        """Sample and grade `n` rollouts of each prompt.

        The stream of random numbers is named by seed, step and draw, so that a step that is trained again after a kill
        gives the same rollouts. A verdict that the grader cannot give is rewarded with 0 and counted.
        """
        import torch

        record, place = self.record, f"training/rollouts/{self.session.next_step}"
        seed = stage_seed(self.session.job.seed, f"{place}/{record.n_draws}" if record.n_draws else place)
        record.n_draws += 1
        rollouts = sample_rollouts(
            self.model,
            [self._encode(row) for row in rows],
            n,
            temperature=self.temperature,
            max_tokens=self.max_completion_length,
            stop=frozenset(self.eos_token_ids),
            generator=torch.Generator(device=self.model.device).manual_seed(seed),
        )
        record.n_prefill_tokens += rollouts.n_prefill_tokens
        record.entropies.append((rollouts.entropy, sum(map(len, rollouts.completion_ids))))
        texts = self.processing_class.batch_decode(rollouts.completion_ids, skip_special_tokens=True)
        verdicts = self.grader.grade(texts, [row.answer for row in rows for _ in range(n)])
        parts = [slice(start, start + n) for start in range(0, len(texts), n)]
        return [
            SampledGroup(row, rollouts.completion_ids[p], rollouts.logprobs[p], texts[p], verdicts[p])
            for row, p in zip(rows, parts, strict=True)
        ]

    def sample(self) -> dict[str, object]:
        """Return the rollouts of the batch, as TRL asks for them."""
        batch = self.record.batch
        return {
            "prompt_ids": [self.encoded[g.row.prompt_id] for g in batch for _ in g.completion_ids],
            "completion_ids": [ids for g in batch for ids in g.completion_ids],
            "logprobs": [logprobs for g in batch for logprobs in g.logprobs],
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

    def grade(self, completions: list[str], prompt_id: list[str]) -> list[float]:
        """Return the rewards of the batch; `BackendError` where TRL asks for those of other completions."""
        batch = self.record.batch
        if completions != [text for g in batch for text in g.texts]:
            raise BackendError(
                f"at step {self.session.next_step} the trainer asked for the rewards of completions that were not "
                "sampled for its batch: use the versions of trl and transformers in constraints.txt"
            )
        self.record.prompt_ids = list(prompt_id)
        return [verdict.reward for g in batch for verdict in g.verdicts]

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
        is_sampler = not self.record.losses  # from the second update of a batch on the policy is another
        if model is not self.ref_model and self._sampled is not None and is_sampler:
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
        """Finish the step when TRL has reported the loss of its last update."""
        super().log(logs, start_time)
        self.state.log_history.clear()
        if "loss" not in logs:
            return
        if not (math.isfinite(logs["loss"]) and math.isfinite(logs["grad_norm"])):
            raise BackendError(
                f"loss {logs['loss']} and gradient norm {logs['grad_norm']} at step {self.session.next_step} are not "
                "finite; lower training.lr and delete the training folder"
            )
        self.record.losses.append(logs)
        if len(self.record.losses) == self._n_updates:
            self._finish()

    def _finish(self) -> None:
        record = self.record
        check_trained(record, self.num_generations)
        completions = [ids for g in record.collected.groups for ids in g.completion_ids]
        n_tokens = sum(map(len, completions))
        self._count(n_tokens)
        metrics = {
            "completion_tokens_mean": n_tokens / len(completions),
            "truncated_frac": sum(i[-1] not in self.eos_token_ids for i in completions) / len(completions),
            "entropy": sum(mean * n for mean, n in record.entropies) / n_tokens,
            "loss": _mean(record.losses, "loss"),
            "grad_norm": _mean(record.losses, "grad_norm"),
            "lr": record.losses[-1]["learning_rate"],
            "step_s": time.perf_counter() - record.started,
        }
        if self.beta != 0.0:
            metrics["kl"] = _mean(record.losses, "kl")
        self.after_step(self.session.finish(metrics, record.collected.chosen))
        if self.session.is_done:  # with screening before the last placeholder
            self.control.should_save = self.control.should_training_stop = True

    def _count(self, n_tokens: int) -> None:
        """Add everything that was sampled for the step to the totals."""
        totals = self.session.totals
        verdicts = [v for g in self.record.collected.groups for v in g.verdicts]
        totals.n_rollouts += len(verdicts)
        totals.n_generated_tokens += n_tokens
        totals.n_prefill_tokens += self.record.n_prefill_tokens
        failures = [v.failure for v in verdicts if v.failure]
        totals.n_unknown += sum(v.correct is None for v in verdicts) - len(failures)
        totals.n_reward_errors += len(failures)
        totals.first_reward_error = totals.first_reward_error or next(iter(failures), "")

    def _save_checkpoint(self, model: object, trial: object) -> None:
        self.save_to(self)

    def write_state(self, folder: Path) -> None:
        """Write model, tokenizer, optimizer, scheduler, RNG states and step: all that `train` can resume from."""
        self.model.save_pretrained(folder)
        self.processing_class.save_pretrained(folder)
        self._save_optimizer_and_scheduler(str(folder))
        self._save_rng_state(str(folder))
        self.state.save_to_json(str(folder / "trainer_state.json"))


def _mean(losses: Sequence[dict[str, float]], name: str) -> float:
    return sum(one[name] for one in losses) / len(losses)


def check_trained(record: StepRecord, group_size: int) -> None:
    """Raise `BackendError` where a rollout of the batch was lost, trained twice or came back under another prompt."""
    n = len(record.prompt_ids)
    if sorted(record.trained_rows) != list(range(n)):
        raise BackendError(
            f"{len(set(record.trained_rows))} of {n} graded rollouts reached the loss, in {len(record.trained_rows)} "
            "rows; "
            "every rollout must be trained once: use the versions of trl and transformers in constraints.txt"
        )
    wanted = [g.row.prompt_id for g in record.batch for _ in range(group_size)]
    if record.prompt_ids != wanted:
        place = next((i for i, (a, b) in enumerate(zip(record.prompt_ids, wanted, strict=False)) if a != b), n)
        raise BackendError(
            f"the rollouts that reached the loss are not those of the batch: number {place} of {len(wanted)} is of "
            f"prompt '{record.prompt_ids[place] if place < n else None}', not '{wanted[place]}'"
        )


def planned_trainer() -> type[Any]:
    """Return TRL's GRPO trainer with `PlannedTrainer` in front."""
    with unused_trackers():
        from trl import GRPOTrainer

    return type("PlannedGRPOTrainer", (PlannedTrainer, GRPOTrainer), {})
