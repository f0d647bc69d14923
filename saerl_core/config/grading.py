"""How an answer is graded; apart from the other sections, which a trainer's process then need not import."""

from typing import Annotated, Literal

from pydantic import Field

from saerl_core.config.base import Positive, Section


class GradingConfig(Section):
    """The one grader of labels, training and evaluation."""

    kind: Literal["task_world", "exact", "math", "lm_eval", "qwen_math", "lighteval", "python"] = "task_world"
    timeout_s: Annotated[float, Field(gt=0.0)] = 5.0
    n_workers: Positive = 1
    function: str | None = None  # kind python: package.module:name, called with (completion, answer)
    correct_from: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5  # kind python: rewards from here on count as correct
    code: str | None = None  # kind python: hash of the function's source; every run sets it when it starts
