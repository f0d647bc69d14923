"""Defaults of the environment, and the offline mode that a Hub name lifts."""

import gc
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from saerl_core.config.run import RunConfig
from saerl_core.environment import OFFLINE_BY_DEFAULT, apply, defaults, project_root, state_dir
from saerl_core.errors import ConfigError
from saerl_core.fingerprint import fingerprint
from saerl_core.hub import allow_hub, hub_names


@pytest.fixture
def bare(monkeypatch):
    for name in (*defaults(), OFFLINE_BY_DEFAULT):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_everything_goes_under_the_state_folder(monkeypatch):
    monkeypatch.delenv("SAERL_HOME")
    assert state_dir() == project_root() / ".saerl"
    paths = [v for k, v in defaults().items() if k.endswith("_PATH")]
    assert len(paths) == 3
    assert all(Path(p).is_relative_to(state_dir()) for p in paths)


def test_an_installed_library_writes_nothing_beside_itself(bare, tmp_path):
    installed = tmp_path / "site-packages"
    (installed / "pipelines").mkdir(parents=True)
    (installed / "saerl.py").touch()
    bare.delenv("SAERL_HOME")
    bare.setattr("saerl_core.environment._LIBRARY", installed)
    bare.chdir(tmp_path)
    assert state_dir() == tmp_path / ".saerl"


def test_telemetry_is_off():
    values = defaults()
    assert values["ZENML_ANALYTICS_OPT_IN"] == "false"
    assert values["MLFLOW_DISABLE_TELEMETRY"] == "true"


@pytest.mark.parametrize(("program", "is_ours"), [("bin/zenml", True), ("notebook.py", False)])
def test_the_command_of_zenml_collects_less_and_a_program_that_imports_it_does_not(bare, tmp_path, program, is_ours):
    found = []
    bare.setattr(gc, "set_threshold", lambda *thresholds: found.append(thresholds))
    bare.setattr(sys, "argv", [program])
    bare.setenv("SAERL_HOME", str(tmp_path))
    apply()
    assert bool(found) == is_ours


def test_our_own_command_collects_less(monkeypatch):
    from pipelines.__main__ import main

    found = []
    monkeypatch.setattr(gc, "set_threshold", lambda *thresholds: found.append(thresholds))
    assert CliRunner().invoke(main, ["settings"]).exit_code == 0
    assert found


def test_the_folder_for_temporary_files_is_made(bare, tmp_path):
    """Python would silently take another one, which the other nodes of a cluster do not see."""
    bare.setenv("TMPDIR", str(tmp_path / "volume" / "tmp"))
    apply()
    assert (tmp_path / "volume" / "tmp").is_dir()


@pytest.mark.parametrize(
    ("home", "message"),
    [
        ("file", r"^SAERL_HOME is '.*/file', which is a file, not a folder; set SAERL_HOME to a folder that you may"),
        ("file/below/it", r"SAERL_HOME is '.*/it', but '.*/file' is a file, not a folder"),
        ("gone", r"SAERL_HOME is '.*/gone', which is a link to nothing"),
        ("locked", r"SAERL_HOME is '.*/locked', but '.*/locked' is read-only here"),
        ("locked/new", r"SAERL_HOME is '.*/new', but '.*/locked' is read-only here"),
    ],
)
def test_a_state_folder_that_cannot_be_written_is_named(bare, tmp_path, home, message):
    (tmp_path / "file").touch()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "locked").mkdir()
    allowed = os.access
    bare.setattr(os, "access", lambda path, mode: "locked" not in str(path) and allowed(path, mode))  # root may all
    bare.setenv("SAERL_HOME", str(tmp_path / home))
    with pytest.raises(ConfigError, match=message) as caught:
        apply()
    assert "\n" not in str(caught.value)
    bare.setattr(sys, "argv", ["/somewhere/bin/zenml", "pipeline", "run", "saerl"])
    with pytest.raises(SystemExit, match="Error: SAERL_HOME is"):
        apply()
    bare.setenv("ZENML_CONFIG_PATH", str(tmp_path))
    apply()


def test_a_state_folder_that_is_not_there_yet_is_no_problem(bare, tmp_path):
    bare.setenv("SAERL_HOME", str(tmp_path / "a" / "b"))
    apply()
    assert not (tmp_path / "a").exists()


def test_a_users_variable_stays(bare):
    bare.setenv("ZENML_ANALYTICS_OPT_IN", "true")
    apply()
    assert os.environ["ZENML_ANALYTICS_OPT_IN"] == "true"
    assert os.environ["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize(
    ("sections", "names"),
    [
        ({}, []),
        ({"policy": {"source": "pretrained", "model": "org/model"}}, ["org/model"]),
        ({"policy": {"source": "pretrained", "model": "."}}, []),
        ({"sae": {"source": "load", "path": "some-release", "sae_id": "l1"}}, ["some-release"]),
        (
            {"evaluation": {"benchmarks": [{"name": "a", "dataset": "org/set"}, {"name": "b", "path": "b.jsonl"}]}},
            ["org/set"],
        ),
    ],
)
def test_a_hub_name_lifts_the_offline_default(bare, sections, names):
    extra = {"grading": {"kind": "exact"}} if "policy" in sections else {}
    config = RunConfig.model_validate({**sections, **extra})
    apply()
    allow_hub(config)
    assert hub_names(config) == names
    assert os.environ["HF_HUB_OFFLINE"] == ("0" if names else "1")


def test_a_users_offline_mode_is_not_lifted(bare):
    bare.setenv("HF_HUB_OFFLINE", "1")
    apply()
    config = {"policy": {"source": "pretrained", "model": "org/model"}, "grading": {"kind": "exact"}}
    allow_hub(RunConfig.model_validate(config))
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_zenml_itself_applies_the_defaults():
    program = "import zenml, os; print(os.environ['ZENML_ANALYTICS_OPT_IN'], os.environ['ZENML_CONFIG_PATH'])"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ZENML_")}
    done = subprocess.run([sys.executable, "-c", program], env=clean, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "false"
    assert done.stdout.split()[1] == str(state_dir() / "zenml" / "config")


def test_a_fingerprint_sees_contents_names_and_absence(tmp_path):
    file = tmp_path / "a.jsonl"
    absent = fingerprint(str(file))
    file.write_text("1")
    first = fingerprint(str(file))
    file.write_text("2")
    second = fingerprint(str(file))
    assert len({absent, first, second, fingerprint(None)}) == 4
    file.write_text("1")
    assert fingerprint(str(file)) == first
    folder = fingerprint(str(tmp_path))
    file.rename(tmp_path / "b.jsonl")
    assert fingerprint(str(tmp_path)) != folder


def test_a_full_disk_is_told_before_anything_is_made(bare, tmp_path):
    usage = SimpleNamespace(free=200_000)
    bare.setattr("saerl_core.environment.shutil.disk_usage", lambda place: usage)
    bare.setenv("SAERL_HOME", str(tmp_path / "new"))
    with pytest.raises(
        ConfigError, match=r"SAERL_HOME is '.*new', but only 0 MiB are left there; free some space, or set"
    ):
        apply()
    assert not (tmp_path / "new").exists()


def test_a_working_directory_that_is_gone_is_told(bare, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    bare.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigError, match="the working directory does not exist any more"):
        apply()


def test_another_clones_environment_is_refused(bare, tmp_path):
    (tmp_path / "pipelines").mkdir()
    for name in ("saerl.py", "pyproject.toml"):
        (tmp_path / name).touch()
    bare.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^you are in the clone '.*', but this environment runs the code of") as told:
        apply()
    assert "make an environment of its own here (`make install`" in str(told.value)
    assert "ZENML_CONFIG_PATH" not in os.environ
    bare.setattr("saerl_core.environment._LIBRARY", tmp_path / "site-packages")  # installed, from no clone
    apply()
