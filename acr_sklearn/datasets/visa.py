"""VisA in its folders of pictures and masks, as they come or brought into MVTec AD's form."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np

from acr_sklearn._input.paths import read_path
from acr_sklearn.datasets._files import LimitError, checked_parsing, need_file, subfolders
from acr_sklearn.datasets._lists import listed_names
from acr_sklearn.datasets._pictures import list_pictures
from acr_sklearn.datasets.mvtec import MVTecProduct, read_square

__all__ = ["load_visa"]

_SPLIT = Path("split_csv") / "1cls.csv"
_COLUMNS = ["object", "split", "label", "image", "mask"]
_LAYOUT = (
    "VisA's files split_csv/1cls.csv and <product>/Data/..., or its converted folders "
    "<product>/train/good, <product>/test/good, <product>/test/bad and <product>/ground_truth/bad"
)
_TABLE = f"a table with the columns {','.join(_COLUMNS)}"
_SUFFIXES = (".jpg", ".jpeg", ".png")
_LABELS = {"normal": "good", "anomaly": "bad"}
_MAX_BYTES = 2**26  # of the table; VisA's has a megabyte


def load_visa(
    folder: str | PathLike[str],
    *,
    products: Sequence[str] | None = None,
    size: int = 256,
    crop: int = 224,
) -> list[MVTecProduct]:
    """Read the lists of files of VisA; pictures and masks are read later, by product.

    Parameters
    ----------
    folder : path
        As VisA is unpacked, with split_csv/1cls.csv and the pictures that it names; or as its
        authors' script converts it, with a folder per product, and in each train/good, test/good,
        test/bad and ground_truth/bad with a <name>.png for every picture of test/bad. These may be
        in a folder 1cls.
    products : sequence of str or None, default=None
        Which, in this order; None for all, by name.
    size : int, default=256
        Length to which the shorter side of a picture is resized (Lanczos; masks: nearest).
    crop : int, default=224
        Side of the square that is then taken from the centre. VisA's pictures are half as wide
        again as high: what is right and left of the square is not seen.

    Returns
    -------
    list of MVTecProduct
        One per product; `defects` are "bad" or "good".

    Raises
    ------
    FileNotFoundError
        If a folder, its pictures or a mask is missing.
    TypeError
        If `products` is no list of strings.
    ValueError
        If `crop` is larger than `size`, if the table has other columns or values, trains on
        anomalies, or names files outside the folder, or if a folder has pictures of other kinds
        than .jpg and .png.

    References
    ----------
    .. [1] Y. Zou, J. Jeong, L. Pemula, D. Zhang, O. Dabeer, "SPot-the-Difference Self-Supervised
       Pre-training for Anomaly Detection and Segmentation", ECCV 2022, arXiv:2207.14315.
    """
    folder = read_path(folder, who="load_visa", what="folder")
    square = read_square(size, crop, who="load_visa")
    if products is not None:
        products = listed_names(products, who="load_visa", name="products", example="candle")
    if (folder / _SPLIT).is_file():
        return _from_table(folder, products, square)
    root = folder / "1cls" if (folder / "1cls").is_dir() else folder
    if products is None:
        there = subfolders(root, _LAYOUT)
        products = [path.name for path in there if (path / "test" / "bad").is_dir()]
        if not products:
            raise FileNotFoundError(f"No products in {root}. Expected {_LAYOUT}.")
    return [_from_folders(root / name, square) for name in products]


def _from_table(
    folder: Path, products: Sequence[str] | None, square: tuple[int, int]
) -> list[MVTecProduct]:
    path = folder / _SPLIT
    found: dict[str, list[tuple[str, Path, Path | None]]] = {}
    for number, row in enumerate(_rows(path), start=2):
        name, split, label, image, mask = row
        if split not in ("train", "test") or label not in _LABELS:
            raise ValueError(
                f"{path}, line {number}, has the split {split!r} and the label {label!r}. Expected "
                "train or test, and normal or anomaly."
            )
        if split == "train" and label == "anomaly":
            raise ValueError(
                f"{path}, line {number}, has an anomaly to train on. Expected the table for one "
                "class, whose training pictures are all normal."
            )
        inside = [_inside(folder, given, path, number) for given in (image, mask) if given]
        if len(inside) != 1 + (label == "anomaly"):
            raise ValueError(
                f"{path}, line {number}, names {len(inside)} files. Expected a picture, and a mask "
                "if it is an anomaly."
            )
        kind = "train" if split == "train" else _LABELS[label]
        found.setdefault(name, []).append((kind, inside[0], (*inside, None)[1]))
    names = sorted(found) if products is None else products
    unknown = [name for name in names if name not in found]
    if unknown:
        raise FileNotFoundError(
            f"No product {unknown[0]!r} in {path}. It has {', '.join(sorted(found))}."
        )
    return [_product(name, found[name], square) for name in names]


def _rows(path: Path) -> list[list[str]]:
    """Read the lines of the table below its header."""
    with checked_parsing(path, _TABLE, csv.Error):
        if path.stat().st_size > _MAX_BYTES:
            raise LimitError(f"{path.stat().st_size:,} bytes, and the limit is {_MAX_BYTES:,}")
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
        if header != _COLUMNS:
            raise ValueError(f"the columns {', '.join(header)}")
        short = [i for i, row in enumerate(rows, start=2) if len(row) != len(_COLUMNS)]
        if short or not rows:
            raise ValueError(f"line {short[0]} has other fields" if short else "no rows")
    return rows


def _inside(folder: Path, given: str, table: Path, number: int) -> Path:
    """Where a file of the table is; it must be in the folder."""
    place = PurePosixPath(given)
    if place.is_absolute() or ".." in place.parts:
        raise ValueError(
            f"{table}, line {number}, names {given!r}, which is not in the folder. Expected paths "
            f"below {folder}."
        )
    path = read_path(folder / place, who=f"{table}, line {number},", what="image or mask")
    return need_file(path, f"a file that {table} names in line {number}")


def _from_folders(folder: Path, square: tuple[int, int]) -> MVTecProduct:
    files: list[tuple[str, Path, Path | None]] = []
    for kind, place in (("train", "train/good"), ("good", "test/good"), ("bad", "test/bad")):
        paths = list_pictures(folder / place, _LAYOUT, _SUFFIXES)
        files += [(kind, path, _mask(folder, path) if kind == "bad" else None) for path in paths]
    return _product(folder.name, files, square)


def _mask(folder: Path, path: Path) -> Path:
    named = folder / "ground_truth" / "bad" / f"{path.stem}.png"
    return need_file(named, f"the mask of {path}")


def _product(
    name: str, files: list[tuple[str, Path, Path | None]], square: tuple[int, int]
) -> MVTecProduct:
    """Make a product of what its files are ("train", "good" or "bad"), and their masks."""
    files = sorted(files, key=lambda one: one[:2])
    test = [one for one in files if one[0] != "train"]
    if len({kind for kind, *_ in files}) < 3:
        raise ValueError(
            f"load_visa found of the product {name!r} no pictures to train on, no normal or no "
            f"anomalous ones to test on. Expected all three in {_LAYOUT}."
        )
    return MVTecProduct(
        name,
        [path for kind, path, _ in files if kind == "train"],
        [path for _, path, _ in test],
        [kind for kind, *_ in test],
        [mask for *_, mask in test],
        np.array([1 if kind == "good" else -1 for kind, *_ in test], dtype=np.int8),
        *square,
        numbered_masks=True,
    )
