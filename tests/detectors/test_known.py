"""Known anomalies: never normal rows, and learnt from where domains share their faults."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from toy_detector import MahalanobisDetector

from acr_sklearn import ZeroShotACRDetector, concat_domains
from acr_sklearn.detectors import _known
from acr_sklearn.exceptions import NoKnownAnomaliesWarning, SingleDomainWarning

N_FEATURES, N_ROWS = 6, 200
pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")


def machine(seed, kind="bearing", n_faults=16):
    """Rows of a machine of its own units, and which are faults: inside the usual range each."""
    rng = np.random.default_rng(seed)
    center, spread = rng.normal(0, 5, N_FEATURES), np.exp(rng.normal(0, 0.5, N_FEATURES))
    rows, faulty = rng.normal(size=(N_ROWS, N_FEATURES)), np.arange(N_ROWS) >= N_ROWS - n_faults
    if kind == "bearing":
        rows[faulty, 2] = 1.5 + 0.3 * rng.normal(size=n_faults)
        rows[faulty, 4] = -1.3 + 0.3 * rng.normal(size=n_faults)
    else:
        rows[faulty] *= 2.0
    return rows * spread + center, faulty


def quick(**changes):
    options = {"max_iter": 10, "n_tasks": 8, "task_size": 32, "hidden_layer_sizes": (16, 16)}
    return ZeroShotACRDetector(**({**options, "random_state": 0} | changes))


TRAIN = [machine(seed) for seed in range(9)]
ROWS, MASKS = [rows for rows, _ in TRAIN], [faulty for _, faulty in TRAIN]
NORMAL = [rows[~faulty] for rows, faulty in TRAIN]


@pytest.fixture(scope="module")
def plain():
    return quick().fit(NORMAL)


@pytest.fixture(scope="module")
def taught():
    return quick().fit(ROWS, known_anomalies=MASKS)


def mean_auc(detector, kind):
    batches = [machine(seed, kind) for seed in range(100, 106)]
    return np.mean([roc_auc_score(y, -detector.score_samples(rows)) for rows, y in batches])


def test_known_faults_are_found_on_machines_never_seen(plain, taught):
    assert mean_auc(taught, "bearing") > mean_auc(plain, "bearing") + 0.1
    assert taught.selection_["weight"] > 0


def test_a_kind_that_was_never_labelled_is_found_as_before(plain, taught):
    assert mean_auc(taught, "gross") > mean_auc(plain, "gross") - 0.01


def test_what_was_chosen_is_told(taught):
    told = taught.selection_
    assert set(told) == {"weight", "auroc", "domains", "domain_auroc", "n_anomalies"}
    assert told["domains"].tolist() == list(range(9))
    assert told["n_anomalies"].tolist() == [16] * 9
    assert told["domain_auroc"].shape == (9, 4)
    np.testing.assert_allclose(list(told["auroc"].values()), told["domain_auroc"].mean(axis=0))
    assert told["auroc"][told["weight"]] > told["auroc"][0.0] + 0.05


def test_labels_of_one_domain_leave_everything_as_without(plain):
    masks = [mask if i == 3 else np.zeros(N_ROWS, bool) for i, mask in enumerate(MASKS)]
    rows = [ROWS[i] if i == 3 else NORMAL[i] for i in range(9)]
    masks = [mask[: len(one)] for mask, one in zip(masks, rows, strict=True)]
    detector = quick().fit(rows, known_anomalies=masks)
    assert detector.selection_["weight"] == 0
    assert detector.selection_["domains"].tolist() == [3]
    assert detector.offset_ == plain.offset_
    X = machine(100)[0]
    np.testing.assert_array_equal(detector.score_samples(X), plain.score_samples(X))


def test_marked_rows_reach_nothing_of_what_is_normal(plain, taught):
    for name in ("scale", "center"):
        if hasattr(plain.feature_scale_, name):
            np.testing.assert_array_equal(
                getattr(taught.feature_scale_, name), getattr(plain.feature_scale_, name)
            )
    assert taught.history_ == plain.history_
    np.testing.assert_array_equal(taught.head_.dependence, plain.head_.dependence)
    np.testing.assert_array_equal(
        taught.head_.covariance.whitening(0.1), plain.head_.covariance.whitening(0.1)
    )
    assert len(taught.calibration_scores_) == len(plain.calibration_scores_)
    # Gross ones neither: with the discriminant chosen away everything is as without them.
    wild = [np.where(mask[:, None], 1e6, rows) for rows, mask in TRAIN]
    detector = quick().fit(wild, known_anomalies=MASKS)
    assert detector.history_ == plain.history_
    np.testing.assert_array_equal(detector.head_.dependence, plain.head_.dependence)


def test_every_form_of_input_gives_the_same_detector(taught):
    X, site = concat_domains(ROWS)
    mask, names = np.concatenate(MASKS), np.array([f"m{i}" for i in range(9)])
    probe = machine(100)[0]
    expected = taught.score_samples(probe)
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(N_FEATURES)]).assign(site=names[site])
    fits = [
        quick().fit(X, domains=site, known_anomalies=mask),
        quick().fit(X, domains=names[site], known_anomalies=pd.Series(mask)),
        quick().fit(
            dict(zip(names, ROWS, strict=True)),
            known_anomalies=dict(zip(names[::-1], MASKS[::-1], strict=True)),
        ),
        quick().fit(ROWS, known_anomalies=mask),
        quick().fit(ROWS, np.ones(len(X)), known_anomalies=MASKS),
    ]
    for detector in fits:
        np.testing.assert_allclose(detector.score_samples(probe), expected, rtol=1e-9)
    by_column = quick(domain_column="site").fit(frame, known_anomalies=mask)
    of_new = pd.DataFrame(probe, columns=frame.columns[:-1]).assign(site="new")
    np.testing.assert_allclose(by_column.score_samples(of_new), expected, rtol=1e-9)
    assert by_column.selection_["domains"].tolist() == names.tolist()


def test_fit_predict_labels_the_known_ones_too(plain, taught):
    labels = quick().fit_predict(ROWS, known_anomalies=MASKS)
    np.testing.assert_array_equal(labels, taught.predict(ROWS))
    known = np.concatenate(MASKS)
    assert (labels[known] == -1).mean() > (plain.predict(ROWS)[known] == -1).mean() + 0.2


def test_thresholds_hold_for_normal_rows_of_new_machines(taught):
    flagged = [(taught.predict(machine(seed)[0][:184]) == -1).mean() for seed in range(100, 110)]
    assert 0.05 < np.mean(flagged) < 0.2


def test_a_fit_that_goes_on_learns_the_labels_of_that_fit():
    detector = quick(warm_start=True).fit(ROWS, known_anomalies=MASKS)
    assert detector.selection_["weight"] > 0
    detector.fit(NORMAL)
    assert detector.selection_ is None
    assert detector.head_.discriminant is None
    detector.fit(ROWS, known_anomalies=MASKS)
    assert detector.head_.discriminant.weight == detector.selection_["weight"] > 0


@pytest.mark.parametrize("head", ["objective", "combined", "neighbors", "mahalanobis"])
def test_heads_that_learn_nothing_refuse(head):
    with pytest.raises(ValueError, match=f"known_anomalies or outliers with score_head='{head}'"):
        quick(score_head=head).fit(ROWS, known_anomalies=MASKS)


def test_masks_that_do_not_fit_leave_the_detector_as_it_was(taught):
    detector = clone(taught).fit(ROWS, known_anomalies=MASKS)
    before = pickle.dumps(detector.selection_)
    with pytest.raises(ValueError, match="mark all rows of domain 2"):
        detector.fit(ROWS, known_anomalies=[m | (i == 2) for i, m in enumerate(MASKS)])
    with pytest.raises(ValueError, match=r"got a domain of 1 sample \(domain 8\)"):
        detector.fit(ROWS, known_anomalies=[*MASKS[:8], np.arange(N_ROWS) > 0])
    assert pickle.dumps(detector.selection_) == before


def test_a_mask_that_marks_nothing_is_as_none(plain):
    with pytest.warns(NoKnownAnomaliesWarning):
        detector = quick().fit(NORMAL, known_anomalies=[np.zeros(len(x), bool) for x in NORMAL])
    assert detector.selection_ is None
    X = machine(100)[0]
    np.testing.assert_array_equal(detector.score_samples(X), plain.score_samples(X))


def test_one_data_set_has_no_other_to_learn_for():
    with pytest.warns(SingleDomainWarning):
        detector = quick().fit(ROWS[0], known_anomalies=MASKS[0])
    assert detector.selection_["weight"] == 0


def test_a_reference_of_all_training_rows_knows_them_too(taught):
    detector = quick(norm_mode="reference").fit(ROWS, known_anomalies=MASKS)
    assert detector.head_.discriminant is not None
    assert detector.reference_stats_.combination.weight == taught.selection_["weight"]


def test_siblings_leave_them_out():
    by_mask = MahalanobisDetector(random_state=0).fit(ROWS, known_anomalies=MASKS)
    without = MahalanobisDetector(random_state=0).fit(NORMAL)
    np.testing.assert_array_equal(by_mask.precision_, without.precision_)
    assert by_mask.offset_ == without.offset_


def test_large_domains_show_some_of_their_rows_evenly(monkeypatch):
    seen = []

    class ToldError(Exception):
        pass

    def spy(batches, n_evidence):
        seen.extend(batches)
        raise ToldError

    monkeypatch.setattr(_known, "choose_discriminant", spy)
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(n, 3)) for n in (3000, 80)]
    masks = [np.arange(3000) % 5 == 0, np.arange(80) == 7]
    with pytest.raises(ToldError):
        quick(early_stopping=False).fit(rows, known_anomalies=masks)
    sizes = [(b.domain, len(b.anomalous), int(b.anomalous.sum())) for b in seen]
    assert sizes == [(0, 625, 125)] * 3 + [(1, 80, 1)]


# ------------------------------------------------------------------ outliers of no domain


def strange(n_rows=90, seed=5):
    """Rows of no machine: in the units of all, one feature always the largest."""
    rows = np.random.default_rng(seed).normal(0, 5, (n_rows, N_FEATURES))
    rows[:, 3] = 12 + np.abs(rows[:, 3])
    return rows


def test_outliers_of_no_domain_teach_what_such_rows_are(plain):
    detector = quick().fit(NORMAL, outliers=strange())
    assert detector.history_ == plain.history_
    assert detector.selection_["n_anomalies"].tolist() == [10] * 9
    assert detector.selection_["domains"].tolist() == list(range(9))
    gain = []
    for seed in range(100, 106):
        rows = machine(seed)[0][:180]
        batch = np.concatenate([rows, strange(20, seed)])
        y = np.arange(200) >= 180
        gain.append(
            roc_auc_score(y, -detector.score_samples(batch))
            - roc_auc_score(y, -plain.score_samples(batch))
        )
    assert np.mean(gain) > -0.005
    assert mean_auc(detector, "gross") > mean_auc(plain, "gross") - 0.01


def test_outliers_go_together_with_known_anomalies(taught):
    both = quick().fit(ROWS, known_anomalies=MASKS, outliers=strange(18))
    assert both.selection_["n_anomalies"].tolist() == [18] * 9
    assert mean_auc(both, "bearing") > mean_auc(taught, "bearing") - 0.05


def test_outliers_have_the_columns_of_the_rows():
    with pytest.raises(ValueError, match=r"ZeroShotACRDetector.fit\(outliers=\).*4 features"):
        quick().fit(NORMAL, outliers=np.zeros((5, 4)))
    with pytest.raises(ValueError, match=r"fit\(outliers=\).*NaN"):
        quick().fit(NORMAL, outliers=np.full((5, N_FEATURES), np.nan))
    frame = pd.DataFrame(np.concatenate(NORMAL), columns=[f"f{i}" for i in range(N_FEATURES)])
    frame["site"] = np.repeat(np.arange(9), [len(rows) for rows in NORMAL])
    aux = pd.DataFrame(strange(), columns=frame.columns[:-1]).assign(site="none")
    detector = quick(domain_column="site").fit(frame, outliers=aux)
    assert detector.n_domains_ == 9
    assert detector.selection_["n_anomalies"].sum() == 90


def test_one_gross_fault_hides_no_other(taught):
    rows = [one.copy() for one in ROWS]
    for one, mask in zip(rows, MASKS, strict=True):
        one[np.flatnonzero(mask)[0]] = 1e12
    detector = quick().fit(rows, known_anomalies=MASKS)
    assert mean_auc(detector, "bearing") > mean_auc(taught, "bearing") - 0.03
    assert detector.selection_["weight"] == taught.selection_["weight"]
