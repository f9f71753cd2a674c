import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from acr_sklearn.exceptions import ACRWarning
from acr_sklearn.metrics.detection import auroc, mean_domain_auc, task_auc


def test_task_auc_agrees_with_scikit_learn_ties_included():
    rng = np.random.default_rng(0)
    scores = torch.tensor(rng.integers(0, 6, size=(7, 20)), dtype=torch.float32)
    is_outlier = torch.zeros(7, 20, dtype=torch.bool)
    is_outlier[:, 14:] = True
    expected = [roc_auc_score(y, s) for y, s in zip(is_outlier, scores, strict=True)]
    np.testing.assert_allclose(task_auc(scores, is_outlier), expected)


def test_every_domain_counts_alike_and_on_its_own():
    scores = np.array([0.0, 1.0, 2.0, 12.0, 11.0, 10.0, 13.0])
    y = np.array([-1, 1, 1, -1, 1, 1, 1])
    batches = [np.arange(3), np.arange(3, 7)]
    # 1 in the first domain; in the second the anomaly lies above two normal rows of three.
    value = mean_domain_auc(scores, y, np.array(["a", "b"]), batches, who="X.score")
    assert value == pytest.approx((1 + 1 / 3) / 2)


def test_domains_of_one_kind_are_named():
    labels, batches = np.array(["a", "b"]), [np.arange(2), np.arange(2, 4)]
    y = np.array([1, -1, 1, 1])
    with pytest.warns(ACRWarning, match="X.score left out domains with one kind .* only: b."):
        assert mean_domain_auc(np.array([1.0, 0, 3, 4]), y, labels, batches, who="X.score") == 1
    with pytest.raises(ValueError, match="X.score needs at least one domain with both"):
        mean_domain_auc(np.zeros(4), np.ones(4), labels, batches, who="X.score")


def test_auroc_is_scikit_learns_ties_and_all():
    rng = np.random.default_rng(0)
    above, below = rng.integers(0, 6, (3, 40)) + 0.5, rng.integers(0, 6, (3, 30)) + 0.5
    expected = [
        roc_auc_score(np.repeat([1, 0], [40, 30]), np.concatenate(pair))
        for pair in zip(above, below, strict=True)
    ]
    np.testing.assert_allclose(auroc(above, below), expected, rtol=1e-12)
