"""The feature sets that stand beside each other in a probe table: the SAE and what it must beat."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import sparse
from scipy.sparse import csr_matrix

from saerl_core.config.signals import Space
from saerl_core.errors import DataError
from saerl_core.records import ControlFeatures
from saerl_core.seeds import stage_rng
from saerl_core.signals.descent import Matrix

_TFIDF_COLUMNS = 3000  # each of the character and the word half


@dataclass(frozen=True)
class FeatureSpace:
    """One feature set; row i belongs to text i of the list that it was built for."""

    name: str
    matrix: Matrix


def build_spaces(
    texts: list[str],
    sae: csr_matrix,
    dense: Float[np.ndarray, "n d_in"] | None = None,
    random_sae: csr_matrix | None = None,
) -> list[FeatureSpace]:
    """Return the SAE's space first, then dense and random_sae where given, then tfidf and length."""
    spaces = [FeatureSpace("sae", log1p(sae))]
    if dense is not None:
        spaces.append(FeatureSpace("dense", np.asarray(dense, dtype=np.float64)))
    if random_sae is not None:
        spaces.append(FeatureSpace("random_sae", log1p(random_sae)))
    spaces.append(FeatureSpace("tfidf", tfidf(texts)))
    spaces.append(FeatureSpace("length", lengths(texts)))
    return spaces


def name_of(space: Space) -> str:
    """Return the feature set whose predictions a signal is made of; `random` deals out those of the SAE."""
    return {"surface": "tfidf", "random": "sae"}.get(space, space)


def dealt(table: pd.DataFrame, space: Space, seed: int, stage: str) -> pd.DataFrame:
    """Return a signal's table; for `random` its rows are dealt out at random, so that only its distribution is left."""
    if space != "random":
        return table
    ordered = table.sort_values("prompt_id", ignore_index=True)  # independent of the row order
    columns = [name for name in table.columns if name != "prompt_id"]
    values = ordered[columns].iloc[stage_rng(seed, f"{stage}_random").permutation(len(table))].reset_index(drop=True)
    found = pd.concat([ordered[["prompt_id"]], values], axis=1).set_index("prompt_id")
    return found.loc[table["prompt_id"]].reset_index()[list(table.columns)]


def space_notes(space: Space) -> tuple[str, ...]:
    """Return the sentence that a report says where the signal is not the SAE's."""
    told = {"dense": "dense activations", "random_sae": "a frozen random SAE", "surface": "TF-IDF of the text"}
    if space == "random":
        return ("signals.space is 'random': the signal is the SAE's, dealt out at random, as a control",)
    return () if space == "sae" else (f"signals.space is '{space}': the signal comes from {told[space]}, as a control",)


def control_rows(controls: ControlFeatures, prompt_ids: list[str]) -> tuple[Float[np.ndarray, "n d_in"], csr_matrix]:
    """Return the dense and the random-SAE rows of the given prompts; `DataError` if one has none."""
    where = {p: i for i, p in enumerate(controls.prompt_ids)}
    missing = next((p for p in prompt_ids if p not in where), None)
    if missing is not None:
        raise DataError(f"prompt {missing} has no control features; extract them for the whole pool")
    index = [where[p] for p in prompt_ids]
    if not np.isfinite(controls.dense).all():
        raise DataError("the dense controls hold NaN or infinite values; the model's activations are not finite")
    return controls.dense[index], controls.random_sae[index]


def log1p(matrix: csr_matrix) -> csr_matrix:
    """Return log(1 + x) of the stored values; zeros stay unstored."""
    out = csr_matrix(matrix, dtype=np.float64, copy=True)
    np.log1p(out.data, out=out.data)
    return out


def lengths(texts: list[str]) -> Float[np.ndarray, "n 4"]:
    """Return characters, words and the logarithms of both."""
    counts = np.array([[len(t), len(t.split())] for t in texts], dtype=np.float64).reshape(len(texts), 2)
    return np.hstack([counts, np.log1p(counts)])


def tfidf(texts: list[str]) -> csr_matrix:
    """Return TF-IDF weights of character 1- to 3-grams and of word 1- and 2-grams.

    The vocabulary and the document frequencies come from all texts: they need no label.
    """
    characters = _vectorised(texts, analyzer="char", ngram_range=(1, 3))
    words = _vectorised(texts, analyzer="word", ngram_range=(1, 2))
    return csr_matrix(sparse.hstack([characters, words], format="csr"))


def _vectorised(texts: list[str], analyzer: str, ngram_range: tuple[int, int]) -> csr_matrix:
    from sklearn.feature_extraction.text import TfidfVectorizer

    def vectoriser(min_df: int) -> TfidfVectorizer:
        return TfidfVectorizer(
            analyzer=analyzer,
            ngram_range=ngram_range,
            min_df=min_df,
            max_features=_TFIDF_COLUMNS,
            sublinear_tf=True,
            lowercase=False,
            token_pattern=r"\w+|[^\w\s]" if analyzer == "word" else None,
        )

    if len(texts) >= 100:
        try:
            return vectoriser(3).fit_transform(texts)
        except ValueError:  # no n-gram occurs in three texts
            pass
    return vectoriser(1).fit_transform(texts)
