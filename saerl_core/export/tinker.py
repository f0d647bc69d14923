"""tinker-cookbook: the rows, and a module with an `RLDataset` that gives out one planned step a batch."""

from pathlib import Path

from saerl_core.export.files import copy_script
from saerl_core.export.jsonl import write as write_rows
from saerl_core.export.records import Format, PlanExport


def write(plan: PlanExport, folder: Path) -> None:
    """Write `prompts.jsonl`, `plan_dataset.py` and `reward.py`."""
    write_rows(plan, folder)
    copy_script("plan_dataset.py", folder)
    copy_script("reward.py", folder)


FORMAT = Format(
    title="tinker-cookbook",
    data="prompts.jsonl",
    prompt_in="prompt",
    answer_in="answer",
    write=write,
    start="from this folder, give `tinker_cookbook.rl.train.Config` a `dataset_builder=plan_dataset.PlanDatasetBuilder("
    "model_name=..., renderer_name=...)` and leave `async_config` and `stream_minibatch_config` at None.",
    keeps="`PlanDataset.get_batch(i)`, which returns step i of the plan",
    breaks="`remove_constant_reward_groups=True` (groups leave a step), `async_config` (steps overlap), a `max_steps` "
    "below the plan's.",
    feedback="Each completion's logs carry `prompt_id`, `step` and `row`; `rollout_json_export=True` writes them down.",
    ran="two epochs of batches read by tinker-cookbook 0.6.1 in tests/export; not trained with it",
)
