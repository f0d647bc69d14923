"""Trinity-RFT: a selector that asks a curriculum for every batch.

Interface: trinity.buffer.selector of Trinity-RFT 0.6. A module of the user names the plan, and `selector_type` the
module:

    from saerl_core.online.trinity import selector

    Selector = selector("/data/my_plan", group_size=8)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from saerl_core.errors import ConfigError, DataError
from saerl_core.online.steps import open_steps

Indices = list[int] | tuple[list[int], dict[str, object]]


class Rows(Protocol):
    """What is read of the Hugging Face data set of a task set."""

    column_names: list[str]

    def __getitem__(self, name: str) -> Sequence[object]:
        """Return a column."""
        ...


class TaskSet(Protocol):
    """What is read of Trinity-RFT's reader."""

    dataset: Rows


class CurriculumSelector:
    """Has the methods of Trinity-RFT's BaseSelector; an index is a row of its data set."""

    def __init__(self, plan_folder: Path | str, group_size: int, data_source: TaskSet) -> None:
        """Read the plan, and where its prompts stand in the data set; `ConfigError` for rows without `prompt_id`."""
        if group_size < 2:
            raise ConfigError(f"group_size is {group_size}; give algorithm.repeat_times, which is at least 2")
        self._steps, self._group_size = open_steps(plan_folder), group_size
        rows = data_source.dataset
        if "prompt_id" not in rows.column_names:
            raise ConfigError("the task set has no column prompt_id; give it the file of write_pool")
        self._ids = [str(p) for p in rows["prompt_id"]]
        self._rows = {p: i for i, p in enumerate(self._ids)}

    def get_indices(self, batch_size: int, return_extra_info: bool = False) -> Indices:
        """Return the rows of the step that is due, and an empty mapping beside them where one is asked for.

        Raises:
            ConfigError: Trinity-RFT asks for another number of prompts than a step has.
            DataError: the data set lacks a prompt, or the rewards of the step before are not in.
        """
        ids = self._steps.ask(batch_size, "buffer.batch_size to it, with one task set")
        missing = [p for p in ids if p not in self._rows]
        if missing:
            raise DataError(
                f"prompt {missing[0]} of step {self._steps.step} is not among the {len(self._ids)} rows of the task "
                "set; give it the file of write_pool"
            )
        indices = [self._rows[p] for p in ids]
        return (indices, {}) if return_extra_info else indices

    def feedback(self, indices: Sequence[int], values: Sequence[float]) -> None:
        """Take the mean rewards of a step, 0 or 1 a rollout; a prompt without one counts as not sampled.

        `DataError` for a mean outside 0 to 1, or for rows that were not asked for.
        """
        rewards: dict[str, list[float]] = {}
        for index, value in zip(indices, values, strict=True):
            if not 0 <= value <= 1:
                raise DataError(
                    f"row {index} has a mean reward of {value}; the selector counts rewards of 0 and 1: let the "
                    "workflow give these"
                )
            n_correct = round(float(value) * self._group_size)
            rewards[self._ids[int(index)]] = [1.0] * n_correct + [0.0] * (self._group_size - n_correct)
        self._steps.tell(rewards)

    update = feedback  # its name in earlier versions

    def state_dict(self) -> dict[str, Any]:
        """Return the state that Trinity-RFT saves with the explorer's."""
        return self._steps.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a saved state; what Trinity-RFT gives a new training, a bare index of 0, starts at step 0."""
        if dict(state_dict) != {"current_index": 0}:
            self._steps.load_state_dict(state_dict)


def selector(plan_folder: Path | str, group_size: int) -> type[CurriculumSelector]:
    """Return a class for `selector_type`, with the plan of a folder that `save_plan` wrote.

    `group_size` is `algorithm.repeat_times`: Trinity-RFT tells mean rewards, and the curriculum counts.
    """

    class Selector(CurriculumSelector):
        """The selector of this plan, as Trinity-RFT builds it."""

        def __init__(self, data_source: TaskSet, config: object) -> None:
            super().__init__(plan_folder, group_size, data_source)

    return Selector
