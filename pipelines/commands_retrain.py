"""The commands about champions: retrain, rollback, champion."""

import os
from pathlib import Path

import click

from saerl_core.config import GateConfig
from saerl_core.environment import apply
from saerl_core.errors import SaerlError

_STACK = click.option("-s", "--stack", help="ZenML stack; the active one without it.")
_MODEL = click.option(
    "-m", "--model", default=GateConfig().model_name, show_default=True, help="Name of the registered model."
)


@click.command()
@click.option("-c", "--config", "path", type=click.Path(dir_okay=False), help="A run file; its section `gate` judges.")
@click.option("--force", is_flag=True, help="Train and judge although nothing that matters changed.")
@_STACK
@click.option("--summary", type=click.Path(dir_okay=False, path_type=Path), help="Markdown page; $GITHUB_STEP_SUMMARY.")
def retrain(path: str | None, force: bool, stack: str | None, summary: Path | None) -> None:
    """Retrain where data, configuration or code changed; the gate decides about the champion.

    Exit codes: 0 promoted or skipped, 3 rejected by the gate, others are errors.
    """
    apply()
    try:
        from zenml.cli.utils import temporary_active_stack

        from pipelines import retrain as retraining

        with temporary_active_stack(stack_name_or_id=stack):
            outcome = retraining.retrain(path, force=force)
    except (SaerlError, click.ClickException) as error:
        text = error.message if isinstance(error, click.ClickException) else str(error)
        _write(summary, f"# Retraining failed\n\n```\n{text.replace('```', '')}\n```\n")
        raise click.ClickException(text) from error
    _write(summary, outcome.page)
    click.echo(f"{outcome.kind}: version {outcome.version}. {outcome.reason}")
    code = retraining.EXIT_CODES[outcome.kind]
    if code:
        raise SystemExit(code)


@click.command()
@click.option("--to", type=int, help="Version to go back to; the one that the champion replaced without it.")
@_MODEL
@_STACK
def rollback(to: int | None, model: str, stack: str | None) -> None:
    """Make an earlier champion the champion again."""
    apply()
    try:
        from zenml.cli.utils import temporary_active_stack

        from pipelines import retrain as retraining

        with temporary_active_stack(stack_name_or_id=stack):
            before, after = retraining.rollback(model, to)
    except SaerlError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"version {after} of '{model}' is the champion; before it was {before or 'none'}")


@click.command()
@_MODEL
@_STACK
def champion(model: str, stack: str | None) -> None:
    """Show the champion, the challenger, and every version with its verdict."""
    apply()
    try:
        from zenml.cli.utils import temporary_active_stack

        from steps._registry import CHALLENGER, CHAMPION, connect

        with temporary_active_stack(stack_name_or_id=stack):
            registry = connect(model)
            aliases = {alias: registry.holder(alias) for alias in (CHAMPION, CHALLENGER)}
            versions = registry.versions()
    except SaerlError as error:
        raise click.ClickException(str(error)) from error
    if not versions:
        raise click.ClickException(f"there is no version of '{model}' yet; run `python -m pipelines retrain` first")
    for version in versions:
        names = " ".join(f"@{alias}" for alias, policy in aliases.items() if policy == version)
        score = "" if version.pass_at_1 is None else f"pass@1 {version.pass_at_1:.1%}"
        click.echo(f"{version.version:>4}  {version.verdict:<12} {score:<14} {names:<12} {version.pipeline_run}")
        click.echo(f"      {version.reason}")


def _write(summary: Path | None, page: str) -> None:
    """Write the page where it was asked for; append it to a job summary on GitHub."""
    if summary is not None:
        summary.parent.mkdir(parents=True, exist_ok=True)
        summary.write_text(page)
    elif os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a") as stream:
            stream.write(page)


COMMANDS = (retrain, rollback, champion)
