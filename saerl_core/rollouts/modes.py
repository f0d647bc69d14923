r"""Grading as other evaluation tools do it, by name, so that their published figures can be repeated.

- `exact`: the last box, else the whole completion; text without dollars, runs of blanks and a final full stop.
- `lm_eval`: "The final answer is ... I hope", else what follows `####`, else the last box, else the last number; text
  without commas, dollars and a final full stop.
- `qwen_math`: "final answer is $...$. I hope", else the last box, else "answer is", else the last number; numbers
  within a relative 1e-4, also of 100 times and a hundredth of the gold; anything else as text.

`lighteval` is math-verify over the whole completion; see `Grader`. None of them is the default: `qwen_math` and
`lighteval` accept rounded and partly read answers. Sources: EleutherAI/lm-evaluation-harness (tasks gsm8k,
minerva_math), QwenLM/Qwen2.5-Math (evaluation/parser.py, grader.py), huggingface/lighteval.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from saerl_core.rollouts.judge.extraction import boxes, has_box, last_content

TAIL_CHARS = 2000  # of a completion, for lighteval
_SPACE = re.compile(r"\s+")
_DOLLAR = re.compile(r"(?<!\\)\$")
_NUMBER = re.compile(r"-?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")
_HOPE = re.compile(r"final answer is:?\s*(.+?)\.?\s*I hope", re.IGNORECASE | re.DOTALL)
_HASHES = re.compile(r"####\s*(.+)")
_IS = re.compile(r"(?:the )?answer is:?\s*(.+?)(?:\.\s|\.?$|\n)", re.IGNORECASE)
_REL_TOLERANCE = 1e-4

Found = tuple[str | None, str]


@dataclass(frozen=True)
class Mode:
    """How a tool extracts an answer (text or None, and the rule) and compares it with the gold."""

    extract: Callable[[str], Found]
    equal: Callable[[str, str], bool]


def plain(answer: str) -> str:
    r"""Return the answer without surrounding dollars, boxes, runs of white space and a final full stop.

    `\boxed{...}` around a gold answer counts as its content; "$18$" and "18." both give "18".
    """
    inner = boxes(answer)
    text = inner.texts[-1] if inner is not None and inner.texts else answer
    text = _SPACE.sub(" ", _DOLLAR.sub("", text)).strip()
    return text[:-1].rstrip() if text.endswith(".") and not text.endswith("..") else text


def _exact(completion: str) -> Found:
    if has_box(completion):
        found = boxes(completion)
        return (found.texts[-1] if found is not None and found.texts and not found.in_doubt else None), "box"
    return (completion, "whole text") if plain(completion) else (None, "")


def _lm_eval(completion: str) -> Found:
    for rule, pattern in (("final answer", _HOPE), ("####", _HASHES)):
        found = pattern.findall(completion)
        if found:
            return str(found[-1]).strip(), rule
    return _box_or_number(completion)


def _qwen_math(completion: str) -> Found:
    hope = _HOPE.findall(completion)
    if hope:
        return str(hope[-1]).strip(), "final answer"
    if last_content(completion) is None:
        said = _IS.findall(completion)
        if said:
            return str(said[-1]).strip(), "answer is"
    return _box_or_number(completion)


def _box_or_number(completion: str) -> Found:
    box = last_content(completion)
    if box is not None:
        return box, "box"
    numbers = _NUMBER.findall(completion)
    return (numbers[-1], "last number") if numbers else (None, "")


def _bare(text: str) -> str:
    return plain(text).replace(",", "").replace("$", "").rstrip(".").strip()


def _number(text: str) -> float | None:
    text = _bare(text).replace("\\%", "").replace("%", "")
    match = re.fullmatch(r"\\?(?:d|t)?frac\{(-?\d+)\}\{(\d+)\}|(-?\d+)/(\d+)", text.removeprefix("\\"))
    try:
        if match is not None:
            return float(match[1] or match[3]) / float(match[2] or match[4])
        return float(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None


def _close(given: str, gold: str) -> bool:
    one, other = _number(given), _number(gold)
    if one is None or other is None:
        return _bare(given).replace(" ", "") == _bare(gold).replace(" ", "")
    return any(abs(one - ref) <= _REL_TOLERANCE * abs(ref) for ref in (other, other * 100, other / 100))


MODES = {
    "exact": Mode(_exact, lambda given, gold: plain(given) == plain(gold)),
    "lm_eval": Mode(_lm_eval, lambda given, gold: _bare(given) == _bare(gold)),
    "qwen_math": Mode(_qwen_math, _close),
}
