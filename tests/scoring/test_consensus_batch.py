"""A frozen batch, and every way to it: whole, in chunks, frozen, adapted, pickled."""

import pickle

import numpy as np
import pytest
import torch
from small_networks import users_module

from acr_sklearn import ConvBackbone, NeuralTransformation, ZeroShotACRDetector
from acr_sklearn.scoring.consensus_batch import ConsensusBatch
from acr_sklearn.scoring.fused_mlp import FusedMLP

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::acr_sklearn.exceptions.{name}Warning")
    for name in ("UnfamiliarBatch", "SingleDomain", "SmallBatch", "SmallReference")
]
N_FEATURES = 5
MIXING = np.random.default_rng(0).normal(size=(N_FEATURES, N_FEATURES))
SIZES = (2, 3, 16, 17, 300, 512, 513, 600, 2048, 2049, 5000)
CONV = ConvBackbone(input_shape=(1, 1, N_FEATURES), channels=(4,))
NTL = NeuralTransformation(n_transformations=3)
KINDS = {
    "mlp": {},
    "untrimmed": {"trim_fraction": 0.0},
    "ensemble": {"n_estimators": 2},
    "bce": {"objective": "bce"},
    "ntl": {"objective": NTL},
    "conv": {"backbone": CONV},
    "conv ntl": {"backbone": CONV, "objective": NTL},
    "module": {"backbone": users_module()},
    "ensemble of modules": {"backbone": users_module(), "n_estimators": 2},
    "one domain": {},
    "known": {},
    "known to a module": {"backbone": users_module()},
    "known to an ensemble": {"n_estimators": 2},
}
FUSED = ("mlp", "untrimmed", "one domain", "known")
FITTED = {}


def detector(kind):
    if kind not in FITTED:
        rng = np.random.default_rng(2)
        domains = [
            rng.normal(0, 4, N_FEATURES) + rng.normal(size=(90, N_FEATURES)) @ MIXING
            for _ in range(1 if kind == "one domain" else 5)
        ]
        quick = {"max_iter": 2, "n_tasks": 4, "task_size": 32, "early_stopping": False}
        options = quick | {"hidden_layer_sizes": (16,), "random_state": 0} | KINDS[kind]
        known = None
        if kind.startswith("known"):
            # The same two features are off in a tenth of the rows of every domain.
            known = [np.arange(90) < 9] * 5
            for rows in domains:
                rows[:9, :2] += [4.0, -3.0]
        FITTED[kind] = ZeroShotACRDetector(**options).fit(domains, known_anomalies=known)
        assert (FITTED[kind].head_.discriminant is not None) == kind.startswith("known")
    return FITTED[kind].set_params(chunk_size=None)


def batch(n_rows, *, duplicates=False):
    """Rows that single precision holds, a twelfth of them larger."""
    rng = np.random.default_rng(n_rows)
    rows = 30 + rng.normal(size=(n_rows, N_FEATURES)) @ MIXING
    rows[: n_rows // 12] *= 1.3
    if duplicates:
        rows[n_rows // 2 :] = rows[: n_rows - n_rows // 2]
    return rng.permutation(rows).astype(np.float32).astype(np.float64)


def close(got, wanted, tolerance=1e-9):
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance)


def check_every_path(model, rows):
    n_rows, expected = len(rows), model.score_samples(rows)
    order = np.random.default_rng(1).permutation(n_rows)
    close(model.score_samples(rows[order]), expected[order])
    single = rows.astype(np.float32)
    loose = 1e-4 if n_rows > 3 else 1e-9  # two or three rows are computed in double precision
    close(model.score_samples(single), expected, loose)
    adapted = model.adapt(rows)
    close(adapted.score_samples(rows), expected)
    close(adapted.score_samples(single), expected, loose)
    close(pickle.loads(pickle.dumps(adapted)).score_samples(rows), expected)
    close(pickle.loads(pickle.dumps(model)).score_samples(rows), expected)
    with torch.no_grad():
        close(-model.freeze(rows)(torch.from_numpy(rows)).numpy(), expected)
        # Equal rows are told from one another by differences only where there is no gradient.
        close(-model.freeze(single)(torch.from_numpy(single)).numpy(), expected, 1e-2)
    model.set_params(chunk_size=max(1, n_rows // 3))
    close(model.score_samples(rows), expected)
    close(model.score_samples(single), expected, loose)
    close(model.score_samples(rows[order]), expected[order])


@pytest.mark.parametrize("n_rows", SIZES)
def test_every_path_leads_to_the_same_scores(n_rows):
    check_every_path(detector("mlp"), batch(n_rows))


@pytest.mark.parametrize("n_rows", [17, 300, 600, 2049])
def test_with_duplicates_too(n_rows):
    check_every_path(detector("mlp"), batch(n_rows, duplicates=True))


@pytest.mark.parametrize("n_rows", [3, 300, 600, 2049])
@pytest.mark.parametrize("kind", list(KINDS)[1:])
def test_of_every_network_too(kind, n_rows):
    check_every_path(detector(kind), batch(n_rows))


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_batch_is_of_the_consensus(kind):
    frozen = detector(kind).freeze(batch(300))
    assert isinstance(frozen, ConsensusBatch)
    assert isinstance(frozen.chain, FusedMLP) == (kind in FUSED)


@pytest.mark.parametrize("kind", ["mlp", "ensemble", "ntl", "known"])
@pytest.mark.parametrize("n_rows", [60, 600])
def test_many_rows_are_measured_as_few_are(kind, n_rows):
    frozen = detector(kind).freeze(batch(n_rows))
    with torch.no_grad():
        for x in (torch.from_numpy(batch(n_rows)), torch.from_numpy(batch(30))):
            expected = frozen.distances(x)
            assert len(expected) == 7 + (kind == "known")
            torch.testing.assert_close(frozen.measure(x), expected, rtol=1e-9, atol=1e-9)


def test_rows_of_the_batch_are_no_neighbours_of_their_own():
    rows = torch.from_numpy(batch(60))
    frozen = detector("mlp").freeze(rows.numpy())
    others = torch.full((60,), -1)
    with torch.no_grad():
        found, without = frozen.distances(rows), frozen.distances(rows, others)
        torch.testing.assert_close(found, frozen.distances(rows, torch.arange(60)))
    assert (found[0] > without[0]).all()
    # In the network's layers three quarters of the rows may serve as neighbours.
    assert (found[4] > without[4]).sum() == 45


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_its_gradient_is_finite_where_rows_coincide_too(kind, dtype):
    rows = batch(60, duplicates=True).astype(dtype)
    x = torch.from_numpy(rows).requires_grad_()
    scores = detector(kind).freeze(rows)(x)
    (gradient,) = torch.autograd.grad(scores.sum(), x)
    assert torch.isfinite(gradient).all()
    assert (gradient.abs().amax(dim=1) > 0).float().mean() > 0.9


def test_its_gradient_is_the_slope():
    frozen = detector("mlp").freeze(batch(60))
    x = torch.from_numpy(batch(3)).requires_grad_()
    assert torch.autograd.gradcheck(frozen, x, eps=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vmap_maps_it(dtype):
    x = torch.from_numpy(batch(200).astype(dtype))
    frozen = detector("mlp").freeze(x.numpy())
    with torch.no_grad():
        mapped = torch.vmap(frozen)(x.view(4, 50, N_FEATURES)).flatten()
        torch.testing.assert_close(mapped, frozen(x), rtol=0, atol=1e-4)
        assert frozen(x[:0]).shape == (0,)


def test_a_row_scores_the_same_whatever_it_comes_with():
    model = detector("mlp").adapt(batch(300))
    rows = batch(40)
    together = model.score_samples(rows)
    close(np.concatenate([model.score_samples(row[None]) for row in rows]), together)


@pytest.mark.parametrize("kind", ["mlp", "module"])
def test_an_offset_costs_single_precision_nothing(kind):
    rows = (batch(300) + 2.0**16).astype(np.float32)
    model = detector(kind).adapt(rows.astype(np.float64))
    expected = model.score_samples(rows.astype(np.float64))
    close(model.score_samples(rows), expected, 1e-4 if kind == "mlp" else 0.1)


def test_a_copy_in_single_precision_leaves_the_original_as_it_is():
    frozen = detector("mlp").freeze(batch(60))
    x = torch.from_numpy(batch(60))
    with torch.no_grad():
        before = frozen(x)
        single = frozen.single()
        assert all(t.dtype != torch.float64 for t in single.buffers())
        torch.testing.assert_close(single(x.float()).double(), before, rtol=0, atol=1e-4)
        assert torch.equal(frozen(x), before)


def test_a_pickle_of_a_frozen_batch_scores_alike():
    frozen = detector("mlp").freeze(batch(600))
    x = torch.from_numpy(batch(40))
    assert torch.equal(pickle.loads(pickle.dumps(frozen))(x), frozen(x))


def test_rows_of_another_width_are_refused():
    frozen = detector("mlp").freeze(batch(60))
    with pytest.raises(ValueError, match="rows of 1 features, but holds the statistics of 5"):
        frozen(torch.zeros(4, 1))
