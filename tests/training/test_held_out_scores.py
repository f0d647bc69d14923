"""Scores of the embedded backend while it trains."""

import pytest

from saerl_core.rollouts.sampler import Sampler
from saerl_core.seeds import stage_seed
from saerl_core.training.run import train_policy
from tests.training.world import ListCurriculum, epochs, tiny_job, tiny_prompts

IDS = list(tiny_prompts()["prompt_id"])
SCORES = {"eval_every_steps": 1, "eval_n_samples": 4, "eval_prompts": tiny_prompts(12), "n_steps": 3}


def scores_of(steps) -> list[dict[str, float]]:
    return [m for _, m in steps if "eval_pass_at_1" in m]


def test_steps_compare_in_pairs(policy, tmp_path, steps):
    """A policy that hardly moves answers each time as before."""
    job = tiny_job(policy, tmp_path / "w", lr=1e-12, **SCORES)
    train_policy(job, ListCurriculum(epochs(IDS, 4, 1)), steps)
    first, *rest = scores_of(steps)
    assert rest == [first, first]
    assert 0 < first["eval_pass_at_1"] < 1


def test_the_live_policy_is_scored_and_not_the_one_it_came_from(policy, tmp_path, steps):
    job = tiny_job(policy, tmp_path / "w", lr=0.5, **SCORES)
    result = train_policy(job, ListCurriculum(epochs(IDS, 4, 1)), steps)
    assert len({m["eval_completion_tokens_mean"] for m in scores_of(steps)}) > 1
    seed = stage_seed(job.seed, "training/evaluation")
    sampler = Sampler(result.policy, temperature=1.0, max_completion_tokens=2, seed=seed)
    groups = sampler.sample(list(job.eval_prompts["prompt"]), 4)
    mean = sum(c.n_tokens for group in groups for c in group) / 48
    assert scores_of(steps)[-1]["eval_completion_tokens_mean"] == pytest.approx(mean), "the trained policy, as a folder"
