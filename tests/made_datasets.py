"""Small data sets in exactly the layouts of the public ones, for the tests of readers and runs.

Values are chosen so that a test can tell from a value where it must have come from.
"""

import gzip
import pickle
import shutil
import struct
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from PIL import Image


def write_idx(path, values, packed=False):
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    content = head + values.astype(np.uint8).tobytes()
    if packed:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


def class_images(n_classes, n_each, shape, seed=0):
    """Images of bytes around a pattern of their class, and shuffled labels."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(7).integers(30, 226, (n_classes, *shape))
    label = rng.permutation(np.repeat(np.arange(n_classes), n_each))
    noise = rng.integers(-30, 30, (len(label), *shape))
    return (patterns[label] + noise).astype(np.uint8), label.astype(np.uint8)


def make_mnist(folder, n_classes=10, n_each=20, side=6, packed=False, dot=False):
    folder.mkdir(parents=True, exist_ok=True)
    between = "." if dot else "-"
    for seed, part in enumerate(("train", "t10k")):
        images, label = class_images(n_classes, n_each, (side, side), seed)
        write_idx(folder / f"{part}-images{between}idx3-ubyte", images, packed)
        write_idx(folder / f"{part}-labels{between}idx1-ubyte", label, packed)
    return folder


def make_medmnist(path, n_classes=11, n_each=20, shape=(6, 6)):
    arrays = {}
    for seed, part in enumerate(("train", "val", "test")):
        images, label = class_images(n_classes, n_each, shape, seed)
        arrays |= {f"{part}_images": images, f"{part}_labels": label[:, None]}
    np.savez_compressed(path, **arrays)
    return path


class _Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 wrote its strings, and NumPy under its old name."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_string(self, value):
        raw = value.encode("latin1") if isinstance(value, str) else value
        self.write(b"T" + struct.pack("<i", len(raw)) + raw)
        self.memoize(value)

    def save_function(self, value):
        module = value.__module__.replace("numpy._core", "numpy.core")
        self.write(f"c{module}\n{value.__name__}\n".encode())
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string
    dispatch[type(np.empty)] = dispatch[type(len)] = save_function
    dispatch[type(np.empty(0).__reduce__()[0])] = save_function


def pickle_of_python2(path, content):
    with path.open("wb") as file:
        _Python2Pickler(file, protocol=2).dump(content)


CIFAR_CLASSES = ["apple", "baby", "bear", "beaver", "bed"]


def make_cifar(folder, n_each=20, binary=False, corruptions=("fog", "gaussian_noise")):
    """CIFAR-100 with five classes and CIFAR-100-C with 10 images of each per severity."""
    images, label = class_images(len(CIFAR_CLASSES), n_each, (3, 32, 32))
    if binary:
        target = folder / "cifar-100-binary"
        target.mkdir(parents=True)
        coarse = np.full((len(label), 1), 9, np.uint8)
        records = np.hstack([coarse, label[:, None], images.reshape(len(label), -1)])
        (target / "train.bin").write_bytes(records.tobytes())
        (target / "fine_label_names.txt").write_text("\n".join(CIFAR_CLASSES) + "\n")
    else:
        target = folder / "cifar-100-python"
        target.mkdir(parents=True)
        train = {
            "data": images.reshape(len(label), -1),
            "fine_labels": label.tolist(),
            "coarse_labels": [9] * len(label),
            "filenames": [f"bos_{i}.png" for i in range(len(label))],
            "batch_label": "training batch 1 of 1",
        }
        pickle_of_python2(target / "train", train)
        meta = {"fine_label_names": CIFAR_CLASSES, "coarse_label_names": ["x"] * 20}
        pickle_of_python2(target / "meta", meta)
    corrupted = folder / "CIFAR-100-C"
    corrupted.mkdir(parents=True)
    clean, clean_label = class_images(len(CIFAR_CLASSES), 10, (32, 32, 3), seed=1)
    np.save(corrupted / "labels.npy", np.tile(clean_label, 5))
    for number, name in enumerate(corruptions):
        every = np.stack([clean // (severity + number) for severity in range(1, 6)])
        np.save(corrupted / f"{name}.npy", every.reshape(-1, 32, 32, 3))
    return folder


def make_omniglot(folder, n_alphabets=(2, 1), n_characters=5, n_drawings=20):
    """Strokes at a place of the character's own: 0 on paper of 1, one bit deep."""
    rng = np.random.default_rng(0)
    for part, n in zip(("background", "evaluation"), n_alphabets, strict=True):
        for a in range(n):
            for c in range(n_characters):
                target = folder / f"images_{part}" / f"{part.title()}_{a}" / f"character{c + 1:02d}"
                target.mkdir(parents=True)
                for d in range(n_drawings):
                    paper = np.full((105, 105), 255, np.uint8)
                    paper[5 + 20 * c : 15 + 20 * c, 5 : 90 - rng.integers(20)] = 0
                    Image.fromarray(paper).convert("1").save(target / f"{a:02d}{c:02d}_{d:02d}.png")
    return folder


def make_mvtec(folder, products=("bottle", "tile"), n_train=6, n_good=3, n_bad=2, side=64):
    rng = np.random.default_rng(0)
    for number, product in enumerate(products):
        colour = np.array([60 + 60 * number, 120, 200], np.uint8)

        def picture(hole=None, colour=colour):
            values = np.clip(colour + rng.integers(-9, 10, (side, side, 3)), 0, 255)
            if hole is not None:
                values[hole] = 255 - values[hole]
            return Image.fromarray(values.astype(np.uint8))

        for part, n in (("train", n_train), ("test", n_good)):
            target = folder / product / part / "good"
            target.mkdir(parents=True)
            for i in range(n):
                picture().save(target / f"{i:03d}.png")
        for defect in ("broken", "scratch"):
            target = folder / product / "test" / defect
            truth = folder / product / "ground_truth" / defect
            target.mkdir(parents=True)
            truth.mkdir(parents=True)
            for i in range(n_bad):
                hole = np.zeros((side, side), bool)
                hole[16 + 8 * i : 32 + 8 * i, 16:40] = True
                picture(hole).save(target / f"{i:03d}.png")
                Image.fromarray((hole * 255).astype(np.uint8)).save(truth / f"{i:03d}_mask.png")
    (folder / "license.txt").write_text("not a product")
    return folder


def make_visa(folder, products=("candle", "pcb"), n_train=6, n_good=3, n_bad=2, size=(72, 48)):
    """VisA as it is unpacked: grey levels tell pictures apart, masks number their defects."""
    rng, width, height = np.random.default_rng(0), *size
    lines = ["object,split,label,image,mask"]
    for number, product in enumerate(products):
        data = folder / product / "Data"
        for kind in ("Images/Normal", "Images/Anomaly", "Masks/Anomaly"):
            (data / kind).mkdir(parents=True)
        for i in range(n_train + n_good + n_bad):
            values = rng.integers(0, 10, (height, width, 3)) + 60 + 40 * number + i
            normal = i < n_train + n_good
            place = f"Images/{'Normal' if normal else 'Anomaly'}/{i:03d}.JPG"
            line = [product, "train" if i < n_train else "test", "normal" if normal else "anomaly"]
            line += [f"{product}/Data/{place}", ""]
            if not normal:
                hole = np.zeros((height, width), np.uint8)
                hole[8:24, 20:44], hole[30:34, 30:34] = 1, 2
                values[hole > 0] = 250 - values[hole > 0]
                line[-1] = f"{product}/Data/Masks/Anomaly/{i:03d}.png"
                Image.fromarray(hole).save(folder / line[-1])
            Image.fromarray(values.astype(np.uint8)).save(data / place, quality=95)
            lines.append(",".join(line))
    (folder / "split_csv").mkdir()
    (folder / "split_csv" / "1cls.csv").write_text("\n".join(lines) + "\n")
    return folder


def convert_visa(folder, out):
    """What the authors' script makes of it."""
    for line in (folder / "split_csv" / "1cls.csv").read_text().split()[1:]:
        product, split, label, image, mask = line.split(",")
        kind = "good" if label == "normal" else "bad"
        target = out / "1cls" / product / split / kind
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / image, target)
        if mask:
            truth = out / "1cls" / product / "ground_truth" / kind
            truth.mkdir(parents=True, exist_ok=True)
            hole = np.asarray(Image.open(folder / mask)) > 0
            Image.fromarray((hole * 255).astype(np.uint8)).save(truth / Path(mask).name)
    return out


def anoshift_frame(year, n_normal, n_known, n_unknown, seed=0):
    """Rows as AnoShift stores them: every value text, categories that come and go with the year."""
    rng = np.random.default_rng((year, seed))
    label = rng.permutation(np.repeat(["1", "-1", "-2"], [n_normal, n_known, n_unknown]))
    n = len(label)
    shift = np.where(label == "1", 0.0, 0.6)
    frame = {
        "0": [f"c0{i}" for i in rng.integers(0, 4, n)],
        "1": rng.choice(["ssh", "dns", f"service{year}"], n),
        "2": [f"c2{i}" for i in rng.integers(0, 3, n)],
        "3": [f"c3{i}" for i in rng.integers(0, 3, n)],
    }
    for number in range(4, 13):
        frame[str(number)] = [f"{value:.4f}" for value in rng.uniform(0, 0.4, n) + shift]
    frame["13"] = rng.choice(["SF", "S0"], n)
    frame |= {name: ["0"] * n for name in ("14", "15", "16", "17")}
    frame["18"] = label
    frame["19"] = [f"{year}_01_00:00:{i % 60:02d}" for i in range(n)]
    return pd.DataFrame(frame)


def make_anoshift(folder, years=range(2006, 2016), n_normal=60):
    target = folder / "subset"
    target.mkdir(parents=True)
    for year in years:
        frame = anoshift_frame(year, n_normal, 12, 8)
        frame.to_parquet(target / f"{year}_subset.parquet")
        valid = anoshift_frame(year, 40, 6, 6, seed=1)
        valid.to_parquet(target / f"{year}_subset_valid.parquet")
    return folder
