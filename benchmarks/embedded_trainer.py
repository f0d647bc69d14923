"""Seconds per step of the embedded trainer, as a ratio to a bare PyTorch loop that does the same work.

Both train the same small policy on the same batches, 32 prompts x 8 rollouts, in one process and by turns, so that a
busy machine slows both. The bare loop has what every GRPO step needs and nothing else: one prefill a prompt, decoding
with a cache, grading, a forward and backward pass over the rollouts with a gradient, AdamW. Run with

    OMP_NUM_THREADS=1 python benchmarks/embedded_trainer.py [policy folder] [pool.parquet] [steps]

Without a folder an untrained policy of the default size is used on the built-in task world; its completions are longer
and hardly ever right, so give a trained one for a realistic share of live groups.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import DynamicCache

from saerl_core.config.run import GradingConfig, PolicyConfig, TaskWorldConfig, TrainingConfig
from saerl_core.policy.loading import load_model, load_tokenizer
from saerl_core.policy.model import build_model
from saerl_core.policy.storage import policy_id_of, save_policy
from saerl_core.records import PolicyRef, TrainJob
from saerl_core.rollouts.grading import Grader
from saerl_core.training.embedded.trainer import EmbeddedTrainer
from saerl_core.world.splits import build_world
from saerl_core.world.tokenizer import build_tokenizer

PROMPTS_PER_STEP, GROUP, MAX_TOKENS, EOS = 32, 8, 24, 2


class BareLoop:
    """GRPO without a library."""

    def __init__(self, policy: PolicyRef, config: TrainingConfig) -> None:
        self.model, self.tokenizer = load_model(policy), load_tokenizer(policy)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), config.lr, weight_decay=0.0)
        self.grader = Grader(GradingConfig())

    def generate(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return completions, 0 after the end: one prefill a prompt, finished rows dropped now and then."""
        cache = DynamicCache(config=self.model.config)
        places = (mask.cumsum(1) - 1).clamp(min=0)
        logits = self.model(ids, mask, places, past_key_values=cache, logits_to_keep=1).logits[:, -1]
        cache.batch_repeat_interleave(GROUP)
        logits, mask = logits.repeat_interleave(GROUP, 0), mask.repeat_interleave(GROUP, 0)
        out = torch.zeros(len(mask), MAX_TOKENS, dtype=torch.long)
        rows, alive = torch.arange(len(mask)), torch.ones(len(mask), dtype=torch.bool)
        for step in range(MAX_TOKENS):
            token = torch.multinomial(logits.softmax(-1), 1)
            out[rows[alive], step] = token[alive, 0]
            alive &= token[:, 0] != EOS
            if not alive.any() or step + 1 == MAX_TOKENS:
                break
            if alive.float().mean() < 0.75:
                cache.batch_select_indices(alive.nonzero()[:, 0])
                rows, mask, token, alive = rows[alive], mask[alive], token[alive], alive[alive]
            mask = torch.cat((mask, mask.new_ones(len(mask), 1)), 1)
            places = mask.sum(1, keepdim=True) - 1
            logits = self.model(token, mask, places, past_key_values=cache, logits_to_keep=1).logits[:, -1]
        return out

    def step(self, prompts: list[str], answers: list[str]) -> None:
        """Sample, grade, and take one optimizer step on the rollouts that have a gradient."""
        encoded = self.tokenizer(prompts, padding=True, return_tensors="pt")
        ids, mask = encoded["input_ids"], encoded["attention_mask"]
        with torch.no_grad():
            out = self.generate(ids, mask)
        texts = self.tokenizer.batch_decode(out, skip_special_tokens=True)
        verdicts = self.grader.grade(texts, [a for a in answers for _ in range(GROUP)])
        rewards = torch.tensor([float(v.correct is True) for v in verdicts]).view(-1, GROUP)
        advantages = ((rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)).view(-1)
        live = advantages != 0
        self.optimizer.zero_grad()
        if live.any():
            loss = self.loss(ids.repeat_interleave(GROUP, 0)[live], mask.repeat_interleave(GROUP, 0)[live], out[live])
            (-(advantages[live] * loss).sum() / len(live)).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()

    def loss(self, ids: torch.Tensor, mask: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """Return the mean log-probability of each completion."""
        out = out[:, : int((out != 0).sum(1).max())]
        width, weight = ids.shape[1], (out != 0).float()
        tokens, attention = torch.cat((ids, out), 1), torch.cat((mask, weight.long()), 1)
        scores = self.model(tokens, attention, use_cache=False).logits[:, width - 1 : -1].log_softmax(-1)
        logprobs = scores.gather(2, out[..., None])[..., 0]
        return (logprobs * weight).sum(1) / weight.sum(1)


class Alternating:
    """A curriculum that lets the bare loop take the same batch first, and times it."""

    def __init__(self, bare: BareLoop, pool: pd.DataFrame, batches: list[list[str]]) -> None:
        self.bare, self.rows, self.batches = bare, pool.set_index("prompt_id"), batches
        self.bare_s: list[float] = []
        self.bare_cpu_s: list[float] = []

    def next_batch(self, step: int) -> list[str]:
        """Let the bare loop train on the batch, then hand it out."""
        rows = self.rows.loc[self.batches[step]]
        wall, cpu = time.perf_counter(), time.process_time()
        self.bare.step(list(rows["prompt"]), list(rows["answer"]))
        self.bare_s.append(time.perf_counter() - wall)
        self.bare_cpu_s.append(time.process_time() - cpu)
        return self.batches[step]

    def observe(self, outcome: object) -> None:
        """Ignore the rewards."""

    def state_dict(self) -> dict[str, int]:
        """Return nothing: a benchmark is not resumed."""
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Nothing to restore."""


def untrained(folder: Path) -> PolicyRef:
    """Save an untrained policy of the default size."""
    tokenizer = build_tokenizer()
    return save_policy(build_model(PolicyConfig(), tokenizer, 256, 0), tokenizer, folder)


def main(policy_folder: str | None, pool_file: str | None, n_steps: int) -> None:
    """Print both medians and their ratio."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        policy = PolicyRef(policy_folder, policy_id_of(policy_folder)) if policy_folder else untrained(root / "policy")
        pool = pd.read_parquet(pool_file) if pool_file else build_world(TaskWorldConfig(), 0)["train"]
        order = np.random.default_rng(0).permutation(pool["prompt_id"].to_numpy())
        batches = [[str(i) for i in order[s : s + PROMPTS_PER_STEP]] for s in range(0, len(order), PROMPTS_PER_STEP)]
        config = TrainingConfig(device="cpu", save_every_steps=1000)
        job = TrainJob(policy, pool, config, GradingConfig(), n_steps, PROMPTS_PER_STEP, 0, "benchmark", root / "work")
        curriculum = Alternating(BareLoop(policy, config), pool, batches)
        cpu: list[float] = []
        log = EmbeddedTrainer().train(job, curriculum, lambda step, metrics: cpu.append(time.process_time())).log
    warm = slice(3, None)
    bare, bare_cpu = np.median(curriculum.bare_s[warm]), np.median(curriculum.bare_cpu_s[warm])
    # step_s begins once the batch is there: the bare step is not in it. Processor time between two calls holds both.
    cpu_s = np.diff(cpu) - np.array(curriculum.bare_cpu_s[1:])
    ours, ours_cpu = np.median(log["step_s"][warm]), np.median(cpu_s[warm])
    print(f"{'':18}wall s/step  cpu s/step")
    print(f"{'bare loop':18}{bare:11.3f}{bare_cpu:12.3f}")
    print(f"{'embedded trainer':18}{ours:11.3f}{ours_cpu:12.3f}")
    print(f"{'ratio':18}{ours / bare:11.2f}{ours_cpu / bare_cpu:12.2f}")
    print(f"{n_steps} steps, groups without a gradient: {log['zero_std_frac'].mean():.2f}")


if __name__ == "__main__":
    arguments = [*sys.argv[1:], None, None, None][:3]
    main(arguments[0], arguments[1], int(arguments[2] or 30))
