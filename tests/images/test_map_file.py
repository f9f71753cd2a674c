"""A file of maps is the old one or the new one, whatever happens in between."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from acr_sklearn import FeatureExtractor
from acr_sklearn.images import map_file as module
from acr_sklearn.images.map_file import MapFile

ROOT = Path(__file__).parents[2]


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "maps.npy"
    np.save(path, np.arange(5))
    return path


@pytest.fixture
def extractor():
    return FeatureExtractor(nn.Sequential(nn.Conv2d(3, 4, 3)), ["0"], batch_size=2)


def unchanged(path):
    return np.load(path).tolist() == [0, 1, 2, 3, 4] and list(path.parent.iterdir()) == [path]


def test_a_bad_image_leaves_the_old_file(old, extractor):
    images = [np.zeros((3, 8, 8))] * 5 + [np.full((3, 8, 8), np.nan)]
    with pytest.raises(ValueError, match="image 5 holds NaN"):
        extractor.transform(images, out=old)
    assert unchanged(old)


def test_the_file_takes_its_place_at_the_end(old, extractor):
    class Watched(list):
        def __getitem__(self, i):
            assert np.load(old).tolist() == [0, 1, 2, 3, 4]
            return super().__getitem__(i)

    images = Watched([np.full((3, 8, 8), i / 9) for i in range(6)])
    old.chmod(0o640)
    maps = extractor.transform(images, out=old)
    assert isinstance(maps, np.memmap)
    assert np.array_equal(np.load(old), extractor.transform(list(images)))
    assert list(old.parent.iterdir()) == [old]
    if sys.platform != "win32":
        assert old.stat().st_mode & 0o777 == 0o640


def test_maps_may_replace_the_images_that_they_are_made_of(tmp_path, extractor):
    path = tmp_path / "images.npy"
    images = np.random.default_rng(0).random((5, 3, 8, 8))
    np.save(path, images)
    maps = extractor.transform(np.load(path, mmap_mode="r"), out=path)
    assert np.array_equal(maps, extractor.transform(images))


def test_a_link_is_kept_and_its_target_replaced(old, tmp_path):
    link = tmp_path / "link.npy"
    link.symlink_to(old)
    with MapFile(link, who="x") as file:
        file.allocate((2, 3), "float32")[:] = 7
        file.finish()
    assert link.is_symlink()
    assert np.load(old).tolist() == [[7] * 3] * 2


FULL = """
import resource, sys
import numpy as np
from torch import nn
from acr_sklearn import FeatureExtractor
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
extractor = FeatureExtractor(nn.Sequential(nn.Conv2d(3, 64, 3)), ["0"], batch_size=2)
try:
    extractor.transform(np.zeros((4, 3, 66, 66)), out=sys.argv[1])
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit acts otherwise elsewhere")
def test_too_little_space_is_an_error_and_leaves_the_old_file(old):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", FULL, str(old)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "FeatureExtractor.transform cannot reserve 4,194,304 bytes for out=" in done.stdout
    assert unchanged(old)


def test_a_full_disk_is_an_error_before_anything_is_written(old, monkeypatch):
    def full(file, start, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with (
        pytest.raises(
            OSError, match="cannot reserve 24 bytes.*No space.*free. Make room"
        ) as caught,
        MapFile(old, who="x") as file,
    ):
        file.allocate((2, 3), "float32")
    assert caught.value.errno == errno.ENOSPC
    assert unchanged(old)


@pytest.mark.parametrize("code", [None, errno.EOPNOTSUPP])
def test_where_the_system_reserves_nothing_zeros_are_written(tmp_path, monkeypatch, code):
    def refuse(file, start, size):
        raise OSError(code, "not here")

    if code is None:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    monkeypatch.setattr(module, "_CHUNK", 1000)
    with MapFile(tmp_path / "a.npy", who="x") as file:
        maps = file.allocate((700, 3), "float32")
        if sys.platform == "linux":
            assert next(tmp_path.iterdir()).stat().st_blocks * 512 >= 8400
        maps[:] = 3
        file.finish()
    assert (np.load(tmp_path / "a.npy") == 3).all()


def test_places_where_no_file_can_be_are_named(tmp_path, extractor):
    images = np.zeros((2, 3, 8, 8))
    with pytest.raises(FileNotFoundError, match="transform found no folder .*gone.*Make it"):
        extractor.transform(images, out=tmp_path / "gone" / "a.npy")
    with pytest.raises(ValueError, match="transform got out=.*which is no file"):
        extractor.transform(images, out=tmp_path)
