"""Settings of a step: its shape, and the mix of outliers in its tasks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

__all__ = ["OutlierMix", "TaskSettings"]

_MIN_TASK_SIZE = 16


@dataclass(frozen=True)
class OutlierMix:
    """Mix of the kinds of outliers in a task.

    Attributes
    ----------
    mixed : float
        Fraction that are own rows with some features of a row of another domain, as CutMix makes
        them of images (Yun et al., 2019): nearer to the normals than the other row.
    synthetic : float
        Fraction that comes from an outlier source. The rest are rows of other domains.
    """

    mixed: float = 0.0
    synthetic: float = 0.0

    def counts(self, n: int) -> tuple[int, int, int]:
        """Count the outliers of each kind among `n`.

        Parameters
        ----------
        n : int
            Outliers of a task.

        Returns
        -------
        n_plain, n_mixed, n_synthetic : int
            With the sum `n`.
        """
        n_synthetic = round(self.synthetic * n)
        n_mixed = min(round(self.mixed * n), n - n_synthetic)
        return n - n_synthetic - n_mixed, n_mixed, n_synthetic


@dataclass(frozen=True)
class TaskSettings:
    """Shape of a step.

    Attributes
    ----------
    n_tasks, task_size : int
        Tasks per step and rows per task.
    outlier_fraction : float
        Fraction of a task's rows that are outliers, pi in the paper.
    permute_features : bool
        Whether each task sees the features in an order of its own.
    """

    n_tasks: int
    task_size: int
    outlier_fraction: float
    permute_features: bool

    @property
    def n_normal(self) -> int:
        """Normal rows per task: round((1 - pi) m), leaving at least two of them and one outlier."""
        n_normal = round((1 - self.outlier_fraction) * self.task_size)
        return min(max(n_normal, 2), self.task_size - 1)

    def capped(self, n_rows: int) -> TaskSettings:
        """Keep tasks no larger than a domain of `n_rows` rows can fill, but at least of 16.

        A larger one would only repeat rows: the same gradient at a higher price.
        """
        filled = max(math.ceil(n_rows / (1 - self.outlier_fraction)), _MIN_TASK_SIZE)
        return replace(self, task_size=min(self.task_size, filled))
