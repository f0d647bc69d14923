"""The trainer's image and lock: everything pinned, no root, no secrets, and the version that the code asks for."""

import re
import tomllib
from pathlib import Path

import pytest

from saerl_core.training.openrlhf.job_file import OPENRLHF_VERSION

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "trainer"
NOT_HERE = re.compile(r"^(zenml|mlflow|mlflow-skinny|trl|sae-lens)\b")


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile as (word, rest), lines joined and comments left out."""
    lines = [line for line in (FOLDER / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def lock() -> dict[str, str]:
    lines = (FOLDER / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [p for p in pins if not re.fullmatch(r"[a-z0-9._-]+==[0-9][^\s;*]*", p)] == []
    return dict(p.split("==") for p in pins)


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def of(instructions: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for found, rest in instructions if found == word]


def test_the_version_is_the_one_that_the_code_asks_for(instructions, lock, project):
    assert lock["openrlhf"] == OPENRLHF_VERSION
    assert project["optional-dependencies"]["openrlhf"] == [f"openrlhf[vllm]=={OPENRLHF_VERSION}"]
    text = (FOLDER / "Dockerfile").read_text()
    named = re.findall(r"OpenRLHF (\S+) with|saerl-trainer:(\S+) |version\('openrlhf'\) == '([^']+)'", text)
    assert {v for found in named for v in found if v} == {OPENRLHF_VERSION}
    assert len(named) == 3


def test_the_image_is_pinned(instructions):
    for image in of(instructions, "FROM"):
        assert re.search(r":\d+\.\d+\.\d+", image), f"{image} names no version"
        assert "latest" not in image
    installs = [part for run in of(instructions, "RUN") for part in run.split("&&") if "install" in part]
    assert len(installs) == 4
    for command in installs:
        assert "--no-deps" in command
        assert "--no-build" in command  # nothing is fetched to build with
        pinned = re.search(r"-r /tmp/(wheels|sources)\.txt|/usr/local/src/saerl\b", command)
        assert pinned, f"{command} installs without a pin"
    assert not [run for run in of(instructions, "RUN") if re.search(r"\b(apt|apt-get|curl|wget|git)\b", run)]
    [venv] = [run for run in of(instructions, "RUN") if "uv venv" in run]
    assert re.search(r"--python 3\.11\.\d+ ", venv)


def test_every_pin_is_installed_once(instructions, lock):
    """What the first step leaves out is what the others install."""
    runs = " ".join(of(instructions, "RUN"))
    left_out = re.search(r"grep -vE '\^\(#\|([^)]*)\)'", runs)[1].replace("==", "").split("|")
    assert {"deepspeed", "flash-attn", "transformers-stream-generator"} == set(left_out)
    assert set(left_out) <= set(lock)
    assert "grep -E '^(deepspeed|transformers-stream-generator)=='" in runs
    assert runs.index("wheels.txt") < runs.index("grep '^flash-attn=='"), "flash-attn needs torch in place"


def test_the_image_does_not_run_as_root_and_keeps_no_secret(instructions):
    assert of(instructions, "USER") == ["1000:1000"]
    assert [word for word, _ in instructions][-2:] == ["USER", "WORKDIR"]
    values = " ".join([*of(instructions, "ENV"), *of(instructions, "ARG")])
    assert not re.search(r"TOKEN|SECRET|PASSWORD|API_?KEY", values, re.IGNORECASE)
    assert not of(instructions, "ADD")
    for source in of(instructions, "COPY"):
        assert not source.startswith(". ")
    ignored = [
        line for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] not in ("#", "")
    ]
    assert ignored[0] == "*"


def test_what_is_copied_is_in_the_build_context_and_in_the_repository(instructions):
    allowed = {line[1:] for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = {p for rest in of(instructions, "COPY") if "--from" not in rest for p in rest.split()[:-1]}
    assert copied == allowed
    assert all((ROOT / path).exists() for path in copied)


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
