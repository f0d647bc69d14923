"""Where there is a GPU, whoever samples uses it: labels, evaluation, held-out scores, the measurement of throughput."""

import pandas as pd
import pytest
import torch

from saerl_core.config.run import EvaluationConfig, GradingConfig, PassRatesConfig, RolloutsConfig
from saerl_core.evaluation.evaluate import evaluate_policies
from saerl_core.policy import loading, update_time
from saerl_core.records import PolicyRef
from saerl_core.rollouts.engines import Sampling
from saerl_core.rollouts.measure import measure_pass_rates
from saerl_core.rollouts.throughput import measure_throughput

POLICY = PolicyRef("nowhere", "p")
PROMPTS = pd.DataFrame({"prompt_id": ["a"], "prompt": ["1+1="], "answer": ["2"], "usable": [True]})


class LoadedError(Exception):
    """Raised in place of loading: the device is its argument."""


@pytest.fixture(autouse=True)
def machine_with_a_gpu(monkeypatch):
    def load(_ref, *, device="cpu"):
        raise LoadedError(device)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for module in (loading, update_time):
        monkeypatch.setattr(module, "load_model", load)


def test_labels():
    clusters = pd.DataFrame({"prompt_id": ["a"], "cluster_id": [0], "distance": [0.0]})
    with pytest.raises(LoadedError, match="cuda"):
        measure_pass_rates(PROMPTS, clusters, POLICY, PassRatesConfig(n_labelled=1), GradingConfig(), 0)


def test_evaluation():
    with pytest.raises(LoadedError, match="cuda"):
        evaluate_policies(POLICY, None, PROMPTS, EvaluationConfig(), GradingConfig(), 0)


def test_throughput():
    with pytest.raises(LoadedError, match="cuda"):
        measure_throughput(POLICY, ["1+1="], 1, Sampling(1.0, 4, 0), RolloutsConfig(), with_updates=True)


def test_updates(monkeypatch):
    monkeypatch.setattr(update_time, "load_tokenizer", lambda _ref: None)
    with pytest.raises(LoadedError, match="cuda"):
        update_time.update_ms_per_token(POLICY, [("1+1=", "2")])
