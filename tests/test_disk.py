"""A reader sees all of a file or folder, or what was there before."""

import numpy as np
import pytest

from saerl_core.disk import read_array, whole_file, whole_folder, write_text


def test_a_file_that_fails_half_way_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.json"
    write_text(path, "old")

    def fail():
        with whole_file(path) as part:
            part.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_replaces_the_old_one_as_a_whole(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "stale").write_text("x")
    with whole_folder(target, synced=True) as building:
        (building / "weights").write_text("new")
        assert (target / "stale").exists(), "nothing happens before the end"
    assert [f.name for f in target.iterdir()] == ["weights"]
    assert [f.name for f in tmp_path.iterdir()] == ["model"]


def test_into_an_existing_folder_the_telling_file_moves_last(tmp_path):
    target = tmp_path / "sae"
    target.mkdir()
    (target / "other").write_text("stays")
    with whole_folder(target, last="cfg.json") as building:
        (building / "cfg.json").write_text("{}")
        (building / "weights").write_text("w")
    assert {f.name for f in target.iterdir()} == {"other", "cfg.json", "weights"}


def test_what_a_killed_writer_left_is_removed(tmp_path):
    (tmp_path / ".model.part").mkdir()
    (tmp_path / ".model.part" / "half").write_text("x")
    with whole_folder(tmp_path / "model") as building:
        assert not list(building.iterdir())
    assert [f.name for f in tmp_path.iterdir()] == ["model"]


def test_an_array_is_read_and_nothing_else(tmp_path):
    values = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "a.npy", values)
    assert np.array_equal(read_array(tmp_path / "a.npy"), values)
    np.savez(tmp_path / "several.npz", values)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    for name in ("several.npz", "objects.npy"):
        with pytest.raises(ValueError, match=r"magic|pickle|Object"):
            read_array(tmp_path / name)
