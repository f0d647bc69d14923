r"""The program of a process that calls a user's reward function: JSON lines in, `[reward, reason]` lines out.

It is started by its file path and imports the standard library and the function's module only, so that it runs under
the interpreter of a trainer too. As in `math_worker` the kernel ends this process (SIGPROF) when one call has used its
CPU time. Whatever the function prints or reads goes nowhere: the protocol has pipes of its own.

Arguments: the function (`package.module:name`), CPU seconds a call, a JSON list of folders to import from. The first
folder stands in front of everything, as with `python -m`; the others behind.
"""

import contextlib
import importlib
import inspect
import json
import logging
import math
import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

MEMORY_BYTES = 4 * 1024**3
_SHOWN_CHARS = 200
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # each would reserve memory of its own


class RefusedError(Exception):
    """The function cannot be used; the text says why."""


def load(spec: str) -> tuple[Callable[..., Any], ModuleType]:
    """Import `package.module:name`, function and module; `RefusedError` where it cannot be called with two texts."""
    name, _, attribute = spec.partition(":")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise RefusedError(
                f"there is no module '{error.name}' in {sys.path[0]} or among the installed ones"
            ) from None
        raise RefusedError(f"importing '{name}' raises {told(error)}") from None
    except BaseException as error:  # noqa: BLE001 (foreign code may raise anything, SystemExit included)
        raise RefusedError(f"importing '{name}' raises {told(error)}") from None
    try:
        function = getattr(module, attribute)
    except AttributeError:
        raise RefusedError(f"the module '{name}' ({module.__file__}) has no '{attribute}'") from None
    if not callable(function):
        raise RefusedError(
            f"'{attribute}' of '{name}' is a {type(function).__name__}, which cannot be called"
        ) from None
    if inspect.iscoroutinefunction(function):
        raise RefusedError(f"'{attribute}' of '{name}' is async, and must return the reward itself")
    with contextlib.suppress(ValueError):  # some built-in functions do not tell their arguments
        signature = inspect.signature(function)
        try:
            signature.bind("completion", "answer")
        except TypeError:
            taken = f"'{attribute}' of '{name}' takes {signature}"
            raise RefusedError(f"{taken}, and is called with two texts: completion and answer") from None
    return function, module


def sources(module: ModuleType) -> tuple[str, list[str]]:
    """Return the folder that a module was imported from, and its file and those that it has imported from there.

    Of installed packages only those of the same package count.
    """
    root, top = _folder(module), module.__name__.partition(".")[0]
    installed = {"site-packages", "dist-packages"} & set(root.parts)
    found = [
        str(other.__file__)
        for name, other in sorted(sys.modules.items())
        if name != "__main__"
        and getattr(other, "__file__", None)
        and _folder(other) == root
        and (not installed or name.partition(".")[0] == top)
    ]
    return str(root), found


def _folder(module: ModuleType) -> Path:
    """Return the folder of `sys.path` that holds a module: as many parents up as its name has parts."""
    file = Path(str(module.__file__)).absolute()
    parts = module.__name__.count(".") + (file.stem == "__init__")
    return file.parents[min(parts, len(file.parents) - 1)]


def reward_of(value: object) -> tuple[float | None, str]:
    """Return what a function returned as a reward in [0, 1], or None and what is wrong with it."""
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        value = value.item()  # type: ignore[attr-defined]  # a number of numpy or torch
    if value is None or isinstance(value, str):
        return None, _clean(f"it returned {value!r}, which is no number in [0, 1]")
    if not isinstance(value, Real):
        return None, _clean(f"it returned a {type(value).__name__}, which is no number in [0, 1]")
    number = float(value)
    if math.isnan(number) or not 0.0 <= number <= 1.0:
        return None, f"it returned {number:g}, which is not in [0, 1]"
    return number, ""


def told(error: BaseException, file: str | None = None) -> str:
    """Return an error in one line: type, words, and the line of `file`, else the last one, that it came from."""
    try:
        words = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 (an exception whose text raises)
        words = type(error).__name__
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    frames = [f for f in frames if f.filename == file] or [f for f in frames if "importlib" not in f.filename]
    if not frames:
        return _clean(words)
    return f"{_clean(words)} ({Path(frames[-1].filename).name}:{frames[-1].lineno}: {_clean(frames[-1].line or '')})"


def _clean(text: str) -> str:
    """Return a text as one short printable line."""
    line = " ".join(text.encode("utf-8", "backslashreplace").decode().split())
    return line if len(line) <= _SHOWN_CHARS else line[: _SHOWN_CHARS - 1] + "…"


def serve(
    function: Callable[..., Any], file: str | None, requests: TextIO, replies: TextIO, cpu_limit_s: float
) -> None:
    """Call the function until the input ends; a call that uses `cpu_limit_s` of CPU time ends the process."""
    own = os.getpid()
    for line in requests:
        completion, answer = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, cpu_limit_s)
        try:
            reply = reward_of(function(completion, answer))
        except BaseException as error:  # noqa: BLE001 (foreign code: sys.exit is one of its ways to fail)
            reply = (None, f"it raised {told(error, file)}")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0.0)
        if os.getpid() != own:  # the function has forked, and this is the copy
            os._exit(0)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def main() -> None:
    """Take the pipes for the protocol, silence everything else, import the function, say so, and serve."""
    spec, cpu_limit_s, folders = sys.argv[1], float(sys.argv[2]), json.loads(sys.argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair: it closes our input
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    for limit, value in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    for name in _THREADS:
        os.environ.setdefault(name, "1")
    sys.path[:0] = folders[:1]
    sys.path += [folder for folder in folders[1:] if folder not in sys.path]
    sys.argv = [spec]
    sys.dont_write_bytecode = True  # an edit within a second would be hidden by what is written here
    try:
        function, module = load(spec)
        greeting = json.dumps(["ready", sources(module)])
    except RefusedError as error:
        greeting = json.dumps(["error", str(error)])
    replies.write(greeting + "\n")
    replies.flush()
    if greeting.startswith('["ready"'):
        serve(function, module.__file__, requests, replies, cpu_limit_s)


if __name__ == "__main__":
    main()
