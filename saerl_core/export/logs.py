"""What trainers write down of their rollouts, one small reader a format."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from saerl_core.errors import ConfigError


@dataclass(frozen=True)
class LogLine:
    """One line of a log: a JSON object and where it stands."""

    file: Path
    number: int  # counted from 1
    values: Mapping[str, object]


@dataclass(frozen=True)
class Rollout:
    """One completion: what the trainer says of its step, its prompt and its reward."""

    step: int  # counted from 0, as the plan's
    reward: object  # as it was written: checked later, for all formats alike
    prompt_id: str | None = None
    text: str | None = None  # what the policy read, template included
    gold: str | None = None
    place: int | None = None  # counted from 0 in its step, where the log keeps the order of the groups


class NotALogLineError(Exception):
    """A line that has not what the format's lines have."""


@dataclass(frozen=True)
class LogFormat:
    """One row of the table: which files of a folder are the log, and what a line means."""

    title: str
    files: str  # glob in the folder; ** looks into folders below
    holds: str  # what a line has, for messages
    read: Callable[[LogLine], Rollout | None]  # None: a line that is not of the training


def _own(line: LogLine) -> Rollout:
    row = line.values
    return Rollout(_whole(row, "step"), _given(row, "reward"), _name(row, "prompt_id"))


def _verl(line: LogLine) -> Rollout:
    row = line.values
    step = _whole(row, "step") - 1  # verl counts from 1
    return Rollout(step, _given(row, "score"), text=_name(row, "input"), gold=_maybe_text(row.get("gts")))


def _nemo_rl(line: LogLine) -> Rollout:
    found = re.fullmatch(r"train_data_step(\d+)", line.file.stem)
    if found is None:
        raise NotALogLineError
    texts = _texts(line.values.get("content"))  # of its messages, the completion last
    reward, place = _given(line.values, "rewards"), line.values.get("idx")
    reward = reward[0] if isinstance(reward, list) and len(reward) == 1 else reward
    at = line.number - 1 if place is None else _maybe_whole(place)
    return Rollout(int(found[1]) - 1, reward, text="\n".join(texts[:-1]) or None, place=at)


def _tinker(line: LogLine) -> Rollout | None:
    row = line.values
    if row.get("split", "train") != "train":
        return None
    steps = row.get("steps")
    logs = steps[0].get("logs") if isinstance(steps, list) and steps and isinstance(steps[0], Mapping) else None
    if not isinstance(logs, Mapping):
        raise NotALogLineError
    return Rollout(_whole(row, "iteration"), _given(row, "total_reward"), _name(logs, "prompt_id"))


_OWN_LINE = "step, prompt_id and reward"
LOGS: Mapping[str, LogFormat] = {
    "trl": LogFormat("TRL", "rollouts*.jsonl", _OWN_LINE, _own),
    "verl": LogFormat("verl", "*.jsonl", "input, score and step", _verl),
    "nemo-rl": LogFormat("NeMo-RL", "**/train_data_step*.jsonl", "content and rewards", _nemo_rl),
    "slime": LogFormat("slime", "rollouts*.jsonl", _OWN_LINE, _own),
    "tinker": LogFormat(
        "tinker-cookbook", "**/*train_rollout_summaries*.jsonl", "iteration, total_reward and steps[].logs", _tinker
    ),
    "jsonl": LogFormat("a log of your own", "*.jsonl", _OWN_LINE, _own),
}


def find_log(name: str) -> LogFormat:
    """Return the format of this name; `ConfigError` for an unknown one."""
    if name in LOGS:
        return LOGS[name]
    near = get_close_matches(name.lower(), LOGS, n=1)
    meant = f" (did you mean '{near[0]}'?)" if near else ""
    raise ConfigError(
        f"there is no reader for rollout logs of format '{name}'{meant}; take one of {', '.join(LOGS)}, where jsonl is "
        f"any file of JSON lines with {_OWN_LINE}"
    )


def _given(row: Mapping[str, object], name: str) -> object:
    if name not in row:
        raise NotALogLineError
    return row[name]


def _name(row: Mapping[str, object], name: str) -> str:
    value = _given(row, name)
    if not isinstance(value, str):
        raise NotALogLineError
    return value


def _whole(row: Mapping[str, object], name: str) -> int:
    value = _maybe_whole(_given(row, name))
    if value is None:
        raise NotALogLineError
    return value


def _maybe_whole(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value % 1:
        return None
    return int(value)


def _maybe_text(value: object) -> str | None:
    return None if value is None else str(value)


def _texts(value: object) -> list[str]:
    """Return the texts of a value that nests them in lists."""
    if isinstance(value, str):
        return [value]
    return [text for inner in value for text in _texts(inner)] if isinstance(value, list) else []
