"""The Hub path, run for real against local folders: the same code loads a Hub name."""

import pandas as pd
import pytest

from saerl_core.config.run import PromptsConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.prompts.load import load_prompts
from tests.prompts.files import issues, row, write_jsonl

pytest.importorskip("datasets", reason="needs the extra 'models'")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def _load(name: object, **settings: object):
    return load_prompts(PromptsConfig(source="hub", dataset=str(name), **settings), seed=0)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_local_folder_is_read_like_a_hub_name(tmp_path, kind):
    folder = tmp_path / "my_set"
    folder.mkdir()
    rows = [row(1, answer=2.0), row(2, answer=4.5), row(2, answer=4.5), row(3, answer=None)]
    if kind == "jsonl":
        write_jsonl(folder / "train.jsonl", rows)
    else:
        pd.DataFrame(rows).to_parquet(folder / "train.parquet")
    out = _load(folder)
    assert list(out.train["answer"]) == ["2", "4.5", "4.5"]
    assert set(out.train["source"]) == {"my_set"}
    assert {(3, "duplicate", False), (4, "missing_answer", True)} <= issues(out)
    assert len(_load(folder, max_rows=2).train) == 2


def test_absent_data_set_offline_is_one_sentence_with_the_way_out():
    with pytest.raises(
        DataError, match=r"'no-such-owner/no-such-set'.*offline.*HF_HUB_OFFLINE=0.*prompts\.source 'file'"
    ):
        _load("no-such-owner/no-such-set")


def test_wrong_split_and_wrong_column_name_the_setting(tmp_path):
    folder = tmp_path / "my_set"
    folder.mkdir()
    write_jsonl(folder / "train.jsonl", [row(1)])
    with pytest.raises(DataError, match="split 'validation'"):
        _load(folder, dataset_split="validation")
    with pytest.raises(DataError, match=r"no column 'problem' \(prompts.columns.prompt\)"):
        _load(folder, columns={"prompt": "problem"})


def test_file_that_the_library_cannot_parse_is_explained(tmp_path):
    folder = tmp_path / "my_set"
    folder.mkdir()
    path = write_jsonl(folder / "train.jsonl", [row(1), row(2)])
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"cannot read.*prompts\.path"):
        _load(folder)


@pytest.mark.parametrize(("source", "setting"), [("hub", "dataset"), ("file", "path")])
def test_source_without_its_setting_is_refused(source, setting):
    with pytest.raises(ConfigError, match=rf"prompts\.{setting} is not set"):
        load_prompts(PromptsConfig(source=source), seed=0)
