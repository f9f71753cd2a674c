"""Scores straight from docs/scores.md: slow, in float64, sharing no code with the package."""

import numpy as np
from scipy.stats import norm


def standardized(x, kept, scale):
    """Centre on the kept rows, in units of `scale` times the kept rows' overall spread."""
    centred = (x - x[kept].mean(axis=0)) / scale
    return centred / (np.sqrt(np.mean(centred[kept] ** 2)) or 1.0)


def nearest(x, raw, points, *counts, order=2):
    """Mean distances to so many nearest of some rows; a row is no neighbour of its own."""
    out = []
    for row, own in zip(x, raw, strict=True):
        distances = np.linalg.norm(x[points] - row, ord=order, axis=1)
        itself = np.flatnonzero((raw[points] == own).all(axis=1))[:1]
        distances = np.sort(np.delete(distances, itself))
        few = [min(k, max(len(points) - 1, 1)) for k in counts]
        out.append([distances[:k].sum() / k for k in few])
    return np.array(out).T


def spaced(raw, scale, n_chosen):
    """So many rows, evenly spaced along a fixed direction."""
    keys = (raw * (np.sin(12.9898 * np.arange(1, len(scale) + 1)) / scale)).sum(axis=1)
    return np.argsort(keys, kind="stable")[np.arange(n_chosen) * len(raw) // n_chosen]


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
        serving = spaced(raw[:n], scale, 256)
    near, mahalanobis = (
        covariance.axes / np.sqrt(covariance.variances + ridge * covariance.variances.mean())
        for ridge in (0.1, 0.03)
    )
    first = standardized(raw, kept, scale)
    if n_out := max(0, min(int(trim * n), n - 2)):
        x = first[:n]
        outlying = np.linalg.norm(x @ mahalanobis, axis=1)
        if head in ("combined", "neighbors"):
            (wide,) = nearest(x, raw[:n], serving, max(k, round(0.3 * len(serving))))
            distances = outlying, nearest(x @ near, raw[:n], serving, k)[0], wide
            outlying = np.max([robust_z(d, d) for d in distances], axis=0)
        limit = np.sort(outlying)[n - n_out - 1]
        kept = np.flatnonzero(outlying <= limit + 1e-12 * (1 + abs(limit)))
    if head == "mahalanobis":
        return np.linalg.norm((first - first[kept].mean(axis=0)) @ mahalanobis, axis=1)[wanted]
    seen, far = layers(network, standardized(raw, kept, scale), kept)
    if head == "objective":
        return far[wanted] ** 2
    (close,) = nearest(seen, raw, np.intersect1d(serving, kept), k)
    if head == "neighbors":
        return close[wanted]
    return np.maximum(robust_z(close, close[:n]), robust_z(far, far[:n]))[wanted]


def values(batch, raw):
    """Rarity and normal scores of values, by hats of unit sum on 42 points of each feature."""
    n, density, scores = len(batch), np.ones(raw.shape), np.zeros(raw.shape)
    for j, column in enumerate(batch.T):
        low, high = np.quantile(column, [0.005, 0.995])
        if low == high:
            low, high = column.min(), column.max()
        if step := (high - low) / 39:
            points = low + step * np.arange(-1, 41)
            within = column.clip(points[0], points[-1])[:, None]
            counts = np.maximum(0, 1 - np.abs(within - points) / step).sum(axis=0)
            below = ((counts.cumsum() - counts / 2) / n).clip(0.5 / n, 1 - 0.5 / n)
            density[:, j] = np.interp(raw[:, j], points, counts / n)
            scores[:, j] = np.interp(raw[:, j], points, norm.ppf(below))
    return -np.log(density.clip(0.5 / n)).mean(axis=1), scores


def once(values):
    """Count a value once that more than three rows, and more than a fiftieth of them, have."""
    values, kept = np.sort(values), []
    same, most = 1e-6 * np.abs(values).mean(), max(3, len(values) // 50)
    for i, value in enumerate(values):
        beside = np.abs(values - value) <= same
        if beside.sum() <= most or not beside[:i].any():
            kept.append(value)
    return np.array(kept)


def consensus(evidence, n, taken=None):
    """Mean of the larger half of signed log robust z-scores; the first n rows are the batch."""
    standardised = []
    for seen in evidence:
        counted = once(seen[:n])
        center = np.median(counted)
        off = np.abs(counted - center)
        least = 1e-3 * max(abs(center), 1)
        z = (seen - center) / max(1.4826 * np.median(off), 0.5 * 1.2533 * off.mean(), least)
        standardised.append(np.sign(z) * np.log1p(np.abs(z)))
    taken = taken or len(evidence) - len(evidence) // 2
    return np.sort(standardised, axis=0)[-taken:].mean(axis=0)


def consensus_scores(network, shape, training, batch, rows=None, k=5, trim=0.25):
    """`reference_scores` of the consensus; `training` are the rows of each training domain."""
    rows, n = np.asarray(batch if rows is None else rows, np.float64), len(batch)
    scale = shape.scale.scale
    n_serving, order = (n if n <= 512 else 256, 1) if n <= 2048 else (128, 2)
    batch = batch[spaced(batch, scale, min(n, 2048))].astype(np.float64)
    n, raw, serving = len(batch), np.vstack([batch, rows]), spaced(batch, scale, n_serving)

    def neighbors(x, points, *counts, order):
        some = [max(5, round(part * (len(points) - 1))) for part in (0.1, 0.3)]
        return nearest(x, raw, points, *counts, *some, order=order)

    units = ((raw - batch.mean(axis=0)) / batch.std(axis=0)).clip(-3, 3)
    rarity, scores = values(batch, raw)
    seen = np.vstack([values(own, own)[1] for own in training])
    covariance = seen.T @ seen / len(seen)
    covariance += 0.1 * np.diag(covariance).mean() * np.eye(len(scale))
    precision = np.linalg.inv(covariance)
    residuals = np.log1p((scores @ precision) ** 2 / np.diag(precision)).sum(axis=1)
    evidence = [*neighbors(units, serving, order=order), rarity, residuals]
    kept = np.arange(n)
    if n_out := max(0, min(int(trim * n), n - 2)):
        spread = np.sqrt(shape.variances + 0.03 * shape.variances.mean())
        whole = standardized(batch, kept, scale)
        far = np.linalg.norm(whole @ (shape.axes / spread), axis=1)
        outlying = consensus([*(seen[:n] for seen in evidence), far], n, 1)
        limit = np.sort(outlying)[n - n_out - 1]
        if limit - outlying.min() > 1e-5 * (1 + abs(limit)):
            kept = np.flatnonzero(outlying <= limit + 1e-12 * (1 + abs(limit)))
    seen = layers(network, standardized(raw, kept, scale), kept)[0]
    close = neighbors(seen, np.intersect1d(serving, kept), k, order=2)
    return consensus([*evidence, *close], n)[n:]
