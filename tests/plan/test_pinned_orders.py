"""The orders of static strategies stay what they were: whoever trains a published plan again gets the same batches."""

import pytest

from saerl_core.config.run import PlanConfig
from saerl_core.plan.build import plan_batches
from tests.plan.pools import Row, make_inputs

ROWS = [
    Row(f"p{i:03}", i % 5, (i * 37 % 100) / 100, keep=i % 9 > 0, flags="duplicate" if i % 23 == 7 else "")
    for i in range(160)
]
PINNED = [  # strategy, its settings, n_steps, the first digits of the plan's hash
    ("saerl", {}, None, "3c25b1545e03291c"),
    ("saerl", {"mix_frac": 0.0, "use_quality": False}, None, "561b7098b8bdab95"),
    ("saerl", {"grouping": "interleaved"}, None, "ca95e96d1c732686"),
    ("saerl", {"use_clusters": False}, None, "37eab92fd2cfe2b0"),
    ("saerl", {"use_difficulty": False}, None, "6e15beba2381aecc"),
    ("vanilla", {}, None, "48ace3f718d3cf5a"),
    ("difficulty", {}, None, "2a32bfb16b0f5517"),
    ("saerl", {}, 7, "53753876dcb39151"),
    ("saerl", {"mix_frac": 0.0, "use_quality": False}, 7, "d75d6d0d5e676eab"),
    ("saerl", {"grouping": "interleaved"}, 7, "d8a78e0ca3dc467b"),
    ("saerl", {"use_clusters": False}, 7, "5acaf81622a92f63"),
    ("saerl", {"use_difficulty": False}, 7, "36285647d09efeac"),
    ("vanilla", {}, 7, "7264631770a63336"),
    ("difficulty", {}, 7, "1ce601d4540f9c6f"),
    ("saerl", {}, 45, "c702a9d461f21250"),
    ("saerl", {"mix_frac": 0.0, "use_quality": False}, 45, "948a901e59682de3"),
    ("saerl", {"grouping": "interleaved"}, 45, "d98ea42736407804"),
    ("saerl", {"use_clusters": False}, 45, "dbee706d10f12a19"),
    ("saerl", {"use_difficulty": False}, 45, "32e68672663c4208"),
    ("vanilla", {}, 45, "8db186f22b47c288"),
    ("difficulty", {}, 45, "6b8268d29265b43a"),
]


@pytest.mark.parametrize(("strategy", "own", "n_steps", "digest"), PINNED)
def test_an_order_is_what_it_was(strategy, own, n_steps, digest):
    config = PlanConfig(strategy={"name": strategy, **own}, prompts_per_step=8, n_steps=n_steps)
    assert plan_batches(make_inputs(ROWS), config, 5)[0].plan_hash.startswith(digest)
