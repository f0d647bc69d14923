"""What is installed in an environment: run as a program, it prints that as one line of JSON.

An interpreter gets its text, for it need not have this package. It imports nothing but the standard library, so that
it answers at once, in whatever environment it is asked.
"""

from __future__ import annotations  # an old Python shall answer too

import json
import platform
import sys
from importlib.metadata import PackageNotFoundError, version


def installed(package: str) -> str | None:
    """Return the version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    names = {name: installed(name) for name in ("openrlhf", "ray")}
    sys.stdout.write(json.dumps({**names, "python": platform.python_version(), "saerl": True}) + "\n")
