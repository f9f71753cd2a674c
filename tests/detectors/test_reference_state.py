"""A pickled reference is small, and scores as before to the last bit."""

import copy
import pickle

import joblib
import numpy as np
import pytest

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.scoring.fused_mlp import FusedNeighbors

#: Rows from which on layers are made by a chain of products, and rows with which they are not.
MANY, FEW = 2001, 150
pytestmark = pytest.mark.filterwarnings(
    "ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning",
    "ignore::acr_sklearn.exceptions.EarlyStoppingWarning",
)


@pytest.fixture(scope="module")
def sites():
    rng = np.random.default_rng(0)
    return [rng.normal(rng.normal(0, 3, 6), 1.0, (MANY // 3, 6)) for _ in range(3)]


KINDS = {
    "default": {},
    "combined": {"score_head": "combined"},
    "two networks": {"n_estimators": 2},
    "neighbors": {"score_head": "neighbors"},
    "objective": {"score_head": "objective"},
    "mahalanobis": {"score_head": "mahalanobis"},
    "ntl": {"objective": "ntl"},
    "three layers": {"hidden_layer_sizes": (64, 32, 32)},
}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def held(request, sites):
    """A detector with a reference of all training rows, and one that was adapted."""
    settings = {"max_iter": 2, "n_tasks": 2, "task_size": 16, "random_state": 0}
    many = request.param in ({}, {"score_head": "combined"})
    n_rows = (MANY if many else FEW) // 3
    rows = [site[:n_rows] for site in sites]
    detector = ZeroShotACRDetector(**settings | request.param, norm_mode="reference").fit(rows)
    return detector, detector.adapt(np.concatenate(rows) + 1.0)


def rows_to_score(sites):
    rng = np.random.default_rng(1)
    known = sites[0][:50]
    return np.concatenate([known, known + 1.0, rng.normal(size=(200, 6)) * 4])


WAYS = {
    "pickle": lambda detector, _: pickle.loads(pickle.dumps(detector)),
    "twice": lambda detector, _: pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(detector)))),
    "deepcopy": lambda detector, _: copy.deepcopy(detector),
    "copy": lambda detector, _: copy.copy(detector),
    "joblib": lambda detector, path: joblib.load(joblib.dump(detector, path / "it")[0]),
}


@pytest.mark.parametrize("way", WAYS)
def test_scores_are_the_same_to_the_last_bit(held, sites, way, tmp_path):
    rows = rows_to_score(sites)
    for detector in held:
        loaded = WAYS[way](detector, tmp_path)
        for X in (rows, rows.astype(np.float32), rows[:3], rows[-1:]):
            np.testing.assert_array_equal(loaded.score_samples(X), detector.score_samples(X))
        assert loaded.offset_ == detector.offset_
        assert loaded.reference_stats_ is loaded._reference.fixed[np.dtype(np.float64)]


def test_both_ways_of_finding_neighbors_are_tried(held):
    for detector in held:
        neighbors = detector.reference_stats_.neighbors
        if neighbors is not None:
            chained = isinstance(detector.reference_stats_.chain, FusedNeighbors)
            assert chained == (len(neighbors.rows) > FEW and not neighbors.exact)


def test_pickling_leaves_the_detector_as_it_was(held, sites):
    rows = rows_to_score(sites)
    before = [detector.score_samples(rows) for detector in held]
    states = [dict(detector.reference_stats_.named_buffers()) for detector in held]
    for detector in held:
        pickle.dumps(detector)
    for detector, scores, state in zip(held, before, states, strict=True):
        now = dict(detector.reference_stats_.named_buffers())
        assert all(now[name] is state[name] for name in state)
        np.testing.assert_array_equal(detector.score_samples(rows), scores)


def test_the_rows_are_held_once(held):
    for detector in held:
        bare = copy.copy(detector)
        bare._reference = None
        network = len(pickle.dumps(bare.module_))
        stats = detector.reference_stats_
        neighbors = getattr(stats, "neighborhoods", stats.neighbors)
        rows = 0 if neighbors is None else neighbors.rows.nbytes
        taken = len(pickle.dumps(detector)) - len(pickle.dumps(bare))
        assert taken < 1.1 * rows + 5 * network + 100_000


def test_a_batch_detector_has_nothing_to_leave_out(quick, domains):
    detector = quick(early_stopping=False).fit(domains)
    assert "_reference" not in detector.__dict__ or detector._reference is None
    loaded = pickle.loads(pickle.dumps(detector))
    assert not hasattr(loaded, "reference_stats_")
    np.testing.assert_array_equal(
        loaded.score_samples(domains[0]), detector.score_samples(domains[0])
    )
