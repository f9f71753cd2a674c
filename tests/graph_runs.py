"""Runs pieces of ONNX graphs."""

import numpy as np
import onnxruntime

from acr_sklearn.export.graph import Graph


def computed(build, X, **names):
    """What a function of a graph makes of rows, as a flat array."""
    graph = Graph(np.shape(X)[1], single=False)
    found = build(graph, **names)
    data = graph.model(found.to("double").flat(-1), {})
    return onnxruntime.InferenceSession(data).run(None, {"X": np.asarray(X, float)})[0]
