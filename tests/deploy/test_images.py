"""Both images: everything pinned, no root, no secrets, nothing of the work tree but what they are made of."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.deploy.images import ROOT, base_images, enters, of, read_dockerfile, read_lock, rules

FOLDERS = [ROOT / "deploy" / name for name in ("pipeline", "trainer")]
NEVER = (
    ".git/config",
    ".saerl/report.html",
    ".saerl/zenml/config/credentials.yaml",
    ".venv/bin/python",
    ".venv-openrlhf/bin/python",
    ".env",
    "mlflow.db",
    "my_prompts.jsonl",
    "data/math.parquet",
    "deploy/stacks/k8s-gpu.yaml",
    "saerl_core/__pycache__/ids.cpython-311.pyc",
    "tests/conftest.py",
)
both = pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)


@both
def test_the_bases_name_a_version(folder):
    images = base_images(read_dockerfile(folder))
    assert len(images) == 2
    for image in images:
        assert re.search(r":\d+\.\d+\.\d+", image), f"{image} names no version"
        assert "latest" not in image


@both
def test_what_is_installed_is_pinned(folder):
    runs = of(read_dockerfile(folder), "RUN")
    installs = [part for run in runs for part in run.split("&&") if "install" in part]
    assert len(installs) >= 3
    for command in installs:
        assert "--no-deps" in command
        assert "--no-build" in command  # nothing is fetched to build with
        pinned = re.search(r"-r /tmp/(wheels|sources)\.txt|/usr/local/src/saerl\b|-e \.(?= |$)", command)
        assert pinned, f"{command} installs without a pin"
    assert not [run for run in runs if re.search(r"\b(apt|apt-get|curl|wget|git)\b", run)]
    [venv] = [run for run in runs if "uv venv" in run]
    assert re.search(r"--python 3\.11\.\d+ ", venv)


@both
def test_every_pin_is_installed_once(folder):
    """What the first step leaves out is what the others install."""
    runs = " ".join(of(read_dockerfile(folder), "RUN"))
    left_out = re.search(r"grep -vE '\^\(#\|([^)]*)\)'", runs)[1].replace("==", "").split("|")
    assert set(left_out) <= {name for lock in folder.glob("*.txt") for name in read_lock(lock)}
    sources = [found.strip("()") for found in re.findall(r"grep (?:-E )?'\^(\([^)]*\)|[a-z-]+)=='", runs)]
    assert sorted(name for found in sources for name in found.split("|")) == sorted(left_out)


@both
def test_it_does_not_run_as_root_and_keeps_no_secret(folder):
    instructions = read_dockerfile(folder)
    assert of(instructions, "USER")[-1] == "1000:1000"
    assert [word for word, _ in instructions if word in ("USER", "RUN")][-1] == "USER"
    values = " ".join([*of(instructions, "ENV"), *of(instructions, "ARG")])
    assert not re.search(r"TOKEN|SECRET|PASSWORD|API_?KEY", values, re.IGNORECASE)
    assert not of(instructions, "ADD")


@both
def test_nothing_enters_the_build_but_what_is_copied(folder):
    instructions = read_dockerfile(folder)
    assert rules(folder)[0] == "*"
    allowed = {line[1:] for line in rules(folder) if line.startswith("!")}
    copied = {p for rest in of(instructions, "COPY") if "--from" not in rest for p in rest.split()[:-1]}
    assert copied == allowed
    assert all((ROOT / path).exists() for path in copied)
    assert [path for path in NEVER if enters(folder, path)] == []
    assert enters(folder, "saerl_core/training/run.py")


@both
def test_both_are_built_by_the_same_tool(folder):
    uv = {base_images(read_dockerfile(f))[0] for f in FOLDERS}
    assert len(uv) == 1
    head = "\n".join(line for line in (folder / "requirements.txt").read_text().splitlines() if line.startswith("#"))
    for part in ("uv pip compile pyproject.toml", "--python-version 3.11", f"-o deploy/{folder.name}/requirements.txt"):
        assert part in head


def test_the_pipelines_lock_is_what_the_tests_run():
    """All versions are those of constraints.txt; what torch needs on a GPU beside them is not installed on a CPU."""
    lock = read_lock(ROOT / "deploy" / "pipeline" / "requirements.txt")
    tested = read_lock(ROOT / "constraints.txt")
    assert {name: version for name, version in lock.items() if tested.get(name, version) != version} == {}
    beside = [name for name in lock if name not in tested]
    assert [name for name in beside if not re.match(r"nvidia-|cuda-|triton$", name)] == []
    assert {"zenml", "mlflow", "torch", "sae-lens", "trl", "kubernetes", "s3fs", "boto3", "setuptools"} <= set(lock)
    kubeflow = read_lock(ROOT / "deploy" / "pipeline" / "requirements-kubeflow.txt")
    assert {name for name, version in lock.items() if kubeflow[name] != version} == {"kubernetes", "protobuf"}
    assert not {"openrlhf", "vllm", "ray", "pytest", "mypy", "kubernetes-validate"} & set(lock)


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("pipeline/requirements.txt", ["models", "pipeline", "kubernetes"]),
        ("pipeline/requirements-kubeflow.txt", ["models", "pipeline", "kubeflow"]),
        ("trainer/requirements.txt", ["openrlhf"]),
    ],
)
def test_a_lock_fits_what_the_project_asks_for(lock, extras):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = read_lock(ROOT / "deploy" / lock)
    asked = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    for line in asked:
        requirement = Requirement(line)
        if requirement.name != "saerl":
            assert requirement.specifier.contains(pins[requirement.name]), line


def test_the_step_that_trains_finds_its_interpreter_in_the_image():
    """The image of `train_policy` is the pipeline's on top of the trainer's, with both environments."""
    text = (ROOT / "deploy" / "pipeline" / "Dockerfile").read_text()
    tag = re.search(r"docker build -f deploy/trainer/Dockerfile -t (\S+) ", text)[1]
    assert f"--build-arg BASE={tag} " in text
    trainer, pipeline = (
        " ".join(of(read_dockerfile(ROOT / "deploy" / name), "ENV")) for name in ("trainer", "pipeline")
    )
    environment = re.search(r"VIRTUAL_ENV=(\S+)", trainer)[1]
    assert f"VIRTUAL_ENV={environment}" not in pipeline
    for name in ("kubernetes.yaml", "kubernetes_ray.yaml"):
        assert f"python: {environment}/bin/python " in (ROOT / "configs" / name).read_text()


@pytest.mark.slow
def test_the_code_in_the_image_runs_where_it_lies(tmp_path):
    """A copy of what enters the build: every step imports from it, and the commit is known without git."""
    folder = ROOT / "deploy" / "pipeline"
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for path in files:
        if enters(folder, path):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, tmp_path / path)
    script = (
        "import pathlib, pipelines.training, pipelines.base, saerl_core.environment as e, tracking.runtime as r;"
        "assert e.project_root() == pathlib.Path.cwd(), e.project_root();"
        "files = [m.__file__ for m in (pipelines.training, e, r)];"
        "assert all(pathlib.Path(f).is_relative_to(pathlib.Path.cwd()) for f in files), files;"
        "r.cache_policy('report'); raise SystemExit(r.git_sha() != 'abc123')"
    )
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ZENML_", "GIT")) and k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**clean, "PATH": str(tmp_path), "SAERL_HOME": str(tmp_path / "state"), "SAERL_GIT_SHA": "abc123"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
