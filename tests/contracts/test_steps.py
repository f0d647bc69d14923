"""Steps are thin, and an edit anywhere in the library that a step runs re-runs it."""

import ast
from functools import cache
from pathlib import Path

import pytest

from saerl_core.stages import PARTS, STAGES

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "saerl_core"
ROOMS = {p.name for p in CORE.iterdir() if (p / "__init__.py").is_file()} - {"config"}  # values arrive as arguments
STEPS = [p for p in sorted((ROOT / "steps").glob("*.py")) if not p.stem.startswith("_")]
MAX_STATEMENTS_LINES = 25
OF_A_COMPARISON = ("prepare_trials", "run_trial", "collect_trials", "run_trials", "compare_trials")
NEVER_CACHED = ("write_report", *OF_A_COMPARISON)  # they know themselves what is finished


@cache
def rooms_in(path: Path) -> set[str]:
    """Rooms of saerl_core that a file imports from."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("saerl_core."):
            names.add(node.module.split(".")[1])
    return names & ROOMS


def closure(rooms: set[str]) -> set[str]:
    """The rooms and every room that they import from, in turn."""
    seen: set[str] = set()
    todo = set(rooms)
    while todo:
        room = todo.pop()
        seen.add(room)
        found = set().union(*(rooms_in(file) for file in (CORE / room).rglob("*.py")))
        todo |= found - seen
    return seen


def step_function(path: Path) -> ast.FunctionDef:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == path.stem)


def policy_rooms(path: Path) -> set[str] | None:
    for node in ast.walk(step_function(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "cache_policy":
                return {ast.literal_eval(a) for a in node.args}
            if node.func.id == "stage_cache":
                return {room.split("/")[0] for room in STAGES[ast.literal_eval(node.args[0])].rooms}
    return None


@pytest.mark.parametrize("path", STEPS, ids=lambda p: p.stem)
def test_the_cache_knows_every_room_that_the_step_runs(path):
    if path.stem in NEVER_CACHED:
        assert "enable_cache=False" in path.read_text()
        return
    named = policy_rooms(path)
    assert named is not None, "a step without a cache policy ignores edits of the library"
    assert closure(rooms_in(path)) <= named
    stage = STAGES[PARTS.get(path.stem, path.stem)]
    assert named == {room.split("/")[0] for room in stage.rooms}


@pytest.mark.parametrize("path", STEPS, ids=lambda p: p.stem)
def test_a_step_is_thin(path):
    body = step_function(path).body[1:]  # without the docstring
    assert body[-1].end_lineno - body[0].lineno + 1 <= MAX_STATEMENTS_LINES


def test_the_policy_lists_the_files_of_its_rooms():
    from tracking.runtime import cache_policy

    listed = set(cache_policy("signals").file_dependencies)
    assert {str(p.relative_to(ROOT)) for p in (CORE / "signals").rglob("*.py")} <= listed
    assert "saerl_core/tables.py" in listed
    assert not [f for f in listed if f.startswith("saerl_core/plan/")]


def test_the_list_of_installed_packages_is_read_once_in_a_process():
    import importlib.metadata

    from zenml.utils.source_utils import _get_package_for_module

    import steps.load_prompts  # noqa: F401 - any step

    assert _get_package_for_module("pandas.core.frame") == "pandas"
    assert importlib.metadata.packages_distributions() is importlib.metadata.packages_distributions()


def test_pip_is_asked_once_in_a_process_for_what_is_installed():
    from zenml.environment import Environment, get_run_environment_dict

    import steps.load_prompts  # noqa: F401 - any step

    assert Environment.get_python_packages() is Environment.get_python_packages()
    assert any(line.startswith("pandas==") for line in get_run_environment_dict()["python_packages"].splitlines())
