"""What is tried on dev for the rivals: as many settings each as `adaptive` had, four, or as many as a strategy has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.microcosm.arms import ARMS, POOLS, BenchmarkArm, Recipe
from benchmarks.microcosm.run import Wanted, with_settings

DEV_SEED = 0  # of training and of the base policy, as in what was tried for `adaptive`


@dataclass(frozen=True)
class Setting:
    """One setting of an arm. `label`: what dev.jsonl calls it, behind the name of the arm."""

    label: str
    recipe: Recipe = "frugal"
    batch: int = 32
    strategy: Mapping[str, Any] = field(default_factory=dict)


_SIZES = (Setting("32"), Setting("64", batch=64), Setting("32x8", recipe="standard"))
_KEPT = (
    *_SIZES[:2],
    Setting("keep.25", strategy={"keep_frac": 0.25}),
    Setting("keep.75", strategy={"keep_frac": 0.75}),
)
TRIED: Mapping[str, Sequence[Setting]] = {
    "mopps": (
        *_SIZES[:2],
        Setting("half-life-5000", strategy={"half_life_rollouts": 5_000.0}),
        Setting("half-life-60000", strategy={"half_life_rollouts": 60_000.0}),
    ),
    "skip_solved": (
        *_SIZES[:2],
        Setting("explore.25", strategy={"explore": 0.25}),
        Setting("explore.1", strategy={"explore": 0.1}),
    ),
    "bandit": _SIZES,
    "learnability": _KEPT,
    "pass_rate_band": (
        *_SIZES[:2],
        Setting("band.3-.7", strategy={"low": 0.3, "high": 0.7}),
        Setting("band.1-.9", strategy={"low": 0.1, "high": 0.9}),
    ),
    "irds": _KEPT,
    "prepo": _SIZES,
    "gain": _SIZES,
    "difficulty": _SIZES,
    "vanilla_dynamic": _SIZES,
    "vanilla_pilot": _SIZES,
}


def tuning() -> list[Wanted]:
    """Return all trials of the tuning: arm by arm, both pools of a setting together."""
    return [
        Wanted(pool, DEV_SEED % 2, _tried(name, setting), setting.recipe, DEV_SEED)
        for name, settings in TRIED.items()
        for setting in settings
        for pool in POOLS
    ]


def _tried(name: str, setting: Setting) -> BenchmarkArm:
    arm = with_settings(ARMS[name], setting.batch, dict(setting.strategy))
    return replace(arm, name=f"{name}-{setting.label}")
