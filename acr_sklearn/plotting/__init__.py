"""Displays: pictures of what the package computes, drawn with matplotlib."""

from acr_sklearn.plotting.anomaly_map import AnomalyMapDisplay

__all__ = ["AnomalyMapDisplay"]
