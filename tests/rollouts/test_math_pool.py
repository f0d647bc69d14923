import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from saerl_core.errors import BackendError
from saerl_core.rollouts import math_pool, worker_pool
from saerl_core.rollouts.math_pool import MathPool

HANGS = ("$7$", "$12345678901234567890123456789^{987654321}$")


def alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie counts as alive, because somebody failed to reap it."""
    return Path(f"/proc/{pid}").exists()


def wait_until(condition, limit_s: float = 20.0) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def pids(pool: MathPool) -> list[int]:
    return [worker.process.pid for worker in pool._workers]


def test_processes_start_late_stay_and_leave_no_zombie() -> None:
    pool = MathPool(2, 5.0)
    assert pids(pool) == []
    assert pool.run([("$1$", "$2/2$"), ("$1$", "$2$"), ("$1$", "$3/3$")]) == [
        (True, "equal"),
        (False, "different"),
        (True, "equal"),
    ]
    first = pids(pool)
    assert 1 <= len(first) <= 2
    pool.run([("$1$", "$2/2$")])
    assert pids(pool) == first
    pool.close()
    assert not any(alive(pid) for pid in first)


def test_a_pool_that_is_forgotten_ends_its_processes() -> None:
    pool = MathPool(1, 5.0)
    pool.run([("$1$", "$1.0$")])
    [pid] = pids(pool)
    del pool
    assert not alive(pid)


def test_a_killed_process_is_a_crash_and_is_replaced() -> None:
    pool = MathPool(1, 60.0)
    pool.run([("$1$", "$1.0$")])
    [pid] = pids(pool)
    killer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
    killer.start()
    assert pool.run([HANGS, ("$1$", "$2/2$")]) == [(None, "crash"), (True, "equal")]
    assert not alive(pid)
    pool.close()


def test_a_process_that_died_between_two_calls_is_replaced() -> None:
    pool = MathPool(1, 5.0)
    pool.run([("$1$", "$1.0$")])
    os.kill(pids(pool)[0], signal.SIGKILL)
    outcomes = pool.run([("$1$", "$1.0$"), ("$2$", "$2.0$")])
    assert outcomes[1] == (True, "equal")
    assert outcomes[0] in [(True, "equal"), (None, "crash")]
    pool.close()


def test_a_process_that_sleeps_meets_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped process uses no CPU time."""
    monkeypatch.setattr(worker_pool, "WALL_FACTOR", 1.0)
    pool = MathPool(1, 1.0)
    pool.run([("$1$", "$1.0$")])
    [pid] = pids(pool)
    os.kill(pid, signal.SIGSTOP)
    assert pool.run([("$1$", "$2/2$")]) == [(None, "timeout")]
    assert not alive(pid)
    pool.close()


def test_an_interrupted_call_leaves_no_reply_for_the_next() -> None:
    pool = MathPool(1, 5.0)

    def interrupt(n: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.run([("$1$", "$1.0$"), ("$1$", "$2$")], interrupt)
    assert pids(pool) == []
    assert pool.run([("$1$", "$2$")]) == [(False, "different")]
    pool.close()


def test_a_worker_that_cannot_start_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(math_pool, "_WORKER", tmp_path / "absent.py")
    with pytest.raises(BackendError, match="ended with code 2 before it was ready"):
        MathPool(1, 5.0).run([("$1$", "$2$")])
    silent = tmp_path / "says_no.py"
    silent.write_text("""print('["error", "No module named math_verify"]', flush=True)""")
    monkeypatch.setattr(math_pool, "_WORKER", silent)
    with pytest.raises(BackendError, match="No module named math_verify; install math-verify"):
        MathPool(1, 5.0).run([("$1$", "$2$")])


SCRIPT = """
import os, sys, threading
from saerl_core.rollouts.math_pool import MathPool
pool = MathPool(1, 1.0)
pool.run([("$1$", "$1.0$")])
print(pool._workers[0].process.pid, flush=True)
{then}
"""


def start(then: str) -> tuple["subprocess.Popen[str]", int]:
    process = subprocess.Popen([sys.executable, "-c", SCRIPT.format(then=then)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def test_a_program_that_ends_takes_its_processes_along() -> None:
    process, worker = start("")
    with process:
        assert process.wait(30) == 0
    assert not alive(worker)


def test_a_killed_program_leaves_no_process_behind_even_in_a_hang() -> None:
    process, worker = start(f"pool.run([{HANGS!r}])")
    with process:
        time.sleep(0.3)
        process.kill()
    assert wait_until(lambda: not alive(worker))


def test_a_forked_copy_starts_processes_of_its_own() -> None:
    then = """
pid = os.fork()
answer = pool.run([("$1$", "$2/2$"), ("$1$", "$3$")])
assert answer == [(True, "equal"), (False, "different")], answer
if pid:
    assert os.waitpid(pid, 0)[1] == 0
"""
    process, _ = start(then)
    with process:
        assert process.wait(60) == 0
