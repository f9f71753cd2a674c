"""Every file that is not what it claims to be is named, with what was expected."""

import gzip
import io
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from made_datasets import pickle_of_python2, write_idx

import acr_sklearn.datasets._files as module
from acr_sklearn.datasets._files import (
    checked_parsing,
    data_files,
    need_folder,
    read_idx,
    read_npy,
    read_npz,
    read_pickle,
    subfolders,
)

READERS = {
    "a.npy": lambda path: read_npy(path, "numbers"),
    "b.npy": lambda path: read_npy(path, "numbers", mmap=True),
    "a.npz": lambda path: read_npz(path, ("x", "y"), "numbers"),
    "a-ubyte": lambda path: read_idx(path, 2, "numbers"),
    "a.pkl": lambda path: read_pickle(path, ("x",), "numbers"),
}


def make(path):
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, x=values, y=values + 1)
    elif path.suffix == ".pkl":
        pickle_of_python2(path, {"x": values, "name": "text"})
    else:
        write_idx(path, values)
    return values


@pytest.mark.parametrize("name", READERS)
def test_a_good_file_comes_back(tmp_path, name):
    values = make(tmp_path / name)
    read = READERS[name](tmp_path / name)
    np.testing.assert_array_equal(read["x"] if isinstance(read, dict) else read, values)


@pytest.mark.parametrize("name", READERS)
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=rf"No file .*{name}\. Expected numbers"):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("damage", ["empty", "cut at 5", "one byte less", "foreign"])
def test_a_damaged_file_is_a_value_error_that_names_it(tmp_path, name, damage):
    path = tmp_path / name
    make(path)
    whole = path.read_bytes()
    ends = {"empty": b"", "cut at 5": whole[:5], "one byte less": whole[:-1]}
    path.write_bytes(ends.get(damage, b"<html>404</html>" * 4))
    with pytest.raises(ValueError, match=rf"{name} cannot be read: .*numbers .*Fetch or unpack"):
        READERS[name](path)


@pytest.mark.parametrize("name", ["a.npy", "b.npy"])
@pytest.mark.parametrize("shape", [b"(9", b"(9,), } }", b"\0", b"(x,), }", b"(-1, -12), }"])
def test_a_damaged_header_of_an_array_is_a_value_error_that_names_it(tmp_path, name, shape):
    path = tmp_path / name
    make(path)
    whole = path.read_bytes()
    room = whole.index(b"\n") - whole.index(b"(3, 4)")
    path.write_bytes(whole.replace(whole[-12 - 1 - room : -12 - 1], shape.ljust(room)))
    with pytest.raises(ValueError, match=rf"{name} cannot be read: .*numbers .*Fetch or unpack"):
        READERS[name](path)


def test_a_header_that_asks_for_more_memory_than_there_is(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        head = {"descr": "|u1", "fortran_order": False, "shape": (2**47,)}
        np.lib.format.write_array_header_1_0(file, head)
    with pytest.raises(
        ValueError, match=r"a\.npy .*says 140,737,488,355,328 bytes of values; it has 0"
    ):
        read_npy(path, "numbers")
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04\x8e" + struct.pack("<Q", 2**62))
    with pytest.raises(ValueError, match=r"a\.pkl cannot be read: .*numbers .*Fetch or unpack"):
        read_pickle(tmp_path / "a.pkl", ("x",), "numbers")


def test_an_idx_header_whose_size_overflows_is_named(tmp_path):
    head = bytes([0, 0, 8, 3])
    for shape in ((2**31, 2**31, 4), (2**32 - 1,) * 3):
        (tmp_path / "images").write_bytes(head + struct.pack(">3I", *shape))
        with pytest.raises(ValueError, match=r"images cannot .*header asks for .*the limit is 8"):
            read_idx(tmp_path / "images", 3, "images")
    # No values, and yet more than an array may have in its other dimensions.
    (tmp_path / "images").write_bytes(head + struct.pack(">3I", 0, 2**32 - 1, 2**32 - 1))
    with pytest.raises(ValueError, match=r"images cannot be read: it is not"):
        read_idx(tmp_path / "images", 3, "images")


@pytest.mark.parametrize("error", [RecursionError, NotImplementedError, struct.error])
def test_other_errors_of_parsers_name_the_file(tmp_path, error):
    with (
        pytest.raises(ValueError, match=r"x cannot be read: .*numbers .*deep"),
        checked_parsing(tmp_path / "x", "numbers"),
    ):
        raise error("deep")


def test_an_idx_file_of_another_kind_is_refused(tmp_path):
    write_idx(tmp_path / "images", np.zeros((2, 3, 3)))
    with pytest.raises(ValueError, match=r"it begins with 00000803, not 00000801"):
        read_idx(tmp_path / "images", 1, "labels")
    write_idx(tmp_path / "labels", np.zeros(4))
    (tmp_path / "labels").write_bytes((tmp_path / "labels").read_bytes() + b"x")
    with pytest.raises(ValueError, match=r"header says \(4,\), so 12 bytes; it has 13"):
        read_idx(tmp_path / "labels", 1, "labels")


def test_a_gzipped_idx_file_is_found_by_its_plain_name_and_checked(tmp_path):
    write_idx(tmp_path / "x", np.arange(9).reshape(3, 3), packed=True)
    np.testing.assert_array_equal(read_idx(tmp_path / "x", 2, "x")[1], [3, 4, 5])
    packed = tmp_path / "x.gz"
    packed.write_bytes(packed.read_bytes()[:-6])
    with pytest.raises(ValueError, match=r"x\.gz cannot be read"):
        read_idx(tmp_path / "x", 2, "x")


def test_an_archive_that_lacks_an_array_says_what_it_has(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(3), z=np.zeros(3))
    with pytest.raises(ValueError, match="no y among x, z"):
        read_npz(tmp_path / "a.npz", ("x", "y"), "numbers")
    np.save(tmp_path / "c", np.zeros(3))
    with pytest.raises(ValueError, match="a single array, not an archive"):
        read_npz(tmp_path / "c.npy", ("x", "y"), "numbers")
    (tmp_path / "a.npz").rename(tmp_path / "b.npy")
    with pytest.raises(ValueError, match="an archive of arrays, not one array"):
        read_npy(tmp_path / "b.npy", "numbers")


def test_arrays_of_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"a\.npy cannot be read"):
        read_npy(tmp_path / "a.npy", "numbers")


class Attack:
    def __reduce__(self):
        return (print, ("it ran",))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_runs_no_code(tmp_path, protocol, capsys):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"x": Attack()}, protocol))
    with pytest.raises(ValueError, match=r"it refers to (builtins|__builtin__)\.print"):
        read_pickle(path, ("x",), "numbers")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickles_of_python_3_are_read_as_well(tmp_path, protocol):
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({b"x": values, "y": [1, 2]}, protocol))
    read = read_pickle(path, ("x", "y"), "numbers")
    np.testing.assert_array_equal(read["x"], values)
    assert read["y"] == [1, 2]


def test_a_pickle_of_something_else_is_refused(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(ValueError, match="a list, not a dict"):
        read_pickle(tmp_path / "a.pkl", ("x",), "numbers")
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"z": 1}))
    with pytest.raises(ValueError, match="no x among z"):
        read_pickle(tmp_path / "a.pkl", ("x",), "numbers")


def test_folders_come_by_name_and_an_empty_one_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No folder .*gone\. Expected years"):
        need_folder(tmp_path / "gone", "years")
    with pytest.raises(FileNotFoundError, match=r"No folders in .*\. Expected years"):
        subfolders(tmp_path, "years")
    for name in ("b", "a", ".hidden", "__MACOSX"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("")
    assert [p.name for p in subfolders(tmp_path, "years")] == ["a", "b"]


def test_files_come_by_name_hidden_ones_left_out(tmp_path):
    for name in ("b.NPY", "a.1.npy", "._a.npy", "readme.txt", "c.NPZ"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(ValueError, match=r"c\.NPZ would be left out: only \.npy .*years\. Convert"):
        data_files(tmp_path, (".npy",), (".npz",), "years")
    found = data_files(tmp_path, (".npy",), (), "years")
    assert [p.name for p in found] == ["a.1.npy", "b.NPY"]
    (tmp_path / "b.npy.GZ").write_text("")
    with pytest.raises(ValueError, match=r"b\.npy\.GZ would be left out"):
        data_files(tmp_path, (".npy",), (), "years")
    with pytest.raises(FileNotFoundError, match=r"No folder .*gone\. Expected years"):
        data_files(tmp_path / "gone", (".npy",), (), "years")


def test_a_gzipped_idx_file_is_not_unpacked_beyond_its_header(tmp_path):
    bomb = bytes([0, 0, 8, 1]) + struct.pack(">I", 4) + bytes(2**26)
    (tmp_path / "x.gz").write_bytes(gzip.compress(bomb))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"x\.gz cannot .*says \(4,\), so 12 bytes; it has more"):
        read_idx(tmp_path / "x", 1, "labels")
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_what_a_gzipped_file_cannot_hold_is_refused(tmp_path):
    for n, message in ((2**32 - 1, "has .* at most"), (50, "so 58 bytes; it has 9")):
        content = bytes([0, 0, 8, 1]) + struct.pack(">I", n) + b"x"
        (tmp_path / "x.gz").write_bytes(gzip.compress(content))
        with pytest.raises(ValueError, match=rf"x\.gz cannot be read.*{message}"):
            read_idx(tmp_path / "x", 1, "labels")


def test_more_than_the_limit_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 11)
    for name, read in READERS.items():
        make(tmp_path / name)
        if name == "b.npy":  # left on disk
            read(tmp_path / name)
            continue
        with pytest.raises(ValueError, match=rf"{name} cannot be read.*the limit is 11: take a pa"):
            read(tmp_path / name)


def npz(path, name, content, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, content)


def npy(shape, content=b"", descr="|u1"):
    file = io.BytesIO()
    head = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, head)
    return file.getvalue() + content


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x", b"text", "member x is not named x.npy, so it is no array"),
        ("x.npy", b"text, and more of it", "magic string"),
        (
            "x.npy",
            npy((2**40,)),
            "header of x.npy says 1,099,511,627,776 bytes of values; it has 0",
        ),
        ("x.npy", npy((2,), b"abc"), "says 2 bytes of values; it has 3"),
        ("x.npy", npy((1,), bytes(8), "|O"), "values of type object; only b, i, u"),
        ("x.npy", npy((1,), bytes(8), "<M8[s]"), "values of type datetime64"),
    ],
)
def test_members_that_are_no_arrays_are_named(tmp_path, name, content, message):
    npz(tmp_path / "a.npz", name, content)
    with pytest.raises(ValueError, match=rf"a\.npz cannot be read.*{message}"):
        read_npz(tmp_path / "a.npz", ("x",), "numbers")


def test_an_archive_that_is_packed_otherwise_is_refused(tmp_path):
    npz(tmp_path / "a.npz", "x.npy", npy((2**20,), bytes(2**20)), zipfile.ZIP_BZIP2)
    with pytest.raises(ValueError, match=r"x\.npy is packed in a way that NumPy does not use"):
        read_npz(tmp_path / "a.npz", ("x",), "numbers")


@pytest.mark.parametrize("descr", ["|O", "<M8[s]", [("a", "<i4")]])
def test_arrays_of_other_types_are_refused(tmp_path, descr):
    (tmp_path / "a.npy").write_bytes(npy((1,), bytes(8), descr))
    for mmap in (False, True):
        with pytest.raises(ValueError, match="only b, i, u, f, S, U are read"):
            read_npy(tmp_path / "a.npy", "numbers", mmap=mmap)
