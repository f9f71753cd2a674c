"""The parts that the site is made of, without building it: `make docs` does that.

The API is complete, links are turned into those that the site has, no page is without a place, and
what checks the built site sees what is broken.
"""

import importlib
import inspect
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

import acr_sklearn

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "_ext"))

import api_pages  # noqa: E402
import check_links  # noqa: E402
import gallery_runs  # noqa: E402
import navigation  # noqa: E402
import repository_links  # noqa: E402
from markdown_copies import first_sentence, from_source  # noqa: E402
from repository_links import PLACES, copied_pages, with_links  # noqa: E402

KNOWN = "../benchmarks/results/known.json"
EXAMPLES = {path.stem for path in (ROOT / "examples").glob("plot_*.py")}
#: Pages that people and `make results-page` write.
WRITTEN = sorted(
    path.relative_to(ROOT).as_posix()
    for path in DOCS.rglob("*.md")
    if path.relative_to(DOCS).parts[0] not in {"_build", "api", "gallery", "repository"}
)


# ------------------------------------------------------------------------------------- the API


def public_names():
    """Every way to import something public, and what it leads to."""
    for module in ["", *api_pages.public_modules()]:
        offered = importlib.import_module(f"acr_sklearn.{module}".rstrip("."))
        yield from (
            (f"{offered.__name__}.{name}", getattr(offered, name)) for name in offered.__all__
        )


NAMES = dict(public_names())
LISTED = [name for names in api_pages.sections().values() for name in names]


def test_everything_public_has_one_page():
    assert len({id(NAMES[name]) for name in LISTED}) == len(LISTED)
    pages = api_pages.pages()
    assert pages.keys() == {"index.rst", *(f"{name}.rst" for name in LISTED)}
    for name in NAMES:
        own = name.rpartition(".")[2]
        page = f"acr_sklearn.{own}" if own in acr_sklearn.__all__ else name
        assert f".. currentmodule:: {page.rpartition('.')[0]}" in pages[f"{page}.rst"], name
        assert f"\n   {page}\n" in pages["index.rst"], name


def test_modules_are_those_of_the_architecture():
    assert {"datasets", "exceptions", "plotting"} <= api_pages.public_modules()
    headings = re.findall(r"^acr_sklearn\.(\w+)$", api_pages.index(), re.M)
    assert set(headings) == {m for m in api_pages.public_modules() if m in api_pages.sections()}


def test_a_page_shows_what_is_ours_and_names_what_is_not():
    page = api_pages.page("acr_sklearn.ZeroShotACRDetector")
    assert ".. automethod:: ZeroShotACRDetector.score_samples\n" in page
    assert ".. automethod:: ZeroShotACRDetector.get_params\n" not in page
    assert "``get_params``" in page
    assert "``" not in api_pages.page("acr_sklearn.exceptions.ACRWarning")
    assert ".. autofunction:: load\n" in api_pages.page("acr_sklearn.load")
    assert ".. autodata:: " in api_pages.page("acr_sklearn.anomaly_roc_auc_scorer")


@pytest.mark.parametrize("name", [name for name in LISTED if inspect.isclass(NAMES[name])])
def test_every_class_has_an_example(name):
    text = inspect.getdoc(NAMES[name]) or ""
    assert re.search(r"^Examples\n-{8}\n(.*\n)*?>>> ", text, re.M)


def test_shapes_are_no_links():
    lines = ["    **mean_** : ndarray of shape (n_features_in_,)", "    as `n_features_in_`, here"]
    api_pages.escape_names(None, "class", "", None, None, lines)
    assert lines[0] == r"    **mean_** : ndarray of shape (n_features_in\_,)"
    assert lines[1] == "    as `n_features_in_`, here"


# ----------------------------------------------------------------------------------- the links


@pytest.mark.parametrize(
    ("said", "on_the_site"),
    [
        ("[a](../examples/plot_digits.py)", "[a](gallery/plot_digits.rst)"),
        ("[all](../examples)", "[all](gallery/index.rst)"),
        ("[log](../CHANGELOG.md#unreleased)", "[log](repository/changelog.md#unreleased)"),
        ("[b](../benchmarks/README.md)", "[b](repository/benchmarks.md)"),
        ("[t](../tests/test_architecture.py)", "[t](../tests/test_architecture.py)"),
        ("[words](concepts.md#batch)", "[words](concepts.md#batch)"),
        ("[see](#here) and [there](https://a.b/c)", "[see](#here) and [there](https://a.b/c)"),
        ("in [folder](../benchmarks/paper)", "in folder"),
        ("see `benchmarks/results/known.json`", f"see [`benchmarks/results/known.json`]({KNOWN})"),
        ("see `known.json`, `none.json`", f"see [`known.json`]({KNOWN}), `none.json`"),
        (f"[`known.json`]({KNOWN})", f"[`known.json`]({KNOWN})"),
        ("```python\nx[a](../examples)\n```\n", "```python\nx[a](../examples)\n```\n"),
    ],
)  # fmt: skip
def test_links_lead_to_what_the_site_has(said, on_the_site):
    assert with_links(said, "docs/page.md", "docs/page.md") == on_the_site


def test_pages_from_outside_stand_in_docs():
    said = "[words](docs/concepts.md), [a](examples/plot_digits.py), [p](pyproject.toml)"
    made = with_links(said, "CONTRIBUTING.md", "docs/repository/contributing.md")
    assert made == (
        "[words](../concepts.md), [a](../gallery/plot_digits.rst), [p](../../pyproject.toml)"
    )
    for place, text in copied_pages().items():
        for target in re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text):
            path = (ROOT / place).parent.joinpath(target).resolve()
            made_here = path.relative_to(ROOT).as_posix() in PLACES.values()
            assert made_here or "gallery" in path.parts or path.is_file(), (place, target)


def test_what_is_no_page_any_more_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(repository_links, "ROOT", tmp_path)
    monkeypatch.setattr(repository_links, "copied_pages", lambda: {"docs/copies/now.md": "now"})
    folder = tmp_path / "docs" / "copies"
    folder.mkdir(parents=True)
    (folder / "before.md").write_text("before")
    repository_links._write_pages(None)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"now.md": "now"}


def test_records_of_prototypes_are_no_pages():
    records = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("benchmarks/*/findings.md")]
    assert len(records) == 2
    for record in records:
        assert record not in PLACES
        for page in WRITTEN:
            assert f"{record})" not in (ROOT / page).read_text(encoding="utf-8"), page


@pytest.mark.parametrize("page", WRITTEN)
def test_a_picture_of_results_stands_beside_its_figures(page):
    text = with_links((ROOT / page).read_text(), page, page)
    if "benchmarks/results/" in "".join(re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)):
        assert re.search(r"\]\([./]*benchmarks/results/[\w/.-]+\.json\)", text)


# ------------------------------------------------------------------------------ the navigation


def test_every_page_has_a_place():
    listed = {e for page in WRITTEN for e in navigation.entries((ROOT / page).read_text())}
    listed |= {e for text in navigation.BELOW.values() for e in navigation.entries(text)}
    assert navigation.MARK in listed
    for page in WRITTEN:
        name = Path(page).relative_to("docs").with_suffix("").as_posix()
        covered = any(fnmatch(name, pattern) for pattern in listed)
        assert "/" not in name or covered, f"{page}: a folder of its own needs a toctree"


def test_the_rest_is_what_no_page_lists(tmp_path):
    (tmp_path / "index.md").write_text("```{toctree}\n:glob:\n\nguide\nrecipe[s]\nA b <c>\n```\n")
    (tmp_path / "guide.md").write_text("# G\n\n```{toctree}\n<the rest>\n```\n")
    for name in ("c", "new", "recipes", "results", "native"):
        (tmp_path / f"{name}.md").write_text("# N\n\nnew\n")
    # "results" is listed nowhere here; what stands below it is.
    assert navigation.rest(tmp_path) == ["new", "results"]


def test_a_pattern_may_match_nothing_yet():
    block = "```{toctree}\n:glob:\n\nguide\nrecipe[s]\nnew/*\n```"
    assert navigation.without_idle_patterns(block, ["guide", "new/a"]) == block.replace(
        "recipe[s]\n", ""
    )


# --------------------------------------------------------------------------------- the gallery


def test_comments_for_linters_are_left_out_of_the_gallery():
    shown = gallery_runs.FOR_LINTERS.sub("", "import a  # noqa: E402\nx = 1  # a word\n")
    assert shown == "import a\nx = 1  # a word\n"


# ------------------------------------------------------------------------- the Markdown copies


def test_a_copy_has_no_toctree_and_links_to_the_copies_of_files():
    text = (
        "# T\n\n[r](../benchmarks/results/a.json) [g](gallery/x.rst) [c](concepts.md#b)\n\n"
        "```{toctree}\nguide\n```\n\n```python\nx[r](../benchmarks/results/a.json)\n```\n"
    )
    places = {"/repo/benchmarks/results/a.json": "_downloads/1/a.json"}
    assert from_source(text, "index", places, Path("/repo/docs")) == (
        "# T\n\n[r](_downloads/1/a.json) [g](gallery/x.md) [c](concepts.md#b)\n\n\n"
        "```python\nx[r](../benchmarks/results/a.json)\n```\n"
    )
    deeper = from_source(
        "[r](../../benchmarks/results/a.json)", "results/x", places, Path("/repo/docs")
    )
    assert deeper == "[r](../_downloads/1/a.json)\n"


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("# T\n\nOne [link](a.md), said at 3.5. Two.\n", "One link, said at 3.5."),
        ("# T\n\n```python\nx = 1.\n```\n\nProse. More.\n", "Prose."),
        ("# T\n\nacr_sklearn.f(x: int. y)\n\nDoes it.\n", "Does it."),
        ("# T\n", ""),
    ],
)
def test_the_list_of_pages_says_what_a_page_says_first(page, sentence):
    assert first_sentence(page) == sentence


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A site of two pages, as Sphinx makes it with the copies."""
    from sphinx.application import Sphinx

    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("out")
    (source / "index.rst").write_text(
        "Start\n=====\n\nWhat it *is*. More.\n\n.. toctree::\n\n   page\n\nCode\n----\n\n"
        ".. code-block:: python\n\n   x = 1\n\n   y = 2\n\nSee ``x``.\n\n>>> 1 + 1\n2\n"
    )
    (source / "page.rst").write_text("Page\n====\n\nThe other one.\n\n.. image:: x.png\n")
    (source / "x.png").write_bytes(b"")
    settings = {"extensions": ["markdown_copies"], "html_theme": "basic"}
    app = Sphinx(source, None, out, out / "doctrees", "html", settings, status=None, warning=None)
    app.build()
    assert app.statuscode == 0
    return out


def test_every_page_has_a_copy_in_markdown(built):
    text = (built / "index.md").read_text()
    assert text.startswith("# Start\n\nWhat it *is*. More.\n")
    assert "\n## Code\n\n```python\nx = 1\n\ny = 2\n```\n\nSee `x`.\n\n" in text
    assert re.search(r"^```\w*\n>>> 1 \+ 1\n2\n```$", text, re.M)
    assert (built / "page.md").read_text() == "# Page\n\nThe other one.\n"


def test_llms_txt_lists_every_page(built):
    text = (built / "llms.txt").read_text()
    assert text.startswith("# acr_sklearn\n\n> Zero-shot")
    assert "## Start\n\n- [Start](index.md): What it *is*.\n" in text
    assert "## Page\n\n- [Page](page.md): The other one.\n" in text


# -------------------------------------------------------------------------- the built site


@pytest.fixture
def site(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top-1">A</h1><a href="sub/b.html#there">b</a><a href="#top-1">t</a>'
        '<img src="a.png"><a href="https://elsewhere.org/x">e</a><a href="sub/">s</a>'
    )
    (tmp_path / "sub" / "index.html").write_text('<a href="../index.html#">up</a>')
    (tmp_path / "sub" / "b.html").write_text('<p id="there">x</p>')
    (tmp_path / "index.md").write_text("[b](sub/b.html)\n\n```\n[x](nowhere.md)\n```\n")
    return tmp_path


def test_a_sound_site_passes(site, capsys):
    assert check_links.main([str(site)]) == 0
    assert "3 pages" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("page", "link", "says"),
    [
        ("x.html", '<a href="gone.html">', "'gone.html': there is no such file"),
        ("x.html", '<a href="sub/b.html#gone">', "'sub/b.html#gone': there is no such anchor"),
        ("x.html", '<a href="#gone">', "'#gone': there is no such anchor"),
        ("x.html", '<img src="gone.png">', "'gone.png': there is no such file"),
        ("x.html", "<img>", "'': is empty"),
        ("x.html", '<a href="../outside">', "'../outside': leads out of the site"),
        ("x.html", '<a href="file:///x">', "'file:///x': leads to a file of the machine"),
        ("x.md", "[x](gone.md)", "'gone.md': there is no such file"),
    ],
)
def test_what_is_broken_is_found(site, page, link, says, capsys):
    (site / page).write_text(link)
    assert check_links.main([str(site)]) == 1
    assert f"{page}: {says}" in capsys.readouterr().out


def test_no_site_is_no_success(tmp_path, capsys):
    assert check_links.main([str(tmp_path)]) == 1
    assert "build the site first" in capsys.readouterr().out


def test_a_missing_browser_is_named():
    ran = subprocess.run(
        [sys.executable, str(ROOT / "tests/site/browse.py"), "nowhere"],
        env={"PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert "needs chromium, which was not found" in ran.stderr
    assert "apt-get install chromium chromium-driver" in ran.stderr


# ------------------------------------------------------------------------------ the start page


def blocks(page):
    return re.findall(r"^```\w*\n.*?^```$", (ROOT / page).read_text(), re.M | re.S)


def test_the_start_page_has_the_code_that_the_readme_runs():
    code, output = blocks("docs/index.md")[:2]
    readme = blocks("README.md")
    assert code in readme
    assert readme[readme.index(code) + 1] == output


def cell_of(part, method, column):
    row = re.search(rf"^\| \**{re.escape(method)}\** \|.*$", part, re.M)[0]
    return row.split("|")[column].strip(" *")
