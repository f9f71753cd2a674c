"""Pictures that would unpack to more than Pillow's limit, or run a program, are not opened."""

import struct
import warnings
import zlib

import numpy as np
import pytest

from acr_sklearn.datasets._pictures import read_picture
from acr_sklearn.images.loading import image_stacks

image_module = pytest.importorskip("PIL.Image")
READERS = [
    lambda path: read_picture(path, "L"),
    lambda path: list(image_stacks([path], 1, who="x")),
]


def bomb(path, side):
    def chunk(kind, content):
        head = struct.pack(">I", len(content)) + kind + content
        return head + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">2I5B", side, side, 8, 0, 0, 0, 0)
    packed = zlib.compress(bytes(2**20))
    content = chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return path


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("side", [10_000, 60_000])
@pytest.mark.parametrize("warned", ["error", "ignore"])
def test_a_picture_beyond_the_limit_is_not_decoded(tmp_path, monkeypatch, read, side, warned):
    def decode(picture):
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    path = bomb(tmp_path / "a.png", side)
    with warnings.catch_warnings():
        warnings.simplefilter(warned)
        with pytest.raises(ValueError, match=r"a\.png.*pixels.*limit.*MAX_IMAGE_PIXELS"):
            read(path)


@pytest.mark.parametrize("read", READERS)
def test_a_picture_that_is_a_program_is_not_opened(tmp_path, monkeypatch, read):
    image_module.init()

    def opened(*args, **kwargs):
        raise AssertionError("opened")

    monkeypatch.setattr("PIL.EpsImagePlugin.EpsImageFile.__init__", opened)
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with pytest.raises(ValueError, match=r"a\.png.*cannot identify"):
        read(path)


def test_the_limit_is_pillows_own(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    image_module.fromarray(np.zeros((9, 9), np.uint8)).save(path)
    monkeypatch.setattr(image_module, "MAX_IMAGE_PIXELS", None)
    assert read_picture(path, "L").shape == (1, 9, 9)
