"""The buffer between a run and its tracking server: nothing is lost, nothing arrives twice, nobody waits."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from tracking.journal import BATCH, Buffer, Journal, Record, RefusedError


def curve(step, value=1.0, key="train/reward"):
    return Record("metric", key, value, step, curve=True)


class Server:
    """Takes records like MLflow's database: a row with the same key, step, time and value is the same row."""

    def __init__(self):
        self.up = threading.Event()
        self.up.set()
        self.rows, self.calls, self.answer_lost = set(), 0, False

    def send(self, batch):
        self.calls += 1
        if not self.up.is_set():
            raise ConnectionError("token=planted")
        if any(record.key == "bad" for record in batch):
            raise RefusedError("the value has changed")
        self.rows |= {(r.kind, r.key, r.step, r.time_ms, r.value) for r in batch}
        if self.answer_lost:
            self.answer_lost = False
            raise TimeoutError

    def steps(self, key="train/reward"):
        return sorted(step for _, name, step, _, _ in self.rows if name == key)


@pytest.fixture
def server():
    return Server()


def opened(tmp_path, server, in_background=True):
    buffer = Buffer(Journal(tmp_path / "run"), server.send, in_background=in_background)
    buffer.start()
    return buffer


@pytest.mark.parametrize("in_background", [True, False])
def test_what_is_logged_arrives(tmp_path, server, in_background):
    buffer = opened(tmp_path, server, in_background)
    for step in range(5):
        buffer.add([curve(step)])
    assert buffer.close(5) == 0
    assert server.steps() == list(range(5))


@pytest.mark.parametrize("in_background", [True, False])
def test_a_server_that_is_down_costs_no_time_and_gets_everything_later(tmp_path, server, in_background):
    server.up.clear()
    buffer = opened(tmp_path, server, in_background)
    started = time.monotonic()
    for step in range(20):
        buffer.add([curve(step)])
    assert time.monotonic() - started < 2
    assert buffer.close(0.2) == 20
    assert server.rows == set()
    server.up.set()
    again = opened(tmp_path, server, in_background)  # the next step, or the command
    assert again.close(5) == 0
    assert server.steps() == list(range(20))


def test_a_server_that_comes_back_during_the_wait(tmp_path, server):
    server.up.clear()
    buffer = opened(tmp_path, server)
    buffer.add([curve(0)])
    threading.Timer(0.3, server.up.set).start()
    assert buffer.close(10) == 0
    assert server.steps() == [0]


def test_an_answer_that_was_lost_does_not_make_a_second_row(tmp_path, server):
    server.answer_lost = True
    buffer = opened(tmp_path, server)
    buffer.add([curve(0)])
    assert buffer.close(5) == 0
    assert server.calls == 2
    assert server.steps() == [0]


def test_a_curve_keeps_the_first_value_and_a_headline_the_last(tmp_path, server):
    buffer = opened(tmp_path, server, in_background=False)
    buffer.add([curve(0, 1.0), Record("metric", "plan/size", 1.0)])
    again = opened(tmp_path, server, in_background=False)
    again.add([curve(0, 2.0), Record("metric", "plan/size", 1.0), Record("metric", "plan/size", 2.0)])
    assert {(row[1], row[4]) for row in server.rows} == {("train/reward", 1.0), ("plan/size", 1.0), ("plan/size", 2.0)}


def test_a_refused_record_is_put_aside_and_the_others_arrive(tmp_path, server, caplog):
    buffer = opened(tmp_path, server)
    buffer.add([curve(0), Record("param", "bad", "x"), curve(1)])
    assert buffer.close(5) == 0
    assert server.steps() == [0, 1]
    assert json.loads((tmp_path / "run" / "rejected.jsonl").read_text())["reason"] == "the value has changed"
    assert "bad" in caplog.text


def test_requests_are_bounded_and_a_file_goes_alone(tmp_path, server, monkeypatch):
    sizes = []
    monkeypatch.setattr(server, "send", lambda batch: sizes.append([r.kind for r in batch]))
    server.up.clear()
    source = tmp_path / "report.html"
    source.write_text("one")
    buffer = Buffer(Journal(tmp_path / "run"), server.send, in_background=True)
    buffer.add([curve(step) for step in range(BATCH + 1)])
    buffer.add_file(source)
    source.unlink()
    buffer.add([curve(BATCH + 1)])
    buffer.start()
    assert buffer.close(5) == 0
    assert [len(kinds) for kinds in sizes] == [BATCH, 1, 1, 1]
    assert sizes[2] == ["file"]
    assert (tmp_path / "run" / "files" / "report.html").read_text() == "one"


def test_a_killed_process_leaves_a_journal_that_can_be_read(tmp_path, server):
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from tracking.journal import Journal, Record\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "journal.append([Record('metric', 'train/reward', 1.0, s, curve=True) for s in range(3)])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    folder = tmp_path / "run"
    subprocess.run([sys.executable, "-c", code, str(folder)], check=False, env={**os.environ, "PYTHONPATH": "."})
    with (folder / "records.jsonl").open("a") as file:
        file.write('{"kind": "metric", "key": "trai')  # killed in the middle of a line
    buffer = opened(tmp_path, server)
    buffer.add([curve(2, 5.0), curve(3)])
    assert buffer.close(5) == 0
    assert server.steps() == [0, 1, 2, 3]
    assert len((folder / "records.jsonl").read_text().splitlines()) == 4


def test_two_processes_never_deliver_at_once(tmp_path, server):
    server.up.clear()
    writer = opened(tmp_path, server, in_background=False)
    writer.add([curve(step) for step in range(300)])
    server.up.set()
    both = [opened(tmp_path, server) for _ in range(2)]
    assert [buffer.close(5) for buffer in both] == [0, 0]
    assert server.calls == 1 + 3
    assert server.steps() == list(range(300))


def test_the_log_names_no_secret_of_the_error(tmp_path, server, caplog):
    server.up.clear()
    buffer = opened(tmp_path, server, in_background=False)
    buffer.add([curve(0)])
    assert "ConnectionError" in caplog.text
    assert "planted" not in caplog.text
