import numpy as np
import pandas as pd
import pytest
from command_line import FEW_STEPS, folder, frame, run, trained

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
    assert done.err.count("got a batch of fewer than 16 rows") == 1


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
    assert "no column 'site', so that its rows are compared as rows of one domain" in done.err
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
