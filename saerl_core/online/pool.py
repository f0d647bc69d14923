"""The prompts that a curriculum chooses from, as data for a trainer: each once, in no order that matters."""

import json
from pathlib import Path

import pandas as pd

from saerl_core.errors import DataError
from saerl_core.plans import BatchPlan, FixedPlan
from saerl_core.records import PromptFormat


def pool_rows(plan: BatchPlan, prompts: pd.DataFrame, prompt_format: PromptFormat | None) -> list[dict[str, object]]:
    """Return the prompts that the plan may ask for, under the names that TRL, slime and Trinity-RFT read.

    `prompt` is a text, or chat messages where `prompt_format` has a chat template. `DataError` for prompts that the
    plan was not made from, or without an answer.
    """
    table = plan.table if isinstance(plan, FixedPlan) else plan.candidates
    ids = list(dict.fromkeys(table["prompt_id"].astype(str)))
    given = {str(row["prompt_id"]): row for row in prompts.to_dict("records")}
    missing = [p for p in ids if p not in given]
    if missing:
        raise DataError(
            f"{len(missing)} of the {len(ids)} prompts of the plan are not among the {len(given)} prompts given, the "
            f"first is {missing[0]}; give the prompts that the plan was made from"
        )
    mute = [p for p in ids if not isinstance(given[p].get("answer"), str) or not str(given[p]["answer"]).strip()]
    if mute:
        raise DataError(f"{len(mute)} prompts of the plan have no answer, the first is {mute[0]}; leave them out of it")
    return [_row(p, str(given[p]["prompt"]), str(given[p]["answer"]), prompt_format) for p in ids]


def write_pool(
    plan: BatchPlan, prompts: pd.DataFrame, path: Path | str, prompt_format: PromptFormat | None = None
) -> int:
    """Write the prompts that the plan may ask for as JSON lines, and return their number.

    Fields: prompt, answer, prompt_id, and for slime label and metadata. `DataError` as in `pool_rows`, and where the
    file cannot be written.
    """
    rows = pool_rows(plan, prompts, prompt_format)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"the prompts could not be written to {path}: {error}; choose another file") from error
    return len(rows)


def _row(prompt_id: str, prompt: str, answer: str, reads: PromptFormat | None) -> dict[str, object]:
    text: str | list[dict[str, str]] = prompt
    if reads is not None:
        text = prompt + reads.prompt_suffix
    if reads is not None and reads.chat_template:
        system = [] if reads.system_prompt is None else [{"role": "system", "content": reads.system_prompt}]
        text = [*system, {"role": "user", "content": str(text)}]
    return {
        "prompt": text,
        "answer": answer,
        "label": answer,
        "prompt_id": prompt_id,
        "metadata": {"prompt_id": prompt_id},
    }
