"""What `validate --cost` said of a configuration, kept for the page of the run that follows on the same machine."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from saerl_core.config.run import RunConfig
from saerl_core.disk import write_text
from saerl_core.environment import state_dir


@dataclass(frozen=True)
class Said:
    """Seconds that stages of the cost ledger were said to take, and the price of this machine, where one was given."""

    seconds: Mapping[str, float]
    per_hour: float | None = None


def keep(config: RunConfig, said: Said) -> None:
    """Write down what was said of a configuration, in place of what was said of it before."""
    path = _path(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({"seconds": dict(said.seconds), "per_hour": said.per_hour}))


def said_of(config: RunConfig) -> Said | None:
    """Return what was said last of exactly this configuration; None where nothing was, or it cannot be read."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        found = json.loads(_path(config).read_text(encoding="utf-8"))
        per_hour = found["per_hour"]
        seconds = {str(stage): float(value) for stage, value in found["seconds"].items()}
        return Said(seconds, None if per_hour is None else float(per_hour))
    return None


def _path(config: RunConfig) -> Path:
    digest = hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:16]
    return state_dir() / "costs" / f"{digest}.json"
