"""A data set for the Hugging Face Hub: parquet in the order of training, and its card."""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import yaml

from saerl_core.export.pool import Counts, PoolFacts, Receipts
from saerl_core.export.records import Format, PlanExport
from saerl_core.invisible import without_invisible

_MAX_RECEIPTS, _MAX_CHARS = 20, 200
# licences by the names that the Hub knows; it refuses a card with any other
_LICENCES = frozenset(
    [
        "apache-2.0",
        "mit",
        "bsd",
        "bsd-2-clause",
        "bsd-3-clause",
        "cc",
        "cc0-1.0",
        "cc-by-3.0",
        "cc-by-4.0",
        "cc-by-sa-3.0",
        "cc-by-sa-4.0",
        "cc-by-nc-3.0",
        "cc-by-nc-4.0",
        "cc-by-nc-sa-3.0",
        "cc-by-nc-sa-4.0",
        "cc-by-nd-4.0",
        "cc-by-nc-nd-4.0",
        "gpl",
        "gpl-2.0",
        "gpl-3.0",
        "lgpl",
        "lgpl-3.0",
        "agpl-3.0",
        "mpl-2.0",
        "odbl",
        "odc-by",
        "pddl",
        "unlicense",
        "wtfpl",
        "artistic-2.0",
        "openrail",
    ]
)
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def write(plan: PlanExport, folder: Path) -> None:
    """Write `data/train.parquet`: one row a use of a prompt, with source and licence where the prompts have them."""
    rows = pd.DataFrame({**plan.plain(row), "source": row.source, "licence": row.licence} for row in plan.rows)
    empty = [name for name in ("source", "licence") if rows[name].isna().all()]
    (folder / FORMAT.data).parent.mkdir(exist_ok=True)
    rows.drop(columns=empty).to_parquet(folder / FORMAT.data, index=False)


def page(plan: PlanExport, text: str) -> str:
    """Return the card: what the Hub reads in YAML, the page of the folder, the data card."""
    front = yaml.safe_dump(_front_matter(plan), sort_keys=False, allow_unicode=False)
    return f"---\n{front}---\n{text}\n" + "\n".join(_data_card(plan.pool, plan.options.receipts)) + "\n"


def _front_matter(plan: PlanExport) -> dict[str, object]:
    n = len(plan.rows)
    return {
        "pretty_name": f"A training order of saerl: {plan.strategy}",
        **_licence(plan.pool),
        "task_categories": ["text-generation"],
        "tags": ["saerl", "reinforcement-learning", "curriculum"],
        "size_categories": [next((name for bound, name in _SIZES if n < bound), "n>1M")],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": FORMAT.data}]}],
        "saerl": {
            "plan_hash": plan.plan_hash,
            "strategy": plan.strategy,
            "order": plan.order,
            "seed": plan.seed,
            "prompts_per_step": plan.prompts_per_step,
            "n_steps": plan.n_steps,
        },
    }


def _licence(pool: PoolFacts) -> dict[str, object]:
    """Return the licence as the Hub reads it; nothing where the prompts name none."""
    names = [name.strip().lower() for name, _ in pool.licences]
    if not names:
        return {}
    if len(names) == 1 and names[0] in _LICENCES:
        return {"license": names[0]}
    known = ", ".join(n for n in names if n in _LICENCES) or "see the card"
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", known).strip("-")}


def _data_card(pool: PoolFacts, receipts: Receipts | None) -> Iterator[str]:
    yield "## Data card"
    yield ""
    yield f"The pool holds {pool.n_pool:,} prompts, the data set {pool.n_distinct:,} of them, each once a use."
    yield from _table("What became of every prompt of the pool", "reason", pool.decisions)
    yield from _table("Flags in the pool", "flag", pool.flags, "No prompt of the pool has a flag.")
    nowhere = "The prompts do not name their source."
    yield from _table("Sources of the prompts in the data set", "source", pool.sources, nowhere)
    nothing = "The prompts name no licence: find out what their source allows before you publish this."
    yield from _table("Licences of the prompts in the data set", "licence", pool.licences, nothing)
    yield from _receipts(receipts)


def _table(title: str, name: str, counts: Counts, otherwise: str = "") -> Iterator[str]:
    yield ""
    yield f"### {title}"
    yield ""
    if not counts:
        yield otherwise or "None."
        return
    yield f"| {name} | prompts |"
    yield "|---|---:|"
    yield from (f"| {_cell(value)} | {n:,} |" for value, n in counts)


def _receipts(found: Receipts | None) -> Iterator[str]:
    yield ""
    yield "### Evaluation items among the prompts"
    yield ""
    if found is None or not found.n_items:
        yield "Not checked: the pool was compared with no evaluation set."
    elif not found.matches:
        yield f"The pool was compared with {found.n_items:,} evaluation items; no prompt shares enough text with one."
    else:
        yield (
            f"The pool was compared with {found.n_items:,} evaluation items. Pairs that share text: "
            f"{len(found.matches):,}; the plan leaves out the prompts that are marked for it. The strongest:"
        )
        yield ""
        yield "| prompt_id | evaluation set | item | covered |"
        yield "|---|---|---|---:|"
        for m in found.matches[:_MAX_RECEIPTS]:
            covered = "exact" if m.exact else f"{100 * m.coverage:.0f} %"
            yield f"| {_cell(m.prompt_id)} | {_cell(m.benchmark)} | {_cell(m.eval_id)} | {covered} |"


def _cell(value: str) -> str:
    """Return a text in one line, its signs as entities: neither Markdown nor HTML finds anything to read in it."""
    text = " ".join(without_invisible(value).split())
    text = text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 1] + "…"
    return re.sub(r"[^\w ,.…-]|_|\.(?=\S)", lambda m: f"&#{ord(m[0])};", text)


FORMAT = Format(
    title="the Hugging Face Hub",
    data="data/train.parquet",
    prompt_in="prompt",
    answer_in="answer",
    write=write,
    page=page,
    start='`datasets.load_dataset(".", split="train")` in this folder reads it; `hf upload YOURS/NAME . --repo-type '
    "dataset` publishes it. Read the data card below first.",
    keeps="the order of the rows, which `load_dataset` keeps; rows with the same `step` are one batch",
    breaks="`.shuffle()`, a data loader that shuffles, a filter, a batch size other than that of the plan.",
    feedback="Keep `prompt_id`, `step` and the reward of every completion.",
    ran="read again with `datasets.load_dataset` in tests/export",
)
