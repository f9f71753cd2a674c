"""Mean distances to near and wide neighbourhoods of a row in its batch, several at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from acr_sklearn.scoring.products import Products, rooted

__all__ = ["Neighborhoods"]

#: Fewest neighbours of a neighbourhood, where the batch has them.
_FEWEST = 5
#: Squared distance by products of matrices, as a fraction of a row's squared length, that is mostly
#: rounding in single precision: such rows are measured anew, by differences.
_NOTHING = 1e-5
#: Differences from neighbours, coordinate by coordinate, that are held at a time.
_MOST_DIFFERENCES = 2**21
_DIFFERENCES = "donot_use_mm_for_euclid_dist"


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
    central : bool, default=False
        Whether rows lie around the origin, about as far from it as from one another, so that
        `measure` need not centre them first.
    """

    manhattan: bool
    widths: tuple[float, ...]

    rows: Tensor
    barred: Tensor | None
    center: Tensor
    twice: Tensor
    squares: Tensor
    constant: Tensor | None

    def __init__(
        self,
        rows: Tensor,
        widths: tuple[int | float, ...],
        *,
        manhattan: bool = False,
        kept: Tensor | None = None,
        central: bool = False,
    ):
        super().__init__()
        self.register_buffer("rows", rows)
        self.widths, self.manhattan = widths, manhattan
        self.register_buffer("barred", None if kept is None or bool(kept.all()) else ~kept)
        n_serving = len(rows) if kept is None else int(kept.sum())
        # One of the rows that may serve is the row itself.
        most = max(n_serving - 1, 1)
        self.counts: tuple[int, ...] = tuple(min(_count(width, most), most) for width in widths)
        if not manhattan:
            # Around a gross row that is no neighbour the others would have no digits left.
            serving = rows if kept is None else _without_barred(rows, kept)
            products = Products.of(serving)
            for name in ("center", "twice", "squares"):
                self.register_buffer(name, getattr(products, name))
            if self.barred is not None:
                self.squares[0, self.barred] = torch.inf
            # (x - c).twice + |r - c|^2 = x.twice + (|r - c|^2 - c.twice).
            constant = self.squares - self.center @ self.twice if central else None
            self.register_buffer("constant", constant)

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
        # Nothing in place, and no choice of rows: it has a gradient and torch.vmap maps it.
        ranks = self._ranks(x).masked_fill(self._none(own), torch.inf)
        nearest = ranks.topk(max(self.counts), dim=1, largest=False).values
        return self.means(nearest if self.manhattan else self._products().root(nearest, x))

    def measure(self, x: Tensor, own: Tensor) -> Tensor:
        """Measure many rows without gradient, faster than `forward`.

        Parameters
        ----------
        x : Tensor of shape (n_samples, width)
            As in `forward`.
        own : Tensor of shape (n_samples,), int64
            As in `forward`.

        Returns
        -------
        Tensor of shape (n_widths, n_samples)
            What `forward` returns; rows that coincide are at no distance in single precision too.
        """
        if self.manhattan:
            return self.means(self._nearest(self._ranks(x), own))
        if self.constant is None:
            nearest, squares = self._ranks(x), (x - self.center).square().sum(dim=1)
        else:
            nearest, center = torch.addmm(self.constant, x, self.twice), self.center[0]
            # |x - c|^2 = |x|^2 - 2 x.c + |c|^2: no pass that writes.
            squares = torch.linalg.vector_norm(x, dim=1).square_()
            squares.addmv_(x, center, alpha=-2).add_(center @ center)
        nearest = rooted(self._nearest(nearest, own), squares[:, None])
        if x.dtype == torch.float32:
            (at,) = torch.nonzero(nearest[:, 0].square() <= _NOTHING * squares, as_tuple=True)
            if len(at):
                apart = torch.cdist(x[at], self.rows, compute_mode=_DIFFERENCES)
                if self.barred is not None:
                    apart.masked_fill_(self.barred, torch.inf)
                nearest[at] = self._nearest(apart, own[at])
        return self.means(nearest)

    def contributions(self, x: Tensor, own: Tensor) -> Tensor:
        """Take the distances apart by coordinate.

        Parameters
        ----------
        x : Tensor of shape (n_samples, width)
            As in `forward`.
        own : Tensor of shape (n_samples,), int64
            As in `forward`.

        Returns
        -------
        Tensor of shape (n_widths, n_samples, width)
            Summed over the coordinates what `forward` returns: of a sum of absolute differences
            its terms, of a Euclidean distance the squares over their root.
        """
        ranks = self._ranks(x).masked_fill(self._none(own), torch.inf)
        nearest = ranks.topk(max(self.counts), dim=1, largest=False, sorted=True).indices
        step = max(1, _MOST_DIFFERENCES // (max(self.counts) * x.shape[1]))
        parts = []
        for some, where in zip(x.split(step), nearest.split(step), strict=True):
            apart = some[:, None] - self.rows[where]
            if self.manhattan:
                apart.abs_()
            else:
                apart.square_()
                root = apart.sum(dim=-1, keepdim=True).sqrt_()
                apart.div_(torch.where(root > 0, root, 1.0))
            parts.append(torch.stack([apart[:, :count].mean(dim=1) for count in self.counts]))
        return torch.cat(parts, dim=1)

    def moved(self, rows: Tensor, *, central: bool = False) -> Neighborhoods:
        """Give the same neighbourhoods for the same fixed rows in other coordinates.

        Parameters
        ----------
        rows : Tensor of shape (n_references, width)
            The fixed rows there.
        central : bool, default=False
            Whether rows lie around the origin there.

        Returns
        -------
        Neighborhoods
            A copy.
        """
        kept = None if self.barred is None else ~self.barred
        return Neighborhoods(
            rows, self.widths, manhattan=self.manhattan, kept=kept, central=central
        )

    def _products(self) -> Products:
        return Products(self.center, self.twice, self.squares)

    def _ranks(self, x: Tensor) -> Tensor:
        """Distances to all fixed rows, or what ranks as they do."""
        if self.manhattan:
            return torch.cdist(x, self.rows, p=1.0)
        return self._products().lacking_own_square(x)

    def _none(self, own: Tensor) -> Tensor:
        """Mark, for each row, the fixed rows that are no neighbours of it."""
        itself = own[:, None] == torch.arange(len(self.rows), device=own.device)
        return itself if self.barred is None else itself | self.barred

    def _nearest(self, distances: Tensor, own: Tensor) -> Tensor:
        """Choose the smallest of each row, in order; the distances are written over."""
        if self.manhattan and self.barred is not None:
            distances.masked_fill_(self.barred, torch.inf)
        # Few rows of a large batch are among the fixed ones: no mask of all pairs.
        (at,) = torch.nonzero(own >= 0, as_tuple=True)
        distances[at, own[at]] = torch.inf
        if distances.device.type == "cpu":
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


def _without_barred(rows: Tensor, kept: Tensor) -> Tensor:
    """Put the mean of the kept rows in the place of the others."""
    return torch.where(kept[:, None], rows, rows[kept].mean(dim=0)) if kept.any() else rows


def _count(width: float, n_serving: int) -> int:
    return width if isinstance(width, int) else max(_FEWEST, round(width * n_serving))
