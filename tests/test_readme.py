"""The README's code runs as it stands, top to bottom, and does what the text around it says."""

import re
from pathlib import Path

import numpy as np
import pytest
import sklearn

from acr_sklearn import ZeroShotACRDetector

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What is defined after all python blocks of the README were run."""
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.M | re.S)
    assert len(blocks) >= 4
    namespace = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("readme"))
        # The code as it is, on few steps: some thirty fits at the defaults take minutes.
        patch.setitem(ZeroShotACRDetector.__init__.__kwdefaults__, "max_iter", 5)
        for block in blocks:
            exec(compile(block, README.name, "exec"), namespace)
    return namespace


def test_quickstart(names):
    detector, unseen = names["detector"], names["unseen"]
    assert detector.score_samples(unseen).shape == (100,)
    assert set(detector.predict(unseen)) <= {1, -1}


@pytest.mark.parametrize("seed", range(10))
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


def test_several_domains_in_one_call(names):
    pieces = names["split_domains"](names["scores"], names["site_today"])
    assert list(pieces) == ["north", "south", "west"]
    for piece, rows in zip(pieces.values(), names["today"], strict=True):
        np.testing.assert_allclose(piece, names["detector"].score_samples(rows), rtol=1e-6)


def test_search(names):
    search = names["search"]
    assert search.n_splits_ == 6
    assert search.best_params_.keys() == {"acr__detector__contamination"}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_segmenting(names):
    assert names["maps"].shape == (32, 32, 32)
    assert np.isfinite(names["maps"]).all()


def test_routing_is_off_again(names):
    assert names["sklearn"].get_config()["enable_metadata_routing"] is False
    assert sklearn.get_config()["enable_metadata_routing"] is False
