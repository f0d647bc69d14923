"""Training reads prompts in the policy's format, and the trained policy keeps it."""

from dataclasses import replace

import pytest

from saerl_core.errors import BackendError
from saerl_core.records import PromptFormat
from saerl_core.training.run import train_policy
from tests.training.world import ListCurriculum, epochs, tiny_job, tiny_prompts

IDS = list(tiny_prompts()["prompt_id"])
FORMAT = PromptFormat(prompt_suffix="ba")


def test_a_suffix_trains_as_if_it_stood_in_the_prompts(policy, tmp_path, steps):
    spelt = tiny_prompts()
    spelt["prompt"] += "ba"
    jobs = {
        "format": tiny_job(replace(policy, prompt_format=FORMAT), tmp_path / "format", n_steps=2),
        "spelt": tiny_job(policy, tmp_path / "spelt", n_steps=2, prompts=spelt),
        "plain": tiny_job(policy, tmp_path / "plain", n_steps=2),
    }
    results = {name: train_policy(job, ListCurriculum(epochs(IDS, 4, 1)), steps) for name, job in jobs.items()}
    columns = ["loss", "grad_norm", "entropy"]
    logs = {name: result.log[columns] for name, result in results.items()}
    assert logs["format"].equals(logs["spelt"])
    assert not logs["format"].equals(logs["plain"])
    assert results["format"].policy.policy_id == results["spelt"].policy.policy_id
    assert results["format"].policy.prompt_format == FORMAT


def test_a_run_of_another_format_is_not_continued(policy, tmp_path, steps):
    job = tiny_job(policy, tmp_path / "w", n_steps=2)
    train_policy(job, ListCurriculum(epochs(IDS, 4, 1)), steps)
    other = replace(job, policy=replace(policy, prompt_format=FORMAT))
    with pytest.raises(BackendError, match=r"training of another job: prompt_format was .*prompt_suffix=''"):
        train_policy(other, ListCurriculum(epochs(IDS, 4, 1)), steps)
