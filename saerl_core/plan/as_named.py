"""Whether the plan that came out is what the name of its strategy says; where not, one sentence a difference."""

from collections.abc import Iterator

from saerl_core.config.plan import PlanConfig
from saerl_core.plan.strategies.saerl import SaerlSettings
from saerl_core.plans import BatchPlan, FixedPlan

_LOW_COHERENCE = 0.1  # below what mixing alone leaves of a batch of one cluster


def naming_notes(plan: BatchPlan, config: PlanConfig) -> tuple[str, ...]:
    """Return what a reader of the strategy's name must know about this plan; nothing for a plan made online."""
    if not isinstance(plan, FixedPlan):
        return ()
    strategy = config.strategy
    if isinstance(strategy, SaerlSettings) and strategy.use_clusters and strategy.grouping == "cluster":
        return tuple(_batches_of_one_cluster(plan, strategy))
    return ()


def _batches_of_one_cluster(plan: FixedPlan, strategy: SaerlSettings) -> Iterator[str]:
    """Yield the note about batches that hold several clusters, where the paper's plan takes each from one."""
    counts = plan.table.groupby(["step", "cluster_id"]).size()
    shares = counts.groupby("step").max() / plan.prompts_per_step
    expected = 1.0 - strategy.mix_frac - _LOW_COHERENCE
    whole = float((shares >= expected).mean())
    if float(shares.mean()) >= expected:
        return
    what = "no batch comes" if whole == 0.0 else f"only {whole:.0%} of the batches come"
    yield (
        f"this is not the paper's plan: {what} from one cluster (the largest has {float(shares.mean()):.0%} of a "
        f"batch on average), because the clusters are small beside plan.prompts_per_step = {plan.prompts_per_step}; "
        "lower it or clusters.n_clusters, or take plan.strategy 'difficulty', which says what happens"
    )
