"""Puts tables, bars and figure of the benchmark where people read them."""

from pathlib import Path

from benchmarks.microcosm.bars import bars
from benchmarks.microcosm.report import STANDARD, TUNED, compared, dev_table, figure, summary, table
from benchmarks.microcosm.run import RESULTS

ROOT = Path(__file__).resolve().parents[2]


def write(path: Path = RESULTS / "test.jsonl") -> list[str]:
    """Write the tables into README and docs/benchmark.md, draw the figure; return what was written."""
    results = compared(path)
    text = "\n\n".join("\n".join([f"Pool `{r.pool}`:", "", *table(r)]) for r in results)
    tables = {
        "benchmark table": text,
        "benchmark summary": "\n".join(summary(results)),
        "benchmark bars": "\n".join(bars(results)),
        "dev table": "\n".join(dev_table()),
    }
    written = []
    for page in (ROOT / "README.md", ROOT / "docs" / "benchmark.md"):
        content = before = page.read_text(encoding="utf-8")
        for name, table_text in tables.items():
            content = _between(content, f"<!-- {name} -->", f"<!-- end of {name} -->", table_text)
        if content != before:
            page.write_text(content, encoding="utf-8")
            written.append(page.name)
    if not results:
        return written
    figure(results, (STANDARD, TUNED, "saerl_cluster", "adaptive"), ROOT / "docs" / "benchmark.svg")
    return [*written, "benchmark.svg"]


def _between(content: str, begin: str, end: str, text: str) -> str:
    """Put a text between two marks; a page without them stays as it is."""
    if begin not in content or end not in content:
        return content
    head, rest = content.split(begin, 1)
    return f"{head}{begin}\n{text}\n{end}{rest.split(end, 1)[1]}"
