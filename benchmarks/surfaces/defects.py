"""Local defects and their masks, fixed before any detector ran.

Area log-uniform from 0.2 to 5 % of the patch; pasted (another surface shows through), scratched (a
thin bright or dark curve) and blurred equally often; blended into the patch by 30 to 70 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

AREA, BLEND = (0.002, 0.05), (0.3, 0.7)
KINDS = ("pasted", "scratched", "blurred")
SHARE = 0.2
#: Standard deviation in pixels of what is blurred, and of the noise that bends the outlines.
_BLUR, _OUTLINE = 2.5, 4.0


@dataclass(frozen=True)
class Batch:
    """Patches of one surface, some of them defective.

    Attributes
    ----------
    images : ndarray of shape (n_images, 3, height, width), uint8
        Patches in random order.
    masks : ndarray of shape (n_images, height, width), bool
        True on defects.
    kinds : ndarray of shape (n_images,)
        "" for patches without a defect.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    kinds: NDArray[np.str_]

    @property
    def is_anomalous(self) -> NDArray[np.bool_]:
        """Whether each patch has a defect."""
        return self.kinds != ""


def make_batch(
    patches: NDArray[np.uint8], others: NDArray[np.uint8], rng: np.random.Generator
) -> Batch:
    """Shuffle the patches of a surface and give a share of them one defect each.

    Parameters
    ----------
    patches : ndarray of shape (n_images, 3, height, width), uint8
        Of the surface.
    others : ndarray of shape (n_others, 3, height, width), uint8
        Of other surfaces, to be pasted.
    rng : numpy.random.Generator
        Decides all.

    Returns
    -------
    Batch
        With round(0.2 n_images) defects, the kinds in turn.
    """
    images = patches[rng.permutation(len(patches))]
    masks = np.zeros((len(images), *images.shape[2:]), bool)
    kinds = np.full(len(images), "", dtype="U9")
    first = rng.integers(len(KINDS))
    for place, i in enumerate(rng.choice(len(images), round(SHARE * len(images)), replace=False)):
        kinds[i] = KINDS[(first + place) % len(KINDS)]
        other = others[rng.integers(len(others))]
        images[i], masks[i] = add_defect(images[i], other, kinds[i], rng)
    return Batch(images, masks, kinds)


def add_defect(
    image: NDArray[np.uint8], other: NDArray[np.uint8], kind: str, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the image with one defect, and the defect's mask."""
    shape = image.shape[1:]
    n_pixels = round(shape[0] * shape[1] * np.exp(rng.uniform(*np.log(AREA))))
    field = _near_curve(shape, n_pixels, rng) if kind == "scratched" else _blob(shape, rng)
    mask = np.zeros(field.size, bool)
    mask[np.argsort(field, axis=None)[:n_pixels]] = True
    mask = mask.reshape(shape)
    blend = rng.uniform(*BLEND)
    plain = image.astype(np.float64)
    if kind == "pasted":
        changed = other.astype(np.float64)
    elif kind == "scratched":
        changed = np.full_like(plain, 255.0 if rng.random() < 0.5 else 0.0)
    else:
        changed = gaussian_filter(plain, (0, _BLUR, _BLUR))
    mixed = np.where(mask, (1 - blend) * plain + blend * changed, plain)
    return mixed.round().astype(np.uint8), mask


def _grid(shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.stack(np.mgrid[: shape[0], : shape[1]], axis=-1).astype(np.float64)


def _blob(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Distance to a point, bent by smooth noise: its lowest values are a blob."""
    centre = rng.uniform(0.1, 0.9, 2) * shape
    bends = gaussian_filter(rng.standard_normal(shape), _OUTLINE)
    stretch = np.exp(rng.uniform(-0.5, 0.5))
    away = (_grid(shape) - centre) * (stretch, 1 / stretch)
    return np.linalg.norm(away, axis=-1) * (1 + 0.25 * bends / bends.std())


def _near_curve(
    shape: tuple[int, ...], n_pixels: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Distance to a bent line that is long enough to be one to four pixels wide."""
    length = min(n_pixels / rng.uniform(1, 2), 0.75 * shape[0])
    start, angle = rng.uniform(0.2, 0.8, 2) * shape, rng.uniform(0, 2 * np.pi)
    ahead = length * np.array([np.sin(angle), np.cos(angle)])
    # Turned towards the middle, so that most of it lies on the patch.
    ahead *= 1 if ahead @ (np.array(shape) / 2 - start) >= 0 else -1
    bend = 0.3 * rng.uniform(-1, 1) * ahead[::-1] * (1, -1)
    t = np.linspace(0, 1, 100)[:, None]
    curve = start + t * ahead + 4 * t * (1 - t) * bend
    steps = _grid(shape)[:, :, None] - curve
    return np.linalg.norm(steps, axis=-1).min(axis=-1)
