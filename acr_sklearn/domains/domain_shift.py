"""Domain shift: distance of a batch to the training domains.

What is compared is what scoring responds to: how the rows of a batch vary around their mean. The
mean itself and the overall spread are cancelled before the network, so neither counts.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from scipy.stats import t as student_t

from acr_sklearn._input.batch_checks import SMALL_BATCH, gives_batch_advice, shown_label
from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn.domains.feature_scale import FeatureScale, fit_scale, positions_by_domain
from acr_sklearn.exceptions import UnfamiliarBatchWarning

__all__ = ["UNFAMILIAR", "DomainShift", "fit_domain_shift", "warn_unfamiliar_batches"]

#: With fewer training domains there is no telling how far apart domains are.
_LEAST_DOMAINS = 3
#: Caps that keep the cost small on any data: evenly spaced features, domains, rows of a domain or
#: batch, and rows that the axes are measured on.
_FEATURES, _DOMAINS, _ROWS, _AXIS_ROWS = 512, 1024, 4096, 1024
#: Domains from which the fraction of chance in a distance is taken.
_NOISE_DOMAINS = 64
#: Multiple of the typical row's distance from the median beyond which a row is left out.
_GROSS = 3.0
#: Twice the standard normal's upper quartile, the length of its shortest half.
_HALF_LENGTH = 1.349
#: By how much the log length of the shortest half can grow when a third of the rows lie elsewhere:
#: what was the shortest half is then three quarters of the other rows, log(2.301 / 1.349).
_BIAS = 0.534
#: Shares of the squared reach and of chance that count. Anomalies take spreads towards the edge of
#: what they explain: there a difference counts outwards only, which is half; further inside, not at
#: all. Chosen on made domains and digits, see docs/concepts.md.
_LEFT_OF_REACH, _LEFT_OF_CHANCE = 0.25, 0.45
#: Growths of the overall spread that are tried, and training domains that they are tried on.
_GROWTHS, _NEAREST = np.linspace(0.0, _BIAS, 9), 16
#: Directions in which training rows vary most.
_AXES = 16
#: Added to variances relative to their mean, so that a feature that hardly varies does not decide.
_FLOOR = 0.1
#: Domains closer together than this, in the logarithm of a spread, count as equally close.
_LEAST_DISTANCE = 0.02
#: Spread of the log distances between neighbouring domains that is assumed at first, and how many
#: domains that assumption weighs: a handful of domains say little about their own spread.
_PRIOR_SPREAD, _PRIOR_DOMAINS = 0.4, 8
#: Probability with which a domain of the training's kind is to lie within reach, and multiple of
#: the reach from which a batch is called unfamiliar. These two and the prior were chosen on
#: validation domains, see docs/concepts.md.
_WITHIN, UNFAMILIAR = 0.95, 1.25
#: Probability with which chance alone does not carry a batch further.
_CHANCE = 0.99


@dataclass(frozen=True)
class DomainShift:
    """Spreads and centres of the training domains, and the distances between them.

    A view is a vector of log spreads, one per feature or one per common axis; its distance
    between two data sets is the root mean square difference.

    Attributes
    ----------
    scale : FeatureScale
        Standardization of the chosen features.
    features : ndarray of shape (n_chosen,), int
        Positions of the chosen features.
    axes : ndarray of shape (n_chosen, n_axes), float32
        Directions in which centred training rows vary most.
    views : tuple of two ndarray of shape (n_domains, n_chosen) and (n_domains, n_axes), float32
        Log spreads of the training domains.
    firm : tuple of two ndarray of bool
        Shapes of `views`: where fewer than half of the values were equal, so that anomalies can
        change the spread by a known factor only.
    reach : ndarray of shape (2,)
        Distance to the nearest training domain within which 19 in 20 new domains are expected,
        for each view.
    noise : ndarray of shape (2,)
        Mean square distance by which a data set is off by chance, times its number of rows.
    centers : ndarray of shape (n_domains, n_chosen)
        Medians of the training domains, in units of `scale`. They do not count: they are kept to be
        shown.
    domains : ndarray of shape (n_domains,), int
        Which of the domains of fit these are.
    """

    scale: FeatureScale
    features: NDArray[np.int64]
    axes: NDArray[np.float32]
    views: tuple[NDArray[np.float32], NDArray[np.float32]]
    firm: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    reach: NDArray[np.float64]
    noise: NDArray[np.float64]
    centers: NDArray[np.float64]
    domains: NDArray[np.int64]

    def spread_of(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Place of a batch among `spreads`, shape (n_chosen + n_axes,)."""
        views = _views(_spaced(rows), self.features, self.scale, self.axes)
        return self._joined(views[0].spreads[None], views[1].spreads[None])[0]

    def center_of(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Place of a batch among `centers`, shape (n_chosen,)."""
        return _center(_spaced(rows)[:, self.features], self.scale)

    @property
    def spreads(self) -> NDArray[np.float64]:
        """Both views of the training domains side by side, in units of their reach.

        Shape (n_domains, n_chosen + n_axes). The larger of the distances in the two views is at
        most the Euclidean distance of two rows.
        """
        return self._joined(*self.views)

    def _joined(self, spreads: NDArray[Any], along: NDArray[Any]) -> NDArray[np.float64]:
        parts = zip((spreads, along), self.reach, strict=True)
        return np.hstack([v / (reach * max(v.shape[1], 1) ** 0.5) for v, reach in parts])

    def distance(self, rows: NDArray[Any]) -> float:
        """Distance of a batch to the nearest training domain, relative to the reach.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            The batch, in the users' units.

        Returns
        -------
        float
            The larger of the two views'; up to about 1 for a domain of the training's kind. The
            same for the batch shifted by a constant per feature, or stretched as a whole. Only
            what a third of anomalous rows cannot explain counts.
        """
        views = _views(_spaced(rows), self.features, self.scale, self.axes)
        near = [
            _beyond_anomalies(own, known, firm)
            for own, known, firm in zip(views, self.views, self.firm, strict=True)
        ]
        # The mean of w squared standard normals is below chi2_w(0.99) / w with probability 0.99.
        # A small batch is off by chance, the more so the fewer numbers its distance is a mean of.
        widths = np.array([max(known.shape[1], 1) for known in self.views])
        chance = self.noise / min(len(rows), _ROWS) * chi2.ppf(_CHANCE, widths) / widths
        reach = np.sqrt(_LEFT_OF_REACH * self.reach**2 + _LEFT_OF_CHANCE * chance)
        return float(np.max(np.array(near) / reach))


def fit_domain_shift(
    rows: NDArray[Any], index: NDArray[np.int64], kept: NDArray[np.int64]
) -> DomainShift | None:
    """Measure the training domains.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Training rows in the users' units.
    index : ndarray of shape (n_rows,)
        Domain of each row.
    kept : ndarray of int
        Domains that were trained on; those held out are left out.

    Returns
    -------
    DomainShift or None
        None with fewer than 3 domains.
    """
    if len(kept) < _LEAST_DOMAINS:
        return None
    kept = _spaced(kept, _DOMAINS)
    features = _spaced(np.arange(rows.shape[1]), _FEATURES)
    positions = positions_by_domain(index, int(index.max()) + 1)
    parts = [rows[np.ix_(_spaced(positions[domain]), features)] for domain in kept]
    sizes = [len(part) for part in parts]
    whole = parts
    scale = fit_scale(np.concatenate(parts), np.repeat(np.arange(len(parts)), sizes), len(parts))
    # The axes of a few rows fit these rows' chance variation, so other rows are measured on them.
    axes = _common_axes([part[::2] if len(part) >= SMALL_BATCH else part for part in parts], scale)
    parts = [part[1::2] if len(part) >= SMALL_BATCH else part for part in parts]
    own = np.arange(len(features))
    both = list(zip(*(_views(part, own, scale, axes) for part in parts), strict=True))
    by_feature, by_axis = (np.stack([view.spreads for view in views]) for views in both)
    firm_features, firm_axes = (np.stack([view.firm for view in views]) for views in both)
    views = (by_feature, by_axis)
    few = _spaced(np.arange(len(parts)), _NOISE_DOMAINS)
    noise = np.mean([_noise(parts[i], scale, axes) for i in few], axis=0)
    reach = np.array([_reach(view) for view in views])
    centers = np.stack([_center(part, scale) for part in whole])
    firm = (firm_features, firm_axes)
    return DomainShift(scale, features, axes, views, firm, reach, noise, centers, kept)


def warn_unfamiliar_batches(
    domain_shift: DomainShift | None, data: DomainRows, *, who: str, stacklevel: int = 5
) -> None:
    """Warn once, naming the batches that look unlike every training domain.

    Parameters
    ----------
    domain_shift : DomainShift or None
        None says nothing.
    data : DomainRows
        The rows to be scored; batches of fewer than 16 rows are not judged.
    who : str
        For the message.
    stacklevel : int, default=5
        Frames up to the user's.
    """
    if domain_shift is None or not gives_batch_advice():
        return
    odd = []
    for label, batch in zip(data.labels, data.batches(), strict=True):
        if len(batch) < SMALL_BATCH:
            continue
        times = domain_shift.distance(data.rows[_spaced(batch)])
        if times > UNFAMILIAR:
            name = f"domain {shown_label(label)}" if data.named else "the batch"
            odd.append((times, f"{name} ({times:.1f} times)"))
    if not odd:
        return
    odd.sort(reverse=True)
    shown = ", ".join(text for _, text in odd[:5])
    more = f" and {len(odd) - 5} more" if len(odd) > 5 else ""
    warnings.warn(
        f"{who} got a batch unlike every training domain: {shown}{more}, as multiples of the "
        "distance to the nearest training domain that 95 % of new domains of their kind would "
        "keep. What was learnt may not hold there. Check the order, the units and the "
        "preprocessing of the features, not single anomalous rows, which hardly count; if they "
        "are right, fit again with such a domain.",
        UnfamiliarBatchWarning,
        stacklevel=stacklevel,
    )


def _spaced(items: NDArray[Any], most: int = _ROWS) -> NDArray[Any]:
    """Evenly spaced items, all of them when there are few."""
    if len(items) <= most:
        return items
    return items[np.linspace(0, len(items) - 1, most).round().astype(np.int64)]


def _centred(rows: NDArray[Any], scale: FeatureScale) -> NDArray[np.float64]:
    """All but gross outliers around their mean, standardized."""
    # The median comes out in the users' units, before an offset of 1e9 costs precision.
    around = np.subtract(rows, np.median(rows, axis=0), dtype=np.float64)
    around /= np.maximum(scale.scale, np.finfo(np.float64).tiny)
    # Anomalies are what a batch is scored for: a few gross ones must not make it unfamiliar.
    far = np.abs(around).sum(axis=1)
    typical = np.median(far)
    inner = around[far <= _GROSS * typical] if typical > 0 else around
    return inner - inner.mean(axis=0)


def _center(rows: NDArray[Any], scale: FeatureScale) -> NDArray[np.float64]:
    """Median row over the scale: a few gross anomalies do not move it."""
    divisor = np.maximum(scale.scale, np.finfo(np.float64).tiny)
    return np.median(np.asarray(rows, dtype=np.float64), axis=0) / divisor


def _common_axes(parts: list[NDArray[Any]], scale: FeatureScale) -> NDArray[np.float32]:
    """Leading principal axes of the centred rows of all domains, shape (n_features, n_axes)."""
    few = _spaced(np.concatenate([_centred(part, scale) for part in parts]), _AXIS_ROWS)
    if len(few) < few.shape[1]:
        # Axes of fewer rows than features follow these rows, and would find them strange or not
        # by whether they were among them.
        return np.empty((few.shape[1], 0), np.float32)
    return np.linalg.eigh(few.T @ few)[1][:, ::-1][:, :_AXES].astype(np.float32)


class _View(NamedTuple):
    """Log spreads, and where fewer than half of the values are equal."""

    spreads: NDArray[np.float32]
    firm: NDArray[np.bool_]


def _views(
    rows: NDArray[Any], features: NDArray[np.int64], scale: FeatureScale, axes: NDArray[np.float32]
) -> tuple[_View, _View]:
    """Log spreads per feature and per axis, relative to the overall spread."""
    centred = _centred(rows[:, features], scale)
    # The peak comes out first, so that squares neither overflow nor vanish.
    centred /= max(np.abs(centred).max(), np.finfo(np.float64).tiny)
    variances, firm = _robust_variances(centred)
    # A few anomalous rows decide the variance of a feature of mostly equal values.
    most = variances[firm].mean() if firm.any() else np.median(variances)
    variances = np.where(firm | (most == 0), variances, np.minimum(variances, most))
    typical = max(variances.mean(), np.finfo(np.float64).tiny)
    along, firm_along = _robust_variances(centred @ axes)
    by_feature, by_axis = (
        (0.5 * np.log(squares / typical + _FLOOR)).astype(np.float32)
        for squares in (variances, along)
    )
    return _View(by_feature, firm), _View(by_axis, firm_along)


def _robust_variances(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Variances by the shortest halves, or mean squares where most values are equal; and where not.

    A cluster of anomalies lengthens the shortest half less than it does the median absolute
    deviation, whose middle it moves too.
    """
    # Columns that lie together sort several times as fast; single precision keeps what counts.
    ordered = np.sort(np.ascontiguousarray(values.T, dtype=np.float32), axis=1)
    half = len(values) // 2
    spans = ordered[:, half:] - ordered[:, : len(values) - half]
    lengths = spans.min(axis=1).astype(np.float64) / _HALF_LENGTH
    firm = lengths > 0
    return np.where(firm, np.square(lengths), np.square(values).mean(axis=0)), firm


def _beyond_anomalies(own: _View, known: NDArray[np.float32], firm: NDArray[np.bool_]) -> float:
    """Distance to the nearest training domain that a third of anomalous rows cannot explain.

    They can make each spread larger by up to `_BIAS`, by any amount where most values are equal,
    and the overall spread, which all are relative to, by up to `_BIAS`. Taking the best case of
    these never makes the distance larger than that of the normal rows alone.
    """
    near = np.argsort(_distances(own.spreads[None], known)[0])[:_NEAREST]
    apart = own.spreads.astype(np.float64) - known[near]
    most = np.where(own.firm & firm[near], _BIAS, np.inf)
    grown = apart[:, None] + _GROWTHS[:, None]
    left = grown - np.clip(grown, 0.0, most[:, None])
    return float(np.sqrt(np.square(left).sum(axis=2).min() / max(len(own.spreads), 1)))


def _distances(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """Root mean square differences, shape (n_some, n_others)."""
    a, b = some.astype(np.float64), others.astype(np.float64)
    # |a - b|^2 = |a|^2 + |b|^2 - 2 a.b may round to just below 0 where a and b agree.
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0.0) / max(a.shape[1], 1))


def _noise(
    part: NDArray[Any], scale: FeatureScale, axes: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Chance mean square distance times the number of rows, from every second row and the rest."""
    if len(part) < SMALL_BATCH:
        return np.zeros(2)
    own = np.arange(part.shape[1])
    halves = [_views(part[start::2], own, scale, axes) for start in (0, 1)]
    apart = [
        _distances(a.spreads[None], b.spreads[None]).item() for a, b in zip(*halves, strict=True)
    ]
    # An error of mean square v / n in n rows is 2 v / n in each half; the difference of two
    # independent halves has the sum, 4 v / n: v is the mean square times n / 4.
    return np.square(apart) * len(part) / 4


def _reach(view: NDArray[np.float32]) -> float:
    """Upper prediction bound of the distance from one more domain to its nearest.

    The logarithms of the distances from each training domain to its nearest other are taken as
    normal, with a variance moderated towards a prior one as in G. K. Smyth, "Linear models and
    empirical Bayes methods ...", Statistical Applications in Genetics and Molecular Biology 3,
    2004.
    """
    apart = _distances(view, view)
    np.fill_diagonal(apart, np.inf)
    logs = np.log(np.maximum(apart.min(axis=1), _LEAST_DISTANCE))
    n = len(logs)
    # s^2 = (d0 s0^2 + (n - 1) s_n^2) / (d0 + n - 1); one more draw exceeds the mean of n by
    # less than t s sqrt(1 + 1 / n): 1 for its own spread, 1 / n for the error of the mean.
    freedom = _PRIOR_DOMAINS + n - 1
    variance = (_PRIOR_DOMAINS * _PRIOR_SPREAD**2 + (n - 1) * logs.var(ddof=1)) / freedom
    width = student_t.ppf(_WITHIN, freedom) * np.sqrt(variance * (1 + 1 / n))
    return float(np.exp(logs.mean() + width))
