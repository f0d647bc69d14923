"""TRL: the rows, and a script that trains on them with the stock `GRPOTrainer`."""

from pathlib import Path

from saerl_core.export.files import copy_script
from saerl_core.export.jsonl import write as write_rows
from saerl_core.export.records import Format, PlanExport


def write(plan: PlanExport, folder: Path) -> None:
    """Write `prompts.jsonl`, `train.py` and `reward.py`."""
    write_rows(plan, folder)
    copy_script("train.py", folder)
    copy_script("reward.py", folder)


FORMAT = Format(
    title="TRL",
    data="prompts.jsonl",
    prompt_in="prompt",
    answer_in="answer",
    write=write,
    start="`python train.py MODEL OUTPUT_DIR`, or `accelerate launch train.py MODEL OUTPUT_DIR`; learning rate, "
    "lengths and the like stand in `train.py`.",
    keeps="`shuffle_dataset=False`, `generation_batch_size`, `num_iterations=1` and as many accumulated as generated "
    "batches in `train.py`",
    breaks="`shuffle_dataset=True` (TRL's default), another `generation_batch_size`, `num_iterations` above 1, "
    "gradient accumulation that does not fit. `train.py` stops at the first completion outside its step.",
    feedback="`OUTPUT_DIR/rollouts.jsonl` has one line a completion: step, row, prompt_id, reward (of several "
    "processes each writes its own file, `rollouts-1.jsonl`, ...).",
    ran="trained with TRL's stock GRPOTrainer on a CPU in tests/export",
)
