"""Attribution under references: exact sums, counterparts beside the same ones, held scores."""

import numpy as np
import pytest
import torch

from acr_sklearn._input.chunks import Chunks
from acr_sklearn.domains.feature_scale import FeatureScale
from acr_sklearn.networks.residual_network import ResidualNetwork
from acr_sklearn.networks.residuals import Converter
from acr_sklearn.scoring import residual_attribution, residual_scorer
from acr_sklearn.scoring.attribution import Counterparts
from acr_sklearn.scoring.residual_attribution import HeldReferences
from acr_sklearn.scoring.residual_scorer import ResidualScorer

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(60, 4))
ROWS[0, 2] = 9.0
CONVERTERS = {
    "plain": Converter(),
    "squared": Converter(residual="squared"),
    "none": Converter(residual="none"),
    "cosine, blended": Converter("cosine", n_blended=3),
}


def scorer(converter=CONVERTERS["plain"], **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ResidualNetwork(4, **options).double().eval()
        torch.nn.init.normal_(network.weights)
    scale = FeatureScale(np.array([1.0, 0.0, 0.0, -2.0]), np.array([1.0, 2.0, 1.0, 0.5]))
    return ResidualScorer(network, scale, converter)


@pytest.fixture
def missed(monkeypatch):
    """What integration missed, as a share of what there was to be shared out."""
    found = []
    completed = residual_attribution.completed

    def watched(contributions, wanted):
        found.append((contributions.sum(dim=1) - wanted).abs() / (wanted.abs() + 0.1))
        return completed(contributions, wanted)

    monkeypatch.setattr(residual_attribution, "completed", watched)
    return found


def held_of(kind, made, rows):
    if kind == "batch":
        return HeldReferences.of_batch(made, rows)
    return HeldReferences.of_references(made, made.references(rows[10:18]))


@pytest.mark.parametrize("kind", ["batch", "references"])
@pytest.mark.parametrize("likelihood_weight", [0.0, 0.5])
@pytest.mark.parametrize("converter", CONVERTERS.values(), ids=CONVERTERS)
def test_contributions_all_but_add_up_by_themselves(kind, likelihood_weight, converter, missed):
    made = scorer(converter, likelihood_weight=likelihood_weight)
    held = held_of(kind, made, ROWS)
    found, base = held(ROWS)
    whole = held.score(Chunks(ROWS, 60))
    np.testing.assert_allclose(base + found.sum(axis=1), whole, rtol=1e-12, atol=1e-12)
    assert torch.cat(missed).median() < 0.01
    assert torch.cat(missed).max() < 0.1


@pytest.mark.parametrize("kind", ["batch", "references"])
def test_a_gross_value_has_its_due_without_a_quadrature(kind, missed):
    rows = ROWS.copy()
    rows[5, 1] = 1e9
    found, _ = held_of(kind, scorer(), rows)(rows[5:6])
    assert found[0].argmax() == 1
    assert found[0, 1] > 10 * np.abs(np.delete(found[0], 1)).max()
    assert missed[0].max() < 0.05


def test_scores_of_a_batch_are_those_of_the_scorer(monkeypatch):
    made, rows = scorer(), np.concatenate([ROWS, ROWS[:7], ROWS[3:5]])
    for most in (2048, 20):
        monkeypatch.setattr(residual_scorer, "_MOST_REFERENCES", most)
        held = HeldReferences.of_batch(made, rows)
        scores = held.score(Chunks(rows, 9))
        np.testing.assert_allclose(scores, made.batch(rows), rtol=1e-12)
        # Equal rows score alike, which of them are references or not.
        np.testing.assert_allclose(scores[:7], scores[60:67], rtol=1e-12)


def test_scores_under_references_are_those_of_rows_by_themselves():
    made = scorer()
    references = made.references(ROWS[:9])
    held = HeldReferences.of_references(made, references)
    np.testing.assert_allclose(
        held.score(Chunks(ROWS, 60)), made.singly(Chunks(ROWS, 60), references)
    )


def test_a_counterpart_is_held_against_the_same_references_as_its_row():
    made = scorer()
    held = HeldReferences.of_batch(made, ROWS)
    _, base = held(ROWS)
    standardized = torch.from_numpy(made.standardized(ROWS))
    counterparts = Counterparts(held.usual, held.usual).of(standardized, standardized)
    for i in (0, 17, 59):
        others = torch.from_numpy(np.delete(standardized.numpy(), i, axis=0))
        with torch.no_grad():
            expected = made.score(counterparts[[i]], others)
        np.testing.assert_allclose(base[i], expected[0], rtol=1e-9)


def test_counterparts_are_made_of_usual_references_evenly_spaced_among_many(monkeypatch):
    made, rows = scorer(), np.concatenate([RNG.normal(size=(95, 4)), 40.0 + np.zeros((5, 4))])
    held = HeldReferences.of_references(made, made.references(rows))
    assert len(held.usual) == len(np.unique(rows, axis=0)) * 9 // 10 + 1
    assert len(HeldReferences.of_references(made, made.references(rows[:8])).usual) == 8
    monkeypatch.setattr(residual_attribution, "_COUNTERPARTS", 20)
    assert len(HeldReferences.of_references(made, made.references(rows)).usual) == 18
    known = np.sort(held.usual_rows, axis=0)
    assert known.max() < 40
    assert np.abs(known[:, :, None] - np.sort(rows, axis=0).T[None]).min(axis=2).max() < 1e-9


def test_one_reference_and_none_of_many_chunks(monkeypatch):
    made = scorer()
    one = HeldReferences.of_references(made, made.references(ROWS[:1]))
    found, base = one(ROWS)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(base, base[0])  # all rows have the one counterpart
    held = HeldReferences.of_batch(made, ROWS)
    whole = held(ROWS)
    monkeypatch.setattr(residual_scorer, "_ROWS", 7)
    for cut, expected in zip(held(ROWS), whole, strict=True):
        np.testing.assert_allclose(cut, expected, atol=1e-12)
