import sys

import numpy as np
import pandas as pd
import pytest

from acr_sklearn.datasets._tables import column_numbers, read_table

FRAME = pd.DataFrame({"a": [1.5, 2.0], "b": ["x", "y"], "c": [1, 2]})


def write(path):
    FRAME.to_parquet(path) if path.suffix == ".parquet" else FRAME.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_a_table_and_a_choice_of_its_columns(tmp_path, name):
    path = write(tmp_path / name)
    pd.testing.assert_frame_equal(read_table(path, "a table"), FRAME, check_dtype=False)
    assert list(read_table(path, "a table", ["c", "a"]).columns) == ["c", "a"]
    with pytest.raises(ValueError, match=rf"{name} cannot .*a table.*no column d, e among a, b, c"):
        read_table(path, "a table", ["a", "d", "e"])


def test_a_truncated_parquet_file_is_named(tmp_path):
    path = write(tmp_path / "t.parquet")
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], whole[:-1], b"<html>" * 10):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"t\.parquet cannot be read: it is not, .* a table"):
            read_table(path, "a table")


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", "is empty"), (b"a,b\n", "has a header and no"), (b"\0\1\2", "has a header and no")],
)
def test_a_csv_file_without_rows_is_named(tmp_path, content, what):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"t\.csv cannot be read: it {what}.*: fetch it again, or"
    ):
        read_table(path, "a table")


@pytest.mark.parametrize("lines", ["1,2,3\n5,4,6\n", "0,2,3\n1,4,6\n", "1,2,\n7,4,\n"])
def test_lines_with_more_fields_than_the_header_do_not_shift_the_columns(tmp_path, lines):
    (tmp_path / "t.csv").write_text(f"a,b\n{lines}")
    with pytest.raises(
        ValueError, match=r"t\.csv cannot .*line 2 has 3 fields, and those before it 2"
    ):
        read_table(tmp_path / "t.csv", "a table")


def test_a_suffix_may_be_in_upper_case(tmp_path):
    FRAME.to_parquet(tmp_path / "t.PARQUET")
    assert read_table(tmp_path / "t.PARQUET", "a table")["b"].tolist() == ["x", "y"]


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"t\.csv\. Expected a table"):
        read_table(tmp_path / "t.csv", "a table")


def test_text_becomes_numbers_and_missing_values_nan(tmp_path):
    frame = pd.DataFrame({"x": ["1.5", "nan", None, "-2e3"], "y": [1, 2, 3, 4]})
    np.testing.assert_array_equal(
        column_numbers(frame, "x", tmp_path), [1.5, np.nan, np.nan, -2000.0]
    )
    assert column_numbers(frame, "y", tmp_path).dtype == np.float64


def test_a_value_that_is_no_number_is_named_with_its_row(tmp_path):
    frame = pd.DataFrame({"x": ["1", "ssh"]})
    with pytest.raises(ValueError, match=r"t\.csv, column 'x', row 1: 'ssh' is not a number"):
        column_numbers(frame, "x", tmp_path / "t.csv")


@pytest.mark.parametrize("package", ["pandas", "pyarrow"])
def test_without_its_packages_the_error_names_the_extra(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"pandas and pyarrow.*'acr-sklearn\[datasets\]'"):
        read_table(tmp_path / "t.csv", "a table")


def test_times_are_no_numbers(tmp_path):
    frame = pd.DataFrame({"x": pd.to_datetime(["2020-01-01 12:00"]).tz_localize("UTC")})
    with pytest.raises(ValueError, match=r"t\.parquet, column 'x' holds times \(datetime64.*hours"):
        column_numbers(frame, "x", tmp_path / "t.parquet")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_beyond_the_limits_are_refused_before_they_are_read(tmp_path, monkeypatch, suffix):
    path = write(tmp_path / f"t.{suffix}")
    with pytest.raises(ValueError, match=rf"t\.{suffix} cannot .*limit .*5 values"):
        read_table(path, "a table", max_values=5)
    assert len(read_table(path, "a table", max_values=9)) == 2
    monkeypatch.setattr("acr_sklearn.datasets._csv_form.MAX_COLUMNS", 2)
    with pytest.raises(ValueError, match=r"3 columns, and the limit is 2"):
        read_table(path, "a table")


def test_a_wide_table_is_refused_at_once(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(",".join(map(str, range(100_000))) + "\n")
    with pytest.raises(ValueError, match=r"100,000 columns, and the limit is 10,000"):
        read_table(path, "a table")
    path.write_text("x" * 2**23)
    with pytest.raises(ValueError, match=r"first line of more than"):
        read_table(path, "a table")
