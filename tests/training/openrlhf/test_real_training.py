"""Real training through the product's driver: OpenRLHF, Ray and DeepSpeed on a CPU, from the job to the policy.

Two jobs: GRPO in one go, and PPO with a critic in three: a worker is killed, then driver and trainer, then it ends.
What is compared is what the inference engine got after each step, and what DeepSpeed saved.
"""

import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from saerl_core.errors import BackendError
from saerl_core.policy.loading import load_model, load_tokenizer
from saerl_core.policy.storage import policy_id_of
from saerl_core.tables import CONSUMED, TRAINING_LOG
from saerl_core.training.consumed import batches_of, check_consumed
from saerl_core.training.openrlhf.command import launch_command
from saerl_core.training.openrlhf.files import attempts
from saerl_core.training.openrlhf.trainer import OpenRlhfTrainer
from saerl_core.training.run import RecordedCurriculum, train_policy
from tests.training.openrlhf.real_runs import (
    GROUP,
    IDS,
    SIZE,
    STEPS,
    adam_steps,
    digests,
    living,
    note_step,
    ppo_job,
    real_job,
    saved_state,
    tensors,
    trainer_processes,
    updates,
)
from tests.training.world import FeedbackCurriculum, correct_counts, expected_batches, tiny_prompts

ROOT = Path(__file__).resolve().parents[3]
ROLLOUTS = SIZE * GROUP
UNANSWERED = "p06"  # of the first batch, whatever the rewards are
TIMEOUT_S = 300.0
ENGINES_LOGPROBS = ["--vllm.enforce_eager", "--algo.advantage.is_correction_level", "token"]  # sampled with: vllm_kl

pytestmark = pytest.mark.openrlhf


@pytest.fixture(scope="module")
def grpo(engine_python, policy, tmp_path_factory):
    """A checkpoint after every step; the reward function finds no answer for one prompt.

    A tenth of all completions of one letter are right: that the first batch has none is one chance in 20 000.
    """
    work, seen = tmp_path_factory.mktemp("grpo") / "work", []
    held_out = {"eval_every_steps": 3, "eval_prompts": tiny_prompts(14).tail(2)}
    job = real_job(
        policy,
        work,
        engine_python,
        inner={"max_checkpoints": STEPS, "extra_args": ENGINES_LOGPROBS},
        save_every_steps=1,
        max_completion_tokens=1,
        **held_out,
    )

    def command(asked):
        answers = (work / "answers.jsonl").read_text().splitlines(keepends=True)
        (work / "answers.jsonl").write_text("".join(a for a in answers if json.loads(a)["prompt_id"] != UNANSWERED))
        return launch_command(asked)

    def on_step(step, metrics):
        if step == 0:
            time.sleep(1.0)
        ready = (work / "ckpt" / "_actor" / f"global_step{step + 1}").exists()
        seen.append(SimpleNamespace(step=step, metrics=metrics, saved_too_early=ready and "reward_mean" in metrics))

    curriculum = RecordedCurriculum(FeedbackCurriculum(IDS, SIZE))
    result = OpenRlhfTrainer(command).train(job, curriculum, on_step)
    return SimpleNamespace(job=job, work=work, result=result, seen=seen, asked=curriculum.batches)


@pytest.fixture(scope="module")
def ppo(engine_python, policy, tmp_path_factory):
    """Killed twice; checkpoints come every 2 steps, and the newest 2 are kept."""
    work = tmp_path_factory.mktemp("ppo") / "work"
    found = SimpleNamespace(work=work, metrics=[])

    def kill_a_worker(step, metrics):
        note_step(work, step)
        if step == 2:
            found.first = trainer_processes(work)
            found.first_names = names_of(found.first)
            [worker] = [p for p in found.first if "PolicyModelActor" in " ".join(p.cmdline())]
            worker.kill()

    with pytest.raises(BackendError) as caught:
        train_policy(ppo_job(policy, work, engine_python, 1), FeedbackCurriculum(IDS, SIZE), kill_a_worker)
    found.error, found.after_first = str(caught.value), living(found.first)

    command = [sys.executable, "-W", "ignore", "-m", "tests.training.openrlhf.real_runs", policy.path, str(work)]
    with subprocess.Popen([*command, str(engine_python), "4"], cwd=ROOT, stderr=subprocess.DEVNULL) as driver:
        wait_until(lambda: steps_of(work)[-1] == 4 or driver.poll() is not None)
        found.second = trainer_processes(work)
        found.second_names = names_of(found.second)
        [launcher] = [p for p in found.second if p.ppid() == driver.pid]
        driver.kill()
        launcher.kill()

    def on_step(step, metrics):
        note_step(work, step)
        if not found.metrics:
            found.after_second = living(found.second)
        found.metrics.append(metrics)

    job = ppo_job(policy, work, engine_python, 3)
    found.at_resume = {name: saved_state(work, name, 4)["module"] for name in ("_actor", "_critic")}
    found.result = train_policy(job, FeedbackCurriculum(IDS, SIZE), on_step)
    return found


def wait_until(condition):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def names_of(processes):
    return {Path(process.cmdline()[0]).name for process in processes if process.cmdline()}


def steps_of(work):
    return [int(step) for step in work.with_suffix(".steps").read_text().split()]


def test_the_planned_batches_are_trained(grpo):
    consumed = CONSUMED.check(grpo.result.consumed)
    counts = correct_counts(consumed)
    assert list(batches_of(consumed).values()) == grpo.asked == expected_batches(IDS, SIZE, counts)
    assert grpo.asked != expected_batches(IDS, SIZE, [[0] * SIZE] * STEPS), "rewards did decide"
    check_consumed(grpo.asked, consumed)
    assert set(consumed["n_rollouts"]) == {GROUP}


def test_every_step_changes_the_weights(grpo, policy):
    got = updates(grpo.work)
    base = digests(tensors(policy), got[0])
    assert len(got) == STEPS
    assert all(one != other for one, other in pairwise([base, *got]))
    for step, weights in enumerate(got, 1):
        state = saved_state(grpo.work, "_actor", step)
        assert digests(state["module"], weights) == weights, "the engine has what the checkpoint holds, bit for bit"
        assert (state["global_step"], state["global_steps"]) == (step, step), "one batch is one optimizer step"
        assert adam_steps(grpo.work, "_actor", step) == {step}
    assert got[-1] == digests(tensors(grpo.result.policy), got[-1])


def test_the_engine_generates_with_the_weights_that_it_got(grpo, policy):
    """Its log-probabilities against the trainer's: apart only by the end token, which min_tokens forbids the engine.

    Of a completion's one token they differ by -log(1 - p(end)), whichever it is. With the weights of a step before
    they differ by more than a tenth.
    """
    texts, model = tiny_prompts(14).set_index("prompt_id")["prompt"], load_model(policy)
    metrics = [s.metrics for s in grpo.seen if "reward_mean" in s.metrics]
    for step, batch in enumerate(grpo.asked):
        if step:
            model.load_state_dict(saved_state(grpo.work, "_actor", step)["module"], strict=False)
        expected = np.mean([-np.log1p(-end_probability(model, load_tokenizer(policy), texts[i])) for i in batch])
        assert metrics[step]["vllm_kl"] == pytest.approx(expected, abs=0.02)
    assert metrics[-1]["kl"] > 0.1


def end_probability(model, tokenizer, text):
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    return model(ids).logits[0, -1].softmax(-1)[tokenizer.eos_token_id].item()


def test_metrics_have_the_names_of_the_embedded_backend(grpo):
    log = TRAINING_LOG.check(grpo.result.log)
    trained = [s for s in grpo.seen if "reward_mean" in s.metrics]
    assert [s.step for s in trained] == list(range(STEPS))
    names = set(TRAINING_LOG.columns) - {"step", "consumed_hash", "eval_pass_at_1"}
    for (_, row), seen in zip(log.iterrows(), trained, strict=True):
        assert {name: row[name] for name in names} == {name: seen.metrics[name] for name in names}
        assert np.isfinite([seen.metrics[name] for name in names]).all()
        assert seen.metrics["plan_step"] == seen.step
        assert seen.metrics["reward"] == pytest.approx(seen.metrics["reward_mean"])
    assert log["kl"][0] == pytest.approx(0.0, abs=1e-6), "the policy begins as the reference"
    assert (log["kl"][1:] > 1e-4).all()
    assert (log["grad_norm"] > 0).all()
    assert list(log["n_rollouts_total"]) == [ROLLOUTS * (i + 1) for i in range(STEPS)]


def test_held_out_scores_come_with_their_step(grpo):
    scores = [(s.step, s.metrics) for s in grpo.seen if "eval_pass_at_1" in s.metrics]
    assert [step for step, _ in scores] == [2, 5]
    assert all(0 <= m["eval_pass_at_1"] <= m["eval_pass_at_4"] <= 1 for _, m in scores)
    files = (grpo.work / "attempt-01" / "audit").glob("*.jsonl")
    audit = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    held_out = sorted(line["id"] for line in audit if line["step"] == -1)
    assert held_out == ["p12"] * 8 + ["p13"] * 8


def test_no_checkpoint_is_newer_than_its_books(grpo):
    assert not any(s.saved_too_early for s in grpo.seen)
    assert [p.name for p in sorted((grpo.work / "sessions").iterdir())] == [f"step-{i:06d}" for i in range(1, 7)]


def test_a_reward_function_that_fails_is_counted_and_the_run_lives(grpo):
    asked = [sum(i == UNANSWERED for i in batch) * GROUP for batch in grpo.asked]
    trained = [s.metrics for s in grpo.seen if "reward_mean" in s.metrics]
    assert asked[0] == GROUP
    assert [m["reward_error_n"] for m in trained] == asked
    assert [m["reward_error"] for m in trained] == pytest.approx([n / ROLLOUTS for n in asked]), "OpenRLHF's mean"
    [note] = grpo.result.report.notes
    assert f"failed on {sum(asked)} of {ROLLOUTS * STEPS} rollouts" in note
    assert f"no answer is known for prompt '{UNANSWERED}'" in note


def test_the_trained_policy_is_a_policy(grpo, policy):
    trained = grpo.result.policy
    assert trained.policy_id == policy_id_of(trained.path) != policy.policy_id
    assert load_model(trained).config.model_type == "qwen2"
    assert load_tokenizer(trained)("ab")["input_ids"] == load_tokenizer(policy)("ab")["input_ids"]


def test_a_worker_that_is_killed_is_said(ppo):
    assert (
        "PolicyModelActor, a process of the trainer, was killed, most likely because the machine ran out" in ppo.error
    )
    assert "the same command goes on at the last checkpoint" in ppo.error


def test_nothing_of_a_killed_trainer_survives(ppo):
    for names in (ppo.first_names, ppo.second_names):
        assert {"raylet", "gcs_server", "ray::RolloutRayActor", "ray::CriticModelActor"} <= names
    assert not ppo.after_first
    assert not ppo.after_second


def test_a_killed_run_goes_on_at_the_next_planned_batch(ppo):
    consumed = CONSUMED.check(ppo.result.consumed)
    assert steps_of(ppo.work) == [0, 1, 2, 2, 3, 4, 4, 5], "on from the checkpoints after 2 and 4 steps"
    assert ppo.result.report.values["resumed_from_step"] == 4
    assert list(batches_of(consumed).values()) == expected_batches(IDS, SIZE, correct_counts(consumed))
    assert list(ppo.result.log["step"]) == list(range(STEPS)), "no step stands in the books twice"
    assert len(consumed) == STEPS * SIZE
    assert list(ppo.result.log["n_rollouts_total"]) == [ROLLOUTS * (i + 1) for i in range(STEPS)]
    assert len(attempts(ppo.work)) == 3
    assert [m["plan_step"] for m in ppo.metrics] == [4.0, 5.0]


@pytest.mark.parametrize(("attempt", "step"), [(2, 2), (3, 4)])
def test_a_killed_run_goes_on_with_the_weights_of_its_checkpoint(ppo, attempt, step):
    """The engine gets the weights before the first batch; those of the checkpoint, and not of the step after it."""
    before, after = updates(ppo.work, attempt - 1), updates(ppo.work, attempt)
    done = step if attempt == 2 else step - 2 + 1  # sets that the attempt before got until then
    assert after[0] == before[done - 1]
    assert after[0] != before[done], "it had gone on, and that step is lost"
    assert all(one != other for one, other in pairwise(after))


def test_optimizer_scheduler_and_critic_go_on_too(ppo):
    """Anew, Adam would have counted 2 steps, and the warm-up of 4 steps would have begun again."""
    at_resume = digests(ppo.at_resume["_actor"], updates(ppo.work, 3)[0])
    assert at_resume == updates(ppo.work, 3)[0]
    for name in ("_actor", "_critic"):
        assert sorted(p.name for p in (ppo.work / "ckpt" / name).glob("global*")) == ["global_step4", "global_step6"]
        assert adam_steps(ppo.work, name, STEPS) == {STEPS}
        state = saved_state(ppo.work, name, STEPS)
        assert (state["global_steps"], state["lr_scheduler"]["last_epoch"]) == (STEPS, STEPS)
        before, after = ppo.at_resume[name], state["module"]
        assert any(not before[k].equal(after[k]) for k in before)
    assert list(ppo.result.log["lr"][3:]) == [0.01] * 3


def test_the_critic_is_trained_and_logged(ppo):
    for metrics in ppo.metrics:
        assert np.isfinite([metrics[n] for n in ("critic_loss", "values", "critic_grad_norm", "loss")]).all()
        assert metrics["critic_grad_norm"] > 0
    assert ppo.result.log["kl"].isna().all(), "there is no reference policy"
    assert load_model(ppo.result.policy).config.model_type == "qwen2"
    got = updates(ppo.work, 3)
    assert got[-1] == digests(tensors(ppo.result.policy), got[-1])
