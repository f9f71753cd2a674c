"""Warning classes of the package, so that users can filter or raise on each one."""

__all__ = [
    "ACRWarning",
    "EarlyStoppingWarning",
    "IgnoredDomainsWarning",
    "LeftOutWarning",
    "NoKnownAnomaliesWarning",
    "PooledDomainsWarning",
    "SingleDomainWarning",
    "SmallBatchWarning",
    "SmallDomainWarning",
    "SmallReferenceWarning",
    "UnfamiliarBatchWarning",
]


class ACRWarning(UserWarning):
    """Base class of every warning that this package raises."""


class SmallDomainWarning(ACRWarning):
    """A training domain has so few rows that its tasks repeat rows many times."""


class SingleDomainWarning(ACRWarning):
    """Meta-training got one data set, so nothing shows that the result transfers to another."""


class EarlyStoppingWarning(ACRWarning):
    """Early stopping was asked for, but there are too few domains to hold any out."""


class NoKnownAnomaliesWarning(ACRWarning):
    """Known anomalies were handed over, but no row is marked, so nothing is learnt of them."""


class SmallBatchWarning(ACRWarning):
    """A batch has too few rows for its statistics to say what is normal in it."""


class UnfamiliarBatchWarning(ACRWarning):
    """A batch looks unlike every training domain, so what was learnt may not hold for it."""


class SmallReferenceWarning(ACRWarning):
    """A reference has too few rows for a threshold under its statistics to be certain."""


class IgnoredDomainsWarning(ACRWarning):
    """Rows are scored one by one against a reference, so their domains change nothing."""


class LeftOutWarning(ACRWarning):
    """A file does not hold a parameter that is a user's own object, so it has its default."""


class PooledDomainsWarning(ACRWarning):
    """Rows of several domains are scored as one batch, in which no anomaly stands out."""
