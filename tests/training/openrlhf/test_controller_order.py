"""OpenRLHF's own command line, controller, sampler and trainer, on a CPU: does it train what was asked?

That the order is lost without our launcher shows in test_stock_order.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from saerl_core.protocols import BatchOutcome
from saerl_core.training.openrlhf.command import CommandJob, openrlhf_flags
from saerl_core.training.openrlhf.files import JOB, new_attempt, write_inputs
from saerl_core.training.openrlhf.job_file import JobFile
from saerl_core.training.openrlhf.mailbox import Mailbox
from saerl_core.training.openrlhf.process import MARK, kill_family
from tests.training.world import FeedbackCurriculum, expected_batches, tiny_job, tiny_prompts

LAUNCH = ["-m", "saerl_core.training.openrlhf.launch"]
SIZE, GROUP, STEPS, SAVE = 4, 4, 12, 4
SETTINGS = {
    "n_nodes": 1,
    "gpus_per_node": 1,
    "colocate": False,
    "zero_stage": 2,
    "attention": "eager",
    "packing": False,
}
SETTINGS |= {"gradient_checkpointing": False, "train_micro_batch": 4, "rollout_micro_batch": 4, "max_prompt_tokens": 16}
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
        prompts = tiny_prompts(12)
        self.root, self.ids = root, list(prompts["prompt_id"])
        training = {"backend": "openrlhf", "group_size": GROUP, "save_every_steps": SAVE, "eval_every_steps": 6}
        openrlhf = {**SETTINGS, "python": str(python)}
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
        self.box = Mailbox(self.folder / "mailbox")
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

    def alive(self):
        assert self.process.poll() is None, self.text()[-4000:]

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

    def outcome(self, step):
        """What the reward function saw of a step, by slot, whatever was asked for."""
        lines = [line for line in self.audit() if line["step"] == step]
        groups = [[line for line in lines if line["slot"] == slot] for slot in sorted({line["slot"] for line in lines})]
        ids = tuple("/".join(sorted({line["id"] for line in group})) for group in groups)
        counts = tuple(sum(line["reward"] == 1.0 for line in group) for group in groups)
        return BatchOutcome(step, ids, tuple(map(len, groups)), counts)


def saved(root):
    return (root / "ckpt" / "_actor" / f"global_step{SAVE}").exists()


def test_an_adaptive_curriculum_is_followed_exactly(openrlhf_python, policy, tmp_path):
    with Attempt(openrlhf_python, policy, tmp_path) as trainer:
        curriculum, asked, reports, outcomes = FeedbackCurriculum(trainer.ids, SIZE), [], [], []
        for step in range(STEPS):
            asked.append(curriculum.next_batch(step))
            trainer.box.send_batch(step, asked[-1])
            reports.append(trainer.box.wait_for_report(step, trainer.alive))
            outcomes.append(trainer.outcome(step))
            curriculum.observe(outcomes[-1])  # the next batch depends on these rewards
            if step == SAVE - 1:
                time.sleep(1.0)
                assert not saved(tmp_path)  # its books are not on disk, for all that the trainer knows
        trainer.box.send_batch(STEPS, [])
        assert trainer.end() == (0, "")

    assert [list(o.prompt_ids) for o in outcomes] == asked
    assert all(o.n_rollouts == (GROUP,) * SIZE for o in outcomes)
    assert asked != expected_batches(trainer.ids, SIZE, [[0] * SIZE] * STEPS)  # rewards did decide
    assert [r.metrics["plan_step"] for r in reports] == list(range(STEPS))
    for report, outcome in zip(reports, outcomes, strict=True):
        assert report.metrics["reward"] == pytest.approx(sum(outcome.n_correct) / (SIZE * GROUP))
        assert report.metrics["reward_error"] == report.metrics["reward_unknown"] == 0.0
    trained = [r.metrics["actor_grad_norm"] > 0 for r in reports]
    assert trained == [any(0 < n < GROUP for n in o.n_correct) for o in outcomes]  # real steps, on these rollouts
    assert [e.step for e in trainer.box.evaluations(set())] == [6, 12]
    held_out = [line["id"] for line in trainer.audit() if line["step"] == -1]
    assert sorted(held_out) == ["p12"] * 8 + ["p13"] * 8
    assert saved(tmp_path)
    assert (tmp_path / "final" / "model.safetensors").is_file()


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
        trainer.wait_until(lambda: "RolloutRayActor" in trainer.text(), "the start of an engine")
        driver.kill()
        driver.communicate()
        code, sentence = trainer.end()
        assert (code, sentence) == (6, "saerl: the process that holds the curriculum is gone; this trainer ends")
        trainer.wait_until(lambda: not working_for(tmp_path), "the end of Ray's processes")


def working_for(root):
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(root) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
