"""`saerl advise`: what pass rates say about a training before its GPUs are rented."""

import click
import numpy as np
import pandas as pd

from saerl_core.advice.advise import advise as advise_on
from saerl_core.advice.cost import n_label_rollouts, n_steps_of
from saerl_core.advice.records import Advice, KnownPassRates, Price, RunSize
from saerl_core.advice.words import in_words, run_in_words
from saerl_core.config.load import load_config
from saerl_core.config.run import RunConfig
from saerl_core.config.set import read_settings
from saerl_core.errors import ConfigError, DataError, SaerlError


@click.command("advise")
@click.argument("file", required=False, type=click.Path())
@click.option(
    "-c", "--config", "path", type=click.Path(dir_okay=False), help="A run file: sizes, and prompts without FILE."
)
@click.option(
    "--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", help="One setting, over the run file; repeatable."
)
@click.option("--run", "run_name", help="A finished run that measured pass rates: its name, its id, or `latest`.")
@click.option("--n-rollouts", type=int, help="Rollouts behind each pass rate, where no column n_rollouts says it.")
@click.option("--group-size", type=int, help="Completions a prompt.  [default: the run file's, else 8]")
@click.option("--tokens-per-second", type=float, help="What one GPU generates.")
@click.option("--price-per-hour", type=float, help="Of one GPU.")
def advise(
    file: str | None,
    path: str | None,
    settings: tuple[str, ...],
    run_name: str | None,
    n_rollouts: int | None,
    group_size: int | None,
    tokens_per_second: float | None,
    price_per_hour: float | None,
) -> None:
    """Say what the pass rates in FILE, or in the prompts of a run file, mean for a training: before GPUs are rented."""
    try:
        price = _price(tokens_per_second, price_per_hour, path or run_name)
        if file is None and path is None and run_name is None:
            raise ConfigError("there is nothing to advise on; name a file with pass rates, a run file with -c, or both")
        if file is not None and run_name is not None:
            raise ConfigError(f"pass rates are in '{file}' or those that run {run_name} measured; name one of the two")
        if settings and path is None:
            raise ConfigError("--set changes a run file; name one with -c")
        config = None if path is None else load_config(path, read_settings(settings))
        pool, config = _measured(run_name, config) if run_name is not None else (_pool(file, config), config)
        size = group_size or (8 if config is None else config.training.group_size)
        run = None if config is None else _run(config, pool, size)
        try:
            found = advise_on(_known(pool, n_rollouts), size)
        except DataError:
            if run is not None:  # what the run costs needs no pass rates
                click.echo(run_in_words(run, price))
            raise
        click.echo(in_words(found, run))
        if run is not None:
            click.echo("\n" + run_in_words(run, price, _dead(found)))
    except SaerlError as error:
        raise click.ClickException(str(error)) from error


def _price(tokens_per_second: float | None, per_hour: float | None, sizes: str | None) -> Price | None:
    if tokens_per_second is None:
        if per_hour is not None:
            raise ConfigError("--price-per-hour needs --tokens-per-second: nothing else says how many hours there are")
        return None
    if sizes is None:
        raise ConfigError(
            "--tokens-per-second needs a run file (-c) or a run (--run), which say how many tokens there are"
        )
    return Price(tokens_per_second, per_hour)


def _pool(file: str | None, config: RunConfig | None) -> pd.DataFrame:
    """Return the usable prompts, with n_rollouts where their file has it."""
    from saerl_core.face import load_prompts

    if file is not None:
        train = load_prompts(file).train
    else:
        train = load_prompts(config.prompts, seed=config.seed).train if config is not None else pd.DataFrame()
    return train[train["usable"].astype(bool)]


def _measured(run_name: str, config: RunConfig | None) -> tuple[pd.DataFrame, RunConfig]:
    """Return the usable prompts of a run with what it measured, and its sizes where no run file gives others."""
    from pipelines.planned import measured_run

    own, prompts = measured_run(run_name)
    return prompts[prompts["usable"].astype(bool)], config or own


def _known(pool: pd.DataFrame, n_rollouts: int | None) -> KnownPassRates:
    odd = pool["flags"].astype(str).str.split(",").map(lambda flags: "unreadable_pass_rate" in flags)
    if odd.any():
        raise DataError(
            f"{int(odd.sum())} of {len(pool)} pass rates are no numbers in [0, 1]; bring the column onto this scale, "
            "or map another in prompts.columns.pass_rate of a run file"
        )
    rates = pool["known_pass_rate"].to_numpy(dtype=np.float64, na_value=np.nan)
    there = ~np.isnan(rates)
    if not there.any():
        raise DataError(
            f"none of the {len(pool)} usable prompts has a pass rate; give a file with a column pass_rate: one that "
            "came with the data, or what `saerl observe` wrote after a first epoch"
        )
    if n_rollouts is not None:
        return KnownPassRates(rates[there], np.full(int(there.sum()), float(n_rollouts)))
    if "n_rollouts" not in pool:
        return KnownPassRates(rates[there])
    counts = pd.to_numeric(pool["n_rollouts"], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return KnownPassRates(rates[there], counts[there])


def _run(config: RunConfig, pool: pd.DataFrame, group_size: int) -> RunSize:
    return RunSize(
        n_steps_of(config, len(pool)),
        config.plan.prompts_per_step,
        group_size,
        config.training.max_completion_tokens,
        n_label_rollouts(config, pool),
        config.pass_rates.max_completion_tokens,
        config.trains_control,
    )


def _dead(found: Advice) -> float:
    return 1.0 - found.selections[0].live[found.group_sizes.index(found.group_size)]
