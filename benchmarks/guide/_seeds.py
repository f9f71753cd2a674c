"""Records of several seeds: their means, and how far the seeds are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def matching(records: Sequence[dict[str, Any]], cell: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the records of a cell of a table.

    Examples
    --------
    >>> matching([{"seed": 0, "way": "a"}, {"seed": 0, "way": "b"}], {"way": "b"})
    [{'seed': 0, 'way': 'b'}]
    """
    return [r for r in records if all(r[key] == value for key, value in cell.items())]


def mean(records: Sequence[dict[str, Any]], name: str) -> float:
    """Return the mean of a figure.

    Examples
    --------
    >>> mean([{"found": 0.5}, {"found": 0.75}], "found")
    0.625
    """
    return float(sum(r[name] for r in records) / len(records))


def apart(
    records: Sequence[dict[str, Any]], cells: Sequence[Mapping[str, str]], name: str
) -> float:
    """Return the largest difference of a figure between two seeds in any of the cells.

    Examples
    --------
    >>> found = [{"way": w, "found": f} for w, f in (("a", 0.5), ("a", 0.75), ("b", 1.0))]
    >>> apart(found, [{"way": "a"}, {"way": "b"}], "found")
    0.25
    """
    values = [[r[name] for r in matching(records, cell)] for cell in cells]
    return float(max(max(v) - min(v) for v in values))
