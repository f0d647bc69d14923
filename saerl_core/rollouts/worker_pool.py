"""Grading processes that can be killed: pairs of texts go out, replies come back, a hanging process is replaced."""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from saerl_core.errors import SaerlError

Pair = tuple[str, str]
Value = TypeVar("Value")  # what a worker finds of a pair

START_S = 120.0  # wall-clock bound for a worker to import what it needs, on a machine that is busy
WALL_FACTOR = 10.0  # the CPU limit does not see a process that sleeps or is starved: wall-clock backstop
MAX_LOST = 4  # pairs of one call that may end a process; the rest of that call is not asked any more


@dataclass
class _Worker:
    """One process with the pair it is working on."""

    process: "subprocess.Popen[bytes]"
    item: int | None = None  # index of the pair in hand
    deadline: float = 0.0
    received: bytes = b""
    ready: bool = False

    @property
    def fd(self) -> int:
        assert self.process.stdout is not None
        return self.process.stdout.fileno()


@dataclass
class _Job(Generic[Value]):
    """One call of `run`: what is still to do and what is known."""

    pairs: Sequence[Pair]
    outcomes: list[tuple[Value | None, str] | None] = field(default_factory=list)
    next_item: int = 0
    n_done: int = 0
    n_lost: int = 0

    def give_up(self) -> None:
        """Leave out what was not handed out yet: too many pairs of this call ran out of time or memory."""
        for item in range(self.next_item, len(self.pairs)):
            self.settle(item, (None, "batch limit"))
        self.next_item = len(self.pairs)

    def settle(self, item: int, outcome: tuple[Value | None, str]) -> None:
        self.outcomes[item] = outcome
        self.n_done += 1


class WorkerPool(ABC, Generic[Value]):
    """Hands pairs of texts to `n_workers` processes of one program, each pair with `timeout_s` CPU seconds.

    A worker says `["ready", <anything>]` once, or `["error", <why>]`, then answers every pair with `[value, reason]`.
    Pairs that end a process cost their full time: after four of them in one call, the pairs that were not begun get
    "batch limit", so that a policy that writes monsters cannot stall a training.

    Processes start at the first use and are plain programs (no fork of the caller's memory, threads or CUDA state, no
    import of the caller's main module). They end with `close`, with the pool, with the interpreter, or, when the caller
    is killed, as their input closes. Not for use by two threads at once; `Grader` holds a lock.
    """

    def __init__(self, n_workers: int, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._n_workers = n_workers
        self._workers: list[_Worker] = []
        self._owner = os.getpid()
        self._finalizer = weakref.finalize(self, _end_all, self._workers, self._owner)

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that starts a worker."""

    @abstractmethod
    def refused(self, reason: str) -> SaerlError:
        """Return the error about a worker that says why it cannot start."""

    @abstractmethod
    def died(self, code: int, *, overdue: bool) -> SaerlError:
        """Return the error about a worker that ended, or was ended after `START_S`, before it was ready."""

    def variables(self) -> Mapping[str, str] | None:
        """Return the environment variables of a worker; None: those of this process."""
        return None

    def started(self, told: object) -> None:
        """Hear what a worker said when it was ready; may raise."""

    def start(self) -> None:
        """Start one worker and wait until it is ready; it stays for the first pairs.

        Raises:
            SaerlError: it cannot start.
        """
        self._own_processes()
        try:
            if not self._workers:
                self._workers.append(self._start())
            job: _Job[Value] = _Job([])
            while not self._workers[0].ready:
                self._collect(job)
        except BaseException:
            self.close()
            raise

    def run(
        self, pairs: Sequence[Pair], on_done: Callable[[int], object] = lambda n: None
    ) -> list[tuple[Value | None, str]]:
        """Return value and reason of every pair, in order; `on_done` hears how many became known.

        Raises:
            SaerlError: a process cannot start, for example because it lacks a library.
        """
        self._own_processes()
        job: _Job[Value] = _Job(pairs, [None] * len(pairs))
        try:
            while job.n_done < len(pairs):
                before = job.n_done
                self._hand_out(job)
                self._collect(job)
                on_done(job.n_done - before)
        except BaseException:
            self.close()  # a reply that is still on its way must not answer the next call
            raise
        return [outcome for outcome in job.outcomes if outcome is not None]

    def close(self) -> None:
        """End all processes and wait for them; the pool can be used again."""
        _end_all(self._workers, self._owner)

    def _own_processes(self) -> None:
        """In a forked copy begin without processes: they belong to the original."""
        if os.getpid() != self._owner:
            self._workers, self._owner = [], os.getpid()
            self._finalizer = weakref.finalize(self, _end_all, self._workers, self._owner)

    def _start(self) -> _Worker:
        process = subprocess.Popen(
            self.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.variables(),
        )
        return _Worker(process, deadline=time.monotonic() + START_S)

    def _hand_out(self, job: _Job[Value]) -> None:
        busy = sum(w.item is not None for w in self._workers)
        wanted = min(self._n_workers, busy + len(job.pairs) - job.next_item)
        while len(self._workers) < wanted:
            self._workers.append(self._start())
        for worker in list(self._workers):
            if worker.ready and worker.item is None and job.next_item < len(job.pairs):
                worker.item, job.next_item = job.next_item, job.next_item + 1
                worker.deadline = time.monotonic() + WALL_FACTOR * self.timeout_s
                line = json.dumps(job.pairs[worker.item]) + "\n"
                assert worker.process.stdin is not None
                with contextlib.suppress(BrokenPipeError):  # a dead worker is noticed when its output is read
                    worker.process.stdin.write(line.encode())
                    worker.process.stdin.flush()

    def _collect(self, job: _Job[Value]) -> None:
        """Wait for the first reply, death or deadline, and book it."""
        waiting = {w.fd: w for w in self._workers if w.item is not None or not w.ready}
        wait_s = max(0.0, min(w.deadline for w in waiting.values()) - time.monotonic())
        readable, _, _ = select.select(list(waiting), [], [], wait_s)
        for fd in readable:
            self._read(waiting[fd], job)
        now = time.monotonic()
        for fd, worker in waiting.items():
            if fd not in readable and now >= worker.deadline:
                self._bury(worker, job)

    def _read(self, worker: _Worker, job: _Job[Value]) -> None:
        chunk = os.read(worker.fd, 1 << 16)
        worker.received += chunk
        if not chunk:
            self._bury(worker, job)
        elif worker.received.endswith(b"\n"):
            value, reason = json.loads(worker.received)
            worker.received = b""
            if worker.ready and worker.item is not None:
                job.settle(worker.item, (value, reason))
                worker.item = None
            elif value == "ready":
                self.started(reason)
                worker.ready = True
            else:
                raise self.refused(reason)

    def _bury(self, worker: _Worker, job: _Job[Value]) -> None:
        """Kill what is left of a worker; its pair becomes unknown. The next hand-out starts another."""
        self._workers.remove(worker)
        overdue = worker.process.poll() is None and time.monotonic() >= worker.deadline
        code = _end(worker, grace_s=0.0 if overdue else 1.0)
        if not worker.ready:
            raise self.died(code, overdue=overdue)
        if worker.item is not None:
            timed_out = overdue or code == -signal.SIGPROF
            job.settle(worker.item, (None, "timeout" if timed_out else "crash"))
            job.n_lost += 1
            if job.n_lost >= MAX_LOST:
                job.give_up()


def _end(worker: _Worker, grace_s: float) -> int:
    """Close the worker's input, wait, kill if it stays; always reap it. Returns the exit code."""
    process = worker.process
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        code = process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    if process.stdout is not None:
        process.stdout.close()
    return code


def _end_all(workers: list[_Worker], owner: int) -> None:
    if os.getpid() != owner:
        return
    for worker in workers:  # an idle worker ends by itself when its input closes
        busy = worker.item is not None or not worker.ready
        _end(worker, grace_s=0.0 if busy else 1.0)
    workers.clear()
