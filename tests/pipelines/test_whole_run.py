"""The whole DAG in process, on a small configuration: what it leaves in ZenML, in MLflow and on disk."""

import copy
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.__main__ import main
from pipelines.commands.export import export
from tests.pipelines.small import SMALL
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

STAGES = {
    "load_prompts",
    "prepare_policy",
    "obtain_sae",
    "extract_sae_features",
    "train_quality_probe",
    "cluster_prompts",
    "measure_pass_rates",
    "calibrate_difficulty",
    "plan_batches",
    "train_policy",
    "evaluate_policy",
    "write_report",
}
pytestmark = [pytest.mark.slow, *OUR_WARNINGS_ARE_ERRORS]


def _run(**changes):
    from pipelines.training import saerl_pipeline

    parameters = copy.deepcopy(SMALL)
    for section, values in changes.items():
        parameters[section] = {**parameters.get(section, {}), **values}
    return saerl_pipeline(**parameters)


@pytest.fixture(scope="module")
def first_run(local_stack):
    return _run()


@pytest.fixture(scope="module")
def second_run(first_run):
    return _run()


@pytest.fixture(scope="module")
def vanilla_run(second_run):
    return _run(plan={"strategy": "vanilla"})


def _mlflow_run(client, run):
    experiment = client.get_experiment_by_name("saerl")
    found = client.search_runs([experiment.experiment_id], f"tags.`mlflow.runName` = '{run.name}'")
    assert len(found) == 1, f"{len(found)} MLflow runs for one pipeline run"
    return found[0]


def _statuses(run):
    return {name: str(step.status) for name, step in run.steps.items()}


def test_every_stage_runs(first_run):
    assert set(first_run.steps) == STAGES
    assert set(_statuses(first_run).values()) == {"completed"}
    assert first_run.name.startswith("saerl-s2-")


def test_it_learns(first_run, mlflow_client):
    """With another seed of the small run every group of answers was wrong, and every policy the one before training."""
    run = _mlflow_run(mlflow_client, first_run)
    norms = [m.value for m in mlflow_client.get_metric_history(run.info.run_id, "train/grad_norm")]
    assert max(norms) > 0


def test_nothing_is_pickled(first_run):
    sources = {
        (step, name): str(artifact.materializer)
        for step, run in first_run.steps.items()
        for name, versions in run.outputs.items()
        for artifact in versions
    }
    assert len(sources) > 25
    assert not {key: source for key, source in sources.items() if "pickle" in source.lower()}


def test_mlflow_holds_what_a_person_compares(first_run, mlflow_client):
    run = _mlflow_run(mlflow_client, first_run)
    data = run.data
    assert data.params["plan.strategy"] == "saerl"
    assert data.params["training.group_size"] == "4"
    assert data.params["changed.clusters.n_clusters"] == "5"
    assert len(data.params) <= 60
    assert "sae.k=6" in data.tags["saerl.changed"]
    assert {"git_sha", "plan_hash", "sae_id"} <= set(data.tags)
    assert len(data.metrics) <= 40
    answer = [name for name in sorted(data.metrics) if name.startswith("answer/")]
    assert sorted(data.metrics)[: len(answer)] == answer
    assert len(answer) <= 8
    assert {"answer/accuracy_before", "answer/accuracy_after", "answer/gain", "answer/rollouts"} <= set(answer)
    accuracy = mlflow_client.get_metric_history(run.info.run_id, "curve/accuracy")
    assert [m.step for m in accuracy] == [0, 4 * 8 * 4]
    assert accuracy[1].value == data.metrics["answer/accuracy_after"]
    steps = [m.step for m in mlflow_client.get_metric_history(run.info.run_id, "train/reward_mean")]
    assert steps == [0, 1, 2, 3]
    files = {f.path for f in mlflow_client.list_artifacts(run.info.run_id)}
    assert {"report.html", "plan.parquet", "config.json", "diagnostics.json"} <= files
    assert [d.dataset.name for d in run.inputs.dataset_inputs]


def _diagnostics(client, run):
    run_id = _mlflow_run(client, run).info.run_id
    return json.loads(Path(client.download_artifacts(run_id, "diagnostics.json")).read_text())


def test_every_value_of_every_stage_is_in_one_file(first_run, mlflow_client):
    found = _diagnostics(mlflow_client, first_run)
    assert set(found) == STAGES - {"write_report"} | {"costs", "forecasts"}
    for step in STAGES - {"write_report"}:
        metadata = first_run.steps[step].run_metadata
        assert found[step] == pytest.approx({key: metadata[key] for key in found[step]})


def test_cost_ledger_counts_every_rollout(first_run, mlflow_client):
    metrics = _diagnostics(mlflow_client, first_run)["costs"]
    assert metrics["cost/measure_pass_rates_rollouts"] == 40 * 4
    assert metrics["cost/train_policy_rollouts"] == 4 * 8 * 4
    assert metrics["cost/evaluate_policy_rollouts"] == 2 * 40 * 4
    stages = [k for k in metrics if k.startswith("cost/") and k.endswith("_rollouts") and "total" not in k]
    assert metrics["cost/total_rollouts"] == sum(metrics[k] for k in stages)


def test_report_is_written(first_run, saerl_home):
    page = (saerl_home / "report.html").read_text()
    assert "</html>" in page
    assert "saerl" in page
    assert "fires on:" in page
    assert "What makes a prompt hard, good, bad here" in page


def test_an_unchanged_run_is_served_from_cache_and_still_comparable(first_run, second_run, mlflow_client):
    statuses = _statuses(second_run)
    assert statuses.pop("write_report") == "completed"
    assert set(statuses.values()) == {"cached"}
    before, after = (_mlflow_run(mlflow_client, run).data for run in (first_run, second_run))
    headline = {k: v for k, v in before.metrics.items() if not k.startswith("cost/write_report")}
    missing = {k for k in headline if k not in after.metrics}
    assert not missing
    assert after.params == before.params
    run_id = _mlflow_run(mlflow_client, second_run).info.run_id
    assert len(mlflow_client.get_metric_history(run_id, "train/reward_mean")) == 4


def test_another_strategy_reuses_everything_upstream(vanilla_run, mlflow_client):
    statuses = _statuses(vanilla_run)
    rerun = {name for name, status in statuses.items() if status == "completed"}
    # a shuffle goes by no difficulty: no label is measured for it, and the page's difficulty is the policy's likelihood
    assert "measure_pass_rates" not in statuses
    own = {"measure_likelihoods", "calibrate_difficulty"}
    assert rerun == own | {"plan_batches", "train_policy", "evaluate_policy", "write_report"}
    assert _mlflow_run(mlflow_client, vanilla_run).data.params["plan.strategy"] == "vanilla"


def test_outputs_have_metadata_and_visualisations(first_run):
    for step, name in (("plan_batches", "plan"), ("obtain_sae", "sae"), ("prepare_policy", "policy")):
        artifact = first_run.steps[step].outputs[name][0]
        assert artifact.run_metadata
        assert artifact.visualizations


def test_the_planned_order_was_trained(first_run):
    plan = first_run.steps["plan_batches"].outputs["plan"][0].load()
    consumed = first_run.steps["train_policy"].outputs["consumed"][0].load()
    for step in range(plan.n_steps):
        rows = consumed[consumed["step"] == step].sort_values("slot")
        assert list(rows["prompt_id"]) == plan.batch(step)


def test_a_run_is_exported_with_the_format_and_grading_of_its_policy(first_run, tmp_path):
    plan = first_run.steps["plan_batches"].outputs["plan"][0].load()
    command = [first_run.name, "--format", "jsonl", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(export, command)
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert [row["prompt_id"] for row in card["rows"]] == [p for s in range(plan.n_steps) for p in plan.batch(s)]
    assert (card["grading"], card["group_size"], card["prompt_format"]["chat_template"]) == ("task_world", 4, False)
    assert "a run has its prompts already" in CliRunner().invoke(export, [*command, "--prompts", "mine.jsonl"]).output
    unknown = CliRunner().invoke(export, ["no-such-run", *command[1:]])
    assert "'no-such-run' is neither a folder with a plan nor a run" in unknown.output


def test_a_prompt_is_explained(first_run):
    consumed = first_run.steps["train_policy"].outputs["consumed"][0].load()
    names = first_run.steps["extract_sae_features"].outputs["feature_names"][0].load()
    group = consumed[consumed["step"] == 2].iloc[0]
    done = CliRunner().invoke(main, ["explain", group["prompt_id"], "--run", first_run.name])
    assert done.exit_code == 0, done.output
    assert f"step 2: {group['n_correct']} of {group['n_rollouts']} right" in done.output
    assert any(f"  {name} (#{latent}): " in done.output for latent, name in names[["latent", "name"]].to_numpy())
    unknown = CliRunner().invoke(main, ["explain", "nothing", "--run", first_run.name])
    assert unknown.exit_code == 1
    assert unknown.output.startswith("Error: 'nothing' is no prompt of the run: the nearest of its 240 ids are ")
    no_run = CliRunner().invoke(main, ["explain", group["prompt_id"], "--run", "no-such-run"])
    assert "'no-such-run' is no run of ZenML; the newest runs are" in no_run.output


def test_edited_training_code_trains_again(vanilla_run, monkeypatch, tmp_path, saerl_home):
    """The training of the same plan is finished and lies in its folder: it must not be taken for that of other code."""
    import shutil

    from pipelines import training
    from saerl_core.code import CORE
    from saerl_core.training.fingerprint import training_code

    edited = shutil.copytree(CORE, tmp_path / "saerl_core", ignore=shutil.ignore_patterns("__pycache__"))
    rules = edited / "training" / "embedded" / "trl_settings.py"
    rules.write_text(rules.read_text().replace('"weight_decay": 0.0', '"weight_decay": 0.1'))
    monkeypatch.setattr(training, "training_code", lambda backend: training_code(backend, edited))
    before = set((saerl_home / "work").glob("train-*"))
    run = _run(plan={"strategy": "vanilla"})
    rerun = {name for name, status in _statuses(run).items() if status == "completed"}
    assert rerun == {"train_policy", "write_report"}  # the copy is edited, what runs is not: the policy is the same
    assert len(set((saerl_home / "work").glob("train-*")) - before) == 1
    report = run.steps["train_policy"].outputs["training_report"][0].load()
    assert report.values["resumed_from_step"] == 0
    assert "interrupted" not in (saerl_home / "report.html").read_text()


def test_a_new_strategy_file_runs_nothing_again(vanilla_run, monkeypatch, tmp_path):
    import shutil

    from pipelines import training
    from saerl_core.code import CORE
    from saerl_core.plan.code import strategy_code

    edited = shutil.copytree(CORE, tmp_path / "saerl_core", ignore=shutil.ignore_patterns("__pycache__"))
    (edited / "plan" / "strategies" / "mine.py").write_text("ORDER = 1\n")
    monkeypatch.setattr(training, "strategy_code", lambda name: strategy_code(name, edited))
    statuses = _statuses(_run(plan={"strategy": "vanilla"}))
    assert {name for name, status in statuses.items() if status == "completed"} == {"write_report"}


def test_an_online_order_is_proved_and_its_forecasts_are_logged(vanilla_run, mlflow_client, saerl_home):
    run = _run(plan={"strategy": "adaptive"})
    handed_out = run.steps["train_policy"].outputs["handed_out"][0].load()
    consumed = run.steps["train_policy"].outputs["consumed"][0].load()
    assert handed_out[["step", "slot", "prompt_id"]].equals(consumed[["step", "slot", "prompt_id"]])
    from pipelines.planned import planned_run

    found = planned_run("latest")
    assert (found.name, list(found.plan.table["prompt_id"])) == (run.name, list(consumed["prompt_id"]))
    page = (saerl_home / "report.html").read_text()
    assert "Planned order was trained: 4 of 4 batches identical" in page
    assert "The Brier score of its predictions" in page
    mlflow_run = _mlflow_run(mlflow_client, run)
    assert len(mlflow_client.get_metric_history(mlflow_run.info.run_id, "train/forecast_brier")) == 4
    assert 0 < _diagnostics(mlflow_client, run)["forecasts"]["forecast_brier_mean"] < 1
    other = _statuses(_run(plan={"strategy": {"name": "adaptive", "noise": 0.5}}))
    assert other["embed_prompts"] == "cached", "noise says nothing about the vectors"
    assert other["plan_batches"] == "completed"
