"""Trials in worker processes: never one twice, a dead worker costs its own trial only, progress for people."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from saerl_core.compare.trials import Trial
from saerl_core.errors import BackendError
from saerl_core.trials.folders import read_error, read_job, read_trial

_ROOT = Path(__file__).resolve().parents[2]  # the worker runs this library, wherever it is started from

Report = Callable[["Progress"], object]


@dataclass(frozen=True)
class Failure:
    """A trial that ended without a result, and why."""

    arm: str
    seed: int
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What became of all trials; those that were finished before count as trials."""

    trials: tuple[Trial, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Progress:
    """How far it is: trials and steps done, running, left; `left_s` is None until a step was timed."""

    n_done: int
    n_failed: int
    n_running: int
    n_waiting: int
    left_s: float | None

    def __str__(self) -> str:
        """Return a line for people."""
        left = "" if self.left_s is None else f", about {max(1, round(self.left_s / 60))} min left"
        failed = f", {self.n_failed} failed" if self.n_failed else ""
        return f"trials: {self.n_done} done{failed}, {self.n_running} running, {self.n_waiting} waiting{left}"


@dataclass
class _Worker:
    process: "subprocess.Popen[bytes]"
    folder: Path | None = None
    received: bytes = b""

    @property
    def fd(self) -> int:
        assert self.process.stdout is not None
        return self.process.stdout.fileno()


@dataclass
class _Run:
    """The state of one call."""

    waiting: list[Path]
    n_steps: dict[Path, int]
    torch_threads: int
    steps_done: int = 0
    finished: list[Path] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)


def run_trials(folders: Sequence[Path], n_workers: int, report: Report = lambda progress: None) -> Outcome:
    """Run the trials of the folders that are not finished, `n_workers` at a time, and return all of them in order.

    A trial whose worker dies (killed, out of memory) is a failure; started again, it goes on at its checkpoint.
    """
    todo = [folder for folder in folders if read_trial(folder) is None]
    jobs = {folder: read_job(folder) for folder in todo}
    n_threads = max((job.torch_threads for job in jobs.values()), default=1)
    run = _Run(list(todo), {folder: job.n_steps for folder, job in jobs.items()}, n_threads)
    workers: list[_Worker] = []
    try:
        while len(run.finished) + len(run.failures) < len(todo):
            _hand_out(run, workers, n_workers)
            report(_progress(run, workers, len(folders) - len(todo)))
            _listen(run, workers)
    finally:
        for worker in workers:
            _end(worker)
    report(_progress(run, workers, len(folders) - len(todo)))
    found = [trial for folder in folders if (trial := read_trial(folder)) is not None]
    return Outcome(tuple(found), tuple(run.failures))


def outcome_of(folders: Sequence[Path]) -> Outcome:
    """Return what became of trials that were run elsewhere."""
    found = {folder: read_trial(folder) for folder in folders}
    lost = [(read_job(folder), read_error(folder)) for folder, trial in found.items() if trial is None]
    trials = tuple(trial for trial in found.values() if trial is not None)
    return Outcome(trials, tuple(Failure(job.arm, job.seed, reason) for job, reason in lost))


def _hand_out(run: _Run, workers: list[_Worker], n_workers: int) -> None:
    while run.waiting:
        idle = next((w for w in workers if w.folder is None), None)
        if idle is None:
            if len(workers) >= n_workers:
                return
            idle = _start(run.torch_threads)
            workers.append(idle)
        idle.folder = run.waiting.pop(0)
        assert idle.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its death is noticed when its output is read
            idle.process.stdin.write(json.dumps(str(idle.folder)).encode() + b"\n")
            idle.process.stdin.flush()


def _listen(run: _Run, workers: list[_Worker]) -> None:
    """Wait for news of any worker, at most two seconds, and book them."""
    busy = {w.fd: w for w in workers if w.folder is not None}
    readable, _, _ = select.select(list(busy), [], [], 2.0)
    for fd in readable:
        worker = busy[fd]
        chunk = os.read(fd, 1 << 16)
        if not chunk:
            workers.remove(worker)
            code = worker.process.wait()
            _fail(run, worker, _death(code))
            _end(worker)
            continue
        worker.received += chunk
        *lines, worker.received = worker.received.split(b"\n")
        for line in lines:
            _book(run, worker, json.loads(line))


def _book(run: _Run, worker: _Worker, news: dict[str, object]) -> None:
    assert worker.folder is not None
    if "step" in news:
        run.steps_done += 1
    elif "error" in news:
        _fail(run, worker, str(news["error"]))
    else:
        run.finished.append(worker.folder)
        worker.folder = None


def _fail(run: _Run, worker: _Worker, reason: str) -> None:
    if worker.folder is None:
        return
    job = read_job(worker.folder)
    run.failures.append(Failure(job.arm, job.seed, reason))
    worker.folder = None


def _death(code: int) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed, perhaps for memory (compare.workers sets how many run at a time)"
    return f"its process ended with code {code}"


def _progress(run: _Run, workers: Sequence[_Worker], n_before: int) -> Progress:
    n_running = sum(w.folder is not None for w in workers)
    total = sum(run.n_steps.values())
    lost = {failure.arm for failure in run.failures}
    left = None
    if run.steps_done and not lost:
        each = (time.monotonic() - run.started) / run.steps_done
        left = each * max(0, total - run.steps_done)
    return Progress(n_before + len(run.finished), len(run.failures), n_running, len(run.waiting), left)


def _start(torch_threads: int) -> _Worker:
    """Start a worker; threads that wait for each other on a busy machine would make it several times slower."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": str(torch_threads),
    }
    command = [sys.executable, "-m", "saerl_core.trials.worker"]
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    except OSError as error:
        raise BackendError(f"a worker for trials cannot start: {error}") from error
    return _Worker(process)


def _end(worker: _Worker) -> None:
    """Kill what still works, let the others see the end of their input, and reap."""
    process = worker.process
    if worker.folder is not None:
        process.kill()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
