"""Three kinds of tables are read and written alike."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from acr_sklearn.distributed.frames import beside, codes_of, kind_of, names_of, values_of

MAKERS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
each_kind = pytest.mark.parametrize("kind", MAKERS)


@each_kind
def test_a_table_is_told_by_its_class(kind):
    table = MAKERS[kind]({"a": [1.0], "b": [2.0]})
    assert kind_of(table, who="f") == kind
    assert names_of(table, who="f") == ["a", "b"]


@pytest.mark.parametrize("other", [np.zeros((2, 2)), [[1.0]], pl.LazyFrame({"a": [1]}), None])
def test_everything_else_is_refused(other):
    with pytest.raises(TypeError, match=r"^f got a .* DataFrame or a pyarrow Table in memory"):
        kind_of(other, who="f")


def test_a_child_of_a_frame_is_one():
    class Child(pd.DataFrame):
        pass

    assert kind_of(Child({"a": [1]}), who="f") == "pandas"


@each_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns_come_out_in_the_order_asked_for_and_keep_single_precision(kind, dtype):
    table = MAKERS[kind]({"a": np.array([1, 2], dtype), "b": np.array([3, 4], dtype)})
    values = np.asarray(values_of(table, ["b", "a"], who="f"))
    assert values.dtype == dtype
    assert values.tolist() == [[3, 1], [4, 2]]


@each_kind
@pytest.mark.parametrize("names", [["x", "y", None, "x"], [3, 1, None, 3], [0.5, 2.5, None, 0.5]])
def test_values_are_numbered_and_null_is_one_of_them(kind, names):
    distinct, index, missing = codes_of(MAKERS[kind]({"site": names}), "site", who="f")
    assert [distinct[i] for i in index] == names
    assert missing.tolist() == [False, False, True, False]
    assert len(distinct) == 3


def test_nan_and_null_are_one_value():
    for table in (
        pd.DataFrame({"site": pd.Series([np.nan, None, pd.NA, pd.NaT, 1.0], dtype=object)}),
        pl.DataFrame({"site": [float("nan"), None, None, None, 1.0]}),
        pa.table({"site": pa.array([float("nan"), None, None, None, 1.0])}),
    ):
        distinct, index, missing = codes_of(table, "site", who="f")
        assert [distinct[i] for i in index] == [None] * 4 + [1.0]
        assert missing.tolist() == [True] * 4 + [False]


def test_categories_that_no_row_has_are_no_values():
    categories = pd.Categorical(["x", "y", None], categories=["z", "y", "x"])
    polars = pl.DataFrame({"s": pl.Series(["x", "y", None], dtype=pl.Categorical)})
    arrow = pa.table({"s": pa.DictionaryArray.from_arrays([2, 1, None], ["z", "y", "x"])})
    for table in (pd.DataFrame({"s": categories}), polars, arrow):
        distinct, index, _ = codes_of(table, "s", who="f")
        assert [distinct[i] for i in index] == ["x", "y", None]
        assert len(distinct) == 3


@each_kind
def test_an_empty_column_has_no_values(kind):
    table = MAKERS[kind]({"site": np.empty(0)})
    distinct, index, missing = codes_of(table, "site", who="f")
    assert (distinct, len(index), len(missing)) == ([], 0, 0)


def test_an_arrow_column_in_chunks():
    table = pa.concat_tables([pa.table({"s": ["x", "y"]}), pa.table({"s": ["y", None]})])
    distinct, index, _ = codes_of(table, "s", who="f")
    assert [distinct[i] for i in index] == ["x", "y", "y", None]


def test_lists_are_no_names():
    table = pd.DataFrame({"site": [[1], [2]]})
    with pytest.raises(ValueError, match=r"^f cannot tell domains apart by column 'site': unhash"):
        codes_of(table, "site", who="f")


@each_kind
@pytest.mark.parametrize("carried", [[], ["k"], ["k", "s"]])
def test_new_columns_stand_beside_carried_ones(kind, carried):
    table = MAKERS[kind]({"s": ["x", None], "k": [2**60 + 1, 2**60 + 3]})
    found = beside(table, carried, {"score": np.array([0.5, 1.5])}, who="f")
    assert type(found) is type(table)
    assert names_of(found, who="f") == [*carried, "score"]
    rows = found.to_pydict() if kind == "arrow" else {n: list(found[n]) for n in carried}
    assert rows.get("k", [2**60 + 1, 2**60 + 3]) == [2**60 + 1, 2**60 + 3]
    assert names_of(table, who="f") == ["s", "k"]
