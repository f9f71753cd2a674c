"""From plain JSON and named arrays back to an estimator, through the registry alone."""

from __future__ import annotations

import dataclasses
import datetime
import importlib
from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from acr_sklearn.persistence.encoder import (
    LEFT_OUT,
    MODULE_INTERNALS,
    require_finite,
    users_tensors,
)
from acr_sklearn.persistence.registry import TORCH, WEIGHTED, class_named

__all__ = ["Decoder"]

_DTYPES = {
    name: getattr(torch, name)
    for name in (
        *("bool", "uint8", "int8", "int16", "int32", "int64"),
        *("float16", "bfloat16", "float32", "float64"),
    )
}
_CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
}
#: Parameters that came with a later format: files of earlier ones lack them, and their defaults do
#: what was done then.
_LATER_PARAMETERS = {"DomainImputer": frozenset({"n_neighbors"})}
#: Turns a user's module into one of ours, as training does.
_CONVERT = ("acr_sklearn.networks.user_module", "with_batch_statistics")


class Decoder:
    """Turns entries of a table into objects.

    Parameters
    ----------
    tensors : dict of ndarray
        Of the file.
    given : dict
        Parts that the user passes to `load`, by the name of the parameter.

    Attributes
    ----------
    left_out : dict of str
        Parameters that the file leaves out and `given` does not bring, with what they were.
    used : set of str
        Names of `given` that had a place.
    """

    def __init__(self, tensors: dict[str, NDArray[Any]], given: dict[str, Any]):
        self.tensors = tensors
        self.given = given
        self.left_out: dict[str, str] = {}
        self.used: set[str] = set()
        self._read: set[str] = set()
        self._objects: list[Any] = []

    def table(self, entries: list[Any]) -> None:
        """Decode the whole table.

        Parameters
        ----------
        entries : list of list
            Of the file; each refers only to those before it.

        Raises
        ------
        ValueError
            For tensors that no entry refers to; other faults of a table that was not written by
            `Encoder` raise whatever they raise.
        """
        for entry in entries:
            kind, *rest = entry
            self._objects.append(_ENTRIES[kind](self, *rest))
        if unread := self.tensors.keys() - self._read:
            raise ValueError(f"holds a tensor {min(unread)!r} that belongs to nothing")

    def decode(self, node: Any) -> Any:
        """Decode a node of the file.

        Parameters
        ----------
        node : None, bool, int, float, str or dict
            Of `Encoder.encode`.

        Returns
        -------
        object
            What it stands for.
        """
        if not isinstance(node, dict):
            if isinstance(node, list):
                raise TypeError("a list stands where a node should")
            return node
        if node.keys() == {"float"}:
            return float(node["float"])
        place = node["ref"]
        if node.keys() != {"ref"} or type(place) is not int or not 0 <= place < len(self._objects):
            raise ValueError("refers to what is not there")
        return self._objects[place]

    def estimator(self, name: str, parameters: dict[str, Any], rest: dict[str, Any]) -> Any:
        """Make an estimator.

        Parameters
        ----------
        name : str
            Of its class.
        parameters, rest : dict
            Nodes of its parameters and of what it learnt.

        Returns
        -------
        estimator
            Of that class.
        """
        return self._object(name, parameters, rest)

    # -------------------------------------------------------------------------- plain values

    def _dict(self, pairs: list[list[Any]]) -> dict[Any, Any]:
        return {self.decode(key): self.decode(value) for key, value in pairs}

    def _array(self, name: str, turned: bool) -> NDArray[Any]:
        found = self._named(name)
        return found.T if turned else found

    def _objects_array(self, shape: list[int], items: list[Any]) -> NDArray[Any]:
        flat = np.empty(len(items), object)
        for i, item in enumerate(items):
            flat[i] = self.decode(item)
        return flat.reshape(shape)

    def _texts(self, dtype: str, shape: list[int], texts: list[str]) -> NDArray[Any]:
        kind = np.dtype(dtype)
        # A width without texts would reserve memory for none.
        if kind.kind not in "US" or kind.itemsize > 4 * max([1, *map(len, texts)]):
            raise ValueError(f"holds texts of type {dtype!r}")
        items = texts if kind.kind == "U" else [bytes.fromhex(text) for text in texts]
        return np.array(items, dtype=kind).reshape(shape)

    def _times(self, dtype: str, node: Any) -> NDArray[Any]:
        if np.dtype(dtype).kind not in "mM":
            raise ValueError(f"holds times of type {dtype!r}")
        return np.asarray(self.decode(node)).view(dtype)

    def _scalar(self, node: Any) -> np.generic:
        found: np.generic = self.decode(node)[()]
        return found

    def _tensor(self, name: str, details: dict[str, Any]) -> Tensor:
        stored = torch.from_numpy(self._named(name))
        dtype = _DTYPES[details["dtype"]]
        if dtype == torch.bfloat16:
            stored = stored.view(dtype)
        if stored.dtype != dtype:
            raise ValueError(f"holds {name!r} in another type than it says")
        order = details["order"]
        # Of our own allocation: where numbers lie decides which instructions add them.
        tensor = stored.clone().to(_device(details["device"]))
        tensor = tensor.permute([order.index(axis) for axis in range(len(order))])
        if details["kind"] == "parameter":
            return nn.Parameter(tensor, requires_grad=details["gradient"])
        return tensor.requires_grad_(details["gradient"])

    def _named(self, name: str) -> NDArray[Any]:
        self._read.add(name)
        return self.tensors[name]

    # --------------------------------------------------------------- objects of this package

    def _instance(self, name: str, fields: dict[str, Any]) -> Any:
        cls = class_named(name)
        if not dataclasses.is_dataclass(cls):
            raise TypeError(f"{name} has no fields")
        if fields.keys() != {field.name for field in dataclasses.fields(cls)}:
            raise ValueError(f"holds a {name} of other fields than it has")
        made = object.__new__(cls)
        for field, node in fields.items():
            value = self.decode(node)
            if isinstance(value, np.ndarray):
                require_finite(value, f"{name}.{field}", infinity=True)
            object.__setattr__(made, field, value)
        return made

    def _object(self, name: str, parameters: dict[str, Any], rest: dict[str, Any]) -> Any:
        cls = class_named(name)
        if dataclasses.is_dataclass(cls) or issubclass(cls, nn.Module):
            raise TypeError(f"{name} is no estimator")
        names = set(cls._get_param_names()) if issubclass(cls, BaseEstimator) else set()
        later = _LATER_PARAMETERS.get(name, frozenset())
        if not names - later <= parameters.keys() <= names:
            raise ValueError(f"holds a {name} of other parameters than it has")
        for attribute in rest:
            if not attribute.isidentifier() or (
                hasattr(cls, attribute) and callable(getattr(cls, attribute))
            ):
                raise ValueError(f"sets {name}.{attribute}, which is no attribute")
        state = {key: signature(cls).parameters[key].default for key in names - parameters.keys()}
        state |= {key: self.parameter(cls, key, node) for key, node in parameters.items()}
        state |= {key: self.decode(node) for key, node in rest.items() if key not in LEFT_OUT}
        made = object.__new__(cls)
        if hasattr(cls, "_set_file_state"):
            made._set_file_state(state)
        else:
            vars(made).update(state)
        return made

    def parameter(self, cls: type[Any], name: str, node: Any) -> Any:
        """Decode a parameter, or take what stands in for one that the file leaves out."""
        if not isinstance(node, dict) or node.keys() != {"left out"}:
            return self.decode(node)
        if name in self.given:
            self.used.add(name)
            return self.given[name]
        default = signature(cls).parameters[name].default
        if default is Parameter.empty:
            raise ValueError(f"leaves out {cls.__name__}.{name}, which has no default")
        self.left_out[name] = str(node["left out"])
        return default

    # ------------------------------------------------------------------------------ networks

    def _module(self, name: str, details: dict[str, Any]) -> nn.Module:
        cls = class_named(name)
        if not issubclass(cls, nn.Module):
            raise TypeError(f"{name} is no network")
        attributes = {k: self.decode(v) for k, v in details["attributes"].items()}
        parameters, buffers, parts = (
            {k: self.decode(v) for k, v in details[table].items()}
            for table in ("parameters", "buffers", "modules")
        )
        module = _empty(name, cls, attributes, parameters)
        for table, wanted in ((parameters, nn.Parameter), (buffers, Tensor), (parts, nn.Module)):
            for key, value in table.items():
                if not isinstance(value, wanted | None) or "." in key or hasattr(cls, key):
                    raise TypeError(f"{name}.{key} is no {wanted.__name__}")
                if isinstance(value, Tensor):
                    require_finite(value, f"{name}.{key}", infinity=table is buffers)
        module._parameters.clear()
        module._parameters.update(parameters)
        module._buffers.update(buffers)
        module._modules.update(parts)
        module._non_persistent_buffers_set = set(details["passing"])
        module.training = bool(details["training"])
        return module

    def _users(self, kind: str, weights: dict[str, Any], ours: dict[str, Any]) -> nn.Module:
        """Put weights into a copy of the user's module."""
        given = self.given.get("backbone")
        if not isinstance(given, nn.Module):
            raise LookupError(  # not a fault of the file
                f"holds the weights of a {kind}, a module of its user's, and not the module "
                f"itself: load(path, backbone={kind}(...)) puts them into one that is built alike"
            )
        self.used.add("backbone")
        module: nn.Module = getattr(importlib.import_module(_CONVERT[0]), _CONVERT[1])(given)
        for name, node in ours.items():
            _replace(module, name, self.decode(node))
        own = dict(users_tensors(module, ours))
        found = {name: self.decode(node) for name, node in weights.items()}
        shapes = [
            {name: tuple(tensor.shape) for name, tensor in table.items()} for table in (own, found)
        ]
        if shapes[0] != shapes[1]:
            odd = min(name for name, _ in shapes[0].items() ^ shapes[1].items())
            raise LookupError(
                f"holds the weights of a {kind} that do not fit into backbone="
                f"{type(given).__name__}: {odd} has shape {shapes[1].get(odd)} in the file and "
                f"{shapes[0].get(odd)} in the module. Build it as it was built for fit"
            )
        for name, tensor in found.items():
            parameter = isinstance(tensor, nn.Parameter)
            require_finite(tensor, name, infinity=not parameter)
            prefix, _, key = name.rpartition(".")
            part = module.get_submodule(prefix)
            if parameter:
                part._parameters[key] = tensor
            else:
                part._buffers[key] = tensor
        return module


def _empty(
    name: str, cls: type[Any], attributes: dict[str, Any], parameters: dict[str, Any]
) -> nn.Module:
    """Make a module without weights; PyTorch's own from their arguments."""
    if name == "ParameterList":
        return nn.ParameterList(list(parameters.values()))
    if name in TORCH:
        if attributes.keys() != set(TORCH[name]):
            raise ValueError(f"holds a {name} of other arguments than it has")
        if name not in WEIGHTED:
            built: nn.Module = cls(**attributes)
            return built
        # Without memory, and without a draw from PyTorch's generator.
        built = cls(**attributes, bias=parameters["bias"] is not None, device="meta")
        for key, value in built._parameters.items():
            if getattr(value, "shape", None) != getattr(parameters[key], "shape", None):
                raise ValueError(f"holds a {name} whose {key} is of another shape")
        return built
    made = object.__new__(cls)
    nn.Module.__init__(made)
    for key, value in attributes.items():
        if not key.isidentifier() or key in MODULE_INTERNALS or callable(getattr(cls, key, None)):
            raise ValueError(f"sets {name}.{key}, which is no attribute")
        vars(made)[key] = value
    return made


def _replace(module: nn.Module, name: str, part: Any) -> None:
    if not isinstance(part, nn.Module) or not name:
        raise TypeError(f"{name} is no layer")
    prefix, _, key = name.rpartition(".")
    parent = module.get_submodule(prefix)
    if key not in parent._modules:
        raise LookupError(f"has a layer {name!r} that backbone={type(module).__name__} lacks")
    parent._modules[key] = part


def _device(name: str) -> torch.device:
    """Where a tensor was, if this machine has that, else the CPU."""
    wanted = torch.device(name)
    if wanted.type == "cuda" and torch.cuda.is_available():
        return wanted if (wanted.index or 0) < torch.cuda.device_count() else torch.device("cuda")
    if wanted.type == "mps" and torch.backends.mps.is_available():
        return wanted
    if wanted.type == "xpu" and torch.xpu.is_available():
        return wanted
    return torch.device("cpu")


def _container(kind: str) -> Callable[[Decoder, list[Any]], Any]:
    def make(decoder: Decoder, items: list[Any]) -> Any:
        return _CONTAINERS[kind]([decoder.decode(item) for item in items])

    return make


_ENTRIES: dict[str, Callable[..., Any]] = {
    **{kind: _container(kind) for kind in _CONTAINERS},
    "dict": Decoder._dict,
    "array": Decoder._array,
    "objects": Decoder._objects_array,
    "texts": Decoder._texts,
    "times": Decoder._times,
    "scalar": Decoder._scalar,
    "tensor": Decoder._tensor,
    "instance": Decoder._instance,
    "object": Decoder._object,
    "module": Decoder._module,
    "users": Decoder._users,
    "class": lambda _, name: class_named(name),
    "bytes": lambda _, text: bytes.fromhex(text),
    "date": lambda _, text: datetime.date.fromisoformat(text),
    "datetime": lambda _, text: datetime.datetime.fromisoformat(text),
    "timedelta": lambda _, *parts: datetime.timedelta(*parts),
    "dtype": lambda _, name: _DTYPES[name],
    "device": lambda _, name: torch.device(name),
}
