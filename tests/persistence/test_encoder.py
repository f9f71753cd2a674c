"""Encoder and decoder together: what comes back, to the type and the bit."""

import datetime
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from acr_sklearn.persistence.decoder import Decoder
from acr_sklearn.persistence.encoder import Encoder, require_finite

PLAIN = [
    *(None, True, False, 0, -1, 10**40, 0.1, -0.0, 1e-320, "", "é", "\ud800", "\0"),
    *(b"", b"\x00\xff", (), (1, (2, [3.5, None])), [], {}, {"a": 1, 2: "b", (3, None): [4]}),
    *({1, 2}, frozenset({"a"}), datetime.date(2020, 1, 2), datetime.timedelta(-3, 4, 5)),
    datetime.datetime(2020, 1, 2, 3, 4, 5, 6, datetime.UTC),
    *(np.float64(0.1), np.float32(0.1), np.int8(-3), np.bool_(True), np.str_("a"), np.bytes_(b"a")),
    *(np.datetime64("2020-01-02"), np.timedelta64(3, "s"), torch.float64, torch.device("cpu")),
]
ARRAYS = [
    *(np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3).T, np.arange(9)[::2]),
    *(np.empty((0, 2)), np.array(3.0), np.array([np.nan, np.inf, -0.0]), np.arange(3, dtype=">i4")),
    *(np.array(["a", "ä"]), np.array([["a"], ["bcd"]]), np.array([b"x", b"yz"]), np.ones(2, bool)),
    *(np.array(["a", 1, None, ("b", 2.5)], object), np.array(["2020-01-01"], "M8[D]")),
    *(np.array([3], "m8[s]"), np.ones(3, np.float16), np.array([2**64 - 1], np.uint64)),
]


def there_and_back(value):
    encoder = Encoder()
    node = encoder.encode(value, "x")
    decoder = Decoder(encoder.tensors, {})
    decoder.table(json.loads(json.dumps(encoder.entries, allow_nan=False)))
    return decoder.decode(json.loads(json.dumps(node, allow_nan=False)))


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_values(value):
    found = there_and_back(value)
    assert found == value
    assert type(found) is type(value)
    assert repr(found) == repr(value)


def test_floats_that_json_has_not():
    assert there_and_back(math.inf) == math.inf
    assert math.isnan(there_and_back(math.nan))
    assert math.copysign(1, there_and_back(-0.0)) == -1


@pytest.mark.parametrize("value", ARRAYS, ids=repr)
def test_arrays(value):
    found = there_and_back(value)
    np.testing.assert_array_equal(found, value)
    assert found.dtype == value.dtype.newbyteorder("=")
    assert found.shape == value.shape
    if value.ndim == 2 and value.dtype == float:
        assert found.flags.f_contiguous == value.flags.f_contiguous


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.bool])
def test_tensors_keep_type_and_order_in_memory(dtype):
    value = torch.arange(24).reshape(2, 3, 4).to(dtype).permute(2, 0, 1)
    found = there_and_back(value)
    assert torch.equal(found, value)
    assert found.dtype == dtype
    assert found.stride() == value.stride()


def test_parameters_stay_parameters():
    for gradient in (True, False):
        found = there_and_back(nn.Parameter(torch.ones(2), requires_grad=gradient))
        assert isinstance(found, nn.Parameter)
        assert found.requires_grad is gradient


def test_what_is_shared_stays_shared():
    array, row = np.ones(2), [1]
    found = there_and_back({"a": array, "b": [array, row], "c": row})
    assert found["a"] is found["b"][0]
    assert found["c"] is found["b"][1]


def test_equal_paths_do_not_meet():
    found = there_and_back({"a.b": np.zeros(1), "a": {"b": np.ones(1)}})
    assert (found["a.b"][0], found["a"]["b"][0]) == (0, 1)


def test_what_contains_itself_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contains itself"):
        Encoder().encode(loop, "x")


@pytest.mark.parametrize(
    "value",
    [object(), print, lambda: 0, np.longdouble(1), np.ones(1, complex), nn.BatchNorm1d(2), int],
    ids=lambda value: type(value).__name__,
)
def test_the_rest_is_refused_with_its_place(value):
    with pytest.raises(ValueError, match=r"^where\.it\.is is "):
        Encoder().encode(value, "where.it.is")


def test_numbers_that_are_not_finite():
    require_finite(torch.tensor([torch.inf]), "x", infinity=True)
    require_finite(np.array(["a"]), "x", infinity=True)
    for values, infinity in ((torch.tensor([torch.nan]), True), (torch.tensor([torch.inf]), False)):
        with pytest.raises(ValueError, match="has numbers in x that are not finite"):
            require_finite(values, "x", infinity=infinity)
    with pytest.raises(ValueError, match="not finite"):
        require_finite(np.array([np.nan]), "x", infinity=True)
