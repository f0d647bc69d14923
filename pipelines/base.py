"""A ZenML pipeline that takes our configuration flat and refuses a wrong one before any work starts."""

import logging
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import click
from zenml.client import Client
from zenml.enums import ExecutionMode, ExecutionStatus
from zenml.models import PipelineRunResponse
from zenml.pipelines.pipeline_definition import Pipeline

from pipelines.interrupts import mark_killed_runs, told_when_stopped
from pipelines.look import strategy_told
from pipelines.placement import (
    check_environments,
    copied_steps,
    missing_variables,
    replaced_steps,
    settings_of_copies,
    shards_told,
    step_operators,
)
from pipelines.setup import use_running_servers
from saerl_core.config.load import overridden, validate
from saerl_core.config.run import RunConfig
from saerl_core.environment import state_dir
from saerl_core.errors import BackendError, ConfigError, SaerlError
from saerl_core.hub import allow_hub
from saerl_core.policy.named import check_models
from saerl_core.rollouts.reward_pool import checked_function
from saerl_core.stages import CONTROL_STAGES

logger = logging.getLogger("saerl")
_CONTROL_FAILED = (
    " (only the control failed: the policy is trained and evaluated; with control: none its report is written from the "
    "cache)"
)


class SaerlPipeline(Pipeline):
    """A pipeline whose parameters are the sections of `RunConfig` and whose run is named after strategy and seed."""

    overrides: Mapping[str, object] = {}  # settings of a command line, by dotted path; they win over the run file
    _read: RunConfig | None = None  # the configuration of the newest call
    _our_name: str | None = None  # ZenML keeps a run's name on the pipeline: the next call must not inherit it

    def _apply_config_parameters(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Merge file and call parameters as ZenML does, then validate them as one `RunConfig`.

        The hash of a user's reward function becomes part of it, and so of the cache keys of all steps that grade.
        """
        parameters = super()._apply_config_parameters(kwargs)
        given = parameters.pop("config", None)
        if isinstance(given, RunConfig):
            parameters = {**given.model_dump(mode="json", exclude_unset=True), **parameters}
        config = validate(overridden(parameters, self.overrides))
        config = config.model_copy(update={"grading": checked_function(config.grading)})
        check_models(config)
        allow_hub(config)
        self._read = config
        seed = config.seed if config.training.seed is None else config.training.seed
        if self._run_args.get("run_name") in (None, self._our_name):
            about = self.name if self.name == "compare" else f"{config.plan.strategy.name}-s{seed}"
            self._our_name = f"{about}-{{date}}-{{time}}"
            self._run_args["run_name"] = self._our_name
        return {"config": config}

    def _compile(self, config_path: str | None = None, **run_configuration_args: Any) -> Any:
        """Compile as ZenML does, with the steps that ask for a GPU on the stack's step operator where it needs one."""
        missing = missing_variables(config_path)
        if missing:
            raise ConfigError(f"{config_path} needs {', '.join(missing)}: set them in the environment")
        config = self._read or RunConfig()
        compares = self.name == "compare"
        for sentence in [*strategy_told(config), *shards_told(config, config_path, compares=compares)]:
            logger.info(sentence)
        copies, replaced = copied_steps(config, compares=compares), replaced_steps(config)
        check_environments(config, config_path)
        operators = step_operators(Client().active_stack, config_path)
        steps: dict[str, dict[str, Any]] = settings_of_copies(config_path, copies)
        for name, operator in operators.items():
            called = [] if name in replaced else [name]
            for copy in (*called, *(copy for copy, of in copies.items() if of == name)):
                steps.setdefault(copy, {})["step_operator"] = operator
        if steps:
            run_configuration_args["steps"] = steps
        return super()._compile(config_path, **run_configuration_args)

    def __call__(self, *args: Any, **kwargs: Any) -> PipelineRunResponse | None:
        """Run the pipeline.

        Raises:
            ConfigError: If the configuration cannot work, the active stack has no experiment tracker, its server does
                not answer, or it cannot give a step the GPU that the run file asks for.
            BackendError: If a step failed; the text is the failing step's own sentence.
        """
        use_running_servers()
        stack = Client().active_stack
        if stack.experiment_tracker is None:
            raise ConfigError(
                f"the active ZenML stack '{stack.name}' has no experiment tracker, and every run is tracked with "
                "MLflow; run `make setup` to register the local stack 'saerl', or add an MLflow tracker to yours"
            )
        before = _newest_run()
        try:
            return super().__call__(*args, **kwargs)
        except RuntimeError as error:
            raise _failure(before) or _without_its_reason(error) or error from error


class CommandPipeline(SaerlPipeline):
    """The pipeline as a command: an expected error is one line on stderr and exit code 1, not a traceback."""

    def __call__(self, *args: Any, **kwargs: Any) -> PipelineRunResponse | None:
        """Run the pipeline; errors of saerl end the command, and so does who stops it."""
        try:
            mark_killed_runs()
            with told_when_stopped():
                return super().__call__(*args, **kwargs)
        except SaerlError as error:
            raise click.ClickException(str(error)) from error


def as_saerl_pipeline(name: str) -> Callable[[Callable[..., Any]], SaerlPipeline]:
    """Decorate a pipeline function that takes one argument `config: RunConfig`."""

    def decorate(function: Callable[..., Any]) -> SaerlPipeline:
        return SaerlPipeline(name=name, entrypoint=function, execution_mode=ExecutionMode.STOP_ON_FAILURE)

    return decorate


def as_command(pipeline: SaerlPipeline, overrides: Mapping[str, object] | None = None) -> CommandPipeline:
    """Return the pipeline for a command line; `overrides` are its settings, by dotted path."""
    logging.getLogger("zenml.orchestrators.local.local_orchestrator").addFilter(_no_traceback)
    logging.getLogger("zenml.pipelines.pipeline_definition").addFilter(_no_bad_advice)
    mode = pipeline.configuration.execution_mode
    command = CommandPipeline(name=pipeline.name, entrypoint=pipeline.entrypoint, execution_mode=mode)
    command.overrides = overrides or {}
    return command


def _no_traceback(record: logging.LogRecord) -> bool:
    """Keep a failed step's log record, but not the traceback of an error that saerl raised on purpose."""
    if record.exc_info and isinstance(record.exc_info[1], SaerlError):
        record.exc_info = None
    return True


def _no_bad_advice(record: logging.LogRecord) -> bool:
    """Drop ZenML's advice that would make every later command need a server (docs/servers.md says what to do)."""
    return "zenml login --local" not in record.getMessage()


def _newest_run() -> PipelineRunResponse | None:
    runs = Client().list_pipeline_runs(sort_by="desc:created", size=1).items
    return runs[0] if runs else None


def _without_its_reason(error: RuntimeError) -> BackendError | None:
    """Return a sentence where ZenML names a failed step and has nothing of why: its store could not take it."""
    _, is_of_zenml, steps = str(error).partition("due to failure in step(s): ")
    if not is_of_zenml:
        return None
    free = shutil.disk_usage(state_dir()).free / 1e6
    return BackendError(
        f"step {steps} failed, and its error could not be kept with the run; the disk of {state_dir().absolute()} has "
        f"{free:,.0f} MB left: free some where that is little, and start the same command again, which goes on with "
        "what was finished"
    )


def _failure(before: PipelineRunResponse | None) -> BackendError | None:
    """Return the failing step's last sentence; ZenML's own error only names the step."""
    run = _newest_run()
    if run is None or (before is not None and run.id == before.id):
        return None
    for name, step in run.steps.items():
        if step.status == ExecutionStatus.FAILED and step.exception_info:
            last = step.exception_info.traceback.strip().splitlines()[-1]
            sentence = last.split(": ", 1)[-1] if last.startswith("saerl_core.errors.") else last
            kept = _CONTROL_FAILED if name in CONTROL_STAGES else ""
            return BackendError(f"step {name} failed: {sentence}{kept}")
    return None
