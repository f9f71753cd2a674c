"""Hostile input of every kind: finite scores, or an error that names what is wrong.

2,200 inputs run with the tests, 50,000 with `make fuzz`; a mishandled one is shown with the seed
that makes it again. Labels and single cells come from hypothesis, tables and what holds them from a
seed, for those cost too much to be drawn number by number.
"""

import datetime
import os
import re
import types
import warnings
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acr_sklearn import ZeroShotACRDetector, split_domains
from acr_sklearn._input.validation import FOREIGN_ERRORS
from acr_sklearn.exceptions import ACRWarning

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")

#: Inputs in all: most are scored, some trained on, some are parameters.
INPUTS = int(os.environ.get("ACR_FUZZ_INPUTS", "2200"))
SHARES = {"scoring": 0.84, "training": 0.06, "parameters": 0.1}
COUNTED = dict.fromkeys(SHARES, 0)
WIDTH = 3

NAMED = re.compile("|".join(["ZeroShotACRDetector", *ZeroShotACRDetector._parameter_constraints]))


def inputs(kind):
    return settings(
        max_examples=max(1, round(INPUTS * SHARES[kind])),
        deadline=None,
        database=None,
        derandomize=INPUTS < 10_000,
        suppress_health_check=list(HealthCheck),
    )


def mishandled(kind, call):
    """What is wrong with how a call ended; None if nothing is."""
    COUNTED[kind] += 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ACRWarning)
        # Others' words, and true ones: names that fit did not see, a masked cell that is read.
        warnings.filterwarnings("ignore", "X (has|does not have valid) feature names")
        warnings.filterwarnings("ignore", "Converting a tensor with requires_grad=True")
        warnings.filterwarnings("ignore", "Warning: converting a masked element to nan")
        try:
            scores = call()
        except (ValueError, TypeError) as error:
            return None if NAMED.search(str(error)) else f"{type(error).__name__}: {error}"
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the finding
            return f"{type(error).__name__}: {error}"
    if np.isfinite(scores).all():
        return None
    return f"scores that are not finite: {scores}"


def deep(levels):
    value = ()
    for _ in range(levels):
        value = (value,)
    return value


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


def tiny(**changes):
    """Make the smallest of detectors."""
    small = {"max_iter": 2, "n_tasks": 2, "task_size": 8, "hidden_layer_sizes": (8,)}
    return ZeroShotACRDetector(**(small | {"embedding_dim": 4, "random_state": 0} | changes))


def fitted_detectors():
    """Fitted ones: in batches, in chunks, by a sample, row by row."""
    rng = np.random.default_rng(0)
    sites = [rng.normal(rng.normal(0, 3, WIDTH), 1.0, (30, WIDTH)) for _ in range(5)]
    usual = tiny().fit(sites)
    columns = np.concatenate([np.insert(site, 1, i, axis=1) for i, site in enumerate(sites)])
    return [
        *(usual, usual, usual),
        tiny(chunk_size=16, norm_mode="batch").fit(sites),
        tiny(max_reference_rows=16).fit(sites),
        tiny(norm_mode="reference").fit(sites),
        tiny(score_head="mahalanobis", threshold="batch").fit(sites),
        tiny(domain_column=1).fit(columns[:, :WIDTH]),
    ]


@pytest.fixture(scope="module")
def detectors():
    return fitted_detectors()


METHODS = ("score_samples", "decision_function", "predict", "p_values", "score", "adapt", "freeze")


def score(detectors, seed, cells, values):
    rng = np.random.default_rng((seed, 3))
    detector = detectors[rng.integers(len(detectors))]
    method = METHODS[rng.integers(len(METHODS))]
    X = held(seed, cells)
    n_rows = len(table(seed, []))
    given = labels(seed, values, n_rows) if values else None
    if method in ("adapt", "freeze"):
        fixed = getattr(detector, method)(X)
        return fixed.offset_ if method == "adapt" else next(fixed.buffers()).numpy()
    if method == "score":
        y = np.where(np.arange(n_rows) % 4 == 3, -1, 1) if given is None else given
        auc = detector.score(X, y)
        # Labels other than 1 and -1 give nan and a warning, as scikit-learn's checks want it.
        return auc if given is None else 0.0
    scores = getattr(detector, method)(X, domains=given)
    if given is not None:
        pieces = split_domains(scores, given)
        assert sum(map(len, pieces.values())) == len(scores)
    return scores


SEEDS = st.integers(0, 2**32 - 1)
PLACES = st.lists(CELLS, max_size=2), st.lists(LABELS, max_size=3)


def test_no_input_of_scoring_is_mishandled(detectors, record_property):
    @inputs("scoring")
    @given(SEEDS, *PLACES)
    def one(seed, cells, values):
        assert mishandled("scoring", lambda: score(detectors, seed, cells, values)) is None

    one()
    record_property("fuzz_inputs", COUNTED["scoring"])


def test_no_input_of_training_is_mishandled(record_property):
    @inputs("training")
    @given(SEEDS, *PLACES)
    def one(seed, cells, values):
        def fit():
            X = held(seed, cells)
            given = labels(seed, values, len(table(seed, []))) if values else None
            return tiny().fit(X, domains=given).offset_

        assert mishandled("training", fit) is None

    one()
    record_property("fuzz_inputs", COUNTED["training"])


#: None of them asks for much work or memory.
SETTINGS = [
    *(None, False, 0, 1, 2, 3, -1, 0.0, 0.1, 0.5, 1.0, 2.5, -0.1, float("nan"), float("inf")),
    *("auto", "mlp", "x", "", "batch", "train", "cpu", "cpu:0", "cuda:99", b"mlp", 1j),
    *((), (8,), (8, 4), (0,), (-1,), (2.5,), ("8",), [8], {8}, {8: 8}, (1, 1, 3), (0, 0)),
    *(np.int64(2), np.float32(0.1), np.array(2), np.array([8]), Decimal("0.1")),
    *(object(), len, int, Ellipsis, torch.tensor(2), pd.NA, deep(50), slice(2)),
]
PARAMETERS = sorted({*ZeroShotACRDetector._parameter_constraints} - {"callbacks", "verbose"})
SITES = np.random.default_rng(0).normal(size=(3, 16, WIDTH))
CHANGES = st.dictionaries(
    st.sampled_from(PARAMETERS), st.sampled_from(range(len(SETTINGS))), min_size=1, max_size=2
)


def fit_with(changes):
    given = {name: SETTINGS[place] for name, place in changes.items()}
    return tiny(**given).fit(list(SITES)).offset_


def test_no_parameter_is_mishandled(record_property):
    @inputs("parameters")
    @given(CHANGES)
    def one(changes):
        assert mishandled("parameters", lambda: fit_with(changes)) is None

    one()
    record_property("fuzz_inputs", COUNTED["parameters"])


def test_what_is_mishandled_is_seen():
    def raises(error):
        raise error

    assert mishandled("scoring", lambda: [0.0, 1.0]) is None
    assert mishandled("scoring", lambda: raises(ValueError("ZeroShotACRDetector.fit got"))) is None
    assert "not finite" in mishandled("scoring", lambda: [0.0, np.nan])
    assert "ValueError" in mishandled("scoring", lambda: raises(ValueError("of no one")))
    assert "IndexError" in mishandled("scoring", lambda: raises(IndexError("X")))
    assert "RuntimeWarning" in mishandled("scoring", lambda: np.float64(1e308) * 10)
