import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid
from sklearn.utils import estimator_html_repr

from acr_sklearn import (
    ConvBackbone,
    HeldOutDomains,
    MLPBackbone,
    NeuralTransformation,
    ZeroShotACRDetector,
)

PARTS = {
    "backbone": ConvBackbone(input_shape=(1, 1, 5), channels=(4,), downsampling="stride"),
    "objective": NeuralTransformation(n_transformations=3, kind="feedforward"),
    "early_stopping": HeldOutDomains(validation_fraction=0.4, n_iter_no_change=3),
}


def test_parts_are_parameters_of_the_detector():
    detector = ZeroShotACRDetector(**PARTS)
    parameters = clone(detector).get_params()
    for name, part in PARTS.items():
        for option, value in part.get_params().items():
            assert parameters[f"{name}__{option}"] == value
    assert clone(detector).backbone is not detector.backbone
    for shown in (repr(detector), estimator_html_repr(detector)):
        assert "NeuralTransformation" in shown
        assert "feedforward" in shown


def test_options_of_parts_can_be_searched(quick, domains):
    offsets = set()
    grid = {"backbone__channels": [(4,), (6,)], "objective__n_transformations": [2, 3]}
    for point in ParameterGrid(grid):
        detector = clone(quick(max_iter=2, **PARTS)).set_params(**point)
        offsets.add(detector.fit(domains).offset_)
    assert len(offsets) == 4


def test_a_part_at_its_defaults_is_its_name(quick, domains, fitted):
    same = quick(backbone=MLPBackbone(), early_stopping=HeldOutDomains()).fit(domains)
    np.testing.assert_array_equal(same.score_samples(domains), fitted.score_samples(domains))
    plain, part = (
        quick(max_iter=2, objective=one).fit(domains) for one in ("ntl", NeuralTransformation())
    )
    np.testing.assert_array_equal(plain.score_samples(domains), part.score_samples(domains))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"backbone": MLPBackbone(whiten_features=2)}, "'whiten_features' parameter of MLPBackb"),
        ({"objective": NeuralTransformation(kind="x")}, "'kind' parameter of NeuralTransf"),
        ({"early_stopping": HeldOutDomains(n_iter_no_change=0)}, "'n_iter_no_change' parameter of"),
        ({"objective": MLPBackbone()}, "'objective' parameter of ZeroShotACRDetector"),
    ],
)
def test_a_bad_option_is_named_with_its_part(quick, domains, part, message):
    with pytest.raises(ValueError, match=message):
        quick(**part).fit(domains)


def test_the_two_parts_of_stopping_are_heeded(quick, domains):
    detector = quick(early_stopping=HeldOutDomains(validation_fraction=0.5))
    assert len(detector._hold_out(_Labels, 0)) == 3


class _Labels:
    labels = range(6)
    named = False
