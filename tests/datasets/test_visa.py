import csv

import numpy as np
import pytest
from made_datasets import convert_visa, make_visa
from PIL import Image

from acr_sklearn.datasets import load_visa


@pytest.fixture
def folder(tmp_path):
    return make_visa(tmp_path / "VisA")


@pytest.fixture
def table(folder):
    return folder / "split_csv" / "1cls.csv"


def change(table, number, **fields):
    """Change a line of the table; lines 2 to 7 are the training pictures of candle."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[number - 2] |= fields
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_products_list_the_files_that_the_table_names(folder):
    candle, pcb = load_visa(folder, size=48, crop=48)
    assert (candle.name, pcb.name) == ("candle", "pcb")
    assert [p.name for p in candle.train_files] == [f"{i:03d}.JPG" for i in range(6)]
    assert candle.defects == ["bad"] * 2 + ["good"] * 3
    assert candle.y.tolist() == [-1, -1, 1, 1, 1]
    assert [m and m.name for m in candle.mask_files] == ["009.png", "010.png", None, None, None]
    levels = candle.images("test").reshape(5, -1)[2:].mean(axis=1)
    np.testing.assert_allclose(levels, (64.5 + np.arange(6, 9)) / 255, atol=0.004)
    assert load_visa(folder, products=["pcb"], size=48, crop=48) != [candle]


def test_masks_number_defects_and_are_cropped_like_pictures(folder):
    (candle,) = load_visa(folder, products=["candle"], size=48, crop=48)
    masks = candle.masks()
    expected = np.zeros((48, 72), bool)
    expected[8:24, 20:44] = expected[30:34, 30:34] = True
    np.testing.assert_array_equal(masks[1], expected[:, 12:60])
    assert not masks[2:].any()
    palette = Image.open(candle.mask_files[0]).convert("P")
    palette.putpalette([0, 0, 0] * 256)
    palette.save(candle.mask_files[0])
    np.testing.assert_array_equal(candle.masks(), masks)


@pytest.mark.parametrize("below", ["", "1cls"])
def test_the_converted_folders_are_the_same(folder, tmp_path, below):
    converted = convert_visa(folder, tmp_path / "converted") / below
    given, made = (load_visa(f, size=48, crop=48) for f in (folder, converted))
    for ours, theirs in zip(given, made, strict=True):
        assert (ours.name, ours.defects) == (theirs.name, theirs.defects)
        np.testing.assert_array_equal(ours.y, theirs.y)
        for part in ("train", "test"):
            np.testing.assert_array_equal(ours.images(part), theirs.images(part))
        np.testing.assert_array_equal(ours.masks(), theirs.masks())


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"label": "odd"}, ValueError, r"1cls\.csv, line 3, has the split 'train' and .* 'odd'"),
        ({"split": "val"}, ValueError, r"the split 'val' and .*Expected train or test"),
        ({"label": "anomaly"}, ValueError, r"line 3, has an anomaly to train on"),
        ({"split": "test", "label": "anomaly"}, ValueError, r"line 3, names 1 files"),
        ({"image": ""}, ValueError, r"line 3, names 0 files"),
        ({"image": "../x.JPG"}, ValueError, r"line 3, names '../x\.JPG', which is not in the fol"),
        ({"image": "/etc/passwd"}, ValueError, r"line 3, names '/etc/passwd', which is not"),
        ({"image": "x" * 5000}, ValueError, r"line 3, got image or mask="),
        ({"image": "x.JPG"}, FileNotFoundError, r"x\.JPG\. Expected a file that .* in line 3"),
    ],
)
def test_what_is_wrong_with_the_table_is_named(folder, table, fields, error, message):
    change(table, 3, **fields)
    with pytest.raises(error, match=message):
        load_visa(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the columns"),
        ("object,split\na,b\n", "the columns object, split"),
        ("object,split,label,image,mask\n", "no rows"),
        ("object,split,label,image,mask\na,b\n", "line 2 has other fields"),
        ("\x00\xff", r"it is not, or no longer, a table with the columns object,split"),
    ],
)
def test_what_is_no_such_table_is_refused(folder, table, content, message):
    table.write_text(content, encoding="latin1")
    with pytest.raises(ValueError, match=message):
        load_visa(folder)


def test_what_is_missing_is_named(folder, table, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No product 'fryum' in .*It has candle, pcb"):
        load_visa(folder, products=["fryum"])
    with pytest.raises(TypeError, match=r"products=\['pcb'\]"):
        load_visa(folder, products="pcb")
    with pytest.raises(ValueError, match="load_visa got size=32 and crop=224"):
        load_visa(folder, size=32)
    converted = convert_visa(folder, tmp_path / "converted")
    (converted / "1cls/pcb/ground_truth/bad/009.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"009\.png\. Expected the mask of .*009\.JPG"):
        load_visa(converted)
    (converted / "1cls/candle/train/good/000.JPG").rename(
        converted / "1cls/candle/train/good/a.bmp"
    )
    with pytest.raises(ValueError, match=r"a\.bmp would be left out"):
        load_visa(converted, products=["candle"])
    table.write_text(table.read_text().replace("test,normal", "train,normal"))
    with pytest.raises(ValueError, match="of the product 'candle' no pictures to train on, no nor"):
        load_visa(folder)
    table.unlink()
    with pytest.raises(FileNotFoundError, match=r"No products in .*Expected VisA's files"):
        load_visa(folder)
