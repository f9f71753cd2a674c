"""The worst rows of a call as a table; the door to pandas of reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.domain_rows import as_domain_list
from acr_sklearn._input.numbers import count_rows

__all__ = ["Worst", "as_frame", "row_names"]

#: Reasons that a row has in a report.
_REASONS = 3


@dataclass(frozen=True)
class Worst:
    """The most anomalous rows of a call, the worst first.

    Attributes
    ----------
    positions : ndarray of shape (n_worst,), int64
        Among the rows of the call.
    scores, p_values : ndarray of shape (n_worst,)
        Of `score_samples` and `p_values`.
    labels : ndarray of shape (n_worst,)
        Of `predict`.
    domains : ndarray of shape (n_worst,)
        Names of their domains.
    contributions : ndarray of shape (n_worst, n_features)
        Of `explain`.
    values : ndarray of shape (n_worst, n_features)
        The rows.
    usual : ndarray of shape (3, n_worst, n_features)
        Lower end of the usual range of each feature in the batch, median, upper end.
    """

    positions: NDArray[np.int64]
    scores: NDArray[np.float64]
    p_values: NDArray[np.float64]
    labels: NDArray[np.int64]
    domains: NDArray[Any]
    contributions: NDArray[np.float64]
    values: NDArray[Any]
    usual: NDArray[np.float64]


def row_names(X: Any) -> Any:
    """Names of the rows of frames, within their data sets.

    Parameters
    ----------
    X : object
        What the user passed.

    Returns
    -------
    sequence or None
        The index of a pandas frame; of several data sets the indices of frames and the positions
        within all others, in one row. None for a single array, whose rows have positions only.
    """
    several = as_domain_list(X)
    if several is None:
        return X.index if hasattr(X, "iloc") else None
    names: list[Any] = []
    for part in several[0]:
        own = row_names(part)
        names.extend(range(count_rows(part, who="report")) if own is None else own)
    return names


def as_frame(worst: Worst, rows: Any, features: list[Any], *, who: str) -> Any:
    """Lay out a report.

    Parameters
    ----------
    worst : Worst
        The rows.
    rows : sequence or None
        Names of all rows of the call; None for their positions.
    features : list
        Names of the features.
    who : str
        For the message.

    Returns
    -------
    pandas.DataFrame
        See `Explaining.report`.

    Raises
    ------
    ImportError
        Without pandas.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            f"{who} returns a DataFrame, and pandas is not installed: pip install pandas, or this "
            "package with its extra [datasets]. explain gives the same figures as an array."
        ) from error
    columns: dict[str, Any] = {
        "rank": np.arange(1, len(worst.positions) + 1),
        "row": worst.positions if rows is None else [rows[i] for i in worst.positions],
        "domain": worst.domains,
        "score": worst.scores,
        "p_value": worst.p_values,
        "label": worst.labels,
    }
    order = np.argsort(-worst.contributions, axis=1, kind="stable")
    for place in range(min(_REASONS, len(features))):
        chosen, number = order[:, place : place + 1], place + 1
        columns[f"reason_{number}"] = [features[i] for i in chosen[:, 0]]
        figures = {
            "contribution": worst.contributions,
            "value": worst.values,
            "median": worst.usual[1],
            "low": worst.usual[0],
            "high": worst.usual[2],
        }
        for name, of_all in figures.items():
            columns[f"{name}_{number}"] = np.take_along_axis(of_all, chosen, axis=1)[:, 0]
    return pd.DataFrame(columns)
