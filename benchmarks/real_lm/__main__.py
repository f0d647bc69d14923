"""python -m benchmarks.real_lm [report]: read what the results lack, or write the tables of docs/real_model.md."""

import os
import sys
from pathlib import Path

from benchmarks.real_lm.report import write_report
from benchmarks.real_lm.signals import run


def main() -> None:
    """Run or report."""
    if sys.argv[1:] == ["report"]:
        write_report()
        return
    data = os.environ.get("SAERL_SHARED_DATA")
    if data is None:
        sys.exit("SAERL_SHARED_DATA is not set; name the folder that holds the pools of benchmarks/README.md")
    run(Path(data))


if __name__ == "__main__":
    main()
