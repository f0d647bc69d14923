r"""The grader against gold answers of real pools: false rewards, refusals of right answers, agreement, seconds.

    SAERL_SHARED_DATA=FOLDER python benchmarks/grading.py [--neighbours 10000] [--seed 0] [--list]

- right: every different gold against itself in five spellings (as it is, boxed in a sentence, dollars and `\left`,
  `\dfrac` and blanks, row breaks and commas without blanks); wanted: equal.
- wrong: a gold against a wrong neighbour: a digit or a sign changed, matrix rows swapped, a unit exchanged, pair or
  interval turned round, an index changed, another gold of the same shape; wanted: not equal. Neighbours that are equal
  by value are left out by a check of their own (sympy, through math-verify's parser with 30 digits), and every reward
  that is left is listed.
- agreement with the stored labels of `qwenrm_samples100`.
- CPU-seconds for 1,000 verdicts, each pair new; mixed pools and GSM8K alone.
"""

import argparse
import gzip
import json
import os
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from saerl_core.config.grading import GradingConfig
from saerl_core.rollouts.grading import Grader

POOLS = (
    "math_train",
    "math500",
    "deepscaler_sub1209",
    "mathperturb_hard",
    "gsm8k_train",
    "gsm8k_test",
    "talscq_en_train",
)
_UNITS = {"cm": "m", "hours": "minutes", "inches": "feet", "degrees": "radians", "miles": "km", "days": "weeks"}
_UNITS |= {"p.m.": "a.m.", "square": "cubic", "dollars": "cents", "feet": "inches", "minutes": "hours"}


def golds(folder: Path, pool: str) -> list[str]:
    """Return the different gold answers of a pool, in file order."""
    with gzip.open(folder / f"{pool}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return list(dict.fromkeys(a for line in lines if (a := str(json.loads(line)["answer"])).strip()))


def spellings(gold: str) -> Iterator[tuple[str, str]]:
    """Yield name and completion of five ways to write the same answer."""
    yield "as it is", rf"\boxed{{{gold}}}"
    yield "in a sentence", f"Adding up gives the result.\n\nThe answer is ${gold}$."
    yield (
        "left and right",
        r"\boxed{" + re.sub(r"(?<!\\left)\(", r"\\left(", re.sub(r"(?<!\\right)\)", r"\\right)", gold)) + "}",
    )
    yield "dfrac and blanks", r"\boxed{ " + re.sub(r",(?!\d{3}|\\!)", ", ", gold.replace(r"\frac", r"\dfrac")) + r" }"
    yield "tight", r"\boxed{" + re.sub(r"(\\\\|,)\s+", r"\1", gold) + "}"


# --- wrong neighbours


def _digit(gold: str, rng: random.Random) -> str | None:
    places = [m.start() for m in re.finditer(r"\d", gold)]
    if not places:
        return None
    at = rng.choice(places)
    return gold[:at] + str((int(gold[at]) + rng.randint(1, 8)) % 10) + gold[at + 1 :]


def _sign(gold: str, rng: random.Random) -> str | None:
    places = [m.start() for m in re.finditer(r"[+-]", gold)]
    if not places:
        return f"-{gold}" if re.fullmatch(r"[\d.]*[1-9][\d.]*", gold) else None
    at = rng.choice(places)
    return gold[:at] + ("-" if gold[at] == "+" else "+") + gold[at + 1 :]


def _rows(gold: str, rng: random.Random) -> str | None:
    match = re.search(r"(\\begin\{[pbv]?matrix\})(.*?)(\\end\{[pbv]?matrix\})", gold, re.DOTALL)
    if match is None:
        return None
    rows = match[2].split(r"\\")
    turned = [*rows[1:], rows[0]]
    return gold[: match.start(2)] + r"\\".join(turned) + gold[match.end(2) :]


def _unit(gold: str, rng: random.Random) -> str | None:
    for one, other in _UNITS.items():
        if re.search(rf"(?<![A-Za-z]){re.escape(one)}(?![A-Za-z])", gold):
            return gold.replace(one, other, 1)
    return None


def _turned(gold: str, rng: random.Random) -> str | None:
    match = re.fullmatch(r"(\\left)?([(\[])([^,]+),([^,]+?)(\\right)?([)\]])", gold)
    if match is None:
        return None
    return f"{match[1] or ''}{match[2]}{match[4]},{match[3]}{match[5] or ''}{match[6]}"


def _index(gold: str, rng: random.Random) -> str | None:
    match = re.search(r"_\{?(\d+)\}?", gold)
    return None if match is None else gold[: match.start(1)] + str(int(match[1]) + 1) + gold[match.end(1) :]


def _letter(gold: str, rng: random.Random) -> str | None:
    places = [m.start() for m in re.finditer(r"(?<![A-Za-z\\{])[a-z](?![A-Za-z])", gold)]
    if not places:
        return None
    at = rng.choice(places)
    return gold[:at] + ("y" if gold[at] != "y" else "z") + gold[at + 1 :]


CHANGES: dict[str, Callable[[str, random.Random], str | None]] = {
    "digit": _digit,
    "sign": _sign,
    "rows swapped": _rows,
    "unit": _unit,
    "turned round": _turned,
    "index": _index,
    "letter": _letter,
}


def shape(gold: str) -> str:
    """Return the gold with every number as N and every letter as x: golds of one shape look alike."""
    return re.sub(r"(?<![A-Za-z\\])[a-zA-Z](?![A-Za-z])", "x", re.sub(r"\d+(?:\.\d+)?", "N", gold))


def neighbours(all_golds: list[str], n: int, seed: int) -> list[tuple[str, str, str]]:
    """Return n triples (kind, gold, wrong answer), every kind as often as it can be had."""
    rng = random.Random(seed)
    groups: dict[str, list[str]] = defaultdict(list)
    for gold in all_golds:
        groups[shape(gold)].append(gold)
    found: dict[tuple[str, str], str] = {}
    pools = {kind: rng.sample(all_golds, len(all_golds)) for kind in [*CHANGES, "same shape"]}
    while len(found) < n and any(pools.values()):
        for kind, pool in pools.items():
            while pool and len(found) < n:
                gold = pool.pop()
                wrong = CHANGES[kind](gold, rng) if kind in CHANGES else rng.choice(groups[shape(gold)])
                if wrong is not None and wrong != gold:
                    found.setdefault((gold, wrong), kind)
                    break
    return [(kind, gold, wrong) for (gold, wrong), kind in found.items()]


def equal_by_value(one: str, other: str) -> bool:
    """Tell by another way than the grader's whether two answers are the same number: sympy with 30 digits."""
    import math_verify

    parsed = [math_verify.parse(f"${text}$", parsing_timeout=None) for text in (one, other)]
    try:
        values = [p[0].evalf(30) for p in parsed if p and not isinstance(p[0], str)]
        return len(values) == 2 and not values[0].free_symbols and abs(values[0] - values[1]) < 1e-20 * abs(values[0])
    except Exception:  # noqa: BLE001 - sympy raises anything; then the pair stays and is listed
        return False


# --- the measurements


def measure_right(grader: Grader, all_golds: list[str], show: bool) -> None:
    """Print how many golds are refused in each spelling."""
    pairs = [(name, gold, text) for gold in all_golds for name, text in spellings(gold)]
    verdicts = grader.grade([text for *_, text in pairs], [gold for _, gold, _ in pairs])
    refused: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for (name, gold, _), verdict in zip(pairs, verdicts, strict=True):
        if not verdict.correct:
            refused[name].append((gold, verdict.reason))
    for name in dict.fromkeys(name for name, *_ in pairs):
        print(f"right, {name}: {len(refused[name])} of {len(all_golds)} not rewarded")
        for gold, reason in refused[name] if show else []:
            print(f"    {gold!r}: {reason}")


def measure_wrong(grader: Grader, all_golds: list[str], n: int, seed: int) -> None:
    """Print the share of wrong neighbours that are rewarded, and every one of them."""
    triples = neighbours(all_golds, n, seed)
    verdicts = grader.grade([rf"\boxed{{{wrong}}}" for *_, wrong in triples], [gold for _, gold, _ in triples])
    rewarded = [t for t, v in zip(triples, verdicts, strict=True) if v.correct]
    same = [t for t in rewarded if equal_by_value(t[1], t[2])]
    false = [t for t in rewarded if t not in same]
    counts, reasons = Counter(kind for kind, *_ in triples), Counter(v.reason for v in verdicts)
    print(f"wrong neighbours: {len(triples):,} ({dict(counts)}); verdicts {dict(reasons)}")
    print(f"  rewarded and of equal value (no neighbours): {len(same)}")
    print(f"  FALSE REWARDS, to be looked at: {len(false)} = {len(false) / len(triples):.3%}")
    for kind, gold, wrong in false:
        print(f"    {kind}: {gold!r} and {wrong!r}")


def measure_agreement(grader: Grader, folder: Path) -> None:
    """Print the agreement with the labels stored beside real model answers."""
    with gzip.open(folder / "qwenrm_samples100.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    items = [
        (r["answer"], text, s) for r in rows for text, s in zip(r["meta"]["response"], r["meta"]["score"], strict=True)
    ]
    verdicts = grader.grade([text for _, text, _ in items], [gold for gold, _, _ in items])
    agree = sum(v.correct is score for v, (*_, score) in zip(verdicts, items, strict=True))
    print(f"stored labels: {agree} of {len(items)} agree")


def measure_seconds(all_golds: list[str], name: str, seed: int) -> None:
    """Print CPU-seconds for 1,000 new verdicts: a third right, two thirds wrong."""
    rng = random.Random(seed)
    sample = rng.sample(all_golds, min(3000, len(all_golds)))
    answers = [rng.choice([gold, rng.choice(sample), _digit(gold, rng) or gold]) for gold in sample]
    with Grader(GradingConfig(kind="math")) as grader:
        grader.grade([r"\boxed{1}"], ["2"])  # imports
        start = time.process_time()
        grader.grade([rf"So we get $\boxed{{{a}}}$." for a in answers], sample)
        spent = time.process_time() - start
    each = spent / len(sample)
    print(f"CPU-seconds for 1,000 verdicts, {name}: {each * 1000:.2f} ({1 / each:,.0f} a second)")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neighbours", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="list every right answer that is not rewarded")
    args = parser.parse_args()
    folder = Path(os.environ["SAERL_SHARED_DATA"])
    everything = {pool: golds(folder, pool) for pool in POOLS}
    mixed = list(dict.fromkeys(g for pool in POOLS for g in everything[pool]))
    with Grader(GradingConfig(kind="math")) as grader:
        measure_right(grader, mixed, args.list)
        measure_wrong(grader, mixed, args.neighbours, args.seed)
        measure_agreement(grader, folder)
    measure_seconds([g for pool in POOLS[:4] for g in everything[pool]], "MATH and its like", args.seed)
    measure_seconds(everything["gsm8k_train"], "GSM8K", args.seed)


if __name__ == "__main__":
    main()
