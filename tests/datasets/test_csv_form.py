import gzip

import pytest

from acr_sklearn.datasets._csv_form import (
    PLAIN,
    CsvForm,
    badly_encoded,
    fields_of_header,
    is_csv,
    open_text,
    unlike_header,
)


def test_names_of_csv_files(tmp_path):
    names = ("a.csv", "A.CSV", "a.csv.gz", "a.b.Csv.GZ", "a.parquet", "a.gz", "csv")
    assert [is_csv(tmp_path / name) for name in names] == [True] * 4 + [False] * 3


@pytest.mark.parametrize(("line", "sep"), [("a;b,c;d", ";"), ("a\tb", "\t"), ("a", ",")])
def test_the_header_tells_the_separator_where_none_is_given(tmp_path, line, sep):
    path = tmp_path / "a.csv"
    path.write_text(f"{line}\n1\n")
    assert fields_of_header(path, CsvForm(None)) == (sep, line.count(sep) + 1)


def test_another_separator_than_the_given_is_refused_in_the_callers_words(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a;b\n")
    form = CsvForm(",", option=lambda name, value: f"<{name} {value}>")
    with pytest.raises(ValueError, match=r"by ';', not ','.*<sep ;>, and <decimal ,>"):
        fields_of_header(path, form)


def test_the_first_line_in_another_encoding_is_named_in_packed_files_too(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress("a\n1\nö\nü\n".encode("latin-1")))
    assert badly_encoded(path, PLAIN).startswith("line 3 is no text in utf-8: pass encoding='cp12")
    with open_text(path) as file:
        assert file.readline() == b"a\n"


def test_a_line_of_other_fields_is_named():
    error = "Error tokenizing data. C error: Expected 3 fields in line 17, saw 4\n"
    assert unlike_header(error, PLAIN).startswith("line 17 has 4 fields, and those before it 3:")
    assert "(EOF inside string)" in unlike_header("EOF inside string\n", PLAIN)
