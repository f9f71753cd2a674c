"""Masks of known anomalies, in every form, and what is no such mask."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from acr_sklearn import FitOnNormals, ZeroShotACRDetector
from acr_sklearn._input.domain_rows import DomainRows, as_domain_list
from acr_sklearn._input.known_anomalies import take_out_known
from acr_sklearn.exceptions import NoKnownAnomaliesWarning

WHO = "Detector.fit"
MASK = np.array([False, True, False, False, False, True, False])
PARTS = [np.arange(8.0).reshape(4, 2), 10 + np.arange(6.0).reshape(3, 2)]
MASKS = [MASK[:4], MASK[4:]]


def rows(labels=("a", "b")):
    return DomainRows(
        np.concatenate(PARTS), np.array([0] * 4 + [1] * 3), np.array(labels), named=True
    )


def taken_out(mask, X=None):
    return take_out_known(rows(), mask, np.concatenate(PARTS) if X is None else X, who=WHO)


def test_without_a_mask_all_rows_are_normal():
    data = taken_out(None)
    assert data.known is None
    np.testing.assert_array_equal(data.rows, np.concatenate(PARTS))


@pytest.mark.parametrize(
    ("mask", "X"),
    [
        (MASK, None),
        (MASK.tolist(), None),
        (MASK.astype(object), None),
        (MASK[:, None], None),
        (pd.Series(MASK), None),
        (pd.Series(MASK, dtype="boolean"), None),
        (pl.Series(MASK), None),
        (torch.from_numpy(MASK), None),
        (MASK, PARTS),
        (MASKS, PARTS),
        (tuple(MASKS), PARTS),
        ([mask.tolist() for mask in MASKS], PARTS),
        ([pd.Series(MASKS[0]), MASKS[1]], [pd.DataFrame(PARTS[0]), PARTS[1]]),
        ({"b": MASKS[1], "a": MASKS[0]}, dict(zip("ab", PARTS, strict=True))),
    ],
)
def test_every_form_says_the_same(mask, X):
    assert X is None or as_domain_list(X) is not None
    data = taken_out(mask, X)
    np.testing.assert_array_equal(data.rows, np.concatenate(PARTS)[~MASK])
    np.testing.assert_array_equal(data.known.rows, np.concatenate(PARTS)[MASK])
    assert data.index.tolist() == [0, 0, 0, 1, 1]
    assert data.known.index.tolist() == [0, 1]
    assert data.sizes.tolist() == [3, 2]


@pytest.mark.parametrize(
    ("mask", "X", "message"),
    [
        (MASK[:5], None, r"known_anomalies of shape \(5,\), and 7 rows"),
        (np.stack([MASK, MASK]), None, r"of shape \(2, 7\), and 7 rows"),
        (MASK.astype(int), None, r"of dtype int64.*y == -1"),
        (np.where(MASK, -1.0, 1.0), None, "of dtype float64"),
        (np.where(MASK, "yes", "no"), None, "of dtype <U3"),
        ([None, *MASK[1:].tolist()], None, "values of type NoneType"),
        (pd.Series([None, *MASK[1:].tolist()], dtype="boolean"), None, "values of type NAType"),
        ("yes", None, "known_anomalies of type str"),
        (True, None, "known_anomalies of type bool"),
        (MASKS, None, "list of 2 masks, and one table as X"),
        (MASKS[:1], PARTS, "list of 1 masks, and 2 data sets as X"),
        ([MASKS[1], MASKS[0]], PARTS, r"known_anomalies, element 0, of shape \(3,\), and 4 rows"),
        ({"a": MASKS[0]}, dict(zip("ab", PARTS, strict=True)), "mapping whose names are not"),
        (dict(zip("ab", MASKS, strict=True)), PARTS, "mapping whose names are not those of X"),
        (
            {"a": MASKS[0], "b": MASKS[0]},
            dict(zip("ab", PARTS, strict=True)),
            r"known_anomalies, domain 'b', of shape \(4,\), and 3 rows",
        ),
        (MASK | (np.arange(7) > 3), None, "mark all rows of domain 'b'"),
        (np.ones(7, bool), None, "mark all rows of domain 'a'"),
    ],
)
def test_what_is_no_mask_is_refused(mask, X, message):
    with pytest.raises(ValueError, match=f"{WHO} got.*{message}"):
        taken_out(mask, X)


def test_of_one_domain_all_rows_are_named_as_such():
    data = DomainRows.one(PARTS[0])
    with pytest.raises(ValueError, match="mark all rows. What is normal"):
        take_out_known(data, np.ones(4, bool), PARTS[0], who=WHO)


def test_a_mask_that_marks_nothing_is_told_and_changes_nothing():
    with pytest.warns(NoKnownAnomaliesWarning, match="mark none of the 7 rows"):
        data = taken_out(np.zeros(7, bool))
    assert data.known is None
    assert len(data.rows) == 7


@pytest.mark.parametrize("shape", ["bare", "pipeline", "around", "search"])
def test_a_mask_that_marks_nothing_is_told_at_the_users_line(shape):
    options = {"hidden_layer_sizes": (8,), "n_tasks": 4, "task_size": 32, "early_stopping": False}
    acr = ZeroShotACRDetector(max_iter=1, random_state=0, **options)
    X, site = np.random.default_rng(0).normal(size=(120, 3)), np.repeat([0, 1, 2], 40)
    given = {"domains": site, "known_anomalies": np.zeros(120, bool)}
    model = {
        "bare": acr,
        "pipeline": Pipeline([("acr", acr)]),
        "around": FitOnNormals(acr),
        "search": GridSearchCV(acr, {"trim_fraction": [0.25]}, scoring=lambda *_: 1.0, cv=2),
    }[shape]
    if shape == "pipeline":
        given = {f"acr__{name}": value for name, value in given.items()}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model.fit(X, **given)
    places = {w.filename for w in told if w.category is NoKnownAnomaliesWarning}
    assert places == {__file__}
