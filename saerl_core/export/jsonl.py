"""Plain JSON lines: for a training loop of your own, or a trainer that is not in the table."""

from pathlib import Path

from saerl_core.export.files import write_jsonl
from saerl_core.export.records import Format, PlanExport


def write(plan: PlanExport, folder: Path) -> None:
    """Write one row a use of a prompt."""
    write_jsonl(folder / FORMAT.data, (plan.plain(row) for row in plan.rows))


FORMAT = Format(
    title="JSON lines",
    data="prompts.jsonl",
    prompt_in="prompt",
    answer_in="answer",
    write=write,
    start="Read `prompts.jsonl` from top to bottom; the rows with the same `step` are one batch.",
    keeps="reading the file from top to bottom, without a shuffle",
    breaks="A data loader that shuffles, that drops or packs rows, or a batch size other than that of the plan.",
    feedback="Keep `prompt_id`, `step` and the reward of every completion.",
    ran="the file is the order",
)
