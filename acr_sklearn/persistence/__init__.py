"""Estimators in files: saved whole, loaded without running anything that a file brings along."""

from acr_sklearn.persistence.estimators import load

__all__ = ["load"]
