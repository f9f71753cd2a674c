"""Scores straight from docs/concepts.md: slow, in float64, sharing no code with the package."""

import numpy as np


def standardized(x, kept, scale):
    """Centre on the kept rows, in units of `scale` times the kept rows' overall spread."""
    centred = (x - x[kept].mean(axis=0)) / scale
    return centred / (np.sqrt(np.mean(centred[kept] ** 2)) or 1.0)


def nearest(x, raw, points, k):
    """Mean distance to the k nearest of some rows; a row is no neighbour of its own."""
    k, out = min(k, max(len(points) - 1, 1)), []
    for row, own in zip(x, raw, strict=True):
        distances = np.linalg.norm(x[points] - row, axis=1)
        itself = np.flatnonzero((raw[points] == own).all(axis=1))[:1]
        out.append(np.sort(np.delete(distances, itself))[:k].sum() / k)
    return np.array(out)


def robust_z(distances, of):
    """Log distances, less the median of those in `of`, by the median absolute deviation."""
    floor = 1e-6 * np.median(of) or of.mean() or 1.0
    logs = np.log(of + floor)
    spread = 1.4826 * np.median(np.abs(logs - np.median(logs)))
    return (np.log(distances + floor) - np.median(logs)) / max(spread, 1e-3)


def layers(network, x, kept):
    """All hidden layers and the embedding side by side, and the distance to the centre."""
    state = {name: t.detach().double().numpy() for name, t in network.state_dict().items()}

    def normed(x, linear, norm):
        z = x @ state[linear + ".weight"].T
        z = (z - z[kept].mean(axis=0)) / np.sqrt(z[kept].var(axis=0) + 1e-5)
        return z * state[norm + ".weight"] + state[norm + ".bias"]

    x, found = np.hstack([x, x @ state["backbone.linears.0.whitening"]]), []
    for i in range(len(network.backbone.linears)):
        x = np.maximum(normed(x, f"backbone.linears.{i}", f"backbone.norms.{i}"), 0)
        found.append(x)
    z = normed(x, "objective.linear", "objective.norm")
    return np.hstack([*found, z]), np.linalg.norm(z - state["objective.center"], axis=1)


def reference_scores(network, covariance, head, batch, rows=None, k=5, trim=0.25):
    """Anomaly scores of `rows` (the batch itself if None) under the statistics of `batch`."""
    n, scale = len(batch), covariance.scale.scale
    raw = np.vstack([batch, *([] if rows is None else [rows])]).astype(np.float64)
    wanted, kept, serving = slice(0 if rows is None else n, None), np.arange(n), np.arange(n)
    if n > 2048:  # 256 rows serve as neighbours, evenly spaced along a fixed direction
        keys = (raw[:n] * (np.sin(12.9898 * np.arange(1, len(scale) + 1)) / scale)).sum(axis=1)
        serving = np.argsort(keys, kind="stable")[np.arange(256) * n // 256]
    near, mahalanobis = (
        covariance.axes / np.sqrt(covariance.variances + ridge * covariance.variances.mean())
        for ridge in (0.1, 0.03)
    )
    first = standardized(raw, kept, scale)
    if n_out := max(0, min(int(trim * n), n - 2)):
        x = first[:n]
        outlying = np.linalg.norm(x @ mahalanobis, axis=1)
        if head in ("combined", "neighbors"):
            wide = nearest(x, raw[:n], serving, max(k, round(0.3 * len(serving))))
            distances = outlying, nearest(x @ near, raw[:n], serving, k), wide
            outlying = np.max([robust_z(d, d) for d in distances], axis=0)
        limit = np.sort(outlying)[n - n_out - 1]
        kept = np.flatnonzero(outlying <= limit + 1e-12 * (1 + abs(limit)))
    if head == "mahalanobis":
        return np.linalg.norm((first - first[kept].mean(axis=0)) @ mahalanobis, axis=1)[wanted]
    seen, far = layers(network, standardized(raw, kept, scale), kept)
    if head == "objective":
        return far[wanted] ** 2
    close = nearest(seen, raw, np.intersect1d(serving, kept), k)
    if head == "neighbors":
        return close[wanted]
    return np.maximum(robust_z(close, close[:n]), robust_z(far, far[:n]))[wanted]
