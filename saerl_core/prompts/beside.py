"""What a row holds beside prompt and answer: a pass rate under another name, and what no prompt of text can hold."""

from saerl_core.config.run import ColumnMap
from saerl_core.prompts.fields import has
from saerl_core.prompts.rows import RawRow, Suspicion, excerpt

_LEFT_OUT = {"image": "missing_image", "images": "missing_image", "tools": "missing_tools"}  # column -> flag


def rate_column(raw: RawRow, columns: ColumnMap) -> str | None:
    """Return the column of the pass rate: that of the mapping, or our own name for it where nobody named another."""
    default = ColumnMap().pass_rate
    if default is not None and columns.pass_rate == default and not has(raw.values, default):
        return "known_pass_rate"
    return columns.pass_rate


def left_out(raw: RawRow, columns: ColumnMap) -> list[Suspicion]:
    """Return a flag for what a row holds beside its text and no policy here gets: images, tools to call."""
    mapped = set(dict(columns).values())
    return [
        Suspicion(flag, f"column '{name}' holds what a prompt of text leaves out: {excerpt(str(raw.values[name]))}")
        for name, flag in _LEFT_OUT.items()
        if name not in mapped and isinstance(raw.values.get(name), list | tuple | dict | str) and raw.values[name]
    ]
