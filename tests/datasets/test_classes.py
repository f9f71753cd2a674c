import numpy as np
import pytest

from acr_sklearn.datasets._classes import class_data, class_domains, flat_rows


def test_rows_are_channel_by_channel_whatever_the_file_has():
    first = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    rows = flat_rows(first)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, first.reshape(2, -1) / np.float32(255))
    np.testing.assert_array_equal(rows, flat_rows(first.transpose(0, 2, 3, 1), channels_last=True))
    grey = first[:, 0]
    np.testing.assert_array_equal(flat_rows(grey, channels_last=True), flat_rows(grey))


def test_bytes_become_zero_to_one():
    rows = flat_rows(np.array([[[0, 255]]], np.uint8))
    assert rows.tolist() == [[0.0, 1.0]]


def test_a_class_is_normal_and_all_others_are_its_anomalies():
    rows, label = np.eye(6, dtype=np.float32), np.array([2, 0, 1, 2, 0, 2])
    two, nought = class_domains(lambda: (rows, label), [2, 0], ["nought", "one", "two"], "g")
    assert (two.name, two.group, nought.name) == ("two", "g", "nought")
    X, y = two.load()
    assert X is rows, "domains share their rows"
    assert y.tolist() == [1, -1, -1, 1, -1, 1]
    assert nought.load()[1].tolist() == [-1, 1, -1, -1, 1, -1]


def images(label, value):
    return np.full((len(label), 2, 2, 3), value, np.uint8), np.array(label)


def test_classes_are_trained_on_or_tested_never_both():
    label = [3, 1, 2, 1]
    data = class_data(images(label, 10), images(label, 20), (2,), list("abcd"), who="x")
    assert data.train_names == ["b", "d"]
    assert [len(rows) for rows in data.train] == [2, 1]
    assert all((rows == np.float32(10) / 255).all() for rows in data.train)
    assert data.input_shape == (3, 2, 2)
    (domain,) = data.test
    assert domain.name == "c"
    assert domain.load()[1].tolist() == [-1, -1, 1, -1]
    assert (domain.load()[0] == np.float32(20) / 255).all()


@pytest.mark.parametrize("unseen", [(), (7,), (1, 2, 3)])
def test_unseen_classes_must_exist_and_leave_some(unseen):
    label = [3, 1, 2, 1]
    with pytest.raises(ValueError, match=r"x got unseen=.*not all, of the classes 1, 2, 3"):
        class_data(images(label, 1), images(label, 2), unseen, list("abcd"), who="x")
