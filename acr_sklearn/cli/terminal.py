"""What the command says: lines, notes and errors that cannot steer a terminal, and bars on one."""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

from acr_sklearn.exceptions import (
    ACRWarning,
    EarlyStoppingWarning,
    LeftOutWarning,
    NoKnownAnomaliesWarning,
    SingleDomainWarning,
    SmallBatchWarning,
    SmallDomainWarning,
    SmallReferenceWarning,
    UnfamiliarBatchWarning,
)

__all__ = [
    "Bar",
    "CommandError",
    "Terminal",
    "as_option",
    "listed",
    "need_packages",
    "printable",
]

_Item = TypeVar("_Item")
_NAME = "acr-sklearn"
#: Packages that the extra "cli" brings.
_PACKAGES = ("pandas", "pyarrow", "rich")
_OPTIONS = {"sep": "delimiter"}
#: Names that a line gives of many.
_MOST_NAMED = 5
#: What the command says instead of a message that is meant for a line of Python.
_SENTENCES: dict[type[Warning], str] = {
    SmallBatchWarning: (
        "fewer than 16 rows in {domains}. A row is compared with the others of its domain, and so "
        "few say little of what is normal: scores are uncertain, and --threshold train flags too "
        "many rows. Score more rows of a domain together, or hold each row against normal rows of "
        "the domain by --adapt TABLE"
    ),
    SmallDomainWarning: (
        "fewer than 16 rows in {domains}. Little is learnt from so few. Give more rows of each, or "
        "leave it out"
    ),
    SingleDomainWarning: (
        "all rows are of one domain, so that nothing is learnt of how normal rows differ between "
        "domains. Give a folder with a table for each domain, or name the column that says which "
        "domain a row is of by --domain-column NAME"
    ),
    EarlyStoppingWarning: (
        "there are fewer than 4 domains, so that none is held out to tell when training should "
        "stop: all its steps are run. Give 4 domains or more; --max-iter sets the number of steps"
    ),
    NoKnownAnomaliesWarning: (
        "no row is marked as a known anomaly, so that the model is the one without --known-column. "
        "Mark known anomalies by 1, true or yes"
    ),
    UnfamiliarBatchWarning: (
        "in {domains} the columns vary as in no domain of training, and what was learnt may not "
        "hold there. Check that each column has the unit it had in training; single odd rows are "
        "not the reason. If the columns are right, train again with such a domain"
    ),
    SmallReferenceWarning: (
        "fewer than 64 rows in the table of --adapt. They rank new rows well, but which of these "
        "are flagged is uncertain. Give 64 normal rows or more, and 128 for p-values and lists "
        "that rest on them"
    ),
    LeftOutWarning: (
        "the model was saved in Python with settings that a file does not hold. They play no part "
        "in scores"
    ),
}


class CommandError(Exception):
    """What the user gave cannot be worked with; the message says what, where and what to do."""


def as_option(name: str, value: str) -> str:
    """Write a setting as an option of the command."""
    between = "=" if value.startswith("-") else " "
    return f"--{_OPTIONS.get(name, name)}{between}{shlex.quote(value)}"


def listed(names: Sequence[str]) -> str:
    """Name the first few of many, and count the others."""
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return f"{', '.join(names[:_MOST_NAMED])}{more}"


def _sentence(warning: Warning | str, category: type[Warning]) -> str:
    """Say a warning in a sentence of the command's own, where there is one."""
    if category not in _SENTENCES:
        return str(warning)
    domains: tuple[str, ...] = warning.domains if isinstance(warning, ACRWarning) else ()
    number = "1 domain" if len(domains) == 1 else f"{len(domains):,} domains"
    # Rows without a named domain are those that others are held against.
    where = f"{number} ({listed(domains)})" if domains else "the table of --adapt"
    sentence = _SENTENCES[category].format(domains=where)
    reasons = getattr(warning, "reasons", "").removesuffix(".")
    return f"{sentence}. {reasons}" if reasons else sentence


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
        """Write warnings meant for users as notes: each kind once, and of others each text."""
        seen: set[object] = set()

        def show(
            message: Warning | str, category: type[Warning], *_place: Any, **_more: Any
        ) -> None:
            kind = category if category in _SENTENCES else str(message)
            if issubclass(category, UserWarning) and kind not in seen:
                seen.add(kind)
                self.note(_sentence(message, category), "warning")

        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = show
            yield
