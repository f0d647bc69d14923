"""Run by a Python that has verl: print the prompt ids of each batch that verl's own data loader gives for an export.

python verl_order.py FOLDER [override ...]
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import verl
from hydra import compose, initialize_config_dir
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from verl.trainer.ppo.ray_trainer import RayPPOTrainer


def tokenizer():
    """Return a tokenizer of bytes with a chat template."""
    letters = Tokenizer(
        models.BPE(vocab={c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, merges=[])
    )
    letters.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found = PreTrainedTokenizerFast(tokenizer_object=letters, pad_token="!", eos_token="!")
    found.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    return found


def main(folder, *overrides):
    """Compose the settings as `main_ppo --config-dir FOLDER --config-name saerl_plan` does, and read the file once."""
    file = f"{folder}/train.parquet"
    given = ["hydra.searchpath=[pkg://verl.trainer.config]", f"data.train_files={file}", f"data.val_files={file}"]
    with initialize_config_dir(folder, version_base=None):
        config = compose("saerl_plan", overrides=[*given, "data.dataloader_num_workers=0", *overrides])
    trainer = SimpleNamespace(config=config, tokenizer=tokenizer(), processor=None)
    RayPPOTrainer._create_dataloader(trainer, None, None, None, None)
    batches = [
        {
            "ids": [info["prompt_id"] for info in batch["extra_info"]],
            "texts": [m[-1]["content"] for m in batch["raw_prompt"]],
        }
        for batch in trainer.train_dataloader
    ]
    version = (Path(verl.__file__).parent / "version" / "version").read_text().strip()
    sys.stdout.write("\n" + json.dumps({"version": version, "steps": trainer.total_training_steps, "batches": batches}))


main(*sys.argv[1:])
