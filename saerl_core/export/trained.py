"""What was trained against what was planned, as far as a rollout log shows it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from saerl_core.export.exported import Exported


@dataclass(frozen=True)
class Difference:
    """The first step that trained on a prompt which is not planned there."""

    step: int
    planned: str | None  # a prompt of the step without rollouts; None where all have some
    trained: str | None  # None: a prompt that is not in the plan at all


@dataclass(frozen=True)
class TrainedOrder:
    """How the steps of a log go with those of the plan."""

    n_planned: int
    n_logged: int
    missing: tuple[int, ...]  # planned steps of which nothing was logged
    partly: tuple[int, ...]  # steps in which a planned prompt has no rollouts, and no other prompt came in its place
    difference: Difference | None
    n_different: int = 0  # steps that trained on a prompt which is not planned there

    @property
    def as_planned(self) -> bool:
        """Say whether every logged step trained on its planned prompts and on no others."""
        return self.difference is None and not self.partly

    def sentence(self) -> str:
        """Say in words whether what was trained is what was planned."""
        n = self.n_logged
        lines = []
        if self.difference is not None:
            d = self.difference
            want = "no further prompt" if d.planned is None else f"prompt {d.planned}"
            got = "a prompt that is not in the plan" if d.trained is None else f"prompt {d.trained}"
            lines.append(
                f"what was trained is NOT what was planned: in step {d.step} the plan has {want}, the log has {got} "
                f"({self.n_different} of {n} logged steps differ)"
            )
        elif self.partly:
            lines.append(
                f"nothing else than the plan was trained, but {_steps(self.partly)} "
                f"{'lacks' if len(self.partly) == 1 else 'lack'} rollouts of planned prompts"
            )
        else:
            lines.append(f"trained as planned in {'all' if not self.missing else f'{n} of'} {self.n_planned} steps")
        if self.missing:
            lines.append(f"the log has nothing of {_steps(self.missing)}")
        return "\n".join(lines)


def trained_order(plan: Exported, steps: Sequence[int], ids: Sequence[str | None]) -> TrainedOrder:
    """Compare the prompts of every logged step with the planned ones; order inside a step does not count.

    Trainers sort a step's rollouts by group, length or id before they write them down.
    """
    trained: dict[int, dict[str | None, None]] = defaultdict(dict)
    for step, prompt_id in zip(steps, ids, strict=True):
        trained[step][prompt_id] = None
    partly, difference, n_different = [], None, 0
    for step in sorted(trained):
        planned = [row.prompt_id for row in plan.batch(step)]
        lost = [p for p in planned if p not in trained[step]]
        other = [p for p in trained[step] if p not in planned]
        n_different += bool(other)
        if other and difference is None:
            difference = Difference(step, lost[0] if lost else None, other[0])
        elif lost and not other:
            partly.append(step)
    missing = tuple(step for step in range(plan.card.n_steps) if step not in trained)
    return TrainedOrder(plan.card.n_steps, len(trained), missing, tuple(partly), difference, n_different)


def _steps(steps: Sequence[int]) -> str:
    """Name steps, runs of them as ranges: "steps 3, 7 to 9 and 12"."""
    runs: list[list[int]] = []
    for step in steps:
        if runs and runs[-1][-1] == step - 1:
            runs[-1].append(step)
        else:
            runs.append([step])
    words = [str(r[0]) if len(r) == 1 else f"{r[0]} to {r[-1]}" for r in runs]
    if len(words) > 6:
        words = [*words[:6], f"{len(words) - 6} more places"]
    last = words.pop()
    return f"step{'' if len(steps) == 1 else 's'} {', '.join(words)}{' and ' if words else ''}{last}"
