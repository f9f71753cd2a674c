"""Outlier sources: the abnormal rows of a training task.

A source is any object with ``sample(X, domain_index, n, rng)``: given the normal rows of one
domain in the users' units, it returns `n` rows that are abnormal beside them. Rows of the other
domains are drawn by index inside `acr_sklearn.tasks.sampler`, without such an object.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.tasks.settings import OutlierMix

__all__ = ["MIXED", "OutlierSource", "SyntheticOutliers", "choose_outliers"]

#: A network that only ever saw other domains as outliers is blind to anomalies inside its own.
MIXED = OutlierMix(mixed=0.25, synthetic=0.5)


@runtime_checkable
class OutlierSource(Protocol):
    """Protocol of objects that may be passed as `outlier_source`.

    Examples
    --------
    Outliers of a set whose faults are sensors that stop at their highest value:

    >>> import numpy as np
    >>> from acr_sklearn.outliers import OutlierSource
    >>> class StuckSensors:
    ...     def sample(self, X, domain_index, n, rng):
    ...         rows = X[rng.integers(len(X), size=n)]
    ...         return np.where(rng.random(rows.shape) < 0.3, X.max(axis=0), rows)
    >>> isinstance(StuckSensors(), OutlierSource)
    True
    """

    def sample(
        self, X: NDArray[Any], domain_index: int, n: int, rng: np.random.Generator
    ) -> NDArray[Any]:
        """Return outliers for one task.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Every training row of the task's domain; not to be written to.
        domain_index : int
            Position of that domain in the detector's `domains_`.
        n : int
            How many rows are wanted.
        rng : numpy.random.Generator
            The only randomness to use: it makes the fit reproducible.

        Returns
        -------
        ndarray of shape (n, n_features)
            Rows in the units of `X`.
        """


class SyntheticOutliers:
    """Abnormal rows made from the normal ones of the same domain.

    Every call draws one way for all its rows, and how strong: features exchanged between rows (the
    marginals stay, their dependence goes), a common displacement of tightened rows (a cluster),
    rows spread or shrunk around the domain's mean, or noise of its own for every row; each on a
    random subset of the features. The recipe is ours; exchanging features follows the permutation
    reference of Breiman's unsupervised forests (2003).

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn.outliers import SyntheticOutliers
    >>> X = np.random.default_rng(0).normal(size=(100, 5))
    >>> SyntheticOutliers().sample(X, 0, 20, np.random.default_rng(1)).shape
    (20, 5)
    """

    def sample(
        self, X: NDArray[Any], domain_index: int, n: int, rng: np.random.Generator
    ) -> NDArray[Any]:
        """Make `n` outliers of one kind.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Normal rows of the domain.
        domain_index : int
            Not used: every domain is treated alike.
        n : int
            How many rows are wanted.
        rng : numpy.random.Generator
            Source of all randomness.

        Returns
        -------
        ndarray of shape (n, n_features)
            New rows, in the units of `X`.
        """
        # Statistics of a few hundred rows do; of all they would cost more than the step.
        known = X if len(X) <= 512 else X[rng.integers(len(X), size=512)]
        # The peak comes out first, so that squares do not overflow.
        peak = np.abs(known).max(axis=0)
        peak = np.where(peak > 0, peak, np.ones((), peak.dtype))
        center, spread = known.mean(axis=0), (known / peak).std(axis=0) * peak
        rows = X[rng.integers(len(X), size=n)]
        n_features = X.shape[1]
        # At least one feature is touched, whatever fraction is drawn.
        n_touched = max(1, round(rng.uniform(0.1, 1.0) * n_features))
        touched = rng.permutation(n_features) < n_touched
        kind = rng.integers(4)
        if kind == 0:
            donors = rng.integers(len(known), size=(n, n_features))
            changed = known[donors, np.arange(n_features)]
        elif kind == 1:
            direction = rng.standard_normal(n_features)
            tight = rng.uniform(0.1, 1.0)
            changed = center + tight * (rows - center) + rng.uniform(1, 4) * direction * spread
        elif kind == 2:
            factor = rng.uniform(1.5, 4.0) if rng.random() < 0.7 else rng.uniform(0.0, 0.5)
            changed = center + factor * (rows - center)
        else:
            noise = rng.standard_normal((n, n_features))
            changed = rows + rng.uniform(0.5, 3.0) * noise * spread
        return np.where(touched, changed, rows)


def choose_outliers(
    wanted: str | OutlierSource, n_domains: int, *, who: str
) -> tuple[OutlierMix | None, OutlierSource | None]:
    """Turn the parameter `outlier_source` into a mix and a source.

    Parameters
    ----------
    wanted : {"auto", "mixed", "domains", "synthetic"} or OutlierSource
        The parameter.
    n_domains : int
        Training domains.
    who : str
        For the message.

    Returns
    -------
    mix : OutlierMix or None
        Of what outliers are; None leaves it to the data.
    source : OutlierSource or None
        What makes those that are no rows of other domains.

    Raises
    ------
    ValueError
        For "domains" or "mixed" when there is no other domain.
    """
    if not isinstance(wanted, str):
        return OutlierMix(synthetic=1.0), wanted
    if wanted in ("domains", "mixed") and n_domains == 1:
        raise ValueError(
            f"{who} got a single data set with outlier_source={wanted!r}: there is no other domain "
            "to draw outliers from. Pass several data sets, or use outlier_source='synthetic'."
        )
    if wanted == "domains":
        return OutlierMix(), None
    if wanted == "auto" and n_domains > 1:
        return None, SyntheticOutliers()
    return (MIXED if wanted == "mixed" else OutlierMix(synthetic=1.0)), SyntheticOutliers()
