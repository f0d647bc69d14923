"""The program of a worker: takes folders of trials as lines, trains each, answers with a line for every step and end.

Heavy libraries are imported once a worker. Whatever a trial raises is its own: the worker says so and takes the next.
A worker ends with whoever started it, in the middle of a trial too: started again, nobody else works in its folder.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

from saerl_core.trials.run import attempt

_SECONDS_BETWEEN_LOOKS = 1.0


def main() -> None:
    """Serve until the input ends; the protocol has our standard output for itself."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**what: object) -> None:
        replies.write(json.dumps(what) + "\n")
        replies.flush()

    for line in sys.stdin:
        folder = Path(json.loads(line))
        reason = attempt(folder, lambda step: say(step=step))
        if reason is None:
            say(done=True)
        else:
            say(error=reason)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


if __name__ == "__main__":
    main()
