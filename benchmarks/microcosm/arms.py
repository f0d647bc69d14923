"""The arms, the pools and the recipes of the benchmark: what `protocol.md` fixes, as tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from saerl_core.config.run import PromptsConfig, RunConfig, TaskWorldConfig
from saerl_core.config.signals import Space

Recipe = Literal["standard", "frugal"]

BUDGET_ROLLOUTS, EVERY_ROLLOUTS, N_SAMPLES = 20_480, 1024, 4
POOLS: Mapping[str, TaskWorldConfig] = {
    name: TaskWorldConfig(n_train=4500, n_dev=480, n_test=480, bad_frac=bad, level_weights=weights)
    for name, bad, weights in (
        ("mixed", 0.33, (0.8, 0.9, 1.0, 1.1, 1.2)),
        ("hard", 0.4, (0.02, 0.05, 0.13, 0.3, 0.5)),
    )
}
BASES = (0, 1)  # seeds of the base policy and of its SAE; the pool is that of seed 0
TEST_SEEDS = range(1000, 1005)  # of training, the same for both bases


@dataclass(frozen=True)
class BenchmarkArm:
    """A strategy with what differs from its defaults. `batch`: prompts a step of the frugal recipe, chosen on dev."""

    name: str
    strategy: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    batch: Mapping[str, int] = field(default_factory=lambda: {"mixed": 32, "hard": 32})
    recipe: Mapping[str, Recipe] = field(default_factory=lambda: {"mixed": "frugal", "hard": "frugal"})
    is_main: bool = False
    space: Space = "sae"  # of quality, clusters and difficulty
    is_transferred: bool = False  # the prompts are read by the model and the SAE of the other base

    @property
    def is_oracle(self) -> bool:
        """Tell whether the arm may know the truth."""
        return str(self.strategy["name"]).startswith("oracle_")

    def sizes(self, recipe: Recipe, pool: str) -> tuple[int, int]:
        """Return prompts a step and rollouts a prompt."""
        return (32, 8) if recipe == "standard" else (self.batch[pool], 4)


_VANILLA_BATCH = {"mixed": 32, "hard": 64}
_ROWS = (
    BenchmarkArm("vanilla", {"name": "vanilla"}, batch=_VANILLA_BATCH, is_main=True),
    BenchmarkArm("adaptive", {"name": "adaptive"}, is_main=True),
    BenchmarkArm(
        "saerl_cluster",
        {"name": "saerl", "grouping": "cluster"},
        recipe={"mixed": "frugal", "hard": "standard"},
        is_main=True,
    ),
    BenchmarkArm("saerl_interleaved", {"name": "saerl", "grouping": "interleaved"}, is_main=True),
    BenchmarkArm("adaptive_dense", {"name": "adaptive", "features": "dense"}, is_main=True),
    BenchmarkArm("adaptive_random_sae", {"name": "adaptive", "features": "random_sae"}, is_main=True),
    BenchmarkArm(
        "adaptive_likelihood",
        {"name": "adaptive", "features": "none", "explore_frac": 0.2, "max_uses": 6},
        is_main=True,
    ),
    BenchmarkArm(
        "saerl_random",
        {"name": "saerl", "grouping": "cluster"},
        recipe={"mixed": "frugal", "hard": "standard"},
        space="random",
    ),
    BenchmarkArm(
        "saerl_surface",
        {"name": "saerl", "grouping": "cluster"},
        recipe={"mixed": "frugal", "hard": "standard"},
        space="surface",
    ),
    *(
        BenchmarkArm(name, {"name": name})
        for name in (
            "difficulty",
            "pass_rate_band",
            "learnability",
            "prepo",
            "gain",
            "irds",
            "mopps",
            "bandit",
            "skip_solved",
            "oracle_quality",
            "oracle_learnability",
        )
    ),
    *(  # rivals whose best setting on dev was not that of the rows above; the others were best as they are
        BenchmarkArm(f"{name}_tuned", {"name": name, **settings}, batch={"mixed": batch, "hard": batch})
        for name, batch, settings in (
            ("mopps", 64, {}),
            ("learnability", 32, {"keep_frac": 0.75}),
            ("pass_rate_band", 32, {"low": 0.1, "high": 0.9}),
            ("irds", 32, {"keep_frac": 0.75}),
            ("prepo", 64, {}),
        )
    ),
    *(
        BenchmarkArm(f"{name}_{screen}", {"name": name}, training={"screen": screen}, batch=batch)
        for screen in ("dynamic", "pilot")
        for name, batch in (("vanilla", _VANILLA_BATCH), ("adaptive", {"mixed": 32, "hard": 32}))
    ),
    BenchmarkArm("adaptive_transferred", {"name": "adaptive"}, is_transferred=True),
    BenchmarkArm(
        "saerl_transferred",
        {"name": "saerl", "grouping": "cluster"},
        recipe={"mixed": "frugal", "hard": "standard"},
        is_transferred=True,
    ),
    BenchmarkArm(
        "vanilla_dapo",
        {"name": "vanilla"},
        training={"algorithm": "dapo", "screen": "dynamic", "updates_per_batch": 2},
        batch=_VANILLA_BATCH,
    ),
)
ARMS: Mapping[str, BenchmarkArm] = {row.name: row for row in _ROWS}


def run_config(pool: str, base: int) -> RunConfig:
    """Return the configuration of everything before the plan."""
    return RunConfig(seed=base, prompts=PromptsConfig(task_world=POOLS[pool]))
