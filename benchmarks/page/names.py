"""Names of methods in the files, in words for readers."""

from __future__ import annotations

_WHOLE = {
    "acr": "ours",
    "acr_combined": "ours, former default score",
    "untrained": "ours, untrained network",
    "statistics": "ours, statistics of the batch without a network",
    "known": "ours, told of known anomalies",
    "default": "ours, not told of them",
    "raw trees": "boosted trees on the labelled rows",
}
_METHODS = {
    "iforest": "IsolationForest",
    "mahalanobis": "Mahalanobis distance",
    "knn": "kNN",
    "knn10%": "kNN, a tenth of the batch as neighbours",
    "inne": "INNE",
    "lof": "LOF",
    "ocsvm": "one-class SVM",
    "pca": "PCA",
    "copod": "COPOD",
    "ecod": "ECOD",
    "hbos": "HBOS",
}
#: What a rival was fitted on; without a word, on the batch.
_FITTED_ON = {"batch": "", "centred": ", centred training rows", "train": ", training rows"}

LEGEND = (
    "Names: `acr` is ours at its defaults, `acr_combined` ours with the former default score, "
    "`untrained` ours before training; `head_raw` and `head_batch` have raw rows, or rows "
    "standardised by their batch, in the place of the network's layers, `statistics` no network. "
    "Rivals are fitted on the batch (`_batch`, or no ending), on all training rows (`_train`), or "
    "on training rows that are centred and scaled domain by domain (`_centred`); `iforest` is "
    "IsolationForest, `knn` has five neighbours and `knn10%` a tenth of the batch."
)


def in_words(name: str) -> str:
    """Return the name of a method for readers; one that is not known stays as it is.

    Examples
    --------
    >>> in_words("knn_centred"), in_words("inne_batch"), in_words("iforest"), in_words("mine")
    ('kNN, centred training rows', 'INNE', 'IsolationForest', 'mine')
    """
    if name in _WHOLE:
        return _WHOLE[name]
    method, _, fitted_on = name.partition("_")
    if method not in _METHODS or fitted_on not in ("", *_FITTED_ON):
        return name
    return _METHODS[method] + _FITTED_ON.get(fitted_on, "")
