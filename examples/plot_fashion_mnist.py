"""
Fashion-MNIST: unseen kinds of clothing
=======================================

The same experiment as with the digits, with 35,000 training images of 28 x 28 pixels: meta-train
on seven kinds of clothing, score batches of sneakers, bags and ankle boots, each with anomalies
from the other two.

The images come from the four files of the data set (Xiao, Rasul and Vollgraf, 2017), which Debian
and Ubuntu package: ``apt-get install dataset-fashion-mnist``. Files from elsewhere are taken with
``python examples/plot_fashion_mnist.py --data FOLDER``.
"""

# %%
# Read the files
# --------------
import argparse
import gzip
import sys
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from acr_sklearn import ZeroShotACRDetector

parser = argparse.ArgumentParser(description="ACR on kinds of clothing it has never seen.")
parser.add_argument(
    "--data",
    type=Path,
    default=Path("/usr/share/datasets/fashion-mnist"),
    help="folder with the four files *-ubyte.gz",
)
parser.add_argument("--save", type=Path, default=Path("fashion_mnist.png"))
parser.add_argument("--rows", type=int, default=5000, help="training images of each kind")
parser.add_argument("--max-iter", type=int, default=ZeroShotACRDetector().max_iter)
parser.add_argument("--batches", type=int, default=3, help="batches per kind and share")
arguments = parser.parse_args()

mpl.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

KINDS = ["T-shirt", "trouser", "pullover", "dress", "coat"]
KINDS += ["sandal", "shirt", "sneaker", "bag", "boot"]
UNSEEN = [7, 8, 9]
SHARES = (0.01, 0.05, 0.10, 0.20)
BATCH = 1000
start = time.perf_counter()


def read_idx(name):
    """One file of the idx format: a number of axes, their lengths, then bytes."""
    path = arguments.data / name
    if not path.exists():
        sys.exit(
            f"No file {name} in {arguments.data}. Install Fashion-MNIST with 'apt-get install "
            "dataset-fashion-mnist' (Debian, Ubuntu), or give its folder with --data."
        )
    content = gzip.decompress(path.read_bytes())
    lengths = np.frombuffer(content, ">i4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(lengths)


def read_split(name):
    images, kind = (
        read_idx(f"{name}-images-idx3-ubyte.gz"),
        read_idx(f"{name}-labels-idx1-ubyte.gz"),
    )
    return images.reshape(len(images), -1).astype(np.float32) / 255, kind


X_train, kind_train = read_split("train")
X_test, kind_test = read_split("t10k")

# %%
# Meta-train on seven kinds
# -------------------------
domains = [X_train[kind_train == k][: arguments.rows] for k in range(10) if k not in UNSEEN]
detector = ZeroShotACRDetector(max_iter=arguments.max_iter, random_state=0).fit(domains)
print(
    f"Meta-trained on {len(domains)} kinds of {arguments.rows:,} images: {detector.n_iter_} "
    f"steps, {time.perf_counter() - start:.0f} s."
)

# %%
# Score batches of the three others
# ---------------------------------
# They come from the test files, and the detector sees each batch once, without labels.
rng = np.random.default_rng(0)


def draw_batch(normal_kind, share):
    n_anomalies = round(share * BATCH)
    others = np.flatnonzero(np.isin(kind_test, UNSEEN) & (kind_test != normal_kind))
    own = np.flatnonzero(kind_test == normal_kind)
    rows = np.concatenate(
        [
            rng.choice(own, BATCH - n_anomalies, replace=False),
            rng.choice(others, n_anomalies, replace=False),
        ]
    )
    return X_test[rows], np.where(kind_test[rows] == normal_kind, 1, -1)


def isolation_forest(batch):
    return IsolationForest(random_state=0).fit(batch).score_samples(batch)


def neighbor_distance(batch):
    # The first neighbour of a row is the row itself.
    distance, _ = NearestNeighbors(n_neighbors=6).fit(batch).kneighbors(batch)
    return -distance[:, 1:].mean(axis=1)


methods = {
    "ACR, zero-shot": detector.score_samples,
    "IsolationForest, refitted": isolation_forest,
    "kNN distance, refitted": neighbor_distance,
}
areas = {name: {share: [] for share in SHARES} for name in methods}
shown = {}
for share in SHARES:
    for k in UNSEEN * arguments.batches:
        batch, y = draw_batch(k, share)
        for name, score_samples in methods.items():
            scores = score_samples(batch)
            areas[name][share].append(roc_auc_score(y, scores))
            if name.startswith("ACR") and share == 0.05:
                shown[k] = batch, y, scores

print(
    f"AUROC on {', '.join(KINDS[k] for k in UNSEEN)}, never seen in training: mean and standard "
    f"deviation over {3 * arguments.batches} batches of {BATCH:,} rows"
)
print(" " * 25 + "".join(f"{share:>16.0%}" for share in SHARES))
for name, values in areas.items():
    print(
        f"{name:<25}" + "".join(f"   {np.mean(a):.3f} ± {np.std(a):.3f}" for a in values.values())
    )

# %%
# The most anomalous images
# -------------------------
# One batch per row, with 5 % anomalies; what the detector ranks first stands left.
figure, axes = plt.subplots(3, 14, figsize=(11, 3.2), layout="constrained")
for row, k in zip(axes, UNSEEN, strict=True):
    batch, y, scores = shown[k]
    for axis, i in zip(row, np.argsort(scores), strict=False):
        axis.imshow(batch[i].reshape(28, 28), cmap="gray_r")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(
            color="#D55E00" if y[i] == -1 else "#CCCCCC", linewidth=3 if y[i] == -1 else 0.8
        )
    row[0].set_ylabel(f"batch of\n{KINDS[k]}s")
figure.suptitle(
    f"The 14 most anomalous of {BATCH:,} images in three batches of unseen kinds "
    "(outlined: true anomalies, 5 %)",
    fontsize="medium",
)
figure.savefig(arguments.save, dpi=150)
print(f"Picture: {arguments.save}. Total: {time.perf_counter() - start:.0f} s.")
