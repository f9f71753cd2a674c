"""The door to Spark: whole domains in buckets, or one domain scored where it lies."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from acr_sklearn.distributed.column_plan import RESULTS, ColumnPlan, plan_columns, scores_singly
from acr_sklearn.distributed.drawn_rows import COUNT, HASH, least_hashes
from acr_sklearn.distributed.large_domain import RemotePieces, fix_domain, score_piece
from acr_sklearn.distributed.scored_frame import numbers_of, score_part

__all__ = ["draw_spark", "score_spark"]

_WHO = "score_spark"
#: Column of ours beside those of the frame, while Spark has it.
_PLACE = "acr_sklearn_place"
#: In pandas a column of these with a null becomes one of floats, which are not all of them.
_WHOLE_NUMBERS = ("byte", "short", "integer", "long")


def score_spark(
    frame: Any,
    detector: Any,
    *,
    domain_column: str | None = None,
    key: Any = None,
    columns: Sequence[str] | None = None,
    if_single: str = "raise",
    n_buckets: int | None = None,
) -> Any:
    """Score the rows of a Spark DataFrame, each domain as a batch of its own.

    Domains are put into buckets by the hash of their names, and each bucket, which holds whole
    domains, is scored by one call on a worker (``groupBy(bucket).applyInPandas``): many small
    domains cost little more than one large one. Executors need this package; PyTorch uses one
    thread there.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
        Of a classic session, in any order and partitions.
    detector : detector of this package
        Fitted; broadcast. One that scores rows by themselves (after `adapt`) needs no shuffle.
    domain_column, key, columns, if_single : object
        As in `score_frame`. Without a domain column all rows are one domain: it is not brought
        together, but its statistics are taken at once, in rounds over the partitions (see
        docs/fleets.md), and rows are scored where they lie. The partitions must then be the same
        each time they are computed, as those read from files are.
    n_buckets : int or None, default=None
        A worker holds one bucket at a time; None: as many as ``spark.sql.shuffle.partitions``.

    Returns
    -------
    pyspark.sql.DataFrame
        Of the columns of `score_frame` and the same rows.

    Raises
    ------
    ImportError
        Without PySpark.
    TypeError, ValueError
        As `score_frame`: for columns at once, for rows when the result is computed.
    """
    _, kind = _spark()
    # A frame of Spark Connect, the same class by now, has no broadcast and no partitions.
    if not isinstance(frame, kind) or ".connect." in type(frame).__module__:
        raise TypeError(
            f"{_WHO} got a {type(frame).__name__}. It needs a pyspark.sql.DataFrame of a classic "
            "session; a table in memory has score_frame."
        )
    plan = plan_columns(
        detector,
        frame.columns,
        columns=columns,
        domain_column=domain_column,
        key=key,
        if_single=if_single,
        who=_WHO,
    )
    some = _plain(frame, plan.needed)
    for name in some.columns[: len(plan.carried)]:
        if some.schema[name].dataType.typeName() in _WHOLE_NUMBERS:
            some = some.withColumn(name, some[name].cast("string"))
    scored = _scored(some, detector, plan, n_buckets)
    for name, field in zip(plan.carried, scored.columns, strict=False):
        if frame.schema[name].dataType.typeName() in _WHOLE_NUMBERS:
            scored = scored.withColumn(field, scored[field].cast(frame.schema[name].dataType))
    return scored.toDF(*plan.carried, *RESULTS)


def _scored(some: Any, detector: Any, plan: ColumnPlan, n_buckets: int | None) -> Any:
    functions, _ = _spark()
    session = some.sparkSession
    sent = session.sparkContext.broadcast(detector)
    schema, names = _schema(some, plan), list(plan.needed)

    def part(frame: Any) -> Any:
        _use_one_thread()
        rows = frame.iloc[:, : len(names)].set_axis(names, axis=1)
        return score_part(rows, sent.value, plan).set_axis(schema.names, axis=1)

    if scores_singly(detector):
        return some.mapInPandas(lambda frames: map(part, frames), schema)
    if plan.domain is None:
        domain = fix_domain(_SparkPieces(some, sent, plan), detector, plan, who=_WHO)
        fixed = session.sparkContext.broadcast(domain)

        def piece(frame: Any) -> Any:
            _use_one_thread()
            rows = frame.set_axis(names, axis=1)
            found = score_piece(rows, sent.value, plan, fixed.value)
            return found.set_axis(schema.names, axis=1)

        return some.mapInPandas(lambda frames: map(piece, frames), schema)
    if n_buckets is None:
        n_buckets = int(session.conf.get("spark.sql.shuffle.partitions"))
    hashed = functions.xxhash64(_name(some, some.columns[names.index(plan.domain)]))
    bucketed = some.withColumn("bucket", functions.pmod(hashed, functions.lit(n_buckets)))
    return bucketed.groupBy("bucket").applyInPandas(_without_hints(part), schema)


def _name(some: Any, column: str) -> Any:
    """Column of domains in which equal names hash alike: null has a hash, NaN is made null."""
    functions, _ = _spark()
    if some.schema[column].dataType.typeName() not in ("float", "double"):
        return some[column]
    # Adding 0.0 makes 0.0 of -0.0.
    return functions.nanvl(some[column] + 0.0, functions.lit(None))


def _plain(frame: Any, names: Sequence[str]) -> Any:
    """Select columns under names of ours: Spark's way to Python stumbles over dots and quotes."""
    functions, _ = _spark()
    chosen = frame.select(*(functions.col(_quoted(name)) for name in names))
    return chosen.toDF(*(f"c{i}" for i in range(len(names))))


def _schema(some: Any, plan: ColumnPlan) -> Any:
    from pyspark.sql.types import DoubleType, LongType, StructField, StructType

    kinds = (DoubleType(), LongType(), DoubleType(), LongType())
    scores = [StructField(name, kind) for name, kind in zip(RESULTS, kinds, strict=True)]
    return StructType([*some.schema.fields[: len(plan.carried)], *scores])


def draw_spark(
    frame: Any, features: list[Any], domain: Any, most: int, seed: int
) -> tuple[Any, Any]:
    """Draw rows of each domain by hash.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
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
    from pyspark.sql import Window

    functions, _ = _spark()
    names = [_quoted(name) for name in (*features, domain)]
    within = Window.partitionBy(names[-1])
    hashes = functions.xxhash64(functions.lit(seed), *names[:-1])
    some = frame.select(*names).withColumn(HASH, hashes)
    some = some.withColumn(COUNT, functions.count("*").over(within))
    place = functions.row_number().over(within.orderBy(HASH, *names[:-1]))
    found = some.withColumn(_PLACE, place).where(f"{_PLACE} <= {most}").toPandas()
    return least_hashes(found, domain, most), found[found[_PLACE] == 1][[domain, COUNT]]


class _SparkPieces(RemotePieces):
    """Partitions of a Spark DataFrame, in the batches that Arrow brings to Python."""

    def __init__(self, frame: Any, sent: Any, plan: ColumnPlan):
        self.frame, self.sent, self.plan = frame, sent, plan

    def run(
        self, function: Callable[..., Any], beside: Mapping[Any, Any] | None = None
    ) -> list[tuple[Any, Any]]:
        rows = self._mapped(function, beside).collect()
        found = [((row.part, row.number), pickle.loads(row.result)) for row in rows]
        return sorted(found, key=lambda one: one[0])

    def stream(self) -> Iterator[NDArray[Any]]:
        for row in self._mapped(_itself).toLocalIterator():
            yield pickle.loads(row.result)

    def _mapped(self, function: Callable[..., Any], beside: Mapping[Any, Any] | None = None) -> Any:
        sent, plan = self.sent, self.plan

        def apply(frames: Any) -> Any:
            import pandas as pd
            from pyspark import TaskContext

            _use_one_thread()
            context = TaskContext.get()
            assert context is not None
            part = context.partitionId()
            for number, frame in enumerate(frames):
                other = () if beside is None else (beside.get((part, number)),)
                rows = frame.set_axis(plan.needed, axis=1)
                found = function(numbers_of(rows, sent.value, plan), *other)
                columns = {"part": [part], "number": [number], "result": [pickle.dumps(found)]}
                yield pd.DataFrame(columns)

        return self.frame.mapInPandas(
            _without_hints(apply), "part long, number long, result binary"
        )


def _without_hints(function: Callable[..., Any]) -> Callable[..., Any]:
    """Clear the type hints, which Spark takes for its own and warns of."""
    function.__annotations__.clear()
    return function


def _itself(rows: NDArray[Any]) -> NDArray[Any]:
    return rows


def _use_one_thread() -> None:
    """In a Python worker of Spark, beside which others run."""
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


def _quoted(name: str) -> str:
    """Column of exactly that name: unquoted, a dot in it would lead into a structure."""
    return "`" + name.replace("`", "``") + "`"


def _spark() -> tuple[Any, type[Any]]:
    try:
        from pyspark.sql import DataFrame, functions
    except ImportError as error:
        raise ImportError(
            f'{_WHO} needs PySpark, which is not installed: pip install "acr-sklearn[spark]".'
        ) from error
    return functions, DataFrame
