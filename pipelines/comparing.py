"""The pipeline of a comparison: signals once, trials many, one answer."""

import logging
from typing import Any

from pipelines.base import as_saerl_pipeline
from pipelines.parts import other_signals, own_signals, signals
from pipelines.placement import trial_steps
from saerl_core.config.run import RunConfig
from saerl_core.trials.arms import other_readings
from saerl_core.trials.unread import unread_settings
from steps.collect_trials import collect_trials
from steps.compare_trials import compare_trials
from steps.prepare_trials import prepare_trials
from steps.run_trial import run_trial
from steps.run_trials import run_trials

logger = logging.getLogger("saerl")


@as_saerl_pipeline(name="compare")
def compare_pipeline(config: RunConfig) -> None:
    """Train arms and seeds with an equal budget of rollouts and say what each of them bought."""
    for sentence in unread_settings(config):
        logger.info("note: %s", sentence)
    unread = config.evaluation.model_copy(update={"enabled": False})  # no benchmark is loaded that nobody is scored on
    c = config.model_copy(update={"evaluation": unread})
    readings = other_readings(c, c.compare)
    s = signals(c, compares=True)
    pools = [own_signals(s), *other_signals(c, s, readings)]
    held_out = s.test if c.compare.split == "test" else s.dev
    *lists, likelihoods = (list(artifacts) for artifacts in zip(*pools, strict=True))  # one a field of PoolSignals
    read = {} if s.likelihoods is None else {"likelihoods": likelihoods}
    folders = prepare_trials(s.prompts, held_out, s.policy, *lists, c, s.pass_rates_report, **read)
    if c.compare.place == "workers":
        tables = run_trials(folders, c.compare.workers, c.torch_threads)
    else:
        tables = _as_steps(c, folders)
    compare_trials(*tables, c.compare)


def _as_steps(c: RunConfig, folders: Any) -> Any:
    """Call one step a trial, none of which waits for another, and gather what they left."""
    names = trial_steps(c)
    for name, (arm, seed) in names.items():
        run_trial(folders, arm, seed, c.torch_threads, id=name)
    return collect_trials(folders, after=list(names))
