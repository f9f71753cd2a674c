"""The benchmark sets as splits: named training domains and unseen domains with anomalies.

``splits("digits", "validation")`` yields the splits on which every choice is made;
``splits("digits", "test")`` those that are run once per release.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from sklearn.datasets import load_digits

from .fars import encode, load_fars
from .fetch import cache_dir, data_dir
from .glyphs import load_glyphs, script

Part = Literal["validation", "test"]
N_FOLDS = 5
WITHOUT = {("mnist", "validation")}  # the unseen set: no choice is made on it
TEST_SCRIPTS = frozenset({"HEBREW", "GEORGIAN", "ARMENIAN", "THAI", "DEVANAGARI"})
SOURCE = {"fashion_mnist": "fashion_mnist", "fars": "fars", "glyphs": "fonts", "mnist": "mnist"}
DUPLICATE = 0.99  # cosine from which an anomalous glyph counts as a copy of a normal one


@dataclass(frozen=True)
class Unseen:
    """A domain that training does not see.

    Attributes
    ----------
    name : str
    normals : float32 array of shape (n_normals, n_features)
    pool : float32 array of shape (n_pool, n_features)
        Rows among which the natural anomalies are; shared by the domains of a split.
    allowed : int array
        Rows of `pool` that are anomalies of this domain.
    """

    name: str
    normals: np.ndarray
    pool: np.ndarray
    allowed: np.ndarray


@dataclass(frozen=True)
class Split:
    """Training domains (one float32 array each) and the unseen domains to score."""

    name: str
    train_names: tuple[str, ...]
    train: tuple[np.ndarray, ...]
    unseen: tuple[Unseen, ...]


@dataclass(frozen=True)
class Classes:
    """A labelled set whose classes are the domains.

    `train_rows` serve training and the unseen domains of validation splits, `test_rows` the
    unseen domains of test splits, so that no choice ever saw a test row.
    """

    train_rows: tuple[np.ndarray, ...]
    test_rows: tuple[np.ndarray, ...]
    rotations: tuple[tuple[int, ...], ...]


def splits(set_name: str, part: Part) -> Iterator[Split]:
    """Yield the splits of a set.

    Parameters
    ----------
    set_name : {"digits", "fashion_mnist", "fars", "glyphs", "mnist"}
    part : {"validation", "test"}

    Raises
    ------
    ValueError
        On unknown names, and for validation on "mnist", which no choice may see.
    """
    if set_name not in SETS:
        raise ValueError(f"Unknown set {set_name!r}; choose from {', '.join(SETS)}.")
    if part not in ("validation", "test"):
        raise ValueError(f"Unknown part {part!r}; choose 'validation' or 'test'.")
    if (set_name, part) in WITHOUT:
        raise ValueError("'mnist' is the unseen set: no choice is made on it, use part='test'.")
    return SETS[set_name](part)


def available(part: Part) -> list[str]:
    """Return the sets that have this part and whose data are here."""
    return [
        name
        for name in SETS
        if (name, part) not in WITHOUT
        and (name not in SOURCE or (cache_dir() / SOURCE[name]).is_dir())
    ]


def _split_by_label(rows: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(rows[label == value] for value in range(10))


@lru_cache(maxsize=1)
def load_digit_classes() -> Classes:
    """Return scikit-learn's digits: 1,797 rows of 64 grey levels (0 to 16), 10 classes."""
    pixels, label = load_digits(return_X_y=True)
    rows = _split_by_label(pixels.astype(np.float32), label)
    return Classes(rows, rows, ((0, 1, 2), (3, 4, 5), (6, 7, 8)))


@lru_cache(maxsize=1)
def load_idx_classes(name: str) -> Classes:
    """Return Fashion-MNIST or MNIST: 784 pixels in [0, 1], 10 classes, two parts."""
    train, test = (_read_idx_part(name, part) for part in ("train", "t10k"))
    return Classes(train, test, ((0, 1, 2), (3, 4, 5), (6, 7, 8, 9)))


def _read_idx_part(name: str, part: str) -> tuple[np.ndarray, ...]:
    folder = data_dir(name)
    images = np.fromfile(folder / f"{part}-images-idx3-ubyte", np.uint8, offset=16)
    label = np.fromfile(folder / f"{part}-labels-idx1-ubyte", np.uint8, offset=8)
    return _split_by_label(images.reshape(len(label), -1).astype(np.float32) / 255, label)


def _pairs(classes: Sequence[int]) -> list[tuple[int, int]]:
    """Return pairs of neighbours that hold out every class at least once."""
    wrapped = [*classes, classes[0]]
    return [(wrapped[i], wrapped[i + 1]) for i in range(0, len(classes), 2)]


def _held_out(rotation: tuple[int, ...], part: Part) -> list[tuple[int, ...]]:
    """Return the groups of unseen classes of a rotation: itself, or pairs of the others."""
    if part == "test":
        return [rotation]
    return list(_pairs([c for c in range(10) if c not in rotation]))


def _class_splits(load: Callable[[], Classes], part: Part) -> Iterator[Split]:
    data = load()
    rows = data.test_rows if part == "test" else data.train_rows
    for rotation in data.rotations:
        for unseen in _held_out(rotation, part):
            train = [c for c in range(10) if c not in {*rotation, *unseen}]
            yield Split(
                name=f"unseen {_join(rotation)}, scored {_join(unseen)}",
                train_names=tuple(map(str, train)),
                train=tuple(data.train_rows[c] for c in train),
                unseen=_one_against_others({str(c): rows[c] for c in unseen}),
            )


def _join(classes: Sequence[int]) -> str:
    return "".join(map(str, classes))


def _one_against_others(rows: dict[str, np.ndarray]) -> tuple[Unseen, ...]:
    """Return every domain with the rows of the others as its natural anomalies."""
    pool = np.concatenate(list(rows.values()))
    owner = np.repeat(list(rows), [len(x) for x in rows.values()])
    return tuple(Unseen(name, x, pool, np.flatnonzero(owner != name)) for name, x in rows.items())


def _folds(items: Sequence[str] | np.ndarray) -> list[np.ndarray]:
    """Return five fixed random folds of the items."""
    order = np.random.default_rng(0).permutation(len(items))
    return [np.sort(np.asarray(items)[part]) for part in np.array_split(order, N_FOLDS)]


def _fars_splits(part: Part) -> Iterator[Split]:
    frame = load_fars()
    states = sorted(frame["CASE_STATE"].unique())
    test = states[2::3]
    training = [state for state in states if state not in test]
    groups = [np.asarray(test)] if part == "test" else _folds(training)
    for i, unseen in enumerate(groups):
        train = [state for state in training if state not in unseen]
        rows = encode(frame, train)
        yield Split(
            name="test states" if part == "test" else f"fold {i}",
            train_names=tuple(train),
            train=tuple(rows[state][0] for state in train),
            unseen=tuple(
                Unseen(state, *rows[state], np.arange(len(rows[state][1])))
                for state in map(str, unseen)
            ),
        )


def _glyph_splits(part: Part) -> Iterator[Split]:
    glyphs = load_glyphs()
    pixels = glyphs.images.reshape(len(glyphs.images), -1).astype(np.float32) / 255
    in_test = np.isin([script(code) for code in glyphs.codepoint], list(TEST_SCRIPTS))
    # A merged domain is a test domain only if all its characters are of test scripts.
    all_test = np.bincount(glyphs.domain, ~in_test) == 0
    training = np.flatnonzero(~all_test)
    groups = [np.flatnonzero(all_test)] if part == "test" else _folds(training)
    for i, unseen in enumerate(groups):
        train = np.setdiff1d(training, unseen)
        yield Split(
            name="test scripts" if part == "test" else f"fold {i}",
            train_names=tuple(map(str, train)),
            train=tuple(pixels[glyphs.domain == d] for d in train),
            unseen=_glyph_domains(pixels, glyphs.domain, glyphs.family, unseen),
        )


def _glyph_domains(
    pixels: np.ndarray, domain: np.ndarray, family: np.ndarray, unseen: np.ndarray
) -> tuple[Unseen, ...]:
    """Return the unseen characters with the renderings of the others as natural anomalies.

    Faces of a family are near-copies of each other, so the pool holds one rendering per
    character and family, and a domain's anomalies leave out copies of its own normals.
    """
    pair = np.column_stack([domain, family])
    first = np.unique(pair, axis=0, return_index=True)[1]
    first = first[np.isin(domain[first], unseen)]
    pool, owner = pixels[first], domain[first]
    direction = _unit(pool)
    out = []
    for d in unseen:
        normals = pixels[domain == d]
        copied = (direction @ _unit(normals).T).max(axis=1) > DUPLICATE
        out.append(Unseen(str(d), normals, pool, np.flatnonzero((owner != d) & ~copied)))
    return tuple(out)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _digit_splits(part: Part) -> Iterator[Split]:
    return _class_splits(load_digit_classes, part)


def _fashion_splits(part: Part) -> Iterator[Split]:
    return _class_splits(lambda: load_idx_classes("fashion_mnist"), part)


def _mnist_splits(part: Part) -> Iterator[Split]:
    return _class_splits(lambda: load_idx_classes("mnist"), part)


SETS: dict[str, Callable[[Part], Iterator[Split]]] = {
    "digits": _digit_splits,
    "fashion_mnist": _fashion_splits,
    "fars": _fars_splits,
    "glyphs": _glyph_splits,
    "mnist": _mnist_splits,
}
