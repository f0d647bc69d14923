r"""What decontamination finds where the truth is known, and what it costs.

    python benchmarks/contamination.py FOLDER            # truths: a minute
    python benchmarks/contamination.py FOLDER --speed    # 103,000 prompts against six evaluation sets

FOLDER holds math500.jsonl.gz and the other sets of real prompts ($SAERL_SHARED_DATA of the tests). Printed are: the
items of math500 that are found in math500 in another spelling, without and with an instruction behind the question;
leaks among unrelated prompts under one template; math_train against math500; items of each set that stand as a whole
inside longer prompts of another. With --speed: CPU seconds and peak memory of `load_prompts` on a pool that is made
from the real prompts, each repeated with other numbers and words.
"""

import argparse
import gzip
import json
import re
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from saerl_core.config.run import PromptsConfig
from saerl_core.prompts.decontaminate import EvalItem, find_matches
from saerl_core.prompts.load import load_prompts

N_PROMPTS = 103_000
SUFFIX = " Let's think step by step and output the final answer within \\boxed{}."
TEMPLATE = (
    "You are given one question. Reason about it carefully between the marks for thoughts, check each step twice, and "
    "then write one final result between the marks for results, and nothing else. The question: {} Begin now."
)
UNRELATED = (
    *("How many primes are below 40?", "A box of 12 eggs costs 4 coins. What do 30 eggs cost?", "Solve $x^2=49$."),
    *("What is the area of a circle of radius 3?", "Name the 5th power of 2.", "Add the odd numbers up to 19."),
    *("Lea runs 7 km in 35 min. How far in 2 hours?", "Which digit ends $7^{100}$?", "Find $\\gcd(84,126)$."),
    *("A cube has volume 64. What is its surface?", "How many diagonals has a hexagon?", "Evaluate $\\log_2 32$."),
)
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda t: t,
    "\\frac -> \\dfrac": lambda t: t.replace("\\frac", "\\dfrac"),
    "( -> \\left(": lambda t: t.replace("(", "\\left(").replace(")", "\\right)"),
    "U+200B in every eighth word": lambda t: _in_words(t, lambda w: w[:1] + "\u200b" + w[1:]),
    "upper case": str.upper,
    "dollars removed": lambda t: t.replace("$", ""),
    "$ -> \\( \\)": lambda t: re.sub(r"(?<!\\)\$([^$]+)\$", r"\\(\1\\)", t),
    "thin spaces at relations": lambda t: t.replace("=", "\\,=\\;"),
    "blanks at signs": lambda t: re.sub(r"([=+<>-])", r" \1 ", t),
    "no-break spaces, Unicode minus": lambda t: t.replace(" ", "\u00a0").replace("-", "\u2212"),
}


def main() -> None:
    """Print the known truths, or the speed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument(
        "--template", action="store_true", help="with --speed: every prompt and item under one template"
    )
    options = parser.parse_args()
    if options.speed:
        speed(options.folder, template=options.template)
    else:
        respelled(prompts_of(options.folder / "math500.jsonl.gz"))
        one_template()
        train_against_test(options.folder)
        inside_longer(options.folder)


def prompts_of(path: Path) -> list[str]:
    """Return the prompts of a gzipped file."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        rows = [json.loads(line) for line in lines]
    return [str(row.get("prompt") or row.get("question") or row.get("problem")) for row in rows]


def items_of(name: str, prompts: list[str]) -> list[EvalItem]:
    """Return evaluation items."""
    return [EvalItem(name, str(i), prompt) for i, prompt in enumerate(prompts)]


def respelled(exam: list[str]) -> None:
    """Print how many items are found in each spelling, without and with an instruction behind them."""
    items = items_of("math500", exam)
    for name, spell in SPELLINGS.items():
        found = []
        for suffix in ("", SUFFIX):
            matches = find_matches([spell(text) + suffix for text in exam], items, 13, 0.5).matches
            found.append(len({m.prompt_index for m in matches if m.item.eval_id == str(m.prompt_index)}))
        print(f"{name:32} {found[0]} of {len(exam)}, with an instruction behind it {found[1]}")


def one_template() -> None:
    """Print how many of twelve unrelated prompts under one template are taken for leaks."""
    prompts = [TEMPLATE.format(text) for text in UNRELATED]
    for n_items in (1, 3, 6):
        found = find_matches(prompts[n_items:], items_of("exam", prompts[:n_items]), 13, 0.5)
        print(f"one template, {n_items} items, {12 - n_items} prompts: {len(found.matches)} matches")


def train_against_test(folder: Path) -> None:
    """Print the overlap of MATH's own splits."""
    pool = prompts_of(folder / "math_train.jsonl.gz")
    found = find_matches(pool, items_of("math500", prompts_of(folder / "math500.jsonl.gz")), 13, 0.5)
    n_items = len({m.item.eval_id for m in found.matches})
    n_prompts = len({m.prompt_index for m in found.matches})
    print(f"math_train, math500: {n_items} items, {n_prompts} prompts, {sum(m.exact for m in found.matches)} exact")
    for match in found.matches:
        if match.exact or match.whole:
            print(f"  {pool[match.prompt_index]!r}\n  {match.item.prompt!r}")


def inside_longer(folder: Path) -> None:
    """Print every item of one set that stands as a whole, with more around it, in a prompt of another set."""
    sets = {path.name: prompts_of(path) for path in sorted(folder.glob("*.jsonl.gz"))}
    for name, exam in sets.items():
        for other, pool in sets.items():
            if name == other:
                continue
            for match in find_matches(pool, items_of(name, exam), 13, 0.5).matches:
                if match.whole and not match.exact:
                    print(f"whole: {name} {match.item.prompt!r} in {other} {pool[match.prompt_index]!r}")


def speed(folder: Path, *, template: bool) -> None:
    """Print what loading costs: the pool is the real prompts again and again, with other numbers and names."""
    real = [text for path in sorted(folder.glob("*.jsonl.gz")) for text in prompts_of(path)]
    exams = ("math500", "gsm8k_test", "mathperturb_hard", "deepscaler_sub1209", "talscq_en_train", "qwenrm_samples100")
    with tempfile.TemporaryDirectory() as work:
        pool = Path(work) / "pool.jsonl"
        with pool.open("w", encoding="utf-8") as file:
            for i in range(N_PROMPTS):
                text = _varied(real[i % len(real)], i // len(real))
                text = TEMPLATE.format(text) if template else text
                file.write(json.dumps({"prompt": text, "answer": str(i % 97)}) + "\n")
        against = []
        for exam in exams:
            against.append(str(Path(work) / f"{exam}.jsonl"))
            texts = prompts_of(folder / f"{exam}.jsonl.gz")
            lines = [json.dumps({"prompt": TEMPLATE.format(text) if template else text}) for text in texts]
            Path(against[-1]).write_text("\n".join(lines) + "\n", encoding="utf-8")
        config = PromptsConfig(source="file", path=str(pool), decontaminate_against=tuple(against))
        start = time.process_time()
        out = load_prompts(config, 0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{N_PROMPTS:,} prompts: {time.process_time() - start:.0f} CPU-s, peak {peak:.2f} GiB")
    print({name: out.report.counts[name] for name in ("n_train", "n_eval_items", "n_contaminated", "n_duplicate")})


def _varied(text: str, copy: int) -> str:
    """Return a text with other numbers and, in every third word, other words; the first copy is left alone."""
    if copy == 0:
        return text
    counter = iter(range(10_000))
    shifted = re.sub(r"\d+", lambda m: str(int(m.group()[:9]) + copy), text)
    return re.sub(r"[a-z]{5,}", lambda m: f"{m.group()}{'qz' * copy}" if next(counter) % 3 == 0 else m.group(), shifted)


def _in_words(text: str, change: Callable[[str], str]) -> str:
    return " ".join(change(word) if i % 8 == 0 else word for i, word in enumerate(text.split(" ")))


if __name__ == "__main__":
    main()
