"""What goes into the artifact store comes out the same, file by file, without pickle."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from materializers import (
    BatchPlanMaterializer,
    ControlFeaturesMaterializer,
    ExportedPlansMaterializer,
    LinearProbeMaterializer,
    PolicyMaterializer,
    PromptVectorsMaterializer,
    SaeFeaturesMaterializer,
)
from saerl_core.errors import BackendError
from saerl_core.plans import FixedPlan
from saerl_core.records import (
    ControlFeatures,
    ExportedPlans,
    FeatureMeta,
    LinearProbe,
    PolicyRef,
    PromptFormat,
    PromptVectors,
    SaeFeatures,
)
from tests.plan_factory import tiny_plan
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = OUR_WARNINGS_ARE_ERRORS


@pytest.fixture
def features():
    matrix = csr_matrix(np.array([[0, 1.5, 0], [2.0, 0, 0]], dtype=np.float32))
    meta = FeatureMeta(model="m", hook_name="blocks.1.hook_resid_post", sae_id="s", pooling="mean", l0=1.0)
    return SaeFeatures(("a", "b"), matrix, meta)


@pytest.fixture
def store(local_stack, tmp_path_factory):
    from zenml.client import Client

    path = Path(Client().active_stack.artifact_store.path) / tmp_path_factory.mktemp("artifact").name
    path.mkdir(parents=True)
    return str(path)


def test_exported_plans(store, tmp_path):
    for name in ("trinity", "trl"):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "data" / "train.jsonl").write_text(name)
    (tmp_path / "of another run").mkdir()
    ExportedPlansMaterializer(store).save(ExportedPlans(tmp_path, ("trl", "trinity")))
    loaded = ExportedPlansMaterializer(store).load(ExportedPlans)
    assert loaded.formats == ("trinity", "trl")
    assert (loaded.folder / "trl" / "data" / "train.jsonl").read_text() == "trl"


def test_vectors(store):
    vectors = PromptVectors(("a", "b"), np.array([[1.0, -2.5], [0.25, 3.0]]))
    PromptVectorsMaterializer(store).save(vectors)
    loaded = PromptVectorsMaterializer(store).load(PromptVectors)
    assert loaded.prompt_ids == vectors.prompt_ids
    assert np.array_equal(loaded.matrix, vectors.matrix)
    hashes = [PromptVectorsMaterializer(store).compute_content_hash(v) for v in (vectors, loaded)]
    assert hashes[0] == hashes[1]
    assert PromptVectorsMaterializer(store).extract_metadata(loaded) == {"n_prompts": 2, "n_columns": 2}


def test_features(features, store):
    materializer = SaeFeaturesMaterializer(store)
    materializer.save(features)
    loaded = SaeFeaturesMaterializer(store).load(SaeFeatures)
    assert loaded.prompt_ids == features.prompt_ids
    assert loaded.meta == features.meta
    assert (loaded.matrix != features.matrix).nnz == 0
    assert loaded.matrix.dtype == np.float32
    assert materializer.compute_content_hash(features) == materializer.compute_content_hash(loaded)
    assert materializer.extract_metadata(features)["n_prompts"] == 2
    assert not [p for p in Path(store).rglob("*") if p.suffix in (".pkl", ".pickle")]


def test_content_hash_sees_a_changed_value(features):
    changed = features.matrix.copy()
    changed.data[0] += 1
    materializer = SaeFeaturesMaterializer("unused")
    assert materializer.compute_content_hash(features) != materializer.compute_content_hash(
        SaeFeatures(features.prompt_ids, changed, features.meta)
    )


def test_controls(store):
    sparse = csr_matrix(np.eye(2, dtype=np.float32))
    controls = ControlFeatures(("a", "b"), np.eye(2, dtype=np.float32), sparse, np.array([0.5, -0.25]))
    ControlFeaturesMaterializer(store).save(controls)
    loaded = ControlFeaturesMaterializer(store).load(ControlFeatures)
    np.testing.assert_array_equal(loaded.dense, controls.dense)
    assert (loaded.random_sae != controls.random_sae).nnz == 0
    np.testing.assert_array_equal(loaded.concentration, controls.concentration)


def test_probe(store):
    probe = LinearProbe("quality", np.array([0.5, -1.0, 0.0]), 0.25)
    LinearProbeMaterializer(store).save(probe)
    loaded = LinearProbeMaterializer(store).load(LinearProbe)
    np.testing.assert_array_equal(loaded.weights, probe.weights)
    assert (loaded.name, loaded.intercept) == ("quality", 0.25)


def test_policy_is_copied_file_by_file(store, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 8}))
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    PolicyMaterializer(store).save(PolicyRef(str(tmp_path), "abc"))
    loaded = PolicyMaterializer(store).load(PolicyRef)
    assert loaded.policy_id == "abc"
    assert (Path(loaded.path) / "model.safetensors").read_bytes() == b"weights"
    assert not list(Path(store).rglob("*.tar*"))


def test_a_copy_from_a_remote_store_ends_with_the_process(store, monkeypatch):
    """On a cluster the folder of copies is a volume that stays."""
    kept = []
    monkeypatch.setattr("materializers.folder.atexit.register", lambda *given, **names: kept.append((given, names)))
    monkeypatch.setattr("materializers.folder.Path.is_dir", lambda path: str(path) != store)  # as if it were s3://
    PromptVectorsMaterializer(store).save(PromptVectors(("a",), np.ones((1, 2), dtype=np.float32)))
    copy = PromptVectorsMaterializer(store).local_folder()
    assert (copy / "vectors.npy").is_file()
    [((remove, target), names)] = kept
    remove(target, **names)
    assert target == copy
    assert not copy.exists()


def test_hub_policy_is_a_name_only(store):
    PolicyMaterializer(store).save(PolicyRef("org/model", "org/model@main", is_local=False))
    assert PolicyMaterializer(store).load(PolicyRef) == PolicyRef("org/model", "org/model@main", is_local=False)


def test_the_prompt_format_comes_back_and_changes_what_follows(store):
    fmt = PromptFormat(chat_template=True, system_prompt="Be brief.", prompt_suffix=" Go.")
    plain = PolicyRef("org/model", "org/model@main", is_local=False)
    chat = dataclasses.replace(plain, prompt_format=fmt)
    materializer = PolicyMaterializer(store)
    materializer.save(chat)
    assert PolicyMaterializer(store).load(PolicyRef) == chat
    assert materializer.compute_content_hash(chat) != materializer.compute_content_hash(plain)


def test_a_policy_stored_without_a_prompt_format_reads_plain_text(store):
    PolicyMaterializer(store).save(PolicyRef("org/model", "org/model@main", is_local=False))
    [file] = Path(store).rglob("saerl_policy.json")
    old = json.loads(file.read_text())
    del old["prompt_format"]
    file.write_text(json.dumps(old))
    assert PolicyMaterializer(store).load(PolicyRef) == PolicyRef("org/model", "org/model@main", is_local=False)


def test_plan_and_a_plan_edited_in_the_store(store):
    import pandas as pd

    from saerl_core.errors import DataError

    plan = tiny_plan()
    BatchPlanMaterializer(store).save(plan)
    loaded = BatchPlanMaterializer(store).load(FixedPlan)
    pd.testing.assert_frame_equal(loaded.table, plan.table)
    file = next(p for p in Path(store).rglob("*.parquet") if "decision" not in p.name)
    table = pd.read_parquet(file)
    table["prompt_id"] = table["prompt_id"].to_numpy()[::-1]
    table.to_parquet(file, index=False)
    with pytest.raises(DataError, match="changed after the plan was saved"):
        BatchPlanMaterializer(store).load(FixedPlan)


def test_a_full_disk_is_one_sentence(features, store, monkeypatch):
    from zenml.io import fileio

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fileio, "copy", full)
    with pytest.raises(BackendError, match=r"No space left on device.*free space"):
        SaeFeaturesMaterializer(store).save(features)
