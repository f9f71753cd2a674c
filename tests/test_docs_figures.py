"""Every measured figure in the documentation has a link to the file that it is from beside it."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
#: Pages written by people; those in docs/results are generated, with their files at the top.
PAGES = sorted(
    page.relative_to(DOCS).as_posix()
    for page in DOCS.rglob("*.md")
    if page.relative_to(DOCS).parts[0] not in ("results", "repository", "api", "gallery", "_build")
)
#: Values of AUROC and shares (.93, 0.815), and what was timed or weighed.
FIGURE = re.compile(
    r"(?<![\w.,/-])[-+]?(?:0?\.\d{2,4}|1\.0{2,3})(?![\w.]*\w)"
    r"|\b\d[\d,.]*\s?(?:ms|s|MB|MiB|GB|rows/s)(?![\w-])"
)
FILE = re.compile(r"\]\([^)\s]*(?:benchmarks/results/[\w.-]+|results/[\w-]+\.md[^)]*)\)")
#: Sections whose figures are no measurements of ours, and what they are.
OTHERS = {
    ("known_anomalies.md", "How they are used"): "weights that are tried",
    ("method.md", "Outliers of a task"): "a limit of the method",
    ("recipes/dataframe_with_sites.md", "Threshold"): "the level of a test",
}


def sections(page):
    """Title and text of every section, without code and comments."""
    text = (DOCS / page).read_text(encoding="utf-8")
    text = re.sub(r"<!--.*?-->", "", re.sub(r"```.*?```", "", text, flags=re.S), flags=re.S)
    parts = re.split(r"^#+ (.+)$", text, flags=re.M)[1:]
    return zip(parts[::2], parts[1::2], strict=True)


def unsourced(page):
    """Sections with figures and no file."""
    return {
        title: FIGURE.findall(re.sub(r"`[^`]*`", "", text))
        for title, text in sections(page)
        if FIGURE.search(re.sub(r"`[^`]*`", "", text)) and not FILE.search(text)
    }


@pytest.mark.parametrize("page", PAGES)
def test_figures_have_a_file(page):
    found = {
        title: found for title, found in unsourced(page).items() if (page, title) not in OTHERS
    }
    assert not found, "link benchmarks/results/<file>.json in the section, or say in OTHERS why not"


@pytest.mark.parametrize(("page", "title"), OTHERS)
def test_exceptions_are_needed(page, title):
    assert title in unsourced(page), "this section needs no exception: take it out of OTHERS"


@pytest.mark.parametrize(
    "says", ["AUROC .815 here", "| +.0035 |", "takes 9 ms", "of 0.830", "1.00"]
)
def test_figures_are_recognised(says):
    assert FIGURE.search(says)


@pytest.mark.parametrize(
    "says", ["version 2.13.0", "arXiv 2302.07849", "20 % of 3 rows", "a .1 cut"]
)
def test_other_numbers_are_not(says):
    assert not FIGURE.search(says)
