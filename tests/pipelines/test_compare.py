"""A comparison in process, on the small configuration: what it says and leaves behind; nothing is trained twice."""

import copy
import json

import pandas as pd
import pytest

from pipelines.commands.compare import narrowed
from saerl_core.config.run import RunConfig
from saerl_core.environment import state_dir
from saerl_core.errors import ConfigError
from tests.pipelines.small import SMALL
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

ARMS = [
    {"name": "vanilla", "plan": {"strategy": "vanilla"}},
    {"name": "small", "plan": {"strategy": "vanilla"}, "training": {"group_size": 2}},
    {"name": "adaptive", "plan": {"strategy": "adaptive"}},
    {"name": "dealt", "plan": {"strategy": "saerl"}, "space": "random"},
    {"name": "wide", "plan": {"strategy": "difficulty"}, "sae": {"expansion": 8, "hook_layer": 0}},
]


def parameters() -> dict:
    found = copy.deepcopy(SMALL)
    per_step = found["plan"]["prompts_per_step"] * found["training"]["group_size"]
    compare = {"arms": ARMS, "seeds": [0, 1], "budget_rollouts": 4 * per_step, "n_evaluations": 2, "n_samples": 2}
    compare["workers"] = 1  # test_pool has several
    found["training"]["warmup_steps"] = 1  # trials of this file alone: none is taken from another comparison
    return {**found, "compare": compare}


@pytest.fixture(scope="module")
def compared(local_stack):
    from pipelines.comparing import compare_pipeline

    return compare_pipeline(**parameters())


pytestmark = OUR_WARNINGS_ARE_ERRORS


@pytest.mark.slow
def test_every_arm_and_seed_is_a_row_a_curve_and_a_run(compared, mlflow_client) -> None:
    curves = compared.steps["run_trials"].outputs["trial_curves"][0].load()
    assert {(a, s) for a, s in curves[["arm", "seed"]].itertuples(index=False)} == {
        (arm["name"], seed) for arm in ARMS for seed in (0, 1)
    }
    budget = parameters()["compare"]["budget_rollouts"]
    curves["trained"] = curves["n_rollouts"] - curves["label_rollouts"]
    assert (curves.groupby(["arm", "seed"])["trained"].max() == budget).all()
    assert (curves.groupby(["arm", "seed"]).size() == 3).all()  # before training, half way, at the end
    table = pd.read_csv(state_dir() / "comparison.csv")
    assert table["arm"].tolist() == [arm["name"] for arm in ARMS]
    experiment = mlflow_client.get_experiment_by_name("compare")
    own = f"tags.`saerl.comparison` = '{compared.name}' AND tags.`saerl.arm` != ''"
    runs = mlflow_client.search_runs([experiment.experiment_id], own)
    assert {(r.data.tags["saerl.arm"], r.data.tags["saerl.seed"]) for r in runs} == {
        (arm["name"], str(seed)) for arm in ARMS for seed in (0, 1)
    }
    one = next(run for run in runs if run.data.tags["saerl.arm"] == "vanilla")
    history = mlflow_client.get_metric_history(one.info.run_id, "curve/accuracy")
    assert sorted(point.step for point in history) == [0, budget // 2, budget]
    assert len(one.data.metrics) <= 8


@pytest.mark.slow
def test_the_page_says_what_it_bought_and_ends_with_the_figures_of_the_curves(compared) -> None:
    page = (state_dir() / "comparison.html").read_text()
    for piece in (
        "What did it buy?",
        "points [",
        "at equal rollouts",
        "Learning curves",
        "What was trained on",
        "Holm",
        "cannot be told apart",
    ):
        assert piece in page
    folders = sorted((state_dir() / "trials").glob("vanilla-0-*"))
    card = json.loads((folders[-1] / "trial.json").read_text())
    items = pd.read_parquet(folders[-1] / "items.parquet")
    assert card["curve"][-1]["accuracy"] == pytest.approx((items["n_correct"] / items["n_samples"]).mean())
    assert not (folders[-1] / "work").exists()


@pytest.mark.slow
def test_signals_are_computed_once_for_each_reading_of_the_pool(compared) -> None:
    assert {name for name in compared.steps if name.startswith(("obtain_sae", "extract", "cluster"))} == {
        "obtain_sae",
        "extract_sae_features",
        "cluster_prompts",
        "cluster_prompts_dealt",
        "obtain_sae_wide",
        "extract_sae_features_wide",
        "cluster_prompts_wide",
    }
    own, wide = (
        compared.steps[f"extract_sae_features{of}"].outputs["features"][0].load().matrix.shape for of in ("", "_wide")
    )
    assert wide == (own[0], 2 * own[1])
    curves = compared.steps["run_trials"].outputs["trial_curves"][0].load()
    labels = curves.groupby("arm")["label_rollouts"].max()
    assert labels["wide"] == 40 * 4, "measured once, and paid for by each arm that rests on them"
    assert labels["vanilla"] == labels["dealt"] == 0


def test_an_export_is_refused_before_anything_is_computed(local_stack) -> None:
    from pipelines.comparing import compare_pipeline

    with pytest.raises(ConfigError, match=r"export is \['trl'\], which a comparison does not read"):
        compare_pipeline(**parameters(), export=["trl"])


@pytest.mark.slow
def test_a_second_call_trains_nothing_again_and_a_new_arm_only_itself(compared) -> None:
    from pipelines.comparing import compare_pipeline

    def ended() -> dict[str, float]:
        return {p.parent.name: p.stat().st_mtime for p in (state_dir() / "trials").glob("*/trial.json")}

    before = ended()
    changed = parameters()
    changed["compare"]["arms"] = [*ARMS, {"name": "by_difficulty", "plan": {"strategy": "difficulty"}}]
    changed["compare"]["seeds"] = [0]
    run = compare_pipeline(**changed)
    after = ended()
    assert {name: after[name] for name in before} == before
    assert {name.rsplit("-", 1)[0] for name in after.keys() - before.keys()} == {"by_difficulty-0"}
    curves = run.steps["run_trials"].outputs["trial_curves"][0].load()
    labelled = curves[curves["arm"] == "by_difficulty"]
    assert labelled["n_rollouts"].min() == labelled["label_rollouts"].max() > 0  # labels are paid for before step 1
    plans = {
        name: json.loads(next((state_dir() / "trials").glob(f"{name}-0-*/job.json")).read_text())["plan_hash"]
        for name in ("by_difficulty", "wide")
    }
    assert plans["by_difficulty"] != plans["wide"], "they differ in the SAE only"


def test_the_command_line_takes_some_arms_and_seeds() -> None:
    config = RunConfig.model_validate(parameters())
    found = narrowed(config, "adaptive", "3", 1).compare
    assert [arm.name for arm in found.arms] == ["vanilla", "adaptive"]
    assert (found.seeds, found.workers) == ((0, 1, 2), 1)
    assert narrowed(config, None, "7,9", None).compare.seeds == (7, 9)
    with pytest.raises(
        ConfigError,
        match=r"--arms names 'nobody', but the arms are \['vanilla', 'small', 'adaptive', 'dealt', 'wide'\]",
    ):
        narrowed(config, "nobody", None, None)
    with pytest.raises(ConfigError, match="--seeds is 'x'"):
        narrowed(config, None, "x", None)
