"""
The idea in one picture
=======================

Six machines with two sensors each. Every machine has levels of its own, and on all of them the two
sensors rise and fall together. A seventh machine, of which nothing is known, sends a batch of rows
without labels; on a few of its rows the sensors disagree.

Held against the rows of the other machines, all of the new machine is odd. Held against its own
batch, by what the six machines have in common, only the rows that disagree are.
"""

# %%
# Six machines to learn from, a seventh to score
# ----------------------------------------------
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from acr_sklearn import ZeroShotACRDetector

parser = argparse.ArgumentParser(description="What zero-shot detection is, in one picture.")
parser.add_argument("--save", type=Path, help="write the picture to this file")
parser.add_argument("--max-iter", type=int, default=100, help="training steps")
arguments = parser.parse_args()

rng = np.random.default_rng(0)


def machine(centre, n_rows, second=1):
    """Rows around a centre; the second sensor follows the first, or goes against it (-1)."""
    load = rng.normal(size=n_rows)
    together = np.column_stack([load, second * load])
    return np.asarray(centre) + together + 0.25 * rng.normal(size=(n_rows, 2))


centres = [(-8, 3), (-5, -5), (0, 7), (1, -8), (6, 6), (8, -3)]
machines = [machine(centre, 200) for centre in centres]
new = np.concatenate([machine((0, 0), 188), machine((0, 0), 12, second=-1)])
faulty = np.arange(200) >= 188

# %%
# Train once, then score the batch of the new machine
# ---------------------------------------------------
detector = ZeroShotACRDetector(max_iter=arguments.max_iter, random_state=0).fit(machines)
scores = detector.score_samples(new)  # high = normal
pooled = IsolationForest(random_state=0).fit(np.concatenate(machines)).score_samples(new)
by_batch, by_pool = roc_auc_score(~faulty, scores), roc_auc_score(~faulty, pooled)
print(f"AUROC on the new machine, rows held against all other machines: {by_pool:.3f}")

# %%
# What training saw, and what came out
# ------------------------------------
figure, (left, right) = plt.subplots(
    1, 2, figsize=(9, 3.8), layout="constrained", width_ratios=[1, 1.15]
)
for rows in machines:
    left.plot(*rows.T, ".", markersize=3, color="#0072B2", alpha=0.6)
left.plot(*new.T, ".", markersize=3, color="#777777")
left.text(-10.5, 7.5, "six machines,\nall normal", color="#0072B2")
left.text(2.6, -0.6, "a new one,\nno labels", color="#555555")
left.set_title("Training sees six machines", fontsize="medium")
points = right.scatter(*new.T, c=-scores, s=16, cmap="viridis")
right.plot(
    *new[faulty].T, "o", markersize=9, fillstyle="none", color="#D55E00", label="really faulty"
)
right.set_title("Its batch, scored without refitting", fontsize="medium")
right.legend(frameon=False, loc="upper left")
figure.colorbar(points, ax=right, label="anomaly score")
for axis in (left, right):
    axis.set(xlabel="sensor 1", ylabel="sensor 2")
    axis.spines[["top", "right"]].set_visible(False)
if arguments.save:
    figure.savefig(arguments.save, dpi=150)
    print(f"Picture: {arguments.save}.")
plt.show()
print(f"AUROC on the new machine, zero-shot within its batch: {by_batch:.3f}")
