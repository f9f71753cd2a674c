"""
Why batch norm: each batch in its own units
===========================================

Machines differ: each runs at levels of its own and in units of its own. What they share is how
their sensors go together. A detector for machines it has never seen must look past the first and
at the second, and batch normalisation does just that, in every layer of the network: the rows that
are scored together are centred and scaled by their own mean and standard deviation.

The first picture shows what this does to four machines with two sensors. The second shows what it
rests on: most rows of a batch must be normal.
"""

# %%
# Four machines
# -------------
# The second sensor follows the first on all of them. On one row in twelve it goes the other way:
# these are the faults.
import argparse
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from acr_sklearn import DomainScaler, ZeroShotACRDetector, concat_domains
from acr_sklearn.exceptions import UnfamiliarBatchWarning

parser = argparse.ArgumentParser(description="What centring a batch by itself does.")
parser.add_argument("--save", type=Path, help="write the picture to this file")
parser.add_argument("--max-iter", type=int, default=80, help="training steps")
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
COLORS = ["#0072B2", "#009E73", "#E69F00", "#CC79A7"]
FAULT = "#D55E00"
rng = np.random.default_rng(0)


def machine(level, unit, n_rows=180, n_faults=15, spread=1.0):
    """Rows of one machine; the last ones are faults, in which the second sensor goes against."""
    load = rng.normal(size=n_rows)
    follows = np.where(np.arange(n_rows) < n_rows - n_faults, 1, -1)
    load[follows < 0] = spread * np.sign(load[follows < 0]) * rng.uniform(1, 2, n_faults)
    rows = np.column_stack([load, follows * load]) + 0.3 * rng.normal(size=(n_rows, 2))
    return np.asarray(level) + unit * rows, follows < 0


places = [((-7, 4), 0.6), ((0, -5), 1.3), ((3, 6), 0.8), ((9, -1), 1.8)]
machines = [machine(*place) for place in places]
X, site = concat_domains([rows for rows, _ in machines])
faulty = np.concatenate([own for _, own in machines])

# %%
# Before and after
# ----------------
# Left, the rows as they come. In the middle, all of them divided by one common standard deviation,
# as a ``StandardScaler`` does it: only the numbers on the axes change. Right, each machine by its
# own statistics. Now the four lie on top of each other, and the faults of all four stand in the
# same two corners: a rule that was learnt on three machines holds on the fourth.
scaler = DomainScaler().fit(X, domains=site)
forms = {
    "As they come": X,
    "Scaled together": StandardScaler().fit_transform(X),
    "Each batch by its own statistics": scaler.transform(X, domains=site),
}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.7))
for axis, (title, rows) in zip(axes, forms.items(), strict=True):
    for name, color in enumerate(COLORS):
        own = (site == name) & ~faulty
        axis.scatter(*rows[own].T, s=9, color=color, alpha=0.6, linewidths=0)
    axis.scatter(
        *rows[faulty].T, s=22, facecolors="none", edgecolors=FAULT, linewidths=1.3, label="faults"
    )
    axis.set(title=title, xlabel="sensor 1")
axes[0].set_ylabel("sensor 2")
axes[0].legend(loc="upper right")
before_and_after = figure

# %%
# What it is worth
# ----------------
# A detector is trained on eight other machines, none of which is shown here, and scores these
# four: once all rows as a single batch, once each machine as a batch of its own.
others = [
    machine(rng.uniform(-10, 10, 2), np.exp(rng.normal(0, 0.4)), n_faults=0)[0] for _ in range(8)
]
detector = ZeroShotACRDetector(max_iter=arguments.max_iter, random_state=0).fit(others)
y = np.where(faulty, -1, 1)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", UnfamiliarBatchWarning)
    together = roc_auc_score(y, detector.score_samples(X))
apart = detector.score(X, y, domains=site)
print(f"AUROC, the four machines pooled in one batch: {together:.3f}")

# %%
# What it rests on
# ----------------
# The statistics are those of all rows at hand, so faults pull them along. The detector leaves out
# the most unusual quarter of a batch before it takes them (``trim_fraction``), and that holds as
# long as faults are few. Here one batch of 200 rows holds ever more of one and the same fault. At a
# fifth it begins to pass for normal. At two fifths it is as usual as the rest, and the detector,
# which is told nothing but the batch, takes it for a second way of running.
figure, axes = plt.subplots(1, 4, figsize=(10, 3.1), sharex=True, sharey=True)
areas = {}
for axis, share in zip(axes, (0.05, 0.1, 0.2, 0.4), strict=True):
    rows, odd = machine((0, 0), 1.0, n_rows=200, n_faults=0)
    odd = np.arange(200) < 200 * share
    rows[odd] = (1.4, -1.4) + 0.25 * rng.normal(size=(odd.sum(), 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnfamiliarBatchWarning)
        score = -detector.score_samples(rows)
    areas[share] = roc_auc_score(odd, score)
    points = axis.scatter(*rows.T, c=score, s=14, cmap="cividis", vmin=0, vmax=3)
    mean = rows.mean(axis=0)
    axis.plot(*mean, "+", color=FAULT, markersize=13, markeredgewidth=2.5)
    axis.set(title=f"{share:.0%} faults: AUROC {areas[share]:.2f}", xlabel="sensor 1")
axes[0].set_ylabel("sensor 2")
figure.colorbar(points, ax=axes, label="anomaly score", extend="both")
figure.suptitle("One fault, ever more often (cross: mean of the batch)")
if arguments.save:
    before_and_after.savefig(arguments.save, dpi=150)
else:
    plt.show()
print(f"AUROC, each machine as a batch of its own: {apart:.3f}")
