"""Settings of the engine for labels and evaluation that cannot work."""

import pytest

from saerl_core.config.load import validate
from saerl_core.errors import ConfigError

VLLM = {"engine": "vllm", "python": "/usr/bin/python3"}


@pytest.mark.parametrize(
    ("rollouts", "told"),
    [
        ({"engine": "vllm"}, r"rollouts.engine is 'vllm', but rollouts.python is not set; name the interpreter"),
        (VLLM | {"tensor_parallel": 3}, r"rollouts.tensor_parallel is 3, which does not divide policy.n_heads = 4"),
        (
            VLLM | {"max_model_len": 24},
            r"rollouts.max_model_len is 24 .* evaluation.max_completion_tokens is 24: no room is left for a prompt",
        ),
    ],
    ids=["no interpreter", "heads", "no room"],
)
def test_an_engine_that_cannot_work_is_refused_before_anything_starts(rollouts, told):
    with pytest.raises(ConfigError, match=told):
        validate({"rollouts": rollouts})
    nothing = {"training": {"enabled": True}, "evaluation": {"enabled": False}}  # `adaptive` needs no labels
    assert validate({"rollouts": rollouts, **nothing}).rollouts.engine == "vllm", "nothing is sampled with it"


def test_an_engine_that_fits_is_taken():
    found = validate({"rollouts": VLLM | {"tensor_parallel": 2, "max_model_len": 64}}).rollouts
    assert (found.engine, found.tensor_parallel, found.max_model_len) == ("vllm", 2, 64)
