import numpy as np
import pytest
import torch

from acr_sklearn.networks.autoencoder import Autoencoder
from acr_sklearn.networks.signs import RowSigns
from acr_sklearn.networks.variational import VariationalAutoencoder


@pytest.fixture
def parts():
    torch.manual_seed(0)
    level = Autoencoder(4, (6, 3)).double().eval()
    known = torch.randn(50, 4, dtype=torch.float64)
    whitening = torch.linalg.inv(torch.linalg.cholesky(torch.cov(known.T))).T.contiguous()
    return known, whitening, level, VariationalAutoencoder(level, 2).double().eval()


def slow_signs(rows, known, whitening, level, variational):
    """Row by row, with plain distances, for rows that are none of the known ones."""

    def distance(away):
        return (away.square().sum(dim=-1) + 1e-6).sqrt()  # never zero

    latent_known = variational.posterior(known)[0]
    among = (torch.cdist(known, known).sort(dim=1).values[:, 1:7].mean(dim=1) + 1e-3).numpy()
    found = []
    for row in rows:
        away = distance(known - row).numpy()
        order = away.argsort()
        latent = variational.posterior(row[None])[0]
        error = row - level(row[None])[0]
        misfit = (row - variational.decoder(latent)[0]) / variational.noise
        found.append(
            [
                away[order[:3]].mean(),
                (known - row).abs().sum(dim=1).min() + 1e-3,
                distance((known - row) @ whitening).min(),
                distance(latent_known - latent).min(),
                (error.square().mean() + 1e-6).sqrt(),
                (misfit.square().mean() + 1e-6).sqrt(),
                away[order[:6]].mean() / among[order[:6]].mean(),
            ]
        )
    return np.log(np.array(found, dtype=float))


def test_signs_are_log_distances_and_errors(parts):
    known, *others = parts
    rows = 2 * torch.randn(30, 4, dtype=torch.float64)
    with torch.no_grad():
        signs = RowSigns(known, torch.ones(50, dtype=bool), *others).raw(rows).numpy()
        slow = slow_signs(rows, *parts)
    np.testing.assert_allclose(signs, slow, rtol=1e-7)


def test_a_known_row_scores_as_if_it_were_new(parts):
    known, whitening, *others = parts
    alone = torch.ones(50, dtype=bool)
    with torch.no_grad():
        with_itself = RowSigns(known, alone, whitening, *others).raw(known[:1])
        without = RowSigns(known[1:], alone[1:], whitening, *others).raw(known[:1])
    # All but the density around the neighbours, of which the row itself is one.
    torch.testing.assert_close(with_itself[:, :-1], without[:, :-1], rtol=1e-9, atol=1e-9)


def test_a_row_that_others_equal_is_near_to_them(parts):
    known, *others = parts
    alone = torch.ones(50, dtype=bool)
    alone[0] = False
    with torch.no_grad():
        signs = RowSigns(known, alone, *others).raw(known[:2])
    assert signs[0, 1] < np.log(0.0011) < signs[1, 1]


def test_units_are_those_of_the_rows_given(parts):
    known, *others = parts
    with torch.no_grad():
        signs = RowSigns(known, torch.ones(50, dtype=bool), *others)
        signs.standardize(known)
        seen = signs(known)
    torch.testing.assert_close(seen.median(dim=0).values, torch.zeros(7, dtype=torch.float64))
    assert (seen.abs().median(dim=0).values * 1.4826 < 1.01).all()


def test_without_the_second_level_its_signs_are_missing(parts):
    known, whitening, level, _ = parts
    with torch.no_grad():
        signs = RowSigns(known, torch.ones(50, dtype=bool), whitening, level, None)
        assert signs.raw(known).shape == (50, 5)


def test_a_single_known_row_is_enough(parts):
    known, *others = parts
    with torch.no_grad():
        signs = RowSigns(known[:1], torch.zeros(1, dtype=bool), *others)
        assert signs.raw(known).isfinite().all()
