"""The door to Dask: domains are shuffled together, or one domain is scored where it lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from acr_sklearn.detectors._scoring import BatchScoring
from acr_sklearn.distributed.column_plan import ColumnPlan, plan_columns, scores_singly
from acr_sklearn.distributed.drawn_rows import draw_pandas, least_hashes
from acr_sklearn.distributed.large_domain import FixedDomain, RemotePieces, fix_domain, score_piece
from acr_sklearn.distributed.scored_frame import numbers_of, score_part

__all__ = ["draw_dask", "score_dask"]

_WHO = "score_dask"


def score_dask(
    frame: Any,
    detector: Any,
    *,
    domain_column: Any = None,
    key: Any = None,
    columns: Sequence[Any] | None = None,
    if_single: str = "raise",
    npartitions: int | None = None,
) -> Any:
    """Score the rows of a Dask DataFrame, each domain as a batch of its own.

    The rows of a domain are brought into one partition by a shuffle, for statistics of a part of a
    domain would silently be others. Nothing is computed before the result is. Workers need this
    package; on a worker of `distributed` PyTorch is set to one thread.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
        Of pandas partitions, in any order and of any size; some may be empty.
    detector : detector of this package
        Fitted; sent once to each worker. One that scores rows by themselves (after `adapt`)
        needs no shuffle.
    domain_column, key, columns, if_single : object
        As in `score_frame`. Without a domain column all rows are one domain: it is not brought
        together, but its statistics are taken at once, in rounds over the partitions (see
        docs/fleets.md), and rows are scored where they lie.
    npartitions : int or None, default=None
        Partitions after the shuffle; None: as before it. A worker holds one partition per thread,
        which should be some hundred MB with whole domains in it.

    Returns
    -------
    dask.dataframe.DataFrame
        Of the columns of `score_frame` and the same rows, in the order of the shuffle.

    Raises
    ------
    ImportError
        Without Dask.
    TypeError, ValueError
        As `score_frame`: for columns at once, for rows when the result is computed.
    """
    dask, kind = _dask()
    if not isinstance(frame, kind):
        raise TypeError(
            f"{_WHO} got a {type(frame).__name__}. It needs a dask.dataframe.DataFrame; a table in "
            "memory has score_frame."
        )
    plan = plan_columns(
        detector,
        list(frame.columns),
        columns=columns,
        domain_column=domain_column,
        key=key,
        if_single=if_single,
        who=_WHO,
    )
    singly = scores_singly(detector)
    some = frame[plan.needed]
    # One task of the graph: sent to a worker once, and made again wherever a worker is lost.
    sent = dask.delayed(detector, pure=True, traverse=False)
    meta = score_part(some._meta, detector, plan)
    if plan.domain is None and not singly:
        domain = fix_domain(_DaskPieces(some, sent, plan), detector, plan, who=_WHO)
        fixed = dask.delayed(domain, pure=False, traverse=False)
        return some.map_partitions(_piece, sent, plan, fixed, meta=meta)
    if not singly:
        place = plan.needed.index(plan.domain)
        ready = some.map_partitions(_readied, some._meta, meta=_readied(some._meta, some._meta))
        some = ready.shuffle(on=[ready.columns[place]], npartitions=npartitions)
    return some.map_partitions(_part, sent, plan, meta=meta)


def draw_dask(
    frame: Any, features: list[Any], domain: Any, most: int, seed: int
) -> tuple[Any, Any]:
    """Draw rows of each domain by hash.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
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
    """
    import pandas as pd

    dask, _ = _dask()
    parts = frame[[*features, domain]].to_delayed()
    call = dask.delayed(draw_pandas, pure=False)
    found = dask.compute(*(call(part, features, domain, most, seed) for part in parts))
    rows = pd.concat([rows for rows, _ in found], ignore_index=True)
    counts = pd.concat([counts for _, counts in found], ignore_index=True)
    return least_hashes(rows, domain, most), counts


class _DaskPieces(RemotePieces):
    """Partitions of a Dask DataFrame."""

    def __init__(self, frame: Any, sent: Any, plan: ColumnPlan):
        # Once for all rounds, so that a partition has one name and a scheduler may keep it.
        self.parts, self.sent, self.plan = frame.to_delayed(), sent, plan

    def run(
        self, function: Callable[..., Any], beside: Mapping[Any, Any] | None = None
    ) -> list[tuple[Any, Any]]:
        dask, _ = _dask()
        call = dask.delayed(_with_numbers, pure=False)
        others = [() if beside is None else (beside.get(i),) for i in range(len(self.parts))]
        tasks = [
            call(function, part, self.sent, self.plan, *other)
            for part, other in zip(self.parts, others, strict=True)
        ]
        return list(enumerate(dask.compute(*tasks)))

    def stream(self) -> Iterator[NDArray[Any]]:
        dask, _ = _dask()
        call = dask.delayed(numbers_of, pure=False)
        for part in self.parts:
            yield call(part, self.sent, self.plan).compute()


def _with_numbers(
    function: Callable[..., Any],
    frame: Any,
    detector: BatchScoring,
    plan: ColumnPlan,
    *other: Any,
) -> Any:
    _use_one_thread()
    return function(numbers_of(frame, detector, plan), *other)


def _readied(frame: Any, meta: Any) -> Any:
    """Make a partition fit for a shuffle: names are strings, and null has one type everywhere.

    A column of nulls alone is often of floats where it is of strings elsewhere, as files without
    types are read, and would be hashed as another value.
    """
    plain = frame.set_axis([f"c{i}" for i in range(frame.shape[1])], axis=1)
    for name, kind in zip(plain.columns, meta.dtypes, strict=True):
        column = plain[name]
        if column.dtype != kind and kind.kind not in "biufc" and column.isna().all():
            nulls = type(column)([None] * len(column), column.index, kind)
            plain = plain.assign(**{name: nulls})
    return plain


def _part(frame: Any, detector: BatchScoring, plan: ColumnPlan) -> Any:
    _use_one_thread()
    return score_part(frame.set_axis(plan.needed, axis=1), detector, plan)


def _piece(frame: Any, detector: BatchScoring, plan: ColumnPlan, domain: FixedDomain) -> Any:
    _use_one_thread()
    return score_piece(frame, detector, plan, domain)


def _use_one_thread() -> None:
    """On a worker of its own process, whose threads each run a task."""
    try:
        from distributed import get_worker

        get_worker()
    except (ImportError, ValueError):  # the user's own process keeps its threads
        return
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


def _dask() -> tuple[Any, type[Any]]:
    try:
        import dask
        import dask.dataframe
    except ImportError as error:
        raise ImportError(
            f'{_WHO} needs Dask, which is not installed: pip install "acr-sklearn[dask]".'
        ) from error
    return dask, dask.dataframe.DataFrame
