"""The door to DuckDB: a sorted query is read through once, and whole domains are scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from acr_sklearn.distributed.column_plan import ColumnPlan, plan_columns
from acr_sklearn.distributed.frames import codes_of
from acr_sklearn.distributed.scored_frame import score_part

__all__ = ["score_duckdb"]

_WHO = "score_duckdb"
#: Rows that are fetched at a time, and about as many are scored by one call.
_ROWS = 131072


def score_duckdb(
    relation: Any,
    detector: Any,
    *,
    domain_column: str,
    key: Any = None,
    columns: Sequence[str] | None = None,
    if_single: str = "raise",
) -> Iterator[Any]:
    """Score the rows of a DuckDB relation, each domain as a batch of its own.

    DuckDB sorts by domain, on disk if need be, and the result comes in tables of whole domains:
    parquet partitions larger than memory need about that of the largest domain. The connection
    is busy until the last table is there: run other queries on ``connection.cursor()``.

    Parameters
    ----------
    relation : duckdb.DuckDBPyRelation
        Such as ``duckdb.read_parquet("lake/**/*.parquet")``, in any order.
    detector : detector of this package
        Fitted.
    domain_column : str
        Name of the column that holds each row's domain; null is a domain too.
    key, columns, if_single : object
        As in `score_frame`.

    Returns
    -------
    iterator of pyarrow.Table
        Of the columns of `score_frame`; together they hold every row once.

    Raises
    ------
    ImportError
        Without DuckDB or pyarrow.
    TypeError, ValueError
        As `score_frame`: for columns at once, for rows as the tables are made.
    """
    try:
        import duckdb

        pa: Any = import_module("pyarrow")
    except ImportError as error:
        raise ImportError(
            f"{_WHO} needs DuckDB and pyarrow, of which one is not installed: "
            'pip install "acr-sklearn[duckdb]".'
        ) from error
    if not isinstance(relation, duckdb.DuckDBPyRelation):
        raise TypeError(
            f"{_WHO} got a {type(relation).__name__}. It needs a relation of DuckDB, such as "
            "duckdb.read_parquet(...) or connection.sql(...)."
        )
    plan = plan_columns(
        detector,
        relation.columns,
        columns=columns,
        domain_column=domain_column,
        key=key,
        if_single=if_single,
        who=_WHO,
    )
    if plan.domain is None:
        raise ValueError(
            f"{_WHO} got domain_column=None. Name the column that holds each row's domain; one "
            "domain alone is scored by score_frame(relation.arrow(), detector)."
        )
    # The columns by name, so that their order in the files does not matter.
    chosen = ", ".join(map(_quoted, plan.needed))
    reader = _reader(relation.project(chosen).order(_by_domain(relation, plan.domain)))
    return _tables(reader, detector, plan, pa)


def _by_domain(relation: Any, name: str) -> str:
    """Order in which equal names are neighbours, as are NaN and null, whatever the settings."""
    kind = dict(zip(relation.columns, relation.types, strict=True))[name]
    # A collation could take names for equal that are not: bytes have none.
    column = f"encode({_quoted(name)})" if str(kind) == "VARCHAR" else _quoted(name)
    return f"{column} ASC NULLS LAST"


def _reader(ordered: Any) -> Any:
    # DuckDB renamed it; the older name warns.
    name = "to_arrow_reader" if hasattr(ordered, "to_arrow_reader") else "fetch_record_batch"
    return getattr(ordered, name)(_ROWS)


def _tables(reader: Any, detector: Any, plan: ColumnPlan, pa: Any) -> Iterator[Any]:
    held = [reader.schema.empty_table()]
    for batch in reader:
        table = pa.Table.from_batches([batch])
        last = held[-1].slice(max(0, len(held[-1]) - 1))
        # Of the rows before only the last is looked at: a domain may go on for many batches.
        begun = _start_of_last_domain(pa.concat_tables([last, table]), plan) - len(last)
        if begun >= 0:
            ended = pa.concat_tables([*held, table.slice(0, begun)])
            if len(ended):
                yield score_part(ended, detector, plan)
            held, table = [], table.slice(begun)
        held.append(table)
    yield score_part(pa.concat_tables(held), detector, plan)


def _start_of_last_domain(ordered: Any, plan: ColumnPlan) -> int:
    """Place of the first row of the last domain of a sorted table, which may go on."""
    _, index, _ = codes_of(ordered, plan.domain, who=_WHO)
    return int((index == index[-1]).argmax()) if len(index) else 0


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
