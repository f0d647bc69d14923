"""Whether anything that matters has changed."""

import shutil

import pytest

from saerl_core.config.run import RunConfig
from saerl_core.promotion.changes import inputs_of


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "clone"
    for name in ("saerl_core/plan", "steps", "pipelines", "materializers"):
        (root / name).mkdir(parents=True)
        (root / name / "a.py").write_text(name)
    (root / "deploy" / "trainer").mkdir(parents=True)
    (root / "constraints.txt").write_text("numpy==1")
    (root / "DATA_VERSION").write_text("1")
    (tmp_path / "pool.jsonl").write_text("{}")
    return root


@pytest.fixture
def config(tmp_path):
    return RunConfig.model_validate(
        {
            "prompts": {"source": "file", "path": str(tmp_path / "pool.jsonl"), "eval_path": "absent.jsonl"},
            "policy": {"source": "pretrained", "model": "some/model"},
            "grading": {"kind": "math"},
            **{name: {"max_completion_tokens": 64} for name in ("pass_rates", "training", "evaluation")},
        }
    )


def test_nothing_changed(repository, config, tmp_path):
    before = inputs_of(config, repository)
    (repository / "README.md").write_text("new")
    (repository / "steps" / "__pycache__").mkdir()
    (repository / "steps" / "__pycache__" / "a.pyc").write_bytes(b"1")
    clone = shutil.copytree(repository, tmp_path / "elsewhere" / "other")  # new modification times, another path
    after = inputs_of(config, clone)
    assert after == before
    assert after.changes(before) == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../pool.jsonl", "the data"),
        ("DATA_VERSION", "the data"),
        ("saerl_core/plan/a.py", "the code"),
        ("materializers/new.py", "the code"),
        ("constraints.txt", "the code"),
        ("deploy/trainer/requirements.txt", "the code"),
    ],
)
def test_what_changed_is_named(repository, config, name, words):
    before = inputs_of(config, repository)
    (repository / name).write_text("changed")
    assert inputs_of(config, repository).changes(before) == (words,)


def test_a_setting_is_the_configuration(repository, config):
    changed = config.model_copy(update={"seed": 1})
    assert inputs_of(changed, repository).changes(inputs_of(config, repository)) == ("the configuration",)


def test_data_under_the_same_name_and_size_is_new_data(repository, config):
    before = inputs_of(config, repository)
    (repository.parent / "pool.jsonl").write_text("[]")
    assert inputs_of(config, repository).changes(before) == ("the data",)
