"""What the readers return: training domains in memory, test domains read when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DomainData", "LabelledDomain"]


@dataclass(frozen=True)
class LabelledDomain:
    """A domain with labels, to score batches of.

    Attributes
    ----------
    name : str
        Of the domain: a year, a class, a file.
    group : str
        What domains are reported together: "FAR", "gaussian_noise-5", an alphabet.
    load : callable
        Reads the domain: ``X, y = domain.load()`` with X a float32 array (float64 from
        `load_folder`) of shape (n_samples, n_features), not to be written to because domains may
        share it, and y in {1, -1} of shape (n_samples,), 1 = normal; None where nothing is known.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn.datasets import LabelledDomain
    >>> X, y = np.zeros((100, 3), np.float32), np.repeat([1, -1], [80, 20]).astype(np.int8)
    >>> site = LabelledDomain("west", "sites", lambda: (X, y))
    >>> batch, labels = site.draw(0.1, np.random.default_rng(0))
    >>> batch.shape, int((labels == -1).sum())
    ((88, 3), 8)
    """

    name: str
    group: str
    load: Callable[[], tuple[NDArray[Any], NDArray[np.int8] | None]]

    def draw(
        self,
        fraction: float,
        rng: np.random.Generator,
        *,
        n_normals: int | None = None,
    ) -> tuple[NDArray[Any], NDArray[np.int8]]:
        """Draw a batch with a given fraction of anomalies.

        As in the released code of Li et al. (2023), n normals get
        floor(n fraction / (1 - fraction)) anomalies, at least one; theirs may repeat, these do
        not.

        Parameters
        ----------
        fraction : float
            Fraction of the rows that are anomalies, in (0, 1).
        rng : numpy.random.Generator
            Source of all randomness.
        n_normals : int or None, default=None
            Normal rows of the batch; None, or more than there are, takes all.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In the type of `load`. Rows in random order, none of them twice.
        y : ndarray of shape (n_samples,), int8
            1 = normal, -1 = anomaly. Fewer anomalies than asked for if there are no more.

        Raises
        ------
        ValueError
            If `fraction` is not in (0, 1), or the domain lacks labels, normals or anomalies.
        """
        if not 0 < fraction < 1:
            raise ValueError(
                f"LabelledDomain.draw got fraction={fraction!r} for domain {self.name!r}. Give "
                "the fraction of anomalies as a number between 0 and 1, such as 0.05."
            )
        X, y = self.load()
        if y is None:
            raise ValueError(
                f"Domain {self.name!r} has no labels, so that normal rows and anomalies cannot be "
                "drawn. Use the rows of load(), or give the file a column of labels."
            )
        normal, anomalous = np.flatnonzero(y == 1), np.flatnonzero(y == -1)
        if len(normal) == 0 or len(anomalous) == 0:
            raise ValueError(
                f"Domain {self.name!r} has {len(normal)} normal rows and {len(anomalous)} "
                "anomalies; a batch needs some of both. Leave this domain out."
            )
        if n_normals is not None and n_normals < len(normal):
            normal = rng.choice(normal, n_normals, replace=False)
        # The small number undoes rounding: 172 * .2 / .8 must be 43.
        wanted = max(1, int(len(normal) * fraction / (1 - fraction) + 1e-9))
        drawn = rng.choice(anomalous, min(wanted, len(anomalous)), replace=False)
        rows = rng.permutation(np.concatenate([normal, drawn]))
        return X[rows], y[rows]


@dataclass(frozen=True)
class DomainData:
    """A set of related domains, as its reader returns it.

    Attributes
    ----------
    train : list of ndarray of shape (n_samples, n_features), float32
        The normal rows of each training domain: what a detector's `fit` takes. In float64 from
        `load_folder`, whose columns may have any range.
    train_names : list of str
        Their names, in the same order.
    test : list of LabelledDomain
        The domains to score. They hold no rows before they are loaded.
    input_shape : tuple of (channels, height, width) or None
        What a row is, if it is an image: a row is the image's values in this order, flattened,
        each scaled from 0..255 to [0, 1]. None for tables.
    feature_names : tuple of str or None
        Names of the columns of a table. None for images.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn.datasets import DomainData
    >>> data = DomainData(train=[np.zeros((50, 3))], train_names=["north"], test=[])
    >>> [f"{name}: {len(rows)} rows" for name, rows in zip(data.train_names, data.train)]
    ['north: 50 rows']
    """

    train: list[NDArray[Any]]
    train_names: list[str]
    test: list[LabelledDomain]
    input_shape: tuple[int, int, int] | None = None
    feature_names: tuple[str, ...] | None = None
