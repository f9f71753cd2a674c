"""docs/known_anomalies.md: its code runs, and known faults are found as it says."""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from acr_sklearn import ZeroShotACRDetector

PAGE = Path(__file__).parents[1] / "docs" / "known_anomalies.md"


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


def test_known_faults_are_found_on_a_new_machine(names):
    plain, taught = (names[name].score(names["new"], names["y"]) for name in ("plain", "taught"))
    assert 0.65 < plain < 0.9
    assert taught > max(0.93, plain + 0.1)
    assert names["taught"].selection_["weight"] == 0.75


def test_the_threshold_by_cost_calls_most_faults(names):
    called = names["alarms"][names["truth"]] == -1
    assert called.mean() > 0.7


def test_every_line_of_the_picture_rises(names):
    values = names["display"].values_.values()
    assert len(values) == 9
    assert all(line[-1] > line[0] for line in values)
    assert names["pictures"] == ["selection.png"]


def test_under_the_limit_of_false_alarms_most_faults_are_found(names):
    found, alarms = (names["called"][rows].mean() for rows in (names["truth"], ~names["truth"]))
    assert 0.5 < found < 0.85
    assert alarms < 0.15
    assert 0.3 < names["rarely"].best_value_ < 0.6


def test_the_search_sees_that_labels_pay(names):
    dropped, known = names["search"].cv_results_["mean_test_score"]
    assert known > dropped + 0.1
    assert names["search"].best_params_ == {"anomalies": "known"}
    assert np.isfinite(names["cut"].best_value_)
