"""The house rules that a reader relies on, checked on every file."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("saerl_core", "steps", "tracking", "pipelines", "materializers")
MODULES = [*sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py")), ROOT / "saerl.py"]
CORE = [p for p in MODULES if p.is_relative_to(ROOT / "saerl_core")]
HEAVY = ("torch", "transformers", "trl", "sae_lens", "transformer_lens", "datasets", "accelerate", "zenml", "mlflow")
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".cfg", ".ini", ".html", ".j2", ".json", ""}

MAX_MODULE_LINES = 300
MAX_CODE_LINES = 40  # of a function, without its docstring
MAX_FUNCTION_LINES = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(path: Path) -> list[Function]:
    return [n for n in ast.walk(parsed(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def public_functions(path: Path) -> Iterator[Function]:
    """Functions of the module and methods of its public classes that a reader may call."""
    for node in parsed(path).body:
        members = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else [node]
        for member in members:
            if not isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) or member.name.startswith("_"):
                continue
            if "overload" not in map(ast.unparse, member.decorator_list):
                yield member


def imported(path: Path) -> set[str]:
    """Top-level packages that a module imports anywhere, also inside functions."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_modules_fit_on_a_few_screens():
    long = {name_of(p): n for p in MODULES if (n := len(p.read_text("utf-8").splitlines())) > MAX_MODULE_LINES}
    assert not long, f"more than {MAX_MODULE_LINES} lines: {long}; a module has one subject, split it"


def test_functions_fit_on_a_screen():
    long = {}
    for path in MODULES:
        for function in functions(path):
            n_lines = function.end_lineno - function.lineno + 1
            first = function.body[0]
            n_doc = first.end_lineno - first.lineno + 1 if ast.get_docstring(function) else 0
            if n_lines - n_doc > MAX_CODE_LINES or n_lines > MAX_FUNCTION_LINES:
                long[f"{name_of(path)}:{function.name}"] = (n_lines - n_doc, n_lines)
    assert not long, f"more than {MAX_CODE_LINES} lines without, or {MAX_FUNCTION_LINES} with the docstring: {long}"


def test_nothing_prints():
    printing = [
        f"{name_of(p)}:{n.lineno}"
        for p in MODULES
        for n in ast.walk(parsed(p))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "print"
    ]
    assert not printing, f"use saerl_core.progress, logging or click.echo: {printing}"


def test_every_public_function_says_what_it_does():
    silent = [f"{name_of(p)}:{f.name}" for p in MODULES for f in public_functions(p) if not ast.get_docstring(f)]
    assert not silent


def test_no_anonymous_dicts_cross_the_borders_of_the_core():
    allowed = {"state_dict", "load_state_dict"}  # JSON by contract: saerl_core.protocols.Curriculum
    anonymous = []
    for path in CORE:
        for function in public_functions(path):
            annotations = [a.annotation for a in ast.walk(function.args) if isinstance(a, ast.arg)] + [function.returns]
            text = " ".join(ast.unparse(a) for a in annotations if a is not None)
            if re.search(r"\b([dD]ict|Mapping)\[str, Any\]", text) and function.name not in allowed:
                anonymous.append(f"{name_of(path)}:{function.name}")
    assert not anonymous, f"make it a record: {anonymous}"


def test_only_tracking_imports_mlflow():
    assert {name_of(p).split("/")[0] for p in MODULES if "mlflow" in imported(p)} == {"tracking"}


def test_the_core_imports_without_the_extras():
    """`pip install saerl` alone: every module of saerl_core can be imported where torch, zenml and so on are absent."""
    names = [name_of(p)[:-3].replace("/", ".").removesuffix(".__init__") for p in CORE]
    code = (
        "import importlib, sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {HEAVY!r}:\n"
        "            raise ModuleNotFoundError(f'{name} is not installed')\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"import heavy libraries inside the function that needs them:\n{done.stderr[-1500:]}"


def test_no_file_names_a_path_of_one_machine():
    pattern = re.compile(r"(?<![\w.$}<])/(?:home|root|Users|work|mnt|opt)/[\w.-]+")
    found = []
    for path in tracked_files():
        if path.suffix in TEXT and path.stat().st_size < 1_000_000:
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
            found += [f"{name_of(path)}:{i}" for i, line in enumerate(lines, 1) if pattern.search(line)]
    assert not found


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("saerl_core/plan/build.py", "import saerl_core.signals.clusters", "Rooms meet only"),
        ("saerl_core/plan/build.py", "def lazy():\n    import torch", "torch lives where models run"),
        ("saerl_core/ledger.py", "import zenml", "knows neither ZenML nor MLflow"),
        ("saerl_core/records.py", "import steps", "Floors"),
        ("steps/plan_batches.py", "import mlflow", "Only tracking"),
    ],
)
def test_the_import_contracts_see_a_breach(tmp_path, module, line, contract):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    with (tmp_path / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    code = (
        "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as c; c(['--no-cache'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    broken = [text for text in done.stdout.split("\n") if " BROKEN" in text]
    assert done.returncode == 1
    assert any(contract in text for text in broken), done.stdout[-2000:] + done.stderr[-2000:]
