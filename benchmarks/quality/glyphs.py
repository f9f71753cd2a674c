"""Characters rendered from free fonts: many small image domains, a stand-in for Omniglot.

A domain is a character, its rows are the character's distinct renderings over font faces.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont
from scipy.sparse.csgraph import connected_components

from .fetch import cache_dir, data_dir

SIDE = 28
INK_SIDE = 20  # the longer side of a glyph's ink, as in MNIST
DRAW_SIZE = 48  # drawn large, then reduced: font sizes differ, ink boxes do not
MIN_RENDERINGS = 20
LOOK_ALIKE = 0.97
_STYLE = re.compile(r"(-.*|Bold.*|Oblique|Italic)$")


@dataclass(frozen=True)
class Glyphs:
    """All kept renderings.

    Attributes
    ----------
    images : uint8 array of shape (n_images, 28, 28)
    domain : int array of shape (n_images,)
        Index of the character (look-alikes merged).
    codepoint : int array of shape (n_images,)
    face, family : int arrays of shape (n_images,)
        Index of the font face (sorted file names) and of its family.
    """

    images: np.ndarray
    domain: np.ndarray
    codepoint: np.ndarray
    face: np.ndarray
    family: np.ndarray


def script(codepoint: int) -> str:
    """Return the script of a character, the first word of its Unicode name."""
    return unicodedata.name(chr(codepoint), "UNNAMED").split()[0]


def load_glyphs() -> Glyphs:
    """Return the rendered glyphs, rendering them once into the cache (about a minute)."""
    path = cache_dir() / "glyphs-v1.npz"
    if not path.is_file():
        images, codepoint, face, family = _render_all(data_dir("fonts"))
        kept, domain = _select(images, codepoint)
        partial = path.with_suffix(".partial.npz")
        np.savez_compressed(
            partial,
            images=images[kept],
            domain=domain,
            codepoint=codepoint[kept],
            face=face[kept],
            family=family[kept],
        )
        partial.rename(path)
    with np.load(path) as stored:
        return Glyphs(**{name: stored[name] for name in stored.files})


def _letters(face: Path) -> list[int]:
    """Return the letters and numbers that a font face covers."""
    covered = TTFont(face, lazy=True).getBestCmap()
    return [code for code in covered if unicodedata.category(chr(code))[0] in "LN"]


def _render(font: ImageFont.FreeTypeFont, text: str) -> np.ndarray | None:
    """Return `text` cropped to its ink, scaled to 20 pixels, centred; None when blank."""
    canvas = Image.new("L", (4 * DRAW_SIZE, 4 * DRAW_SIZE))
    ImageDraw.Draw(canvas).text((DRAW_SIZE, DRAW_SIZE), text, fill=255, font=font)
    box = canvas.getbbox()
    if box is None:
        return None
    ink = canvas.crop(box)
    scale = INK_SIDE / max(ink.size)
    width, height = (max(1, round(side * scale)) for side in ink.size)
    out = Image.new("L", (SIDE, SIDE))
    small = ink.resize((width, height), Image.Resampling.BOX)
    out.paste(small, ((SIDE - width) // 2, (SIDE - height) // 2))
    return np.asarray(out)


def _render_face(path: Path, wanted: set[int]) -> list[tuple[int, np.ndarray]]:
    """Return (code point, image) of the wanted characters, without blanks and .notdef boxes."""
    font = ImageFont.truetype(str(path), DRAW_SIZE, layout_engine=ImageFont.Layout.BASIC)
    missing = _render(font, "\U0010fffe")
    drawn = [(code, _render(font, chr(code))) for code in _letters(path) if code in wanted]
    return [
        (code, image)
        for code, image in drawn
        if image is not None and (missing is None or not np.array_equal(image, missing))
    ]


def _render_all(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Render every character that enough faces cover: images, code points, faces, families."""
    faces = sorted(folder.glob("*.ttf"))
    families = [_STYLE.sub("", face.stem) for face in faces]
    family_index = {name: i for i, name in enumerate(sorted(set(families)))}
    covered = Counter(code for face in faces for code in _letters(face))
    wanted = {code for code, count in covered.items() if count >= MIN_RENDERINGS}
    rows = [
        (image, code, i, family_index[families[i]])
        for i, face in enumerate(faces)
        for code, image in _render_face(face, wanted)
    ]
    images, codes, face_ids, family_ids = (np.asarray(column) for column in zip(*rows, strict=True))
    return images, codes, face_ids, family_ids


def _distinct(images: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return indices of rows, equal images of one label taken once, rare labels left out."""
    keys = np.column_stack([label, images.reshape(len(images), -1)])
    kept = np.sort(np.unique(keys, axis=0, return_index=True)[1])
    count = np.bincount(label[kept])
    return kept[count[label[kept]] >= MIN_RENDERINGS]


def _merge_look_alikes(images: np.ndarray, codepoint: np.ndarray) -> np.ndarray:
    """Return a domain index per row: characters whose mean images look alike share one."""
    codes, index = np.unique(codepoint, return_inverse=True)
    pixels = images.reshape(len(images), -1).astype(np.float32)
    mean = np.stack([pixels[index == i].mean(axis=0) for i in range(len(codes))])
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    return connected_components(mean @ mean.T > LOOK_ALIKE, directed=False)[1][index]


def _select(images: np.ndarray, codepoint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to keep and their domain index."""
    kept = _distinct(images, codepoint)
    domain = _merge_look_alikes(images[kept], codepoint[kept])
    # Merged characters often share renderings (Latin A, Greek Alpha): take those once too.
    again = _distinct(images[kept], domain)
    return kept[again], np.unique(domain[again], return_inverse=True)[1]
