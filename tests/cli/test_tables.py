import numpy as np
import pandas as pd
import pytest
from command_line import folder, frame

from acr_sklearn.cli.tables import Reading, Table, find_files, read_tables
from acr_sklearn.cli.terminal import CommandError, Terminal
from acr_sklearn.datasets._csv_form import CsvForm

AUTO = CsvForm(None)


def read(path, *missing, text=(), form=AUTO):
    reading = Reading(form, missing)
    (table,) = read_tables([("t", path)], reading, text, Terminal())
    return table


def test_a_folder_is_its_tables_and_what_is_left_out_is_said(tmp_path, capsys):
    data = folder(tmp_path / "d", 2)
    frame(3).to_csv(data / "west.csv.gz", index=False)
    frame(3).to_parquet(data / "north.parquet")
    (data / "map.png").write_bytes(b"")
    (data / ".hidden.csv").write_bytes(b"")
    (data / "old.csv").mkdir()
    assert [name for name, _ in find_files(str(data), Terminal())] == ["north", "s0", "s1", "west"]
    assert capsys.readouterr().err.endswith(f"left out in {data}: map.png, old.csv/\n")
    assert find_files(str(data / "west.csv.gz"), Terminal())[0][0] == "west"


def test_what_is_no_table_is_refused(tmp_path):
    with pytest.raises(CommandError, match=r"gone: no such file or folder"):
        find_files(str(tmp_path / "gone"), Terminal())
    (tmp_path / "a.txt").write_text("a\n")
    with pytest.raises(CommandError, match=r"a\.txt: not named as a table"):
        find_files(str(tmp_path / "a.txt"), Terminal())
    with pytest.raises(FileNotFoundError, match="No tables in"):
        find_files(str(tmp_path), Terminal())


@pytest.mark.parametrize("sep", [",", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_cell_is_named_by_its_line(tmp_path, sep, encoding):
    path = tmp_path / "t.csv"
    lines = ["x,y", "1,ä", "", '2,"two', 'lines"', "   ", "3,c", "4,d"]
    path.write_bytes("\n".join(lines).replace(",", sep).encode(encoding))
    table = read(path, form=CsvForm(None, encoding=encoding.removesuffix("-sig")))
    assert len(table.frame) == 4
    shown = [table.cell(row, "y") for row in range(4)]
    assert shown == [f"{path}, line {line}, column 'y'" for line in (2, 4, 7, 8)]


def test_a_cell_of_parquet_is_named_by_its_row(tmp_path):
    frame(0).to_parquet(tmp_path / "t.parquet")
    table = read(tmp_path / "t.parquet")
    assert table.cell(4, "b") == f"{tmp_path / 't.parquet'}, row 5, column 'b'"


def test_what_stands_for_no_value(tmp_path):
    (tmp_path / "t.csv").write_text("x,y,k\n-999,n/a ,?\n1,2,ok\n,-,007\n")
    table = read(tmp_path / "t.csv", "-999", "n/a", "-", "?", text=["k"])
    assert table.frame["x"].isna().tolist() == [True, False, True]
    assert table.frame["y"].isna().tolist() == [True, False, True]
    texts, missing = table.texts("k")
    assert texts.tolist() == ["", "ok", "007"]
    assert missing.tolist() == [True, False, False]


def test_a_column_without_a_name_is_left_out(tmp_path, capsys):
    frame(0).to_csv(tmp_path / "t.csv")
    assert list(read(tmp_path / "t.csv").frame.columns) == ["a", "b", "c"]
    assert "a column without a name is left out" in capsys.readouterr().err


def test_columns_that_are_not_there_are_named():
    table = Table("t", "t.csv", pd.DataFrame({"a": np.zeros(2)}), Reading(AUTO))
    with pytest.raises(CommandError, match=r"t\.csv: no columns 'b', 'c', which it. It has 'a'"):
        table.refuse_lack_of(["a", "b", "c"], "it")


def test_a_file_that_may_not_be_read_is_an_error_of_the_system(tmp_path, monkeypatch):
    frame(0).to_csv(tmp_path / "t.csv")

    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        read(tmp_path / "t.csv")
