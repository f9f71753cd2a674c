import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from acr_sklearn import OutlierSynthesisDetector
from acr_sklearn.exceptions import IgnoredDomainsWarning
from acr_sklearn.outliers import OutlierSynthesizer


def build(**changes):
    return OutlierSynthesisDetector(**({"max_iter": 30, "random_state": 0} | changes))


@pytest.fixture(scope="module")
def rows():
    """Rows on a curved sheet in six features."""
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(500, 2))
    curved = np.column_stack([plane, plane[:, 0] ** 2, plane[:, 0] * plane[:, 1]])
    return np.column_stack([curved, plane.sum(axis=1), plane[:, 1]]) + rng.normal(0, 0.1, (500, 6))


@pytest.fixture(scope="module")
def anomalies(rows):
    """Each feature from another row: nothing is odd about any of them alone."""
    rng = np.random.default_rng(1)
    return np.column_stack([rng.permutation(column) for column in rows.T])[:200]


@pytest.fixture(scope="module")
def fitted(rows):
    return build(max_iter=150).fit(rows[:300])


def test_broken_dependence_is_found(fitted, rows, anomalies):
    scores = fitted.score_samples(np.concatenate([rows[300:], anomalies]))
    is_normal = np.arange(400) < 200
    assert roc_auc_score(is_normal, scores) > 0.9


def test_the_threshold_holds_for_new_rows_as_for_those_of_training(fitted, rows):
    assert np.mean(fitted.predict(rows[:300]) == -1) == pytest.approx(0.1, abs=0.005)
    # Had each training row been compared with itself, several times as many would be flagged.
    assert np.mean(fitted.predict(rows[300:]) == -1) < 0.18


def test_a_row_is_scored_by_itself(fitted, rows):
    together = fitted.score_samples(rows)
    np.testing.assert_allclose(fitted.score_samples(rows[7:8]), together[7:8], rtol=1e-9)
    np.testing.assert_allclose(fitted.score_samples(rows[::-1])[::-1], together, rtol=1e-9)


def test_decision_and_label_and_p_values_agree(fitted, rows, anomalies):
    decision = fitted.decision_function(anomalies)
    np.testing.assert_array_equal(decision, fitted.score_samples(anomalies) - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(anomalies), np.where(decision >= 0, 1, -1))
    assert fitted.p_values(anomalies).mean() < 0.2 < fitted.p_values(rows[300:]).mean()
    assert fitted.score(np.concatenate([rows[300:], anomalies]), [1] * 200 + [-1] * 200) > 0.9


def test_a_seed_decides_all_and_global_generators_stay(rows):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    one, other = build().fit(rows), build().fit(rows)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
    np.testing.assert_array_equal(one.score_samples(rows), other.score_samples(rows))
    assert not np.array_equal(
        build(random_state=1).fit(rows).score_samples(rows), one.score_samples(rows)
    )


def test_copies_score_alike(fitted, rows):
    expected = fitted.score_samples(rows)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).score_samples(rows), expected)
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "offset_")


def test_scoring_changes_no_state(fitted, rows):
    before = pickle.dumps(vars(fitted))
    for method in ("score_samples", "decision_function", "predict", "p_values"):
        getattr(fitted, method)(rows)
    assert pickle.dumps(vars(fitted)) == before


def test_single_precision_rows_score_as_in_double(fitted, rows):
    single = rows.astype(np.float32)
    np.testing.assert_allclose(
        fitted.score_samples(single), fitted.score_samples(single.astype(np.float64)), rtol=1e-9
    )
    assert build().fit(single).score_samples(single).dtype == np.float64


def test_domains_are_pooled_in_fit_and_change_nothing_in_scores(rows):
    parts = [rows[:200], rows[200:]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pooled = build().fit(rows)
        of_list = build().fit(parts)
        labelled = build().fit(rows, domains=np.arange(500) // 200)
    for other in (of_list, labelled):
        np.testing.assert_array_equal(other.score_samples(rows), pooled.score_samples(rows))
    assert pooled.n_domains_ == of_list.n_domains_ == 1
    with pytest.warns(IgnoredDomainsWarning, match=r"scored by itself\. Leave them out\.$"):
        scores = pooled.score_samples(rows, domains=np.arange(500) % 2)
    np.testing.assert_array_equal(scores, pooled.score_samples(rows))


def test_units_and_offsets_of_features_change_next_to_nothing(rows):
    unit, offset = np.array([1e-9, 1e9, 1, 7, 1e150, 1]), np.array([0, 0, 1e6, -5, 0, 0])
    plain = build(max_iter=100).fit(rows).score_samples(rows)
    moved = build(max_iter=100).fit(rows * unit + offset).score_samples(rows * unit + offset)
    np.testing.assert_allclose(moved, plain, atol=1e-3)


def test_constant_columns_are_no_matter_until_they_change(rows):
    X = np.column_stack([rows[:300], np.full(300, 3.0), np.zeros(300)])
    detector = build().fit(X)
    scores = detector.score_samples(X)
    assert np.isfinite(scores).all()
    changed = X.copy()
    changed[:, 6] += 10 * rows.std()
    assert (detector.score_samples(changed) < detector.offset_).mean() > 0.95


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((30, 3)),
        np.repeat([[1.0, 2.0]], 20, axis=0),
        np.arange(2.0)[:, None],
        np.random.default_rng(0).normal(size=(2, 40)),
        np.random.default_rng(0).integers(0, 2, size=(300, 3)).astype(float),
    ],
    ids=["zeros", "equal rows", "two rows", "two wide rows", "few distinct rows"],
)
def test_degenerate_rows_give_finite_scores(X):
    detector = build().fit(X)
    assert np.isfinite(detector.score_samples(X)).all()
    far = np.full((1, X.shape[1]), 1e6)
    assert detector.score_samples(far)[0] < detector.score_samples(X).min()


@pytest.mark.parametrize("value", [1e300, -1e300, 1e40])
def test_a_huge_value_scores_as_an_anomaly(fitted, rows, value):
    X = rows[:5].copy()
    X[2, 1] = value
    scores = fitted.score_samples(X)
    assert np.isfinite(scores).all()
    assert scores.argmin() == 2


def test_what_cannot_be_used_is_refused_with_a_remedy(rows):
    with pytest.raises(ValueError, match=r"SynthesisDetector\.fit got 1 sample\. .* hundred"):
        build().fit(rows[:1])
    holed = rows.copy()
    holed[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        build().fit(holed)
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        build(hidden_layer_sizes=(8, 0)).fit(rows)
    with pytest.raises(ValueError, match="'outskirts' parameter"):
        build(outskirts="suburbs").fit(rows)


def test_a_fit_that_fails_changes_nothing(rows, monkeypatch):
    detector = build().fit(rows)
    kept = dict(vars(detector))
    with pytest.raises(ValueError, match="1 sample"):
        detector.fit(rows[:1])
    monkeypatch.setattr(detector, "_score_chunks", lambda chunks: np.full(len(chunks), np.nan))
    with pytest.raises(ValueError, match="not finite"):
        detector.fit(rows)
    monkeypatch.undo()
    assert all(vars(detector)[name] is value for name, value in kept.items())


def test_contamination_set_after_fit_takes_effect(fitted, rows):
    for contamination in (0.02, 0.3):
        changed = pickle.loads(pickle.dumps(fitted)).set_params(contamination=contamination)
        expected = build(max_iter=150, contamination=contamination).fit(rows[:300])
        assert changed.offset_ == pytest.approx(expected.offset_)


def test_names_of_features_are_kept_and_checked(rows):
    frame = pd.DataFrame(rows).add_prefix("f")
    detector = build().fit(frame)
    assert detector.feature_names_in_.tolist() == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        detector.predict(frame.rename(columns={"f0": "g0"}))


class Uniform:
    """Noise in the box around the rows."""

    def sample(self, X, domain_index, n, rng):
        return rng.uniform(X.min(axis=0), X.max(axis=0), (n, X.shape[1]))


class Broken:
    def __init__(self, made):
        self.made = made

    def sample(self, X, domain_index, n, rng):
        return self.made


def test_outliers_may_come_from_elsewhere(rows, anomalies):
    by_noise = build(outlier_source=Uniform()).fit(rows)
    assert not np.allclose(by_noise.score_samples(rows), build().fit(rows).score_samples(rows))
    for made in (np.zeros((3, 6)), np.full((2000, 6), np.nan), "rows"):
        with pytest.raises(ValueError, match=r"(?i)outlier_source=.*its sample must return"):
            build(outlier_source=Broken(made)).fit(rows)


@pytest.mark.parametrize("outskirts", ["coverage", "mahalanobis", "divergence", "random"])
def test_every_criterion_and_both_levels_work(rows, anomalies, outskirts):
    X = np.concatenate([rows[300:], anomalies])
    scores = build(outskirts=outskirts, max_iter=100).fit(rows[:300]).score_samples(X)
    assert roc_auc_score(np.arange(400) < 200, scores) > 0.85


def test_the_variational_level_can_be_left_out(rows, anomalies):
    X = np.concatenate([rows[300:], anomalies])
    detector = build(n_latent=0, max_iter=100).fit(rows[:300])
    assert roc_auc_score(np.arange(400) < 200, detector.score_samples(X)) > 0.85
    assert {row["stage"] for row in detector.history_} == {"autoencoder", "classifier"}


def test_streams_of_chunks_score_as_one_array(fitted, rows):
    class Anew:
        def __iter__(self):
            return iter(np.array_split(rows, 3))

    np.testing.assert_allclose(fitted.score_samples(Anew()), fitted.score_samples(rows), rtol=1e-9)


def test_a_training_that_fails_says_whose(rows):
    said = r"^OutlierSynthesisDetector\.fit ended: the training loss became (nan|inf) in eval"
    with pytest.raises(ValueError, match=said):
        build(learning_rate=1e20, max_iter=20).fit(rows[:60])
    with pytest.raises(ValueError, match=r"^OutlierSynthesizer\.fit ended: the training loss"):
        OutlierSynthesizer(learning_rate=1e20, max_iter=20, random_state=0).fit(rows[:60])
