"""OpenRLHF's own CLI in the CPU test environment: it trains, its engines follow the policy, the file's order is lost.

The last point is why there is a launcher; it also shows that a test of the launcher's order can fail.
"""

import importlib.util
import json
import os
import subprocess
from itertools import pairwise

import pytest
from safetensors.torch import load_file

from tests.training.openrlhf.real_runs import digests, updates, weights_file
from tests.training.world import tiny_prompts

PROMPTS_PER_STEP, GROUP_SIZE, N_STEPS = 4, 2, 4

REWARD = """
import os, threading

seen, lock = [], threading.Lock()

def reward_func(queries, prompts, labels):
    with lock:
        seen.append(labels[0])
        with open(os.environ["SEEN"], "a") as file:
            file.write(labels[0] + "\\n")
        right = float(seen.count(labels[0]) % 2)  # whatever the policy says, every group has something to learn from
    return {"rewards": right, "scores": right, "extra_logs": {}}
"""

FLAGS = {
    "--data.input_key": "prompt",
    "--data.label_key": "label",
    "--data.max_len": 64,
    "--actor.num_gpus_per_node": 1,
    "--vllm.num_engines": 1,
    "--rollout.batch_size": PROMPTS_PER_STEP,
    "--rollout.n_samples_per_prompt": GROUP_SIZE,
    "--rollout.max_new_tokens": 6,
    "--train.batch_size": PROMPTS_PER_STEP * GROUP_SIZE,
    "--train.micro_batch_size": PROMPTS_PER_STEP * GROUP_SIZE,
    "--algo.advantage.estimator": "group_norm",
    "--algo.advantage.is_correction_level": "token",  # asks the engine for its probabilities
    "--algo.kl.init_coef": 0,  # no reference policy
    "--actor.adam.lr": 3e-2,
    "--actor.lr_scheduler": "constant",
    "--ds.attn_implementation": "eager",
}


def train(command, folder, env):
    with open(folder / "log", "w") as log:
        return subprocess.run(
            command, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT, timeout=600, check=False
        )


@pytest.fixture(scope="module")
def stock_run(openrlhf_python, policy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stock")
    rows = tiny_prompts(PROMPTS_PER_STEP * N_STEPS)
    with open(folder / "prompts.jsonl", "w") as file:
        for row in rows.itertuples():
            file.write(json.dumps({"prompt": row.prompt, "label": row.prompt_id}) + "\n")
    (folder / "reward.py").write_text(REWARD)
    paths = {
        "--actor.model_name_or_path": policy.path,
        "--data.prompt_dataset": folder / "prompts.jsonl",
        "--reward.remote_url": folder / "reward.py",
        "--ckpt.path": folder / "ckpt",
        "--ckpt.output_dir": folder / "final",
    }
    flags = [str(part) for pair in {**FLAGS, **paths}.items() for part in pair]
    command = [openrlhf_python, "-m", "openrlhf.cli.train_ppo_ray", *flags]
    env = {**os.environ, "SEEN": str(folder / "seen"), "SAERL_TEST_WEIGHTS": str(weights_file(folder, 1))}
    ended = train(command, folder, env)
    if ended.returncode and "EADDRINUSE" in (folder / "log").read_text():
        ended = train(command, folder, env)  # another program took its port: the launcher starts again by itself
    text = (folder / "log").read_text()
    assert ended.returncode == 0, text[-5000:]
    return rows["prompt_id"].tolist(), folder, text


@pytest.mark.openrlhf
def test_stock_openrlhf_does_not_follow_the_order_of_the_file(stock_run):
    ids, folder, _ = stock_run
    seen = (folder / "seen").read_text().split()
    assert sorted(seen) == sorted(ids * GROUP_SIZE)  # every prompt, but
    size = PROMPTS_PER_STEP * GROUP_SIZE
    batches = [set(seen[i : i + size]) for i in range(0, len(seen), size)]
    planned = [set(ids[i : i + PROMPTS_PER_STEP]) for i in range(0, len(ids), PROMPTS_PER_STEP)]
    assert all(len(batch) == PROMPTS_PER_STEP for batch in batches)
    assert batches != planned  # one shuffle in 60 million gives the planned batches by chance


@pytest.mark.openrlhf
def test_the_policy_learns_and_the_engine_follows(stock_run):
    _, folder, _ = stock_run  # the last lines of Ray's log may be missing: it ends with the driver
    got = updates(folder)
    assert len(got) == N_STEPS, "the engine gets the weights after every step"
    assert all(one != other for one, other in pairwise(got)), "every step changes them"
    final = load_file(folder / "final" / "model.safetensors")
    assert got[-1] == digests(final, got[-1]), "what the engine has is what is saved, bit for bit"


def test_the_stand_ins_stay_out_of_the_normal_environment():
    """TRL takes any package named vllm for the real one and breaks."""
    here = [importlib.util.find_spec(name) for name in ("vllm", "flash_attn", "saerl_cpu_shim")]
    assert not [spec.origin for spec in here if spec is not None and "openrlhf_cpu" in spec.origin]
