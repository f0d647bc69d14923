"""What `import saerl_core` gives beside what the rooms have already: prompts from anywhere, a plan, a verdict."""

import json
import math
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from numbers import Real
from pathlib import Path
from typing import Literal, overload

import numpy as np
import pandas as pd
from pydantic import ValidationError

from saerl_core.config.load import validate
from saerl_core.config.run import GradingConfig, PlanConfig, PromptsConfig, StrategySettings
from saerl_core.errors import ConfigError, DataError
from saerl_core.export.observe import ObservedRollouts
from saerl_core.export.observe import observe as observe_log
from saerl_core.export.records import ExportOptions
from saerl_core.export.write import export_plan as write_export
from saerl_core.face_grading import texts_of
from saerl_core.face_signals import SIGNAL_COLUMNS, Signal, described, pool_of, signal_tables, vectors_for, warn
from saerl_core.plan.as_named import naming_notes
from saerl_core.plan.build import plan_batches
from saerl_core.plan.inputs import PlanInputs
from saerl_core.plan.strategies.lookup import find
from saerl_core.plans import BatchPlan
from saerl_core.prompts.load import load_prompts as load_configured
from saerl_core.prompts.read import format_of, read_rows
from saerl_core.prompts.rows import RawRow
from saerl_core.records import PromptFormat, PromptSet, PromptVectors
from saerl_core.rollouts.grading import Grader, Verdict
from saerl_core.rollouts.same_answers import same_answers

Rows = Iterable[Mapping[str, object]]
Kind = Literal["task_world", "exact", "math", "lm_eval", "qwen_math", "lighteval"]


def load_prompts(
    source: PromptsConfig | str | Path | pd.DataFrame | Rows,
    *,
    columns: Mapping[str, str | None] | None = None,
    answer_after: str | None = None,
    seed: int = 0,
) -> PromptSet:
    """Load prompts from a file, from rows (mappings or a DataFrame), or as a `PromptsConfig` says.

    Layouts are recognised as in a run; `columns` and `answer_after` are the settings of these names. The pool is
    `.train`; `.issues` lists every rejected or odd row by its line, for rows counted from 1. Columns `cluster`,
    `difficulty`, `quality` and `keep` stand in `.train` too, for `make_plan`.

    Raises:
        ConfigError: there is no such file, or a setting is unknown.
        DataError: no row can be used.
    """
    if isinstance(source, PromptsConfig):
        if columns is not None or answer_after is not None:
            raise ConfigError("columns and answer_after were given beside a PromptsConfig; set them in it")
        return _loaded(source, seed)
    given = {"source": "file", "columns": dict(columns or {}), "answer_after": answer_after}
    if isinstance(source, str | Path):
        return _loaded(_prompts_config({**given, "path": str(source)}), seed)
    if not isinstance(source, Iterable):
        raise DataError(f"prompts are a {type(source).__name__}; give a path, rows, a DataFrame or a PromptsConfig")
    rows = [_plain_row(i, row) for i, row in enumerate(_records(source), 1)]
    with tempfile.TemporaryDirectory() as folder:  # so that rows are read as those of a file are, to the letter
        path = Path(folder) / "rows"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return _loaded(_prompts_config({**given, "path": str(path), "format": "jsonl"}), seed)


def make_plan(  # noqa: PLR0913 (prompts, sizes and one argument a signal, all but the first two by name)
    prompts: PromptSet | PromptsConfig | str | Path | pd.DataFrame | Rows,
    strategy: str | Mapping[str, object] | StrategySettings,
    *,
    prompts_per_step: int = 32,
    n_steps: int | None = None,
    seed: int = 0,
    quality: Signal | None = None,
    clusters: Signal | None = None,
    difficulty: Signal | None = None,
    vectors: PromptVectors | np.ndarray | None = None,
    min_quality: float = 0.5,
) -> BatchPlan:
    """Plan which prompts go into which batch; `plan.table` is the order, `plan.decisions` what became of every prompt.

    `strategy` is a name, or a name with settings as in a run file. `n_steps` None is one epoch. A signal is a table of
    `saerl_core.tables`, one value a prompt, or the name of a column; without one the columns `quality` (or `keep`),
    `cluster`, `difficulty`, `known_pass_rate` and `level` of the prompts are looked for. Where there are none either,
    nothing is left out, all prompts are one cluster, or equally hard; `plan.notes` says so, and a warning where the
    strategy reads it. `min_quality`: below it a prompt is left out by strategies that filter.

    Raises:
        ConfigError: the strategy or a setting is unknown or out of range.
        DataError: a signal does not fit the prompts, or too few prompts fill no batch.
    """
    if not 0.0 <= min_quality <= 1.0:
        raise ConfigError(f"min_quality is {min_quality}, but qualities lie from 0 to 1, and so must it")
    config = _plan_config({"strategy": strategy, "prompts_per_step": prompts_per_step, "n_steps": n_steps})
    pool = pool_of(_table(prompts))
    tables = signal_tables(pool, quality, clusters, difficulty, min_quality)
    known, about = vectors_for(tables.prompts, config.strategy, vectors, seed)
    inputs = PlanInputs(tables.prompts, tables.quality, tables.clusters, tables.difficulty)
    plan, report = plan_batches(inputs, config, seed, known)
    row = find(config.strategy.name)
    warn(tables.missing, row.signals, config.strategy)
    notes = (*tables.notes, *described(tables.missing), *about, *naming_notes(plan, config), *report.notes)
    return replace(plan, notes=notes)


def export_plan(
    plan: BatchPlan,
    prompts: PromptSet | PromptsConfig | str | Path | pd.DataFrame | Rows,
    format: str,
    folder: Path | str,
    *,
    prompt_format: PromptFormat | None = None,
    grading: Kind = "math",
    group_size: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write a plan for a trainer that keeps a given order: its data and settings, `plan.json`, a page how to start.

    Formats: docs/export.md. `prompts` are those that the plan was made from. `prompt_format` says how the policy reads
    them (`saerl_core.records.PromptFormat`), `grading` how a reward is given where the export has one, `group_size` how
    many completions a prompt gets. `overwrite` replaces the files of an earlier export in the folder, and no others.

    Raises:
        ConfigError: there is no such format, the trainer keeps no order, or the folder is in use.
        DataError: the plan has no order yet or does not go with the prompts, or the folder cannot be written.
    """
    options = ExportOptions(prompt_format, grading, group_size)
    write_export(plan, _table(prompts), format, Path(folder), options, overwrite=overwrite)


def observe_rollouts(
    log: Path | str, plan_folder: Path | str, format: str | None = None, *, correct_at: float | None = None
) -> ObservedRollouts:
    """Join a trainer's rollout log with the exported plan that it trained on; `.table` has measured pass rates.

    `format` is the log's, without it that of the export; docs/export.md lists them. A reward of at least `correct_at`
    is a correct answer. `.table` goes into `make_plan` as prompts, or as the difficulty of a larger pool; `.text()`
    says whether what was trained is what was planned, and what was left out.

    Raises:
        ConfigError: there is no such format, folder or log.
        DataError: the log is of another plan, or its rewards cannot be read.
    """
    return observe_log(Path(log), Path(plan_folder), format, correct_at)


@overload
def grade(completions: str, golds: str, kind: Kind = "math") -> Verdict: ...


@overload
def grade(
    completions: list[str] | tuple[str, ...], golds: str | Sequence[str], kind: Kind = "math"
) -> list[Verdict]: ...


def grade(completions: str | Sequence[str], golds: str | Sequence[str], kind: Kind = "math") -> Verdict | list[Verdict]:
    """Return the verdict on a completion, or one on each of several; a single gold answer counts for all of them.

    `verdict.correct` is True, False, or None where the grader cannot tell. Kinds: docs/grading.md.

    Raises:
        DataError: the two lists differ in length, or hold something else than texts.
    """
    one = isinstance(completions, str)
    texts = texts_of(completions, "completion")
    answers = [golds] * len(texts) if isinstance(golds, str) else texts_of(golds, "gold answer")
    try:
        config = GradingConfig(kind=kind)
    except ValidationError:
        config = validate({"grading": {"kind": kind}}).grading  # the same message as in a run file
    with Grader(config) as grader:
        verdicts = grader.grade(texts, answers)
    return verdicts[0] if one else verdicts


def _prompts_config(given: Mapping[str, object]) -> PromptsConfig:
    try:
        return PromptsConfig.model_validate(given)
    except ValidationError:
        return validate({"prompts": given}).prompts  # raises what a run file would get


def _plan_config(given: Mapping[str, object]) -> PlanConfig:
    try:
        config = PlanConfig.model_validate(given)
    except ValidationError:
        try:
            config = validate({"plan": given}).plan  # raises what a run file would get
        except ConfigError as error:  # but for the default
            raise ConfigError(
                re.sub(r"(plan\.n_steps = .*; leave it out for )120", r"\1one epoch", str(error))
            ) from error
    problems = list(config.strategy.problems())
    if problems:
        raise ConfigError("\n".join(problems))
    return config


def _table(prompts: PromptSet | PromptsConfig | str | Path | pd.DataFrame | Rows) -> pd.DataFrame:
    if isinstance(prompts, PromptSet):
        return prompts.train
    if isinstance(prompts, pd.DataFrame) and "prompt_id" in prompts:
        return prompts
    return load_prompts(prompts).train


def _records(source: pd.DataFrame | Rows) -> Iterable[Mapping[str, object]]:
    return source.to_dict("records") if isinstance(source, pd.DataFrame) else source  # type: ignore[return-value]


def _plain_row(number: int, row: object) -> dict[str, object]:
    """Return a row as JSON has it; `DataError` for what is no row, or holds what no text file could."""
    if not isinstance(row, Mapping):
        raise DataError(
            f"row {number} is a {type(row).__name__}; give mappings such as {{'prompt': ..., 'answer': ...}}"
        )
    return {str(name): _plain(value, f"column '{name}' of row {number}") for name, value in row.items()}


def _plain(value: object, where: str) -> object:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, where) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, where) for inner in value]
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):  # a missing number of a DataFrame
        return None if math.isnan(value) else value
    if isinstance(value, bytes | bytearray):
        raise DataError(f"{where} holds bytes; decode them to a text, or leave the column out")
    return value if isinstance(value, str | int) else float(value) if isinstance(value, Real) else str(value)


def _loaded(config: PromptsConfig, seed: int) -> PromptSet:
    """Load the prompts, with the signals that stand in their file."""
    found = load_configured(config, seed, same_answers)
    if config.source != "file" or config.path is None:
        return found
    path = Path(config.path).expanduser()
    raws = read_rows(path, format_of(path, config.format), config.dataset_split)
    readable = (raw for raw in raws if isinstance(raw, RawRow))
    first = next(readable, None)
    is_table = format_of(path, config.format) != "jsonl"  # the same columns in every row
    if first is None or (is_table and not set(SIGNAL_COLUMNS) & set(first.values)):
        return found
    issues = found.issues
    rejected = set(issues.loc[issues["rejected"] & (issues["file"] == path.name), "line"])
    kept = [raw.values for raw in chain([first], readable) if raw.line not in rejected][: len(found.train)]
    train = found.train.copy()
    for name in SIGNAL_COLUMNS:
        values = [None if row.get(name) == "" else row.get(name) for row in kept]  # a CSV file knows no other nothing
        if any(value is not None for value in values):
            train[name] = pd.Series(values, index=train.index)
    return replace(found, train=train)
