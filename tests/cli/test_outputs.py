import gzip

import numpy as np
import pandas as pd
import pytest

from acr_sklearn.cli.outputs import check_output, write_table
from acr_sklearn.cli.terminal import CommandError

FRAME = pd.DataFrame(
    {
        "=key": np.array(["=1+1", "-x", "+5", "-1e3", "@a", "plain", ""], object),
        "score": [-1.5, 2.0, 0.1, 1e-300, 5.0, 6.0, 7.0],
    }
)


def test_texts_that_a_spreadsheet_would_compute_get_an_apostrophe(tmp_path):
    write_table(FRAME, str(tmp_path / "a.csv"), who="score")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "'=key,score"
    keys = [line.split(",")[0] for line in lines[1:]]
    assert keys == ["'=1+1", "'-x", "+5", "-1e3", "'@a", "plain", ""]
    back = pd.read_csv(tmp_path / "a.csv")["score"]
    np.testing.assert_array_equal(back, FRAME["score"])


def test_packed_and_parquet(tmp_path):
    write_table(FRAME, str(tmp_path / "a.csv"), who="score")
    write_table(FRAME, str(tmp_path / "a.csv.gz"), who="score")
    packed = (tmp_path / "a.csv.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "a.csv").read_bytes()
    write_table(FRAME, str(tmp_path / "a.parquet"), who="score")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), FRAME, check_dtype=False)


def test_places_that_cannot_be_written_to_are_refused_before_any_work(tmp_path, monkeypatch):
    source = tmp_path / "in.csv"
    source.write_text("a\n1\n")
    linked = tmp_path / "link.csv"
    linked.hardlink_to(source)
    (tmp_path / "folder.csv").mkdir()
    for given, message in (
        ("scores.txt", "scores go to a .csv"),
        ("folder.csv", "is a folder"),
        ("gone/a.csv", "there is no folder"),
        ("in.csv", "in use for something else"),
        ("link.csv", "in use for something else"),
    ):
        with pytest.raises(CommandError, match=message):
            check_output(str(tmp_path / given), [source], table=True)
    check_output(str(tmp_path / "model"), [source, tmp_path])
    with pytest.raises(CommandError, match="read as one more table the next time"):
        check_output(str(tmp_path / "out.csv"), [tmp_path], table=True)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(CommandError, match="may not be written to"):
        check_output(str(tmp_path / "out.csv"), [source], table=True)
