"""
How many rows does a batch need?
================================

A batch is scored under its own statistics, so it has to be large enough to have some. How large,
depends on the data; ``BatchSizeCurveDisplay`` measures it on labelled domains: it draws batches of
several sizes from them, each with the domain's share of anomalies, and scores every one by itself.

Here the domains are handwritten digits. The detector is trained on the digits 0 to 6 and scores
batches of 7, 8 or 9 in which one row in ten is another digit.
"""

# %%
# Train on seven digits
# ---------------------
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from acr_sklearn import ZeroShotACRDetector, concat_domains
from acr_sklearn.plotting import BatchSizeCurveDisplay

parser = argparse.ArgumentParser(description="Detection against the rows scored together.")
parser.add_argument("--save", type=Path, help="write the picture to this file")
parser.add_argument("--max-iter", type=int, default=80, help="training steps")
parser.add_argument("--batches", type=int, default=12, help="batches per digit and size")
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
images, digit = load_digits(return_X_y=True)
detector = ZeroShotACRDetector(max_iter=arguments.max_iter, random_state=0)
detector.fit([images[digit == d] for d in range(7)])

# %%
# Three unseen domains, each with anomalies
# -----------------------------------------
rng = np.random.default_rng(0)
batches, labels = {}, []
for normal in (7, 8, 9):
    own = np.flatnonzero(digit == normal)
    others = np.flatnonzero((digit >= 7) & (digit != normal))
    odd = rng.choice(others, len(own) // 9, replace=False)
    batches[f"digit {normal}"] = images[np.concatenate([own, odd])]
    labels += [1] * len(own) + [-1] * len(odd)
X, domains = concat_domains(list(batches.values()))
domains = np.array(list(batches))[domains]
y = np.array(labels)

# %%
# Ranking, and the threshold
# --------------------------
# Left: how well anomalies are ranked below normal rows. It gets better up to some 64 rows, and then
# no more. Right: what ``predict`` makes of it at its default threshold, which is set on training
# batches of up to 256 rows; it holds for small batches too. In batches of 16 rows there are one or
# two anomalies, and a single one that is missed shows: the wide band is as much the luck of the
# draw as it is the detector.
SIZES = [16, 32, 64, 128, 192]
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4))
display = BatchSizeCurveDisplay.from_estimator(
    detector,
    X,
    y,
    domains=domains,
    sizes=SIZES,
    n_batches=arguments.batches,
    random_state=0,
    ax=left,
)
left.set_title("Ranking")

found, alarms = [], []
for size in SIZES:
    hits = np.zeros((2, 2))
    for name in batches:
        rows = np.flatnonzero(domains == name)
        normal, odd = rows[y[rows] == 1], rows[y[rows] == -1]
        n_odd = round(size * len(odd) / len(rows))
        for _ in range(arguments.batches):
            drawn = [rng.choice(normal, size - n_odd, False), rng.choice(odd, n_odd, False)]
            flagged = detector.predict(X[np.concatenate(drawn)]) == -1
            for kind, part in enumerate(np.split(flagged, [size - n_odd])):
                hits[kind] += part.sum(), len(part)
    alarms.append(hits[0, 0] / hits[0, 1])
    found.append(hits[1, 0] / hits[1, 1])
right.plot(SIZES, found, "o-", color="#D55E00", label="of the anomalies (found)")
right.plot(SIZES, alarms, "s-", color="#0072B2", label="of the normal rows (false alarms)")
right.axhline(0.1, color="#999999", linestyle=":", label="false alarms asked for: 0.1")
right.set(
    xscale="log",
    xlabel="rows scored together (log scale)",
    ylabel="fraction flagged",
    title="The default threshold",
    ylim=(0, 1.02),
)
right.set_xticks(SIZES, SIZES)
right.set_xticks([], minor=True)
right.legend(loc="center right")
if arguments.save:
    figure.savefig(arguments.save, dpi=150)
else:
    plt.show()

means = np.mean(list(display.means_.values()), axis=0)
print(f"Mean AUROC with 16 rows {means[0]:.3f}, with 64 rows {means[SIZES.index(64)]:.3f}")
print(f"Mean AUROC with 128 rows: {means[SIZES.index(128)]:.3f}")
