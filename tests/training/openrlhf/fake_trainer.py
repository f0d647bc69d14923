"""Stands in for OpenRLHF's launcher: the same arguments, files and order of events, with dice in place of a model.

Run as a script with the arguments of `saerl_core.training.openrlhf.launch`. `FAKE` in its environment is what goes
wrong, e.g. `crash:3` in step 3; several are joined with blanks.
"""

import hashlib
import importlib.util
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from saerl_core.training.openrlhf import mailbox
from saerl_core.training.openrlhf.job_file import JobFile
from saerl_core.training.openrlhf.loader import Place
from saerl_core.training.openrlhf.mailbox import Mailbox, StepReport

mailbox._POLL_S = float(os.environ["LOOK_S"])


class Flags:
    """OpenRLHF's flags, as the product wrote them."""

    def __init__(self, argv: list[str]) -> None:
        self.argv = argv

    def __getitem__(self, name: str) -> str:
        return self.argv[self.argv.index(name) + 1]

    def __contains__(self, name: str) -> bool:
        return name in self.argv


def trick(name: str, step: int | None = None) -> bool:
    wanted = name if step is None else f"{name}:{step}"
    return wanted in os.environ.get("FAKE", "").split()


def dice(*key: object) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big"))


class FakeTrainer:
    def __init__(self, job: JobFile, flags: Flags) -> None:
        self.job, self.flags, self.mailbox = job, flags, Mailbox(job.mailbox_dir)
        self.prompts = {row["label"]: row["prompt"] for row in lines(Path(flags["--data.prompt_dataset"]))}
        spec = importlib.util.spec_from_file_location("reward", flags["--reward.remote_url"])
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.reward = module.reward_func
        self.weights = load_file(Path(flags["--actor.model_name_or_path"]) / "model.safetensors")
        self.step = 0
        self.folders = [Path(flags["--ckpt.path"]) / "_actor"]
        if "--critic.model_name_or_path" in flags:
            self.folders.append(Path(flags["--ckpt.path"]) / "_critic")
        if "--ckpt.load_enable" in flags and self.folders[0].exists():
            tag = self.folders[0] / (self.folders[0] / "latest").read_text()  # as OpenRLHF: crashes where it is missing
            self.weights, self.step = load_file(tag / "weights.safetensors"), int(tag.name.removeprefix("global_step"))
            assert (self.folders[-1] / "latest").read_text() == tag.name, "actor and critic of different steps"
        assert self.step == job.first_step, f"the checkpoint is of step {self.step}, the books of {job.first_step}"

    def run(self) -> None:
        while batch := self.mailbox.wait_for_batch(self.step, 60):
            rewards = self.screened(batch) if self.job.screens else self.roll_out(batch)
            for name, value in self.weights.items():
                noise = dice(self.flags["--train.seed"], self.step, batch, rewards).standard_normal(value.shape)
                self.weights[name] = value + np.float32(self.flags["--actor.adam.lr"]) * noise.astype(value.dtype)
            self.misbehave()
            self.mailbox.send_report(StepReport(self.step, self.metrics(rewards)))
            self.step += 1
            self.mailbox.wait_for_batch(self.step, 60)
            if self.step % int(self.flags["--ckpt.save_steps"]) == 0:
                for folder in self.folders:
                    self.save(folder)
            if "--eval.steps" in self.flags and self.step % int(self.flags["--eval.steps"]) == 0:
                self.evaluate()
        self.export()

    def screened(self, ids: list[str]) -> list[float]:
        """Sample round by round what the driver asks for; the rewards of the slots that it chose."""
        rewards, number, size = [], 0, self.job.group_size
        while ids:
            rewards += self.roll_out(ids, first_slot=len(rewards) // size)
            self.mailbox.send_sampled(self.step, number, 2 * len(ids) * size)
            number += 1
            if trick("die-between", self.step) and number == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            ids, chosen = self.mailbox.wait_for_more(self.step, number, 60)
        return [reward for slot in chosen for reward in rewards[slot * size : (slot + 1) * size]]

    def roll_out(self, batch: list[str], first_slot: int = 0) -> list[float]:
        rewards = []
        if trick("full", self.step) or trick("full-audit", self.step):
            self.limit_files(10)
        for slot, prompt_id in enumerate(batch, first_slot):
            for sample in range(self.job.group_size):
                answer = str(dice(self.flags["--train.seed"], self.step, slot, sample).choice(["a", "b", "ab"]))
                asked = batch[0] if trick("other", self.step) and slot == 1 else prompt_id
                label = Place(asked, self.step + trick("ahead", self.step), slot).label()
                prompt = self.prompts[asked]
                query = "?" if trick("error", self.step) and slot == 0 else f"{prompt}{answer}<eos><pad>"
                if trick("lose", self.step) and (slot, sample) == (2, 0):
                    continue
                rewards.append(self.reward([query], [prompt], [label])["rewards"])
        if trick("full-audit", self.step):
            self.limit_files(resource.RLIM_INFINITY)
        return rewards

    def limit_files(self, size: int) -> None:
        """No file may be longer: to write fails as it does on a full disk."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def metrics(self, rewards: list[float]) -> dict[str, float]:
        return {
            "policy_loss": float("nan") if trick("nan", self.step) else 0.1,
            "actor_grad_norm": 1.0,
            "actor_lr": float(self.flags["--actor.adam.lr"]),
            "entropy_loss": 0.7,
            "kl": 0.01,
            "rollout/response_length_mean": 1.5,
            "rollout/truncated_rate": 0.25,
            "rollout/reward_mean": float(np.mean(rewards)),
            "timing/step_total": 0.5,
            "timing/generation": 0.2,
            "plan_step": float(self.step + 7 * trick("position", self.step)),
        }

    def misbehave(self) -> None:
        if trick("children", self.step):
            code = "import time; time.sleep(600)"
            near = subprocess.Popen([sys.executable, "-c", code])
            far = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
            (self.job.attempt_dir / "children").write_text(f"{os.getpid()} {near.pid} {far.pid}")
        if trick("tell", self.step):
            say(f"all I know: {os.environ['PLANTED_TOKEN']}")
            raise ValueError(f"the Hub refuses {os.environ['PLANTED_TOKEN']}")
        if trick("crash", self.step):
            raise ValueError("the loss fell into a hole")
        if trick("say", self.step):
            sys.exit("saerl: there are 0 GPUs, 4 are needed")
        if trick("kill", self.step):
            os.kill(os.getpid(), signal.SIGKILL)
        if trick("leave", self.step):
            sys.exit(0)
        while trick("hang", self.step):
            time.sleep(0.05)
            say("still waiting for a placement group")

    def save(self, folder: Path) -> None:
        keep = int(self.flags["--ckpt.max_num"])
        for old in sorted(folder.glob("global_step*"), key=lambda p: p.stat().st_mtime)[: -keep + 1]:
            shutil.rmtree(old)
        tag = folder / f"global_step{self.step}"
        tag.mkdir(parents=True)
        save_file(self.weights, tag / "weights.safetensors")
        if trick("die-saving", self.step) and folder == self.folders[-1]:
            os.kill(os.getpid(), signal.SIGKILL)
        (folder / "latest").write_text(tag.name)

    def evaluate(self) -> None:
        rows = lines(Path(self.flags["--eval.dataset"]))
        n = int(self.flags["--eval.n_samples_per_prompt"])
        scores = [
            [
                self.reward([f"{r['prompt']}{'ab'[i % 2]}<eos>"], [r["prompt"]], [r["label"]])["rewards"]
                for i in range(n)
            ]
            for r in rows
        ]
        metrics = {f"eval_dev_pass{n}": np.mean(np.max(scores, 1)), "eval_dev_pass1": np.mean(scores)}
        metrics |= {"eval_num_samples": np.size(scores), "eval_response_length_mean": 1.5, "eval_truncated_rate": 0.0}
        self.mailbox.send_evaluation(StepReport(self.step, {k: float(v) for k, v in metrics.items()}))

    def export(self) -> None:
        final = Path(self.flags["--ckpt.output_dir"])
        final.mkdir()
        shutil.copy(Path(self.flags["--actor.model_name_or_path"]) / "config.json", final)
        (final / "tokenizer.json").write_text("another tokenizer")
        if not trick("no-model"):
            save_file(self.weights, final / "model.safetensors", metadata={"format": "pt"})


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    say(f"fake trainer {sys.argv[1:]}")
    FakeTrainer(JobFile.load(Path(sys.argv[1])), Flags(sys.argv[3:])).run()
