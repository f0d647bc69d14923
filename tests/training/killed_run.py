"""Run in a process of its own: train in child processes that SIGKILL ends where each word says, e.g. `after:4`.

A line of standard input is a run: policy, folder, changes of the settings and such words, as JSON. It is answered with
a line: of each word the exit code and the checkpoints that are left.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch

from saerl_core.policy.storage import policy_id_of
from saerl_core.records import PolicyRef
from saerl_core.training import checkpoints
from saerl_core.training.embedded.planned import PlannedTrainer, planned_trainer
from saerl_core.training.run import train_policy
from tests.training.world import FeedbackCurriculum, tiny_job, tiny_prompts

N_STEPS = 8


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train(policy: str, work_dir: str, settings: dict[str, object], where: str, step: int) -> None:
    """Train until SIGKILL: `after` the step, in the second draw of it, or while `saving` after so many steps."""
    save, draw = checkpoints.save_session, PlannedTrainer.draw

    def save_or_die(folder, session, fingerprint):
        if where == "saving" and session.next_step == step:
            kill()
        save(folder, session, fingerprint)

    def draw_or_die(self, rows, n):
        if where == "drawing" and self.session.next_step == step and self.record.n_draws == 1:
            kill()
        return draw(self, rows, n)

    def on_step(done: int, metrics: dict[str, float]) -> None:
        with Path(work_dir).with_suffix(".steps").open("a") as file:
            file.write(f"{done}\n")
        if where == "after" and done == step:
            kill()

    checkpoints.save_session, PlannedTrainer.draw = save_or_die, draw_or_die
    job = tiny_job(PolicyRef(policy, policy_id_of(policy)), Path(work_dir), n_steps=N_STEPS, **settings)
    train_policy(job, FeedbackCurriculum(list(tiny_prompts()["prompt_id"]), 4), on_step)


def run(policy: str, work_dir: str, settings: dict[str, object], kills: list[str]) -> list[str]:
    told = []
    for one in kills:
        where, _, step = one.partition(":")
        child = os.fork()
        if child == 0:
            train(policy, work_dir, settings, where, int(step))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        saved = [p.name for p in checkpoints.checkpoints(Path(work_dir) / "checkpoints")]
        told.append(f"{one} {os.waitstatus_to_exitcode(status)} {' '.join(saved)}")
    return told


def main() -> None:
    torch.set_num_threads(1)
    planned_trainer()  # imports TRL once, before the children are forked: it takes long
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        answers.write(json.dumps(run(*json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
