"""One step of every algorithm against a computation by hand: advantages, loss, gradient."""

import math

import numpy as np
import pytest

from saerl_core.policy.loading import load_model, load_tokenizer
from saerl_core.rollouts.grading import Grader
from saerl_core.training.embedded.library_logs import quiet_libraries
from saerl_core.training.embedded.trainer import build_trainer
from saerl_core.training.session import TrainingSession
from tests.training.world import ListCurriculum, tiny_job, tiny_prompts

IDS = list(tiny_prompts()["prompt_id"])
GROUP, MAX_TOKENS, CLIP = 4, 5, 0.2


@pytest.fixture
def step(policy, tmp_path):
    """Build the trainer of a job and let it sample, grade and compare one batch."""

    def build(**changes):
        job = tiny_job(policy, tmp_path / "w", n_steps=3, max_completion_tokens=MAX_TOKENS, **changes)
        session = TrainingSession(job, ListCurriculum([IDS[:4], IDS[4:8], IDS[8:12]]), lambda *_: None)
        with quiet_libraries():
            trainer = build_trainer(job, session, Grader(job.grading))
        trainer.create_optimizer()
        trainer.current_gradient_accumulation_steps = 1
        trainer.model.train()
        rewards = []
        grade = trainer.grade

        def kept(*args):
            # A reward that differs inside groups, whatever the random policy wrote; the second group is all alike.
            grade(*args)
            completions = args[0]
            rewards.extend(float(len(c) % 2 == 0) if i // GROUP != 1 else 1.0 for i, c in enumerate(completions))
            return rewards

        trainer.grade = kept
        batch = trainer._generate_and_score_completions([{}])
        return trainer, batch, np.array(rewards).reshape(-1, GROUP)

    return build


def hand_advantages(algorithm: str, rewards: np.ndarray) -> np.ndarray:
    mean, out = rewards.mean(1, keepdims=True), np.zeros_like(rewards)
    if algorithm == "rloo":
        for i in range(GROUP):
            out[:, i] = rewards[:, i] - np.delete(rewards, i, axis=1).mean(1)
        return out
    if algorithm == "dr_grpo":
        return rewards - mean
    return (rewards - mean) / (rewards.std(1, ddof=1, keepdims=True) + 1e-4)


def hand_loss(algorithm, policy, batch, advantages, *, temperature=1.0, shift=0.0, high=CLIP, beta=0.0, apart=0.0):
    """Loss from unpadded sequences, one forward pass each, without TRL.

    `shift` moves the old log-probabilities away from the present ones, `apart` those of the reference.
    """
    import torch

    model, terms, n_tokens = load_model(policy), [], 0
    for i, advantage in enumerate(advantages.reshape(-1)):
        prompt = batch["prompt_ids"][i][batch["prompt_mask"][i].bool()]
        completion = batch["completion_ids"][i][batch["completion_mask"][i].bool()]
        ids = torch.cat((prompt, completion))[None]
        at = slice(len(prompt) - 1, -1)

        def logprobs(model, ids=ids, at=at, completion=completion):
            scores = (model(input_ids=ids).logits[0, at] / temperature).log_softmax(-1)
            return scores.gather(1, completion[:, None])[:, 0]

        new = logprobs(model)
        old, ref = new.detach() + shift, new.detach() + apart
        ratio = (new - old).exp()
        loss = -torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + high) * advantage)
        loss = loss + beta * ratio * ((ref - new).exp() - (ref - new) - 1)
        n_tokens += len(completion)
        terms.append(loss.mean() if algorithm == "grpo" else loss.sum())
    total = torch.stack(terms).sum()
    divisor = {"grpo": 16, "dr_grpo": 16 * MAX_TOKENS, "dapo": n_tokens, "rloo": 16}[algorithm]
    (total / divisor).backward()
    return total.item() / divisor, {k: p.grad for k, p in model.named_parameters()}


def assert_gradients(trainer, wanted):
    import torch

    norm = math.sqrt(sum(float((g**2).sum()) for g in wanted.values()))
    assert norm > 1e-3, "no gradient: this comparison shows nothing"
    for name, parameter in trainer.model.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-3, atol=1e-5 * norm, msg=name)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("algorithm", ["grpo", "dr_grpo", "dapo", "rloo"])
def test_a_step_is_what_the_paper_says(step, policy, algorithm, temperature):
    trainer, batch, rewards = step(algorithm=algorithm, temperature=temperature)
    wanted = hand_advantages(algorithm, rewards)
    np.testing.assert_allclose(batch["advantages"].numpy(), wanted.reshape(-1), atol=1e-5)
    assert not wanted[1].any()
    assert len({int(m.sum()) for m in batch["completion_mask"]}) > 1, "lengths differ, so the aggregation shows"
    loss = trainer._compute_loss(trainer.model, batch)
    loss.backward()
    value, gradients = hand_loss(algorithm, policy, batch, wanted, temperature=temperature)
    assert loss.item() == pytest.approx(value, abs=1e-5)
    assert_gradients(trainer, gradients)


@pytest.mark.parametrize("shift", [-0.25, 0.25], ids=["ratio above 1", "ratio below 1"])
@pytest.mark.parametrize(("algorithm", "high"), [("grpo", 0.2), ("dapo", 0.28), ("dr_grpo", 0.2)])
def test_the_ratio_is_clipped_where_it_should_be(step, policy, algorithm, high, shift):
    """exp(.25) = 1.284 is above both upper bounds; exp(-.25) = .779 is below 1 - .2."""
    trainer, batch, rewards = step(algorithm=algorithm)
    assert trainer.epsilon_high == high
    batch["old_per_token_logps"] = batch["sampling_per_token_logps"] + shift
    loss = trainer._compute_loss(trainer.model, batch)
    value, _ = hand_loss(algorithm, policy, batch, hand_advantages(algorithm, rewards), shift=shift, high=high)
    assert abs(value) > 1e-3
    assert loss.item() == pytest.approx(value, abs=1e-5)


def test_clip_high_of_the_configuration_wins(step):
    assert step(algorithm="dapo", clip_high=0.4)[0].epsilon_high == 0.4
    assert step(algorithm="grpo", clip_high=0.3)[0].epsilon_high == 0.3


def test_the_kl_term_pulls_towards_the_base_policy(step, policy):
    import torch

    trainer, batch, rewards = step(algorithm="grpo", kl_coef=0.5)
    torch.testing.assert_close(
        batch["ref_per_token_logps"] * batch["completion_mask"], batch["sampling_per_token_logps"], atol=1e-5, rtol=0
    )  # the reference is the policy that training started with
    batch["ref_per_token_logps"] = batch["ref_per_token_logps"] + 0.3
    loss = trainer._compute_loss(trainer.model, batch)
    loss.backward()
    value, gradients = hand_loss("grpo", policy, batch, hand_advantages("grpo", rewards), beta=0.5, apart=0.3)
    assert loss.item() == pytest.approx(value, abs=1e-5)
    assert value == pytest.approx(0.5 * (math.exp(0.3) - 0.3 - 1), abs=1e-3), "the policy term is 0 on-policy"
    assert_gradients(trainer, gradients)


@pytest.mark.parametrize("algorithm", ["grpo", "dr_grpo", "dapo", "rloo"])
def test_leaving_out_rollouts_without_gradient_changes_nothing(step, algorithm, monkeypatch):
    import torch

    trainer, batch, _ = step(algorithm=algorithm)
    trainer._compute_loss(trainer.model, dict(batch)).backward()
    lean = {k: p.grad.clone() for k, p in trainer.model.named_parameters()}
    trainer.model.zero_grad()
    monkeypatch.setattr("saerl_core.training.embedded.planned.live_part", lambda inputs: (inputs, 1.0))
    trainer._compute_loss(trainer.model, dict(batch)).backward()
    for name, parameter in trainer.model.named_parameters():
        torch.testing.assert_close(lean[name], parameter.grad, rtol=1e-4, atol=1e-7)


def test_the_log_probabilities_of_sampling_are_those_of_training(step):
    trainer, batch, _ = step(temperature=0.6)
    trainer._compute_loss(trainer.model, batch)
    batch["sampling_per_token_logps"] = batch["sampling_per_token_logps"] + 0.2 * batch["completion_mask"]
    from saerl_core.errors import BackendError

    with pytest.raises(BackendError, match=r"differ by 0\.2"):
        trainer._compute_loss(trainer.model, batch)


def test_prompts_are_raw_text_with_a_bos(step, policy):
    _, batch, _ = step()
    tokenizer = load_tokenizer(policy)
    first = tiny_prompts()["prompt"][0]
    ids = batch["prompt_ids"][0][batch["prompt_mask"][0].bool()].tolist()
    assert ids == [tokenizer.bos_token_id, *tokenizer(first, add_special_tokens=False)["input_ids"]]
