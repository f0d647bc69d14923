"""What a person reads in CI."""

import re

from saerl_core.config.run import GateConfig
from saerl_core.promotion.gate import decide
from saerl_core.promotion.records import RegisteredPolicy
from saerl_core.promotion.summary import escaped, judged, skipped
from tests.promotion.factory import candidate, items

LINKS = {"MLflow run": "http://127.0.0.1:5000/#/experiments/1/runs/2", "pipeline run": "saerl-s0"}


def page(topic="mod"):
    topics = [topic] * 40
    verdict = decide(
        candidate([1] * 40, topics), items([3] * 40, topics, policy="before"), GateConfig(n_bootstrap=1000), 0
    )
    outcome = RegisteredPolicy(version=2, verdict="rejected", reason=verdict.reason)
    champion = RegisteredPolicy(version=1, verdict="promoted")
    return judged("saerl", outcome, champion, verdict, ("the data",), LINKS)


def test_the_table_and_the_verdict_are_there():
    text = page()
    assert text.startswith("# Retraining of saerl: version 2 rejected")
    assert "Compared with version 1. Trained because the data changed." in text
    assert "| all | 40 | 75.0% | 25.0% | -50.0 | -50.0 … -50.0 |" in text
    assert "| gain | **failed** |" in text
    assert "<http://127.0.0.1:5000/#/experiments/1/runs/2>" in text
    assert "`saerl-s0`" in text


def test_a_topic_is_data_and_no_markup():
    text = page("<img src=x> | [a](http://b) `c`")
    assert "<img" not in text
    assert not re.search(r"(?<!\\)\]\(http", text)
    row = next(line for line in text.splitlines() if line.startswith("| topic="))
    assert row.replace("\\|", "").count("|") == 7
    assert escaped("a\n# b") == "a \\# b"


def test_a_skipped_run_names_the_version_it_knows():
    text = skipped("saerl", RegisteredPolicy(version=3, verdict="rejected", reason="too bad"))
    assert "version 3" in text
    assert "too bad" in text
    assert "--force" in text
