"""Images, their anomaly maps and their masks, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acr_sklearn._input.numbers import read_numbers
from acr_sklearn._input.parameters import read_count
from acr_sklearn._input.validation import plain_array
from acr_sklearn.plotting.canvas import open_pyplot

__all__ = ["AnomalyMapDisplay"]

#: Inches of one picture.
_SIDE = 1.3
#: Axes of maps and masks, for messages.
_OF_MAPS = "(n_images, height, width)"


class AnomalyMapDisplay:
    """Rows of image, anomaly map and mask.

    Use `from_estimator`, or `from_predictions` with maps that are at hand.

    Parameters
    ----------
    images : array-like of shape (n_images, channels, height, width)
        Colours or grey values, 0 to 255 or 0 to 1.
    maps : array-like of shape (n_images, height, width)
        Anomaly maps, high = abnormal.
    masks : array-like of shape (n_images, height, width) or None, default=None
        True on defects.
    titles : sequence of str or None, default=None
        One per image.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Where it was drawn last.
    axes_ : ndarray of matplotlib.axes.Axes
        Of shape (n_samples, pictures per row).

    Raises
    ------
    ValueError
        For arrays that do not belong together.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from acr_sklearn import AnomalyMapDisplay
    >>> images, maps = np.zeros((4, 3, 8, 8)), np.zeros((4, 8, 8))
    >>> AnomalyMapDisplay.from_predictions(images, maps, n_columns=2).axes_.shape
    (2, 4)
    """

    axes_: Any
    figure_: Any
    masks: Any

    def __init__(
        self,
        images: ArrayLike,
        maps: ArrayLike,
        masks: ArrayLike | None = None,
        titles: Sequence[str] | None = None,
    ):
        who = type(self).__name__
        self.images: NDArray[np.float64] = _colours(images, who)
        self.maps: NDArray[np.float64] = read_numbers(maps, 3, who=who, what="maps", axes=_OF_MAPS)
        self.masks = None
        if masks is not None:
            self.masks: Any = read_numbers(masks, 3, who=who, what="masks", axes=_OF_MAPS) != 0
        self.titles: list[str] | None = None if titles is None else list(titles)
        wanted = self.images.shape[:3]
        for name, value in (("maps", self.maps), ("masks", self.masks)):
            if value is not None and value.shape != wanted:
                raise ValueError(
                    f"{who} got {name} of shape {value.shape} for images that need {wanted}. "
                    "Bring them to the size of the images."
                )
        if self.titles is not None and len(self.titles) != len(self.images):
            raise ValueError(f"{who} got {len(self.titles)} titles for {wanted[0]} images.")

    @classmethod
    def from_estimator(
        cls,
        segmenter: Any,
        X: ArrayLike,
        images: ArrayLike,
        masks: ArrayLike | None = None,
        *,
        titles: Sequence[str] | None = None,
        **plot: Any,
    ) -> Self:
        """Score the feature maps of one product and draw the result.

        Parameters
        ----------
        segmenter : ZeroShotSegmenter or FewShotSegmenter
            Fitted; a FewShotSegmenter after `adapt`.
        X : array-like of shape (n_images, channels, map_height, map_width)
            Feature maps, one batch.
        images : array-like of shape (n_images, channels, height, width)
            The images that they were extracted from.
        masks : array-like of shape (n_images, height, width) or None, default=None
            True on defects.
        titles : sequence of str or None, default=None
            One per image.
        **plot : Any
            Of `plot`.

        Returns
        -------
        AnomalyMapDisplay
            Drawn.
        """
        size = np.asarray(images).shape[-2:]
        return cls(images, segmenter.anomaly_maps(X, size), masks, titles).plot(**plot)

    #: The name of before.
    from_segmenter = from_estimator

    @classmethod
    def from_predictions(
        cls,
        images: ArrayLike,
        maps: ArrayLike,
        masks: ArrayLike | None = None,
        *,
        titles: Sequence[str] | None = None,
        **plot: Any,
    ) -> Self:
        """Draw maps that are at hand.

        Parameters
        ----------
        images : array-like of shape (n_images, channels, height, width)
            Colours or grey values, 0 to 255 or 0 to 1.
        maps : array-like of shape (n_images, height, width)
            Anomaly maps, high = abnormal.
        masks : array-like of shape (n_images, height, width) or None, default=None
            True on defects.
        titles : sequence of str or None, default=None
            One per image.
        **plot : Any
            Of `plot`.

        Returns
        -------
        AnomalyMapDisplay
            Drawn.

        Raises
        ------
        ValueError
            For arrays that do not belong together.
        """
        return cls(images, maps, masks, titles).plot(**plot)

    def plot(
        self,
        *,
        rows: ArrayLike | None = None,
        n_columns: int = 1,
        cmap: str = "inferno",
        figure: Any = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        rows : array-like of int or None, default=None
            Which images to draw, in which order; None draws all.
        n_columns : int, default=1
            Images beside one another in a row.
        cmap : str, default="inferno"
            Colours of the maps; the scale is common to all.
        figure : matplotlib.figure.Figure or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        AnomalyMapDisplay
            Itself, with `figure_` and `axes_`.
        """
        who = type(self).__name__
        n_columns = read_count(n_columns, who=who, name="n_columns")
        chosen = np.arange(len(self.images)) if rows is None else self._chosen(rows, who)
        kinds = 2 + (self.masks is not None)
        n_rows = -(-len(chosen) // n_columns)
        if figure is None:
            size = (_SIDE * kinds * n_columns, _SIDE * n_rows + 0.3)
            figure = _open_figure(size)
        axes = figure.subplots(n_rows, kinds * n_columns, squeeze=False)
        for ax in axes.flat:
            ax.set_axis_off()
        low, high = np.quantile(self.maps, 0.01), self.maps.max()
        for place, image in enumerate(chosen):
            row, column = divmod(place, n_columns)
            own = axes[row, column * kinds : (column + 1) * kinds]
            own[0].imshow(self.images[image])
            own[1].imshow(self.maps[image], cmap=cmap, vmin=low, vmax=high)
            if self.masks is not None:
                own[2].imshow(self.masks[image], cmap="gray", vmin=0, vmax=1)
            if self.titles is not None:
                own[0].set_title(self.titles[image], fontsize=7)
        for column in range(min(n_columns, len(chosen))):
            for ax, name in zip(axes[0, column * kinds :], ("image", "map", "mask"), strict=False):
                if not ax.get_title():
                    ax.set_title(name, fontsize=7)
        self.figure_, self.axes_ = figure, axes
        return self

    def _chosen(self, rows: Any, who: str) -> NDArray[np.int64]:
        found = read_numbers(rows, 1, who=who, what="rows")
        n_images = len(self.images)
        if not np.isin(found, np.arange(-n_images, n_images)).all():
            raise ValueError(
                f"{who} got rows={rows!r}. It needs positions of the {n_images} images."
            )
        return found.astype(np.int64)


def _open_figure(size: tuple[float, float]) -> Any:
    pyplot = open_pyplot(who="AnomalyMapDisplay")
    return pyplot.figure(figsize=size, layout="constrained")


def _colours(given: Any, who: str) -> NDArray[np.float64]:
    """As matplotlib draws them: (n_images, height, width, 3) in 0 to 1."""
    images = read_numbers(
        given, 4, who=who, what="images", axes="(n_images, channels, height, width)"
    )
    if images.shape[1] not in (1, 3):
        raise ValueError(
            f"{who} got images of shape {images.shape}; it needs (n_images, 3, height, "
            "width) for colour or (n_images, 1, height, width) for grey."
        )
    are_bytes = np.asarray(plain_array(given, who=who, what="images")).dtype.kind in "iu"
    values = images / 255.0 if are_bytes else images
    values = np.repeat(values, 3, axis=1) if values.shape[1] == 1 else values
    return np.clip(values.transpose(0, 2, 3, 1), 0, 1)
