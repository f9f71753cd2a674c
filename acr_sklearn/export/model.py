"""From a fitted detector's parts to a model of ONNX."""

from __future__ import annotations

from typing import Any

import torch

from acr_sklearn.export.fixed import score_of_rows
from acr_sklearn.export.graph import Graph
from acr_sklearn.export.heads import consensus_of_batch, score_of_batch
from acr_sklearn.export.networks import require_plain
from acr_sklearn.scoring.consensus_head import ConsensusHead
from acr_sklearn.scoring.scorer import Scorer

__all__ = ["batch_model", "reference_model"]


def batch_model(scorer: Scorer, who: str, *, single: bool, texts: dict[str, str]) -> bytes:
    """Write a model that scores a batch by its own statistics.

    Parameters
    ----------
    scorer : Scorer
        Of the detector.
    who : str
        For messages.
    single : bool
        Whether its input is of single precision.
    texts : dict of str
        Metadata.

    Returns
    -------
    bytes
        Of a file.

    Raises
    ------
    NotImplementedError
        For what has no operations here.
    """
    head, scale = scorer.head, scorer.scale
    if head.kind != "mahalanobis" or scale is None:
        require_plain(scorer.network, who)
    if scorer.limits.max_reference_rows is not None:
        raise NotImplementedError(
            f"{who} draws no sample of a batch: leave max_reference_rows at None, or adapt first."
        )
    assert scale is not None  # of the networks above
    graph = Graph(len(scale.scale), single=single)
    with torch.no_grad():
        if isinstance(head, ConsensusHead):
            found = consensus_of_batch(graph, head, scorer.network, scale)
        else:
            found = score_of_batch(graph, head, scorer.network, scale)
    return graph.model(found.flat(-1) * -1.0, texts)


def reference_model(fixed: Any, who: str, *, single: bool, texts: dict[str, str]) -> bytes:
    """Write a model that scores rows one by one under fixed statistics.

    Parameters
    ----------
    fixed : FixedBatch
        In double precision.
    who : str
        For messages.
    single : bool
        Whether its input is of single precision.
    texts : dict of str
        Metadata.

    Returns
    -------
    bytes
        Of a file.

    Raises
    ------
    NotImplementedError
        For what has no operations here.
    """
    if fixed.network is not None:
        require_plain(fixed.network, who)
    graph = Graph(len(fixed.standardizer.divisor), single=single)
    with torch.no_grad():
        found = score_of_rows(graph, fixed)
    return graph.model(found.flat(-1) * -1.0, texts)
