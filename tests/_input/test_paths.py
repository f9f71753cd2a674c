"""Names of files and folders, and what is none."""

from decimal import Decimal
from pathlib import Path

import pytest

from acr_sklearn import FeatureExtractor, datasets, mobilenet_extractor
from acr_sklearn._input.paths import read_path

LOADERS = [
    *((datasets.load_mnist, {"unseen": [1]}), (datasets.load_medmnist, {"unseen": [1]})),
    *((datasets.load_omniglot, {}), (datasets.load_mvtec, {}), (datasets.load_anoshift, {})),
    *((datasets.load_cifar100c, {}), (datasets.load_folder, {}), (datasets.load_visa, {})),
]


@pytest.mark.parametrize("given", [None, b"x", 3, Decimal(1), ["x"], {}, True])
def test_what_is_no_path_is_refused_by_all_that_read_files(given):
    with pytest.raises(TypeError, match="Who got file=.* It needs the name of a file or folder"):
        read_path(given, who="Who", what="file")
    for load, options in LOADERS:
        with pytest.raises(TypeError, match=f"{load.__name__} got (folder|path)="):
            load(given, **options)
    with pytest.raises(TypeError, match="load_mobilenet_v2 got path="):
        mobilenet_extractor(given)


@pytest.mark.parametrize("given", ["a\0b", "x" * 5000])
def test_names_that_no_file_can_have_are_refused(given):
    with pytest.raises(ValueError, match="Who got file=.* It needs the name of a file or folder"):
        read_path(given, who="Who", what="file")
    for load, options in LOADERS:
        with pytest.raises(ValueError, match=f"{load.__name__} got (folder|path)="):
            load(given, **options)


def test_a_path_need_not_be_there(tmp_path):
    for given in (tmp_path, str(tmp_path), tmp_path / "none", "/dev/null/none"):
        assert read_path(given, who="Who", what="file") == Path(given)


@pytest.mark.parametrize("value", [True, 2.0, "28", 0, -1, None])
def test_sizes_of_pictures_are_whole_numbers(tmp_path, value):
    for load, name in (
        (datasets.load_omniglot, "size"),
        (datasets.load_mvtec, "size"),
        (datasets.load_mvtec, "crop"),
        (datasets.load_visa, "size"),
    ):
        with pytest.raises(ValueError, match=f"{load.__name__} got {name}=.* whole number"):
            load(tmp_path, **{name: value})


def test_the_place_of_maps_is_a_path(tmp_path):
    from torch import nn

    extractor = FeatureExtractor(nn.Sequential(nn.Conv2d(3, 2, 3)), ["0"])
    for given in (b"x", 3):
        with pytest.raises(TypeError, match="FeatureExtractor.transform got out="):
            extractor.transform([[[[0.5]]] * 3], out=given)
