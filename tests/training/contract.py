"""What every trainer backend must do; a backend's test module subclasses `TrainerContract`."""

from collections import Counter

import numpy as np
import pytest

from saerl_core.config.grading import GradingConfig
from saerl_core.errors import BackendError, ConfigError, DataError
from saerl_core.policy.storage import policy_id_of
from saerl_core.protocols import Trainer
from saerl_core.rollouts.grading import Grader
from saerl_core.tables import CONSUMED, TRAINING_LOG
from saerl_core.training.consumed import batches_of, check_consumed
from saerl_core.training.run import RecordedCurriculum, train_policy
from tests.training.world import (
    FeedbackCurriculum,
    ListCurriculum,
    correct_counts,
    epochs,
    expected_batches,
    tiny_job,
    tiny_prompts,
    weights_of,
)

IDS = list(tiny_prompts()["prompt_id"])
FUNCTION = GradingConfig(kind="python", function="own_rewards:grade")
METRICS = set(TRAINING_LOG.columns) - {"step", "consumed_hash", "kl", "eval_pass_at_1"}


class TrainerContract:
    """Subclasses give the fixture `backend`: the settings of TrainingConfig that choose it."""

    @pytest.fixture
    def rewards(self, tmp_path, monkeypatch):
        """Write the body of the function that `FUNCTION` names: rewards("return 1"); the working directory has it."""
        monkeypatch.chdir(tmp_path)

        def write(body):
            text = f"def grade(completion, answer):\n    {body}\n"
            (tmp_path / "own_rewards.py").write_text(text)

        return write

    @pytest.fixture
    def run(self, backend, policy, tmp_path, steps):
        """Train with this backend: run(curriculum, **changes of the job) -> (result, on_step's calls)."""

        def train(curriculum, work_dir="work", on_step=steps, **changes):
            job = tiny_job(policy, tmp_path / work_dir, **{**backend, **changes})
            return train_policy(job, curriculum, on_step)

        return train

    def test_the_planned_order_is_trained_for_two_epochs(self, run):
        batches = epochs(IDS, 4, 2)
        result = run(ListCurriculum(batches), n_steps=6)
        assert list(batches_of(result.consumed).values()) == batches
        check_consumed(batches, result.consumed)
        with pytest.raises(BackendError, match=r"step 5, slot 3"):
            check_consumed([*batches[:5], [*batches[5][:3], batches[5][3] + "x"]], result.consumed)

    def test_a_curriculum_that_answers_to_rewards_gets_those_of_the_step_before(self, run):
        result = run(FeedbackCurriculum(IDS, 4), n_steps=6)
        counts = correct_counts(result.consumed)
        assert len({tuple(c) for c in counts}) > 1, "the rewards never changed: this run could not show anything"
        assert list(batches_of(result.consumed).values()) == expected_batches(IDS, 4, counts)

    def test_metrics_are_complete_and_live(self, run, steps):
        seen = []
        curriculum = ListCurriculum(epochs(IDS, 4, 1))
        result = run(curriculum, n_steps=3, on_step=lambda s, m: seen.append((s, len(curriculum.outcomes), m)))
        assert [(s, n) for s, n, _ in seen] == [(0, 1), (1, 2), (2, 3)], "on_step comes right after its own step"
        log = TRAINING_LOG.check(result.log)
        assert list(log["step"]) == [0, 1, 2]
        for (_, _, metrics), (_, row) in zip(seen, log.iterrows(), strict=True):
            assert set(metrics) >= METRICS
            assert all(np.isfinite(v) for v in metrics.values())
            assert all(row[k] == metrics[k] for k in METRICS)
        assert list(log["n_rollouts_total"]) == [16, 32, 48]
        tokens = log["completion_tokens_mean"] * 16
        assert list(log["n_tokens_total"]) == pytest.approx(tokens.cumsum())
        assert set(log["zero_std_frac"] * 4 % 1) == {0.0}
        assert log["consumed_hash"].nunique() == 3

    def test_held_out_scores_come_with_the_step_that_they_follow(self, run, steps):
        curriculum = ListCurriculum(epochs(IDS, 4, 1))
        plain = run(curriculum, work_dir="plain", n_steps=3, on_step=lambda *_: None)
        asked = {"eval_every_steps": 2, "eval_n_samples": 4, "eval_prompts": tiny_prompts(5)}
        result = run(curriculum, n_steps=3, **asked)
        [(step, scores)] = [(s, m) for s, m in steps if "eval_pass_at_1" in m]
        assert step == 1, "after two steps"
        assert 0 <= scores["eval_pass_at_1"] <= scores["eval_pass_at_4"] <= 1
        assert scores["eval_pass_at_4"] > 0
        assert [s for s, m in steps if "reward_mean" in m] == [0, 1, 2]
        assert result.report.n_rollouts == plain.report.n_rollouts == 48, "the cost of scores is counted apart"
        assert result.report.values["n_eval_rollouts"] == 20
        assert 0 < result.report.values["n_eval_tokens"] <= 20 * 2
        one, other = weights_of(plain.policy), weights_of(result.policy)
        assert all(np.array_equal(one[k], other[k]) for k in one), "scores leave the training alone"

    def test_scores_without_held_out_prompts_are_refused(self, run):
        unusable = tiny_prompts(5).assign(usable=False)
        for prompts in (None, unusable):
            with pytest.raises(DataError, match="eval_every_steps is 2, but there is no usable held-out prompt"):
                run(ListCurriculum(epochs(IDS, 4, 1)), n_steps=3, eval_every_steps=2, eval_prompts=prompts)

    def test_the_report_adds_up(self, run):
        result = run(ListCurriculum(epochs(IDS, 4, 2)), n_steps=6)
        values, log = result.report.values, result.log
        assert values["n_steps"] == 6
        assert values["resumed_from_step"] == 0
        assert values["reward_first5_mean"] == pytest.approx(log["reward_mean"][:5].mean())
        assert values["reward_last5_mean"] == pytest.approx(log["reward_mean"][-5:].mean())
        assert values["zero_std_frac_mean"] == pytest.approx(log["zero_std_frac"].mean())
        assert result.report.n_rollouts == 6 * 16 == CONSUMED.check(result.consumed)["n_rollouts"].sum()
        assert result.report.n_generated_tokens == log["n_tokens_total"].iloc[-1]
        assert result.report.n_prefill_tokens > 0

    def test_rewards_come_from_the_one_grader(self, run, monkeypatch):
        asked = []
        original = Grader.grade

        def spy(self, completions, answers):
            verdicts = original(self, completions, answers)
            asked.append((answers, [v.correct for v in verdicts]))
            return verdicts

        monkeypatch.setattr(Grader, "grade", spy)
        result = run(ListCurriculum(epochs(IDS, 4, 1)), n_steps=3)
        answer = dict(tiny_prompts()[["prompt_id", "answer"]].to_numpy())
        for step, (answers, correct) in enumerate(asked):
            batch = batches_of(result.consumed)[step]
            assert Counter(answers) == Counter(answer[i] for i in batch for _ in range(4))
            assert result.log["reward_mean"][step] == np.mean(correct)
        assert 0 < result.consumed["n_correct"].sum() < result.consumed["n_rollouts"].sum()

    def test_unknown_verdicts_are_rewarded_with_nothing_and_counted(self, run, monkeypatch):
        from saerl_core.rollouts.grading import Verdict

        monkeypatch.setattr(Grader, "grade", lambda self, c, a: [Verdict(None, "timeout")] * len(c))
        result = run(ListCurriculum(epochs(IDS, 4, 1)), n_steps=2)
        assert set(result.log["reward_mean"]) == {0.0}
        assert result.report.values["n_unknown"] == 32
        assert "32 of 32 rollouts could not be judged" in result.report.notes[0]

    def test_a_function_of_ones_own_rewards_and_its_numbers_are_what_is_trained_on(self, run, rewards):
        """Every rollout passes, and yet the groups have something to learn: training takes the number itself."""
        rewards("return 0.6 if completion.startswith('a') else 0.9")
        result = run(ListCurriculum(epochs(IDS, 4, 1)), n_steps=2, grading=FUNCTION)
        assert (result.consumed["n_correct"] == result.consumed["n_rollouts"]).all()
        assert result.log["reward_mean"].between(0.6, 0.9, inclusive="neither").all()
        assert result.log["zero_std_frac"].mean() < 1
        assert not [note for note in result.report.notes if "reward function" in note]

    def test_a_function_of_ones_own_gets_the_gold_answer(self, run, rewards):
        rewards("return {'a': 0.25, 'b': 0.75}[answer]")
        result = run(ListCurriculum(epochs(IDS, 4, 1)), n_steps=2, grading=FUNCTION)
        gold = result.consumed["prompt_id"].map(tiny_prompts().set_index("prompt_id")["answer"])
        assert list(result.consumed["n_correct"] > 0) == list(gold == "b")
        means = gold.map({"a": 0.25, "b": 0.75}).groupby(result.consumed["step"]).mean()
        assert list(result.log["reward_mean"]) == pytest.approx(list(means))
        assert set(result.log["zero_std_frac"]) == {1.0}

    def test_failures_of_a_function_are_rewarded_with_nothing_and_told(self, run, rewards):
        rewards("return 1 / (len(completion) - 1) if completion == 'b' else 1")
        result = run(ListCurriculum(epochs(IDS, 4, 1)), n_steps=3, grading=FUNCTION)
        note = next(note for note in result.report.notes if "the reward function failed on" in note)
        assert "it raised ZeroDivisionError: division by zero (own_rewards.py:2: return 1 /" in note
        n_failed = int(note.split("failed on ")[1].split()[0])
        assert 0 < n_failed == 48 - result.consumed["n_correct"].sum()
        assert result.report.values["n_unknown"] == 0

    def test_a_function_that_mostly_fails_ends_the_training(self, run, rewards):
        rewards("return None")
        with pytest.raises(BackendError, match=r"'own_rewards:grade' failed on 32 of 32 .* it returned None"):
            run(ListCurriculum(epochs(IDS, 4, 1)), n_steps=2, grading=FUNCTION)

    def test_a_function_that_is_not_there_starts_nothing(self, run, rewards, tmp_path):
        with pytest.raises(ConfigError, match="there is no module 'own_rewards'"):
            run(ListCurriculum(epochs(IDS, 4, 1)), n_steps=2, grading=FUNCTION)
        assert not (tmp_path / "work").exists()

    def test_an_edited_function_does_not_go_on_in_the_old_folder(self, run, rewards):
        rewards("return 1")
        run(ListCurriculum(epochs(IDS, 4, 1)), n_steps=2, grading=FUNCTION)
        rewards("return 0")
        with pytest.raises(BackendError, match=r"grading\.code"):
            run(ListCurriculum(epochs(IDS, 4, 1)), n_steps=2, grading=FUNCTION)

    def test_the_trained_policy_is_a_policy(self, run, policy):
        result = run(ListCurriculum(epochs(IDS, 4, 1)), n_steps=3)
        assert result.policy.policy_id == policy_id_of(result.policy.path) != policy.policy_id
        from saerl_core.rollouts.sampler import Sampler

        sampler = Sampler(result.policy, temperature=1.0, max_completion_tokens=3, seed=0)
        assert len(sampler.sample(["ab"], 2)[0]) == 2

    def test_the_same_job_gives_the_same_weights(self, run):
        first, second = (run(ListCurriculum(epochs(IDS, 4, 1)), work_dir=w, n_steps=3) for w in ("one", "two"))
        other = run(ListCurriculum(epochs(IDS, 4, 1)), work_dir="three", n_steps=3, job_seed=1)
        same, one = weights_of(second.policy), weights_of(first.policy)
        assert all(np.array_equal(one[k], same[k]) for k in one)
        assert not all(np.array_equal(one[k], v) for k, v in weights_of(other.policy).items())

    def test_every_step_has_rollouts_of_its_own(self, run):
        """The same batch with a policy that hardly moves: other rollouts in each step."""
        result = run(ListCurriculum([IDS[:4]] * 4), n_steps=4, lr=1e-12)
        assert len({tuple(counts) for counts in correct_counts(result.consumed)}) > 1

    def test_a_stopped_run_goes_on_where_it_was_saved(self, run, steps):
        whole = run(FeedbackCurriculum(IDS, 4), work_dir="whole", n_steps=6)

        class StopError(Exception):
            pass

        def stop(step, metrics):
            if step == 3:
                raise StopError

        with pytest.raises(StopError):
            run(FeedbackCurriculum(IDS, 4), on_step=stop, n_steps=6)
        steps.clear()
        resumed = run(FeedbackCurriculum(IDS, 4), n_steps=6)
        assert resumed.report.values["resumed_from_step"] == 2
        assert [s for s, _ in steps] == [2, 3, 4, 5]
        assert resumed.consumed.equals(whole.consumed)
        columns = [c for c in TRAINING_LOG.columns if c != "step_s"]
        assert resumed.log[columns].equals(whole.log[columns])
        assert resumed.report.n_rollouts == whole.report.n_rollouts
        one, other = weights_of(whole.policy), weights_of(resumed.policy)
        assert all(np.array_equal(one[k], other[k]) for k in one), "bitwise on one CPU"
        again = run(FeedbackCurriculum(IDS, 4), n_steps=6)
        assert again.report.values["resumed_from_step"] == 2, "what it said when it ended; nothing is resumed now"

    def test_a_finished_folder_returns_its_result_without_training(self, run, steps):
        first = run(FeedbackCurriculum(IDS, 4), n_steps=3)
        n_calls = len(steps)
        again = run(FeedbackCurriculum(IDS, 4), n_steps=3)
        assert len(steps) == n_calls == 3
        assert again.consumed.equals(first.consumed)
        assert again.log.equals(first.log)
        assert again.policy == first.policy
        assert again.report == first.report, "a folder that was returned was not interrupted and resumed"
        assert again.report.values["resumed_from_step"] == 0
        assert again.handed_out.equals(first.handed_out)

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"curriculum_hash": "another plan"}, "curriculum_hash was a plan and is another plan"),
            ({"job_seed": 7}, "seed was 0 and is 7"),
            ({"lr": 0.5}, "training.lr was 0.01 and is 0.5"),
            ({"n_steps": 4}, "n_steps was 3 and is 4"),
            ({"prompts": tiny_prompts(13)}, "prompts was"),
        ],
    )
    def test_the_folder_of_another_job_is_refused(self, run, change, named):
        run(ListCurriculum(epochs(IDS, 4, 1)), n_steps=3)
        with pytest.raises(BackendError, match="holds the training of another job") as caught:
            run(ListCurriculum(epochs(IDS, 4, 2)), **{"n_steps": 3, **change})
        assert named in str(caught.value)
        assert "Delete the folder" in str(caught.value)

    @pytest.mark.parametrize(
        ("changes", "error", "named"),
        [
            ({"algorithm": "ppo"}, ConfigError, "training.algorithm is 'ppo'.*'openrlhf'"),
            ({"prompts_per_step": 13}, DataError, "12 prompts, fewer than one batch of 13"),
            ({"n_steps": 0}, ConfigError, "0 steps"),
            ({"micro_batch_rollouts": 5}, ConfigError, "micro_batch_rollouts is 5, which does not divide the 16"),
        ],
    )
    def test_impossible_jobs_are_refused_before_any_work(self, run, tmp_path, changes, error, named):
        with pytest.raises(error, match=named):
            run(ListCurriculum(epochs(IDS, 4, 1)), **{"n_steps": 3, **changes})
        assert not (tmp_path / "work").exists()

    @pytest.mark.parametrize(
        ("batch", "named"),
        [
            (["p00", "p01", "p02", "nobody"], "prompt 'nobody' for step 1, which is not among the 12 prompts"),
            (["p00", "p01", "p02"], "3 prompts for step 1, but prompts_per_step is 4"),
        ],
    )
    def test_a_batch_that_cannot_be_trained_is_refused(self, run, batch, named):
        with pytest.raises(BackendError, match=named):
            run(ListCurriculum([IDS[:4], batch, IDS[:4]]), n_steps=3)

    def test_an_order_that_was_not_kept_fails_the_run(self, backend, policy, tmp_path, steps, monkeypatch):
        class Liar(RecordedCurriculum):
            def next_batch(self, step):
                batch = super().next_batch(step)
                return batch[::-1] if step == 1 else batch

        monkeypatch.setattr("saerl_core.training.run.RecordedCurriculum", Liar)
        batches = epochs(IDS, 4, 1)
        with pytest.raises(BackendError, match=rf"step 1, slot 0: {batches[1][0]} was planned, {batches[1][3]}"):
            train_policy(tiny_job(policy, tmp_path / "w", n_steps=3, **backend), ListCurriculum(batches), steps)

    def test_the_backend_is_a_trainer(self, backend):
        from saerl_core.config.run import TrainingConfig
        from saerl_core.training.backends import make_trainer

        trainer: Trainer = make_trainer(TrainingConfig(**backend))
        assert callable(trainer.check)
        assert callable(trainer.train)
