"""One table to scores: those of the detector itself, whatever holds the rows."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from acr_sklearn import OutlierSynthesisDetector, ResADDetector
from acr_sklearn.distributed import score_frame
from acr_sklearn.distributed.column_plan import plan_columns
from acr_sklearn.distributed.scored_frame import score_part
from acr_sklearn.exceptions import (
    ACRWarning,
    MissingDomainWarning,
    SmallBatchWarning,
    UnfamiliarBatchWarning,
)

FEATURES = list("abcde")
MAKERS = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
}


def quiet(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)
        return score_frame(*args, **kwargs)


@pytest.mark.parametrize("kind", MAKERS)
def test_each_domain_scores_as_in_a_call_of_its_own(kind, fleet, named, agree):
    table = MAKERS[kind](fleet)
    found = quiet(table, named, domain_column="site", key="id")
    assert type(found) is type(table)
    agree(found if kind == "pandas" else found.to_pandas())
    # The same rows in the same order, with keys that no float could hold.
    ids = found["id"].to_pylist() if kind == "arrow" else list(found["id"])
    assert ids == fleet["id"].tolist()


@pytest.mark.parametrize("kind", MAKERS)
def test_single_precision_stays_single(kind, fleet, named):
    single = fleet.astype(dict.fromkeys(FEATURES, np.float32))
    found = quiet(MAKERS[kind](single), named, domain_column="site")
    big = single["site"] == "big"
    scores = found["score"].to_numpy()[big.to_numpy()]
    np.testing.assert_array_equal(scores, named.score_samples(single.loc[big, FEATURES]))


def test_polars_groups(fleet, named, agree):
    table = pl.from_pandas(fleet)
    groups = table.group_by("site").map_groups(
        lambda group: quiet(group, named, domain_column="site", key="id")
    )
    agree(groups.to_pandas())


def test_the_index_is_carried_and_nothing_is_written_to(fleet, named):
    frame = fleet.set_index(fleet["id"].astype(str))
    before = frame.copy()
    found = quiet(frame, named, domain_column="site")
    assert found.index.equals(frame.index)
    pd.testing.assert_frame_equal(frame, before)


def test_row_keys_may_repeat_and_be_several(fleet, named):
    frame = fleet.assign(id=7, other=None)
    found = quiet(frame, named, domain_column="site", key=["id", "other"])
    assert list(found.columns) == ["id", "other", "site", "score", "label", "p_value", "n_rows"]
    assert len(found) == len(fleet)


@pytest.mark.parametrize(
    "names",
    [
        {"pump 1": 1, "pump 2": 2, "pump 3": -1, "big": 2**60},
        {"pump 1": 0.5, "pump 2": 1.5, "pump 3": -1.0, "big": 3.0},
        {"pump 1": "x", "pump 2": 2, "pump 3": ("y", 1), "big": 3.5},
        {
            name: pd.Timestamp(2020, 1, i + 1)
            for i, name in enumerate(["pump 1", "pump 2", "pump 3", "big"])
        },
    ],
)
def test_names_of_domains_may_be_anything(names, fleet, named, expected):
    frame = fleet.assign(site=[names.get(site) for site in fleet["site"]])
    found = quiet(frame, named, domain_column="site", key="id").set_index("id").sort_index()
    np.testing.assert_array_equal(found["score"], expected["score"])


def test_two_domains_may_be_called_1_and_minus_1(fleet, named):
    frame = fleet.assign(site=np.where(fleet["site"] == "big", 1, -1))
    assert set(quiet(frame, named, domain_column="site")["n_rows"]) == {3000, 459}


def test_categories(fleet, named, expected):
    frame = fleet.assign(site=fleet["site"].astype("category"))
    found = quiet(frame, named, domain_column="site", key="id").set_index("id").sort_index()
    np.testing.assert_array_equal(found["score"], expected["score"])


def test_without_a_domain_column_all_rows_are_one_batch(fleet, named):
    big = fleet[fleet["site"] == "big"]
    found = score_frame(big, named)
    assert list(found.columns) == ["score", "label", "p_value", "n_rows"]
    np.testing.assert_array_equal(found["score"], named.score_samples(big[FEATURES]))


@pytest.mark.parametrize("kind", MAKERS)
def test_a_table_without_rows_has_the_same_columns(kind, fleet, named):
    whole = quiet(MAKERS[kind](fleet), named, domain_column="site", key="id")
    empty = score_frame(MAKERS[kind](fleet.iloc[:0]), named, domain_column="site", key="id")
    assert len(empty) == 0
    if kind == "arrow":
        assert empty.column_names == whole.column_names
    else:
        assert list(empty.columns) == list(whole.columns)
        assert list(empty.dtypes)[2:] == list(whole.dtypes)[2:]


def test_a_domain_of_one_row(fleet, named, expected):
    frame = pd.concat([fleet, fleet.iloc[:1].assign(site="alone", id=0)])
    message = r"score_frame got a batch of 1 sample \(domain 'alone'\).*if_single='missing'"
    with pytest.raises(ValueError, match=message):
        quiet(frame, named, domain_column="site")
    found = quiet(frame, named, domain_column="site", key="id", if_single="missing")
    alone = found.iloc[-1]
    assert (alone["label"], alone["n_rows"]) == (0, 1)
    assert np.isnan([alone["score"], alone["p_value"]]).all()
    rest = found.iloc[:-1].set_index("id").sort_index()
    np.testing.assert_array_equal(rest["score"], expected["score"])
    only = quiet(frame.iloc[-1:], named, domain_column="site", if_single="missing")
    assert only["label"].tolist() == [0]


def test_advice_is_given_once_and_by_name(fleet, named):
    with pytest.warns(ACRWarning) as caught:
        score_frame(fleet, named, domain_column="site")
    texts = {warning.category: str(warning.message) for warning in caught}
    assert "score_frame got 40 rows whose 'site' is null" in texts[MissingDomainWarning]
    assert "pump 1 (2 rows)" in texts[SmallBatchWarning]
    assert len(caught) == len(texts)
    assert {warning.filename for warning in caught} == {__file__}


def test_an_unfamiliar_domain_is_named(fleet, named):
    strange = fleet[fleet["site"] == "big"].copy()
    strange["a"] = strange["b"] * 1000
    with pytest.warns(UnfamiliarBatchWarning, match=r"domain 'big'.*mostly in 'a' \(\d+ times as"):
        score_frame(strange, named, domain_column="site")


def test_workers_are_silent(fleet, named):
    plan = plan_columns(
        named, list(fleet.columns), columns=None, domain_column="site", key="id", who="f"
    )
    score_part(fleet, named, plan)  # warnings are errors here


def test_what_cannot_be_scored_is_named_with_its_domain(fleet, named):
    frame = fleet.copy()
    frame.loc[frame["site"] == "pump 2", "c"] = np.nan
    with pytest.raises(
        ValueError, match=r"score_frame got NaN in X: .*'c', domain 'pump 2'; 17 of"
    ):
        score_frame(frame, named, domain_column="site")
    frame = fleet.copy()
    frame.loc[frame["site"].isna(), "c"] = np.inf
    with pytest.raises(ValueError, match=r"infinity in X: .*domain '\(null\)'"):
        quiet(frame, named, domain_column="site")
    with pytest.raises(ValueError, match=r"score_frame got an X that is not a table of numbers"):
        score_frame(fleet.assign(c="x"), named, domain_column="site")


@pytest.mark.parametrize("kind", MAKERS)
def test_nulls_and_words_in_features_are_refused_whatever_holds_them(kind, named):
    ordinary = {name: np.linspace(0.0, 1.0, 20) for name in FEATURES}
    make = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}[kind]
    with pytest.raises(ValueError, match=r"score_frame got NaN in X: first in row 0, column 'b'"):
        score_frame(make(ordinary | {"b": [None] + [0.5] * 19}), named)
    with pytest.raises(ValueError, match=r"score_frame got an X that is not a table of numbers"):
        score_frame(make(ordinary | {"b": ["x"] * 20}), named)


def test_rows_scored_by_themselves_need_no_domains(fleet, named):
    live = named.adapt(fleet.loc[fleet["site"] == "big", FEATURES])
    found = quiet(fleet, live, domain_column="site", key="id")
    np.testing.assert_array_equal(found["score"], live.score_samples(fleet[FEATURES]))
    np.testing.assert_array_equal(found["label"], live.predict(fleet[FEATURES]))
    np.testing.assert_array_equal(found["p_value"], live.p_values(fleet[FEATURES]))
    assert set(found["n_rows"]) == {1}
    assert len(quiet(fleet.iloc[:1], live, domain_column="site")) == 1


def test_threshold_of_the_batch(fleet, quick, domains):
    detector = quick(threshold="batch").fit(domains)
    found = quiet(fleet, detector, domain_column="site", columns=FEATURES)
    wide = fleet.assign(site=fleet["site"].fillna("none"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)
        wanted = detector.predict(fleet[FEATURES].to_numpy(), domains=wide["site"])
    np.testing.assert_array_equal(found["label"], wanted)


def test_siblings(domains, fleet):
    some = fleet[fleet["site"].isin(["pump 3", "pump 2"])]
    synthesis = OutlierSynthesisDetector(max_iter=2, random_state=0).fit(domains[0])
    found = quiet(some, synthesis, domain_column="site", columns=FEATURES)
    rows = some[FEATURES].to_numpy()
    np.testing.assert_array_equal(found["score"], synthesis.score_samples(rows))
    residuals = ResADDetector(max_iter=2, n_blocks=1, random_state=0).fit(domains)
    found = quiet(some, residuals, domain_column="site", columns=FEATURES)
    wanted = residuals.score_samples(rows, domains=some["site"].to_numpy())
    np.testing.assert_allclose(found["score"], wanted)
