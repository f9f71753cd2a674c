import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn
from torch.utils.data import IterableDataset

from acr_sklearn.training.settings import HeldOutMeasure, NetParts, TrainingSettings
from acr_sklearn.training.skorch_net import train_net


class Rows(IterableDataset):
    """All rows as one step, again and again: input and target of an autoencoder."""

    def __init__(self, rows, limit=10, n_steps=5):
        super().__init__()
        self.rows = torch.as_tensor(rows, dtype=torch.float32)
        self.limit, self.n_steps, self.next_step = limit, n_steps, 0

    def __len__(self):
        return min(self.n_steps, self.limit - self.next_step)

    def __iter__(self):
        for _ in range(len(self)):
            self.next_step += 1
            yield self.rows, self.rows


class HeldOutRows(Rows):
    """One pass is like any other."""

    def __len__(self):
        return 1

    def __iter__(self):
        yield self.rows, self.rows


class LinearAutoencoder(nn.Module):
    def __init__(self, width, n_components):
        super().__init__()
        self.encoder = nn.Linear(width, n_components, bias=False)
        self.decoder = nn.Linear(n_components, width, bias=False)

    def forward(self, x):
        return self.decoder(self.encoder(x))


PARTS = NetParts(
    LinearAutoencoder,
    nn.MSELoss,
    {"module__width": 6, "module__n_components": 2},
    measure=HeldOutMeasure("fit", lambda module, out, rows: -(out - rows).square().mean()[None]),
)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 6)) * [3.0, 2.0, 1.0, 0.5, 0.3, 0.1]
    rows = rows @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    return rows - rows.mean(axis=0)


def test_a_linear_autoencoder_finds_the_principal_components(rows):
    # Baldi and Hornik (1989): its only minimum is the span of the leading components.
    settings = TrainingSettings(seed=0, learning_rate=0.02, lr_schedule="cosine")
    trained = train_net(Rows(rows, limit=600, n_steps=100), settings, PARTS)
    pca = PCA(n_components=2).fit(rows)
    decoder = trained.net.module_.decoder.weight.detach().numpy()
    assert subspace_angles(decoder, pca.components_.T).max() < 1e-2
    left = np.square(rows - pca.inverse_transform(pca.transform(rows))).mean()
    assert trained.history[-1]["train_loss"] == pytest.approx(left, rel=1e-3)
    assert (trained.n_iter, len(trained.history)) == (600, 6)


def test_a_step_may_go_backward_in_parts(rows):
    sizes = []

    class InParts(LinearAutoencoder):
        def tasks_at_once(self, inputs, device):
            return 150

        def forward(self, x):
            sizes.append(len(x))
            return super().forward(x)

    settings = TrainingSettings(seed=0)
    whole = train_net(Rows(rows), settings, PARTS).net.module_
    parts = NetParts(InParts, nn.MSELoss, PARTS.options)
    in_parts = train_net(Rows(rows), settings, parts).net.module_
    for one, other in zip(whole.parameters(), in_parts.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert sizes == [150, 150, 100] * 10


def test_the_best_held_out_weights_come_back(rows):
    # With so large a rate the fit gets worse in the end.
    settings = TrainingSettings(seed=0, learning_rate=0.5, n_iter_no_change=4)
    steps = Rows(rows, limit=500, n_steps=1)
    trained = train_net(steps, settings, PARTS, held_out=HeldOutRows(rows))
    seen = [row["valid_fit"] for row in trained.history]
    assert len(seen) < 500
    out = trained.net.module_(steps.rows)
    assert -(out - steps.rows).square().mean().item() == pytest.approx(max(seen), rel=1e-5)
    assert max(seen) > seen[-1]


def test_what_goes_wrong_is_said_and_ctrl_c_is_passed_on(rows):
    bare = NetParts(LinearAutoencoder, nn.MSELoss, PARTS.options)
    settings = TrainingSettings(seed=0)
    with pytest.raises(ValueError, match="held-out steps but no measure"):
        train_net(Rows(rows), settings, bare, held_out=HeldOutRows(rows))
    with pytest.raises(ValueError, match="takes no net template"):
        train_net(Rows(rows), settings, bare, template=NeuralNet(None, None))
    with pytest.raises(ValueError, match="without a limit"):
        train_net(Rows(rows, limit=None), settings, bare)
    with pytest.raises(ValueError, match="training loss became"):
        train_net(Rows(rows * 1e30), TrainingSettings(seed=0), PARTS)

    class Interrupt(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_net(Rows(rows), TrainingSettings(seed=0, callbacks=[Interrupt()]), PARTS)


def test_the_seed_decides_and_the_global_generator_is_left_alone(rows):
    before = torch.get_rng_state()
    one, other = (
        train_net(Rows(rows), TrainingSettings(seed=3), PARTS).net.module_.decoder.weight
        for _ in range(2)
    )
    assert torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())
