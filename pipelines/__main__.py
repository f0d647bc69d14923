"""`saerl`, or `python -m pipelines`: pipeline and checks of `zenml pipeline run saerl`, and a few helpers."""

import json
import os
import sys
from pathlib import Path

import click

from pipelines.commands.advise import advise
from pipelines.commands.compare import compare
from pipelines.commands.explain import explain
from pipelines.commands.export import export
from pipelines.commands.fetch_model import fetch_model
from pipelines.commands.inspect import inspect
from pipelines.commands.observe import observe
from pipelines.commands.retrain import COMMANDS
from pipelines.commands.server import deliver, server
from pipelines.commands.settings import settings as settings_command
from saerl_core.config.load import load_config
from saerl_core.config.run import RunConfig
from saerl_core.config.set import read_settings
from saerl_core.environment import apply, collect_less, state_dir
from saerl_core.errors import SaerlError

CONFIG = click.option(
    "-c", "--config", "path", type=click.Path(dir_okay=False), help="A run file such as configs/embedded_vanilla.yaml."
)
SET = click.option(
    "--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="One setting, over the run file; repeatable."
)
_OF_EXTRAS = {"accelerate", "datasets", "gguf", "mlflow", "sae_lens", "torch", "transformers", "trl", "zenml"}


class Commands(click.Group):
    """Commands, of which an installation without extras runs a few: `inspect`, `export`, `observe`, `advise`."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; a package that only an extra brings is named with the extra."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in _OF_EXTRAS:
                raise
            raise click.ClickException(
                f"`saerl {ctx.invoked_subcommand}` needs {package}, which is not installed in {sys.prefix}; run `make "
                "install`, or `pip install '.[models,pipeline]'` in the folder of saerl"
            ) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Which prompts, in which order: SAE-guided data engineering for RL on language models."""
    collect_less()
    try:
        apply()
    except SaerlError as error:
        raise click.ClickException(str(error)) from error


for _command in COMMANDS:
    main.add_command(_command)


@main.command()
@CONFIG
@SET
@click.option("-s", "--stack", help="ZenML stack to run on; the active one without it.")
def run(path: str | None, settings: tuple[str, ...], stack: str | None) -> None:
    """Validate the configuration and run the pipeline."""
    _config(path, settings)
    from zenml.cli.utils import temporary_active_stack

    from pipelines.base import as_command
    from pipelines.training import saerl_pipeline

    with temporary_active_stack(stack_name_or_id=stack):
        as_command(saerl_pipeline, read_settings(settings)).with_options(config_path=path)()


@main.command()
@CONFIG
@SET
@click.option("--cost", is_flag=True, help="Measure ten prompts on this machine and say what the run will take.")
@click.option("--price-per-hour", type=float, help="With --cost: of this machine.")
def validate(path: str | None, settings: tuple[str, ...], cost: bool, price_per_hour: float | None) -> None:
    """Check a configuration, a reward function, models and SAEs, and the first rows of files; starts nothing."""
    from pipelines.look import look_at_files, look_at_pool, strategy_told
    from pipelines.placement import check_environments, shards_told
    from saerl_core.policy.named import check_models
    from saerl_core.rollouts.reward_pool import checked_function

    config = _config(path, settings)
    if price_per_hour is not None and not cost:
        raise click.ClickException("--price-per-hour needs --cost: nothing else says how many hours there are")
    try:
        check_models(config)
        checked_function(config.grading)
        check_environments(config, path)
        look_at_files(config)
        found = [*look_at_pool(config), *strategy_told(config)]
        found += shards_told(config, path, compares=bool(config.compare.arms))
    except SaerlError as error:
        raise click.ClickException(str(error)) from error
    for sentence in found:
        click.echo(sentence)
    name = path or "the default configuration"
    click.echo(f"{name} is valid" if not settings else f"{name} with {', '.join(settings)} is valid")
    if cost:
        from pipelines.commands.cost import said_beforehand

        try:
            click.echo("\n" + said_beforehand(config, price_per_hour))
        except SaerlError as error:
            raise click.ClickException(str(error)) from error


@main.command("show-config")
@CONFIG
@SET
def show_config(path: str | None, settings: tuple[str, ...]) -> None:
    """Print the resolved configuration, defaults included, as JSON."""
    click.echo(_config(path, settings).model_dump_json(indent=2))


@main.command("show-command")
@CONFIG
@SET
def show_command(path: str | None, settings: tuple[str, ...]) -> None:
    """Print the command that would start the OpenRLHF trainer, as a JSON list; starts nothing."""
    from saerl_core.training.backends import preview_command

    config = _config(path, settings)
    try:
        click.echo(json.dumps(preview_command(config)))
    except SaerlError as error:
        raise click.ClickException(str(error)) from error


@main.command()
def setup() -> None:
    """Initialise ZenML in this repository; register and activate the local stack with MLflow."""
    from pipelines.setup import setup_local_stack

    name = setup_local_stack()
    click.echo(f"ZenML stack '{name}' is active; everything is written under {state_dir()}")


@main.command()
@click.option("--port", default=5000, show_default=True, help="Port on 127.0.0.1.")
def ui(port: int) -> None:
    """Open the MLflow UI on the local database (127.0.0.1 only)."""
    from pipelines.servers import require_free, running
    from pipelines.setup import mlflow_uri

    server = running()
    if server is not None:
        raise click.ClickException(f"the MLflow server of this clone runs already: open {server.mlflow}")
    try:
        require_free(port, "--port")
    except SaerlError as error:
        raise click.ClickException(str(error)) from error
    database = state_dir() / "mlflow.db"
    if not database.is_file():
        raise click.ClickException(f"there is no {database} yet; run `make demo` or `make setup` first")
    click.echo(f"MLflow UI: http://127.0.0.1:{port}  (Ctrl-C stops it)")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", mlflow_uri(), "--workers", "1"]
    os.execv(sys.executable, [*command, "--host", "127.0.0.1", "--port", str(port)])  # noqa: S606 (no shell wanted)


@main.command()
def where() -> None:
    """Say where the last report is and how to open the MLflow UI."""
    report = state_dir() / "report.html"
    if not report.is_file():
        raise click.ClickException(f"there is no {report} yet; run `zenml pipeline run saerl` first")
    click.echo(f"report:    {_short(report)}")
    kept = sorted((state_dir() / "reports").glob("*.html"))
    if kept:
        click.echo(f"all runs:  {_short(kept[0].parent)} ({len(kept)})")
    click.echo("MLflow UI: python -m pipelines ui   (http://127.0.0.1:5000)")


main.add_command(advise)
main.add_command(compare)
main.add_command(explain)
main.add_command(export)
main.add_command(fetch_model)
main.add_command(inspect)
main.add_command(observe)
main.add_command(server)
main.add_command(settings_command)
main.add_command(deliver)


def _config(path: str | None, settings: tuple[str, ...]) -> RunConfig:
    try:
        return load_config(path, read_settings(settings))
    except SaerlError as error:
        raise click.ClickException(str(error)) from error


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    main()
