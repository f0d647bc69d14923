import json
import math
import threading
import time

import pytest

from saerl_core.errors import BackendError
from saerl_core.training.openrlhf.mailbox import Mailbox, StepReport


def test_batch_arrives_as_it_was_sent(tmp_path):
    Mailbox(tmp_path).send_batch(3, ["b", "a", "ü/ 1"])
    assert Mailbox(tmp_path).wait_for_batch(3, 0.1) == ["b", "a", "ü/ 1"]


def test_waits_for_the_batch_of_this_step(tmp_path):
    box = Mailbox(tmp_path)
    box.send_batch(0, ["a"])

    def later():
        time.sleep(0.2)
        box.send_batch(1, ["b"])

    thread = threading.Thread(target=later)
    thread.start()
    assert box.wait_for_batch(1, 10.0) == ["b"]
    thread.join()


def test_no_batch_in_time_is_a_sentence(tmp_path):
    with pytest.raises(BackendError, match=r"no batch for step 4 came within 0 s"):
        Mailbox(tmp_path).wait_for_batch(4, 0.1)


def test_report_keeps_numbers_and_nan(tmp_path):
    Mailbox(tmp_path).send_report(StepReport(2, {"loss": math.nan, "kl": 0.1}))
    report = Mailbox(tmp_path).wait_for_report(2, lambda: None)
    assert report.step == 2
    assert report.metrics["kl"] == 0.1
    assert math.isnan(report.metrics["loss"])


def test_waiting_for_a_report_looks_at_the_trainer(tmp_path):
    class TrainerDiedError(Exception):
        pass

    looks = []

    def look():
        looks.append(len(looks))
        if len(looks) == 3:
            raise TrainerDiedError

    with pytest.raises(TrainerDiedError):
        Mailbox(tmp_path).wait_for_report(0, look)


def test_evaluations_are_handed_out_once_and_in_order(tmp_path):
    box = Mailbox(tmp_path)
    for step in (20, 10):
        box.send_evaluation(StepReport(step, {"eval_dev_pass1": step / 100}))
    assert [r.step for r in box.evaluations(set())] == [10, 20]
    assert [r.step for r in box.evaluations({10})] == [20]


def test_a_reader_never_sees_half_a_file(tmp_path):
    """A slow disk: what is being written has another name until it is whole."""
    box, seen = Mailbox(tmp_path), []
    stop = threading.Event()

    def read():
        while not stop.is_set():
            for path in tmp_path.glob("batch-*.json"):
                seen.append(json.loads(path.read_text(encoding="utf-8")))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for _ in range(50):
            box.send_batch(0, [f"prompt {i}" for i in range(5000)])
    finally:
        stop.set()
        thread.join()
    assert seen
    assert all(len(content["prompt_ids"]) == 5000 for content in seen)


def test_folder_that_is_gone_is_a_sentence(tmp_path):
    with pytest.raises(BackendError, match=r"could not write batch-000000\.json"):
        Mailbox(tmp_path / "gone").send_batch(0, ["a"])
