import numpy as np
import pandas as pd
import pytest
from made_datasets import anoshift_frame, make_anoshift

from acr_sklearn.datasets import load_anoshift

NUMERICAL = [str(number) for number in range(4, 13)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_anoshift(tmp_path_factory.mktemp("anoshift"))


def test_training_years_hold_their_normal_rows_in_order(folder):
    data = load_anoshift(folder)
    assert data.train_names == ["2006", "2007", "2008", "2009", "2010"]
    for year, rows in zip(range(2006, 2011), data.train, strict=True):
        frame = pd.read_parquet(folder / "subset" / f"{year}_subset.parquet")
        normal = frame[frame["18"] == "1"]
        np.testing.assert_array_equal(rows[:, :9], normal[NUMERICAL].astype(np.float32))
        assert rows.dtype == np.float32


def test_categories_are_one_hot_and_those_of_later_years_are_zeros(folder):
    data = load_anoshift(folder)
    names = list(data.feature_names)
    assert names[:9] == NUMERICAL
    assert "1_service2010" in names
    assert "1_service2014" not in names
    frame = pd.read_parquet(folder / "subset" / "2014_subset.parquet")
    X, _ = next(d for d in data.test if d.name == "2014").load()
    assert X.shape == (80, len(names))
    for column in ("0", "1", "2", "3", "13"):
        own = [i for i, name in enumerate(names) if name.startswith(f"{column}_") and i >= 9]
        np.testing.assert_array_equal(
            X[:, own].sum(1), [f"{column}_{value}" in names for value in frame[column]]
        )
        for i in own:
            value = names[i].removeprefix(f"{column}_")
            np.testing.assert_array_equal(X[:, i] == 1, frame[column] == value)


def test_groups_and_files_are_those_of_the_anoshift_paper(folder):
    data = load_anoshift(folder, categorical="drop")
    assert [(d.name, d.group) for d in data.test] == [
        *((str(year), "IID") for year in range(2006, 2011)),
        *((str(year), "NEAR") for year in range(2011, 2014)),
        *((str(year), "FAR") for year in (2014, 2015)),
    ]
    for domain in data.test:
        valid = "_valid" if domain.group == "IID" else ""
        frame = pd.read_parquet(folder / "subset" / f"{domain.name}_subset{valid}.parquet")
        X, y = domain.load()
        np.testing.assert_array_equal(X, frame[NUMERICAL].astype(np.float32))
        np.testing.assert_array_equal(y == 1, frame["18"] == "1")
        assert set(y) == {1, -1}


def test_a_golden_row(tmp_path):
    (tmp_path / "subset").mkdir()
    frame = anoshift_frame(2006, 3, 1, 1)
    frame.loc[0, [*NUMERICAL, "18"]] = [*(f"0.{i}" for i in range(9)), "1"]
    frame.loc[1, ["4", "18"]] = ["nan", "-2"]
    for name in ("2006_subset", "2006_subset_valid"):
        frame.to_parquet(tmp_path / "subset" / f"{name}.parquet")
    inside = {"train_years": [2006], "test_years": [2006], "categorical": "drop"}
    data = load_anoshift(tmp_path / "subset", **inside)
    assert data.train[0][0].tolist() == [np.float32(i / 10) for i in range(9)]
    X, y = data.test[0].load()
    assert X[1, 0] == 0, "a missing value is 0, as in the released code"
    assert y[1] == -1


def test_no_anomaly_is_among_the_normal_rows_of_its_year(folder):
    data = load_anoshift(folder)
    for year, rows in zip(range(2006, 2011), data.train, strict=True):
        frame = pd.read_parquet(folder / "subset" / f"{year}_subset.parquet")
        attacks = frame.loc[frame["18"] != "1", NUMERICAL].to_numpy(np.float32)
        normal = {row.tobytes() for row in rows[:, :9]}
        assert not normal & {row.tobytes() for row in attacks}
        assert len(rows) == (frame["18"] == "1").sum()


def test_a_sample_of_the_training_rows_depends_on_the_seed_only(folder):
    whole = load_anoshift(folder, categorical="drop").train
    few, same = (load_anoshift(folder, categorical="drop", max_train_rows=9).train for _ in "ab")
    other = load_anoshift(folder, categorical="drop", max_train_rows=9, random_state=1).train
    for a, b, c, rows in zip(few, same, other, whole, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
        place = {row.tobytes(): i for i, row in enumerate(rows)}
        order = [place[row.tobytes()] for row in a]
        assert order == sorted(set(order))
        assert len(order) == 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_years": ()}, r"train_years=\(\)\. Give some of the years"),
        ({"test_years": (2006, 1999)}, r"test_years=\(2006, 1999\)\. Give"),
        ({"size": "half"}, "size='half'. Choose from subset, full"),
        ({"categorical": "ordinal"}, "categorical='ordinal'. Choose from onehot, drop"),
    ],
)
def test_options_that_do_not_exist_are_named(folder, options, message):
    with pytest.raises(ValueError, match=message):
        load_anoshift(folder, **options)


def test_files_that_are_missing_or_wrong_are_named(tmp_path):
    years = {"train_years": [2006], "test_years": [2014]}
    with pytest.raises(
        FileNotFoundError, match=r"2014_subset\.parquet\. Expected a yearly parquet"
    ):
        load_anoshift(tmp_path, **years)
    make_anoshift(tmp_path, years=(2006, 2014))
    path = tmp_path / "subset" / "2006_subset.parquet"
    frame = pd.read_parquet(path)
    wrong = {
        r"no column 18 among": frame.drop(columns="18"),
        r"column 18: found 0\. Expected the labels 1": frame.assign(**{"18": "0"}),
        r"column '7', row 0: 'tcp' is not a number": frame.assign(**{"7": "tcp"}),
        r"has no normal rows": frame.assign(**{"18": "-1"}),
    }
    for message, content in wrong.items():
        content.to_parquet(path)
        with pytest.raises(ValueError, match=rf"2006_subset\.parquet.*{message}"):
            load_anoshift(tmp_path, **years)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"2006_subset\.parquet cannot be read: .*yearly parquet"):
        load_anoshift(tmp_path, **years)


def test_one_year_is_not_a_list(tmp_path):
    for name in ("train_years", "test_years"):
        with pytest.raises(TypeError, match=rf"load_anoshift got {name}=2007\..*{name}=\[2007\]"):
            load_anoshift(tmp_path, **{name: 2007})
