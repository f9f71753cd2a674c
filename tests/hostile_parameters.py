"""Values that no parameter should have, and some that one may; callbacks; parts with them."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from hypothesis import strategies as st
from skorch.callbacks import GradientNormClipping

from acr_sklearn import (
    ConvBackbone,
    HeldOutDomains,
    MLPBackbone,
    NeuralTransformation,
    ZeroShotACRDetector,
)


def deep(levels):
    value = ()
    for _ in range(levels):
        value = (value,)
    return value


class HalfAMemory:
    def cache(self, function):
        """Forget to return anything."""


class NoMemory:
    cache = "x"


class HalfACallback:
    def on_train_begin(self, net, **kwargs):
        """Do nothing, which is all it can."""


#: Whatever asks for much work or memory is in here, and stopped where work begins.
HUGE = [10**9, 2**31 - 1, 2**31, 2**63, 10**30, 10**400, (10**9,), (10**30,), (2**20, 2**20)]
SETTINGS = [
    *(None, True, False, np.True_, np.False_, 0, 1, 2, 3, -1, 0.0, 0.1, 0.5, 1.0, 2.5, -0.1),
    *(float("nan"), float("inf"), np.float32("nan"), np.array(np.nan), Decimal("NaN"), 1e300),
    *("auto", "mlp", "x", "", "batch", "train", "cpu", "cpu:0", "cuda:99", b"mlp", 1j),
    *((), (8,), (8, 4), (0,), (-1,), (2.5,), ("8",), (True,), (None,), [8], (1, 1, 3), (0, 0)),
    *({8}, set(), frozenset({1}), {8: 8}, {}, range(3), (float("inf"),) * 3),
    *(np.int64(2), np.float32(0.1), np.array(2), np.array([8]), np.array([True])),
    *(Decimal("0.1"), Fraction(1, 3), object(), len, int, Ellipsis, slice(2)),
    *(torch.tensor(2), torch.tensor([8]), pd.NA, deep(50)),
    *HUGE,
]
CLIPPING = GradientNormClipping(1.0)
CALLBACKS = [
    *("x", "disable", True, 10**30, float("nan"), CLIPPING, GradientNormClipping, {CLIPPING}),
    *(["x"], [GradientNormClipping], [HalfACallback()], [HalfACallback], [None], [len], [True]),
    *([object()], [[CLIPPING]], [10**30], [float("nan")], [torch.nn.Linear(1, 1)], [deep(50)]),
    *([("a",)], [("a", "b")], [("a", GradientNormClipping)], [("a", CLIPPING, 3)], [(1, CLIPPING)]),
    *([(None, CLIPPING)], [("", CLIPPING)], [("__a", CLIPPING)], [("a", CLIPPING)] * 2),
    *([("a", CLIPPING), ("a", CLIPPING)], [("valid_loss", CLIPPING)], {"a": CLIPPING}),
    *((), [], [CLIPPING], (("a", CLIPPING),), [CLIPPING, CLIPPING]),
]
#: The names are of folders that a fit makes in the present one; the last of them cannot be made.
MEMORIES = [
    *SETTINGS,
    *(joblib.Memory(None, verbose=0), Path("cache"), "a/b", "..", "a\0b", "x" * 5000, "/proc/x"),
    *("/dev/null", "/dev/null/x", b"cache", joblib.Memory, HalfAMemory(), NoMemory()),
]
#: Parts of the detector, each made with one value of a parameter of its own.
PARTS = {
    "MLPBackbone": lambda value: {"backbone": MLPBackbone(whiten_features=value)},
    "input_shape": lambda value: {"backbone": ConvBackbone(input_shape=value)},
    "height": lambda value: {"backbone": ConvBackbone(input_shape=(1, value, 3))},
    "channels": lambda value: {
        "backbone": ConvBackbone(input_shape=(1, 1, 3), channels=value),
    },
    "downsampling": lambda value: {
        "backbone": ConvBackbone(input_shape=(1, 1, 3), downsampling=value)
    },
    "fraction": lambda value: {"early_stopping": HeldOutDomains(validation_fraction=value)},
    "patience": lambda value: {"early_stopping": HeldOutDomains(n_iter_no_change=value)},
    "ntl": lambda value: {"objective": NeuralTransformation(n_transformations=value)},
    "kind": lambda value: {"objective": NeuralTransformation(kind=value)},
}
PARAMETERS = sorted({*ZeroShotACRDetector._parameter_constraints} - {"callbacks", "memory"})
PLACES = st.sampled_from(range(len(SETTINGS)))
CHANGES = st.one_of(
    st.dictionaries(st.sampled_from(PARAMETERS), PLACES, min_size=1, max_size=2),
    st.fixed_dictionaries({"memory": st.sampled_from(range(len(MEMORIES)))}),
    st.fixed_dictionaries({"callbacks": st.sampled_from(range(len(CALLBACKS)))}),
    st.dictionaries(st.sampled_from(sorted(PARTS)), PLACES, min_size=1, max_size=1),
)


def changed(places):
    """Turn what hypothesis drew into parameters, and say whether work with them may be done."""
    given, small = {}, True
    for name, place in places.items():
        if name == "callbacks":
            given[name] = CALLBACKS[place]
            continue
        if name == "memory":
            given[name] = MEMORIES[place]
            continue
        value = SETTINGS[place]
        small = small and not any(value is huge for huge in HUGE)
        given |= PARTS[name](value) if name in PARTS else {name: value}
    return given, small
