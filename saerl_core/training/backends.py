"""From the configuration to a trainer."""

from saerl_core.config import TrainingConfig
from saerl_core.errors import ConfigError
from saerl_core.protocols import Trainer


def make_trainer(config: TrainingConfig) -> Trainer:
    """Return the backend that the configuration names; `ConfigError` for one that this installation does not have."""
    if config.backend == "embedded":
        from saerl_core.training.embedded.trainer import EmbeddedTrainer

        return EmbeddedTrainer()
    raise ConfigError(f"training.backend is '{config.backend}', which is not part of this installation; use 'embedded'")
