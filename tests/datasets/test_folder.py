import numpy as np
import pandas as pd
import pytest

from acr_sklearn.datasets import load_folder


def frame(seed, n=6):
    rng = np.random.default_rng(seed)
    label = np.where(np.arange(n) % 3 == 2, -1, 1)
    return pd.DataFrame({"a": rng.normal(size=n), "fault": label, "b": np.arange(n)})


@pytest.fixture
def folder(tmp_path):
    frame(0).to_csv(tmp_path / "south.csv", index=False)
    frame(1)[["b", "a", "fault"]].to_parquet(tmp_path / "north.parquet")
    frame(2).to_csv(tmp_path / "east.csv", index=False)
    (tmp_path / "readme.txt").write_text("not a table")
    return tmp_path


def test_a_file_is_a_domain_and_its_rows_and_columns_keep_their_order(folder):
    data = load_folder(folder, label="fault", test=["north"])
    assert data.train_names == ["east", "south"]
    assert data.feature_names == ("a", "b")
    assert data.input_shape is None
    for seed, rows in zip((2, 0), data.train, strict=True):
        own = frame(seed)
        np.testing.assert_allclose(rows, own.loc[own["fault"] == 1, ["a", "b"]], rtol=1e-14)
    (north,) = data.test
    X, y = north.load()
    assert (north.name, north.group) == ("north", "test")
    np.testing.assert_array_equal(X, frame(1)[["a", "b"]])
    assert y.tolist() == [1, 1, -1, 1, 1, -1]


def test_without_a_label_every_column_is_a_feature_and_every_row_normal(folder):
    data = load_folder(folder)
    assert data.train_names == ["east", "north", "south"]
    assert data.feature_names == ("a", "fault", "b")
    assert [rows.shape for rows in data.train] == [(6, 3)] * 3
    assert data.test == []


def test_what_does_not_fit_is_named(folder):
    frame(0).rename(columns={"b": "c"}).to_csv(folder / "south.csv", index=False)
    with pytest.raises(
        ValueError, match=r"south\.csv lacks b\. Expected the columns of .*east\.csv"
    ):
        load_folder(folder, label="fault")
    frame(0).assign(z=1).to_csv(folder / "south.csv", index=False)
    with pytest.raises(ValueError, match=r"south\.csv also has z"):
        load_folder(folder, label="fault")
    frame(0).assign(a="x").to_csv(folder / "south.csv", index=False)
    message = (
        r"south\.csv, column 'a', row 0: 'x' is not a number.*drop=\['a'\].*columns=.*time='a'"
    )
    with pytest.raises(ValueError, match=message):
        load_folder(folder, label="fault")
    with pytest.raises(ValueError, match=r"'x' is not a number.*take 'a' out of columns=.*time="):
        load_folder(folder, label="fault", columns=["a"])
    frame(0).assign(a=np.nan).to_csv(folder / "south.csv", index=False)
    with pytest.raises(ValueError, match=r"south\.csv, column 'a', row 0: a value is missing"):
        load_folder(folder, label="fault")
    frame(0).assign(fault=0).to_csv(folder / "south.csv", index=False)
    with pytest.raises(
        ValueError,
        match=r"south\.csv, column 'fault': found 0\. Expected the lab.*write 1 - 2 \* label",
    ):
        load_folder(folder, label="fault")
    frame(0).assign(fault=-1).to_csv(folder / "south.csv", index=False)
    with pytest.raises(ValueError, match=r"south\.csv has no normal rows to train on"):
        load_folder(folder, label="fault")


def test_domains_that_do_not_exist_are_named(folder):
    with pytest.raises(
        FileNotFoundError, match=r"No west\.csv or west\.parquet .*east, north, sou"
    ):
        load_folder(folder, label="fault", test=["west"])
    with pytest.raises(ValueError, match="none is left to train on"):
        load_folder(folder, label="fault", test=["north", "south", "east"])
    frame(0).to_csv(folder / "north.csv", index=False)
    with pytest.raises(
        ValueError, match=r"has north\.csv and north\.parquet|north\.parquet and no"
    ):
        load_folder(folder)


def test_a_folder_without_tables_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No tables in .*Expected a folder of \.csv"):
        load_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"No folder .*gone"):
        load_folder(tmp_path / "gone")


def test_one_name_is_not_a_list_of_letters(folder):
    frame(3).to_csv(folder / "s.csv", index=False)
    for name in ("north", "s"):  # the second is a list of one letter, and that a domain
        with pytest.raises(TypeError, match=rf"load_folder got test='{name}'.*test=\['{name}'\]"):
            load_folder(folder, label="fault", test=name)


def test_suffixes_may_be_in_upper_case_and_hidden_files_are_passed_over(folder):
    frame(3).to_csv(folder / "UP.CSV", index=False)
    (folder / "north.parquet").rename(folder / "north.Parquet")
    (folder / "._east.csv").write_bytes(b"\0\5\x16\7")
    assert load_folder(folder).train_names == ["UP", "east", "north", "south"]


@pytest.mark.parametrize("name", ["west.csv.bz2", "west.TSV", "west.xlsx", "west.parquet.bak"])
def test_a_table_that_would_be_left_out_is_refused(folder, name):
    frame(3).to_csv(folder / name, index=False)
    with pytest.raises(
        ValueError, match=rf"{name} would be left out: only \.csv and \.csv\.gz and \.parquet"
    ):
        load_folder(folder)


def test_large_numbers_stay_as_far_apart_as_they_are(folder):
    times = 1_700_000_000_000 + np.arange(6)
    for name in ("south", "east"):
        frame(0).assign(a=times, b=1e39).to_csv(folder / f"{name}.csv", index=False)
    data = load_folder(folder, label="fault", test=["east"])
    for rows in (data.train[1][:, 0], data.test[0].load()[0][frame(0)["fault"] == 1, 0]):
        np.testing.assert_array_equal(rows, times[frame(0)["fault"] == 1])
    assert (data.train[1][:, 1] == 1e39).all()


def test_values_that_are_no_finite_numbers_are_named(folder):
    frame(0).assign(a=[1, 2, np.inf, 4, 5, 6]).to_csv(folder / "south.csv", index=False)
    with pytest.raises(ValueError, match=r"south\.csv, column 'a', row 2: a value is infinite"):
        load_folder(folder, label="fault")
    (folder / "south.csv").unlink()
    times = pd.to_datetime(["2020-01-01"] * 6)
    for values, what in ((times, r"datetime64\[.*"), (times - times[0], r"timedelta64\[.*")):
        frame(0).assign(a=values).to_parquet(folder / "south.parquet")
        with pytest.raises(
            ValueError,
            match=rf"south\.parquet, column 'a' holds times \({what}hours since.*drop=.*time=",
        ):
            load_folder(folder, label="fault")


def test_a_label_that_is_not_there_or_alone_is_named(folder, tmp_path_factory):
    with pytest.raises(ValueError, match=r"east\.csv has no column 'y', named in .*a, fault, b"):
        load_folder(folder, label="y")
    alone = tmp_path_factory.mktemp("alone")
    frame(0)[["fault"]].to_csv(alone / "a.csv", index=False)
    with pytest.raises(ValueError, match=r"a\.csv has no columns but the label 'fault'\. Expected"):
        load_folder(alone, label="fault")


def test_an_index_column_is_warned_of_and_can_be_left_out(tmp_path):
    for name in "ab":
        pd.DataFrame({"x": [1.0, 2], "y": [3.0, 4]}).to_csv(tmp_path / f"{name}.csv")
    with pytest.warns(UserWarning, match=r"a\.csv, which has no name.*drop=\['Unnamed: 0'\]"):
        assert load_folder(tmp_path).feature_names == ("Unnamed: 0", "x", "y")
    assert load_folder(tmp_path, drop=["Unnamed: 0"]).feature_names == ("x", "y")
    data = load_folder(tmp_path, columns=["y", "x"])
    assert data.feature_names == ("y", "x")
    assert data.train[1].tolist() == [[3, 1], [4, 2]]


def test_columns_that_are_not_there_or_named_twice_are_refused(folder):
    for argument in ("columns", "drop"):
        with pytest.raises(ValueError, match=rf"no column 'z', named in {argument}="):
            load_folder(folder, **{argument: ["z"]})
    with pytest.raises(ValueError, match="got 'a' in columns= and in drop="):
        load_folder(folder, columns=["a"], drop=["a"])


def test_semicolons_and_decimal_commas(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x;y\n1,5;2\n2,5;3\n")
    with pytest.raises(ValueError, match=r"a\.csv .*separated by ';'.*pass sep=';', and decimal"):
        load_folder(tmp_path)
    with pytest.raises(ValueError, match=r"'1,5' is not a number.*pass decimal=','"):
        load_folder(tmp_path, sep=";")
    data = load_folder(tmp_path, sep=";", decimal=",")
    assert data.train[0].tolist() == [[1.5, 2], [2.5, 3]]
    path.write_text("x;y\n1.500;2\n2.500;3\n")
    with pytest.raises(ValueError, match=r"column 'x', row 0: '1.500' has a point"):
        load_folder(tmp_path, sep=";", decimal=",")
    path.write_text("x,y\n1,5,2,5\n")
    with pytest.raises(ValueError, match="see sep=';' and decimal=','"):
        load_folder(tmp_path)


@pytest.mark.parametrize("given", [{"sep": ";;"}, {"sep": ""}, {"decimal": ";"}, {"missing": "no"}])
def test_settings_that_do_not_exist_are_named(folder, given):
    with pytest.raises(ValueError, match=f"load_folder got {next(iter(given))}="):
        load_folder(folder, **given)


def test_missing_cells_are_kept_where_asked(tmp_path):
    (tmp_path / "a.csv").write_text("x,y,fault\n1,,1\n2,3,1\n")
    with pytest.raises(ValueError, match=r"a\.csv, column 'y', row 0.*pass missing='keep'"):
        load_folder(tmp_path, label="fault")
    data = load_folder(tmp_path, label="fault", missing="keep")
    np.testing.assert_array_equal(data.train[0], [[1, np.nan], [2, 3]])
    (tmp_path / "a.csv").write_text("x,y,fault\n1,2,\n2,3,1\n")
    with pytest.raises(ValueError, match=r"column 'fault', row 0: a value is missing"):
        load_folder(tmp_path, label="fault", missing="keep")


def test_a_test_domain_may_have_no_labels(folder):
    frame(2).drop(columns="fault").to_csv(folder / "east.csv", index=False)
    data = load_folder(folder, label="fault", test=["east"])
    X, y = data.test[0].load()
    assert X.shape == (6, 2)
    assert y is None
    with pytest.raises(ValueError, match="Domain 'east' has no labels"):
        data.test[0].draw(0.1, np.random.default_rng(0))
    assert load_folder(folder, test=["east"], drop=[], columns=["a"]).test[0].load()[1] is None


def test_packed_files_are_read_under_the_name_without_both_suffixes(folder):
    frame(4).to_csv(folder / "west.csv.gz", index=False)
    data = load_folder(folder, label="fault", test=["west"])
    np.testing.assert_allclose(data.test[0].load()[0], frame(4)[["a", "b"]], rtol=1e-14)
    (folder / "west.csv.gz").write_bytes((folder / "west.csv.gz").read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"west\.csv\.gz cannot be read.*EOFError"):
        data.test[0].load()


def test_other_encodings_are_read_and_named(tmp_path):
    text = "Höhe,b\n1,2\n3,4\n"
    (tmp_path / "a.csv").write_bytes(text.encode("cp1252"))
    with pytest.raises(ValueError, match=r"a\.csv .*line 1 is no text.*pass encoding='cp1252'"):
        load_folder(tmp_path)
    assert load_folder(tmp_path, encoding="cp1252").feature_names == ("Höhe", "b")
    (tmp_path / "a.csv").write_bytes(text.encode("utf-16"))
    with pytest.raises(ValueError, match=r"a\.csv .*UTF-16: pass encoding='utf-16'\.$"):
        load_folder(tmp_path)
    assert load_folder(tmp_path, encoding="utf-16").train[0].tolist() == [[1, 2], [3, 4]]
    (tmp_path / "a.csv").write_bytes(text.encode("utf-8-sig"))
    assert load_folder(tmp_path).feature_names == ("Höhe", "b")
    for odd in ("utf-99", "hex", 5):
        with pytest.raises(ValueError, match="which names no encoding of text"):
            load_folder(tmp_path, encoding=odd)


def test_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x,y,x\n1,2,3\n")
    with pytest.raises(ValueError, match=r"a\.csv .*2 columns have the name 'x': rename"):
        load_folder(tmp_path)


def test_test_domains_have_the_groups_that_they_are_given(folder):
    data = load_folder(folder, test=["north", "east"], groups={"north": "near"})
    assert [(d.name, d.group) for d in data.test] == [("north", "near"), ("east", "test")]
    with pytest.raises(ValueError, match="groups= for 'south', which is no test domain"):
        load_folder(folder, test=["north"], groups={"south": "near"})
    for odd in (["near"], {"north": 1}):
        with pytest.raises(TypeError, match=r"groups=\{'north': 'near'\}"):
            load_folder(folder, test=["north"], groups=odd)


@pytest.mark.parametrize(
    "times",
    [
        [3, 1, 2, 1.5],
        ["2026-01-03", "2026-01-01", "2026-01-02", "2026-01-01T12:00"],
        pd.to_datetime(
            ["2026-01-03", "2026-01-01", "2026-01-02", "2026-01-01 12:00"], format="ISO8601"
        ),
    ],
)
def test_rows_and_labels_come_in_the_order_of_time(tmp_path, times):
    table = pd.DataFrame({"when": times, "x": [1.0, 2, 3, 4], "fault": [-1, 1, 1, 1]})
    for name in ("a", "b"):
        table.to_parquet(tmp_path / f"{name}.parquet")
    data = load_folder(tmp_path, label="fault", test=["b"], time="when")
    assert data.feature_names == ("x",)
    assert data.train[0].tolist() == [[2], [4], [3]]
    X, y = data.test[0].load()
    assert X.ravel().tolist() == [2, 4, 3, 1]
    assert y.tolist() == [1, 1, 1, -1]


def test_a_row_without_a_time_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("when,x\n2026-01-01,1\nlater,2\n")
    with pytest.raises(ValueError, match=r"column 'when', row 1: 'later' is no time\. Expected"):
        load_folder(tmp_path, time="when")
    (tmp_path / "a.csv").write_text("when,x\n2026-01-01,1\n2026-01-01T08:00Z,2\n")
    with pytest.raises(ValueError, match=r"row 1: '2026-01-01T08:00Z' and others differ in having"):
        load_folder(tmp_path, time="when")
    (tmp_path / "a.csv").write_text("when,x\n2026-01-01T09:00+02:00,1\n2026-01-01T08:00+00:00,2\n")
    assert load_folder(tmp_path, time="when").train[0].tolist() == [[1], [2]]
    with pytest.raises(ValueError, match=r"no column 'then', named in time="):
        load_folder(tmp_path, time="then")
    with pytest.raises(ValueError, match="got 'x' in columns= and in drop= or as label= or time="):
        load_folder(tmp_path, columns=["x"], time="x")
