import threading

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn._input.chunks import Chunks
from acr_sklearn.domains.covariance import WithinDomainCovariance
from acr_sklearn.domains.feature_scale import FeatureScale
from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.networks.ensemble import ACREnsemble
from acr_sklearn.scoring.consensus_head import ConsensusHead
from acr_sklearn.scoring.evidence import BatchEvidence, EvidenceScale, consensus
from acr_sklearn.scoring.neighborhoods import Neighborhoods
from acr_sklearn.scoring.scorer import Limits, Scorer

N_FEATURES = 4
UNIT = FeatureScale(np.zeros(N_FEATURES), np.array([1.0, 2.0, 0.5, 1.0]))
COVARIANCE = WithinDomainCovariance(UNIT, None, np.ones(N_FEATURES))
DEPENDENCE = np.random.default_rng(0).normal(size=(N_FEATURES, N_FEATURES))


def head(trim_fraction=0.25, dependence=DEPENDENCE):
    return ConsensusHead.of(5, trim_fraction, COVARIANCE, dependence)


def batch(n_rows=60, seed=0):
    return np.random.default_rng((seed, n_rows)).normal(3, 2, (n_rows, N_FEATURES))


def network(n_estimators=1):
    torch.manual_seed(0)
    options = {"n_features": N_FEATURES, "hidden_layer_sizes": (8, 8), "embedding_dim": 4}
    return (ACREnsemble(2, **options) if n_estimators == 2 else ACRNetwork(**options)).eval()


def whole(rows, net=None, chosen=None):
    return Scorer(net or network(), UNIT, chosen or head()).one(Chunks(rows, 16384))


def test_a_score_is_the_consensus_of_seven_kinds_of_evidence():
    rows, net = torch.from_numpy(batch()), network().double()
    everyone, dependence = torch.arange(60), torch.from_numpy(DEPENDENCE)
    evidence = BatchEvidence(rows, everyone, dependence)(rows, everyone)
    far = ((rows - rows.mean(dim=0)) / torch.from_numpy(UNIT.scale)).norm(dim=1)
    parts = torch.cat([evidence, far[None]])
    outlying = EvidenceScale.of(parts).standardise(parts).sort(dim=0).values[-1]
    kept = outlying <= outlying.sort().values[44]
    assert kept.sum() == 45
    unit = torch.from_numpy(UNIT.scale)
    inputs = (rows - rows[kept].mean(dim=0)) / unit
    inputs = inputs / inputs[kept].square().mean().sqrt()
    layers = net.layers_and_score(inputs[None], kept[None])[0][0]
    close = Neighborhoods(layers, (5, 0.1, 0.3), kept=kept)(layers, everyone)
    every = torch.cat([evidence, close])
    assert len(every) == 7
    expected = consensus(EvidenceScale.of(every).standardise(every))
    with torch.no_grad():
        torch.testing.assert_close(head().score(net, rows[None], unit)[0], expected)


def test_stacked_batches_are_scored_one_by_one():
    rows = np.concatenate([batch(40, seed) + 9 * seed for seed in range(4)])
    batches = np.split(np.arange(160), 4)
    together = Scorer(network(), UNIT, head()).batches(rows, batches)
    for part in batches:
        np.testing.assert_allclose(together[part], whole(rows[part]), rtol=0, atol=1e-12)


def test_a_users_network_sees_rows_as_they_are():
    rows, net, seen = batch(), network().double(), []
    net.backbone.linears[0].register_forward_pre_hook(
        lambda module, args: seen.append(args[0].clone())
    )
    Scorer(net, None, head()).one(Chunks(rows, 16384))
    np.testing.assert_array_equal(seen[0][:, 0], rows)  # rows first, then the one batch


def test_gross_rows_are_left_out_of_the_networks_statistics():
    rows = torch.from_numpy(batch())
    rows[:10] += 20.0
    measured = [head().measure(rows)]
    kept = head().kept(measured)[0]
    assert kept.sum() == 45
    assert not kept[:10].any()
    assert head(trim_fraction=0.0).kept(measured) is None


@pytest.mark.parametrize("gross", [1e4, 1e12, 1e150])
@pytest.mark.parametrize("chunk_size", [None, 7])
def test_beside_a_gross_row_the_others_keep_their_places(gross, chunk_size):
    rows = batch()
    rows[0] = 100.0
    expected = whole(rows)
    rows[0] = gross
    scorer = Scorer(network(), UNIT, head(), Limits(chunk_size=chunk_size))
    scores = scorer.batches(rows, [np.arange(60)])
    assert scores.argmax() == 0
    # The statistics of the batch see the gross row alone; the network's leave it out.
    highest = np.argsort(expected[1:])[-10:]
    assert np.isin(highest, np.argsort(scores[1:])[-20:]).sum() >= 6
    np.testing.assert_array_equal(np.argsort(scores)[-10:], np.argsort(whole(rows))[-10:])


@pytest.mark.parametrize("n_rows", [512, 513, 2048])
def test_rows_that_serve_know_themselves(n_rows):
    measured = head().measure(torch.from_numpy(batch(n_rows)))
    n_serving = n_rows if n_rows == 512 else 256
    assert len(measured.serving) == n_serving
    np.testing.assert_array_equal(measured.own[measured.serving], np.arange(n_serving))
    assert (measured.own >= 0).sum() == n_serving


def test_so_do_rows_taken_from_a_larger_batch():
    assert len(head().measure(torch.from_numpy(batch(2048)), 2049).serving) == 128


def test_of_more_than_512_rows_equal_ones_are_taken_for_one_another():
    rows = batch(600)
    rows[300:] = rows[:300]
    measured = head().measure(torch.from_numpy(rows))
    np.testing.assert_array_equal(measured.own[:300], measured.own[300:])
    scores = whole(rows)
    np.testing.assert_allclose(scores[:300], scores[300:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_rows", [2, 3, 16, 17, 300, 512, 513, 600, 2048, 2049, 5000])
def test_the_order_of_the_rows_does_not_matter(n_rows):
    rows, order = batch(n_rows), np.random.default_rng(1).permutation(n_rows)
    rows[n_rows // 2 :] = rows[: n_rows - n_rows // 2] if n_rows > 16 else rows[n_rows // 2 :]
    np.testing.assert_allclose(whole(rows[order]), whole(rows)[order], rtol=0, atol=1e-9)


def test_shifts_and_units_of_the_batch_do_not_matter():
    rows, expected = batch(), whole(batch())
    for moved in (rows + 1e6, 1e150 * rows, 1e-150 * rows, 1e-300 * rows, 1e300 * rows):
        np.testing.assert_allclose(whole(moved), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_rows_are_all_as_usual(dtype):
    scores = whole(np.full((30, N_FEATURES), 7.1, dtype))
    assert np.abs(scores).max() < 1e-2


def test_without_dependence_features_count_one_by_one():
    rows = batch()
    apart = np.abs(whole(rows, chosen=head(dependence=None)) - whole(rows)).max()
    assert apart > 1e-3
    alone = whole(rows, chosen=head(dependence=np.eye(N_FEATURES)))
    np.testing.assert_allclose(whole(rows, chosen=head(dependence=None)), alone, atol=1e-12)


@pytest.mark.parametrize("n_rows", [60, 600, 2100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scoring_is_pure(n_rows, dtype):
    net, rows = network(), batch(n_rows).astype(dtype)
    before, kept = {k: v.clone() for k, v in net.state_dict().items()}, rows.copy()
    dependence, state = DEPENDENCE.copy(), torch.get_rng_state()
    first = whole(rows, net)
    np.testing.assert_array_equal(whole(rows, net), first)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(rows, kept)
    np.testing.assert_array_equal(DEPENDENCE, dependence)


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_eight_threads_score_as_one_does(n_estimators):
    net, sizes = network(n_estimators), (20, 33, 600, 2100, 21, 34, 601, 2101)
    batches = [batch(n).astype([np.float32, float][i % 2]) for i, n in enumerate(sizes)]
    expected, wrong = [whole(rows, net) for rows in batches], []

    def repeat(i):
        for _ in range(4):
            if not np.array_equal(whole(batches[i], net), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=repeat, args=(i,)) for i in range(len(sizes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("width", [0.05, 0.3])
def test_a_fault_that_a_fifth_of_the_rows_share_is_found(width):
    """Its rows are neighbours of one another, and their values are not rare."""
    rng = np.random.default_rng(3)
    sites = [rng.normal(rng.normal(0, 5, 12), 1.0, (300, 12)) for _ in range(8)]
    detector = ZeroShotACRDetector(max_iter=20, random_state=0).fit(sites)
    moved = np.repeat([6.0, 0.0], 6) * rng.choice([-1, 1], 12)
    rows = rng.normal(size=(300, 12))
    rows[:60] = moved + width * rows[:60]
    assert roc_auc_score(np.arange(300) < 60, -detector.score_samples(rows)) > 0.9
