import numpy as np
import onnx
import pytest
from graph_runs import computed
from scipy.spatial.distance import cdist

from acr_sklearn.export.graph import Graph

X = np.random.default_rng(0).normal(size=(7, 3))


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda g: g.rows + 1.0, X + 1),
        (lambda g: 2.0 - g.rows, 2 - X),
        (lambda g: 1.0 / g.rows * 3.0, 3 / X),
        (lambda g: g.rows.turned @ g.rows, X.T @ X),
        (lambda g: g.rows.clip(-0.5, 0.5), X.clip(-0.5, 0.5)),
        (lambda g: g.rows.reduce("Max", 0) - g.rows.reduce("Mean", 0), X.max(0) - X.mean(0)),
        (lambda g: ~((g.rows > 0.0) & (g.rows < 1.0)) | (g.rows <= 0.1), (X <= 0.1) | (X >= 1)),
        (lambda g: g.rows.smallest(2, 0)[0], np.sort(X, 0)[:2]),
        (lambda g: g.rows.smallest(3, 1)[1], np.argsort(X, 1)),
        (lambda g: g.rows.first(2, 1), X[:, :2]),
        (lambda g: g.rows.take(g.ints(3, 1)), X[[3, 1]]),
        (lambda g: g.count_to(g.size(g.rows)) * 2 / 3, np.arange(7) * 2 // 3),
        (lambda g: g.where(g.rows > 0.0, g.rows, -1.0), np.where(X > 0, X, -1)),
        (lambda g: g.cityblock(g.rows, g.rows.first(4, 0)), cdist(X, X[:4], "cityblock")),
        (lambda g: g.concat([g.rows, g.rows], axis=1), np.hstack([X, X])),
        (lambda g: (g.rows * 3.0).to("int"), np.trunc(X * 3)),
    ],
)
def test_arithmetic(build, expected):
    np.testing.assert_allclose(computed(build, X), np.ravel(expected), rtol=1e-13, atol=1e-13)


def test_a_choice_is_made_when_the_graph_is_run():
    def build(g):
        few = g.size(g.rows) <= 4
        return g.choose(few, lambda: g.rows * 2.0, lambda: g.rows.of("Abs") + g.rows)

    np.testing.assert_allclose(computed(build, X), np.ravel(np.abs(X) + X))
    np.testing.assert_allclose(computed(build, X[:4]), np.ravel(2 * X[:4]))


def test_a_constant_stands_in_a_graph_once():
    graph = Graph(3, single=True)
    found = (graph.rows + 5.0) * 5.0 + np.full(3, 5.0)
    model = onnx.load_from_string(graph.model(found.reduce("Sum", 1).flat(-1), {"a": "b"}))
    assert len([one for one in model.graph.initializer if list(one.dims) == []]) == 1
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert model.metadata_props[0].value == "b"


def test_without_onnx_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match="pip install onnx"):
        Graph(3, single=False)
