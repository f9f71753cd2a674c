"""Signs of abnormality of single rows: how far from known rows, how badly reconstructed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from acr_sklearn.networks.autoencoder import Autoencoder
from acr_sklearn.networks.variational import VariationalAutoencoder

__all__ = ["RowSigns"]

#: Distance that counts as none, in standardized units, so that the logarithm is bounded.
_FLOOR = 1e-3
#: Squared distance, relative to the row's square, below which two rows are one: what rounding
#: leaves of the product form.
_SAME = 1e-11
#: Neighbours whose mean distance is a sign, and those that say how dense known rows lie there. The
#: nearest alone is a sign of little worth where normal rows are scattered: mean AUROC on 26 data
#: sets .866 instead of .877.
_NEAR, _LOCAL = 3, 6
#: Range of standardized signs: as for a known row of the rarest kind, and far beyond all of them.
_RANGE = (-6.0, 30.0)
_SMALLEST_SPREAD = 0.03


class RowSigns(nn.Module):
    """Log distances of a row to known rows, in several spaces, and its reconstruction errors.

    A known row that stands alone is not compared with itself: its signs are those which it would
    have were it new.

    Parameters
    ----------
    known : Tensor of shape (n_known, n_features)
        Distinct standardized normal rows.
    alone : Tensor of shape (n_known,), bool
        Which of them no other training row equals.
    whitening : Tensor of shape (n_features, n_whitened)
        Makes the features of normal rows uncorrelated.
    level : Autoencoder
        First level.
    variational : VariationalAutoencoder or None
        Second level; None leaves its signs out.
    """

    level: Autoencoder
    variational: VariationalAutoencoder | None

    known: Tensor
    alone: Tensor
    whitening: Tensor
    local: Tensor
    product_features: Tensor

    def __init__(
        self,
        known: Tensor,
        alone: Tensor,
        whitening: Tensor,
        level: Autoencoder,
        variational: VariationalAutoencoder | None,
    ):
        super().__init__()
        self.level, self.variational = level, variational
        self.register_buffer("known", known)
        self.register_buffer("alone", alone)
        self.register_buffer("whitening", whitening)
        self.register_buffer("product_features", _for_product(known))
        self.register_buffer("product_whitened", _for_product(known @ whitening))
        if variational is not None:
            self.register_buffer("product_latent", _for_product(variational.posterior(known)[0]))
        self.register_buffer("local", _local_distances(known))
        self.register_buffer("center", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def raw(self, rows: Tensor) -> Tensor:
        """Compute signs in their own units.

        Parameters
        ----------
        rows : Tensor of shape (n_samples, n_features)
            Standardized.

        Returns
        -------
        Tensor of shape (n_samples, n_signs)
            High for abnormal rows, each a logarithm.
        """
        near, places, own = self._neighbors(rows)
        density = near.mean(dim=1).log() - self.local[places].mean(dim=1).log()
        signs = [near[:, :_NEAR], self._cityblock(rows, own) + _FLOOR]
        depths = self.level.descriptors(rows)
        errors = [rows - self.level.decode(depths[-1])]
        spaces = {"whitened": rows @ self.whitening}
        if self.variational is not None:
            spaces["latent"] = self.variational.posterior(rows, depths)[0]
            decoded = self.variational.decoder(spaces["latent"])
            errors.append((rows - decoded) / self.variational.noise)
        for name, points in spaces.items():
            squares = _with_one(points) @ getattr(self, f"product_{name}")
            squares[own] = torch.inf
            nearest = squares.amin(dim=1) + points.square().sum(dim=1)
            signs.append(_root(nearest)[:, None])
        signs += [_root(error.square().mean(dim=1, keepdim=True)) for error in errors]
        logs = torch.stack([sign.mean(dim=1) for sign in signs], dim=1).log()
        return torch.cat([logs, density[:, None]], dim=1)

    def _neighbors(self, rows: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Distances to the nearest known rows, which these are, and which a row is itself."""
        n_near = max(1, min(_LOCAL, len(self.known) - 1))  # beside itself
        squares = _with_one(rows) @ self.product_features
        found = squares.topk(min(n_near + 1, len(self.known)), dim=1, largest=False)
        size = rows.square().sum(dim=1)
        near, places = found.values + size[:, None], found.indices
        same = (near[:, 0] <= _SAME * (1 + size)) & self.alone[places[:, 0]]
        itself = torch.nonzero(same).squeeze(1)
        own = (itself, places[itself, 0])
        kept = torch.arange(n_near) + same[:, None].long()
        return _root(near.gather(1, kept)), places.gather(1, kept), own

    def _cityblock(self, rows: Tensor, own: tuple[Tensor, Tensor]) -> Tensor:
        """Sum of absolute differences from the nearest known row, (n_samples, 1)."""
        apart = torch.cdist(rows.detach(), self.known, p=1)
        apart[own] = torch.inf
        nearest, where = apart.min(dim=1, keepdim=True)
        if rows.requires_grad:  # slopes of this one distance, not of all
            return (rows - self.known[where[:, 0]]).abs().sum(dim=1, keepdim=True)
        return nearest

    def standardize(self, rows: Tensor) -> None:
        """Set the units of the signs: median and median absolute deviation over `rows`."""
        signs = self.raw(rows)
        self.center: Tensor = signs.median(dim=0).values
        deviations = (signs - self.center).abs().median(dim=0).values
        self.spread: Tensor = (1.4826 * deviations).clamp_min(_SMALLEST_SPREAD)

    def forward(self, rows: Tensor) -> Tensor:
        """Compute signs in units of their spread over normal rows, (n_samples, n_signs)."""
        return ((self.raw(rows) - self.center) / self.spread).clamp(*_RANGE)


def _root(squares: Tensor) -> Tensor:
    """Distances from their squares, never zero; smooth where rounding is all that is left."""
    return (squares.clamp_min(0) + _FLOOR**2).sqrt()


def _local_distances(known: Tensor) -> Tensor:
    """Mean distance from each known row to its nearest ones, (n_known,)."""
    if len(known) == 1:  # all rows are equal
        return torch.ones(1, dtype=known.dtype)
    apart = torch.cdist(known, known).fill_diagonal_(torch.inf)
    near = apart.topk(min(_LOCAL, len(known) - 1), dim=1, largest=False).values
    return near.mean(dim=1) + _FLOOR


def _for_product(known: Tensor) -> Tensor:
    """Matrix whose product with rows and a one is squared distances less the rows' squares."""
    return torch.cat([-2 * known.T, known.square().sum(dim=1)[None]])


def _with_one(rows: Tensor) -> Tensor:
    return torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)
