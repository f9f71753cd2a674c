"""Which columns of a table are features, names of domains and row keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.utils.validation import check_is_fitted

from acr_sklearn._input.labels import shown_label
from acr_sklearn._input.validation import FOREIGN_ERRORS
from acr_sklearn.detectors._scoring import BatchScoring

__all__ = [
    "RESULTS",
    "ColumnPlan",
    "plan_columns",
    "refuse_odd_names",
    "require_detector",
    "scores_singly",
]

#: Columns that scoring adds.
RESULTS = ("score", "label", "p_value", "n_rows")
_SINGLE = ("raise", "missing")


@dataclass(frozen=True)
class ColumnPlan:
    """Columns of a table by what they are used for.

    Attributes
    ----------
    features : tuple
        Names of the features, in the order of fit.
    domain : hashable or None
        Name of the column that holds the names of the domains; None: all rows are one domain.
    keys : tuple
        Names of the columns that are carried over.
    if_single : {"raise", "missing"}
        What becomes of domains of one row.
    who : str
        The function that was called, for messages.
    """

    features: tuple[Any, ...]
    domain: Any
    keys: tuple[Any, ...]
    if_single: str = "raise"
    who: str = "score_frame"

    @property
    def carried(self) -> tuple[Any, ...]:
        """Names of the columns that stand before the scores."""
        domain = () if self.domain is None or self.domain in self.keys else (self.domain,)
        return (*self.keys, *domain)

    @property
    def needed(self) -> list[Any]:
        """Names of all columns that are looked at, each once."""
        return list(dict.fromkeys((*self.carried, *self.features)))


def scores_singly(detector: BatchScoring) -> bool:
    """Whether the detector scores every row by itself, so that domains do not matter.

    Parameters
    ----------
    detector : detector of this package
        Fitted.

    Returns
    -------
    bool
        True after `adapt`, and for a detector of a single data set.
    """
    return detector._scores_rows_singly()


def plan_columns(
    detector: Any,
    names: Sequence[Any],
    *,
    columns: Sequence[Any] | None,
    domain_column: Any,
    key: Any,
    if_single: str = "raise",
    who: str,
) -> ColumnPlan:
    """Settle which columns of a table are looked at.

    Parameters
    ----------
    detector : detector of this package
        Fitted.
    names : sequence
        Of the table's columns.
    columns, domain_column, key, if_single : object
        Of `score_frame`.
    who : str
        For the messages.

    Returns
    -------
    ColumnPlan
        With features in the order of fit.

    Raises
    ------
    TypeError
        For what is no detector of this package.
    ValueError
        For missing columns, and where it is not clear what the features are.
    """
    require_detector(detector, who=who)
    check_is_fitted(detector)
    detector._check_for_scoring()
    if not isinstance(if_single, str) or if_single not in _SINGLE:
        raise ValueError(f"{who} got if_single={_shown(if_single)}. It can be one of {_SINGLE}.")
    for what, given in (("columns", columns), ("domain_column", domain_column), ("key", key)):
        refuse_odd_names(given, what, who=who)
    if len(set(names)) != len(names):
        raise ValueError(f"{who} got a table with two columns of one name. Rename one of them.")
    own = getattr(detector, "domain_column", None)
    if domain_column is None and isinstance(own, str):
        domain_column = own
    features = _features(detector, columns, who)
    plan = ColumnPlan(features, domain_column, _keys(key), if_single, who)
    lacking = [name for name in plan.needed if name not in set(names)]
    if lacking:
        raise ValueError(
            f"{who} found no column {_listed(lacking)} in the table. Columns: {_listed(names)}."
        )
    if plan.domain is not None and plan.domain in plan.features:
        raise ValueError(
            f"{who} got domain_column={plan.domain!r}, which is one of the features of fit. The "
            "name of a domain is no feature: fit without that column, or with domain_column=."
        )
    taken = [name for name in plan.carried if name in RESULTS]
    if taken:
        raise ValueError(
            f"{who} would write over column {_listed(taken)}: it adds {', '.join(RESULTS)}. "
            "Rename that column first."
        )
    return plan


def require_detector(detector: Any, *, who: str) -> None:
    """Refuse what is no detector of this package, such as a pipeline with one in it.

    Parameters
    ----------
    detector : object
        What a user passed.
    who : str
        For the message.

    Raises
    ------
    TypeError
        Naming its class.
    """
    if not isinstance(detector, BatchScoring):
        raise TypeError(
            f"{who} got a detector of type {type(detector).__name__}. It needs a detector of this "
            "package by itself, such as ZeroShotACRDetector(): apply the other steps of a pipeline "
            "to the table first, for fit and for scores, and a threshold to the scores."
        )


def refuse_odd_names(given: Any, what: str, *, who: str) -> None:
    """Refuse names of columns that cannot be looked up.

    Parameters
    ----------
    given : object
        One name, a list of names, or None.
    what : str
        Name of the parameter.
    who : str
        For the message.

    Raises
    ------
    ValueError
        Naming the parameter.
    """
    listed = isinstance(given, list | tuple)
    if what == "columns" and given is not None and not listed:
        raise ValueError(f"{who} got columns={_shown(given)}. Pass a list of names of columns.")
    for name in given if listed and what != "domain_column" else [given]:
        try:
            hash(name)
            known = bool(name == name)  # not so for NaN, an error for others
        except FOREIGN_ERRORS:
            known = False
        if not known:
            raise ValueError(
                f"{who} got {what}={_shown(given)}. A column is named by a string, or by whatever "
                "else names it in the table; several by a list of such."
            )


def _shown(given: object) -> str:
    return shown_label(given)[:80]


def _keys(key: Any) -> tuple[Any, ...]:
    if key is None:
        return ()
    return tuple(dict.fromkeys(key)) if isinstance(key, list | tuple) else (key,)


def _features(detector: Any, columns: Sequence[Any] | None, who: str) -> tuple[Any, ...]:
    """Names of the features in the order of fit."""
    place = getattr(detector, "_domain_place", None)
    fitted = getattr(detector, "feature_names_in_", None)
    if fitted is not None:
        # The frame of fit may have held the domain's name under another name.
        known = tuple(name for i, name in enumerate(fitted) if i != place)
        if columns is not None and set(columns) != set(known):
            raise ValueError(
                f"{who} got columns={_listed(list(columns))}, and the detector was fitted on "
                f"{_listed(known)}. Leave columns= out: names and order are those of fit."
            )
        return known
    n_features = detector.n_features_in_ - (place is not None)
    if columns is None:
        raise ValueError(
            f"{who} got a detector that was fitted without column names, so that the order of the "
            f"columns in a table could change its scores. Pass columns=[...], the {n_features} "
            "features in the order of fit, or fit on a DataFrame."
        )
    if len(columns) != n_features or len(set(columns)) != n_features:
        raise ValueError(
            f"{who} got columns={_shown(columns)}. The detector was fitted on {n_features} "
            "features: pass a list of so many names, each once, in the order of fit."
        )
    return tuple(columns)


def _listed(names: Sequence[Any]) -> str:
    shown = ", ".join(shown_label(name) for name in list(names)[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
