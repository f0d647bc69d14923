"""The folder that driver and trainer share: where everything lies in it, and the files that the driver writes.

It must be visible under the same path wherever a part of the trainer runs; therefore the code that the trainer needs
lies in it too, as it was when the attempt began.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

import saerl_core
from saerl_core.disk import write_text
from saerl_core.errors import BackendError, DataError
from saerl_core.policy.loading import load_tokenizer
from saerl_core.policy.prompt_format import render
from saerl_core.progress import track
from saerl_core.records import TrainJob
from saerl_core.training.held_out import held_out_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

JOB, PROMPTS, EVALUATION, ANSWERS, REWARD = "job.json", "prompts.jsonl", "eval.jsonl", "answers.jsonl", "reward.py"
CHECKPOINTS, SESSIONS, FINAL, POLICY, FINISHED = "ckpt", "sessions", "final", "policy", "finished"
CODE = "pythonpath"  # of an attempt
_ATTEMPT = "attempt-"
_BAR_FROM = 5000  # prompts; fewer are rendered within a few seconds


@dataclass(frozen=True)
class RenderedPrompts:
    """What the policy reads for each usable prompt of a job, as a text."""

    texts: dict[str, str]  # prompt_id -> text
    tokenizer: "PreTrainedTokenizerBase"

    def n_tokens(self, prompt_id: str) -> int:
        """Return the length of a prompt; `DataError` for one that is marked as not usable."""
        if prompt_id not in self.texts:
            raise DataError(
                f"the curriculum named prompt '{prompt_id}', which is not usable (its flags say why); plan without it"
            )
        return len(self.tokenizer(self.texts[prompt_id], add_special_tokens=False)["input_ids"])

    def special_tokens(self) -> tuple[str, ...]:
        """Return the texts of the tokenizer's special tokens: a completion ends at the first of them."""
        return tuple(str(t) for t in self.tokenizer.all_special_tokens)


def new_attempt(root: Path) -> Path:
    """Create the folder of the next attempt, with the code that it runs, and return it."""
    number = max((int(p.name.removeprefix(_ATTEMPT)) for p in attempts(root)), default=0) + 1
    attempt = root / f"{_ATTEMPT}{number:02d}"
    with explained(attempt):
        for name in ("mailbox", "audit"):
            (attempt / name).mkdir(parents=True)
        copy_code(attempt / CODE)
    return attempt


def attempts(root: Path) -> list[Path]:
    """Return the folders of all attempts, the oldest first."""
    found = [p for p in root.glob(f"{_ATTEMPT}*") if p.is_dir() and p.name.removeprefix(_ATTEMPT).isdigit()]
    return sorted(found, key=lambda p: int(p.name.removeprefix(_ATTEMPT)))


def log_file(attempt: Path) -> Path:
    """Return where the trainer of an attempt writes what it says; the name is different in each attempt."""
    return attempt / f"trainer-{attempt.name.removeprefix(_ATTEMPT)}.log"


def log_files(work_dir: Path) -> list[Path]:
    """Return what the trainer said in each attempt, the oldest first."""
    return [log for attempt in attempts(work_dir) if (log := log_file(attempt)).is_file()]


def copy_code(target: Path) -> None:
    """Copy this package, for an interpreter that has none: nothing else of this environment may reach it."""
    source = Path(saerl_core.__file__).parent
    shutil.copytree(source, target / source.name, ignore=shutil.ignore_patterns("__pycache__"))


def write_inputs(job: TrainJob, root: Path) -> RenderedPrompts:
    """Write prompts, held-out prompts, gold answers and the reward file; returns the prompts as the policy reads them.

    Raises:
        DataError, ConfigError: the policy's tokenizer cannot give a prompt as a text, or has no such prompt format.
        BackendError: the folder cannot be written.
    """
    tokenizer = load_tokenizer(job.policy)
    train = job.prompts[job.prompts["usable"]]
    held_out = held_out_prompts(job)
    texts = _rendered(job, train, tokenizer)
    answers = pd.concat([train] if held_out is None else [train, held_out]).drop_duplicates("prompt_id")
    pairs = zip(answers["prompt_id"], answers["answer"], strict=True)
    reward = (
        "from saerl_core.training.openrlhf.reward import RewardFunction\n\n"
        f"reward_func = RewardFunction.from_job({str(root / JOB)!r})\n"
    )
    with explained(root):
        _write_lines(root / PROMPTS, _rows(texts, "train"))
        if held_out is not None:
            _write_lines(root / EVALUATION, _rows(_rendered(job, held_out, tokenizer), "dev"))
        _write_lines(root / ANSWERS, ({"prompt_id": str(i), "answer": str(a)} for i, a in pairs))
        write_text(root / REWARD, reward)
    return RenderedPrompts(texts, tokenizer)


@contextmanager
def explained(place: Path) -> Iterator[None]:
    """Turn what the file system refuses into a `BackendError` that says what to do."""
    try:
        yield
    except (OSError, shutil.Error) as error:
        raise BackendError(
            f"could not write to {place}: {error}; free disk space and start the same command again"
        ) from error


def _rendered(job: TrainJob, prompts: pd.DataFrame, tokenizer: "PreTrainedTokenizerBase") -> dict[str, str]:
    pairs = zip(prompts["prompt_id"], prompts["prompt"], strict=True)
    if len(prompts) < _BAR_FROM:
        return {str(i): render(tokenizer, str(p), job.policy.prompt_format) for i, p in pairs}
    texts = {}
    with track(len(prompts), "writing prompts", unit="prompt") as bar:
        for prompt_id, prompt in pairs:
            texts[str(prompt_id)] = render(tokenizer, str(prompt), job.policy.prompt_format)
            bar.update()
    return texts


def _rows(texts: dict[str, str], source: str) -> Iterator[dict[str, str]]:
    for prompt_id, text in texts.items():
        yield {"prompt": text, "label": prompt_id, "datasource": source}


def _write_lines(path: Path, rows: Iterable[dict[str, str]]) -> None:
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
