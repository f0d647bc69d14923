"""Train, dev and test tables of a built-in world, which share no prompt.

The text of a prompt (of the everyday world: its calculation) decides its split: a hash sends 70 % of all texts to
train, 10 % to dev and 20 % to test. So splits never overlap, for any seed and any sizes, and whoever draws problems for
pre-training stays off the held-out ones by asking `split_of`. Small cells (there are 36 prompts about writing a number
below 6 in another base) give each split its share of the few texts there are; where a cell has no new text left,
another cell is drawn: no table holds a text twice.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
import pandas as pd

from saerl_core.config.run import TaskWorldConfig
from saerl_core.errors import ConfigError
from saerl_core.ids import normalise_text, prompt_id
from saerl_core.seeds import stage_rng
from saerl_core.tables import PROMPTS
from saerl_core.world.corruptions import KINDS
from saerl_core.world.problems import LEVELS, Problem
from saerl_core.world.worlds import WORLDS, World

SPLITS = ("train", "dev", "test")

_TRIES = 40  # draws for a new text before a cell counts as used up for this row
_ROUNDS = 100  # cells tried for one row before the world counts as used up
_Row = tuple[Problem, str]


def split_of(prompt: str) -> str:
    """Return the split that a prompt's text belongs to: a fixed property of the normalised text."""
    share = int.from_bytes(hashlib.sha256(f"split:{normalise_text(prompt)}".encode()).digest()[:4], "big") / 2**32
    return "train" if share < 0.7 else "dev" if share < 0.8 else "test"


def build_world(config: TaskWorldConfig, seed: int, name: str = "task_world") -> dict[str, pd.DataFrame]:
    """Build the three tables (`tables.PROMPTS`) of a world of `WORLDS`, the same bytes for the same config and seed.

    Train draws topics evenly and levels by `level_weights`, and holds `round(bad_frac * n_train)` bad prompts, the four
    kinds in equal shares. Dev and test are clean and go evenly over all cells, whatever the weights, so that scores of
    different pools compare. `ConfigError` where the weights are unusable or there are too few different prompts.
    """
    world = WORLDS[name]
    weights = np.asarray(config.level_weights, dtype=np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() <= 0:
        raise ConfigError(f"{name}.level_weights is {config.level_weights}; give weights >= 0 that are not all 0")
    rng = stage_rng(seed, "world.train")
    kinds = _kinds(config.n_train, config.bad_frac, rng)
    out = {
        "train": _table(
            _draw("train", name, kinds, _weighted_cells(world, weights / weights.sum(), rng), rng), f"{name}/train"
        )
    }
    for split, n in (("dev", config.n_dev), ("test", config.n_test)):
        rng = stage_rng(seed, f"world.{split}")
        out[split] = _table(_draw(split, name, ["clean"] * n, _even_cells(world, rng), rng), f"{name}/{split}")
    return out


def _kinds(n: int, bad_frac: float, rng: np.random.Generator) -> list[str]:
    n_bad = round(bad_frac * n)
    kinds = [KINDS[i % len(KINDS)] for i in range(n_bad)] + ["clean"] * (n - n_bad)
    return [kinds[i] for i in rng.permutation(n)]


def _weighted_cells(world: World, weights: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, int]]:
    while True:
        yield world.topics[int(rng.integers(len(world.topics)))], LEVELS[int(rng.choice(len(LEVELS), p=weights))]


def _even_cells(world: World, rng: np.random.Generator) -> Iterator[tuple[str, int]]:
    cells = [(topic, level) for topic in world.topics for level in LEVELS]
    while True:
        yield from (cells[i] for i in rng.permutation(len(cells)))


def _draw(
    split: str, name: str, kinds: list[str], cells: Iterator[tuple[str, int]], rng: np.random.Generator
) -> list[_Row]:
    rows: list[_Row] = []
    seen: set[str] = set()
    for kind in kinds:
        for _ in range(_ROUNDS):
            problem = _new_problem(split, WORLDS[name], kind, next(cells), seen, rng)
            if problem is not None:
                break
        else:
            raise ConfigError(
                f"the world '{name}' has no {len(kinds)} different '{split}' prompts at these level weights (stopped "
                f"at {len(rows)}); lower {name}.n_{split} or spread level_weights over more levels"
            )
        seen.add(normalise_text(problem.prompt))
        rows.append((problem, kind))
    return rows


def _new_problem(
    split: str, world: World, kind: str, cell: tuple[str, int], seen: set[str], rng: np.random.Generator
) -> Problem | None:
    for _ in range(_TRIES):
        problem: Problem | None = world.sample(*cell, rng)
        if problem is not None and kind != "clean":
            problem = world.corrupt(problem, kind, rng)
        if problem is None:
            continue
        if split_of(world.split_text(problem)) == split and normalise_text(problem.prompt) not in seen:
            return problem
    return None


def _table(rows: list[_Row], source: str) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "prompt_id": [prompt_id(p.prompt, p.answer) for p, _ in rows],
            "prompt": [p.prompt for p, _ in rows],
            "answer": [p.answer for p, _ in rows],
            "source": source,
            "topic": [p.topic for p, _ in rows],
            "level": [float(p.level) for p, _ in rows],
            "known_pass_rate": np.nan,
            "quality_label": np.nan,
            "duplicate_of": None,
            "conflict": False,
            "contamination": 0.0,
            "flags": "",
            "usable": True,
            "truth": [kind for _, kind in rows],
        },
        index=range(len(rows)),
    )
    return PROMPTS.check(frame)
