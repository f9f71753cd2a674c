import numpy as np
import pytest
import torch

from acr_sklearn.scoring.batch_units import BatchUnits
from acr_sklearn.scoring.dependence import conditional_residuals
from acr_sklearn.scoring.evidence import BatchEvidence, EvidenceScale, consensus, n_evidence_rows
from acr_sklearn.scoring.value_grid import ValueGrid

N_FEATURES = 4
RNG = np.random.default_rng(0)
DEPENDENCE = torch.from_numpy(RNG.normal(size=(N_FEATURES, N_FEATURES)))


def batch(n_rows=60):
    return torch.from_numpy(np.random.default_rng(1).normal(3, 2, (n_rows, N_FEATURES)))


@pytest.mark.parametrize(
    ("n_rows", "expected"),
    [
        (2, (2, 2, True)),
        (512, (512, 512, True)),
        (513, (513, 256, True)),
        (2048, (2048, 256, True)),
        (2049, (2048, 128, False)),
        (10**6, (2048, 128, False)),
    ],
)
def test_of_large_batches_some_rows_make_up_the_statistics(n_rows, expected):
    assert n_evidence_rows(n_rows) == expected


@pytest.mark.parametrize("manhattan", [True, False])
def test_the_evidence_is_that_of_its_parts(manhattan):
    rows, serving = batch(), torch.arange(0, 60, 2)
    own = torch.where(torch.arange(60) % 2 == 0, torch.arange(60) // 2, -1)
    found = BatchEvidence(rows, serving, DEPENDENCE, manhattan=manhattan)(rows, own)
    assert len(found) == len(BatchEvidence.names)
    units = BatchUnits(rows)(rows)
    clipped = units.clamp(-3, 3)
    distances = torch.cdist(clipped, clipped[serving], p=1.0 if manhattan else 2.0)
    distances[own >= 0, own[own >= 0]] = torch.inf
    ordered = distances.sort(dim=1).values
    # A tenth of the 29 others are fewer than five.
    torch.testing.assert_close(found[0], ordered[:, :5].mean(dim=1))
    torch.testing.assert_close(found[1], ordered[:, :9].mean(dim=1))
    rarity, scores = ValueGrid(units)(units)
    torch.testing.assert_close(found[2], rarity)
    torch.testing.assert_close(found[3], conditional_residuals(scores, DEPENDENCE))


@pytest.mark.parametrize("manhattan", [True, False])
def test_it_is_measured_alike_both_ways(manhattan):
    rows, own = batch(), torch.arange(60)
    evidence = BatchEvidence(rows, own, DEPENDENCE, manhattan=manhattan)
    torch.testing.assert_close(evidence.measure(rows, own), evidence(rows, own))


def test_a_gross_value_counts_no_further_in_distances():
    rows = batch()
    evidence, own = BatchEvidence(rows, torch.arange(60), None), torch.tensor([-1, -1])
    new = rows[:1].repeat(2, 1)
    new[:, 0] = torch.tensor([1e3, 1e9])
    near_and_wide = evidence(new, own)[:2]
    torch.testing.assert_close(near_and_wide[:, 0], near_and_wide[:, 1])


def test_rows_of_the_batch_are_known_again():
    rows = batch()
    evidence = BatchEvidence(rows, torch.arange(0, 60, 2), None)
    new = torch.cat([rows[4:8], rows[4:8] + 0.01])
    for some in (new, new.float().double()):
        assert evidence.itself(some).tolist() == [2, -1, 3, -1, -1, -1, -1, -1]


def test_gross_rows_are_not_taken_for_one_another():
    rows = batch()
    rows[:2] = torch.tensor([[40.0], [50.0]])  # more than three units out in every feature
    assert BatchEvidence(rows, torch.arange(1), None).itself(rows[:2]).tolist() == [0, -1]


def test_the_scale_is_a_standard_deviation_of_normal_evidence():
    values = torch.from_numpy(RNG.normal(5, 2, (1, 100_001)))
    scale = EvidenceScale.of(values)
    assert scale.center.item() == pytest.approx(5, abs=0.03)
    assert scale.spread.item() == pytest.approx(2, abs=0.03)
    z = (values - scale.center) / scale.spread
    torch.testing.assert_close(scale.standardise(values), z.sign() * (1 + z.abs()).log())


def test_the_median_of_an_even_number_is_between_the_middle_two():
    scale = EvidenceScale.of(torch.tensor([[1.0, 2.0, 10.0, 11.0]]))
    assert scale.center.item() == 6
    assert scale.spread.item() == pytest.approx(1.4826 * 4.5)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.49, 0.51, 0.6, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("place", [0.0, 5.0])
def test_tied_rows_leave_one_scale(share, place):
    """The others stand out by units of their spread, without a jump where most rows are tied."""
    values = torch.from_numpy(np.random.default_rng(2).gamma(4, 1, (1, 2000)))
    values[0, : round(share * 2000)] = place
    scale = EvidenceScale.of(values)
    assert 0.05 < scale.spread.item() < 5
    assert scale.standardise(values).abs().max() < 5


@pytest.mark.parametrize("n_tied", range(995, 1006))
def test_half_of_the_rows_tied_is_no_edge(n_tied):
    values = torch.from_numpy(np.random.default_rng(2).gamma(4, 1, (1, 2000)))
    values[0, :n_tied] = 0
    more = values.clone()
    more[0, n_tied] = 0
    ratio = EvidenceScale.of(more).spread / EvidenceScale.of(values).spread
    assert 0.9 < ratio.item() < 1.1


@pytest.mark.parametrize("size", [0.0, 1.0, 1e6])
def test_rounding_is_no_spread(size):
    values = size * (1 + 1e-7 * torch.from_numpy(RNG.normal(size=(1, 50))))
    assert EvidenceScale.of(values).standardise(values).abs().max() < 1e-3


def test_each_kind_of_evidence_has_a_scale_of_its_own():
    values = torch.from_numpy(RNG.normal(size=(3, 50)))
    units, shifts = torch.tensor([[3.0], [1e3], [1e6]]), torch.tensor([[1.0], [-40.0], [0.0]])
    other = values * units + shifts
    torch.testing.assert_close(
        EvidenceScale.of(other).standardise(other), EvidenceScale.of(values).standardise(values)
    )


def test_the_consensus_is_the_mean_of_the_larger_half():
    values = torch.tensor([[1.0, 0.0], [5.0, 0.0], [-2.0, 0.0], [3.0, -9.0]])
    assert consensus(values).tolist() == [4.0, 0.0]
    # Of an odd number the larger part: two of three, four of seven.
    assert consensus(values[:3]).tolist() == [3.0, 0.0]
    assert consensus(torch.arange(7.0)[:, None]).tolist() == [4.5]
    assert consensus(values[:1]).tolist() == [1.0, 0.0]
