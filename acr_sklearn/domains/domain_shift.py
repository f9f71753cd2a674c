"""Domain shift: distance of a batch to the training domains.

What is compared is what scoring responds to: how the rows of a batch vary around their mean. The
mean itself and the overall spread are cancelled before the network, so neither counts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from scipy.stats import t as student_t

from acr_sklearn._input.batch_checks import SMALL_BATCH, gives_advice, shown_label
from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn.domains.feature_scale import fit_scale, positions_by_domain
from acr_sklearn.domains.odd_columns import (
    OddColumn,
    log_spreads,
    odd_columns,
    odd_columns_in_words,
    spread_ratios,
    variances_of,
)
from acr_sklearn.domains.robust_spreads import (
    LARGEST_SAMPLE,
    RobustSpreads,
    fit_robust_spreads,
    spaced,
)
from acr_sklearn.exceptions import UnfamiliarBatchWarning

__all__ = ["UNFAMILIAR", "DomainShift", "fit_domain_shift", "warn_unfamiliar_batches"]

#: With fewer training domains there is no telling how far apart domains are.
_LEAST_DOMAINS = 3
#: Caps that keep the cost small on any data: evenly spaced features and domains.
_FEATURES, _DOMAINS = 512, 1024
#: Domains from which the fraction of chance in a distance is taken.
_NOISE_DOMAINS = 16
#: Rows of the small batches that chance is measured in, and such batches of a domain.
_SMALL_ROWS, _SMALL_PARTS = 24, 6
#: Domains closer together than this, in the logarithm of a spread, count as equally close.
_LEAST_DISTANCE = 0.02
#: Spread of the log distances between neighbouring domains that is assumed at first, and how many
#: domains that assumption weighs: a handful of domains say little about their own spread.
_PRIOR_SPREAD, _PRIOR_DOMAINS = 0.3, 8
#: Probability with which a domain of the training's kind is to lie within reach, and multiple of
#: the reach from which a batch is called unfamiliar.
_WITHIN, UNFAMILIAR = 0.95, 1.0
#: Batches that a warning names, and rounds in which the ratios of their columns settle.
_SHOWN, _ROUNDS = 5, 3
_MOST = np.finfo(np.float64).max
#: Probability with which chance alone does not carry a batch further.
_CHANCE = 0.99
#: Distance by which up to a third of anomalous rows carry a batch that lie too close to be left
#: out. This, the prior and the multiple were chosen on made domains and digits, see
#: docs/batches.md.
_ANOMALIES = 0.3


@dataclass(frozen=True)
class DomainShift:
    """Spreads and centres of the training domains, and the distances between them.

    A profile is a vector of log spreads, one per feature or one per common axis; its distance
    between two data sets is the root mean square difference.

    Attributes
    ----------
    ruler : RobustSpreads
        How rows are measured: the chosen features, their units, the common axes, which rows belong.
    profiles : tuple of two ndarray of shape (n_domains, n_chosen) and (n_domains, n_axes), float32
        Log spreads of the training domains.
    reach : ndarray of shape (2,)
        Distance to the nearest training domain within which 19 in 20 new domains are expected,
        for each profile.
    noise : ndarray of shape (2, 2)
        Square distance beyond which chance carries 1 in 100 data sets, times the number of rows,
        for each profile, in large and in small ones.
    noise_rows : ndarray of shape (2,)
        Numbers of rows of these.
    centers : ndarray of shape (n_domains, n_chosen)
        Medians of the training domains, in units of the ruler's scale. They do not count: they are
        kept to be shown.
    domains : ndarray of shape (n_domains,), int
        Which of the domains of fit these are.
    """

    ruler: RobustSpreads
    profiles: tuple[NDArray[np.float32], NDArray[np.float32]]
    reach: NDArray[np.float64]
    noise: NDArray[np.float64]
    noise_rows: NDArray[np.float64]
    centers: NDArray[np.float64]
    domains: NDArray[np.int64]

    def spread_of(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Place of a batch among `spreads`, shape (n_chosen + n_axes,)."""
        by_feature, by_axis = self.ruler.profiles(rows)
        return self._joined(by_feature[None], by_axis[None])[0]

    def center_of(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Place of a batch among `centers`, shape (n_chosen,)."""
        return self.ruler.center(rows)

    @property
    def spreads(self) -> NDArray[np.float64]:
        """Both profiles of the training domains side by side, in units of their reach.

        Shape (n_domains, n_chosen + n_axes). The larger of the distances in the two profiles is at
        most the Euclidean distance of two rows.
        """
        return self._joined(*self.profiles)

    def _joined(self, spreads: NDArray[Any], along: NDArray[Any]) -> NDArray[np.float64]:
        parts = zip((spreads, along), self.reach, strict=True)
        return np.hstack([v / (reach * max(v.shape[1], 1) ** 0.5) for v, reach in parts])

    def distance(self, rows: NDArray[Any]) -> float:
        """Distance of a batch to the nearest training domain, relative to the reach.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            The batch, in the users' units. Of more than 512 rows that many evenly spaced ones are
            looked at.

        Returns
        -------
        float
            The larger of the two profiles'; up to about 1 for a domain of the training's kind. The
            same for the batch shifted by a constant per feature, or stretched as a whole. Up to a
            third of anomalous rows hardly count.
        """
        profiles = self.ruler.profiles(rows)
        near = [
            _distances(own[None], known).min()
            for own, known in zip(profiles, self.profiles, strict=True)
        ]
        return float(np.max(near / self._within(len(rows))))

    def _within(self, n_rows: int) -> NDArray[np.float64]:
        """Distance up to which a batch of so many rows is familiar, for each profile."""
        one_over = 1 / min(n_rows, LARGEST_SAMPLE)
        chance = [
            one_over * np.interp(one_over, 1 / self.noise_rows, noise) for noise in self.noise
        ]
        return np.sqrt(self.reach**2 + np.array(chance) + _ANOMALIES**2)

    def odd_columns(self, rows: NDArray[Any]) -> list[OddColumn]:
        """Find the few features that make a batch unfamiliar, where it is no more than a few.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            An unfamiliar batch, as for `distance`.

        Returns
        -------
        list of OddColumn
            At most three, beside the training domain whose spreads are nearest.
        """
        variances, _ = self.ruler.variances(rows)
        within = self._within(len(rows))[0]

        def apart(some: NDArray[Any]) -> NDArray[np.float64]:
            profile, _ = log_spreads(some, some[:0])
            return _distances(profile[None], self.profiles[0])[0]

        known = variances_of(self.profiles[0][apart(variances).argmin()])
        found = odd_columns(variances, known, lambda some: bool(apart(some).min() <= within))
        return self._measured_anew(rows, known, found)

    def _measured_anew(
        self, rows: NDArray[Any], known: NDArray[np.float64], found: list[OddColumn]
    ) -> list[OddColumn]:
        """Take the ratios where no column decides which rows belong, and the places in `rows`.

        Rows far out in a column that is much too wide would be left out, and the ratio too small.
        """
        factors = {column.position: column.ratio for column in found if 0 < column.ratio < np.inf}
        rows = rows.astype(np.float64)
        for _ in range(_ROUNDS):
            mended = rows.copy()
            for position, factor in factors.items():
                column = mended[:, self.ruler.features[position]]
                with np.errstate(over="ignore", under="ignore"):
                    column /= factor
                np.clip(column, -_MOST, _MOST, out=column)
            left = spread_ratios(self.ruler.variances(mended)[0], known)
            anew = {position: factor * left[position] for position, factor in factors.items()}
            factors |= {position: f for position, f in anew.items() if 0 < f < np.inf}
        return [
            OddColumn(int(self.ruler.features[at]), float(factors.get(at, ratio)))
            for at, ratio in found
        ]


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
    kept = spaced(kept, _DOMAINS)
    features = spaced(np.arange(rows.shape[1]), _FEATURES)
    positions = positions_by_domain(index, int(index.max()) + 1)
    parts = [
        rows[np.ix_(spaced(positions[domain], 2 * LARGEST_SAMPLE), features)] for domain in kept
    ]
    sizes = [len(part) for part in parts]
    scale = fit_scale(np.concatenate(parts), np.repeat(np.arange(len(parts)), sizes), len(parts))
    # The axes of a few rows fit these rows' chance variation, so other rows are measured on them.
    axis_parts, own_parts = (
        [part[start::2] if len(part) >= SMALL_BATCH else part for part in parts] for start in (0, 1)
    )
    ruler = fit_robust_spreads(axis_parts, scale)
    by_feature, by_axis = zip(*(ruler.profiles(part) for part in own_parts), strict=True)
    profiles = (np.stack(by_feature), np.stack(by_axis))
    few = [parts[i] for i in spaced(np.arange(len(parts)), _NOISE_DOMAINS)]
    noise, noise_rows = _noise(few, ruler)
    reach = np.array([_reach(profile) for profile in profiles])
    centers = np.stack([ruler.center(part) for part in parts])
    return DomainShift(
        replace(ruler, features=features), profiles, reach, noise, noise_rows, centers, kept
    )


def warn_unfamiliar_batches(
    domain_shift: DomainShift | None,
    data: DomainRows,
    *,
    who: str,
    names: Callable[[], Sequence[Any]],
    stacklevel: int = 5,
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
    names : callable
        Gives the names of the columns of `data`, or their positions in what the user passed.
    stacklevel : int, default=5
        Frames up to the user's.
    """
    if domain_shift is None or not gives_advice():
        return
    odd: list[tuple[float, str]] = []
    worst: list[tuple[float, str, NDArray[Any]]] = []
    for label, batch in zip(data.labels, data.batches(), strict=True):
        if len(batch) < SMALL_BATCH:
            continue
        rows = data.rows[spaced(batch)]
        times = domain_shift.distance(rows)
        if times > UNFAMILIAR:
            name = f"domain {shown_label(label)}" if data.named else "the batch"
            odd.append((times, str(label)))
            worst = sorted([*worst, (times, name, rows)], key=lambda one: -one[0])[:_SHOWN]
    if not odd:
        return
    shown = ", ".join(f"{name} ({times:.1f} times)" for times, name, _ in worst)
    more = f" and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else ""
    reasons = "".join(_reason(domain_shift, name, rows, names()) for _, name, rows in worst)
    warning = UnfamiliarBatchWarning(
        f"{who} got a batch unlike every training domain: {shown}{more}, as multiples of the "
        "distance to the nearest training domain that 95 % of new domains of their kind would "
        f"keep. {reasons}What was learnt may not hold there. Check the order, the units and the "
        "preprocessing of the features, not single anomalous rows, which hardly count; if they "
        "are right, fit again with such a domain."
    )
    odd.sort(key=lambda one: -one[0])
    warning.domains = tuple(label for _, label in odd) if data.named else ()
    warning.reasons = reasons.strip()
    warnings.warn(warning, stacklevel=stacklevel)


def _reason(
    domain_shift: DomainShift, name: str, rows: NDArray[Any], columns: Sequence[Any]
) -> str:
    """Sentence that names the columns by which a batch is unfamiliar, where there are such."""
    odd = domain_shift.odd_columns(rows)
    if not odd:
        return ""
    return f"{name[0].upper()}{name[1:]} differs mostly in {odd_columns_in_words(odd, columns)}. "


def _distances(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """Root mean square differences, shape (n_some, n_others)."""
    a, b = some.astype(np.float64), others.astype(np.float64)
    # |a - b|^2 = |a|^2 + |b|^2 - 2 a.b may round to just below 0 where a and b agree.
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0.0) / max(a.shape[1], 1))


def _noise(
    parts: list[NDArray[Any]], ruler: RobustSpreads
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Chance square distance times the number of rows, in halves of domains and in small parts."""
    halves: list[NDArray[np.float64]] = []
    small: list[NDArray[np.float64]] = []
    for part in (part for part in parts if len(part) >= SMALL_BATCH):
        one, other, whole = (ruler.profiles(some) for some in (part[::2], part[1::2], part))
        # The difference of two independent sets of n rows has twice the mean square of one.
        halves.append(_squares(one, other) * (len(part) // 2) / 2)
        step = max(len(part) // _SMALL_ROWS, 2)
        few = [part[start::step] for start in range(min(step, _SMALL_PARTS))]
        small.extend(_squares(ruler.profiles(some), whole) * len(some) for some in few)
    if not halves:
        return np.zeros((2, 2)), np.array([1.0, 1.0])
    # The mean of w squared standard normals is below chi2_w(0.99) / w with probability 0.99. In a
    # small part it may be far from normal: a rare value is there or not.
    widths = np.array([max(len(ruler.divisor), 1), max(len(ruler.axes), 1)])
    most = chi2.ppf(_CHANCE, widths) / widths
    rare = np.maximum(most * np.mean(small, axis=0), np.quantile(small, _CHANCE, axis=0))
    rows = max(float(np.mean([len(part) for part in parts])) / 2, _SMALL_ROWS)
    return np.stack([most * np.mean(halves, axis=0), rare], axis=1), np.array([rows, _SMALL_ROWS])


def _squares(
    some: tuple[NDArray[np.float32], ...], others: tuple[NDArray[np.float32], ...]
) -> NDArray[np.float64]:
    """Square distances of two data sets in both profiles."""
    pairs = zip(some, others, strict=True)
    return np.array([_distances(a[None], b[None]).item() ** 2 for a, b in pairs])


def _reach(profile: NDArray[np.float32]) -> float:
    """Upper prediction bound of the distance from one more domain to its nearest.

    The logarithms of the distances from each training domain to its nearest other are taken as
    normal, with a variance moderated towards a prior one as in G. K. Smyth, "Linear models and
    empirical Bayes methods ...", Statistical Applications in Genetics and Molecular Biology 3,
    2004.
    """
    apart = _distances(profile, profile)
    np.fill_diagonal(apart, np.inf)
    logs = np.log(np.maximum(apart.min(axis=1), _LEAST_DISTANCE))
    n = len(logs)
    # s^2 = (d0 s0^2 + (n - 1) s_n^2) / (d0 + n - 1); one more draw exceeds the mean of n by
    # less than t s sqrt(1 + 1 / n): 1 for its own spread, 1 / n for the error of the mean.
    freedom = _PRIOR_DOMAINS + n - 1
    variance = (_PRIOR_DOMAINS * _PRIOR_SPREAD**2 + (n - 1) * logs.var(ddof=1)) / freedom
    width = student_t.ppf(_WITHIN, freedom) * np.sqrt(variance * (1 + 1 / n))
    return float(np.exp(logs.mean() + width))
