"""Files of others: pickle, joblib, cloudpickle, skops and mlflow, with the packages themselves."""

import copy
import io
import pickle
import warnings

import cloudpickle
import joblib
import numpy as np
import pytest
import skops.io
from saved_estimators import SMALL, answers, backbone, fitted, rows, sites
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from acr_sklearn import ContaminationThreshold, ZeroShotACRDetector
from acr_sklearn.exceptions import LeftOutWarning

DEFAULT = "dsvdd-consensus-1"
ACR = "acr_sklearn.detectors.acr.ZeroShotACRDetector"
TRUSTED = {
    DEFAULT: ACR,
    f"{DEFAULT}, adapted": ACR,
    "synthesis": "acr_sklearn.detectors.synthesis.OutlierSynthesisDetector",
    "threshold": "acr_sklearn.model_selection.contamination.ContaminationThreshold",
    "on normals": "acr_sklearn.model_selection.fit_on_normals.FitOnNormals",
    "scaler": "acr_sklearn.preprocessing.scaler.DomainScaler",
    "segmenter": "acr_sklearn.images.segmenter.ZeroShotSegmenter",
}


def by_joblib(value):
    file = io.BytesIO()
    joblib.dump(value, file)
    file.seek(0)
    return joblib.load(file)


COPIES = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "old pickle": lambda value: pickle.loads(pickle.dumps(value, protocol=0)),
    "cloudpickle": lambda value: pickle.loads(cloudpickle.dumps(value)),
    "joblib": by_joblib,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", [*TRUSTED, "own backbone, adapted"])
def test_pickles_and_copies_hold_everything(way, name):
    estimator = fitted(name)
    again = COPIES[way](estimator)
    np.testing.assert_array_equal(answers(again), answers(estimator))
    assert vars(again).keys() == vars(estimator).keys()
    if hasattr(estimator, "net_"):  # with the moments of its optimizer, which a file leaves out
        one, other = (each.net_.optimizer_.state_dict()["state"] for each in (estimator, again))
        assert one.keys() == other.keys() >= {0, 1, 2, 3, 4, 5}


class WithState(ZeroShotACRDetector):
    def __getstate__(self):
        return {**super().__getstate__(), "note": "kept"}


def test_a_child_of_ones_own_may_say_what_its_pickle_holds():
    again = pickle.loads(pickle.dumps(WithState(**SMALL).fit(sites())))
    assert again.note == "kept"
    np.testing.assert_array_equal(answers(again), answers(fitted(DEFAULT)))


@pytest.mark.parametrize("name", TRUSTED)
def test_skops_has_one_type_to_trust(name, tmp_path):
    estimator = fitted(name)
    skops.io.dump(estimator, tmp_path / "m.skops")
    assert skops.io.get_untrusted_types(file=tmp_path / "m.skops") == [TRUSTED[name]]
    again = skops.io.load(tmp_path / "m.skops", trusted=[TRUSTED[name]])
    np.testing.assert_array_equal(answers(again), answers(estimator))


def test_skops_in_a_pipeline(tmp_path):
    model = make_pipeline(StandardScaler(), ZeroShotACRDetector(**SMALL))
    model.fit(np.concatenate(sites()), zeroshotacrdetector__domains=np.repeat(range(5), 30))
    skops.io.dump(model, tmp_path / "m.skops")
    again = skops.io.load(tmp_path / "m.skops", trusted=[ACR])
    np.testing.assert_array_equal(again.score_samples(rows()), model.score_samples(rows()))


def test_skops_keeps_the_rules_of_files():
    data = skops.io.dumps(fitted("own backbone"))
    with pytest.raises(ValueError, match="the weights of a Sequential"):
        skops.io.loads(data, trusted=[ACR])
    unfitted = skops.io.loads(skops.io.dumps(ZeroShotACRDetector(max_iter=7)), trusted=[ACR])
    assert unfitted.get_params() == ZeroShotACRDetector(max_iter=7).get_params()
    detector = ZeroShotACRDetector(memory="somewhere", backbone=backbone())
    with pytest.warns(LeftOutWarning, match=r"backbone \(a Sequential\), memory \(a str\)"):
        skops.io.loads(skops.io.dumps(detector), trusted=[ACR])


def test_mlflow_saves_and_loads(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        import mlflow.sklearn

        detector = fitted(f"{DEFAULT}, adapted")
        # mlflow would look for what is installed, in a process of its own.
        quick = {"pip_requirements": ["acr-sklearn"]}
        mlflow.sklearn.save_model(detector, tmp_path / "a", skops_trusted_types=[ACR], **quick)
        again = mlflow.sklearn.load_model(str(tmp_path / "a"))
        frozen = ContaminationThreshold(FrozenEstimator(detector)).fit(rows())
        mlflow.sklearn.save_model(
            frozen, tmp_path / "b", skops_trusted_types=[TRUSTED["threshold"]], **quick
        )
        served = mlflow.pyfunc.load_model(str(tmp_path / "b")).predict(rows())
    np.testing.assert_array_equal(answers(again), answers(detector))
    np.testing.assert_array_equal(served, frozen.predict(rows()))
