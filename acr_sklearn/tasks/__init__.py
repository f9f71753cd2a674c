"""The tasks of meta-training: rows of a domain, and outliers among them; private."""

__all__ = []
