"""A fit on so many rows of each domain, and what it says of them."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from acr_sklearn import ContaminationThreshold
from acr_sklearn.distributed import fit_frame
from acr_sklearn.exceptions import ACRWarning

FEATURES = list("abcde")


@pytest.fixture(scope="module")
def table(domains):
    parts = [
        pd.DataFrame(rows, columns=FEATURES).assign(site=f"s{i}" if i else None)
        for i, rows in enumerate(domains)
    ]
    return pd.concat(parts, ignore_index=True).sample(frac=1, random_state=0)


@pytest.fixture(scope="module")
def fit(table, quick):
    def call(frame=table, **changes):
        detector = changes.pop("detector", quick(max_iter=2))
        given = {"domain_column": "site", "columns": FEATURES, "max_rows": 110}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ACRWarning)
            return fit_frame(frame, detector, **(given | changes))

    return call


def test_rows_per_domain_are_bounded_and_said(fit):
    found = fit()
    assert found.drawn == {"(null)": (100, 100)} | {
        f"s{i}": (110, 100 + 10 * i) for i in range(1, 6)
    }
    assert found.detector.n_domains_ == 6
    assert found.detector.feature_names_in_.tolist() == FEATURES


def test_the_detector_that_was_given_stays_unfitted(fit, quick):
    detector = quick(max_iter=2)
    fit(detector=detector)
    with pytest.raises(NotFittedError):
        check_is_fitted(detector)


@pytest.mark.parametrize(
    "make",
    [
        lambda frame: frame.sample(frac=1, random_state=5),
        pl.from_pandas,
        lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    ],
)
def test_the_same_fit_from_any_order_and_table(make, fit, table):
    one, other = fit(), fit(make(table))
    assert other.drawn == one.drawn
    rows = table[FEATURES]
    np.testing.assert_array_equal(
        one.detector.score_samples(rows), other.detector.score_samples(rows)
    )


def test_another_seed_is_another_fit(fit, table):
    rows = table[FEATURES]
    one, other = fit(), fit(random_state=1)
    assert not np.array_equal(one.detector.score_samples(rows), other.detector.score_samples(rows))


def test_a_detector_with_a_domain_column(fit, quick, table):
    own = fit(detector=quick(max_iter=2, domain_column="site"))
    assert own.drawn == fit().drawn
    with pytest.raises(ValueError, match=r"fit_frame got domain_column='site' and a detector with"):
        fit(detector=quick(domain_column="plant"))


def test_features_are_all_other_columns(fit):
    assert fit(columns=None).detector.feature_names_in_.tolist() == FEATURES


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_rows": 1}, r"fit_frame got max_rows=1. A domain needs at least 2 rows"),
        ({"max_rows": True}, r"max_rows=True"),
        ({"max_rows": "all"}, r"max_rows='all'"),
        ({"random_state": None}, r"fit_frame got random_state=None. Give an int"),
        ({"columns": ["a", "z"]}, r"fit_frame found no column \['z'\]"),
        ({"domain_column": "plant"}, r"found no column \['plant'\]"),
        ({"domain_column": "a"}, r"the domain's column 'a' among the features"),
    ],
)
def test_what_cannot_be_drawn_is_named(fit, changes, message):
    with pytest.raises(ValueError, match=message):
        fit(**changes)


def test_a_pipeline_is_refused_before_rows_are_read(fit, quick):
    for other in (make_pipeline(quick()), ContaminationThreshold(quick()), type(quick())):
        with pytest.raises(TypeError, match=r"fit_frame got a detector of type \w+. It needs"):
            fit("no table", detector=other)


def test_what_is_no_table_is_refused(fit):
    with pytest.raises(TypeError, match=r"fit_frame got a numpy.ndarray"):
        fit(np.zeros((3, 3)))
