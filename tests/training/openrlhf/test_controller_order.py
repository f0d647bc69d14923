"""OpenRLHF's own command line and controller behind our launcher, on a CPU: what ends a run that cannot keep the plan.

That a run follows the plan shows in test_real_training; that the order is lost without a launcher, in test_stock_order.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace

import psutil
import pytest

from saerl_core.training.openrlhf.command import CommandJob, openrlhf_flags
from saerl_core.training.openrlhf.files import JOB, new_attempt, write_inputs
from saerl_core.training.openrlhf.job_file import JobFile
from saerl_core.training.openrlhf.process import MARK, kill_family
from tests.training.openrlhf.real_runs import CPU, living, trainer_processes
from tests.training.world import tiny_job, tiny_prompts

LAUNCH = ["-m", "saerl_core.training.openrlhf.launch"]
SIZE, GROUP, STEPS = 4, 4, 12
TIMEOUT_S = 300
# As if the next OpenRLHF kept the loader that it was made with: in force in the controller's process, not only here.
STUBBORN = """
import sys
from openrlhf.trainer import ppo_trainer

class Stubborn(ppo_trainer.SamplesGenerator):
    prompts_dataloader = property(lambda self: self.first, lambda self, new: self.__dict__.setdefault("first", new))

ppo_trainer.SamplesGenerator = Stubborn
from saerl_core.training.openrlhf import launch
sys.exit(launch.main(sys.argv[1:]))
"""

pytestmark = pytest.mark.openrlhf


class Attempt:
    """The trainer as a process, and what it left in its folder."""

    def __init__(self, python, policy, root, program=LAUNCH, *, n_gpus=2, driver_pid=None):
        self.root = root
        training = {"backend": "openrlhf", "group_size": GROUP, "eval_every_steps": 6}
        openrlhf = {**CPU, "python": str(python)}
        job = tiny_job(policy, root, n_steps=STEPS, prompts_per_step=SIZE, openrlhf=openrlhf, **training)
        job = replace(job, eval_prompts=tiny_prompts(14).tail(2))
        write_inputs(job, root)
        self.folder = new_attempt(root)
        JobFile(
            attempt_dir=self.folder,
            prompts_file=root / "prompts.jsonl",
            eval_file=root / "eval.jsonl",
            answers_file=root / "answers.jsonl",
            policy_path=policy.path,
            n_steps=STEPS,
            prompts_per_step=SIZE,
            group_size=GROUP,
            grading=job.grading,
            special_tokens=("<pad>", "<bos>", "<eos>"),
            n_gpus=n_gpus,
            driver_pid=driver_pid or os.getpid(),
            mailbox_timeout_s=60.0,
        ).save(root / JOB)
        command = CommandJob(policy.path, job.config, STEPS, SIZE, 0, root, resume=False, has_eval=True)
        self.log = (self.folder / "trainer.log").open("wb")
        env = {**os.environ, "SAERL_TEST_GPUS": "2", MARK: str(root)}
        self.process = subprocess.Popen(
            [python, *program, str(root / JOB), "--", *openrlhf_flags(command)],
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=root,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        kill_family(str(self.root), None)
        self.process.wait()
        self.log.close()

    def text(self):
        return (self.folder / "trainer.log").read_text(encoding="utf-8", errors="replace")

    def end(self):
        """The exit code and the sentence for people."""
        code = self.process.wait(TIMEOUT_S)
        sentences = [line for line in self.text().splitlines() if line.startswith("saerl: ")]
        return code, sentences[-1] if sentences else ""

    def wait_until(self, condition, what):
        deadline = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen; {self.text()[-4000:]}"
            time.sleep(0.1)

    def audit(self):
        files = sorted((self.folder / "audit").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def is_worker(process):
    with suppress(psutil.Error):
        return any(word.endswith("default_worker.py") for word in process.cmdline())
    return False


def test_a_loader_that_is_not_ours_ends_the_run_before_it_trains(openrlhf_python, policy, tmp_path):
    with Attempt(openrlhf_python, policy, tmp_path, ["-c", STUBBORN]) as trainer:
        code, sentence = trainer.end()
    assert code == 5
    assert sentence == (
        "saerl: the sample generator of OpenRLHF draws prompts from a StatefulDataLoader, not from the curriculum; the "
        "planned order would be lost"
    )
    assert not trainer.audit()


def test_too_few_gpus_are_said_at_once(openrlhf_python, policy, tmp_path):
    with Attempt(openrlhf_python, policy, tmp_path, n_gpus=3) as trainer:
        code, sentence = trainer.end()
    assert code == 3
    assert sentence.startswith("saerl: the training needs 3 GPUs, but Ray has 2;")


def test_ends_with_all_that_it_started_when_the_driver_is_gone(openrlhf_python, policy, tmp_path):
    driver = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with Attempt(openrlhf_python, policy, tmp_path, driver_pid=driver.pid) as trainer:
        trainer.wait_until(lambda: any(map(is_worker, trainer_processes(tmp_path))), "the start of a worker of Ray")
        started = trainer_processes(tmp_path)
        driver.kill()
        driver.communicate()
        code, sentence = trainer.end()
        assert (code, sentence) == (6, "saerl: the process that holds the curriculum is gone; this trainer ends")
        trainer.wait_until(lambda: not living(started), "the end of Ray's processes")
