"""Training on a frame too large to be held: so many rows of each domain, drawn by hash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from acr_sklearn._input.parameters import plain_number
from acr_sklearn.distributed.column_plan import refuse_odd_names, require_detector
from acr_sklearn.distributed.dask_frames import draw_dask
from acr_sklearn.distributed.drawn_rows import COUNT, draw_pandas
from acr_sklearn.distributed.frames import codes_of, kind_of, names_of
from acr_sklearn.distributed.scored_frame import named_domains
from acr_sklearn.distributed.spark_frames import draw_spark

__all__ = ["FrameFit", "fit_frame"]

_WHO = "fit_frame"


class FrameFit(NamedTuple):
    """What `fit_frame` returns.

    Attributes
    ----------
    detector : detector of this package
        A fitted clone of the one that was given.
    drawn : dict
        Domain -> (rows that were trained on, rows that it has).

    Examples
    --------
    >>> from acr_sklearn.distributed import FrameFit
    >>> FrameFit(detector=None, drawn={"north": (500, 12_000)}).drawn["north"]
    (500, 12000)
    """

    detector: Any
    drawn: dict[Any, tuple[int, int]]


def fit_frame(
    frame: Any,
    detector: Any,
    *,
    domain_column: Any,
    columns: Sequence[Any] | None = None,
    max_rows: int = 500,
    random_state: int = 0,
) -> FrameFit:
    """Fit a detector on a bounded number of rows of each domain of a table.

    The rows are those with the smallest hashes of what is in them, so that the draw is the same for
    any order and partition of the rows, and each partition sends at most `max_rows` of a domain.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame, pyspark.sql.DataFrame, pandas or polars DataFrame, or Table
        Normal rows of several domains.
    detector : detector of this package
        Its parameters are taken; it is not fitted itself.
    domain_column : hashable
        Name of the column that holds each row's domain. Rows where it is null are one domain.
    columns : list or None, default=None
        Names of the features; None: all other columns, in their order.
    max_rows : int, default=500
        Rows of a domain that are trained on, at least 2.
    random_state : int, default=0
        Another one draws other rows, with the same engine.

    Returns
    -------
    FrameFit
        The fitted detector and how many rows of each domain it was fitted on.

    Raises
    ------
    TypeError, ValueError
        For what is no such frame, for missing columns, and what `fit` refuses.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from acr_sklearn import ZeroShotACRDetector
    >>> from acr_sklearn.distributed import fit_frame
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame(rng.normal(size=(600, 3)), columns=list("abc"))
    >>> frame["site"] = np.repeat(["north", "south", "west"], 200)
    >>> small = ZeroShotACRDetector(max_iter=5, early_stopping=False, random_state=0)
    >>> fitted = fit_frame(frame, small, domain_column="site", max_rows=100)
    >>> fitted.drawn["north"]
    (100, 200)
    """
    require_detector(detector, who=_WHO)
    number = plain_number(max_rows)
    if not isinstance(number, int) or isinstance(max_rows, bool) or number < 2:
        raise ValueError(f"{_WHO} got max_rows={max_rows!r}. A domain needs at least 2 rows.")
    if not isinstance(plain_number(random_state), int) or isinstance(random_state, bool):
        raise ValueError(
            f"{_WHO} got random_state={random_state!r}. Give an int: workers share the draw by it."
        )
    for what, given in (("columns", columns), ("domain_column", domain_column)):
        refuse_odd_names(given, what, who=_WHO)
    module = type(frame).__module__.partition(".")[0]
    engine = module if module in ("dask", "pyspark") else "memory"
    names = list(frame.columns) if engine != "memory" else names_of(frame, who=_WHO)
    features = [n for n in names if n != domain_column] if columns is None else list(columns)
    lacking = [name for name in (*features, domain_column) if name not in names]
    if lacking:
        raise ValueError(f"{_WHO} found no column {lacking} in the table. Columns: {names}.")
    if domain_column in features:
        raise ValueError(f"{_WHO} got the domain's column {domain_column!r} among the features.")
    draw = {"memory": _from_memory, "dask": draw_dask, "pyspark": draw_spark}[engine]
    rows, counts = draw(frame, features, domain_column, number, int(random_state))
    distinct, index, _ = codes_of(rows, domain_column, who=_WHO)
    labels = named_domains(distinct)
    drawn = _drawn(labels, index, counts, domain_column)
    own = getattr(detector, "domain_column", None)
    if own is None:
        return FrameFit(clone(detector).fit(rows[features], domains=labels[index]), drawn)
    if own != domain_column:
        raise ValueError(
            f"{_WHO} got domain_column={domain_column!r} and a detector with "
            f"domain_column={own!r}. Set the detector's to None: domains are passed to it."
        )
    named = rows[[*features, domain_column]].assign(**{domain_column: labels[index]})
    return FrameFit(clone(detector).fit(named), drawn)


def _drawn(
    labels: NDArray[Any], index: NDArray[np.int64], counts: Any, domain: Any
) -> dict[Any, tuple[int, int]]:
    """Rows that were drawn of each domain, and rows that it has."""
    distinct, places, _ = codes_of(counts, domain, who=_WHO)
    totals = np.bincount(places, counts[COUNT].to_numpy())
    of_each = dict(zip(named_domains(distinct), totals.astype(int).tolist(), strict=True))
    taken = np.bincount(index, minlength=len(labels)).tolist()
    return {label: (n, of_each[label]) for label, n in zip(labels, taken, strict=True)}


def _from_memory(
    frame: Any, features: list[Any], domain: Any, most: int, seed: int
) -> tuple[Any, Any]:
    if kind_of(frame, who=_WHO) != "pandas":
        frame = frame.select([*features, domain]).to_pandas()
    return draw_pandas(frame, features, domain, most, seed)
