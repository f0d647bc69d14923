"""Run the trials that a results file lacks, and append a line as each ends."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.microcosm.arms import BUDGET_ROLLOUTS, EVERY_ROLLOUTS, N_SAMPLES, BenchmarkArm, Recipe
from benchmarks.microcosm.signals import PoolSignals, pool_signals
from saerl_core.compare.trials import Trial
from saerl_core.config.compare import ArmConfig, CompareConfig
from saerl_core.environment import state_dir
from saerl_core.trials.arms import resolve_arms
from saerl_core.trials.folders import read_trial
from saerl_core.trials.pool import Failure, Progress, run_trials
from saerl_core.trials.prepare import prepare_trials

RESULTS = Path(__file__).resolve().parent / "results"
_AT_ONCE = 18  # trials that are planned before any of them starts


@dataclass(frozen=True)
class Wanted:
    """One trial of the benchmark: a line of the results file, once it has run."""

    pool: str
    base: int
    arm: BenchmarkArm
    recipe: Recipe
    seed: int
    budget: int = BUDGET_ROLLOUTS

    @property
    def key(self) -> tuple[str, int, str, str, int]:
        """Return what a line is found by."""
        return (self.pool, self.base, self.arm.name, self.recipe, self.seed)

    def settings(self) -> dict[str, object]:
        """Return what distinguishes the trial beside its seed, as it stands in the line."""
        batch, group = self.arm.sizes(self.recipe, self.pool)
        return {
            "batch": batch,
            "group": group,
            "strategy": dict(self.arm.strategy),
            "training": dict(self.arm.training),
        }


def done(path: Path) -> set[tuple[str, int, str, str, int]]:
    """Return the keys of a results file."""
    return {(r["pool"], r["base"], r["arm"], r["recipe"], r["seed"]) for r in read_lines(path)}


def read_lines(path: Path) -> list[dict[str, object]]:
    """Return the lines of a results file; one that a kill cut off is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def run(
    wanted: Sequence[Wanted],
    path: Path,
    *,
    split: str,
    n_workers: int = 2,
    say: Callable[[str], None] = print,
    root: Path | None = None,
) -> tuple[Failure, ...]:
    """Run what `path` lacks, in the order of `wanted`, `n_workers` at a time; stop it whenever you like."""
    root = root or state_dir() / "microcosm"
    there = done(path)
    todo = [w for w in wanted if w.key not in there]
    say(f"{len(wanted) - len(todo)} of {len(wanted)} trials stand in {path.name}; {len(todo)} are left")
    known: dict[tuple[str, int], PoolSignals] = {}
    failures: list[Failure] = []
    for start in range(0, len(todo), _AT_ONCE):
        folders: dict[Path, Wanted] = {}
        for w in todo[start : start + _AT_ONCE]:
            here = (w.pool, w.base)
            if here not in known:
                say(f"signals of pool {w.pool}, base {w.base}")
                known[here] = pool_signals(w.pool, w.base, root / "signals")
            folders[_prepare(w, known[here], split, root / "trials")] = w
        failures += run_trials(list(folders), n_workers, _Book(folders, path, split, say)).failures
    for failure in failures:
        say(f"FAILED: {failure.arm}, seed {failure.seed}: {failure.reason}")
    return tuple(failures)


def _prepare(w: Wanted, known: PoolSignals, split: str, root: Path) -> Path:
    batch, group = w.arm.sizes(w.recipe, w.pool)
    arm = ArmConfig(
        name=f"{w.arm.name}-{w.recipe}-{w.pool}-{w.base}",
        plan={"strategy": dict(w.arm.strategy), "prompts_per_step": batch},
        training={**w.arm.training, "group_size": group},
    )
    compare = CompareConfig(
        arms=(arm,),
        baseline=arm.name,
        seeds=(w.seed,),
        budget_rollouts=w.budget,
        n_evaluations=w.budget // EVERY_ROLLOUTS,
        split=split,
        n_samples=N_SAMPLES,
    )
    if w.arm.is_transferred:
        known = known.read_by(pool_signals(w.pool, 1 - w.base, root.parent / "signals"))
    inputs = known.inputs(split, w.arm.space, oracle=w.arm.is_oracle)
    (folder,) = prepare_trials(
        inputs, resolve_arms(known.config, compare), compare, root, lambda wanted, _: known.embed(wanted)
    )
    return folder


class _Book:
    """Appends the line of every trial that ended since the last report."""

    def __init__(self, folders: dict[Path, Wanted], path: Path, split: str, say: Callable[[str], None]) -> None:
        self._open, self._path, self._split, self._say = dict(folders), path, split, say
        self._last = ""

    def __call__(self, progress: Progress) -> None:
        for folder, wanted in list(self._open.items()):
            trial = read_trial(folder)
            if trial is not None:
                del self._open[folder]
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line_of(wanted, trial, self._split)) + "\n")
                self._say(f"{progress}: {'/'.join(map(str, wanted.key))} {trial.spent.accuracy:.3f}")


def line_of(w: Wanted, trial: Trial, split: str) -> dict[str, object]:
    """Return the line of a finished trial; `items` is a digit an item, its correct completions out of four."""
    items = trial.items.sort_values("item_id")
    dead = trial.zero_std_frac
    return {
        "pool": w.pool,
        "base": w.base,
        "arm": w.arm.name,
        "recipe": w.recipe,
        "seed": w.seed,
        "label_rollouts": trial.label_rollouts,
        "curve": [[p.step, p.n_rollouts, round(p.accuracy, 5)] for p in trial.curve],
        "split": split,
        "settings": w.settings(),
        "n_tokens": trial.spent.n_tokens,
        "seconds": round(trial.spent.seconds, 1),
        "dead": round(sum(dead) / len(dead), 4) if dead else None,
        "items": "".join(str(n) for n in items["n_correct"]),
    }


def with_settings(arm: BenchmarkArm, batch: int | None, strategy: dict[str, object]) -> BenchmarkArm:
    """Return an arm with another batch and other settings: what is tried on dev."""
    sizes = arm.batch if batch is None else dict.fromkeys(arm.batch, batch)
    return replace(arm, strategy={**arm.strategy, **strategy}, batch=sizes)
