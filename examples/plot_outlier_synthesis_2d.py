"""
Made-up outliers that draw the border
=====================================

With a single normal data set there is no other domain to learn from. ``OutlierSynthesisDetector``
makes its own outliers: it finds out where the rows thin out, makes rows just outside, and learns to
tell the two apart.

Two columns are few enough to see it all: the rows, the made-up outliers, and what is flagged,
beside two detectors of scikit-learn.
"""

# %%
# Three shapes
# ------------
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor

from acr_sklearn import OutlierSynthesisDetector
from acr_sklearn.outliers import OutlierSynthesizer

parser = argparse.ArgumentParser(description="Outlier synthesis in two dimensions.")
parser.add_argument("--save", type=Path, help="write the picture to this file")
parser.add_argument("--max-iter", type=int, default=250, help="training steps of each level")
arguments = parser.parse_args()

plt.rcParams.update(
    {
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": "medium",
        "figure.constrained_layout.use": True,
        "figure.titlesize": "medium",
        "legend.frameon": False,
    }
)
rng = np.random.default_rng(0)
N_ROWS = 500


def ring(n_rows):
    angle = rng.uniform(0, 2 * np.pi, n_rows)
    return np.column_stack([np.cos(angle), np.sin(angle)]) + 0.1 * rng.normal(size=(n_rows, 2))


def two_densities(n_rows):
    tight = np.arange(n_rows) < n_rows // 2
    spread = np.where(tight, 0.08, 0.45)[:, None]
    return np.where(tight[:, None], (-0.9, 0.0), (0.7, 0.0)) + spread * rng.normal(size=(n_rows, 2))


def moons(n_rows):
    return make_moons(n_rows, noise=0.07, random_state=int(rng.integers(99)))[0] - (0.5, 0.25)


shapes = {"moons": moons, "ring": ring, "two densities": two_densities}

# %%
# Fit, and draw the borders
# -------------------------
# All three flag a tenth of the training rows by their own choice of it: ``contamination=0.1``.
detectors = {
    "OutlierSynthesisDetector": lambda: OutlierSynthesisDetector(
        max_iter=arguments.max_iter, contamination=0.1, random_state=0
    ),
    "IsolationForest": lambda: IsolationForest(contamination=0.1, random_state=0),
    "LocalOutlierFactor": lambda: LocalOutlierFactor(novelty=True, contamination=0.1),
}
side = np.linspace(-2.1, 2.1, 80)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)

figure, axes = plt.subplots(3, 4, figsize=(10, 7.6), sharex=True, sharey=True)
areas = {name: [] for name in detectors}
for row, (shape, make) in zip(axes, shapes.items(), strict=True):
    rows = make(N_ROWS)
    synthesizer = OutlierSynthesizer(max_iter=arguments.max_iter, random_state=0).fit([rows])
    made = synthesizer.sample(rows, 0, 250, rng)
    row[0].plot(*rows.T, ".", color="#0072B2", markersize=3, label="normal rows")
    row[0].plot(*made.T, "x", color="#D55E00", markersize=4, label="made-up outliers")
    row[0].set_ylabel(shape)
    # Anomalies to be found: uniform in the square, but not where normal rows are.
    fresh, uniform = make(400), rng.uniform(-2, 2, (2000, 2))
    nearest = np.linalg.norm(uniform[:, None] - rows, axis=2).min(axis=1)
    odd = uniform[(nearest > 0.2) & (nearest < 0.8)][:400]
    for axis, (name, build) in zip(row[1:], detectors.items(), strict=True):
        detector = build().fit(rows)
        outside = detector.decision_function(grid).reshape(len(side), len(side))
        axis.contourf(side, side, outside, [-np.inf, 0, np.inf], colors=["#FBE3D0", "#D6E8F4"])
        axis.contour(side, side, outside, [0], colors="black", linewidths=1)
        axis.plot(*rows.T, ".", color="#0072B2", markersize=2)
        scores = detector.score_samples(np.concatenate([fresh, odd]))
        y = np.repeat([1, -1], [len(fresh), len(odd)])
        areas[name].append(roc_auc_score(y, scores))
        axis.text(0.97, 0.03, f"AUROC {areas[name][-1]:.3f}", transform=axis.transAxes, ha="right")
axes[0, 0].legend(loc="lower left", fontsize="small", handletextpad=0.1)
for axis, name in zip(axes[0], ["What it learns from", *detectors], strict=True):
    axis.set_title(name)
for axis in axes.flat:
    axis.set(xticks=[], yticks=[], xlim=(-2.1, 2.1), ylim=(-2.1, 2.1), aspect="equal")

# %%
# What is seen
# ------------
# The made-up outliers fill the hole of the ring and the bays of the moons and lie around the rims;
# some fall among the normal rows, and training has to live with these. The border follows the rows
# where the forest cuts boxes. Around a thin cloud it is ragged, as it looks at the nearest few
# rows. With two columns and this many rows the neighbours of ``LocalOutlierFactor`` do as well
# without any training: a picture in two dimensions shows how the detector works, not that it is
# needed. The numbers are for anomalies strewn evenly around the rows.
for name, values in areas.items():
    print(f"{name:<26}" + "  ".join(f"{value:.3f}" for value in values))
if arguments.save:
    figure.savefig(arguments.save, dpi=150)
else:
    plt.show()
mean = np.mean(areas["OutlierSynthesisDetector"])
print(f"Mean AUROC over the three shapes: {mean:.3f}")
