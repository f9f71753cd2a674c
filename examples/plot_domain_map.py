"""
Is this batch like anything the detector knows?
===============================================

A detector for unseen domains still expects them to be of a kind: machines of one make, classes of
one alphabet. When a batch is not, for example because somebody has changed a unit or the order of
the columns, its scores mean little, and no score says so. The detector measures how the rows of a
batch vary and warns (``UnfamiliarBatchWarning``) if that is unlike all training domains;
``DomainMapDisplay`` draws it.
"""

# %%
# Training on one make of machine
# -------------------------------
# Every machine has levels and noise of its own; how the eight sensors go together differs a little.
import argparse
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.exceptions import UnfamiliarBatchWarning
from acr_sklearn.plotting import DomainMapDisplay

parser = argparse.ArgumentParser(description="Familiar and unfamiliar batches on a map.")
parser.add_argument("--save", type=Path, help="write the picture to this file")
parser.add_argument("--max-iter", type=int, default=60, help="training steps")
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
rng = np.random.default_rng(1)
N_ROWS, N_FAULTS, N_SENSORS = 250, 20, 8
make = rng.normal(size=(3, N_SENSORS))


def machine(mixing=make, n_faults=0):
    """Rows of one machine, the first of them faults: two sensors out of step."""
    own = mixing + 0.15 * rng.normal(size=mixing.shape)
    rows = rng.normal(size=(N_ROWS, 3)) @ own + 0.5 * rng.normal(size=(N_ROWS, N_SENSORS))
    for row in range(n_faults):
        rows[row, rng.choice(N_SENSORS, 2, replace=False)] += rng.choice([-2.5, 2.5], 2)
    return rows + rng.normal(0, 6, N_SENSORS)


detector = ZeroShotACRDetector(max_iter=arguments.max_iter, random_state=0)
detector.fit([machine() for _ in range(20)])

# %%
# Five new batches
# ----------------
# Two are machines like those of training. One has a sensor in another unit, one has two columns
# swapped, and one is of a make that training never saw. All hold the same kind of faults.
new = {"alike A": machine(n_faults=N_FAULTS), "alike B": machine(n_faults=N_FAULTS)}
new["other unit"] = machine(n_faults=N_FAULTS) * np.where(np.arange(N_SENSORS) == 3, 6, 1)
new["swapped"] = machine(n_faults=N_FAULTS)[:, [4, 1, 2, 3, 0, 5, 6, 7]]
new["other make"] = machine(rng.normal(size=make.shape), n_faults=N_FAULTS)
y = np.where(np.arange(N_ROWS) < N_FAULTS, -1, 1)

areas, flagged, warned = {}, {}, {}
for name, batch in new.items():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UnfamiliarBatchWarning)
        areas[name] = detector.score(batch, y)
        flagged[name] = np.mean(detector.predict(batch)[N_FAULTS:] == -1)
    warned[name] = bool(caught)
    print(
        f"{name:<12}AUROC {areas[name]:.3f}, {flagged[name]:.0%} of the normal rows flagged"
        + (", with a warning" if warned[name] else "")
    )

# %%
# The map
# -------
# Left: how rows vary around their mean, which is what the scores respond to, in the two directions
# in which that differs most. In brackets: the distance to the nearest training machine, as a
# multiple of what 19 in 20 new machines keep. Right: what became of the scores.
#
# To be unfamiliar is a reason to look, not a verdict: the changed unit is far off and costs little,
# since every batch is scaled by itself; another make, whose sensors go together in other ways,
# costs the most. And not every mistake is seen. The batch with two columns swapped stands apart on
# the map, yet it is within the reach of training, so there is no warning, and it costs as much as
# the changed unit does.
figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.2), width_ratios=[1.9, 1])
DomainMapDisplay.from_estimator(detector, new, ax=axes[0])
colors = ["#D55E00" if warned[name] else "#009E73" for name in new]
places = np.arange(len(new))
axes[1].barh(places, list(areas.values()), color=colors)
axes[1].set_yticks(places, list(new))
axes[1].invert_yaxis()
axes[1].set(xlim=(0.5, 1), xlabel="AUROC of the faults", title="Scores (orange: warned)")
if arguments.save:
    figure.savefig(arguments.save, dpi=150)
else:
    plt.show()
print(f"AUROC on the familiar batches: {(areas['alike A'] + areas['alike B']) / 2:.3f}")
