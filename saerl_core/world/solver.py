"""Read a prompt back: what a careful person would answer, or nothing where the text asks nothing."""

import re

from saerl_core.world.problems import in_base


def solve(prompt: str) -> str | None:
    """Return the answer that the text of a prompt determines; None where it is no problem of the task world.

    The corruptions use it to make sure that a damaged prompt is really bad: its key must not be right by luck.
    """
    text = prompt.strip().removesuffix("=").removeprefix("eval ")
    for pattern, answer in _READINGS:
        if match := pattern.fullmatch(text):
            return answer(match)
    return None


def _total(match: "re.Match[str]") -> str:
    return str(sum(int(term) for term in re.findall(r"[+-]?\d+", match[0])))


def _remainder(match: "re.Match[str]") -> str | None:
    return str(int(match[1]) % int(match[2])) if int(match[2]) else None


def _base_of(number: str, base: str) -> str | None:
    return in_base(int(number), int(base)) if 2 <= int(base) <= 10 else None


def _story(match: "re.Match[str]") -> str:
    value = int(match[1])
    for verb, amount in re.findall(r"(gets|gives) (\d+)", match[2]):
        value += int(amount) if verb == "gets" else -int(amount)
    return str(value)


_READINGS = (
    (re.compile(r"\d+(?:[+-]\d+)+"), _total),
    (re.compile(r"sum (\d+) (\d+)"), lambda m: str(int(m[1]) + int(m[2]))),
    (re.compile(r"diff (\d+) (\d+)"), lambda m: str(abs(int(m[1]) - int(m[2])))),
    (re.compile(r"(\d+)(?:%| mod )(\d+)"), _remainder),
    (re.compile(r"(?:sort|order) (\d+)"), lambda m: "".join(sorted(m[1]))),
    (re.compile(r"(?:rev|flip) ([a-z]+)"), lambda m: m[1][::-1]),
    (re.compile(r"(\d+) base (\d+)"), lambda m: _base_of(m[1], m[2])),
    (re.compile(r"base (\d+) of (\d+)"), lambda m: _base_of(m[2], m[1])),
    (re.compile(r"(?:count )?([a-z]) in ([a-z]+)"), lambda m: str(m[2].count(m[1]))),
    (re.compile(r"[a-z]+ has (\d+)((?: (?:gets|gives) \d+)*)"), _story),
)
