"""Tripwires: which latents of one and the same SAE fire in other answers after training than before.

Both policies answer the same held-out prompts with the same random numbers; one reader, the policy before training or
the SAE's own model, reads prompt and answer of both. A random SAE on the same activations is the control.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_matrix

from saerl_core.config.run import FeaturesConfig
from saerl_core.features.extract import extract_features
from saerl_core.records import FeatureShift, PolicyRef, SaeRef, WatchReport

if TYPE_CHECKING:
    import pandas as pd

_ERROR_RATE = 0.05  # of one false alarm or more among all latents of an SAE
_SHOWN = 10  # latents each way


def watch_features(
    prompts: "pd.DataFrame",
    answers: dict[str, list[str]],
    reader: PolicyRef,
    sae: SaeRef,
    config: FeaturesConfig,
    seed: int,
) -> WatchReport:
    """Compare the latents of the answers "before" and "after"; `answers` has one text a row of `prompts` under each.

    A latent fires in an answer where its pooled activation is above 0. The shift of each is tested on the pairs in
    which it fires on one side only (McNemar, z = (gained - lost) / sqrt(gained + lost)), with Bonferroni's bound over
    the latents that fire anywhere.
    """
    import pandas as pd

    n = len(prompts)
    texts = [
        prompts.assign(
            prompt_id=[f"{side}/{p}" for p in prompts["prompt_id"]],
            prompt=[f"{p}\n{a}" for p, a in zip(prompts["prompt"], answers[side], strict=True)],
        )
        for side in ("before", "after")
    ]
    both = pd.concat(texts, ignore_index=True)
    features, controls, report = extract_features(both, reader, sae, config, seed, controls=True)
    assert controls is not None
    shifts, alarms, found = _shifts(features.matrix, n)
    _, control_alarms, control = _shifts(controls.random_sae, n)
    n_changed = sum(a != b for a, b in zip(answers["before"], answers["after"], strict=True))
    return WatchReport(
        stage="watch",
        n_prefill_tokens=report.n_prefill_tokens,
        shifts=shifts,
        values={
            "n_answers": float(n),
            "n_answers_changed": float(n_changed),
            "n_latents": float(found),
            "n_moved": float(alarms),
            "n_latents_random_sae": float(control),
            "n_moved_random_sae": float(control_alarms),
        },
    )


def _shifts(matrix: csr_matrix, n: int) -> tuple[tuple[FeatureShift, ...], int, int]:
    """Return the largest shifts, how many pass the bound, and how many latents fire; `n` rows before, `n` after."""
    from scipy.stats import norm

    fires: Bool[np.ndarray, "rows latents"] = (matrix > 0).toarray()
    latents: Int[np.ndarray, " m"] = np.flatnonzero(fires.any(axis=0))
    before, after = fires[:n, latents], fires[n:, latents]
    gained, lost = (after & ~before).sum(axis=0), (before & ~after).sum(axis=0)
    z: Float[np.ndarray, " m"] = (gained - lost) / np.sqrt(np.maximum(gained + lost, 1))
    bound = float(norm.isf(_ERROR_RATE / 2 / max(1, len(latents))))
    order = np.lexsort((latents, -z))
    rose = [i for i in order[:_SHOWN] if z[i] > 0]
    fell = [i for i in order[::-1][:_SHOWN] if z[i] < 0]
    shifts = tuple(
        FeatureShift(
            latent=int(latents[i]),
            before=float(before[:, i].mean()),
            after=float(after[:, i].mean()),
            z=float(z[i]),
            is_alarm=bool(abs(z[i]) > bound),
        )
        for i in (*rose, *fell)
    )
    return shifts, int((np.abs(z) > bound).sum()), len(latents)
