"""From an estimator to plain JSON and named arrays.

Every object that has an identity is one entry of a table, and is referred to by its place there, so
that what is shared stays shared; an entry refers only to entries before it. docs/files.md shows
the kinds of entries.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from acr_sklearn.persistence.registry import TORCH, name_of

__all__ = ["LEFT_OUT", "MODULE_INTERNALS", "Encoder", "require_finite", "users_tensors"]

#: Attributes that are another library's or belong to the process, and parameters that name a
#: place on this machine.
LEFT_OUT = frozenset(
    {"_repeats_a_fit", "_skl_callbacks", "_sklearn_version", "_metadata_request", "memory"}
)
#: What PyTorch keeps in every module for itself.
MODULE_INTERNALS = frozenset(vars(nn.Module()))
#: NumPy's types that safetensors has.
_PLAIN = frozenset("biuf")

Node = Any


class Encoder:
    """Turns objects into entries of a table, and arrays into tensors of a file.

    Attributes
    ----------
    entries : list of list
        The table: JSON.
    tensors : dict of ndarray
        By names that say where they were found first.
    """

    def __init__(self) -> None:
        self.entries: list[list[Any]] = []
        self.tensors: dict[str, NDArray[Any]] = {}
        self._places: dict[int, int] = {}
        self._held: list[Any] = []  # an id is another object's once its own is gone
        self._open: set[int] = set()

    def encode(self, value: Any, path: str) -> Node:
        """Encode any object.

        Parameters
        ----------
        value : object
            What is to be saved.
        path : str
            Where it was found, for names and messages.

        Returns
        -------
        None, bool, int, float, str or dict
            The value itself, ``{"float": "nan"}`` or ``{"ref": place}``.

        Raises
        ------
        ValueError
            For what no file may hold.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if id(value) not in self._places:
            if id(value) in self._open:
                raise ValueError(f"{path} contains itself, which no file can hold")
            self._open.add(id(value))
            entry = self._entry(value, path)
            self._open.discard(id(value))
            self._held.append(value)
            self._places[id(value)] = len(self.entries)
            self.entries.append(entry)
        return {"ref": self._places[id(value)]}

    def parameters(self, estimator: Any, path: str) -> dict[str, Node]:
        """Encode the parameters of an estimator.

        Parameters
        ----------
        estimator : estimator
            Any of ours.
        path : str
            Where it was found.

        Returns
        -------
        dict
            By name. What is the user's own object, or a place on this machine, is left out, and
            ``{"left out": description}`` stands for it.
        """
        defaults = signature(type(estimator)).parameters
        return {
            name: self._parameter(name, value, defaults[name].default, f"{path}{name}")
            for name, value in estimator.get_params(deep=False).items()
        }

    def _parameter(self, name: str, value: Any, default: Any, path: str) -> Node:
        out = {"left out": type(value).__name__}
        if isinstance(value, nn.Module) or (name in LEFT_OUT and value is not None):
            return out
        n_entries, n_tensors, is_open = len(self.entries), len(self.tensors), set(self._open)
        try:
            return self.encode(value, path)
        except ValueError:
            if default is Parameter.empty:
                raise
            # What failed half-way must leave nothing behind.
            del self.entries[n_entries:]
            for tensor in list(self.tensors)[n_tensors:]:
                del self.tensors[tensor]
            self._places = {k: place for k, place in self._places.items() if place < n_entries}
            self._open = is_open
            return out

    def _entry(self, value: Any, path: str) -> list[Any]:
        kind = type(value)
        if kind in _ENTRIES:
            return _ENTRIES[kind](self, value, path)
        if isinstance(value, np.generic):
            return self._scalar(value, path)
        if isinstance(value, nn.Module):
            return self._module(value, path)
        if isinstance(value, type) and (name := name_of(value)):
            return ["class", name]
        if (name := name_of(kind)) is None:
            raise ValueError(
                f"{path} is a {kind.__module__}.{kind.__qualname__}, which is no part of "
                "acr_sklearn that a file may hold"
            )
        if dataclasses.is_dataclass(value):
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
            for field, found in fields.items():
                if isinstance(found, np.ndarray):
                    require_finite(found, f"{path}.{field}", infinity=True)
            return ["instance", name, {k: self.encode(v, f"{path}.{k}") for k, v in fields.items()}]
        return self._object(value, name, path)

    def _object(self, value: Any, name: str, path: str) -> list[Any]:
        # Of the class: a frozen estimator hands on what it is asked for.
        saved = getattr(type(value), "_file_state", vars)
        state = {k: v for k, v in saved(value).items() if k not in LEFT_OUT}
        self._held.append(state)
        given: dict[str, Node] = {}
        if isinstance(value, BaseEstimator):
            given = self.parameters(value, f"{path}.")
        rest = {k: self.encode(v, f"{path}.{k}") for k, v in state.items() if k not in given}
        return ["object", name, given, rest]

    # -------------------------------------------------------------------------- plain values

    def _items(self, value: Any, path: str) -> list[Any]:
        return [self.encode(one, f"{path}[{i}]") for i, one in enumerate(value)]

    def _sequence(self, value: Any, path: str) -> list[Any]:
        return [type(value).__name__, self._items(value, path)]

    def _dict(self, value: dict[Any, Any], path: str) -> list[Any]:
        pairs = [
            [self.encode(k, f"{path}.key"), self.encode(v, f"{path}.{k}")] for k, v in value.items()
        ]
        return ["dict", pairs]

    def _scalar(self, value: np.generic, path: str) -> list[Any]:
        if value.dtype.kind in "OV" or (value.dtype.itemsize > 8 and value.dtype.kind in "fc"):
            raise ValueError(f"{path} is a NumPy {value.dtype} scalar, which no file can hold")
        array = np.empty((), value.dtype)
        array[()] = value
        return ["scalar", self.encode(array, path)]

    def _array(self, value: NDArray[Any], path: str) -> list[Any]:
        kind = value.dtype.kind
        if kind == "O":
            return ["objects", list(value.shape), self._items(value.ravel(), path)]
        if kind in "US":
            flat = value.ravel().tolist()
            texts = flat if kind == "U" else [one.hex() for one in flat]
            # As wide as the texts are: some names of an array have the width of all its names.
            width = value.dtype.byteorder + kind + str(max([1, *map(len, flat)]))
            return ["texts", np.dtype(width).str, list(value.shape), texts]
        if kind in "mM":
            return ["times", value.dtype.str, self.encode(value.view(np.int64), path)]
        if kind not in _PLAIN or value.dtype.itemsize > 8:
            raise ValueError(f"{path} is an array of {value.dtype}, which no file can hold")
        # The order in memory decides how a product of matrices rounds.
        turned = value.flags.f_contiguous and not value.flags.c_contiguous
        return ["array", self._named(value.T if turned else value, path), turned]

    def _tensor(self, value: Tensor, path: str) -> list[Any]:
        plain = value.detach()
        strides = plain.stride()
        order = sorted(range(plain.dim()), key=lambda axis: (-strides[axis], axis))
        if not plain.permute(order).is_contiguous():
            order = list(range(plain.dim()))
        turned = plain.permute(order).contiguous().cpu()
        if turned.dtype == torch.bfloat16:
            turned = turned.view(torch.int16)
        name = self._named(turned.numpy(), path)
        details = {
            "kind": "parameter" if isinstance(value, nn.Parameter) else "tensor",
            "dtype": str(value.dtype).removeprefix("torch."),
            "order": order,
            "gradient": value.requires_grad,
            "device": str(value.device),
        }
        return ["tensor", name, details]

    def _named(self, value: NDArray[Any], path: str) -> str:
        name, number = path, 1
        while name in self.tensors:
            number += 1
            name = f"{path}#{number}"
        native = value.astype(value.dtype.newbyteorder("="), copy=False)
        self.tensors[name] = np.asarray(native, order="C")
        return name

    # ------------------------------------------------------------------------------ networks

    def _module(self, module: nn.Module, path: str) -> list[Any]:
        if (name := name_of(type(module))) is None:
            raise ValueError(
                f"{path} is a {type(module).__name__}, which is no network of acr_sklearn"
            )
        users = getattr(module, "users_modules", ())
        parts = {
            k: self._users(v, f"{path}.{k}")
            if k in users and v is not None
            else self.encode(v, f"{path}.{k}")
            for k, v in module._modules.items()
        }
        own = {k: v for k, v in vars(module).items() if k not in MODULE_INTERNALS}
        if name in TORCH:
            own = {k: getattr(module, k) for k in TORCH[name]}
        tables: dict[str, Any] = {"parameters": module._parameters, "buffers": module._buffers}
        for table, values in tables.items():
            for k, v in values.items():
                if v is not None:
                    require_finite(v, f"{path}.{k}", infinity=table == "buffers")
            tables[table] = {k: self.encode(v, f"{path}.{k}") for k, v in values.items()}
        details = {
            "training": module.training,
            "attributes": {k: self.encode(v, f"{path}.{k}") for k, v in own.items()},
            **tables,
            "passing": sorted(module._non_persistent_buffers_set),
            "modules": parts,
        }
        return ["module", name, details]

    def _users(self, module: nn.Module, path: str) -> Node:
        """Take the weights of a user's module, and layers of ours that stand in it."""
        ours: dict[str, Node] = {}
        for name, part in module.named_modules(remove_duplicate=False):
            if name_of(type(part)) and name_of(type(part)) not in TORCH:
                ours[name] = self.encode(part, f"{path}.{name}")
        weights = {}
        for name, tensor in users_tensors(module, ours):
            parameter = isinstance(tensor, nn.Parameter)
            require_finite(tensor, f"{path}.{name}", infinity=not parameter)
            weights[name] = self.encode(tensor, f"{path}.{name}")
        self._held.append(module)
        self.entries.append(["users", type(module).__name__, weights, ours])
        return {"ref": len(self.entries) - 1}


def users_tensors(module: nn.Module, ours: Any) -> list[tuple[str, Tensor]]:
    """List the weights and buffers of a user's module.

    Parameters
    ----------
    module : nn.Module
        The user's.
    ours : container of str
        Names of parts that are not his.

    Returns
    -------
    list of (str, Tensor)
        Under their dotted names, each as often as it has one.
    """
    found = []
    for prefix, part in module.named_modules(remove_duplicate=False):
        if any(prefix == name or prefix.startswith(f"{name}.") for name in ours):
            continue
        tables: list[dict[str, Tensor | None]] = [part._parameters, part._buffers]
        found += [
            (f"{prefix}.{name}".lstrip("."), tensor)
            for table in tables
            for name, tensor in table.items()
            if tensor is not None
        ]
    return found


def require_finite(values: Any, path: str, *, infinity: bool) -> None:
    """Refuse numbers that no training leaves.

    Parameters
    ----------
    values : Tensor or ndarray
        Of any type.
    path : str
        Where they were found.
    infinity : bool
        Whether infinity is a number there, as among distances that bar a row.

    Raises
    ------
    ValueError
        For NaN, and for infinity where it is none.
    """
    if isinstance(values, Tensor):
        bad = values.isnan().any() if infinity else ~values.isfinite().all()
    elif values.dtype.kind == "f":
        bad = np.isnan(values).any()
    else:
        return
    if bool(bad):
        raise ValueError(f"has numbers in {path} that are not finite")


def _bytes(_: Encoder, value: bytes, __: str) -> list[Any]:
    return ["bytes", value.hex()]


def _moment(_: Encoder, value: Any, __: str) -> list[Any]:
    return [type(value).__name__, value.isoformat()]


def _span(_: Encoder, value: datetime.timedelta, __: str) -> list[Any]:
    return ["timedelta", value.days, value.seconds, value.microseconds]


def _shown(_: Encoder, value: Any, __: str) -> list[Any]:
    return [type(value).__name__, str(value).removeprefix("torch.")]


_ENTRIES: dict[type, Callable[[Encoder, Any, str], list[Any]]] = {
    **dict.fromkeys((list, tuple, set, frozenset), Encoder._sequence),
    dict: Encoder._dict,
    np.ndarray: Encoder._array,
    torch.Tensor: Encoder._tensor,
    nn.Parameter: Encoder._tensor,
    bytes: _bytes,
    datetime.date: _moment,
    datetime.datetime: _moment,
    datetime.timedelta: _span,
    torch.dtype: _shown,
    torch.device: _shown,
}
