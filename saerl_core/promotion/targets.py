"""What a retraining runs on which branch: run file and stack, from a file of the repository."""

from fnmatch import fnmatchcase
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from saerl_core.errors import ConfigError

TARGETS_FILE = "deploy/retraining.yaml"
_HEADS = "refs/heads/"


class Target(BaseModel):
    """A run file and a stack for the branches that match a pattern."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    branch: str  # as a shell pattern: "main", "release/*"; "*" also matches what is no branch
    config: str  # relative to the repository
    stack: str


class _Targets(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    targets: tuple[Target, ...]


def target_for(ref: str, repository: Path) -> Target:
    """Return the first target whose pattern matches.

    Args:
        ref: A git ref (`refs/heads/main`, `refs/pull/7/merge`) or a branch's bare name. Of full refs only
            `refs/heads/` are branches, so that a tag or a pull request called `main` never gets main's stack.
        repository: Its `deploy/retraining.yaml` is read.

    Raises:
        ConfigError: The file cannot be read, or nothing in it matches.
    """
    file = repository / TARGETS_FILE
    try:
        found = _Targets.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        what = str(error).splitlines()[0]
        raise ConfigError(
            f"{TARGETS_FILE} cannot be used ({what}); it must hold `targets:`, a list of {{branch, config, stack}}"
        ) from error
    is_branch = ref.startswith(_HEADS) or not ref.startswith("refs/")
    branch = ref.removeprefix(_HEADS)
    for target in found.targets:
        if target.branch == "*" or (is_branch and fnmatchcase(branch, target.branch)):
            return target
    known = [target.branch for target in found.targets]
    raise ConfigError(f"{TARGETS_FILE} has no target for '{ref}', only for {known}; add one, or one for \"*\"")
