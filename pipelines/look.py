"""A quick look at the pool before a run: what the configuration asks of the data and the data do not have."""

from saerl_core.config.run import RunConfig
from saerl_core.errors import DataError
from saerl_core.prompts.load import load_prompts
from saerl_core.signals.labels import chosen_label

_ROWS = 2000  # enough to know which labels there are, read in a second or two


def look_at_pool(config: RunConfig) -> list[str]:
    """Return sentences on what the first rows of a file mean for the run; none for other sources.

    Raises:
        DataError: the file cannot be read, or the run would end early: no usable prompt, or too few for a batch that is
        trained on.
    """
    given = config.prompts
    if given.source != "file":
        return []
    rows = min(given.max_rows or _ROWS, _ROWS)
    part = given.model_copy(update={"max_rows": rows, "decontaminate_against": (), "eval_path": None})
    pool = load_prompts(part, config.seed).train
    n_usable = int(pool["usable"].sum())
    if len(pool) < rows and config.training.enabled and n_usable < config.plan.prompts_per_step:
        raise DataError(
            f"'{given.path}' has {n_usable} usable prompts, fewer than plan.prompts_per_step = "
            f"{config.plan.prompts_per_step}; set it to at most {n_usable} or give more prompts"
        )
    found = [f"{n_usable} of the first {len(pool)} rows of '{given.path}' are usable"]
    label = chosen_label(pool, None, config.difficulty)
    wanted = config.difficulty.label
    if config.may_measure and label in ("likelihood", "pass_rate"):
        found.append("difficulty comes from the policy's pass rates on a labelled subset")
    elif label != wanted:
        why = "" if wanted == "auto" else f": no usable row has a {wanted}"
        found.append(f"difficulty comes from the label '{label}'{why}")
    if config.quality.labels == "column" and not pool["quality_label"].notna().any():
        raise DataError(
            f"quality.labels is 'column', but none of the first {len(pool)} rows of '{given.path}' has a number in "
            f"[0, 1] in the column '{given.columns.quality}'; correct prompts.columns.quality, or set "
            "quality.labels to 'corruptions'"
        )
    return found
