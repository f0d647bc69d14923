"""From a configuration to the `PromptSet`: read, checked, marked; no row of the input disappears without a line.

Flags and what they mean for a row stand in one table in `inspect`; the reasons for a rejection in `read` and
`columns`.
Tables keep the order of the file. Ids, flags and usability do not depend on that order; `max_rows` does (the first
rows of the file), and so do the line numbers that issues name.
"""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from saerl_core.config.run import PromptsConfig, TaskWorldConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.flags import UNUSABLE
from saerl_core.prompts import assemble
from saerl_core.prompts.decontaminate import EvalItem, Match, find_exact, find_matches
from saerl_core.prompts.duplicates import identify
from saerl_core.prompts.notes import unusable_notes
from saerl_core.prompts.pool import Pool, items_from_file, items_of, pool_from_file, pool_from_hub
from saerl_core.prompts.rows import Issue
from saerl_core.protocols import AnswerComparison
from saerl_core.records import Boilerplate, PromptSet, PromptsReport
from saerl_core.tables import PROMPTS

_HEADLINES = (  # the counts that are logged as metrics; the report page shows all
    *("n_rows", "n_train", "n_dev", "n_test", "n_rejected", "n_usable", "n_duplicate", "n_conflict", "n_contaminated"),
    *("n_eval_items", "n_eval_items_matched", "n_exact_matches"),
)


@dataclass
class _Findings:
    """What the report is written from."""

    n_rejected: int = 0  # rows of the pool; the other files' are in `n_rejected_elsewhere`
    n_rejected_elsewhere: int = 0
    issues: list[Issue] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    n_items: Counter[str] = field(default_factory=Counter)
    n_short: int = 0
    boilerplate: tuple[Boilerplate, ...] = ()
    notes: list[str] = field(default_factory=list)


def load_prompts(config: PromptsConfig, seed: int, same_answers: AnswerComparison | None = None) -> PromptSet:
    """Load the pool and the held-out prompts that a configuration names.

    `seed` only shapes a built-in world. `same_answers` settles whether answers of one prompt that differ in
    spelling are a conflict; without it they are. `ConfigError` where a setting names nothing that exists, `DataError`
    where a file is unreadable as a whole, or where no row is left that can be used.
    """
    started = time.perf_counter()
    out = _from_text(config, same_answers) if config.world is None else _from_world(config, config.world, seed)
    if not out.train["usable"].any():
        raise DataError(_none_usable(out))
    report = out.report.model_copy(update={"seconds": time.perf_counter() - started})
    return PromptSet(out.train, out.dev, out.test, out.issues, out.matches, report)


def _none_usable(out: PromptSet) -> str:
    """Say why no row can be used, with the reason of the first row that has the most frequent flag."""
    flags = Counter(f for row in out.train["flags"] for f in row.split(",") if f in UNUSABLE).most_common(3)
    first = out.issues.loc[out.issues["reason"] == flags[0][0]].iloc[0]
    return (
        f"none of the {len(out.train)} rows of the pool is usable ({', '.join(f'{n} {flag}' for flag, n in flags)}); "
        f"line {first['line']}: {first['detail']}"
    )


def _from_world(config: PromptsConfig, sizes: TaskWorldConfig, seed: int) -> PromptSet:
    """Build a built-in world; its text is known, so only exact overlap with its held-out splits is looked for."""
    from saerl_core.world.splits import build_world

    world = build_world(sizes, seed, config.source)
    train, dev, test = (
        PROMPTS.check(world[split].assign(licence=config.licence)) for split in ("train", "dev", "test")
    )
    items = [
        EvalItem(f"{config.source}/{split}", str(row_id), str(prompt))
        for split, frame in (("dev", dev), ("test", test))
        for row_id, prompt in zip(frame["prompt_id"], frame["prompt"], strict=True)
    ]
    found = _Findings(n_items=Counter(item.benchmark for item in items))
    found.matches = find_exact(list(train["prompt"]), items)
    marks = assemble.contamination_marks(found.matches)
    train = assemble.mark_table(train, marks)
    found.issues = [
        Issue(f"{config.source}/train", i + 1, m.flag, m.detail, rejected=False) for i, (_, m) in marks.items()
    ]
    return _prompt_set(train, dev, test, found)


def _from_text(config: PromptsConfig, same_answers: AnswerComparison | None) -> PromptSet:
    pool = _pool(config)
    found = _Findings(n_rejected=len(pool.rejected), issues=list(pool.rejected))
    if config.max_rows is not None and len(pool.rows) == config.max_rows:
        found.notes.append(
            f"prompts.max_rows: reading stopped after the first {config.max_rows} rows of '{pool.name}'."
        )
    if (layout := pool.layout_note()) is not None:
        found.notes.append(layout)
    held_out = _held_out(config, found)
    items = [*(items_of(held_out) if held_out else []), *_benchmark_items(config, found)]
    found.n_items = Counter(item.benchmark for item in items)
    if items:
        prompts = [row.prompt for row in pool.rows]
        compared = find_matches(prompts, items, config.ngram_tokens, config.coverage_threshold)
        found.matches, found.n_short = list(compared.matches), compared.n_short
        found.boilerplate = compared.boilerplate
    marks = assemble.contamination_marks(found.matches)
    train, issues = assemble.prompts_table(
        pool.rows, identify(pool.rows, same_answers), marks, config.keep_flags, config.licence
    )
    found.issues += issues
    test = PROMPTS.empty()
    if held_out is not None:
        test, issues = assemble.prompts_table(
            held_out.rows, identify(held_out.rows, same_answers), {}, config.keep_flags
        )
        found.issues += issues
    _note_broken_files(found)
    return _prompt_set(train, PROMPTS.empty(), test, found, config)


def _pool(config: PromptsConfig) -> Pool:
    setting, value = ("path", config.path) if config.source == "file" else ("dataset", config.dataset)
    if value is None:
        raise ConfigError(f"prompts.source is '{config.source}', but prompts.{setting} is not set; set it")
    if config.source == "file":
        return pool_from_file("prompts.path", value, config, config.max_rows)
    return pool_from_hub(config, value)


def _held_out(config: PromptsConfig, found: _Findings) -> Pool | None:
    if config.eval_path is None:
        return None
    # prompts.format speaks of prompts.path; this file's format is told by its own name
    pool = pool_from_file("prompts.eval_path", config.eval_path, config.model_copy(update={"format": "auto"}), None)
    found.issues += pool.rejected
    found.n_rejected_elsewhere += len(pool.rejected)
    return pool


def _benchmark_items(config: PromptsConfig, found: _Findings) -> list[EvalItem]:
    items: list[EvalItem] = []
    for path in dict.fromkeys(config.decontaminate_against):
        if config.eval_path is not None and Path(path) == Path(config.eval_path):
            continue  # compared already, as the held-out prompts
        more, rejected = items_from_file(path, config)
        items += more
        found.issues += rejected
        found.n_rejected_elsewhere += len(rejected)
    return items


def _note_broken_files(found: _Findings) -> None:
    for issue in found.issues:
        if issue.reason in ("truncated_gzip", "truncated_row"):
            found.notes.append(
                f"'{issue.file}' is truncated at line {issue.line}: only the rows before it are used ({issue.detail})."
            )


def _prompt_set(
    train: pd.DataFrame, dev: pd.DataFrame, test: pd.DataFrame, found: _Findings, config: PromptsConfig | None = None
) -> PromptSet:
    counts = _counts(train, dev, test, found)
    keep_flags = config.keep_flags if config is not None else ()
    notes = [*found.notes, *_notes(counts, found, config), *unusable_notes(train, found.issues, keep_flags)]
    report = PromptsReport(
        stage="load_prompts",
        counts=counts,
        notes=tuple(notes),
        boilerplate=found.boilerplate,
        values={key: float(counts[key]) for key in _HEADLINES} | {"usable_frac": float(train["usable"].mean())},
    )
    issues = assemble.issues_table(found.issues)
    return PromptSet(train, dev, test, issues, assemble.matches_table(found.matches, train), report)


def _counts(train: pd.DataFrame, dev: pd.DataFrame, test: pd.DataFrame, found: _Findings) -> dict[str, int]:
    flags = [set(row.split(",")) for row in train["flags"]]
    counts = {
        "n_rows": len(train) + found.n_rejected,
        "n_train": len(train),
        "n_dev": len(dev),
        "n_test": len(test),
        "n_rejected": found.n_rejected,
        "n_rejected_elsewhere": found.n_rejected_elsewhere,
        "n_usable": int(train["usable"].sum()),
        "n_flagged": sum(bool(row - {""}) for row in flags),
        "n_duplicate": int(train["duplicate_of"].notna().sum()),
        "n_conflict": int(train["conflict"].sum()),
        "n_contaminated": sum("contaminated" in row for row in flags),
        "n_eval_items": sum(found.n_items.values()),
        "n_eval_items_matched": len({(m.item.benchmark, m.item.eval_id) for m in found.matches}),
        "n_eval_items_short": found.n_short,
        "n_exact_matches": sum(m.exact for m in found.matches),
        "n_whole_matches": sum(m.whole for m in found.matches),
    }
    counts |= {f"n_{flag}": n for flag, n in sorted(Counter(f for row in flags for f in row - {""}).items())}
    reasons = Counter(issue.reason for issue in found.issues if issue.rejected)
    counts |= {f"n_rejected_{reason}": n for reason, n in sorted(reasons.items())}
    return counts | {f"n_truth_{kind}": int(n) for kind, n in train["truth"].value_counts().sort_index().items()}


def _notes(counts: dict[str, int], found: _Findings, config: PromptsConfig | None) -> list[str]:
    notes = []
    if counts["n_rejected"]:
        notes.append(f"Rejected rows: {counts['n_rejected']} of {counts['n_rows']}; the issues name each line.")
    if counts["n_conflict"]:
        notes.append(f"Rows whose prompt also stands with another answer: {counts['n_conflict']}; none is used.")
    if counts["n_duplicate"]:
        notes.append(f"Rows that are copies of another row, in the same or another spelling: {counts['n_duplicate']}.")
    if found.matches and config is not None:
        notes.append(_contamination_note(counts, found, config))
    if found.n_short:
        notes.append(f"Evaluation items without n-grams of their own, compared as a whole: {found.n_short}.")
    if found.boilerplate:
        notes.append(
            f"Passages of evaluation items that stand in many problems and count for no leak: {len(found.boilerplate)}."
        )
    return notes


def _contamination_note(counts: dict[str, int], found: _Findings, config: PromptsConfig) -> str:
    return (
        f"Contaminated prompts, not used: {counts['n_contaminated']} of {counts['n_train']}. They hold at least "
        f"{config.coverage_threshold:.0%} of the {config.ngram_tokens}-grams of {counts['n_eval_items_matched']} of "
        f"{counts['n_eval_items']} evaluation items, or such an item as a whole ({counts['n_whole_matches']} matches "
        f"as a whole, {counts['n_exact_matches']} with exactly the same words)."
    )
