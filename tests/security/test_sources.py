"""What no line of the product does: unpickle, start a shell, evaluate text, listen on every interface."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("saerl_core", "steps", "tracking", "pipelines", "materializers", "deploy", ".ci")
SOURCES = [ROOT / "saerl.py", *sorted(f for folder in FOLDERS for f in (ROOT / folder).rglob("*.py"))]
PICKLERS = {"pickle", "cPickle", "_pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal", "jsonpickle"}
LOADS_PICKLE = {"read_pickle", "to_pickle", "load_pickle"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "commands.getoutput"}
EVERYWHERE = {"0.0.0.0", "::", "[::]"}


def breaches(source: str) -> list[str]:
    """Return what a source does that it must not, as 'line: what'."""
    found = []
    for node in ast.walk(ast.parse(source)):
        what = _import(node) or _call(node) or _everywhere(node)
        if what:
            found.append(f"{node.lineno}: {what}")
    return found


def _import(node):
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    else:
        return None
    return next((f"import {n}" for n in names if n.partition(".")[0] in PICKLERS or n in SHELLS), None)


def _call(node):
    if not isinstance(node, ast.Call):
        return None
    name = ast.unparse(node.func)
    named = {k.arg: k.value for k in node.keywords}
    last = name.rpartition(".")[2]
    if name in {"eval", "exec", "compile", "__import__", *SHELLS} or last in LOADS_PICKLE:
        return f"{name}()"
    if last == "load" and name.split(".")[0] in ("np", "numpy") and not _is(named.get("allow_pickle"), False):
        return f"{name} without allow_pickle=False"
    if last == "load" and name.split(".")[0] == "torch" and not _is(named.get("weights_only"), True):
        return f"{name} without weights_only=True"
    if last in ("load", "load_all", "unsafe_load", "full_load") and name.split(".")[0] == "yaml":
        return f"{name}, which builds objects"
    if "shell" in named and not _is(named["shell"], False):
        return "shell="
    if last == "Environment" and not _is(named.get("autoescape"), True):
        return f"{name} without autoescape"
    code = named.get("trust_remote_code")
    if code is not None and not ast.unparse(code).endswith("trust_remote_code"):
        return f"trust_remote_code={ast.unparse(code)}"
    return None


def _everywhere(node):
    if isinstance(node, ast.Constant) and node.value in EVERYWHERE:
        return f"the address {node.value}"
    return None


def _is(node, value):
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(ROOT)))
def test_a_source_does_none_of_it(file):
    assert breaches(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "import cloudpickle as c",
        "from os import system",
        "pd.read_pickle(f)",
        "np.load(f)",
        "np.load(f, allow_pickle=True)",
        "np.load(f, allow_pickle=flag)",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "yaml.load(f, yaml.Loader)",
        "subprocess.run(c, shell=True)",
        "os.system(c)",
        "os.popen(c)",
        "eval(t)",
        "exec(t)",
        "jinja2.Environment()",
        "AutoModel.from_pretrained(p, trust_remote_code=True)",
        "serve('0.0.0.0')",
    ],
)
def test_a_breach_is_seen(line):
    assert breaches(f"x = 1\n{line}\n")


@pytest.mark.parametrize(
    "line",
    [
        "model.eval()",
        "np.load(f, allow_pickle=False)",
        "torch.load(f, weights_only=True)",
        "yaml.safe_load(f)",
        "subprocess.run([c])",
        "json.load(f)",
        "AutoModel.from_pretrained(p, trust_remote_code=ref.trust_remote_code)",
    ],
)
def test_what_is_safe_is_not_accused(line):
    assert breaches(line) == []
