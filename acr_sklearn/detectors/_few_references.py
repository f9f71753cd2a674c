"""Scoring against a few normal references of a domain, or in batches that are their own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from acr_sklearn._input.chunks import Chunks
from acr_sklearn._input.domain_rows import read_rows
from acr_sklearn.detectors._explaining import Attribution, Explaining
from acr_sklearn.detectors._scoring import Calibration
from acr_sklearn.detectors._sliding import SlidingReference
from acr_sklearn.persistence.estimators import FileStorage
from acr_sklearn.scoring.residual_attribution import HeldReferences
from acr_sklearn.scoring.residual_scorer import ResidualScorer
from acr_sklearn.training.saved_residuals import load_residual_net, save_residual_net

__all__ = ["FewReferencesMixin"]

#: From so many references on they set the threshold themselves; from so few on where training
#: domains are so small that the most of their rows that ever were references are half as many.
_OWN_OFFSET, _FEWEST_OWN = 128, 32


class FewReferencesMixin(Explaining, SlidingReference, FileStorage):
    """Scoring by residuals; a child calls `_start_scoring` when its training is kept."""

    _fewest_rows: ClassVar[int] = 1
    _if_singly: ClassVar[str] = ", against the references. Leave them out."
    _scorer: ResidualScorer
    _levels: dict[int, NDArray[np.float64]]
    _references: torch.Tensor | None = None
    _of_references: Calibration | None = None

    def _start_scoring(
        self, scorer: ResidualScorer, levels: dict[int, NDArray[np.float64]]
    ) -> None:
        """Hold what scores, and its scores of normal rows under so many references."""
        self._scorer, self._levels = scorer, levels
        self._references = self._of_references = self._window = None

    def _whole_state(self) -> dict[str, Any]:
        return self._settled(super()._whole_state())

    def _file_state(self) -> dict[str, Any]:
        """Hold the network once, by how it is built and its numbers."""
        state = self._whole_state()
        if "net_" not in state:
            return state
        net, scorer = save_residual_net(state["net_"]), state["_scorer"]
        rest = {name: value for name, value in state.items() if name != "module_"}
        return rest | {"net_": net, "_scorer": scorer.converter}

    def _set_file_state(self, state: dict[str, Any]) -> None:
        """Make the net and what scores whole again."""
        if "net_" in state:
            net = load_residual_net(state["net_"])
            scorer = ResidualScorer(net.module_, state["feature_scale_"], state["_scorer"])
            state = state | {"net_": net, "module_": net.module_, "_scorer": scorer}
        self.__setstate__(state)

    def _scores_rows_singly(self) -> bool:
        return self._references is not None

    def _rows_per_chunk(self) -> int:
        return self._scorer.rows_per_chunk

    def _score_batches(
        self, rows: NDArray[Any], batches: list[NDArray[np.int64]]
    ) -> NDArray[np.float64]:
        scores = np.zeros(len(rows))
        for batch in batches:
            scores[batch] = self._scorer.batch(rows[batch])
        return scores

    def _score_chunks(self, chunks: Chunks) -> NDArray[np.float64]:
        if self._references is None:
            return super()._score_chunks(chunks)
        return self._scorer.singly(chunks, self._references)

    def _attribution(self, batch: Chunks | None) -> Attribution:
        return self._held_references(batch)

    def _held(self, batch: Chunks | None) -> Callable[[Chunks], NDArray[np.float64]]:
        if batch is None:
            assert self._references is not None
            return partial(self._scorer.singly, references=self._references)
        return self._held_references(batch).score

    def _held_rows(self) -> NDArray[Any] | None:
        return None if self._references is None else self._held_references(None).usual_rows

    def _held_references(self, batch: Chunks | None) -> HeldReferences:
        if batch is not None:
            return HeldReferences.of_batch(self._scorer, batch.take(np.arange(len(batch))))
        assert self._references is not None
        return HeldReferences.of_references(self._scorer, self._references)

    @property
    def _calibration(self) -> Calibration:
        self._renew()
        return self._of_references or self._batch_calibration

    def adapt(self, X_ref: Any) -> Self:
        """Hold normal references of a new domain, to score rows one by one from now on.

        Parameters
        ----------
        X_ref : array-like of shape (n_samples, n_features)
            Normal rows of the domain: 2, 4, 8 or more, if need be one. Equal rows count once.

        Returns
        -------
        detector : object of the same class
            A copy with the same parameters that scores every row by itself, held against all
            references: one of them too, which then looks very normal. The detector stays as it is;
            a clone of the copy is the unfitted detector.

        Raises
        ------
        ValueError
            For input that cannot be scored, and for rows of several domains.

        Notes
        -----
        The threshold is set on the scores of training normals under as many references, as far as
        training domains have rows for that; from 128 on, or 32 if that is more than twice as many
        as could be tried, on those of the references themselves, each held against the others.
        """
        self._check_for_scoring()
        who = f"{type(self).__name__}.adapt"
        data = read_rows(self, X_ref, None, reset=False, method="adapt")
        if len(data.labels) > 1:
            raise ValueError(
                f"{who} got rows of {len(data.labels)} domains. References are normal rows of one "
                "domain: call it once per domain, with the rows of that domain."
            )
        live = copy.copy(self)
        live._start_window(data.rows)
        return live

    def _take_reference(self, rows: NDArray[np.float64], settings: dict[str, Any]) -> None:
        references = self._scorer.references(rows)
        number = len(references)
        few = _FEWEST_OWN <= number > 2 * max(self._levels)
        if number >= _OWN_OFFSET or few:
            # Of equal rows one: held against its equal a row looks very normal.
            scores = self._scorer.batch(np.unique(rows, axis=0))
        else:
            scores = self._levels[min(self._levels, key=lambda n: abs(np.log(n / number)))]
        self._references, self._of_references = references, self._calibrated_on(-scores)
