"""The one door to sae-lens: its import takes seconds and warns about its own dependencies."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from types import ModuleType

from saerl_core.unused_trackers import unused_trackers


@contextlib.contextmanager
def quiet_sae_lens() -> Iterator[ModuleType]:
    """Yield the module `sae_lens` with its own chatter silenced inside the block only.

    Silenced are deprecations that TransformerLens announces to sae-lens, and advice to callers of sae-lens' model
    classes, which are not used here. Nothing is sent to wandb: no run is ever started.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", UserWarning)
        with unused_trackers():
            import sae_lens

        logger = logging.getLogger("sae_lens")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield sae_lens
        finally:
            logger.setLevel(level)
