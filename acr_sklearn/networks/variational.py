"""Variational autoencoder over fused descriptors: the second level of outlier synthesis."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from acr_sklearn.networks.autoencoder import Autoencoder

__all__ = ["VariationalAutoencoder", "VariationalLoss", "divergence"]

#: Logarithms of standard deviations stay here: of the latent Gaussians, and of the rows around
#: what is decoded, in units of standardized features.
_LATENT_RANGE, _NOISE_RANGE = (-4.0, 2.0), (-4.0, 2.0)


class VariationalAutoencoder(nn.Module):
    """Maps fused descriptors of a row to a latent Gaussian, and latents to Gaussians of rows.

    Parameters
    ----------
    level : Autoencoder
        Trained; it describes the rows and stays as it is.
    n_latent : int
        Dimensions of the latent space.
    width : int, default=64
        Of the one hidden layer of each direction.
    """

    def __init__(self, level: Autoencoder, n_latent: int, width: int = 64):
        super().__init__()
        self.level: Autoencoder = level.requires_grad_(False)
        n_features = level.n_features
        n_fused = n_features + sum(level.widths)
        self.encoder: nn.Sequential = nn.Sequential(
            nn.Linear(n_fused, width), nn.ReLU(), nn.Linear(width, 2 * n_latent)
        )
        self.decoder: nn.Sequential = nn.Sequential(
            nn.Linear(n_latent, width), nn.ReLU(), nn.Linear(width, n_features)
        )
        self.log_noise: nn.Parameter = nn.Parameter(torch.zeros(n_features))

    def posterior(self, rows: Tensor, depths: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Return the latent Gaussians of rows.

        Parameters
        ----------
        rows : Tensor of shape (n_samples, n_features)
            Standardized.
        depths : list of Tensor or None, default=None
            Their descriptors, where these are at hand.

        Returns
        -------
        mean, deviation : Tensor of shape (n_samples, n_latent)
            Of independent dimensions.
        """
        fused = torch.cat([rows, *(depths or self.level.descriptors(rows))], dim=-1)
        mean, log_deviation = self.encoder(fused).chunk(2, dim=-1)
        return mean, log_deviation.clamp(*_LATENT_RANGE).exp()

    @property
    def noise(self) -> Tensor:
        """Standard deviation of each feature around what is decoded, (n_features,)."""
        return self.log_noise.clamp(*_NOISE_RANGE).exp()

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return mean and deviation of the latent, rows decoded from a draw of it, their noise."""
        mean, deviation = self.posterior(rows)
        latent = mean + deviation * torch.randn_like(deviation)
        return mean, deviation, self.decoder(latent), self.noise


class VariationalLoss(nn.Module):
    """Negative evidence lower bound per feature, of Gaussian rows and a standard normal prior."""

    def forward(self, output: tuple[Tensor, Tensor, Tensor, Tensor], rows: Tensor) -> Tensor:
        """Average over rows what `VariationalAutoencoder` returned for them."""
        mean, deviation, decoded, noise = output
        misfit = (0.5 * ((rows - decoded) / noise).square() + noise.log()).sum(dim=-1)
        return (misfit + divergence(mean, deviation)).mean() / rows.shape[-1]


def divergence(mean: Tensor, deviation: Tensor) -> Tensor:
    """Kullback-Leibler divergence of latent Gaussians from the standard normal, (n_samples,)."""
    return 0.5 * (mean.square() + deviation.square() - 1 - 2 * deviation.log()).sum(dim=-1)
