"""Omniglot in its folders of pictures."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.parameters import read_count
from acr_sklearn._input.paths import read_path
from acr_sklearn.datasets._classes import class_domains, flat_rows
from acr_sklearn.datasets._files import need_folder, subfolders
from acr_sklearn.datasets._pictures import list_pictures, read_picture
from acr_sklearn.datasets.domain_data import DomainData

__all__ = ["load_omniglot"]

_SIDE = 105
_LAYOUT = (
    "Omniglot's folders images_background and images_evaluation with "
    "<alphabet>/<character>/*.png inside"
)


def load_omniglot(
    folder: str | PathLike[str], *, size: int = 28, n_train: int | None = None
) -> DomainData:
    """Read Omniglot with characters as domains.

    Parameters
    ----------
    folder : path
        With images_background and images_evaluation, as the two archives unpack: in each
        ``<alphabet>/<character>/*.png`` of 105 x 105 pixels, 20 drawings of a character.
    size : int, default=28
        Side to which the drawings are resized (bicubic); 105 leaves them as they are.
    n_train : int or None, default=None
        None trains on the background set and tests on the evaluation set, whose alphabets are
        new. A number, as 1200 in Li et al. (2023), trains on that many characters in the order of
        their names, background first, and tests on the others. Their own order was that of the
        file system; ours is the same everywhere.

    Returns
    -------
    DomainData
        Rows are drawings of shape (1, size, size), flattened, in [0, 1], paper 1 and ink 0. A
        domain is "<alphabet>/<character>" and a test domain's group is its alphabet; its anomalies
        are the drawings of all other test characters.

    Raises
    ------
    FileNotFoundError
        If a folder is missing or empty.
    ImportError
        If Pillow is not installed.
    ValueError
        If a picture cannot be read or is not 105 x 105, or `n_train` leaves nothing to test.

    References
    ----------
    .. [1] B. Lake, R. Salakhutdinov, J. Tenenbaum, "Human-level concept learning through
       probabilistic program induction", Science, 2015.
    """
    given = read_path(folder, who="load_omniglot", what="folder")
    size = read_count(size, who="load_omniglot", name="size")
    if n_train is not None:
        n_train = read_count(n_train, who="load_omniglot", name="n_train")
    parts = [_characters(given, f"images_{part}") for part in ("background", "evaluation")]
    n_background, characters = len(parts[0]), parts[0] + parts[1]
    n_seen = n_background if n_train is None else n_train
    if not 0 < n_seen < len(characters):
        raise ValueError(
            f"load_omniglot got n_train={n_train}, and {folder} has {len(characters)} characters. "
            "Give a smaller number that leaves characters to test on."
        )
    names = [f"{path.parent.name}/{path.name}" for path in characters]
    rows = [_drawings(path, size) for path in characters]
    unseen = rows[n_seen:]
    pool = np.concatenate(unseen)
    label = np.repeat(np.arange(n_seen, len(rows)), [len(part) for part in unseen])
    test = []
    for number in range(n_seen, len(rows)):
        group = characters[number].parent.name
        test += class_domains(lambda: (pool, label), [number], names, group)
    return DomainData(rows[:n_seen], names[:n_seen], test, (1, size, size))


def _characters(folder: Path, part: str) -> list[Path]:
    need_folder(folder / part, _LAYOUT)
    alphabets = subfolders(folder / part, _LAYOUT)
    return [path for alphabet in alphabets for path in subfolders(alphabet, _LAYOUT)]


def _drawings(folder: Path, size: int) -> NDArray[np.float32]:
    resize = None if size == _SIDE else size
    paths = list_pictures(folder, _LAYOUT)
    return flat_rows(np.stack([read_picture(p, "L", side=_SIDE, resize=resize) for p in paths]))
