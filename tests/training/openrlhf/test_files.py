"""The files that driver and trainer share, the audit among them."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from saerl_core.errors import BackendError, DataError
from saerl_core.records import PromptFormat
from saerl_core.training.openrlhf import files, reading
from saerl_core.training.openrlhf.reading import AuditReader
from saerl_core.training.openrlhf.trainer import OpenRlhfTrainer
from saerl_core.training.run import train_policy
from tests.training.openrlhf.fakes import fake_python, openrlhf_settings
from tests.training.world import FeedbackCurriculum, tiny_job, tiny_prompts

IDS = list(tiny_prompts()["prompt_id"])


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_prompts_are_written_as_the_policy_reads_them(policy, tmp_path):
    prompts = tiny_prompts().assign(usable=[i != 3 for i in range(12)])
    job = tiny_job(
        replace(policy, prompt_format=PromptFormat(prompt_suffix="b")),
        tmp_path,
        prompts=prompts,
        eval_every_steps=1,
        eval_prompts=tiny_prompts(2).assign(prompt_id=["e0", "e1"]),
    )
    found = files.write_inputs(job, tmp_path)
    written = rows(tmp_path / "prompts.jsonl")
    assert [r["label"] for r in written] == [i for i in IDS if i != "p03"]
    assert written[1] == {"prompt": "<bos>abb", "label": "p01", "datasource": "train"}
    assert rows(tmp_path / "eval.jsonl")[0] == {"prompt": "<bos>ab", "label": "e0", "datasource": "dev"}
    assert len(rows(tmp_path / "answers.jsonl")) == 13
    assert found.n_tokens("p01") == 4
    assert found.special_tokens() == ("<bos>", "<eos>", "<unk>", "<pad>")
    with pytest.raises(DataError, match="'p03', which is not usable"):
        found.n_tokens("p03")


def test_the_reward_file_survives_any_path(policy, tmp_path):
    root = tmp_path / 'it\'s "odd" \\ here'
    root.mkdir()
    files.write_inputs(tiny_job(policy, root), root)
    code = (root / "reward.py").read_text()
    assert compile(code, "reward.py", "exec")
    names = {}
    exec(code.splitlines()[-1].replace("RewardFunction.from_job", "str"), names)
    assert names["reward_func"] == str(root / "job.json")


def test_attempts_are_numbered_and_bring_their_code(tmp_path):
    first, second = files.new_attempt(tmp_path), files.new_attempt(tmp_path)
    assert [first.name, second.name] == ["attempt-01", "attempt-02"]
    (tmp_path / "attempt-x").mkdir()
    assert files.attempts(tmp_path) == [first, second]
    assert files.log_files(tmp_path) == []
    files.log_file(second).write_text("said")
    assert files.log_files(tmp_path) == [second / "trainer-02.log"]
    code = "import saerl_core, saerl_core.training.openrlhf.mailbox as m; print(saerl_core.__file__, m.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(first / files.CODE)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count(str(first)) == 2
    assert [p.name for p in (first / files.CODE).iterdir()] == ["saerl_core"], "nothing else of this environment"


def test_a_full_disk_before_the_start_is_said(policy, tmp_path, small_disk):
    job = tiny_job(policy, tmp_path / "w", **openrlhf_settings(fake_python(tmp_path)))
    small_disk(100)
    with pytest.raises(BackendError, match=r"could not write to .*too large.*; free disk space and start"):
        train_policy(
            job, FeedbackCurriculum(IDS, 4), lambda *_: None
        )  # the probe copies the code to the temporary folder
    with pytest.raises(BackendError, match=r"could not write to .*/w: .*too large; free disk space and start"):
        OpenRlhfTrainer().train(job, FeedbackCurriculum(IDS, 4), lambda *_: None)


def test_a_full_disk_in_the_middle_is_said_and_the_next_start_goes_on(policy, tmp_path, steps, small_disk):
    job = tiny_job(policy, tmp_path / "w", **openrlhf_settings(fake_python(tmp_path)))

    def full(step, metrics):
        if step == 3:
            small_disk(100)

    with pytest.raises(BackendError, match=r"could not save the books after 4 steps .* free disk space"):
        train_policy(job, FeedbackCurriculum(IDS, 4), full)
    small_disk(None)
    assert train_policy(job, FeedbackCurriculum(IDS, 4), steps).report.values["resumed_from_step"] == 2
    assert [s for s, _ in steps] == [2, 3, 4, 5]


@pytest.fixture
def audit(tmp_path):
    """Append lines to an audit file: audit((step, slot, id, correct, error), ...)."""

    def write(*lines, file="host-1-0.jsonl", end="\n"):
        with (tmp_path / file).open("a") as stream:
            for step, slot, prompt_id, correct, error in lines:
                row = {"step": step, "slot": slot, "id": prompt_id, "correct": correct, "error": error}
                stream.write(json.dumps({**row, "reward": float(correct is True), "reason": "equal"}) + end)

    return write


@pytest.fixture
def reader(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_SETTLE_S", 0.2)
    return AuditReader(tmp_path)


def test_groups_are_counted_over_all_files(audit, reader):
    audit((0, 1, "b", True, None), (0, 0, "a", False, None), (-1, -1, "dev", True, None))
    audit((0, 0, "a", True, None), (0, 1, "b", None, None), file="other-2-0.jsonl")
    graded = reader.step(0, ["a", "b"], 2)
    assert [(g.prompt_id, g.n_rollouts, g.n_correct) for g in graded.groups] == [("a", 2, 1), ("b", 2, 1)]
    assert (graded.n_unknown, graded.n_errors, graded.first_error) == (1, 0, "")
    assert reader.n_lines == 5


def test_the_same_prompt_may_stand_in_two_slots(audit, reader):
    audit((0, 0, "a", True, None), (0, 1, "a", False, None))
    assert [g.n_correct for g in reader.step(0, ["a", "a"], 1).groups] == [1, 0]


def test_errors_are_counted_and_the_first_is_kept(audit, reader):
    audit((0, 0, "a", None, "KeyError: x"), (0, 0, "a", None, "KeyError: y"), (0, 0, "a", True, None))
    graded = reader.step(0, ["a"], 3)
    assert (graded.n_errors, graded.n_unknown, graded.first_error) == (2, 0, "KeyError: x")


def test_half_a_line_waits_for_its_end(audit, reader, tmp_path):
    audit((0, 0, "a", True, None), end="")
    reader.update()
    assert reader.n_lines == 0

    def written_later(_):
        if not reader.n_lines:
            with (tmp_path / "host-1-0.jsonl").open("a") as stream:
                stream.write("\n")

    assert reader.step(0, ["a"], 1, sleep=written_later).groups[0].n_correct == 1


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ([(0, 0, "a", True, None)], "1 rollouts of prompt 'a' in slot 0 of step 0, but training.group_size is 2"),
        ([(0, 0, "a", True, None)] * 3, "3 rollouts of prompt 'a'"),
        ([(0, 0, "z", True, None)] * 2, "saw prompt 'z' in slot 0 of step 0, but a was asked for"),
        ([(0, 5, "a", True, None)] * 2, "in slot 5 of step 0, but nothing was asked for"),
        ([(0, 0, "a", True, None)] * 2 + [(1, 0, "a", True, None)], "rollouts of step 1 while only step 0 was due"),
    ],
)
def test_an_audit_that_is_not_the_batch_is_refused(audit, reader, lines, named):
    audit(*lines)
    with pytest.raises(BackendError, match=named):
        reader.step(0, ["a"], 2)


def test_a_rollout_that_comes_too_late_is_seen_in_the_next_step(audit, reader):
    audit((0, 0, "a", True, None))
    reader.step(0, ["a"], 1)
    audit((0, 0, "a", True, None), (1, 0, "a", True, None))
    with pytest.raises(BackendError, match="rollouts of step 0 while only step 1 was due"):
        reader.step(1, ["a"], 1)


@pytest.mark.parametrize("line", ["{", "[]", '{"step": 0}', "\x00\x00"])
def test_a_damaged_audit_is_named(reader, tmp_path, line):
    (tmp_path / "host-1-0.jsonl").write_text(f"{line}\n")
    with pytest.raises(BackendError, match="holds a line that cannot be read"):
        reader.update()
