"""`python -m pipelines export`: a plan for a trainer that keeps a given order."""

import json
from pathlib import Path

import click
import pandas as pd

from saerl_core.errors import ConfigError, DataError, SaerlError
from saerl_core.export.formats import FORMATS
from saerl_core.export.records import ExportOptions
from saerl_core.plans import BatchPlan
from saerl_core.records import PromptFormat

_OWN = ("prompt_id", "prompt", "answer")  # the columns of a table of prompts that has its ids already
_Planned = tuple[BatchPlan, pd.DataFrame, ExportOptions]


@click.command("export")
@click.argument("plan")
@click.option("--format", "name", required=True, metavar="FORMAT", help=f"One of {', '.join(FORMATS)}.")
@click.option("--out", "folder", required=True, type=click.Path(path_type=Path), help="Folder that is written.")
@click.option("--prompts", type=click.Path(path_type=Path), help="The file of prompts that a saved plan was made from.")
@click.option("--group-size", type=int, help="Completions a prompt; a run has its own.")
@click.option("--grading", help="How a reward is given where the export has one; a run has its own.  [default: math]")
@click.option("--chat", is_flag=True, help="The model reads prompts through its chat template; a run says it itself.")
@click.option("--system-prompt", help="System message, with --chat.")
@click.option("--prompt-suffix", help="Text behind every prompt.")
@click.option("--overwrite", is_flag=True, help="Replace the files of an earlier export in the folder.")
def export(  # noqa: PLR0913, PLR0917 (one argument an option)
    plan: str,
    name: str,
    folder: Path,
    prompts: Path | None,
    group_size: int | None,
    grading: str | None,
    chat: bool,
    system_prompt: str | None,
    prompt_suffix: str | None,
    overwrite: bool,
) -> None:
    """Write PLAN for a trainer: data in its layout, the settings that keep the order, a page.

    PLAN is a folder that save_plan wrote, with --prompts, or a pipeline run: its name, its id, or `latest`.
    """
    from saerl_core.export.formats import find
    from saerl_core.export.write import export_plan

    reads = None
    if chat or system_prompt is not None or prompt_suffix is not None:
        reads = PromptFormat(chat, system_prompt, prompt_suffix or "")
    given = ExportOptions(reads, grading or "", group_size)
    try:
        find(name)  # before anything is loaded
        found, table, options = _saved(plan, prompts, given) if Path(plan).is_dir() else _run(plan, prompts, given)
        done = export_plan(found, table, name, folder, options, overwrite=overwrite)
    except SaerlError as error:
        raise click.ClickException(str(error)) from error
    click.echo(
        f"{folder}: {len(done.rows)} rows, {done.n_steps} steps of {done.prompts_per_step} prompts in {done.order} "
        f"order, for {FORMATS[name].title}; README.md there says how to start"
    )


def _saved(plan: str, prompts: Path | None, given: ExportOptions) -> _Planned:
    from saerl_core.plan.storage import load_plan

    if prompts is None:
        raise ConfigError(f"{plan} holds a plan without texts; name the prompts that it was made from with --prompts")
    options = ExportOptions(given.prompt_format, given.grading or "math", given.group_size)
    found = load_plan(plan)
    return found, _table(prompts, set(found.decisions["prompt_id"])), options


def _run(plan: str, prompts: Path | None, given: ExportOptions) -> _Planned:
    from pipelines.planned import planned_run

    if prompts is not None:
        raise ConfigError(f"--prompts goes with a folder, and '{plan}' is none; a run has its prompts already")
    found = planned_run(plan)
    own = found.options
    options = ExportOptions(
        _over(given.prompt_format, own.prompt_format),
        given.grading or own.grading,
        own.group_size if given.group_size is None else given.group_size,
        own.receipts,
    )
    return found.plan, found.prompts, options


def _over(given: PromptFormat | None, own: PromptFormat | None) -> PromptFormat | None:
    """Return a run's format with what was given on the command line in its place, piece by piece."""
    if given is None or own is None:
        return given or own
    return PromptFormat(
        given.chat_template or own.chat_template,
        own.system_prompt if given.system_prompt is None else given.system_prompt,
        given.prompt_suffix or own.prompt_suffix,
    )


def _table(path: Path, ids: set[str]) -> pd.DataFrame:
    """Read a file of prompts: a table with the plan's ids as it is, any other as `load_prompts` reads it."""
    from saerl_core.face import load_prompts

    if not path.exists():
        raise ConfigError(f"--prompts is '{path}', but there is no such file")
    table = _with_ids(path)
    if table is None or ids.isdisjoint(table["prompt_id"].astype(str)):  # ids of the file's own, unknown to the plan
        return load_prompts(path).train
    return table


def _with_ids(path: Path) -> pd.DataFrame | None:
    try:
        if path.is_dir():
            return None
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        elif path.suffix == ".jsonl":
            lines = path.read_text(encoding="utf-8").split("\n")
            table = pd.DataFrame([json.loads(line) for line in lines if line.strip()])
        else:
            return None
    except (OSError, ValueError) as error:  # pyarrow's and JSON's errors are ValueErrors
        raise DataError(f"'{path}' cannot be read: {error}") from error
    return table if set(_OWN) <= set(table.columns) else None
