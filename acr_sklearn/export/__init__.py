"""Detectors as graphs for other run times than Python."""

__all__ = []
