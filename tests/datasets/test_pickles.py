"""Pickles are read as data: what they claim about arrays is checked, nothing is called."""

import pickle

import numpy as np
import pytest

import acr_sklearn.datasets._pickles as module
from acr_sklearn.datasets._pickles import plain_content


class Forged:
    """Pickles as what `__reduce__` of an array or a dtype could say."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


REBUILD = np.empty(0).__reduce__()[0]
U1 = np.dtype("u1")


def array(shape=(4,), dtype=U1, content=b"1234", by_columns=False):
    return Forged(REBUILD, (np.ndarray, (0,), b"b"), (1, shape, dtype, by_columns, content))


def dtype(code="u1", order="|", subarray=None, names=None, fields=None, size=-1, align=-1):
    state = (3, order, subarray, names, fields, size, align, 0)
    return Forged(np.dtype, (code, False, True), state)


FORGED = {
    "a type with another size": array(dtype=dtype(size=2**30)),
    "a type that is a subarray": array(dtype=dtype(subarray=(U1, (2**40,)))),
    "a type with fields": array(dtype=dtype("V4", names=("a",), fields={"a": (U1, 2**40)})),
    "fields of a plain type": array(dtype=dtype("i4", names=("a",), fields={"a": (U1, 9)})),
    "an object": array(dtype=dtype("O"), content=[1, 2, 3, 4]),
    "times": array(dtype=dtype("M8"), content=bytes(32)),
    "a shape beyond its bytes": array(shape=(2**40,)),
    "a negative shape": array(shape=(-4,)),
    "a shape that overflows": array(shape=(2**32, 2**32)),
    "a shape of floats": array(shape=(4.0,)),
    "bytes that are a list": array(content=[1, 2, 3, 4]),
    "no type": array(dtype="u1"),
    "other booleans": array(dtype=dtype("b1"), content=b"\0\1\2\3"),
    "characters beyond the last": array(shape=(1,), dtype=dtype("U1", "<"), content=b"\xff" * 4),
    "no state": Forged(REBUILD, (np.ndarray, (0,), b"b")),
    "half a state": Forged(REBUILD, (np.ndarray, (0,), b"b"), (1, (4,))),
}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_array_is_refused(kind, protocol):
    with pytest.raises(ValueError, match="array|type|order|steps"):
        plain_content(pickle.dumps({"x": FORGED[kind]}, protocol))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("code", ["?", "i1", ">i2", "<u4", ">u8", "f2", "<f8", "S3", "<U2", ">U2"])
def test_plain_types_come_back(code, protocol):
    values = np.array([[1, 0, 1], [0, 1, 1]]).astype(code)
    for given in (values, np.asfortranarray(values)):
        found = plain_content(pickle.dumps({"x": given, "n": [1, 2.5, None, "é"]}, protocol))
        np.testing.assert_array_equal(found["x"], values)
        assert found["x"].dtype == values.dtype
        assert found["n"] == [1, 2.5, None, "é"]


def test_what_takes_memory_or_time_beyond_its_bytes_is_refused(monkeypatch):
    memo = b"\x80\x02}r\xff\xff\xff\x7f."  # a place in the memo that a list of 16 GB would have
    assert plain_content(memo) == {}
    key = b"\x80\x02})" + b"q\x00h\x00\x86" * 60 + b"K\x01s."  # 2**60 steps to hash
    with pytest.raises(ValueError, match="keys are not text"):
        plain_content(key)
    monkeypatch.setattr(module, "_MAX_STEPS", 50)
    with pytest.raises(ValueError, match="more than 50 steps"):
        plain_content(pickle.dumps({"x": list(range(60))}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".",
        b"(.",
        b"}",
        b"a.",
        b"K\x01a.",
        b"K\x01K\x02b.",
        b"}K\x01s.",
        b"h\x05.",
        b"0.",
        b"t.",
    ],
)
def test_nonsense_is_an_error_of_a_parser(content):
    with pytest.raises((ValueError, IndexError, KeyError)):
        plain_content(content)


def test_whatever_byte_is_changed_nothing_worse_than_an_error_happens():
    whole = pickle.dumps({"x": np.arange(6.0), "y": [1, 2], "z": "text"}, 2)
    for place in range(len(whole)):
        for value in (0, 46, 98, 255, whole[place] ^ 1):
            damaged = whole[:place] + bytes([value]) + whole[place + 1 :]
            try:
                found = plain_content(damaged)
            except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError):
                continue
            assert isinstance(found, dict)
