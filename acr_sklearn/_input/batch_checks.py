"""How many rows a domain and a batch need, and what is said when they have fewer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn._input.labels import shown_label
from acr_sklearn.exceptions import SmallBatchWarning, SmallDomainWarning

__all__ = [
    "SMALL_BATCH",
    "SMALL_DOMAIN",
    "gives_advice",
    "require_two_rows",
    "shown_label",
    "warn_small_batches",
    "warn_small_domains",
    "without_advice",
]

#: Below this many rows a domain is named in a `SmallDomainWarning`.
SMALL_DOMAIN = 16
#: Below this many rows a batch is named in a `SmallBatchWarning`: in clean batches of 16 rows the
#: threshold flags 1.5 times as many rows as in batches of 128, in batches of 8 2.1 times; see
#: docs/batches.md.
SMALL_BATCH = 16
#: What helps where a single row is to be scored.
_SINGLE_REMEDY = (
    "Score the rows of a domain together, leave out domains of one row, or hold the statistics of "
    "a reference batch by adapt(X_ref) and score rows one by one."
)


#: Whether the caller has said, or will say, what few rows or domains, or an unfamiliar batch, mean.
#: A flag of the thread and no filter: all threads of a process share warnings.catch_warnings.
_ADVICE: ContextVar[bool] = ContextVar("acr_sklearn_advice", default=True)


@contextmanager
def without_advice() -> Iterator[None]:
    """Leave out warnings about few rows or domains and unfamiliar batches, in this thread alone.

    Yields
    ------
    None
        With the warnings left out.
    """
    token = _ADVICE.set(False)
    try:
        yield
    finally:
        _ADVICE.reset(token)


def gives_advice() -> bool:
    """Whether warnings about few rows or domains and unfamiliar batches are wanted here."""
    return _ADVICE.get()


def require_two_rows(
    data: DomainRows, *, who: str, in_fit: bool, remedy: str = _SINGLE_REMEDY
) -> None:
    """Refuse domains of a single row.

    Parameters
    ----------
    data : DomainRows
        The rows of one call.
    who : str
        For the message.
    in_fit : bool
        Whether the rows are trained on; else they are scored.
    remedy : str
        What helps where rows are scored, for the message.

    Raises
    ------
    ValueError
        Naming the first such domain.
    """
    single = np.flatnonzero(data.sizes < 2)
    if len(single) == 0:
        return
    named = f" (domain {shown_label(data.labels[single[0]])})" if data.named else ""
    if in_fit:
        raise ValueError(
            f"{who} got a domain of 1 sample{named}. Batch statistics compare rows, so every "
            "domain needs at least 2. Merge it with a related domain or leave it out."
        )
    raise ValueError(
        f"{who} got a batch of 1 sample{named}. Batch statistics compare rows, so a batch "
        f"needs at least 2. {remedy}"
    )


def warn_small_domains(data: DomainRows, *, who: str) -> None:
    """Warn once, naming the domains with fewer than 16 rows.

    Parameters
    ----------
    data : DomainRows
        The training rows.
    who : str
        For the message.
    """
    small = np.flatnonzero(data.sizes < SMALL_DOMAIN)
    if len(small) == 0 or not gives_advice():
        return
    warning = SmallDomainWarning(
        f"{who} got domains with fewer than {SMALL_DOMAIN} rows: {_listed(data, small)}. Their "
        "tasks draw rows with replacement, so little is learnt from them. Give each domain more "
        "rows, or leave the small ones out."
    )
    warning.domains = _names(data, small)
    warnings.warn(warning, stacklevel=7)


def warn_small_batches(data: DomainRows, *, who: str, stacklevel: int = 5) -> None:
    """Warn once, naming the batches with fewer than 16 rows.

    Parameters
    ----------
    data : DomainRows
        The rows to be scored.
    who : str
        For the message.
    stacklevel : int, default=5
        Of the warning, for it to point at the user's line.
    """
    small = np.flatnonzero(data.sizes < SMALL_BATCH)
    if len(small) == 0 or not gives_advice():
        return
    shown = _listed(data, small) if data.named else f"{data.sizes[0]} rows"
    warning = SmallBatchWarning(
        f"{who} got a batch of fewer than {SMALL_BATCH} rows: {shown}. A row is compared with the "
        "others of its batch, and so few of them say little about what is normal: scores are "
        "uncertain, and threshold='train' flags too many rows. Collect more rows of the domain "
        "and score them together."
    )
    warning.domains = _names(data, small)
    warnings.warn(warning, stacklevel=stacklevel)


def _names(data: DomainRows, chosen: NDArray[np.int64]) -> tuple[str, ...]:
    """Names of domains, none where the caller gave none."""
    return tuple(str(data.labels[i]) for i in chosen) if data.named else ()


def _listed(data: DomainRows, chosen: NDArray[np.int64]) -> str:
    """Name up to five domains with their numbers of rows."""
    named = ", ".join(f"{data.labels[i]!s} ({data.sizes[i]} rows)" for i in chosen[:5])
    return named + (f" and {len(chosen) - 5} more" if len(chosen) > 5 else "")
