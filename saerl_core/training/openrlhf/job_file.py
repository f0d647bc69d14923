"""What the driver tells the trainer about one attempt: a JSON file in the folder that both see."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from saerl_core.config.grading import GradingConfig
from saerl_core.disk import write_text
from saerl_core.errors import BackendError

OPENRLHF_VERSION = "0.11.2"  # private names of this version are used; another one may have renamed them


class JobFile(BaseModel):
    """One attempt at a training job, as the trainer needs to know it; all paths are absolute."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version_wanted: str = OPENRLHF_VERSION
    attempt_dir: Path
    prompts_file: Path  # one row a prompt; its order is the order of OpenRLHF's dataset
    eval_file: Path | None = None
    answers_file: Path  # {"prompt_id", "answer"} of every prompt, the held-out ones included
    policy_path: str  # a local folder or a Hub name
    trust_remote_code: bool = False
    n_steps: int = Field(ge=1)
    prompts_per_step: int = Field(ge=1)
    group_size: int = Field(ge=2)
    screens: bool = False  # a step is sampled in rounds, and the driver says which groups are trained on
    first_step: int = Field(default=0, ge=0)  # 0-based step that this attempt starts at
    grading: GradingConfig
    function_folders: tuple[str, ...] = ()  # where a user's reward function is looked for, before the installed ones
    special_tokens: tuple[str, ...] = ()  # texts of the tokenizer's special tokens: a completion ends at the first
    n_gpus: int = Field(ge=1)  # that Ray has to have
    driver_pid: int | None = None  # the trainer ends when this process is gone; None: it runs on another machine
    mailbox_timeout_s: float = Field(default=3600.0, gt=0.0)  # longest wait for the driver's next batch
    fingerprint: str = ""  # of the whole job, for messages

    @property
    def mailbox_dir(self) -> Path:
        """Folder of the conversation with the driver."""
        return self.attempt_dir / "mailbox"

    @property
    def audit_dir(self) -> Path:
        """Folder in which the reward function writes what it saw."""
        return self.attempt_dir / "audit"

    def save(self, path: Path) -> None:
        """Write the file so that a reader sees all of it or nothing."""
        try:
            write_text(path, self.model_dump_json(indent=1))
        except OSError as error:
            raise BackendError(
                f"could not write {path}: {error}; free disk space and start the same command again"
            ) from error

    @classmethod
    def load(cls, path: Path) -> "JobFile":
        """Read a file that `save` wrote; `BackendError` when it is absent or damaged."""
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            raise BackendError(
                f"the job file {path} cannot be read ({error}); is the folder visible from this machine, and does the "
                "trainer's environment hold the same version of saerl as the pipeline's?"
            ) from error
