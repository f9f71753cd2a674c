"""Batches of more rows than serve as neighbours: order, chunks and a huge row do not matter."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from acr_sklearn import NeuralTransformation, ZeroShotACRDetector

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")
N_FEATURES = 5
RNG = np.random.default_rng(0)
MIXING = RNG.normal(size=(N_FEATURES, N_FEATURES))
DOMAINS = [
    RNG.normal(0, 4, N_FEATURES) + RNG.normal(size=(90, N_FEATURES)) @ MIXING for _ in range(5)
]
HEADS = ("combined", "objective", "neighbors", "mahalanobis", "consensus")


def detector(**options):
    small = {"max_iter": 2, "n_tasks": 4, "task_size": 32, "early_stopping": False}
    options = small | {"hidden_layer_sizes": (16,), "random_state": 0} | options
    return ZeroShotACRDetector(**options).fit(DOMAINS)


@pytest.fixture(scope="module")
def fitted():
    return {head: detector(score_head=head) for head in HEADS}


def batch(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    rows = 30 + rng.normal(size=(n_rows, N_FEATURES)) @ MIXING
    rows[: n_rows // 12] *= 1.3
    return rng.permutation(rows)


def apart(a, b):
    """Largest difference, in standard deviations of the scores."""
    return np.abs(a - b).max() / b.std()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-4), (np.float64, 1e-9)])
@pytest.mark.parametrize("seed", range(4))
def test_neither_order_nor_chunks_matter(fitted, head, dtype, bound, seed):
    X, order = batch(2500, seed).astype(dtype), np.random.default_rng(seed).permutation(2500)
    model = fitted[head]
    expected = model.set_params(chunk_size=None).score_samples(X)
    for size in (None, 10**9, 999, 37):
        model.set_params(chunk_size=size)
        assert apart(model.score_samples(X), expected) < bound
        assert apart(model.score_samples(X[order]), expected[order]) < bound


@pytest.mark.parametrize("n_rows", [2047, 2048, 2049, 16384, 16385])
def test_single_precision_ranks_alike(fitted, n_rows):
    X = batch(n_rows)
    model = fitted["combined"].set_params(chunk_size=None)
    # Rounded rows are other rows, of which others may serve as neighbours.
    double = model.score_samples(X)
    assert spearmanr(model.score_samples(X.astype(np.float32)), double).statistic > 0.999


@pytest.mark.parametrize("head", HEADS)
def test_equal_rows_score_equally(fitted, head):
    X = np.random.default_rng(0).integers(0, 3, (3000, N_FEATURES)).astype(float)
    model = fitted[head].set_params(chunk_size=None)
    scores = model.score_samples(X)
    _, group = np.unique(X, axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    ends = np.flatnonzero(np.diff(group.ravel()[order], prepend=-1))
    lowest = np.minimum.reduceat(scores[order], ends)
    highest = np.maximum.reduceat(scores[order], ends)
    np.testing.assert_allclose(lowest, highest, atol=1e-9 * scores.std())
    order = np.random.default_rng(1).permutation(3000)
    assert apart(model.score_samples(X[order]), scores[order]) < 1e-9
    assert apart(model.adapt(X).score_samples(X), scores) < 1e-6


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("n_rows", [500, 2100])
@pytest.mark.parametrize(
    ("huge", "dtype"), [(1e25, np.float32), (3e19, np.float32), (1e200, np.float64)]
)
def test_one_huge_value_is_scored(fitted, head, n_rows, huge, dtype):
    X = batch(n_rows).astype(dtype)
    X[3] = huge
    scores = fitted[head].set_params(chunk_size=None).score_samples(X)
    assert np.isfinite(scores).all()
    assert scores.argmin() == 3


@pytest.mark.parametrize("head", ["combined", "mahalanobis", "consensus"])
def test_an_offset_costs_single_precision_nothing(fitted, head):
    X = np.random.default_rng(0).integers(-40, 40, (2500, N_FEATURES)).astype(np.float32)
    model = fitted[head].set_params(chunk_size=None)
    assert apart(model.score_samples(X + np.float32(2**20)), model.score_samples(X)) < 1e-3


def test_blocks_of_which_no_row_counts_are_passed_over():
    model = detector(objective=NeuralTransformation(n_transformations=3))
    X = batch(4200)
    X[3000:] += 40.0
    scores = model.score_samples(X)
    assert np.median(scores[3000:]) < np.median(scores[:3000])


def test_rows_of_a_small_sample_are_drawn_once():
    model = detector(max_reference_rows=300)
    X = batch(330)
    assert apart(model.adapt(X).score_samples(X), model.score_samples(X)) < 1e-6


class Named(nn.Module):
    """One batch norm under two names."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(N_FEATURES, 8), nn.BatchNorm1d(8)
        self.also = self.norm

    def forward(self, x):
        return torch.relu(self.also(self.linear(x)))


@pytest.mark.parametrize(
    "backbone", [Named(), nn.Sequential(nn.Linear(N_FEATURES, 8), nn.BatchNorm1d(8, affine=False))]
)
def test_users_modules_are_held_fixed_as_they_are(backbone):
    model, X = detector(backbone=backbone), batch(700).astype(np.float32)
    expected = model.score_samples(X)
    fixed = model.freeze(X)
    assert not any(isinstance(part, nn.BatchNorm1d) for part in fixed.modules())
    with torch.no_grad():
        assert apart(-fixed(torch.from_numpy(X)).numpy(), expected) < 1e-3
    assert apart(model.set_params(chunk_size=100).score_samples(X), expected) < 1e-3
    live = model.adapt(X)
    assert live.score_samples(X[:1]) == pytest.approx(expected[:1], abs=1e-3 * expected.std())


@pytest.mark.parametrize("head", ["combined", "consensus"])
def test_a_fixed_batch_is_the_same_with_and_without_gradient(fitted, head):
    X = torch.from_numpy(batch(200).astype(np.float32))
    fixed = fitted[head].set_params(chunk_size=None).freeze(X.numpy())
    with torch.no_grad():
        without = fixed(X)
        assert fixed(X[:0]).shape == (0,)
        mapped = torch.vmap(fixed)(X.view(4, 50, N_FEATURES))
    torch.testing.assert_close(fixed(X), without)
    torch.testing.assert_close(mapped.flatten(), without)
