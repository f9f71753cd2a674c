"""Results of finished units of work, kept so that a killed run goes on where it was.

A file is written beside its place and then moved there, which a file system does whole or not at
all: whenever a run is killed, what lies there is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

REMEDY = "Give another --out, or --fresh to drop them."
SHOWN = 6  # of the settings that differ; data may differ in a thousand places
# What pickle raises on bytes that are none of its own, or of another version of the package.
UNREADABLE = (
    pickle.UnpicklingError,
    EOFError,
    ImportError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


def write_whole(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Write a file such that it is never seen half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def digest(content: Any) -> str:
    """Return twelve letters that stand for something that JSON can hold."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class StoreError(Exception):
    """What an earlier run left cannot be used."""


class OtherSettingsError(StoreError):
    """The stored results are those of other settings or other data."""


class BrokenFileError(StoreError):
    """A file cannot be read."""


@dataclass
class Store:
    """The units that are done, and the trained detectors that are ready, in a folder.

    Attributes
    ----------
    folder : pathlib.Path
        Where they are kept.
    name : str
        Of the command; begins the names of its files.
    done : dict
        Unit -> its result, as JSON has it.
    """

    folder: Path
    name: str
    done: dict[str, Any]
    _setting: Any

    @classmethod
    def open(cls, folder: Path, name: str, setting: Any, *, fresh: bool = False) -> Store:
        """Read what an earlier run with the same settings left, or begin.

        Detectors that no file of units vouches for are removed.

        Raises
        ------
        OtherSettingsError
            If what lies there was run with other settings; `fresh` removes it instead.
        BrokenFileError
            If what lies there cannot be read; `fresh` removes it instead.
        """
        setting = json.loads(json.dumps(setting))  # tuples become lists, as in the file
        store = cls(folder, name, {}, setting)
        if fresh:
            store._path.unlink(missing_ok=True)
        if store._path.is_file():
            content = _read(store._path)
            if content["setting"] != setting:
                raise OtherSettingsError(_explain(store._path, content["setting"], setting))
            store.done = content["done"]
        else:
            for path in folder.glob(f"{name}-trained-*.pkl"):
                path.unlink()
        return store

    @property
    def _path(self) -> Path:
        return self.folder / f"{self.name}-units.json"

    def add(self, unit: str, result: Any) -> None:
        """Keep the result of a unit."""
        self.done[unit] = result
        self._write()

    def trained(self, key: str, fit: Callable[[], Any]) -> Any:
        """Return the detector of an earlier run, or fit and keep it.

        Raises
        ------
        BrokenFileError
            If it cannot be read.
        """
        # Files may be moved by hand: the name says whose detector it is.
        path = self.folder / f"{self.name}-trained-{digest(self._setting)}-{key}.pkl"
        if not self._path.is_file():  # the settings come first: without them it would be dropped
            self._write()
        if path.is_file():
            try:
                return pickle.loads(path.read_bytes())
            except UNREADABLE as e:
                raise BrokenFileError(
                    f"{path} cannot be read ({e}). Remove it, and the detector is trained again; "
                    "finished units stay."
                ) from e
        detector = fit()
        write_whole(path, lambda file: pickle.dump(detector, file))
        return detector

    def _write(self) -> None:
        content = json.dumps({"setting": self._setting, "done": self.done}).encode()

        def write(file: IO[bytes]) -> None:
            file.write(content)

        write_whole(self._path, write)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:  # of JSON, or of its letters
        raise BrokenFileError(
            f"{path} cannot be read ({error}): the results in it are lost. {REMEDY}"
        ) from error
    parts = [content.get(part) for part in ("setting", "done")] if isinstance(content, dict) else []
    if not parts or not all(isinstance(part, dict) for part in parts):
        raise BrokenFileError(f"{path} holds no results of these commands. {REMEDY}")
    return content


def _explain(path: Path, there: dict[str, Any], here: dict[str, Any]) -> str:
    changes = list(_changes(there, here, ""))
    more = [f"and {len(changes) - SHOWN} more"] if len(changes) > SHOWN else []
    return (
        f"{path} holds results of other settings or data: "
        f"{'; '.join([*changes[:SHOWN], *more])}. {REMEDY}"
    )


def _changes(there: dict[str, Any], here: dict[str, Any], within: str) -> list[str]:
    """What differs, by the name of the innermost value and of the data that it is in."""
    out = []
    for name in sorted(there.keys() | here.keys()):
        old, new = there.get(name), here.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            inner = "" if name in ("detector", "data", "protocol") else f"{within}{name}."
            out += _changes(old, new, inner)
        else:
            out.append(f"{within}{name} was {old} and is {new}")
    return out
