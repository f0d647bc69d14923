"""slime: JSON lines with metadata, arguments for the shell, and a function that logs the rewards."""

from pathlib import Path

from saerl_core.export.files import copy_script, write_arguments, write_jsonl
from saerl_core.export.records import Format, PlanExport


def write(plan: PlanExport, folder: Path) -> None:
    """Write `prompts.jsonl`, `plan_args.sh` and `plan_log.py`."""
    rows = (
        {
            "prompt": plan.text_or_messages(row),
            "label": row.answer,
            "metadata": {"row": row.row, "step": row.step, "slot": row.slot, "prompt_id": row.prompt_id},
        }
        for row in plan.rows
    )
    write_jsonl(folder / FORMAT.data, rows)
    size, group = plan.prompts_per_step, plan.group_size
    arguments = [
        ["--prompt-data", f"$PLAN_DIR/{FORMAT.data}"],
        ["--input-key", "prompt"],
        ["--label-key", "label"],
        ["--metadata-key", "metadata"],
        ["--rollout-batch-size", str(size)],
        ["--num-rollout", str(plan.n_steps)],
        ["--num-steps-per-rollout", "1"],
        ["--custom-rollout-log-function-path", "plan_log.log_rollouts"],
    ]
    if group is not None:
        arguments += [["--n-samples-per-prompt", str(group)]]
    if plan.in_chat:
        arguments += [["--apply-chat-template"]]
    write_arguments(folder / "plan_args.sh", arguments, 'source plan_args.sh, then give slime "${PLAN_ARGS[@]}".')
    copy_script("plan_log.py", folder)


FORMAT = Format(
    title="slime",
    data="prompts.jsonl",
    prompt_in="prompt",
    answer_in="label",
    write=write,
    start='`source plan_args.sh; export PYTHONPATH="$PLAN_DIR:$PYTHONPATH"; python train.py "${PLAN_ARGS[@]}" ...` in '
    "slime's folder, with the arguments of your model and reward; `train.py`, not `train_async.py`.",
    keeps="reading in file order, slime's default, with the batch size in `plan_args.sh`",
    breaks="`--rollout-shuffle`, `--dynamic-sampling-filter-path`, an `--over-sampling-batch-size` above the batch, "
    "`--rollout-max-prompt-len` (longer prompts go, later batches move up), another `--rollout-batch-size`.",
    feedback="`plan_log.py` writes `rollouts.jsonl`: step, row, prompt_id and reward of every completion.",
)
