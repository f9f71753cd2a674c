"""The discriminant: what it is linear in, what each domain counts, what it learns."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from acr_sklearn.scoring.discriminant import (
    LabelledBatch,
    discriminant_inputs,
    fit_discriminant,
    mixed,
    projected,
)

N_EVIDENCE, N_FEATURES = 3, 4


def labelled(domain, n_normal=80, n_anomalous=10, seed=0, shift=2.0):
    """Anomalies that are high in the last feature."""
    rng = np.random.default_rng((seed, domain))
    anomalous = np.arange(n_normal + n_anomalous) >= n_normal
    evidence = rng.normal(size=(N_EVIDENCE, len(anomalous)))
    scores = rng.normal(size=(len(anomalous), N_FEATURES))
    scores[anomalous, -1] += shift
    inputs = discriminant_inputs(torch.from_numpy(evidence), torch.from_numpy(scores)).numpy()
    return LabelledBatch(domain, inputs, evidence.mean(axis=0), anomalous)


def test_it_is_linear_in_evidence_and_values_and_their_size():
    batch = labelled(0)
    found = fit_discriminant([batch, labelled(1)], N_EVIDENCE)
    scores = torch.from_numpy(batch.inputs[:, N_EVIDENCE : N_EVIDENCE + N_FEATURES])
    np.testing.assert_array_equal(batch.inputs[:, -N_FEATURES:], scores.abs().numpy())
    whole = batch.inputs @ np.concatenate([found.evidence, found.values])
    by_parts = batch.inputs[:, :N_EVIDENCE] @ found.evidence
    by_parts = by_parts + projected(scores, torch.from_numpy(found.values)).numpy()
    np.testing.assert_allclose(by_parts, whole, rtol=1e-12)


def test_it_finds_the_feature_that_tells():
    found = fit_discriminant([labelled(d) for d in range(4)], N_EVIDENCE)
    assert np.argmax(np.abs(found.values)) == N_FEATURES - 1
    assert found.values[N_FEATURES - 1] > 0


def test_domains_count_alike_however_many_anomalies_they_know():
    few, many = labelled(0, n_anomalous=3), labelled(1, n_anomalous=40, shift=-2.0)
    once = fit_discriminant([few, many], N_EVIDENCE)
    # The same rows of one domain three times over are the same knowledge.
    again = fit_discriminant([few, few, few, many], N_EVIDENCE)
    np.testing.assert_allclose(again.values, once.values, atol=2e-3)


def test_it_is_the_penalised_logistic_regression_of_these_weights():
    batches = [labelled(0, n_anomalous=5), labelled(1, n_anomalous=20)]
    found = fit_discriminant(batches, N_EVIDENCE)
    inputs = np.concatenate([batch.inputs for batch in batches])
    anomalous = np.concatenate([batch.anomalous for batch in batches])
    weights = np.concatenate(
        [
            np.where(b.anomalous, 100 / b.anomalous.sum(), 100 / (~b.anomalous).sum())
            for b in batches
        ]
    )
    oracle = LogisticRegression(C=0.1, max_iter=2000, tol=1e-8)
    coefficients = oracle.fit(inputs, anomalous, sample_weight=weights).coef_[0]
    got = np.concatenate([found.evidence, found.values])
    np.testing.assert_allclose(got, coefficients, atol=0.03)


def test_it_raises_rows_without_bound_and_lowers_them_by_little():
    agreed = torch.tensor([0.0, 1.0, 2.0, 2.0])
    found = torch.tensor([4.0, 1.0, 1.5, -5.0])
    expected = torch.tensor([2.0, 1.0, 1.75, 1.6])
    torch.testing.assert_close(mixed(agreed, found, 0.5), expected)
    assert torch.equal(mixed(agreed, found, 0.0), agreed)
