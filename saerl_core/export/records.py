"""What every format writes from: the rows of a plan in the order of training, and how the policy reads a prompt."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from saerl_core.export.pool import PoolFacts, Receipts
from saerl_core.records import PromptFormat


@dataclass(frozen=True)
class ExportOptions:
    """What a plan alone does not say: how the policy reads a prompt, how answers are graded, the size of a group."""

    prompt_format: PromptFormat | None = None  # None: nobody said; the text as it is, or the trainer's own template
    grading: str = "math"  # kind of grading, as in a run file
    group_size: int | None = None  # completions a prompt, at least 2; None: nobody said
    receipts: Receipts | None = None  # of the search for evaluation items; None: nobody said


@dataclass(frozen=True)
class PlannedRow:
    """One use of a prompt: row `step * prompts_per_step + slot` of the data file."""

    row: int
    step: int
    slot: int
    prompt_id: str
    prompt: str  # with the policy's suffix behind it
    answer: str
    source: str | None = None
    licence: str | None = None


@dataclass(frozen=True)
class PlanExport:
    """A plan with the texts of its prompts, ready to be written."""

    rows: tuple[PlannedRow, ...]
    strategy: str
    plan_hash: str
    order: str  # planned, or realised: what an online strategy has trained on
    seed: int
    prompts_per_step: int
    n_steps: int
    options: ExportOptions
    pool: PoolFacts

    @property
    def group_size(self) -> int | None:
        """Return the number of completions a prompt, where somebody said it."""
        return self.options.group_size

    @property
    def in_chat(self) -> bool:
        """Say whether the policy reads prompts through its chat template."""
        return self.options.prompt_format is not None and self.options.prompt_format.chat_template

    @property
    def is_plain(self) -> bool:
        """Say whether the policy is known to read prompts without a template."""
        return self.options.prompt_format is not None and not self.options.prompt_format.chat_template

    @property
    def system_prompt(self) -> str | None:
        """Return the system message, where there is one."""
        return None if self.options.prompt_format is None else self.options.prompt_format.system_prompt

    def messages(self, row: PlannedRow) -> list[dict[str, str]]:
        """Return the prompt as chat messages."""
        system = [] if self.system_prompt is None else [{"role": "system", "content": self.system_prompt}]
        return [*system, {"role": "user", "content": row.prompt}]

    def text_or_messages(self, row: PlannedRow) -> str | list[dict[str, str]]:
        """Return messages for a policy that reads a chat template, else the text."""
        return self.messages(row) if self.in_chat else row.prompt

    def plain(self, row: PlannedRow) -> dict[str, object]:
        """Return a use of a prompt by the names that no trainer asks for: its place, the prompt, the answer."""
        place = {"row": row.row, "step": row.step, "slot": row.slot, "prompt_id": row.prompt_id}
        return {**place, "prompt": self.text_or_messages(row), "answer": row.answer}


@dataclass(frozen=True)
class Format:
    """One row of the table: what a trainer reads, and what its README says."""

    title: str  # the trainer, as people write it
    data: str  # the file with one row a use of a prompt
    prompt_in: str  # dotted path of the prompt in a row: a text, or chat messages that end with it
    answer_in: str  # dotted path of the answer
    write: Callable[[PlanExport, Path], None]  # data and settings into a folder that exists
    start: str  # how to start, from inside the folder
    keeps: str  # what keeps the order
    breaks: str  # what breaks it
    feedback: str  # how rewards come back
    page: Callable[[PlanExport, str], str] | None = None  # README.md around the ten lines that every format has
    ran: str = "not run"  # what was run of it, and not only checked against the documented layout
