"""From the configuration to a trainer: the one place that imports a backend by its name."""

from pathlib import Path

from saerl_core.config.run import RunConfig, TrainingConfig
from saerl_core.protocols import Trainer


def make_trainer(config: TrainingConfig) -> Trainer:
    """Return the backend that the configuration names."""
    if config.backend == "embedded":
        from saerl_core.training.embedded.trainer import EmbeddedTrainer

        return EmbeddedTrainer()
    from saerl_core.training.openrlhf.trainer import OpenRlhfTrainer

    return OpenRlhfTrainer()


def check_environment(config: TrainingConfig) -> None:
    """Raise `ConfigError` where the configured backend cannot start on this machine; the embedded one always can."""
    if not config.enabled or config.backend == "embedded":
        return
    from saerl_core.training.openrlhf.checks import check_environment as check

    check(config.openrlhf)


def log_files(config: TrainingConfig, work_dir: Path) -> list[Path]:
    """Return the files in which a backend's own processes wrote what they said, the oldest first; often none."""
    if config.backend == "embedded":
        return []
    from saerl_core.training.openrlhf.files import log_files as of_attempts

    return of_attempts(work_dir)


def preview_command(config: RunConfig) -> list[str]:
    """Return the command that the configured backend would start; `ConfigError` for one that starts none."""
    from saerl_core.training.openrlhf.command import preview_command as preview

    return preview(config)
