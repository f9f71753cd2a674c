"""
A Pipeline, a search over contamination, and the domains
========================================================

``contamination`` sets the threshold of ``predict`` and nothing else, so a search over it must be
scored by labels: balanced accuracy, Matthews' coefficient or F1 of the anomalies. The area under
the ROC curve would tie for every candidate.

Three things make such a search right for a detector of unseen domains:

- ``LeaveOneGroupOut`` with the domains as groups: a test fold is one domain that training has not
  seen, and it is scored as one batch;
- ``NormalTrainSplit`` around it: known anomalies stay out of training and in the test folds;
- ``memory``: candidates that differ in ``contamination`` only share one training per fold.
"""

# %%
# Digits with known anomalies
# ---------------------------
# Six classes are the domains, each with one row in ten from the four other classes.
import argparse
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.metrics import make_scorer, matthews_corrcoef
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from acr_sklearn import NormalTrainSplit, ZeroShotACRDetector, concat_domains

parser = argparse.ArgumentParser(description="Search the contamination of ACR in a Pipeline.")
parser.add_argument("--save", type=Path, help="write the picture to this file")
parser.add_argument("--max-iter", type=int, default=30, help="training steps")
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
rng = np.random.default_rng(0)
strangers = rng.permutation(np.flatnonzero(digit >= 6))
data_sets, labels = [], []
for d in range(6):
    own = images[digit == d]
    strange, strangers = np.split(strangers, [len(own) // 9])
    data_sets.append(np.concatenate([own, images[strange]]))
    labels.append(np.repeat([1, -1], [len(own), len(strange)]))
X, domains = concat_domains(data_sets)
y = np.concatenate(labels)
print(f"{len(X):,} rows, {len(data_sets)} domains, {(y == -1).mean():.0%} known anomalies")

# %%
# The search
# ----------
# Shorter training than the defaults: what is compared here are thresholds. ``refit=False``, for
# the search would refit on all rows it is given, known anomalies included.
cache = tempfile.TemporaryDirectory()
detector = ZeroShotACRDetector(
    max_iter=arguments.max_iter, early_stopping=False, memory=cache.name, random_state=0
)
search = GridSearchCV(
    Pipeline([("scale", StandardScaler()), ("acr", detector)]),
    {"acr__contamination": [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4]},
    scoring={"balanced accuracy": "balanced_accuracy", "MCC": make_scorer(matthews_corrcoef)},
    refit=False,
    cv=NormalTrainSplit(LeaveOneGroupOut()),
)

# %%
# Metadata routing off, scikit-learn's default: ``groups`` goes to the splitter, and the detector's
# ``domains`` carries the name of its step.
start = time.perf_counter()
search.fit(X, y, groups=domains, acr__domains=domains)
first = time.perf_counter() - start
results = search.cv_results_
candidates = np.asarray(results["param_acr__contamination"], dtype=float)
print(f"{len(candidates)} candidates on {search.n_splits_} folds in {first:.0f} s")

# %%
# Routing on: both by their own names. The trainings of before are still in the cache.
start = time.perf_counter()
with sklearn.config_context(enable_metadata_routing=True):
    routed = sklearn.clone(search).fit(X, y, groups=domains, domains=domains)
second = time.perf_counter() - start
same = np.allclose(
    routed.cv_results_["mean_test_balanced accuracy"], results["mean_test_balanced accuracy"]
)
print(f"With routing on: the same scores ({same}), {second:.0f} s from the cache")

# %%
# Balanced accuracy counts a missed anomaly as much as nine false alarms when one row in ten is
# anomalous, so it is content with many alarms. Matthews' coefficient is stricter: choose by it.
best = int(np.argmax(results["mean_test_MCC"]))
print("contamination  balanced accuracy    MCC")
for i, contamination in enumerate(candidates):
    mark = "  <- best" if i == best else ""
    print(
        f"{contamination:>13.2f}  {results['mean_test_balanced accuracy'][i]:>17.3f}  "
        f"{results['mean_test_MCC'][i]:>5.3f}{mark}"
    )

# %%
# What was found
# --------------
# The detector to be used is trained on the normal rows of all domains. In the picture there is one
# thin line per domain left out.
normal = y == 1
final = sklearn.clone(search.estimator).set_params(**results["params"][best])
final.fit(X[normal], acr__domains=domains[normal])
print(f"Fitted on {final['acr'].n_domains_} domains, offset_ {final['acr'].offset_:.1f}")

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharex=True)
for axis, name in zip(axes, ("balanced accuracy", "MCC"), strict=True):
    folds = np.array([results[f"split{i}_test_{name}"] for i in range(search.n_splits_)])
    axis.plot(candidates, folds.T, color="#999999", linewidth=0.8)
    axis.plot(candidates, folds.mean(axis=0), "o-", color="#0072B2", label="mean of the domains")
    axis.set(xscale="log", xlabel="contamination (log scale)", ylabel=name)
    axis.set_xticks(candidates, [f"{c:g}" for c in candidates])
    axis.set_xticks([], minor=True)
axes[0].plot([], [], color="#999999", linewidth=0.8, label="one domain left out")
axes[0].legend(loc="lower right")
figure.suptitle("Each domain scored by a detector that has not seen it")
if arguments.save:
    figure.savefig(arguments.save, dpi=150)
else:
    plt.show()
cache.cleanup()
