"""One domain in pieces scores as in one call, whatever the score head."""

import numpy as np
import pandas as pd
import pytest

from acr_sklearn import ResADDetector
from acr_sklearn.distributed.column_plan import plan_columns
from acr_sklearn.distributed.large_domain import RemotePieces, fix_domain, score_piece
from acr_sklearn.distributed.scored_frame import score_frame
from acr_sklearn.exceptions import SmallBatchWarning, UnfamiliarBatchWarning

FEATURES = list("abcde")


class Pieces(RemotePieces):
    """Pieces that lie in memory, and count what is done with them."""

    def __init__(self, parts):
        self.parts, self.rounds, self.brought = parts, 0, 0

    def run(self, function, beside=None):
        self.rounds += 1
        others = [() if beside is None else (beside.get(i),) for i in range(len(self.parts))]
        both = enumerate(zip(self.parts, others, strict=True))
        return [(i, function(part, *other)) for i, (part, other) in both]

    def stream(self):
        self.brought += 1
        yield from self.parts


@pytest.fixture(scope="module")
def big(fleet):
    return fleet.loc[fleet["site"] == "big", FEATURES].reset_index(drop=True)


def in_pieces(detector, frame, cuts=(0, 700, 700, 702, 2500)):
    """Score a frame by the rows in pieces, one of them empty."""
    plan = plan_columns(
        detector, list(frame.columns), columns=FEATURES, domain_column=None, key=None, who="f"
    )
    ends = [*cuts[1:], len(frame)]
    frames = [frame.iloc[start:end] for start, end in zip(cuts, ends, strict=True)]
    pieces = Pieces([part.to_numpy() for part in frames])
    domain = fix_domain(pieces, detector, plan, who="score_x")
    return pd.concat([score_piece(part, detector, plan, domain) for part in frames]), pieces


@pytest.mark.parametrize("head", ["consensus", "objective", "mahalanobis", "neighbors", "combined"])
@pytest.mark.parametrize("changes", [{}, {"max_reference_rows": 600}, {"threshold": "batch"}])
def test_pieces_score_as_one_batch(head, changes, big, quick, domains):
    detector = quick(score_head=head, max_iter=2, **changes).fit(domains)
    wanted = score_frame(big, detector, columns=FEATURES)
    found, pieces = in_pieces(detector, big)
    np.testing.assert_allclose(found["score"], wanted["score"], rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(found["label"], wanted["label"])
    np.testing.assert_allclose(found["p_value"], wanted["p_value"])
    assert set(found["n_rows"]) == {3000}
    if head == "consensus" or "max_reference_rows" in changes:
        assert pieces.brought == 0
        assert pieces.rounds <= 5


@pytest.mark.parametrize("n_rows", [4, 40, 2048])
def test_small_domains_in_pieces(n_rows, big, named):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("acr_sklearn._input.batch_checks.gives_advice", lambda: False)
        wanted = score_frame(big[:n_rows], named)
        found, _ = in_pieces(named, big[:n_rows], (0, 2))
    np.testing.assert_allclose(found["score"], wanted["score"], rtol=1e-6, atol=1e-9)


def test_gross_values_of_a_small_domain(big, named):
    frame = big[:300].copy()
    frame.iloc[7, 2] = 1e200
    wanted = score_frame(frame, named)
    found, _ = in_pieces(named, frame, (0, 100))
    np.testing.assert_allclose(found["score"], wanted["score"], rtol=1e-6, atol=1e-9)


def test_single_precision_and_what_it_cannot_hold(big, named):
    single = big.astype(np.float32)
    wanted = score_frame(single, named)
    found, _ = in_pieces(named, single)
    np.testing.assert_allclose(found["score"], wanted["score"], rtol=1e-4, atol=1e-5)


def test_what_cannot_be_scored_in_pieces_is_named(big, named, domains):
    with pytest.raises(ValueError, match=r"score_x got a domain without rows"):
        in_pieces(named, big[:0], (0,))
    with pytest.raises(ValueError, match=r"score_x got a batch of 1 sample"):
        in_pieces(named, big[:1], (0,))
    with pytest.raises(ValueError, match=r"a domain of 3 rows in partitions. So few"):
        in_pieces(named, big[:3], (0, 1))
    with pytest.warns(SmallBatchWarning, match=r"score_x got a batch of fewer than 16"):
        in_pieces(named, big[:5], (0, 1))
    odd = big.copy()
    odd.iloc[2900, 3] = np.nan
    with pytest.raises(ValueError, match=r"score_frame got NaN in X: .* column 'd'; 1 of 500 rows"):
        in_pieces(named, odd)
    residuals = ResADDetector(max_iter=2, n_blocks=1, random_state=0).fit(domains)
    with pytest.raises(TypeError, match=r"score_x cannot score .* with ResADDetector"):
        in_pieces(residuals, big)


def test_an_unfamiliar_domain_is_warned_of(big, named):
    strange = big.assign(a=big["b"] * 1000)
    with pytest.warns(UnfamiliarBatchWarning, match=r"score_x got a batch unlike"):
        in_pieces(named, strange)


def test_pieces_that_change_between_rounds_are_found(big, named):
    class Changing(Pieces):
        def run(self, function, beside=None):
            found = super().run(function, beside)
            if self.rounds == 2:
                self.parts = [part[:100] for part in self.parts]
            return found

    plan = plan_columns(named, FEATURES, columns=None, domain_column=None, key=None, who="f")
    pieces = Changing([big.to_numpy()[:1500], big.to_numpy()[1500:]])
    with pytest.raises(RuntimeError, match=r"partitions of the frame changed .* Persist"):
        fix_domain(pieces, named, plan, who="score_x")
