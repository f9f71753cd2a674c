"""Pickles of plain data, read as data: nothing in them is called or handed to NumPy.

Restricting what Python's unpickler may import is not enough: a pickle sets the state of what it
builds, and arrays and dtypes with a forged state read memory that is not theirs. So the few
instructions that plain data needs are followed here, and arrays are made from their bytes.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["plain_content"]

_MAX_STEPS = 5_000_000  # CIFAR-100 has 300,000; each may cost a hundred bytes of memory
_PLAIN = re.compile(r"([<>|=]?)(b1|[iu][1248]|f[248]|[SU][1-9]\d{0,5})")
_LARGEST_CODE_POINT = 0x10FFFF
_MARK = object()

# What NumPy's arrays are rebuilt by, under its old and new names.
_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): "array",
    ("numpy._core.multiarray", "_reconstruct"): "array",
    ("numpy.core.numeric", "_frombuffer"): "frombuffer",
    ("numpy._core.numeric", "_frombuffer"): "frombuffer",
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",  # how Python 3 writes bytes in protocol 2
}


class _Name:
    """Something that the pickle refers to, of those above."""

    def __init__(self, module: str, name: str):
        if (module, name) not in _NAMES:
            raise ValueError(f"it refers to {module}.{name}, which data does not need")
        self.meaning = _NAMES[module, name]


class _DType:
    """What a pickle says about a dtype."""

    def __init__(self, code: Any):
        match = _PLAIN.fullmatch(code) if isinstance(code, str) else None
        if match is None:
            raise ValueError(
                f"it has an array of type {code!r:.40}; only b, i, u, f, S, U are read"
            )
        self.order, self.code = match[1], match[2]

    def set_state(self, state: Any) -> None:
        """Take the order of bytes; refuse fields and shapes inside a value."""
        size = int(self.code[1:]) * (4 if self.code[0] == "U" else 1)
        if (
            type(state) is not tuple
            or len(state) not in (8, 9)
            or state[1] not in ("<", ">", "|", "=")
            or state[2:5] != (None, None, None)
            or state[5] not in (-1, size)
        ):
            raise ValueError(f"the type {self.code} has a state that no plain type has")
        self.order = state[1]

    def plain(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


class _Array:
    """What a pickle says about an array."""

    def __init__(self) -> None:
        self.parts: tuple[Any, ...] | None = None

    def set_state(self, state: Any) -> None:
        if type(state) is not tuple or len(state) != 5:
            raise ValueError("an array's state is not that of an array")
        self.parts = state[1:]

    def values(self) -> NDArray[Any]:
        if self.parts is None:
            raise ValueError("an array without values")
        shape, dtype, by_columns, content = self.parts
        if isinstance(content, str):  # bytes of Python 2
            content = content.encode("latin1")
        return _array(content, dtype, shape, "F" if by_columns is True or by_columns == 1 else "C")


def _array(content: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    """Make an array from its bytes, each claim about them checked."""
    if type(shape) is int:
        shape = (shape,)
    is_shape = type(shape) is tuple and all(type(n) is int and n >= 0 for n in shape)
    if not isinstance(content, bytes) or not isinstance(dtype, _DType) or not is_shape:
        raise ValueError("an array that is not made of bytes, a plain type and a shape")
    if order not in ("C", "F"):
        raise ValueError(f"an array of order {order!r:.40}, not C or F")
    plain = dtype.plain()
    if len(content) != math.prod(shape) * plain.itemsize:
        raise ValueError(f"an array of shape {shape} and type {plain} in {len(content):,} bytes")
    values = np.frombuffer(content, plain).reshape(shape, order=order)
    _check_values(content, plain)
    return values


def _check_values(content: bytes, dtype: np.dtype[Any]) -> None:
    """Refuse bytes that no value of the type has."""
    if dtype.kind == "b" and content.strip(b"\0\1"):
        raise ValueError("an array of bool with other bytes than 0 and 1")
    if dtype.kind == "U":
        codes = np.frombuffer(content, np.dtype("u4").newbyteorder(dtype.byteorder))
        if (codes > _LARGEST_CODE_POINT).any():
            raise ValueError("an array of text with characters that there are not")


def _call(name: Any, args: Any) -> Any:
    """Do what a reference stands for, without the thing itself."""
    meaning = name.meaning if isinstance(name, _Name) and type(args) is tuple else None
    if meaning == "array":
        return _Array()
    if meaning == "dtype" and args:
        return _DType(args[0])
    if meaning == "encode" and args and isinstance(args[0], str):
        return args[0].encode("latin1")
    if meaning == "frombuffer" and len(args) in (4, 5) and (len(args) == 4 or args[4] is None):
        array = _Array()
        array.parts = (args[2], args[1], args[3] == "F", args[0])
        return array
    raise ValueError("it calls what data does not need")


class _Machine:
    """Follows the instructions of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def pop(self) -> Any:
        top = self.stack.pop()
        if top is _MARK:
            raise ValueError("a mark where a value should be")
        return top

    def pop_to_mark(self) -> list[Any]:
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:  # an IndexError at the latest below the stack
            place -= 1
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items

    def extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise ValueError("items for what is no list")
        self.stack[-1].extend(items)

    def update(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not dict:
            raise ValueError("entries for what is no dict")
        self.stack[-1].update(_entries(items))

    def build(self) -> None:
        state = self.pop()
        if not isinstance(self.stack[-1], _DType | _Array):
            raise ValueError("it sets the state of what has none")
        self.stack[-1].set_state(state)

    def reduce(self) -> None:
        args = self.pop()
        self.stack.append(_call(self.pop(), args))

    def stack_global(self) -> None:
        name = self.pop()
        self.stack.append(_named(self.pop(), name))

    def few(self, n: int) -> tuple[Any, ...]:
        return tuple(reversed([self.pop() for _ in range(n)]))


def _named(module: Any, name: Any) -> _Name:
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError("a reference that is no text")
    return _Name(module, name)


def _entries(items: list[Any]) -> dict[str, Any]:
    keys = [k.decode("latin1") if isinstance(k, bytes) else k for k in items[::2]]
    # Other keys may take forever to hash.
    if len(items) % 2 or not all(isinstance(key, str) for key in keys):
        raise ValueError("a dict whose keys are not text")
    return dict(zip(keys, items[1::2], strict=True))


def _frozen(value: Any) -> Any:
    return bytes(value) if isinstance(value, bytearray) else value


_PASS_OVER = frozenset({"PROTO", "FRAME"})
_PUSH = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
    | {"STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
    | {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BYTEARRAY8"}
)
_PUT = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GET = frozenset({"GET", "BINGET", "LONG_BINGET"})
_STEPS: dict[str, Callable[[_Machine], Any]] = {
    "NONE": lambda m: m.stack.append(None),
    "NEWTRUE": lambda m: m.stack.append(True),
    "NEWFALSE": lambda m: m.stack.append(False),
    "MARK": lambda m: m.stack.append(_MARK),
    "POP": lambda m: m.stack.pop(),
    "EMPTY_LIST": lambda m: m.stack.append([]),
    "EMPTY_DICT": lambda m: m.stack.append({}),
    "EMPTY_TUPLE": lambda m: m.stack.append(()),
    "LIST": lambda m: m.stack.append(m.pop_to_mark()),
    "DICT": lambda m: m.stack.append(_entries(m.pop_to_mark())),
    "TUPLE": lambda m: m.stack.append(tuple(m.pop_to_mark())),
    "TUPLE1": lambda m: m.stack.append(m.few(1)),
    "TUPLE2": lambda m: m.stack.append(m.few(2)),
    "TUPLE3": lambda m: m.stack.append(m.few(3)),
    "APPEND": lambda m: m.extend([m.pop()]),
    "APPENDS": lambda m: m.extend(m.pop_to_mark()),
    "SETITEM": lambda m: m.update(list(m.few(2))),
    "SETITEMS": lambda m: m.update(m.pop_to_mark()),
    "MEMOIZE": lambda m: m.memo.update({len(m.memo): m.stack[-1]}),
    "STACK_GLOBAL": _Machine.stack_global,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}


def _follow(machine: _Machine, name: str, arg: Any) -> None:
    if name in _PUSH:
        machine.stack.append(_frozen(arg))
    elif name in _PUT:
        machine.memo[arg] = machine.stack[-1]
    elif name in _GET:
        machine.stack.append(machine.memo[arg])
    elif name == "GLOBAL":
        machine.stack.append(_named(*arg.split(" ", 1)))
    elif name in _STEPS:
        _STEPS[name](machine)
    elif name not in _PASS_OVER:
        raise ValueError(f"it has a step {name}, which data does not need")


def plain_content(content: bytes) -> dict[str, Any]:
    """Read a pickled dict of numbers, text, lists and arrays.

    Parameters
    ----------
    content : bytes
        Of protocol 0 to 5, also as Python 2 wrote them, whose byte strings become text.

    Returns
    -------
    dict
        With text as keys; an entry that is an array is a read-only ndarray of plain type.

    Raises
    ------
    ValueError
        If it is anything else, has more steps than data needs, or arrays whose bytes are fewer or
        more than they say.
    """
    machine = _Machine()
    for number, (opcode, arg, _) in enumerate(pickletools.genops(content)):
        if opcode.name == "STOP":
            break
        if number == _MAX_STEPS:
            raise ValueError(f"it has more than {_MAX_STEPS:,} steps")
        _follow(machine, opcode.name, arg)
    found = machine.pop()
    if type(found) is not dict:
        raise ValueError(f"a {type(found).__name__.strip('_').lower()}, not a dict")
    return {k: v.values() if isinstance(v, _Array) else v for k, v in found.items()}
