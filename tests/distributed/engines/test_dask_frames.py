"""Dask on processes of its own, one of which dies: every row once, as on one machine."""

import os
import signal
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from acr_sklearn.distributed import fit_frame, score_dask, score_frame
from acr_sklearn.exceptions import ACRWarning

dask = pytest.importorskip("dask", reason="Dask is not installed: make test-engines")
dd = pytest.importorskip("dask.dataframe", reason="Dask is not installed: make test-engines")
distributed = pytest.importorskip("distributed", reason="Dask is not installed: make test-engines")

FEATURES = list("abcde")
# What Dask's processes and event loops leave behind in ours is not ours to close.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Two worker processes of one thread, as on two machines."""
    settings = {
        "n_workers": 2,
        "threads_per_worker": 1,
        "processes": True,
        "dashboard_address": None,
        "local_directory": str(tmp_path_factory.mktemp("dask")),
    }
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as found:
        yield found


@pytest.fixture(scope="module")
def spread(fleet):
    """The fleet in partitions of 500 rows, an empty one in their midst."""
    parts = [fleet[start : start + 500] for start in range(0, len(fleet), 500)]
    parts.insert(2, fleet[:0])
    return dd.from_map(lambda part: part, parts, meta=fleet[:0])


@pytest.fixture
def here():
    # The cluster of other tests is still there: its way to shuffle needs it.
    with dask.config.set({"scheduler": "synchronous", "dataframe.shuffle.method": "tasks"}):
        yield


def die_once(part, folder, name):
    """End the worker that comes first."""
    try:
        (Path(folder) / name).touch(exist_ok=False)
    except FileExistsError:
        return part
    os.kill(os.getpid(), signal.SIGKILL)
    return part


@pytest.mark.parametrize("when", ["before the shuffle", "after scoring"])
def test_a_worker_is_killed(when, client, spread, named, agree, tmp_path):
    dies = {"folder": str(tmp_path), "name": "died"}
    if when == "before the shuffle":
        spread = spread.map_partitions(die_once, **dies, meta=spread._meta)
    scored = score_dask(spread, named, domain_column="site", key="id")
    if when == "after scoring":
        scored = scored.map_partitions(die_once, **dies, meta=scored._meta)
    before = set(client.run(os.getpid).values())
    agree(scored.compute(scheduler=client))
    assert (tmp_path / "died").exists()
    assert set(client.run(os.getpid).values()) != before


def test_workers_use_one_thread(client, spread, named):
    def threads():
        import torch

        return torch.get_num_threads()

    score_dask(spread, named, domain_column="site").compute(scheduler=client)
    assert set(client.run(threads).values()) == {1}


def test_one_domain_over_the_partitions_of_a_cluster(client, spread, fleet, named, agree):
    big = fleet[fleet["site"] == "big"]
    wanted = score_frame(big, named, key="id").set_index("id").sort_index()
    part = spread[spread["site"] == "big"].drop(columns="site")
    with dask.config.set(scheduler=client):
        scored = score_dask(part, named, key="id")
        agree(scored.compute(), wanted)
    assert scored.npartitions == spread.npartitions


@pytest.mark.usefixtures("here")
def test_statistics_of_all_partitions_where_a_head_needs_every_row(spread, fleet, quick, domains):
    detector = quick(score_head="objective", max_iter=2).fit(domains)
    given = {"key": "id", "columns": FEATURES}
    wanted = score_frame(fleet[fleet["site"] == "big"], detector, **given)
    found = score_dask(spread[spread["site"] == "big"], detector, **given).compute()
    np.testing.assert_array_equal(found["id"], wanted["id"])
    np.testing.assert_allclose(found["score"], wanted["score"], rtol=1e-6, atol=1e-9)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("npartitions", [1, 3, 40])
def test_any_number_of_partitions(npartitions, spread, named, agree):
    scored = score_dask(spread, named, domain_column="site", key="id", npartitions=npartitions)
    agree(scored.compute())
    assert scored._meta.dtypes.tolist() == scored.compute().dtypes.tolist()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "rename",
    [
        lambda site: site.astype("category"),
        lambda site: site.map({"pump 1": 1.0, "pump 2": 2.0, "pump 3": 3.0, "big": 4.0}),
        lambda site: site.map({"pump 1": 1, "pump 2": 2, "pump 3": 3, "big": 4}).astype("Int64"),
    ],
)
def test_categories_and_numbers_as_names(rename, fleet, named, expected):
    frame = fleet.assign(site=rename(fleet["site"]))
    spread = dd.from_pandas(frame, npartitions=6, sort=False)
    found = score_dask(spread, named, domain_column="site", key="id").compute()
    found = found.set_index("id").sort_index()
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(found["n_rows"], expected["n_rows"])


@pytest.mark.usefixtures("here")
def test_null_is_one_domain_though_a_partition_holds_nothing_else(fleet, named, agree):
    known, unknown = fleet[fleet["site"].notna()], fleet[fleet["site"].isna()]
    # As a file without types is read: the column is of floats where it has no value.
    parts = [known, unknown[:15], unknown[15:].assign(site=np.nan)]
    with dask.config.set({"dataframe.convert-string": False}):
        spread = dd.from_map(lambda part: part, parts, meta=fleet[:0])
        agree(score_dask(spread, named, domain_column="site", key="id", npartitions=7).compute())


def test_names_of_columns_may_be_numbers_and_rows_share_an_index(client, fleet, fitted, expected):
    frame = fleet.rename(columns=dict(zip(FEATURES, range(5), strict=True)))
    parts = [part.set_axis([0] * len(part)) for part in (frame[:900], frame[900:])]
    spread = dd.from_map(lambda part: part, parts, meta=parts[0][:0])
    given = {"domain_column": "site", "columns": list(range(5)), "key": ["id", "site"]}
    scored = score_dask(spread, fitted, **given, npartitions=3)
    found = scored.compute(scheduler=client)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)
        wanted = score_frame(frame, fitted, **given)
    assert list(found.columns) == list(wanted.columns)
    assert set(found.index) == {0}
    found, wanted = (table.set_index("id").sort_index() for table in (found, wanted))
    np.testing.assert_allclose(found["score"], wanted["score"], rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(found["n_rows"], expected["n_rows"])


@pytest.mark.usefixtures("here")
def test_twenty_thousand_domains(quick, domains):
    detector = quick(score_head="objective", max_iter=2).fit(domains)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60_000, 5)), columns=FEATURES)
    frame["site"] = rng.permutation(np.repeat(np.arange(20_000), 3))
    frame["id"] = np.arange(60_000)
    spread = dd.from_pandas(frame, npartitions=4, sort=False)
    scored = score_dask(spread, detector, domain_column="site", key="id", columns=FEATURES)
    found = scored.compute().set_index("id").sort_index()
    assert set(found["n_rows"]) == {3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)
        wanted = detector.score_samples(frame[FEATURES].to_numpy(), domains=frame["site"])
    np.testing.assert_allclose(found["score"], wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.usefixtures("here")
def test_rows_scored_by_themselves_are_not_shuffled(spread, fleet, named):
    live = named.adapt(fleet.loc[fleet["site"] == "big", FEATURES])
    scored = score_dask(spread, live, domain_column="site", key="id")
    found = scored.compute()
    assert scored.npartitions == spread.npartitions
    assert found["id"].tolist() == fleet["id"].tolist()
    np.testing.assert_allclose(found["score"], live.score_samples(fleet[FEATURES]))


@pytest.mark.usefixtures("here")
def test_bad_rows_end_the_run_with_their_domain_and_bad_columns_at_once(spread, named, fleet):
    odd = fleet.assign(c=fleet["c"].where(fleet["site"] != "pump 2"))
    scored = score_dask(dd.from_pandas(odd, npartitions=4), named, domain_column="site")
    with pytest.raises(ValueError, match=r"score_dask got NaN in X: .* domain 'pump 2'"):
        scored.compute()
    alone = dd.from_pandas(fleet.iloc[:1].assign(site="alone"), npartitions=1)
    scored = score_dask(alone, named, domain_column="site")
    with pytest.raises(ValueError, match=r"score_dask got a batch of 1 .*if_single='missing'"):
        scored.compute()
    with pytest.raises(ValueError, match=r"score_dask found no column 'c' in the table"):
        score_dask(spread.drop(columns="c"), named, domain_column="site")
    with pytest.raises(TypeError, match=r"score_dask got a DataFrame. It needs a dask"):
        score_dask(fleet, named, domain_column="site")


@pytest.mark.usefixtures("here")
def test_a_fit_draws_the_same_rows_as_in_memory(spread, fleet, quick):
    given = {"domain_column": "site", "columns": FEATURES, "max_rows": 30}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)
        one = fit_frame(fleet, quick(max_iter=2), **given)
        other = fit_frame(spread, quick(max_iter=2), **given)
    assert other.drawn == one.drawn
    assert other.drawn["big"] == (30, 3000)
    rows = fleet[FEATURES]
    np.testing.assert_array_equal(
        one.detector.score_samples(rows), other.detector.score_samples(rows)
    )
