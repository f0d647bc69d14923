"""Save a policy so that a folder is either complete or not there, and name it by its content."""

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from saerl_core.disk import whole_folder
from saerl_core.errors import BackendError, DataError
from saerl_core.policy.loading import quiet_loading
from saerl_core.records import PolicyRef

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def policy_id_of(folder: Path | str) -> str:
    """Return the SHA-256 over config.json and all safetensors files of a folder, in the order of their names.

    `DataError` where the folder is missing or holds no weights: it is no policy.
    """
    folder = Path(folder)
    files = [folder / "config.json", *sorted(folder.glob("*.safetensors"))]
    if len(files) == 1 or not files[0].is_file():
        raise DataError(
            f"'{folder}' is no policy: it must hold config.json and *.safetensors; give a Hugging Face model folder"
        )
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}:{file.stat().st_size}:".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def check_writable(out_dir: Path) -> None:
    """Raise `BackendError` where a policy could not be saved to `out_dir`, before any time is spent on it."""
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out_dir.parent):
            pass
    except OSError as error:
        raise _not_written(out_dir, error) from error


def _not_written(out_dir: Path, error: Exception) -> BackendError:
    return BackendError(
        f"the policy could not be written to '{out_dir}' ({error}); free some space or give a folder that is writable"
    )


def save_policy(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", out_dir: Path) -> PolicyRef:
    """Write model and tokenizer to `out_dir`, replacing what is there, and return the reference.

    Everything goes to a folder beside it first, which is renamed when it is complete: a full disk leaves no
    half-written policy behind. `BackendError` where the place cannot be written.
    """
    from safetensors import SafetensorError

    out_dir = Path(out_dir)
    try:
        with whole_folder(out_dir) as building, quiet_loading():
            model.save_pretrained(building)
            tokenizer.save_pretrained(building)
    except (OSError, SafetensorError) as error:
        raise _not_written(out_dir, error) from error
    return PolicyRef(str(out_dir), policy_id_of(out_dir))
