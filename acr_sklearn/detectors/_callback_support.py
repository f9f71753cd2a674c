"""scikit-learn's callbacks, where it has them: from 1.9 on."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class CallbackSupport:
        """Stands for scikit-learn's mixin."""

else:
    try:
        from sklearn.callback import CallbackSupportMixin as CallbackSupport
    except ImportError:  # scikit-learn before 1.9: no set_callbacks, and nothing to call

        class CallbackSupport:
            """Stands in for scikit-learn's mixin."""


__all__ = ["CallbackSupport", "FitCallback", "open_fit_callback"]


class FitCallback:
    """Calls scikit-learn's callbacks: once around fit, and around each evaluation within it.

    Parameters
    ----------
    estimator : estimator
        Being fitted.
    data : dict
        `X`, `y` and `metadata` of fit, for the hooks that ask for them.

    Attributes
    ----------
    complete : callable
        Sets the fitted attributes of an estimator from a training as far as it has come.
    """

    complete: Callable[[Any, Any], None]

    def __init__(self, estimator: Any, data: dict[str, Any]) -> None:
        self.estimator = estimator
        self.data = data
        # How many evaluations there will be is not known: training may stop early.
        self.root = estimator._init_callback_context(max_subtasks=None)
        self.root.call_on_fit_task_begin(estimator=estimator, **data)

    def begin(self) -> None:
        """Open an evaluation."""
        self.task = self.root.subcontext(task_name="evaluation")
        self.task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end(self, trained: Any) -> bool:
        """Close an evaluation; True when a callback wants the training to end."""

        def so_far() -> dict[str, Any]:
            part = copy.copy(self.estimator)
            self.complete(part, trained)
            part._detach_from_training()
            known = vars(self.estimator)
            return {k: v for k, v in vars(part).items() if known.get(k) is not v}

        return bool(
            self.task.call_on_fit_task_end(
                estimator=self.estimator, reconstruction_attributes=so_far, **self.data
            )
        )

    def close(self) -> None:
        """Close fit."""
        fitted = vars(self.estimator)
        self.root.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=lambda: fitted, **self.data
        )


def open_fit_callback(
    estimator: Any, X: Any, y: Any, metadata: dict[str, Any]
) -> FitCallback | None:
    """Set the callbacks up, when there are any.

    Parameters
    ----------
    estimator : estimator
        About to be fitted.
    X, y : object
        Arguments of fit.
    metadata : dict
        Its further arguments; None for what was not given.

    Returns
    -------
    FitCallback or None
        None without callbacks.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        return None
    given = {name: value for name, value in metadata.items() if value is not None}
    return FitCallback(estimator, {"X": X, "y": y, "metadata": given or None})
