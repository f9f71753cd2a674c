import copy

import numpy as np
import pandas as pd
import pytest

from acr_sklearn._input.chunks import is_chunked


class Anew:
    """Rows in chunks, each time from the beginning."""

    def __init__(self, *chunks):
        self.chunks = chunks
        self.rounds = 0

    def __iter__(self):
        self.rounds += 1
        return iter(self.chunks)


@pytest.fixture
def fresh(make_domain):
    return make_domain(77, n_rows=300)


@pytest.mark.parametrize("method", ["score_samples", "decision_function", "predict", "p_values"])
@pytest.mark.parametrize("limits", [{}, {"chunk_size": 40}, {"max_reference_rows": 100}])
def test_chunks_are_one_batch(fitted, fresh, method, limits):
    detector = copy.copy(fitted).set_params(**limits)
    stream = Anew(*np.split(fresh, [100, 101, 250]))
    expected = getattr(detector, method)(fresh)
    np.testing.assert_allclose(getattr(detector, method)(stream), expected, rtol=1e-9, atol=1e-9)
    assert stream.rounds >= 2


def test_an_adapted_detector_takes_them_too(fitted, fresh):
    live = fitted.adapt(fresh[:200])
    stream = Anew(fresh[:10], fresh[10:].astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(live.score_samples(stream), live.score_samples(fresh), atol=1e-4)


def test_frames_are_checked_chunk_by_chunk(quick, domains, fresh):
    names = list("abcde")
    detector = quick().fit([pd.DataFrame(X, columns=names) for X in domains])
    good = pd.DataFrame(fresh, columns=names)
    expected = detector.score_samples(good)
    np.testing.assert_allclose(
        detector.score_samples(Anew(good[:90], good[90:])), expected, rtol=1e-9
    )
    with pytest.raises(ValueError, match=r"score_samples, chunk 1: The feature names"):
        detector.score_samples(Anew(good[:90], good[90:].rename(columns={"a": "z"})))


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ((), "got no chunks"),
        ((np.zeros((4, 5)), np.zeros((4, 3))), "chunk 1: X has 3 features"),
        ((np.zeros((4, 5)), np.full((1, 5), np.nan)), "chunk 1: .*NaN"),
        ((np.zeros(5),), "chunk 0: .*2D"),
        ((np.zeros((1, 5)),), "a batch of 1 sample"),
    ],
)
def test_bad_chunks_are_named(fitted, chunks, message):
    with pytest.raises(ValueError, match=message):
        fitted.score_samples(Anew(*chunks))


def test_what_ends_after_one_round_is_refused(fitted, fresh):
    with pytest.raises(ValueError, match=r"score_samples got a generator.*only once.*anew"):
        fitted.score_samples(chunk for chunk in np.split(fresh, 3))
    with pytest.raises(ValueError, match=r"predict got chunks of rows together with domains"):
        fitted.predict(Anew(fresh), domains=np.zeros(300))


def test_arrays_frames_and_lists_are_no_chunks(fresh):
    for X in (fresh, pd.DataFrame(fresh), [fresh], (fresh,), fresh.tolist(), "rows", 3):
        assert not is_chunked(X)
    assert is_chunked(Anew(fresh))
    assert is_chunked(iter([fresh]))
