"""The code that makes a strategy's plan, without that of the other strategies."""

from collections.abc import Mapping
from pathlib import Path

from saerl_core.code import CORE, code_hash, imported
from saerl_core.plan.online.adaptive import AdaptiveChooser
from saerl_core.plan.online.bandit import ClusterBandit
from saerl_core.plan.online.mopps import BetaChooser
from saerl_core.plan.strategies import STRATEGIES

_ROOM = "saerl_core.plan"
MODULES: Mapping[str, str] = {
    **{name: order.__module__ for name, order in STRATEGIES.items()},
    "adaptive": AdaptiveChooser.__module__,
    "mopps": BetaChooser.__module__,
    "bandit": ClusterBandit.__module__,
}
_TABLES = {f"{_ROOM}.strategies", f"{_ROOM}.code"}  # they name every strategy, and decide nothing


def strategy_files(name: str, root: Path = CORE) -> list[Path]:
    """Return the files of the plan room that a strategy's plan and curriculum depend on."""
    starts = (f"{_ROOM}.build", f"{_ROOM}.online.recipe", MODULES[name])
    others = set(MODULES.values()) - {MODULES[name]}
    return imported(starts, within=_ROOM, without=others | _TABLES, root=root)


def strategy_code(name: str, root: Path = CORE) -> str:
    """Return a hash over the code of a strategy: another strategy's file changes nothing."""
    return code_hash(strategy_files(name, root), root)
