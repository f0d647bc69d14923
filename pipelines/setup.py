"""The local stack: ZenML's default orchestrator and artifact store, MLflow on SQLite or on the local server."""

import os
from pathlib import Path

from zenml.client import Client
from zenml.enums import StackComponentType, StoreType
from zenml.experiment_trackers import BaseExperimentTracker

from pipelines import servers
from saerl_core.environment import state_dir
from saerl_core.errors import ConfigError
from tracking.foreign import forget_foreign

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
    wanted = _where_to_log()
    if not found:
        client.create_stack_component(
            name=TRACKER, flavor="mlflow", component_type=StackComponentType.EXPERIMENT_TRACKER, configuration=wanted
        )
    elif found[0].configuration.get("tracking_uri") != wanted["tracking_uri"]:
        client.update_stack_component(TRACKER, StackComponentType.EXPERIMENT_TRACKER, configuration=wanted)
        _forget_old_tracker(client, wanted["tracking_uri"])
    elif _is_remembered_otherwise(client, wanted["tracking_uri"]):  # another process has moved it
        _forget_old_tracker(client, wanted["tracking_uri"])
    return TRACKER


def _is_remembered_otherwise(client: Client, uri: str) -> bool:
    if client.active_stack_model.name != STACK:
        return False
    tracker = client.active_stack.experiment_tracker
    return tracker is not None and tracker.name == TRACKER and _uri(tracker) != uri


def _forget_old_tracker(client: Client, uri: str) -> None:
    """Make this process read the stack again; ZenML keeps it in memory until the stack itself has changed."""
    if client.list_stacks(name=STACK).items:
        is_active = client.active_stack_model.name == STACK
        client.update_stack(STACK, description=f"everything on this machine; MLflow: {uri}")
        if is_active:
            client.activate_stack(STACK)


def _where_to_log() -> dict[str, str]:
    """Return the tracker's settings: the server of this machine while it runs, otherwise its database."""
    found = servers.running()
    if found is None:
        return {"tracking_uri": mlflow_uri()}
    # ZenML wants a token for every http address; this server asks for none and ignores it
    return {"tracking_uri": found.mlflow, "tracking_token": "none-on-loopback"}


def use_running_servers() -> None:
    """Before a run: point the local stack to where it logs now; refuse a server of another stack that is not there.

    Raises:
        ConfigError: If the run starts on this machine and its MLflow server does not answer within some seconds.
    """
    client = Client()
    if client.zen_store.type == StoreType.SQL and client.list_stacks(name=STACK).items:
        _tracker(client)  # before anything asks for the active stack: ZenML keeps what it has read
    tracker = client.active_stack.experiment_tracker
    forget_foreign("" if tracker is None else _uri(tracker))
    if tracker is None or tracker.name == TRACKER:
        return
    uri = _uri(tracker)
    # a cluster may see a server that this machine does not
    local = client.active_stack.orchestrator.flavor == "local"
    if local and uri.startswith(("http://", "https://")) and not servers.answers(uri, _PROBE_S):
        raise ConfigError(
            f"the MLflow server of the experiment tracker '{tracker.name}' does not answer within {_PROBE_S:g} s; "
            "start it, or take another stack (`zenml stack set saerl` needs no server)"
        )


def active_tracker_uri() -> str:
    """Return where the active stack logs, ready to be used: credentials are in the environment afterwards.

    Raises:
        ConfigError: If the active stack has no experiment tracker, or its server does not answer.
    """
    use_running_servers()
    tracker = Client().active_stack.experiment_tracker
    if tracker is None:
        raise ConfigError("the active ZenML stack has no experiment tracker; `zenml stack set saerl` activates ours")
    tracker.configure_mlflow()
    return _uri(tracker)


def no_questions() -> None:
    """Answer ZenML's survey with no, once: its dashboard shows nothing before a name and an address are given."""
    client = Client()
    user = client.active_user
    if user.email_opted_in is None:
        client.update_user(user.id, updated_email_opt_in=False, updated_metadata={"finished_onboarding_survey": True})


_PROBE_S = 10.0


def _uri(tracker: BaseExperimentTracker) -> str:
    return str(getattr(tracker.config, "tracking_uri", None) or "")


def _create_experiment() -> None:
    """Create the MLflow experiment with its files under the state folder: MLflow's default is ./mlruns."""
    from tracking.runtime import ensure_experiment

    ensure_experiment(EXPERIMENT, mlflow_uri(), state_dir() / "mlflow_artifacts")
