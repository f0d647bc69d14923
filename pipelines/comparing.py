"""The pipeline of a comparison: signals once, trials many, one answer."""

from pipelines.base import as_saerl_pipeline
from pipelines.parts import signals
from saerl_core.config.run import RunConfig
from saerl_core.trials.arms import resolve_arms
from steps.compare_trials import compare_trials
from steps.run_trials import run_trials


@as_saerl_pipeline(name="compare")
def compare_pipeline(config: RunConfig) -> None:
    """Train arms and seeds with an equal budget of rollouts and say what each of them bought."""
    c = config
    resolve_arms(c, c.compare)  # a wrong arm is refused before anything is computed
    s = signals(c)
    held_out = s.test if c.compare.split == "test" else s.dev
    curves, items, failures = run_trials(
        s.prompts,
        held_out,
        s.quality,
        s.clusters,
        s.difficulty,
        s.features,
        s.controls,
        s.policy,
        s.sae,
        c,
        s.pass_rates,
        s.pass_rates_report,
    )
    compare_trials(curves, items, failures, c.compare)
