"""Trinity-RFT: a folder with a split `train`, and the part of a configuration that keeps its order."""

from pathlib import Path

from saerl_core.export.files import write_jsonl, write_yaml
from saerl_core.export.records import Format, PlanExport


def write(plan: PlanExport, folder: Path) -> None:
    """Write `data/train.jsonl` and `plan.yaml`."""
    (folder / FORMAT.data).parent.mkdir(exist_ok=True)
    rows = (
        {"prompt": row.prompt, "answer": row.answer, "prompt_id": row.prompt_id, "row": row.row} for row in plan.rows
    )
    write_jsonl(folder / FORMAT.data, rows)
    reads: dict[str, object] = {"prompt_key": "prompt", "response_key": "answer"}
    if plan.system_prompt is not None:
        reads["system_prompt"] = plan.system_prompt
    taskset = {
        "name": "saerl_plan",
        "storage_type": "file",
        "path": "data",
        "split": "train",
        "format": reads,
        "task_selector": {"selector_type": "sequential"},
    }
    buffer: dict[str, object] = {
        "batch_size": plan.prompts_per_step,
        "total_epochs": 1,
        "explorer_input": {"taskset": taskset},
    }
    settings: dict[str, object] = {"buffer": buffer, "synchronizer": {"sync_interval": 1}}
    if plan.group_size is not None:
        buffer["train_batch_size"] = plan.prompts_per_step * plan.group_size
        settings["algorithm"] = {"repeat_times": plan.group_size}
    write_yaml(folder / "plan.yaml", settings, "What keeps the order of the plan; merge it into a configuration.")


FORMAT = Format(
    title="Trinity-RFT",
    data="data/train.jsonl",
    prompt_in="prompt",
    answer_in="answer",
    write=write,
    start="merge `plan.yaml` into your configuration (model, algorithm, workflow), and call `trinity run --config "
    "YOURS` from this folder.",
    keeps="`selector_type: sequential` with `buffer.batch_size`, one explored batch between two synchronisations",
    breaks="another `selector_type` (`shuffle`, `random`), another `batch_size`, a second taskset, more than one "
    "epoch, a `train_batch_size` that is not batch_size x repeat_times, a replay buffer.",
    feedback="The task carries `prompt_id` and `row` to your workflow as `raw_task`: write them down with the reward. "
    "A selector of your own hears of the rewards in `update(indices, values)`; an index is a row.",
)
