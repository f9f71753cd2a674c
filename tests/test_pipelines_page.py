"""The code on the page of pipelines runs as it stands, and does what the text around it says."""

import re
from pathlib import Path

import numpy as np
import pytest
import sklearn

from acr_sklearn import ZeroShotACRDetector

PAGE = Path(__file__).parents[1] / "docs" / "pipelines.md"


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What is defined after all python blocks of the page were run."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    assert len(blocks) >= 4
    namespace = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("pipelines"))
        # The code as it is, on two steps: some thirty fits at the defaults take minutes.
        patch.setitem(ZeroShotACRDetector.__init__.__kwdefaults__, "max_iter", 2)
        for block in blocks:
            exec(compile(block, PAGE.name, "exec"), namespace)
    return namespace


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


def test_routing_is_off_again(names):
    assert names["sklearn"].get_config()["enable_metadata_routing"] is False
    assert sklearn.get_config()["enable_metadata_routing"] is False
