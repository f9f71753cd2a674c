import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from acr_sklearn.metrics import task_auc


def test_task_auc_agrees_with_scikit_learn_ties_included():
    rng = np.random.default_rng(0)
    scores = torch.tensor(rng.integers(0, 6, size=(7, 20)), dtype=torch.float32)
    is_outlier = torch.zeros(7, 20, dtype=torch.bool)
    is_outlier[:, 14:] = True
    expected = [roc_auc_score(y, s) for y, s in zip(is_outlier, scores, strict=True)]
    np.testing.assert_allclose(task_auc(scores, is_outlier), expected)
