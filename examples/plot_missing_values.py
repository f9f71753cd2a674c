"""
Missing values: fill them from the batch they are in
====================================================

Gaps have to be filled before a detector sees the rows. The usual way is to learn one value per
column from the training rows and to put it into every gap, now and later. Where domains lie apart
this makes anomalies: the value is usual for all domains together and for none of them alone.
``DomainImputer`` fills a gap from the rows of its own batch.
"""

# %%
# Machines with gaps
# ------------------
# Each machine has levels of its own. One value in fifty is missing.
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline

from acr_sklearn import DomainImputer, ZeroShotACRDetector, concat_domains

parser = argparse.ArgumentParser(description="Two ways to fill gaps.")
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
rng = np.random.default_rng(2)
N_COLUMNS, N_FAULTS = 6, 20


def machine(n_rows=300, n_faults=0):
    """Rows of a machine, the first of them faults: larger noise. Some values are missing."""
    rows = rng.normal(size=(n_rows, N_COLUMNS))
    rows[:n_faults] *= 2.5
    rows += rng.normal(0, 5, N_COLUMNS)
    rows[rng.random(rows.shape) < 0.02] = np.nan
    return rows


X, site = concat_domains([machine() for _ in range(12)])
new = machine(n_faults=N_FAULTS)
y = np.where(np.arange(len(new)) < N_FAULTS, -1, 1)
has_gap = np.isnan(new).any(axis=1)
print(f"{has_gap.sum()} of {len(new)} rows of the new machine have a gap, {N_FAULTS} are faulty")

# %%
# Two pipelines
# -------------
fills = {"One value for all machines": SimpleImputer(strategy="median")}
fills["From the machine's own rows"] = DomainImputer()
models = {}
for title, imputer in fills.items():
    own = {} if isinstance(imputer, SimpleImputer) else {"fill__domains": site}
    detector = ZeroShotACRDetector(max_iter=arguments.max_iter, random_state=0)
    models[title] = Pipeline([("fill", imputer), ("acr", detector)])
    models[title].fit(X, acr__domains=site, **own)

# %%
# A machine that no training has seen
# -----------------------------------
# Above, two of its six columns. A pooled median lies far from all that this machine ever measures,
# so every row with a gap stands apart, and the detector is right to call it unusual: it is the
# filling that is wrong. Below, all rows in the order of their scores. With pooled values the faults
# queue behind the gaps; with the machine's own they come first.
#
# The other side of it: a filled value is the most ordinary there is, so a row with a gap looks a
# little more normal than it may be.
COLORS = {"normal": "#BBBBBB", "has a gap": "#0072B2", "faulty": "#D55E00"}
kinds = {"normal": (y == 1) & ~has_gap, "has a gap": (y == 1) & has_gap, "faulty": y == -1}
shown = np.argsort(np.abs(np.nanmean(new, axis=0)))[-2:]
figure, axes = plt.subplots(2, 2, figsize=(9.5, 5.6), height_ratios=[2.6, 1], sharey="row")
found = []
for (title, model), (above, below) in zip(models.items(), axes.T, strict=True):
    filled = model["fill"].transform(new)
    order = np.argsort(model.score_samples(new))
    rank = np.empty(len(new), int)
    rank[order] = np.arange(1, len(new) + 1)
    for name, rows in kinds.items():
        style = {"color": COLORS[name], "label": name, "linewidths": 0}
        above.scatter(*filled[rows][:, shown].T, s=18, alpha=0.8, **style)
        below.vlines(rank[rows], 0, 1, color=COLORS[name], linewidth=1.6)
    found.append((y[order[:N_FAULTS]] == -1).sum())
    auroc = model.score(new, y)
    above.set(title=title, xlabel=f"column {shown[0] + 1}")
    below.set(
        xlabel=f"rank by score, the most anomalous left (AUROC {auroc:.3f})",
        xlim=(0, 100.5),
        yticks=[],
    )
    below.spines["left"].set_visible(False)
    print(f"{title}: {found[-1]} faults among the {N_FAULTS} worst rows, AUROC {auroc:.3f}")
axes[0, 0].set_ylabel(f"column {shown[1] + 1}")
axes[0, 1].legend(loc="best")
axes[1, 0].set_ylabel("the worst\n100 rows")
if arguments.save:
    figure.savefig(arguments.save, dpi=150)
else:
    plt.show()
print(f"Share of the faults among the worst rows, own values: {found[1] / N_FAULTS:.2f}")
