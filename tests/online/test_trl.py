"""TRL's stock GRPOTrainer asks the curriculum for each batch, and the curriculum learns from its rewards."""

import json

import pytest

from saerl_core import grade
from saerl_core.errors import ConfigError, DataError
from saerl_core.online.steps import Steps
from saerl_core.online.trl import STATE_NAME, OnlineBatches
from tests.online.conftest import GROUP, SIZE, STEPS
from tests.training.world import tiny_policy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return tiny_policy(tmp_path_factory.mktemp("model") / "tiny").path


@pytest.fixture
def build(plan, prompts, policy, tmp_path):
    """A trainer as docs/export.md builds it, and the (step, prompt, reward) of every completion."""

    def build(**changed):
        from datasets import Dataset
        from trl import GRPOConfig, GRPOTrainer

        seen = []

        def reward(completions, answer, prompt_id, trainer_state, **_):
            values = [1.0 if v.correct else 0.0 for v in grade(list(completions), list(answer), "exact")]
            seen.extend(zip([trainer_state.global_step] * len(values), prompt_id, values, strict=True))
            return values

        batches = OnlineBatches(plan, prompts)
        settings = {
            "generation_batch_size": SIZE * GROUP,
            "num_generations": GROUP,
            "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": SIZE,
            "max_steps": STEPS,
            "max_completion_length": 4,
            "save_steps": 2,
            "use_cpu": True,
            "bf16": False,
            "report_to": "none",
            "output_dir": str(tmp_path / "out"),
            "disable_tqdm": True,
            **changed,
        }
        trainer = GRPOTrainer(
            model=policy,
            reward_funcs=batches.reward(reward),
            args=GRPOConfig(**settings),
            train_dataset=Dataset.from_list(batches.rows),
        )
        return trainer, batches, seen

    return build


def groups_of(seen):
    """The batches, with the rewards of each group."""
    found = {}
    for step, prompt_id, value in seen:
        found.setdefault(step, {}).setdefault(prompt_id, []).append(value)
    return found


def test_every_batch_is_the_curriculums_answer_to_the_rewards_before(build, plan, tmp_path):
    trainer, batches, seen = build()
    batches.attach(trainer)
    trainer.train()
    trained, alone = groups_of(seen), Steps(plan)
    assert list(trained) == list(range(STEPS))
    assert 0 < sum(value for *_, value in seen) < len(seen), "rewards of one kind could not steer anything"
    for step in range(STEPS):
        assert list(trained[step]) == alone.ask(SIZE, "size")
        assert {len(values) for values in trained[step].values()} == {GROUP}
        alone.tell(trained[step])
    saved = json.loads((tmp_path / "out" / "checkpoint-4" / STATE_NAME).read_text())
    assert saved["step"] == 4


def test_a_training_that_goes_on_asks_for_the_step_that_is_due(build, plan, tmp_path):
    trainer, batches, before = build(max_steps=2)
    batches.attach(trainer)
    trainer.train()
    trainer, batches, after = build()
    batches.attach(trainer)
    batches.restore(tmp_path / "out" / "checkpoint-2")
    trainer.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-2"))
    trained, alone = groups_of(before + after), Steps(plan)
    assert [step for step, *_ in after][:: SIZE * GROUP] == [2, 3, 4]
    for step in range(STEPS):
        assert list(trained[step]) == alone.ask(SIZE, "size")
        alone.tell(trained[step])
    with pytest.raises(DataError, match=r"curriculum\.json cannot be read"):
        batches.restore(tmp_path)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"max_steps": 6}, "max_steps is 6; the plan has 5 steps"),
        ({"num_iterations": 2}, "num_iterations is 2; with this plan it must be 1"),
        ({"generation_batch_size": 24}, "generation_batch_size is 24; with this plan it must be 12"),
        ({"gradient_accumulation_steps": 1}, "steps_per_generation is 3; with this plan it must be 1"),
    ],
)
def test_settings_under_which_a_step_is_no_batch(build, changed, told):
    trainer, batches, _ = build(**changed)
    with pytest.raises(ConfigError, match=told):
        batches.attach(trainer)
