"""A folder of tables, one domain a file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.datasets._files import need_folder
from acr_sklearn.datasets._tables import column_numbers, read_table
from acr_sklearn.datasets.domain_data import DomainData, LabelledDomain

__all__ = ["load_folder"]

_EXPECTED = "a folder of .csv or .parquet files, one domain each"


def load_folder(
    folder: str | PathLike[str], *, label: str | None = None, test: Sequence[str] = ()
) -> DomainData:
    """Read a folder of CSV or parquet files, one domain a file.

    Parameters
    ----------
    folder : path
        With <domain>.csv (a header line, commas) or <domain>.parquet. All have the same columns
        of numbers, in any order; the first file by name decides theirs.
    label : str or None, default=None
        Column with 1 for normal rows and -1 for anomalies. It is no feature. None takes every
        row for normal.
    test : sequence of str, default=()
        Names of the domains to test on; needs `label`. All other files are training domains, of
        which the normal rows are kept.

    Returns
    -------
    DomainData
        Domains in the order of their names, test domains as given and with the group "test".
        Values are as in the files.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, it holds no tables, or none of a name in `test`.
    ImportError
        If pandas or pyarrow is not installed.
    ValueError
        If a file cannot be read, has other columns than the first, values that are missing or no
        numbers, or labels other than 1 and -1; if two files have one name; if nothing is left to
        train on.

    Examples
    --------
    >>> from acr_sklearn.datasets import load_folder
    >>> data = load_folder("sites", label="fault", test=["north"])  # doctest: +SKIP
    >>> detector.fit(data.train)  # doctest: +SKIP
    """
    paths = _tables(Path(folder))
    for name in test:
        if name not in paths:
            raise FileNotFoundError(
                f"No {name}.csv or {name}.parquet in {folder}, named in test=. It has "
                f"{', '.join(paths)}."
            )
    if test and label is None:
        raise ValueError(
            f"load_folder got test={list(test)} without label. Name the column that tells "
            "normal rows (1) from anomalies (-1)."
        )
    seen = [name for name in paths if name not in test]
    if not seen:
        raise ValueError(
            f"load_folder: test names every file of {folder}; none is left to train on."
        )
    first = next(iter(paths.values()))
    columns = [c for c in read_table(first, "a table").columns if c != label]
    load = partial(_load, columns=columns, label=label, first=first)
    train = []
    for name in seen:
        rows, y = load(paths[name])
        if not (y == 1).any():
            raise ValueError(f"{paths[name]} has no normal rows to train on; leave it out.")
        train.append(rows[y == 1])
    return DomainData(
        train,
        seen,
        [LabelledDomain(name, "test", partial(load, paths[name])) for name in test],
        feature_names=tuple(columns),
    )


def _tables(folder: Path) -> dict[str, Path]:
    need_folder(folder, _EXPECTED)
    paths: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda p: p.stem):
        if path.suffix not in {".csv", ".parquet"} or path.name.startswith("."):
            continue
        if path.stem in paths:
            raise ValueError(
                f"{folder} has {paths[path.stem].name} and {path.name}. Expected one file per "
                "domain: rename or remove one."
            )
        paths[path.stem] = path
    if not paths:
        raise FileNotFoundError(f"No tables in {folder}. Expected {_EXPECTED}.")
    return paths


def _load(
    path: Path, columns: list[str], label: str | None, first: Path
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    frame = read_table(path, "a table")
    wanted = [*columns, *([label] if label is not None else [])]
    missing = [name for name in wanted if name not in frame]
    extra = [name for name in frame.columns if name not in wanted]
    if missing or extra:
        lacks = f"lacks {', '.join(missing)}" if missing else f"also has {', '.join(extra)}"
        raise ValueError(f"{path} {lacks}. Expected the columns of {first}: {', '.join(wanted)}.")
    values = {name: column_numbers(frame, name, path) for name in wanted}
    for name, numbers in values.items():
        if np.isnan(numbers).any():
            row = int(np.flatnonzero(np.isnan(numbers))[0])
            raise ValueError(
                f"{path}, column {name!r}, row {row}: a value is missing. Expected complete "
                "columns of numbers: fill or drop such rows first."
            )
    y = np.ones(len(frame)) if label is None else values[label]
    if odd := sorted(set(y.tolist()) - {1.0, -1.0}):
        raise ValueError(
            f"{path}, column {label!r}: found {odd[0]:g}. Expected the labels 1 (normal) and -1."
        )
    rows = np.stack([values[name] for name in columns], axis=1).astype(np.float32)
    return rows, y.astype(np.int8)
