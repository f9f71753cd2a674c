"""Homogeneous surfaces out of two free games' texture packages, in patches of 64 x 64 pixels.

The packages are read as they come and nothing of them is committed. A texture becomes a surface
when its tiles look alike (bounds below, fixed before any detector ran), and every surface gives
64 patches. Surfaces of one folder of the games are the work of one hand, so whole folders go to
the test, to the validation or to the training.
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from quality.fetch import cache_dir, data_dir

SIDE, N_PATCHES = 64, 64
#: Auxiliary maps of the renderer, no pictures of a surface.
AUXILIARY = re.compile(
    r"_(norm|gloss|glow|luma|bump|local|pants|shirt|reflect|blend|alpha)\w*\.", re.IGNORECASE
)
#: Least contrast in grey levels, of a surface and of each of its tiles.
LEAST_CONTRAST, LEAST_TILE_CONTRAST = 6.0, 2.0


@dataclass(frozen=True)
class Evenness:
    """Bounds of what counts as homogeneous.

    Attributes
    ----------
    contrast : float
        Largest standard deviation of the colours, in grey levels.
    between : float
        Largest standard deviation of the tiles' mean colours, relative to that.
    spread : float
        Largest standard deviation of the logarithms of the tiles' own contrasts.
    """

    contrast: float
    between: float
    spread: float


#: What may be trained on, and what is scored: a defect must not drown in what is normal.
TRAINED, SCORED = Evenness(256.0, 0.4, 0.25), Evenness(30.0, 0.25, 0.12)
#: Thumbnails more alike than this are recolourings of one picture.
ALIKE = 0.9
N_TEST, N_VALIDATION, N_TRAIN = 42, 26, 240
CACHE = "surfaces-v2.npz"


@dataclass(frozen=True)
class Surfaces:
    """Patches of the surfaces of one split.

    Attributes
    ----------
    names : list of str
        Path of each texture in its package.
    patches : ndarray of shape (n_surfaces, 64, 3, 64, 64), uint8
        Colours.
    """

    names: list[str]
    patches: NDArray[np.uint8]


def load_surfaces() -> dict[str, Surfaces]:
    """Read the three splits, cut from the packages once and kept in the cache."""
    path = cache_dir() / CACHE
    if not path.exists():
        splits = _split(_unlike(_candidates()))
        content: dict[str, Any] = {}
        for split, chosen in splits.items():
            content[f"{split}_names"] = np.array([name for name, _ in chosen])
            content[split] = np.stack([cut(picture) for _, picture in chosen])
        part = path.with_suffix(".part.npz")
        np.savez(part, **content)
        part.rename(path)  # last, so that an interrupted run leaves no half file
    with np.load(path) as saved:
        return {
            split: Surfaces(saved[f"{split}_names"].tolist(), saved[split])
            for split in ("train", "validation", "test")
        }


def _candidates() -> list[tuple[str, NDArray[np.uint8]]]:
    """Every homogeneous texture of at least 256 pixels, in the order of the packages."""
    from PIL import Image

    found = []
    for package in sorted(data_dir("surfaces").glob("*.pk3")):
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                is_picture = name.lower().endswith((".jpg", ".tga", ".png"))
                if not name.startswith("textures/") or not is_picture or AUXILIARY.search(name):
                    continue
                picture = Image.open(io.BytesIO(archive.read(name)))
                if min(picture.size) < 256 or _is_cut_out(picture):
                    continue
                # Larger ones are brought to 512 pixels, where most are.
                factor = max(1, min(picture.size) // 512)
                colours = np.asarray(picture.convert("RGB").reduce(factor))[:512, :512]
                if is_homogeneous(colours, TRAINED):
                    found.append((name, colours))
    return found


def _is_cut_out(picture: Any) -> bool:
    if picture.mode not in ("RGBA", "LA", "P"):
        return False
    return bool((np.asarray(picture.convert("RGBA"))[..., 3] < 250).mean() >= 0.01)


def tiles(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut whole tiles out of a picture: (height, width, 3) to (n_tiles, 3, 64, 64)."""
    rows, columns = colours.shape[0] // SIDE, colours.shape[1] // SIDE
    grid = colours[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE, 3)
    return grid.transpose(0, 2, 4, 1, 3).reshape(-1, 3, SIDE, SIDE)


def is_homogeneous(colours: NDArray[np.uint8], bounds: Evenness) -> bool:
    """Whether the tiles of a picture have structure, and much the same everywhere."""
    parts = tiles(colours).astype(np.float32)
    means, contrast = parts.mean(axis=(2, 3)), parts.std(axis=(2, 3)).mean(axis=1)
    overall = parts.std(axis=(0, 2, 3)).mean()
    return bool(
        LEAST_CONTRAST < overall < bounds.contrast
        and contrast.min() > LEAST_TILE_CONTRAST
        and means.std(axis=0).mean() < bounds.between * overall
        and np.log1p(contrast).std() < bounds.spread
    )


def _unlike(
    candidates: list[tuple[str, NDArray[np.uint8]]],
) -> list[tuple[str, NDArray[np.uint8]]]:
    """Drop recolourings and copies of textures that came before."""
    from PIL import Image

    grey = [
        np.asarray(Image.fromarray(colours).convert("L").resize((32, 32), Image.Resampling.BOX))
        for _, colours in candidates
    ]
    thumbs = np.stack(grey).reshape(len(grey), -1).astype(np.float64)
    thumbs -= thumbs.mean(axis=1, keepdims=True)
    thumbs /= np.linalg.norm(thumbs, axis=1, keepdims=True)
    alike = np.abs(thumbs @ thumbs.T) > ALIKE
    kept: list[int] = []
    for i in range(len(candidates)):
        if not alike[i, kept].any():
            kept.append(i)
    return [candidates[i] for i in kept]


def _split(
    surfaces: list[tuple[str, NDArray[np.uint8]]],
) -> dict[str, list[tuple[str, NDArray[np.uint8]]]]:
    """Whole folders to each split; only even ones of 512 pixels are scored."""
    folders: dict[str, list[int]] = {}
    for i, (name, _) in enumerate(surfaces):
        folders.setdefault(name.split("/")[1].lower(), []).append(i)
    large = {
        i
        for i, (_, colours) in enumerate(surfaces)
        if min(colours.shape[:2]) >= 512 and is_homogeneous(colours, SCORED)
    }
    order = np.random.default_rng(0).permutation(sorted(folders))
    splits: dict[str, list[int]] = {"test": [], "validation": [], "train": []}
    for folder in order:
        own = folders[folder]
        scored = [i for i in own if i in large]
        if scored and len(splits["test"]) < N_TEST:
            splits["test"] += scored
        elif scored and len(splits["validation"]) < N_VALIDATION:
            splits["validation"] += scored
        else:
            splits["train"] += own
    most = {"test": N_TEST, "validation": N_VALIDATION, "train": N_TRAIN}
    return {split: [surfaces[i] for i in chosen[: most[split]]] for split, chosen in splits.items()}


def cut(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut 64 patches, shape (64, 3, 64, 64).

    Tiles of a large texture are disjoint. Those of a small one, used in training only, lie every
    32 pixels on the texture continued periodically, as the games do.
    """
    if min(colours.shape[:2]) >= 512:
        return tiles(colours[:512, :512])
    shifted = [
        tiles(np.roll(colours[:256, :256], shift, axis=(0, 1)))
        for shift in ((0, 0), (32, 0), (0, 32), (32, 32))
    ]
    return np.concatenate(shifted)
