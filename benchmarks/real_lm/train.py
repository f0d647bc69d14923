"""GRPO of SmolLM2 on everyday arithmetic: the arms of configs/compare_everyday.yaml, a line a trial as each ends.

Two splits: on `dev` the learning rate is chosen, with the baseline alone; on `test` every arm runs with it, once.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from benchmarks.microcosm.report import trial_of
from benchmarks.microcosm.run import read_lines
from benchmarks.microcosm.signals import signals_of
from saerl_core.compare.trials import Trial
from saerl_core.config.compare import CompareConfig
from saerl_core.config.load import load_config
from saerl_core.config.run import RunConfig
from saerl_core.environment import state_dir
from saerl_core.trials.arms import resolve_arms
from saerl_core.trials.folders import read_job, read_trial
from saerl_core.trials.pool import Progress, run_trials
from saerl_core.trials.prepare import prepare_trials

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "compare_everyday.yaml"
RESULTS = Path(__file__).resolve().parent / "results" / "train.jsonl"
LEARNING_RATES = (3e-6, 1e-5, 3e-5, 1e-4)  # tried on dev
DEV_SEEDS = (0,)
SMALL = {"budget_rollouts": 2560, "n_evaluations": 2, "n_samples": 2, "seeds": (1000, 1001)}  # what a CPU can do
SMALL_ARMS, SMALL_PROMPTS = ("vanilla", "adaptive"), 16


@dataclass(frozen=True)
class Asked:
    """What a call runs. `deadline_s`: seconds after which what still runs is stopped; finished trials are kept."""

    split: Literal["dev", "test"]
    workers: int = 2
    deadline_s: float | None = None
    arms: tuple[str, ...] = ()  # none: all
    seeds: tuple[int, ...] = ()  # none: those of the file
    lr: float | None = None  # of the test; None: that of the file
    small: bool = False  # a quarter of the batch, of the budget and of the rollouts that score, two arms, two seeds
    config: Path = CONFIG
    results: Path = RESULTS


class _DeadlineError(Exception):
    """The time is up."""


def run(asked: Asked, say: Callable[[str], None] = print) -> bool:
    """Run what the results lack; return whether everything that was asked for stands there now."""
    started = time.monotonic()
    config = _sized(on_this_machine(load_config(asked.config)), asked)
    known = signals_of(config, state_dir() / "real_lm" / f"signals-{asked.config.stem}")
    say(f"signals after {time.monotonic() - started:.0f} s; {known.label_rollouts} label rollouts")
    folders: list[Path] = []
    for lr, compare in _comparisons(config, asked):
        tuned = config.model_copy(update={"training": config.training.model_copy(update={"lr": lr})})
        inputs = known.inputs(asked.split)
        root = state_dir() / "real_lm" / "trials"
        folders += prepare_trials(
            inputs, resolve_arms(tuned, compare), compare, root, lambda wanted, _: known.embed(wanted)
        )
    book = _Book(folders, asked, started, say)
    try:
        outcome = run_trials(book.missing(), asked.workers, book)
    except _DeadlineError:
        say(f"stopped after {time.monotonic() - started:.0f} s: {len(book.missing())} trials are left")
        return False
    for failure in outcome.failures:
        say(f"FAILED: {failure.arm}, seed {failure.seed}: {failure.reason}")
    return not outcome.failures


def lines_of_this_pool() -> list[dict[str, object]]:
    """Return the trials on the pool of the configuration as it is now; earlier ones had other levels."""
    levels = list(load_config(CONFIG).prompts.everyday.level_weights)
    return [line for line in read_lines(RESULTS) if line["level_weights"] == levels]


def best_lr() -> float:
    """Return the learning rate that ended highest on dev."""
    found: dict[float, list[float]] = {}
    for line in lines_of_this_pool():
        if line["split"] == "dev":
            found.setdefault(float(str(line["lr"])), []).append(float(line["curve"][-1][2]))  # type: ignore[index]
    if not found:
        raise SystemExit(
            "train.jsonl holds no trial of this pool on the dev split; run: python -m benchmarks.real_lm train dev"
        )
    return max(found, key=lambda lr: sum(found[lr]) / len(found[lr]))


def on_this_machine(config: RunConfig) -> RunConfig:
    """Name the fetched model where it was fetched to, which need not be this folder's."""
    if config.policy.model is None:
        return config
    model = str(state_dir() / "models" / "smollm2-135m")
    return config.model_copy(update={"policy": config.policy.model_copy(update={"model": model})})


def _sized(config: RunConfig, asked: Asked) -> RunConfig:
    if not asked.small:
        return config
    arms = tuple(arm for arm in config.compare.arms if arm.name in SMALL_ARMS)
    plan = config.plan.model_copy(update={"prompts_per_step": SMALL_PROMPTS})
    compare = config.compare.model_copy(update={**SMALL, "arms": arms})
    return config.model_copy(update={"plan": plan, "compare": compare})


def _comparisons(config: RunConfig, asked: Asked) -> list[tuple[float, CompareConfig]]:
    """Return what is compared, by learning rate: seed by seed, so that every part is a whole comparison."""
    base, is_dev = config.compare, asked.split == "dev"
    names = (base.baseline,) if is_dev else asked.arms or tuple(arm.name for arm in base.arms)
    arms = tuple(arm for arm in base.arms if arm.name in names)
    seeds = asked.seeds or (DEV_SEEDS if is_dev else base.seeds)
    rates = LEARNING_RATES if is_dev else (asked.lr or config.training.lr,)
    return [
        (lr, base.model_copy(update={"arms": arms, "seeds": (seed,), "split": asked.split}))
        for seed in seeds
        for lr in rates
    ]


class _Book:
    """Appends the line of every trial that ended since the last report, and watches the clock."""

    def __init__(self, folders: Sequence[Path], asked: Asked, started: float, say: Callable[[str], None]) -> None:
        there = {str(line["key"]) for line in read_lines(asked.results)}
        self._open = [folder for folder in folders if _key(folder, asked.split) not in there]
        self._asked, self._started, self._say = asked, started, say
        say(f"{len(folders) - len(self._open)} of {len(folders)} trials stand in {asked.results.name}")

    def missing(self) -> list[Path]:
        """Return the folders whose trial has no line yet."""
        return list(self._open)

    def __call__(self, progress: Progress) -> None:
        for folder in self.missing():
            trial = read_trial(folder)
            if trial is not None:
                self._open.remove(folder)
                self._asked.results.parent.mkdir(parents=True, exist_ok=True)
                with self._asked.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(_line(folder, trial, self._asked)) + "\n")
                passed = time.monotonic() - self._started
                self._say(f"{passed:.0f} s, {progress}: {trial.arm} {trial.seed} {trial.spent.accuracy:.3f}")
        deadline = self._asked.deadline_s
        if deadline is not None and time.monotonic() - self._started > deadline:
            raise _DeadlineError


def _key(folder: Path, split: str) -> str:
    job = read_job(folder)
    size = job.n_steps * job.prompts_per_step * job.training.group_size
    return f"{split}/{job.arm}/{job.seed}/{job.training.lr:g}/{job.prompts_file.stem}/{size}"  # named by its content


def _line(folder: Path, trial: Trial, asked: Asked) -> dict[str, object]:
    training = read_job(folder).training
    items = trial.items.sort_values("item_id")
    return {
        "key": _key(folder, asked.split),
        "split": asked.split,
        "level_weights": list(load_config(asked.config).prompts.everyday.level_weights),
        "arm": trial.arm,
        "seed": trial.seed,
        "lr": training.lr,
        "group": training.group_size,
        "n_samples": int(items["n_samples"].iloc[0]),
        "label_rollouts": trial.label_rollouts,
        "curve": [[p.step, p.n_rollouts, round(p.accuracy, 5)] for p in trial.curve],
        "n_tokens": trial.spent.n_tokens,
        "seconds": round(trial.spent.seconds, 1),
        "dead": round(sum(trial.zero_std_frac) / len(trial.zero_std_frac), 4),
        "device": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu",
        "items": "".join(str(n) for n in items["n_correct"]),
    }


def budget_of(line: Mapping[str, object]) -> int:
    """Return the rollouts that the trial of a line had for training."""
    return int(str(line["key"]).rsplit("/", 1)[1])


def trials(budget: int) -> tuple[Trial, ...]:
    """Return the trials of the results file on the test split that had this budget of rollouts."""
    lines = [line for line in lines_of_this_pool() if line["split"] == "test" and budget_of(line) == budget]
    return tuple(trial_of(line, str(line["arm"]), int(str(line["seed"]))) for line in lines)
