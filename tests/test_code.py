"""Which edits of the library make which key another one."""

import shutil

import pytest

from saerl_core.code import CORE, imported
from saerl_core.plan.code import strategy_code, strategy_files
from saerl_core.plan.strategies import STRATEGIES
from saerl_core.training.fingerprint import training_code

ROOMS = ("config", "plan", "training", "rollouts", "policy", "world", "report")
LINE = "\n_EDITED = 1\n"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    root = tmp_path_factory.mktemp("source") / "saerl_core"
    for room in ROOMS:
        shutil.copytree(CORE / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file in CORE.glob("*.py"):
        shutil.copy(file, root / file.name)
    return root


@pytest.fixture
def root(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "saerl_core")


def keys(root):
    training = {f"training {backend}": training_code(backend, root) for backend in ("embedded", "openrlhf")}
    return {**training, **{name: strategy_code(name, root) for name in STRATEGIES}}


def changed(root, file):
    before = keys(root)
    path = root / file
    path.write_text((path.read_text() if path.exists() else "") + LINE)
    after = keys(root)
    return {name for name in before if before[name] != after[name]}


def test_every_strategy_has_its_code():
    for name in STRATEGIES:
        assert CORE / "plan" / "strategies" / f"{name}.py" in strategy_files(name)


TRAININGS, EVERY = {"training embedded", "training openrlhf"}, set(STRATEGIES)


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("training/embedded/trl_settings.py", {"training embedded"}),
        ("training/openrlhf/algorithms.py", {"training openrlhf"}),
        ("training/session.py", TRAININGS),
        ("training/a_new_helper.py", TRAININGS),
        ("rollouts/grading.py", TRAININGS),
        ("algorithms.py", TRAININGS),
        ("seeds.py", TRAININGS),
        ("config/openrlhf_flags.py", {"training openrlhf"}),
        ("hub.py", set()),
        ("plan/strategies/saerl.py", {"saerl"}),
        ("plan/strategies/a_new_one.py", set()),
        ("plan/strategies/__init__.py", set()),
        ("plan/strategies/lookup.py", set()),
        ("plan/strategies/mopps.py", {"mopps"}),
        ("plan/strategies/base.py", EVERY),
        ("plan/pass_rate_model.py", {"adaptive"}),
        ("plan/online_curriculum.py", EVERY),
        ("plan/thinning.py", EVERY),
        ("plan/storage.py", set()),
        ("report/page.py", set()),
    ],
)
def test_an_edit_changes_exactly_the_keys_that_depend_on_it(root, file, wanted):
    assert changed(root, file) == wanted


def test_the_same_code_in_another_place_has_the_same_key(pristine, root):
    assert keys(pristine) == keys(root)
    assert training_code("embedded", pristine) == training_code("embedded")


def test_imports_are_followed_inside_a_room_only(tmp_path):
    room = tmp_path / "saerl_core" / "room"
    room.mkdir(parents=True)
    (room / "__init__.py").write_text("")
    (room / "a.py").write_text(
        "def f():\n    from saerl_core.room import b\n    import saerl_core.other.c\n    import os\n"
    )
    (room / "b.py").write_text("from saerl_core.room.a import f\n")
    (room / "d.py").write_text("")
    found = imported(["saerl_core.room.a"], within="saerl_core.room", root=tmp_path / "saerl_core")
    assert [f.name for f in found] == ["a.py", "b.py"]
