"""What users pass, turned into rows and a domain index; private."""

__all__ = []
