import numpy as np
import pytest
import torch

from acr_sklearn import DomainScaler
from acr_sklearn.persistence.decoder import Decoder

LINEAR = {
    "training": False,
    "attributes": {"in_features": 3, "out_features": 2},
    "parameters": {"weight": {"ref": 0}, "bias": None},
    "buffers": {},
    "passing": [],
    "modules": {},
}
TENSOR = {"kind": "parameter", "dtype": "float32", "order": [0, 1], "gradient": True}


def decoded(entries, tensors=()):
    decoder = Decoder(dict(tensors), {})
    decoder.table(entries)
    return decoder._objects[-1]


def linear(shape=(2, 3), **changes):
    tensors = {"w": np.ones(shape, np.float32)}
    entries = [["tensor", "w", TENSOR | {"device": "cpu"}], ["module", "Linear", LINEAR | changes]]
    return decoded(entries, tensors)


def test_a_layer_is_made_without_a_draw():
    before = torch.get_rng_state()
    made = linear()
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(made(torch.ones(1, 3)), torch.full((1, 2), 3.0))
    assert made.bias is None


def test_a_layer_of_other_shape_or_arguments_is_refused():
    with pytest.raises(ValueError, match="holds a Linear whose weight is of another shape"):
        linear((3, 2))
    with pytest.raises(ValueError, match="other arguments"):
        linear(attributes={"in_features": 3})
    # No memory is asked for before shapes agree.
    with pytest.raises(ValueError, match="another shape"):
        linear(attributes={"in_features": 2**40, "out_features": 2**20})


def test_a_reference_points_backward_only():
    for place in (0, 1, -1, True, 0.0, None):
        with pytest.raises(ValueError, match="refers to what is not there"):
            decoded([["list", [{"ref": place}]]])


def test_a_tensor_that_belongs_to_nothing_is_refused():
    with pytest.raises(ValueError, match="holds a tensor '../w' that belongs to nothing"):
        decoded([["list", []]], {"../w": np.ones(1)})


def test_an_estimator_has_all_its_parameters_and_no_methods():
    decoder = Decoder({}, {})
    given = {"unit": "mad", "with_centering": True, "with_scaling": True}
    made = decoder.estimator("DomainScaler", given, {"n_features_in_": 2})
    assert isinstance(made, DomainScaler)
    assert made.get_params() == given
    with pytest.raises(ValueError, match="other parameters than it has"):
        decoder.estimator("DomainScaler", {}, {})
    for name in ("transform", "__class__", "a b"):
        with pytest.raises(ValueError, match="which is no attribute"):
            decoder.estimator("DomainScaler", given, {name: 1})
    for name in ("Linear", "Calibration"):
        with pytest.raises(TypeError, match="is no estimator"):
            decoder.estimator(name, {}, {})


def test_a_state_has_its_fields():
    with pytest.raises(ValueError, match="a Calibration of other fields"):
        decoded([["instance", "Calibration", {"offset": 0.5}]])
    with pytest.raises(TypeError, match="has no fields"):
        decoded([["instance", "DomainScaler", {}]])


def test_a_parameter_without_a_default_cannot_be_left_out():
    decoder = Decoder({}, {})
    parameters = {"detector": {"left out": "X"}, "contamination": 0.1, "polarity": "auto"}
    with pytest.raises(ValueError, match=r"ContaminationThreshold\.detector, which has no default"):
        decoder.estimator("ContaminationThreshold", parameters, {})
