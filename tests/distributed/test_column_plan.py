"""Features are found by name, and what is not clear is refused before any work."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from acr_sklearn import ContaminationThreshold, ZeroShotACRDetector
from acr_sklearn.distributed.column_plan import plan_columns, scores_singly

ALL = ["id", "e", "d", "c", "site", "b", "a"]


def plan(detector, names=ALL, **changes):
    given = {"columns": None, "domain_column": "site", "key": None, "who": "score_x"}
    return plan_columns(detector, names, **(given | changes))


def test_features_are_those_of_fit_in_their_order(named):
    found = plan(named, key="id")
    assert found.features == ("a", "b", "c", "d", "e")
    assert found.carried == ("id", "site")
    assert found.needed == ["id", "site", "a", "b", "c", "d", "e"]


def test_keys_may_be_several_and_hold_the_domain(named):
    found = plan(named, key=["site", "id", "a"])
    assert found.carried == ("site", "id", "a")
    assert found.needed == ["site", "id", "a", "b", "c", "d", "e"]


def test_without_names_in_fit_columns_are_asked_for(fitted):
    with pytest.raises(ValueError, match=r"score_x got a detector .* Pass columns=\[...\], the 5"):
        plan(fitted)
    assert plan(fitted, columns=list("bacde")).features == ("b", "a", "c", "d", "e")
    for columns in (["a"], "abcde", list("aabcd")):
        with pytest.raises(ValueError, match=r"got columns=.*(fitted on 5 features|Pass a list)"):
            plan(fitted, columns=columns)


def test_columns_beside_names_of_fit_must_agree(named):
    assert plan(named, columns=list("edcba")).features == ("a", "b", "c", "d", "e")
    with pytest.raises(ValueError, match=r"got columns='a', 'b', and the detector was fitted on"):
        plan(named, columns=["a", "b"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ["site", "a", "c", "d"]}, r"score_x found no column 'b', 'e' in the table"),
        ({"key": "row"}, r"found no column 'row' in the table. Columns: 'id', 'e'"),
        ({"domain_column": "plant"}, r"found no column 'plant'"),
        ({"domain_column": "a"}, r"domain_column='a', which is one of the features"),
        ({"names": [*ALL, "a"]}, r"two columns of one name"),
        ({"names": [*ALL, "score"], "key": "score"}, r"would write over column 'score'"),
        ({"if_single": "drop"}, r"if_single='drop'. It can be one of"),
    ],
)
def test_what_cannot_be_planned_is_named(named, changes, message):
    with pytest.raises(ValueError, match=message):
        plan(named, **changes)


def test_a_detector_of_this_package_is_needed():
    with pytest.raises(TypeError, match=r"score_x got a detector of type IsolationForest"):
        plan(IsolationForest())
    for wrapped in (make_pipeline(ZeroShotACRDetector()), ContaminationThreshold(None)):
        with pytest.raises(TypeError, match=r"of this package by itself, .* steps of a pipeline"):
            plan(wrapped)
    with pytest.raises(NotFittedError):
        plan(ZeroShotACRDetector())


def test_the_detectors_own_domain_column_is_no_feature(quick, fleet):
    rows = fleet[fleet["site"].isin(["pump 3", "big"])]
    rows = rows[["a", "site", "b", "c", "d", "e"]]
    detector = quick(domain_column="site", early_stopping=False).fit(rows)
    found = plan(detector, domain_column=None)
    assert found.features == ("a", "b", "c", "d", "e")
    assert found.domain == "site"


@pytest.mark.parametrize(
    "given",
    [{"columns": [["a"]]}, {"key": [{}]}, {"key": float("nan")}, {"domain_column": ["site"]}],
)
def test_what_names_no_column_is_refused(given, named):
    with pytest.raises(ValueError, match=r"score_x got \w+=.*A column is named by a string"):
        plan(named, **given)


def test_who_scores_singly(named, fleet):
    assert not scores_singly(named)
    live = named.adapt(fleet.loc[fleet["site"] == "big", list("abcde")])
    assert scores_singly(live)
    assert np.isfinite(live.offset_)
