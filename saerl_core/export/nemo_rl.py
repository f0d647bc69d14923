"""NeMo-RL: JSON lines for its `ResponseDataset`, and a configuration to lay over one of its examples."""

from pathlib import Path

from saerl_core.export.files import write_jsonl, write_yaml
from saerl_core.export.records import Format, PlanExport

_SYSTEM = "system_prompt.txt"


def write(plan: PlanExport, folder: Path) -> None:
    """Write `train.jsonl`, `plan.yaml` and the system prompt, where there is one."""
    rows = (
        {"input": row.prompt, "output": row.answer, "prompt_id": row.prompt_id, "row": row.row} for row in plan.rows
    )
    write_jsonl(folder / FORMAT.data, rows)
    grpo: dict[str, object] = {
        "num_prompts_per_step": plan.prompts_per_step,
        "max_num_steps": plan.n_steps,
        "max_num_epochs": 1,
        "use_dynamic_sampling": False,
    }
    if plan.group_size is not None:
        grpo["num_generations_per_prompt"] = plan.group_size
    train = {
        "dataset_name": "ResponseDataset",
        "data_path": FORMAT.data,
        "input_key": "input",
        "output_key": "output",
        "prompt_file": None,
        "system_prompt_file": None if plan.system_prompt is None else _SYSTEM,
        "split_validation_size": 0,
    }
    settings: dict[str, object] = {
        "grpo": grpo,
        "data": {"shuffle": False, "use_multiple_dataloader": False, "train": train},
    }
    if plan.is_plain:
        settings["policy"] = {"tokenizer": {"chat_template": None}}
    if plan.system_prompt is not None:
        (folder / _SYSTEM).write_text(plan.system_prompt, encoding="utf-8")
    write_yaml(folder / "plan.yaml", settings, "What keeps the order of the plan; lay it over a GRPO configuration.")


FORMAT = Format(
    title="NeMo-RL",
    data="train.jsonl",
    prompt_in="input",
    answer_in="output",
    write=write,
    start="put `defaults: PATH/TO/grpo_math_1B.yaml` on top of `plan.yaml`, add model and environment, and call "
    "NeMo-RL's `examples/run_grpo.py --config plan.yaml` from this folder.",
    keeps="`data.shuffle: false`, one data loader, `grpo.num_prompts_per_step` and no dynamic sampling in `plan.yaml`",
    breaks="`data.shuffle: true`, `grpo.use_dynamic_sampling`, `use_multiple_dataloader`, `split_validation_size` "
    "above 0 (rows go), another `num_prompts_per_step`, asynchronous GRPO.",
    feedback="`train_data_step{N}.jsonl` holds step N-1 with `rewards` in row order: its k-th completion, counted from "
    "0, belongs to slot k // num_generations_per_prompt of `plan.json`.",
)
