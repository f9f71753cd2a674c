"""Every head, size and path against the slow scorer of tests/reference_scorer.py.

The rows are such that no choice of them, by outlyingness or by hash, is decided by the last digits
of single precision: it scores the same rows to 1e-4, while other rows kept would be other scores.
"""

import functools

import numpy as np
import pytest
import torch
from reference_scorer import consensus, consensus_scores, reference_scores, robust_z

from acr_sklearn._input.chunks import Chunks
from acr_sklearn.domains.covariance import fit_within_domain_covariance
from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.scoring.consensus_head import ConsensusHead
from acr_sklearn.scoring.dependence import fit_dependence
from acr_sklearn.scoring.heads import SCORE_HEADS, make_head
from acr_sklearn.scoring.scorer import Limits, Scorer, score_rows

N_FEATURES = 5
SIZES = (2, 3, 16, 17, 300, 512, 513, 600, 2048, 2049, 5000)
MIXING = np.random.default_rng(0).normal(size=(N_FEATURES, N_FEATURES))
TRAINING = np.random.default_rng(3).normal(size=(90, N_FEATURES)) @ MIXING
DOMAIN = np.repeat([0, 1, 2], 30)


def new_rows(n_rows, seed=1, dtype=np.float64):
    """Rows of one site, an eighth of them shifted, three of them equal."""
    rng = np.random.default_rng((seed, n_rows))
    rows = 40 + 3 * rng.normal(size=(n_rows, N_FEATURES)) @ MIXING
    rows[: n_rows // 8] += 9
    if n_rows >= 16:
        rows[-2:] = rows[-3]
    return rng.permutation(rows).astype(np.float32).astype(dtype)


@functools.cache
def parts():
    """The network, with learnt scales that are not one, and the within-domain covariance."""
    covariance = fit_within_domain_covariance(TRAINING, DOMAIN, 3, seed=0)
    torch.manual_seed(0)
    whitening = torch.from_numpy(covariance.whitening(0.1)).float()
    network = ACRNetwork(
        N_FEATURES, hidden_layer_sizes=(8, 7), embedding_dim=4, whitening=whitening
    )
    with torch.no_grad():
        for norm in [*network.backbone.norms, network.objective.norm]:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
    return network.eval(), covariance


def scorer(head, limits=None):
    network, covariance = parts()
    if head == "consensus":
        dependence = fit_dependence(TRAINING, DOMAIN, 3)
        chosen = ConsensusHead.of(5, 0.25, covariance, dependence)
    else:
        chosen = make_head(head, 5, 0.25, covariance)
    return Scorer(network, covariance.scale, chosen, limits or Limits())


def reference(head, batch, rows=None):
    network, covariance = parts()
    if head == "consensus":
        domains = np.split(TRAINING, 3)
        return consensus_scores(network, covariance, domains, batch, rows)
    return reference_scores(network, covariance, head, batch, rows)


@functools.cache
def expected(head, n_rows, dtype):
    return reference(head, new_rows(n_rows, dtype=dtype))


def check(got, wanted, dtype):
    tolerance = 1e-9 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * max(1, np.abs(wanted).max()))


each_head = pytest.mark.parametrize("head", [*SCORE_HEADS, "consensus"])
each_size = pytest.mark.parametrize("n_rows", SIZES)
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@each_dtype
@each_size
@each_head
def test_a_whole_batch(head, n_rows, dtype):
    rows = new_rows(n_rows, dtype=dtype)
    wanted = expected(head, n_rows, dtype)
    check(scorer(head).one(Chunks(rows, 16384)), wanted, dtype)


@each_dtype
@each_size
@each_head
def test_a_batch_in_chunks(head, n_rows, dtype):
    rows = new_rows(n_rows, dtype=dtype)
    got = scorer(head, Limits(chunk_size=max(1, n_rows // 3))).batches(rows, [np.arange(n_rows)])
    wanted = expected(head, n_rows, dtype)
    check(got, wanted, dtype)


def test_the_score_of_two_rows_is_ill_conditioned():
    """One distance, seen from both rows: its rounding is divided by the least spread, 1e-3.

    Five units in the last place of single precision, which two passes through a network of three
    layers leave, are more than the tolerance of 1e-4 in the reference itself. So few rows are
    computed in double precision whatever they come in.
    """
    distance = np.full(2, 5.486)
    rounded = distance * (1 + np.array([0, 5]) * np.finfo(np.float32).eps)
    assert np.ptp(robust_z(distance, distance)) == 0
    assert np.abs(robust_z(rounded, rounded)).max() > 1e-4
    assert np.abs(consensus([rounded], 2)).max() > 1e-4


@each_dtype
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_equal_rows_count_once_in_the_scale_of_evidence(share, dtype):
    rows = new_rows(300, dtype=dtype)
    rows[: round(share * 300)] = rows[0]
    check(scorer("consensus").one(Chunks(rows, 16384)), reference("consensus", rows), dtype)


@each_dtype
@each_head
def test_stacked_domains(head, dtype):
    sizes = (17, 300, 17, 16, 2049, 300)
    sites = [new_rows(n, seed, dtype) for seed, n in enumerate(sizes)]
    batches = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    got = scorer(head).batches(np.concatenate(sites), batches)
    for site, batch in zip(sites, batches, strict=True):
        check(got[batch], reference(head, site), dtype)


@each_dtype
@each_size
@each_head
def test_rows_under_fixed_batch_statistics(head, n_rows, dtype):
    batch, rows = new_rows(n_rows), new_rows(40, seed=4, dtype=dtype)
    # As `adapt` and `freeze` do: single precision is a copy of what was measured in double.
    fixed = scorer(head).freeze(Chunks(batch, 16384))[0]
    fixed = fixed if dtype == np.float64 else fixed.single()
    wanted = reference(head, batch, rows)
    check(score_rows(fixed, Chunks(rows, 16384)), wanted, dtype)
    with torch.no_grad():
        check(fixed(torch.from_numpy(rows)).numpy(), wanted, dtype)


@each_dtype
@pytest.mark.parametrize("n_rows", [300, 2048, 2049, 5000])
@each_head
def test_statistics_of_a_sample_of_the_rows(head, n_rows, dtype):
    chosen = scorer(head, Limits(max_reference_rows=200))
    rows = new_rows(n_rows, dtype=dtype)
    sample = rows[chosen._sample(n_rows)]
    wanted = reference(head, sample, rows)
    check(chosen.one(Chunks(rows, 16384)), wanted, dtype)
