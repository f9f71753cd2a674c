"""Feature maps: layers of a frozen module, pooled, stacked, streamed."""

import os
import pickle
import subprocess
import sys
import threading
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from acr_sklearn import FeatureExtractor, mobilenet_extractor
from acr_sklearn.images.mobilenet import MobileNetV2

ROOT = Path(__file__).parents[2]


class Tail(nn.Module):
    """Fails when it runs: nothing behind the last wanted layer should."""

    def forward(self, x):
        raise AssertionError("the network ran on")


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 6, 2, 2), Tail()
    )


@pytest.fixture
def images():
    return np.random.default_rng(0).random((7, 3, 8, 8), dtype=np.float32)


PLAIN = {"neighborhood": 1, "normalize": "none", "mean": (0, 0, 0), "std": (1, 1, 1)}


def test_maps_are_the_layers_side_by_side(network, images):
    with torch.no_grad():
        first = network[:2].eval()(torch.from_numpy(images))
        second = network[2](first)
    maps = FeatureExtractor(network, ["1", "2"], **PLAIN).transform(images)
    assert maps.shape == (7, 10, 8, 8)
    assert maps.dtype == np.float32
    large = F.interpolate(second, (8, 8), mode="bilinear", align_corners=False)
    assert np.allclose(maps, torch.cat([first, large], 1), atol=1e-6)
    small = FeatureExtractor(network, ["1", "2"], map_size=(4, 4), **PLAIN).transform(images)
    assert np.allclose(small, torch.cat([F.avg_pool2d(first, 2), second], 1), atol=1e-6)


def test_colours_are_standardised_and_resized(network, images):
    settings = PLAIN | {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7)}
    maps = FeatureExtractor(network, ["0"], **settings).transform(images)
    shift, scale = (np.array(settings[k], np.float32)[:, None, None] for k in ("mean", "std"))
    by_hand = FeatureExtractor(network, ["0"], **PLAIN)._extract(
        torch.from_numpy((images - shift) / scale), "test"
    )
    assert np.allclose(maps, by_hand, atol=1e-5)
    resized = FeatureExtractor(network, ["0"], image_size=(16, 12), **PLAIN).transform(images)
    assert resized.shape == (7, 4, 16, 12)


def test_neighbourhoods_average_without_the_rim(network, images):
    plain = FeatureExtractor(network, ["0"], **PLAIN).transform(images)
    pooled = FeatureExtractor(network, ["0"], **PLAIN | {"neighborhood": 3}).transform(images)
    assert np.allclose(pooled[:, :, 4, 5], plain[:, :, 3:6, 4:7].mean((2, 3)), atol=1e-6)
    assert np.allclose(pooled[:, :, 0, 0], plain[:, :, :2, :2].mean((2, 3)), atol=1e-6)


def test_deviations_are_those_within_a_neighbourhood(network, images):
    plain = FeatureExtractor(network, ["0"], **PLAIN).transform(images)
    settings = PLAIN | {"neighborhood": 3, "deviations": ["0"]}
    both = FeatureExtractor(network, ["0"], **settings).transform(images)
    assert both.shape[1] == 2 * plain.shape[1]
    expected = np.log(plain[:, :, 3:6, 4:7].std((2, 3)) + 1e-2)
    assert np.allclose(both[:, 4:, 4, 5], expected, atol=1e-3)
    smaller = FeatureExtractor(network, ["0"], map_size=(4, 4), **settings).transform(images)
    assert smaller.shape[1:] == (8, 4, 4)


def test_lengths_are_one_where_asked(network, images):
    last = FeatureExtractor(network, ["0", "2"], map_size=(4, 4)).transform(images)
    assert np.allclose(np.linalg.norm(last[:, 4:], axis=1), 1, atol=1e-5)
    assert not np.allclose(np.linalg.norm(last[:, :4], axis=1), 1, atol=1e-2)
    both = FeatureExtractor(network, ["0", "2"], map_size=(4, 4), normalize="all").transform(images)
    assert np.allclose(np.linalg.norm(both[:, :4], axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_the_size_of_a_stack_does_not_matter(network, images, batch_size):
    whole = FeatureExtractor(network, ["1"], batch_size=7).transform(images)
    parts = FeatureExtractor(network, ["1"], batch_size=batch_size).transform(images)
    assert np.allclose(parts, whole, atol=1e-6)


def test_the_users_module_is_left_alone(network, images):
    network.train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    extractor = FeatureExtractor(network, ["1"])
    extractor.transform(images)
    assert network.training
    assert all(p.requires_grad for p in network.parameters())
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert not any(module._forward_hooks for module in extractor.module.modules())


def test_maps_can_be_kept_on_disk(network, images, tmp_path):
    extractor = FeatureExtractor(network, ["1"], dtype="float16", batch_size=2)
    maps = extractor.transform(images, out=tmp_path / "maps.npy")
    assert isinstance(maps, np.memmap)
    assert maps.dtype == np.float16
    maps.flush()
    assert np.array_equal(np.load(tmp_path / "maps.npy"), extractor.transform(images))


def test_threads_and_pickles(network, images):
    extractor = pickle.loads(pickle.dumps(FeatureExtractor(network, ["1"])))
    expected = [extractor.transform(images[i : i + 2]) for i in range(6)]
    found = [None] * 6

    def work(i):
        found[i] = extractor.transform(images[i : i + 2])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_unknown_layers_and_settings_are_refused(network):
    with pytest.raises(ValueError, match=r"no layer 'x' in Sequential.*0, 1, 2"):
        FeatureExtractor(network, ["0", "x"])
    with pytest.raises(ValueError, match="no layer"):
        FeatureExtractor(network, [])
    for settings, message in (
        ({"neighborhood": 2}, "odd number"),
        ({"normalize": "first"}, "normalize='first'; choose from"),
        ({"dtype": "int8"}, "dtype='int8'; choose from"),
        ({"deviations": ["1"]}, "deviations of '1', which is none of its layers"),
    ):
        with pytest.raises(ValueError, match=message):
            FeatureExtractor(network, ["0"], **settings)
    with pytest.raises(TypeError, match=r"got layers=3. It needs a list of names"):
        FeatureExtractor(network, 3)
    with pytest.raises(TypeError, match=r"got deviations=\['0', 1\]. It needs a list of names"):
        FeatureExtractor(network, ["0"], deviations=["0", 1])
    with pytest.raises(TypeError, match="got module='net'. It needs a torch.nn.Module"):
        FeatureExtractor("net", ["0"])


#: Numbers to Python, or to their name, and not to a network.
NO_COUNTS = [Fraction(3), Decimal(3), np.True_, True, np.array(3), "3", 3.0, np.float32(3), 0, -3]
NAMED = ["neighborhood", "batch_size", "map_size", "image_size"]


@pytest.mark.parametrize("name", NAMED)
def test_what_is_no_whole_number_is_refused_before_any_picture(network, name):
    for value in (*NO_COUNTS, torch.tensor(3), 10**30, (3,), (3, 2.5), (3, 3, 3), {3}):
        with pytest.raises(ValueError, match=f"FeatureExtractor got {name}="):
            FeatureExtractor(network, ["0"], **{name: value})


@pytest.mark.parametrize("name", ["mean", "std"])
def test_what_are_no_three_numbers_is_refused_before_any_picture(network, name):
    for value in (0.5, (0.5,), (0.5, 0.5, np.nan), (0.5, 0.5, Fraction(1, 2)), "abc", None):
        with pytest.raises(ValueError, match=f"FeatureExtractor got {name}=.* one per colour"):
            FeatureExtractor(network, ["0"], **{name: value})
    assert FeatureExtractor(network, ["0"], mean=np.zeros(3)).mean == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match=r"std=\(1, 1, 0\). It needs three positive numbers"):
        FeatureExtractor(network, ["0"], std=(1, 1, 0))


def test_one_number_is_a_square(network, images):
    square = FeatureExtractor(network, ["0"], map_size=np.uint8(4), image_size=12)
    pairs = FeatureExtractor(network, ["0"], map_size=(4, 4), image_size=(12, 12))
    np.testing.assert_array_equal(square.transform(images), pairs.transform(images))


def test_layers_without_maps_are_refused(images):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    with pytest.raises(ValueError, match="layer '1' answers with .7, 4., not with maps"):
        FeatureExtractor(flat, ["1"]).transform(images)

    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)

        def forward(self, x):
            return self.used(x)

    with pytest.raises(ValueError, match="layer 'idle' does not take part"):
        FeatureExtractor(Idle(), ["used", "idle"]).transform(images)


def test_features_that_are_not_finite_are_refused(network, images):
    network[0].weight.data[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="not finite, first in the images 0 to 6"):
        FeatureExtractor(network, ["0"]).transform(images)
    network[0].weight.data[:] = 1e6
    with (
        np.errstate(over="ignore"),
        pytest.raises(ValueError, match="not finite.*dtype='float32'"),
    ):
        FeatureExtractor(network, ["0"], dtype="float16", **PLAIN).transform(images)


def test_mobilenet_reads_three_blocks(tmp_path):
    torch.manual_seed(0)
    torch.save(MobileNetV2().state_dict(), tmp_path / "weights.pth")
    images = np.zeros((2, 3, 64, 64), np.uint8)
    extractor = mobilenet_extractor(tmp_path / "weights.pth")
    assert extractor.transform(images).shape == (2, 24 + 32 + 96, 16, 16)
    other = mobilenet_extractor(tmp_path / "weights.pth", layers=["features.18"])
    assert other.transform(images).shape == (2, 1280, 2, 2)


MEMORY = """
import resource, sys
import numpy as np, torch
from acr_sklearn import FeatureExtractor
torch.set_num_threads(1)

class Pictures:
    def __len__(self):
        return 300
    def __getitem__(self, i):
        return np.full((3, 256, 256), i % 256, np.uint8)

network = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3, padding=1, stride=2))
extractor = FeatureExtractor(network, ["0"], batch_size=4, dtype="float16", map_size=(8, 8))
extractor.transform([np.zeros((3, 256, 256), np.uint8)] * 8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
extractor.transform(Pictures(), out=sys.argv[1])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
def test_images_are_streamed(tmp_path):
    # 300 such images are 59 MB as bytes and 236 MB as floats.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "maps.npy")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 30
