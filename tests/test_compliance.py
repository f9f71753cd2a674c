"""scikit-learn's own checks, with the one that a batch-level scorer fails by definition."""

import pytest
from sklearn.utils import check_array
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks
from toy_detector import MahalanobisDetector

from acr_sklearn import OutlierSynthesisDetector, ResADDetector, ZeroShotACRDetector

pytestmark = pytest.mark.filterwarnings(
    # The checks fit single, small data sets; the warnings for that are tested elsewhere.
    "ignore::acr_sklearn.exceptions.ACRWarning",
    # scikit-learn marks a check that it cannot run on this machine (array API) by a warning.
    "ignore::sklearn.exceptions.SkipTestWarning",
)

#: Every expected failure, with its reason. Strict: one that passes fails the test run.
LEDGER = {
    "check_methods_subset_invariance": (
        "a row is scored against the batch it comes in; scoring row by row is another method"
    ),
}


@parametrize_with_checks(
    [ZeroShotACRDetector(), ResADDetector(max_iter=20), MahalanobisDetector()],
    expected_failed_checks=lambda estimator: LEDGER,
)
def test_scikit_learn_check(estimator, check):
    check(estimator)


#: Row by row nothing is excused. Few steps: what the checks ask is not learnt.
BY_ROWS = ZeroShotACRDetector(norm_mode="reference", max_iter=10)


class _Adapted(ResADDetector):
    """ResAD that holds a few of its training rows from fit on, its threshold set on all of them."""

    def fit(self, X, y=None, **given):
        super().fit(X, **given)
        rows = check_array(X)
        self._references = self.adapt(rows[:: max(1, len(rows) // 8)])._references
        self._of_references = self._calibrated_on(self.score_samples(X))
        return self


@parametrize_with_checks([BY_ROWS, OutlierSynthesisDetector(max_iter=50), _Adapted(max_iter=20)])
def test_scikit_learn_check_of_single_rows(estimator, check):
    check(estimator)


def test_the_ledger_has_one_entry_and_it_is_a_check():
    names = {
        getattr(check, "func", check).__name__
        for _, check in estimator_checks_generator(ZeroShotACRDetector())
    }
    assert len(LEDGER) == 1
    assert set(LEDGER) <= names
    assert len(names) >= 40
