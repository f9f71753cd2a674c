"""One domain that no worker holds: its statistics, from rows that stay where they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.batch_checks import require_two_rows, warn_small_batches
from acr_sklearn._input.chunks import Chunks, taken_by_torch
from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn._input.validation import refuse_odd_cells
from acr_sklearn.detectors._reference import ReferenceMixin
from acr_sklearn.detectors._scoring import BatchScoring
from acr_sklearn.distributed.column_plan import ColumnPlan
from acr_sklearn.distributed.frames import beside
from acr_sklearn.distributed.scored_frame import numbers_of
from acr_sklearn.domains.domain_shift import warn_unfamiliar_batches
from acr_sklearn.scoring.fixed_batch import FixedBatch
from acr_sklearn.scoring.scorer import score_rows
from acr_sklearn.thresholds import batch_offsets, p_values

__all__ = ["FixedDomain", "RemotePieces", "fix_domain", "score_piece"]


class RemotePieces(ABC):
    """The pieces of one domain, of which an engine holds each somewhere.

    A child says how a function gets to them. Pieces must be the same, and in the same order, each
    time they are asked for.
    """

    @abstractmethod
    def run(
        self, function: Callable[..., Any], beside: Mapping[Any, Any] | None = None
    ) -> list[tuple[Any, Any]]:
        """Apply a function to the rows of every piece, where it is.

        Parameters
        ----------
        function : callable
            Of the rows, and of what is `beside` them if that is given.
        beside : mapping or None, default=None
            Place of a piece -> second argument; None for places that it lacks.

        Returns
        -------
        list of (place, result)
            In the order of the pieces.
        """

    @abstractmethod
    def stream(self) -> Iterator[NDArray[Any]]:
        """Bring the rows here, one piece at a time, in order."""


class _RemoteChunks(Chunks):
    """Pieces as the chunks of a batch; only what is small is brought here if that is enough.

    Parameters
    ----------
    pieces : RemotePieces
        Of the domain.
    who : str
        For the messages.
    names : sequence
        Of the features.
    """

    def __init__(self, pieces: RemotePieces, who: str, names: tuple[Any, ...]):
        seen = pieces.run(partial(_look, names=names))
        self.pieces = pieces
        self.places = [place for place, _ in seen]
        self.sizes = [n_rows for _, (n_rows, _) in seen]
        types = [dtype for _, (n_rows, dtype) in seen if n_rows]
        if not types:
            raise ValueError(f"{who} got a domain without rows. A batch needs at least 2.")
        # As in one table: in double precision as soon as a single value needs it.
        self.dtype = np.result_type(*types)
        self.rows, self.positions, self.size = (), None, max(self.sizes)
        self.n_features, self._n_rows = len(names), sum(self.sizes)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for rows in self.pieces.stream():
            if len(rows):
                yield taken_by_torch(rows.astype(self.dtype, copy=False))

    def each(self, function: Callable[[NDArray[Any]], Any]) -> list[Any]:
        found = self.pieces.run(partial(_apply, function=function, dtype=self.dtype))
        return [result for _, result in found]

    def take(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        starts = np.cumsum([0, *self.sizes])
        cuts = np.searchsorted(positions, starts)
        wanted = {
            place: positions[cuts[i] : cuts[i + 1]] - starts[i]
            for i, place in enumerate(self.places)
        }
        parts = self.pieces.run(_pick, wanted)
        taken: NDArray[Any] = np.concatenate([part for _, part in parts]).astype(self.dtype)
        if len(taken) != len(positions):
            raise RuntimeError(
                f"The partitions of the frame changed between two rounds over them: {len(taken)} "
                f"of {len(positions)} rows were found again. Persist or write the frame first."
            )
        return taken


def _look(rows: NDArray[Any], names: tuple[Any, ...]) -> tuple[int, np.dtype[Any]]:
    refuse_odd_cells(rows, who="score_frame", names=names)
    return len(rows), rows.dtype


def _apply(
    rows: NDArray[Any], function: Callable[[NDArray[Any]], Any], dtype: np.dtype[Any]
) -> Any:
    return function(rows.astype(dtype, copy=False))


def _pick(rows: NDArray[Any], wanted: NDArray[np.int64] | None) -> NDArray[Any]:
    found = np.empty(0, np.int64) if wanted is None else wanted
    return rows[found[found < len(rows)]]


class FixedDomain:
    """Statistics of one domain: what scores any of its rows, wherever they are.

    Parameters
    ----------
    batch : FixedBatch
        Of the domain.
    detector : detector of this package
        Fitted.
    dtype : dtype
        That the rows are computed in.
    n_rows : int
        Rows of the domain.
    """

    def __init__(
        self, batch: FixedBatch, detector: BatchScoring, dtype: np.dtype[Any], n_rows: int
    ):
        self.batch, self.dtype, self.n_rows = batch, dtype, n_rows
        self.offset = detector.offset_
        self.calibration = detector.calibration_scores_

    def scores(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Score rows of the domain; high for normal rows.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            Of one piece.

        Returns
        -------
        ndarray of shape (n_rows,), float64
            Those of the whole domain in one call.
        """
        if not len(rows):
            return np.empty(0)
        whole = taken_by_torch(rows.astype(self.dtype, copy=False))
        return 0.0 - score_rows(self.batch, Chunks(whole, _PIECE_ROWS), of_the_batch=True)


#: Rows of a piece that are scored at a time.
_PIECE_ROWS = 16384


def fix_domain(
    pieces: RemotePieces, detector: BatchScoring, plan: ColumnPlan, *, who: str
) -> FixedDomain:
    """Fix the statistics of one domain whose rows are elsewhere.

    With the default score head rounds run where the rows are: one counts them, one hashes them,
    one fetches the 2048 rows that statistics are of. Other heads take means, norms and neighbours
    in rounds over all rows, which come by a piece at a time; with `max_reference_rows` one round
    fetches a sample instead.

    Parameters
    ----------
    pieces : RemotePieces
        Of the domain.
    detector : detector of this package
        Fitted, scoring in batches.
    plan : ColumnPlan
        Of the table's columns.
    who : str
        For the messages.

    Returns
    -------
    FixedDomain
        With the offset that rows of the domain are cut at.

    Raises
    ------
    TypeError
        For a detector whose batches have no such statistics.
    ValueError
        For rows that cannot be scored, and fewer than 4 of them.
    """
    if not isinstance(detector, ReferenceMixin):
        raise TypeError(
            f"{who} cannot score one domain in partitions with {type(detector).__name__}, which "
            "holds the rows of a batch together. Call adapt(X_ref) first, which scores row by row, "
            "or name a domain_column."
        )
    chunks: Any = _RemoteChunks(pieces, who, plan.features)
    data = DomainRows.one(chunks)
    require_two_rows(data, who=who, in_fit=False)
    if len(chunks) < _FEWEST:
        raise ValueError(
            f"{who} got a domain of {len(chunks)} rows in partitions. So few are scored in memory: "
            "score_frame(frame.compute(), detector)."
        )
    warn_small_batches(data, who=who, stacklevel=5)
    names = detector._names_of_features
    warn_unfamiliar_batches(detector._domain_shift, data, who=who, names=names, stacklevel=5)
    domain = FixedDomain(detector._scorer().fixed(chunks), detector, chunks.dtype, len(chunks))
    if detector.threshold == "batch":
        scores = np.concatenate([part for _, part in pieces.run(domain.scores)])
        everything = [np.arange(len(scores))]
        offsets = batch_offsets(scores, everything, detector.contamination, domain.calibration)
        domain.offset = float(offsets[0])
    return domain


#: Fewer rows are computed in double precision throughout.
_FEWEST = 4


def score_piece(frame: Any, detector: BatchScoring, plan: ColumnPlan, domain: FixedDomain) -> Any:
    """Score the rows of one piece of a domain.

    Parameters
    ----------
    frame : pandas.DataFrame
        The piece.
    detector : detector of this package
        Fitted.
    plan : ColumnPlan
        Of the table's columns.
    domain : FixedDomain
        Of `fix_domain`.

    Returns
    -------
    of the class of `frame`
        As of `score_frame`.
    """
    scores = domain.scores(numbers_of(frame, detector, plan))
    columns = {
        "score": scores,
        "label": np.where(scores >= domain.offset, 1, -1).astype(np.int64),
        "p_value": p_values(scores, domain.calibration),
        "n_rows": np.full(len(scores), domain.n_rows, np.int64),
    }
    return beside(frame, plan.carried, columns, who="score_frame")
