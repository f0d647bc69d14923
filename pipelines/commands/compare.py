"""`python -m pipelines compare`: arms and seeds of a run file, or some of them."""

import click

from saerl_core.config.load import load_config
from saerl_core.config.run import CompareConfig, RunConfig
from saerl_core.config.set import read_settings
from saerl_core.errors import ConfigError, SaerlError


@click.command("compare")
@click.option(
    "-c", "--config", "path", required=True, type=click.Path(dir_okay=False), help="A run file with `compare`."
)
@click.option("--arms", help="Names of arms, separated by commas; the baseline is always among them.")
@click.option("--seeds", help='A number of seeds, counted from 0, or a list: "3", "7,8".')
@click.option("--workers", type=click.IntRange(min=1), help="Trials at a time.")
@click.option(
    "--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="One setting, over the run file; repeatable."
)
@click.option("-s", "--stack", help="ZenML stack to run on; the active one without it.")
def compare(
    path: str,
    arms: str | None,
    seeds: str | None,
    workers: int | None,
    settings: tuple[str, ...],
    stack: str | None,
) -> None:
    """Train arms and seeds with an equal budget of rollouts and say what each of them bought."""
    try:
        changes = read_settings(settings)
        config = narrowed(load_config(path, changes), arms, seeds, workers)
    except SaerlError as error:
        raise click.ClickException(str(error)) from error
    from zenml.cli.utils import temporary_active_stack

    from pipelines.base import as_command
    from pipelines.comparing import compare_pipeline

    section = config.compare.model_dump(mode="json", exclude_unset=True)
    with temporary_active_stack(stack_name_or_id=stack):
        as_command(compare_pipeline, {**changes, "compare": section}).with_options(config_path=path)()


def narrowed(config: RunConfig, arms: str | None, seeds: str | None, workers: int | None) -> RunConfig:
    """Return the configuration with only these arms (and the baseline), these seeds and this many workers.

    Raises:
        ConfigError: an arm is none of the file's, or the seeds are no numbers.
    """
    found = config.compare
    chosen = found.arms
    if arms is not None:
        names = {name.strip() for name in arms.split(",")} | {found.baseline}
        unknown = names - {arm.name for arm in found.arms}
        if unknown:
            raise ConfigError(f"--arms names '{min(unknown)}', but the arms are {[arm.name for arm in found.arms]}")
        chosen = tuple(arm for arm in found.arms if arm.name in names)
    numbers = found.seeds if seeds is None else _seeds(seeds)
    update = {"arms": chosen, "seeds": numbers, "workers": workers or found.workers}
    section = CompareConfig.model_validate({**found.model_dump(), **{k: _plain(v) for k, v in update.items()}})
    return config.model_copy(update={"compare": section})


def _plain(value: object) -> object:
    return (
        [arm.model_dump() for arm in value]
        if isinstance(value, tuple) and value and hasattr(value[0], "name")
        else value
    )


def _seeds(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() for part in parts):
        raise ConfigError(f'--seeds is \'{text}\'; give how many ("3"), or which, separated by commas ("7,8")')
    return tuple(range(int(parts[0]))) if len(parts) == 1 else tuple(int(part) for part in parts)
