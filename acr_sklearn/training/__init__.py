"""Training of networks, meta-training among them; private."""

__all__ = []
