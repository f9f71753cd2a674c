"""What a newcomer writes: one folder of CSV files in, a picture, a choice and a pickle out."""

import json
import pickle
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import make_scorer, matthews_corrcoef
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut

import acr_sklearn
from acr_sklearn import (
    ContaminationThreshold,
    NormalTrainSplit,
    PerDomainScorer,
    ZeroShotACRDetector,
    anomaly_roc_auc_scorer,
)
from acr_sklearn.plotting import DomainMapDisplay, ScoreDistributionDisplay


def main(folder, out):
    mpl.use("Agg")

    # One file per machine, all normal; the column "machine" says which.
    train = pd.concat([pd.read_csv(path) for path in sorted((folder / "train").glob("*.csv"))])
    train = train.reset_index(drop=True)
    cache = tempfile.TemporaryDirectory()
    detector = ZeroShotACRDetector(
        domain_column="machine", max_iter=30, memory=cache.name, random_state=0
    )
    detector.fit(train)

    # A machine that training has not seen.
    today = pd.read_csv(folder / "today.csv")
    scores = detector.score_samples(today)
    today.assign(score=scores).sort_values("score").head(10).to_csv(out / "look_at_these.csv")

    # Some labelled machines decide how many rows to flag. Trained once per fold, not per value.
    labelled = pd.read_csv(folder / "labelled.csv")
    X, y = labelled.drop(columns="label"), labelled["label"]
    search = GridSearchCV(
        detector,
        {"contamination": [0.02, 0.05, 0.1, 0.2]},
        cv=NormalTrainSplit(LeaveOneGroupOut()),
        scoring={
            "mcc": PerDomainScorer(make_scorer(matthews_corrcoef), domains_from="machine"),
            "auroc": anomaly_roc_auc_scorer,
        },
        refit=False,
    )
    search.fit(X, y, groups=X["machine"])
    mcc = search.cv_results_["mean_test_mcc"]

    # The same without any training: the fitted detector stays, only the threshold moves.
    frozen = GridSearchCV(
        ContaminationThreshold(FrozenEstimator(detector)),
        {"contamination": [0.02, 0.05, 0.1, 0.2]},
        cv=NormalTrainSplit(LeaveOneGroupOut()),
        scoring=PerDomainScorer("balanced_accuracy", domains_from="machine"),
    )
    frozen.fit(X, y, groups=X["machine"])

    display = ScoreDistributionDisplay.from_estimator(detector, X, y)
    display.figure_.savefig(out / "scores.png")
    DomainMapDisplay.from_estimator(detector, today).figure_.savefig(out / "map.png")

    (out / "detector.pkl").write_bytes(pickle.dumps(detector))
    again = pickle.loads((out / "detector.pkl").read_bytes())
    result = {
        "file": acr_sklearn.__file__,
        "same": bool(np.array_equal(again.score_samples(today), scores)),
        "mcc": mcc.tolist(),
        "auroc": search.cv_results_["mean_test_auroc"].tolist(),
        "frozen": frozen.cv_results_["mean_test_score"].tolist(),
        "cached trainings": len(list(Path(cache.name).rglob("output.pkl"))),
    }
    (out / "result.json").write_text(json.dumps(result))
    cache.cleanup()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
