"""When each row was measured: what a column says of it, and how it is carried and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.cli.declaration import DATES, NUMBERS, ZONED
from acr_sklearn.cli.tables import Table
from acr_sklearn.cli.terminal import CommandError
from acr_sklearn.datasets._tables import as_times

__all__ = ["Times", "times_of"]


@dataclass(frozen=True)
class Times:
    """The times of rows.

    Attributes
    ----------
    name : str
        Of the column.
    kind : str
        What they are, as in `Declaration`.
    values : ndarray of shape (n_rows,)
        Numbers, or time stamps, those with a zone in UTC.
    cells : ndarray of shape (n_rows,)
        What is carried into the scores: numbers, or dates as they are written.
    zone : datetime.tzinfo or None
        Of the first row.
    """

    name: str
    kind: str
    values: NDArray[Any]
    cells: NDArray[Any]
    zone: tzinfo | None

    def stamps(self, rows: NDArray[np.bool_]) -> Any:
        """Give the times of some rows as a picture needs them: numbers, or stamps in the zone."""
        values = self.values[rows]
        if self.zone is None:
            return values
        plain = values.astype("datetime64[us]").tolist()
        return [time.replace(tzinfo=UTC).astimezone(self.zone) for time in plain]


def times_of(
    table: Table, name: str, remedy: str, like: tuple[str, str, str] | None = None
) -> Times:
    """Read the times of the rows.

    Parameters
    ----------
    table : Table
        With the column.
    name : str
        Of the column.
    remedy : str
        What helps where a cell is no time, to end a message.
    like : tuple of str or None, default=None
        What times are elsewhere, where that is, and what helps if these are something else.

    Returns
    -------
    Times
        In the order of the table.

    Raises
    ------
    CommandError
        For a cell that is no time, and for times that are unlike one another or those elsewhere.
    """
    column = table.frame[name]
    values, zoned, bad = as_times(column)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        texts, missing = table.texts(name)
        what = "the time is missing" if missing[row] else f"{texts[row]!r} is no time"
        raise CommandError(
            f"{table.cell(row, name)}: {what}. Expected numbers, or dates such as 2026-01-31 or "
            f"2026-01-31T08:00+01:00, in every row{remedy}"
        )
    if (odd := zoned != zoned[0]).any():
        row = int(np.flatnonzero(odd)[0])
        has, have = ("a", "none") if zoned[row] else ("no", "one")
        raise CommandError(
            f"{table.cell(row, name)}: {str(column.iloc[row])!r} has {has} time zone, and the rows "
            f"above it have {have}. Write all times alike{remedy}"
        )
    kind = NUMBERS if values.dtype.kind != "M" else ZONED if zoned[0] else DATES
    if like is not None and kind != like[0]:
        raise CommandError(
            f"{table.path}, column {name!r}: holds {kind}, but {like[0]} {like[1]}. Write them "
            f"alike{like[2]}"
        )
    cells = values if kind == NUMBERS else table.texts(name)[0]
    return Times(name, kind, values, cells, _zone(column.iloc[0]) if kind == ZONED else None)


def _zone(first: Any) -> tzinfo | None:
    if isinstance(first, datetime):
        return first.tzinfo
    try:
        return datetime.fromisoformat(str(first).strip()).tzinfo
    except ValueError:  # written as none of the forms that Python reads
        return UTC
