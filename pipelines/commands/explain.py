"""`saerl explain`: one prompt's way through a run."""

import click

from saerl_core.errors import SaerlError


@click.command("explain")
@click.argument("prompt_id")
@click.option("--run", "run_name", default="latest", show_default=True, help="A pipeline run: its name or its id.")
def explain(prompt_id: str, run_name: str) -> None:
    """Say what became of the prompt PROMPT_ID: features, cluster, predicted rate, why it was planned or not, training.

    The first characters of an id will do. `.saerl/last_run/plan_decisions.parquet` lists all ids.
    """
    from pipelines.planned import explained_run
    from saerl_core.report.explain import explain_prompt

    try:
        click.echo(explain_prompt(explained_run(run_name), prompt_id))
    except SaerlError as error:
        raise click.ClickException(str(error)) from error
