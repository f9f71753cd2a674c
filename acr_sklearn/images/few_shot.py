"""Segmentation by residuals to the feature maps of a few normal images of a product."""

from __future__ import annotations

import copy
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted

from acr_sklearn._input.batch_checks import without_advice
from acr_sklearn._input.parameters import (
    RealInterval,
    are_counts,
    check_numbers,
    plain_numbers,
)
from acr_sklearn.detectors.resad import ResADDetector
from acr_sklearn.images.map_scores import MapScoresMixin
from acr_sklearn.images.patch_training import (
    PATCH_OUTLIERS,
    OutlierBank,
    PatchTraining,
    training_domains,
    warn_small_training,
)
from acr_sklearn.images.patches import (
    pool_maps,
    read_maps,
    read_products,
    region_rows,
    regions_of,
)
from acr_sklearn.persistence.estimators import FileStorage

__all__ = ["FewShotSegmenter"]


class FewShotSegmenter(MapScoresMixin, FileStorage, BaseEstimator):
    """Find defects, and where they are, in images of a product of which a few are known normal.

    The images are given as feature maps of a frozen network, see `FeatureExtractor`. What they show
    at a position is held against what the reference images show in the same region of the map:
    `ResADDetector`, trained on other products, scores the residuals [1]_. Images are scored one by
    one.

    Parameters
    ----------
    detector : ResADDetector or None, default=None
        Copies of it are trained, one per level. None takes it as it is.
    levels : sequence of int or None, default=None
        Channels of each level, in the order of the maps, such as those of the extractor's layers:
        each is scored by itself and the scores are summed. None takes all channels as one level.
    regions : {"position", "neighborhood", "pooled"}, default="position"
        Where references of a position are taken from: the same position, a block of positions, or
        everywhere, as in the paper.
    region_size : int, default=2
        Side of a block in positions.
    pooling : int, default=1
        Side of the square of positions over which feature maps are averaged: 1, 3, 5 or 7.
    outliers : {"mixed", "noise", "positions", "surfaces", "detector"}, default="mixed"
        Of what the anomalies of training are, see `ZeroShotSegmenter`; "detector" leaves them to
        its `outlier_source`.
    domains_per_product : int, default=4
        Regions of each training product that are trained on, drawn at random.
    max_rows : int, default=512
        Rows of each such region.
    sigma : float, default=4.0
        Standard deviation in pixels of the smoothing of the maps, at most 10,000.
    random_state : int, RandomState or None, default=None
        Decides what is drawn in training; handed on to the detector, unless that has its own.

    Attributes
    ----------
    detectors_ : list of ResADDetector
        The fitted detector of each level.
    references_ : ndarray of shape (n_references, channels, height, width) or None
        What `adapt` was given.
    n_channels_ : int
        Channels of the feature maps.

    See Also
    --------
    ZeroShotSegmenter : For batches of unlabelled images, without references.
    FeatureExtractor : Feature maps of images.

    References
    ----------
    .. [1] X. Yao, Z. Chen, C. Gao, G. Zhai, C. Zhang, "ResAD: A Simple Framework for Class
       Generalizable Anomaly Detection", NeurIPS 2024, arXiv:2410.20047.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn import FewShotSegmenter, ResADDetector
    >>> rng = np.random.default_rng(0)
    >>> products = [rng.normal(rng.normal(0, 3, (6, 1, 1)), 1, (24, 6, 4, 4)) for _ in range(8)]
    >>> quick = ResADDetector(max_iter=5, random_state=0)
    >>> segmenter = FewShotSegmenter(detector=quick, levels=(2, 4)).fit(products[:7])
    >>> live = segmenter.adapt(products[7][:4])
    >>> live.anomaly_maps(products[7][4:], image_size=(16, 16)).shape
    (20, 16, 16)
    """

    n_channels_: Any

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "detector": [HasMethods(["fit", "adapt", "score_samples"]), None],
        "levels": ["array-like", None],
        "regions": [StrOptions({"position", "neighborhood", "pooled"})],
        "region_size": [Interval(Integral, 1, None, closed="left")],
        "pooling": [Options(Integral, {1, 3, 5, 7})],
        "outliers": [StrOptions({"detector", *PATCH_OUTLIERS})],
        "domains_per_product": [Interval(Integral, 1, None, closed="left")],
        "max_rows": [Interval(Integral, 2, None, closed="left")],
        "sigma": [RealInterval(0, 1e4, closed="both")],
        "random_state": ["random_state"],
    }

    references_: NDArray[Any] | None

    def __init__(
        self,
        *,
        detector: Any = None,
        levels: Any = None,
        regions: str = "position",
        region_size: int = 2,
        pooling: int = 1,
        outliers: str = "mixed",
        domains_per_product: int = 4,
        max_rows: int = 512,
        sigma: float = 4.0,
        random_state: Any = None,
    ):
        self.detector = detector
        self.levels = levels
        self.regions = regions
        self.region_size = region_size
        self.pooling = pooling
        self.outliers = outliers
        self.domains_per_product = domains_per_product
        self.max_rows = max_rows
        self.sigma = sigma
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on the feature maps of normal images.

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
            For fewer than 2 products, levels that are not the channels of the maps, and maps that
            cannot be trained on.

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
        n_channels = products[0].shape[1]
        self._counts = self._level_counts(n_channels)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        plan = PatchTraining(
            settings.regions,
            settings.region_size,
            settings.pooling,
            None,
            settings.outliers,
            settings.domains_per_product,
            settings.max_rows,
        )
        # Drawn once, so that all levels see the same positions.
        domains, outliers = training_domains(products, plan, np.random.default_rng(seed))
        detector = ResADDetector() if self.detector is None else self.detector
        warn_small_training(products, domains, plan, detector, who=who)
        self.detectors_: list[Any] = []
        for level in _slices(self._counts):
            detector = clone(detector)
            source = detector.outlier_source
            if settings.outliers != "detector":
                bank = OutlierBank([rows[:, level] for rows in outliers])
                detector.set_params(outlier_source=bank)
            if detector.random_state is None:
                detector.set_params(random_state=seed)
            with without_advice():  # said above in the words of images
                detector.fit([rows[:, level] for rows in domains])
            # The bank has served, and would weigh in every copy and pickle.
            self.detectors_.append(detector.set_params(outlier_source=source))
        self.n_channels_, self.references_ = n_channels, None
        return self

    def _settings(self) -> Self:
        """Check the parameters, which may be set after fit, and make plain numbers of them."""
        self._validate_params()
        check_numbers(self)
        return plain_numbers(self)

    def _level_counts(self, n_channels: int) -> list[int]:
        counts = [n_channels] if self.levels is None else self.levels
        if not are_counts(counts) or sum(map(int, counts)) != n_channels:
            raise ValueError(
                f"{type(self).__name__}.fit got levels={self.levels!r} for maps of {n_channels} "
                "channels. It needs the channels of each level, whole numbers that add up to as "
                "many, or None."
            )
        return [int(count) for count in counts]

    def adapt(self, X_ref: Any) -> Self:
        """Hold reference images of a new product, to score images of it from now on.

        Parameters
        ----------
        X_ref : array-like of shape (n_images, channels, height, width)
            Feature maps of normal images of the product: 2, 4, 8 or more, if need be one.

        Returns
        -------
        segmenter : FewShotSegmenter
            A copy with the same parameters; the segmenter stays as it is.

        Raises
        ------
        ValueError
            For other channels than in fit, or values that are not finite.
        """
        maps = self._read(X_ref, "adapt")
        live = copy.copy(self)
        live.references_ = maps
        return live

    def patch_scores(self, X: Any) -> NDArray[np.float64]:
        """Score every position of every image.

        Parameters
        ----------
        X : array-like of shape (n_images, channels, height, width)
            Feature maps of the product whose references are held, one image or more.

        Returns
        -------
        ndarray of shape (n_images, height, width), float64
            High = abnormal.

        Raises
        ------
        ValueError
            For other channels than in fit, another size than the references', or values that are
            not finite.
        sklearn.exceptions.NotFittedError
            Before `adapt`.
        """
        return self._score_positions(X, "patch_scores")

    def _score_positions(self, X: Any, method: str) -> NDArray[np.float64]:
        maps = self._read(X, method)
        who, settings = f"{type(self).__name__}.{method}", self._settings()
        if self.references_ is None:
            raise NotFittedError(
                f"{who} got no reference images. Call adapt with normal images of the product, "
                "and score with what it returns."
            )
        height, width = maps.shape[2:]
        if (height, width) != self.references_.shape[2:]:
            raise ValueError(
                f"{who} got maps of {(height, width)} positions, but its references have "
                f"{self.references_.shape[2:]}. Extract all from images of one size."
            )
        pooled = [pool_maps(part, settings.pooling) for part in (self.references_, maps)]
        scores = np.zeros((height * width, len(maps)))
        for region in regions_of(height, width, settings.regions, settings.region_size):
            references, rows = (region_rows(part, region).flatten(0, 1).numpy() for part in pooled)
            for detector, level in zip(self.detectors_, _slices(self._counts), strict=True):
                own = detector.adapt(references[:, level]).score_samples(rows[:, level])
                scores[region] -= own.reshape(len(region), -1)
        return scores.T.reshape(len(maps), height, width)

    def _read(self, X: Any, method: str) -> NDArray[Any]:
        check_is_fitted(self)
        self._settings()
        who = f"{type(self).__name__}.{method}"
        maps = read_maps(X, who=who, least=1)
        if maps.shape[1] != self.n_channels_:
            raise ValueError(
                f"{who} got maps of {maps.shape[1]} channels, but was fitted on "
                f"{self.n_channels_}. Extract them with the same layers."
            )
        return maps


def _slices(counts: list[int]) -> list[slice]:
    """Channels of each level."""
    ends = np.cumsum(counts).tolist()
    return [slice(end - n, end) for end, n in zip(ends, counts, strict=True)]
