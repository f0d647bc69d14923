"""A plan on disk: parquet, JSON, an array for an online one; nothing is pickled, and an edited file is refused."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from saerl_core.config.run import StrategyField
from saerl_core.disk import read_array
from saerl_core.errors import DataError
from saerl_core.plan.hashing import online_hash, plan_hash
from saerl_core.plan.strategies.lookup import find
from saerl_core.plans import BatchPlan, FixedPlan, OnlinePlan
from saerl_core.tables import DECISIONS, PLAN

_TABLE, _DECISIONS, _CARD = "plan.parquet", "decisions.parquet", "plan.json"
_CANDIDATES, _VECTORS = "candidates.parquet", "vectors.npy"  # of an online plan


class _Card(BaseModel):
    """What plan.json holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: str
    seed: int
    prompts_per_step: int
    plan_hash: str
    sha256: dict[str, str]  # of the other files
    settings: StrategyField | None = None  # of an online plan
    n_steps: int | None = None
    notes: tuple[str, ...] = ()


def save_plan(plan: BatchPlan, folder: Path | str) -> None:
    """Write the plan into a folder, which is made where it is missing; `DataError` when it cannot be written."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        plan.table.to_parquet(folder / _TABLE, index=False)
        plan.decisions.to_parquet(folder / _DECISIONS, index=False)
        files = [_TABLE, _DECISIONS, *(_save_online(plan, folder) if isinstance(plan, OnlinePlan) else [])]
        card = _Card(
            strategy=plan.strategy,
            seed=plan.seed,
            prompts_per_step=plan.prompts_per_step,
            plan_hash=plan.plan_hash,
            sha256={name: _sha256(folder / name) for name in files},
            settings=plan.settings if isinstance(plan, OnlinePlan) else None,
            n_steps=plan.n_steps if isinstance(plan, OnlinePlan) else None,
            notes=plan.notes,
        )
        (folder / _CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"the plan could not be saved in {folder}: {error}; free some space or change the folder"
        ) from error


def load_plan(folder: Path | str) -> BatchPlan:
    """Read a plan that `save_plan` wrote; `DataError` when a file is missing, damaged or was edited."""
    folder = Path(folder)
    try:
        card = _read_card(folder)
        found = {name: _sha256(folder / name) for name in {_TABLE, _DECISIONS, *card.sha256}}
    except (OSError, ValueError, KeyError) as error:  # a ValidationError is a ValueError
        raise DataError(f"folder {folder} holds no readable plan: {error}; plan again") from error
    for name, digest in found.items():
        if digest != card.sha256.get(name):
            raise DataError(f"{folder / name} was changed after the plan was saved: its sha256 is {digest}; plan again")
    table = PLAN.check(pd.read_parquet(folder / _TABLE))
    decisions = DECISIONS.check(pd.read_parquet(folder / _DECISIONS))
    plan = _plan(card, table, decisions, folder)
    if plan.plan_hash != card.plan_hash:
        what = "table" if isinstance(plan, FixedPlan) else "rest of it"
        raise DataError(f"{folder / _CARD} names plan {card.plan_hash}, but the {what} is {plan.plan_hash}; plan again")
    return plan


def _read_card(folder: Path) -> _Card:
    content = json.loads((folder / _CARD).read_text(encoding="utf-8"))
    if isinstance(content, dict) and content.get("settings") is not None:
        find(str(content["strategy"]))  # its package may be gone: that is one sentence, not a list of wrong fields
    return _Card.model_validate(content)


def _save_online(plan: OnlinePlan, folder: Path) -> list[str]:
    plan.candidates.to_parquet(folder / _CANDIDATES, index=False)
    np.save(folder / _VECTORS, plan.vectors, allow_pickle=False)
    return [_CANDIDATES, _VECTORS]


def _plan(card: _Card, table: pd.DataFrame, decisions: pd.DataFrame, folder: Path) -> BatchPlan:
    """Return the plan with the hash of what was read."""
    if card.settings is None or card.n_steps is None:
        digest = plan_hash(table)
        return FixedPlan(table, decisions, card.strategy, card.seed, card.prompts_per_step, digest, card.notes)
    candidates = pd.read_parquet(folder / _CANDIDATES)
    vectors = read_array(folder / _VECTORS)
    sizes = {"seed": card.seed, "prompts_per_step": card.prompts_per_step, "n_steps": card.n_steps}
    digest = online_hash(candidates, vectors, card.settings, **sizes)
    return OnlinePlan(
        table,
        decisions,
        candidates,
        vectors,
        card.settings,
        card.seed,
        card.prompts_per_step,
        card.n_steps,
        digest,
        card.notes,
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
