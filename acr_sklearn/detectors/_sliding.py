"""Sliding reference: the newest rows of a domain, whose statistics are taken anew when needed."""

from __future__ import annotations

import threading
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.domain_rows import read_rows
from acr_sklearn.detectors._scoring import BatchScoring, refuse_chunks

__all__ = ["SlidingReference", "SlidingWindow"]

#: Held while a window takes rows in or gives a reference; a lock of a detector could not be copied.
_TURN = threading.RLock()


@dataclass(frozen=True)
class SlidingWindow:
    """The newest rows of a reference, and how `adapt` was asked to hold them.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_features), float64
        Oldest first, without those in `newer`.
    size : int
        Rows that are held at most.
    settings : dict of str to object
        Further arguments of `adapt`.
    every : int
        The statistics are taken anew when so many rows have come since the last time.
    waiting : int
        Rows that came since the last time.
    newer : tuple or None
        Rows that came since they were last joined: the newest, and a tuple of those before them.
    n_newer : int
        How many these are.
    """

    rows: NDArray[np.float64]
    size: int
    settings: dict[str, Any] = field(default_factory=dict)
    every: int = 1
    waiting: int = 0
    newer: Any = None
    n_newer: int = 0

    @property
    def due(self) -> bool:
        """Whether the statistics are to be taken anew before they are used."""
        return self.waiting >= self.every

    def pushed(self, rows: NDArray[np.float64], size: int, every: int) -> SlidingWindow:
        """Take rows in; this window stays as it is.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features), float64
            In order of time; not to be changed later.
        size, every : int
            Of the window from now on.

        Returns
        -------
        SlidingWindow
            Shares what it can with this one, so that a row costs the same in a window of any size.
        """
        # What has left the old size is gone for good, whether or not it was used in between.
        before = self if size == self.size else self.joined()
        after = replace(
            before,
            size=size,
            every=every,
            waiting=self.waiting + len(rows),
            newer=(rows, before.newer),
            n_newer=before.n_newer + len(rows),
        )
        # Rows that will never be used again are let go of when a whole window of them has come.
        return after.joined() if after.n_newer > size else after

    def joined(self) -> SlidingWindow:
        """Bring the newest rows into one array.

        Returns
        -------
        SlidingWindow
            With the same rows.
        """
        parts, newer, left = [], self.newer, self.size
        while newer is not None and left > 0:
            part, newer = newer
            parts.append(part[-left:])
            left -= len(parts[-1])
        if left > 0:
            parts.append(self.rows[-left:])
        return replace(self, rows=np.concatenate(parts[::-1]), newer=None, n_newer=0)


class SlidingReference(BatchScoring):
    """Detectors whose reference may slide; a child calls `_start_window` when it holds one."""

    #: Rows that `adapt` needs.
    _fewest_rows: ClassVar[int] = 2
    _window: SlidingWindow | None = None

    @abstractmethod
    def _take_reference(self, rows: NDArray[np.float64], settings: dict[str, Any]) -> None:
        """Hold rows as `adapt` does, on this object."""

    def _start_window(self, rows: NDArray[Any], **settings: Any) -> None:
        """Hold rows as `adapt` does, from where the window may slide."""
        held = np.array(rows, np.float64)
        self._take_reference(held, settings)
        self._window = SlidingWindow(held, len(held), settings)

    def update(self, X_new: Any, *, window: int | None = None, every: int = 1) -> Self:
        """Let the reference slide on: newer rows of the domain come in, the oldest go.

        The statistics, neighbours and threshold are those of `adapt` on the rows of the window.
        They are taken anew at the next use and not here, so that a call costs the reading of its
        rows and no more.

        Parameters
        ----------
        X_new : array-like of shape (n_samples, n_features)
            Rows of the domain in order of time, mostly normal, as in `adapt`.
        window : int or None, default=None
            Rows that are held from now on, the newest. None: as many as before, at first those of
            `adapt`.
        every : int, default=1
            The statistics are taken anew at a use only when so many rows have come since the last
            time, so that a stream that is scored row by row does not pay for each.

        Returns
        -------
        self : object
            The adapted detector itself, as in `partial_fit` of scikit-learn's estimators.

        Raises
        ------
        ValueError
            Before `adapt`, for input that cannot be scored, and for rows of several domains; the
            window is unchanged.

        Notes
        -----
        Nothing is learnt: rows of an anomaly that stays become the new normal when they fill the
        window. Leave rows out that `predict` calls anomalies, or give `adapt` a `leave_out`, see
        docs/references.md.

        Examples
        --------
        >>> import numpy as np
        >>> from acr_sklearn import ZeroShotACRDetector
        >>> rng = np.random.default_rng(0)
        >>> sites = [rng.normal(rng.normal(0, 3, 4), 1.0, (200, 4)) for _ in range(6)]
        >>> detector = ZeroShotACRDetector(max_iter=20, random_state=0).fit(sites)
        >>> live = detector.adapt(rng.normal(5.0, 1.0, (200, 4)))
        >>> row = np.full((1, 4), 8.0)
        >>> live.predict(row)
        array([-1])
        >>> live.update(rng.normal(8.0, 1.0, (200, 4))).predict(row)
        array([1])
        """
        self._check_settings(*self._used_in_scoring)
        who = f"{type(self).__name__}.update"
        self._require_window(who)
        size = None if window is None else _whole(window, "window", self._fewest_rows, who)
        every = _whole(every, "every", 1, who)
        refuse_chunks(X_new, who)
        data = read_rows(self, X_new, None, reset=False, method="update")
        if len(data.labels) > 1:
            raise ValueError(
                f"{who} got rows of {len(data.labels)} domains, but holds one: call it with the "
                "rows of that domain, and hold a detector of its own (adapt) for each other."
            )
        rows = np.array(data.rows, np.float64)
        with _TURN:
            held = self._window
            assert held is not None
            self._window = held.pushed(rows, size or held.size, every)
        return self

    def _require_window(self, who: str) -> None:
        if not hasattr(self, "_batch_calibration"):
            self._check_for_scoring()  # says that it is not fitted
        if self._window is None or not self._scores_rows_singly():
            raise ValueError(
                f"{who} was called on a detector that scores no domain by its own reference. Call "
                "live = detector.adapt(X_ref) first, and update that; norm_mode='batch' holds none."
            )

    def _renew(self) -> None:
        """Take the statistics of the window anew where rows have come."""
        if self._window is None or not self._window.due or not self._scores_rows_singly():
            return
        self._check_settings(*self._used_in_scoring)  # offset_ is read without a check before
        with _TURN:
            window = self._window.joined()
            if window.due:  # no other thread was faster
                after = self._twin()
                after._take_reference(window.rows, window.settings)
                after._window = replace(window, waiting=0)
                before = self.__dict__.copy()
                changed = {k: v for k, v in vars(after).items() if v is not before.get(k)}
                # At once: no thread may meet one window's statistics with another's threshold.
                self.__dict__.update(changed)

    def _twin(self) -> Self:
        """Give an object with the same attributes, as they are now."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def _of_now(self) -> Self:
        if self._window is None:
            return self
        self._check_for_scoring()
        now = self._twin()
        now._window = None  # it slides no more
        return now

    def _check_for_scoring(self) -> None:
        super()._check_for_scoring()
        self._renew()

    def _settled(self, state: dict[str, Any]) -> dict[str, Any]:
        """Hold rows that wait as one array, in what a file or a copy is made of."""
        window = state.get("_window")
        return state if window is None else state | {"_window": window.joined()}


def _whole(value: Any, name: str, least: int, who: str) -> int:
    number = isinstance(value, Integral) and not isinstance(value, bool | np.bool_)
    if not number or value < least:
        raise ValueError(f"{who} got {name}={value!r}. Give a whole number of {least} or more.")
    return int(value)
