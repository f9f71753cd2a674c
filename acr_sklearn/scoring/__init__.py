"""From a batch, and what a network makes of it, to one score per row; private."""

__all__ = []
