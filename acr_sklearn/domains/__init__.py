"""What the training domains have in common, and how they differ; private."""

__all__ = []
