"""Hostile tables and labels: odd cells, whatever may hold them, all of it made from a seed."""

import datetime
import types
import warnings
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import scipy.sparse
import torch
from hostile_parameters import deep
from hypothesis import strategies as st

from acr_sklearn._input.validation import FOREIGN_ERRORS

WIDTH = 3


class Awkward:
    """A value whose every conversion fails in its own way."""

    def __float__(self):
        raise RuntimeError("no number today")

    def __hash__(self):
        raise RecursionError("round and round")

    def __eq__(self, other):
        raise ArithmeticError("incomparable")

    def __repr__(self):
        raise LookupError("no words")


#: Cells and labels that no table should hold, and some that it may.
ODD = [
    *(1e300, -1e300, 1.7e308, -1.7e308, 5e-324, 3e38, 1e160, 10**400, -(10**400), 2**63),
    *(True, None, "1.5", "nan", "x", "", b"3", b"\xff", 1 + 2j, complex("nan")),
    *(Decimal("1.5"), Decimal("NaN"), Decimal("sNaN"), Decimal("1e999"), Fraction(1, 3)),
    *(np.datetime64("NaT"), np.datetime64("2024-01-01"), np.timedelta64(1, "D")),
    *(pd.NaT, pd.NA, pd.Timestamp("2024"), datetime.date(2024, 1, 1), np.ma.masked),
    *(np.float16(1), np.longdouble("1e4000"), np.float32("inf"), np.array(1.0)),
    *(object(), Awkward(), [1.0], (1.0, 2.0), {}, {"a": 1}, deep(50), deep(5000)),
    *(torch.tensor(1.0), torch.tensor(1.0, requires_grad=True), torch.tensor([1.0, 2.0])),
    *(len, Ellipsis, np.zeros((2, 2)), slice(3), range(3)),
    *("a", "a\0", "b", 2**63 + 1, 1, -1, 1.0, (1, 2), (1, None), frozenset({1}), frozenset({2})),
]


@dataclass(frozen=True)
class Odd:
    """Place of a value in `ODD`: hypothesis compares and shows what it draws, as these forbid."""

    place: int


def plain(drawn):
    return ODD[drawn.place] if isinstance(drawn, Odd) else drawn


CELLS = st.one_of(
    st.floats(),
    st.integers(-(10**20), 10**20),
    st.text(max_size=3),
    *[st.sampled_from(range(len(ODD))).map(Odd)] * 3,
)
LABELS = st.one_of(CELLS, st.integers(-2, 2), st.tuples(st.integers(0, 1), st.text(max_size=1)))


class Chunks:
    def __init__(self, parts):
        self.parts = parts

    def __iter__(self):
        return iter(self.parts)


def masked(x):
    return np.ma.masked_array(x, x > 1)


def gaps(x):
    return np.ma.masked_array(x, np.zeros(x.shape, bool))


def structured(x):
    return np.array([tuple(row) for row in x], dtype=[(f"f{i}", float) for i in range(x.shape[1])])


def frame(x):
    return pd.DataFrame(x, columns=list("abcdefg")[: x.shape[1]])


def dated(x):
    return frame(x).assign(a=pd.date_range("2024", periods=len(x)))


def tensor(x, **changes):
    return torch.tensor(x.tolist(), **changes)


def cast(dtype):
    def change(x):
        with np.errstate(all="ignore"):
            return x.astype(dtype)

    return change


#: What a table may be held in.
HOLDERS = [
    *(cast(t) for t in ("f8", "f4", "f2", "i8", "i1", "u8", "bool", "O", "U8", "S8", "c16", "g")),
    *(cast(t) for t in (">f8", "M8[ns]", "m8[s]", "M8[D]")),
    *(list, tuple, np.ndarray.tolist, np.asfortranarray, masked, gaps, structured, frame, dated),
    lambda x: x[:, ::-1],
    lambda x: x.ravel(),
    lambda x: x[0, 0],
    lambda x: x[:, :, None],
    lambda x: x[:0],
    lambda x: x[:, :0],
    lambda x: frame(x).astype("Float64"),
    lambda x: frame(x).astype(str),
    lambda x: frame(x).astype("category"),
    lambda x: frame(x).rename(columns={"a": 1}),
    lambda x: frame(x).to_records(),
    lambda x: frame(x)["a"],
    lambda x: pl.DataFrame(x, schema=list("abcdefg")[: x.shape[1]]),
    lambda x: pl.DataFrame(dated(x)),
    tensor,
    lambda x: tensor(x, requires_grad=True),
    lambda x: tensor(x, dtype=torch.bfloat16),
    lambda x: tensor(x, dtype=torch.complex64),
    lambda x: tensor(x).to_sparse(),
    lambda x: tensor(x).to("meta"),
    lambda x: torch.nested.nested_tensor([tensor(x), tensor(x[:-1])], layout=torch.jagged),
    *(scipy.sparse.csr_matrix, scipy.sparse.coo_array, memoryview, np.ndarray.tobytes, repr, iter),
    lambda x: Chunks([x[:2], x[2:]]),
    lambda x: Chunks([x[:2], np.float32(x[2:])]),
    lambda x: Chunks([]),
    lambda x: Chunks([x[:2], "x"]),
    lambda x: (row for row in x),
    lambda x: None,
    lambda x: 7,
    lambda x: set(x.ravel().tolist()),
    lambda x: types.SimpleNamespace(shape=x.shape),
    # Several data sets.
    lambda x: [x, x[:-1]],
    lambda x: [x, x.tolist()],
    lambda x: [x, None],
    lambda x: [x, frame(x)],
    lambda x: [frame(x), dated(x)],
    lambda x: [x, tensor(x, requires_grad=True)],
    lambda x: [x, masked(x)],
    lambda x: [x, scipy.sparse.csr_matrix(x)],
    lambda x: [x[:, :, None], x[:, :, None]],
    lambda x: [x[:, :, None], x[:-1, :, None]],
    lambda x: {"a": x, "b": x[:-1]},
    lambda x: {"a": x, 3: x},
    lambda x: {1: x, -1: x},
    lambda x: {"a": x.tolist(), "b": x[:-1].tolist()},
    lambda x: {None: x},
    lambda x: {deep(40): x},
    lambda x: {"a": x[:, 0]},
    lambda x: {},
    lambda x: types.MappingProxyType({"a": x, "a\0": x}),
    lambda x: np.array([x, None], dtype=object),
    lambda x: np.array([x, x], dtype=object),
    lambda x: np.stack([x, x]),
    lambda x: [],
    lambda x: [[]],
    lambda x: [deep(3000)],
]


def table(seed, cells):
    """Rows, most of them ordinary, of most any size, with some cells that are not."""
    rng = np.random.default_rng(seed)
    n_rows = rng.choice([40, 20, 3, 2, 1], p=[0.4, 0.3, 0.1, 0.1, 0.1])
    width = rng.choice([WIDTH, WIDTH - 1, WIDTH + 1], p=[0.9, 0.05, 0.05])
    x = rng.normal(size=(n_rows, width)) * 10.0 ** rng.choice([0, 0, 0, -300, 15, 150, 299])
    if rng.random() < 0.1:
        x[:] = x[0]
    if cells and rng.random() < 0.6:
        x = x.astype(object)
        for cell in cells:
            x[int(rng.integers(n_rows)), int(rng.integers(width))] = plain(cell)
    return x


def held(seed, cells):
    """A table in one of the holders; where it cannot be held so, as it is."""
    x = table(seed, cells)
    holder = HOLDERS[np.random.default_rng((seed, 1)).integers(len(HOLDERS))]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return holder(x)
    except FOREIGN_ERRORS:
        return x


def objects(values):
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        array[i] = value
    return array


LABEL_HOLDERS = [
    *(list, tuple, objects, objects, np.asarray, pd.Series, pd.Index, torch.tensor),
    lambda values: pl.Series([str(type(value)) for value in values]),
    lambda values: pd.Series(values, dtype="category"),
    lambda values: torch.tensor(values, dtype=float, requires_grad=True),
    lambda values: np.ma.masked_array(range(len(values)), [True] + [False] * (len(values) - 1)),
    lambda values: np.array([(1, "a")] * len(values), dtype=[("n", int), ("s", "U3")]),
    lambda values: np.asarray(values)[:, None],
    lambda values: np.array([complex(1, np.nan)] * len(values)),
    lambda values: np.array(["NaT"] * len(values), "M8[D]"),
    lambda values: dict(enumerate(values)),
    *(iter, repr, len),
]


def labels(seed, values, n_rows):
    """Labels of the rows, now and then too few of them, in something that may hold them."""
    rng = np.random.default_rng((seed, 2))
    n_rows = max(0, n_rows - int(rng.random() < 0.1))
    chosen = [plain(values[i]) for i in rng.integers(len(values), size=n_rows)] if values else []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return LABEL_HOLDERS[rng.integers(len(LABEL_HOLDERS))](chosen)
    except FOREIGN_ERRORS:
        return chosen
