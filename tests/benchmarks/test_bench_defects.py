"""The command for MVTec AD and VisA with a few references, on small folders in their layouts."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made_datasets import convert_visa, make_mvtec, make_visa
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import bench_defects
from products import features, methods
from products.wide_resnet import WideResNet50, load_wide_resnet50
from surfaces.few_shot import padim

from acr_sklearn import FeatureExtractor
from acr_sklearn.datasets import load_mvtec

QUICK = ["--size", "48", "--steps", "2", "--pictures", "8", "--references", "2", "8"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    (root / "mvtec").mkdir()
    make_mvtec(root / "mvtec", products=("bottle", "pill", "tile"), n_train=12)
    make_visa(root / "visa", products=("candle", "pcb", "cashew"), n_train=12)
    convert_visa(root / "visa", root / "converted")
    return root


@pytest.fixture
def small_network(monkeypatch):
    """Colours averaged by two convolutions instead of a trained network."""

    def load(name, weights, map_size):
        module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1))
        for layer in module:
            nn.init.constant_(layer.bias, 0.0)
            nn.init.eye_(layer.weight[:, :, 0, 0])
        extractor = FeatureExtractor(module, ["0", "1"], map_size=6, normalize="none")
        return features.Network(name, extractor, (4, 2))

    monkeypatch.setattr(bench_defects, "load_network", load)


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.EarlyStoppingWarning")
@pytest.mark.parametrize(
    ("scored", "train", "name"),
    [("mvtec", "converted", "MVTec AD"), ("visa", None, "VisA")],
)
def test_defects_are_found_after_training_elsewhere(
    data, small_network, tmp_path, capsys, scored, train, name
):
    options = [] if train is None else ["--train", str(data / train)]
    command = [str(data / scored), *options, *QUICK, "--out", str(tmp_path)]
    bench_defects.main([*command, "--sigma", "0", "--features", str(tmp_path / "kept")])
    written = json.loads((tmp_path / f"defects-{scored}.json").read_text())
    assert written["set"] == name
    assert set(written["means"]) == {"2", "8"}
    for cells in written["means"].values():
        assert len(cells) == 4  # three products and their mean
        for method in (methods.OURS, methods.BANK, methods.PADIM):
            assert cells["mean"][method]["image_auroc"] > 0.9
            assert cells["mean"][method]["pixel_auroc"] > 0.85
    assert {one["given"] for one in written["each"]} == {2, 8}
    shown = capsys.readouterr().out
    assert f"{name}, mobilenet, 8 references" in shown
    assert f"publish {'91.0 / 96.0' if scored == 'mvtec' else '89.4 / 96.8'}" in shown
    assert str(data) not in json.dumps(written["protocol"])
    for kept in (tmp_path / "kept").rglob("*test.npy"):
        np.save(kept, np.load(kept)[1:])
    with pytest.raises(ValueError, match="give another folder by --features"):
        bench_defects.main([*command, "--features", str(tmp_path / "kept")])


def test_no_product_is_trained_on_and_scored():
    folds = bench_defects.plan(list("abcdefg"), None, 3)
    assert [scored for _, scored in folds] == [list("adg"), list("be"), list("cf")]
    assert all(sorted(trained + scored) == list("abcdefg") for trained, scored in folds)
    assert bench_defects.plan(["a"], ["b", "c"], 3) == [(["b", "c"], ["a"])]


def test_references_are_training_pictures_that_a_seed_draws(data):
    (tile,) = load_mvtec(data / "mvtec", products=["tile"], size=48, crop=48)
    order = features.train_order(tile, 0)
    assert sorted(order) == list(range(12))
    assert order.tolist() != features.train_order(tile, 1).tolist()
    pictures = features.Pictures(tile, "train", order[:3])
    assert [p.shape for p in pictures] == [(3, 48, 48)] * 3
    np.testing.assert_array_equal(pictures[2].ravel(), tile.images("train")[order[2]])


@pytest.mark.parametrize("n", [1, 4])
def test_padim_without_a_matrix_of_all_channels(n):
    rng = np.random.default_rng(0)
    references, maps = rng.normal(size=(n, 5, 2, 3)), rng.normal(size=(3, 5, 2, 3))
    np.testing.assert_allclose(methods.padim(references, maps), padim(references, maps), rtol=1e-6)


def test_few_pictures_at_a_time_have_the_same_scores():
    rng = np.random.default_rng(0)
    maps, seen = rng.normal(size=(5, 2, 3, 3)), []

    def method(references, maps):
        seen.append(len(maps))
        return maps.sum(axis=1)

    np.testing.assert_array_equal(methods.by_parts(method, 2)(maps, maps), maps.sum(axis=1))
    assert seen == [2, 2, 1]


def test_wide_resnet_has_the_published_weights_names(tmp_path):
    with torch.device("meta"):
        network = WideResNet50()
    # torchvision's 68,883,240 without the 2,049,000 of its classifier.
    assert sum(p.numel() for p in network.parameters()) == 66_834_240
    assert network.get_submodule("layer3")[5].conv2.weight.shape == (512, 512, 3, 3)
    assert "layer4.0.downsample.1.running_var" in network.state_dict()
    with pytest.raises(FileNotFoundError, match=r"Expected torchvision's weights"):
        load_wide_resnet50(tmp_path / "none.pth")
    torch.save({"fc.weight": torch.zeros(1)}, tmp_path / "odd.pth")
    with pytest.raises(ValueError, match="does not hold the weights of a WideResNet-50"):
        load_wide_resnet50(tmp_path / "odd.pth")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--network", "wide_resnet50"], "needs --weights FILE"),
        (["--references", "0"], "--references must be from 1"),
        (["--references", "64"], "--references must be from 1 to --pictures"),
    ],
)
def test_what_cannot_be_run_is_refused(capsys, options, said):
    with pytest.raises(SystemExit):
        bench_defects.main(["nowhere", *options])
    assert said in capsys.readouterr().err


def test_too_few_products_are_refused(data, small_network):
    with pytest.raises(ValueError, match="1 products leave fewer than 2 to train on"):
        bench_defects.main([str(data / "mvtec"), "--products", "tile", *QUICK])
