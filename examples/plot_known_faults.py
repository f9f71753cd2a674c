"""
Faults known on some machines, found on a new one
=================================================

A maintenance engineer has years of data from a park of machines. On some of them faults were
written down. A new machine has no history and no labels: which of its rows should be looked at
first? ``fit(known_anomalies=)`` learns from the faults that are known.
"""

# %%
# The park
# --------
# Servers of the SMD set, where it is at hand (docs/native.md says how to build it); otherwise
# machines that are made, with a fault that shows in no single sensor.
import argparse
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from acr_sklearn import FitOnNormals, LabelThreshold, ZeroShotACRDetector

parser = argparse.ArgumentParser(description="Known faults of some machines, found on another.")
parser.add_argument("--save", type=Path, help="write the picture to this file")
parser.add_argument("--max-iter", type=int, default=80, help="training steps")
default = Path(os.environ.get("ACR_SKLEARN_DATA", "../shared/data")) / "native"
parser.add_argument("--data", type=Path, default=default, help="folder of the native sets")
parser.add_argument("--set", default="diecast", help="its name there")
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


def made_park(n_machines=14, n_rows=400, n_faults=24):
    """Machines in units of their own; in a fault two sensors drift apart, within their ranges."""
    parts = []
    for number in range(n_machines):
        rows, faulty = rng.normal(size=(n_rows, 8)), np.arange(n_rows) < n_faults
        rows[faulty, 2], rows[faulty, 5] = 1.6, -1.4
        rows[faulty] += 0.4 * rng.normal(size=(n_faults, 8))
        rows = rows * np.exp(rng.normal(0, 0.5, 8)) + rng.normal(0, 5, 8)
        parts.append((rows, faulty, np.full(n_rows, f"machine {number:02d}")))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def native_park(path, n_rows=500):
    """Up to 500 normal rows of each domain, and a tenth as many of its faults."""
    with np.load(path, allow_pickle=False) as file:
        X, faulty, site = file["X"], file["anomaly"], file["domain"]
    kept = []
    for name in np.unique(site):
        normal = rng.permutation(np.flatnonzero((site == name) & ~faulty))[:n_rows]
        bad = rng.permutation(np.flatnonzero((site == name) & faulty))[: len(normal) // 10]
        kept += [normal, bad]
    kept = np.concatenate(kept)
    return X[kept], faulty[kept], site[kept]


file = arguments.data / f"{arguments.set}.npz"
X, faulty, site = native_park(file) if file.is_file() else made_park()
machines = np.unique(site)
new = machines[-max(2, len(machines) // 4) :]
here, there = ~np.isin(site, new), np.isin(site, new)
print(f"{'Set ' + arguments.set if file.is_file() else 'Made machines'}: {len(machines)} machines,")
print(f"{faulty[here].sum()} known faults on {len(machines) - len(new)}; {len(new)} are new.")

# %%
# With the faults and without
# ---------------------------
# The marked rows never count as normal. How much they say about other machines is decided by
# leaving machines out: ``selection_`` tells.
detector = ZeroShotACRDetector(max_iter=arguments.max_iter, random_state=0)
plain = ZeroShotACRDetector(max_iter=arguments.max_iter, random_state=0)
plain.fit(X[here & ~faulty], domains=site[here & ~faulty])
detector.fit(X[here], domains=site[here], known_anomalies=faulty[here])
told = detector.selection_
print(f"weight of what was learnt: {told['weight']:.2f}; AUROC on machines left out:")
print(", ".join(f"{auroc:.3f} at {weight:.2f}" for weight, auroc in told["auroc"].items()))

y = np.where(faulty, -1, 1)
values = {}
for name in new:
    rows = site == name
    values[name] = plain.score(X[rows], y[rows]), detector.score(X[rows], y[rows])
    print(f"{name}: AUROC {values[name][0]:.3f} without, {values[name][1]:.3f} with known faults")

# %%
# Where to cut
# ------------
# A missed fault costs as much as twenty false alarms. The cut that is best on machines left out is
# taken to the new ones.
alarm = LabelThreshold(
    FitOnNormals(detector, anomalies="known"), metric="cost", miss_cost=20, cv=3
).fit(X[here], y[here], domains=site[here])
for name in new:
    rows = site == name
    flagged = alarm.predict(X[rows]) == -1
    hits, false = (flagged & faulty[rows]).sum(), (flagged & ~faulty[rows]).sum()
    print(f"{name}: {hits} of {faulty[rows].sum()} faults called, {false} false alarms")

# %%
# What it brings, machine by machine
# ----------------------------------
# Left: each new machine, without known faults and with them. Right: rows of the new machines in the
# order of their scores, and how many faults are among the first.
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.7))
COLORS = {"without known faults": "#999999", "with them": "#D55E00"}
before, after = np.array(list(values.values())).T
places = np.arange(len(new))
left.hlines(places, before, after, color="#CCCCCC", linewidth=3)
for area, (label, color) in zip((before, after), COLORS.items(), strict=True):
    left.plot(area, places, "o", markersize=9, color=color, label=label)
left.set_yticks(places, new)
left.set(xlabel="AUROC", ylim=(-0.5, len(new) - 0.5), title="New machines")
for model, (label, color) in zip((plain, detector), COLORS.items(), strict=True):
    found = []
    for name in new:
        rows = site == name
        order = np.argsort(model.score_samples(X[rows]))
        found.append(
            np.interp(
                np.linspace(0, 0.3, 61),
                np.arange(1, rows.sum() + 1) / rows.sum(),
                np.cumsum(faulty[rows][order]) / faulty[rows].sum(),
            )
        )
    right.plot(
        100 * np.linspace(0, 0.3, 61), 100 * np.mean(found, axis=0), color=color, label=label
    )
right.set(
    xlabel="rows looked at, %",
    ylabel="faults found, %",
    ylim=(0, 102),
    title="What the first looks find",
)
right.legend(loc="lower right")
if arguments.save:
    figure.savefig(arguments.save, dpi=150)
else:
    plt.show()
mean = np.mean(list(values.values()), axis=0)
print(f"Mean AUROC without known faults {mean[0]:.3f}")
print(f"Mean AUROC on new machines with known faults: {mean[1]:.3f}")
