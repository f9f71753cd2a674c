"""Where scikit-learn calls from: folds, refits, steps; one warning for a search without domains."""

import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import (
    GridSearchCV,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    ShuffleSplit,
    TimeSeriesSplit,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from acr_sklearn import FitOnNormals, NormalTrainSplit, anomaly_roc_auc_scorer
from acr_sklearn._input.callers import calling_fold, is_repeated_fit, ways_to_pass_domains
from acr_sklearn.exceptions import SingleDomainWarning


class Witness(BaseEstimator):
    """Notes down what it can tell of its callers."""

    seen: list = []  # noqa: RUF012 - shared by the clones of a search

    def __init__(self, level=0):
        self.level = level

    def fit(self, X, y=None):
        self.seen.append((calling_fold(), is_repeated_fit(), ways_to_pass_domains()))
        return self

    def score(self, X, y=None):
        self.seen.append(calling_fold())
        return 0.0


@pytest.fixture
def seen():
    Witness.seen.clear()
    return Witness.seen


ROWS = np.zeros((4, 1))


def test_of_nobody(seen):
    Witness().fit(ROWS)
    assert seen == [(None, False, "domains=")]


def test_of_a_search(seen):
    search = GridSearchCV(Witness(), {"level": [1, 2]}, cv=KFold(2), return_train_score=True)
    search.fit(ROWS)
    fits, scores = [s for s in seen if isinstance(s, tuple)], seen[1::3]
    found = [(fold and (fold.number, fold.candidate), again) for fold, again, _ in fits]
    assert found == [
        *[((0, 0), False), ((1, 0), True), ((0, 1), True), ((1, 1), True)],
        (None, True),  # the refit
    ]
    assert [fold.n_folds for fold, _, _ in fits[:-1]] == [2] * 4
    assert not any(fold.scores_train_rows for fold in scores[:4])
    assert all(fold.scores_train_rows for fold in seen[2:-1:3])


def test_of_cross_validation_which_counts_no_folds(seen):
    cross_validate(Witness(), ROWS, cv=KFold(2))
    assert seen == [(None, False, "domains="), None] * 2


def test_of_pipelines_in_one_another(seen):
    inner = Pipeline([("scale", StandardScaler()), ("acr", Witness())])
    inner.fit(ROWS)
    Pipeline([("rest", inner)]).fit(ROWS)
    assert [ways for _, _, ways in seen] == ["acr__domains=", "rest__acr__domains="]
    with sklearn.config_context(enable_metadata_routing=True):
        inner.fit(ROWS)
    assert seen[-1][2] == "domains="


# --- one warning for a search that is told no domains


@pytest.fixture(scope="module")
def sites():
    """Four labelled sites: X, y, sites."""
    rng = np.random.default_rng(0)
    X, site = rng.normal(size=(120, 3)), np.repeat(np.arange(4), 30)
    y = np.where(np.arange(120) % 30 < 3, -1, 1)
    X[y == -1] += 8
    return X, y, site


def piped(detector):
    return Pipeline([("scale", StandardScaler()), ("acr", detector)])


def search_without_domains(estimator, data, **options):
    X, y, site = data
    contamination = next(p for p in estimator.get_params() if p.endswith("contamination"))
    search = GridSearchCV(
        estimator,
        {contamination: [0.1, 0.2]},
        cv=NormalTrainSplit(LeaveOneGroupOut()),
        scoring=anomaly_roc_auc_scorer,
        **options,
    )
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        search.fit(X, y, groups=site)
    return [str(w.message) for w in found if w.category is SingleDomainWarning]


@pytest.mark.parametrize(
    ("wrap", "keyword"),
    [
        (lambda detector: detector, " domains="),
        (piped, " acr__domains="),
        (lambda detector: piped(FitOnNormals(detector)), " acr__domains="),
        (lambda detector: FitOnNormals(piped(detector)), " acr__domains="),
    ],
    ids=["alone", "pipeline", "of normals", "in normals"],
)
@pytest.mark.parametrize("refit", [True, False])
def test_a_search_warns_once_and_names_what_works(quick, sites, wrap, keyword, refit):
    found = search_without_domains(wrap(quick(max_iter=2)), sites, refit=refit)
    assert len(found) == 1
    assert f"pass{keyword} to the fit of the search, also where it has groups=" in found[0]


def test_what_the_warning_names_works(quick, sites):
    X, y, site = sites
    search = GridSearchCV(
        piped(quick(max_iter=2, early_stopping=False)),
        {"acr__contamination": [0.1]},
        cv=NormalTrainSplit(LeaveOneGroupOut()),
        scoring=anomaly_roc_auc_scorer,
    )
    search.fit(X, y, groups=site, acr__domains=site)  # warnings are errors
    assert search.best_estimator_["acr"].n_domains_ == 4


def test_a_pipeline_by_itself_names_its_step(quick, sites):
    with pytest.warns(SingleDomainWarning, match="pass acr__domains= to the fit of the pipeline"):
        piped(quick(max_iter=2)).fit(sites[0])


def test_domains_of_which_a_train_fold_has_one_are_each_said(quick, sites):
    X, y, site = sites
    two = site < 2
    search = GridSearchCV(
        quick(max_iter=2), {}, cv=NormalTrainSplit(LeaveOneGroupOut()), refit=False
    )
    with pytest.warns(SingleDomainWarning) as found:
        search.fit(X[two], y[two], groups=site[two], domains=site[two])
    assert len(found) == 2


# --- one warning for a cross-validation, which counts no folds


def single_domain_warnings(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return [str(w.message) for w in found if w.category is SingleDomainWarning]


@pytest.mark.parametrize(
    ("wrap", "keyword"),
    [
        (lambda detector: detector, "domains"),
        (piped, "acr__domains"),
        (lambda detector: piped(FitOnNormals(detector)), "acr__domains"),
        (lambda detector: FitOnNormals(piped(detector)), "acr__domains"),
    ],
    ids=["alone", "pipeline", "of normals", "in normals"],
)
def test_a_cross_validation_warns_once_and_names_what_works(quick, sites, wrap, keyword):
    X, y, site = sites
    model = wrap(quick(max_iter=2, early_stopping=False))
    options = {"cv": NormalTrainSplit(LeaveOneGroupOut()), "scoring": anomaly_roc_auc_scorer}
    for _ in range(2):  # and each call for itself
        (found,) = single_domain_warnings(
            lambda: cross_validate(model, X, y, groups=site, **options)
        )
        assert (
            f"cross_validate(..., params={{'{keyword}': ...}}), also where it has groups=" in found
        )
    said = single_domain_warnings(
        lambda: cross_validate(model, X, y, groups=site, params={keyword: site}, **options)
    )
    assert said == []


@pytest.mark.parametrize(
    "cv",
    [
        *(KFold(3), ShuffleSplit(4, random_state=0), TimeSeriesSplit(3)),
        GroupShuffleSplit(4, random_state=0),
    ],
    ids=lambda cv: type(cv).__name__,
)
@pytest.mark.parametrize("validate", [cross_validate, cross_val_score, learning_curve])
def test_whatever_the_folds_one_fit_warns(quick, sites, cv, validate):
    X, y, site = sites
    options = {"groups": site, "cv": cv, "scoring": anomaly_roc_auc_scorer}
    if validate is learning_curve:
        options["train_sizes"] = [0.5, 1.0]
    found = single_domain_warnings(lambda: validate(quick(max_iter=2), X, y, **options))
    assert len(found) == 1


def test_predictions_by_fold_warn_once(quick, sites):
    X, y, site = sites
    model = quick(max_iter=2)
    options = {"groups": site, "cv": LeaveOneGroupOut()}
    assert len(single_domain_warnings(lambda: cross_val_predict(model, X, y, **options))) == 1


def test_a_search_within_a_cross_validation_warns_once(quick, sites):
    X, y, _ = sites
    search = GridSearchCV(
        quick(max_iter=2), {"contamination": [0.1, 0.2]}, scoring=anomaly_roc_auc_scorer, cv=2
    )
    options = {"cv": 3, "scoring": anomaly_roc_auc_scorer}
    y = np.roll(y, 1)
    assert len(single_domain_warnings(lambda: cross_validate(search, X, y, **options))) == 1


def test_what_a_cross_validation_fitted_warns_again_when_fitted_anew(quick, sites):
    X, y, _ = sites
    found = []
    single_domain_warnings(
        lambda: found.extend(
            cross_validate(
                quick(max_iter=2),
                X,
                y,
                cv=3,
                return_estimator=True,
                scoring=anomaly_roc_auc_scorer,
            )["estimator"]
        )
    )
    assert len(found) == 3
    for one in found:
        assert len(single_domain_warnings(lambda one=one: clone(one).fit(X))) == 1
        assert len(single_domain_warnings(lambda one=one: one.fit(X))) == 1


def test_folds_in_threads_warn_once_together(quick, sites):
    X, y, _ = sites
    cv = ShuffleSplit(9, random_state=1)
    with joblib.parallel_backend("threading"):
        found = single_domain_warnings(
            lambda: cross_validate(
                quick(max_iter=2), X, y, cv=cv, scoring=anomaly_roc_auc_scorer, n_jobs=2
            )
        )
    assert len(found) == 1


IN_PROCESSES = """
import sys
import numpy as np
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, ShuffleSplit, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from acr_sklearn import NormalTrainSplit, ZeroShotACRDetector, anomaly_roc_auc_scorer

if __name__ == "__main__":
    X, site = np.random.default_rng(0).normal(size=(120, 3)), np.repeat(np.arange(4), 30)
    y = np.where(np.arange(120) % 30 < 3, -1, 1)
    detector = ZeroShotACRDetector(max_iter=2, n_tasks=2, task_size=8, random_state=0)
    model = Pipeline([("scale", StandardScaler()), ("acr", detector)])
    options = {"scoring": anomaly_roc_auc_scorer, "n_jobs": 2}
    cv = NormalTrainSplit(LeaveOneGroupOut())
    GridSearchCV(model, {"acr__contamination": [0.1, 0.2]}, cv=cv, **options).fit(X, y, groups=site)
    print("---", file=sys.stderr, flush=True)
    # More folds than are dealt out at first.
    cross_validate(model, X, y, cv=ShuffleSplit(9, random_state=1), **options)
"""


def test_processes_warn_once_together():
    ran = subprocess.run(
        [sys.executable, "-c", IN_PROCESSES], capture_output=True, text=True, check=True
    )
    search, validation = ran.stderr.split("---")
    assert search.count("SingleDomainWarning") == 1
    assert "pass acr__domains= to the fit of the search" in search
    assert validation.count("SingleDomainWarning") == 1
    assert "cross_validate(..., params={'acr__domains': ...})" in validation
