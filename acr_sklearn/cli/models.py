"""A detector together with what it knows of tables, in one file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.cli.columns import features_of
from acr_sklearn.cli.declaration import NUMBER, Column, Declaration
from acr_sklearn.cli.tables import Table
from acr_sklearn.cli.terminal import CommandError, Terminal
from acr_sklearn.datasets._tables import make_frame
from acr_sklearn.detectors import ZeroShotACRDetector
from acr_sklearn.persistence.estimators import load_with, save_with
from acr_sklearn.preprocessing import DomainImputer

__all__ = ["Model", "frame_of", "tell_empty"]

#: Under which the declaration stands in the file's metadata.
_TEXT = "table"


def frame_of(tables: Sequence[Table], declaration: Declaration) -> Any:
    """Turn tables into one frame of features.

    Parameters
    ----------
    tables : sequence of Table
        In this order.
    declaration : Declaration
        What their columns are.

    Returns
    -------
    pandas.DataFrame
        With a feature per column; nan where a value is missing.
    """
    parts = [features_of(table, declaration) for table in tables]
    names = declaration.features()
    return make_frame({name: np.concatenate([part[name] for part in parts]) for name in names})


def tell_empty(
    X: Any, domains: NDArray[Any], declaration: Declaration, where: str, terminal: Terminal
) -> None:
    """Say which columns have no value in a whole domain, so that nothing of it can fill them.

    Parameters
    ----------
    X : pandas.DataFrame
        From `frame_of`.
    domains : ndarray of shape (n_rows,), object
        The domain of each row.
    declaration : Declaration
        What the columns are.
    where : str
        What was read, for the note.
    terminal : Terminal
        Told.
    """
    for column in declaration.columns:
        there = X[column.features()[0]].notna().to_numpy(bool)
        empty = np.setdiff1d(domains.astype(str), domains[there].astype(str))
        if empty.size:
            more = f" and {empty.size - 1} more" if empty.size > 1 else ""
            terminal.note(
                f"{where}: column {column.name!r} has no value in domain {str(empty[0])!r}{more}; "
                "the median of training stands for it, which may be wrong there"
            )


@dataclass(frozen=True)
class Model:
    """What a file of the command holds.

    Attributes
    ----------
    detector : ZeroShotACRDetector
        Fitted.
    declaration : Declaration
        How tables become its rows.
    versions : dict of str
        Of the packages that wrote the file.
    """

    detector: Any
    declaration: Declaration
    versions: dict[str, str]

    @classmethod
    def fit(
        cls, detector: Any, X: Any, domains: NDArray[Any], known: Any, declaration: Declaration
    ) -> Model:
        """Train on rows with gaps.

        Parameters
        ----------
        detector : ZeroShotACRDetector
            Not fitted.
        X : pandas.DataFrame
            From `frame_of`.
        domains : ndarray of shape (n_rows,)
            The domain of each row.
        known : ndarray of bool of shape (n_rows,) or None
            Known anomalies.
        declaration : Declaration
            Of X, without what fills empty columns.

        Returns
        -------
        Model
            Fitted.
        """
        imputer = DomainImputer().fit(X, domains=domains)
        declaration = replace(declaration, fallback=tuple(imputer.fallback_.tolist()))
        model = cls(detector, declaration, {})
        detector.fit(model.filled(X, domains), domains=domains, known_anomalies=known)
        return model

    def filled(self, X: Any, domains: NDArray[Any]) -> Any:
        """Fill gaps, each from the domain of its row.

        Parameters
        ----------
        X : pandas.DataFrame
            From `frame_of`.
        domains : ndarray of shape (n_rows,)
            The domain of each row.

        Returns
        -------
        pandas.DataFrame
            Without gaps.
        """
        names = self.declaration.features()
        # Fitted on the one row of what was learnt, an imputer is the one that learnt it.
        imputer = DomainImputer().fit(np.array([self.declaration.fallback]))
        rows = imputer.transform(X.to_numpy(), domains=domains)
        return make_frame(dict(zip(names, rows.T, strict=True)))

    def save(self, path: str) -> None:
        """Write the file, whole or not at all."""
        save_with(self.detector, path, {_TEXT: self.declaration.to_text()}, who="fit")

    @classmethod
    def load(cls, path: str, *, who: str) -> Model:
        """Read a file of the command, or of a detector that was trained on frames.

        Parameters
        ----------
        path : str
            The file.
        who : str
            The command, for messages.

        Returns
        -------
        Model
            As it was saved.

        Raises
        ------
        CommandError
            For a file of another estimator, and one that does not name its columns.
        ValueError, OSError
            If the file cannot be read.
        """
        detector, texts = load_with(path, who=who)
        if not isinstance(detector, ZeroShotACRDetector):
            raise CommandError(
                f"{path}: holds a {type(detector).__name__}. Expected a model of acr-sklearn fit"
            )
        if _TEXT in texts:
            declaration = Declaration.from_text(texts[_TEXT], path)
        else:
            declaration = _of_names(detector, path)
        if len(declaration.features()) != detector.n_features_in_:
            raise CommandError(
                f"{path}: declares {len(declaration.features())} features for a detector of "
                f"{detector.n_features_in_}. It was changed since acr-sklearn fit wrote it"
            )
        return cls(detector, declaration, json.loads(texts.get("versions", "{}")))


def _of_names(detector: Any, path: str) -> Declaration:
    """Declare the columns of a detector that was saved in Python."""
    names = getattr(detector, "feature_names_in_", None)
    if names is None or detector.domain_column is not None:
        raise CommandError(
            f"{path}: was saved in Python and does not say what its columns are. Train it on "
            "DataFrames without a domain column, or by acr-sklearn fit"
        )
    columns = tuple(Column(str(name), NUMBER) for name in names)
    # Rows that the detector was trained on had no gaps, and left no values to fill any.
    return Declaration(columns, missing="refuse", fallback=(0.0,) * len(columns))
