"""One step after another: the prompts that a curriculum asks for, and the rewards that it gets before the next ones."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saerl_core.errors import ConfigError, DataError
from saerl_core.plans import BatchPlan
from saerl_core.protocols import BatchOutcome


class Steps:
    """Asks the curriculum of a plan for each batch and tells it the rewards; one trainer drives it at a time."""

    def __init__(self, plan: BatchPlan, correct_at: float = 0.5) -> None:
        """Start at step 0; a reward of at least `correct_at` counts as a correct answer."""
        from saerl_core import make_curriculum

        if not math.isfinite(correct_at):
            raise ConfigError(f"correct_at is {correct_at}; give the smallest reward of a correct answer")
        self.plan, self._correct_at = plan, correct_at
        self._curriculum = make_curriculum(plan)
        self.step = 0  # the step that is due, or whose rewards are awaited
        self._asked: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        """Say whether the rewards of the last step are in."""
        return self.step >= self.plan.n_steps

    def ask(self, n_prompts: int, setting: str) -> list[str]:
        """Return the prompts of the step that is due, in slot order; `setting` is what the trainer calls their number.

        Raises:
            ConfigError: the trainer asks for another number of prompts than a step has.
            DataError: the plan is at its end, or the rewards of the step before are not in.
        """
        size = self.plan.prompts_per_step
        if n_prompts != size:
            raise ConfigError(f"the trainer asks for {n_prompts} prompts, a step of the plan has {size}; set {setting}")
        if self._asked:
            raise DataError(
                f"the trainer asks for more prompts before the rewards of step {self.step} are in; switch off dynamic "
                "sampling, filters of groups and asynchronous rollouts"
            )
        if self.is_done:
            raise DataError(f"the plan has {self.plan.n_steps} steps, and all are trained; let the trainer stop there")
        self._asked = tuple(self._curriculum.next_batch(self.step))
        return list(self._asked)

    def tell(self, rewards: Mapping[str, Sequence[float]]) -> None:
        """Take the rewards of the batch that was asked for, by prompt; a prompt without any counts as not sampled.

        Raises:
            DataError: no batch was asked for, a prompt is not of it, a reward is not finite, or there are none at all.
        """
        strangers = [p for p in rewards if p not in self._asked]
        if strangers or not any(len(r) for r in rewards.values()):
            what = f"rewards came for prompt {strangers[0]}" if strangers else "no rewards came"
            raise DataError(
                f"{what} at step {self.step}, which asked for {len(self._asked)} prompts; train on exactly the batch "
                "that was given, and hand its rewards back once"
            )
        wrong = next((r for values in rewards.values() for r in values if not math.isfinite(r)), None)
        if wrong is not None:
            raise DataError(f"a reward of step {self.step} is {wrong}; rewards must be finite numbers")
        places = [self._asked[:i].count(p) for i, p in enumerate(self._asked)]  # a prompt may stand in a batch twice
        found = [
            [r >= self._correct_at for r in list(rewards.get(p, ()))[place :: self._asked.count(p)]]
            for p, place in zip(self._asked, places, strict=True)
        ]
        outcome = BatchOutcome(self.step, self._asked, tuple(map(len, found)), tuple(map(sum, found)))
        self._curriculum.observe(outcome)
        self._asked, self.step = (), self.step + 1

    def state_dict(self) -> dict[str, Any]:
        """Return the JSON-serialisable state to save beside the weights."""
        return {"step": self.step, "asked": list(self._asked), "curriculum": self._curriculum.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; `DataError` where it is that of another plan, or damaged."""
        try:
            step, asked, inner = int(state["step"]), tuple(map(str, state["asked"])), dict(state["curriculum"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"the saved state of the curriculum cannot be read ({error}); resume from another"
            ) from error
        self._curriculum.load_state_dict(inner)
        self.step, self._asked = step, asked


def open_steps(plan_folder: Path | str, correct_at: float = 0.5) -> Steps:
    """Start the plan of a folder that `save_plan` wrote; `DataError` where there is none."""
    from saerl_core import load_plan

    return Steps(load_plan(Path(plan_folder)), correct_at)
