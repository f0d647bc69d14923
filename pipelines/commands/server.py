"""`python -m pipelines server` and `deliver`: the servers of this machine, and what waits for a tracking server."""

import click

from pipelines.servers import DASHBOARD_PORT, MLFLOW_PORT, serve
from saerl_core.errors import SaerlError


@click.command()
@click.option("--port", default=MLFLOW_PORT, show_default=True, help="Port of MLflow on 127.0.0.1.")
@click.option("--dashboard-port", default=DASHBOARD_PORT, show_default=True, help="Port of ZenML on 127.0.0.1.")
@click.option("--no-dashboard", is_flag=True, help="MLflow alone.")
def server(port: int, dashboard_port: int, no_dashboard: bool) -> None:
    """Run MLflow and the ZenML dashboard on this machine (127.0.0.1 only) until Ctrl-C."""
    from pipelines.setup import mlflow_uri, no_questions, setup_local_stack

    setup_local_stack()
    no_questions()
    try:
        serve(mlflow_uri(), port, None if no_dashboard else dashboard_port, click.echo)
    except SaerlError as error:
        raise click.ClickException(str(error)) from error


@click.command()
@click.option("--wait", "wait_s", default=30.0, show_default=True, help="Seconds to wait for the server, per run.")
def deliver(wait_s: float) -> None:
    """Deliver to MLflow what earlier runs could not; exit code 1 when something still waits."""
    from pipelines.setup import active_tracker_uri
    from tracking.delivery import deliver_leftovers

    try:
        found = deliver_leftovers(active_tracker_uri(), wait_s)
    except SaerlError as error:
        raise click.ClickException(str(error)) from error
    for one in found:
        click.echo(f"MLflow run {one.run_id}: {one.n_delivered} records delivered, {one.n_left} left")
    if not found:
        click.echo("nothing waits for the MLflow server")
    if any(one.n_left for one in found):
        raise click.ClickException("the MLflow server does not take everything; start it and run this again")
