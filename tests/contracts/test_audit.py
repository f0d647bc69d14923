"""The audit of the locked packages: what is known is red, and a source that cannot audit is never green."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAFE = {"name": "numpy", "version": "2.0", "vulns": []}
KNOWN = {"name": "urllib3", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": []}]}
ABSENT = {"name": "torch", "skip_reason": "Dependency not found on PyPI"}


@pytest.fixture
def audit(tmp_path):
    """Run the audit with a pip-audit that prints what it is told: exit code and output."""

    def audit(stdout, stderr="", code=0):
        fake = tmp_path / "pip-audit"
        fake.write_text(
            f"#!{sys.executable}\nimport sys\nprint({stdout!r})\nprint({stderr!r}, file=sys.stderr)\nsys.exit({code})\n"
        )
        fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
        command = [sys.executable, str(ROOT / ".ci" / "audit.py"), str(fake)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout + done.stderr

    return audit


def _found(*packages):
    return json.dumps({"dependencies": packages})


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ((_found(SAFE), "", 0), 0, "constraints.txt: nothing known about 1 packages"),
        ((_found(SAFE, KNOWN), "", 1), 1, "urllib3 1.0: PYSEC-1, fixed in 1.1"),
        ((_found(SAFE, ABSENT), "", 0), 1, "not audited: torch"),
        ((_found(ABSENT), "", 0), 75, "NOT AUDITED"),
        (("", "requests.exceptions.ConnectionError: no route", 1), 75, "no route"),
        (("", "error: no such option", 2), 1, "exit code 2: error: no such option"),
    ],
)
def test_what_the_exit_code_means(audit, answer, code, words):
    found, output = audit(*answer)
    assert found == code
    assert words in output


def test_every_lock_is_audited(audit):
    _, output = audit(_found(SAFE))
    for lock in ("constraints.txt", "deploy/pipeline/requirements.txt", "deploy/trainer/requirements.txt"):
        assert f"{lock}: nothing known" in output
        assert (ROOT / lock).is_file()
