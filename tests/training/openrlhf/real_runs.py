"""Real OpenRLHF behind the product's own driver: jobs for it, a driver to be killed, a look at what the trainer left.

As a program it is that driver: `POLICY WORK_DIR PYTHON STEP` trains until somebody kills it in `STEP`.
"""

import hashlib
import json
import os
import pickle
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil

from saerl_core.policy.storage import policy_id_of
from saerl_core.records import PolicyRef
from saerl_core.training.openrlhf.process import MARK
from saerl_core.training.run import train_policy
from tests.training.world import FeedbackCurriculum, tiny_job, tiny_prompts

IDS = list(tiny_prompts()["prompt_id"])
SIZE, GROUP, STEPS = 4, 32, 6
CPU = {  # the settings of training.openrlhf that a CPU needs
    "n_nodes": 1,
    "gpus_per_node": 1,
    "colocate": False,
    "zero_stage": 2,
    "attention": "eager",
    "packing": False,
    "gradient_checkpointing": False,
    "train_micro_batch": 8,
    "rollout_micro_batch": 8,
    "max_prompt_tokens": 16,
    "extra_args": ["--vllm.enforce_eager"],  # real vLLM compiles otherwise
}
WEIGHTS = "weights"  # in the work folder's neighbour: what the engine got, see tests/openrlhf_cpu/site/vllm/engine.py


def real_job(policy, work_dir, python, attempt=1, inner=None, **changes):
    """A job with a reference policy; the engine of attempt n writes down the weights that it gets."""
    settings = {**CPU, "python": str(python), "env": {"SAERL_TEST_WEIGHTS": str(weights_file(work_dir, attempt))}}
    training = {"backend": "openrlhf", "group_size": GROUP, "kl_coef": 0.1, "warmup_steps": 4, "device": "auto"}
    return tiny_job(policy, work_dir, n_steps=STEPS, openrlhf={**settings, **(inner or {})}, **{**training, **changes})


def ppo_job(policy, work_dir, python, attempt):
    """A job with a critic, and no reference policy."""
    inner = {"critic_lr": 1e-2, "max_checkpoints": 2}
    return real_job(policy, work_dir, python, attempt, inner, algorithm="ppo", save_every_steps=2, kl_coef=0.0)


def weights_file(work_dir, attempt):
    return work_dir.with_name(f"{work_dir.name}-{WEIGHTS}-{attempt}")


def updates(work_dir, attempt=1):
    """Every set of weights that the engine got in an attempt: a digest by name, in order."""
    found = []
    for line in weights_file(work_dir, attempt).read_text().splitlines():
        name, digest = json.loads(line)
        if not found or name in found[-1]:
            found.append({})
        found[-1][name] = digest
    return found


def digests(tensors, names):
    """The same digests of tensors in a file."""
    return {n: hashlib.sha256(tensors[n].bfloat16().float().numpy().tobytes()).hexdigest() for n in names}


def tensors(policy):
    """The weights of a policy; numpy knows no bfloat16."""
    from safetensors.torch import load_file

    return load_file(Path(policy.path) / "model.safetensors")


def saved_state(work_dir, model, step):
    """What DeepSpeed saved of a model after so many steps, its optimizer apart."""
    import torch

    return torch.load(work_dir / "ckpt" / model / f"global_step{step}" / "mp_rank_00_model_states.pt")


def adam_steps(work_dir, model, step):
    """How many optimizer steps Adam had counted when that checkpoint was saved, for each of its groups."""
    import torch

    [file] = (work_dir / "ckpt" / model / f"global_step{step}").glob("*_optim_states.pt")
    loose = SimpleNamespace(__name__="loose", Unpickler=WithoutDeepSpeed, load=pickle.load)
    saved = torch.load(file, weights_only=False, pickle_module=loose)["optimizer_state_dict"]["base_optimizer_state"]
    return {int(group["step"]) for group in saved["state"].values()}


class AnyMember(type):
    """A class that has every attribute: early releases of Python 3.11 pickle a member of an enumeration by name."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return cls


class WithoutDeepSpeed(pickle.Unpickler):
    """This environment has no DeepSpeed; of its classes nothing is needed."""

    def find_class(self, module, name):
        if module.startswith("deepspeed"):
            return AnyMember(name, (), {"__init__": lambda self, *_: None})
        return super().find_class(module, name)


def trainer_processes(work_dir):
    """Everything that works for a folder: by its mark, and the descendants, for Ray's workers overwrite theirs."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(work_dir):
                found |= {p.pid: p for p in [process, *process.children(recursive=True)]}
    found.pop(os.getpid(), None)
    return list(found.values())


def living(processes):
    def lives(process):
        with suppress(psutil.NoSuchProcess):
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        return False

    return [process for process in processes if lives(process)]


def note_step(work_dir, step):
    with work_dir.with_suffix(".steps").open("a") as file:
        file.write(f"{step}\n")


def main(policy, work, python, last):
    def on_step(step, metrics):
        note_step(Path(work), step)
        while step == int(last):
            time.sleep(1.0)

    job = ppo_job(PolicyRef(policy, policy_id_of(policy)), Path(work), python, attempt=2)
    train_policy(job, FeedbackCurriculum(IDS, SIZE), on_step)


if __name__ == "__main__":
    main(*sys.argv[1:])
