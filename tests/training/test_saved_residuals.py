"""A residual network comes back from what a file holds of it."""

import numpy as np
import pytest
import torch

from acr_sklearn import ResADDetector
from acr_sklearn.training.saved_residuals import load_residual_net, save_residual_net


@pytest.fixture(scope="module")
def net():
    rng = np.random.default_rng(0)
    sites = [rng.normal(rng.normal(0, 3, 3), 1.0, (30, 3)) for _ in range(5)]
    detector = ResADDetector(
        max_iter=3, n_blocks=2, constraintor=False, likelihood_weight=0.5, random_state=0
    )
    return detector.fit(sites).net_


def test_the_network_that_comes_back_scores_as_the_one_that_was_saved(net):
    module = load_residual_net(save_residual_net(net)).module_
    generator = torch.Generator().manual_seed(0)
    signs = torch.rand(4, 3, 5, dtype=torch.float64, generator=generator)
    with torch.no_grad():
        assert torch.equal(module.scores(signs), net.module_.scores(signs))
    assert not module.training


def test_a_weight_that_is_no_number_is_refused(net):
    saved = save_residual_net(net)
    spoilt = dict(saved.weights)
    spoilt["slopes"] = torch.full_like(spoilt["slopes"], torch.nan)
    saved.weights.update(spoilt)
    with pytest.raises(ValueError, match="numbers in slopes that are not finite"):
        load_residual_net(saved)


def test_weights_of_another_network_are_refused(net):
    saved = save_residual_net(net)
    del saved.weights["slopes"]
    with pytest.raises(RuntimeError, match="slopes"):
        load_residual_net(saved)
