"""From a plan and its prompts to rows in the order of training; what cannot be exported is refused here."""

from collections.abc import Sequence
from typing import get_args

import pandas as pd

from saerl_core.config.grading import GradingConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.export.pool import LICENCE_COLUMNS, pool_facts, text_of
from saerl_core.export.records import ExportOptions, PlanExport, PlannedRow
from saerl_core.plans import BatchPlan, FixedPlan

_NEEDED = ("prompt_id", "prompt", "answer")


def collect(plan: BatchPlan, prompts: pd.DataFrame, options: ExportOptions) -> PlanExport:
    """Join a plan with the texts of its prompts, in the order of training.

    Raises:
        ConfigError: an option cannot work.
        DataError: the plan has no order yet, a batch of it is not full, or its prompts are not among `prompts` or lack
            a text or an answer.
    """
    _check(options)
    table = _ordered(plan)
    planned = [str(p) for p in table["prompt_id"]]
    texts, about = _texts(prompts, planned), _about(prompts)
    suffix = "" if options.prompt_format is None else options.prompt_format.prompt_suffix
    size = plan.prompts_per_step
    rows = []
    for i, prompt_id in enumerate(planned):
        prompt, answer = texts[prompt_id]
        rows.append(PlannedRow(i, i // size, i % size, prompt_id, prompt + suffix, answer, *about[prompt_id]))
    return PlanExport(
        rows=tuple(rows),
        strategy=plan.strategy,
        plan_hash=plan.plan_hash,
        order="planned" if isinstance(plan, FixedPlan) else "realised",
        seed=plan.seed,
        prompts_per_step=size,
        n_steps=len(rows) // size,
        options=options,
        pool=pool_facts(plan.decisions, prompts, planned),
    )


def _check(options: ExportOptions) -> None:
    kinds = get_args(GradingConfig.model_fields["kind"].annotation)
    if options.grading not in kinds:
        raise ConfigError(f"grading is '{options.grading}', which is not known; take one of {', '.join(kinds)}")
    if options.group_size is not None and options.group_size < 2:
        raise ConfigError(
            f"group_size is {options.group_size}; a group that is compared with itself has at least 2 completions"
        )
    found = options.prompt_format
    if found is not None and found.system_prompt is not None and not found.chat_template:
        raise ConfigError(
            "a system prompt was given without a chat template, and only a template has a place for it; set "
            "chat_template too, or put the text into prompt_suffix"
        )


def _ordered(plan: BatchPlan) -> pd.DataFrame:
    """Return the plan's table in step and slot order; `DataError` where it is empty or a batch is not full."""
    if plan.table.empty and not isinstance(plan, FixedPlan):
        raise DataError(
            f"strategy '{plan.strategy}' chooses every batch from the rewards, so its plan holds no order to export; "
            "export the order that a finished run of it has trained on (saerl export RUN, or plan.realised), or ask "
            "make_curriculum(plan) for each batch in a training loop of your own"
        )
    if plan.table.empty:
        raise DataError("the plan holds no step; plan at least one batch")
    table = plan.table.sort_values(["step", "slot"], ignore_index=True)
    size = plan.prompts_per_step
    last = int(table["step"].max())
    slots: dict[int, list[int]] = {}
    for step, slot in zip(table["step"], table["slot"], strict=True):
        slots.setdefault(int(step), []).append(int(slot))
    for step in range(last + 1):
        found = slots.get(step, [])
        if found != list(range(size)):
            raise DataError(
                f"step {step} of the plan holds {len(found)} prompts in slots {_some(found)}, not one in each of slots "
                f"0 to {size - 1}; a trainer cuts its file into batches of {size}, so every batch must be full"
            )
    return table


def _texts(prompts: pd.DataFrame, planned: list[str]) -> dict[str, tuple[str, str]]:
    missing = [name for name in _NEEDED if name not in prompts.columns]
    if missing:
        raise DataError(f"the prompts have no column {missing[0]!r}; an export needs {', '.join(_NEEDED)}")
    ids = prompts["prompt_id"].astype(str)
    texts = dict(zip(ids, zip(prompts["prompt"], prompts["answer"], strict=True), strict=True))
    wanted = list(dict.fromkeys(planned))
    twice = ids[ids.duplicated() & ids.isin(wanted)]
    if len(twice):
        raise DataError(
            f"prompt {twice.iloc[0]} stands more than once among the prompts; each prompt_id must be unique"
        )
    unknown = [p for p in wanted if p not in texts]
    if unknown:
        raise DataError(
            f"{len(unknown)} of the {len(wanted)} prompts of the plan are not among the {len(texts)} prompts given, "
            f"the first is {unknown[0]}; give the prompts that the plan was made from, unchanged"
        )
    for column, position in (("prompt", 0), ("answer", 1)):
        bad = [p for p in wanted if not _is_text(texts[p][position])]
        if bad:
            raise DataError(
                f"{len(bad)} of the {len(wanted)} planned prompts have no {column} that can be written as text, the "
                f"first is {bad[0]}; correct these rows and plan again"
            )
    return {p: texts[p] for p in wanted}


def _about(prompts: pd.DataFrame) -> dict[str, tuple[str | None, str | None]]:
    """Return source and licence of every prompt, where a column says them."""
    names = ["prompt_id", *(n for n in ("source", *LICENCE_COLUMNS) if n in prompts.columns)]
    rows = [{str(k): v for k, v in row.items()} for row in prompts[names].to_dict("records")]
    return {str(row["prompt_id"]): (text_of(row, ("source",)), text_of(row, LICENCE_COLUMNS)) for row in rows}


def _is_text(value: object) -> bool:
    """Say whether a value is a text that is not blank and that UTF-8 can hold."""
    if not isinstance(value, str) or not value.strip():
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _some(values: Sequence[object]) -> str:
    shown = ", ".join(map(str, values[:8]))
    return f"[{shown}{', ...' if len(values) > 8 else ''}]"
