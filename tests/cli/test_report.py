import base64
import re
import sys
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from command_line import FEW_STEPS, folder, frame, hours, run, trained

from acr_sklearn.cli.report import _short

EVIL = "<img src=x onerror=alert(1)>$\\frac$"


def report_of(new, tmp_path, *more, model=None):
    page = tmp_path / "r.html"
    model = model or trained().model
    done = run("score", model, new, "-o", tmp_path / "out.csv", "--report", page, *more)
    assert done.code == 0, done.err
    return done, page.read_text(encoding="utf-8")


def pictures(page):
    return [base64.b64decode(data) for data in re.findall(r"svg\+xml;base64,([^\"]+)", page)]


def cells(page, section):
    part = page.partition(f"<h2>{section}")[2].partition("</section>")[0]
    return [re.findall(r"<td[^>]*>([^<]*)", row) for row in part.split("<tr>")[2:]]


def test_the_page_says_what_the_table_says(tmp_path):
    frame(9).to_csv(tmp_path / "new.csv", index=False)
    _, page = report_of(tmp_path / "new.csv", tmp_path, "--rows", "7")
    found = pd.read_csv(tmp_path / "out.csv")
    n_flagged = int((found["label"] < 0).sum())
    assert f"{n_flagged} of 60 rows" in page
    assert cells(page, "Domains")[0][:3] == ["new", "60", str(n_flagged)]
    worst = cells(page, "The 7 worst rows")
    order = found.sort_values("score")["row"].head(7).astype(str)
    assert [row[0] for row in worst] == order.tolist()
    assert re.fullmatch(r"[abc]: -?[\d.e-]+", worst[0][3])
    drawn = pictures(page)
    assert len(drawn) == 2
    assert all(ElementTree.fromstring(svg).tag.endswith("svg") for svg in drawn)


def test_a_list_is_shown_whole_in_the_order_of_its_p_values(tmp_path):
    table = frame(9, 300)
    table.iloc[:40] += 9 * np.random.default_rng(0).normal(size=(40, 3))
    table.assign(site=["x", "y"] * 150).to_csv(tmp_path / "new.csv", index=False)
    options = ("--fdr", "0.3", "--threshold", "batch", "--domain-column", "site")
    done, page = report_of(tmp_path / "new.csv", tmp_path, *options)
    found = pd.read_csv(tmp_path / "out.csv")
    n_listed = int(found["listed"].sum())
    assert n_listed > 20
    assert f"<p>{n_listed} of 300 rows listed, in 2 of 2 domains, at a false discovery" in page
    assert f"{n_listed} of 300 rows listed" in done.out
    worst = cells(page, f"The {n_listed} worst rows")
    assert sorted(int(row[0]) for row in worst) == found[found["listed"] == 1]["row"].tolist()
    assert [row[4] for row in worst] == ["yes"] * n_listed
    domains = {row[0]: row[4] for row in cells(page, "Domains")}
    assert domains == found.groupby("domain")["listed"].sum().astype(str).to_dict()
    _, page = report_of(tmp_path / "new.csv", tmp_path, *options, "--rows", "3")
    assert f"Of {n_listed} listed rows these are 3; all are in out.csv." in page
    assert len(cells(page, "The 3 worst rows")) == 3


@pytest.mark.parametrize("zone", ["", "+02:00"])
def test_scores_are_drawn_over_time(tmp_path, zone):
    data = folder(tmp_path / "d", 8)
    for i in range(8):
        when = [f"{hour}:00{zone}" for hour in hours(60)]
        frame(i).assign(when=when).sample(frac=1, random_state=i).to_csv(
            data / f"s{i}.csv", index=False
        )
    options = ("--time-column", "when", "--fdr", "0.5", "--rows", "3")
    _, page = report_of(data, tmp_path, *options)
    found = pd.read_csv(tmp_path / "out.csv")
    section = page.partition("<h2>Scores over time")[2].partition("</section>")[0]
    assert section.count("<figure>") == 6
    assert "Shown are the first 6 of 8 domains." in section
    svg = base64.b64decode(re.search(r"base64,([^\"]+)", section)[1]).decode()
    assert (f"time (UTC{zone})" in svg) == bool(zone)
    name, n_flagged, n_listed = re.search(
        r"<figcaption>(s\d): (\d+) of 60 rows flagged, (\d+) listed", section
    ).groups()
    own = found[found["domain"] == name]
    assert [int(n_flagged), int(n_listed)] == [(own["label"] < 0).sum(), own["listed"].sum()]
    worst = cells(page, "The 3 worst rows")
    assert len(worst) == 3
    assert '<th scope="col" class=number>when</th>' in page
    rows = {f"{row.file}, {row.row}": row.when for row in found.itertuples()}
    assert all(rows[row[0]] == row[1] for row in worst)


def test_many_points_are_one_image_of_a_picture(tmp_path, monkeypatch):
    frame(9).assign(when=range(60)).to_csv(tmp_path / "new.csv", index=False)
    options = ("--time-column", "when", "--rows", "1")
    _, page = report_of(tmp_path / "new.csv", tmp_path, *options)
    assert b"<image" not in pictures(page.partition("<h2>Scores over time")[2])[0]
    monkeypatch.setattr("acr_sklearn.cli.report._MOST_POINTS", 50)
    _, page = report_of(tmp_path / "new.csv", tmp_path, *options)
    svg = pictures(page.partition("<h2>Scores over time")[2])[0]
    assert b"<image" in svg
    assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_several_domains_are_told_apart(tmp_path):
    _, page = report_of(folder(tmp_path / "d", 15), tmp_path, "--threshold", "batch")
    assert [row[0] for row in cells(page, "Domains")] == sorted(f"s{i}" for i in range(15))
    assert {row[1][:1] for row in cells(page, "The 20 worst rows")} == {"s"}
    for most in (12, 6):
        assert f"Shown are the {most} domains with the largest share" in page
    assert "The worst 10.0% of each domain are flagged" in page


def test_no_cell_becomes_html_or_a_formula_of_a_picture(tmp_path):
    data = folder(tmp_path / "d", 4, **{EVIL: lambda i: frame(i)["a"] ** 2})
    model = tmp_path / "m"
    assert run("fit", data, "-o", model, *FEW_STEPS).code == 0
    table = frame(9).assign(site=EVIL)
    table[EVIL] = 9 * table["a"]
    table.to_csv(tmp_path / "new.csv", index=False)
    _, page = report_of(tmp_path / "new.csv", tmp_path, "--domain-column", "site", model=model)
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;$\\frac$" in page
    assert len(pictures(page)) == 2


@pytest.mark.parametrize("name", ["a$b$c", "$", "x" * 99])
def test_names_in_pictures_are_short_and_no_formulas(name):
    shown = _short(name, 0)
    assert len(shown) <= 30
    assert "$" not in shown.replace(r"\$", "")


def test_without_matplotlib_the_page_has_tables_only_and_says_so(tmp_path, monkeypatch):
    frame(9).to_csv(tmp_path / "new.csv", index=False)
    for name in [m for m in sys.modules if m.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done, page = report_of(tmp_path / "new.csv", tmp_path)
    assert pictures(page) == []
    assert "Without pictures: matplotlib is not installed." in page
    assert "pip install 'acr-sklearn[plot]'" in done.err


def test_one_training_domain_spans_no_map_and_the_page_says_so(tmp_path):
    data = folder(tmp_path / "d", 1)
    assert run("fit", data, "-o", tmp_path / "m", *FEW_STEPS).code == 0
    frame(9).to_csv(tmp_path / "new.csv", index=False)
    _, page = report_of(tmp_path / "new.csv", tmp_path, model=tmp_path / "m")
    assert len(pictures(page)) == 1
    assert "No map: it needs three training domains" in page
