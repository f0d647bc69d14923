"""`python -m pipelines inspect`: how a file of prompts would be read."""

import click

from saerl_core.errors import SaerlError


@click.command("inspect")
@click.argument("file", type=click.Path())
@click.option("--prompt", help="Column, dotted path or template of the prompt; the layout is recognised without it.")
@click.option("--answer", help="Column or dotted path of the answer.")
@click.option("--answer-after", help='Text in front of the answer ("####"), or "\\boxed" for the last box.')
@click.option("--split", default="train", show_default=True, help="Split of a folder that `save_to_disk` wrote.")
@click.option("--rows", default=2000, show_default=True, type=click.IntRange(min=1), help="Rows that are read.")
def inspect(file: str, prompt: str | None, answer: str | None, answer_after: str | None, split: str, rows: int) -> None:
    """Show how FILE would be read: layout, columns, five rows, what is odd, and the YAML to paste."""
    from saerl_core.config.run import PromptsConfig
    from saerl_core.prompts.preview import preview

    columns = {name: value for name, value in (("prompt", prompt), ("answer", answer)) if value is not None}
    given = {"columns": columns, "answer_after": answer_after, "dataset_split": split}
    try:
        config = PromptsConfig.model_validate({"source": "file", "path": file, **given})
        click.echo(preview(file, config, rows).text())
    except SaerlError as error:
        raise click.ClickException(str(error)) from error
