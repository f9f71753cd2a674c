import hashlib
import json
import struct

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from acr_sklearn.persistence.container import pack, unpack

TEXTS = {"format": "1", "class": "X", "quoted": '"sha256":"' + "0" * 64 + '" and "more"'}
TENSORS = {
    "a": np.arange(6.0).reshape(2, 3),
    "b": np.array([True, False]),
    "none": np.empty((0, 3), np.float32),
    "scalar": np.array(7, np.int64),
    "half": np.ones(3, np.float16),
}


def test_what_is_packed_is_unpacked():
    texts, tensors = unpack(bytearray(pack(TEXTS, TENSORS)))
    assert texts == TEXTS
    assert tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        np.testing.assert_array_equal(tensors[name], value)
        assert tensors[name].dtype == value.dtype
        assert tensors[name].shape == value.shape
        assert tensors[name].flags.writeable


def test_no_tensor_is_needed():
    assert unpack(bytearray(pack(TEXTS, {}))) == (TEXTS, {})


def test_equal_content_is_the_same_file():
    assert len({pack(TEXTS, TENSORS) for _ in range(9)}) == 1


def test_it_is_a_safetensors_file_for_others(tmp_path):
    (tmp_path / "m").write_bytes(pack(TEXTS, TENSORS))
    np.testing.assert_array_equal(safetensors.numpy.load_file(tmp_path / "m")["a"], TENSORS["a"])
    with safetensors.safe_open(tmp_path / "m", "numpy") as file:
        metadata = file.metadata()
    assert {name: metadata[name] for name in TEXTS} == TEXTS


def test_the_digest_is_that_of_the_file_with_zeros_in_its_place():
    data = pack(TEXTS, TENSORS)
    (size,) = struct.unpack("<Q", data[:8])
    digest = json.loads(data[8 : 8 + size])["__metadata__"]["sha256"]
    assert data.count(digest.encode()) == 1
    zeros = data.replace(digest.encode(), b"0" * 64)
    assert hashlib.sha256(zeros).hexdigest() == digest


def test_a_damaged_file_says_so():
    data = bytearray(pack(TEXTS, TENSORS))
    data[-1] ^= 1
    with pytest.raises(ValueError, match="is damaged: its SHA-256 is not the one written in it"):
        unpack(data)


@pytest.mark.parametrize("data", [b"", b"x" * 7, b"PK\x03\x04" + bytes(90), bytes(2**20)])
def test_other_files_are_refused(data):
    with pytest.raises(ValueError, match="is no safetensors file, or is cut short"):
        unpack(bytearray(data))


def test_safetensors_files_of_others_are_refused():
    with pytest.raises(ValueError, match="no safetensors file with metadata"):
        unpack(bytearray(safetensors.numpy.save(TENSORS)))
    for texts in ({"a": "b"}, {"format": "1"}, {"sha256": "0" * 64}):
        with pytest.raises(ValueError, match="none that save has written"):
            unpack(bytearray(safetensors.numpy.save(TENSORS, texts)))
    with pytest.raises(ValueError, match="SHA-256 is none"):
        unpack(bytearray(safetensors.numpy.save(TENSORS, {"format": "1", "sha256": "0"})))
