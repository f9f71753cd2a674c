"""Training domains of a segmenter: regions of products, with outliers beside them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acr_sklearn._input.batch_checks import SMALL_DOMAIN
from acr_sklearn._input.callers import users_stacklevel
from acr_sklearn.detectors.parts import FEWEST_TO_HOLD_OUT
from acr_sklearn.exceptions import EarlyStoppingWarning, SmallDomainWarning
from acr_sklearn.images.patch_whitening import fit_whitening
from acr_sklearn.images.patches import pool_maps, region_rows, regions_of

__all__ = [
    "PATCH_OUTLIERS",
    "OutlierBank",
    "PatchTraining",
    "make_patch_outliers",
    "training_domains",
    "warn_small_training",
]

#: Rows, of all products together, that outliers are pulled towards; outliers kept of a domain.
_FOREIGN_ROWS, _OUTLIERS = 4096, 128

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class PatchTraining:
    """What is drawn from each product.

    Attributes
    ----------
    regions : {"position", "neighborhood", "pooled"}
        Which rows are one domain.
    region_size : int
        Side of a neighborhood.
    pooling : int
        Side of the square over which maps are averaged first.
    shrinkage : float or None
        Of the whitening; None for no whitening.
    outliers : {"mixed", "noise", "positions", "surfaces"}
        How outliers are made.
    n_regions, max_rows : int
        Regions of each product, and rows of each region.
    """

    regions: str
    region_size: int
    pooling: int
    shrinkage: float | None
    outliers: str
    n_regions: int
    max_rows: int


def training_domains(
    products: list[NDArray[Any]], plan: PatchTraining, rng: np.random.Generator
) -> tuple[list[Rows], list[Rows]]:
    """Draw the training domains of all products.

    Parameters
    ----------
    products : list of ndarray of shape (n_images, channels, height, width)
        Feature maps of normal images.
    plan : PatchTraining
        What to draw.
    rng : numpy.random.Generator
        Decides all.

    Returns
    -------
    domains : list of ndarray of shape (n_samples, channels), float32
        Normal rows as the detector sees them.
    outliers : list of ndarray of shape (n_outliers, channels), float32
        Of each domain.
    """
    foreign = [_sample_rows(maps, max(1, _FOREIGN_ROWS // len(products)), rng) for maps in products]
    domains, outliers = [], []
    for number, unpooled in enumerate(products):
        maps = pool_maps(unpooled, plan.pooling)
        others = torch.cat(foreign[:number] + foreign[number + 1 :])
        regions = regions_of(maps.shape[2], maps.shape[3], plan.regions, plan.region_size)
        chosen = rng.choice(len(regions), min(plan.n_regions, len(regions)), replace=False)
        whitening = None if plan.shrinkage is None else fit_whitening(maps, plan.shrinkage)
        # Made together: the positions of all chosen regions are pulled towards one another.
        rows = [region_rows(maps, regions[i]) for i in chosen]
        kind = "mixed" if plan.outliers == "detector" else plan.outliers
        made = make_patch_outliers(torch.cat(rows), others, kind, rng)
        for own, bad in zip(rows, made.split([len(r) for r in rows]), strict=True):
            normal, outlier = own.flatten(0, 1)[None], bad.flatten(0, 1)[None]
            few = torch.from_numpy(rng.permutation(outlier.shape[1])[:_OUTLIERS])
            outlier = outlier[:, few]
            if whitening is not None:
                normal, outlier = whitening.whiten(normal), whitening.whiten(normal, outlier)
            kept = rng.permutation(normal.shape[1])[: plan.max_rows]
            domains.append(normal[0].numpy()[kept])
            outliers.append(outlier[0].numpy().copy())
    return domains, outliers


def warn_small_training(
    products: list[NDArray[Any]],
    domains: list[Rows],
    plan: PatchTraining,
    detector: Any,
    *,
    who: str,
) -> None:
    """Say in the words of images what the detector would say of few rows and few domains.

    Parameters
    ----------
    products : list of ndarray of shape (n_images, channels, height, width)
        Feature maps of normal images.
    domains : list of ndarray of shape (n_samples, channels)
        What was drawn from them by `training_domains`.
    plan : PatchTraining
        What was to be drawn.
    detector : object
        What is to be trained; its `early_stopping` is looked at.
    who : str
        For the messages.

    Warns
    -----
    SmallDomainWarning
        Naming the products of which a region has fewer than 16 rows.
    EarlyStoppingWarning
        When there are too few regions to hold any out.
    """
    sizes = [
        len(regions_of(maps.shape[2], maps.shape[3], plan.regions, plan.region_size))
        for maps in products
    ]
    numbers = np.repeat(np.arange(len(products)), np.minimum(plan.n_regions, sizes))
    pairs = zip(numbers.tolist(), domains, strict=True)
    small = {number: len(rows) for number, rows in pairs if len(rows) < SMALL_DOMAIN}
    if small:
        shown = ", ".join(f"{number} ({n} rows)" for number, n in list(small.items())[:5])
        more = f" and {len(small) - 5} more" if len(small) > 5 else ""
        warnings.warn(
            f"{who} got products that have fewer than {SMALL_DOMAIN} rows in a region, one per "
            f"image and position: {shown}{more}. Little is learnt from so few. Give more images of "
            "each product, a larger max_rows, or wider regions (regions='pooled').",
            SmallDomainWarning,
            stacklevel=users_stacklevel(),
        )
    if getattr(detector, "early_stopping", False) and len(domains) < FEWEST_TO_HOLD_OUT:
        warnings.warn(
            f"{who} draws {len(domains)} regions from {len(products)} products; early stopping of "
            f"its {type(detector).__name__} holds some out and needs at least "
            f"{FEWEST_TO_HOLD_OUT}, so it is off and all steps are run. Give more products, a "
            "larger domains_per_product, or a detector with early_stopping=False.",
            EarlyStoppingWarning,
            stacklevel=users_stacklevel(),
        )


def _sample_rows(maps: NDArray[Any], n: int, rng: np.random.Generator) -> Tensor:
    """Rows of a product at random positions, shape (n, channels)."""
    n_images, _, height, width = maps.shape
    image, y, x = (rng.integers(size, size=n) for size in (n_images, height, width))
    return torch.from_numpy(np.asarray(maps[image, :, y, x], np.float32))


PATCH_OUTLIERS = ("mixed", "noise", "positions", "surfaces")
#: Least and largest part of the way, or multiple of the spread of a position's rows.
_STRENGTH = (0.05, 0.6)


def make_patch_outliers(
    rows: Tensor, foreign: Tensor, kind: str, rng: np.random.Generator
) -> Tensor:
    """Make one outlier from every row of some positions of a product.

    Parameters
    ----------
    rows : Tensor of shape (n_positions, n_rows, channels)
        Normal rows.
    foreign : Tensor of shape (n_foreign, channels)
        Rows of other products.
    kind : {"mixed", "noise", "positions", "surfaces"}
        Gaussian noise, a pull towards a row of any of these positions, or towards one of another
        product; "mixed" has as many of each.
    rng : numpy.random.Generator
        Decides all.

    Returns
    -------
    Tensor of the shape of `rows`
        Outliers of each position, in its units.
    """
    n_positions, n_rows, _ = rows.shape
    shape = (n_positions, n_rows, 1)
    kinds = PATCH_OUTLIERS[1:]
    chosen = torch.from_numpy(
        rng.integers(3, size=shape)
        if kind == "mixed"
        else np.full(shape, kinds.index(kind), dtype=np.int64)
    )
    spread = rows.std(dim=1, keepdim=True)
    noise = torch.from_numpy(rng.standard_normal(rows.shape, dtype=np.float32)) * spread
    position = torch.from_numpy(rng.integers(n_positions, size=shape[:2]))
    image = torch.from_numpy(rng.integers(n_rows, size=shape[:2]))
    other = foreign[torch.from_numpy(rng.integers(len(foreign), size=shape[:2]))]
    pull = torch.where(chosen == 1, rows[position, image], other) - rows
    strength = torch.from_numpy(rng.uniform(*_STRENGTH, size=shape).astype(np.float32))
    return rows + strength * torch.where(chosen == 0, noise, pull)


class OutlierBank:
    """Outliers made beforehand, an `OutlierSource`.

    Parameters
    ----------
    outliers : list of ndarray of shape (n_outliers, n_features)
        Of each domain.
    """

    def __init__(self, outliers: list[NDArray[np.float32]]):
        self.outliers = outliers

    def sample(
        self, X: NDArray[Any], domain_index: int, n: int, rng: np.random.Generator
    ) -> NDArray[Any]:
        """Draw outliers of a domain.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Not used: the outliers are there.
        domain_index : int
            Which domain.
        n : int
            How many rows are wanted.
        rng : numpy.random.Generator
            Source of all randomness.

        Returns
        -------
        ndarray of shape (n, n_features)
            Drawn with replacement.
        """
        own = self.outliers[domain_index]
        return own[rng.integers(len(own), size=n)]
