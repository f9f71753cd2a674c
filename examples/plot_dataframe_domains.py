"""
Domains as a column of a DataFrame
==================================

Data often come as one table in which a column says where a row is from: a site, a machine, a year.
``domain_column`` names it. The column may hold strings; it never reaches the network. At scoring
every value of the column is a batch of its own, and values that training has not seen are what the
detector is for.
"""

# %%
# A table with a string column
# ----------------------------
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from acr_sklearn import ZeroShotACRDetector, split_domains

parser = argparse.ArgumentParser(description="ACR with the domains in a DataFrame.")
parser.add_argument("--save", type=Path, help="write the picture to this file")
parser.add_argument("--max-iter", type=int, default=100, help="training steps")
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

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
bunch = load_digits(as_frame=True)
table = bunch.data.assign(source=[f"digits {NAMES[d]}" for d in bunch.target])
train, today = table[bunch.target < 7], table[bunch.target >= 7]
print(train.iloc[:3, [2, 3, 4, -1]].to_string())

# %%
# Train on seven sources
# ----------------------
detector = ZeroShotACRDetector(
    domain_column="source", max_iter=arguments.max_iter, random_state=0
).fit(train)
print(f"{detector.n_domains_} domains: {', '.join(detector.domains_)}")
print(f"{detector.n_features_in_} columns in, the domain column among them")

# %%
# Score three new ones in a single call
# -------------------------------------
# Some rows of each new source are mislabelled: they carry another source's name. These are the
# anomalies to be found.
rng = np.random.default_rng(0)
today = today.reset_index(drop=True)
truth = today["source"].copy()
moved = rng.choice(len(today), len(today) // 20, replace=False)
names = today["source"].unique()
today.loc[moved, "source"] = [rng.choice(names[names != truth[i]]) for i in moved]

y = np.where(today["source"] == truth, 1, -1)
scores = detector.score_samples(today)
for name, part in split_domains(today.assign(score=scores, y=y), today["source"]).items():
    worst = part.nsmallest((part.y == -1).sum(), "score")
    print(
        f"{name}: {len(part)} rows, {(part.y == -1).sum()} mislabelled, of which "
        f"{(worst.y == -1).sum()} lie among the {len(worst)} lowest scores"
    )

# %%
# The lowest scores of each source
# --------------------------------
figure, axes = plt.subplots(3, 12, figsize=(10, 3.2))
for row, (name, part) in zip(
    axes, split_domains(today.assign(score=scores, y=y), today["source"]).items(), strict=True
):
    lowest = part.nsmallest(row.size, "score")
    for axis, pixels, label in zip(
        row, lowest[bunch.feature_names].to_numpy(), lowest.y, strict=True
    ):
        axis.imshow(pixels.reshape(8, 8), cmap="gray_r")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(
            visible=True,
            color="#D55E00" if label == -1 else "#CCCCCC",
            linewidth=3 if label == -1 else 0.8,
        )
    row[0].set_ylabel(name.replace(" ", "\n"))
figure.suptitle("The 12 lowest scores of each unseen source (outlined: mislabelled rows)")
if arguments.save:
    figure.savefig(arguments.save, dpi=150)
else:
    plt.show()
print(f"Mean AUROC over the sources: {detector.score(today, y):.3f}")
