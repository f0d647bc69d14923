"""Run by a Python that has Trinity-RFT: print the batches that its own scheduler reads with the selector of a plan.

python trinity_batches.py FOLDER STEPS SIZE: FOLDER holds data/train.jsonl and plan/.
"""

import asyncio
import json
import sys
from pathlib import Path

import ray.experimental.tqdm_ray
from trinity.buffer.selector import SELECTORS
from trinity.buffer.task_scheduler import get_taskset_scheduler
from trinity.common.config import Config, DataSelectorConfig, FormatConfig, TasksetConfig
from trinity.common.constants import SELECTOR_METRIC

from saerl_core.online.trinity import selector

GROUP = 4


class Quiet:
    """In place of the progress bar, which would start a Ray cluster."""

    def __init__(self, *_, **__):
        """Show nothing."""

    def update(self, n):
        """Show nothing."""

    def close(self):
        """Show nothing."""


def settings(folder, n_steps, size):
    """Return the configuration of docs/export.md, as far as the scheduler reads it."""
    config = Config()
    config.buffer.batch_size, config.buffer.total_steps = size, n_steps
    config.buffer.explorer_input.tasksets = [
        TasksetConfig(
            name="pool",
            storage_type="file",
            path=str(Path(folder) / "data"),
            split="train",
            format=FormatConfig(prompt_key="prompt", response_key="answer"),
            default_workflow_type="math_workflow",
            data_selector=DataSelectorConfig(selector_type="saerl"),
            batch_size=size,
            total_steps=n_steps,
        )
    ]
    return config


async def main(folder, n_steps, size):
    """Read and give back every step."""
    ray.experimental.tqdm_ray.tqdm = Quiet
    SELECTORS.register_module("saerl")(selector(Path(folder) / "plan", GROUP))
    scheduler = get_taskset_scheduler({}, settings(folder, n_steps, size))
    batches = []
    for _ in range(n_steps):
        tasks = await scheduler.read()
        ids = [task.raw_task["prompt_id"] for task in tasks]
        values = [0.5 * (int(i[1:]) % 2) for i in ids]
        metric = {tasks[0].index["taskset_id"]: {"indices": [t.index["index"] for t in tasks], "values": values}}
        scheduler.feedback({SELECTOR_METRIC: metric})
        batches.append(ids)
    state = json.loads(json.dumps(scheduler.state_dict()))
    sys.stdout.write("\n" + json.dumps({"batches": batches, "state": state[0]["step"]}))


asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
