"""Transformers that treat every domain as a batch of its own."""

from acr_sklearn.preprocessing.detrender import DomainDetrender
from acr_sklearn.preprocessing.imputer import DomainImputer
from acr_sklearn.preprocessing.scaler import DomainScaler

__all__ = ["DomainDetrender", "DomainImputer", "DomainScaler"]
