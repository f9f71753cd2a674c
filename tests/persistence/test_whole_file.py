import os
import sys
from pathlib import Path

import pytest

from acr_sklearn.persistence import whole_file
from acr_sklearn.persistence.whole_file import read_whole, write_whole

sys.path.append(str(Path(__file__).parents[1] / "fuzz"))

from kill_save import kill_saves


def test_what_is_written_is_read(tmp_path):
    for data in (b"", b"x" * 100_000):
        write_whole(tmp_path / "m", data, who="save")
        assert bytes(read_whole(str(tmp_path / "m"), who="load")) == data
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_link_stays_and_permissions_are_kept(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", b"new", who="save")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_fails_on_the_way_leaves_the_old_file(step, tmp_path, monkeypatch):
    (tmp_path / "m").write_bytes(b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="save cannot write '.*m': No space left") as caught:
        write_whole(tmp_path / "m", b"new", who="save")
    assert caught.value.errno == 28
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_an_interrupt_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "m").write_bytes(b"old")

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "m", b"new", who="save")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_huge_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_file, "LARGEST_FILE", 1000)
    (tmp_path / "m").write_bytes(bytes(1001))
    with pytest.raises(ValueError, match=r"of 1,001 bytes; files of more than 1,000 are not read"):
        read_whole(tmp_path / "m", who="load")


def test_a_file_larger_than_memory_is_an_error_of_the_file_system(tmp_path):
    with (tmp_path / "m").open("wb") as file:
        file.truncate(whole_file.LARGEST_FILE + 1)  # takes no room
    with pytest.raises(ValueError, match="are not read"):
        read_whole(tmp_path / "m", who="load")


def test_killed_saves_leave_the_old_file_or_the_new_one(tmp_path):
    counts = kill_saves(8, tmp_path)
    assert counts["broken"] == 0
    assert sum(counts.values()) == 8
