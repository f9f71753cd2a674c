"""One table in memory to scores: what every door calls on whole domains."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.batch_checks import require_two_rows, warn_small_batches
from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn._input.labels import shown_label
from acr_sklearn._input.validation import read_table, refuse_odd_cells
from acr_sklearn.detectors._scoring import BatchScoring
from acr_sklearn.distributed.column_plan import ColumnPlan, plan_columns, scores_singly
from acr_sklearn.distributed.frames import beside, codes_of, names_of, values_of
from acr_sklearn.domains.domain_shift import warn_unfamiliar_batches
from acr_sklearn.exceptions import MissingDomainWarning

__all__ = ["NULL", "named_domains", "numbers_of", "score_frame", "score_part"]

#: What rows without a domain's name are called in messages.
NULL = "(null)"
_WHO = "score_frame"
_SINGLE_REMEDY = (
    "Pass if_single='missing' to give such rows NaN, leave them out, or score rows one by one with "
    "a detector that adapt(X_ref) returns."
)


def score_frame(
    frame: Any,
    detector: Any,
    *,
    domain_column: Any = None,
    key: Any = None,
    columns: Sequence[Any] | None = None,
    if_single: str = "raise",
) -> Any:
    """Score the rows of a table, each domain as a batch of its own.

    A pure function of whole domains, for any engine that can call Python on a group of rows. Scores
    are those of ``detector.score_samples(X, domains=...)``, of any grouping of whole domains.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table of n_rows rows
        Features, names of domains and keys, in any order of columns; may have no rows.
    detector : detector of this package
        Fitted. One that scores rows by themselves (after `adapt`) does so, whatever the domain.
    domain_column : hashable or None, default=None
        Name of the column that holds each row's domain; None: that of the detector's own
        `domain_column`, without which all rows are one domain. Rows where it is null or NaN are
        one domain too.
    key : hashable, list of such or None, default=None
        Names of columns that are carried over as they are; they need not be unique.
    columns : list or None, default=None
        Names of the features in the order of fit, for a detector that was fitted on an array. One
        that was fitted on a DataFrame finds its features by name.
    if_single : {"raise", "missing"}, default="raise"
        What becomes of a domain of one row, which has no others to be compared with: an error, or
        NaN as score and p-value and 0 as label.

    Returns
    -------
    of the class of `frame`, with the same rows in the same order
        The keys, the domain column, and

        - score, float64: of `score_samples`, high for normal rows;
        - label, int64: 1 for normal rows, -1 for anomalies;
        - p_value, float64: of `p_values`, small for anomalies;
        - n_rows, int64: rows of the batch that the row was scored in, 1 if by itself. Below 16 a
          score is uncertain.

    Raises
    ------
    TypeError
        For what is no such table or detector.
    ValueError
        For missing columns and for rows that cannot be scored, naming them.
    sklearn.exceptions.NotFittedError
        For a detector that is not fitted.

    Warns
    -----
    MissingDomainWarning
        For rows without a domain's name, saying how many.
    SmallBatchWarning, UnfamiliarBatchWarning
        As `score_samples`.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from acr_sklearn import ZeroShotACRDetector
    >>> from acr_sklearn.distributed import score_frame
    >>> rng = np.random.default_rng(0)
    >>> sites = [rng.normal(rng.normal(0, 3, 4), 1.0, (100, 4)) for _ in range(6)]
    >>> detector = ZeroShotACRDetector(max_iter=20, random_state=0).fit(sites)
    >>> frame = pd.DataFrame(np.concatenate(sites[:2]), columns=list("abcd"))
    >>> frame["site"] = np.repeat(["north", "south"], 100)
    >>> scored = score_frame(frame, detector, domain_column="site", columns=list("abcd"))
    >>> list(scored.columns)
    ['site', 'score', 'label', 'p_value', 'n_rows']
    """
    plan = plan_columns(
        detector,
        names_of(frame, who=_WHO),
        columns=columns,
        domain_column=domain_column,
        key=key,
        if_single=if_single,
        who=_WHO,
    )
    return _scored(frame, detector, plan, advise=True)


def score_part(frame: Any, detector: BatchScoring, plan: ColumnPlan) -> Any:
    """Score the rows of a table that holds whole domains, without a word of advice.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        Of an engine's worker.
    detector : detector of this package
        Fitted.
    plan : ColumnPlan
        Of the table's columns.

    Returns
    -------
    of the class of `frame`
        As of `score_frame`.
    """
    return _scored(frame, detector, plan, advise=False)


def numbers_of(frame: Any, detector: BatchScoring, plan: ColumnPlan) -> NDArray[Any]:
    """Read the features of a table.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        Of any number of rows.
    detector : detector of this package
        Fitted.
    plan : ColumnPlan
        Of the table's columns.

    Returns
    -------
    ndarray of shape (n_rows, n_features), float32 or float64
        Not looked through for NaN.
    """
    values = values_of(frame, plan.features, who=plan.who)
    if not len(values):
        return np.empty((0, len(plan.features)), np.float32)
    rows: NDArray[Any] = read_table(detector, values, who=plan.who, reset=None)
    return rows


def named_domains(distinct: list[Any]) -> NDArray[Any]:
    """Names of domains for messages.

    Parameters
    ----------
    distinct : list
        Of `codes_of`.

    Returns
    -------
    ndarray of shape (n_domains,), object
        With a name in the place of null.
    """
    labels = np.empty(len(distinct), dtype=object)
    for i, value in enumerate(distinct):  # at once, NumPy would look into each value
        labels[i] = NULL if value is None else value
    return labels


def _scored(frame: Any, detector: BatchScoring, plan: ColumnPlan, *, advise: bool) -> Any:
    rows = numbers_of(frame, detector, plan)
    data, missing = DomainRows.one(rows), np.zeros(len(rows), bool)
    if plan.domain is not None:
        distinct, index, missing = codes_of(frame, plan.domain, who=plan.who)
        data = DomainRows(rows, index, named_domains(distinct), named=True)
    named = data

    def domain_of(row: int) -> str:
        return shown_label(named.labels[named.index[row]])

    about = None if plan.domain is None else domain_of
    refuse_odd_cells(rows, who=plan.who, names=plan.features, domain_of=about)
    if advise and missing.any():
        _warn_missing(plan, missing)
    n_rows = np.ones(len(rows), np.int64)
    if scores_singly(detector):
        data = DomainRows.one(rows)
    else:
        n_rows = data.sizes[data.index]
    whole = np.flatnonzero(n_rows > 1) if plan.if_single == "missing" else np.arange(len(rows))
    if scores_singly(detector) or len(whole) == len(rows):
        found = _judged(data, detector, plan, advise) if len(rows) else _nothing(0)
    else:
        found = _nothing(len(rows))
        if len(whole):
            used, index = np.unique(data.index[whole], return_inverse=True)
            part = DomainRows(rows[whole], index.astype(np.int64), data.labels[used], named=True)
            for of_all, of_part in zip(found, _judged(part, detector, plan, advise), strict=True):
                of_all[whole] = of_part
    columns = dict(zip(("score", "label", "p_value"), found, strict=True))
    return beside(frame, plan.carried, columns | {"n_rows": n_rows}, who=plan.who)


def _judged(
    data: DomainRows, detector: BatchScoring, plan: ColumnPlan, advise: bool
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    if not scores_singly(detector):
        require_two_rows(data, who=plan.who, in_fit=False, remedy=_SINGLE_REMEDY)
        if advise:
            warn_small_batches(data, who=plan.who, stacklevel=5)
            warn_unfamiliar_batches(
                detector._domain_shift,
                data,
                who=plan.who,
                names=detector._names_of_features,
                stacklevel=5,
            )
    return detector._judged(data)


def _nothing(n_rows: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    return np.full(n_rows, np.nan), np.zeros(n_rows, np.int64), np.full(n_rows, np.nan)


def _warn_missing(plan: ColumnPlan, missing: NDArray[np.bool_]) -> None:
    warnings.warn(
        f"{plan.who} got {int(missing.sum())} rows whose {plan.domain!r} is null. They are scored "
        "as one domain of their own; if they come from several, give them names or leave them "
        "out.",
        MissingDomainWarning,
        stacklevel=4,
    )
