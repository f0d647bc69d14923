"""slime: a data source that asks a curriculum for every batch (`--data-source-path`).

Interface: slime.rollout.data_source.DataSource and slime.ray.rollout, August 2026. A module of the user names the plan:

    from saerl_core.online.slime import CurriculumSource

    source = CurriculumSource("/data/my_plan")
    data_source, log_rollouts = source.open, source.log
"""

import copy
import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

from saerl_core.disk import write_text
from saerl_core.errors import ConfigError, DataError
from saerl_core.online.steps import open_steps

_BATCH = "--rollout-batch-size to it, and leave --over-sampling-batch-size out"


class Arguments(Protocol):
    """What is read of slime's command line."""

    prompt_data: str | None
    rollout_shuffle: bool
    n_samples_per_prompt: int
    reward_key: str | None
    save: str
    load: str | None


class Sample(Protocol):
    """What is read and set of a completion in slime."""

    group_index: int | None
    index: int | None
    metadata: Mapping[str, object]
    reward: float | Mapping[str, float] | None


class CurriculumSource:
    """Has the five methods of slime's DataSource; rewards come back by the log function, in the same process."""

    def __init__(self, plan_folder: Path | str, correct_at: float = 0.5) -> None:
        """Read the plan of a folder that `save_plan` wrote; a reward of at least `correct_at` is a correct answer."""
        self._steps = open_steps(plan_folder, correct_at)
        self._args: Arguments | None = None
        self._samples: dict[str, Sample] = {}  # prompt_id -> slime's own Sample, as its data set made it
        self._n_groups = 0

    def open(self, args: Arguments) -> "CurriculumSource":
        """Read `--prompt-data` as slime does; slime calls this as it would a class of data sources.

        Raises:
            ConfigError: `--prompt-data` or the metadata with `prompt_id` is missing, or slime shuffles.
        """
        if args.rollout_shuffle:
            raise ConfigError("--rollout-shuffle was given; the curriculum chooses the order: leave it out")
        self._args, inner = args, import_module("slime.rollout.data_source").RolloutDataSource(args)
        if inner.dataset is None:
            raise ConfigError("slime reads no prompts; give --prompt-data the file of write_pool")
        for sample in inner.dataset.samples:
            prompt_id = (sample.metadata or {}).get("prompt_id")
            if prompt_id is None:
                raise ConfigError(
                    f"a row of {args.prompt_data} has no prompt_id in its metadata; give --prompt-data the file of "
                    "write_pool, and --metadata-key metadata"
                )
            self._samples[str(prompt_id)] = sample
        return self

    def get_samples(self, num_samples: int) -> list[list[Sample]]:
        """Return a group of samples for each prompt of the step that is due.

        Raises:
            ConfigError: slime asks for another number of prompts than a step has.
            DataError: slime has not read a prompt, or asks before the rewards are in.
        """
        ids = self._steps.ask(num_samples, _BATCH)
        missing = [p for p in ids if p not in self._samples]
        if missing:
            raise DataError(
                f"prompt {missing[0]} of step {self._steps.step} is not among the {len(self._samples)} prompts that "
                "slime read; give --prompt-data the file of write_pool, and leave --rollout-max-prompt-len out"
            )
        return [self._group(self._samples[p]) for p in ids]

    @property
    def _opened(self) -> Arguments:
        if self._args is None:
            raise ConfigError("the source was not opened; give --data-source-path the source's `open`")
        return self._args

    def _group(self, prompt: Sample) -> list[Sample]:
        size, group = self._opened.n_samples_per_prompt, []
        for i in range(size):
            sample = copy.deepcopy(prompt)
            sample.group_index, sample.index = self._n_groups, self._n_groups * size + i
            group.append(sample)
        self._n_groups += 1
        return group

    def log(self, rollout_id: int, args: Arguments, samples: Sequence[Sample], extra: object, seconds: float) -> bool:
        """Take the rewards of a rollout (`--custom-rollout-log-function-path`); False lets slime log it, too.

        `DataError` where the rollout is not the batch that was given.
        """
        rewards: dict[str, list[float]] = {}
        for sample in samples:
            rewards.setdefault(str(sample.metadata["prompt_id"]), []).append(_reward(sample, args))
        self._steps.tell(rewards)
        return False

    def add_samples(self, samples: Sequence[Sequence[Sample]]) -> None:
        """Refuse groups that slime wants to train on later: `DataError`."""
        if samples:
            raise DataError(
                f"slime gives {len(samples)} unfinished groups back; leave --partial-rollout and "
                "--over-sampling-batch-size out, so that every group is trained in its own step"
            )

    def save(self, rollout_id: int) -> None:
        """Write the state of the curriculum into `--save`."""
        path = _state_file(self._opened.save, rollout_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({**self._steps.state_dict(), "n_groups": self._n_groups}))

    def load(self, rollout_id: int | None = None) -> None:
        """Go on from the state in `--load`; a folder without one starts at step 0, as a first training does.

        `DataError` where a training goes on, but the state is missing, damaged or of another plan.
        """
        folder = self._opened.load
        if folder is None:
            return
        path = _state_file(folder, rollout_id)
        if not path.is_file() and (rollout_id is None or rollout_id < 0):
            return
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read: {error}; resume from another checkpoint") from error
        self._steps.load_state_dict(state)
        self._n_groups = int(state["n_groups"])

    def __len__(self) -> int:
        """Return the number of prompts that are left to train on: whole steps of the plan."""
        plan = self._steps.plan
        return plan.n_steps * plan.prompts_per_step


def _reward(sample: Sample, args: Arguments) -> float:
    """Return the reward of a sample, by `--reward-key` where it is a mapping."""
    reward = sample.reward
    if isinstance(reward, Mapping):
        reward = reward.get(args.reward_key or "")
    if not isinstance(reward, int | float):
        raise DataError(f"a sample of slime has the reward {reward!r}; the curriculum needs a number for each")
    return float(reward)


def _state_file(folder: str, rollout_id: int | None) -> Path:
    return Path(folder) / "rollout" / f"curriculum_{rollout_id}.json"
