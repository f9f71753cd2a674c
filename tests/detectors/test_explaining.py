"""What each feature adds to a score: it adds up, names planted faults, and holds in every mode."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError

from acr_sklearn import OutlierSynthesisDetector, ResADDetector, ZeroShotACRDetector
from acr_sklearn.exceptions import IgnoredDomainsWarning, SmallBatchWarning

pytestmark = pytest.mark.filterwarnings(
    "ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning",
    "ignore::acr_sklearn.exceptions.EarlyStoppingWarning",
)
WIDTH, FAULTS = 6, np.arange(6)
SMALL = {"max_iter": 5, "n_tasks": 2, "task_size": 16, "hidden_layer_sizes": (16,)}


def sites(n=4, rows=120, width=WIDTH):
    rng = np.random.default_rng(0)
    return [rng.normal(rng.normal(0, 3, width), 1.0, (rows, width)) for _ in range(n)]


def batch():
    """A batch whose first rows each have a fault in another feature."""
    X = np.random.default_rng(1).normal(50.0, 1.0, (100, WIDTH))
    X[FAULTS, FAULTS] = 50.0 + 9.0 * (-1.0) ** FAULTS
    return X


def module():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(WIDTH, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU()
    )


KINDS = {
    "default": {},
    "combined": {"score_head": "combined"},
    "neighbors": {"score_head": "neighbors"},
    "objective": {"score_head": "objective"},
    "mahalanobis": {"score_head": "mahalanobis"},
    "bce": {"objective": "bce"},
    "ntl": {"objective": "ntl", "score_head": "objective"},
    "two networks": {"n_estimators": 2},
    "conv": {"backbone": "conv"},
    "module": {"backbone": module},
}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def fitted(request):
    from acr_sklearn import ConvBackbone

    settings = SMALL | request.param | {"random_state": 0}
    if settings.get("backbone") == "conv":
        settings["backbone"] = ConvBackbone(input_shape=(1, 2, 3), channels=(4,))
    elif "backbone" in settings:
        settings["backbone"] = settings["backbone"]()
    return ZeroShotACRDetector(**settings).fit(sites())


@pytest.mark.parametrize("mode", ["batch", "reference"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_row_adds_up_in_every_mode_and_head(fitted, mode, dtype):
    X = batch().astype(dtype)
    detector = fitted if mode == "batch" else fitted.adapt(X[20:])
    contributions, base = detector.explain(X, return_base=True)
    assert contributions.shape == X.shape
    np.testing.assert_allclose(
        base + contributions.sum(axis=1),
        -detector.score_samples(X),
        rtol=1e-6 if dtype == np.float64 else 1e-3,
        atol=1e-6 if dtype == np.float64 else 1e-3,
    )


def test_planted_faults_come_first(fitted):
    if fitted.score_head == "objective":
        pytest.skip("an objective trained for 5 steps may not see them")
    found = fitted.explain(batch())[FAULTS]
    assert (found.argmax(axis=1) == FAULTS).mean() >= 5 / 6


def test_integrated_gradients_all_but_add_up_by_themselves(monkeypatch):
    from acr_sklearn.scoring import attribution

    missed = []
    completed = attribution.completed

    def watched(contributions, wanted):
        missed.append((contributions.sum(dim=1) - wanted).abs() / (wanted.abs() + 0.1))
        return completed(contributions, wanted)

    monkeypatch.setattr(attribution, "completed", watched)
    detector = ZeroShotACRDetector(**SMALL, random_state=0).fit(sites())
    detector.explain(batch())
    assert torch.cat(missed).median() < 0.05


def test_a_domain_is_explained_within_its_own_batch():
    detector = ZeroShotACRDetector(**SMALL, random_state=0).fit(sites())
    X = np.concatenate([batch(), batch() + 9.0])
    domains = np.repeat(["a", "b"], 100)
    together = detector.explain(X, domains=domains)
    np.testing.assert_allclose(together[:100], detector.explain(X[:100]), atol=1e-9)
    np.testing.assert_allclose(together[100:], detector.explain(X[100:]), atol=1e-9)
    order = np.random.default_rng(0).permutation(200)
    again = detector.explain(X[order], domains=domains[order])
    np.testing.assert_allclose(again, together[order], atol=1e-6)


def test_the_domain_column_is_no_reason():
    frame = pd.DataFrame(np.concatenate(sites()), columns=list("abcdef"))
    frame.insert(2, "site", np.repeat(["p", "q", "r", "s"], 120))
    detector = ZeroShotACRDetector(**SMALL, domain_column="site", random_state=0).fit(frame)
    found = detector.explain(frame)
    assert found.shape == frame.shape
    assert not found[:, 2].any()
    assert found[:, [0, 1, 3, 4, 5]].any(axis=0).all()


@pytest.mark.parametrize("size", [40, None])
def test_large_batches_and_chunks(size):
    settings = SMALL | {"chunk_size": size, "max_reference_rows": 300}
    detector = ZeroShotACRDetector(**settings, random_state=0).fit(sites())
    X = np.random.default_rng(2).normal(50.0, 1.0, (700, WIDTH))
    X[0, 3] += 9
    found, base = detector.explain(X, return_base=True)
    assert found[0].argmax() == 3
    np.testing.assert_allclose(base + found.sum(axis=1), -detector.score_samples(X), atol=1e-6)

    class Chunked:
        def __iter__(self):
            return iter(np.array_split(X, 5))

    np.testing.assert_allclose(detector.explain(Chunked()), found, atol=1e-6)


def test_a_fault_that_many_rows_share_is_named():
    detector = ZeroShotACRDetector(**SMALL, random_state=0).fit(sites())
    X = np.random.default_rng(3).normal(50.0, 1.0, (100, WIDTH))
    X[:8, 4] += 8.0
    assert (detector.explain(X)[:8].argmax(axis=1) == 4).all()


def test_known_anomalies_and_gross_values():
    rows = np.concatenate(sites())
    known = np.zeros(len(rows), bool)
    known[::15] = True
    rows[known, 1] += 5.0
    detector = ZeroShotACRDetector(**SMALL, random_state=0)
    detector.fit(rows, domains=np.repeat(np.arange(4), 120), known_anomalies=known)
    assert detector.head_.discriminant is not None
    X = batch()
    X[50, 5] = 1e12
    found, base = detector.explain(X, return_base=True)
    assert found[50].argmax() == 5
    np.testing.assert_allclose(base + found.sum(axis=1), -detector.score_samples(X), atol=1e-6)


RESIDUALS = {"max_iter": 20, "n_blocks": 1, "random_state": 0}


@pytest.fixture(scope="module")
def residuals():
    frame = pd.DataFrame(np.concatenate(sites(6)), columns=list("abcdef"))
    frame.insert(2, "site", np.repeat(list("pqrstu"), 120))
    return ResADDetector(**RESIDUALS, domain_column="site").fit(frame)


def at_site(rows, name="new"):
    frame = pd.DataFrame(rows, columns=list("abcdef"))
    frame.insert(2, "site", name)
    return frame


@pytest.mark.parametrize("mode", ["batch", "one", "few", "many", "updated"])
def test_residuals_add_up_and_name_planted_faults(residuals, mode):
    frame = at_site(batch())
    number = {"batch": 0, "one": 1, "few": 4, "many": 80, "updated": 10}[mode]
    detector = residuals if mode == "batch" else residuals.adapt(frame[20 : 20 + number])
    if mode == "updated":
        before = detector.explain(frame)
        detector.update(frame[40:80], window=30)
        assert not np.allclose(detector.explain(frame), before)
    found, base = detector.explain(frame, return_base=True)
    assert found.shape == frame.shape
    assert not found[:, 2].any()
    scores = -detector.score_samples(frame)
    np.testing.assert_allclose(base + found.sum(axis=1), scores, rtol=1e-9, atol=1e-9)
    features = np.delete(found, 2, axis=1)
    assert (features[FAULTS].argmax(axis=1) == FAULTS).mean() >= 5 / 6
    if mode != "batch":
        np.testing.assert_allclose(detector.explain(frame[3:4])[0], found[3], atol=1e-9)


def test_residuals_of_each_domain_within_its_own_batch(residuals):
    frames = [at_site(batch(), "x"), at_site(batch() + 9.0, "y")]
    together = residuals.explain(pd.concat(frames))
    for start, frame in zip((0, 100), frames, strict=True):
        expected = residuals.explain(frame)
        np.testing.assert_allclose(together[start : start + 100], expected, atol=1e-9)
    named = residuals.report(pd.concat(frames), n_rows=12)
    assert set(named["row"]) == set(FAULTS)
    assert set(named["domain"]) == {"x", "y"}
    reasons = named.set_index(["domain", "row"])["reason_1"]
    assert sum(reasons["x", i] == "abcdef"[i] for i in FAULTS) >= 5


def test_a_report_beside_references_says_what_is_usual_among_them(residuals):
    frame = at_site(batch())
    found = residuals.adapt(frame[20:]).report(frame[:6])
    assert found["median_1"].between(48.5, 51.5).all()
    assert found["low_1"].between(46, 50).all()
    assert (found["value_1"] != found["median_1"]).all()


def test_residuals_as_a_function_of_single_rows(residuals):
    frame, X = at_site(batch()), batch()
    function = residuals.as_function(frame)
    scores = -residuals.score_samples(frame)
    np.testing.assert_allclose(function(X), scores, atol=1e-9)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(function))(X[3:4]), scores[3:4], atol=1e-9)
    live = residuals.adapt(frame[20:28])
    np.testing.assert_allclose(live.as_function()(X), -live.score_samples(frame), atol=1e-9)
    assert pickle.loads(pickle.dumps(live.as_function()))(X[:2]).shape == (2,)
    with pytest.raises(ValueError, match=r"ResADDetector.as_function got no X_batch"):
        residuals.as_function()
    np.testing.assert_allclose(residuals.as_pyod().fit(frame).decision_scores_, scores, atol=1e-9)


def test_residuals_in_chunks():
    detector = ResADDetector(max_iter=2, n_blocks=1, random_state=0).fit(sites())

    class Chunked:
        def __iter__(self):
            return iter(np.array_split(batch(), 5))

    expected = detector.explain(batch())
    np.testing.assert_allclose(detector.explain(Chunked()), expected, atol=1e-9)


@pytest.mark.parametrize("kind", [ResADDetector, OutlierSynthesisDetector])
def test_what_siblings_refuse(kind):
    detector = kind(max_iter=2, random_state=0)
    for method in (detector.explain, detector.report, detector.as_function):
        with pytest.raises(NotFittedError):
            method(batch())
    detector.fit(sites() if kind is ResADDetector else sites(1)[0])
    with pytest.raises(ValueError, match="2 features, but .* is expecting 6"):
        detector.explain(batch()[:, :2])
    with pytest.raises(ValueError, match=rf"{kind.__name__}.report got n_rows=0"):
        detector.report(batch(), n_rows=0)
    if kind is ResADDetector:
        with pytest.raises(ValueError, match=r"ResADDetector.explain got a batch of 1 sample"):
            detector.explain(batch()[:1])
        live = detector.adapt(batch()[20:24])
        with pytest.warns(IgnoredDomainsWarning):
            live.explain(batch(), domains=np.zeros(100))


def test_rows_scored_by_themselves():
    detector = OutlierSynthesisDetector(max_iter=20, random_state=0).fit(np.concatenate(sites(1)))
    X = np.concatenate(sites(1))[:40]
    X[FAULTS, FAULTS] += 9.0
    found, base = detector.explain(X, return_base=True)
    np.testing.assert_allclose(base + found.sum(axis=1), -detector.score_samples(X), atol=1e-9)
    assert (found[FAULTS].argmax(axis=1) == FAULTS).mean() >= 5 / 6
    np.testing.assert_allclose(detector.explain(X[3:4])[0], found[3], atol=1e-9)
    with pytest.warns(IgnoredDomainsWarning):
        detector.explain(X, domains=np.zeros(40))


def test_equal_rows_have_no_reason():
    detector = ZeroShotACRDetector(**SMALL, random_state=0).fit(sites())
    assert not detector.explain(np.ones((40, WIDTH))).any()


def test_what_is_refused():
    detector = ZeroShotACRDetector(**SMALL, random_state=0)
    with pytest.raises(NotFittedError):
        detector.explain(batch())
    detector.fit(sites())
    with pytest.raises(ValueError, match=r"ZeroShotACRDetector.explain got a batch of 1 sample"):
        detector.explain(batch()[:1])
    with pytest.raises(ValueError, match="explain"):
        detector.explain(np.full((20, WIDTH), np.nan))
    with pytest.raises(TypeError, match="passed as domains="):
        detector.explain(batch(), groups=np.zeros(100))
    with pytest.warns(SmallBatchWarning) as told:
        detector.explain(batch()[:10])
    assert told[0].filename == __file__


def test_explaining_changes_nothing():
    detector = ZeroShotACRDetector(**SMALL, random_state=0).fit(sites())
    before = {name: value.clone() for name, value in detector.module_.state_dict().items()}
    state = torch.get_rng_state()
    X = batch()
    kept, scores = X.copy(), detector.score_samples(X)
    detector.explain(X)
    assert all(torch.equal(before[name], v) for name, v in detector.module_.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert (kept == X).all()
    assert (scores == detector.score_samples(X)).all()


def test_a_batch_held_fixed_is_a_function_of_single_rows():
    detector = ZeroShotACRDetector(**SMALL, random_state=0).fit(sites())
    X = batch()
    function = detector.as_function(X)
    np.testing.assert_allclose(function(X), -detector.score_samples(X), atol=1e-9)
    np.testing.assert_allclose(function(X[3:4]), -detector.score_samples(X)[3:4], atol=1e-9)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(function))(X), function(X))
    live = detector.adapt(X)
    np.testing.assert_allclose(live.as_function()(X + 1), -live.score_samples(X + 1))
    with pytest.raises(ValueError, match="as_function got no X_batch"):
        detector.as_function()
    with pytest.raises(
        ValueError, match="got rows of 2 features, but the detector was fitted on 6"
    ):
        function(X[:, :2])


def test_shap_is_right_on_the_function_and_wrong_on_batch_scoring():
    shap = pytest.importorskip("shap")
    detector = ZeroShotACRDetector(**SMALL, random_state=0).fit(sites())
    X = batch()
    function = detector.as_function(X)
    told = shap.Explainer(function, X[20:60], seed=0)(X[:3])
    expected = -detector.score_samples(X)[:3]
    np.testing.assert_allclose(told.values.sum(axis=1) + told.base_values, expected, atol=1e-6)
    assert (told.values.argmax(axis=1) == FAULTS[:3]).all()
    wrong = shap.Explainer(lambda rows: -detector.score_samples(rows), X[20:60], seed=0)(X[:3])
    off = abs(wrong.values.sum(axis=1) + wrong.base_values - expected)
    assert off.max() > 0.05


@pytest.mark.parametrize("column", [None, "site"])
def test_the_function_refuses_columns_in_another_order(column):
    names = list("abcdef")
    frame = pd.DataFrame(np.concatenate(sites()), columns=names)
    labels = np.repeat(["p", "q", "r", "s"], 120)
    detector = ZeroShotACRDetector(**SMALL, domain_column=column, random_state=0)
    if column is None:
        detector.fit(frame, domains=labels)
        function = detector.as_function(frame[:120])
    else:
        with_site = frame.copy()
        with_site.insert(2, "site", labels)
        function = detector.fit(with_site).as_function(with_site[:120])
    one = frame[:120]
    assert (function(one) == function(one.to_numpy())).all()
    assert (function(one.set_axis(range(6), axis=1)) == function(one)).all()
    with pytest.raises(ValueError, match=r"as_function: The feature names should match"):
        function(one[names[::-1]])
    with pytest.raises(ValueError, match="names unseen at fit time"):
        pickle.loads(pickle.dumps(function))(one.rename(columns={"a": "z"}))
