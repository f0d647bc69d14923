"""The driver of the OpenRLHF backend, with a fake trainer behind the product's own command line."""

import numpy as np
import pytest

from saerl_core.errors import BackendError, ConfigError, DataError
from saerl_core.training.consumed import batches_of
from saerl_core.training.openrlhf.files import attempts, log_files
from saerl_core.training.run import train_policy
from tests.training.contract import TrainerContract
from tests.training.openrlhf.fakes import fake_python, openrlhf_settings
from tests.training.world import FeedbackCurriculum, ListCurriculum, epochs, tiny_job, tiny_prompts, weights_of

IDS = list(tiny_prompts()["prompt_id"])


class TestContract(TrainerContract):
    @pytest.fixture
    def backend(self, python):
        return openrlhf_settings(python)

    def test_rewards_come_from_the_one_grader(self, run):
        """The reward function runs in the trainer; what it saw is the base of the books."""
        result = run(ListCurriculum(epochs(IDS, 4, 1)), n_steps=3)
        assert 0 < result.consumed["n_correct"].sum() < result.consumed["n_rollouts"].sum()
        by_step = result.consumed.groupby("step")[["n_correct", "n_rollouts"]].sum()
        assert list(result.log["reward_mean"]) == list(by_step["n_correct"] / by_step["n_rollouts"])

    def test_unknown_verdicts_are_rewarded_with_nothing_and_counted(self, run):
        """An empty gold answer cannot be read by the grader of formulas."""
        prompts = tiny_prompts().assign(answer=" ")
        result = run(ListCurriculum(epochs(IDS, 4, 1)), n_steps=2, prompts=prompts, grading_kind="math")
        assert set(result.log["reward_mean"]) == {0.0}
        assert result.report.values["n_unknown"] == 32
        assert "32 of 32 rollouts could not be judged" in result.report.notes[0]

    @pytest.mark.parametrize(
        ("changes", "error", "named"),
        [
            ({"prompts_per_step": 13}, DataError, "12 prompts, fewer than one batch of 13"),
            ({"n_steps": 0}, ConfigError, "0 steps"),
            ({"train_micro_batch": 5}, ConfigError, "train_micro_batch is 5 on 2 GPUs, which does not divide the 16"),
            ({"rollout_micro_batch": 16}, ConfigError, "rollout_micro_batch is 16 on 2 GPUs"),
            ({"work_dir": "a,b"}, ConfigError, "with a comma"),
        ],
    )
    def test_impossible_jobs_are_refused_before_any_work(self, run, python, tmp_path, changes, error, named):
        inner = {k: v for k, v in changes.items() if k.endswith("micro_batch")}
        rest = {k: v for k, v in changes.items() if k not in inner}
        with pytest.raises(error, match=named):
            run(ListCurriculum(epochs(IDS, 4, 1)), **{**openrlhf_settings(python, **inner), "n_steps": 3, **rest})
        assert not list(tmp_path.glob("[wa]*"))


@pytest.mark.parametrize(
    ("fake", "named"),
    [
        ("crash:3", r"failed with exit code 1; its last error: ValueError: the loss fell into a hole \(log: .*01/tr"),
        ("say:3", "exit code 1; its last error: there are 0 GPUs, 4 are needed"),
        ("kill:3", "killed by signal 9 .* ran out of memory"),
        ("leave:3", "ended before the plan did"),
        ("nan:3", r"loss at step 3 is nan, .*training\.lr"),
    ],
)
def test_a_trainer_that_fails_is_explained_and_the_next_start_goes_on(train, steps, fake, named):
    with pytest.raises(BackendError, match=named):
        train(fake)
    assert [s for s, _ in steps] == [0, 1, 2]
    result = train()
    assert [s for s, _ in steps] == [0, 1, 2, 2, 3, 4, 5], "checkpoints come every 2 steps"
    assert result.report.values["resumed_from_step"] == 2
    assert len(result.log) == 6


def test_a_variable_that_is_passed_on_stands_nowhere(train, tmp_path, monkeypatch):
    secret = "planted-value-of-a-token"
    monkeypatch.setenv("PLANTED_TOKEN", secret)
    with pytest.raises(BackendError, match=r"ValueError: the Hub refuses \*\*\* \(log: ") as caught:
        train("tell:2", inner={"env": {"FAKE": "tell:2"}, "env_from": ["PLANTED_TOKEN"]})
    assert secret not in str(caught.value)
    [log] = log_files(tmp_path / "work")
    assert "all I know: ***\n" in log.read_text(), "the trainer has it, and its log is kept without it"
    files = [file for file in (tmp_path / "work").rglob("*") if file.is_file()]
    assert "job.json" in [file.name for file in files]
    assert [file for file in files if secret.encode() in file.read_bytes()] == []


def test_a_variable_that_nobody_has_set_is_refused_before_any_work(train, tmp_path):
    with pytest.raises(ConfigError, match=r"env_from lists NOBODY_HAS_IT, which the process that trains does not have"):
        train(inner={"env_from": ["NOBODY_HAS_IT"]})
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("fake", "named"),
    [
        ("other:3", r"saw prompt 'p\d\d' in slot 1 of step 3, but p\d\d was asked for: the trainer left the plan"),
        ("ahead:3", "saw 0 rollouts of prompt|saw rollouts of step 4 while only step 3"),
        ("position:3", "at step 3 have the mean plan position 10.000"),
        ("lose:3", r"saw 3 rollouts of prompt 'p\d\d' in slot 2 of step 3"),
    ],
)
def test_a_trainer_that_leaves_the_plan_fails_the_run(train, monkeypatch, fake, named):
    monkeypatch.setattr("saerl_core.training.openrlhf.reading._SETTLE_S", 0.2)
    with pytest.raises(BackendError, match=named):
        train(fake)


def test_a_trainer_that_waits_forever_is_ended(train):
    with pytest.raises(BackendError, match=r"no step for 3 s \(training.openrlhf.watchdog_s\) and was ended; its last"):
        train("hang:2", inner={"watchdog_s": 3.0})


def test_reward_errors_are_counted_and_named(train, steps):
    result = train("error:1 error:3")
    assert [m["reward_error_n"] for _, m in steps] == [0, 4, 0, 4, 0, 0]
    [note] = result.report.notes
    assert "failed on 8 of 96 rollouts" in note
    assert "does not begin with its prompt" in note


def test_a_run_killed_at_every_turn_ends_like_one_that_was_not(train, policy, python, tmp_path):
    whole = train_policy(
        tiny_job(policy, tmp_path / "whole", **openrlhf_settings(python)), FeedbackCurriculum(IDS, 4), lambda *_: None
    )
    for fake in ("kill:0", "die-saving:2", "kill:3", "die-saving:4", "leave:5"):
        with pytest.raises(BackendError):
            train(fake)
    result = train()
    assert result.report.values["resumed_from_step"] == 4
    assert result.consumed.equals(whole.consumed)
    one, other = weights_of(whole.policy), weights_of(result.policy)
    assert all(np.array_equal(one[k], other[k]) for k in one)
    assert len(log_files(tmp_path / "work")) == len(attempts(tmp_path / "work")) == 6


def test_actor_and_critic_go_on_from_the_same_step(train):
    """Killed between the two: the actor has a newer checkpoint than the critic."""
    with pytest.raises(BackendError):
        train("die-saving:4", algorithm="ppo")
    assert train(algorithm="ppo").report.values["resumed_from_step"] == 2


def test_the_plan_of_an_unfinished_run_must_not_change(train, python):
    with pytest.raises(BackendError, match="exit code 1"):
        train("crash:3")
    with pytest.raises(BackendError, match="curriculum_hash was a plan and is another") as caught:
        train(curriculum_hash="another plan")
    assert "Delete the folder" in str(caught.value)
    with pytest.raises(BackendError, match=r"training\.openrlhf\.zero_stage was 2 and is 3"):
        train(inner={"zero_stage": 3})
    result = train(inner={"train_micro_batch": 4, "vllm_memory_frac": 0.4})  # where memory ran out, this may change
    assert result.report.values["resumed_from_step"] == 2


def test_all_held_out_scores_are_passed_on_the_last_ones_too(train, steps):
    train(eval_every_steps=2, eval_n_samples=4, eval_prompts=tiny_prompts(5))
    scored = [(s, m["eval_pass_at_1"], m["eval_pass_at_4"]) for s, m in steps if "eval_pass_at_1" in m]
    assert scored == [(s, 0.5, 1.0) for s in (1, 3, 5)]


def test_the_published_policy_reads_as_the_base_policy_does(train, policy, tmp_path):
    from dataclasses import replace

    from saerl_core.policy.loading import load_tokenizer
    from saerl_core.records import PromptFormat

    fmt = PromptFormat(prompt_suffix="b")
    job = tiny_job(replace(policy, prompt_format=fmt), tmp_path / "w", **openrlhf_settings(fake_python(tmp_path)))
    result = train_policy(job, ListCurriculum(epochs(IDS, 4, 2)), lambda *_: None)
    assert result.policy.prompt_format == fmt
    base, trained = load_tokenizer(policy), load_tokenizer(result.policy)
    assert trained("ab")["input_ids"] == base("ab")["input_ids"] == [1, 4, 5]
    assert not (tmp_path / "w" / "final").exists(), "the model lies on the disk once"


def test_a_trainer_that_leaves_no_model_is_said(train):
    with pytest.raises(BackendError, match="left no model"):
        train("no-model")


def test_publishing_is_repeated_without_training(train, steps, monkeypatch):
    from saerl_core.training.openrlhf import trainer

    def full(*_):
        raise BackendError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "_publish", full)
        with pytest.raises(BackendError, match="the disk is full"):
            train()
    result = train()
    assert len(steps) == 6
    assert len(result.log) == 6
    assert list(batches_of(result.consumed)) == list(range(6))


@pytest.mark.parametrize(
    ("changes", "error", "named"),
    [
        ({"max_prompt_tokens": 2}, BackendError, r"prompt 'p\d\d' has [3-5] tokens, more than .*max_prompt_tokens = 2"),
        ({"python": None}, ConfigError, "python is not set, and no image"),
        ({"python": "no/such/python"}, ConfigError, "'no/such/python', which does not exist"),
        ({"python": __file__}, ConfigError, "cannot be executed"),
    ],
)
def test_settings_that_cannot_work_are_named(train, changes, error, named):
    with pytest.raises(error, match=named):
        train(inner=changes)


@pytest.mark.parametrize(("version", "named"), [("0.11.0", "has openrlhf 0.11.0"), (None, "has no openrlhf")])
def test_another_version_is_refused_with_both_named(train, tmp_path, version, named):
    with pytest.raises(ConfigError, match=rf"{named}, .* exactly 0\.11\.2"):
        train(inner={"python": str(fake_python(tmp_path / "bin", version))})


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("#!/bin/sh\nexec sleep 30", "did not answer within"),
        ("#!/bin/sh\necho no such thing >&2; exit 2", "exit code 2: no such thing"),
        ("#!/bin/sh\necho 3", "does not answer as Python does"),
        ("not a program", "cannot be started|does not answer"),
    ],
)
def test_an_interpreter_that_is_none_is_refused(train, tmp_path, monkeypatch, script, named):
    monkeypatch.setattr("saerl_core.training.openrlhf.checks.PROBE_S", 0.5)
    python = tmp_path / "python"
    python.write_text(script)
    python.chmod(0o755)
    with pytest.raises(ConfigError, match=named):
        train(inner={"python": str(python)})


def test_a_model_with_code_of_its_own_needs_trust(train, policy, tmp_path, python):
    import json
    import shutil
    from dataclasses import replace
    from pathlib import Path

    folder = tmp_path / "model"
    shutil.copytree(policy.path, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "code.Model"}}))
    job = tiny_job(replace(policy, path=str(folder)), tmp_path / "work", **openrlhf_settings(python))
    with pytest.raises(ConfigError, match=r"brings Python code of its own .*trust_remote_code"):
        train_policy(job, FeedbackCurriculum(IDS, 4), lambda *_: None)
    gone = replace(job, policy=replace(policy, path=str(Path(tmp_path, "nowhere"))))
    with pytest.raises(DataError, match="is no model"):
        train_policy(gone, FeedbackCurriculum(IDS, 4), lambda *_: None)
