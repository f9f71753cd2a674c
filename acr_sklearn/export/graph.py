"""ONNX graph, written like arithmetic; the only door to onnx."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Graph", "Value"]

#: Of 2022, which ONNX Runtime 1.18 and later run; axes of reductions are inputs from it on.
_OPSET, _IR = 18, 9


class Value:
    """Tensor in a graph.

    Parameters
    ----------
    graph : Graph
        It belongs to.
    name : str
        In the graph.
    kind : {"double", "int", "bool"}
        Of its numbers.
    """

    graph: Graph
    kind: str
    name: str

    def __init__(self, graph: Graph, name: str, kind: str):
        self.graph, self.name, self.kind = graph, name, kind

    def _with(self, op: str, other: Any, kind: str | None = None, *, turned: bool = False) -> Value:
        both = [self, self.graph.lift(other, self.kind)]
        return self.graph.op(op, *(both[::-1] if turned else both), kind=kind or self.kind)

    def __add__(self, other: Any) -> Value:
        return self._with("Add", other)

    def __sub__(self, other: Any) -> Value:
        return self._with("Sub", other)

    def __rsub__(self, other: Any) -> Value:
        return self._with("Sub", other, turned=True)

    def __mul__(self, other: Any) -> Value:
        return self._with("Mul", other)

    def __truediv__(self, other: Any) -> Value:
        return self._with("Div", other)

    def __rtruediv__(self, other: Any) -> Value:
        return self._with("Div", other, turned=True)

    def __matmul__(self, other: Any) -> Value:
        return self._with("MatMul", other)

    def __le__(self, other: Any) -> Value:
        return self._with("LessOrEqual", other, "bool")

    def __lt__(self, other: Any) -> Value:
        return self._with("Less", other, "bool")

    def __gt__(self, other: Any) -> Value:
        return self._with("Greater", other, "bool")

    def __and__(self, other: Value) -> Value:
        return self._with("And", other)

    def __or__(self, other: Value) -> Value:
        return self._with("Or", other)

    def __invert__(self) -> Value:
        return self.graph.op("Not", self)

    def equals(self, other: Any) -> Value:
        """Compare number by number."""
        return self._with("Equal", other, "bool")

    def at_most(self, other: Any) -> Value:
        """Take the smaller number."""
        return self._with("Min", other)

    def at_least(self, other: Any) -> Value:
        """Take the larger number."""
        return self._with("Max", other)

    def to(self, kind: str) -> Value:
        """Turn into another kind of numbers; of doubles the fraction is dropped."""
        return self.graph.cast(self, kind)

    def axis(self, *axes: int) -> Value:
        """Insert axes of length one."""
        return self.graph.op("Unsqueeze", self, self.graph.ints(*axes))

    def flat(self, *shape: int) -> Value:
        """Give another shape."""
        return self.graph.op("Reshape", self, self.graph.ints(*shape))

    @property
    def turned(self) -> Value:
        """The matrix turned."""
        return self.graph.op("Transpose", self, perm=[1, 0])

    def reduce(self, how: str, axis: int, *, keep: bool = True) -> Value:
        """Reduce along an axis: "Sum", "Mean", "Max" or "Min"."""
        return self.graph.op(f"Reduce{how}", self, self.graph.ints(axis), keepdims=int(keep))

    def take(self, places: Value, axis: int = 0) -> Value:
        """Take rows, or columns, by position."""
        return self.graph.op("Gather", self, places, axis=axis)

    def first(self, n: Any, axis: int) -> Value:
        """Take the first of an axis."""
        ends = self.graph.lift(n, "int").flat(1)
        return self.graph.op("Slice", self, self.graph.ints(0), ends, self.graph.ints(axis))

    def clip(self, low: Any, high: Any) -> Value:
        """Bring numbers into bounds, which may be tensors."""
        return self.at_least(low).at_most(high)

    def of(self, op: str) -> Value:
        """Apply a function of one argument, such as "Log"."""
        return self.graph.op(op, self)

    def smallest(self, n: Any, axis: int = 1) -> tuple[Value, Value]:
        """Give the smallest numbers along an axis, the smallest first, and their positions."""
        count = self.graph.lift(n, "int").flat(1)
        values, places = self.graph.ops(
            "TopK", (self, count), (self.kind, "int"), axis=axis, largest=0, sorted=1
        )
        return values, places


class Graph:
    """Graph under construction.

    Parameters
    ----------
    n_features : int
        Width of its one input, "X".
    single : bool
        Whether that is of single precision. All is computed in double.
    """

    def __init__(self, n_features: int, *, single: bool):
        try:
            import onnx
        except ImportError as error:
            raise ImportError(
                "to_onnx writes by the package onnx, which is not installed: pip install onnx"
            ) from error
        self._onnx = onnx
        self._kinds = {
            "double": onnx.TensorProto.DOUBLE,
            "int": onnx.TensorProto.INT64,
            "bool": onnx.TensorProto.BOOL,
            "single": onnx.TensorProto.FLOAT,
        }
        self._nodes: list[Any] = []
        self._constants: dict[Any, Any] = {}
        self._names = 0
        self._single, self._n_features = single, n_features
        given = Value(self, "X", "single" if single else "double")
        self.rows: Value = self.cast(given, "double") if single else given

    def _name(self) -> str:
        self._names += 1
        return f"v{self._names}"

    def op(self, name: str, *inputs: Value, kind: str | None = None, **attributes: Any) -> Value:
        """Add a node with one output, by default of the kind of its first input."""
        return self.ops(name, inputs, (kind or inputs[0].kind,), **attributes)[0]

    def ops(
        self, name: str, inputs: Sequence[Value], kinds: Sequence[str], **attributes: Any
    ) -> list[Value]:
        """Add a node with several outputs."""
        outputs = [Value(self, self._name(), kind) for kind in kinds]
        node = self._onnx.helper.make_node(
            name, [one.name for one in inputs], [one.name for one in outputs], **attributes
        )
        self._nodes.append(node)
        return outputs

    def cast(self, value: Value, kind: str) -> Value:
        """Turn numbers into those of another kind."""
        return self.op("Cast", value, kind=kind, to=self._kinds[kind])

    def lift(self, given: Any, kind: str) -> Value:
        """Make a constant of what is no value yet."""
        if isinstance(given, Value):
            return given
        if isinstance(given, torch.Tensor):
            given = given.detach().cpu().numpy()
        types = {"double": np.float64, "int": np.int64, "bool": np.bool_}
        array: NDArray[Any] = np.asarray(given, dtype=types[kind])
        key = (kind, array.shape, array.tobytes())
        if key not in self._constants:
            tensor = self._onnx.numpy_helper.from_array(np.array(array, order="C"), self._name())
            self._constants[key] = tensor
        return Value(self, self._constants[key].name, kind)

    def const(self, given: Any) -> Value:
        """Make a constant of doubles."""
        return self.lift(given, "double")

    def ints(self, *given: int) -> Value:
        """Make a constant list of whole numbers."""
        return self.lift(list(given), "int")

    def size(self, value: Value, axis: int = 0) -> Value:
        """Length of an axis, a whole number without axes."""
        shape = self.op("Shape", value, kind="int")
        return shape.take(self.lift(axis, "int"))

    def count_to(self, n: Value) -> Value:
        """Whole numbers from 0 to below `n`."""
        return self.op("Range", self.lift(0, "int"), n, self.lift(1, "int"))

    def where(self, condition: Value, one: Any, other: Any, kind: str = "double") -> Value:
        """Choose number by number."""
        both = (self.lift(one, kind), self.lift(other, kind))
        return self.op("Where", condition, *both, kind=kind)

    def concat(self, parts: Sequence[Value], axis: int = 0) -> Value:
        """Join along an axis."""
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=axis)

    def choose(
        self, condition: Value, one: Callable[[], Value], other: Callable[[], Value]
    ) -> Value:
        """Compute one of two, as the condition says when the graph is run."""
        branches = [self._subgraph(make, [], name) for make, name in ((one, "one"), (other, "not"))]
        return self.op(
            "If", condition, kind="double", then_branch=branches[0], else_branch=branches[1]
        )

    def cityblock(self, x: Value, others: Value) -> Value:
        """Sum absolute differences, feature by feature, in the memory of one matrix."""
        start = self.op("MatMul", x, others.turned) * 0.0
        names = [self._name() for _ in range(3)]
        total, column, other = (Value(self, name, "double") for name in names)

        def body() -> Value:
            return total + (column.axis(1) - other.axis(0)).of("Abs")

        graph = self._subgraph(body, names, "feature")
        return self.op("Scan", start, x.turned, others.turned, body=graph, num_scan_inputs=2)

    def _subgraph(self, make: Callable[[], Value], inputs: list[str], name: str) -> Any:
        outside, self._nodes = self._nodes, []
        result = make().of("Identity")
        nodes, self._nodes = self._nodes, outside
        info = self._onnx.helper.make_tensor_value_info
        double = self._kinds["double"]
        ranks = {0: 2, 1: 1, 2: 1}
        given = [info(n, double, [None] * ranks[i]) for i, n in enumerate(inputs)]
        return self._onnx.helper.make_graph(nodes, name, given, [info(result.name, double, None)])

    def model(self, scores: Value, texts: dict[str, str]) -> bytes:
        """Finish the graph.

        Parameters
        ----------
        scores : Value of shape (n_samples,)
            Its one output, "scores".
        texts : dict of str
            Metadata of the model.

        Returns
        -------
        bytes
            A file of ONNX, checked.
        """
        helper = self._onnx.helper
        scores.of("Identity")
        self._nodes[-1].output[0] = "scores"
        given = self._kinds["single" if self._single else "double"]
        graph = helper.make_graph(
            self._nodes,
            "acr_sklearn",
            [helper.make_tensor_value_info("X", given, ["n_samples", self._n_features])],
            [helper.make_tensor_value_info("scores", self._kinds["double"], ["n_samples"])],
            list(self._constants.values()),
        )
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=_IR)
        model.producer_name = "acr_sklearn"
        helper.set_model_props(model, texts)
        self._onnx.checker.check_model(model)
        found: bytes = model.SerializeToString()
        return found
