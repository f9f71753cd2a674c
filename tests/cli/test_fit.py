import sys

import numpy as np
import pandas as pd
import pytest
from command_line import FEW_STEPS, folder, frame, hours, run

from acr_sklearn import load
from acr_sklearn.cli.models import Model


def fit(data, *more):
    done = run("fit", data, "-o", data.parent / "m", *FEW_STEPS, *more)
    return done, (Model.load(str(data.parent / "m"), who="x") if done.code == 0 else None)


def test_domains_and_known_anomalies_from_columns(tmp_path):
    data = folder(
        tmp_path / "d",
        2,
        site=lambda i: np.repeat([2 * i, 2 * i + 1], 30),
        fault=lambda i: np.where(np.arange(60) % 10 == 0, "yes", ""),
    )
    done, model = fit(data, "--domain-column", "site", "--known-column", "fault")
    assert done.code == 0, done.err
    assert model.detector.domains_.tolist() == ["0", "1", "2", "3"]
    assert model.detector.selection_ is not None
    assert model.declaration.features() == ["a", "b", "c"]
    assert "known anomalies count with a weight of" in done.out


def test_categories_are_read_as_they_are_written_in_every_file(tmp_path):
    data = folder(tmp_path / "d", 3, code=lambda i: [["x", "y"], ["007", "010"]][i == 1] * 30)
    done, model = fit(data)
    assert done.code == 0, done.err
    assert model.declaration.columns[-1].kept == ("x", "y", "007", "010")
    assert "'code' holds categories, and became code=x, code=y, code=007, code=010," in done.err


def test_one_seed_one_model_and_settings_arrive(tmp_path):
    data = folder(tmp_path / "d", 4)
    settings = ("--contamination", "auto", "--threshold", "batch", "--random-state", "5")
    _, first = fit(data, *settings)
    _, again = fit(data, *settings)
    assert first.detector.offset_ == again.detector.offset_
    shown = first.detector.get_params()
    assert (shown["contamination"], shown["threshold"], shown["random_state"]) == (
        "auto",
        "batch",
        5,
    )
    assert (first.detector.max_iter, first.detector.n_iter_) == (2, 2)


def test_with_bars_the_model_is_the_same(tmp_path, monkeypatch):
    data = folder(tmp_path / "d", 4)
    _, plain = fit(data)
    monkeypatch.setattr("acr_sklearn.cli.terminal.Terminal.has_bars", True)
    done, shown = fit(data)
    assert done.code == 0, done.err
    assert shown.detector.offset_ == plain.detector.offset_
    assert load(data.parent / "m").callbacks is None


def test_what_cannot_be_trained_on_leaves_the_old_model(tmp_path):
    data = folder(tmp_path / "d", 4)
    (tmp_path / "m").write_text("old")
    (data / "s9.csv").write_text("a,b,c\n1,2,3\n")
    done, _ = fit(data)
    assert done.code == 1
    assert "error: domain 's9' has one row, and what is normal is learnt by comparing" in done.err
    assert (tmp_path / "m").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d", "m"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "s9.csv cannot be read: it is empty: fetch it again, or leave"),
        (b"a,b,c\n", "s9.csv cannot be read: it has a header and no rows: fetch"),
        (b"a,b,c\n1,2,3\n1,2,3,4\n", "s9.csv cannot be read: line 3 has 4 fields"),
        ("a,b,c\n1,2,ö\n".encode("utf-16"), "UTF-16: pass --encoding utf-16"),
        ("a,b,c\n1,2,ö\n".encode("latin-1"), "line 2 is no text in utf-8: pass --encoding"),
        (b"a,b,a\n1,2,3\n", "2 columns have the name 'a'"),
        (b"a;b;c\n1,5;2;3\n2;3;4\n3;4;5\n", "s9.csv, line 2, column 'a': '1,5' is not a number"),
        (b"a,b\n1,2\n3,4\n", "s9.csv: no column 'c'"),
    ],
)
def test_a_bad_file_among_good_ones_is_named(tmp_path, content, message):
    data = folder(tmp_path / "d", 3)
    (data / "s9.csv").write_bytes(content)
    done, _ = fit(data)
    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err


def test_columns_without_values_or_spread(tmp_path):
    data = folder(tmp_path / "d", 4, same=lambda i: 5.0, empty=lambda i: np.nan if i else 1.0)
    done, model = fit(data)
    assert done.code == 0, done.err
    assert model.declaration.fallback[3:] == (5.0, 1.0)


def test_one_file_is_one_domain_with_a_warning(tmp_path):
    tmp_path.joinpath("d").mkdir()
    frame(0).to_csv(tmp_path / "d" / "one.csv", index=False)
    done, model = fit(tmp_path / "d")
    assert model.detector.domains_.tolist() == ["one"]
    assert "warning: all rows are of one domain, so that nothing is learnt" in done.err
    assert "by --domain-column NAME\n" in done.err


def test_domains_without_two_normal_rows_are_refused(tmp_path):
    marks = {0: ["yes"] * 60, 1: ["yes"] * 59 + ["no"], 2: ["no"] * 60}
    data = folder(tmp_path / "d", 3, fault=lambda i: marks[i])
    done, _ = fit(data, "--known-column", "fault")
    assert "error: domain 's0' has no normal row, and what is normal" in done.err
    (data / "s0.csv").unlink()
    done, _ = fit(data, "--known-column", "fault")
    assert "error: domain 's1' has one normal row, and what is normal" in done.err


def test_warnings_name_options_and_count_domains(tmp_path):
    data = folder(tmp_path / "d", 3, site=lambda i: np.repeat(np.arange(6) + 6 * i, 10))
    done, _ = fit(data, "--domain-column", "site")
    assert done.err == (
        "acr-sklearn: warning: fewer than 16 rows in 18 domains (0, 1, 10, 11, 12 and 13 more). "
        "Little is learnt from so few. Give more rows of each, or leave it out\n"
    )
    done, _ = fit(data, "--ignore", "site")
    assert "warning: there are fewer than 4 domains, so that none is held out" in done.err
    assert "--max-iter sets the number of steps" in done.err
    none = folder(tmp_path / "e", 4, fault=lambda i: "no")
    done, _ = fit(none, "--known-column", "fault")
    assert "warning: no row is marked as a known anomaly" in done.err


def test_a_time_column_is_no_feature_and_is_declared(tmp_path):
    data = folder(tmp_path / "d", 4, when=lambda i: hours(60))
    _, plain = fit(folder(tmp_path / "e", 4))
    done, model = fit(data, "--time-column", "when", "--key", "when")
    assert done.code == 0, done.err
    assert model.declaration.features() == ["a", "b", "c"]
    assert model.declaration.time_column == "when"
    assert model.declaration.time_kind == "dates without a time zone"
    assert model.declaration.keys == ()
    assert model.detector.offset_ == plain.detector.offset_
    assert "times: when (dates without a time zone)" in run("info", tmp_path / "m").out


@pytest.mark.parametrize(
    ("when", "kind"),
    [
        (lambda i: np.arange(60) / 2, "numbers"),
        (lambda i: [f"{hour}+02:00" for hour in hours(60)], "dates with a time zone"),
        (
            lambda i: pd.to_datetime(hours(60)).tz_localize("Europe/Berlin"),
            "dates with a time zone",
        ),
    ],
)
def test_times_are_numbers_or_dates_with_or_without_a_zone(tmp_path, when, kind):
    _, model = fit(folder(tmp_path / "d", 4, when=when), "--time-column", "when")
    assert model.declaration.time_kind == kind


@pytest.mark.parametrize(
    ("when", "message"),
    [
        (lambda i: hours(60) if i < 3 else [1] * 60, "s3.csv, column 'when': holds numbers, but"),
        (
            lambda i: [*hours(59), "31.12.2026" if i == 2 else hours(1)[0]],
            "s2.csv, line 61, column 'when': '31.12.2026' is no time. Expected numbers, or dates",
        ),
        (
            lambda i: [*hours(59), ""],
            "s0.csv, line 61, column 'when': the time is missing.",
        ),
        (
            lambda i: ["2026-01-01T00:00Z", *hours(59)],
            "s0.csv, line 3, column 'when': '2026-01-01T00' has no time zone, and the rows above",
        ),
    ],
)
def test_times_that_cannot_be_read_name_the_cell_and_the_remedy(tmp_path, when, message):
    done, _ = fit(folder(tmp_path / "d", 4, when=when), "--time-column", "when")
    assert done.code == 1
    assert message in done.err
    assert "To carry cells of any kind along, pass --key when instead" in done.err


def test_without_pandas_the_message_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr("acr_sklearn.cli.terminal.find_spec", lambda _: None)
    done, _ = fit(folder(tmp_path / "d", 2))
    assert done.code == 1
    assert "pip install 'acr-sklearn[cli]'" in done.err
