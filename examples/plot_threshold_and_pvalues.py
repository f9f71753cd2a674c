"""
Where to cut: thresholds and p-values
=====================================

A detector ranks rows; somebody has to say from where on a row is an anomaly. There are four ways
here, and they answer different questions:

- ``threshold="train"``, the default: a cut that flags the fraction ``contamination`` of *normal*
  rows, anomalies or none;
- ``threshold="batch"``: the worst ``contamination`` of every batch, whatever is in it;
- ``threshold="batch"`` with ``contamination="auto"``: as many as the batch seems to hold;
- p-values with a bound on the false discovery rate: of what is flagged, at most so many are normal.

No way is best. The pictures show what each does as the anomalies in a batch grow more.
"""

# %%
# A detector, and batches of machines it has not seen
# ---------------------------------------------------
# Eight sensors that go together in the same way on every machine. In a fault, three of them are off
# by some standard deviations.
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import false_discovery_control

from acr_sklearn import ZeroShotACRDetector

parser = argparse.ArgumentParser(description="Thresholds and p-values side by side.")
parser.add_argument("--save", type=Path, help="write the picture to this file")
parser.add_argument("--max-iter", type=int, default=60, help="training steps")
parser.add_argument("--batches", type=int, default=6, help="batches per share of anomalies")
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
mixing, BATCH = rng.normal(size=(4, 8)), 300


def machine(n_rows=BATCH, share=0.0):
    """Rows of a machine with levels of its own, the last of them faults; True for these."""
    rows = rng.normal(size=(n_rows, 4)) @ mixing + 0.5 * rng.normal(size=(n_rows, 8))
    odd = np.arange(n_rows) >= round(n_rows * (1 - share))
    for row in np.flatnonzero(odd):
        rows[row, rng.choice(8, 3, replace=False)] += rng.choice([-3, 3], 3)
    return rows + rng.normal(0, 5, 8), odd


detector = ZeroShotACRDetector(max_iter=arguments.max_iter, random_state=0)
detector.fit([machine()[0] for _ in range(12)])


# %%
# One batch
# ---------
# Left: the scores, with two of the cuts. Right: the p-values in order. Of normal rows alone they
# would lie along the diagonal; anomalies make a foot of small ones. The procedure of Benjamini and
# Hochberg draws a line through the origin and flags all rows up to the last that lies below it.
LEVEL = 0.1
batch, odd = machine(share=0.1)
scores = -detector.score_samples(batch)
p = detector.p_values(batch)
discovered = false_discovery_control(p) <= LEVEL

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8))
edges = np.linspace(scores.min(), scores.max(), 40)
left.hist(
    [scores[~odd], scores[odd]],
    edges,
    stacked=True,
    color=["#0072B2", "#D55E00"],
    label=["normal", "faults"],
)
left.axvline(-detector.offset_, color="black", linestyle="--", label='"train", 0.1')
cut = np.quantile(scores, 0.9)
left.axvline(cut, color="black", linestyle=":", label='"batch", 0.1')
left.set(xlabel="anomaly score", ylabel="rows", title="Scores of a batch with 10 % anomalies")
left.legend()

order = np.argsort(p)
rank = np.arange(1, BATCH + 1)
for kind, color in ((~odd, "#0072B2"), (odd, "#D55E00")):
    right.scatter(rank[kind[order]], p[order][kind[order]], s=14, color=color)
right.plot([0, BATCH], [0, 1], color="#999999", linewidth=1, label="normal rows alone")
right.plot([0, BATCH], [0, LEVEL], color="black", linewidth=1, label=f"line of level {LEVEL}")
right.axvspan(0, discovered.sum() + 0.5, color="#F0E442", alpha=0.35, linewidth=0)
right.set(
    xlabel="rank of the row (the first third)",
    ylabel="p-value",
    title="Its p-values (yellow: discoveries)",
    xlim=(0, BATCH / 3),
    ylim=(-0.01, 0.35),
)
right.legend(loc="upper left")
one_batch = figure
print(
    f"{discovered.sum()} discoveries at a false discovery rate of {LEVEL}: "
    f"{odd[discovered].sum()} of the {odd.sum()} anomalies among them"
)

# %%
# More and more anomalies
# -----------------------
# ``threshold`` and ``contamination`` take effect after ``fit``: nothing is trained again.
WAYS = {
    "train, 0.1": {"threshold": "train", "contamination": 0.1},
    "batch, 0.1": {"threshold": "batch", "contamination": 0.1},
    "batch, auto": {"threshold": "batch", "contamination": "auto"},
}
SHARES = np.array([0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25])
flags = {name: np.zeros((len(SHARES), 3)) for name in [*WAYS, f"p-values, FDR {LEVEL}"]}
for i, share in enumerate(SHARES):
    for _ in range(arguments.batches):
        batch, odd = machine(share=share)
        flagged = {
            name: detector.set_params(**way).predict(batch) == -1 for name, way in WAYS.items()
        }
        detector.set_params(**WAYS["train, 0.1"])
        flagged[f"p-values, FDR {LEVEL}"] = (
            false_discovery_control(detector.p_values(batch)) <= LEVEL
        )
        for name, own in flagged.items():
            flags[name][i] += own.sum(), own[odd].sum(), odd.sum()

# %%
# "train" flags about a tenth of the normal rows, and the anomalies come on top: it finds the most
# and rings the most. "batch" with a number is right where the number is; it calls a tenth of a
# clean batch anomalous and misses what is above a tenth. "auto" follows the truth, from below where
# anomalies are many. The p-values are the only way with a promise, the dashed line: no more than a
# tenth of the alarms false. They keep it here, and pay with anomalies that are missed. All ways but
# "batch, 0.1" find fewer as anomalies grow more, for these are then part of what a batch calls
# usual.
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.9), sharex=True)
styles = zip(("#0072B2", "#E69F00", "#009E73", "#CC79A7"), "osD^", strict=True)
n_rows = arguments.batches * BATCH
for (name, counts), (color, marker) in zip(flags.items(), styles, strict=True):
    n_flagged, n_hits, n_odd = counts.T
    style = {"color": color, "marker": marker, "markersize": 5, "label": name}
    axes[0].plot(100 * SHARES, 100 * n_flagged / n_rows, **style)
    axes[1].plot(100 * SHARES[1:], 100 * n_hits[1:] / n_odd[1:], **style)
    false = (n_flagged - n_hits)[1:] / np.maximum(n_flagged[1:], 1)
    axes[2].plot(100 * SHARES[1:], 100 * false, **style)
axes[0].plot(100 * SHARES, 100 * SHARES, color="black", linestyle=":", label="the truth")
axes[0].set(ylabel="%", title="Rows flagged")
axes[1].set(title="Anomalies found", ylim=(0, 102))
axes[2].set(title="Alarms that are false", ylim=(0, 102))
axes[2].axhline(100 * LEVEL, color="#999999", linestyle="--", linewidth=1)
for axis in axes:
    axis.set_xlabel("anomalies in the batch, %")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
if arguments.save:
    figure.savefig(arguments.save, dpi=150)
else:
    plt.show()
for name, counts in flags.items():
    print(
        f"{name:<18}"
        + "".join(f"{100 * own / n_rows:>7.1f}" for own in counts[:, 0])
        + " % flagged"
    )
n_hits, n_odd = flags["train, 0.1"][1:, 1:].T
print(f'Share of the anomalies found, "train": {np.mean(n_hits / n_odd):.3f}')
