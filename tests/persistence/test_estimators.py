"""Save and load: the same answers, whatever was saved, and plain words for what is not."""

import copy
import errno
import json
import os
import struct
import tempfile
import warnings
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from saved_estimators import (
    ADAPTED,
    DETECTORS,
    OTHERS,
    SMALL,
    WIDTH,
    acr,
    answers,
    backbone,
    fitted,
    parts,
    rows,
    sites,
)
from skorch import NeuralNet
from skorch.callbacks import GradientNormClipping
from torch import nn

import acr_sklearn
from acr_sklearn import ContaminationThreshold, DomainScaler, ZeroShotACRDetector, load
from acr_sklearn.exceptions import ACRWarning, LeftOutWarning
from acr_sklearn.persistence.container import pack, unpack
from acr_sklearn.persistence.estimators import FORMAT, FileStorage, _versions
from acr_sklearn.persistence.registry import name_of

DEFAULT = "dsvdd-consensus-1"
ALL = [*DETECTORS, *(f"{name}, adapted" for name in ADAPTED), *OTHERS]
HERE = Path(__file__).parent


def saved(name, folder):
    path = folder / "model.safetensors"
    fitted(name).save(path)
    return path


def read(path, **given):
    """Load without the warning of a backbone that is passed, or of what is left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOutWarning)
        return load(path, **given)


def changed(path, change):
    """Sign a file anew after a change of its texts or tensors, as a forger would."""
    texts, tensors = unpack(bytearray(path.read_bytes()))
    change(texts, tensors)
    path.write_bytes(pack(texts, tensors))
    return path


@pytest.mark.parametrize("name", ALL)
def test_what_is_loaded_answers_to_the_bit(name, tmp_path):
    estimator = fitted(name)
    again = read(saved(name, tmp_path), **parts(name))
    assert type(again) is type(estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)
        for dtype in (np.float64, np.float32):
            np.testing.assert_array_equal(answers(again, dtype), answers(estimator, dtype))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]  # exactly this


@pytest.mark.parametrize("name", [DEFAULT, "own backbone", "ntl-combined-2", "known"])
def test_what_is_loaded_adapts_freezes_and_goes_on(name, tmp_path):
    estimator, again = fitted(name), read(saved(name, tmp_path), **parts(name))
    one, other = (each.adapt(rows(70)) for each in (estimator, again))
    np.testing.assert_array_equal(answers(one), answers(other))
    given = torch.from_numpy(rows())
    assert torch.equal(estimator.freeze(rows())(given), again.freeze(rows())(given))
    np.testing.assert_array_equal(estimator.p_values(rows()), again.p_values(rows()))
    assert estimator.history_ == again.history_
    weights = [weight.clone() for weight in again.module_.parameters()]
    again.set_params(warm_start=True, early_stopping=False).fit(sites())
    moved = [
        not torch.equal(a, b) for a, b in zip(weights, again.module_.parameters(), strict=True)
    ]
    assert any(moved)
    # From there, not from new weights: two small steps do not lead far.
    far = [(a - b).abs().max() for a, b in zip(weights, again.module_.parameters(), strict=True)]
    assert max(far) < 0.02


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no plain file"):
        load(tmp_path / "pipe")


def test_a_loaded_one_is_saved_to_the_same_file(tmp_path):
    for name in (DEFAULT, f"{DEFAULT}, adapted", "segmenter", "threshold"):
        first = saved(name, tmp_path)
        second = tmp_path / "second"
        load(first).save(second)
        assert first.read_bytes() == second.read_bytes(), name
        second.unlink()


def test_parameters_and_attributes_are_kept(tmp_path):
    detector = fitted("transformations")
    again = load(saved("transformations", tmp_path))
    assert repr(again) == repr(detector)
    assert again.objective.get_params() == detector.objective.get_params()
    assert again.net_.module_ is again.module_
    assert again.net_.module__n_features == WIDTH
    assert again.n_features_in_ == WIDTH
    assert vars(again).keys() == vars(detector).keys()


def test_a_file_says_what_it_is(tmp_path):
    raw = saved(f"{DEFAULT}, adapted", tmp_path).read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    texts = json.loads(raw[8 : 8 + size])["__metadata__"]
    assert texts["class"] == "ZeroShotACRDetector"
    assert texts["format"] == str(FORMAT)
    assert "reader of format n reads files of every format up to n" in texts["rule"]
    assert json.loads(texts["parameters"])["max_iter"] == 2
    assert json.loads(texts["versions"])["torch"] == torch.__version__.partition("+")[0] or (
        torch.__version__ == json.loads(texts["versions"])["torch"]
    )
    assert len(texts["sha256"]) == 64


def test_domain_labels_of_every_plain_kind(tmp_path):
    X, numbers = rows(), [np.int8(3), np.float32(2)]
    labels = ["a", 1, 2.5, ("b", 3), True, b"x", np.datetime64("2020-01-02"), float("inf")]
    for given in (labels[:4], labels[3:7], labels[4:], ["é", "\ud800"], numbers):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ACRWarning)
            detector = ZeroShotACRDetector(**SMALL).fit(dict.fromkeys(given, X))
        detector.save(tmp_path / "m")
        found = load(tmp_path / "m").domains_
        assert found.dtype == detector.domains_.dtype
        assert list(found) == list(detector.domains_)
        assert list(map(type, found)) == list(map(type, detector.domains_))


def test_feature_names_are_kept(tmp_path):
    import pandas as pd

    frames = [pd.DataFrame(site, columns=list("wxyz")) for site in sites()]
    detector = ZeroShotACRDetector(**SMALL).fit(frames)
    detector.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.feature_names_in_.tolist() == list("wxyz")
    with pytest.raises(ValueError, match="feature names"):
        again.score_samples(frames[0].rename(columns={"w": "v"}))


# ------------------------------------------------------------------- what a file leaves out


def test_a_backbone_of_ones_own_has_to_be_passed(tmp_path):
    path = saved("own backbone, adapted", tmp_path)
    message = r"holds the weights of a Sequential.*load\(path, backbone=Sequential\(\.\.\.\)\)"
    with pytest.raises(ValueError, match=message):
        ZeroShotACRDetector.load(path)
    with pytest.raises(ValueError, match=r"do not fit into backbone=Sequential: 0\.bias has shape"):
        load(path, backbone=backbone(7))
    with pytest.raises(ValueError, match="no BatchNorm1d layer"):
        load(path, backbone=nn.Linear(WIDTH, 5))
    given = backbone()
    before = [weight.clone() for weight in given.parameters()]
    again = load(path, backbone=given)
    assert again.backbone is given
    assert all(torch.equal(a, b) for a, b in zip(before, given.parameters(), strict=True))


def test_parameters_of_ones_own_have_their_defaults_or_what_is_passed(tmp_path):
    class Source:
        def sample(self, X, domain_index, n, rng):
            return X[:n] + 9

    own = {
        "callbacks": [GradientNormClipping(1.0)],
        "net": NeuralNet(None, None, optimizer=torch.optim.SGD, optimizer__momentum=0.5),
        "memory": str(tmp_path / "cache"),
        "outlier_source": Source(),
        "random_state": np.random.RandomState(0),
    }
    detector = acr(**own)
    detector.save(tmp_path / "m")
    message = r"without callbacks \(a list\), memory \(a str\), net \(a NeuralNet\), outlier_source"
    with pytest.warns(LeftOutWarning, match=message) as caught:
        again = load(tmp_path / "m")
    assert caught[0].filename == __file__
    assert again.outlier_source == "auto"
    assert (again.callbacks, again.net, again.memory, again.random_state) == (None,) * 4
    np.testing.assert_array_equal(answers(again), answers(detector))
    again = ZeroShotACRDetector.load(tmp_path / "m", **own)
    assert all(getattr(again, name) is value for name, value in own.items())
    again.fit(sites())


def test_what_is_passed_must_have_been_left_out(tmp_path):
    with pytest.raises(ValueError, match="load got max_iter=, which the file does not leave out"):
        load(saved(DEFAULT, tmp_path), max_iter=3)


def test_a_tensor_of_an_absent_device_comes_to_the_cpu(tmp_path, monkeypatch):
    def on_cuda(texts, _):
        assert texts["objects"].count('"device":"cpu"') > 2
        texts["objects"] = texts["objects"].replace('"device":"cpu"', '"device":"cuda:3"')

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    path = changed(saved(f"{DEFAULT}, adapted", tmp_path), on_cuda)
    np.testing.assert_array_equal(answers(load(path)), answers(fitted(f"{DEFAULT}, adapted")))


def test_loading_leaves_no_trace(tmp_path):
    path = saved(f"{DEFAULT}, adapted", tmp_path)
    torch.manual_seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    load(path)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()


# ---------------------------------------------------------------------------- what is refused


def test_unfitted_estimators_are_refused(tmp_path):
    for estimator in (
        ZeroShotACRDetector(),
        DomainScaler(),
        ContaminationThreshold(DomainScaler()),
    ):
        with pytest.raises(ValueError, match="not fitted yet"):
            estimator.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_another_class_is_refused_by_name(tmp_path):
    path = saved("threshold", tmp_path)
    message = r"ZeroShotACRDetector.load got '.*', a file of a ContaminationThreshold. Use Cont"
    with pytest.raises(ValueError, match=message):
        ZeroShotACRDetector.load(path)
    with pytest.raises(ValueError, match="LabelThreshold.load got"):
        acr_sklearn.LabelThreshold.load(path)  # a child of that class is another class
    with pytest.raises(ValueError, match="file of a DomainScaler"):
        acr_sklearn.DomainImputer.load(saved("scaler", tmp_path))


class OwnDetector(ZeroShotACRDetector):
    pass


def test_a_class_of_ones_own_is_refused_and_pickled(tmp_path):
    import pickle

    detector = OwnDetector(**SMALL).fit(sites())
    with pytest.raises(ValueError, match=r"OwnDetector is a class of its user's.*Use pickle"):
        detector.save(tmp_path / "m")
    again = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(answers(again), answers(detector))


def test_detectors_of_others_and_stray_attributes_are_refused(tmp_path):
    from sklearn.ensemble import IsolationForest

    cut = ContaminationThreshold(IsolationForest(n_estimators=2, random_state=0)).fit(rows())
    message = r"ContaminationThreshold.save: .* is a sklearn\.ensemble\._iforest\.IsolationForest"
    with pytest.raises(ValueError, match=message):
        cut.save(tmp_path / "m")
    stray = acr()
    stray.note_ = object()
    with pytest.raises(ValueError, match=r"note_ is a builtins\.object"):
        stray.save(tmp_path / "m")
    stray.note_ = stray
    with pytest.raises(ValueError, match="contains itself"):
        stray.save(tmp_path / "m")


def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(tmp_path):
    broken = acr()
    with torch.no_grad():
        broken.module_.objective.linear.weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"has numbers in .*weight that are not finite"):
        broken.save(tmp_path / "m")

    def spoil(_, tensors):
        name = next(name for name in tensors if name.endswith("linear.weight"))
        tensors[name][0] = np.inf

    with pytest.raises(ValueError, match=r"Linear\.weight that are not finite"):
        load(changed(saved(DEFAULT, tmp_path), spoil))


@pytest.mark.parametrize("number", ["4", "10", "0", "-1", "1.0", "", "nan", "9" * 5000, "١"])
def test_formats_that_are_none_or_to_come(number, tmp_path):
    path = changed(saved(DEFAULT, tmp_path), lambda texts, _: texts.update(format=number))
    later = number in ("4", "10")
    message = (
        f"has format {number}; .*reads formats up to {FORMAT}" if later else "no number of a format"
    )
    with pytest.raises(ValueError, match=message):
        load(path)


def test_what_the_file_system_refuses(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"save cannot write '.*': No such file"):
        fitted(DEFAULT).save(tmp_path / "none" / "m")
    with pytest.raises(FileNotFoundError, match=r"acr_sklearn\.load cannot read '.*none'"):
        load(tmp_path / "none")
    with pytest.raises(IsADirectoryError, match="no plain file"):
        fitted(DEFAULT).save(tmp_path)
    with pytest.raises((IsADirectoryError, ValueError), match="load"):
        load(tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for call in (fitted(DEFAULT).save, load):
        with pytest.raises(OSError, match=r"symbolic link|Symlink loop"):
            call(tmp_path / "loop")
    with pytest.raises(TypeError, match="It needs the name of a file"):
        load(7)


def test_a_folder_that_may_not_be_written_to():
    # Not pytest's own folder, which is of the one user alone.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = saved(DEFAULT, folder)
        before = path.read_bytes()
        folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:  # who may write everywhere
            os.seteuid(65534)
        try:
            with pytest.raises(PermissionError, match=r"save cannot write '.*': Permission denied"):
                fitted("scaler").save(path)
            np.testing.assert_array_equal(answers(load(path)), answers(fitted(DEFAULT)))
        finally:
            os.seteuid(user)
            folder.chmod(0o755)
        assert path.read_bytes() == before
        assert list(folder.iterdir()) == [path]


def test_sources_that_are_not_installed_have_no_version(tmp_path, monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    _versions.cache_clear()
    texts, _ = unpack(bytearray(saved("scaler", tmp_path).read_bytes()))
    _versions.cache_clear()
    assert json.loads(texts["versions"])["acr-sklearn"] == "unknown"


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = saved(DEFAULT, tmp_path)
    before = path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device.*unchanged") as caught:
        fitted("scaler").save(path)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_every_estimator_of_the_package_can_be_saved():
    kinds = [
        found
        for name in acr_sklearn.__all__
        if isinstance(found := getattr(acr_sklearn, name), type) and hasattr(found, "fit")
    ]
    assert len(kinds) >= 8
    for kind in kinds:
        assert issubclass(kind, FileStorage), kind
        assert name_of(kind), kind


@pytest.mark.parametrize("names", [["a", "bb", "ccc"], ["north", "s"], [b"x", b"yyyy"]])
def test_texts_cut_from_wider_ones_come_back(names, tmp_path):
    estimator = copy.copy(fitted("scaler"))
    estimator.labels_ = np.array(names)[:1]
    estimator.save(tmp_path / "it")
    np.testing.assert_array_equal(load(tmp_path / "it").labels_, names[:1])


def test_known_anomalies_of_domains_with_names_of_any_length(tmp_path):
    rng = np.random.default_rng(0)
    names = np.array(["a", "bb", "ccc", "dddddd", "e", "long name"])
    X, site = rng.normal(size=(240, WIDTH)), np.repeat(names, 40)
    marked = (np.arange(240) % 8 == 0) & (site != "long name")
    X[marked] += 4.0
    detector = ZeroShotACRDetector(**SMALL).fit(X, domains=site, known_anomalies=marked)
    detector.save(tmp_path / "it")
    again = load(tmp_path / "it")
    np.testing.assert_array_equal(again.score_samples(X[:40]), detector.score_samples(X[:40]))
    assert list(again.selection_["domains"]) == list(detector.selection_["domains"])


# -------------------------------------------------------------------- formats of before


def test_a_file_of_every_format_is_here():
    there = {path.name for path in HERE.glob("format-*.safetensors")}
    assert there == {f"format-{number}.safetensors" for number in range(1, FORMAT + 1)}


@pytest.mark.parametrize("number", range(1, FORMAT + 1))
def test_a_file_of_a_format_is_read(number):
    detector = ZeroShotACRDetector.load(HERE / f"format-{number}.safetensors")
    expected = json.loads((HERE / "format-scores.json").read_text())[str(number)]
    given = np.linspace(-3, 3, 20).reshape(5, 4)
    np.testing.assert_allclose(detector.score_samples(given), expected["reference"], rtol=1e-6)
    detector.set_params(norm_mode="batch")
    batch = np.sin(np.arange(80.0)).reshape(20, 4)
    found = detector.score_samples(batch)
    np.testing.assert_allclose(found, expected["batch"], rtol=1e-6)


def test_an_imputer_of_before_neighbors_gets_their_default(tmp_path):
    def of_format_2(texts, _):
        given = json.loads(texts["parameters"])
        assert given.pop("n_neighbors") == 5
        texts |= {"parameters": json.dumps(given), "format": "2"}

    def without_strategy(texts, _):
        texts["parameters"] = "{}"

    path = changed(saved("imputer", tmp_path), of_format_2)
    again = acr_sklearn.DomainImputer.load(path)
    assert again.get_params() == {"strategy": "median", "n_neighbors": 5}
    np.testing.assert_array_equal(answers(again), answers(fitted("imputer")))
    with pytest.raises(ValueError, match="holds a DomainImputer of other parameters than it has"):
        acr_sklearn.load(changed(path, without_strategy))


def test_no_attribute_changes_under_one_number(tmp_path):
    """Whoever adds, renames or drops an attribute of a class in this list raises FORMAT."""
    layout = {}
    for name in ALL:
        texts, _ = unpack(bytearray(saved(name, tmp_path).read_bytes()))
        entries = json.loads(texts["objects"])
        entries.append(["object", texts["class"], json.loads(texts["parameters"])])
        for kind, *rest in entries:
            if kind in ("instance", "object", "module"):
                names = rest[1]
                if kind == "module":
                    tables = ("attributes", "parameters", "buffers", "modules")
                    # Of containers the names are numbers.
                    names = [key for table in tables for key in names[table] if key[0] > "9"]
                layout.setdefault(rest[0], set()).update(names)
    found = {name: sorted(names) for name, names in sorted(layout.items())}
    written = HERE / "format-layout.json"
    if os.environ.get("ACR_WRITE_LAYOUT"):
        written.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(written.read_text())
