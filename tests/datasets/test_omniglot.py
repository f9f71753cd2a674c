import numpy as np
import pytest
from made_datasets import make_omniglot
from PIL import Image

from acr_sklearn.datasets import load_omniglot


@pytest.fixture
def folder(tmp_path):
    return make_omniglot(tmp_path, n_drawings=4)


def test_background_is_trained_on_and_evaluation_tested(folder):
    data = load_omniglot(folder)
    assert data.train_names == [
        f"Background_{a}/character{c:02d}" for a in range(2) for c in range(1, 6)
    ]
    assert [d.name for d in data.test] == [f"Evaluation_0/character{c:02d}" for c in range(1, 6)]
    assert {d.group for d in data.test} == {"Evaluation_0"}
    assert data.input_shape == (1, 28, 28)
    assert {rows.shape for rows in data.train} == {(4, 784)}
    stacked = np.concatenate(data.train)
    assert stacked.dtype == np.float32
    assert (stacked.min(), stacked.max()) == (0, 1)


def test_at_their_own_size_drawings_are_untouched_and_in_the_order_of_their_names(folder):
    data = load_omniglot(folder, size=105)
    for name, rows in zip(data.train_names, data.train, strict=True):
        paths = sorted((folder / "images_background" / name).glob("*.png"))
        files = [np.asarray(Image.open(path)).astype(np.float32).ravel() for path in paths]
        np.testing.assert_array_equal(rows, files)


def test_a_golden_pixel(folder):
    data = load_omniglot(folder)
    # Character 2's stroke covers lines 25 to 34 of 105, so line 8 (28.1 to 31.9) of 28 is ink.
    drawing = data.train[1][0].reshape(28, 28)
    assert drawing[8, 4] == 0
    assert drawing[20, 4] == 1


def test_the_number_of_training_characters_may_be_given(folder):
    data = load_omniglot(folder, n_train=12)
    assert len(data.train) == 12
    assert [d.name for d in data.test] == [f"Evaluation_0/character{c:02d}" for c in (3, 4, 5)]


def test_anomalies_are_drawings_of_other_test_characters(folder):
    data = load_omniglot(folder, n_train=7)
    own = [domain.load()[0][domain.load()[1] == 1] for domain in data.test]
    for number, domain in enumerate(data.test):
        X, y = domain.load()
        assert (y == 1).sum() == 4
        others = np.concatenate([rows for i, rows in enumerate(own) if i != number])
        np.testing.assert_array_equal(X[y == -1], others)
    # No training drawing is in the pool: it is exactly as large as the test characters.
    assert len(data.test[0].load()[0]) == 4 * len(data.test) == 32


def test_what_is_missing_or_wrong_is_named(folder):
    with pytest.raises(ValueError, match="n_train=15, and .* has 15 characters"):
        load_omniglot(folder, n_train=15)
    with pytest.raises(ValueError, match="load_omniglot got n_train=0. It needs a whole number"):
        load_omniglot(folder, n_train=0)
    drawing = next((folder / "images_evaluation").rglob("*.png"))
    whole = drawing.read_bytes()
    drawing.write_bytes(whole[:40])
    with pytest.raises(ValueError, match=rf"{drawing.name} cannot be read"):
        load_omniglot(folder)
    Image.new("1", (28, 28)).save(drawing)
    with pytest.raises(ValueError, match=rf"{drawing.name} is 28 x 28 pixels\. Expected 105 x 105"):
        load_omniglot(folder)
    for path in drawing.parent.iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"No \.png files in .*Expected Omniglot's folders"):
        load_omniglot(folder)
    (folder / "images_background").rename(folder / "background")
    with pytest.raises(FileNotFoundError, match=r"No folder .*images_background\. Expected Omni"):
        load_omniglot(folder)


def test_what_systems_add_is_passed_over_and_suffixes_may_be_in_upper_case(folder):
    plain = load_omniglot(folder)
    (folder / "images_background" / "__MACOSX" / "Background_0").mkdir(parents=True)
    (folder / "images_background" / "Background_0" / "__MACOSX").mkdir()
    for drawing in list(folder.rglob("*_00.png")):
        drawing.with_name(f"._{drawing.name}").write_bytes(b"mac")
        drawing.rename(drawing.with_suffix(".PNG"))
    data = load_omniglot(folder)
    assert data.train_names == plain.train_names
    for rows, before in zip(data.train, plain.train, strict=True):
        np.testing.assert_array_equal(rows, before)


def test_drawings_in_another_form_are_refused(folder):
    drawing = next((folder / "images_evaluation").rglob("*.png"))
    Image.open(drawing).convert("L").save(drawing.with_suffix(".jpg"))
    with pytest.raises(ValueError, match=r"\.jpg would be left out: only \.png files are read"):
        load_omniglot(folder)
