"""MVTec AD in its folders of pictures and masks.

The pictures have about a megapixel, and what is a domain (a product, or a position in the
pictures of a product) is for the user to say; so products come as lists of files, and pictures
and masks are read when asked for, a few at a time if wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.parameters import read_count
from acr_sklearn._input.paths import read_path
from acr_sklearn.datasets._classes import flat_rows
from acr_sklearn.datasets._files import need_file, need_folder, subfolders
from acr_sklearn.datasets._lists import listed_names
from acr_sklearn.datasets._pictures import list_pictures, read_mask, read_picture

__all__ = ["MVTecProduct", "load_mvtec", "read_square"]

_LAYOUT = (
    "MVTec AD's folders <product>/train/good/*.png, <product>/test/<defect>/*.png and "
    "<product>/ground_truth/<defect>/*_mask.png"
)


@dataclass(frozen=True)
class MVTecProduct:
    """One product of MVTec AD or VisA: files, labels, and how to read them.

    Attributes
    ----------
    name : str
        Of the product, such as "bottle".
    train_files : list of pathlib.Path
        Pictures of good products, by name.
    test_files : list of pathlib.Path
        Pictures to test on, by defect and name.
    defects : list of str
        What is wrong on each test picture, "good" for nothing.
    mask_files : list of pathlib.Path or None
        Mask of each test picture, None where it is good.
    y : ndarray of shape (n_test,), int8
        1 for good test pictures, -1 for the others.
    size : int
        Length of a picture's shorter side after it was resized.
    crop : int
        Side of the square that is then taken from the centre.
    numbered_masks : bool
        Whether masks number their defects, as VisA's do: any value but 0 is one.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn.datasets import MVTecProduct
    >>> nothing = MVTecProduct("bottle", [], [], [], [], np.array([], np.int8), size=256, crop=224)
    >>> nothing.input_shape
    (3, 224, 224)
    """

    name: str
    train_files: list[Path]
    test_files: list[Path]
    defects: list[str]
    mask_files: list[Path | None] = field(repr=False)
    y: NDArray[np.int8] = field(repr=False)
    size: int
    crop: int
    numbered_masks: bool = False

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of a picture as it is read."""
        return (3, self.crop, self.crop)

    def images(
        self, part: Literal["train", "test"], start: int = 0, stop: int | None = None
    ) -> NDArray[np.float32]:
        """Read pictures, those from `start` to `stop` in the order of their files.

        Parameters
        ----------
        part : {"train", "test"}
            Which.
        start : int, default=0
            First to be read.
        stop : int or None, default=None
            First not to be read; None reads to the end.

        Returns
        -------
        ndarray of shape (n, 3 * crop * crop), float32
            Colours in [0, 1], channel by channel; 602 kB a picture at a crop of 224. Grey
            pictures have three equal channels.

        Raises
        ------
        ImportError
            If Pillow is not installed.
        ValueError
            If a file is no picture, is truncated, has more than 8 bits a value, or is too small
            for the crop.
        """
        files = self.train_files if part == "train" else self.test_files
        read = [
            read_picture(p, "RGB", resize=self.size, crop=self.crop, filter_name="lanczos")
            for p in files[start:stop]
        ]
        return flat_rows(np.stack(read)) if read else np.empty((0, 3 * self.crop**2), np.float32)

    def masks(self, start: int = 0, stop: int | None = None) -> NDArray[np.bool_]:
        """Read the masks of test pictures, resized and cropped like them.

        Parameters
        ----------
        start : int, default=0
            First to be read.
        stop : int or None, default=None
            First not to be read; None reads to the end.

        Returns
        -------
        ndarray of shape (n, crop, crop), bool
            Where something is wrong; nowhere on good pictures.

        Raises
        ------
        ImportError
            If Pillow is not installed.
        ValueError
            If a file is no picture, is truncated, or is too small for the crop; if a mask is
            not as large as its picture, or has other values than 0 and 255 or 0 and 1, unless
            defects are numbered.
        """
        files = self.mask_files[start:stop]
        masks = np.zeros((len(files), self.crop, self.crop), bool)
        numbered = self.numbered_masks
        for mask, path, of in zip(masks, files, self.test_files[start:stop], strict=True):
            if path is not None:
                mask[:] = read_mask(path, of, resize=self.size, crop=self.crop, numbered=numbered)
        return masks


def load_mvtec(
    folder: str | PathLike[str],
    *,
    products: Sequence[str] | None = None,
    size: int = 256,
    crop: int = 224,
) -> list[MVTecProduct]:
    """Read the lists of files of MVTec AD; pictures and masks are read later, by product.

    Parameters
    ----------
    folder : path
        With a folder per product, and in each train/good, test/<defect> with test/good among
        them, and ground_truth/<defect> with a <name>_mask.png for every <name>.png of the defect.
    products : sequence of str or None, default=None
        Which, in this order; None for all, by name.
    size : int, default=256
        Length to which the shorter side of a picture is resized (Lanczos; masks: nearest).
    crop : int, default=224
        Side of the square that is then taken from the centre. Li et al. (2023) use 256 and 224.

    Returns
    -------
    list of MVTecProduct
        One per product.

    Raises
    ------
    FileNotFoundError
        If a folder, its pictures or a mask is missing.
    TypeError
        If `products` is no list of strings.
    ValueError
        If `crop` is larger than `size`, or a folder has pictures that are no .png files.

    References
    ----------
    .. [1] P. Bergmann, M. Fauser, D. Sattlegger, C. Steger, "MVTec AD - A comprehensive real-world
       dataset for unsupervised anomaly detection", CVPR 2019.
    """
    folder = read_path(folder, who="load_mvtec", what="folder")
    size, crop = read_square(size, crop, who="load_mvtec")
    if products is None:
        products = [p.name for p in subfolders(folder, _LAYOUT) if (p / "test").is_dir()]
        if not products:
            raise FileNotFoundError(f"No products in {folder}. Expected {_LAYOUT}.")
    names = listed_names(products, who="load_mvtec", name="products", example="bottle")
    return [_product(folder / name, size, crop) for name in names]


def read_square(size: int, crop: int, *, who: str) -> tuple[int, int]:
    """Return what pictures are resized and cropped to, whole numbers; the crop must fit inside."""
    size = read_count(size, who=who, name="size")
    crop = read_count(crop, who=who, name="crop")
    if crop > size:
        raise ValueError(f"{who} got size={size} and crop={crop}. The crop must fit inside.")
    return size, crop


def _product(folder: Path, size: int, crop: int) -> MVTecProduct:
    need_folder(folder, _LAYOUT)
    need_folder(folder / "test" / "good", _LAYOUT)
    test_files: list[Path] = []
    defects: list[str] = []
    for defect in subfolders(folder / "test", _LAYOUT):
        files = list_pictures(defect, _LAYOUT)
        test_files += files
        defects += [defect.name] * len(files)
    masks = [_mask(folder, path) for path in test_files]
    train = list_pictures(need_folder(folder / "train" / "good", _LAYOUT), _LAYOUT)
    y = np.where(np.asarray(defects) == "good", 1, -1).astype(np.int8)
    return MVTecProduct(folder.name, train, test_files, defects, masks, y, size, crop)


def _mask(folder: Path, path: Path) -> Path | None:
    defect = path.parent.name
    if defect == "good":
        return None
    # On a system that tells them apart, the suffix may be written as that of the picture.
    names = [f"{path.stem}_mask{suffix}" for suffix in (".png", path.suffix, ".PNG")]
    masks = [folder / "ground_truth" / defect / name for name in names]
    return need_file(next((m for m in masks if m.is_file()), masks[0]), f"the mask of {path}")
