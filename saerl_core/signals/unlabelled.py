"""Difficulty of a pool that nobody has labelled: from the policy's own likelihood of the answers, or none at all."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.sparse import csr_matrix
from scipy.stats import rankdata

from saerl_core.config.run import DifficultyConfig
from saerl_core.errors import DataError
from saerl_core.probe_rows import FeatureWeight
from saerl_core.records import DifficultyReport
from saerl_core.signals.folds import deal_folds, text_groups
from saerl_core.signals.labels import data_label
from saerl_core.signals.linear import feature_weights, fit_elastic_net
from saerl_core.signals.spaces import log1p
from saerl_core.tables import LIKELIHOOD

_MIDDLE = 0.5
_MIN_ROWS, _FOLDS = 10, 3


def unlabelled_difficulty(
    pool: pd.DataFrame, likelihood: pd.DataFrame | None, config: DifficultyConfig
) -> tuple[Float[np.ndarray, " n"], DifficultyReport]:
    """Return the difficulty of every prompt of the pool, in its order, and a report that says where it comes from.

    With a likelihood: the rank of the answer's mean negative log-likelihood, (rank - 1) / (n - 1) with ties by the
    prompt's own; 0.5 for a single prompt. Without: 0.5 everywhere, so that no order rests on it. There is nothing to
    compare with, so no probe is fitted and no figure is given.
    """
    values = {"is_fallback": 1.0, "n_labelled": 0.0, "n_held_out": 0.0}
    if likelihood is None:
        note = f"{_why(pool, config)}No prompt has a difficulty: all stand at {_MIDDLE:g}, and no order rests on it."
        report = DifficultyReport(stage="difficulty", label="none", notes=(note,), values=values)
        return np.full(len(pool), _MIDDLE), report
    table = LIKELIHOOD.check(likelihood).set_index("prompt_id").reindex(pool["prompt_id"].astype(str))
    if table["answer_nll_mean"].isna().any():
        missing = table.index[table["answer_nll_mean"].isna()][0]
        raise DataError(f"prompt {missing} has no likelihood; measure it for the whole pool")
    note = (
        f"{_why(pool, config)}Difficulty is how unlikely the policy finds the reference answer of each of the "
        f"{len(pool)} prompts, as a rank from 0 to 1: it takes no rollout and no label, nothing here measures how good "
        "it is, and it is no pass rate."
    )
    report = DifficultyReport(stage="difficulty", label="likelihood", notes=(note,), values=values)
    return _ranks(table["answer_nll_mean"].to_numpy(), table["prompt_nll_mean"].to_numpy()), report


def describe(
    pool: pd.DataFrame, matrix: csr_matrix, found: Float[np.ndarray, " n"], config: DifficultyConfig, seed: int
) -> tuple[FeatureWeight, ...]:
    """Return the weights of the elastic net of the difficulty probe on what was `found` for the whole pool.

    It predicts nothing: it says which latents go with a hard prompt. None for fewer than ten prompts.
    """
    if len(pool) < _MIN_ROWS:
        return ()
    folds = deal_folds(found, text_groups(pool).to_numpy(), _FOLDS, seed, "difficulty_inner_folds")
    x = log1p(matrix)
    return feature_weights(fit_elastic_net(x, found, folds, config.l1_ratio, config.min_document_frequency), x)


def _ranks(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the rank of (first, second) mapped to [0, 1]; equal pairs share theirs."""
    if len(first) == 1:
        return np.full(1, _MIDDLE)
    pairs = np.unique(np.column_stack([first, second]), axis=0, return_inverse=True)[1].ravel()
    return np.asarray((rankdata(pairs) - 1.0) / (len(first) - 1))


def _why(pool: pd.DataFrame, config: DifficultyConfig) -> str:
    """Say why no label is used, where labels were asked for."""
    if config.label in ("likelihood", "none"):
        return ""
    if config.label == "auto":
        return "No usable prompt came with a pass rate or a level, and none was measured. "
    other = data_label(pool, at_least=1)
    more = f" (they have a {other}: difficulty.label 'auto' would take it)" if other else ""
    return f"difficulty.label is '{config.label}', but no usable prompt has one{more}. "


def given_likelihood(likelihood: pd.DataFrame | None, config: DifficultyConfig) -> pd.DataFrame:
    """Return the likelihood that stands in for labels; `DataError` where nobody gave one."""
    if likelihood is None:
        raise DataError(
            f"difficulty.label is '{config.label}' but no usable prompt has a label; give the policy's likelihood, or "
            "set difficulty.label to 'none'"
        )
    return likelihood
