"""A plan comes home: measured pass rates of its prompts from a trainer's own rollout log."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from saerl_core.errors import ConfigError, DataError
from saerl_core.export.exported import Exported, read_exported
from saerl_core.export.joining import join
from saerl_core.export.logs import Rollout, find_log
from saerl_core.export.reading import read_log
from saerl_core.export.records import PlannedRow
from saerl_core.export.trained import TrainedOrder, trained_order
from saerl_core.protocols import BatchOutcome
from saerl_core.schema import Column, TableSchema

MEASURED = TableSchema(  # the planned prompts in the order of their first use
    "measured",
    {
        "prompt_id": Column("str"),
        "prompt": Column("str"),
        "answer": Column("str"),
        "pass_rate": Column("float", 0.0, 1.0, nullable=True),  # n_correct / n_rollouts; missing where none was logged
        "n_rollouts": Column("int", 0),
        "n_correct": Column("int", 0),
        "last_step": Column("float", 0, nullable=True),  # of its last logged use, counted from 0
        "source": Column("str", nullable=True),
        "licence": Column("str", nullable=True),
    },
    key=("prompt_id",),
)
_RIGHT = 0.5  # a reward from here on counts as correct
_ENOUGH = 0.5  # share of the rollouts that must be of the plan
_UNIT = (0.0, 1.0)


@dataclass(frozen=True)
class ObservedRollouts:
    """Pass rates that a training measured, and whether it trained what was planned."""

    table: pd.DataFrame  # `MEASURED`
    n_rollouts: int  # in the log, with a reward
    n_joined: int
    order: TrainedOrder
    outcomes: tuple[BatchOutcome, ...]  # a step each, in order: what an online curriculum learns from
    notes: tuple[str, ...]  # on everything that was left out or is missing

    def text(self) -> str:
        """Return the summary that a person reads."""
        seen = self.table[self.table["n_rollouts"] > 0]
        rate = seen["n_correct"].sum() / seen["n_rollouts"].sum()
        lines = [
            f"{self.n_joined:,} of {self.n_rollouts:,} logged rollouts are of the plan: {len(seen):,} of its "
            f"{len(self.table):,} prompts have a measured pass rate, {100 * rate:.1f} % of their rollouts were correct",
            self.order.sentence(),
            *self.notes,
        ]
        return "\n".join(lines)


def observe(log: Path, plan_folder: Path, name: str | None = None, correct_at: float | None = None) -> ObservedRollouts:
    """Join a trainer's rollout log with the plan that `export_plan` wrote.

    `name` is the log's format, without it that of the export. A reward of at least `correct_at` is a correct answer;
    without it rewards lie in [0, 1], and 0.5 is the border. A use that was logged twice counts once, as it was last.

    Raises:
        ConfigError: there is no such format, folder or log.
        DataError: the log is of another plan, or its rewards cannot be read.
    """
    if correct_at is not None and not math.isfinite(correct_at):
        raise ConfigError(
            f"correct_at is {correct_at}; give the smallest reward of a correct completion, a finite number"
        )
    plan = read_exported(plan_folder)
    form = find_log(name or plan.card.format)
    found = read_log(log, form)
    rollouts, correct, notes = _graded(found.rollouts, correct_at)
    joined = join(plan, rollouts)
    n_joined = sum(i is not None for i in joined.ids)
    if n_joined < _ENOUGH * len(rollouts):
        raise DataError(
            f"only {n_joined} of the {len(rollouts)} rollouts in {log} ({100 * n_joined / len(rollouts):.0f} %) are of "
            f"prompts of the plan in {plan_folder}; this is the log of another plan: name the folder that it belongs to"
        )
    counted = _last_of_each(plan, rollouts, joined.ids, found.went_back)
    order = trained_order(plan, [r.step for r in rollouts], joined.ids)
    more = _on_the_join(joined.n_ambiguous, joined.n_unknown, n_joined - len(counted), len(rollouts))
    table = _table(plan, rollouts, correct, joined.ids, counted)
    outcomes = _outcomes(rollouts, correct, joined.ids, counted)
    return ObservedRollouts(table, len(rollouts), n_joined, order, outcomes, (*found.notes, *notes, *more))


def _graded(
    rollouts: Sequence[Rollout], correct_at: float | None
) -> tuple[tuple[Rollout, ...], tuple[bool, ...], tuple[str, ...]]:
    """Return the rollouts whose reward is a number, whether each is correct, and what is odd about the rewards."""
    rewards = [_number(r.reward) for r in rollouts]
    numbers = [value for value in rewards if value is not None]
    if not numbers:
        raise DataError(
            f"none of the {len(rollouts)} rewards in the log is a finite number, the first is "
            f"{rollouts[0].reward!r}; have the trainer log one number a completion"
        )
    outside = next((value for value in numbers if not _UNIT[0] <= value <= _UNIT[1]), None)
    if outside is not None and correct_at is None:
        raise DataError(
            f"a reward in the log is {outside:g}, outside [0, 1] (they run from {min(numbers):g} to {max(numbers):g}); "
            "say from which reward on a completion counts as correct: --correct-at, or correct_at from Python"
        )
    border = _RIGHT if correct_at is None else correct_at
    notes = []
    if len(numbers) < len(rewards):
        first = next(r.reward for r, value in zip(rollouts, rewards, strict=True) if value is None)
        n = len(rewards) - len(numbers)
        notes.append(f"{n} of {len(rewards)} rewards are no finite numbers and were left out, the first is {first!r}")
    n_between = sum(value not in _UNIT for value in numbers)
    if n_between and correct_at is None:
        notes.append(
            f"{n_between} of {len(numbers)} rewards are neither 0 nor 1: from {border:g} on they count as correct "
            "(--correct-at moves the border)"
        )
    kept = [(r, value >= border) for r, value in zip(rollouts, rewards, strict=True) if value is not None]
    return tuple(r for r, _ in kept), tuple(right for _, right in kept), tuple(notes)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _last_of_each(
    plan: Exported, rollouts: Sequence[Rollout], ids: Sequence[str | None], went_back: bool
) -> tuple[int, ...]:
    """Return the rollouts that count: of a step that was logged again after an interruption, the last ones.

    A prompt has as many completions a use as most prompts of the log have, or, where the log returns to earlier steps,
    as the plan says.
    """
    planned = Counter((row.step, row.prompt_id) for row in plan.rows)
    groups: dict[tuple[int, str], list[int]] = defaultdict(list)
    for i, (rollout, prompt_id) in enumerate(zip(rollouts, ids, strict=True)):
        if prompt_id is not None:
            groups[rollout.step, prompt_id].append(i)
    usual = Counter(len(found) // max(1, planned[key]) for key, found in groups.items()).most_common(1)[0][0]
    size = plan.card.group_size if went_back and plan.card.group_size is not None else usual
    return tuple(i for key, found in groups.items() for i in found[-max(1, size) * max(1, planned[key]) :])


def _on_the_join(n_ambiguous: int, n_unknown: int, n_again: int, n: int) -> list[str]:
    notes = []
    if n_ambiguous:
        notes.append(
            f"{n_ambiguous} of {n} rollouts were left out: several planned prompts have their text, and neither step "
            "nor answer tells them apart"
        )
    if n_unknown:
        notes.append(f"{n_unknown} of {n} rollouts were left out: their prompt is not in the plan")
    if n_again:
        notes.append(f"{n_again} of {n} rollouts were left out: their step was logged again later, which counts")
    return notes


def _table(
    plan: Exported,
    rollouts: Sequence[Rollout],
    correct: Sequence[bool],
    ids: Sequence[str | None],
    counted: Sequence[int],
) -> pd.DataFrame:
    n_rollouts = Counter(ids[i] for i in counted)
    n_correct = Counter(ids[i] for i in counted if correct[i])
    last: dict[str | None, int] = {}
    for i in counted:
        last[ids[i]] = max(last.get(ids[i], 0), rollouts[i].step)
    first_use: dict[str, PlannedRow] = {}
    for row in plan.rows:
        first_use.setdefault(row.prompt_id, row)
    rows = [
        {
            "prompt_id": row.prompt_id,
            "prompt": plan.own_text(row),
            "answer": row.answer,
            "pass_rate": n_correct[row.prompt_id] / n_rollouts[row.prompt_id] if n_rollouts[row.prompt_id] else None,
            "n_rollouts": n_rollouts[row.prompt_id],
            "n_correct": n_correct[row.prompt_id],
            "last_step": last.get(row.prompt_id),
            "source": row.source,
            "licence": row.licence,
        }
        for row in first_use.values()
    ]
    return MEASURED.check(pd.DataFrame(rows, columns=list(MEASURED.columns)))


def _outcomes(
    rollouts: Sequence[Rollout], correct: Sequence[bool], ids: Sequence[str | None], counted: Sequence[int]
) -> tuple[BatchOutcome, ...]:
    steps: dict[int, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for i in counted:
        steps[rollouts[i].step][str(ids[i])].append(correct[i])
    return tuple(
        BatchOutcome(step, tuple(found), tuple(map(len, found.values())), tuple(map(sum, found.values())))
        for step, found in sorted(steps.items())
    )


def write_measured(table: pd.DataFrame, path: Path) -> None:
    """Write measured pass rates as prompts that the next plan starts from, .jsonl or .parquet.

    Raises:
        ConfigError: the name has another ending, or the file is there already.
        DataError: it cannot be written.
    """
    check_target(path)
    table = table.astype({"last_step": "Int64"})
    try:
        if path.suffix == ".parquet":
            table.to_parquet(path, index=False)
        else:
            table.to_json(path, orient="records", lines=True, force_ascii=False, double_precision=15)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error}; free some space or name another file") from error


def check_target(path: Path) -> None:
    """Raise `ConfigError` where measured pass rates cannot go into a file of this name."""
    if path.suffix not in (".jsonl", ".parquet"):
        raise ConfigError(
            f"the measured pass rates cannot go into '{path}'; name a file that ends in .jsonl or .parquet"
        )
    if path.exists():
        raise ConfigError(f"{path} is there already; name another file, or remove it")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent} for {path.name}; make it first, or name another")
