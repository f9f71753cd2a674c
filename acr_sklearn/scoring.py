"""Scoring: whole batches, no gradient, no change of state.

Nothing here writes to the network, so one fitted detector may score from many threads.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from acr_sklearn.heads import Network, ScoreHead
from acr_sklearn.scaling import FeatureScale

__all__ = ["score_batches"]

#: Rows per forward pass when many batches are stacked; one batch is never cut.
_STACKED_ROWS = 65536


def score_batches(
    network: Network,
    scale: FeatureScale | None,
    rows: NDArray[Any],
    batches: Sequence[NDArray[np.int64]],
    head: ScoreHead,
) -> NDArray[np.float64]:
    """Anomaly score of every row within its batch.

    Parameters
    ----------
    network : ACRNetwork or ACREnsemble
        In eval mode; neither its parameters nor its buffers are touched.
    scale : FeatureScale or None
        Units of the network's input; None passes the rows on as they are.
    rows : ndarray of shape (n_rows, n_features), float32 or float64
        The computation runs in this precision.
    batches : sequence of ndarray of int
        Positions of the rows of each batch; batches of equal size share a forward pass.
    head : ScoreHead
        How a batch becomes scores.

    Returns
    -------
    ndarray of shape (n_rows,), float64
        High for abnormal rows; 0 where a row is in no batch.
    """
    network = _in_precision(network, torch.float64 if rows.dtype == np.float64 else torch.float32)
    device = next(network.parameters()).device
    scores = np.zeros(len(rows))
    for stack in _stacks(batches):
        # All rows in order, the usual call, need no copy.
        batch = rows[None] if np.array_equal(stack, [np.arange(len(rows))]) else rows[stack]
        units = np.array(batch) if scale is None else scale.batch(batch)
        with torch.no_grad():
            x = torch.from_numpy(units).to(device)
            units_of_head = _units(head, scale, batch, x)
            out = head.score(
                network, x, units_of_head, rescale=scale is not None and scale.by_batch
            )
        scores[stack] = out.double().cpu().numpy()
    return scores


def _units(
    head: ScoreHead,
    scale: FeatureScale | None,
    batch: NDArray[Any],
    x: torch.Tensor,
) -> torch.Tensor | None:
    """Bring the batches into the units of the head's shape, mostly those of the network."""
    if head.shape is None:
        return None
    if scale is head.shape.scale:
        return x
    # A user's network has no units.
    return torch.from_numpy(head.shape.scale.batch(batch)).to(x.device)


def _stacks(batches: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Group equal sizes: arrays of shape (n_batches, n_batch_rows)."""
    by_size: dict[int, list[NDArray[np.int64]]] = {}
    for batch in batches:
        by_size.setdefault(len(batch), []).append(batch)
    stacks = []
    for size, group in by_size.items():
        per_pass = max(1, _STACKED_ROWS // size)
        stacks += [np.stack(group[i : i + per_pass]) for i in range(0, len(group), per_pass)]
    return stacks


def _in_precision(network: Network, dtype: torch.dtype) -> Network:
    """Return the network itself, or a copy in another precision or off a device without it."""
    like = next(network.parameters())
    # Metal has no float64, and a score must not depend on the machine.
    device = torch.device("cpu") if like.device.type == "mps" else like.device
    if like.dtype == dtype and like.device == device:
        return network
    # Casting in place, or torch.func.functional_call, would race with other threads.
    return copy.deepcopy(network).to(device=device, dtype=dtype)
