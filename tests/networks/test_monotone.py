import torch

from acr_sklearn.networks.monotone import MonotoneClassifier, MonotoneLoss


def test_the_logit_rises_with_every_input():
    classifier = MonotoneClassifier(3)
    with torch.no_grad():
        classifier.free.copy_(torch.tensor([-5.0, 0.0, 2.0]))
    inputs = torch.randn(20, 3)
    for place in range(3):
        more = inputs.clone()
        more[:, place] += 1
        assert (classifier(more)[0] > classifier(inputs)[0]).all()


def test_both_classes_count_alike_whatever_their_sizes():
    output, ridge = (torch.tensor([2.0, 2.0, 2.0, -1.0]), torch.ones(1)), 0.0
    is_outlier = torch.tensor([0.0, 0.0, 0.0, 1.0])
    expected = 0.5 * torch.log1p(torch.tensor(2.0).exp()) + 0.5 * torch.log1p(
        torch.tensor(1.0).exp()
    )
    torch.testing.assert_close(MonotoneLoss(ridge)(output, is_outlier), expected)
    torch.testing.assert_close(MonotoneLoss(0.5)(output, is_outlier), expected + 0.5)
