"""
Categorical columns: road accidents by state
============================================

A table of people in accidents (the FARS data of the US government), with one numeric column, age,
and 15 categorical ones. States are the domains. The people without injury are normal; each unseen
state's batch has one in ten who died. Nothing is fitted on the unseen states.

The recipe for categories is scikit-learn's own: a ``ColumnTransformer`` in front of the detector.
The label of the domain stays outside it and is routed to the detector. ``TableVectorizer`` of the
skrub package would take the place of the ColumnTransformer as it is.

The data are read from ``fars.dat`` where it is (``make bench-data`` fetches it; ``--data FOLDER``
names another place). Without it the example makes a small table of the same kind, and says so.
"""

# %%
# Read the table, or make one
# ---------------------------
import argparse
import os
from itertools import takewhile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from acr_sklearn import ContaminationThreshold, ZeroShotACRDetector, anomaly_roc_auc_scorer
from acr_sklearn.plotting import (
    ContaminationCurveDisplay,
    DomainMapDisplay,
    DomainRocDisplay,
    ScoreDistributionDisplay,
)

root = Path(os.environ.get("ACR_SKLEARN_DATA", Path.home() / ".cache" / "acr_sklearn"))
parser = argparse.ArgumentParser(description="ACR on a table with categorical columns.")
parser.add_argument("--data", type=Path, default=root / "fars", help="folder with fars.dat")
parser.add_argument("--save", type=Path, help="write the picture to this file")
parser.add_argument("--max-iter", type=int, default=ZeroShotACRDetector().max_iter)
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

STATE, LABEL, AGE = "CASE_STATE", "INJURY_SEVERITY", "AGE"
NORMAL, ANOMALY = "No_Injury", "Fatal_Injury"
# Tests of the blood are made on the dead, and origin is recorded for them only: these columns
# would give the answer away.
LEAKS = "ALCOHOL_DETERMINATION|ALCOHOL_TEST|DRUG_DETERMINATION|DRUG_TEST|HISPANIC_ORIGIN|RACE"


def read_fars(path):
    """The people that died or were not injured; a header of attributes, then comma-separated."""
    with path.open() as lines:
        header = list(takewhile(lambda line: not line.startswith("@data"), lines))
    names = [line.split()[1] for line in header if line.startswith("@attribute")]
    frame = pd.read_csv(path, skiprows=len(header) + 1, names=names, keep_default_na=False)
    return frame[frame[LABEL].isin([NORMAL, ANOMALY])].drop(columns=frame.filter(regex=LEAKS))


def make_table(n_states=20, n_rows=300, seed=0):
    """Columns of the same kinds, whose categories are as frequent as each state has it."""
    rng = np.random.default_rng(seed)
    kinds = {
        "SEX": ["Male", "Female", "Unknown"],
        "SEATING_POSITION": ["Front_Left", "Front_Right", "Second_Left", "Second_Right", "Other"],
        "RESTRAINT_SYSTEM-USE": ["None_Used", "Lap_and_Shoulder_Belt", "Lap_Belt", "Unknown"],
        "EJECTION": ["Not_Ejected", "Totally_Ejected", "Partially_Ejected"],
        "EXTRICATION": ["Not_Extricated", "Extricated"],
        "TAKEN_TO_HOSPITAL": ["No", "Yes"],
    }
    usual = {name: rng.dirichlet(np.linspace(8, 0.3, len(own))) for name, own in kinds.items()}
    parts = []
    for state in range(n_states):
        died = rng.random(n_rows) < 0.4
        part = {STATE: f"State_{state:02}", AGE: rng.normal(rng.normal(38, 4), 14, n_rows).clip(0)}
        for name, own in kinds.items():
            habit = rng.dirichlet(60 * usual[name] + 0.5)
            rare = rng.permutation(1 / (habit + 0.1))
            odds = np.where(died[:, None], 0.6 * habit + 0.4 * rare / rare.sum(), habit)
            drawn = (rng.random(n_rows)[:, None] > odds.cumsum(axis=1)).sum(axis=1)
            part[name] = np.array(own)[drawn.clip(max=len(own) - 1)]
        parts.append(pd.DataFrame(part).assign(**{LABEL: np.where(died, ANOMALY, NORMAL)}))
    return pd.concat(parts, ignore_index=True)


if (arguments.data / "fars.dat").exists():
    table, source = read_fars(arguments.data / "fars.dat"), "FARS"
else:
    table, source = make_table(), "a made-up table of the same kind"
    print(f"No fars.dat in {arguments.data}: going on with {source}.")

# %%
# States to train on, and states to score
# ---------------------------------------
# Every third state is kept back for the benchmark's final test and is not looked at here.
states = sorted(table[STATE].unique())
states = [state for i, state in enumerate(states) if i % 3 != 2]
n_normal = table[table[LABEL] == NORMAL].groupby(STATE).size()
unseen = [state for state in states[2::4] if n_normal[state] >= 100][:5]
train = table[table[STATE].isin(set(states) - set(unseen)) & (table[LABEL] == NORMAL)]

rng = np.random.default_rng(0)
batches = []
for state in unseen:
    own = table[table[STATE] == state]
    normal, dead = own[own[LABEL] == NORMAL], own[own[LABEL] == ANOMALY]
    batches += [normal, dead.sample(len(normal) // 9, random_state=rng.integers(2**31))]
new = pd.concat(batches, ignore_index=True)
y = np.where(new[LABEL] == NORMAL, 1, -1)
print(f"{source}: {len(train):,} rows of {train[STATE].nunique()} states to train on,")
print(f"{len(new):,} rows of {len(unseen)} states to score, {(y == -1).mean():.0%} anomalies")

# %%
# The recipe
# ----------
# Numbers go through, categories become columns of zeros and ones, all else (the state and the
# label) is dropped. Categories that training did not have become all-zero. The detector scales its
# input itself: a StandardScaler would blow up the rare categories.
categories = [name for name in table.columns if name not in (STATE, LABEL, AGE)]
columns = ColumnTransformer(
    [
        ("numbers", "passthrough", [AGE]),
        (
            "categories",
            OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32),
            categories,
        ),
    ],
    remainder="drop",
)
detector = ZeroShotACRDetector(max_iter=arguments.max_iter, random_state=0)
pipe = Pipeline([("columns", columns), ("acr", detector)])
pipe.fit(train, acr__domains=train[STATE])
print(f"{len(categories) + 1} columns became {pipe['acr'].n_features_in_}")

# %%
# Score the unseen states, each as a batch of its own
# ---------------------------------------------------
# With metadata routing on, ``predict`` and ``decision_function`` of the Pipeline take the labels.
with sklearn.config_context(enable_metadata_routing=True):
    flagged = pipe.predict(new, domains=new[STATE]) == -1
print(f"{flagged.mean():.0%} of the rows flagged at the detector's own threshold")
by_state = anomaly_roc_auc_scorer.by_domain(pipe, new, y, domains=new[STATE])
for state, auroc in by_state.items():
    print(f"{state:<24}{auroc:.3f}")

# A threshold for one row in six, set on the training rows again, without training.
cut = ContaminationThreshold(FrozenEstimator(pipe), contamination=1 / 6)
cut.fit(train, domains=train[STATE])
found = (cut.predict(new, domains=new[STATE]) == -1)[y == -1].mean()
print(f"With one training row in six below the threshold: {found:.0%} of the anomalies found")

# %%
# Pictures
# --------
# Scores of each state and the threshold; how well anomalies are ranked; what another
# ``contamination`` would have given, had the labels been known; and whether the new states are like
# those of training. Unseen states may differ a good deal: one mean does not say it.
figure, axes = plt.subplots(2, 2, figsize=(10, 8))
routed = {"domains": new[STATE]}
ScoreDistributionDisplay.from_estimator(pipe, new, y, **routed, ax=axes[0, 0])
DomainRocDisplay.from_estimator(pipe, new, y, **routed, ax=axes[0, 1])
ContaminationCurveDisplay.from_estimator(pipe, new, y, **routed, ax=axes[1, 0])
axes[1, 0].set_ylim(0.45, 1.15)  # room for the legend
DomainMapDisplay.from_estimator(pipe, new, **routed, ax=axes[1, 1])
figure.suptitle(f"States that training has not seen ({source})")
if arguments.save:
    figure.savefig(arguments.save, dpi=150)
else:
    plt.show()
print(f"Mean AUROC over the unseen states: {np.mean(list(by_state.values())):.3f}")
