"""The gate: floors, the paired comparison with the champion, cost and contamination; every condition is one sentence.

| check         | a candidate passes when                                                                            |
|---------------|----------------------------------------------------------------------------------------------------|
| floor         | the lower end of the interval of its pass@1 is above `floor_overall`                               |
| training      | the interval of its paired gain over its own base policy does not lie below 0                      |
| gain          | the lower end of the interval of the paired gain is above `min_gain`                               |
| topic         | no topic's estimated loss is both more than `max_topic_loss` and distinguishable from no loss      |
| cost          | the ledger's totals stay within `max_rollouts` and `max_generated_tokens`; told where none is set  |
| contamination | nothing that was trained on matches an evaluation item, nor is one                                 |

Without a champion there is nothing to compare with: gain and topics are left out, and the base policy alone says what
the candidate is worth.

Topics are small, and there are many. A bound on the point estimate alone would reject at random: the more topics, the
surer one of them falls by chance. An interval that must lie wholly beyond the bound would let real losses pass
wherever a topic has few prompts. So both: the estimate says that the loss is too large, and the interval, at a
confidence that all groups share (Bonferroni), says that it is a loss. What is too large but may be noise is told as a
note. Topics below `min_prompts` are judged together, for an interval from a handful of prompts means nothing.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from saerl_core.config.run import GateConfig
from saerl_core.errors import DataError
from saerl_core.promotion.paired import bootstrap, pairs, rates
from saerl_core.promotion.records import Candidate, Check, Comparison, Verdict
from saerl_core.seeds import stage_rng
from saerl_core.stages import purpose_of

SMALL = "small topics"


def decide(candidate: Candidate, champion: pd.DataFrame | None, config: GateConfig, seed: int) -> Verdict:
    """Judge a candidate; `champion` is the champion's `tables.ITEM_SCORES` on the same items, None for the first run.

    Raises:
        DataError: fewer than `min_prompts` items, or the policies were not evaluated on the same ones.
    """
    values = rates(candidate.items)["rate"].to_numpy()
    if len(values) < config.min_prompts:
        raise DataError(
            f"the gate has {len(values)} evaluation items, below gate.min_prompts = {config.min_prompts}; "
            "evaluate on more prompts"
        )
    checks = [_floor(values, config, seed), *_training(candidate, config, seed)]
    rows: tuple[Comparison, ...] = ()
    notes: list[str] = []
    if champion is not None:
        rows = tuple(_compare(pairs(candidate.items, champion), config, seed))
        checks += [_gain(rows[0], config), _topics(rows[1:], config)]
        notes = [_may_be_noise(row, config) for row in rows[1:] if _too_large(row, config) and row.hi >= 0]
    checks += [*_costs(candidate.costs, config), *_contamination(candidate, config)]
    return Verdict(checks=tuple(checks), rows=rows, notes=tuple(notes), pass_at_1=float(values.mean()))


def _floor(values: np.ndarray, config: GateConfig, seed: int) -> Check:
    found = bootstrap(values, config.confidence, config.n_bootstrap, stage_rng(seed, "gate/floor"))
    passed = found.lo > config.floor_overall
    return Check(
        name="floor",
        passed=passed,
        told=f"pass@1 is {found.mean:.1%} (at least {found.lo:.1%} with {config.confidence:.0%} confidence), which is "
        f"{'above' if passed else 'not above'} the floor of {config.floor_overall:.1%}.",
    )


def _training(candidate: Candidate, config: GateConfig, seed: int) -> Iterator[Check]:
    """Say what training did to the policy that it started from; a clear loss is no candidate for anything."""
    if candidate.base is None:
        return
    table = pairs(candidate.items, candidate.base)
    before, after = table["champion"].to_numpy(), table["candidate"].to_numpy()
    found = bootstrap(after - before, config.confidence, config.n_bootstrap, stage_rng(seed, "gate/training"))
    told = (
        f"Training took pass@1 from {before.mean():.1%} (base policy) to {after.mean():.1%}: {100 * found.mean:+.1f} "
        f"points [{100 * found.lo:+.1f}, {100 * found.hi:+.1f}] with {config.confidence:.0%} confidence"
    )
    if found.hi < 0:
        yield Check(name="training", passed=False, told=f"{told}: it made the policy worse.")
    else:
        known = "." if found.lo > 0 else ", which cannot be told from no change."
        yield Check(name="training", passed=True, told=told + known)


def _compare(table: pd.DataFrame, config: GateConfig, seed: int) -> Iterator[Comparison]:
    """Compare on all items first, then on every group with the confidence that the groups share."""
    groups = _groups(table, config.min_prompts)
    shared = 1.0 - (1.0 - config.confidence) / max(1, len(groups))
    everything = np.ones(len(table), dtype=bool)
    for name, member, confidence in [
        ("all", everything, config.confidence),
        *((name, member, shared) for name, member in groups.items()),
    ]:
        part = table[member]
        gains = (part["candidate"] - part["champion"]).to_numpy()
        found = bootstrap(gains, confidence, config.n_bootstrap, stage_rng(seed, f"gate/{name}"))
        yield Comparison(
            group=name,
            n_prompts=len(part),
            candidate=float(part["candidate"].mean()),
            champion=float(part["champion"].mean()),
            gain=found.mean,
            lo=found.lo,
            hi=found.hi,
        )


def _groups(table: pd.DataFrame, min_prompts: int) -> dict[str, np.ndarray]:
    """Return the members of every topic, and of every benchmark where there are several; small topics are one group."""
    groups: dict[str, np.ndarray] = {}
    small = np.zeros(len(table), dtype=bool)
    for column in ("benchmark", "topic"):
        names = sorted(table[column].dropna().unique())
        for name in names if column == "topic" or len(names) > 1 else []:
            member = (table[column] == name).to_numpy()
            if member.sum() >= min_prompts:
                groups[f"{column}={name}"] = member
            elif column == "topic":
                small |= member
    if small.sum() >= min_prompts and not small.all():
        groups[SMALL] = small
    return groups


def _gain(row: Comparison, config: GateConfig) -> Check:
    passed = row.lo > config.min_gain
    told = (
        f"pass@1 went from {row.champion:.1%} (champion) to {row.candidate:.1%} on the same {row.n_prompts} items: "
        f"{_points(row)} with {config.confidence:.0%} confidence; the lower end is "
        f"{'above' if passed else 'not above'} the smallest gain asked for, {100 * config.min_gain:+.1f} points."
    )
    return Check(name="gain", passed=passed, told=told)


def _topics(rows: tuple[Comparison, ...], config: GateConfig) -> Check:
    lost = [row for row in rows if _too_large(row, config) and row.hi < 0]
    bound = f"{100 * config.max_topic_loss:.1f} points"
    if not lost:
        return Check(
            name="topics", passed=True, told=f"None of {len(rows)} topics lost more than {bound} beyond noise."
        )
    told = "; ".join(f"{row.group} lost {_points(row)} on {row.n_prompts} items" for row in lost)
    return Check(name="topics", passed=False, told=f"{told}: more than the {bound} that a topic may lose.")


def _too_large(row: Comparison, config: GateConfig) -> bool:
    return row.gain < -config.max_topic_loss


def _may_be_noise(row: Comparison, config: GateConfig) -> str:
    return (
        f"{row.group} changed by {_points(row)} on {row.n_prompts} items: beyond the {100 * config.max_topic_loss:.1f} "
        "points that a topic may lose, but it cannot be told from no change; more evaluation prompts would tell"
    )


def _points(row: Comparison) -> str:
    return f"{100 * row.gain:+.1f} points [{100 * row.lo:+.1f}, {100 * row.hi:+.1f}]"


def _costs(costs: pd.DataFrame, config: GateConfig) -> Iterator[Check]:
    costs = costs[[purpose_of(str(stage)) != "control" for stage in costs["stage"]]]  # the shuffle is no candidate
    for name in ("rollouts", "generated_tokens"):
        spent, bound, unit = int(costs[f"n_{name}"].sum()), getattr(config, f"max_{name}"), name.replace("_", " ")
        within = bound is None or spent <= bound
        word = "within" if within else "more than"
        limit = f"gate.max_{name} sets no bound" if bound is None else f"{word} the {bound:,} allowed"
        yield Check(name=f"cost: {unit}", passed=within, told=f"The run took {spent:,} {unit}; {limit}.")


def _contamination(candidate: Candidate, config: GateConfig) -> Iterator[Check]:
    if not config.contamination_must_be_clean:
        return
    evaluated = set(candidate.items["prompt_id"]) | set(candidate.matches["prompt_id"])
    dirty = sorted(candidate.trained_ids & evaluated)
    n = len(candidate.trained_ids)
    told = f"None of the {n} prompts that were trained on matches an evaluation item."
    if dirty:
        told = (
            f"{len(dirty)} of the {n} prompts that were trained on match an evaluation item; none may: {dirty[0]} ..."
        )
    yield Check(name="contamination", passed=not dirty, told=told)
