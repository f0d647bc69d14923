"""The shuffle that every run trains beside its strategy, in process on a small configuration."""

import copy
import re

import pytest

from saerl_core.stats import wilson
from tests.pipelines.small import SMALL
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

CONTROL = {"plan_control", "train_control", "evaluate_control"}
pytestmark = [pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]


def _run(strategy="difficulty", **changes):
    from pipelines.training import saerl_pipeline

    parameters = {**copy.deepcopy(SMALL), "control": "auto", **changes}
    parameters["plan"] = {**parameters["plan"], **changes.get("plan", {}), "strategy": strategy}
    # a seed of its own for the plan and the training; what comes before may be in the cache
    parameters["training"] = {**parameters["training"], "seed": 11, "eval_every_steps": 2, "eval_n_samples": 2}
    parameters["evaluation"] = {**parameters["evaluation"], "watch_prompts": 12}
    return saerl_pipeline(**parameters)


@pytest.fixture(scope="module")
def run(local_stack):
    return _run()


def _statuses(run):
    return {name: str(step.status) for name, step in run.steps.items()}


def _load(run, step, name):
    return run.steps[step].outputs[name][0].load()


def test_both_trainings_are_there_and_differ_in_the_order_only(run):
    assert set(run.steps) >= CONTROL
    assert set(_statuses(run).values()) <= {
        "completed",
        "cached",
    }  # other files of this process run the same first steps
    assert {_statuses(run)[step] for step in ("train_policy", *CONTROL)} == {"completed"}
    ours, shuffle = _load(run, "plan_batches", "plan"), _load(run, "plan_control", "plan")
    assert (ours.strategy, shuffle.strategy) == ("difficulty", "vanilla")
    assert (ours.seed, ours.n_steps, ours.prompts_per_step) == (shuffle.seed, shuffle.n_steps, shuffle.prompts_per_step)
    consumed = {step: _load(run, step, "consumed") for step in ("train_policy", "train_control")}
    assert list(consumed["train_control"]["prompt_id"]) == list(shuffle.table["prompt_id"])
    assert consumed["train_control"]["n_rollouts"].sum() == consumed["train_policy"]["n_rollouts"].sum()


def test_both_answer_the_same_items(run):
    ours, control = _load(run, "evaluate_policy", "item_scores"), _load(run, "evaluate_control", "item_scores")
    assert set(ours["policy"]) == {"before", "after"}
    assert set(control["policy"]) == {"control"}
    assert list(control["prompt_id"]) == list(ours.loc[ours["policy"] == "after", "prompt_id"])
    assert set(_load(run, "evaluate_control", "scores")["policy"]) == {"control"}


def test_the_page_sets_the_predicted_dead_groups_beside_those_of_the_shuffle(run, saerl_home):
    page = " ".join(re.sub(r"<[^>]+>", " ", (saerl_home / "report.html").read_text()).split())
    found = re.search(
        r"Predicted for a shuffle: (\d+) % dead groups\. In its first (\d+) steps the control, a plain shuffle, had "
        r"(\d+) % of (\d+) groups without a difference in reward \(95 % interval (\d+) % to (\d+) %\): the prediction "
        r"lies (in the interval|outside)",
        page,
    )
    predicted, n_steps, real, n_groups, lo, hi = map(int, found.groups()[:-1])
    first = _load(run, "train_control", "consumed").query(f"step < {n_steps}")
    dead = first["n_correct"].isin([0]) | (first["n_correct"] == first["n_rollouts"])
    assert (n_steps, n_groups) == (min(10, first["step"].nunique()), len(first))
    assert real == pytest.approx(100 * dead.mean(), abs=0.51)
    assert [lo, hi] == pytest.approx([100 * x for x in wilson(dead.mean(), n_groups)], abs=0.51)
    assert (found.group(7) == "in the interval") == (lo <= predicted <= hi)


def test_the_page_begins_with_the_comparison(run, saerl_home):
    page = (saerl_home / "report.html").read_text()
    start = page[page.index("<main>") :]
    assert 0 < start.index("difficulty ") < start.index("at equal rollouts") < start.index("Strategy difficulty")
    assert "one seed: another may say something else" in start
    assert "the shuffle's final accuracy on the dev split" in start.replace("&#39;", "'")
    assert (saerl_home / "last_run" / "summary.txt").read_text().startswith("difficulty ")


def test_the_ledger_keeps_the_control_apart(run):
    from saerl_core.report.facts import cost_by_purpose

    rollouts = cost_by_purpose(_load(run, "write_report", "costs"))["n_rollouts"]
    assert rollouts["training"] == 4 * 8 * 4
    assert rollouts["control"] == 4 * 8 * 4 + 40 * 4
    assert rollouts["evaluation"] == 2 * 40 * 4 + 2 * 12, "twelve answers of each policy are read with the SAE"


def test_the_curves_of_the_control_are_not_those_of_the_run(run, mlflow_client):
    experiment = mlflow_client.get_experiment_by_name("saerl")
    (found,) = mlflow_client.search_runs([experiment.experiment_id], f"tags.`mlflow.runName` = '{run.name}'")
    for prefix, step in (("", "train_policy"), ("control/", "train_control")):
        history = mlflow_client.get_metric_history(found.info.run_id, f"{prefix}train/reward_mean")
        assert [m.value for m in history] == pytest.approx(list(_load(run, step, "training_log")["reward_mean"]))


def test_another_strategy_takes_the_same_control_from_the_cache(run):
    statuses = _statuses(_run("learnability"))
    assert statuses["train_policy"] == "completed"
    assert {statuses[name] for name in CONTROL} == {"cached"}


def test_without_a_control_the_run_is_what_it_was(run, saerl_home):
    again = _run(control="none")
    assert not set(again.steps) & CONTROL
    assert {name for name, status in _statuses(again).items() if status == "completed"} == {"write_report"}
    assert (saerl_home / "last_run" / "summary.txt").read_text().startswith("Strategy difficulty, seed 11")


def test_a_shuffle_has_no_control(run):
    shuffle = _run("vanilla")
    assert not set(shuffle.steps) & CONTROL
    assert _load(shuffle, "plan_batches", "plan").plan_hash == _load(run, "plan_control", "plan").plan_hash


def test_a_control_of_one_epoch_has_as_many_steps_as_the_strategy(run):
    """A strategy that leaves prompts out has a shorter epoch than the shuffle."""
    made = _run({"name": "learnability", "keep_frac": 0.3}, plan={"n_steps": None, "prompts_per_step": 16})
    ours, shuffle = _load(made, "plan_batches", "plan"), _load(made, "plan_control", "plan")
    assert 0 < ours.n_steps == shuffle.n_steps < 240 // 16


def test_a_control_that_fails_leaves_the_trained_policy(run, monkeypatch):
    from saerl_core.errors import BackendError
    from steps import train_policy

    train = train_policy.train

    def fails_for_the_shuffle(job, curriculum, on_step):
        if job.curriculum_hash == _load(run, "plan_control", "plan").plan_hash:
            raise BackendError("the disk is full")
        return train(job, curriculum, on_step)

    other = {**SMALL["training"], "lr": 1e-4}  # of another cache key
    monkeypatch.setattr(train_policy, "train", fails_for_the_shuffle)
    with pytest.raises(
        BackendError, match=r"step train_control failed: the disk is full .*with control: none its report"
    ):
        _run("difficulty", training=other)
    assert "train_control" not in _run("difficulty", training=other, control="none").steps


def test_the_answers_of_both_policies_were_read_with_the_sae(run):
    report = _load(run, "watch_features", "watch_report")
    assert report.values["n_answers"] == 12
    assert report.n_rollouts == 24
    page = _load(run, "write_report", "report")
    assert (
        f"Answers to 12 held-out prompts before and after training, {report.values['n_answers_changed']:.0f} of" in page
    )
