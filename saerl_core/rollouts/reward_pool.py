"""A user's reward function in processes that can be killed, and the hash of its source."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from saerl_core.code import code_hash
from saerl_core.config.grading import GradingConfig
from saerl_core.errors import BackendError, ConfigError
from saerl_core.rollouts.worker_pool import START_S, WorkerPool

ENOUGH = 50  # calls, before it can be said that most of them fail
_WORKER = Path(__file__).with_name("reward_worker.py")
_ENDS = {  # why a call has no reward, where the process could not say it itself
    "timeout": "one call took more than grading.timeout_s = {timeout_s:g} s of CPU time, or ten times that in all",
    "crash": "its process ended during a call",
    "batch limit": "it was not called any more, after four calls of one batch had ended their process",
}


class RewardPool(WorkerPool[float]):
    """Calls `grading.function` with (completion, answer): a reward in [0, 1], or None and why it failed.

    The module is looked for in `folders`; without any in the working directory, then wherever this process finds its
    own. `python` and `variables` start the processes under another interpreter.
    """

    def __init__(
        self,
        config: GradingConfig,
        folders: Sequence[str] = (),
        *,
        python: str | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(config.n_workers, config.timeout_s)
        if config.function is None:
            raise ConfigError("grading.kind is 'python', but grading.function is not set; name package.module:function")
        self._config = config
        self._function = config.function
        self._folders = list(folders)
        self._python = python
        self._variables = variables
        self.files: list[Path] = []  # sources of the function, once a process has started
        self.code = ""  # their hash

    def command(self) -> list[str]:
        """Return the command that starts a worker."""
        folders = self._folders or [os.getcwd(), *sys.path]
        python = self._python or sys.executable
        return [python, "-P", str(_WORKER), self._function, str(self.timeout_s), json.dumps(folders)]

    def variables(self) -> Mapping[str, str] | None:
        """Return the environment variables of a worker."""
        return self._variables

    def refused(self, reason: str) -> ConfigError:
        """Say why the function cannot be used."""
        who = f" in the environment of '{self._python}'" if self._python else ""
        return ConfigError(f"grading.function is '{self._function}', but{who} {reason}; docs/grading.md shows one")

    def died(self, code: int, *, overdue: bool) -> ConfigError:
        """Say how the import of the function's module ended the process."""
        how = f"takes more than {START_S:.0f} s" if overdue else f"ends the process (code {code})"
        return self.refused(f"importing its module {how}")

    def started(self, told: object) -> None:
        """Take the function's files; refuse another source than that of the start of the run."""
        root, files = cast(tuple[str, list[str]], told)
        self.files = [Path(file) for file in files]
        self.code = code_hash(self.files, Path(root))
        if self._config.code not in (None, self.code):
            raise ConfigError(
                f"grading.function is '{self._function}', whose source ({', '.join(files)}) is not that of the start "
                "of the run: it was edited, or differs on this machine; start the same command again"
            )


def reason_of_failure(reason: str, config: GradingConfig) -> tuple[str, str]:
    """Return a fixed phrase and a sentence about a call without a reward."""
    if reason in _ENDS:
        return reason, _ENDS[reason].format(timeout_s=config.timeout_s)
    return "function failed", reason


def checked_function(config: GradingConfig, folders: Sequence[str] = ()) -> GradingConfig:
    """Return the section with the hash of the function's source; another kind is returned as it is.

    The function is imported in a process of its own and not called.

    Raises:
        ConfigError: there is no such function, or it does not take two arguments.
    """
    if config.kind != "python":
        return config
    pool = RewardPool(config.model_copy(update={"code": None}), folders)
    try:
        pool.start()
    finally:
        pool.close()
    return config.model_copy(update={"code": pool.code})


def refuse_mostly_failed(config: GradingConfig, n_failed: int, n_calls: int, first: str) -> None:
    """Raise `BackendError` where more than half of all calls of a reward function have failed."""
    if config.kind == "python" and 2 * n_failed > n_calls:
        raise BackendError(
            f"grading.function '{config.function}' failed on {n_failed} of {n_calls} completions, more than half; the "
            f"first failure: {first}; mend the function and start the same command again"
        )
