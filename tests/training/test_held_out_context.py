"""Held-out prompts that are longer than the context: not scored while training, and said so."""

import pytest

from saerl_core.errors import DataError
from saerl_core.training.run import train_policy
from tests.training.world import ListCurriculum, epochs, tiny_job, tiny_policy, tiny_prompts

SHORT = list(tiny_prompts()["prompt_id"])[:4]


def job_of(tmp_path, held_out):
    narrow = tiny_policy(tmp_path / "narrow", context=7)
    return tiny_job(narrow, tmp_path / "w", n_steps=2, eval_every_steps=1, eval_n_samples=2, eval_prompts=held_out)


def test_a_long_held_out_prompt_is_left_out_and_said(tmp_path, steps):
    held_out = tiny_prompts(4)
    held_out.loc[1, "prompt"] = "a" * 9
    result = train_policy(job_of(tmp_path, held_out), ListCurriculum(epochs(SHORT, 4, 2)), steps)
    assert result.report.values["n_eval_rollouts"] == 2 * 2 * 3, "two steps, two samples, three prompts"
    [note] = [n for n in result.report.notes if "context" in n]
    assert note.startswith("1 of 4 prompts are longer than the policy's context (7 tokens less 2 for the completion)")
    assert "e.g. p01; they were not scored while training" in note


def test_where_none_fits_it_is_refused(tmp_path, steps):
    held_out = tiny_prompts(2).assign(prompt=["a" * 9, "b" * 9])
    with pytest.raises(DataError, match=r"2 of 2 prompts are longer .* remove training\.eval_every_steps"):
        train_policy(job_of(tmp_path, held_out), ListCurriculum(epochs(SHORT, 4, 2)), steps)
