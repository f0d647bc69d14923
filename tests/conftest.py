"""What every test gets: shapes checked at run time, one torch thread, no network, reproducible hypothesis examples."""

import gc
import json
import os
import resource
import signal
import sys
import time
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import shape_checks

# Before torch and the Hugging Face libraries are imported anywhere: they read these once.
for _name, _value in {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "WANDB_MODE": "disabled",
}.items():
    os.environ.setdefault(_name, _value)

# Whoever is started in the background (`make test &` in a script) ignores Ctrl-C, and so do its children, of which some
# tests expect that they do not.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# From here on every function of saerl_core checks its annotations, array shapes included, at each call.
if any(name.partition(".")[0] == "saerl_core" for name in sys.modules):
    raise pytest.UsageError("saerl_core was imported before its annotations could be checked; see tests/conftest.py")
shape_checks.install()

from saerl_core.environment import collect_less  # noqa: E402 - after the hook

pytest_plugins = ["tests.zenml_fixtures"]  # after the hook: it imports saerl_core, and sets up a ZenML store of its own

# Files that share what is expensive to make, of which the first of each group comes before all other files: the steps
# before training of tests/pipelines/small.py, which the others take from the cache; the manifests of the run files on
# Kubernetes; an MLflow server; a process that forks trainings.
SHARE = (
    (
        "tests/pipelines/test_whole_run.py",
        "tests/pipelines/test_command_line.py",
        "tests/pipelines/test_compare.py",
        "tests/pipelines/test_control.py",
        "tests/pipelines/test_export_run.py",
        "tests/pipelines/test_openrlhf_run.py",
        "tests/pipelines/test_own_reward.py",
        "tests/pipelines/test_servers.py",
        "tests/pipelines/test_server_outage.py",
        "tests/pipelines/test_shards.py",
    ),
    (
        "tests/deploy/test_comparison_pods.py",
        "tests/deploy/test_pods.py",
        "tests/deploy/test_shard_pods.py",
    ),
    (
        "tests/pipelines/test_promotion_lock.py",
        "tests/pipelines/test_retrain.py",
    ),
    (
        "tests/training/test_resume.py",
        "tests/training/test_screening.py",
        "tests/training/test_updates.py",
    ),
)

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


collect_less()  # as our commands do


class _Survivors:
    """Notes long full collections, with which every training starts; what they found stays out of all later ones.

    It is put aside between two tests: hypothesis collects and then asks the collector who refers to an object.
    """

    began = 0.0
    long_s = 0.03
    are_many = False

    @classmethod
    def look(cls, phase: str, info: dict[str, int]) -> None:
        if info["generation"] == 2:
            if phase == "stop":
                cls.are_many |= time.perf_counter() - cls.began > cls.long_s
            cls.began = time.perf_counter()


gc.callbacks.append(_Survivors.look)


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup() -> None:
    """Take what has survived a long collection out of later ones."""
    if _Survivors.are_many:
        gc.freeze()
        _Survivors.are_many = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put files with long tests first, or one process works on the last of them while the other has nothing to do.

    Files that train with OpenRLHF, which starts Ray, stand between others, so that two of them seldom run at a time.
    """
    by_file: dict[Path, list[pytest.Item]] = {config.rootpath / group[0]: [] for group in SHARE}
    for item in items:
        by_file.setdefault(item.path, []).append(item)
    trainers, long, short = [], [], []
    for found in by_file.values():
        marks = {mark.name for item in found for mark in item.iter_markers()}
        (trainers if "openrlhf" in marks else long if "slow" in marks else short).append(found)
    between = [found for pair in zip_longest(long, trainers) for found in pair if found is not None]
    items[:] = [item for found in [*between, *short] for item in found]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the files of `SHARE` in one process, and the tests of every other file."""
    from xdist.scheduler import LoadFileScheduling

    class LoadSharing(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return next((files[0] for files in SHARE if file in files), file)

    return LoadSharing(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session", autouse=True)
def drawings():
    """What Vega has drawn, by the chart: most tests of the page change one chart and compare the page."""
    from saerl_core.report import vega

    drawn: dict[str, str] = {}
    draw = vega._draw

    def once(spec: dict[str, Any]) -> str:
        key = json.dumps(spec)
        if key not in drawn:
            drawn[key] = draw(spec)
        return drawn[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vega, "_draw", once)
        yield drawn


@pytest.fixture
def small_disk():
    """Switch a limit on the size of files on and off: the write itself fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int | None):
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))

    yield limit
    limit(None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    """Lift a limit of `small_disk` before pytest says how the test ended: its own output may go to a file."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        return (yield)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real prompts, which are not part of the repository: $SAERL_SHARED_DATA or ../shared/data."""
    root = Path(__file__).resolve().parent.parent
    folder = Path(os.environ.get("SAERL_SHARED_DATA") or root.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("real prompts are absent: set SAERL_SHARED_DATA to the folder with math_train.jsonl.gz")
    return folder


@pytest.fixture(scope="session")
def openrlhf_python() -> Path:
    """The interpreter that runs OpenRLHF on a CPU: $SAERL_OPENRLHF_PYTHON, or what `make openrlhf-cpu-env` built."""
    root = Path(__file__).resolve().parent.parent
    python = Path(os.environ.get("SAERL_OPENRLHF_PYTHON") or root / ".venv-openrlhf" / "bin" / "python")
    if not python.is_file():
        pytest.skip(f"{python} is absent: make openrlhf-cpu-env")
    return python
