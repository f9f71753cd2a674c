"""AnoShift: ten years of network traffic, in the yearly parquet files of its authors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import OneHotEncoder

from acr_sklearn._input.parameters import read_count
from acr_sklearn._input.paths import read_path
from acr_sklearn.datasets._files import need_file
from acr_sklearn.datasets._lists import listed_numbers
from acr_sklearn.datasets._tables import column_numbers, read_table
from acr_sklearn.datasets.domain_data import DomainData, LabelledDomain

__all__ = ["load_anoshift"]

# Which column is what: baselines_OOD_setup/load_anoshift.py in the authors' repository. Columns
# 14 to 17 and 19 (alerts of other detectors, addresses, time) are left out there as well.
_CATEGORICAL = ("0", "1", "2", "3", "13")
_NUMERICAL = tuple(str(number) for number in range(4, 13))
_LABEL = "18"
_LAST_IID_YEAR, _LAST_NEAR_YEAR = 2010, 2013
_YEARS = range(2006, 2016)
_LAYOUT = (
    "a yearly parquet file of AnoShift (Kyoto-2016_AnoShift/subset/<year>_subset.parquet) with the "
    "columns 0 to 19"
)


@dataclass(frozen=True)
class _Encoding:
    """How the columns of a frame become features: numbers first, then the categories."""

    encoder: OneHotEncoder | None

    @classmethod
    def fit(cls, frames: Sequence[Any], categorical: str) -> _Encoding:
        if categorical == "drop":
            return cls(None)
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)
        encoder.fit(np.concatenate([_categories(frame) for frame in frames]))
        return cls(encoder)

    @property
    def names(self) -> tuple[str, ...]:
        if self.encoder is None:
            return _NUMERICAL
        return (*_NUMERICAL, *map(str, self.encoder.get_feature_names_out(_CATEGORICAL)))

    def rows(self, frame: Any, path: Path) -> NDArray[np.float32]:
        numbers = np.stack([column_numbers(frame, name, path) for name in _NUMERICAL], axis=1)
        parts = [np.nan_to_num(numbers).astype(np.float32)]
        if self.encoder is not None:
            parts.append(self.encoder.transform(_categories(frame)))
        return np.concatenate(parts, axis=1)


def load_anoshift(
    folder: str | PathLike[str],
    *,
    train_years: Sequence[int] = (2006, 2007, 2008, 2009, 2010),
    test_years: Sequence[int] | None = None,
    size: Literal["subset", "full"] = "subset",
    categorical: Literal["onehot", "drop"] = "onehot",
    max_train_rows: int | None = None,
    random_state: int = 0,
) -> DomainData:
    """Read AnoShift with years as domains.

    Parameters
    ----------
    folder : path
        Kyoto-2016_AnoShift as it unpacks, or the folder inside it with the files of `size`:
        <year>_subset.parquet for 2006 to 2015, and <year>_subset_valid.parquet.
    train_years : sequence of int, default=(2006, 2007, 2008, 2009, 2010)
        Each is a training domain: the normal rows of its file.
    test_years : sequence of int or None, default=None
        Test domains, as in the AnoShift paper: of 2006 to 2010 the valid files, group "IID"; of
        2011 to 2013 the files themselves, "NEAR"; of 2014 and 2015 the same, "FAR". None is all.
    size : {"subset", "full"}, default="subset"
        Which files: those with 300,000 normal rows a year, or all.
    categorical : {"onehot", "drop"}, default="onehot"
        Columns 0 to 3 and 13 (duration and bytes in logarithmic bins, service, flag): one feature
        for each value seen in the training years, as the authors of AnoShift and of ACR do (a
        value not seen has zeros there), or left out.
    max_train_rows : int or None, default=None
        At most so many normal rows of a training year, drawn at random; None takes all, which is
        3.4 GB when encoded. Li et al. (2023) train on 5000.
    random_state : int, default=0
        Decides that draw.

    Returns
    -------
    DomainData
        Features are columns 4 to 12, as they are, missing values as 0, followed by the
        categories. The files of the test years are read when loaded, a year at a time.

    Raises
    ------
    FileNotFoundError
        If the file of a year is missing.
    ImportError
        If pandas or pyarrow is not installed.
    TypeError
        If `train_years` or `test_years` is no list of whole numbers.
    ValueError
        If a file is not parquet, is truncated, lacks columns, has labels other than 1, -1 and -2
        (1 is normal) or no normal rows, or on years and options that do not exist.

    References
    ----------
    .. [1] M. Dragoi, E. Burceanu, E. Haller, A. Manolache, F. Brad, "AnoShift: a distribution
       shift benchmark for unsupervised anomaly detection", NeurIPS 2022, arXiv:2206.15476; code
       and files: github.com/bit-ml/AnoShift.
    .. [2] A. Li, C. Qiu, M. Kloft, P. Smyth, M. Rudolph, S. Mandt, "Zero-Shot Anomaly Detection via
       Batch Normalization", NeurIPS 2023, arXiv:2302.07849.
    """
    who = "load_anoshift"
    train_years = listed_numbers(train_years, who=who, name="train_years", example=2006)
    test_years = _YEARS if test_years is None else test_years
    test_years = listed_numbers(test_years, who=who, name="test_years", example=2014)
    _check_options(train_years, test_years, size, categorical)
    if max_train_rows is not None:
        max_train_rows = read_count(max_train_rows, who=who, name="max_train_rows")
    given = read_path(folder, who=who, what="folder")
    root = given / size if (given / size).is_dir() else given
    test_paths = {year: _test_path(root, year, size) for year in test_years}
    for path in test_paths.values():
        need_file(path, _LAYOUT)
    train_paths = {year: root / f"{year}_{size}.parquet" for year in train_years}
    frames = {year: _read_year(path, categorical) for year, path in train_paths.items()}
    encoding = _Encoding.fit(list(frames.values()), categorical)
    train = []
    for year, path in train_paths.items():
        frame = frames.pop(year)  # frames of text are large: each is let go once encoded
        normal = np.flatnonzero(_labels(frame, path) == 1)
        if len(normal) == 0:
            raise ValueError(
                f"{path} has no normal rows (label 1 in column 18). Expected {_LAYOUT}."
            )
        if max_train_rows is not None and len(normal) > max_train_rows:
            rng = np.random.default_rng((random_state, year))
            normal = np.sort(rng.choice(normal, max_train_rows, replace=False))
        train.append(encoding.rows(frame.iloc[normal], path))
    test = [
        LabelledDomain(str(year), _group(year), partial(_load, path, encoding, categorical))
        for year, path in test_paths.items()
    ]
    names = [str(year) for year in train_years]
    return DomainData(train, names, test, feature_names=encoding.names)


def _check_options(
    train_years: Sequence[int], test_years: Sequence[int], size: str, categorical: str
) -> None:
    for name, years in (("train_years", train_years), ("test_years", test_years)):
        if not years or set(years) - set(_YEARS):
            raise ValueError(
                f"load_anoshift got {name}={tuple(years)}. Give some of the years 2006 to 2015."
            )
    for name, value, known in (
        ("size", size, ("subset", "full")),
        ("categorical", categorical, ("onehot", "drop")),
    ):
        if value not in known:
            raise ValueError(f"load_anoshift got {name}={value!r}. Choose from {', '.join(known)}.")


def _group(year: int) -> str:
    if year <= _LAST_IID_YEAR:
        return "IID"
    return "NEAR" if year <= _LAST_NEAR_YEAR else "FAR"


def _test_path(root: Path, year: int, size: str) -> Path:
    # The training years are tested on rows that were set aside.
    return root / f"{year}_{size}{'_valid' if year <= _LAST_IID_YEAR else ''}.parquet"


def _read_year(path: Path, categorical: str) -> Any:
    chosen = _CATEGORICAL if categorical == "onehot" else ()
    return read_table(path, _LAYOUT, [*chosen, *_NUMERICAL, _LABEL])


def _categories(frame: Any) -> NDArray[Any]:
    # As text, whatever a file stores: the same value has one name in every year.
    values: NDArray[Any] = frame[list(_CATEGORICAL)].astype(str).to_numpy(object)
    return values


def _labels(frame: Any, path: Path) -> NDArray[np.int8]:
    """Return 1 for normal rows, -1 for attacks, known (-1 in the file) and unknown (-2)."""
    raw = column_numbers(frame, _LABEL, path)
    odd = np.unique(raw[~np.isin(raw, [1, -1, -2])])
    if len(odd):
        raise ValueError(
            f"{path}, column 18: found {', '.join(f'{value:g}' for value in odd[:5])}. Expected "
            "the labels 1 (normal), -1 and -2 (attacks)."
        )
    return np.where(raw == 1, 1, -1).astype(np.int8)


def _load(
    path: Path, encoding: _Encoding, categorical: str
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    frame = _read_year(path, categorical)
    return encoding.rows(frame, path), _labels(frame, path)
