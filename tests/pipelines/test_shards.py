"""A pool in shards: the same signals, and a shard that failed or was damaged is repeated alone."""

import copy
from pathlib import Path

import pytest

from saerl_core.errors import BackendError, DataError
from saerl_core.features.storage import content_hash
from saerl_core.shards import FILE
from tests.pipelines.small import SMALL
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = [pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]
SETTINGS = {
    **SMALL,
    "features": {"batch_tokens": 512},  # of this file alone, like the number of rollouts: these steps run here
    "pass_rates": {"n_labelled": 40, "n_rollouts": 32},
    "plan": {**SMALL["plan"], "strategy": "prepo"},  # it sorts by likelihoods
    "training": {"enabled": False},
    "evaluation": {"enabled": False},
}
FEATURES = [f"extract_sae_features_shard_{i}" for i in (1, 2, 3)]
LABELS = [f"measure_pass_rates_shard_{i}" for i in (1, 2)]
LIKELIHOODS = [f"measure_likelihoods_shard_{i}" for i in (1, 2)]


def _run(shards=None, **options):
    from pipelines.training import saerl_pipeline

    return saerl_pipeline.with_options(**options)(**copy.deepcopy(SETTINGS), shards=shards or {})


def _statuses(run, names):
    return [str(run.steps[name].status) for name in names]


@pytest.fixture(scope="module")
def runs(local_stack):
    """The second shard fails; the first is damaged before the next attempt; it is repeated; then without shards."""
    from zenml.client import Client

    import steps.extract_shard as module

    extract, shards, found = module.extract, {"features": 3, "pass_rates": 2, "likelihoods": 2}, {}

    def fails(*given):
        if given[-1].index == 2:
            raise DataError("the disk of this pod is full")
        return extract(*given)

    def newest():
        return Client().list_pipeline_runs(sort_by="desc:created", size=1).items[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "extract", fails)
        with pytest.raises(BackendError) as found["said"]:
            _run(shards)
    found["failed"] = newest()
    [artifact] = found["failed"].steps[FEATURES[0]].outputs["features_shard"]
    file = Path(artifact.uri) / FILE
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(BackendError) as found["damaged"]:
        _run(shards)
    found["again"] = newest()
    found["sharded"] = _run(shards, steps={FEATURES[0]: {"enable_cache": False}})
    found["whole"] = _run()
    return found


def test_a_failed_shard_is_repeated_alone(runs):
    assert str(runs["said"].value) == "step extract_sae_features_shard_2 failed: the disk of this pod is full"
    assert _statuses(runs["failed"], FEATURES[:2]) == ["completed", "failed"]
    assert _statuses(runs["again"], FEATURES) == ["cached", "completed", "completed"]


def test_a_damaged_shard_is_named_with_the_way_out_which_works(runs):
    said = str(runs["damaged"].value)
    assert "step merge_features failed: the artifact of extract_sae_features_shard_1 is damaged: '" in said
    assert said.endswith(
        "to repeat this shard alone, put `steps: {extract_sae_features_shard_1: {enable_cache: false}}` into the run "
        "file, once"
    )
    assert _statuses(runs["sharded"], [*FEATURES, "merge_features"]) == ["completed", "cached", "cached", "completed"]


def test_the_merged_pool_is_that_of_one_step(runs):
    from pipelines.planned import artifact

    sharded, whole = runs["sharded"], runs["whole"]
    assert not {"extract_sae_features", "measure_pass_rates", "measure_likelihoods"} & set(sharded.steps)
    merges = {"merge_features", "merge_pass_rates", "merge_likelihoods"}
    assert not {*FEATURES, *LABELS, *LIKELIHOODS, *merges} & set(whole.steps)
    one, other = (artifact(run, "extract_sae_features", "features") for run in (sharded, whole))
    assert content_hash(one) == content_hash(other)
    names = [artifact(run, "extract_sae_features", "feature_names") for run in (sharded, whole)]
    assert names[0].equals(names[1])
    rates = [artifact(run, "measure_pass_rates", "pass_rates") for run in (sharded, whole)]
    assert rates[0].equals(rates[1])
    read = [artifact(run, "measure_likelihoods", "likelihoods") for run in (sharded, whole)]
    assert read[0].equals(read[1])
    costs = [artifact(run, "write_report", "costs").set_index("stage") for run in (sharded, whole)]
    tokens = [table.loc["measure_likelihoods", "n_prefill_tokens"] for table in costs]
    assert tokens[0] == tokens[1] > 0
    plans = [artifact(run, "plan_batches", "plan") for run in (sharded, whole)]
    assert plans[0].plan_hash == plans[1].plan_hash
