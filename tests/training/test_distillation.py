import numpy as np
import pytest
import torch

from acr_sklearn.training.distillation import RowStream, default_widths, distil, train_classifier
from acr_sklearn.training.settings import TrainingSettings

SETTINGS = TrainingSettings(seed=0, learning_rate=2e-3, lr_schedule="cosine")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(300, 2))
    return plane @ rng.normal(size=(2, 6)) + 0.05 * rng.normal(size=(300, 6))


def test_a_stream_ends_at_its_limit_and_draws_anew():
    rows = torch.randn(40, 3)
    stream = RowStream(rows, 120, seed=0)
    steps = [step for _ in range(60) for step in stream]
    assert len(steps) == 120
    assert all(x is y for x, y in steps)
    assert not torch.equal(steps[0][0], steps[1][0])
    again = RowStream(rows, 120, seed=0)
    assert torch.equal(next(iter(again))[0], steps[0][0])


def test_a_stream_of_all_rows_keeps_their_targets():
    rows, targets = torch.randn(40, 3), torch.rand(40)
    ((x, y),) = list(RowStream(rows, 1, seed=0, targets=targets))
    assert x is rows
    assert y is targets


def test_both_levels_learn(rows):
    distilled = distil(rows, None, 4, 200, SETTINGS)
    for stage in ("autoencoder", "variational"):
        losses = [row["train_loss"] for row in distilled.history if row["stage"] == stage]
        assert len(losses) == 50
        assert losses[-1] < 0.6 * losses[0] if stage == "autoencoder" else losses[-1] < losses[0]
    seen = torch.from_numpy(distilled.units.standardized(rows))
    assert (seen - distilled.level(seen)).square().mean() < 0.5
    assert distilled.variational.level is distilled.level
    assert distilled.level.encoder[0].weight.dtype == torch.float64


def test_the_second_level_may_be_left_out_and_widths_given(rows):
    distilled = distil(rows, (5, 3), 0, 5, SETTINGS)
    assert distilled.variational is None
    assert distilled.level.widths == (5, 3)


def test_the_latent_space_is_no_wider_than_half_of_the_features(rows):
    distilled = distil(rows, None, 8, 2, SETTINGS)
    assert distilled.variational.decoder[0].in_features == 3


@pytest.mark.parametrize("n_features", [1, 2, 30, 5000])
def test_depths_narrow_and_are_bounded(n_features):
    widths = default_widths(n_features)
    assert list(widths) == sorted(widths, reverse=True)
    assert widths[0] <= 64
    assert widths[-1] >= 2


def test_the_classifier_weighs_what_tells_outliers_apart():
    rng = torch.Generator().manual_seed(0)
    normal = torch.randn(400, 2, generator=rng, dtype=torch.float64)
    outliers = torch.randn(300, 2, generator=rng, dtype=torch.float64)
    outliers[:, 1] += 3
    classifier, history = train_classifier(normal, outliers, SETTINGS)
    with torch.no_grad():
        logits, weights = classifier(torch.cat([normal, outliers]))
    assert weights[1] > 3 * weights[0] > 0
    assert logits[400:].median() > 0 > logits[:400].median()
    assert {row["stage"] for row in history} == {"classifier"}
