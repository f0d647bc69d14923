#!/usr/bin/env python3
"""Audit every locked package for known vulnerabilities with pip-audit; `make audit`. Standard library only.

Exit code 0: nothing known. 1: something known, or a package that the data source does not have. 75: the data source
cannot be reached from here, or knows none of the packages (a mirror without advisories), so nothing was audited.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("constraints.txt", "deploy/pipeline/requirements.txt", "deploy/trainer/requirements.txt")
IGNORED = ROOT / ".ci" / "audit-ignore.txt"  # one advisory a line: its id, then why it does not concern us
CLEAN, FOUND, NOT_AUDITED = 0, 1, 75


def main(pip_audit: str) -> int:
    """Audit all locks and return the worst exit code."""
    ignored = [line.split()[0] for line in IGNORED.read_text().splitlines() if line.strip() and line[0] != "#"]
    codes = [_audit(pip_audit, lock, ignored) for lock in LOCKS]
    return FOUND if FOUND in codes else max(codes)


def _audit(pip_audit: str, lock: str, ignored: list[str]) -> int:
    command = [pip_audit, "-r", lock, "--no-deps", "--disable-pip", "--progress-spinner", "off", "-f", "json"]
    command += [part for name in ignored for part in ("--ignore-vuln", name)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        if any(word in last for word in ("ConnectionError", "Timeout", "SSLError", "ProxyError", "ServiceError")):
            return _not_audited(lock, last)
        return _say(FOUND, f"{lock}: pip-audit failed with exit code {done.returncode}: {last}")
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):
        return _not_audited(lock, "the package index of this machine has no advisories")
    known = [(p["name"], p["version"], v) for p in packages for v in p.get("vulns", ())]
    for name, version, vulnerability in known:
        fixed = ", ".join(vulnerability["fix_versions"]) or "nowhere yet"
        _say(FOUND, f"{lock}: {name} {version}: {vulnerability['id']}, fixed in {fixed}")
    if skipped:
        _say(FOUND, f"{lock}: unknown to the data source, and so not audited: {', '.join(skipped)}")
    if known or skipped:
        return FOUND
    return _say(CLEAN, f"{lock}: nothing known about {len(packages)} packages")


def _not_audited(lock: str, why: str) -> int:
    return _say(NOT_AUDITED, f"{lock}: NOT AUDITED, the data source cannot be used from here ({why})")


def _say(code: int, text: str) -> int:
    (sys.stdout if code == CLEAN else sys.stderr).write(text + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "pip-audit"))
