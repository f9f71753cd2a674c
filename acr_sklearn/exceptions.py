"""Warning classes of the package, so that users can filter or raise on each one."""

__all__ = [
    "ACRWarning",
    "EarlyStoppingWarning",
    "IgnoredDomainsWarning",
    "LeftOutWarning",
    "MissingDomainWarning",
    "NoKnownAnomaliesWarning",
    "PooledDomainsWarning",
    "SingleDomainWarning",
    "SmallBatchWarning",
    "SmallDomainWarning",
    "SmallReferenceWarning",
    "UnfamiliarBatchWarning",
]


class ACRWarning(UserWarning):
    """Base class of every warning that this package raises.

    Attributes
    ----------
    domains : tuple of str
        Names of all domains that it is about, of which the message has the first few; empty where
        it is about none, or about rows whose domain was not named.

    Examples
    --------
    In tests of your own, whatever the package warns of can be an error:

    >>> import warnings
    >>> from acr_sklearn.exceptions import ACRWarning
    >>> warnings.simplefilter("error", ACRWarning)
    """

    domains: tuple[str, ...] = ()


class SmallDomainWarning(ACRWarning):
    """A training domain has so few rows that its tasks repeat rows many times.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from acr_sklearn import ZeroShotACRDetector
    >>> from acr_sklearn.exceptions import SmallDomainWarning
    >>> X = np.random.default_rng(0).normal(size=(160, 2))
    >>> warnings.simplefilter("error", SmallDomainWarning)
    >>> ZeroShotACRDetector().fit([X[:50], X[50:100], X[100:150], X[150:]])
    Traceback (most recent call last):
    acr_sklearn.exceptions.SmallDomainWarning: ...
    """


class SingleDomainWarning(ACRWarning):
    """Meta-training got one data set, so nothing shows that the result transfers to another.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from acr_sklearn import ZeroShotACRDetector
    >>> from acr_sklearn.exceptions import SingleDomainWarning
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> warnings.simplefilter("error", SingleDomainWarning)
    >>> ZeroShotACRDetector().fit(X)
    Traceback (most recent call last):
    acr_sklearn.exceptions.SingleDomainWarning: ...
    """


class EarlyStoppingWarning(ACRWarning):
    """Early stopping was asked for, but there are too few domains to hold any out.

    Examples
    --------
    Three domains are too few; ``early_stopping=False`` says that this is known.

    >>> import warnings
    >>> import numpy as np
    >>> from acr_sklearn import ZeroShotACRDetector
    >>> from acr_sklearn.exceptions import EarlyStoppingWarning
    >>> X = np.random.default_rng(0).normal(size=(150, 2))
    >>> warnings.simplefilter("error", EarlyStoppingWarning)
    >>> ZeroShotACRDetector().fit([X[:50], X[50:100], X[100:]])
    Traceback (most recent call last):
    acr_sklearn.exceptions.EarlyStoppingWarning: ...
    """


class NoKnownAnomaliesWarning(ACRWarning):
    """Known anomalies were handed over, but no row is marked, so nothing is learnt of them.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from acr_sklearn import ZeroShotACRDetector
    >>> from acr_sklearn.exceptions import NoKnownAnomaliesWarning
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> warnings.simplefilter("error", NoKnownAnomaliesWarning)
    >>> ZeroShotACRDetector().fit(X, domains=[0, 1, 2, 3] * 50, known_anomalies=np.zeros(200, bool))
    Traceback (most recent call last):
    acr_sklearn.exceptions.NoKnownAnomaliesWarning: ...
    """


class SmallBatchWarning(ACRWarning):
    """A batch has too few rows for its statistics to say what is normal in it.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from acr_sklearn import ZeroShotACRDetector
    >>> from acr_sklearn.exceptions import SmallBatchWarning
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> detector = ZeroShotACRDetector(max_iter=1, random_state=0)
    >>> detector = detector.fit(X, domains=[0, 1, 2, 3] * 50)
    >>> warnings.simplefilter("error", SmallBatchWarning)
    >>> detector.score_samples(X[:5])
    Traceback (most recent call last):
    acr_sklearn.exceptions.SmallBatchWarning: ...
    """


class UnfamiliarBatchWarning(ACRWarning):
    """A batch looks unlike every training domain, so what was learnt may not hold for it.

    Attributes
    ----------
    domains : tuple of str
        Names of the domains, the one furthest off first.
    reasons : str
        Sentences of the message, one for each of the first five batches that a few columns make
        unfamiliar: which ones, at most three, and how many times as wide they are as in the nearest
        training domain, relative to the other columns. Empty where no column stands out.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from acr_sklearn import ZeroShotACRDetector
    >>> from acr_sklearn.exceptions import UnfamiliarBatchWarning
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> detector = ZeroShotACRDetector(max_iter=1, random_state=0)
    >>> detector = detector.fit(X, domains=[0, 1, 2, 3] * 50)
    >>> warnings.simplefilter("error", UnfamiliarBatchWarning)
    >>> detector.score_samples(X * [1000, 1])  # one column varies as in no training domain
    Traceback (most recent call last):
    acr_sklearn.exceptions.UnfamiliarBatchWarning: ...
    """

    reasons: str = ""


class SmallReferenceWarning(ACRWarning):
    """A reference has too few rows for a threshold under its statistics to be certain.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from acr_sklearn import ZeroShotACRDetector
    >>> from acr_sklearn.exceptions import SmallReferenceWarning
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> detector = ZeroShotACRDetector(max_iter=1, random_state=0)
    >>> detector = detector.fit(X, domains=[0, 1, 2, 3] * 50)
    >>> warnings.simplefilter("error", SmallReferenceWarning)
    >>> detector.adapt(X[:20])
    Traceback (most recent call last):
    acr_sklearn.exceptions.SmallReferenceWarning: ...
    """


class IgnoredDomainsWarning(ACRWarning):
    """Rows are scored one by one against a reference, so their domains change nothing.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from acr_sklearn import ZeroShotACRDetector
    >>> from acr_sklearn.exceptions import IgnoredDomainsWarning
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> detector = ZeroShotACRDetector(max_iter=1, random_state=0)
    >>> adapted = detector.fit(X, domains=[0, 1, 2, 3] * 50).adapt(X)
    >>> warnings.simplefilter("error", IgnoredDomainsWarning)
    >>> adapted.score_samples(X[:20], domains=["a", "b"] * 10)
    Traceback (most recent call last):
    acr_sklearn.exceptions.IgnoredDomainsWarning: ...
    """


class LeftOutWarning(ACRWarning):
    """A file does not hold a parameter that is a user's own object, so it has its default.

    Examples
    --------
    >>> import tempfile
    >>> import warnings
    >>> import numpy as np
    >>> from skorch.callbacks import Callback
    >>> from acr_sklearn import ZeroShotACRDetector, load
    >>> from acr_sklearn.exceptions import LeftOutWarning
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> detector = ZeroShotACRDetector(max_iter=1, callbacks=[Callback()], random_state=0)
    >>> detector = detector.fit(X, domains=[0, 1, 2, 3] * 50)
    >>> warnings.simplefilter("error", LeftOutWarning)
    >>> with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
    ...     detector.save(file.name)
    ...     load(file.name)
    Traceback (most recent call last):
    acr_sklearn.exceptions.LeftOutWarning: ...
    """


class MissingDomainWarning(ACRWarning):
    """Rows have no name of a domain, so they are scored as one domain of their own.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> import pandas as pd
    >>> from acr_sklearn import ZeroShotACRDetector
    >>> from acr_sklearn.distributed import score_frame
    >>> from acr_sklearn.exceptions import MissingDomainWarning
    >>> frame = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 2)), columns=["a", "b"])
    >>> frame["site"] = ["v", "x", "y", "z", None] * 40
    >>> detector = ZeroShotACRDetector(max_iter=1, domain_column="site", random_state=0)
    >>> detector = detector.fit(frame.dropna())
    >>> warnings.simplefilter("error", MissingDomainWarning)
    >>> score_frame(frame, detector)
    Traceback (most recent call last):
    acr_sklearn.exceptions.MissingDomainWarning: ...
    """


class PooledDomainsWarning(ACRWarning):
    """Rows of several domains are scored as one batch, in which no anomaly stands out.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.model_selection import GroupKFold
    >>> from acr_sklearn import NormalTrainSplit
    >>> from acr_sklearn.exceptions import PooledDomainsWarning
    >>> warnings.simplefilter("error", PooledDomainsWarning)
    >>> X, y, site = [[0.0]] * 16, [1, 1, 1, -1] * 4, [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    >>> list(NormalTrainSplit(GroupKFold(2)).split(X, y, groups=site))
    Traceback (most recent call last):
    acr_sklearn.exceptions.PooledDomainsWarning: ...
    """
