"""The commands about champions: retrain, rollback, champion."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from saerl_core.config.run import GateConfig
from saerl_core.environment import apply, project_root
from saerl_core.errors import BackendError, ConfigError, SaerlError
from saerl_core.promotion.targets import TARGETS_FILE, target_for

_STACK = click.option(
    "-s", "--stack", envvar="SAERL_RETRAIN_STACK", help="ZenML stack; that of --ref, or the active one, without it."
)
_ACTIVE_STACK = click.option("-s", "--stack", help="ZenML stack; the active one without it.")
_MODEL = click.option(
    "-m", "--model", default=GateConfig().model_name, show_default=True, help="Name of the registered model."
)


@click.command()
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(dir_okay=False),
    envvar="SAERL_RETRAIN_CONFIG",
    help="A run file; that of --ref, or the defaults, without it. Its section `gate` judges.",
)
@click.option("--ref", help=f"Git ref or branch: takes run file and stack from {TARGETS_FILE}.")
@click.option(
    "--force", is_flag=True, envvar="SAERL_RETRAIN_FORCE", help="Train and judge although nothing that matters changed."
)
@_STACK
@click.option(
    "--summary",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the page with checks, comparison table and links here, as Markdown; without it GitHub's job summary.",
)
def retrain(path: str | None, ref: str | None, force: bool, stack: str | None, summary: Path | None) -> None:
    """Retrain where data, configuration or code changed, and let the gate decide about the champion.

    \b
    python -m pipelines retrain -c configs/embedded_smoke.yaml   # promoted: there is no champion yet
    python -m pipelines retrain -c configs/embedded_smoke.yaml   # skipped: nothing changed
    python -m pipelines champion -m saerl-smoke                  # what is the champion, and why

    Exit codes: 0 promoted or skipped, 3 rejected by the gate, others are errors. docs/retraining.md says more. CI may
    set -c, -s and --force as SAERL_RETRAIN_CONFIG, SAERL_RETRAIN_STACK and SAERL_RETRAIN_FORCE; empty means not set.
    """  # noqa: D301 (click wants the character)
    try:
        if ref:
            target = target_for(ref, project_root())
            path, stack = path or str(project_root() / target.config), stack or target.stack
        with _on_stack(stack):
            from pipelines import retrain as retraining

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
@_ACTIVE_STACK
def rollback(to: int | None, model: str, stack: str | None) -> None:
    """Make an earlier champion the champion again.

    The version that it replaces is marked: a retraining with the same data, configuration and code does not bring it
    back, unless forced.
    """
    try:
        with _on_stack(stack):
            from pipelines import retrain as retraining

            before, after = retraining.rollback(model, to)
    except SaerlError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"version {after} of '{model}' is the champion; before it was {before or 'none'}")


@click.command()
@_MODEL
@_ACTIVE_STACK
def champion(model: str, stack: str | None) -> None:
    """Show the champion, the challenger, and every version with its verdict and the reason."""
    try:
        with _on_stack(stack):
            from tracking.registry import CHALLENGER, CHAMPION, connect

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


@contextmanager
def _on_stack(stack: str | None) -> Iterator[None]:
    """Use a stack for a while; what ZenML says where it cannot becomes a sentence."""
    apply()
    if os.environ.get("ZENML_STORE_URL") == "":  # what CI makes of a secret that nobody has set
        raise ConfigError(
            "ZENML_STORE_URL is set, but empty; set the repository's secret of that name to the address of your ZenML "
            "server, or remove the variable to use this machine's store"
        )
    from zenml.cli.utils import temporary_active_stack
    from zenml.exceptions import ZenMLBaseException

    with ExitStack() as held:
        try:
            held.enter_context(temporary_active_stack(stack_name_or_id=stack))
        except KeyError as error:
            raise ConfigError(
                f"ZenML has no stack '{stack}'; register it (`make setup` for 'saerl', deploy/stacks/register.py for a "
                "cluster), or name another one: `zenml stack list` shows them"
            ) from error
        except (RuntimeError, ZenMLBaseException) as error:
            raise BackendError(
                f"the ZenML server does not let us in: {str(error).splitlines()[0]}; check ZENML_STORE_URL, "
                "ZENML_STORE_API_KEY and that the server runs"
            ) from error
        yield


def _write(summary: Path | None, page: str) -> None:
    """Write the page where it was asked for; append it to a job summary on GitHub."""
    if summary is not None:
        summary.parent.mkdir(parents=True, exist_ok=True)
        summary.write_text(page)
    elif os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a") as stream:
            stream.write(page)


COMMANDS = (retrain, rollback, champion)
