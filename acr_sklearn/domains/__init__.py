"""Statistics of the training domains: scale, covariance, shift, discriminability; private."""

__all__ = []
