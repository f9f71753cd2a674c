import numpy as np
import pytest
from PIL import Image

from acr_sklearn.datasets._pictures import list_pictures, read_mask, read_picture


def save(path, values):
    Image.fromarray(values).save(path)
    return path


def test_colours_come_channel_first_and_grey_has_one_channel(tmp_path):
    values = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    path = save(tmp_path / "a.png", values)
    read = read_picture(path, "RGB")
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, values.transpose(2, 0, 1))
    assert read_picture(path, "L").shape == (1, 4, 5)


def test_one_bit_pictures_are_0_and_255(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(path)
    assert read_picture(path, "L").tolist() == [[[0, 255]]]


def test_the_shorter_side_is_resized_and_the_centre_is_kept(tmp_path):
    values = np.zeros((20, 40), np.uint8)
    values[:, 15:25] = 255
    path = save(tmp_path / "a.png", values)
    assert read_picture(path, "L", resize=10).shape == (1, 10, 20)
    middle = read_picture(path, "L", crop=8)
    assert middle.shape == (1, 8, 8)
    assert (middle == 255).all()
    nearest = read_picture(path, "L", resize=10, filter_name="nearest")
    assert set(np.unique(nearest)) == {0, 255}


def test_wrong_sizes_are_named(tmp_path):
    path = save(tmp_path / "a.png", np.zeros((4, 5), np.uint8))
    with pytest.raises(ValueError, match=r"a\.png is 5 x 4 pixels\. Expected 105 x 105"):
        read_picture(path, "L", side=105)
    with pytest.raises(ValueError, match=r"a\.png is 5 x 4 pixels, too small to crop to 6"):
        read_picture(path, "L", crop=6)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.97])
def test_a_truncated_picture_is_named(tmp_path, share):
    path = save(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"a\.png cannot be read: .* a complete picture"):
        read_picture(path, "L")


def test_missing_pictures_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.png\. Expected a picture"):
        read_picture(tmp_path / "a.png", "L")
    with pytest.raises(FileNotFoundError, match=r"No \.png files in .*\. Expected drawings"):
        list_pictures(tmp_path, "drawings")


def test_without_pillow_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(ImportError, match=r"needs Pillow.*pip install 'acr-sklearn\[datasets\]'"):
        read_picture(tmp_path / "a.png", "L")


@pytest.mark.parametrize("values", [np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pictures_of_more_than_8_bits_are_refused(tmp_path, values, mode):
    path = save(tmp_path / "a.tif", (np.arange(64).reshape(8, 8) * 900).astype(values))
    with pytest.raises(
        ValueError, match=r"a\.tif has more than 8 bits .*mode [IF].* to 8 bits firs"
    ):
        read_picture(path, mode)


def test_a_picture_larger_than_pillow_opens_is_named(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", np.zeros((30, 30), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    with pytest.raises(ValueError, match=r"a\.png cannot be read: .*limit; scale it down"):
        read_picture(path, "L")


def test_pictures_of_other_formats_are_not_left_out(tmp_path):
    for name in ("b.PNG", "a.png", "._a.png", "readme.txt"):
        (tmp_path / name).write_text("")
    assert [p.name for p in list_pictures(tmp_path, "drawings")] == ["a.png", "b.PNG"]
    (tmp_path / "c.JPG").write_text("")
    with pytest.raises(
        ValueError, match=r"c\.JPG would be left out: only \.png .*drawings\. Conve"
    ):
        list_pictures(tmp_path, "drawings")


@pytest.mark.parametrize("anomalous", [1, 255])
def test_a_mask_is_true_where_it_is_not_zero(tmp_path, anomalous):
    hole = np.arange(16).reshape(4, 4) > 9
    mask = save(tmp_path / "m.png", (hole * anomalous).astype(np.uint8))
    of = save(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    read = read_mask(mask, of)
    assert read.dtype == bool
    np.testing.assert_array_equal(read, hole)
    np.testing.assert_array_equal(
        read_mask(mask, of, resize=8, crop=4), hole.repeat(2, 0).repeat(2, 1)[2:6, 2:6]
    )


@pytest.mark.parametrize(
    ("values", "named"), [([0, 7, 255], "7"), ([0, 1, 255], "1, 255"), ([0, 2, 128, 1], "2, 128")]
)
def test_a_mask_of_other_values_is_refused(tmp_path, values, named):
    mask = save(tmp_path / "m.png", np.resize(np.array(values, np.uint8), (4, 4)))
    of = save(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match=rf"m\.png has the values {named}\. Expected a mask of 0"):
        read_mask(mask, of)


def test_a_mask_of_another_size_is_refused(tmp_path):
    mask = save(tmp_path / "m.png", np.zeros((4, 8), np.uint8))
    of = save(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(
        ValueError, match=r"m\.png is 8 x 4 pixels, and .*a\.png, of .*, 8 x 8\. Exp"
    ):
        read_mask(mask, of)
