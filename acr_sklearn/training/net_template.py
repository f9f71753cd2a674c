"""Net templates of users: their settings win, and nothing may be set twice."""

from __future__ import annotations

from inspect import signature
from typing import Any

from sklearn.base import BaseEstimator, clone

from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.networks.ensemble import ACREnsemble

__all__ = ["merge_template", "template_backbone"]

#: Which parameter of the detector governs a setting of the template; the latter may not be given.
_GOVERNED = {
    "module": "backbone",
    "criterion": "objective",
    "max_epochs": "max_iter",
    "batch_size": "n_tasks and task_size",
    "train_split": "early_stopping and validation_fraction",
    "iterator_train": "n_tasks and task_size",
    "iterator_valid": "n_tasks and task_size",
    "dataset": "n_tasks and task_size",
    "warm_start": "warm_start",
    "predict_nonlinearity": "objective",
    "module__n_features": "training data",
    "module__n_estimators": "n_estimators",
    "module__whitening": "backbone",
}
#: Settings that both can give: parameter of the detector -> names in the template.
_SHARED = {
    "learning_rate": ("lr", "optimizer__lr"),
    "weight_decay": ("optimizer__weight_decay",),
    "hidden_layer_sizes": ("module__hidden_layer_sizes",),
    "backbone": (
        "module__backbone",
        "module__input_shape",
        "module__conv_channels",
        "module__conv_downsampling",
    ),
    "objective": ("module__objective", "module__n_transformations", "module__transformation"),
    "callbacks": ("callbacks",),
    "device": ("device",),
    "verbose": ("verbose",),
}


def merge_template(template: Any, ours: dict[str, Any], explicit: frozenset[str]) -> Any:
    """Fill a template with the detector's settings, except those that it sets itself.

    Parameters
    ----------
    template : skorch.NeuralNet
        Not modified.
    ours : dict
        The detector's settings under skorch's names.
    explicit : frozenset of str
        Parameters of the detector that the user changed from their defaults.

    Returns
    -------
    skorch.NeuralNet
        A clone, not initialised.

    Raises
    ------
    ValueError
        When something is set in both, or belongs to the detector alone.
    """
    changed = _changed_settings(template)
    for name, governor in _GOVERNED.items():
        # A part that is ours takes no options either, but for the module's.
        own = {c for c in changed if c == name or (c.startswith(f"{name}__") and name != "module")}
        if own and not (name == "module" and template.module in (ACRNetwork, ACREnsemble)):
            raise ValueError(
                f"net sets {min(own)}, which the detector's {governor} governs. Leave it at "
                "skorch's default (None for module and criterion) in the template."
            )
    for parameter, names in _SHARED.items():
        twice = changed.intersection(names)
        if twice and parameter in explicit:
            raise ValueError(
                f"{parameter} is set on the detector and as {sorted(twice)[0]} in net. Set it in "
                "one of the two."
            )
    ours = dict(ours)
    if "weight_decay" not in explicit:
        ours.pop(
            "optimizer__weight_decay", None
        )  # every optimizer has a default of its own, or none
    changed.discard("module")  # one or several networks is for n_estimators to say
    options = {name.removeprefix("optimizer__") for name in changed if "optimizer__" in name}
    if not options <= signature(ours["optimizer"]).parameters.keys():
        # SGD is skorch's default, so naming it changes nothing; its own options show it is meant.
        changed.add("optimizer")
    elif "lr" in changed and "optimizer" not in changed:
        raise ValueError(
            "net sets lr but leaves optimizer at SGD, skorch's default, which cannot be told from "
            "not set. Set learning_rate on the detector to train with Adam, or add an option of "
            "SGD's own (optimizer__momentum=0.0)."
        )
    return clone(template).set_params(**{k: v for k, v in ours.items() if k not in changed})


def template_backbone(template: Any) -> Any:
    """Backbone that a template sets itself.

    Parameters
    ----------
    template : skorch.NeuralNet or None
        A user's.

    Returns
    -------
    {"mlp", "conv"} or nn.Module or None
        None where it sets none.
    """
    given = template.get_params(deep=False) if isinstance(template, BaseEstimator) else {}
    return given.get("module__backbone")


def _changed_settings(template: Any) -> set[str]:
    """Names of the settings in which a template differs from a fresh one of its class."""
    fresh = type(template)(module=None, criterion=None).get_params(deep=False)
    given = {k: v for k, v in template.get_params(deep=False).items() if k[-1] != "_"}
    return {k for k, v in given.items() if k not in fresh or not _same(v, fresh[k])}


def _same(a: object, b: object) -> bool:
    # A split is made anew in every net, so its type is what can be compared.
    return a is b or a == b or (type(a) is type(b) and type(a).__name__ == "ValidSplit")
