"""A quick look at the pool before a run: what the configuration asks of the data and the data do not have."""

from saerl_core.config.run import UNTRAINED_STRATEGY, RunConfig
from saerl_core.errors import DataError
from saerl_core.prompts.benchmarks import load_benchmarks
from saerl_core.prompts.load import load_prompts
from saerl_core.prompts.pool import pool_from_file
from saerl_core.prompts.read import existing_file, format_of
from saerl_core.signals.labels import chosen_label

_ROWS = 2000  # enough to know which labels there are, read in a second or two


def strategy_told(config: RunConfig) -> list[str]:
    """Return a sentence where the strategy is not the usual default, because nothing is trained."""
    strategy = config.plan.strategy.name
    if config.training.enabled or config.compare.arms or strategy != UNTRAINED_STRATEGY:
        return []
    return [f"the plan is made by strategy '{strategy}': nothing is trained, so there are no rewards to learn from"]


def look_at_files(config: RunConfig) -> None:
    """Read the first rows of the files that a run reads beside its pool: held-out prompts, benchmarks, known leaks.

    Raises:
        ConfigError: a setting names a file that is not there, or of no format that is read.
        DataError: none of the first rows can be used.
    """
    given = config.prompts
    if given.world is None:
        if given.eval_path is not None:
            pool_from_file("prompts.eval_path", given.eval_path, given.model_copy(update={"format": "auto"}), _ROWS)
        for path in given.decontaminate_against:
            format_of(existing_file("prompts.decontaminate_against", path), "auto")
    if config.evaluation.enabled:
        on_disk = [benchmark for benchmark in config.evaluation.benchmarks if benchmark.path is not None]
        few = [b.model_copy(update={"max_rows": min(b.max_rows or _ROWS, _ROWS)}) for b in on_disk]
        load_benchmarks(few, given.max_prompt_chars)


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
