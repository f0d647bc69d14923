r"""The program of a grading process: reads pairs of answers as JSON lines, writes one verdict a line.

It is started by its file path and imports the standard library and math-verify only. sympy can hang for good inside one
operation on integers (`12345678901234567890123456789^{987654321}`), where no Python signal handler runs; therefore the
kernel ends this process (SIGPROF, whose default action is left in place) when one pair has used its CPU time, also when
the parent is already gone. CPU time, not wall clock: a right answer does not turn unknown because the machine is busy.
"""

import contextlib
import json
import logging
import os
import resource
import signal
import sys
import warnings
from typing import TextIO

MEMORY_BYTES = 4 * 1024**3  # a power tower asks for more than any machine has


def compare(gold: str, answer: str) -> tuple[bool | None, str]:
    """Return whether two answers are equal for math-verify, None where it cannot tell, and a reason in few words.

    A side that math-verify reads as nothing but a string (`a + b + c` is one) equals the same string only; that two
    strings differ says nothing. Every pair of readings is tried: math-verify alone would count a comparison that raises
    as unequal.
    """
    import math_verify

    golds = math_verify.parse(gold, parsing_timeout=None)
    answers = math_verify.parse(answer, parsing_timeout=None)
    failed = False
    for one in golds:
        for other in answers:
            try:
                if math_verify.verify(one, other, timeout_seconds=None, raise_on_error=True):
                    return True, "equal"
            except MemoryError:
                raise
            except Exception:  # noqa: BLE001 - sympy raises anything; a failed comparison is unknown, not unequal
                failed = True
    for readings, name in ((golds, "gold"), (answers, "answer")):
        if all(isinstance(reading, str) for reading in readings):
            return None, f"{name} not readable"
    return (None, "comparison failed") if failed else (False, "different")


def serve(requests: TextIO, replies: TextIO, cpu_limit_s: float) -> None:
    """Answer requests until the input ends; a pair that uses `cpu_limit_s` of CPU time ends the process."""
    for line in requests:
        gold, answer = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, cpu_limit_s)
        try:
            correct, reason = compare(gold, answer)
        except RecursionError:
            correct, reason = None, "comparison failed"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0.0)
        replies.write(json.dumps([correct, reason]) + "\n")
        replies.flush()


def main() -> None:
    """Take the protocol's pipe for our own, silence everything else, say that we are ready, and serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair: it closes our input
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    try:
        compare("$1$", "$1$")  # imports math-verify and builds its tables, outside any item's time
    except ImportError as error:
        replies.write(json.dumps(["error", str(error)]) + "\n")
        replies.flush()
        return
    replies.write(json.dumps(["ready", ""]) + "\n")
    replies.flush()
    serve(sys.stdin, replies, float(sys.argv[1]))


if __name__ == "__main__":
    main()
