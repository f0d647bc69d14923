"""Champion and challenger: retrain where something changed, judge, and promote or reject."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zenml.enums import ModelStages
from zenml.models import PipelineRunResponse
from zenml.utils.dashboard_utils import get_run_url

from pipelines import evidence
from pipelines.base import as_command
from pipelines.stages import follow_alias, record_version, set_stage
from pipelines.training import saerl_pipeline
from saerl_core.config.load import load_config
from saerl_core.config.run import RunConfig
from saerl_core.environment import project_root, state_dir
from saerl_core.errors import BackendError, ConfigError
from saerl_core.promotion.changes import Inputs, inputs_of
from saerl_core.promotion.gate import decide
from saerl_core.promotion.records import RegisteredPolicy, Verdict
from saerl_core.promotion.summary import judged, skipped
from saerl_core.rollouts.reward_pool import checked_function
from tracking.registry import CHALLENGER, PROMOTED, OvertakenError, Registry, connect

PASSED, REJECTED, SKIPPED, ROLLED_BACK = "passed", "rejected", "skipped", "rolled back"
EXIT_CODES = {PROMOTED: 0, SKIPPED: 0, REJECTED: 3}
_MAX_ROUNDS = 3  # of comparing with a champion that others replaced meanwhile
logger = logging.getLogger("saerl")


@dataclass(frozen=True)
class Outcome:
    """How a retraining ended: the version that it is about, and the page for a person."""

    kind: str  # promoted, rejected, skipped
    version: int
    reason: str
    page: str


def retrain(path: str | None, *, force: bool = False) -> Outcome:
    """Run the pipeline on the active stack where anything that matters changed, and let the gate decide.

    Raises:
        ConfigError: The configuration trains or evaluates nothing, its reward function cannot be used, or the stack has
            no MLflow tracker.
        BackendError: The pipeline or the registry failed, or another retraining runs on this machine.
    """
    config = load_config(path)
    config = config.model_copy(update={"grading": checked_function(config.grading)})
    _refuse_without_evidence(config)
    with _one_at_a_time(state_dir() / "retrain.lock"):
        registry = connect(config.gate.model_name)
        _finish_interrupted(registry)
        inputs = inputs_of(config, project_root())
        known = _known(registry, inputs)
        if known is not None and not force:
            reason = f"nothing that matters changed since version {known.version} ({known.verdict})"
            return Outcome(SKIPPED, known.version, reason, skipped(registry.name, known))
        run = evidence.finished(as_command(saerl_pipeline).with_options(config_path=path)())
        return _conclude(registry, config, inputs, run, path)


def rollback(model_name: str, to: int | None = None) -> tuple[int | None, int]:
    """Make an earlier champion the champion again; returns the versions before and after.

    Raises:
        ConfigError: There is nothing to go back to, or `to` never was a champion.
    """
    registry = connect(model_name)
    _finish_interrupted(registry)
    current = registry.holder()
    if to is None:
        if current is None or current.replaces is None:
            raise ConfigError(
                f"{_title(registry, current)} replaced no other, so there is nothing to go back to; "
                "name a version with --to (`python -m pipelines champion` lists them)"
            )
        to = current.replaces
    found = {policy.version: policy for policy in registry.versions()}
    target = found.get(to)
    if target is None or target.verdict not in (PROMOTED, ROLLED_BACK):
        good = [v for v, policy in found.items() if policy.verdict in (PROMOTED, ROLLED_BACK)]
        what = "does not exist" if target is None else f"was never promoted ({target.verdict or 'no verdict'})"
        raise ConfigError(f"version {to} of '{model_name}' {what}; choose one of {good}")
    if current is not None and current.version == to:
        raise ConfigError(f"version {to} of '{model_name}' is the champion already; choose another version")

    def mark() -> None:  # before the alias moves: a nightly run must never see the old one as neither champion nor this
        if current is not None:
            reason = f"Rolled back to version {to}. Before that: {current.reason}"
            registry.update(current.model_copy(update={"verdict": ROLLED_BACK, "reason": reason}))
        set_stage(model_name, to, ModelStages.PRODUCTION)

    registry.crown(target, current and current.version, mark)
    return current.version if current else None, to


def _finish_interrupted(registry: Registry) -> None:
    """Let ZenML's stage and the verdict follow the alias, where a command died while it moved it."""
    champion = registry.holder()
    if champion is not None:
        registry.settle(champion)
        follow_alias(registry.name, champion.version)


def _known(registry: Registry, inputs: Inputs) -> RegisteredPolicy | None:
    """Return the version whose verdict a retraining would only repeat.

    The champion, the last rejected candidate, and whatever a person rolled back: a nightly run must not bring it back.
    """
    held = [registry.holder(), registry.holder(CHALLENGER)]
    rolled_back = [policy for policy in registry.versions() if policy.verdict == ROLLED_BACK]
    return next((p for p in [*held, *rolled_back] if p is not None and p.inputs == inputs), None)


def _conclude(
    registry: Registry, config: RunConfig, inputs: Inputs, run: PipelineRunResponse, path: str | None
) -> Outcome:
    """Judge the run's policy, register it, and move an alias; judge again where the champion changed meanwhile."""
    candidate, entry = evidence.candidate_of(run), None
    for _ in range(_MAX_ROUNDS):
        champion = registry.holder()
        theirs = evidence.champion_items(run, champion, path) if champion else None
        verdict = decide(candidate, theirs, config.gate, config.seed)
        if entry is None:
            entry = _register(registry, run, inputs, verdict)
        entry = entry.model_copy(
            update={
                "verdict": PASSED if verdict.passed else REJECTED,
                "reason": verdict.reason,
                "replaces": champion.version if champion else None,
            }
        )
        try:
            entry = _move_alias(registry, entry)
        except OvertakenError as error:
            logger.info("%s", error)
            continue
        page = judged(registry.name, entry, champion, verdict, _why(inputs, champion), _links(registry, run, entry))
        return Outcome(entry.verdict, entry.version, entry.reason, page)
    raise BackendError(
        f"the champion of '{registry.name}' changed {_MAX_ROUNDS} times while this candidate was judged; start the "
        "command again when the other retrainings have ended, everything that was computed is in ZenML's cache"
    )


def _register(registry: Registry, run: PipelineRunResponse, inputs: Inputs, verdict: Verdict) -> RegisteredPolicy:
    trained = evidence.output(run, "train_policy", "trained_policy")
    entry = RegisteredPolicy(
        version=0,
        verdict=PASSED if verdict.passed else REJECTED,
        reason=verdict.reason,
        inputs=inputs,
        artifact=str(trained.id),
        policy_id=str(trained.run_metadata.get("policy_id", "")),
        pipeline_run=run.name,
        pass_at_1=verdict.pass_at_1,
    )
    remote = "://" in trained.uri
    entry = registry.register(trained.uri if remote else Path(trained.uri), evidence.mlflow_run_id(run), entry)
    record_version(registry.name, entry.version, entry.artifact, entry.reason)
    return entry


def _move_alias(registry: Registry, entry: RegisteredPolicy) -> RegisteredPolicy:
    if entry.verdict == PASSED:
        registry.crown(entry, entry.replaces, lambda: set_stage(registry.name, entry.version, ModelStages.PRODUCTION))
        return entry.model_copy(update={"verdict": PROMOTED})
    registry.challenge(entry)
    set_stage(registry.name, entry.version, ModelStages.STAGING)
    return entry


def _why(inputs: Inputs, champion: RegisteredPolicy | None) -> tuple[str, ...]:
    return inputs.changes(champion.inputs) if champion and champion.inputs else ()


def _links(registry: Registry, run: PipelineRunResponse, entry: RegisteredPolicy) -> dict[str, str]:
    page = registry.link(f"/#/models/{registry.name}/versions/{entry.version}")
    return {
        "MLflow run": registry.run_link(evidence.mlflow_run_id(run)),
        "model version": page or f"{registry.name} version {entry.version}",
        "ZenML run": get_run_url(run) or run.name,
    }


def _title(registry: Registry, champion: RegisteredPolicy | None) -> str:
    return f"the champion of '{registry.name}'" + (f", version {champion.version}," if champion else "")


def _refuse_without_evidence(config: RunConfig) -> None:
    for section in ("training", "evaluation"):
        if not getattr(config, section).enabled:
            raise ConfigError(
                f"{section}.enabled is false, and without {section} there is no candidate to judge; set it to true, or "
                "use `python -m pipelines run`"
            )


@contextmanager
def _one_at_a_time(file: Path) -> Iterator[None]:
    """Hold a lock of this machine: two trainings of one plan would share their folder. It ends with the process."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            raise BackendError(
                f"another retraining runs here (process {stream.read().strip() or 'unknown'}, lock {file.name}); "
                "wait for it, or give this one a state folder of its own in SAERL_HOME"
            ) from error
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield
