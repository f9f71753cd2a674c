import inspect

import pytest

from acr_sklearn._input.keywords import known_keywords
from acr_sklearn.exceptions import (
    EarlyStoppingWarning,
    SmallBatchWarning,
    SmallDomainWarning,
    UnfamiliarBatchWarning,
)


class Reader:
    @known_keywords
    def fit(self, X, y=None, *, domains=None):
        """Words of its own."""
        return X, y, domains


def test_known_keywords_pass_and_nothing_else_changes():
    assert Reader().fit(1, domains=2) == (1, None, 2)
    assert Reader.fit.__doc__ == "Words of its own."
    assert list(inspect.signature(Reader.fit).parameters) == ["self", "X", "y", "domains"]


def test_an_unknown_keyword_is_told_which_one_is_meant():
    with pytest.raises(TypeError, match=r"Reader.fit got an unexpected keyword argument 'groups'"):
        Reader().fit(1, groups=2)
    with pytest.raises(TypeError, match="group, site or batch.* is passed as domains="):
        Reader().fit(1, sample_domain=2)


@pytest.mark.parametrize(
    "method",
    ["fit", "fit_predict", "score_samples", "decision_function", "predict", "score", "p_values"],
)
def test_every_method_that_takes_domains_says_so(fitted, domains, method):
    given = {"y": [1] * len(domains[0])} if method == "score" else {}
    with pytest.raises(TypeError, match=f"ZeroShotACRDetector.{method} got .*'groups'.*domains="):
        getattr(fitted, method)(domains[0], groups=[0] * len(domains[0]), **given)


def test_a_warning_still_points_at_the_users_line(fitted, domains, quick):
    with pytest.warns(SmallBatchWarning) as small:
        fitted.score_samples(domains[0][:5])
    with pytest.warns(UnfamiliarBatchWarning) as unlike:
        fitted.adapt(domains[0] * [1, 1e4, 1, 1, 1])
    with pytest.warns(SmallDomainWarning) as few:
        quick(outlier_source="synthetic").fit([domains[0][:10], *domains])
    with pytest.warns(EarlyStoppingWarning) as early:
        quick().fit(domains[:2])
    for said in (small, unlike, few, early):
        assert [warning.filename for warning in said] == [__file__]
