import numpy as np
import pytest

from acr_sklearn.domains.odd_columns import (
    OddColumn,
    log_spreads,
    odd_columns,
    odd_columns_in_words,
    variances_of,
)

KNOWN = np.array([1.0, 4.0, 0.25, 1.0, 1.0, 2.0, 0.5])


def found(factors, known=KNOWN, is_familiar=lambda variances: True):
    """Columns named in a batch whose spreads are those known times the factors."""
    return odd_columns(known * np.square(factors), known, is_familiar)


def test_variances_come_back_from_the_profile():
    for variances in (KNOWN, np.array([1.0, 0.0, 1e-3]), np.array([3.0])):
        profile, along = log_spreads(variances, variances[:1])
        assert along == profile[:1]
        np.testing.assert_allclose(
            variances_of(profile), variances / variances.mean(), rtol=1e-9, atol=1e-12
        )
    single, _ = log_spreads(KNOWN.astype(np.float32), KNOWN[:0].astype(np.float32))
    np.testing.assert_allclose(variances_of(single), KNOWN / KNOWN.mean(), rtol=1e-5)
    assert np.isfinite(variances_of(log_spreads(np.zeros(3), np.zeros(0))[0])).all()


def test_the_ratio_is_relative_to_the_other_columns():
    for overall in (1.0, 1e-3, 1e6):
        (one,) = found(overall * np.array([1, 1, 12, 1, 1, 1, 1]))
        assert one.position == 2
        assert one.ratio == pytest.approx(12)


def test_at_most_three_columns_the_furthest_first():
    named = found([1, 30, 1, 1, 9, 1, 12])
    assert [column.position for column in named] == [1, 6, 4]
    assert [column.ratio for column in named] == pytest.approx([30, 12, 9])
    assert found([50, 30, 1, 1, 9, 1, 12, 1, 1], np.ones(9)) == []


def test_no_more_columns_are_named_than_it_takes():
    factors = np.array([1, 30, 1, 1, 0.2, 1, 1])
    (one,) = found(factors)
    assert one.position == 1
    narrow = (KNOWN * np.square(factors))[4]
    both = found(factors, is_familiar=lambda variances: variances[4] > 2 * narrow)
    assert [column.position for column in both] == [1, 4]


def test_nothing_stands_out_where_many_are_off_or_all_by_little():
    assert found([1, 3, 9, 0.3, 0.1, 2, 5]) == []
    assert found([1, 1, 1.8, 1, 1, 1, 1]) == []
    assert found([1, 1, 1, 1, 1, 1, 1]) == []


def test_the_others_must_be_familiar():
    seen = []

    def is_familiar(variances):
        seen.append(variances)
        return False

    assert found([1, 1, 12, 1, 1, 1, 1], is_familiar=is_familiar) == []
    np.testing.assert_allclose(seen[0], KNOWN / np.median(KNOWN))  # as if it were not off


@pytest.mark.parametrize(("n_columns", "most"), [(1, 0), (2, 0), (3, 1), (4, 1), (6, 2), (9, 3)])
def test_fewer_than_half_of_the_columns_can_stand_out(n_columns, most):
    for n_off in range(1, n_columns + 1):
        factors = np.where(np.arange(n_columns) < n_off, 20.0, 1.0)
        named = found(factors, np.ones(n_columns))
        if n_off <= most:
            assert [column.position for column in named] == list(range(n_off))
        elif n_off <= n_columns // 2:
            assert named == []


def test_a_column_that_is_constant_is_said_to_be():
    assert found([1, 1, 0, 1, 1, 1, 1]) == [OddColumn(2, 0.0)]
    known = KNOWN.copy()
    known[2] = 0
    batch = KNOWN.copy()
    assert odd_columns(batch, known, lambda variances: True) == [OddColumn(2, np.inf)]
    assert odd_columns(np.zeros(7), KNOWN, lambda variances: True) == []


def test_words():
    columns = [OddColumn(0, 11.7), OddColumn(1, 0.123), OddColumn(2, 3.14)]
    assert odd_columns_in_words(columns, ["heat", "load", "flow"]) == (
        "'heat' (12 times as wide as in the nearest training domain), 'load' (0.12 times) and "
        "'flow' (3.1 times)"
    )
    assert odd_columns_in_words([OddColumn(1, 12345.6)], [3, 5]) == (
        "column 5 (12,346 times as wide as in the nearest training domain)"
    )
    assert odd_columns_in_words([OddColumn(0, 1e60), OddColumn(1, 2e6)], ["a", "b"]) == (
        "'a' (over a million times as wide as in the nearest training domain) and 'b' (over a "
        "million times)"
    )
    assert odd_columns_in_words([OddColumn(0, 0.0), OddColumn(1, np.inf)], ["a", "b"]) == (
        "'a' (constant, or less than a thousandth as wide as in the nearest training domain) and "
        "'b' (constant there)"
    )
    assert odd_columns_in_words([OddColumn(0, np.inf), OddColumn(1, 0.0)], ["a", "b"]) == (
        "'a' (constant in the nearest training domain) and 'b' (constant, or less than a "
        "thousandth as wide as there)"
    )
