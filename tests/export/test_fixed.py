import numpy as np
import pytest
import torch
from graph_runs import computed
from saved_estimators import fitted, rows

from acr_sklearn.export.fixed import score_of_rows


@pytest.mark.parametrize("n", [2, 3, 9, 70])
@pytest.mark.parametrize("head", ["consensus", "combined", "neighbors"])
def test_rows_of_a_frozen_batch_and_others(head, n):
    fixed = fitted(f"dsvdd-{head}-1").freeze(rows(n))
    given = np.concatenate([rows(n), rows(20) + 0.3])
    found = computed(lambda g: score_of_rows(g, fixed), given)
    np.testing.assert_allclose(found, fixed(torch.from_numpy(given)), rtol=1e-9, atol=1e-9)
