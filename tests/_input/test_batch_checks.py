import numpy as np
import pytest

from acr_sklearn._input.batch_checks import require_two_rows, warn_small_batches, warn_small_domains
from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn.exceptions import SmallBatchWarning, SmallDomainWarning


def rows_of(sizes, named=True):
    labels = np.array([f"d{i}" for i in range(len(sizes))])
    index = np.repeat(np.arange(len(sizes)), sizes)
    return DomainRows(np.zeros((len(index), 1)), index, labels, named)


@pytest.mark.parametrize(
    ("warn", "category", "rest"),
    [
        (warn_small_domains, SmallDomainWarning, "Their tasks"),
        (warn_small_batches, SmallBatchWarning, "A row is compared"),
    ],
)
def test_what_is_small_is_named_in_one_warning(warn, category, rest):
    with pytest.warns(category, match=rf"d1 \(3 rows\), d2 \(15 rows\)\. {rest}") as seen:
        warn(rows_of([20, 3, 15, 16]), who="X")
    assert len(seen) == 1
    with pytest.warns(category, match=r"d4 \(2 rows\) and 2 more\. "):
        warn(rows_of([2] * 7), who="X")
    with pytest.warns(category) as seen:
        warn(rows_of([2] * 7), who="X")
    assert seen[0].message.domains == tuple(f"d{i}" for i in range(7))
    warn(rows_of([16, 17]), who="X")


def test_a_batch_without_a_name_is_told_by_its_rows():
    with pytest.warns(
        SmallBatchWarning, match="^X got a batch of fewer than 16 rows: 5 rows. A"
    ) as seen:
        warn_small_batches(rows_of([5], named=False), who="X")
    assert seen[0].message.domains == ()


def test_one_row_is_refused_in_the_words_of_the_method():
    with pytest.raises(ValueError, match=r"F got a domain of 1 sample \(domain 'd1'\)\. .* leave"):
        require_two_rows(rows_of([2, 1]), who="F", in_fit=True)
    with pytest.raises(ValueError, match=r"S got a batch of 1 sample\. .* together"):
        require_two_rows(rows_of([1], named=False), who="S", in_fit=False)
    require_two_rows(rows_of([2, 2]), who="F", in_fit=True)
