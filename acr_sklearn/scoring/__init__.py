"""Scoring of batches: one score per row; private."""

__all__ = []
