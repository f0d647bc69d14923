"""Parameters that the tests of the configuration start from, and how they are changed and refused."""

import pytest

from saerl_core.config.load import validate
from saerl_core.errors import ConfigError

FILE = {"prompts": {"source": "file", "path": "pool.jsonl", "eval_path": "eval.jsonl"}}
LENGTHS = {name: {"max_completion_tokens": 64} for name in ("pass_rates", "training", "evaluation")}
PRETRAINED = FILE | LENGTHS | {"policy": {"source": "pretrained", "model": "org/model"}, "grading": {"kind": "math"}}
TEXT = {
    "prompts": {"source": "file", "path": "pool.jsonl"},
    "policy": {"source": "text"},
    "difficulty": {"label": "level"},
    "training": {"enabled": False},
    "evaluation": {"enabled": False},
}


def merged(base, changes):
    out = dict(base)
    for key, value in changes.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def message(parameters):
    with pytest.raises(ConfigError) as caught:
        validate(parameters)
    return str(caught.value)


def write(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return path
