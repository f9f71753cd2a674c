import json

import numpy as np
import pandas as pd
import pytest
from command_line import frame, run, trained

from acr_sklearn import DomainImputer, DomainScaler, ZeroShotACRDetector, load
from acr_sklearn.cli.declaration import NUMBER, Column, Declaration
from acr_sklearn.cli.models import Model
from acr_sklearn.cli.terminal import CommandError
from acr_sklearn.persistence.container import pack, unpack
from acr_sklearn.persistence.estimators import load_with


def test_a_model_is_filled_as_its_training_was():
    declared = Declaration(tuple(Column(name, NUMBER) for name in "abc"))
    rows = [frame(seed) for seed in range(4)]
    for one in rows:
        one.iloc[::7, 1] = np.nan
    rows[0]["c"] = np.nan
    X, domains = pd.concat(rows, ignore_index=True), np.repeat(list("wxyz"), 60)
    detector = ZeroShotACRDetector(max_iter=1, random_state=0)
    model = Model.fit(detector, X, domains, None, declared)
    expected = DomainImputer().fit_transform(X, domains=domains)
    np.testing.assert_array_equal(model.filled(X, domains), expected)
    assert list(model.detector.feature_names_in_) == ["a", "b", "c"]
    assert model.declaration.fallback == tuple(X.median())


def test_the_file_is_one_of_a_detector_that_python_loads():
    model = Model.load(str(trained().model), who="score")
    detector = load(trained().model)
    assert type(detector) is ZeroShotACRDetector
    X = frame(9)
    np.testing.assert_array_equal(detector.score_samples(X), model.detector.score_samples(X))
    assert model.declaration.files == tuple((f"s{i}.csv", 60) for i in range(5))
    assert model.versions.keys() >= {"python", "torch", "acr-sklearn"}


def test_a_detector_saved_in_python_is_scored_by_its_names(tmp_path):
    sites = {f"s{i}": frame(i) for i in range(4)}
    detector = ZeroShotACRDetector(max_iter=1, random_state=0).fit(sites)
    detector.save(tmp_path / "m")
    assert Model.load(str(tmp_path / "m"), who="score").declaration.features() == ["a", "b", "c"]
    frame(9)[["c", "b", "a"]].to_csv(tmp_path / "new.csv", index=False)
    done = run("score", tmp_path / "m", tmp_path / "new.csv", "-o", tmp_path / "out.csv")
    assert done.code == 0
    scores = pd.read_csv(tmp_path / "out.csv")["score"]
    np.testing.assert_allclose(scores, detector.score_samples(frame(9)), rtol=1e-9)


def test_files_of_other_estimators_are_refused(tmp_path):
    path = tmp_path / "m"
    DomainScaler().fit(frame(0)).save(path)
    with pytest.raises(CommandError, match=r"m: holds a DomainScaler\. Expected a model"):
        Model.load(str(path), who="score")
    ZeroShotACRDetector(max_iter=1, random_state=0).fit([frame(0).to_numpy()] * 4).save(path)
    with pytest.raises(CommandError, match=r"was saved in Python and does not say"):
        Model.load(str(path), who="score")


def resigned(path, change):
    texts, tensors = unpack(bytearray(trained().model.read_bytes()))
    change(texts)
    path.write_bytes(pack(texts, tensors))
    return str(path)


def test_models_of_other_versions_and_changed_ones_are_refused(tmp_path):
    def declare(**change):
        return lambda texts: texts.update(table=json.dumps(json.loads(texts["table"]) | change))

    later = resigned(tmp_path / "m", lambda texts: texts.update(format="99"))
    with pytest.raises(ValueError, match=r"score got .*has format 99; .*Update acr_sklearn"):
        Model.load(later, who="score")
    with pytest.raises(CommandError, match=r"declared in format 9; .*Update acr-sklearn"):
        Model.load(resigned(tmp_path / "m", declare(format=9)), who="score")
    fewer = declare(columns=[], fallback=[])
    with pytest.raises(CommandError, match=r"declares 0 features for a detector of 3"):
        Model.load(resigned(tmp_path / "m", fewer), who="score")


def test_other_texts_of_the_file_stay_beside_the_estimator():
    estimator, texts = load_with(trained().model, who="x")
    assert type(estimator) is ZeroShotACRDetector
    assert texts.keys() >= {"table", "class", "format"}
