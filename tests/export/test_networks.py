import numpy as np
import pytest
import torch
from graph_runs import computed
from saved_estimators import fitted, rows

from acr_sklearn.export.networks import layers_and_score, objective_distance, require_plain
from acr_sklearn.export.statistics import Batch


@pytest.mark.parametrize("kind", ["dsvdd-combined-1", "bce-combined-2", "plain backbone"])
def test_layers_and_score(kind):
    network, X = fitted(kind).module_.double(), rows(30)
    kept = X[:, 0] < 3.0
    with torch.no_grad():
        given, mask = torch.from_numpy(X)[None], torch.from_numpy(kept)[None]
        layers, score = network.layers_and_score(given, mask)
        distance = network.distance(score)
    network.float()

    def run(which):
        def build(g):
            batch = Batch(None, g.lift(kept[:, None], "bool"))
            found = layers_and_score(network, g.rows, batch)
            return objective_distance(network, found[1]) if which == 2 else found[which]

        return computed(build, X)

    for which, expected in enumerate((layers, score, distance)):
        np.testing.assert_allclose(run(which), expected.ravel(), rtol=1e-9, atol=1e-9)


def test_other_networks_are_refused():
    require_plain(fitted("dsvdd-combined-1").module_, "X")
    for kind in ("ntl-combined-1", "maxpool"):
        with pytest.raises(NotImplementedError, match="X has no operations for"):
            require_plain(fitted(kind).module_, "X")
