"""verl: parquet with chat messages, and a configuration for Hydra that extends verl's own."""

from pathlib import Path

import pandas as pd

from saerl_core.export.files import write_yaml
from saerl_core.export.records import Format, PlanExport

_NO_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def write(plan: PlanExport, folder: Path) -> None:
    """Write `train.parquet` and `saerl_plan.yaml`."""
    rows = [
        {
            "data_source": "saerl",
            "prompt": plan.messages(row),
            "ability": "saerl",
            "reward_model": {"style": "rule", "ground_truth": row.answer},
            "extra_info": {
                "index": row.row,
                "split": "train",
                "prompt_id": row.prompt_id,
                "step": row.step,
                "slot": row.slot,
            },
        }
        for row in plan.rows
    ]
    pd.DataFrame(rows).to_parquet(folder / FORMAT.data, index=False)
    comment = "What keeps the order of the plan, over verl's own configuration."
    write_yaml(folder / "saerl_plan.yaml", _settings(plan), comment)


def _settings(plan: PlanExport) -> dict[str, object]:
    settings: dict[str, object] = {
        "defaults": ["ppo_trainer", "_self_"],
        "data": {
            "train_files": FORMAT.data,
            "prompt_key": "prompt",
            "shuffle": False,
            "train_batch_size": plan.prompts_per_step,
            "gen_batch_size": None,
            "train_max_samples": -1,
            "filter_overlong_prompts": False,
        },
        "algorithm": {"filter_groups": {"enable": False}},
        "trainer": {
            "total_epochs": 1,
            "total_training_steps": plan.n_steps,
            "v1": {"trainer_mode": "sync"},
            "rollout_data_dir": "rollouts",
        },
    }
    reader: dict[str, object] = {}
    if plan.group_size is not None:
        reader["rollout"] = {"n": plan.group_size}
    if plan.is_plain:
        reader["model"] = {"custom_chat_template": _NO_TEMPLATE}
    if reader:
        settings["actor_rollout_ref"] = reader
    return settings


FORMAT = Format(
    title="verl",
    data="train.parquet",
    prompt_in="prompt",
    answer_in="reward_model.ground_truth",
    write=write,
    start='`python -m verl.trainer.main_ppo --config-dir "$PWD" --config-name saerl_plan algorithm.adv_estimator=grpo '
    'data.train_files="$PWD/train.parquet" data.val_files=YOURS actor_rollout_ref.model.path=MODEL`, from this folder, '
    "with your reward function and sizes behind it.",
    keeps="`data.shuffle`, `train_batch_size`, `gen_batch_size`, `train_max_samples`, `filter_overlong_prompts`, "
    "`filter_groups` and the synchronous mode in `saerl_plan.yaml`",
    breaks="`data.shuffle=True`, another `train_batch_size`, `filter_overlong_prompts` (rows go, later batches move "
    "up), `filter_groups` (dynamic sampling), an asynchronous `trainer_mode`, more than one epoch.",
    feedback="A reward function gets `extra_info.prompt_id` and `extra_info.step`. `rollouts/{step}.jsonl` (counted "
    "from 1) holds `input` and `score`: join by the prompt's text inside the step, the `uid` is random.",
    ran="verl 0.9.1's own data loader reads it in the plan's order (tests/export); not trained with it",
)
