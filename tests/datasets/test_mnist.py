import numpy as np
import pytest
from made_datasets import class_images, make_medmnist, make_mnist, write_idx

from acr_sklearn.datasets import load_medmnist, load_mnist


@pytest.mark.parametrize(("packed", "dot"), [(False, False), (True, False), (False, True)])
def test_mnist_holds_the_pixels_of_its_files_in_their_order(tmp_path, packed, dot):
    data = load_mnist(make_mnist(tmp_path, packed=packed, dot=dot), unseen=(7, 3))
    assert data.train_names == ["0", "1", "2", "4", "5", "6", "8", "9"]
    assert data.input_shape == (1, 6, 6)
    images, label = class_images(10, 20, (6, 6), seed=0)
    for name, rows in zip(data.train_names, data.train, strict=True):
        own = images[label == int(name)].reshape(20, -1)
        np.testing.assert_array_equal(rows, own.astype(np.float32) / 255)
    images, label = class_images(10, 20, (6, 6), seed=1)
    assert [(d.name, d.group) for d in data.test] == [("3", "unseen"), ("7", "unseen")]
    for domain in data.test:
        X, y = domain.load()
        np.testing.assert_array_equal(X, images.reshape(200, -1).astype(np.float32) / 255)
        np.testing.assert_array_equal(y == 1, label == int(domain.name))


def test_a_golden_pixel_of_mnist(tmp_path):
    for part in ("train", "t10k"):
        images = np.zeros((4, 2, 3), np.uint8)
        images[2, 1, 0] = 51
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", images)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", np.array([5, 0, 5, 0]))
    data = load_mnist(tmp_path, unseen=[0])
    # Row 1 of the fives is image 2; line 1, column 0 of 2 x 3 pixels is place 3.
    assert data.train[0].tolist() == [[0] * 6, [0, 0, 0, np.float32(0.2), 0, 0]]


def test_mnist_says_which_file_is_missing_or_does_not_fit(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte\. Expected images in MN"):
        load_mnist(tmp_path, unseen=(1,))
    make_mnist(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(7))
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte has 7 labels for the 200 ima"):
        load_mnist(tmp_path, unseen=(1,))
    make_mnist(tmp_path)
    write_idx(tmp_path / "t10k-images-idx3-ubyte", np.zeros((200, 4, 4)))
    with pytest.raises(ValueError, match=r"6 x 6 pixels in the train file and 4 x 4 in the t10k"):
        load_mnist(tmp_path, unseen=(1,))
    with pytest.raises(ValueError, match=r"load_mnist got unseen=\(11,\)"):
        load_mnist(make_mnist(tmp_path), unseen=(11,))


@pytest.mark.parametrize(("shape", "channels"), [((6, 6), 1), ((6, 5, 3), 3)])
def test_medmnist_holds_the_pixels_of_its_file(tmp_path, shape, channels):
    path = make_medmnist(tmp_path / "organamnist.npz", shape=shape)
    data = load_medmnist(path, unseen=(0, 10))
    assert data.train_names == [str(c) for c in range(1, 10)]
    assert data.input_shape == (channels, *shape[:2])
    images, label = class_images(11, 20, shape, seed=0)
    first = images[label == 1][0].reshape(*shape[:2], channels).transpose(2, 0, 1)
    np.testing.assert_array_equal(data.train[0][0], first.ravel().astype(np.float32) / 255)
    _, label = class_images(11, 20, shape, seed=2)
    np.testing.assert_array_equal(data.test[1].load()[1] == 1, label == 10)


def test_medmnist_sets_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    with pytest.raises(FileNotFoundError, match=r"x\.npz\. Expected an \.npz file of MedMNIST"):
        load_medmnist(path, unseen=(1,))
    make_medmnist(path)
    arrays = dict(np.load(path))
    np.savez(path, **(arrays | {"test_labels": np.zeros((220, 14))}))
    with pytest.raises(ValueError, match=r"x\.npz: test_labels has shape \(220, 14\) for 220"):
        load_medmnist(path, unseen=(1,))
    np.savez(path, **(arrays | {"train_images": np.zeros((220, 6, 6, 6), np.uint8)}))
    with pytest.raises(ValueError, match=r"train_images has shape .*volumes are not read"):
        load_medmnist(path, unseen=(1,))
    np.savez(path, **{k: v for k, v in arrays.items() if k != "test_labels"})
    with pytest.raises(ValueError, match="no test_labels among train_images"):
        load_medmnist(path, unseen=(1,))


@pytest.mark.parametrize("shape", [(5, 6), (6, 6, 3)])
def test_medmnist_pictures_of_two_shapes_are_refused(tmp_path, shape):
    path = make_medmnist(tmp_path / "x.npz")
    other = dict(np.load(make_medmnist(tmp_path / "other.npz", shape=shape)))
    np.savez(path, **(dict(np.load(path)) | {"test_images": other["test_images"]}))
    with pytest.raises(
        ValueError, match=r"x\.npz: .*train_images has shape \(6, 6\) and one of te"
    ):
        load_medmnist(path, unseen=(1,))


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda label: label.astype(float), "type float64. Expected numbers of classes"),
        (lambda label: label.astype(bool), "type bool. Expected numbers of classes"),
        (lambda label: label.astype(int) - 1, "-1. Expected numbers of classes from 0 to 255"),
        (lambda label: label.astype(int) * 100, "300, 400, 500, 600, 700. Expected numbers of"),
    ],
    ids=["float", "bool", "negative", "large"],
)
def test_medmnist_labels_that_are_no_numbers_of_classes_are_refused(
    tmp_path, part, change, message
):
    path = make_medmnist(tmp_path / "x.npz")
    arrays = dict(np.load(path))
    np.savez(path, **(arrays | {f"{part}_labels": change(arrays[f"{part}_labels"])}))
    with pytest.raises(ValueError, match=rf"x\.npz: {part}_labels has {message}"):
        load_medmnist(path, unseen=(1,))


def test_labels_of_any_integer_type_name_their_classes(tmp_path):
    path = make_medmnist(tmp_path / "x.npz")
    arrays = dict(np.load(path))
    np.savez(path, **(arrays | {"train_labels": arrays["train_labels"].astype(np.int64)}))
    data = load_medmnist(path, unseen=np.array([1]))
    assert data.train_names == ["0", *map(str, range(2, 11))]


def test_one_class_is_not_a_list_and_needs_test_images(tmp_path):
    path, folder = make_medmnist(tmp_path / "x.npz"), make_mnist(tmp_path)
    with pytest.raises(TypeError, match=r"load_mnist got unseen=7\..*whole numbers.*unseen=\[7\]"):
        load_mnist(folder, unseen=7)
    with pytest.raises(TypeError, match=r"load_medmnist got unseen='7'.*such as unseen=\[7\]"):
        load_medmnist(path, unseen="7")
    write_idx(folder / "t10k-labels-idx1-ubyte", np.zeros(200))
    with pytest.raises(ValueError, match=r"load_mnist got unseen=\(0, 7\).*no test images of 7\."):
        load_mnist(folder, unseen=(0, 7))


def test_pictures_without_a_pixel_are_refused(tmp_path):
    folder, path = make_mnist(tmp_path), make_medmnist(tmp_path / "x.npz")
    write_idx(folder / "train-images-idx3-ubyte", np.zeros((10**6, 0, 0)))
    with pytest.raises(ValueError, match=r"images of shape \(1000000, 0, 0\), without a pixel"):
        load_mnist(folder, unseen=(1,))
    np.savez(path, **(dict(np.load(path)) | {"train_images": np.zeros((220, 0, 6), np.uint8)}))
    with pytest.raises(ValueError, match=r"train_images has shape \(220, 0, 6\)"):
        load_medmnist(path, unseen=(1,))
