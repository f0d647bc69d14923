"""TRL: a GRPOTrainer that gets each batch from a curriculum when it is about to generate, and not before.

TRL's own loader fetches a batch ahead of training, so that a lazy data set is asked a step before the rewards are in.
Here the trainer gets a loader that asks when a step begins (TRL 1.16).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Protocol

import pandas as pd

from saerl_core.disk import write_text
from saerl_core.errors import ConfigError, DataError
from saerl_core.online.pool import pool_rows
from saerl_core.online.steps import Steps
from saerl_core.plans import BatchPlan
from saerl_core.records import PromptFormat

STATE_NAME = "curriculum.json"

RewardFunction = Callable[..., list[float]]


class Arguments(Protocol):
    """What is read and set of a GRPOConfig."""

    output_dir: str
    max_steps: int
    generation_batch_size: int
    gradient_accumulation_steps: int
    steps_per_generation: int
    num_iterations: int
    world_size: int
    ignore_data_skip: bool


class Trainer(Protocol):
    """What is read and set of a GRPOTrainer."""

    args: Arguments
    num_generations: int
    get_train_dataloader: Callable[[], object]
    add_callback: Callable[[object], None]


class State(Protocol):
    """What is read of a TrainerState."""

    global_step: int


class OnlineBatches:
    """The batches of a plan for one trainer: `rows` as its data set, `reward` around its reward, then `attach`."""

    def __init__(
        self,
        plan: BatchPlan,
        prompts: pd.DataFrame,
        prompt_format: PromptFormat | None = None,
        correct_at: float = 0.5,
    ) -> None:
        """Start at step 0; `DataError` for prompts that the plan was not made from."""
        self.rows = pool_rows(plan, prompts, prompt_format)
        for row in self.rows:
            del row["metadata"], row["label"]
        self._steps = Steps(plan, correct_at)
        self._by_id = {str(row["prompt_id"]): row for row in self.rows}

    def reward(self, function: RewardFunction) -> RewardFunction:
        """Return the reward function that also tells the curriculum; of several, wrap the one that judges answers."""

        @wraps(function)
        def told(*args: object, prompt_id: Sequence[str], **columns: object) -> list[float]:
            values = function(*args, prompt_id=prompt_id, **columns)
            rewards: dict[str, list[float]] = {}
            for one, value in zip(prompt_id, values, strict=True):
                rewards.setdefault(one, []).append(float(value))
            self._steps.tell(rewards)
            return values

        return told

    def attach(self, trainer: Trainer) -> None:
        """Let the trainer get its batches here, and save the curriculum's state in every checkpoint.

        `ConfigError` for settings under which a step is not one batch that is trained once, in one process.
        """
        self._check(trainer)
        trainer.args.ignore_data_skip = True  # a training that goes on asks for the step that is due
        trainer.get_train_dataloader = lambda: _Loader(self, trainer.args, trainer.num_generations)
        trainer.add_callback(_saving(self._steps))

    def restore(self, checkpoint: Path | str) -> None:
        """Go on from a checkpoint, before `trainer.train(resume_from_checkpoint=...)`; `DataError` for none of ours."""
        path = Path(checkpoint) / STATE_NAME
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read: {error}; resume from another checkpoint") from error
        self._steps.load_state_dict(state)

    def batch(self, group_size: int) -> list[Mapping[str, object]]:
        """Return the rows of the step that is due, each as often as its group is large."""
        size = self._steps.plan.prompts_per_step
        ids = self._steps.ask(size, "generation_batch_size")
        return [self._by_id[p] for p in ids for _ in range(group_size)]

    def _check(self, trainer: Trainer) -> None:
        args, plan = trainer.args, self._steps.plan
        wanted = {
            "generation_batch_size": plan.prompts_per_step * trainer.num_generations,
            "num_iterations": 1,
            "steps_per_generation": args.gradient_accumulation_steps,
            "world_size": 1,
        }
        for name, value in wanted.items():
            if getattr(args, name) != value:
                raise ConfigError(f"{name} is {getattr(args, name)}; with this plan it must be {value}")
        if not 0 < args.max_steps <= plan.n_steps:
            raise ConfigError(f"max_steps is {args.max_steps}; the plan has {plan.n_steps} steps: set it to 1 to that")


class _Loader:
    """Asks for a batch when its first part is fetched; the other parts of a step are the same rows, as in TRL's."""

    def __init__(self, batches: OnlineBatches, args: Arguments, group_size: int) -> None:
        self._batches, self._group_size = batches, group_size
        self._n_steps, self._n_parts = int(args.max_steps), int(args.gradient_accumulation_steps)

    def __len__(self) -> int:
        return self._n_steps * self._n_parts

    def __iter__(self) -> Iterator[list[Mapping[str, object]]]:
        for _ in range(self._n_steps):
            rows = self._batches.batch(self._group_size)
            for _ in range(self._n_parts):
                yield rows


def _saving(steps: Steps) -> object:
    """Return the callback that writes the state of the curriculum into each checkpoint."""
    from transformers import TrainerCallback

    class Saving(TrainerCallback):  # type: ignore[misc]  # transformers ships no types here
        """Writes the curriculum's state beside the weights."""

        def on_save(self, args: Arguments, state: State, control: object, **_: object) -> None:
            """Write it into the checkpoint that has just been saved."""
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            if folder.is_dir():
                write_text(folder / STATE_NAME, json.dumps(steps.state_dict()))

    return Saving()
