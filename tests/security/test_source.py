"""What the product's source never does: start a shell, unpickle, trust a model's own code, listen to the network."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    file
    for folder in ("saerl_core", "steps", "materializers", "pipelines", "deploy", ".ci")
    for file in sorted((ROOT / folder).rglob("*.py"))
]
PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn"}
EVALUATES = {"eval", "exec", "compile", "__import__"}


def breaches(source: str) -> list[str]:
    """Return what is forbidden in a module, in words."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else {node.module or ""}
            found += [f"imports {name}" for name in sorted(names) if name.partition(".")[0] in PICKLES]
        elif isinstance(node, ast.Call):
            found += list(_in_call(ast.unparse(node.func), {k.arg: k.value for k in node.keywords}))
        elif isinstance(node, ast.Constant) and node.value in ("0.0.0.0", "::"):
            found.append("listens to the network")
    return found


def _in_call(name, keywords):
    if name in SHELLS or ("shell" in keywords and not _is(keywords["shell"], False)):
        yield "starts a shell"
    if name in EVALUATES:
        yield f"calls {name}"
    if name.endswith(("np.load", "numpy.load")) and not _is(keywords.get("allow_pickle"), False):
        yield "np.load without allow_pickle=False"
    if name == "torch.load" and not _is(keywords.get("weights_only"), True):
        yield "torch.load without weights_only=True"
    if name.endswith(("read_pickle", "yaml.load", "yaml.unsafe_load")):
        yield f"calls {name}"
    if _is(keywords.get("trust_remote_code"), True):
        yield "trusts the code of every model"
    if name.endswith("from_pretrained") and name.startswith("Auto") and "trust_remote_code" not in keywords:
        yield f"{name} does not say whether it trusts the model's code"


def _is(node, value):
    return isinstance(node, ast.Constant) and node.value is value


def test_the_product_does_none_of_it():
    assert len(FILES) > 100
    found = {str(file.relative_to(ROOT)): breaches(file.read_text()) for file in FILES}
    assert {name: why for name, why in found.items() if why} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "os.system(prompt)",
        "subprocess.run(prompt, shell=True)",
        "subprocess.run(prompt, shell=wanted)",
        "eval(answer)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "pd.read_pickle(path)",
        "yaml.load(text, Loader)",
        "AutoModel.from_pretrained(path)",
        "AutoModel.from_pretrained(path, trust_remote_code=True)",
        "server.run(host='0.0.0.0')",
    ],
)
def test_the_scan_sees_each_of_them(line):
    assert len(breaches(line)) == 1


def test_the_servers_bind_to_loopback():
    from pipelines.servers import HOST, dashboard_command, mlflow_command

    assert HOST == "127.0.0.1"
    for command in (mlflow_command("sqlite:///x.db", 1), dashboard_command(2)):
        assert command[command.index("--host") + 1] == "127.0.0.1"
