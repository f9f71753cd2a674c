from inspect import signature

import pytest
from sklearn.utils._param_validation import InvalidParameterError, validate_parameter_constraints

from acr_sklearn import HeldOutDomains, ZeroShotACRDetector
from acr_sklearn.detectors.acr import _CONSTRAINTS as CONSTRAINTS
from acr_sklearn.scoring.heads import SCORE_HEADS


def check(**parameters):
    chosen = {name: CONSTRAINTS[name] for name in parameters}
    validate_parameter_constraints(chosen, parameters, caller_name="ZeroShotACRDetector")


def test_every_parameter_is_constrained_in_the_constructors_order_and_no_other():
    assert list(CONSTRAINTS) == list(signature(ZeroShotACRDetector).parameters)


def test_they_can_be_counted():
    assert len(CONSTRAINTS) <= 28


def test_the_defaults_are_allowed():
    check(**ZeroShotACRDetector().get_params(deep=False))


@pytest.mark.parametrize("kind", SCORE_HEADS)
def test_every_head_is_allowed(kind):
    check(score_head=kind)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("trim_fraction", [0, 0.0, 0.25, 0.4999], [-0.01, 0.5, 1, "auto", None]),
        ("objective", ["dsvdd", "bce", "ntl"], ["DSVDD", None]),
        ("backbone", ["mlp"], ["cnn", "conv", None]),
        ("early_stopping", [True, False, HeldOutDomains()], [0.2, "yes", None]),
        ("n_estimators", [1, 7], [0, -1, 1.5, None]),
        ("outlier_source", ["auto", "mixed", "domains", "synthetic"], ["others", None, object()]),
    ],
)
def test_bounds(name, good, bad):
    for value in good:
        check(**{name: value})
    for value in bad:
        message = f"The '{name}' parameter of ZeroShotACRDetector must be"
        with pytest.raises(InvalidParameterError, match=message):
            check(**{name: value})


def test_a_share_to_trim_out_of_bounds_is_named_with_its_range(domains):
    message = r"must be a float in the range \[0.0, 0.5\)|must be .*in the range \[0, 0.5\)"
    with pytest.raises(ValueError, match=message):
        ZeroShotACRDetector(trim_fraction=0.5).fit(domains)
