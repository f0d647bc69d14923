"""Bad input through the whole pipeline: one sentence that names the step and the way out, and no step after it."""

import pytest

from saerl_core.errors import BackendError, ConfigError
from tests.pipelines.small import SMALL
from tests.zenml_fixtures import OUR_WARNINGS_ARE_ERRORS

pytestmark = OUR_WARNINGS_ARE_ERRORS

FILE_RUN = {
    "policy": {"source": "text"},
    "difficulty": {"label": "level"},
    "grading": {"kind": "exact"},
    "training": {"enabled": False},
    "evaluation": {"enabled": False},
}


def _run(path):
    from pipelines.training import saerl_pipeline

    return saerl_pipeline(**FILE_RUN, prompts={"source": "file", "path": str(path)})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "pool.jsonl"),
        ("", "pool.jsonl"),
        ('{"prompt": "", "answer": "1"}\n{"prompt": "2+2", "answer": ""}\n', "rejected"),
        ('{"prompt": "half a r', "pool.jsonl"),
    ],
)
def test_a_pool_without_a_usable_row(local_stack, tmp_path, content, words):
    path = tmp_path / "pool.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BackendError, match=r"^step load_prompts failed: ") as failure:
        _run(path)
    assert words in str(failure.value)
    assert "\n" not in str(failure.value)


def test_settings_that_cannot_work_start_nothing(local_stack):
    from zenml.client import Client

    from pipelines.training import saerl_pipeline

    before = Client().list_pipeline_runs().total
    with pytest.raises(ConfigError, match="OpenRLHF"):
        saerl_pipeline(training={"algorithm": "ppo"})
    with pytest.raises(ConfigError, match=r"plan\.strategy\.mix_frac"):
        saerl_pipeline(plan={"strategy": {"name": "saerl", "mix_frac": 2}})
    assert Client().list_pipeline_runs().total == before


def test_a_benchmark_that_is_absent_fails_before_anything_is_trained(local_stack, tmp_path):
    from zenml.client import Client

    from pipelines.training import saerl_pipeline

    named = [{"name": "mine", "path": str(tmp_path / "absent.jsonl")}]
    with pytest.raises(BackendError, match=r"^step load_benchmarks failed: evaluation\.benchmarks\[0\]\.path is"):
        saerl_pipeline(**{**SMALL, "evaluation": {"benchmarks": named}})
    [run] = Client().list_pipeline_runs(sort_by="desc:created", size=1).items
    assert {str(step.status) for name, step in run.steps.items() if name != "load_benchmarks"} <= {
        "completed",
        "cached",
    }
    ran = {name for name, step in run.steps.items() if str(step.status) == "completed"}
    assert ran <= {"load_prompts"}, "what other runs of this process have made may come from the cache"


def test_a_new_file_under_the_same_name_is_read_again(local_stack, tmp_path):
    from zenml.client import Client

    path = tmp_path / "pool.jsonl"
    for answer in ("", " "):
        path.write_text(f'{{"prompt": "two plus two is", "answer": "{answer}"}}\n')
        with pytest.raises(BackendError, match="load_prompts"):
            _run(path)
    runs = Client().list_pipeline_runs(sort_by="desc:created", size=2).items
    keys = {run.steps["load_prompts"].cache_key for run in runs}
    assert len(keys) == 2


def test_a_failed_step_without_its_reason_is_one_sentence(saerl_home):
    """On a full disk ZenML's store cannot take the error of the step."""
    from pipelines.base import _without_its_reason

    error = RuntimeError("Pipeline run has failed due to failure in step(s): compare_trials")
    told = str(_without_its_reason(error))
    assert told.startswith("step compare_trials failed, and its error could not be kept with the run; the disk of ")
    assert "start the same command again" in told
    assert _without_its_reason(RuntimeError("something else")) is None
