"""Networks whose batch norm uses the statistics of the rows at hand; private."""

__all__ = []
