"""What a retraining depends on, as hashes: the reason to retrain, or to skip."""

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from saerl_core.config.run import RunConfig
from saerl_core.fingerprint import content_hash

DATA_VERSION_FILE = "DATA_VERSION"  # in the repository's root: names data that no local file holds (Hub, lake, bucket)
CODE_FOLDERS = ("saerl_core", "steps", "tracking", "pipelines", "materializers")
LOCKS = ("constraints.txt", "deploy/trainer/requirements.txt")  # of the pipeline, and of OpenRLHF beside it
_WORDS = {"data": "the data", "config": "the configuration", "code": "the code"}


class Inputs(BaseModel):
    """Hashes of everything that decides what a retraining gives, as far as this machine can see it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str  # contents of every local file and folder that the configuration names, and of the data version file
    config: str  # the resolved configuration, defaults included
    code: str  # sources of the pipeline and the pinned versions of what they import

    def changes(self, since: "Inputs") -> tuple[str, ...]:
        """Name what differs, in words; empty when nothing does."""
        return tuple(words for field, words in _WORDS.items() if getattr(self, field) != getattr(since, field))


def inputs_of(config: RunConfig, repository: Path) -> Inputs:
    """Return the hashes for a configuration, with the code and the data version of a repository.

    A path in the configuration is relative to the working directory, as everywhere else.
    """
    prompts = config.prompts
    named = [prompts.path, prompts.eval_path, *prompts.decontaminate_against, config.policy.model, config.sae.path]
    named += [b.path or b.dataset for b in config.evaluation.benchmarks]
    local = [Path(name) for name in (*named, config.sae.model) if name is not None and Path(name).exists()]
    settings = json.dumps(config.model_dump(mode="json"), sort_keys=True)
    return Inputs(
        data=content_hash(*local, repository / DATA_VERSION_FILE),
        config=hashlib.sha256(settings.encode()).hexdigest()[:16],
        code=content_hash(*(repository / name for name in (*CODE_FOLDERS, *LOCKS)), suffix=".py"),
    )
