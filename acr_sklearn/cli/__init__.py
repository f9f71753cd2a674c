"""The command acr-sklearn: from a folder of tables to scores of new ones."""

__all__ = []
