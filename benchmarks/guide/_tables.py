"""Tables of the pages, and figures as they are written there."""

from __future__ import annotations

from page.markdown import table

__all__ = ["share", "table"]


def share(value: float, digits: int = 2) -> str:
    """Return a share or an AUROC without the zero before the point: .27, 1.00.

    Examples
    --------
    >>> share(0.274), share(0.9996, 3), share(-0.05)
    ('.27', '1.000', '-.05')
    """
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"
