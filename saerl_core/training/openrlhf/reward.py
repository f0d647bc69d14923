"""The reward function that OpenRLHF calls, and the record of what it saw. No ray, no torch.

OpenRLHF loads it by the path of a Python file, once in every process that generates, and calls it from several threads.
It swallows an exception and dies later of another one, so that nothing here may raise: an error is a reward of 0 with
`reward_error` 1, which reaches the metrics and the audit.
"""

import itertools
import json
import os
import queue
import socket
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict, cast

from saerl_core.errors import BackendError
from saerl_core.rollouts.grading import Grader, Verdict
from saerl_core.training.openrlhf.job_file import JobFile
from saerl_core.training.openrlhf.loader import Place

_N = itertools.count()  # one file for each function of a process


class Reward(TypedDict):
    """What OpenRLHF takes; `extra_logs` has the same names in every answer, because it averages them."""

    rewards: float
    scores: float
    extra_logs: dict[str, float]


@dataclass(frozen=True)
class Seen:
    """One line of the audit: a rollout as the reward function saw it. `correct` None: the grader could not tell."""

    step: int
    slot: int
    id: str
    reward: float
    reason: str
    error: str | None = None
    correct: bool | None = None


class RewardFunction:
    """Grades one rollout a call: 1.0 for a correct answer, else 0.0, or what a user's function says; thread-safe."""

    def __init__(self, job: JobFile, answers: dict[str, str]) -> None:
        self._job = job
        self._answers = answers
        self._graders = _Graders(job)
        self._lock = threading.Lock()
        self._audit = job.audit_dir / f"{socket.gethostname()}-{os.getpid()}-{next(_N)}.jsonl"

    @classmethod
    def from_job(cls, path: str | Path) -> "RewardFunction":
        """Read what the driver wrote; an error ends OpenRLHF before it trains, while that is still heard.

        Raises:
            BackendError: a file cannot be read.
            ConfigError: a user's reward function cannot be imported here, or is not that of the driver.
        """
        job = JobFile.load(Path(path))
        with Grader(job.grading, job.function_folders) as grader:
            grader.start()  # a user's function that is not there, or is another one
        return cls(job, _read_answers(job.answers_file))

    def __call__(self, queries: object, prompts: object, labels: object, *args: object, **kwargs: object) -> Reward:
        """Return the reward of the one rollout in the three lists; OpenRLHF always sends one. Never raises."""
        try:
            seen = self._grade(cast(list[str], queries), cast(list[str], prompts), cast(list[object], labels))
        except Exception as error:  # noqa: BLE001 (whatever it is: OpenRLHF would swallow it and die later)
            seen = _failed(labels, error)
        try:
            self._write(seen)
        except Exception as error:  # noqa: BLE001 (a full disk: the driver misses the line and says so)
            seen = _failed(labels, error)
        unknown = seen.error is None and seen.correct is None
        logs = {
            "plan_step": float(seen.step),
            "reward_error": float(seen.error is not None),
            "reward_unknown": float(unknown),
        }
        return {"rewards": seen.reward, "scores": seen.reward, "extra_logs": logs}

    def _grade(self, queries: list[str], prompts: list[str], labels: list[object]) -> Seen:
        (query,), (prompt,), (label,) = queries, prompts, labels
        place = Place.of(label)
        if place.prompt_id not in self._answers:
            raise BackendError(f"no answer is known for prompt '{place.prompt_id}'; {self._job.answers_file} lacks it")
        completion = completion_of(query, prompt, self._job.special_tokens)
        if completion is None:
            raise BackendError(f"the rollout does not begin with its prompt '{place.prompt_id}'; was it cut to fit?")
        with self._graders.borrowed() as grader:
            verdict: Verdict = grader.grade([completion], [self._answers[place.prompt_id]])[0]
        return Seen(
            step=place.step,
            slot=place.slot,
            id=place.prompt_id,
            reward=verdict.reward,
            reason=verdict.reason,
            error=verdict.failure or None,
            correct=verdict.correct,
        )

    def _write(self, seen: Seen) -> None:
        """Append a line; the file is closed again, because another machine sees only what a closed file holds."""
        line = json.dumps(asdict(seen)) + "\n"
        with self._lock:
            self._audit.parent.mkdir(parents=True, exist_ok=True)
            with self._audit.open("a", encoding="utf-8") as file:
                file.write(line)


class _Graders:
    """As many graders as answers may be compared at once, made when they are needed."""

    def __init__(self, job: JobFile) -> None:
        self._config = job.grading.model_copy(update={"n_workers": 1})
        self._folders = job.function_folders
        self._idle: queue.LifoQueue[Grader | None] = queue.LifoQueue()
        for _ in range(job.grading.n_workers):
            self._idle.put(None)

    @contextmanager
    def borrowed(self) -> Iterator[Grader]:
        grader = self._idle.get()
        try:
            grader = grader or Grader(self._config, self._folders)
            yield grader
        finally:
            self._idle.put(grader)


def completion_of(query: str, prompt: str, special_tokens: tuple[str, ...]) -> str | None:
    """Return what follows the prompt, up to the first special token; None when the query does not begin with it.

    A tokenizer may give a prompt back with other blanks or with its accents composed; both still count as the prompt.
    """
    rest = query[len(prompt) :] if query.startswith(prompt) else _after(query, prompt)
    if rest is None:
        return None
    ends = [at for token in special_tokens if token and (at := rest.find(token)) >= 0]
    return rest[: min(ends, default=len(rest))]


def _after(query: str, prompt: str) -> str | None:
    at = 0
    for character in "".join(unicodedata.normalize("NFC", prompt).split()):
        while at < len(query) and query[at].isspace():
            at += 1
        if at == len(query) or query[at] != character:
            return None
        at += 1
    return query[at:]


def _failed(labels: object, error: Exception) -> Seen:
    label = labels[0] if isinstance(labels, list) and labels else ""
    place = Place.of(label)
    return Seen(place.step, place.slot, place.prompt_id, 0.0, "error", f"{type(error).__name__}: {error}")


def _read_answers(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines if line.strip()]
        return {str(row["prompt_id"]): str(row["answer"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackendError(
            f"the answers in {path} cannot be read ({error}); is the folder visible from this machine?"
        ) from error
