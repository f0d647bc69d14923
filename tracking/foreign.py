"""Variables of MLflow that a shell or a notebook has left behind: a run goes to the stack's tracker, and only there."""

import logging
import os

_FOREIGN = (
    "MLFLOW_RUN_ID",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
)
logger = logging.getLogger("saerl")


def forget_foreign(own_uri: str) -> list[str]:
    """Remove from this process what would send a run to another server, experiment or run; say so in one line.

    An address that is the stack's own stays. Credentials and settings of the connection are left alone. Returns the
    names that were removed.
    """
    found = [name for name in _FOREIGN if os.environ.get(name) not in (None, "", own_uri)]
    for name in found:
        del os.environ[name]
    if found:
        logger.info("ignored in this run: %s; it is logged where the ZenML stack's tracker says", ", ".join(found))
    return found
