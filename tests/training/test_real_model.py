"""Three steps of GRPO with a real language model on everyday arithmetic; skipped where it was not fetched."""

from pathlib import Path

import numpy as np
import pytest

from saerl_core.config.run import EverydayConfig, PolicyConfig
from saerl_core.environment import project_root
from saerl_core.policy.loading import load_tokenizer
from saerl_core.policy.prepare import prepare_policy
from saerl_core.policy.prompt_format import render
from saerl_core.training.run import train_policy
from saerl_core.world.splits import build_world
from tests.training.world import ListCurriculum, tiny_job

MODEL = project_root() / ".saerl" / "models" / "smollm2-135m"  # not the state folder, which is a temporary one in tests
EASY = EverydayConfig(n_train=24, n_dev=0, n_test=1, bad_frac=0.0, level_weights=(1, 0, 0, 0, 0))


@pytest.mark.slow
@pytest.mark.skipif(not MODEL.is_dir(), reason="there is no SmolLM2 here; `make smollm` fetches it")
def test_three_steps_of_grpo_in_the_chat_template_with_the_math_grader(tmp_path: Path):
    prompts = build_world(EASY, 0, "everyday")["train"]
    config = PolicyConfig(source="pretrained", model=str(MODEL), chat_template=True)
    policy, report = prepare_policy(config, prompts, tmp_path / "policy", 0)
    assert any("quantised as Q4_1" in note for note in report.notes)
    asked = render(load_tokenizer(policy), str(prompts["prompt"][0]), policy.prompt_format)
    assert asked.startswith("<|im_start|>system\n")
    assert asked.endswith("<|im_start|>assistant\n")
    batches = [list(prompts["prompt_id"][i : i + 2]) for i in (0, 2, 4)]
    job = tiny_job(
        policy,
        tmp_path / "work",
        n_steps=3,
        prompts_per_step=2,
        prompts=prompts,
        grading_kind="math",
        lr=1e-5,
        max_completion_tokens=16,
        save_every_steps=10,
    )
    result = train_policy(job, ListCurriculum(batches), lambda *_: None)
    assert len(result.log) == 3
    assert list(result.consumed["prompt_id"]) == [p for batch in batches for p in batch]
    assert set(result.consumed["n_rollouts"]) == {4}
    assert np.isfinite(result.log["loss"]).all()
    assert result.policy.policy_id != policy.policy_id
