"""What the launcher says of an error, which may have been raised in another process of Ray."""

import pytest

from saerl_core.errors import BackendError
from saerl_core.training.openrlhf import launch
from saerl_core.training.openrlhf.controller import PlanNotInForceError

REMOTE = """ray::PPOTrainer.fit() (pid=7, ip=10.0.0.1)
  File "controller.py", line 45, in fit
saerl_core.training.openrlhf.controller.{name}: it draws prompts elsewhere: lost
"""


class RayTaskError(Exception):
    """What Ray raises for an error in another process."""


DIED = """ray::PPOTrainer.fit() (pid=7, ip=10.0.0.1)
ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.
\tclass_name: PolicyModelActor
\tactor_id: 908f
\tip: 10.0.0.1
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker
unexpectedly exits. Some common causes include: (1) the process was killed by the OOM killer due to high memory usage
"""
ADVICE = (
    ", a process of the trainer, was killed, most likely because the machine ran out of memory: lower "
    "training.openrlhf.vllm_memory_frac, train_micro_batch or rollout_micro_batch, or take a larger machine; the same "
    "command goes on at the last checkpoint"
)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (PlanNotInForceError("order: lost"), 5, "order: lost"),
        (RayTaskError(REMOTE.format(name="PlanNotInForceError")), 5, "it draws prompts elsewhere: lost"),
        (RayTaskError(REMOTE.format(name="BackendError")), 1, "it draws prompts elsewhere: lost"),
        (BackendError("a sentence"), 1, "a sentence"),
        (
            RayTaskError("ray::X()\n  File x\ntorch.OutOfMemoryError: no memory"),
            1,
            "the trainer failed: torch.OutOfMemoryError: no memory",
        ),
        (RayTaskError(DIED), 1, f"PolicyModelActor{ADVICE}"),
        (RayTaskError("1 worker(s) were killed due to the node running low on memory."), 1, f"a worker{ADVICE}"),
        (KeyError("episode"), 1, "the trainer failed: KeyError: 'episode'"),
        (RuntimeError(), 1, "the trainer failed: RuntimeError: no message"),
    ],
)
def test_explain(error, code, sentence):
    assert launch.explain(error) == (code, sentence)
