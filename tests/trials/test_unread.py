"""No setting of a run is ignored by a comparison in silence."""

import pytest

from saerl_core.config.load import validate
from saerl_core.config.run import RunConfig
from saerl_core.errors import ConfigError
from saerl_core.trials.unread import UNREAD, unread_settings

READ = {
    "seed",
    "torch_threads",
    "prompts",
    "policy",
    "sae",
    "features",
    "signals",
    "quality",
    "clusters",
    "pass_rates",
    "rollouts",
    "shards",
    "difficulty",
    "plan",
    "training",
    "grading",
    "compare",
}


def test_every_section_is_read_or_in_the_table() -> None:
    unread = {row.path.partition(".")[0] for row in UNREAD}
    assert set(RunConfig.model_fields) == READ | unread, "does a comparison read it? If not, add it to UNREAD"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"export": ["trl", "verl"]},
            r"export is \['trl', 'verl'\], which a comparison does not read: .*`saerl export`",
        ),
        ({"control": "vanilla"}, "control is 'vanilla', .*: the baseline is the control of a comparison"),
    ],
)
def test_what_asks_for_a_result_is_refused(given: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        unread_settings(validate(given))


def test_what_only_has_no_effect_is_told_with_what_counts_instead() -> None:
    given = {
        "control": "none",
        "plan": {"n_steps": 7},
        "training": {"seed": 5},
        "evaluation": {"n_samples": 16, "benchmarks": [{"name": "gsm", "path": "gsm.jsonl"}]},
        "gate": {"min_gain": 0.1},
    }
    told = unread_settings(validate(given))
    assert [sentence.partition(",")[0] for sentence in told] == [
        "evaluation.benchmarks is ['gsm']",
        "evaluation.n_samples is 16",
        "gate.min_gain is 0.1",
        "plan.n_steps is 7",
        "training.seed is 5",
    ]
    assert "compare.n_samples" in told[1]
    assert unread_settings(RunConfig()) == []
