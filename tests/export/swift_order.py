"""Run by a Python that has ms-swift: print the prompt ids of each step that its own loader and sampler give.

python swift_order.py FOLDER ARGUMENT ...     # those of plan_args.sh
"""

import json
import sys
from importlib.metadata import version
from types import SimpleNamespace

from swift.dataset import load_dataset
from trl import GRPOTrainer


def main(given):
    """Load as `swift rlhf` does for GRPO, which keeps all columns, and go through the sampler of TRL that it calls."""
    is_shuffled = given["--dataset_shuffle"] == "true"
    rows, _ = load_dataset(
        given["--dataset"],
        split_dataset_ratio=float(given["--split_dataset_ratio"]),
        shuffle=is_shuffled,
        strict=given["--strict"] == "true",
        remove_unused_columns=False,
    )
    group, size = int(given["--num_generations"]), int(given["--generation_batch_size"])
    settings = SimpleNamespace(generation_batch_size=size, steps_per_generation=1, seed=42)
    trainer = SimpleNamespace(
        args=settings,
        num_generations=group,
        num_iterations=int(given["--num_iterations"]),
        shuffle_dataset=is_shuffled,
        train_dataset=rows,
    )
    order = list(GRPOTrainer._get_train_sampler(trainer, rows))
    taken = [rows[i] for i in order]
    batches = [
        {
            "ids": [row["prompt_id"] for row in taken[start : start + size : group]],
            "texts": [row["messages"][-1]["content"] for row in taken[start : start + size : group]],
            "alike": all(len({r["row"] for r in taken[i : i + group]}) == 1 for i in range(start, start + size, group)),
        }
        for start in range(0, len(taken), size)
    ]
    sys.stdout.write("\n" + json.dumps({"version": version("ms-swift"), "batches": batches}))


main(dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True)))
