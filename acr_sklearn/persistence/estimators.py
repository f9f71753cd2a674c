"""Save and load of fitted estimators: what a file says of itself, and what is refused."""

from __future__ import annotations

import functools
import json
import os
import platform
import warnings
from importlib import metadata
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from acr_sklearn.exceptions import LeftOutWarning
from acr_sklearn.persistence.container import pack, unpack
from acr_sklearn.persistence.decoder import Decoder
from acr_sklearn.persistence.encoder import Encoder
from acr_sklearn.persistence.registry import class_named, name_of
from acr_sklearn.persistence.whole_file import read_whole, write_whole

__all__ = ["FORMAT", "FileStorage", "load", "load_with", "save_with"]

#: Raised by one whenever a file of the next version could not be read by the version before, or
#: one of these not by the next without a step that fills what is missing.
FORMAT = 3
_RULE = (
    "A reader of format n reads files of every format up to n, and refuses later ones by their "
    "number. What an attribute means never changes under one number."
)
_VERSIONS = ("acr-sklearn", "numpy", "safetensors", "scikit-learn", "skorch", "torch")
#: What a table of entries that nobody's `save` has written may raise.
_FAULTS = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError),
    *(MemoryError, RuntimeError, TypeError, ValueError),
)


class FileStorage(BaseEstimator):
    """Estimators that can be saved to a file and loaded from it."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to a file.

        What is written is one safetensors file: parameters, versions and plain state as JSON in
        its metadata, all arrays as tensors. It appears whole or not at all, and replaces a file of
        that name. What is not in it: parameters that are the user's own objects (of a backbone the
        weights are), `memory`, and the moments of the optimizer. See docs/files.md.

        Parameters
        ----------
        path : str or os.PathLike
            The file, exactly; no suffix is added.

        Raises
        ------
        ValueError
            When the estimator is not fitted, or holds what no file may hold.
        OSError
            When the file system refuses; what was at the path is unchanged.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from acr_sklearn import ZeroShotACRDetector, load
        >>> rng = np.random.default_rng(0)
        >>> sites = [rng.normal(rng.normal(0, 3, 4), 1.0, (200, 4)) for _ in range(6)]
        >>> detector = ZeroShotACRDetector(max_iter=5, random_state=0).fit(sites)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     detector.save(f"{folder}/sites.safetensors")
        ...     again = load(f"{folder}/sites.safetensors")
        >>> bool((again.score_samples(sites[0]) == detector.score_samples(sites[0])).all())
        True
        """
        who = f"{type(self).__name__}.save"
        check_is_fitted(self)
        write_whole(path, _packed(self, who), who=who)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **parts: Any) -> Self:
        """Read a fitted estimator of this class from a file.

        No code of the file's runs. Tensors go to the device that they were on, or to the CPU where
        there is none. On the same machine and versions the estimator scores as it did, to the bit.

        Parameters
        ----------
        path : str or os.PathLike
            A file of `save`.
        **parts : object
            What the file leaves out, by the name of the parameter: ``backbone=MyNetwork(...)`` for
            a backbone of your own, which is copied and gets the weights of the file; ``net=``,
            ``callbacks=``, ``outlier_source=``, ``memory=`` for what a further fit needs.

        Returns
        -------
        estimator
            Fitted.

        Raises
        ------
        ValueError
            When the file is damaged, none of ours, of a later format or of another class, and
            when a backbone is missing or does not fit.
        OSError
            When the file system refuses.

        Warns
        -----
        LeftOutWarning
            For parameters that the file leaves out and `parts` does not bring; they have their
            defaults.
        """
        who = f"{cls.__name__}.load"
        loaded: Self = _loaded(read_whole(path, who=who), parts, who, repr(str(path)), cls)
        return loaded

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Give pickle, copy and joblib everything, as before there were files."""
        if name_of(type(self)) is None:  # a child of a user's, who may have a __getstate__
            return super().__reduce_ex__(protocol)
        return _blank, (type(self),), self._whole_state()

    def _whole_state(self) -> dict[str, Any]:
        """Everything that a pickle holds."""
        state: dict[str, Any] = super().__getstate__()
        return state

    def __getstate__(self) -> dict[str, Any]:
        """Give everyone else, such as skops, what a file holds: bytes, and no type of torch's."""
        if name_of(type(self)) is None:
            return self._whole_state()
        data = _packed(self, f"{type(self).__name__}.__getstate__")
        return {"file": np.frombuffer(data, np.uint8)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take either."""
        if state.keys() != {"file"}:
            super().__setstate__(state)
            return
        who = f"{type(self).__name__}.__setstate__"
        data = bytearray(np.asarray(state["file"], np.uint8).tobytes())
        self.__dict__.update(vars(_loaded(data, {}, who, "a state", type(self))))


def load(path: str | os.PathLike[str], **parts: Any) -> Any:
    """Read a fitted estimator of any class of this package from a file.

    Parameters
    ----------
    path : str or os.PathLike
        A file that an estimator's `save` wrote.
    **parts : object
        What the file leaves out, such as ``backbone=MyNetwork(...)``; see the class's own `load`.

    Returns
    -------
    estimator
        Fitted, of the class that was saved.

    Raises
    ------
    ValueError
        When the file is damaged, none of ours or of a later format, and when a backbone is
        missing or does not fit.
    OSError
        When the file system refuses.

    Warns
    -----
    LeftOutWarning
        For parameters that the file leaves out and `parts` does not bring.

    Examples
    --------
    >>> from acr_sklearn import load
    >>> load("no_such_file.safetensors")
    Traceback (most recent call last):
    ...
    FileNotFoundError: ...load cannot read 'no_such_file.safetensors': No such file or directory...
    """
    who = "acr_sklearn.load"
    return _loaded(read_whole(path, who=who), parts, who, repr(str(path)), None)


def save_with(
    estimator: Any, path: str | os.PathLike[str], texts: dict[str, str], *, who: str
) -> None:
    """Write a fitted estimator together with texts, as `FileStorage.save` does without.

    Parameters
    ----------
    estimator : FileStorage
        Any of ours.
    path : str or os.PathLike
        The file, exactly.
    texts : dict of str
        To stand in its metadata, under names that `save` does not use; `load` passes over them.
    who : str
        For the messages.

    Raises
    ------
    ValueError
        When the estimator holds what no file may hold.
    OSError
        When the file system refuses.
    """
    write_whole(path, _packed(estimator, who, texts), who=who)


def load_with(path: str | os.PathLike[str], *, who: str) -> tuple[Any, dict[str, str]]:
    """Read a fitted estimator and all texts of its file.

    Parameters
    ----------
    path : str or os.PathLike
        A file of `save` or `save_with`.
    who : str
        For the messages.

    Returns
    -------
    estimator : FileStorage
        Fitted.
    texts : dict of str
        The file's metadata.

    Raises
    ------
    ValueError
        As `load`.
    OSError
        When the file system refuses.
    """
    data = read_whole(path, who=who)
    estimator = _loaded(data, {}, who, repr(str(path)), None)
    return estimator, unpack(data)[0]


def _blank(cls: type[Any]) -> Any:
    """Make an object without attributes, for pickle to fill."""
    return object.__new__(cls)


def _packed(estimator: Any, who: str, more: dict[str, str] | None = None) -> bytes:
    name = name_of(type(estimator))
    if name is None:
        raise ValueError(
            f"{who} writes estimators of acr_sklearn itself, and {type(estimator).__qualname__} is "
            "a class of its user's: a file could not name it. Use pickle."
        )
    encoder = Encoder()
    try:
        root = encoder.encode(estimator, "")
    except ValueError as error:
        raise ValueError(f"{who}: the estimator {_said(error)}. Use pickle for it.") from error
    (_, _, parameters, fitted) = encoder.entries.pop(root["ref"])
    texts = (more or {}) | {
        "format": str(FORMAT),
        "rule": _RULE,
        "class": name,
        "parameters": _json(parameters),
        "versions": _versions(),
        "fitted": _json(fitted),
        "objects": _json(encoder.entries),
    }
    return pack(texts, encoder.tensors)


@functools.cache  # reading them took half the time of a save
def _versions() -> str:
    versions = {"python": platform.python_version()}
    for package in _VERSIONS:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # a tree of sources that nobody installed
            versions[package] = "unknown"
    return _json(versions)


def _said(error: ValueError) -> str:
    text = str(error).lstrip(".")
    return text if text.startswith("has ") else f"holds what no file may hold: {text}"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _loaded(
    data: bytearray, parts: dict[str, Any], who: str, shown: str, wanted: type[Any] | None
) -> Any:
    try:
        texts, tensors = unpack(data)
        _check_format(texts)
    except ValueError as error:
        raise ValueError(f"{who} got {shown}, which {error}.") from error
    _check_class(texts["class"], wanted, who, shown)
    decoder = Decoder(tensors, parts)
    try:
        loaded = _decoded(texts, decoder)
    except LookupError as error:
        if type(error) is LookupError:  # of a user's backbone, not of a fault in the file
            raise ValueError(f"{who} got {shown}, which {error.args[0]}.") from error
        raise ValueError(_broken(who, shown, error)) from error
    except _FAULTS as error:
        raise ValueError(_broken(who, shown, error)) from error
    _tell_left_out(decoder, who)
    return loaded


def _broken(who: str, shown: str, error: Exception) -> str:
    return (
        f"{who} got {shown}, whose state fits no estimator of this version "
        f"({type(error).__name__}: {error}). It was not written by save, or was changed since."
    )


def _check_format(texts: dict[str, str]) -> None:
    number = texts["format"]
    if not number.isascii() or not number.isdigit() or len(number) > 9 or int(number) < 1:
        raise ValueError(f"has the format {number[:20]!r}, which is no number of a format")
    if int(number) > FORMAT:
        raise ValueError(
            f"has format {number}; this version of acr_sklearn reads formats up to {FORMAT}. "
            "Update acr_sklearn"
        )
    for name in ("class", "parameters", "fitted", "objects"):
        if name not in texts:
            raise ValueError(f"lacks {name!r} among its metadata")


def _check_class(name: str, wanted: type[Any] | None, who: str, shown: str) -> None:
    try:
        found = class_named(name)
    except ValueError as error:
        raise ValueError(f"{who} got {shown}, which {error}.") from error
    if not issubclass(found, FileStorage):
        raise ValueError(f"{who} got {shown} with a {name}, which is no estimator.")
    if wanted is not None and found is not wanted:
        raise ValueError(
            f"{who} got {shown}, a file of a {name}. Use {name}.load or acr_sklearn.load."
        )


def _decoded(texts: dict[str, str], decoder: Decoder) -> Any:
    parameters, fitted, entries = (
        json.loads(texts[name]) for name in ("parameters", "fitted", "objects")
    )
    decoder.table(entries)
    return decoder.estimator(texts["class"], parameters, fitted)


def _tell_left_out(decoder: Decoder, who: str) -> None:
    if unknown := decoder.given.keys() - decoder.used:
        raise ValueError(
            f"{who} got {min(unknown)}=, which the file does not leave out. Set it by set_params "
            "on what is loaded."
        )
    if decoder.left_out:
        names = ", ".join(f"{name} (a {kind})" for name, kind in decoder.left_out.items())
        first = next(iter(decoder.left_out))
        warnings.warn(
            f"{who} found a file without {names}: what is a user's own is not in a file. Scores "
            f"are as before; a further fit has the default. Pass load(path, {first}=...) to have "
            "it.",
            LeftOutWarning,
            stacklevel=4,
        )
