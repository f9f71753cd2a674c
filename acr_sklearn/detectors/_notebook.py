"""What a notebook shows of a fitted detector below scikit-learn's diagram."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

__all__ = ["NotebookDisplay", "fitted_facts"]

#: Names of domains and columns that are spelled out, and letters of each.
_NAMED, _LETTERS = 5, 24


class NotebookDisplay(BaseEstimator):
    """Detectors that show domains, training and threshold in a notebook once they are fitted."""

    @property
    def _repr_html_(self) -> Callable[[], str]:
        """Show the diagram and the facts; absent where scikit-learn is set to show text."""
        diagram: Callable[[], str] = super()._repr_html_  # AttributeError with display="text"
        return lambda: diagram() + _table(fitted_facts(self))

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """Give notebooks the same."""
        bundle: dict[str, str] = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] += _table(fitted_facts(self))
        return bundle

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        """List fitted attributes for the diagram; none where one has no value now."""
        try:
            return super()._get_fitted_attr_html(doc_link)
        except (TypeError, ValueError):
            # scikit-learn reads them all, and settings that fit no more leave no threshold.
            return {}


def fitted_facts(detector: Any) -> dict[str, str]:
    """Say in words what a fitted detector was trained on, and how it scores and cuts.

    Parameters
    ----------
    detector : BaseBatchDetector
        Fitted or not.

    Returns
    -------
    dict of str to str
        Empty before fit.
    """
    try:
        check_is_fitted(detector)
    except NotFittedError:
        return {}
    names = getattr(detector, "feature_names_in_", ())
    facts: dict[str, Callable[[], str]] = {
        "Trained on": lambda: _trained_on(detector),
        "Features": lambda: _listed(detector.n_features_in_, names),
        "Training": lambda: _training(detector),
        "Rows are scored": lambda: _scored(detector),
        "Threshold": lambda: f"{_threshold(detector)}, contamination={detector.contamination!r}",
    }
    return {name: _told(fact) for name, fact in facts.items()}


def _told(fact: Callable[[], str]) -> str:
    """Tell a fact, or what of the settings now leaves none: a display raises no error."""
    try:
        return fact()
    except (AttributeError, TypeError, ValueError) as error:
        return f"not known: {error}"


def _trained_on(detector: Any) -> str:
    if detector.n_domains_ == 1:
        return "1 data set"
    return f"{_listed(detector.n_domains_, detector.domains_)} (domains)"


def _training(detector: Any) -> str:
    steps = f"{detector.n_iter_} steps"
    kept = [line for line in detector.history_ if line.get("n_steps") == detector.n_iter_]
    measured = [line["valid_auc"] for line in kept if "valid_auc" in line]
    return f"{steps}, AUROC on held-out domains {measured[-1]:.3f}" if measured else steps


def _scored(detector: Any) -> str:
    if not detector._scores_rows_singly():
        return "in batches, each domain's rows beside one another"
    window = getattr(detector, "_window", None)
    if window is None:
        return "one by one"
    return f"one by one, held against a reference of at most {window.size} rows (adapt)"


def _threshold(detector: Any) -> str:
    how = getattr(detector, "threshold", "train")
    if how == "batch" and not detector._scores_rows_singly():
        return "set in each batch"
    return f"offset_={detector.offset_:.4g}"


def _listed(number: int, names: Iterable[Any]) -> str:
    texts = [str(name) for name in names]
    shown = [t if len(t) <= _LETTERS else t[: _LETTERS - 1] + "…" for t in texts[:_NAMED]]
    if not shown:
        return str(number)
    return f"{number}: {', '.join(shown)}{', …' if len(texts) > _NAMED else ''}"


def _table(facts: dict[str, str]) -> str:
    if not facts:
        return ""
    style = 'style="text-align: left; padding: 1px 8px; font-weight: normal"'
    rows = "".join(
        f"<tr><th scope='row' {style}>{escape(name)}</th><td {style}>{escape(text)}</td></tr>"
        for name, text in facts.items()
    )
    # No colours: those of the notebook's theme hold.
    return f'<table class="acr-fitted" style="font-size: smaller">{rows}</table>'
