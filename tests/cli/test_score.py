import numpy as np
import pandas as pd
import pytest
from command_line import FEW_STEPS, folder, frame, hours, run, trained

from acr_sklearn import load


def score(new, out, *more, model=None):
    done = run("score", model or trained().model, new, "-o", out, *more)
    return done, (pd.read_csv(out) if done.code == 0 else None)


@pytest.fixture
def new(tmp_path):
    frame(9).to_csv(tmp_path / "new.csv", index=False)
    return tmp_path / "new.csv"


def test_scores_are_those_of_python(new, tmp_path):
    done, found = score(new, tmp_path / "out.csv")
    detector, X = load(trained().model), frame(9)
    assert list(found.columns) == ["row", "domain", "score", "p_value", "label"]
    assert found["row"].tolist() == list(range(1, 61))
    assert set(found["domain"]) == {"new"}
    np.testing.assert_allclose(found["score"], detector.score_samples(X), rtol=1e-9)
    np.testing.assert_allclose(found["p_value"], detector.p_values(X), rtol=1e-12)
    np.testing.assert_array_equal(found["label"], detector.predict(X))
    assert f"new: {(found['label'] < 0).sum()} of 60 rows flagged" in done.out


def test_columns_go_by_name_and_others_are_not_looked_at(new, tmp_path):
    _, plain = score(new, tmp_path / "out.csv")
    frame(9)[["c", "a", "b"]].assign(z="?").to_csv(new, index=False)
    done, other = score(new, tmp_path / "out.csv")
    pd.testing.assert_frame_equal(plain, other)
    assert "not looked at, as in training: 'z'" in done.err
    frame(9)[["c", "a"]].to_csv(new, index=False)
    done, _ = score(new, tmp_path / "out.csv")
    assert done.code == 1
    assert "new.csv: no column 'b', which the model was trained on" in done.err


def test_a_folder_is_scored_domain_by_domain(tmp_path):
    data = folder(tmp_path / "d", 3)
    _, found = score(data, tmp_path / "out.csv")
    assert found["file"].tolist() == np.repeat(["s0.csv", "s1.csv", "s2.csv"], 60).tolist()
    detector = load(trained().model)
    for i in range(3):
        own = found["domain"] == f"s{i}"
        np.testing.assert_allclose(found["score"][own], detector.score_samples(frame(i)), rtol=1e-9)


def test_thresholds_of_the_call(new, tmp_path):
    _, found = score(new, tmp_path / "o.csv", "--threshold", "batch", "--contamination", "0.25")
    assert (found["label"] < 0).sum() == 15
    _, other = score(new, tmp_path / "o.csv", "--threshold", "batch")
    assert (other["label"] < 0).sum() == 6


def test_rows_against_a_reference_do_not_depend_on_each_other(new, tmp_path):
    reference = tmp_path / "ref.csv"
    frame(9, 300).to_csv(reference, index=False)
    gaps = frame(9)
    gaps.iloc[3, 1] = np.nan
    gaps.to_csv(new, index=False)
    _, whole = score(new, tmp_path / "o.csv", "--adapt", reference, "--report", tmp_path / "r.html")
    filled = gaps.fillna(frame(9, 300).median())
    expected = load(trained().model).adapt(frame(9, 300)).score_samples(filled)
    np.testing.assert_allclose(whole["score"], expected, rtol=1e-9)
    gaps.iloc[3:4].to_csv(new, index=False)
    done, one = score(new, tmp_path / "o.csv", "--adapt", reference)
    assert done.code == 0, done.err
    assert one["score"][0] == pytest.approx(whole["score"][3], rel=1e-9)
    assert "held by itself against the reference" in (tmp_path / "r.html").read_text()


def test_one_row_without_a_reference_is_refused(new, tmp_path):
    frame(9, 1).to_csv(new, index=False)
    done, _ = score(new, tmp_path / "o.csv")
    assert done.code == 1
    assert "domain 'new' has one row" in done.err
    assert "--adapt TABLE" in done.err


def test_a_warning_is_given_once(new, tmp_path):
    frame(9, 9).to_csv(new, index=False)
    done, _ = score(new, tmp_path / "o.csv", "--report", tmp_path / "r.html")
    assert done.err.startswith("acr-sklearn: warning: fewer than 16 rows in 1 domain (new). A row ")
    assert "--threshold train flags too many rows" in done.err
    assert done.err.count("\n") == 1


def test_a_domain_and_a_reference_unlike_those_of_training_are_told(new, tmp_path):
    frame(9).assign(b=lambda f: 1000 * f["b"]).to_csv(new, index=False)
    done, _ = score(new, tmp_path / "o.csv")
    assert "warning: in 1 domain (new) the columns vary as in no domain of training" in done.err
    assert "again with such a domain. Domain 'new' differs mostly in 'b' (" in done.err
    done, _ = score(new, tmp_path / "o.csv", "--adapt", new)
    assert "in the table of --adapt the columns vary as in no domain of training" in done.err
    assert "warning: fewer than 64 rows in the table of --adapt" in done.err


def test_categories_that_the_model_does_not_tell_apart_are_told(tmp_path):
    data, model = folder(tmp_path / "d", 4, k=lambda i: ["u", "v"] * 30), tmp_path / "m"
    assert run("fit", data, "-o", model, *FEW_STEPS).code == 0
    frame(9).assign(k=["u", "w", "w", "x"] * 15).to_csv(tmp_path / "new.csv", index=False)
    done, _ = score(tmp_path / "new.csv", tmp_path / "o.csv", model=model)
    assert (
        "column 'k': 'w', 'x' in 45 rows, rare in training or new: such rows count as" in done.err
    )
    frame(9).assign(k="u").to_csv(tmp_path / "new.csv", index=False)
    done, _ = score(tmp_path / "new.csv", tmp_path / "o.csv", model=model)
    assert "rare in training" not in done.err


def test_a_value_beyond_all_computing_is_named(new, tmp_path):
    table = frame(9)
    table.iloc[4, 1] = -1e301
    table.to_csv(new, index=False)
    done, _ = score(new, tmp_path / "o.csv")
    assert "new.csv, line 6, column 'b': -1e+301 is too large to compute with" in done.err


def listed_by_hand(p_values, rate):
    """Benjamini and Hochberg, as they wrote it down."""
    order = np.argsort(p_values, kind="stable")
    ranks = np.arange(1, len(order) + 1)
    below = np.flatnonzero(p_values[order] <= rate * ranks / len(order))
    return p_values <= (p_values[order[below[-1]]] if below.size else -1.0)


def test_a_list_at_a_false_discovery_rate(tmp_path):
    """Of each domain by itself: what else is scored plays no part."""
    data = tmp_path / "d"
    data.mkdir()
    for i in range(3):
        table = frame(i, 200)
        table.iloc[: 12 * i] += 9 * np.random.default_rng(i).normal(size=(12 * i, 3))
        table.to_csv(data / f"s{i}.csv", index=False)
    _, plain = score(data, tmp_path / "o.csv")
    done, found = score(data, tmp_path / "o.csv", "--fdr", "0.2")
    pd.testing.assert_frame_equal(found.drop(columns=["q_value", "listed"]), plain)
    for name, own in found.groupby("domain"):
        by_hand = listed_by_hand(own["p_value"].to_numpy(), 0.2)
        np.testing.assert_array_equal(own["listed"] == 1, by_hand)
        n_flagged = (own["label"] < 0).sum()
        line = f"{name}: {n_flagged} of 200 rows flagged, {by_hand.sum()} listed\n"
        assert line in done.out
    np.testing.assert_array_equal(found["listed"] == 1, found["q_value"] <= 0.2)
    n_listed, n_with = found["listed"].sum(), found[found["listed"] == 1]["domain"].nunique()
    assert 10 < n_listed < 60
    summary = (
        f"{n_listed} of 600 rows listed, in {n_with} of 3 domains, at a false discovery rate of"
    )
    assert f"{summary} 20 % in each\n" in done.out
    _, alone = score(data / "s2.csv", tmp_path / "o.csv", "--fdr", "0.2")
    assert alone["listed"].tolist() == found[found["domain"] == "s2"]["listed"].tolist()


def test_a_list_that_must_be_empty_says_why(new, tmp_path):
    frame(9, 400).to_csv(new, index=False)
    least = 1 / (len(load(trained().model).calibration_scores_) + 1)
    n_needed = int(np.ceil(400 * least / 0.01))
    done, found = score(new, tmp_path / "o.csv", "--fdr", "0.01")
    assert found["listed"].sum() == 0
    assert "0 of 400 rows listed, at a false discovery rate of 1 %\n" in done.out
    smallest = found["p_value"].min()
    n_with = int(np.ceil(400 * smallest / 0.01))
    assert n_with >= n_needed
    if smallest > 0.01:
        assert f"the smallest p-value is {smallest:.2g}, above the rate" in done.err
    else:
        assert f"p-value of 400 rows of {found['domain'][0]} is {smallest:.2g}: none is" in done.err
        assert f"listed unless {n_with} have one as small. Look at the rows" in done.err
    done, _ = score(new, tmp_path / "o.csv", "--fdr", "0.001")
    assert "so that no row can be listed. Look at" in done.err


@pytest.fixture
def timed(tmp_path):
    """A model that was told of times."""
    data, model = folder(tmp_path / "timed", 4, when=lambda i: hours(60)), tmp_path / "timed.m"
    assert run("fit", data, "-o", model, "--time-column", "when", *FEW_STEPS).code == 0
    return model


def test_times_are_carried_in_the_order_of_the_file(timed, tmp_path):
    new, plain = tmp_path / "new.csv", tmp_path / "plain.csv"
    mixed = np.random.default_rng(0).permutation(60)
    when = np.array(hours(60))[mixed]
    frame(9).assign(when=when, z=1).to_csv(new, index=False)
    done, found = score(new, tmp_path / "o.csv", model=timed)
    assert "not looked at, as in training: 'z'\n" in done.err
    assert list(found.columns) == ["row", "when", "domain", "score", "p_value", "label"]
    assert found["when"].tolist() == when.tolist()
    frame(9).to_csv(plain, index=False)
    _, without = score(plain, tmp_path / "o.csv", "--no-time-column", model=timed)
    np.testing.assert_array_equal(without["score"], found["score"])
    assert "when" not in without


def test_numbers_as_times_stay_numbers_and_files_stand_one_after_the_other(tmp_path):
    data = folder(tmp_path / "d", 4, row=lambda i: 1_700_000_000_000_000_001 + np.arange(60))
    model = tmp_path / "m"
    assert run("fit", data, "-o", model, "--time-column", "row", *FEW_STEPS).code == 0
    _, found = score(data, tmp_path / "o.csv", model=model)
    assert list(found.columns)[:3] == ["file", "row", "key_row"]
    expected = np.tile(1_700_000_000_000_000_001 + np.arange(60), 4)
    np.testing.assert_array_equal(found["key_row"], expected)


def test_a_file_without_the_times_or_with_others_is_refused_with_the_remedy(timed, tmp_path):
    new = tmp_path / "new.csv"
    frame(9).assign(clock=hours(60)).to_csv(new, index=False)
    done, _ = score(new, tmp_path / "o.csv", model=timed)
    assert done.code == 1
    assert "no column 'when', which holds the times, as training was told. It has" in done.err
    assert "Name another by --time-column, or score without by --no-time-column\n" in done.err
    done, found = score(new, tmp_path / "o.csv", "--time-column", "clock", model=timed)
    assert found["clock"].tolist() == hours(60)
    assert "not looked at" not in done.err
    done, _ = score(new, tmp_path / "o.csv", "--time-column", "o'clock", model=timed)
    assert 'no column "o\'clock", which --time-column names' in done.err
    for when, kind in ((range(60), "numbers"), ([f"{h}:00Z" for h in hours(60)], "dates with a")):
        frame(9).assign(when=when).to_csv(new, index=False)
        done, _ = score(new, tmp_path / "o.csv", model=timed)
        assert f"new.csv, column 'when': holds {kind}" in done.err
        assert "but dates without a time zone in training. Write them alike, take" in done.err
        assert "take them as they are by --time-column when, or score without by --no" in done.err
        done, _ = score(new, tmp_path / "o.csv", "--time-column", "when", model=timed)
        assert done.code == 0, done.err
    frame(9).assign(when=[*hours(59), None]).to_csv(new, index=False)
    done, _ = score(new, tmp_path / "o.csv", model=timed)
    assert "new.csv, line 61, column 'when': the time is missing" in done.err
    assert score(new, tmp_path / "o.csv", "--no-time-column", model=timed)[0].code == 0


def test_times_of_a_model_without_any(new, tmp_path):
    frame(9).assign(when=hours(60)).to_csv(new, index=False)
    done, found = score(new, tmp_path / "o.csv", "--time-column", "when")
    assert done.err == ""
    assert found["when"].tolist() == hours(60)


def test_notes_on_many_files_are_one_line(tmp_path):
    data = folder(tmp_path / "d", 8, z=lambda i: i)
    done, _ = score(data, tmp_path / "o.csv")
    assert done.err.count("not looked at, as in training: 'z'") == 1
    assert "s4.csv and 3 more: not looked at" in done.err


def test_a_reference_of_one_row_is_refused(new, tmp_path):
    frame(9, 1).to_csv(tmp_path / "ref.csv", index=False)
    done, _ = score(new, tmp_path / "o.csv", "--adapt", tmp_path / "ref.csv")
    assert done.code == 1
    assert "ref.csv: has one row, and it takes several to say what is normal" in done.err


def test_declared_preprocessing_comes_back(tmp_path):
    """Domains, keys, categories and gaps, as they were declared in fit."""
    data = folder(
        tmp_path / "d",
        3,
        site=lambda i: np.repeat([f"{i}a", f"{i}b"], 30),
        when=lambda i: "2026-01-01",
        k=lambda i: ["u", "v"] * 30,
    )
    model = tmp_path / "m"
    options = ("--domain-column", "site", "--key", "when", "--missing-value", "-9")
    done = run("fit", data, "-o", model, *FEW_STEPS, *options)
    assert done.code == 0, done.err
    table = frame(9).assign(site=["x", "y"] * 30, when=[f"=t{i}" for i in range(60)], k="new")
    table.iloc[5, 1] = -9
    table.to_csv(tmp_path / "new.csv", index=False)
    _, found = score(tmp_path / "new.csv", tmp_path / "o.csv", model=model)
    assert found["domain"].tolist() == ["x", "y"] * 30
    assert found["when"].tolist()[:2] == ["'=t0", "'=t1"]
    detector = load(model)
    assert list(detector.feature_names_in_) == ["a", "b", "c", "k=u", "k=v", "k=other"]
    X = frame(9).assign(**{"k=u": 0.0, "k=v": 0.0, "k=other": 1.0})
    X.iloc[5, 1] = X["b"][np.arange(60) % 2 == 1].drop(5).median()
    expected = detector.score_samples(X, domains=["x", "y"] * 30)
    np.testing.assert_allclose(found["score"], expected, rtol=1e-9)
    table.drop(columns=["site", "when"]).to_csv(tmp_path / "new.csv", index=False)
    done, found = score(tmp_path / "new.csv", tmp_path / "o.csv", model=model)
    assert set(found["domain"]) == {"new"}
    assert found["when"].isna().all()
    assert "no column 'site', so that all rows of a file are compared as rows of one" in done.err
    done, _ = score(tmp_path / "new.csv", tmp_path / "o.csv", "--domain-column", "z", model=model)
    assert "no column 'z', which --domain-column names" in done.err


def test_a_column_without_any_value_in_a_domain_is_told(new, tmp_path):
    frame(9).assign(b=np.nan).to_csv(new, index=False)
    done, _ = score(new, tmp_path / "o.csv")
    told = "column 'b' has no value in domain 'new'; the median of training stands for it"
    assert done.code == 0
    assert done.err.count(told) == 1
    frame(9).to_csv(tmp_path / "full.csv", index=False)
    done, _ = score(tmp_path / "full.csv", tmp_path / "o.csv", "--adapt", new)
    assert "new.csv: column 'b' has no value in domain 'reference'" in done.err
    done, _ = score(tmp_path / "full.csv", tmp_path / "o.csv")
    assert "no value in domain" not in done.err


def test_a_value_that_stands_for_none_in_this_call(new, tmp_path):
    table = frame(9).astype(object)
    table.iloc[15, 1] = "n/a "
    table.to_csv(new, index=False)
    done, _ = score(new, tmp_path / "o.csv")
    assert f"{new}, line 17, column 'b': 'n/a ' is not a number" in done.err
    done, found = score(new, tmp_path / "o.csv", "--missing-value", "n/a")
    assert done.code == 0
    assert len(found) == 60


def test_outputs_replace_no_input(new, tmp_path):
    before = new.read_bytes()
    for out, report in ((new, None), (tmp_path / "o.csv", new), (tmp_path / "o.csv",) * 2):
        done, _ = score(new, out, *(["--report", report] if report else []))
        assert done.code == 1
        assert "in use for something else" in done.err
    assert new.read_bytes() == before
    assert not (tmp_path / "o.csv").exists()


def test_outputs_replace_no_reference_and_no_table_of_a_folder(new, tmp_path):
    data, reference = folder(tmp_path / "d", 3), tmp_path / "ref.csv"
    frame(9, 300).to_csv(reference, index=False)
    inside, out = data / "s0.csv", tmp_path / "o.csv"
    for table, output, *more in (
        (new, reference, "--adapt", reference),
        (new, out, "--adapt", reference, "--report", reference),
        (new, out, "--adapt", data, "--report", inside),
        (data, out, "--report", inside),
    ):
        before = reference.read_bytes(), inside.read_bytes()
        done, _ = score(table, output, *more)
        assert done.code == 1
        assert "in use for something else" in done.err
        assert (reference.read_bytes(), inside.read_bytes()) == before
        assert not out.exists()
    done, _ = score(new, data / "o.csv", "--adapt", data)
    assert "it would be read as one more table the next time" in done.err


def test_names_with_blanks_and_letters_of_other_scripts(tmp_path):
    place = tmp_path / "où est 東京"
    data = folder(place / "d", 2)
    done, found = score(data, place / "ou t.csv", "--report", place / "r é.html")
    assert done.code == 0, done.err
    assert len(found) == 120
    assert (place / "r é.html").read_text(encoding="utf-8").startswith("<!doctype html>")
