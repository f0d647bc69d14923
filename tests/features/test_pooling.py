import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saerl_core.features.encoder import TokenCodes
from saerl_core.features.pooling import angle_concentration, pool_codes, pool_dense


def codes_of(z: np.ndarray) -> TokenCodes:
    token, latent = np.nonzero(z)
    parts = (token, latent, z[token, latent].astype(np.float32))
    return TokenCodes(*(torch.from_numpy(part) for part in parts))


def test_poolings_by_hand():
    z = np.array([[1, 0, 2], [3, 0, 0], [0, 5, 0]], dtype=np.float32)
    pooled = pool_codes(codes_of(z), np.array([0, 0, 2]), (3, 3))
    assert pooled["mean"].toarray().tolist() == [[2, 0, 1], [0, 0, 0], [0, 5, 0]]
    assert pooled["max"].toarray().tolist() == [[3, 0, 2], [0, 0, 0], [0, 5, 0]]
    assert pooled["last"].toarray().tolist() == [[3, 0, 0], [0, 0, 0], [0, 5, 0]]


@given(st.integers(0, 2**31), st.lists(st.integers(0, 6), min_size=1, max_size=8))
def test_poolings_equal_their_dense_definitions(seed, n_tokens):
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(len(n_tokens)), n_tokens)
    z = (rng.random((len(rows), 11)) * (rng.random((len(rows), 11)) < 0.3)).astype(np.float32)
    pooled = pool_codes(codes_of(z), rows, (len(n_tokens), 11))
    import torch

    dense = pool_dense(torch.from_numpy(z), rows, len(n_tokens))
    for i in range(len(n_tokens)):
        part = z[rows == i]
        expected = {"mean": part.mean(axis=0), "max": part.max(axis=0), "last": part[-1]} if len(part) else {}
        for name in pooled:
            want = expected.get(name, np.zeros(11))
            np.testing.assert_allclose(pooled[name][i].toarray()[0], want, atol=1e-6)
            np.testing.assert_allclose(dense[name][i], want, atol=1e-6)
    for matrix in pooled.values():
        assert matrix.dtype == np.float32
        assert matrix.has_sorted_indices
        assert (matrix.data > 0).all()


def test_angle_concentration_by_hand():
    """Two tokens at a right angle: 0; three of which two are the same: (0 + 0 + 1) / 3; a single one: 0."""
    hidden = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    found = angle_concentration(hidden, np.array([0, 0, 1, 1, 1, 3]), 4)
    assert found == pytest.approx([0.0, 1 / 3, 0.0, 0.0])
