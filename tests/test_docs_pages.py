"""The code on the pages in docs/ runs as it stands, and does what the text around it says."""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "model_selection.md"


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What is defined after all python blocks of the page were run."""
    mpl.use("Agg")
    import acr_sklearn.training.meta_training as stage

    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    assert len(blocks) >= 7
    namespace = {"trainings": []}
    plain = stage.train_acr

    def train(*args, **kwargs):
        namespace["trainings"].append(1)
        return plain(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        patch.setattr(stage, "train_acr", train)
        for block in blocks:
            before = len(namespace["trainings"])
            exec(compile(block, PAGE.name, "exec"), namespace)
            namespace.setdefault("counts", []).append(len(namespace["trainings"]) - before)
        namespace["pictures"] = [path.name for path in Path().glob("*.png")]
    return namespace


def test_trainings_are_as_many_as_the_page_says(names):
    # Blocks 4 and 5 are the two searches: one training per fold, and one before the second.
    assert names["counts"][4:6] == [6, 1]


def test_the_searches_tell_values_apart_but_not_by_ranking(names):
    results = names["search"].cv_results_
    assert np.ptp(results["mean_test_mcc"]) > 0
    assert np.ptp(results["mean_test_f1"]) > 0
    assert np.ptp(results["mean_test_auroc"]) == pytest.approx(0, abs=1e-12)
    assert np.ptp(names["cut"].cv_results_["mean_test_score"]) > 0


def test_the_pictures(names):
    assert names["pictures"] == ["scores.png"]
    near, far = names["seen"].distances
    assert near < 1 < 1.25 < far
