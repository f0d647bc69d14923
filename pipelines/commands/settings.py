"""`python -m pipelines settings`: the reference of all settings."""

import click

from saerl_core.environment import project_root

PAGE = "docs/settings.md"


@click.command()
@click.option("--write", is_flag=True, help=f"Write it to {PAGE} instead of printing it.")
def settings(write: bool) -> None:
    """Print every setting with what it takes, its default and its meaning, as Markdown."""
    from saerl_core.config.reference import settings_page

    if not write:
        click.echo(settings_page(), nl=False)
        return
    page = project_root() / PAGE
    if not page.parent.is_dir():
        raise click.ClickException(f"there is no folder {page.parent}; run this in a clone of the repository")
    page.write_text(settings_page())
    click.echo(f"{PAGE} is written")
