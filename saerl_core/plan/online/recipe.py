"""From signals to the recipe of an online curriculum, from a plan to its curriculum, from training to its order."""

import hashlib

import numpy as np
import pandas as pd

from saerl_core.config import PlanConfig
from saerl_core.errors import DataError
from saerl_core.plan.online.adaptive import AdaptiveChooser
from saerl_core.plan.online.bandit import ClusterBandit
from saerl_core.plan.online.choosers import Chooser
from saerl_core.plan.online.curriculum import OnlineCurriculum
from saerl_core.plan.online.mopps import BetaChooser
from saerl_core.plan.online.pass_rates import Beliefs, PassRateModel
from saerl_core.plan.static import StaticCurriculum
from saerl_core.records import BatchPlan, OnlineRecipe, PromptVectors

ONLINE = ("adaptive", "mopps", "bandit")
_TARGET = 0.5  # mopps: the pass rate with the largest spread of rewards
_BANDIT_RATE, _BANDIT_TEMPERATURE = 0.3, 0.1


def make_recipe(candidates: pd.DataFrame, vectors: PromptVectors | None, config: PlanConfig) -> OnlineRecipe:
    """Return the recipe for candidates with the columns of `PlanInputs.joined`.

    Raises `DataError` when strategy `adaptive` gets no vectors, or none for a candidate.
    """
    ids = [str(p) for p in candidates["prompt_id"]]
    rows = np.zeros((len(ids), 0))
    if config.strategy == "adaptive":
        if vectors is None:
            raise DataError(
                "strategy 'adaptive' needs the vectors of the prompts; run embed_prompts before plan_batches"
            )
        where = {p: i for i, p in enumerate(vectors.prompt_ids)}
        missing = next((p for p in ids if p not in where), None)
        if missing is not None:
            raise DataError(f"prompt {missing} has no vector; embed the whole pool")
        rows = np.asarray(vectors.matrix, dtype=np.float64)[[where[p] for p in ids]]
    n_steps = config.n_steps or len(ids) // config.prompts_per_step
    return OnlineRecipe(tuple(ids), rows, candidates["cluster_id"].to_numpy(dtype=np.int64), config, n_steps)


def recipe_hash(recipe: OnlineRecipe, seed: int) -> str:
    """Return a sha256 over everything that decides what the curriculum does, the rewards apart."""
    digest = hashlib.sha256()
    for text in (*recipe.prompt_ids, recipe.config.model_dump_json(), str(recipe.n_steps), str(seed)):
        digest.update(text.encode() + b"\0")
    digest.update(np.ascontiguousarray(recipe.vectors, dtype="<f8").tobytes())
    digest.update(np.ascontiguousarray(recipe.clusters, dtype="<i8").tobytes())
    return digest.hexdigest()


def make_curriculum(plan: BatchPlan) -> StaticCurriculum | OnlineCurriculum:
    """Return the curriculum of a plan: its batches, or what its recipe makes of the rewards."""
    recipe = plan.recipe
    if recipe is None:
        return StaticCurriculum(plan)
    return OnlineCurriculum(
        _chooser(recipe),
        recipe.prompt_ids,
        recipe_hash=plan.plan_hash,
        prompts_per_step=plan.prompts_per_step,
        n_steps=recipe.n_steps,
        cooldown_steps=recipe.config.online.cooldown_steps,
        seed=plan.seed,
    )


def _chooser(recipe: OnlineRecipe) -> Chooser:
    config = recipe.config.online
    if recipe.config.strategy == "mopps":
        return BetaChooser(len(recipe.prompt_ids), kept=config.memory_kept, target=_TARGET)
    if recipe.config.strategy == "bandit":
        return ClusterBandit(recipe.clusters, rate=_BANDIT_RATE, temperature=_BANDIT_TEMPERATURE)
    beliefs = Beliefs(config.ridge, config.forgetting, config.noise, config.memory_weight, config.memory_kept)
    model = PassRateModel(recipe.vectors, beliefs)
    return AdaptiveChooser(
        model, warmup_steps=config.warmup_steps, explore_frac=config.explore_frac, thompson=config.noise > 0
    )
