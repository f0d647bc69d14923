"""OpenRLHF's own argument parser and its own checks after it, without ray, torch, vllm or flash-attn being imported.

Runs in the interpreter of an OpenRLHF environment; of that, only the openrlhf wheel is needed. Reads a JSON object
{name: [flag, ...]} from stdin and prints {"options": {flag: number of values}, "parsed": {name: result}}; a result is
{"args": {...}} or {"error": text}.

The command line module has everything under `if __name__ == "__main__"` and ends in `train(args)`, which first asks
`get_strategy(args)`. So that name gets a function that takes the arguments away, and what stands for the heavy
packages is never looked at.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import runpy
import sys
import types
from pathlib import Path

CLI = "openrlhf.cli.train_ppo_ray"
STANDING_IN = (
    "ray",
    "ray.util",
    "ray.util.placement_group",
    "openrlhf.trainer",
    "openrlhf.trainer.ray",
    "openrlhf.trainer.ray.launcher",
    "openrlhf.trainer.ray.ppo_actor",
    "openrlhf.trainer.ray.ppo_critic",
)


class ParsedError(Exception):
    """Carries the arguments out of the command line module once they are accepted."""

    def __init__(self, args):
        super().__init__("accepted")
        self.parsed = args


class StandIn(types.ModuleType):
    """A module in which every name exists."""

    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: True  # ray.is_initialized() must be true


def install():
    for name in STANDING_IN:
        sys.modules[name] = StandIn(name)
    utils = StandIn("openrlhf.utils")  # its folder is real: openrlhf.utils.config is the upstream module
    utils.__path__ = [str(Path(importlib.util.find_spec("openrlhf").origin).parent / "utils")]

    def take(args):
        raise ParsedError(args)

    utils.get_strategy = take
    sys.modules["openrlhf.utils"] = utils


def parse(flags):
    """Return {"args": flat namespace} for accepted flags, {"error": text} for refused ones."""
    sys.argv = ["train_ppo_ray", *flags]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            runpy.run_module(CLI, run_name="__main__")
    except ParsedError as accepted:
        return {"args": dict(flat(accepted.parsed)), "said": said.getvalue()}
    except SystemExit:
        return {"error": said.getvalue()}
    except AssertionError as refused:
        return {"error": f"assertion: {refused}"}
    raise RuntimeError("the command line module ended without asking for a strategy: not the version that is expected")


def flat(namespace, prefix=""):
    for name, value in vars(namespace).items():
        if isinstance(value, types.SimpleNamespace):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value if value != float("inf") else "inf"


def options():
    """Return every flag of the parser with its number of values (None is one)."""
    found = {}
    original = argparse.ArgumentParser.parse_args

    def look(parser, *args, **kwargs):
        for action in parser._actions:
            for flag in action.option_strings:
                found[flag] = action.nargs
        return original(parser, *args, **kwargs)

    argparse.ArgumentParser.parse_args = look
    try:
        parse([])
    except AttributeError:  # no flags at all do not survive the checks after the parser
        pass
    finally:
        argparse.ArgumentParser.parse_args = original
    return found


def main():
    jobs = json.load(sys.stdin)
    install()
    result = {"options": options(), "parsed": {name: parse(flags) for name, flags in jobs.items()}}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
