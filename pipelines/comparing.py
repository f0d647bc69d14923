"""The pipeline of a comparison: signals once, trials many, one answer."""

from typing import Any

from pipelines.base import as_saerl_pipeline
from pipelines.parts import signals
from pipelines.placement import trial_steps
from saerl_core.config.run import RunConfig
from saerl_core.trials.arms import resolve_arms
from steps.collect_trials import collect_trials
from steps.compare_trials import compare_trials
from steps.prepare_trials import prepare_trials
from steps.run_trial import run_trial
from steps.run_trials import run_trials


@as_saerl_pipeline(name="compare")
def compare_pipeline(config: RunConfig) -> None:
    """Train arms and seeds with an equal budget of rollouts and say what each of them bought."""
    c = config
    resolve_arms(c, c.compare)  # a wrong arm is refused before anything is computed
    s = signals(c)
    held_out = s.test if c.compare.split == "test" else s.dev
    folders = prepare_trials(
        s.prompts, held_out, s.quality, s.clusters, s.difficulty, s.features, s.controls, s.policy, s.sae, c,
        s.pass_rates, s.pass_rates_report,
    )  # fmt: skip
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
