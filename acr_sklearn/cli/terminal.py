"""What the command says: lines, notes and errors that cannot steer a terminal, and bars on one."""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

__all__ = ["Bar", "CommandError", "Terminal", "as_option", "need_packages", "printable"]

_Item = TypeVar("_Item")
_NAME = "acr-sklearn"
#: Packages that the extra "cli" brings.
_PACKAGES = ("pandas", "pyarrow", "rich")
_OPTIONS = {"sep": "delimiter"}


class CommandError(Exception):
    """What the user gave cannot be worked with; the message says what, where and what to do."""


def as_option(name: str, value: str) -> str:
    """Write a setting as an option of the command."""
    between = "=" if value.startswith("-") else " "
    return f"--{_OPTIONS.get(name, name)}{between}{shlex.quote(value)}"


def need_packages() -> None:
    """Refuse to begin without the packages that tables are read by.

    Raises
    ------
    CommandError
        Naming them and the extra that brings them.
    """
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise CommandError(
            f"the command needs {' and '.join(missing)}, not installed here: "
            f"pip install '{_NAME}[cli]'"
        )


def printable(text: str) -> str:
    """Write control characters, of a file's name or a cell, as what they are called in Python."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


class Bar:
    """A bar of rich's, under the names that tqdm has for what is done with one."""

    def __init__(self, total: int, desc: str, unit: str = ""):
        from rich.console import Console
        from rich.progress import Progress

        self._progress = Progress(console=Console(stderr=True), transient=True)
        self._progress.start()
        self._task = self._progress.add_task(desc, total=total)

    def update(self, n: int) -> None:
        """Go on by so many steps."""
        self._progress.advance(self._task, n)

    def set_postfix(self, shown: dict[str, str]) -> None:
        """Figures have no place in the bar."""

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()


class Terminal:
    """Where a run of the command writes: results to stdout, everything else to stderr."""

    @property
    def has_bars(self) -> bool:
        """Whether somebody watches."""
        return sys.stderr.isatty()

    def say(self, text: str = "") -> None:
        """Write a line of the result."""
        sys.stdout.write(f"{printable(text)}\n")

    def note(self, text: str, kind: str = "note") -> None:
        """Write a remark."""
        sys.stderr.write(printable(f"{_NAME}: {kind}: {text}") + "\n")

    def track(self, items: Iterable[_Item], total: int, desc: str) -> Iterator[_Item]:
        """Yield items, and show on a terminal how many of them are done."""
        if not self.has_bars or total < 2:
            yield from items
            return
        bar = Bar(total, desc)
        try:
            for item in items:
                yield item
                bar.update(1)
        finally:
            bar.close()

    @contextmanager
    def bars(self) -> Iterator[Callable[..., Bar]]:
        """Give what opens bars, and take them away whatever happens meanwhile."""
        opened: list[Bar] = []

        def open_bar(**given: Any) -> Bar:
            opened.append(Bar(**given))
            return opened[-1]

        try:
            yield open_bar
        finally:
            for bar in opened:
                bar.close()

    @contextmanager
    def warnings_as_notes(self) -> Iterator[None]:
        """Write warnings meant for users as notes, each text once."""
        seen: set[str] = set()

        def show(
            message: Warning | str, category: type[Warning], *_place: Any, **_more: Any
        ) -> None:
            if issubclass(category, UserWarning) and str(message) not in seen:
                seen.add(str(message))
                self.note(str(message), "warning")

        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = show
            yield
