"""Which checkpoint a killed run goes on from, and what is tidied up before OpenRLHF sees the folder."""

import shutil
from pathlib import Path

import pytest

from saerl_core.errors import BackendError
from saerl_core.training.checkpoints import checkpoint_folder, complete_folder, save_session
from saerl_core.training.openrlhf.resume import complete_steps, find_resume, prune_sessions
from saerl_core.training.session import GradedGroup, TrainingSession
from tests.training.world import ListCurriculum, epochs, tiny_job, tiny_prompts

IDS = list(tiny_prompts()["prompt_id"])
NOW = {"curriculum_hash": "a plan"}
METRICS = {"completion_tokens_mean": 1.0, "truncated_frac": 0.0, "loss": 0.0, "lr": 0.1, "step_s": 1.0}


@pytest.fixture
def books(policy, tmp_path):
    """Write the books after each of the given steps."""

    def write(*steps, fingerprint=NOW):
        job = tiny_job(policy, tmp_path)
        session = TrainingSession(job, ListCurriculum(epochs(IDS, 4, 4)), lambda *_: None)
        for step in range(1, max(steps) + 1):
            session.totals.n_rollouts += 16
            session.sampled([GradedGroup(row.prompt_id, 4, 2) for row in session.pull(4)])
            session.finish(METRICS)
            if step in steps:
                with complete_folder(checkpoint_folder(tmp_path / "sessions", step), "the books") as folder:
                    save_session(folder, session, fingerprint)

    return write


@pytest.fixture
def saved(tmp_path):
    """Write DeepSpeed folders: saved("_actor", 2, 4, latest=4)."""

    def write(name, *steps, latest):
        folder = tmp_path / "ckpt" / name
        for step in steps:
            (folder / f"global_step{step}").mkdir(parents=True)
            (folder / f"global_step{step}" / "weights").write_text("w")
        if latest is not None:
            (folder / "latest").write_text(f"global_step{latest}")
        return folder

    return write


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


def test_an_empty_folder_starts_at_the_beginning(tmp_path):
    assert find_resume(tmp_path, NOW, with_critic=False) is None


def test_the_newest_complete_checkpoint_is_taken(tmp_path, books, saved):
    books(2, 4)
    actor = saved("_actor", 2, 4, latest=4)
    assert find_resume(tmp_path, NOW, with_critic=False).step == 4
    assert names(actor) == ["global_step2", "global_step4", "latest"]


def test_a_checkpoint_that_is_half_written_is_deleted(tmp_path, books, saved):
    books(2, 4)
    actor = saved("_actor", 2, 4, latest=2)
    assert find_resume(tmp_path, NOW, with_critic=False).step == 2
    assert names(actor) == ["global_step2", "latest"]
    assert names(tmp_path / "sessions") == ["step-000002"]


def test_a_folder_without_latest_is_deleted(tmp_path, books, saved):
    """OpenRLHF would die of KeyError 'episode'."""
    books(2)
    actor = saved("_actor", 2, latest=None)
    assert find_resume(tmp_path, NOW, with_critic=False) is None
    assert not actor.exists()
    assert names(tmp_path / "sessions") == []


def test_actor_and_critic_are_put_on_the_same_step(tmp_path, books, saved):
    books(2, 4)
    actor, critic = saved("_actor", 2, 4, latest=4), saved("_critic", 2, latest=2)
    assert find_resume(tmp_path, NOW, with_critic=True).step == 2
    assert names(actor) == names(critic) == ["global_step2", "latest"]
    assert (actor / "latest").read_text() == "global_step2"


def test_a_critic_that_is_not_there_means_the_beginning(tmp_path, books, saved):
    books(2)
    actor = saved("_actor", 2, latest=2)
    assert find_resume(tmp_path, NOW, with_critic=True) is None
    assert not actor.exists()


def test_an_older_checkpoint_serves_where_books_are_missing(tmp_path, books, saved):
    books(2, 4)
    shutil.rmtree(tmp_path / "sessions" / "step-000004")
    actor = saved("_actor", 2, 4, latest=4)
    assert find_resume(tmp_path, NOW, with_critic=False).step == 2
    assert (actor / "latest").read_text() == "global_step2"


@pytest.mark.parametrize("content", ["", "best_global_step4", "global_stepX"])
def test_a_latest_that_names_nothing_counts_as_missing(tmp_path, books, saved, content):
    books(2)
    actor = saved("_actor", 2, latest=2)
    (actor / "latest").write_text(content)
    assert find_resume(tmp_path, NOW, with_critic=False) is None


def test_an_empty_checkpoint_is_none(tmp_path, saved):
    actor = saved("_actor", 2, latest=4)
    (actor / "global_step4").mkdir()
    assert complete_steps(actor) == {2}


def test_books_of_another_job_are_refused_and_nothing_is_deleted(tmp_path, books, saved):
    books(2, fingerprint={"curriculum_hash": "another"})
    actor = saved("_actor", 2, 4, latest=2)
    with pytest.raises(BackendError, match="curriculum_hash was another and is a plan"):
        find_resume(tmp_path, NOW, with_critic=False)
    assert names(actor) == ["global_step2", "global_step4", "latest"]


def test_a_folder_that_cannot_be_changed_is_said(tmp_path, books, saved, monkeypatch):
    books(2)
    saved("_actor", 2, 4, latest=2)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("saerl_core.training.openrlhf.resume.write_text", full)
    with pytest.raises(BackendError, match="No space left on device; free disk space"):
        find_resume(tmp_path, NOW, with_critic=False)


def test_books_are_pruned_with_the_checkpoints(tmp_path, books):
    books(1, 2, 3, 4)
    prune_sessions(tmp_path, 2)
    assert names(tmp_path / "sessions") == ["step-000003", "step-000004"]
