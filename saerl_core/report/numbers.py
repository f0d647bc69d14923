"""How numbers are written on the page: sensible rounding, units, and a dash for what is missing."""

import math

DASH = "\N{EN DASH}"


def count(value: float | None) -> str:
    """Write a whole number with thousands separators: 12,345; a dash when missing or not finite."""
    return DASH if value is None or not math.isfinite(value) else f"{round(value):,}"


def number(value: float | None, digits: int = 3) -> str:
    """Write a value with `digits` significant digits, never in scientific notation inside 1e-4 .. 1e6."""
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    size = abs(value)
    if size < 1e-4 or size >= 1e6:
        return f"{value:.{digits - 1}e}".replace("-", "\N{MINUS SIGN}", 1 if value < 0 else 0)
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    text = f"{value:,.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return _minus(text)


def fixed(value: float | None, decimals: int = 2) -> str:
    """Write a value with fixed decimals, so that a column lines up."""
    return DASH if value is None or not math.isfinite(value) else _minus(f"{value:,.{decimals}f}")


def percent(value: float | None, decimals: int = 1) -> str:
    """Write a share of one as a percentage."""
    return DASH if value is None or not math.isfinite(value) else _minus(f"{100 * value:.{decimals}f} %")


def points(value: float | None, decimals: int = 1) -> str:
    """Write a difference of two shares in percentage points, with its sign."""
    return DASH if value is None or not math.isfinite(value) else _minus(f"{100 * value:+.{decimals}f}")


def duration(seconds: float | None) -> str:
    """Write a time as a person says it: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def short(text: str, limit: int = 160) -> str:
    """Cut a text on one line to at most `limit` characters, with an ellipsis where something was cut."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")
