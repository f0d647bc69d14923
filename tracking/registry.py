"""The registered model in MLflow: versions with their verdicts, the alias `champion`, and who may move it.

The alias is the truth; tags say why. Versions are registered under the policy's address in ZenML's artifact store, so
that no weight is copied, except where a server could not read that address: a store on this machine.
"""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec, TypeVar
from uuid import uuid4

import mlflow
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from zenml.client import Client

from saerl_core.errors import BackendError, ConfigError
from saerl_core.promotion.changes import Inputs
from saerl_core.promotion.records import RegisteredPolicy

CHAMPION, CHALLENGER = "champion", "challenger"
PROMOTED = "promoted"  # the verdict of a version that is or was the champion
LEASE_S = 60.0  # a holder of the lock that has shown no sign of life for so long has died
_MAX_TEXT = 4900  # MLflow's databases hold 5000 characters of a description
_P = ParamSpec("_P")
_T = TypeVar("_T")
_ABSENT, _EXISTS = "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"


class OvertakenError(BackendError):
    """The champion is not the one that the gate compared with: somebody else promoted or rolled back meanwhile."""


def _told(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Turn what MLflow raises into a sentence."""

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return function(*args, **kwargs)
        except MlflowException as error:
            raise BackendError(
                f"the model registry of MLflow refused or did not answer: {error.message}; "
                "see that the server of the stack's experiment tracker runs, then start the command again"
            ) from error

    return wrapped


def connect(model_name: str) -> "Registry":
    """Return the registry behind the active stack's experiment tracker, with the tracker's credentials."""
    stack = Client().active_stack
    tracker = stack.experiment_tracker
    if tracker is None or tracker.flavor != "mlflow":
        raise ConfigError(
            f"the active ZenML stack '{stack.name}' has no MLflow experiment tracker, and champions live in MLflow's "
            "model registry; run `make setup` to register the local stack 'saerl', or add an MLflow tracker to yours"
        )
    tracker.configure_mlflow()
    return Registry(model_name, mlflow.get_tracking_uri())


class Registry:
    """One registered model."""

    def __init__(self, name: str, tracking_uri: str) -> None:
        self.name = name
        self.tracking_uri = tracking_uri
        self._client = mlflow.MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)

    @_told
    def holder(self, alias: str = CHAMPION) -> RegisteredPolicy | None:
        """Return the version that carries an alias."""
        version = self._alias(alias)
        return None if version is None else _record(self._client.get_model_version(self.name, str(version)))

    @_told
    def versions(self) -> list[RegisteredPolicy]:
        """Return all versions, oldest first."""
        found = self._client.search_model_versions(f"name='{self.name}'", max_results=1000)
        return sorted((_record(v) for v in found), key=lambda v: v.version)

    @_told
    def register(self, policy: Path | str, run_id: str, entry: RegisteredPolicy) -> RegisteredPolicy:
        """Create a version for a policy at an address or in a local folder; its number is the registry's to give."""
        try:
            self._client.create_registered_model(self.name, description="Policies that saerl trained.")
        except MlflowException as error:
            if error.error_code != _EXISTS:
                raise
        tags, text = _tags(entry), _cut(entry.reason)
        source = str(policy)
        if isinstance(policy, Path):
            source = policy.as_uri()
            if not self.tracking_uri.startswith("sqlite:"):  # a server takes no paths of its clients
                self._client.log_artifacts(run_id, str(policy), "policy")
                source = f"runs:/{run_id}/policy"
        made = self._client.create_model_version(self.name, source, run_id=run_id, tags=tags, description=text)
        return entry.model_copy(update={"version": int(made.version)})

    @_told
    def update(self, entry: RegisteredPolicy) -> None:
        """Write a version's verdict and reason."""
        for key, value in _tags(entry).items():
            self._client.set_model_version_tag(self.name, str(entry.version), key, value)
        self._client.update_model_version(self.name, str(entry.version), description=_cut(entry.reason))

    @_told
    def challenge(self, entry: RegisteredPolicy) -> None:
        """Give a rejected version the alias `challenger`, with the reason."""
        self.update(entry)
        self._client.set_registered_model_alias(self.name, CHALLENGER, str(entry.version))

    @_told
    def crown(self, entry: RegisteredPolicy, expected: int | None, mirror: Callable[[], None]) -> None:
        """Move the alias `champion` to a version, as one step that nobody else can come between.

        Under the lock: the champion is still the `expected` one, the tags are written, `mirror` runs, and then the
        alias moves. An error or a crash before that leaves the champion where it was; the verdict `promoted` is
        written after it, and again by `settle` where a crash came between.

        Raises:
            OvertakenError: the champion is another one by now.
        """
        with lock(self._client, self.name) as still_ours:
            current = self._alias(CHAMPION)
            if current != expected:
                raise OvertakenError(
                    f"version {entry.version} was compared with {_named(expected)}, but the champion is "
                    f"{_named(current)} by now; it has to be compared again"
                )
            self.update(entry)
            mirror()
            still_ours()
            self._client.set_registered_model_alias(self.name, CHAMPION, str(entry.version))
            self.settle(entry)

    @_told
    def settle(self, champion: RegisteredPolicy) -> None:
        """Write the verdict that the alias implies, where it is not written yet."""
        if champion.verdict != PROMOTED:
            self._client.set_model_version_tag(self.name, str(champion.version), "saerl.verdict", PROMOTED)

    @_told
    def run_link(self, run_id: str) -> str:
        """Return where a person looks at an MLflow run: an address without credentials, or the run's id."""
        host = self.link("")
        run = self._client.get_run(run_id)
        return f"{host}/#/experiments/{run.info.experiment_id}/runs/{run_id}" if host else run_id

    def link(self, page: str) -> str:
        """Return the address of a page of the server, empty for a database without one."""
        scheme, _, rest = self.tracking_uri.partition("://")
        if scheme not in ("http", "https"):
            return ""
        host, _, path = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}/{path}".rstrip("/") + page

    def _alias(self, alias: str) -> int | None:
        model = _model(self._client, self.name)
        version = model.aliases.get(alias) if model else None
        return None if version is None else int(version)


@contextmanager
def lock(client: mlflow.MlflowClient, name: str, lease_s: float = LEASE_S) -> Iterator[Callable[[], None]]:
    """Hold the one lock of a registered model, over all machines that share the MLflow server.

    MLflow has no compare-and-set, but no two registered models of one name: creating `<name>.promotion-lock` succeeds
    for exactly one, in the database. A lock that stays with the same owner for a lease is taken from it; waiters count
    on their own clocks, so clocks need not agree. Gives a function that raises when the lock is not ours any more: ask
    it right before the write that matters.

    Raises:
        BackendError: the lock could not be had within two leases, or was lost.
    """
    lock_name, owner = f"{name}.promotion-lock", uuid4().hex
    _acquire(client, lock_name, owner, lease_s)
    since = time.monotonic()

    def still_ours() -> None:
        if time.monotonic() - since > lease_s / 2 or _owner(client, lock_name) != owner:
            raise BackendError(
                f"promoting '{name}' took {time.monotonic() - since:.0f} s, and its lock may be somebody else's; "
                "nothing was promoted, start the command again"
            )

    try:
        yield still_ours
    finally:
        if _owner(client, lock_name) == owner:
            client.delete_registered_model(lock_name)


def _acquire(client: mlflow.MlflowClient, lock_name: str, owner: str, lease_s: float) -> None:
    deadline = time.monotonic() + 2 * lease_s
    seen, seen_since = None, time.monotonic()
    while time.monotonic() < deadline:
        try:
            client.create_registered_model(lock_name, tags={"saerl.owner": owner})
            return
        except MlflowException as error:
            if error.error_code != _EXISTS:
                raise
        holder = _owner(client, lock_name)
        if holder == owner:  # an answer got lost, and the client asked twice
            return
        if holder != seen:
            seen, seen_since = holder, time.monotonic()
        elif holder is not None and time.monotonic() - seen_since > lease_s:
            _delete(client, lock_name)
        time.sleep(min(0.5, lease_s / 10))
    raise BackendError(
        f"the lock '{lock_name}' was held by others for {2 * lease_s:.0f} s; start the command again, or delete that "
        "registered model in MLflow where no retraining runs"
    )


def _owner(client: mlflow.MlflowClient, lock_name: str) -> str | None:
    model = _model(client, lock_name)
    return None if model is None else model.tags.get("saerl.owner", "")


def _delete(client: mlflow.MlflowClient, lock_name: str) -> None:
    try:
        client.delete_registered_model(lock_name)
    except MlflowException as error:
        if error.error_code != _ABSENT:
            raise


def _model(client: mlflow.MlflowClient, name: str) -> RegisteredModel | None:
    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == _ABSENT:
            return None
        raise


def _named(version: int | None) -> str:
    return "no champion" if version is None else f"version {version}"


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 4] + " ..."


def _tags(entry: RegisteredPolicy) -> dict[str, str]:
    inputs: Mapping[str, str] = entry.inputs.model_dump() if entry.inputs else {}
    values = {
        "verdict": entry.verdict,
        "reason": _cut(entry.reason),
        "artifact": entry.artifact,
        "policy_id": entry.policy_id,
        "pipeline_run": entry.pipeline_run,
        "pass_at_1": "" if entry.pass_at_1 is None else f"{entry.pass_at_1:.6f}",
        "replaces": "" if entry.replaces is None else str(entry.replaces),
        **{f"hash.{name}": value for name, value in inputs.items()},
        "decided_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return {f"saerl.{name}": value for name, value in values.items() if value}


def _record(version: ModelVersion) -> RegisteredPolicy:
    tags = {k.removeprefix("saerl."): v for k, v in version.tags.items() if k.startswith("saerl.")}
    hashes = {k.removeprefix("hash."): v for k, v in tags.items() if k.startswith("hash.")}
    return RegisteredPolicy(
        version=int(version.version),
        verdict=tags.get("verdict", ""),
        reason=tags.get("reason", ""),
        inputs=Inputs(**hashes) if set(hashes) == set(Inputs.model_fields) else None,
        artifact=tags.get("artifact", ""),
        policy_id=tags.get("policy_id", ""),
        pipeline_run=tags.get("pipeline_run", ""),
        pass_at_1=float(tags["pass_at_1"]) if "pass_at_1" in tags else None,
        replaces=int(tags["replaces"]) if "replaces" in tags else None,
    )
