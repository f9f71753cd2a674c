"""docs/drift.md: its code runs, and the drift is taken off as it says."""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from scipy.stats import spearmanr

from acr_sklearn import ZeroShotACRDetector

PAGE = Path(__file__).parents[1] / "docs" / "drift.md"


# Rows that drift are unlike the training domains, and scoring says so.
pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What is defined after the python blocks of the page were run, on few steps and units."""
    mpl.use("Agg")
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    namespace = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ZeroShotACRDetector.__init__.__kwdefaults__, "max_iter", 5)
        patch.setitem(ZeroShotACRDetector.__init__.__kwdefaults__, "hidden_layer_sizes", (32,))
        patch.chdir(tmp_path_factory.mktemp("page"))
        for block in blocks:
            exec(compile(block, PAGE.name, "exec"), namespace)
        namespace["pictures"] = [path.name for path in Path().glob("*.png")]
    return namespace


def test_the_anomalies_stand_out_once_the_drift_is_off(names):
    worst = np.argsort(names["scores"])[:3]
    assert set(worst) == {9, 15, 20}
    # With the drift on, normal rows score the lower the nearer they are to an end.
    normal = names["y"] == 1
    middle = np.abs(np.arange(30) - 14.5)[normal]
    by_place = [spearmanr(middle, names[name][normal])[0] for name in ("plain", "scores")]
    assert by_place[0] < -0.5 < by_place[1]


def test_training_rows_have_no_trend_and_the_new_ones_do(names):
    detrender = names["model"]["detrend"]
    off = names["new"] - detrender.transform(names["new"])
    assert (np.ptp(off, axis=0) > 4).sum() >= 7
    X, site = names["X"], names["site"]
    assert np.mean(detrender.transform(X, domains=site) != X) < 0.01


def test_the_picture(names):
    assert names["pictures"] == ["over_time.png"]
    assert names["display"].ax_.get_xlabel() == "row"
