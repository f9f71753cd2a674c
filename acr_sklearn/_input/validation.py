"""One table of numbers from whatever holds it; what cannot be used is named by its cell."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

__all__ = [
    "LARGEST",
    "LARGEST_SINGLE",
    "column_names",
    "explained",
    "plain_array",
    "read_table",
    "refuse_odd_cells",
    "refuse_other_names",
    "settle_domain_column",
]

#: Beyond it a sum of 100 million values may be no number any more.
LARGEST = 1e300
#: From here on, and from its reciprocal down, single precision is left: sums of squares of such
#: values are none of its numbers.
LARGEST_SINGLE = 1e15
#: Numbers looked through at a time: what fits a core's cache.
_BLOCK = 2**16

#: What a value's own conversion, comparison or hash may end in.
FOREIGN_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    np.ma.MAError,
)

_FLOATS = [np.float64, np.float32]


def plain_array(given: Any, *, who: str, what: str) -> Any:
    """Replace a tensor or a masked array by the NumPy array in it; leave all else as it is.

    Parameters
    ----------
    given : object
        What the user passed.
    who, what : str
        For the messages.

    Returns
    -------
    object
        Without gradient, on the CPU, in a precision that NumPy has.

    Raises
    ------
    ValueError
        For masked cells, which NumPy would read as if they were not masked.
    TypeError
        For tensors that hold no array, such as sparse ones.
    """
    if isinstance(given, np.ma.MaskedArray):
        masked = np.argwhere(np.ma.getmaskarray(given))
        if len(masked):
            raise ValueError(
                f"{who} got masked values in {what}, first at position "
                f"{tuple(int(i) for i in masked[0])}. Fill them ({what}.filled(value)) or leave "
                "their rows out."
            )
        return given.data
    if not (hasattr(given, "detach") and hasattr(given, "numpy")):
        return given
    try:
        values = given.detach().cpu()
        # bfloat16 is none of NumPy's types.
        return (values.float() if "bfloat16" in str(values.dtype) else values).numpy()
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
        raise TypeError(
            f"{who} got {what} as a {type(given).__name__} that NumPy cannot read: {error}. Pass "
            f"a dense tensor or array."
        ) from error


def column_names(X: Any) -> list[Any] | None:
    """Names of the columns of a frame; None for what has no names.

    Parameters
    ----------
    X : object
        What the user passed.

    Returns
    -------
    list or None
        As the frame has them.
    """
    columns = getattr(X, "columns", None)
    return None if columns is None or callable(columns) else list(columns)


def refuse_other_names(X: Any, names: NDArray[Any] | None, *, who: str) -> None:
    """Refuse a frame whose columns have other names, or another order, than those of fit.

    Parameters
    ----------
    X : object
        What the user passed; what has no names passes.
    names : ndarray of shape (n_features,) or None
        Of fit; None, where it saw none, lets all pass.
    who : str
        For the message.

    Raises
    ------
    ValueError, TypeError
        As scikit-learn's own check.
    """
    columns = column_names(X)
    if names is None or columns is None or not any(isinstance(name, str) for name in columns):
        return
    seen: Any = BaseEstimator()
    seen.feature_names_in_, seen.n_features_in_ = names, len(names)
    try:
        validate_data(seen, X, skip_check_array=True, reset=False)
    except (TypeError, ValueError) as error:
        raise explained(error, X, who) from error


def settle_domain_column(estimator: Any, place: int | None, *, reset: bool, who: str) -> None:
    """Keep in fit which column names the domain; refuse another one later.

    Parameters
    ----------
    estimator : BaseEstimator
        Whose features are all other columns.
    place : int or None
        Position of the column; None: there is none.
    reset : bool
        Whether this is fit.
    who : str
        For the message.

    Raises
    ------
    ValueError
        Where `domain_column` was changed after fit: the features would be others.
    """
    if reset:
        estimator._domain_place = place
        return
    before = getattr(estimator, "_domain_place", place)
    if before == place:
        return
    features = "all columns as features" if before is None else f"column {before} as the domain's"
    raise ValueError(
        f"{who} has domain_column={getattr(estimator, 'domain_column', None)!r}, but fit took "
        f"{features}. Set domain_column back, or fit again."
    )


def read_table(
    estimator: BaseEstimator, X: Any, *, who: str, reset: bool | None
) -> NDArray[np.floating[Any]]:
    """Convert X to floats; whether they are finite is for `refuse_odd_cells` to say.

    Parameters
    ----------
    estimator : BaseEstimator
        Whose feature names and counts are checked, or set when `reset`.
    X : array-like of shape (n_rows, n_features)
        Numbers.
    who : str
        For the messages.
    reset : bool or None
        None leaves names and counts alone.

    Returns
    -------
    ndarray of shape (n_rows, n_features), float32 or float64
        In double precision where single precision could not compute with the values.

    Raises
    ------
    ValueError, TypeError
        Naming the caller and, where there is one, the column and the row that is no number.
    """
    X = plain_array(X, who=who, what="X")
    _refuse_kinds(X, who)
    options: dict[str, Any] = {"dtype": _FLOATS, "ensure_all_finite": False}
    try:
        with np.errstate(over="ignore"):
            if reset is None:
                rows = check_array(X, estimator=estimator, input_name="X", **options)
            else:
                rows = validate_data(estimator, X, reset=reset, **options)
    except FOREIGN_ERRORS as error:
        raise explained(error, X, who) from error
    if rows.dtype == np.float32 and rows.size:
        largest = _extremes(rows)[1]
        if largest > LARGEST_SINGLE or 0 < largest < 1 / LARGEST_SINGLE:
            return rows.astype(np.float64)
    return rows


def _refuse_kinds(X: Any, who: str) -> None:
    """Refuse dates and records, which NumPy would turn into numbers of some sort."""
    names = column_names(X)
    kinds: list[tuple[str, Any]] = []
    if names is not None and hasattr(X, "dtypes"):
        # `dtypes` is a Series in pandas, a list in polars.
        kinds = [
            (f"column {name!r} of X with", dtype)
            for name, dtype in zip(names, X.dtypes, strict=False)
        ]
    elif hasattr(X, "dtype"):
        kinds = [("X with", X.dtype)]
    for where, dtype in kinds:
        shown = str(dtype)
        if shown.lower().startswith(("date", "time", "duration", "period", "<m8", ">m8", "<M8")):
            raise TypeError(
                f"{who} got {where} values of type {shown}, which are no numbers. Turn dates into "
                "numbers that mean something (an hour, a day of the year, seconds since the "
                "first), or leave the column out."
            )
        if isinstance(dtype, np.dtype) and dtype.kind == "V":
            raise TypeError(
                f"{who} got {where} records of type {shown}. Pass one plain 2-D array: "
                "numpy.lib.recfunctions.structured_to_unstructured(X)."
            )


def explained(error: Exception, X: Any, who: str) -> Exception:
    """Say who, and which cell, of an error that somebody else raised.

    Parameters
    ----------
    error : Exception
        What was raised.
    X : object
        What the user passed.
    who : str
        For the message.

    Returns
    -------
    TypeError or ValueError
        To be raised; a TypeError stays one.
    """
    kind = TypeError if isinstance(error, TypeError) else ValueError
    text = str(error) or type(error).__name__
    if isinstance(error, TypeError | ValueError) and not any(
        word in text
        for word in (
            "could not convert",
            "argument must be",
            "promote",
            "inhomog",
            "sequence",
            "to float",
            "not supported",
        )
    ):
        return kind(f"{who.rstrip(':')}: {text}")
    if "parse" in text or "Complex" in text:
        return kind(f"{who.rstrip(':')}: {text}")
    where = _first_bad_cell(X)
    return kind(
        f"{who} got an X that is not a table of numbers: {where}{text.rstrip('.')}. Encode "
        "categories and dates first; a column with the domain's label is named by domain_column."
    )


def _first_bad_cell(X: Any) -> str:
    """Words for the first cell that is no number; empty if none is found."""
    names = column_names(X)
    for row, column, cell in _cells(X, names):
        try:
            float(cell.detach() if hasattr(cell, "detach") else cell)
        except FOREIGN_ERRORS as error:
            shown = f"column {names[column]!r}" if names is not None else f"column {column}"
            said = f"{type(error).__name__}, " if isinstance(error, RecursionError) else ""
            return f"row {row}, {shown} holds a {type(cell).__name__} ({said}{_short(cell)}); "
    return ""


def _cells(X: Any, names: list[Any] | None) -> Iterator[tuple[int, int, Any]]:
    """Cells with their places: column by column in a frame, row by row elsewhere."""
    try:
        if names is not None:
            for column in range(len(names)):
                values = X.iloc[:, column] if hasattr(X, "iloc") else X[names[column]]
                for row, cell in enumerate(values):
                    yield row, column, cell
            return
        for row, cells in enumerate(X):
            for column, cell in enumerate(cells):
                yield row, column, cell
    except FOREIGN_ERRORS:
        return


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except FOREIGN_ERRORS:
        return "which cannot be shown"
    return text if len(text) <= 60 else text[:57] + "..."


def _extremes(rows: NDArray[Any]) -> tuple[bool, float]:
    """Whether anything is NaN, and the largest magnitude of the rest up to there."""
    step = max(1, _BLOCK // max(1, rows.shape[1]))
    largest = 0.0
    with np.errstate(invalid="ignore"):
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            highest = max(float(part.max()), -float(part.min()))
            if highest != highest:
                return True, largest
            largest = max(largest, highest)
    return False, largest


def refuse_odd_cells(
    rows: NDArray[Any],
    *,
    who: str,
    names: Sequence[Any] | None,
    domain_of: Callable[[int], str] | None = None,
    allow_nan: bool = False,
) -> None:
    """Refuse NaN, infinity and values too large to compute with.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Floats.
    who : str
        For the message.
    names : sequence or None
        Of the columns.
    domain_of : callable or None, default=None
        Words for the domain of a row; None when the caller did not tell them apart.
    allow_nan : bool, default=False
        Let missing values pass.

    Raises
    ------
    ValueError
        Naming row, column and domain of the first.
    """
    if rows.size == 0:
        return
    has_nan, largest = _extremes(rows)
    if not has_nan and largest <= LARGEST:
        return
    if allow_nan and not any(_odd(part, allow_nan=True).any() for part in _blocks(rows)):
        return
    bad = np.zeros(0, bool)
    for row in range(len(rows)):
        bad = _odd(rows[row], allow_nan=allow_nan)
        if bad.any():
            break
    column = int(np.argmax(bad))
    value = rows[row, column]
    kind = "NaN" if np.isnan(value) else "infinity" if np.isinf(value) else f"{value:.3g}"
    named = f"column {names[column]!r}" if names is not None else f"column {column}"
    domain = "" if domain_of is None else f", domain {domain_of(row)}"
    todo = {
        "NaN": "Fill missing values within each domain, or leave these rows out",
        "infinity": "Replace infinite values (inf) or leave these rows out",
    }.get(kind, f"Values beyond {LARGEST:g} leave no room to compute: change the unit")
    n_bad = sum(int(_odd(part, allow_nan=allow_nan).any(axis=1).sum()) for part in _blocks(rows))
    raise ValueError(
        f"{who} got {kind} in X: first in row {row}, {named}{domain}; {n_bad} of {len(rows)} rows "
        f"hold such values. {todo}."
    )


def _odd(rows: NDArray[Any], *, allow_nan: bool) -> NDArray[np.bool_]:
    """Which cells cannot be computed with."""
    # In double precision, for the bound is none of single precision's numbers.
    usable = np.abs(rows) <= np.float64(LARGEST)
    return ~(usable | np.isnan(rows)) if allow_nan else ~usable


def _blocks(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    step = max(1, _BLOCK // max(1, rows.shape[1]))
    starts = itertools.takewhile(lambda start: start < len(rows), itertools.count(0, step))
    return (rows[start : start + step] for start in starts)
