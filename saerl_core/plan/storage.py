"""A plan on disk: parquet, JSON, an array for a recipe; nothing is pickled, and an edited file is refused."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from saerl_core.config import PlanConfig
from saerl_core.errors import DataError
from saerl_core.plan.hashing import plan_hash
from saerl_core.plan.online.recipe import recipe_hash
from saerl_core.records import BatchPlan, OnlineRecipe
from saerl_core.tables import DECISIONS, PLAN

_TABLE, _DECISIONS, _CARD = "plan.parquet", "decisions.parquet", "plan.json"
_CANDIDATES, _VECTORS = "candidates.parquet", "vectors.npy"  # of a recipe


class _Card(BaseModel):
    """What plan.json holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: str
    seed: int
    prompts_per_step: int
    plan_hash: str
    sha256: dict[str, str]  # of the other files
    online: PlanConfig | None = None  # the settings of a recipe
    n_steps: int | None = None


def save_plan(plan: BatchPlan, folder: Path) -> None:
    """Write the plan into a folder, which is made where it is missing; `DataError` when it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        plan.table.to_parquet(folder / _TABLE, index=False)
        plan.decisions.to_parquet(folder / _DECISIONS, index=False)
        files = [_TABLE, _DECISIONS, *_save_recipe(plan.recipe, folder)]
        card = _Card(
            strategy=plan.strategy,
            seed=plan.seed,
            prompts_per_step=plan.prompts_per_step,
            plan_hash=plan.plan_hash,
            sha256={name: _sha256(folder / name) for name in files},
            online=plan.recipe.config if plan.recipe else None,
            n_steps=plan.recipe.n_steps if plan.recipe else None,
        )
        (folder / _CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"the plan could not be saved in {folder}: {error}; free some space or change the folder"
        ) from error


def load_plan(folder: Path) -> BatchPlan:
    """Read a plan that `save_plan` wrote; `DataError` when a file is missing, damaged or was edited."""
    try:
        card = _Card.model_validate(json.loads((folder / _CARD).read_text(encoding="utf-8")))
        found = {name: _sha256(folder / name) for name in {_TABLE, _DECISIONS, *card.sha256}}
    except (OSError, ValueError, ValidationError) as error:
        raise DataError(f"folder {folder} holds no readable plan: {error}; plan again") from error
    for name, digest in found.items():
        if digest != card.sha256.get(name):
            raise DataError(f"{folder / name} was changed after the plan was saved: its sha256 is {digest}; plan again")
    table = PLAN.check(pd.read_parquet(folder / _TABLE))
    decisions = DECISIONS.check(pd.read_parquet(folder / _DECISIONS))
    recipe = _load_recipe(card, folder)
    digest = plan_hash(table) if recipe is None else recipe_hash(recipe, card.seed)
    if digest != card.plan_hash:
        what = "table" if recipe is None else "recipe"
        raise DataError(f"{folder / _CARD} names plan {card.plan_hash}, but the {what} is {digest}; plan again")
    return BatchPlan(table, decisions, card.strategy, card.seed, card.prompts_per_step, card.plan_hash, recipe)


def _save_recipe(recipe: OnlineRecipe | None, folder: Path) -> list[str]:
    if recipe is None:
        return []
    pd.DataFrame({"prompt_id": recipe.prompt_ids, "cluster_id": recipe.clusters}).to_parquet(
        folder / _CANDIDATES, index=False
    )
    np.save(folder / _VECTORS, recipe.vectors, allow_pickle=False)
    return [_CANDIDATES, _VECTORS]


def _load_recipe(card: _Card, folder: Path) -> OnlineRecipe | None:
    if card.online is None or card.n_steps is None:
        return None
    candidates = pd.read_parquet(folder / _CANDIDATES)
    ids = tuple(str(p) for p in candidates["prompt_id"])
    vectors = np.load(folder / _VECTORS, allow_pickle=False)
    return OnlineRecipe(ids, vectors, candidates["cluster_id"].to_numpy(dtype=np.int64), card.online, card.n_steps)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
