"""What plan.json of an exported folder holds."""

from pydantic import BaseModel, ConfigDict

CARD_NAME = "plan.json"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CardRow(_Model):
    """Where one row of the data file stands in the plan."""

    row: int
    step: int
    slot: int
    prompt_id: str


class Origin(_Model):
    """Where a prompt comes from, and what one may do with it."""

    source: str | None
    licence: str | None


class Reads(_Model):
    """How the policy reads a prompt."""

    chat_template: bool
    system_prompt: str | None
    prompt_suffix: str


class Card(_Model):
    """Which plan it is, for which trainer, and every row of its data file."""

    format: str
    strategy: str
    order: str
    plan_hash: str
    seed: int
    prompts_per_step: int
    n_steps: int
    group_size: int | None
    grading: str
    prompt_format: Reads | None
    files: tuple[str, ...]  # of the folder, this one apart
    rows: tuple[CardRow, ...]
    origins: dict[str, Origin] = {}  # of the prompts that name a source or a licence, by their prompt_id
