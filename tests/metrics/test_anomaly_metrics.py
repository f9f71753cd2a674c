"""The measures, against their definitions and against labels of other kinds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from acr_sklearn.metrics.detection import anomaly_average_precision, anomaly_roc_auc


def test_anomalies_are_the_positive_class():
    y, scores = np.array([1, 1, 1, 1, -1]), np.array([4.0, 3.0, 1.0, 2.0, 0.5])
    assert anomaly_roc_auc(y, scores) == anomaly_average_precision(y, scores) == 1
    assert anomaly_roc_auc(y, -scores) == 0
    assert anomaly_average_precision(y, -scores) == pytest.approx(0.2)
    assert average_precision_score(y, -scores) > 0.6  # normal rows positive: flattering


@given(seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_property_roc_auc_is_the_share_of_pairs_in_order(seed):
    rng = np.random.default_rng(seed)
    y, scores = np.repeat([1, -1], [9, 4]), rng.integers(0, 6, 13).astype(float)
    pairs = scores[y == 1][:, None] - scores[y == -1]
    expected = (pairs > 0).mean() + 0.5 * (pairs == 0).mean()
    assert anomaly_roc_auc(y, scores) == pytest.approx(expected)


@pytest.mark.parametrize("measure", [anomaly_roc_auc, anomaly_average_precision])
def test_pyods_labels_are_refused(measure):
    with pytest.raises(ValueError, match=f"{measure.__name__} got the labels 0, 1 in y.*PyOD's"):
        measure([0, 1], [0.5, 0.1])
