"""`python -m benchmarks.microcosm test | dev | tune | report`: run what the results lack, or make tables of them."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: two trials at a time on two cores

from benchmarks.microcosm.arms import ARMS, BASES, POOLS, TEST_SEEDS
from benchmarks.microcosm.pages import write
from benchmarks.microcosm.run import RESULTS, Wanted, run, with_settings
from benchmarks.microcosm.tuning import tuning


def planned(names: Sequence[str] = ()) -> list[Wanted]:
    """Return all trials of the test, the main arms first: seed by seed, so that every part is a whole comparison.

    `names`: of these arms alone; none: of all.
    """
    found = []
    arms = [arm for arm in ARMS.values() if not names or arm.name in names]
    for main, seed, base in product((True, False), TEST_SEEDS, BASES):
        for arm, pool in product(arms, POOLS):
            if arm.is_main == main and (main or base == 0):
                recipes = ["standard", "frugal"] if arm.name == "vanilla" else [arm.recipe[pool]]
                found += [Wanted(pool, base, arm, recipe, seed) for recipe in recipes]
    return found


def main() -> None:
    """Run the test, the tuning of the rivals, or one setting on the dev split."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.microcosm", description=__doc__)
    parser.add_argument("split", choices=["dev", "tune", "test", "report"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--arms", default="", help="test: only these arms, with commas between them")
    parser.add_argument("--arm", choices=sorted(ARMS), help="dev: the arm that is tried")
    parser.add_argument("--label", help="dev: the name under which the setting stands in dev.jsonl")
    parser.add_argument("--recipe", choices=["standard", "frugal"], default="frugal")
    parser.add_argument("--batch", type=int, help="dev: prompts a step of the frugal recipe")
    parser.add_argument("--strategy", type=json.loads, default={}, help="dev: settings of the strategy, as JSON")
    parser.add_argument("--pools", default=",".join(POOLS))
    parser.add_argument("--seeds", default="0,1")
    asked = parser.parse_args()
    if asked.split == "report":
        print("written:", ", ".join(write()))
        return
    if asked.split == "test":
        wanted = planned(list(filter(None, asked.arms.split(","))))
    elif asked.split == "tune":
        wanted = tuning()
    else:
        arm = with_settings(ARMS[asked.arm or "vanilla"], asked.batch, asked.strategy)
        arm = replace(arm, name=asked.label or arm.name)
        pools, seeds = asked.pools.split(","), [int(s) for s in asked.seeds.split(",")]
        wanted = [Wanted(pool, s % 2, arm, asked.recipe, s) for s in seeds for pool in pools]
    split = "test" if asked.split == "test" else "dev"
    failures = run(wanted, RESULTS / f"{split}.jsonl", split=split, n_workers=asked.workers)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
