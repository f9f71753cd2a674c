"""What may be passed as images, and what is said about the rest."""

import numpy as np
import pytest

from acr_sklearn.images.loading import image_stacks


def read(images, batch_size=4):
    return list(image_stacks(images, batch_size, who="Reader.read"))


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (10, 3, 6, 8), dtype=np.uint8)


def test_stacks_are_small_and_in_order(colours):
    stacks = read(colours)
    assert [len(stack) for stack in stacks] == [4, 4, 2]
    assert np.array_equal(np.concatenate(stacks), colours.astype(np.float32) / np.float32(255))


def test_floats_lists_and_grey_images(colours):
    assert np.array_equal(read(list(colours / 255.0))[0], (colours[:4] / 255.0).astype(np.float32))
    grey = read([image[0] for image in colours])[0]
    assert grey.shape == (4, 3, 6, 8)
    assert np.array_equal(grey[:, 0], grey[:, 2])


def test_files_are_read_one_stack_at_a_time(colours, tmp_path):
    picture = pytest.importorskip("PIL.Image")
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for path, image in zip(paths[:5], colours, strict=False):
        picture.fromarray(image.transpose(1, 2, 0)).save(path)
    stacks = image_stacks(paths, 5, who="Reader.read")
    assert np.array_equal(next(stacks), colours[:5].astype(np.float32) / np.float32(255))
    with pytest.raises(FileNotFoundError, match=r"5\.png"):
        next(stacks)


def test_unreadable_files_are_named(colours, tmp_path):
    picture = pytest.importorskip("PIL.Image")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"cannot read .*text\.png.*leave it out"):
        read([tmp_path / "text.png"])
    big = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    picture.fromarray(big).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cannot read .*half\.png"):
        read([str(tmp_path / "half.png")])


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (
            [np.zeros((3, 6, 8)), np.zeros((3, 6, 9))],
            ValueError,
            "different sizes.*image 1 has 6 x 9",
        ),
        (
            [np.zeros((3, 6, 8)), np.zeros((6, 8))],
            ValueError,
            "mixture of grey and colour.*image 1",
        ),
        ([np.zeros((6, 8, 3))], ValueError, "Move the channels first"),
        ([np.zeros((4, 6, 8))], ValueError, "Drop an alpha channel"),
        ([np.full((3, 6, 8), np.nan)], ValueError, "image 0 holds NaN"),
        ([np.full((3, 6, 8), -2.1)], ValueError, "Do not standardise"),
        ([np.full((3, 6, 8), 300)], ValueError, "values from 300 to 300"),
        ([np.full((3, 6, 8), "x")], ValueError, "holds <U1"),
        (np.zeros((3, 6, 8)), ValueError, "Add the missing axis"),
        ([], ValueError, "got no images"),
        (np.zeros((0, 3, 6, 8)), ValueError, "got no images"),
        ("folder", TypeError, "got str"),
        (memoryview(np.zeros((2, 3, 4, 4))), TypeError, "got memoryview"),
        (iter([]), TypeError, "got list_iterator"),
    ],
)
def test_bad_images_are_refused(images, error, message):
    with pytest.raises(error, match=f"Reader.read.*{message}"):
        read(images)


def test_a_late_odd_image_is_found(colours):
    with pytest.raises(ValueError, match="image 9 has 6 x 7"):
        read([*colours[:9], colours[9][:, :, :7]])
