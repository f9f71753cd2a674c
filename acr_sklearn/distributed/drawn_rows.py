"""A bounded number of rows of each domain, those with the smallest hashes."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from acr_sklearn.distributed.frames import codes_of

__all__ = ["COUNT", "HASH", "draw_pandas", "least_hashes"]

_WHO = "fit_frame"
#: Columns of ours beside those of the frame.
HASH, COUNT = "acr_sklearn_hash", "acr_sklearn_n_rows"


def draw_pandas(
    frame: Any, features: list[Any], domain: Any, most: int, seed: int
) -> tuple[Any, Any]:
    """Draw rows of each domain by hash.

    Parameters
    ----------
    frame : pandas.DataFrame
        Normal rows.
    features : list
        Names of the features.
    domain : hashable
        Name of the column of domains.
    most : int
        Rows of a domain.
    seed : int
        Of the draw.

    Returns
    -------
    rows : pandas.DataFrame
        That were drawn.
    counts : pandas.DataFrame
        Rows of each domain, several lines for a domain that lies in several partitions.

    Raises
    ------
    TypeError
        For features that are no numbers.
    ValueError
        For names of domains that cannot be told apart.
    """
    from pandas.api.types import is_numeric_dtype
    from pandas.util import hash_pandas_object

    some = frame[[*features, domain]]
    for name in features:
        if not is_numeric_dtype(some[name].dtype):
            raise TypeError(
                f"{_WHO} got column {name!r} with values of type {some[name].dtype}. Features are "
                "numbers: encode the column, or leave it out of columns=."
            )
    salt = int(hashlib.blake2b(str(seed).encode(), digest_size=8).hexdigest(), 16)
    # One to one, so that only rows that are equal share a place in the order.
    mixed = hash_pandas_object(some[features], index=False).to_numpy() ^ np.uint64(salt)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
    _, index, _ = codes_of(some, domain, who=_WHO)
    first = np.unique(index, return_index=True)[1]
    counts = some[[domain]].iloc[first].assign(**{COUNT: np.bincount(index)})
    return least_hashes(some.assign(**{HASH: mixed}), domain, most), counts


def least_hashes(rows: Any, domain: Any, most: int) -> Any:
    """Keep the rows of each domain with the smallest hashes.

    Parameters
    ----------
    rows : pandas.DataFrame
        With their hashes.
    domain : hashable
        Name of the column of domains.
    most : int
        Rows of a domain.

    Returns
    -------
    pandas.DataFrame
        In the order of the hashes.
    """
    rows = rows.sort_values(HASH, kind="stable")
    _, index, _ = codes_of(rows, domain, who=_WHO)
    place = rows.groupby(index).cumcount().to_numpy()
    return rows[place < most].reset_index(drop=True)
