"""Whether the plan that came out is what the name of its strategy says; where not, one sentence a difference."""

from collections.abc import Iterator

from saerl_core.config.plan import PlanConfig
from saerl_core.plan.strategies.learnability import LearnabilitySettings
from saerl_core.plan.strategies.saerl import SaerlSettings
from saerl_core.plans import BatchPlan, FixedPlan

_DEAD = 0.01  # p (1 - p) below which nearly every group of any usual size has equal rewards
_LOW_COHERENCE = 0.1  # below what mixing alone leaves of a batch of one cluster


def naming_notes(plan: BatchPlan, config: PlanConfig) -> tuple[str, ...]:
    """Return what a reader of the strategy's name must know about this plan; nothing for a plan made online."""
    if not isinstance(plan, FixedPlan):
        return ()
    strategy = config.strategy
    if isinstance(strategy, SaerlSettings) and strategy.use_clusters and strategy.grouping == "cluster":
        return tuple(_batches_of_one_cluster(plan, strategy))
    if isinstance(strategy, LearnabilitySettings):
        return tuple(_nothing_to_learn(plan))
    return ()


def _nothing_to_learn(plan: FixedPlan) -> Iterator[str]:
    """Yield the note about a plan whose best prompts are expected to teach nothing."""
    rates = 1.0 - plan.table["difficulty"]
    worth = rates * (1.0 - rates)
    if float(worth.max()) < _DEAD:
        yield (
            "no planned prompt is expected to teach: all predicted pass rates lie between "
            f"{float(rates.min()):.2f} and {float(rates.max()):.2f}, with p (1 - p) below {_DEAD}; give pass rates of "
            "the policy that is trained, or prompts that it solves sometimes"
        )


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
