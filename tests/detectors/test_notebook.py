import copy
import re

import numpy as np
import pytest
from sklearn import config_context
from sklearn.pipeline import make_pipeline

from acr_sklearn import OutlierSynthesisDetector, ResADDetector, ZeroShotACRDetector
from acr_sklearn.detectors._notebook import fitted_facts


@pytest.fixture(scope="module")
def sites():
    rng = np.random.default_rng(0)
    return {f"site {i}": rng.normal(rng.normal(0, 3, 4), 1.0, (40, 4)) for i in range(7)}


@pytest.fixture(scope="module")
def detector(sites):
    return ZeroShotACRDetector(max_iter=4, random_state=0).fit(sites)


def test_a_fitted_detector_shows_domains_training_and_threshold(detector):
    facts = fitted_facts(detector)
    assert facts["Trained on"] == "7: site 0, site 1, site 2, site 3, site 4, … (domains)"
    assert facts["Features"] == "4"
    held_out = {line["n_steps"]: line["valid_auc"] for line in detector.history_}
    expected = f"{detector.n_iter_} steps, AUROC on held-out domains "
    assert facts["Training"] == f"{expected}{held_out[detector.n_iter_]:.3f}"
    assert facts["Rows are scored"].startswith("in batches")
    assert facts["Threshold"] == f"offset_={detector.offset_:.4g}, contamination=0.1"


def test_notebooks_get_the_table_below_the_diagram(detector):
    for html in (detector._repr_html_(), detector._repr_mimebundle_()["text/html"]):
        assert html.index("sk-top-container") < html.index('class="acr-fitted"')
        assert all(text.replace("'", "&#x27;") in html for text in fitted_facts(detector).values())


@pytest.mark.parametrize(
    ("name", "value", "fact"),
    [
        ("contamination", 7, "Threshold"),
        ("contamination", np.array([0.1, 0.2]), "Threshold"),
        ("norm_mode", "reference", "Rows are scored"),
    ],
)
def test_settings_that_fit_no_more_are_said_and_raise_nothing(detector, name, value, fact):
    odd = copy.deepcopy(detector).set_params(**{name: value})
    for html in (odd._repr_html_(), odd._repr_mimebundle_()["text/html"]):
        assert "acr-fitted" in html
    assert "acr-fitted" not in make_pipeline(odd)._repr_html_()
    assert fitted_facts(odd)[fact].startswith("not known: ")
    assert fitted_facts(odd)["Trained on"] == fitted_facts(detector)["Trained on"]


def test_before_fit_the_diagram_is_all():
    assert "acr-fitted" not in ZeroShotACRDetector()._repr_html_()
    assert fitted_facts(ZeroShotACRDetector()) == {}


def test_text_is_text_where_scikit_learn_is_set_so(detector):
    with config_context(display="text"):
        assert not hasattr(detector, "_repr_html_")
        assert "text/html" not in detector._repr_mimebundle_()


def test_a_reference_is_named(detector, sites):
    live = detector.adapt(np.tile(sites["site 1"], (4, 1)))
    assert "reference of at most 160 rows" in fitted_facts(live)["Rows are scored"]
    live.set_params(norm_mode="batch", threshold="batch")
    assert fitted_facts(live)["Threshold"].startswith("set in each batch")


def test_the_siblings_have_it_too(sites):
    few = ResADDetector(max_iter=2, random_state=0).fit(sites).adapt(sites["site 0"][:4])
    assert "at most 4 rows" in fitted_facts(few)["Rows are scored"]
    single = OutlierSynthesisDetector(max_iter=2, random_state=0).fit(sites["site 0"])
    facts = fitted_facts(single)
    assert (facts["Trained on"], facts["Rows are scored"]) == ("1 data set", "one by one")
    assert re.fullmatch(r"\d+ steps", facts["Training"])


def test_names_are_shortened_and_escaped(sites):
    pd = pytest.importorskip("pandas")
    names = ["<script>alert(1)</script>", "b" * 40, "c", "d"]
    frames = {"<b>": pd.DataFrame(sites["site 0"], columns=names)}
    frames |= {f"{i}": pd.DataFrame(sites["site 1"], columns=names) for i in range(4)}
    html = ZeroShotACRDetector(max_iter=2, random_state=0).fit(frames)._repr_html_()
    below = html[html.index('class="acr-fitted"') :]
    assert "&lt;script&gt;alert(1)&lt;/scrip…" in below
    assert "<script" not in below
    assert "b" * 24 not in below
