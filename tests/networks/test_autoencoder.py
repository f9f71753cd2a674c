import torch

from acr_sklearn.networks.autoencoder import Autoencoder


def test_there_is_a_descriptor_per_depth_and_rows_come_back():
    level = Autoencoder(5, (7, 4, 2)).eval()
    rows = torch.randn(11, 5)
    depths = level.descriptors(rows)
    assert [tuple(depth.shape) for depth in depths] == [(11, 7), (11, 4), (11, 2)]
    assert torch.equal(level(rows), level.decode(depths[-1]))
    assert level(rows).shape == rows.shape


def test_rows_are_noisy_in_training_alone():
    level = Autoencoder(5, (4, 2))
    rows = torch.randn(11, 5)
    assert not torch.equal(level.train()(rows), level(rows))
    assert torch.equal(level.eval()(rows), level(rows))
    assert torch.equal(Autoencoder(5, (2,), noise=0.0)(rows).isfinite().all(), torch.tensor(True))
