"""Models of ONNX, run by ONNX Runtime, against the detector's own scores."""

import functools
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from saved_estimators import SMALL, WIDTH, fitted, rows, sites

from acr_sklearn import MLPBackbone, ZeroShotACRDetector
from acr_sklearn.exceptions import ACRWarning

HEADS = ("consensus", "combined", "objective", "neighbors", "mahalanobis")
KINDS = [
    *(f"dsvdd-{head}-1" for head in HEADS),
    *("dsvdd-consensus-2", "bce-combined-2", "bce-objective-1", "known", "not trimmed"),
    *("ntl-mahalanobis-1", "deep", "many neighbours", "pooled reference"),
]
SIZES = (2, 3, 5, 16, 17, 64, 257, 513)


@functools.cache
def detector(kind):
    """One fitted detector, trained so long that its network says something."""
    settings = {
        "deep": {"hidden_layer_sizes": (8, 7, 6), "backbone": MLPBackbone(whiten_features=False)},
        "many neighbours": {"n_neighbors": 40},
    }
    if kind in settings:
        return ZeroShotACRDetector(**(SMALL | settings[kind])).fit(sites())
    return fitted(kind)


def batch(n, seed=0):
    rng = np.random.default_rng((seed, n))
    made = rng.normal(3.0, [1.0, 2.0, 0.3, 1.0], (n, WIDTH)) @ rng.normal(size=(WIDTH, WIDTH))
    made[: n // 20] += rng.normal(0, 6, WIDTH)
    return made


def hard_batches():
    """What is special in a batch: gross values, ties, constants, offsets."""
    plain = batch(120)
    gross, constant, idle, offset = (plain.copy() for _ in range(4))
    gross[3, 1] = 1e7
    constant[:, 2] = 0.7
    idle[:70] = idle[0]
    offset += 1e6
    few = batch(6)
    few[1:4] = few[1]
    many = batch(900)
    many[100:130] = many[100]
    equal = np.repeat(plain[:1], 20, axis=0)
    return {
        "gross": gross,
        "constant": constant,
        "idle": idle,
        "offset": offset,
        "small": plain * 1e-9,
        "few": few,
        "many": many,
        "tied": np.round(plain),
        "equal": equal,
    }


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(path, X):
    return session(path).run(None, {"X": X})[0]


def scores(model, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)
        return model.score_samples(X)


def exported(model, folder, **settings):
    path = str(folder / "model.onnx")
    model.to_onnx(path, **settings)
    return path


def assert_agree(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    # What is asked for; what a graph in double precision has:
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_batches_of_any_size(kind, tmp_path):
    model = session(exported(detector(kind), tmp_path))
    for n in SIZES:
        given = batch(n)
        assert_agree(model.run(None, {"X": given})[0], scores(detector(kind), given))


@pytest.mark.parametrize("kind", [*(f"dsvdd-{head}-1" for head in HEADS), "known"])
def test_large_batches(kind, tmp_path):
    model = session(exported(detector(kind), tmp_path))
    for n in (2048, 2049, 5000) if "consensus" in kind else (2049,):
        given = batch(n)
        assert_agree(model.run(None, {"X": given})[0], scores(detector(kind), given))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", hard_batches())
def test_hard_batches(head, name, tmp_path):
    model, given = detector(f"dsvdd-{head}-1"), hard_batches()[name]
    found, expected = run(exported(model, tmp_path), given), scores(model, given)
    assert np.isfinite(found).all()
    # Rows that are all but equal differ by rounding, which a head divides by what is between them.
    loose = 1e-4 if name in ("equal", "offset", "small") else 1e-7
    np.testing.assert_allclose(found, expected, rtol=loose, atol=loose)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_under_a_reference(kind, tmp_path):
    model = detector(kind)
    if kind != "pooled reference":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ACRWarning)
            model = model.adapt(batch(70))
    path = exported(model, tmp_path)
    given = np.concatenate([batch(70)[:20], batch(300, seed=1), batch(70)[5:9] + 1e-3])
    expected = scores(model, given)
    assert_agree(run(path, given), expected)
    # Each by itself, a single one too.
    assert_agree(run(path, given[7:8]), expected[7:8])


def test_a_reference_of_hard_rows(tmp_path):
    for name in ("gross", "constant", "idle", "tied"):
        reference = hard_batches()[name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ACRWarning)
            model = detector("dsvdd-consensus-1").adapt(reference)
        given = np.concatenate([reference, batch(50)])
        assert_agree(run(exported(model, tmp_path), given), scores(model, given))


def test_single_precision_input(tmp_path):
    for model in (detector("dsvdd-consensus-1"), fitted("dsvdd-consensus-1, adapted")):
        path = exported(model, tmp_path, dtype="float32")
        given = batch(200).astype(np.float32)
        found = run(path, given)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, scores(model, given), rtol=1e-4, atol=1e-4)
        assert_agree(found, scores(model, given.astype(np.float64)))


def test_a_domain_column_is_no_input(tmp_path):
    X, domains = np.concatenate(sites()), np.repeat(range(5), 30)
    model = ZeroShotACRDetector(**SMALL, domain_column=1)
    model.fit(np.insert(X, 1, domains, axis=1))
    given = rows()
    expected = scores(model, np.insert(given, 1, 0, axis=1))
    assert_agree(run(exported(model, tmp_path), given), expected)


def test_the_file_says_what_it_is(tmp_path):
    model = detector("dsvdd-consensus-1")
    found = onnx.load(exported(model, tmp_path))
    onnx.checker.check_model(found, full_check=True)
    texts = {one.key: one.value for one in found.metadata_props}
    assert texts["class"] == "ZeroShotACRDetector"
    assert texts["mode"] == "batch"
    assert float(texts["offset"]) == model.offset_
    assert [one.name for one in found.graph.input] == ["X"]
    assert [one.name for one in found.graph.output] == ["scores"]
    assert found.opset_import[0].version == 18
    assert found.ir_version <= 9
    predicted = np.where(run(str(tmp_path / "model.onnx"), rows()) >= float(texts["offset"]), 1, -1)
    np.testing.assert_array_equal(predicted, model.predict(rows()))


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("ntl-consensus-1", "no operations for NeuralTransformationLearning. It writes"),
        ("stride", "no operations for the backbone ConvNetwork"),
        ("own backbone", "no operations for the backbone StackedModule.*freeze"),
    ],
)
def test_what_has_no_operations_is_said(kind, what, tmp_path):
    for model in (fitted(kind), fitted(f"{kind}, adapted")):
        with pytest.raises(NotImplementedError, match=f"ZeroShotACRDetector.to_onnx has {what}"):
            model.to_onnx(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_what_else_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="not fitted yet"):
        ZeroShotACRDetector().to_onnx(tmp_path / "m")
    model = detector("dsvdd-consensus-1")
    for dtype in ("float16", None, np.float32):
        with pytest.raises(ValueError, match="Use 'float64' or 'float32'"):
            model.to_onnx(tmp_path / "m", dtype=dtype)
    limited = ZeroShotACRDetector(**SMALL, max_reference_rows=100).fit(sites())
    with pytest.raises(NotImplementedError, match="draws no sample of a batch: leave max_ref"):
        limited.to_onnx(tmp_path / "m")
    with pytest.raises(FileNotFoundError, match="to_onnx cannot write"):
        model.to_onnx(tmp_path / "none" / "m")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match="pip install onnx"):
        model.to_onnx(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_the_detector_is_left_as_it_is(tmp_path):
    model = detector("dsvdd-consensus-1")
    before = [weight.clone() for weight in model.module_.state_dict().values()]
    first = exported(model, tmp_path)
    data = (tmp_path / "model.onnx").read_bytes()
    exported(model, tmp_path)
    assert (tmp_path / "model.onnx").read_bytes() == data, first
    after = model.module_.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
