"""What a shell has exported for another MLflow does not reach a run."""

import logging
import os

from tracking.foreign import forget_foreign


def test_what_points_elsewhere_goes_with_one_line_and_the_rest_stays(monkeypatch, caplog):
    own = "sqlite:////state/mlflow.db"
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "42")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", own)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a token")
    with caplog.at_level(logging.INFO, logger="saerl"):
        assert forget_foreign(own) == ["MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_TRACKING_URI"]
        assert forget_foreign(own) == []
    assert "MLFLOW_RUN_ID" not in os.environ
    assert os.environ["MLFLOW_REGISTRY_URI"] == own
    assert os.environ["MLFLOW_TRACKING_TOKEN"] == "a token"
    assert [r.message for r in caplog.records if "MLFLOW" in r.message] == [
        "ignored in this run: MLFLOW_RUN_ID, MLFLOW_EXPERIMENT_ID, MLFLOW_TRACKING_URI; it is logged where the ZenML "
        "stack's tracker says"
    ]
