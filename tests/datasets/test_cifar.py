import numpy as np
import pytest
from made_datasets import CIFAR_CLASSES, class_images, make_cifar, pickle_of_python2

import acr_sklearn.datasets.cifar as module
from acr_sklearn.datasets import load_cifar100c


@pytest.fixture(params=[False, True], ids=["python", "binary"])
def folder(tmp_path, request):
    return make_cifar(tmp_path, binary=request.param)


def test_training_rows_are_the_images_of_a_class_channel_by_channel(folder):
    data = load_cifar100c(folder)
    assert data.train_names == CIFAR_CLASSES
    assert data.input_shape == (3, 32, 32)
    images, label = class_images(5, 20, (3, 32, 32))
    for c, rows in enumerate(data.train):
        own = images[label == c].reshape(20, -1).astype(np.float32) / 255
        np.testing.assert_array_equal(rows, own)


def test_a_severity_is_its_fifth_of_the_file_and_channels_come_first(folder):
    data = load_cifar100c(folder, severities=(2, 5))
    clean, label = class_images(5, 10, (32, 32, 3), seed=1)
    groups = ["fog-2", "fog-5", "gaussian_noise-2", "gaussian_noise-5"]
    assert [d.group for d in data.test] == np.repeat(groups, 5).tolist()
    assert [d.name for d in data.test] == CIFAR_CLASSES * 4
    divisors = dict(zip(groups, (2, 5, 3, 6), strict=True))
    for domain in data.test:
        X, y = domain.load()
        made = (clean // divisors[domain.group]).transpose(0, 3, 1, 2).reshape(50, -1)
        np.testing.assert_array_equal(X, made.astype(np.float32) / 255)
        np.testing.assert_array_equal(y == 1, label == CIFAR_CLASSES.index(domain.name))


def test_a_golden_pixel(folder):
    values = np.zeros((250, 32, 32, 3), np.uint8)
    values[200 + 4, 1, 2, 2] = 255  # image 4 of severity 5, line 1, column 2, blue
    np.save(folder / "CIFAR-100-C" / "frost.npy", values)
    (domain, *_) = load_cifar100c(folder, corruptions=["frost"]).test
    X, _ = domain.load()
    assert np.argwhere(X).tolist() == [[4, 2 * 1024 + 1 * 32 + 2]]
    assert X.max() == 1


def test_a_group_is_read_once_for_all_its_classes(folder, monkeypatch):
    calls = []
    plain = module._read_corrupted
    monkeypatch.setattr(module, "_read_corrupted", lambda *a: calls.append(a[1:]) or plain(*a))
    for domain in load_cifar100c(folder).test:
        domain.load()
    assert calls == [("fog", 5), ("gaussian_noise", 5)]


def test_missing_parts_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No folder cifar-100-python or cifar-100-binary"):
        load_cifar100c(tmp_path)
    folder = make_cifar(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"snow\.npy\. Expected the images of a corruption"):
        load_cifar100c(folder, corruptions=["snow"])
    with pytest.raises(ValueError, match=r"got severities=\(0,\) with \[0\]\. Give some of 1, 2"):
        load_cifar100c(folder, severities=(0,))
    (folder / "CIFAR-100-C" / "labels.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"labels\.npy\. Expected the labels of CIFAR-100"):
        load_cifar100c(folder)
    for path in (folder / "CIFAR-100-C").iterdir():
        path.unlink()
    with pytest.raises(
        FileNotFoundError, match=r"No corruptions in .*CIFAR-100-C\. Expected a fol"
    ):
        load_cifar100c(folder)


def test_corrupted_files_that_do_not_fit_are_found_before_anything_is_trained(tmp_path):
    corrupted = make_cifar(tmp_path) / "CIFAR-100-C"
    whole = (corrupted / "fog.npy").read_bytes()
    (corrupted / "fog.npy").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"fog\.npy cannot be read"):
        load_cifar100c(tmp_path)
    np.save(corrupted / "fog.npy", np.zeros((240, 32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match=r"fog\.npy has shape \(240, 32.*shape \(250, 32, 32, 3\)"):
        load_cifar100c(tmp_path)
    np.save(corrupted / "labels.npy", np.zeros(249))
    with pytest.raises(ValueError, match=r"labels\.npy has shape \(249,\)\. Expected \(50000,\)"):
        load_cifar100c(tmp_path)


def test_training_files_that_do_not_fit_are_named(tmp_path):
    make_cifar(tmp_path / "b", binary=True)
    path = tmp_path / "b" / "cifar-100-binary" / "train.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"train\.bin has 307,399 bytes\. Expected a multiple of"):
        load_cifar100c(tmp_path / "b")
    folder = make_cifar(tmp_path / "p") / "cifar-100-python"
    pickle_of_python2(folder / "meta", {"fine_label_names": ["apple"]})
    with pytest.raises(ValueError, match=r"train has 100 labels that do not fit the 1 names in"):
        load_cifar100c(tmp_path / "p")
    pickle_of_python2(folder / "train", {"data": np.zeros((3, 9)), "fine_labels": [1, 2]})
    with pytest.raises(ValueError, match=r"train: data has shape \(3, 9\).*shape \(2, 3072\)"):
        load_cifar100c(tmp_path / "p")
    pickle_of_python2(folder / "train", {"data": np.zeros((3, 9)), "labels": [1, 2]})
    with pytest.raises(ValueError, match=r"no fine_labels among data, labels"):
        load_cifar100c(tmp_path / "p")


def test_labels_of_one_severity_are_not_cut_into_five(tmp_path):
    corrupted = make_cifar(tmp_path) / "CIFAR-100-C"
    for path in corrupted.glob("*.npy"):
        np.save(path, np.load(path)[:50])
    with pytest.raises(ValueError, match=r"labels\.npy has 50 labels whose fifths differ.*severit"):
        load_cifar100c(tmp_path)


@pytest.mark.parametrize("dtype", [float, str, bool])
def test_labels_that_are_no_whole_numbers_are_refused(tmp_path, dtype):
    path = make_cifar(tmp_path) / "CIFAR-100-C" / "labels.npy"
    np.save(path, np.load(path).astype(dtype))
    with pytest.raises(
        ValueError, match=r"labels\.npy has type .*numbers of classes in an integer"
    ):
        load_cifar100c(tmp_path)


def test_labels_of_classes_that_are_not_trained_on_are_refused(tmp_path):
    folder = make_cifar(tmp_path)
    path = folder / "CIFAR-100-C" / "labels.npy"
    label = np.load(path)
    np.save(path, label.astype(int) - 1)
    with pytest.raises(ValueError, match=r"labels\.npy has labels .*without training images: -1\."):
        load_cifar100c(folder)
    np.save(path, label)
    train = {"data": np.zeros((4, 3072), np.uint8), "fine_labels": [0, 1, 2, 3]}
    pickle_of_python2(folder / "cifar-100-python" / "train", train)
    with pytest.raises(ValueError, match=r"without training images: 4 \(bed\)\. Expected the fine"):
        load_cifar100c(folder)


def test_a_class_without_corrupted_images_is_no_test_domain(tmp_path):
    path = make_cifar(tmp_path) / "CIFAR-100-C" / "labels.npy"
    np.save(path, np.minimum(np.load(path), 3))
    test = load_cifar100c(tmp_path, corruptions=["fog"]).test
    assert [d.name for d in test] == CIFAR_CLASSES[:4]
    assert all((d.load()[1] == 1).any() for d in test)


def test_hidden_files_are_passed_over_and_suffixes_may_be_in_upper_case(tmp_path):
    corrupted = make_cifar(tmp_path) / "CIFAR-100-C"
    (corrupted / "._fog.npy").write_bytes(b"\0\5\x16\7")
    for name in ("fog", "labels"):
        (corrupted / f"{name}.npy").rename(corrupted / f"{name}.NPY")
    data = load_cifar100c(tmp_path)
    assert [d.group for d in data.test] == ["fog-5"] * 5 + ["gaussian_noise-5"] * 5
    X, _ = data.test[0].load()
    assert X.shape == (50, 3072)


@pytest.mark.parametrize("name", ["snow.npz", "snow.npy.gz"])
def test_a_corruption_in_another_form_is_refused(tmp_path, name):
    path = make_cifar(tmp_path) / "CIFAR-100-C" / name
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{name} would be left out: only \.npy files are read"):
        load_cifar100c(tmp_path)


def test_one_name_or_number_is_not_a_list(tmp_path):
    make_cifar(tmp_path)
    with pytest.raises(TypeError, match=r"load_cifar100c got corruptions='fog'.*=\['fog'\]"):
        load_cifar100c(tmp_path, corruptions="fog")
    with pytest.raises(TypeError, match=r"load_cifar100c got severities=5\..*severities=\[5\]"):
        load_cifar100c(tmp_path, severities=5)
    assert len(load_cifar100c(tmp_path, severities=np.array([1, 5])).test) == 20


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train", {"data": "text", "fine_labels": [1]}, "train: data holds no whole numbers"),
        ("train", {"fine_labels": [[1], [1, 2]]}, "train: fine_labels holds no whole numbers"),
        ("train", {"fine_labels": [10**400] * 100}, "train: fine_labels holds no whole numbers"),
        ("train", {"fine_labels": 5}, "train: fine_labels holds no whole numbers"),
        ("meta", {"fine_label_names": 7}, "meta: fine_label_names is no list of names"),
        ("meta", {"fine_label_names": [7]}, "meta: fine_label_names is no list of names"),
    ],
)
def test_entries_of_another_kind_are_named(tmp_path, name, content, message):
    folder = make_cifar(tmp_path) / "cifar-100-python"
    whole = {"data": np.zeros((100, 3072), np.uint8), "fine_labels": [0] * 100}
    pickle_of_python2(folder / name, whole | content)
    with pytest.raises(ValueError, match=message):
        load_cifar100c(tmp_path)
