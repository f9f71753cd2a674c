"""
Why this row? Planted faults, and what is blamed
================================================

An alarm is worth more when it says where to look. ``explain`` takes the score of a row apart into
contributions of its features; ``report`` lists the worst rows of a batch with their reasons;
``ExplanationDisplay`` draws them.

Whether reasons are right can only be seen where they are known. So faults are planted: in the
sensors of a machine, and in the pixels of digits.
"""

# %%
# A machine with eight faults
# ---------------------------
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.plotting import ExplanationDisplay

parser = argparse.ArgumentParser(description="Planted faults and their explanations.")
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
SENSORS = ["rpm", "load", "current", "torque", "oil temp.", "oil press.", "vibration", "noise"]
rng = np.random.default_rng(4)
mixing = rng.normal(size=(3, len(SENSORS)))


def machine(n_rows=250):
    rows = rng.normal(size=(n_rows, 3)) @ mixing + 0.4 * rng.normal(size=(n_rows, len(SENSORS)))
    return pd.DataFrame(rows + rng.normal(0, 5, len(SENSORS)), columns=SENSORS)


detector = ZeroShotACRDetector(max_iter=arguments.max_iter, random_state=0)
detector.fit([machine() for _ in range(10)])

new = machine()
planted = dict(zip(rng.choice(len(new), 8, replace=False), SENSORS, strict=True))
for row, sensor in planted.items():
    new.loc[row, sensor] += rng.choice([-4.5, 4.5]) * new[sensor].std()

# %%
# The report
# ----------
# The worst rows with the first two reasons, the value and what is usual for the machine.
report = detector.report(new, n_rows=8)
report["planted"] = report["row"].map(planted).fillna("")
shown = ["row", "planted", "p_value", "reason_1", "value_1", "median_1", "reason_2"]
print(report[shown].round(3).to_string(index=False))

# %%
# Rows by sensors
# ---------------
# Orange adds to the score, purple takes from it; a black frame is around what was planted. The
# eight faults are the eight worst rows, and each frame holds the darkest cell of its row. The rows
# below are ordinary ones: they too have contributions, pale and spread, for the sum of them is the
# score.
#
# These faults are plain, one sensor far off. Where two sensors are usual each and do not go
# together, either may be named: the values alone do not say which of them is wrong.
figure, axis = plt.subplots(figsize=(8, 4.6))
display = ExplanationDisplay.from_estimator(detector, new, n_rows=14, ax=axis)
axis.set_xticks(range(len(SENSORS)), SENSORS, rotation=30, ha="right")
for line, row in enumerate(display.rows_):
    if row in planted:
        corner = (SENSORS.index(planted[row]) - 0.5, line - 0.5)
        axis.add_patch(plt.Rectangle(corner, 1, 1, fill=False, linewidth=2.2, clip_on=False))
axis.set(xlabel="", title="The 14 worst rows of a new machine")
table = figure
contributions = detector.explain(new)
blamed = {row: SENSORS[contributions[row].argmax()] for row in planted}
first = np.mean([blamed[row] == sensor for row, sensor in planted.items()])

# %%
# Digits with a glitch
# --------------------
# Trained on digits 0 to 6. In a batch of eights, a digit it has not seen, six images get a glitch:
# a square of 2 x 2 pixels is inverted. In the corners, where eights have no ink, nothing else is
# blamed. Where the square lies across a stroke, its neighbours get a part of the blame, and pixels
# of the square that some eights have inked anyway get little.
images, digit = load_digits(return_X_y=True)
reader = ZeroShotACRDetector(max_iter=arguments.max_iter, random_state=0)
reader.fit([images[digit == d] for d in range(7)])
batch = images[digit == 8].reshape(-1, 8, 8)
corners = [(0, 0), (6, 0), (3, 5), (0, 6), (6, 6), (3, 1)]
for image, (y, x) in zip(batch, corners, strict=False):
    image[y : y + 2, x : x + 2] = 16 - image[y : y + 2, x : x + 2]
batch = batch.reshape(-1, 64)
reasons = reader.explain(batch)[: len(corners)].reshape(-1, 8, 8)

figure, axes = plt.subplots(2, 6, figsize=(9.5, 3.4))
for column, corner in zip(range(6), corners, strict=True):
    most = np.abs(reasons[column]).max()
    axes[0, column].imshow(batch[column].reshape(8, 8), cmap="gray_r")
    axes[1, column].imshow(reasons[column], cmap="PuOr_r", vmin=-most, vmax=most)
    for axis, color in zip(axes[:, column], ("#D55E00", "black"), strict=True):
        place = (corner[1] - 0.5, corner[0] - 0.5)
        axis.add_patch(
            plt.Rectangle(place, 2, 2, fill=False, edgecolor=color, linewidth=2, clip_on=False)
        )
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(visible=True, color="#CCCCCC")
axes[0, 0].set_ylabel("image")
axes[1, 0].set_ylabel("reasons")
figure.suptitle("Eights with an inverted square (framed), and the pixels that are blamed")
if arguments.save:
    table.savefig(arguments.save, dpi=150)
else:
    plt.show()
print(f"Share of planted faults whose sensor is blamed first: {first:.3f}")
