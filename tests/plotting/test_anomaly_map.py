"""The display of anomaly maps: what is drawn where."""

import matplotlib as mpl
import numpy as np
import pytest

from acr_sklearn import AnomalyMapDisplay

mpl.use("Agg")


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 3, 6, 8), dtype=np.uint8)
    return images, rng.normal(size=(5, 6, 8)), rng.random((5, 6, 8)) < 0.2


@pytest.fixture(autouse=True)
def closed():
    yield
    mpl.pyplot.close("all")


def drawn(ax):
    return np.asarray(ax.get_images()[0].get_array())


def test_image_map_and_mask_stand_side_by_side(parts):
    images, maps, masks = parts
    display = AnomalyMapDisplay(*parts).plot()
    assert display.axes_.shape == (5, 3)
    for i in range(5):
        assert np.allclose(drawn(display.axes_[i, 0]), images[i].transpose(1, 2, 0) / 255)
        assert np.array_equal(drawn(display.axes_[i, 1]), maps[i])
        assert np.array_equal(drawn(display.axes_[i, 2]), masks[i])
    assert [ax.get_title() for ax in display.axes_[0]] == ["image", "map", "mask"]
    # One scale for all maps, or a normal image would glow as a defective one does.
    limits = {ax.get_images()[0].get_clim() for ax in display.axes_[:, 1]}
    assert len(limits) == 1
    assert limits.pop()[1] == maps.max()


def test_rows_are_chosen_and_wrapped(parts):
    images, maps, _ = parts
    titles = [f"number {i}" for i in range(5)]
    display = AnomalyMapDisplay(images, maps, titles=titles).plot(rows=[4, 0, 2], n_columns=2)
    assert display.axes_.shape == (2, 4)
    assert np.array_equal(drawn(display.axes_[0, 3]), maps[0])
    assert np.array_equal(drawn(display.axes_[1, 1]), maps[2])
    assert display.axes_[0, 0].get_title() == "number 4"
    assert not display.axes_[1, 3].get_images()


def test_grey_images_and_a_given_figure(parts):
    images, maps, _ = parts
    figure = mpl.pyplot.figure()
    display = AnomalyMapDisplay(images[:, :1] / 255.0, maps).plot(figure=figure)
    assert display.figure_ is figure
    shown = drawn(display.axes_[0, 0])
    assert np.array_equal(shown[..., 0], shown[..., 2])


def test_a_segmenter_scores_at_the_size_of_the_images(parts):
    images, maps, masks = parts

    class Segmenter:
        def anomaly_maps(self, X, image_size):
            assert X == "features"
            assert tuple(image_size) == (6, 8)
            return maps

    display = AnomalyMapDisplay.from_estimator(
        Segmenter(), "features", images, masks, rows=[1], titles=list("abcde")
    )
    assert np.array_equal(drawn(display.axes_[0, 1]), maps[1])
    assert display.axes_[0, 0].get_title() == "b"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, m, k: (i, m[:, :5], k), r"maps of shape \(5, 5, 8\).*\(5, 6, 8\)"),
        (lambda i, m, k: (i, m, k[:4]), r"masks of shape \(4, 6, 8\)"),
        (
            lambda i, m, k: (i[0], m, k),
            r"images of shape \(3, 6, 8\).*4 axes: \(n_images, channels, height, width\)",
        ),
        (
            lambda i, m, k: (i, m[0], k),
            r"maps of shape \(6, 8\).*3 axes: \(n_images, height, width\)",
        ),
        (
            lambda i, m, k: (i, m, k[0]),
            r"masks of shape \(6, 8\).*3 axes: \(n_images, height, width\)",
        ),
        (lambda i, m, k: (i, m, k, ["a"]), "1 titles for 5 images"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(parts, change, message):
    with pytest.raises(ValueError, match=message):
        AnomalyMapDisplay(*change(*parts))


def test_maps_at_hand_are_drawn():
    images, maps = np.random.default_rng(0).random((3, 1, 6, 6)), np.zeros((3, 6, 6))
    display = AnomalyMapDisplay.from_predictions(images, maps, maps > 0, rows=[2, 0])
    assert display.axes_.shape == (2, 3)
    with pytest.raises(ValueError, match="maps of shape"):
        AnomalyMapDisplay.from_predictions(images, maps[:2])
