"""The trials of a comparison as runs below the comparison's own: arm and seed as tags, curves over rollouts."""

import json
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

import mlflow
from mlflow.entities import Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from saerl_core.compare.trials import Trial

CURVE = "curve/accuracy"
GROUP_TAG, ARM_TAG, SEED_TAG = "saerl.comparison", "saerl.arm", "saerl.seed"


def log_trials(trials: tuple[Trial, ...], group: str) -> list[str]:
    """Log every trial as a child of the active run and return their ids; MLflow's step is the generated rollouts.

    A child holds few keys, whatever the arm: the curve `curve/accuracy` and its headline figures.
    """
    parent = mlflow.active_run()
    if parent is None:
        return []
    client, ids = mlflow.MlflowClient(), []
    for trial in trials:
        name = f"{trial.arm}-s{trial.seed}"
        tags = {
            MLFLOW_PARENT_RUN_ID: parent.info.run_id,
            MLFLOW_RUN_NAME: name,
            GROUP_TAG: group,
            ARM_TAG: trial.arm,
            SEED_TAG: str(trial.seed),
        }
        run = client.create_run(parent.info.experiment_id, tags=tags, run_name=name)
        now = run.info.start_time
        metrics = [Metric(CURVE, p.accuracy, now, p.n_rollouts) for p in trial.curve]
        metrics += [Metric(f"answer/{key}", value, now, 0) for key, value in _headlines(trial).items()]
        params = [Param("arm", trial.arm), Param("seed", str(trial.seed))]
        client.log_batch(run.info.run_id, metrics=metrics, params=params)
        client.set_terminated(run.info.run_id)
        ids.append(run.info.run_id)
    return ids


def charts_address(group: str) -> str | None:
    """Return where MLflow draws all trials of a comparison, without credentials; None for a database without a server.

    MLflow folds children below their parent, and draws none of them, unless the runs are sorted by a metric.
    """
    query = {
        "compareRunsMode": "CHART",
        "searchFilter": f"tags.`{GROUP_TAG}` = '{group}' AND tags.`{ARM_TAG}` != ''",
        "orderByKey": "metrics.`answer/accuracy_after`",
        "orderByAsc": "false",
    }
    return _page(lambda experiment: f"experiments/{experiment}/runs?{urlencode(query)}")


def curve_address(run_ids: list[str]) -> str | None:
    """Return where MLflow draws accuracy over rollouts of all these runs; its chart view draws the first ten only."""

    def path(experiment: str) -> str:
        query = {"runs": run_ids, "metric": CURVE, "experiments": [experiment], "plot_metric_keys": [CURVE]}
        return f"metric?{urlencode({name: json.dumps(value) for name, value in query.items()})}&x_axis=step"

    return _page(path)


def _page(path: Callable[[str], str]) -> str | None:
    """Return the address of a page of the active run's experiment, without credentials; None without a server."""
    run, server = mlflow.active_run(), urlsplit(mlflow.get_tracking_uri())
    if run is None or server.scheme not in ("http", "https"):
        return None
    host = f"{server.scheme}://{server.netloc.rpartition('@')[2]}{server.path.rstrip('/')}"
    return f"{host}/#/{path(run.info.experiment_id)}"


def _headlines(trial: Trial) -> dict[str, float]:
    final = float((trial.items["n_correct"] / trial.items["n_samples"]).mean())
    found = {
        "accuracy_before": trial.curve[0].accuracy,
        "accuracy_after": final,
        "gain": final - trial.curve[0].accuracy,
        "rollouts": float(trial.spent.n_rollouts),
        "tokens": float(trial.spent.n_tokens),
        "seconds": trial.spent.seconds,
    }
    if trial.zero_std_frac:
        found["dead_groups"] = sum(trial.zero_std_frac) / len(trial.zero_std_frac)
    return found
