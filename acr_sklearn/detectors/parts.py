"""Configured choices of a detector's parts: what goes beyond a name, searchable and cloneable."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from acr_sklearn._input.parameters import RealInterval
from acr_sklearn.networks.neural_transformation import TRANSFORMATIONS

__all__ = [
    "FEWEST_TO_HOLD_OUT",
    "ConvBackbone",
    "HeldOutDomains",
    "MLPBackbone",
    "NeuralTransformation",
]

#: Training domains below which none is held out.
FEWEST_TO_HOLD_OUT = 4


class MLPBackbone(BaseEstimator):
    """Fully connected network, of the detector's `hidden_layer_sizes`.

    Parameters
    ----------
    whiten_features : bool, default=True
        Whether the network sees beside the features the same whitened by the covariance that
        domains have in common, so that broken dependence between features is in sight. Not done
        with `permute_features`, nor above 2048 features.

    Examples
    --------
    >>> from acr_sklearn import MLPBackbone, ZeroShotACRDetector
    >>> detector = ZeroShotACRDetector(backbone=MLPBackbone(whiten_features=False))
    >>> detector.get_params()["backbone__whiten_features"]
    False
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"whiten_features": ["boolean"]}

    def __init__(self, *, whiten_features: bool = True):
        self.whiten_features = whiten_features


class ConvBackbone(BaseEstimator):
    """Convolutional network for rows that are images.

    Parameters
    ----------
    input_shape : tuple of int
        Channels, height and width of the image that each row of the 2-D `X` is, such as
        (1, 28, 28).
    channels : array-like of int, default=(64, 64, 64, 64)
        Channels of the layers, each of which halves the image.
    downsampling : {"stride", "maxpool"}, default="stride"
        Whether a stride halves the image, as in the paper's Omniglot network, or pooling, as in
        that for CIFAR.

    Examples
    --------
    >>> from acr_sklearn import ConvBackbone, ZeroShotACRDetector
    >>> detector = ZeroShotACRDetector(backbone=ConvBackbone(input_shape=(1, 28, 28)))
    >>> detector.set_params(backbone__channels=(32, 32)).backbone.channels
    (32, 32)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "input_shape": ["array-like"],
        "channels": ["array-like"],
        "downsampling": [StrOptions({"stride", "maxpool"})],
    }

    def __init__(
        self,
        *,
        input_shape: tuple[int, int, int],
        channels: tuple[int, ...] = (64, 64, 64, 64),
        downsampling: str = "stride",
    ):
        self.input_shape = input_shape
        self.channels = channels
        self.downsampling = downsampling


class NeuralTransformation(BaseEstimator):
    """Objective "ntl": how little learnt transformations of a row agree with it.

    Parameters
    ----------
    n_transformations : int, default=19
        How many.
    kind : {"residual", "feedforward", "multiplicative"}, default="residual"
        Whether such a network returns what is added to the row, the transformed row, or the
        logits of what the row is multiplied by.

    Examples
    --------
    >>> from acr_sklearn import NeuralTransformation, ZeroShotACRDetector
    >>> ZeroShotACRDetector(objective=NeuralTransformation(n_transformations=5)).objective
    NeuralTransformation(n_transformations=5)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        # One transformation has no other one to be told from.
        "n_transformations": [Interval(Integral, 2, None, closed="left")],
        "kind": [StrOptions(set(TRANSFORMATIONS))],
    }

    def __init__(self, *, n_transformations: int = 19, kind: str = "residual"):
        self.n_transformations = n_transformations
        self.kind = kind


class HeldOutDomains(BaseEstimator):
    """Early stopping by domains that are held out from training.

    Parameters
    ----------
    validation_fraction : float, default=0.2
        Fraction of the domains held out, at least one.
    n_iter_no_change : int, default=10
        Evaluations without improvement before stopping; one every ``max(1, max_iter // 50)`` steps.

    Examples
    --------
    >>> from acr_sklearn import HeldOutDomains, ZeroShotACRDetector
    >>> detector = ZeroShotACRDetector(early_stopping=HeldOutDomains(validation_fraction=0.5))
    >>> detector.get_params()["early_stopping__n_iter_no_change"]
    10
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "validation_fraction": [RealInterval(0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, *, validation_fraction: float = 0.2, n_iter_no_change: int = 10):
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
