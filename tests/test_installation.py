"""The command `saerl` where `pip install` brought the package without its extras."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_commands_of_an_installation_without_extras(tmp_path):
    """Those that need none work, the others name what is missing."""
    (tmp_path / "pool.jsonl").write_text(json.dumps({"prompt": "How much is 1 plus 2?", "answer": "3"}) + "\n")
    program = (
        "import sys\n"
        "for name in ('zenml', 'mlflow', 'torch', 'transformers', 'datasets', 'trl'):\n"
        "    sys.modules[name] = None\n"
        "from click.testing import CliRunner\n"
        "from pipelines.__main__ import main\n"
        "for words in ('--help', 'inspect pool.jsonl', 'run'):\n"
        "    done = CliRunner().invoke(main, words.split())\n"
        "    print(done.exit_code, done.output.splitlines()[-1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, env=plain(tmp_path)
    )
    help_, inspect_, run_ = done.stdout.splitlines()
    assert help_.startswith("0 ")
    assert inspect_.startswith("0 ")
    assert run_.startswith("1 Error: `saerl run` needs zenml, which is not installed in ")
    assert run_.endswith("run `make install`, or `pip install '.[models,pipeline]'` in the folder of saerl")


def plain(home):
    return {**os.environ, "PYTHONPATH": str(ROOT), "SAERL_HOME": str(home)}
