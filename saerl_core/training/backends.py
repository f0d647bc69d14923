"""From the configuration to a trainer."""

from saerl_core.config.run import TrainingConfig
from saerl_core.protocols import Trainer


def make_trainer(config: TrainingConfig) -> Trainer:
    """Return the backend that the configuration names."""
    if config.backend == "embedded":
        from saerl_core.training.embedded.trainer import EmbeddedTrainer

        return EmbeddedTrainer()
    from saerl_core.training.openrlhf.trainer import OpenRlhfTrainer

    return OpenRlhfTrainer()
