"""What the quality probe learns from: pool prompts and corruptions with labels and groups."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from saerl_core.config.run import QualityConfig
from saerl_core.errors import DataError
from saerl_core.signals.folds import join_groups, text_groups


@dataclass(frozen=True)
class QualityItems:
    """Pool prompts first, then corruptions: one row each, in the order of the feature spaces."""

    prompts: pd.DataFrame  # the pool, sorted by prompt_id
    n_pool: int
    labels: Float[np.ndarray, " n"]  # 1 good, 0 bad; NaN where there is no label
    groups: Int[np.ndarray, " n"]
    kinds: np.ndarray  # kind of corruption, "" for pool prompts

    @property
    def labelled(self) -> np.ndarray:
        """Mask of the rows that a probe may learn from."""
        return np.asarray(~np.isnan(self.labels))

    @property
    def is_binary(self) -> bool:
        """Whether all labels are 0 or 1."""
        return bool(np.isin(self.labels[self.labelled], (0.0, 1.0)).all())


def collect_items(pool: pd.DataFrame, corrupted: pd.DataFrame | None, config: QualityConfig) -> QualityItems:
    """Return the rows of a pool that is sorted by prompt_id, then the corruptions, with labels and groups.

    A group holds a prompt, its copies, its corruptions and the partners whose text they use. `DataError` when the
    corruptions are missing or belong to another pool.
    """
    usable = pool["usable"].to_numpy(dtype=bool)
    groups = text_groups(pool)
    if config.labels == "column":
        labels = np.where(usable, pool["quality_label"].to_numpy(dtype=np.float64, na_value=np.nan), np.nan)
        return QualityItems(pool, len(pool), labels, groups.to_numpy(), np.full(len(pool), "", dtype=object))
    if corrupted is None:
        raise DataError(
            "quality.labels is 'corruptions' but no corrupted prompts were given; make them with corrupt_prompts, "
            "or set quality.labels to 'column'"
        )
    originals = corrupted["original_id"].astype(str).tolist()
    partners = corrupted.get("partner_id", corrupted["original_id"]).fillna(corrupted["original_id"]).astype(str)
    joined = join_groups(groups, list(zip(originals, partners, strict=True)))
    missing = [o for o in originals if o not in joined.index]
    if missing:
        raise DataError(f"the original {missing[0]} of a corruption is not in the pool; corrupt the same pool again")
    return QualityItems(
        pool,
        len(pool),
        np.concatenate([np.where(usable, 1.0, np.nan), np.zeros(len(corrupted))]),
        np.concatenate([joined.to_numpy(), joined.loc[originals].to_numpy()]),
        np.concatenate([np.full(len(pool), "", dtype=object), corrupted["kind"].to_numpy(dtype=object)]),
    )


def why_not(items: QualityItems, config: QualityConfig) -> str | None:
    """Return the sentence that says why no probe can be fitted, or None."""
    labels = items.labels[items.labelled]
    if len(labels) == 0 or np.ptp(labels) == 0:
        what = "there is no label" if len(labels) == 0 else f"all {len(labels)} labels are {labels[0]:g}"
        return f"The quality probe was not fitted: {what}. Every prompt has score 1 and is kept."
    smallest = min(int((labels == 0).sum()), int((labels == 1).sum())) if items.is_binary else len(labels)
    n_groups = len(np.unique(items.groups[items.labelled]))
    if smallest < config.folds or n_groups < config.folds:
        return (
            f"The quality probe was not fitted: {smallest} labels of the rarer class in {n_groups} groups do not fill "
            f"{config.folds} folds. Every prompt has score 1 and is kept."
        )
    return None
