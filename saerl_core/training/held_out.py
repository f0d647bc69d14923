"""Held-out prompts that are scored while a policy trains. No torch."""

import pandas as pd

from saerl_core.errors import DataError
from saerl_core.records import TrainJob


def held_out_prompts(job: TrainJob) -> pd.DataFrame | None:
    """Return the usable held-out prompts of a job, None where its settings ask for no scores.

    Raises:
        DataError: scores are asked for, but there is no usable prompt.
    """
    every, prompts = job.config.eval_every_steps, job.eval_prompts
    if every is None:
        return None
    if prompts is None or not prompts["usable"].any():
        raise DataError(
            f"training.eval_every_steps is {every}, but there is no usable held-out prompt to score; remove it or give "
            "a dev split"
        )
    return prompts[prompts["usable"]]
