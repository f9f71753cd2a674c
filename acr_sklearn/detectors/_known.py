"""What a detector learns from known anomalies of its training domains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.known_anomalies import KnownAnomalies, TrainingRows
from acr_sklearn.scoring.consensus_head import ConsensusHead
from acr_sklearn.scoring.cross_fitting import Selection, choose_discriminant
from acr_sklearn.scoring.discriminant import LabelledBatch
from acr_sklearn.scoring.scorer import Scorer

__all__ = ["learn_known", "require_head_that_learns"]

#: Normal rows of a batch, and anomalies on top of them as a multiple: as many as the batch's
#: statistics bear, for later batches are mostly normal.
_NORMALS, _ANOMALIES_PER_NORMAL = 500, 0.25
#: Batches of a domain: a domain with more known anomalies than fit shows some of them.
_BATCHES = 3
#: Numbers that all batches together may be made of.
_MOST_NUMBERS = 2**25
#: A batch says little from fewer normal rows, whatever the numbers.
_FEWEST_NORMALS = 64


def require_head_that_learns(detector: Any, known: KnownAnomalies | None) -> None:
    """Refuse known anomalies where nothing would be learnt from them.

    Parameters
    ----------
    detector : ZeroShotACRDetector
        With a `score_head`.
    known : KnownAnomalies or None
        Of fit.

    Raises
    ------
    ValueError
        For every head but "consensus".
    """
    if known is not None and detector.score_head != "consensus":
        raise ValueError(
            f"{type(detector).__name__}.fit got known_anomalies or outliers with score_head="
            f"{detector.score_head!r}, which learns nothing from them. Set "
            "score_head='consensus', or leave the marked rows out."
        )


def learn_known(scorer: Scorer, data: TrainingRows) -> tuple[ConsensusHead, dict[str, Any]]:
    """Learn from known anomalies what part a discriminant has in the score.

    Parameters
    ----------
    scorer : Scorer
        With the consensus head and the trained network.
    data : TrainingRows
        With known anomalies.

    Returns
    -------
    head : ConsensusHead
        With a discriminant, or the same where none was better on labelled domains left out.
    selection : dict
        The fitted attribute `selection_`.
    """
    head, known = scorer.head, data.known
    assert isinstance(head, ConsensusHead)
    assert known is not None
    batches = [
        LabelledBatch(domain, *scorer.labelled(rows), anomalous)
        for domain, rows, anomalous in _labelled_batches(data, known)
    ]
    n_evidence = batches[0].inputs.shape[1] - 2 * data.rows.shape[1]
    discriminant, selection = choose_discriminant(batches, n_evidence)
    return replace(head, discriminant=discriminant), _told(selection, data, known)


def _labelled_batches(
    data: TrainingRows, known: KnownAnomalies
) -> Iterator[tuple[int, NDArray[Any], NDArray[np.bool_]]]:
    """Yield the domain, the rows and the labels of each batch, as it would come to be scored."""
    normals = data.batches()
    labelled = np.unique(known.index)
    n_inputs = 2 * data.rows.shape[1] + 8
    most = _MOST_NUMBERS // (n_inputs * _BATCHES * len(labelled))
    for domain in labelled.tolist():
        own, anomalies = normals[domain], np.flatnonzero(known.index == domain)
        n_rows = min(len(own), max(_FEWEST_NORMALS, min(_NORMALS, most)))
        n_each = max(1, int(_ANOMALIES_PER_NORMAL * n_rows))
        n_batches = min(_BATCHES, -(-len(anomalies) // n_each))
        anomalies = anomalies[_evenly(len(anomalies), n_each * n_batches)]
        for i in range(n_batches):
            # Interleaved: rows are often in the order of time, and a batch should show all of it.
            normal = own[np.sort((_evenly(len(own), n_rows) + i) % len(own))]
            abnormal = anomalies[i::n_batches]
            rows = np.concatenate([data.rows[normal], known.rows[abnormal]])
            yield domain, rows, np.arange(len(rows)) >= len(normal)


def _evenly(n_rows: int, n_wanted: int) -> NDArray[np.int64]:
    n_taken = min(n_rows, n_wanted)
    return np.arange(n_taken) * n_rows // n_taken


def _told(selection: Selection, data: TrainingRows, known: KnownAnomalies) -> dict[str, Any]:
    """Name what was chosen in plain numbers."""
    by_weight = selection.auroc.mean(axis=0) if len(selection.auroc) else [np.nan]
    return {
        "weight": selection.weight,
        "auroc": dict(zip(selection.weights.tolist(), map(float, by_weight), strict=True)),
        "domains": data.labels[selection.domains],
        "domain_auroc": selection.auroc,
        "n_anomalies": np.bincount(known.index, minlength=len(data.labels))[selection.domains],
    }
