"""The local stack: ZenML's default orchestrator and artifact store, MLflow on SQLite, no server."""

import os
from pathlib import Path

from zenml.client import Client
from zenml.enums import StackComponentType

from saerl_core.environment import state_dir

STACK = "saerl"
TRACKER = "saerl_mlflow"
EXPERIMENT = "saerl"


def mlflow_uri(state: Path | None = None) -> str:
    """Return the tracking URI of the local MLflow database."""
    return f"sqlite:///{(state or state_dir()) / 'mlflow.db'}"


def setup_local_stack() -> str:
    """Initialise ZenML here, register what is missing, activate the stack; safe to repeat. Returns the stack's name."""
    state_dir().mkdir(parents=True, exist_ok=True)
    repository = Path(os.environ["ZENML_REPOSITORY_PATH"])
    if not Client.is_repository_directory(repository):
        repository.mkdir(parents=True, exist_ok=True)
        Client.initialize(repository)
    client = Client()
    _create_experiment()
    tracker = _tracker(client)
    found = client.list_stacks(name=STACK)
    if not found.items:
        default = client.get_stack("default")
        components = {kind: default.components[kind][0].id for kind in default.components}
        components = {k: v for k, v in components.items() if k in _DEFAULT_COMPONENTS}
        client.create_stack(STACK, {**components, StackComponentType.EXPERIMENT_TRACKER: tracker})
    client.activate_stack(STACK)
    return STACK


_DEFAULT_COMPONENTS = (StackComponentType.ORCHESTRATOR, StackComponentType.ARTIFACT_STORE)


def _tracker(client: Client) -> str:
    """Return the name of the MLflow tracker; registers it, or points it to where the repository is now."""
    found = client.list_stack_components(name=TRACKER, type=StackComponentType.EXPERIMENT_TRACKER).items
    wanted = {"tracking_uri": mlflow_uri()}
    if not found:
        client.create_stack_component(
            name=TRACKER, flavor="mlflow", component_type=StackComponentType.EXPERIMENT_TRACKER, configuration=wanted
        )
    elif found[0].configuration.get("tracking_uri") != wanted["tracking_uri"]:
        client.update_stack_component(TRACKER, StackComponentType.EXPERIMENT_TRACKER, configuration=wanted)
    return TRACKER


def _create_experiment() -> None:
    """Create the MLflow experiment with its files under the state folder: MLflow's default is ./mlruns."""
    from steps._runtime import ensure_experiment

    ensure_experiment(EXPERIMENT, mlflow_uri(), state_dir() / "mlflow_artifacts")
