"""`saerl observe`: what a trainer of another project measured, for the next plan."""

from pathlib import Path

import click

from saerl_core.errors import SaerlError
from saerl_core.export.logs import LOGS


@click.command("observe")
@click.argument("log", type=click.Path(path_type=Path))
@click.option(
    "--plan", "folder", required=True, type=click.Path(path_type=Path), help="The exported folder trained on."
)
@click.option("--format", "name", metavar="FORMAT", help=f"Of the log: {', '.join(LOGS)}.  [default: the export's]")
@click.option("--correct-at", type=float, help="Smallest reward of a correct completion.  [default: 0.5, of 0 to 1]")
@click.option("--out", type=click.Path(path_type=Path), help="File that is written, .jsonl or .parquet.")
def observe(log: Path, folder: Path, name: str | None, correct_at: float | None, out: Path | None) -> None:
    """Join the rollout LOG of a trainer, a file or a folder, with the plan it trained on: measured pass rates."""
    from saerl_core.export.observe import check_target, write_measured
    from saerl_core.export.observe import observe as observe_log

    try:
        if out is not None:
            check_target(out)  # before anything is read
        found = observe_log(log, folder, name, correct_at)
        click.echo(found.text())
        if out is not None:
            write_measured(found.table, out)
            click.echo(
                f"{out}: {len(found.table)} prompts; a run reads them with prompts.path, and their pass_rate too"
            )
    except SaerlError as error:
        raise click.ClickException(str(error)) from error
