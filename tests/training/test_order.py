"""When the curriculum is asked: after the rewards of the step before, and never one batch ahead as in stock TRL."""

import pytest

from saerl_core.rollouts.grading import Grader
from saerl_core.training.consumed import batches_of
from saerl_core.training.run import train_policy
from tests.training.world import FeedbackCurriculum, correct_counts, expected_batches, tiny_job, tiny_prompts

IDS = list(tiny_prompts()["prompt_id"])
N_STEPS = 5


def check_order(events: list[str]) -> None:
    wanted = [e for i in range(N_STEPS) for e in (f"next_batch {i}", f"rewards {i}", f"observe {i}", f"on_step {i}")]
    assert events == wanted


@pytest.mark.parametrize("micro", [None, 8], ids=["one pass", "two micro-batches"])
def test_batch_i_plus_1_is_chosen_after_the_rewards_of_batch_i(policy, tmp_path, monkeypatch, micro):
    events, grade = [], Grader.grade

    def recording(self, completions, answers):
        events.append(f"rewards {sum(e.startswith('rewards') for e in events)}")
        return grade(self, completions, answers)

    monkeypatch.setattr(Grader, "grade", recording)
    curriculum = FeedbackCurriculum(IDS, 4, events)
    job = tiny_job(policy, tmp_path / "w", n_steps=N_STEPS, micro_batch_rollouts=micro)
    result = train_policy(job, curriculum, lambda step, _: events.append(f"on_step {step}"))
    check_order(events)
    counts, trained = correct_counts(result.consumed), list(batches_of(result.consumed).values())
    assert trained == expected_batches(IDS, 4, counts)
    # Feedback that comes one step late gives other batches: the test above can fail.
    late = expected_batches(IDS, 4, [[0] * 4, *counts[:-1]])
    assert trained[2:] != late[2:]


def test_the_loader_of_stock_trl_asks_one_batch_ahead(policy, tmp_path):
    """The same check on stock TRL with a lazy sampler: plan 1 comes before the rewards of step 0."""
    from datasets import Dataset
    from torch.utils.data import Sampler
    from trl import GRPOTrainer

    from saerl_core.policy.loading import load_model, load_tokenizer
    from saerl_core.training.embedded.library_logs import quiet_libraries
    from saerl_core.training.embedded.trl_settings import trl_config

    events: list[str] = []
    curriculum, prompts = FeedbackCurriculum(IDS, 4, events), tiny_prompts()

    class Lazy(Sampler):
        def __len__(self):
            return N_STEPS * 16

        def __iter__(self):
            for step in range(N_STEPS):
                for prompt_id in curriculum.next_batch(step):
                    yield from [IDS.index(prompt_id)] * 4

    class Stock(GRPOTrainer):
        def _get_train_sampler(self, dataset=None):
            return Lazy()

    def reward(completions, **columns):
        step = sum(e.startswith("rewards") for e in events)
        events.extend([f"rewards {step}", f"observe {step}", f"on_step {step}"])
        return [float(len(c)) for c in completions]

    config = trl_config(tiny_job(policy, tmp_path, n_steps=N_STEPS), "cpu", tmp_path)
    config.save_strategy = "no"
    with quiet_libraries():
        trainer = Stock(
            model=load_model(policy),
            reward_funcs=reward,
            args=config,
            train_dataset=Dataset.from_dict({"prompt": list(prompts["prompt"])}),
            processing_class=load_tokenizer(policy),
        )
        trainer.train()
    with pytest.raises(AssertionError):
        check_order(events)
    assert events[:3] == ["next_batch 0", "next_batch 1", "rewards 0"]
