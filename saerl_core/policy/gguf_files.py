"""Models in GGUF files: dequantised once by transformers into a Hugging Face folder that remembers where it is from."""

import json
import shutil
from collections import Counter
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING

from saerl_core.disk import whole_folder
from saerl_core.environment import state_dir
from saerl_core.errors import BackendError, ConfigError, DataError
from saerl_core.policy.loading import quiet_loading

if TYPE_CHECKING:
    from gguf import GGUFReader

MARKER = "gguf.json"  # in a converted folder
_FULL = ("F64", "F32", "F16", "BF16")  # types of tensors that hold numbers as they were trained
_SPECIAL = {"bos": "bos_token", "eos": "eos_token", "padding": "pad_token"}  # GGUF's name: the tokenizer's
_BYTES = 4  # of a float32 weight
_SLACK = 64 << 20  # bytes beside the weights: tokenizer, file system


@dataclass(frozen=True)
class GgufOrigin:
    """The GGUF file that a folder was converted from."""

    file: str
    sha256: str
    architecture: str
    quantisation: str  # the type of most of its numbers, such as Q4_1 or F16

    @property
    def note(self) -> str | None:
        """Say that the weights are rounded; None where the file held them in full."""
        if not is_rounded(self.quantisation):
            return None
        return (
            f"The weights come from '{self.file}', quantised as {self.quantisation} and dequantised to float32 by "
            "transformers: they are close to the published model's, not equal."
        )


def is_rounded(quantisation: str) -> bool:
    """Return whether a type of tensors holds fewer digits than a model is trained with."""
    return quantisation not in _FULL


def models_dir() -> Path:
    """Return the folder that fetched and converted models live in."""
    return state_dir() / "models"


def find_gguf(model: str | Path) -> Path | None:
    """Return the GGUF file that a name means: such a file, or the one in a folder without a model of its own.

    `ConfigError` where a folder holds several.
    """
    path = Path(model).expanduser()
    if path.suffix.lower() == ".gguf":
        return path if path.is_file() else None
    if not path.is_dir() or (path / "config.json").exists():
        return None
    found = sorted(p for p in path.iterdir() if p.suffix.lower() == ".gguf")
    if len(found) > 1:
        raise ConfigError(
            f"'{model}' holds {len(found)} GGUF files ({', '.join(p.name for p in found[:3])} ...); name one of them"
        )
    return found[0] if found else None


def local_folder(model: str) -> str:
    """Return the folder to load a model from: that of a converted GGUF file where `model` means one, else `model`.

    A file is converted once; its content names the folder under `models_dir()`.
    """
    file = find_gguf(model)
    if file is None:
        if model.lower().endswith(".gguf"):
            raise DataError(f"there is no file '{model}'; give the path of a GGUF file, or a Hugging Face model folder")
        return model
    folder = models_dir() / f"{file.stem}-{_sha256(file)[:12]}"
    if origin_of(folder) is None:
        convert(file, folder)
    return str(folder)


def origin_of(folder: str | Path) -> GgufOrigin | None:
    """Return where a converted folder comes from; None for any other."""
    try:
        return GgufOrigin(**json.loads((Path(folder) / MARKER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def quantisation_of(model: str) -> str | None:
    """Return how the GGUF file behind a model is quantised, converted or not yet; None for any other model."""
    file = find_gguf(model)
    if file is not None:
        return _quantisation(file, _read(file))
    origin = origin_of(Path(model).expanduser())
    return None if origin is None else origin.quantisation


def check_readable(model: str) -> None:
    """Refuse a GGUF file that transformers cannot convert, from its head alone; does nothing for any other model.

    `DataError` for a file that is damaged, or of an architecture or quantisation that transformers does not read.
    """
    file = find_gguf(model)
    if file is None:
        return
    reader = _read(file)
    _architecture(file, reader)
    _quantisation(file, reader)
    try:
        _probe(file, reader)
    except Exception as error:
        raise _unreadable(file, error) from error


def _probe(file: Path, reader: "GGUFReader") -> None:
    """Let gguf dequantise a block of each type, and transformers read the head, as they do when a file is converted."""
    import numpy as np
    from gguf import GGML_QUANT_SIZES, dequantize
    from transformers import AutoConfig

    for kind in sorted({tensor.tensor_type for tensor in reader.tensors}):
        if kind.name not in _FULL:
            dequantize(np.zeros((1, GGML_QUANT_SIZES[kind][1]), dtype=np.uint8), kind)
    with quiet_loading():
        AutoConfig.from_pretrained(file.parent, gguf_file=file.name)


def convert(file: Path, out: Path) -> GgufOrigin:
    """Write model and tokenizer of a GGUF file to `out` in float32, all or nothing.

    `DataError` for a file that is damaged, or of an architecture or quantisation that transformers does not read;
    `BackendError` where the disk has too little room.
    """
    reader = _read(file)
    check_room(out, sum(int(t.n_elements) for t in reader.tensors) * _BYTES + _SLACK)
    origin = _describe(file, reader)
    try:
        with whole_folder(out) as building, quiet_loading():
            _save(file, reader, building)
            (building / MARKER).write_text(json.dumps(asdict(origin), indent=2), encoding="utf-8")
    except OSError as error:
        raise BackendError(f"the model could not be written to '{out}' ({error}); free some space") from error
    return origin


def check_room(target: Path, n_bytes: int) -> None:
    """Raise `BackendError` where the disk that `target` will be on has fewer than `n_bytes` left."""
    place = next(p for p in (target, *target.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free
    if free < n_bytes:
        raise BackendError(
            f"'{target}' needs {n_bytes >> 20:,} MB, but the disk has {free >> 20:,} MB left; free some space, or set "
            "SAERL_HOME to a folder on a larger disk"
        )


def _save(file: Path, reader: "GGUFReader", building: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        model = AutoModelForCausalLM.from_pretrained(
            file.parent, gguf_file=file.name, dtype=torch.float32, **_dequantised()
        )
    except Exception as error:
        raise _unreadable(file, error) from error
    tokenizer.clean_up_tokenization_spaces = False  # it would change what a completion says
    for name, ours in _SPECIAL.items():  # transformers 5.15 takes the file's BOS for the end token of a Llama
        field = reader.get_field(f"tokenizer.ggml.{name}_token_id")
        if field is not None:
            setattr(tokenizer, ours, tokenizer.convert_ids_to_tokens(int(field.contents())))
    model.save_pretrained(building)
    tokenizer.save_pretrained(building)


def _dequantised() -> dict[str, object]:
    """Return what later versions of transformers (5.17 for one) have to be told: 5.15 always dequantises."""
    import transformers

    config = getattr(transformers, "GgufConfig", None)
    return {} if config is None else {"quantization_config": config(dequantize=True)}


def _read(file: Path) -> "GGUFReader":
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise ConfigError(f"'{file}' needs the package gguf, which is not installed; run `pip install gguf`") from error
    try:
        return GGUFReader(file)
    except Exception as error:
        raise _unreadable(file, error) from error


def _describe(file: Path, reader: "GGUFReader") -> GgufOrigin:
    return GgufOrigin(file.name, _sha256(file), _architecture(file, reader), _quantisation(file, reader))


def _architecture(file: Path, reader: "GGUFReader") -> str:
    architecture = reader.get_field("general.architecture")
    if architecture is None:
        raise DataError(f"'{file}' is no model: it names no architecture; give a complete GGUF file")
    return str(architecture.contents())


def _quantisation(file: Path, reader: "GGUFReader") -> str:
    numbers: Counter[str] = Counter()
    for tensor in reader.tensors:
        numbers[tensor.tensor_type.name] += int(tensor.n_elements)
    if not numbers:
        raise DataError(f"'{file}' is no model: it holds no weights; give a complete GGUF file")
    return numbers.most_common(1)[0][0]


def _unreadable(file: Path, error: Exception) -> DataError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return DataError(
        f"the GGUF file '{file}' cannot be read by transformers ({first}); give one of an architecture and a "
        "quantisation that it supports (a Llama or Qwen2 in Q4_1, Q8_0 or F16), or a Hugging Face model folder"
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
