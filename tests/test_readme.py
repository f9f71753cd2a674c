"""The README's code runs as it stands, top to bottom, and does what the text around it says."""

import re
from pathlib import Path

import pytest

from acr_sklearn import ZeroShotACRDetector

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What is defined after all python blocks of the README were run."""
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.M | re.S)
    assert len(blocks) == 1
    namespace = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("readme"))
        for block in blocks:
            exec(compile(block, README.name, "exec"), namespace)
    return namespace


def test_quickstart(names):
    detector, unseen = names["detector"], names["unseen"]
    assert detector.score_samples(unseen).shape == (100,)
    assert set(detector.predict(unseen)) <= {1, -1}


@pytest.mark.parametrize("seed", range(3))
def test_the_quickstart_finds_what_it_says(names, seed):
    detector = ZeroShotACRDetector(random_state=seed).fit(names["known"])
    labels = detector.predict(names["unseen"])
    found, flagged = (labels[90:] == -1).sum(), (labels[:90] == -1).sum()
    assert found >= 7
    assert flagged <= 10
    if seed == 0:
        shown = re.search(r"(\d+) of ten 9s found, (\d+) of ninety 8s flagged", README.read_text())
        # Other machines round otherwise: a row at the cut may fall on its other side.
        assert abs(int(shown.group(1)) - found) <= 1
        assert abs(int(shown.group(2)) - flagged) <= 1


def test_it_is_short_and_shows_what_to_do_first():
    text = README.read_text()
    assert len(text.splitlines()) <= 120
    opening = text.partition("## Ten lines")[0]
    assert "make demo" in opening
    assert "make test" in opening
