"""Results of finished units of work, kept so that a killed run goes on where it was.

A file is written beside its place and then moved there, which a file system does whole or not at
all: whenever a run is killed, what lies there is complete.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


def write_whole(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Write a file such that it is never seen half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


class OtherSettingsError(Exception):
    """The stored results are those of other settings."""


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

        Raises
        ------
        OtherSettingsError
            If what lies there was run with other settings; `fresh` removes it instead.
        """
        setting = json.loads(json.dumps(setting))  # tuples become lists, as in the file
        store = cls(folder, name, {}, setting)
        if fresh:
            for path in (store._path, *folder.glob(f"{name}-trained-*.pkl")):
                path.unlink(missing_ok=True)
        if store._path.is_file():
            content = json.loads(store._path.read_text(encoding="utf-8"))
            if content["setting"] != setting:
                raise OtherSettingsError(_explain(store._path, content["setting"], setting))
            store.done = content["done"]
        return store

    @property
    def _path(self) -> Path:
        return self.folder / f"{self.name}-units.json"

    def add(self, unit: str, result: Any) -> None:
        """Keep the result of a unit."""
        self.done[unit] = result
        content = json.dumps({"setting": self._setting, "done": self.done}).encode()
        write_whole(self._path, lambda file: _write(file, content))

    def trained(self, key: str, fit: Callable[[], Any]) -> Any:
        """Return the detector of an earlier run, or fit and keep it."""
        path = self.folder / f"{self.name}-trained-{key}.pkl"
        if not self._path.is_file():  # the settings come first: they say whose detector it is
            content = json.dumps({"setting": self._setting, "done": self.done}).encode()
            write_whole(self._path, lambda file: _write(file, content))
        if path.is_file():
            return pickle.loads(path.read_bytes())
        detector = fit()
        write_whole(path, lambda file: pickle.dump(detector, file))
        return detector


def _write(file: IO[bytes], content: bytes) -> None:
    file.write(content)


def _explain(path: Path, there: dict[str, Any], here: dict[str, Any]) -> str:
    names = sorted(k for k in there.keys() | here.keys() if there.get(k) != here.get(k))
    changes = []
    for name in names:
        old, new = there.get(name), here.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            keys = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
            changes += [f"{k} was {old.get(k)} and is {new.get(k)}" for k in keys]
        else:
            changes.append(f"{name} differs")
    return (
        f"{path} holds results of other settings: {'; '.join(changes)}. Give another --out, or "
        "--fresh to drop them."
    )
