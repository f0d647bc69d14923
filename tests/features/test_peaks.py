"""Where latents fire most: by hand, and against a search through everything."""

import numpy as np
import pytest
import torch

from saerl_core.config.run import FeaturesConfig
from saerl_core.features.activations import ActivationBatch
from saerl_core.features.encoder import TokenCodes
from saerl_core.features.extract import Wanted, extract_features, extract_named_features, pool_all
from saerl_core.features.peaks import PeakStore
from saerl_core.features.tokens import tokenize_prompts
from saerl_core.policy.loading import load_tokenizer

CPU = FeaturesConfig(device="cpu")


def add(store: PeakStore, fires: list[tuple[int, int, int, float]]) -> None:
    """Add a batch of activations (prompt, position, latent, value), in reading order."""
    rows = np.unique([f[0] for f in fires])
    tokens = sorted({f[:2] for f in fires})
    row_of_token = np.array([int(np.searchsorted(rows, prompt)) for prompt, _ in tokens])
    batch = ActivationBatch(rows, row_of_token, None, 0, 0, np.array([position for _, position in tokens]))  # type: ignore[arg-type]
    where = torch.tensor([tokens.index(f[:2]) for f in fires])
    values = torch.tensor([f[3] for f in fires], dtype=torch.float32)
    store.add(TokenCodes(where, torch.tensor([f[2] for f in fires]), values), batch)


def kept(store: PeakStore) -> list[tuple[int, int, int, float]]:
    p = store.peaks()
    return list(zip(p.latent.tolist(), p.prompt.tolist(), p.position.tolist(), p.value.tolist(), strict=True))


def test_two_of_each_latent_by_hand():
    store = PeakStore(("a", "b", "c"), d_sae=3, k=2)
    add(store, [(0, 1, 0, 1.0), (0, 2, 0, 3.0), (1, 1, 0, 2.0), (1, 1, 2, 0.5)])
    add(store, [(2, 1, 0, 4.0), (2, 3, 2, 0.5)])
    # latent 0: prompt c fires with 4, prompt a at most with 3, prompt b with 2 is the third; latent 1 never fires
    assert kept(store) == [(0, 2, 1, 4.0), (0, 0, 2, 3.0), (2, 1, 1, 0.5), (2, 2, 3, 0.5)]


def test_ties_go_to_the_smaller_id_and_the_earlier_token():
    store = PeakStore(("z", "b", "a"), d_sae=1, k=2)
    add(store, [(0, 1, 0, 1.0), (1, 1, 0, 1.0 + 1e-6), (1, 2, 0, 1.0)])
    add(store, [(2, 5, 0, 1.0)])
    assert [row[1:3] for row in kept(store)] == [(2, 5), (1, 1)]


@pytest.mark.parametrize("k", [1, 3])
def test_batches_do_not_matter_and_nothing_larger_is_missed(k):
    rng = np.random.default_rng(0)
    ids = tuple(f"p{i}" for i in rng.permutation(40))
    fires = {
        (int(p), int(t), int(j)): float(v)
        for p, t, j, v in zip(
            *(rng.integers(n, size=900) for n in (40, 6, 5)), rng.integers(1, 30, size=900), strict=True
        )
    }
    rows = sorted((*key, value) for key, value in fires.items())
    found = []
    for size in (1, 7, 40):
        store = PeakStore(ids, d_sae=5, k=k)
        for start in range(0, 40, size):
            if part := [row for row in rows if start <= row[0] < start + size]:
                add(store, part)
        found.append(kept(store))
    wanted = []
    for latent in range(5):
        best = {p: min((-v, t) for q, t, j, v in rows if (q, j) == (p, latent)) for p, _, j, _ in rows if j == latent}
        first = sorted(best, key=lambda p: (best[p][0], ids[p]))[:k]
        wanted += [(latent, p, best[p][1], -best[p][0]) for p in first]
    assert found == [wanted] * 3


def test_a_peak_is_the_largest_activation_of_the_pool(policy, sae, pool):
    tokens = tokenize_prompts(pool, load_tokenizer(policy), 64)
    pooled = pool_all(tokens, policy, sae, CPU, 0, Wanted(peaks=True))
    peaks, highest = pooled.peaks, pooled.sae["max"].toarray().max(axis=0)
    assert set(peaks.latent) == set(np.flatnonzero(highest))
    first = np.unique(peaks.latent, return_index=True)[1]
    np.testing.assert_allclose(peaks.value[first], highest[peaks.latent[first]], rtol=1e-3)
    assert (peaks.position >= tokens.n_prefix).all()
    assert np.bincount(peaks.latent).max() <= 5
    assert pool_all(tokens, policy, sae, CPU, 0).peaks is None


def test_names_leave_the_features_as_they_are(policy, sae, pool):
    features, _, report = extract_features(pool, policy, sae, CPU, 0, controls=False)
    again, _, with_names, names = extract_named_features(pool, policy, sae, CPU, 0, controls=False)
    assert abs(features.matrix - again.matrix).max() == 0
    assert with_names.values.keys() == report.values.keys()
    active = features.matrix.getnnz(axis=0)
    assert names["latent"].tolist() == np.flatnonzero(active).tolist()
    assert names["n_prompts"].tolist() == active[active > 0].tolist()


def test_names_do_not_depend_on_the_order_of_the_table(policy, sae, pool):
    _, _, _, names = extract_named_features(pool, policy, sae, CPU, 0, controls=False)
    shuffled = pool.sample(frac=1.0, random_state=1)
    _, _, _, other = extract_named_features(shuffled, policy, sae, CPU, 0, controls=False)
    assert names[["latent", "name", "examples"]].equals(other[["latent", "name", "examples"]])
