import pytest
from pydantic import ValidationError

from saerl_core.config.grading import GradingConfig
from saerl_core.errors import BackendError
from saerl_core.training.openrlhf.job_file import JobFile
from tests.training.openrlhf.jobs import make_job


def test_what_is_saved_is_loaded(tmp_path):
    job = make_job(tmp_path, eval_file=tmp_path / "eval.jsonl", grading=GradingConfig(kind="math"), driver_pid=7)
    job.save(tmp_path / "job.json")
    assert JobFile.load(tmp_path / "job.json") == job
    assert [p.name for p in tmp_path.glob("*job.json*")] == ["job.json"]  # nothing half written is left
    assert job.mailbox_dir == tmp_path / "attempt-01" / "mailbox"


@pytest.mark.parametrize("content", ["", "{}", '{"n_steps": 3', b"\xff\xfe"])
def test_damaged_file_is_a_sentence(tmp_path, content):
    path = tmp_path / "job.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BackendError, match=r"job\.json cannot be read"):
        JobFile.load(path)


def test_absent_file_is_a_sentence(tmp_path):
    with pytest.raises(BackendError, match="visible from this machine"):
        JobFile.load(tmp_path / "job.json")


def test_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(BackendError, match="could not write"):
        make_job(tmp_path).save(tmp_path / "absent" / "job.json")


@pytest.mark.parametrize("change", [{"n_steps": 0}, {"group_size": 1}, {"first_step": -1}, {"n_gpus": 0}, {"typo": 1}])
def test_bounds(tmp_path, change):
    with pytest.raises(ValidationError):
        make_job(tmp_path, **change)
