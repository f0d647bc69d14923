"""The table of algorithms is the only list: the configuration, both backends and the report know exactly its rows."""

from dataclasses import replace

import pytest

from saerl_core.algorithms import ALGORITHMS, BACKENDS, trained_by
from saerl_core.config.load import validate
from saerl_core.config.run import RunConfig, TrainingConfig
from saerl_core.errors import ConfigError
from saerl_core.plan.strategies import STRATEGIES
from saerl_core.report.page import render_report, summary_text
from saerl_core.training.embedded.trl_settings import rules_of
from saerl_core.training.openrlhf.algorithms import SPELLINGS
from tests.report.checking import read
from tests.report.factory import full_run

TRAINER = {"python": "bin/python", "gpus_per_node": 1}
TRAINED = [(backend, name) for backend in BACKENDS for name in trained_by(backend)]


def config(backend: str, algorithm: str, strategy: str = "saerl") -> RunConfig:
    training = {"backend": backend, "algorithm": algorithm}
    return validate(
        {
            "plan": {"strategy": strategy},
            "training": {**training, "openrlhf": TRAINER} if backend == "openrlhf" else training,
        }
    )


@pytest.fixture(scope="module")
def run():
    return full_run(300, n_steps=4)


@pytest.mark.parametrize(("backend", "algorithm"), TRAINED)
def test_a_training_with_any_algorithm_ends_with_a_page(run, backend, algorithm):
    inputs = replace(run, config=config(backend, algorithm))
    page = read(render_report(inputs))
    assert page.errors == []
    told = f"trained with {ALGORITHMS[algorithm].title} at 4 rollouts a prompt ({backend} backend)"
    assert told in page.texts["headline"]
    assert told in summary_text(inputs)
    assert page.texts["training"].lstrip().find(f"{ALGORITHMS[algorithm].title} on the {backend} backend") >= 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_training_with_any_strategy_ends_with_a_page(run, strategy):
    inputs = replace(run, config=config("embedded", "grpo", strategy), plan=replace(run.plan, strategy=strategy))
    page = read(render_report(inputs))
    assert page.errors == []
    assert f"Strategy {strategy}, seed" in page.texts["headline"]


def test_every_backend_knows_exactly_what_the_table_gives_it():
    assert tuple(SPELLINGS) == trained_by("openrlhf")
    for name in trained_by("embedded"):
        rules_of(TrainingConfig(algorithm=name))
    for name in set(ALGORITHMS) - set(trained_by("embedded")):
        with pytest.raises(KeyError):
            rules_of(TrainingConfig(algorithm=name))


@pytest.mark.parametrize(
    ("given", "meant"),
    [("grppo", "grpo"), ("DAPO", "dapo"), ("drgrpo", "dr_grpo"), ("reinforce+++", "reinforce++"), ("zebra", None)],
)
def test_an_unknown_algorithm_is_told_what_there_is_and_the_nearest(given, meant):
    with pytest.raises(ConfigError) as caught:
        validate({"training": {"algorithm": given}})
    told = str(caught.value)
    assert told.startswith(f"training.algorithm = '{given}' is not known")
    assert all(f"'{name}'" in told for name in ALGORITHMS)
    assert (f"did you mean '{meant}'?" in told) if meant else ("did you mean" not in told)


@pytest.mark.parametrize("given", [3, None, ["grpo"]])
def test_an_algorithm_that_is_no_text_is_refused(given):
    with pytest.raises(ConfigError, match=r"training\.algorithm"):
        validate({"training": {"algorithm": given}})


@pytest.mark.parametrize(("name", "high"), [("grpo", 0.2), ("dapo", 0.28), ("gspo", 0.2)])
def test_the_upper_clip_is_the_algorithms_own_unless_it_is_set(name, high):
    assert ALGORITHMS[name].clip_range(0.2, None) == (0.2, high)
    assert ALGORITHMS[name].clip_range(0.2, 0.4) == (0.2, 0.4)
