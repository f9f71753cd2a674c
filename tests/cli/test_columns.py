import dataclasses

import numpy as np
import pandas as pd
import pytest

from acr_sklearn.cli.columns import Choices, choose_columns, domains_of, features_of, known_of
from acr_sklearn.cli.declaration import CATEGORY, NUMBER, Column, Declaration
from acr_sklearn.cli.tables import Reading, Table
from acr_sklearn.cli.terminal import CommandError, as_option
from acr_sklearn.datasets._csv_form import CsvForm

READING = Reading(CsvForm(None, option=as_option))


def table(tmp_path, name="t", **columns):
    """A table that stands in a file too, so that its cells have lines."""
    path = tmp_path / f"{name}.csv"
    frame = pd.DataFrame(columns)
    frame.to_csv(path, index=False)
    return Table(name, path, frame, READING)


def chosen(*tables, **choices):
    return choose_columns(tables, Choices(**choices))


def test_kinds_are_told_by_the_cells_of_all_files(tmp_path):
    first = table(tmp_path, "a", x=[1, 2], n=["1.5", None], f=[True, False], k=["1", "1"])
    second = table(tmp_path, "b", k=["u", "v"], f=[True, True], n=[np.nan, 2], x=[0.5, 3])
    found = chosen(first, second)
    kinds = [(column.name, column.kind) for column in found]
    assert kinds == [("x", NUMBER), ("n", NUMBER), ("f", NUMBER), ("k", CATEGORY)]
    assert found[3].kept == ("1", "u", "v")
    assert [c.name for c in chosen(first, second, columns=("n", "x"))] == ["n", "x"]
    assert chosen(first, second, columns=("x",), categories=("x",))[0].kind == CATEGORY


def test_rare_categories_are_pooled_and_so_are_those_of_new_tables(tmp_path):
    kinds = ["a"] * 60 + ["b"] * 36 + ["c"] * 4
    (column,) = chosen(table(tmp_path, k=kinds))
    assert column.kept == ("a", "b")
    new = table(tmp_path, k=["b ", "c", "new", None])
    found = features_of(new, Declaration((column,)))
    assert list(found) == ["k=a", "k=b", "k=other"]
    expected = [[0, 1, 0], [0, 0, 1], [0, 0, 1], [np.nan] * 3]
    np.testing.assert_array_equal(np.stack(list(found.values()), axis=1), expected)


def test_a_cell_that_is_no_number_is_named_with_all_remedies(tmp_path):
    odd = table(tmp_path, x=[1.0, 2, 3], y=["1", "n/a ", "2"])
    with pytest.raises(
        CommandError,
        match=r"t\.csv, line 3, column 'y': 'n/a ' is not a number.*--missing-value n/a .*"
        r"--category y .*--ignore y ",
    ):
        chosen(odd)
    with pytest.raises(CommandError, match=r"line 2, column 'y': '1,5'.*--decimal , if that"):
        chosen(table(tmp_path, y=["1,5", "2", "3"]))


@pytest.mark.parametrize(
    "dates",
    [
        ["2026-01-31", "2026-02-01"],
        ["31.12.2026 08:00", "1.1.2027"],
        ["08:30", "09:30"],
        pd.to_datetime(["2026-01-31", "2026-02-01"]),
    ],
)
def test_dates_are_refused_with_the_remedy(tmp_path, dates):
    with pytest.raises(
        CommandError, match=r"'when'.*--time-column when, .*--key when, .*--ignore when"
    ):
        chosen(table(tmp_path, x=[1, 2], when=dates))


def test_columns_that_can_be_no_feature_are_refused(tmp_path):
    ids = [f"r{i}" for i in range(40)]
    with pytest.raises(CommandError, match=r"'id' has 40 different texts in 40 rows.*--key id"):
        chosen(table(tmp_path, id=ids))
    with pytest.raises(CommandError, match=r"'x' has no value in any file.*--ignore x"):
        chosen(table(tmp_path, x=[None, None]))
    with pytest.raises(CommandError, match="2 features have the name 'k=a'"):
        chosen(table(tmp_path, **{"k": ["a", "a"], "k=a": [1, 2]}))
    with pytest.raises(CommandError, match="no column is left"):
        chosen(table(tmp_path, x=[1, 2]), ignore=("x",))


def test_tables_of_other_columns_are_refused(tmp_path):
    first = table(tmp_path, "a", x=[1, 2], y=[1, 2])
    with pytest.raises(CommandError, match=r"b\.csv: no column 'y', which .*a\.csv has"):
        chosen(first, table(tmp_path, "b", x=[1, 2]))
    more = table(tmp_path, "b", y=[1, 2], x=[1, 2], z=[1, 2])
    with pytest.raises(CommandError, match=r"b\.csv: has a column 'z' .*--ignore z"):
        chosen(first, more)
    assert [c.name for c in chosen(first, more, columns=("x", "y"))] == ["x", "y"]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"ignore": ("z",)}, "no column 'z', which an option names"),
        ({"columns": ("x",), "domain_column": "x"}, "'x' is named both"),
        ({"columns": ("x",), "categories": ("y",)}, "'y' is named as a category, but is no"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path, choices, message):
    with pytest.raises(CommandError, match=message):
        chosen(table(tmp_path, x=[1, 2], y=[1, 2]), **choices)


def test_cells_of_new_tables_that_cannot_be_used_are_named(tmp_path):
    declared = Declaration((Column("x", NUMBER),))
    with pytest.raises(CommandError, match=r"no column 'x', which the model was trained on"):
        features_of(table(tmp_path, y=[1]), declared)
    with pytest.raises(CommandError, match=r"line 3, column 'x': the value is infinite"):
        features_of(table(tmp_path, x=[1, np.inf]), declared)
    with pytest.raises(CommandError, match=r"line 2, column 'x': 'a' is not a number"):
        features_of(table(tmp_path, x=["a", "1"]), declared)
    with pytest.raises(CommandError, match="column 'x': holds times"):
        features_of(table(tmp_path, x=pd.to_datetime(["2026-01-01"])), declared)
    gap = table(tmp_path, x=[1, np.nan])
    assert np.isnan(features_of(gap, declared)["x"][1])
    strict = dataclasses.replace(declared, missing="refuse")
    with pytest.raises(CommandError, match=r"line 3, column 'x': a value is missing"):
        features_of(gap, strict)


def test_domains_are_files_or_what_a_column_says(tmp_path):
    one = table(tmp_path, site=["n ", "s"])
    assert domains_of(one, None).tolist() == ["t", "t"]
    assert domains_of(one, "site").tolist() == ["n", "s"]
    with pytest.raises(CommandError, match=r"line 3, column 'site': no domain"):
        domains_of(table(tmp_path, site=["n", None], x=[1, 2]), "site")


def test_known_anomalies_are_those_that_say_so(tmp_path):
    marks = ["1", "1.0", "TRUE", "yes ", "0", "No", "f", None]
    found = known_of(table(tmp_path, fault=marks, x=range(8)), "fault")
    assert found.tolist() == [True] * 4 + [False] * 4
    with pytest.raises(CommandError, match=r"line 3, column 'fault': '-1' does not say"):
        known_of(table(tmp_path, fault=["1", "-1"]), "fault")
