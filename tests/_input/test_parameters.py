"""Numbers and counts, and what Python, NumPy or scikit-learn takes for them."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.ensemble import IsolationForest

from acr_sklearn import (
    ContaminationThreshold,
    HeldOutDomains,
    NeuralTransformation,
    ZeroShotACRDetector,
    ZeroShotSegmenter,
)
from acr_sklearn._input.parameters import (
    LARGEST_COUNT,
    RealInterval,
    are_counts,
    check_numbers,
    is_real,
    plain_numbers,
    read_count,
    read_size,
)


class Numbered(BaseEstimator):
    _parameter_constraints = {"n": [], "on": ["boolean"], "random_state": [], "verbose": []}  # noqa: RUF012

    def __init__(self, n=1, on=True, random_state=2**32 - 1, verbose=True):
        self.n, self.on = n, on
        self.random_state, self.verbose = random_state, verbose


#: Numbers to Python, or by their name; none that NumPy and torch compute with.
NO_NUMBERS = [
    *(Fraction(1, 3), Fraction(1), Decimal("0.3"), Decimal("NaN"), np.array(0.3), "0.3", b"1"),
    *(torch.tensor(0.3), 1 + 0j, None, 10**400, float("nan"), float("inf"), np.longdouble("1e999")),
]


def test_numbers_and_truth_values_in_their_places_pass():
    check_numbers(Numbered())
    check_numbers(Numbered(n=LARGEST_COUNT, on=np.False_))


@pytest.mark.parametrize("value", [True, False, np.True_])
def test_a_truth_value_for_a_number_is_refused(value):
    with pytest.raises(ValueError, match="Numbered got n=.* needs a number, not a truth value"):
        check_numbers(Numbered(n=value))
    with pytest.raises(ValueError, match="Numbered got random_state="):
        check_numbers(Numbered(random_state=value))


def test_a_count_beyond_all_memory_is_refused():
    with pytest.raises(ValueError, match="Numbered got n=1000.*at most 2147483647"):
        check_numbers(Numbered(n=10**30))


@pytest.mark.parametrize("name", ["region_size", "pooling", "shrinkage", "sigma", "max_rows"])
def test_the_segmenter_checks_its_own(name):
    maps = [np.zeros((4, 2, 3, 3))] * 2
    with pytest.raises(ValueError, match=name):
        ZeroShotSegmenter(**{name: True}).fit(maps)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_an_interval_holds_numbers_that_numpy_computes_with(value):
    everything = RealInterval(None, None, closed="neither")
    assert not everything.is_satisfied_by(value)
    assert not is_real(value)


def test_an_interval_holds_every_plain_number_within_its_bounds():
    rate = RealInterval(0, 1, closed="neither")
    assert all(
        map(rate.is_satisfied_by, (0.5, np.float16(0.5), np.float32(0.5), np.longdouble(0.5)))
    )
    # What a float turns into 0 is none of the interval, whatever more digits make of it.
    assert not any(map(rate.is_satisfied_by, (0, 1, np.uint8(1), np.longdouble("1e-400"))))
    assert str(rate) == "a float in the range (0.0, 1.0)"
    assert is_real(True, truth=True)
    assert not is_real(True)


def params_of_numbers():
    """Every parameter with an interval of real numbers, and its estimator's way to read it."""
    rows = [np.random.default_rng(i).normal(size=(16, 2)) for i in range(5)]
    maps = [np.random.default_rng(i).normal(size=(6, 2, 3, 3)) for i in range(3)]
    detector = {"max_iter": 2, "task_size": 8, "random_state": 0}
    fits = {
        ZeroShotACRDetector: lambda one: one.set_params(**detector).fit(rows),
        ZeroShotSegmenter: lambda one: one.fit(maps),
        ContaminationThreshold: lambda one: one.fit(rows[0]),
        HeldOutDomains: lambda one: ZeroShotACRDetector(early_stopping=one, **detector).fit(rows),
    }
    for owner, fit in fits.items():
        for name, allowed in owner._parameter_constraints.items():
            if any(isinstance(one, RealInterval) for one in allowed):
                yield pytest.param(owner, name, fit, id=f"{owner.__name__}.{name}")


@pytest.mark.parametrize(("owner", "name", "fit"), [*params_of_numbers()])
def test_what_is_no_number_is_refused_by_every_parameter_with_its_name(owner, name, fit):
    needed = {"detector": IsolationForest()} if owner is ContaminationThreshold else {}
    for value in NO_NUMBERS:
        with pytest.raises(ValueError, match=f"'{name}' parameter of {owner.__name__} must be"):
            fit(owner(**needed, **{name: value}))


@pytest.mark.parametrize("given", [np.array(2), torch.tensor(2), (True,), "88", {}, (2.5,), (0,)])
def test_what_are_no_counts(given):
    assert not are_counts(given)
    assert are_counts(np.array([2, 3]))


@pytest.mark.parametrize("value", [0, -1, True, 2.0, "2", Fraction(2), np.array(2), 10**30, None])
def test_what_is_no_count_is_named(value):
    with pytest.raises(ValueError, match="Who got n=.* needs a whole number from 1 to"):
        read_count(value, who="Who", name="n")
    assert read_count(np.uint8(200), who="Who", name="n") == 200


@pytest.mark.parametrize("value", [0, True, (3,), (3, 0), (3, 3, 3), 2.0, "22", (2**17, 2)])
def test_what_is_no_size_is_named(value):
    with pytest.raises(ValueError, match="Who got size=.* needs the height and width in pixels"):
        read_size(value, who="Who", name="size")
    assert read_size(np.int64(3), who="Who", name="size") == (3, 3)
    assert read_size([3, 4], who="Who", name="size") == (3, 4)
    assert read_size(None, who="Who", name="size") is None


def test_numbers_of_numpy_become_plain_and_all_else_stays():
    shared = [1]
    given = Numbered(n=np.uint8(3), on=np.True_, random_state=shared, verbose=np.float16(0.5))
    plain = plain_numbers(given)
    assert [type(value) for value in (plain.n, plain.on, plain.verbose)] == [int, bool, float]
    assert plain.random_state is shared
    assert type(given.n) is np.uint8


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.uint64, np.int64])
def test_whole_numbers_of_few_bits_count_as_their_values(kind):
    rows = [np.random.default_rng(i).normal(size=(40, 3)) for i in range(5)]
    numbers = {"max_iter": 3, "n_tasks": 4, "task_size": 32, "n_estimators": 2, "n_neighbors": 100}
    numbers |= {"chunk_size": 20, "max_reference_rows": 30}
    offsets = []
    for change in (int, kind):
        given = {name: change(value) for name, value in numbers.items()}
        parts = {
            "objective": NeuralTransformation(n_transformations=change(4)),
            "early_stopping": HeldOutDomains(n_iter_no_change=change(3)),
        }
        detector = ZeroShotACRDetector(random_state=change(0), **given, **parts).fit(rows)
        offsets.append([detector.offset_, *detector.score_samples(rows[0])])
    np.testing.assert_array_equal(*offsets)


def test_a_fraction_of_few_bits_is_the_number_it_stands_for():
    rows = [np.random.default_rng(i).normal(size=(300, 3)) for i in range(5)]
    found = [
        ZeroShotACRDetector(max_iter=2, random_state=0, contamination=value, outlier_fraction=value)
        .fit(rows)
        .offset_
        for value in (np.float16(0.0537), float(np.float16(0.0537)))
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("value", [True, np.False_])
def test_a_truth_value_set_after_fit_is_refused_when_it_would_be_used(value):
    rows = [np.random.default_rng(i).normal(size=(40, 3)) for i in range(5)]
    detector = ZeroShotACRDetector(max_iter=2, random_state=0).fit(rows)
    with pytest.raises(ValueError, match="chunk_size"):
        detector.set_params(chunk_size=value).score_samples(rows[0])


def test_the_segmenter_takes_what_is_set_after_fit_or_refuses_it():
    maps = [np.random.default_rng(i).normal(size=(20, 2, 3, 3)) for i in range(3)]
    segmenter = ZeroShotSegmenter(detector=ZeroShotACRDetector(max_iter=2), random_state=0).fit(
        maps
    )
    for change in ({"sigma": "4"}, {"shrinkage": Fraction(1, 2)}, {"max_batch_rows": True}):
        with pytest.raises(ValueError, match=next(iter(change))):
            ZeroShotSegmenter.set_params(segmenter, **change).anomaly_maps(maps[0])
        segmenter.set_params(sigma=4.0, shrinkage=0.6, max_batch_rows=65536)
    assert np.isfinite(segmenter.set_params(max_batch_rows=np.int8(40)).anomaly_maps(maps[0])).all()
