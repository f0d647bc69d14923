"""ms-swift: JSON lines with messages, and arguments for `swift rlhf`."""

from pathlib import Path

from saerl_core.export.files import write_arguments, write_jsonl
from saerl_core.export.records import Format, PlanExport

_DEFAULT_GROUP = 8  # ms-swift's own num_generations


def write(plan: PlanExport, folder: Path) -> None:
    """Write `prompts.jsonl` and `plan_args.sh`."""
    rows = (
        {"messages": plan.messages(row), "solution": row.answer, "prompt_id": row.prompt_id, "row": row.row}
        for row in plan.rows
    )
    write_jsonl(folder / FORMAT.data, rows)
    group = plan.group_size or _DEFAULT_GROUP
    arguments = [
        ["--rlhf_type", "grpo"],
        ["--dataset", f"$PLAN_DIR/{FORMAT.data}"],
        ["--dataset_shuffle", "false"],
        ["--split_dataset_ratio", "0"],
        ["--strict", "true"],
        ["--truncation_strategy", "left"],
        ["--dynamic_sample", "false"],
        ["--num_generations", str(group)],
        ["--generation_batch_size", str(plan.prompts_per_step * group)],
        ["--num_iterations", "1"],
        ["--max_steps", str(plan.n_steps)],
        ["--log_completions", "true"],
    ]
    if plan.is_plain:
        arguments += [["--use_chat_template", "false"]]
    write_arguments(folder / "plan_args.sh", arguments, 'source plan_args.sh, then give swift "${PLAN_ARGS[@]}".')


FORMAT = Format(
    title="ms-swift",
    data="prompts.jsonl",
    prompt_in="messages",
    answer_in="solution",
    write=write,
    start='`source plan_args.sh; swift rlhf --model MODEL "${PLAN_ARGS[@]}" ...` with your reward and sizes such that '
    "per_device_train_batch_size x processes x gradient_accumulation_steps = generation_batch_size.",
    keeps="`--dataset_shuffle false`, `--generation_batch_size` and no dynamic sampling in `plan_args.sh`",
    breaks="`--dataset_shuffle true` (the default), `--dynamic_sample true`, `--truncation_strategy delete` or "
    "`--strict false` (rows go, later batches move up), another product of sizes, `--streaming true`.",
    feedback="A reward class gets `prompt_id`, `row` and `solution` as arguments: write them down with the reward.",
    ran="ms-swift 4.6.0's own loader and sampler read it in the plan's order (tests/export); not trained with it",
)
