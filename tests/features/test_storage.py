from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from saerl_core.errors import DataError
from saerl_core.features import sae_folder, storage
from saerl_core.records import ControlFeatures, FeatureMeta, SaeFeatures

META = FeatureMeta("model", "blocks.1.hook_resid_post", "0123", "mean", 3.5)


@pytest.fixture
def features() -> SaeFeatures:
    matrix = csr_matrix(random_array((30, 400), density=0.2, rng=np.random.default_rng(0), dtype=np.float32))
    return SaeFeatures(tuple(f"p{i}é" for i in range(30)), matrix, META)


def test_features_come_back_as_they_were(features, tmp_path):
    storage.save_features(features, tmp_path / "f")
    loaded = storage.load_features(tmp_path / "f")
    assert loaded.prompt_ids == features.prompt_ids
    assert loaded.meta == META
    assert (loaded.matrix != features.matrix).nnz == 0
    assert storage.content_hash(loaded) == storage.content_hash(features)
    types = {name: np.load(tmp_path / "f" / f"{name}.npy").dtype for name in ("data", "indices", "indptr")}
    assert types == {"data": np.float32, "indices": np.int32, "indptr": np.int64}


def test_controls_come_back_as_they_were(features, tmp_path):
    dense = np.random.default_rng(0).standard_normal((30, 8)).astype(np.float32)
    storage.save_control_features(ControlFeatures(features.prompt_ids, dense, features.matrix), tmp_path / "c")
    loaded = storage.load_control_features(tmp_path / "c")
    np.testing.assert_array_equal(loaded.dense, dense)
    assert (loaded.random_sae != features.matrix).nnz == 0
    with pytest.raises(DataError, match="holds control features"):
        storage.load_features(tmp_path / "c")


def test_the_hash_sees_every_part(features):
    first = storage.content_hash(features)
    changed = features.matrix.copy()
    changed.data[7] += 1e-3
    others = [
        replace(features, matrix=changed),
        replace(features, prompt_ids=("other", *features.prompt_ids[1:])),
        replace(features, meta=replace(META, pooling="max")),
        replace(
            features,
            matrix=csr_matrix((features.matrix.data, features.matrix.indices, features.matrix.indptr), (30, 401)),
        ),
    ]
    assert len({first, *map(storage.content_hash, others)}) == 5


def test_a_changed_or_missing_file_is_noticed(features, tmp_path):
    storage.save_features(features, tmp_path / "f")
    values = np.load(tmp_path / "f" / "data.npy")
    np.save(tmp_path / "f" / "data.npy", values * 2)
    with pytest.raises(DataError, match="extract them again"):
        storage.load_features(tmp_path / "f")
    np.save(tmp_path / "f" / "data.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        storage.load_features(tmp_path / "f")
    (tmp_path / "f" / "meta.json").unlink()
    with pytest.raises(DataError, match="no readable features"):
        storage.load_features(tmp_path / "f")


def test_saving_twice_replaces_and_leaves_other_files_alone(features, tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "other.txt").write_text("mine")
    storage.save_features(features, folder)
    storage.save_features(replace(features, meta=replace(META, pooling="last")), folder)
    assert storage.load_features(folder).meta.pooling == "last"
    assert (folder / "other.txt").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_a_full_disk_leaves_what_was_there(features, sae, tmp_path, small_disk):
    small_disk(1024)
    with pytest.raises(DataError, match=r"could not be saved.*free some space"):
        storage.save_features(features, tmp_path / "f")
    with pytest.raises(DataError, match="the SAE could not be saved"):
        sae_folder.save_sae(sae, tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_while_the_trained_sae_is_written(policy, pool, tmp_path, small_disk):
    from saerl_core.config.run import FeaturesConfig
    from saerl_core.features.sae import obtain_sae
    from tests.features.conftest import SMALL_SAE

    config = SMALL_SAE.model_copy(update={"train_tokens": 128})
    small_disk(1024)
    with pytest.raises(DataError, match="the SAE could not be saved"):
        obtain_sae(config, FeaturesConfig(device="cpu"), policy, pool, tmp_path / "s", 0)
    assert list(tmp_path.iterdir()) == []
