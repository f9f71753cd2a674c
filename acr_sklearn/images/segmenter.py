"""Segmentation on frozen features: feature maps of a product in, anomaly maps out."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted

from acr_sklearn._input.batch_checks import without_advice
from acr_sklearn._input.callers import users_stacklevel
from acr_sklearn._input.parameters import RealInterval, check_numbers, plain_numbers
from acr_sklearn.detectors.acr import ZeroShotACRDetector
from acr_sklearn.detectors.parts import MLPBackbone
from acr_sklearn.exceptions import SmallBatchWarning
from acr_sklearn.images.map_scores import MapScoresMixin
from acr_sklearn.images.patch_training import (
    PATCH_OUTLIERS,
    OutlierBank,
    PatchTraining,
    training_domains,
    warn_small_training,
)
from acr_sklearn.images.patch_whitening import Whitening, fit_whitening, log_lengths
from acr_sklearn.images.patches import (
    centred_by_region,
    compressed,
    in_parts,
    pool_maps,
    read_maps,
    read_products,
    region_rows,
    regions_of,
)
from acr_sklearn.persistence.estimators import FileStorage

__all__ = ["ZeroShotSegmenter"]

#: Images below which what is normal at one position is uncertain.
_FEW_IMAGES = 16


class ZeroShotSegmenter(MapScoresMixin, FileStorage, BaseEstimator):
    """Find defects, and where they are, in unlabelled images of a product never seen.

    The images are given as feature maps of a frozen network, see `FeatureExtractor`. A detector is
    meta-trained on the normal maps of many products (or surfaces): one domain is what all images
    of a product show at one position [1]_. A batch of images of a new product, most of them
    normal, is then scored position by position, with no refit and no normal reference.

    Parameters
    ----------
    detector : ZeroShotACRDetector or None, default=None
        A copy of it is trained; its `outlier_source` is replaced. None takes one for patches.
    regions : {"position", "neighborhood", "pooled"}, default="position"
        Which rows are one domain: all images at one position, as in the paper, at a block of
        positions, or everywhere. "position" is for images that are aligned, or periodic.
    region_size : int, default=2
        Side of a block in positions.
    pooling : int, default=3
        Side of the square of positions over which feature maps are averaged for the detector: 1,
        3, 5 or 7. Lengths are of the maps as they are, so that edges of defects stay sharp.
    whiten : bool, default=True
        Whether the rows of each region are whitened by their own covariance before the detector:
        a small change along a direction in which a product hardly varies is then a large one.
    shrinkage : float, default=0.6
        Weight in (0, 1] of the covariance that all regions of a product have in common.
    distance_weight : float, default=0.5
        Weight in [0, 1] of the logarithm of the whitened row's length (the score of a Gaussian
        fitted on the rest of the batch) beside the detector's score, both less the median of
        their region and in units of their spread over the batch; of the detector's, what is above
        0 counts by the logarithm of 1 more than it. 0 with ``whiten=False``.
    outliers : {"mixed", "noise", "positions", "surfaces", "detector"}, default="mixed"
        Of what the outliers of training tasks are: noise on features, a pull towards what another
        position of the product shows, or towards another product; "mixed" has as many of each;
        "detector" leaves them to the detector's own `outlier_source`.
    domains_per_product : int, default=4
        Regions of each training product that are trained on, drawn at random.
    max_rows : int, default=512
        Rows of each such region.
    sigma : float, default=4.0
        Standard deviation in pixels of the smoothing of the maps, at most 10,000.
    max_batch_rows : int, default=65536
        Rows in memory at a time. A region of more rows is scored in several parts, each with every
        image at evenly spaced positions.
    random_state : int, RandomState or None, default=None
        Decides what is drawn in training; handed on to the detector, unless that has its own.

    Attributes
    ----------
    detector_ : ZeroShotACRDetector
        The fitted detector.
    n_channels_ : int
        Channels of the feature maps.

    See Also
    --------
    FeatureExtractor : Feature maps of images.
    segmentation_scores : How good the maps are.

    References
    ----------
    .. [1] A. Li, C. Qiu, M. Kloft, P. Smyth, M. Rudolph, S. Mandt, "Zero-Shot Anomaly Detection via
       Batch Normalization", NeurIPS 2023, arXiv:2302.07849, section 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn import ZeroShotACRDetector, ZeroShotSegmenter
    >>> rng = np.random.default_rng(0)
    >>> products = [rng.normal(rng.normal(0, 3, (6, 4, 4)), 1, (24, 6, 4, 4)) for _ in range(8)]
    >>> quick = ZeroShotACRDetector(max_iter=5, random_state=0)
    >>> segmenter = ZeroShotSegmenter(detector=quick, random_state=0).fit(products[:7])
    >>> segmenter.anomaly_maps(products[7], image_size=(16, 16)).shape
    (24, 16, 16)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "detector": [HasMethods(["fit", "score_samples"]), None],
        "regions": [StrOptions({"position", "neighborhood", "pooled"})],
        "region_size": [Interval(Integral, 1, None, closed="left")],
        "pooling": [Options(Integral, {1, 3, 5, 7})],
        "whiten": ["boolean"],
        "shrinkage": [RealInterval(0, 1, closed="right")],
        "distance_weight": [RealInterval(0, 1, closed="both")],
        "outliers": [StrOptions({"detector", *PATCH_OUTLIERS})],
        "domains_per_product": [Interval(Integral, 1, None, closed="left")],
        "max_rows": [Interval(Integral, 2, None, closed="left")],
        "sigma": [RealInterval(0, 1e4, closed="both")],
        "max_batch_rows": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        detector: Any = None,
        regions: str = "position",
        region_size: int = 2,
        pooling: int = 3,
        whiten: bool = True,
        shrinkage: float = 0.6,
        distance_weight: float = 0.5,
        outliers: str = "mixed",
        domains_per_product: int = 4,
        max_rows: int = 512,
        sigma: float = 4.0,
        max_batch_rows: int = 65536,
        random_state: Any = None,
    ):
        self.detector = detector
        self.regions = regions
        self.region_size = region_size
        self.pooling = pooling
        self.whiten = whiten
        self.shrinkage = shrinkage
        self.distance_weight = distance_weight
        self.outliers = outliers
        self.domains_per_product = domains_per_product
        self.max_rows = max_rows
        self.sigma = sigma
        self.max_batch_rows = max_batch_rows
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Meta-train on the feature maps of normal images.

        Parameters
        ----------
        X : list of array-like of shape (n_images, channels, height, width)
            One array or memory map per product, all with the same channels.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : object
            Fitted segmenter.

        Raises
        ------
        ValueError
            For fewer than 2 products, and for maps that cannot be trained on.

        Warns
        -----
        SmallDomainWarning
            For products of which a region has fewer than 16 rows.
        EarlyStoppingWarning
            For fewer than 4 regions of all products together, too few to hold any out.
        """
        settings = self._settings()
        who = f"{type(self).__name__}.fit"
        products = read_products(X, who=who)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        plan = PatchTraining(
            settings.regions,
            settings.region_size,
            settings.pooling,
            settings.shrinkage if settings.whiten else None,
            settings.outliers,
            settings.domains_per_product,
            settings.max_rows,
        )
        domains, outliers = training_domains(products, plan, np.random.default_rng(seed))
        detector = _patch_detector() if self.detector is None else clone(self.detector)
        source = detector.outlier_source
        if self.outliers != "detector":
            detector.set_params(outlier_source=OutlierBank(outliers))
        if detector.random_state is None:
            detector.set_params(random_state=seed)
        warn_small_training(products, domains, plan, detector, who=who)
        with without_advice():  # said above in the words of images
            detector.fit(domains)
        # The bank has served, and would weigh in every copy and pickle.
        self.detector_: Any = detector.set_params(outlier_source=source)
        self.n_channels_: Any = products[0].shape[1]
        return self

    def _settings(self) -> Self:
        """Check the parameters, which may be set after fit, and make plain numbers of them."""
        self._validate_params()
        check_numbers(self)
        return plain_numbers(self)

    def patch_scores(self, X: Any) -> NDArray[np.float64]:
        """Score every position of every image.

        Parameters
        ----------
        X : array-like of shape (n_images, channels, height, width)
            Feature maps of one product: one batch, most of it normal.

        Returns
        -------
        ndarray of shape (n_images, height, width), float64
            High = abnormal.

        Raises
        ------
        ValueError
            For a single image, other channels than in fit, or values that are not finite.

        Warns
        -----
        SmallBatchWarning
            For fewer than 16 images with ``regions="position"``.
        """
        return self._score_positions(X, "patch_scores")

    def _score_positions(self, X: Any, method: str) -> NDArray[np.float64]:
        check_is_fitted(self)
        settings = self._settings()
        who = f"{type(self).__name__}.{method}"
        maps = read_maps(X, who=who)
        if maps.shape[1] != self.n_channels_:
            raise ValueError(
                f"{who} got maps of {maps.shape[1]} channels, but was fitted on "
                f"{self.n_channels_}. Extract them with the same layers."
            )
        if settings.regions == "position" and len(maps) < _FEW_IMAGES:
            warnings.warn(
                f"{who} got {len(maps)} images: a position is compared with the same position of "
                f"the others, and fewer than {_FEW_IMAGES} say little about what is normal there. "
                "Score more images together, or use regions='pooled'.",
                SmallBatchWarning,
                stacklevel=users_stacklevel(),
            )
        n_images, _, height, width = maps.shape
        regions = regions_of(height, width, settings.regions, settings.region_size)
        parts = in_parts(regions, n_images, settings.max_batch_rows)
        pooled = pool_maps(maps, settings.pooling)
        whitening = fit_whitening(pooled, settings.shrinkage) if settings.whiten else None
        learnt = np.empty((height * width, n_images))
        for part in parts:
            for positions, own in zip(part, self._learnt(pooled, part, whitening), strict=True):
                learnt[positions] = own
        combined = compressed(centred_by_region(learnt, regions))
        if settings.whiten and settings.distance_weight > 0:
            lengths = log_lengths(maps, parts, settings.shrinkage)
            combined *= 1 - settings.distance_weight
            combined += settings.distance_weight * centred_by_region(lengths, regions)
        return combined.T.reshape(n_images, height, width)

    def _learnt(
        self, maps: NDArray[Any], part: list[NDArray[np.int64]], whitening: Whitening | None
    ) -> list[NDArray[np.float64]]:
        """Detector's scores, of shape (n_positions, n_images) per region."""
        rows = region_rows(maps, np.concatenate(part)).split([len(region) for region in part])
        flat = [own.flatten(0, 1) for own in rows]
        if whitening is not None:
            flat = whitening.whiten_each(flat)
        sizes = [len(own) for own in flat]
        index, stacked = np.repeat(np.arange(len(flat)), sizes), torch.cat(flat)
        # Said once by patch_scores; and some of thousands of positions look odd by chance.
        with without_advice():
            scores = -self.detector_.score_samples(stacked.numpy(), domains=index)
        return [s.reshape(-1, len(maps)) for s in np.split(scores, np.cumsum(sizes)[:-1])]


def _patch_detector() -> ZeroShotACRDetector:
    """Make the detector for patches: many small domains, whitened before."""
    return ZeroShotACRDetector(
        n_tasks=32,
        task_size=64,
        # What the figures for surfaces were measured with.
        score_head="combined",
        backbone=MLPBackbone(whiten_features=False),
    )
