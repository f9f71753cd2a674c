"""DuckDB over parquet partitions: whole domains, every row once."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from acr_sklearn.distributed import duckdb_queries, score_duckdb

duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed: make test-engines")


@pytest.fixture(scope="module")
def lake(fleet, tmp_path_factory):
    """Unsorted parquet files, an empty one among them, with columns in two orders."""
    folder = tmp_path_factory.mktemp("lake")
    for number, start in enumerate(range(0, len(fleet), 700)):
        part = pa.Table.from_pandas(fleet[start : start + 700], preserve_index=False)
        names = part.column_names[:: -1 if number % 2 else 1]
        pq.write_table(part.select(names), folder / f"{number}.parquet")
    pq.write_table(part.slice(0, 0), folder / "empty.parquet")
    return f"{folder}/*.parquet"


@pytest.mark.parametrize("rows", [64, 131072])
def test_every_row_once_as_on_one_machine(rows, lake, named, agree, monkeypatch):
    monkeypatch.setattr(duckdb_queries, "_ROWS", rows)
    relation = duckdb.read_parquet(lake, union_by_name=True)
    tables = list(score_duckdb(relation, named, domain_column="site", key="id"))
    agree(pa.concat_tables(tables).to_pandas())
    assert (len(tables) > 3) == (rows == 64)


def test_a_relation_without_rows(lake, named):
    empty = duckdb.read_parquet(lake, union_by_name=True).filter("id < 0")
    (found,) = score_duckdb(empty, named, domain_column="site", key="id")
    assert (found.num_rows, found.column_names[-1]) == (0, "n_rows")


def test_many_domains_in_any_number_of_batches(named, make_domain, monkeypatch):
    monkeypatch.setattr(duckdb_queries, "_ROWS", 2048)
    names = np.random.default_rng(0).permutation(np.repeat(np.arange(500), 20))
    columns = dict(zip("abcde", make_domain(1, n_rows=10_000).T, strict=True))
    table = pa.table(columns | {"site": names})
    relation = duckdb.from_arrow(table)
    found = pa.concat_tables(score_duckdb(relation, named, domain_column="site"))
    assert found.num_rows == 10_000
    assert set(found["n_rows"].to_pylist()) == {20}


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("default_null_order = 'nulls_first'", [1.0, float("nan"), None]),
        ("default_order = 'desc'", [1.0, float("nan"), None]),
        ("default_collation = 'nocase'", ["x", "X", "y"]),
    ],
)
def test_no_setting_of_the_order_cuts_a_domain(setting, names, named, make_domain, monkeypatch):
    monkeypatch.setattr(duckdb_queries, "_ROWS", 64)
    site = pa.array(names * 100, from_pandas=False)
    table = pa.table(dict(zip("abcde", make_domain(1, n_rows=300).T, strict=True)) | {"site": site})
    with duckdb.connect() as connection:
        connection.execute(f"SET {setting}")
        relation = connection.from_arrow(table)
        found = pa.concat_tables(score_duckdb(relation, named, domain_column="site"))
    sizes = {100} if isinstance(names[0], str) else {100, 200}
    assert found.num_rows == 300
    assert set(found["n_rows"].to_pylist()) == sizes


def test_the_order_of_columns_is_that_of_fit(named, make_domain):
    columns = dict(zip("abcde", make_domain(1, n_rows=200).T, strict=True))
    straight, turned = (
        duckdb.from_arrow(pa.table({n: columns[n] for n in names} | {"site": ["x"] * 200}))
        for names in ("abcde", "edcba")
    )
    one, other = (list(score_duckdb(r, named, domain_column="site")) for r in (straight, turned))
    np.testing.assert_array_equal(one[0]["score"], other[0]["score"])


def test_what_is_no_relation_is_refused(fleet, named, lake):
    with pytest.raises(TypeError, match=r"score_duckdb got a DataFrame. It needs a relation"):
        score_duckdb(fleet, named, domain_column="site")
    relation = duckdb.read_parquet(lake, union_by_name=True)
    with pytest.raises(ValueError, match=r"score_duckdb got a batch of 1 .*if_single='missing'"):
        list(score_duckdb(relation.limit(1), named, domain_column="site"))
    with pytest.raises(ValueError, match=r"score_duckdb got domain_column=None"):
        score_duckdb(relation, named, domain_column=None)
    with pytest.raises(ValueError, match=r"score_duckdb found no column 'plant'"):
        score_duckdb(relation, named, domain_column="plant")
