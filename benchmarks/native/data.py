"""The sets with native labels: ``.npz`` files that anyone can build, see docs/native.md.

They are looked for in ``$ACR_SKLEARN_DATA/native``, or, where the variable is not set, in
``../shared/data/native`` beside the repository.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
FOLDER = Path("shared") / "data" / "native"
REQUIRED = ("X", "domain", "anomaly", "source", "licence")


@dataclass(frozen=True)
class NativeSet:
    """A set of several domains whose anomalies are labelled.

    Attributes
    ----------
    name : str
    X : float32 array of shape (n_rows, n_features)
    domain : array of shape (n_rows,)
        Name of the domain of each row.
    anomaly : bool array of shape (n_rows,)
    group : array of shape (n_rows,)
        What must not be both trained on and tested: the domain itself, or something wider.
    source, licence : str
        Where the rows come from and under which terms.
    """

    name: str
    X: np.ndarray
    domain: np.ndarray
    anomaly: np.ndarray
    group: np.ndarray
    source: str
    licence: str

    @property
    def domains(self) -> list[str]:
        """Return the names of the domains, sorted."""
        return sorted(map(str, np.unique(self.domain)))

    def normals(self, domain: str) -> np.ndarray:
        """Return the positions of the normal rows of a domain."""
        return np.flatnonzero((self.domain == domain) & ~self.anomaly)

    def anomalies(self, domain: str) -> np.ndarray:
        """Return the positions of the anomalous rows of a domain."""
        return np.flatnonzero((self.domain == domain) & self.anomaly)


def folder() -> Path:
    """Return where the sets are expected."""
    root = os.environ.get("ACR_SKLEARN_DATA")
    return Path(root) / "native" if root else ROOT.parent / FOLDER


def available() -> list[str]:
    """Return the names of the sets that are here."""
    return sorted(path.stem for path in folder().glob("*.npz"))


def read(name: str) -> NativeSet:
    """Read a set.

    Raises
    ------
    FileNotFoundError
        If it is not here.
    ValueError
        If it is not such a set; the message says what is wrong.
    """
    path = folder() / f"{name}.npz"
    if not path.is_file():
        raise FileNotFoundError(f"No set {name!r} in {folder()}; docs/native.md says how to build.")
    with np.load(path, allow_pickle=False) as file:
        if missing := [field for field in REQUIRED if field not in file]:
            raise ValueError(f"{name}.npz lacks {', '.join(missing)}.")
        content = {field: file[field] for field in (*REQUIRED, "group") if field in file}
    group = content.get("group", content["domain"])
    found = NativeSet(
        name=name,
        X=content["X"].astype(np.float32),
        domain=content["domain"].astype(str),
        anomaly=content["anomaly"].astype(bool),
        group=group.astype(str),
        source=str(content["source"]),
        licence=str(content["licence"]),
    )
    _check(found)
    return found


def _check(found: NativeSet) -> None:
    n_rows = len(found.X)
    for field in ("domain", "anomaly", "group"):
        if getattr(found, field).shape != (n_rows,):
            raise ValueError(f"{found.name}.npz: {field} must have one entry per row ({n_rows}).")
    if found.X.ndim != 2 or not np.isfinite(found.X).all():
        raise ValueError(f"{found.name}.npz: X must be 2-D and finite.")
    for domain in found.domains:
        if len(groups := np.unique(found.group[found.domain == domain])) != 1:
            raise ValueError(
                f"{found.name}.npz: domain {domain!r} is in the groups {', '.join(groups)}; "
                "a domain belongs to one."
            )
