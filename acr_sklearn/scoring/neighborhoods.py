"""Mean distances to near and wide neighbourhoods of a row in its batch, several at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from acr_sklearn.scoring.neighbors import Products

__all__ = ["Neighborhoods"]

#: Fewest neighbours of a neighbourhood, where the batch has them.
_FEWEST = 5
#: Part of a row within which it agrees with itself, computed twice or in single precision.
_ROUNDING = 3e-5


class Neighborhoods(nn.Module):
    """Mean distances of a row to the nearest of some fixed rows, for several neighbourhoods.

    Parameters
    ----------
    rows : Tensor of shape (n_references, width)
        The fixed rows.
    widths : tuple of int or float
        How many rows a neighbourhood has, or what fraction of the rows that may serve, of these at
        least 5. Fewer where there are not so many.
    manhattan : bool, default=False
        Whether distances are sums of absolute differences, which one gross feature moves less, or
        Euclidean.
    kept : Tensor of shape (n_references,), bool, or None, default=None
        Fixed rows that may serve as neighbours; None: all.
    """

    rows: Tensor
    barred: Tensor | None
    center: Tensor
    twice: Tensor
    squares: Tensor

    def __init__(
        self,
        rows: Tensor,
        widths: tuple[int | float, ...],
        *,
        manhattan: bool = False,
        kept: Tensor | None = None,
    ):
        super().__init__()
        self.register_buffer("rows", rows)
        self.widths, self.manhattan = widths, manhattan
        everything = kept is None or bool(kept.all())
        self.register_buffer("barred", None if everything else ~kept)  # type: ignore[operator]
        n_serving = len(rows) if kept is None else int(kept.sum())
        # One of the rows that may serve is the row itself.
        most = max(n_serving - 1, 1)
        self.counts = tuple(min(_count(width, most), most) for width in widths)
        if not manhattan:
            products = Products.of(rows)
            for name in ("center", "twice", "squares"):
                self.register_buffer(name, getattr(products, name))

    def forward(self, x: Tensor, own: Tensor) -> Tensor:
        """Measure the distances.

        Parameters
        ----------
        x : Tensor of shape (n_samples, width)
            Rows of the batch or others.
        own : Tensor of shape (n_samples,), int64
            Which fixed row each is, -1 for none: a row is no neighbour of its own.

        Returns
        -------
        Tensor of shape (n_widths, n_samples)
            High for isolated rows.
        """
        if self.manhattan:
            return self.means(self._nearest(torch.cdist(x, self.rows, p=1.0), own))
        products = Products(self.center, self.twice, self.squares)
        nearest = self._nearest(products.lacking_own_square(x), own)
        return self.means(products.root(nearest, x))

    def moved(self, rows: Tensor) -> Neighborhoods:
        """Give the same neighbourhoods for the same fixed rows in other coordinates.

        Parameters
        ----------
        rows : Tensor of shape (n_references, width)
            The fixed rows there.

        Returns
        -------
        Neighborhoods
            A copy.
        """
        kept = None if self.barred is None else ~self.barred
        return Neighborhoods(rows, self.widths, manhattan=self.manhattan, kept=kept)

    def itself(self, x: Tensor) -> Tensor:
        """Find the fixed row that each row is.

        Parameters
        ----------
        x : Tensor of shape (n_samples, width)
            Rows.

        Returns
        -------
        Tensor of shape (n_samples,), int64
            The fixed row that it equals but for rounding, -1 for none.
        """
        distances, where = torch.cdist(x.detach(), self.rows, p=1.0).min(dim=1)
        size = x.detach().abs().sum(dim=1)
        return torch.where(distances <= _ROUNDING * size, where, -1)

    def _nearest(self, distances: Tensor, own: Tensor) -> Tensor:
        """Choose the smallest of each row but its own, in order."""
        (ours,) = torch.nonzero(own >= 0, as_tuple=True)
        distances[ours, own[ours]] = torch.inf
        if self.barred is not None:
            distances = distances.masked_fill_(self.barred, torch.inf)
        if distances.device.type == "cpu" and not distances.requires_grad:
            # Some hundred numbers are sorted faster than the smallest of them are chosen.
            distances.numpy().sort(axis=1)
            return distances[:, : max(self.counts)]
        return distances.topk(max(self.counts), dim=1, largest=False).values

    def means(self, nearest: Tensor) -> Tensor:
        """Average over each neighbourhood.

        Parameters
        ----------
        nearest : Tensor of shape (n_samples, n_nearest)
            Distances to the nearest fixed rows, the smallest first.

        Returns
        -------
        Tensor of shape (n_widths, n_samples)
            Of each neighbourhood.
        """
        return torch.stack([nearest[:, :count].mean(dim=1) for count in self.counts])


def _count(width: float, n_serving: int) -> int:
    return width if isinstance(width, int) else max(_FEWEST, round(width * n_serving))
