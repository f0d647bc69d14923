"""A newest checkpoint that cannot be read: training goes on from the one before and says so."""

import shutil

import numpy as np
import pytest

from saerl_core.errors import BackendError
from saerl_core.training.checkpoints import checkpoints
from saerl_core.training.intact import damage_of, newest_intact
from saerl_core.training.run import train_policy
from tests.training.world import FeedbackCurriculum, tiny_job, tiny_prompts, weights_of

IDS = list(tiny_prompts()["prompt_id"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run of six steps with its two newest checkpoints, after 4 and 6 steps."""
    from tests.training.world import tiny_policy

    folder = tmp_path_factory.mktemp("whole")
    policy = tiny_policy(folder / "base")
    result = train_policy(tiny_job(policy, folder / "w", n_steps=6), FeedbackCurriculum(IDS, 4), lambda *_: None)
    return policy, folder / "w", result


@pytest.fixture
def stopped(whole, tmp_path):
    """A copy of that run as if it had been killed before it was published."""
    policy, source, result = whole
    work = tmp_path / "w"
    shutil.copytree(source, work)
    shutil.rmtree(work / "finished")
    shutil.rmtree(work / "policy")
    return policy, work, result


def empty(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[third : 2 * third] = bytes(byte ^ 0xFF for byte in content[third : 2 * third])
    path.write_bytes(bytes(content))


DAMAGES = [
    ("model.safetensors", empty),
    ("model.safetensors", cut),
    ("optimizer.pt", empty),
    ("optimizer.pt", cut),
    ("optimizer.pt", flip),
    ("scheduler.pt", empty),
    ("rng_state.pth", cut),
    ("trainer_state.json", empty),
    ("session.json", cut),
    ("log.parquet", cut),
    ("consumed.parquet", empty),
    ("config.json", empty),
    ("tokenizer.json", cut),
    ("model.safetensors", lambda path: path.unlink()),
    ("optimizer.pt", lambda path: path.unlink()),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_a_damaged_file_is_found_and_named(whole, tmp_path, name, damage):
    newest = checkpoints(whole[1] / "checkpoints")[-1]
    assert damage_of(newest) is None
    copy = tmp_path / "step-000006"
    shutil.copytree(newest, copy)
    damage(copy / name)
    reason = damage_of(copy)
    assert reason is not None
    assert name in reason or reason == "it holds no weights"
    assert "\n" not in reason


@pytest.mark.parametrize(("name", "damage"), [DAMAGES[0], DAMAGES[3], DAMAGES[8]])
def test_training_goes_on_from_the_checkpoint_before(stopped, steps, name, damage):
    policy, work, reference = stopped
    damage(work / "checkpoints" / "step-000006" / name)
    result = train_policy(tiny_job(policy, work, n_steps=6), FeedbackCurriculum(IDS, 4), steps)
    assert [s for s, _ in steps] == [4, 5]
    assert result.report.values["resumed_from_step"] == 4
    [note] = result.report.notes
    assert note.startswith("the newest checkpoint was damaged (step-000006: ")
    assert name in note
    assert note.endswith("was set aside as damaged-step-000006; training went on from step-000004")
    assert result.consumed.equals(reference.consumed), "nothing repeated, nothing skipped"
    one, other = weights_of(reference.policy), weights_of(result.policy)
    assert all(np.array_equal(one[k], other[k]) for k in one), "the weights are the same bit for bit"
    again = train_policy(tiny_job(policy, work, n_steps=6), FeedbackCurriculum(IDS, 4), steps)
    assert again.report.notes == result.report.notes, "a finished folder still says it"


def test_where_all_are_damaged_the_folder_to_delete_is_named(stopped, steps):
    policy, work, _ = stopped
    for folder in checkpoints(work / "checkpoints"):
        empty(folder / "model.safetensors")
    message = r"no checkpoint in .*checkpoints can be read \(step-000006: model\.safetensors .*delete that folder"
    with pytest.raises(BackendError, match=message):
        train_policy(tiny_job(policy, work, n_steps=6), FeedbackCurriculum(IDS, 4), steps)
    assert len(checkpoints(work / "checkpoints")) == 2, "nothing was taken away"


def test_no_checkpoint_is_no_damage(tmp_path):
    assert newest_intact(tmp_path / "none") == (None, None)
