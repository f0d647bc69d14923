"""From a plan to the curriculum that hands it out."""

from saerl_core.errors import DataError
from saerl_core.plan.blame import blamed
from saerl_core.plan.fixed_curriculum import FixedCurriculum
from saerl_core.plan.online_curriculum import OnlineCurriculum
from saerl_core.plan.strategies.base import Candidates, OnlineSettings, OnlineStrategy
from saerl_core.plan.strategies.lookup import find
from saerl_core.plans import BatchPlan, FixedPlan


def make_curriculum(plan: BatchPlan) -> FixedCurriculum | OnlineCurriculum:
    """Return the curriculum of a plan: its batches, or what its strategy makes of the rewards.

    Raises `ConfigError` when the strategy of an online plan is not installed any more, `DataError` when it is not an
    online strategy any more.
    """
    if isinstance(plan, FixedPlan):
        return FixedCurriculum(plan)
    row, settings = find(plan.strategy), plan.settings
    if not isinstance(row, OnlineStrategy) or not isinstance(settings, OnlineSettings):
        raise DataError(
            f"the plan was made by an online strategy, but '{plan.strategy}' is a static one now; plan again"
        )
    with blamed(plan.strategy, "at its start"):
        chooser = row.chooser(Candidates(plan.candidates, plan.vectors, plan.prompts_per_step), settings)
    return OnlineCurriculum(
        chooser,
        tuple(str(p) for p in plan.candidates["prompt_id"]),
        strategy=plan.strategy,
        plan_hash=plan.plan_hash,
        prompts_per_step=plan.prompts_per_step,
        n_steps=plan.n_steps,
        settings=settings,
        seed=plan.seed,
    )
