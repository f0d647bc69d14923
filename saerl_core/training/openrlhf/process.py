"""The trainer as a process of its own: started without a shell, watched, and ended with everything that it started."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil

from saerl_core.disk import whole_file
from saerl_core.errors import BackendError, ConfigError

MARK = "SAERL_TRAINER_OF"  # environment variable that every process of a trainer inherits: the folder it works for
LESS_MEMORY = (
    "most likely because the machine ran out of memory: lower training.openrlhf.vllm_memory_frac, train_micro_batch or "
    "rollout_micro_batch, or take a larger machine; the same command goes on at the last checkpoint"
)
OWN_VARIABLES = ("PYTHONPATH", "PYTHONUNBUFFERED", MARK)  # what `trainer_environment` itself sets
_GRACE_S = 15.0  # for a trainer to end by itself: Ray and its workers, or a job on a cluster
_SECRET_CHARS = 6
_KILL_S = 5.0  # for the system to carry out a SIGKILL
_ROOM_MIB = 16
_TAIL_BYTES = 64 * 1024
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_RAY_PREFIX = re.compile(r"^\((?:[\w:.]+ )?pid=\d+[^)]*\) ?")  # Ray puts the worker in front of each line
_ENGINE_DIED = "Engine core initialization failed"  # vLLM's sentence; OpenRLHF then waits five minutes for the engine
_ENGINE_ERROR = re.compile(r"^\(EngineCore[^)]*\) (?:ERROR [^\]]*\] )?([\w.]*(?:Error|Exception)\b.*)")
_ERROR_LINE = re.compile(r"^[\w.]*(?:Error|Exception|Interrupt|Exit)\b.*")


class TrainerProcess:
    """A running trainer; a context manager that leaves no process of it behind, however the block ends."""

    def __init__(
        self,
        command: list[str],
        *,
        log: Path,
        env: dict[str, str],
        grace_s: float = _GRACE_S,
        secrets: Sequence[str] = (),
    ) -> None:
        """Start the command in a session of its own; `env[MARK]` names the folder that it works for.

        Whatever the program says, `secrets` are not quoted, and not in the log once it has ended.

        Raises:
            ConfigError: the program cannot be started.
            BackendError: the log file cannot be written.
        """
        self.log = log
        self._mark = env[MARK]
        self._grace_s = grace_s
        self._secrets = secrets
        try:
            stream = log.open("ab")
        except OSError as error:
            raise BackendError(f"could not write {log}: {error}; free disk space and start again") from error
        with stream:
            try:
                self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    env=env,
                    cwd=log.parent,
                    start_new_session=True,
                )
            except OSError as error:
                raise ConfigError(
                    f"the trainer's program '{command[0]}' cannot be started ({error}); set training.openrlhf.python "
                    "to the interpreter of the trainer's environment"
                ) from error

    def __enter__(self) -> "TrainerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id of the trainer; also the id of its session."""
        return self._child.pid

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._child.poll()

    def failure(self) -> BackendError:
        """Return the error that explains how it ended: the exit code, its last error, where its log is."""
        return BackendError(f"{explain_exit(self._child.poll())}; {self.last_words()}")

    def last_words(self) -> str:
        """Return the last error in its log and where the log is; a full disk is named, for it cuts the log off."""
        error = without(last_error(self.log), self._secrets)
        said = f"its last error: {error} (log: {self.log})" if error else f"its log is empty: {self.log}"
        return said + disk_hint(self.log.parent)

    def stop(self) -> None:
        """Ask it to end, wait a little, then kill it and everything that it started, in other sessions too."""
        family = _family(self._mark, self._child.pid)  # a worker whose parent has ended may not be found any more
        try:
            if self._child.poll() is None:
                self._child.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self._child.wait(self._grace_s)
        finally:  # a second Ctrl-C while it waits kills at once
            kill_family(self._mark, self._child.pid, family)
            self._child.wait()
            with suppress(OSError):  # a full disk must not hide why the training ended
                self._clean_log()

    def _clean_log(self) -> None:
        """Take the secrets out of the log: it is kept as an artifact."""
        with self.log.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
            if not any(line != without(line, self._secrets) for line in stream):
                return
            stream.seek(0)
            with (
                whole_file(self.log) as part,
                part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as clean,
            ):
                clean.writelines(without(line, self._secrets) for line in stream)


def disk_hint(folder: Path) -> str:
    """Return half a sentence about a disk on which hardly anything can be written, else nothing."""
    with suppress(OSError):
        free = shutil.disk_usage(folder).free >> 20
        if free < _ROOM_MIB:
            return f"; the disk of {folder} has only {free} MiB left: free disk space and start the same command again"
    return ""


def without(text: str, secrets: Sequence[str]) -> str:
    """Return a text in which asterisks stand for the secrets; those of a few letters are no secrets and stay."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SECRET_CHARS:
            text = text.replace(secret, "***")
    return text


def kill_family(mark: str, session: int | None = None, known: Sequence[psutil.Process] = ()) -> int:
    """Kill every process with this mark or in this session, their descendants, and those known; returns how many."""
    killed: set[int] = set()
    for _ in range(5):  # what starts while we look is found in the next round
        found = {p.pid: p for p in (*known, *_family(mark, session))}
        family = [p for p in found.values() if _lives(p)]
        if not family:
            break
        for process in family:
            killed.add(process.pid)
            with suppress(psutil.Error):
                process.kill()
        deadline = time.monotonic() + _KILL_S
        while any(map(_lives, family)) and time.monotonic() < deadline:
            time.sleep(0.02)
    return len(killed)


def _lives(process: psutil.Process) -> bool:
    """Return whether a process runs; psutil's own wait would take the exit code of a child of ours away."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _family(mark: str, session: int | None) -> list[psutil.Process]:
    """Return the processes of a trainer: by session, by mark, Ray's helpers that lost theirs, and all descendants."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == session or process.environ().get(MARK) == mark or _is_agent(process, mark):
                found[process.pid] = process
                found.update({child.pid: child for child in process.children(recursive=True)})
    found.pop(os.getpid(), None)
    return list(found.values())


def _is_agent(process: psutil.Process, mark: str) -> bool:
    """Return whether this is one of Ray's agents in the folder: they outlive a killed Ray for up to a minute.

    The title that they give themselves overwrites their variables.
    """
    return (
        not process.environ() and process.cmdline()[0].startswith("ray::") and Path(process.cwd()).is_relative_to(mark)
    )


@contextmanager
def only_driver(root: Path) -> Iterator[None]:
    """Hold the folder for this process, and end a trainer that a killed driver has left behind.

    Raises:
        BackendError: another process of saerl trains in this folder now.
    """
    path = root / "driver.lock"
    with path.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise BackendError(
                f"process {lock.read().strip() or 'unknown'} trains in {root} already; wait for it, or end it"
            ) from error
        with suppress(OSError):  # a full disk: nobody will be told who holds the folder
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), str(os.getpid()).encode())
        kill_family(str(root))
        yield


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Turn SIGTERM into `SystemExit` for the length of a block, so that the trainer is ended before this process."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may do this; the trainer notices by itself that its driver is gone
        return

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def explain_exit(code: int | None) -> str:
    """Return a sentence about an exit code; a shell and a container say 128 + n for signal n."""
    if code is None:
        return "the trainer was ended"
    number = -code if code < 0 else code - 128
    if number == signal.SIGKILL:
        return f"the trainer was killed by signal 9 (SIGKILL), {LESS_MEMORY}"
    if code < 0 or code > 128:
        with suppress(ValueError):
            return f"the trainer was ended by signal {number} ({signal.Signals(number).name})"
    if code == 0:
        return "the trainer ended before the plan did"
    return f"the trainer failed with exit code {code}"


def last_error(log: Path) -> str:
    """Return a log's last sentence for people, else its last error, else its last line; empty without any.

    Before them all comes why vLLM's engine did not start: what follows in the log is that OpenRLHF waited in vain.
    """
    if not log.is_file():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        text = stream.read().decode("utf-8", errors="replace")
    lines = [_RAY_PREFIX.sub("", _CONTROL.sub("", line)).strip() for line in re.split(r"[\r\n]+", text)]
    lines = [line for line in lines if line]
    engine = [error[1] for line in lines if (error := _ENGINE_ERROR.match(line))]
    for found in (
        [f"vLLM's engine did not start: {engine[-1]}"] if engine and _ENGINE_DIED in text else [],
        [line.removeprefix("saerl: ") for line in lines if line.startswith("saerl: ")],
        [line for line in lines if _ERROR_LINE.match(line)],
        lines,
    ):
        if found:
            return found[-1][:2000]
    return ""


def trainer_environment(python: Path | None, code: Path, root: Path, more: dict[str, str]) -> dict[str, str]:
    """Return the trainer's environment variables: ours without what belongs to our interpreter, and the user's own."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    if python is not None:  # its programs too: ray, ninja
        inherited["PATH"] = os.pathsep.join([str(python.parent), inherited.get("PATH", os.defpath)])
    env = {**inherited, "PYTHONUNBUFFERED": "1", **more}
    env["PYTHONPATH"] = os.pathsep.join([str(code), *filter(None, [more.get("PYTHONPATH")])])
    return {**env, MARK: str(root)}
