"""Write an exported folder: the trainer's data and settings, `plan.json`, a page."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from saerl_core.errors import ConfigError, DataError
from saerl_core.export.card import CARD_NAME, Card, CardRow, Origin, Reads
from saerl_core.export.formats import find
from saerl_core.export.readme import readme
from saerl_core.export.records import ExportOptions, Format, PlanExport
from saerl_core.export.rows import collect
from saerl_core.plans import BatchPlan
from saerl_core.records import ExportedPlans

_README = "README.md"


def export_plan(
    plan: BatchPlan, prompts: pd.DataFrame, name: str, folder: Path, options: ExportOptions, *, overwrite: bool = False
) -> PlanExport:
    """Write a plan for a trainer; `prompts` has the columns prompt_id, prompt and answer.

    The folder is made where it is missing. `overwrite` replaces the files of an earlier export in it, and no others.

    Raises:
        ConfigError: there is no such format, or the folder is in use.
        DataError: the plan has no order, does not go with the prompts, or the folder cannot be written.
    """
    form = find(name)
    export = collect(plan, prompts, options)
    try:
        _make_room(folder, overwrite)
        before = _files(folder)
        form.write(export, folder)
        (folder / _README).write_text(_page(form, export), encoding="utf-8")
        card = _card(name, export, sorted(_files(folder) - before))
        (folder / CARD_NAME).write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"the plan could not be exported to {folder}: {error}; free some space or choose another folder"
        ) from error
    return export


def _page(form: Format, export: PlanExport) -> str:
    text = readme(form, export)
    return text if form.page is None else form.page(export, text)


def export_plans(
    plan: BatchPlan, prompts: pd.DataFrame, names: Sequence[str], folder: Path, options: ExportOptions
) -> tuple[ExportedPlans, int]:
    """Write a plan in several formats, each into a folder of its name; return them and the number of rows.

    What stands in such a folder is removed: it is a killed run's.

    Raises:
        ConfigError: as `export_plan`.
        DataError: as `export_plan`.
    """
    n_rows = 0
    for name in names:
        shutil.rmtree(folder / name, ignore_errors=True)
        n_rows = len(export_plan(plan, prompts, name, folder / name, options).rows)
    return ExportedPlans(folder, tuple(names)), n_rows


def _card(name: str, export: PlanExport, files: list[str]) -> Card:
    reads = export.options.prompt_format
    return Card(
        format=name,
        strategy=export.strategy,
        order=export.order,
        plan_hash=export.plan_hash,
        seed=export.seed,
        prompts_per_step=export.prompts_per_step,
        n_steps=export.n_steps,
        group_size=export.group_size,
        grading=export.options.grading,
        prompt_format=None
        if reads is None
        else Reads(
            chat_template=reads.chat_template, system_prompt=reads.system_prompt, prompt_suffix=reads.prompt_suffix
        ),
        files=tuple(files),
        rows=tuple(CardRow(row=r.row, step=r.step, slot=r.slot, prompt_id=r.prompt_id) for r in export.rows),
        origins={r.prompt_id: Origin(source=r.source, licence=r.licence) for r in export.rows if r.source or r.licence},
    )


def _make_room(folder: Path, overwrite: bool) -> None:
    """Make the folder; remove the files of an earlier export, where that was asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        return
    if not overwrite:
        raise ConfigError(
            f"folder {folder} is not empty; choose another one, or replace an earlier export in it: --overwrite, or"
            " overwrite=True in Python"
        )
    try:
        old = Card.model_validate_json((folder / CARD_NAME).read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigError(
            f"folder {folder} holds other files than an export, so nothing in it is overwritten; choose another folder"
        ) from error
    for name in (*old.files, CARD_NAME):
        if ".." not in Path(name).parts and not Path(name).is_absolute():  # a card may have been edited
            (folder / name).unlink(missing_ok=True)


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
