"""The same rows are drawn whatever their order and however they are cut."""

import numpy as np
import pandas as pd
import pytest

from acr_sklearn.distributed.drawn_rows import COUNT, HASH, draw_pandas, least_hashes


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    sites = rng.choice(["x", "y", None], 900, p=[0.9, 0.08, 0.02])
    return pd.DataFrame({"a": rng.normal(size=900), "b": rng.normal(size=900), "site": sites})


def drawn(frame, seed=0):
    return draw_pandas(frame, ["a", "b"], "site", 50, seed)


def test_rows_per_domain_are_bounded_and_counted(frame):
    rows, counts = drawn(frame)
    sizes = frame["site"].value_counts(dropna=False)
    assert rows["site"].value_counts(dropna=False).to_dict() == sizes.clip(upper=50).to_dict()
    assert dict(zip(counts["site"], counts[COUNT], strict=True)) == sizes.to_dict()
    assert not {HASH, COUNT} & set(frame.columns)


def test_order_and_partitions_do_not_matter(frame):
    rows, _ = drawn(frame)
    mixed = frame.sample(frac=1, random_state=1)
    parts = [drawn(mixed.iloc[start : start + 200])[0] for start in range(0, 900, 200)]
    again = least_hashes(pd.concat(parts), "site", 50)
    pd.testing.assert_frame_equal(again, rows)


def test_another_seed_draws_others(frame):
    first, second = (set(drawn(frame, seed)[0]["a"]) for seed in (0, 1))
    of_x = frame.loc[frame["site"] == "x", "a"]
    assert 10 < len(set(of_x) & first - second) < 50


def test_the_draw_does_not_lean_to_some_values():
    rng = np.random.default_rng(1)
    values = rng.normal(size=4000)
    table = pd.DataFrame({"a": values, "b": 0.0, "site": 1})
    means = [draw_pandas(table, ["a", "b"], "site", 400, seed)[0]["a"].mean() for seed in range(12)]
    # Each mean of 400 has a standard error of about 1 / 20, as has the mean of 4000 1 / 63.
    assert abs(np.mean(means) - values.mean()) < 0.06
    assert 0.02 < np.std(means) < 0.1


def test_a_partition_without_rows(frame):
    rows, counts = drawn(frame[:0])
    assert (len(rows), len(counts)) == (0, 0)
