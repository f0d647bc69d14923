"""A pickle put in place of an artifact's file is refused by whoever loads it, and is not executed."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel
from scipy.sparse import csr_matrix

import materializers
from materializers import (
    BatchPlanMaterializer,
    ControlFeaturesMaterializer,
    ExportedPlansMaterializer,
    LinearProbeMaterializer,
    PolicyMaterializer,
    PromptVectorsMaterializer,
    SaeFeaturesMaterializer,
    SaeMaterializer,
    ShardMaterializer,
)
from saerl_core.config.run import FeaturesConfig
from saerl_core.features.encoder import open_encoder
from saerl_core.features.sae import obtain_sae
from saerl_core.policy.loading import load_model, load_tokenizer
from saerl_core.records import ControlFeatures, ExportedPlans, FeatureMeta, LinearProbe, PromptVectors, SaeFeatures
from saerl_core.shards import Shard, ShardResult, in_order
from tests.features.conftest import SMALL_SAE, make_pool, save_model
from tests.plan_factory import tiny_plan
from tests.security.bombs import bomb
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = OUR_WARNINGS_ARE_ERRORS
MATRIX = csr_matrix(np.array([[0, 1.5, 0], [2.0, 0, 0]], dtype=np.float32))
META = FeatureMeta(model="m", hook_name="blocks.1.hook_resid_post", sae_id="s", pooling="mean", l0=1.0)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """A record for every materializer that the pipeline uses, with a function that reads it to the last file."""
    folder = tmp_path_factory.mktemp("records")
    policy = save_model(folder / "policy")
    sae, _ = obtain_sae(SMALL_SAE, FeaturesConfig(device="cpu"), policy, make_pool(40), folder / "sae", seed=0)
    return {
        SaeFeaturesMaterializer: (SaeFeatures(("a", "b"), MATRIX, META), None),
        ControlFeaturesMaterializer: (ControlFeatures(("a", "b"), np.eye(2, dtype=np.float32), MATRIX), None),
        LinearProbeMaterializer: (LinearProbe("quality", np.array([0.5, -1.0]), 0.25), None),
        PromptVectorsMaterializer: (PromptVectors(("a", "b"), np.eye(2)), None),
        BatchPlanMaterializer: (tiny_plan(), None),
        ExportedPlansMaterializer: (_exported(folder / "exports"), None),
        ShardMaterializer: (ShardResult("features", Shard(1, 1), {"rows": np.eye(2)}), lambda part: in_order([part])),
        SaeMaterializer: (sae, lambda ref: open_encoder(Path(ref.path))),
        PolicyMaterializer: (policy, lambda ref: (load_model(ref), load_tokenizer(ref))),
    }


def _exported(folder):
    (folder / "jsonl").mkdir(parents=True)
    (folder / "jsonl" / "train.jsonl").write_text('{"prompt": "1 + 1", "answer": "2"}\n')
    return ExportedPlans(folder, ("jsonl",))


@pytest.fixture
def store(local_stack, tmp_path_factory):
    from zenml.client import Client

    path = Path(Client().active_stack.artifact_store.path) / tmp_path_factory.mktemp("artifact").name
    path.mkdir(parents=True)
    return path


def _load(kind, record, use, store):
    loaded = kind(str(store)).load(type(record))
    return use(loaded) if use else loaded


def _rewrite_hashes(store):
    """Do what somebody would do who can write to the store: make the hashes beside the files fit."""
    for card in store.rglob("plan.json"):
        content = json.loads(card.read_text())
        content["sha256"] = {n: hashlib.sha256((store / n).read_bytes()).hexdigest() for n in content["sha256"]}
        card.write_text(json.dumps(content))
    for card in store.rglob("saerl.json"):
        content = json.loads(card.read_text())
        content["sae_id"] = hashlib.sha256((store / "sae_weights.safetensors").read_bytes()).hexdigest()[:16]
        card.write_text(json.dumps(content))


def test_every_materializer_is_tried(records):
    assert {kind.__name__ for kind in records} == set(materializers.__all__)


@pytest.mark.parametrize("name", materializers.__all__)
def test_a_pickle_in_place_of_any_file_is_refused(records, store, tmp_path, name):
    kind = getattr(materializers, name)
    record, use = records[kind]
    kind(str(store)).save(record)
    _load(kind, record, use, store)  # it can be read before
    canary = tmp_path / "canary"
    unread = []
    for file in sorted(p for p in store.rglob("*") if p.is_file() and p.name != "card.html"):
        before = {f: f.read_bytes() for f in store.rglob("*") if f.is_file()}
        for content in bomb(canary).values():
            file.write_bytes(content)
            if file.suffix not in (".json", ".jinja"):
                _rewrite_hashes(store)
            try:
                _load(kind, record, use, store)
            except Exception:  # noqa: BLE001 (whatever it says: it refused)
                continue
            finally:
                assert not canary.exists(), f"{file.name} was executed"
            unread.append(file.name)
        for f, content in before.items():
            f.write_bytes(content)
    if kind is not ExportedPlansMaterializer:  # what it holds is handed on to whoever asked for it, and read by nobody
        assert set(unread) <= {"generation_config.json"}, "files that nobody looked into"


class _Note(BaseModel):
    text: str


@pytest.mark.parametrize("record", [pd.DataFrame({"a": [1, 2]}), _Note(text="x")], ids=["table", "report"])
def test_tables_and_reports_too(store, tmp_path, record):
    from zenml.materializers.materializer_registry import materializer_registry

    kind = materializer_registry[type(record)]
    kind(str(store)).save(record)
    files = [p for p in store.rglob("*") if p.is_file()]
    assert files
    canary = tmp_path / "canary"
    for content in bomb(canary).values():
        for file in files:
            file.write_bytes(content)
        with pytest.raises(Exception):  # noqa: B017, PT011 (whatever it says)
            kind(str(store)).load(type(record))
        assert not canary.exists()


def test_the_bombs_go_off(tmp_path):
    """Loaded without care, each of them creates its file."""
    import io
    import pickle

    import torch

    loads = {
        "pickle": pickle.loads,
        "npy": lambda content: np.load(io.BytesIO(content), allow_pickle=True),
        "torch": lambda content: torch.load(io.BytesIO(content), weights_only=False),
    }
    for name, content in bomb(tmp_path / "canary").items():
        loads[name](content)
        (tmp_path / "canary").unlink()
