"""The trainer's image and lock: the version that the code asks for, and nothing of the pipeline."""

import re
import tomllib

import pytest

from saerl_core.training.openrlhf.job_file import OPENRLHF_VERSION
from tests.deploy.images import ROOT, Instructions, of, read_dockerfile, read_lock

FOLDER = ROOT / "deploy" / "trainer"
NOT_HERE = re.compile(r"^(zenml|mlflow|mlflow-skinny|trl|sae-lens)\b")


@pytest.fixture(scope="module")
def instructions() -> Instructions:
    return read_dockerfile(FOLDER)


@pytest.fixture(scope="module")
def lock() -> dict[str, str]:
    return read_lock(FOLDER / "requirements.txt")


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_is_the_one_that_the_code_asks_for(instructions, lock, project):
    assert lock["openrlhf"] == OPENRLHF_VERSION
    assert project["optional-dependencies"]["openrlhf"] == [f"openrlhf[vllm]=={OPENRLHF_VERSION}"]
    text = (FOLDER / "Dockerfile").read_text()
    named = re.findall(r"OpenRLHF (\S+) with|saerl-trainer:(\S+) |version\('openrlhf'\) == '([^']+)'", text)
    assert {v for found in named for v in found if v} == {OPENRLHF_VERSION}
    assert len(named) == 3


def test_flash_attn_is_compiled_when_torch_is_in_place(instructions):
    runs = " ".join(of(instructions, "RUN"))
    assert 0 < runs.index("wheels.txt") < runs.index("grep '^flash-attn=='")


def test_the_lock_holds_the_base_and_nothing_of_the_pipeline(lock, project):
    base = [re.split(r"[<>=\[]", d)[0] for d in project["dependencies"]]
    assert set(base) <= set(lock)
    assert [name for name in [*base, *lock] if NOT_HERE.match(name)] == []
    assert {"vllm", "torch", "ray", "deepspeed", "flash-attn", "setuptools", "wheel", "ninja"} <= set(lock)


def test_the_tests_on_a_cpu_run_what_the_image_holds(lock):
    """The environment of the tests has no vLLM, but what both have in common must not drift apart where it matters."""
    lines = (ROOT / "deploy" / "openrlhf-cpu.txt").read_text().splitlines()
    tested = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    for name in (
        "openrlhf",
        "deepspeed",
        "ray",
        "torch",
        "transformers",
        "datasets",
        "accelerate",
        "peft",
        "torchdata",
    ):
        assert lock[name] == tested[name], f"{name} is tested in another version than the image holds"
