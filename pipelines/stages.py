"""The same versions in ZenML's model control plane, whose stage follows MLflow's alias."""

import logging
from uuid import UUID

from zenml.client import Client
from zenml.enums import ModelStages
from zenml.exceptions import EntityExistsError
from zenml.model.utils import link_artifact_version_to_model_version

logger = logging.getLogger("saerl")


def record_version(model_name: str, version: int, artifact: str, text: str) -> None:
    """Create a version with the policy linked to it; its name is MLflow's number."""
    client = Client()
    try:
        client.create_model(name=model_name)
    except EntityExistsError:
        logger.debug("model %s exists", model_name)
    try:
        made = client.create_model_version(model_name, name=_name(version), description=text)
    except EntityExistsError:  # ZenML outlived the registry
        made = client.get_model_version(model_name, _name(version))
    link_artifact_version_to_model_version(client.get_artifact_version(UUID(artifact)), made)


def set_stage(model_name: str, version: int, stage: ModelStages) -> None:
    """Put a version into a stage; the one that held it is archived. Says so where this ZenML has no such version."""
    client = Client()
    try:
        client.update_model_version(model_name, _name(version), stage=stage, force=True)
    except KeyError:
        logger.warning("this ZenML has no version %s of model %s; only MLflow's alias moves", version, model_name)


def follow_alias(model_name: str, champion: int) -> None:
    """Put the champion into the stage production where a crash has left another version there, or none."""
    found = Client().list_model_versions(model=model_name, stage=ModelStages.PRODUCTION).items
    if [version.name for version in found] != [_name(champion)]:
        set_stage(model_name, champion, ModelStages.PRODUCTION)


def _name(version: int) -> str:
    return f"mlflow-{version}"
