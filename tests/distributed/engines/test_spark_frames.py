"""Spark on two workers, with a task that fails once: every row once, as on one machine."""

import os
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from acr_sklearn.distributed import fit_frame, score_frame, score_spark
from acr_sklearn.exceptions import ACRWarning

sql = pytest.importorskip("pyspark.sql", reason="PySpark is not installed: make test-engines")
if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    pytest.skip(
        "Spark needs Java, and there is none (Debian: openjdk-17-jre-headless)",
        allow_module_level=True,
    )

FEATURES = list("abcde")
# What Spark's sockets and its use of pandas leave behind in ours is not ours to close.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore:PySpark does not yet fully support pandas:FutureWarning",
    "ignore:The copy keyword is deprecated",  # PySpark's own use of pandas 3
)


@pytest.fixture(scope="module")
def spark():
    """Two workers, and a task may fail once."""
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "700",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        builder = sql.SparkSession.builder.master("local[2,2]")
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()


@pytest.fixture(scope="module")
def lake(spark, fleet, tmp_path_factory):
    """The fleet in parquet files, an empty one among them."""
    folder = tmp_path_factory.mktemp("lake")
    for start in range(0, len(fleet), 1800):
        fleet[start : start + 1800].to_parquet(folder / f"{start}.parquet", index=False)
    fleet[:0].assign(site=fleet["site"][:0].astype("str")).to_parquet(folder / "z.parquet")
    return spark.read.parquet(str(folder)).select(*fleet.columns)


def collected(scored):
    return pd.DataFrame([row.asDict() for row in scored.collect()], columns=scored.columns)


@pytest.mark.parametrize("when", ["before the shuffle", "after scoring"])
def test_a_task_fails_once(when, lake, named, agree, tmp_path):
    died = str(tmp_path / "died")

    def fail_once(frames):
        for frame in frames:
            try:
                Path(died).touch(exist_ok=False)
            except FileExistsError:
                yield frame
            else:
                raise RuntimeError("on purpose")

    first = when == "before the shuffle"
    broken = lake.repartition(3).mapInPandas(fail_once, lake.schema) if first else lake
    scored = score_spark(broken, named, domain_column="site", key="id")
    if not first:
        scored = scored.mapInPandas(fail_once, scored.schema)
    agree(collected(scored))
    assert Path(died).exists()
    types = [field.dataType.simpleString() for field in scored.schema]
    assert types == ["bigint", "string", "double", "bigint", "double", "bigint"]


def test_whole_numbers_as_names_stay_exact_beside_a_null(spark, lake, named, expected):
    functions = sql.functions
    names = {"pump 1": 1, "pump 2": 2**60 + 1, "pump 3": 2**60 + 2, "big": -1}
    number = functions.create_map(*(functions.lit(x) for pair in names.items() for x in pair))
    frame = lake.withColumn("site", number[functions.col("site")])
    found = collected(score_spark(frame, named, domain_column="site", key="id", n_buckets=2))
    by_id = found.set_index("id").sort_index()
    np.testing.assert_allclose(by_id["score"], expected["score"], rtol=1e-7, atol=1e-9)
    for n_buckets in (1, 4):  # null with all others, and apart from most
        scored = score_spark(frame, named, domain_column="site", n_buckets=n_buckets)
        found = {row.site for row in scored.select("site").distinct().collect()}
        assert found == {*names.values(), None}


def test_nan_and_null_are_one_domain(lake, named, expected):
    functions = sql.functions
    # Null, NaN, 0.0 and -0.0, which Spark takes for four values and pandas for two.
    odd = functions.when(functions.col("id") % 2 == 0, functions.lit(float("nan")))
    zero = functions.when(functions.col("id") % 2 == 0, 0.0).otherwise(-0.0)
    site = functions.when(functions.col("site") == "big", zero)
    site = site.when(functions.col("site") == "pump 3", 1.5)
    frame = lake.withColumn("site", site.when(functions.isnull("site"), odd))
    frame = frame.where("site is not null or id % 2 = 1")
    rows = score_spark(frame, named, domain_column="site", key="id", n_buckets=64).collect()
    sizes = expected["n_rows"]
    found = {row.id: row.n_rows for row in rows}
    assert {found[i] for i in sizes.index[sizes == 3000]} == {3000}
    others = {n for i, n in found.items() if sizes[i] not in (3000, 400)}
    assert len(others) == 1


def test_one_domain_over_partitions(spark, lake, fleet, named, agree):
    big = fleet[fleet["site"] == "big"]
    wanted = score_frame(big, named, key="id").set_index("id").sort_index()
    part = lake.where("site = 'big'").drop("site")
    agree(collected(score_spark(part, named, key="id")), wanted)


def test_rows_of_all_partitions_are_brought_where_statistics_need_them(lake, fleet, quick, domains):
    detector = quick(score_head="objective", max_iter=2).fit(domains)
    big = fleet[fleet["site"] == "big"]
    wanted = score_frame(big, detector, key="id", columns=FEATURES).set_index("id").sort_index()
    part = lake.where("site = 'big'")
    found = collected(score_spark(part, detector, key="id", columns=FEATURES))
    found = found.set_index("id").sort_index()
    np.testing.assert_allclose(found["score"], wanted["score"], rtol=1e-6, atol=1e-9)


def test_rows_scored_by_themselves(lake, fleet, named):
    live = named.adapt(fleet.loc[fleet["site"] == "big", FEATURES])
    found = collected(score_spark(lake, live, domain_column="site", key="id"))
    wanted = score_frame(fleet.assign(site="x"), live, key="id").set_index("id").sort_index()
    found = found.set_index("id").sort_index()
    np.testing.assert_allclose(found["score"], wanted["score"])


def test_names_with_dots_and_quotes(lake, fleet, quick, domains):
    names = ["x.y", "a`b", "c d", "e", "f"]
    detector = quick(max_iter=2).fit([pd.DataFrame(rows, columns=names) for rows in domains])
    renamed = lake.toDF(*("n.s" if n == "site" else n for n in lake.columns))
    chosen = dict(zip(FEATURES, names, strict=True))
    renamed = renamed.toDF(*(chosen.get(n, n) for n in renamed.columns))
    found = collected(score_spark(renamed, detector, domain_column="n.s", key="id"))
    assert sorted(found["id"]) == sorted(fleet["id"])


def test_bad_columns_are_refused_at_once_and_bad_rows_by_name(lake, fleet, named):
    with pytest.raises(ValueError, match=r"score_spark found no column 'c' in the table"):
        score_spark(lake.drop("c"), named, domain_column="site")
    with pytest.raises(TypeError, match=r"score_spark got a DataFrame. It needs a pyspark"):
        score_spark(fleet, named, domain_column="site")
    functions = sql.functions
    odd = lake.withColumn("c", functions.when(functions.col("site") != "pump 2", lake["c"]))
    with pytest.raises(Exception, match=r"score_spark got NaN in X: .* domain"):
        score_spark(odd, named, domain_column="site").collect()
    alone = lake.limit(1)
    with pytest.raises(Exception, match=r"score_spark got a batch of 1 .*if_single='missing'"):
        score_spark(alone, named, domain_column="site").collect()


def test_a_fit_draws_a_bounded_number_of_rows(lake, fleet, quick):
    given = {"domain_column": "site", "columns": FEATURES, "max_rows": 30}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)
        found = fit_frame(lake, quick(max_iter=2), **given)
        again = fit_frame(lake.repartition(5), quick(max_iter=2), **given)
    sizes = {"pump 1": 2, "pump 2": 17, "pump 3": 400, "big": 3000, "(null)": 40}
    assert found.drawn == {name: (min(n, 30), n) for name, n in sizes.items()}
    rows = fleet[FEATURES]
    np.testing.assert_allclose(
        found.detector.score_samples(rows), again.detector.score_samples(rows)
    )
