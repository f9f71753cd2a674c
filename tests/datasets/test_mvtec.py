import numpy as np
import pytest
from made_datasets import make_mvtec
from PIL import Image

from acr_sklearn.datasets import load_mvtec


@pytest.fixture
def folder(tmp_path):
    return make_mvtec(tmp_path)


def test_products_list_their_files_by_defect_and_name(folder):
    bottle, tile = load_mvtec(folder)
    assert (bottle.name, tile.name) == ("bottle", "tile")
    assert [p.name for p in bottle.train_files] == [f"{i:03d}.png" for i in range(6)]
    assert bottle.defects == ["broken"] * 2 + ["good"] * 3 + ["scratch"] * 2
    assert [p.parent.name for p in bottle.test_files] == bottle.defects
    assert bottle.y.tolist() == [-1, -1, 1, 1, 1, -1, -1]
    assert [m and m.name for m in bottle.mask_files[:3]] == ["000_mask.png", "001_mask.png", None]
    assert not set(bottle.train_files) & set(bottle.test_files)


def test_products_may_be_chosen(folder):
    assert [p.name for p in load_mvtec(folder, products=["tile"])] == ["tile"]
    with pytest.raises(FileNotFoundError, match=r"No folder .*screw\. Expected MVTec AD's folders"):
        load_mvtec(folder, products=["screw"])


def test_pictures_are_rows_of_colours_channel_by_channel(folder):
    (tile,) = load_mvtec(folder, products=["tile"], size=64, crop=64)
    rows = tile.images("train")
    assert rows.dtype == np.float32
    files = [np.asarray(Image.open(p)).transpose(2, 0, 1).ravel() for p in tile.train_files]
    np.testing.assert_array_equal(rows, np.array(files, np.float32) / 255)
    assert tile.input_shape == (3, 64, 64)
    np.testing.assert_array_equal(tile.images("test", 2, 4), tile.images("test")[2:4])
    assert tile.images("test", 9, 12).shape == (0, 3 * 64 * 64)


def test_a_mask_marks_what_was_changed_after_the_same_resize_and_crop(folder):
    (bottle,) = load_mvtec(folder, products=["bottle"], size=64, crop=32)
    masks = bottle.masks()
    assert masks.shape == (7, 32, 32)
    assert masks.dtype == bool
    # Lines 16 to 31, columns 16 to 39 of 64 are broken; the crop begins at 16.
    expected = np.zeros((32, 32), bool)
    expected[:16, :24] = True
    np.testing.assert_array_equal(masks[0], expected)
    assert not masks[2:5].any()
    np.testing.assert_array_equal(bottle.masks(5, 6), masks[5:6])
    colours = bottle.images("test", 0, 1).reshape(3, 32, 32)
    changed = np.abs(colours - np.array([60, 120, 200])[:, None, None] / 255).max(0) > 0.2
    np.testing.assert_array_equal(changed, expected)


def test_the_default_is_the_papers_square(tmp_path):
    (product,) = load_mvtec(make_mvtec(tmp_path, products=("pill",), side=300))
    assert product.images("train", 0, 1).shape == (1, 3 * 224 * 224)
    assert product.masks(0, 2).shape == (2, 224, 224)


def test_grey_pictures_have_three_equal_channels(folder):
    (tile,) = load_mvtec(folder, products=["tile"], size=64, crop=64)
    Image.open(tile.train_files[0]).convert("L").save(tile.train_files[0])
    red, green, blue = tile.images("train", 0, 1).reshape(3, -1)
    np.testing.assert_array_equal(red, green)
    np.testing.assert_array_equal(red, blue)


def test_what_is_missing_or_wrong_is_named(folder, tmp_path_factory):
    with pytest.raises(ValueError, match="size=32 and crop=64"):
        load_mvtec(folder, size=32, crop=64)
    with pytest.raises(FileNotFoundError, match=r"No folders in .*Expected MVTec AD"):
        load_mvtec(tmp_path_factory.mktemp("empty"))
    with pytest.raises(FileNotFoundError, match=r"No products in .*Expected MVTec AD"):
        load_mvtec(folder / "tile")
    (bottle, _) = load_mvtec(folder)
    bottle.train_files[0].write_bytes(bottle.train_files[0].read_bytes()[:60])
    with pytest.raises(ValueError, match=r"000\.png cannot be read"):
        bottle.images("train")
    bottle.mask_files[0].unlink()
    with pytest.raises(FileNotFoundError, match=r"000_mask\.png\. Expected the mask of .*000\.png"):
        load_mvtec(folder)


@pytest.mark.parametrize("anomalous", [1, 255])
def test_masks_of_0_and_1_are_those_of_0_and_255(folder, anomalous):
    (bottle,) = load_mvtec(folder, products=["bottle"], size=64, crop=64)
    before = bottle.masks(0, 1)
    assert before.sum() == 16 * 24
    Image.fromarray(before[0] * np.uint8(anomalous)).save(bottle.mask_files[0])
    np.testing.assert_array_equal(bottle.masks(0, 1), before)


def test_masks_that_do_not_fit_their_pictures_are_refused(folder):
    (bottle,) = load_mvtec(folder, products=["bottle"], size=64, crop=64)
    Image.new("L", (64, 32)).save(bottle.mask_files[1])
    with pytest.raises(
        ValueError, match=r"001_mask\.png is 64 x 32 pixels.*broken.001\.png.*64 x 64"
    ):
        bottle.masks()
    Image.new("L", (64, 64), 3).save(bottle.mask_files[1])
    with pytest.raises(
        ValueError, match=r"001_mask\.png has the values 3\. Expected a mask of 0 an"
    ):
        bottle.masks()


def test_hidden_files_are_passed_over_and_suffixes_may_be_in_upper_case(folder):
    (before, _) = load_mvtec(folder, size=64, crop=64)
    (folder / "__MACOSX" / "test").mkdir(parents=True)
    (folder / "bottle" / "test" / "__MACOSX").mkdir()
    (folder / "bottle" / "test" / "good" / "._000.png").write_bytes(b"mac")
    (folder / "bottle" / "test" / "good" / "Thumbs.db").write_bytes(b"windows")
    for path in (before.test_files[0], before.mask_files[0], before.test_files[1]):
        path.rename(path.with_suffix(".PNG"))
    bottle, tile = load_mvtec(folder, size=64, crop=64)
    assert tile.name == "tile"
    assert bottle.defects == before.defects
    assert [m and m.name for m in bottle.mask_files[:2]] == ["000_mask.PNG", "001_mask.png"]
    assert bottle.masks().any((1, 2)).tolist() == (bottle.y == -1).tolist()


def test_pictures_in_another_form_and_one_name_for_a_list_are_refused(folder):
    with pytest.raises(TypeError, match=r"load_mvtec got products='tile'.*products=\['tile'\]"):
        load_mvtec(folder, products="tile")
    Image.new("RGB", (64, 64)).save(folder / "tile" / "test" / "good" / "009.jpeg")
    with pytest.raises(ValueError, match=r"009\.jpeg would be left out: only \.png files are read"):
        load_mvtec(folder)
