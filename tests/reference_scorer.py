"""Scores straight from docs/concepts.md: slow, in float64, sharing no code with the package."""

import numpy as np


def standardized(batch, rows, scale, kept):
    """Centre on the kept rows, in units of `scale` times the kept rows' overall spread."""
    center = batch[kept].mean(axis=0)
    spread = np.sqrt(np.mean(((batch[kept] - center) / scale) ** 2))
    return (rows - center) / scale / (spread if spread > 0 else 1.0)


def nearest(points, new, raw, new_raw, k):
    """Mean distance to the k nearest points; a row that is itself a point does not count."""
    k, out = min(k, max(len(points) - 1, 1)), []
    for row, row_raw in zip(new, new_raw, strict=True):
        distances = np.sqrt(((points - row) ** 2).sum(axis=1))
        same = np.flatnonzero((raw == row_raw).all(axis=1))
        out.append(np.sort(np.delete(distances, same[:1]))[:k].sum() / k)
    return np.array(out)


def robust_z(distances, of):
    """Log distances, less the median of those in `of`, by the median absolute deviation."""
    floor = 1e-6 * np.median(of) if np.median(of) > 0 else (of.mean() if of.mean() > 0 else 1.0)
    logs = np.log(of + floor)
    spread = 1.4826 * np.median(np.abs(logs - np.median(logs)))
    return (np.log(distances + floor) - np.median(logs)) / max(spread, 1e-3)


def layers(network, batch, rows, kept):
    """All hidden layers and the embedding side by side, and the distance to the centre."""
    state = {name: t.detach().double().numpy() for name, t in network.state_dict().items()}
    white, seen, found = state["backbone.linears.0.whitening"], (batch, rows), []
    seen = tuple(np.hstack([x, x @ white]) for x in seen)
    for i in range(len(network.backbone.linears)):
        stem = f"backbone.norms.{i}."
        linear, weight, bias = (
            state[n] for n in (f"backbone.linears.{i}.weight", stem + "weight", stem + "bias")
        )
        before, after = (x @ linear.T for x in seen)
        mean, spread = before[kept].mean(axis=0), np.sqrt(before[kept].var(axis=0) + 1e-5)
        seen = tuple(np.maximum((x - mean) / spread * weight + bias, 0) for x in (before, after))
        found.append(seen)
    before, after = (x @ state["objective.linear.weight"].T for x in seen)
    mean, spread = before[kept].mean(axis=0), np.sqrt(before[kept].var(axis=0) + 1e-5)
    weight, bias = state["objective.norm.weight"], state["objective.norm.bias"]
    found.append(tuple((x - mean) / spread * weight + bias for x in (before, after)))
    far = [np.sqrt(((z - state["objective.center"]) ** 2).sum(axis=1)) for z in found[-1]]
    return [np.hstack(side) for side in zip(*found, strict=True)], far


def reference_scores(network, covariance, head, batch, rows=None, k=5, trim=0.25):
    """Anomaly scores of `rows` (the batch itself if None) under the statistics of `batch`."""
    batch = batch.astype(np.float64)
    rows = batch if rows is None else rows.astype(np.float64)
    n, scale, everything = len(batch), covariance.scale.scale, np.ones(len(batch), bool)
    # Above 2048 rows 256 serve as neighbours, evenly spaced along a fixed direction.
    serving = np.arange(n)
    if n > 2048:
        keys = (batch * (np.sin(12.9898 * np.arange(1, len(scale) + 1)) / scale)).sum(axis=1)
        serving = np.argsort(keys, kind="stable")[np.arange(256) * n // 256]
    near, mahalanobis = (
        covariance.axes / np.sqrt(covariance.variances + ridge * covariance.variances.mean())
        for ridge in (0.1, 0.03)
    )
    first, kept = standardized(batch, batch, scale, everything), everything
    if n_out := max(0, min(int(trim * n), n - 2)):
        outlying = np.linalg.norm(first @ mahalanobis, axis=1)
        if head in ("combined", "neighbors"):
            wide = max(k, round(0.3 * len(serving)))
            views = [outlying]
            for x, count in ((first @ near, k), (first, wide)):
                views.append(nearest(x[serving], x, batch[serving], batch, count))
            outlying = np.max([robust_z(view, view) for view in views], axis=0)
        limit = np.sort(outlying)[n - n_out - 1]
        kept = outlying <= limit + 1e-12 * (1 + abs(limit))
    if head == "mahalanobis":
        moved = standardized(batch, rows, scale, everything)
        return np.linalg.norm((moved - first[kept].mean(axis=0)) @ mahalanobis, axis=1)
    inputs = [standardized(batch, x, scale, kept) for x in (batch, rows)]
    (own, new), (own_far, far) = layers(network, *inputs, kept)
    if head == "objective":
        return far**2
    serving = serving[kept[serving]]
    close = nearest(own[serving], new, batch[serving], rows, k)
    if head == "neighbors":
        return close
    own_close = nearest(own[serving], own, batch[serving], batch, k)
    return np.maximum(robust_z(close, own_close), robust_z(far, own_far))
