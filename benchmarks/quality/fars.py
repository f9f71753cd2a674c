"""Road accidents (FARS) by state: overlapping tabular domains with native anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import numpy as np
import pandas as pd
from sklearn.preprocessing import OneHotEncoder

from .fetch import data_dir

N_ROWS = 100_968
STATE, LABEL, AGE = "CASE_STATE", "INJURY_SEVERITY", "AGE"
NORMAL, ANOMALY = "No_Injury", "Fatal_Injury"
# Tests for alcohol and drugs are made on the dead. HISPANIC_ORIGIN and RACE are recorded only
# for them: their code "Not_a_Fatality" is the label itself, in every one of 62,123 rows.
LEAKS = (
    "METHOD_ALCOHOL_DETERMINATION",
    "ALCOHOL_TEST_TYPE",
    "ALCOHOL_TEST_RESULT",
    "METHOD_OF_DRUG_DETERMINATION",
    *(f"DRUG_TEST_{what}_({i}_of_3)" for i in (1, 2, 3) for what in ("TYPE", "RESULTS")),
    "HISPANIC_ORIGIN",
    "RACE",
)


def load_fars() -> pd.DataFrame:
    """Return the normal and anomalous rows with state, label and the columns that stay."""
    path = data_dir("fars") / "fars.dat"
    with path.open() as lines:
        header = list(takewhile(lambda line: not line.startswith("@data"), lines))
    names = [line.split()[1] for line in header if line.startswith("@attribute")]
    frame = pd.read_csv(
        path, skiprows=len(header) + 1, header=None, names=names, keep_default_na=False
    )
    if len(frame) != N_ROWS:
        raise RuntimeError(f"{path.name} has {len(frame):,} rows, expected {N_ROWS:,}.")
    kept = frame[LABEL].isin([NORMAL, ANOMALY])
    return frame.loc[kept].drop(columns=list(LEAKS)).reset_index(drop=True)


def encode(
    frame: pd.DataFrame, fit_states: Sequence[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return (normals, anomalies) per state: age in years, then one-hot columns.

    The one-hot columns are those seen among the normals of `fit_states`; other categories
    become all-zero.
    """
    columns = [name for name in frame.columns if name not in (STATE, LABEL, AGE)]
    normal = frame[LABEL] == NORMAL
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    encoder.fit(frame.loc[normal & frame[STATE].isin(fit_states), columns])
    age = frame[[AGE]].to_numpy(np.float32)
    rows = np.hstack([age, encoder.transform(frame[columns])])
    return {
        state: (rows[normal & (frame[STATE] == state)], rows[~normal & (frame[STATE] == state)])
        for state in sorted(frame[STATE].unique())
    }
