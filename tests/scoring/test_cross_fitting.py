"""How much a discriminant counts: nothing where that cannot be known, more where it is shown."""

import numpy as np
import pytest
import torch

from acr_sklearn.metrics.detection import auroc
from acr_sklearn.scoring import cross_fitting
from acr_sklearn.scoring.cross_fitting import choose_discriminant
from acr_sklearn.scoring.discriminant import LabelledBatch, discriminant_inputs, fit_discriminant
from acr_sklearn.scoring.evidence import EvidenceScale

N_EVIDENCE, N_FEATURES = 3, 6


def labelled(domain, place=None, seed=0, n_anomalous=15):
    """Anomalies high in one feature: everywhere the same one, or of the domain's own."""
    rng = np.random.default_rng((seed, domain))
    anomalous = np.arange(100) >= 100 - n_anomalous
    evidence = rng.normal(size=(N_EVIDENCE, 100)) + 0.7 * anomalous
    scores = rng.normal(size=(100, N_FEATURES))
    scores[anomalous, domain % N_FEATURES if place is None else place] += 2.5
    inputs = discriminant_inputs(torch.from_numpy(evidence), torch.from_numpy(scores)).numpy()
    return LabelledBatch(domain, inputs, evidence.mean(axis=0), anomalous)


def test_one_labelled_domain_leaves_the_consensus():
    discriminant, selection = choose_discriminant([labelled(3, place=0)] * 2, N_EVIDENCE)
    assert discriminant is None
    assert selection.weight == 0
    assert selection.domains.tolist() == [3]
    assert selection.auroc.shape == (0, 1)


@pytest.mark.parametrize(
    ("n_domains", "most"), [(2, 0.1), (3, 0.2), (4, 0.3), (6, 0.5), (12, 0.75)]
)
def test_its_weight_grows_with_the_domains_it_was_shown_on(n_domains, most):
    batches = [labelled(domain, place=0) for domain in range(n_domains)]
    discriminant, selection = choose_discriminant(batches, N_EVIDENCE)
    assert selection.weights.max() == pytest.approx(most)
    assert selection.weight == pytest.approx(most)
    assert discriminant.weight == selection.weight
    whole = fit_discriminant(batches, N_EVIDENCE)
    np.testing.assert_array_equal(discriminant.values, whole.values)
    gain = selection.auroc[:, -1] - selection.auroc[:, 0]
    assert gain.mean() > 0.005 * n_domains


def test_faults_that_no_two_domains_share_count_for_nothing():
    batches = [labelled(domain) for domain in range(N_FEATURES)]
    discriminant, selection = choose_discriminant(batches, N_EVIDENCE)
    assert selection.weight <= 0.1
    assert selection.weight or discriminant is None


def test_no_figure_of_a_domain_comes_from_its_own_labels():
    batches = [labelled(domain, place=0) for domain in range(5)]
    found = choose_discriminant(batches, N_EVIDENCE)[1]
    # Batches of the domain itself are not learnt from, be they two.
    twice = choose_discriminant([*batches, labelled(4, place=0, seed=1)], N_EVIDENCE)[1]
    others = fit_discriminant(batches[:4], N_EVIDENCE)
    for selection, held in ((found, batches[4:]), (twice, [batches[4], labelled(4, 0, seed=1)])):
        expected = []
        for batch in held:
            own = torch.from_numpy(batch.inputs @ np.r_[others.evidence, others.values])[None]
            own = EvidenceScale.of(own).standardise(own)[0].numpy()
            mixed = np.maximum(0.75 * batch.consensus + 0.25 * own, batch.consensus - 0.4)
            expected.append(auroc(mixed[batch.anomalous], mixed[~batch.anomalous]))
        assert selection.weights[1] == 0.25
        assert selection.auroc[4, 1] == pytest.approx(np.mean(expected), abs=1e-9)


def test_many_domains_are_left_out_a_fifth_at_a_time_neighbours_together(monkeypatch):
    seen = []

    def spy(batches, n_evidence, weight=1.0):
        seen.append(sorted({batch.domain for batch in batches}))
        return fit_discriminant(batches, n_evidence, weight)

    monkeypatch.setattr(cross_fitting, "fit_discriminant", spy)
    choose_discriminant([labelled(domain, place=0) for domain in range(10)], N_EVIDENCE)
    everyone = set(range(10))
    assert [sorted(everyone - set(learnt)) for learnt in seen[:5]] == [
        [0, 1],
        [2, 3],
        [4, 5],
        [6, 7],
        [8, 9],
    ]
    assert seen[5] == sorted(everyone)
