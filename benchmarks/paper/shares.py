"""Batches with known shares of anomalies: how they are scored, and what the tables say of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from _report import format_table
from sklearn.metrics import average_precision_score, roc_auc_score

from acr_sklearn.datasets import DomainData, LabelledDomain

from .command import Unit, generator, make_detector, run
from .presets import Preset
from .store import Store

Transform = Callable[[np.ndarray], np.ndarray]
METRICS = {"auroc": roc_auc_score, "ap": average_precision_score}


def run_shares(
    preset: Preset,
    arguments: argparse.Namespace,
    trainings: Mapping[str, DomainData],
    unit_of: Callable[[LabelledDomain], str],
    row_of: Callable[[LabelledDomain], str],
    transform: Transform = lambda rows: rows,
) -> dict[str, Any]:
    """Train on each of the data, test on batches of their test domains.

    Parameters
    ----------
    preset : Preset
        With the user's changes.
    arguments : argparse.Namespace
        Of `parser_for`.
    trainings : dict of str -> DomainData
        What to train on, and to test that on. With every seed.
    unit_of, row_of : callable
        From a test domain to the unit that it is done in, and to its row in the table besides
        "all"; the empty string for none.
    transform : callable
        What is done to rows before the detector sees them.
    """
    work: dict[str, tuple[int, str, list[LabelledDomain]]] = {}
    rows: dict[str, dict[str, str]] = {}
    for seed in arguments.seeds:
        for training, data in trainings.items():
            for domain in data.test:
                key = "/".join(filter(None, (f"seed={seed}", training, unit_of(domain))))
                work.setdefault(key, (seed, training, []))[2].append(domain)
                rows.setdefault(key, {})[domain.name] = row_of(domain)

    def fit(seed: int, training: str) -> Any:
        data = trainings[training]
        more = {}
        if preset.detector.get("backbone") == "conv":
            more["input_shape"] = data.input_shape
        return make_detector(preset, seed, **more).fit([transform(part) for part in data.train])

    def score(store: Store, key: str) -> dict[str, Any]:
        seed, training, domains = work[key]
        name = "-".join(filter(None, (f"seed{seed}", training)))
        detector = store.trained(name, partial(fit, seed, training))
        return score_domains(detector, domains, preset, seed, transform)

    facts = {
        training or "data": {
            "train": dict(zip(data.train_names, map(len, data.train), strict=True)),
            "features": data.train[0].shape[1],
            "test": len(data.test),
        }
        for training, data in trainings.items()
    }
    return run(
        preset,
        arguments,
        facts,
        lambda store: [Unit(key, partial(score, store, key)) for key in work],
        lambda done: summarise(done, lambda key, name: rows[key][name]),
        lambda figures: table(figures, preset),
    )


def score_domains(
    detector: Any,
    domains: Sequence[LabelledDomain],
    preset: Preset,
    seed: int,
    transform: Transform = lambda rows: rows,
) -> dict[str, Any]:
    """Draw batches of every domain at every share, and score each as one batch.

    Returns
    -------
    dict
        ``domains``: their names; ``auroc`` and ``ap``: share -> one list per domain with one
        value per repeated draw.
    """
    shares, repeats = preset.protocol["shares"], preset.protocol["repeats"]
    out: dict[str, Any] = {"domains": [d.name for d in domains]}
    out |= {metric: {str(share): [] for share in shares} for metric in METRICS}
    for unread in domains:
        rows = unread.load()  # once for all draws: a year of AnoShift takes seconds
        domain = replace(unread, load=lambda rows=rows: rows)
        for share in shares:
            values: dict[str, list[float]] = {metric: [] for metric in METRICS}
            for repeat in range(repeats):
                rng = generator(seed, domain.group, domain.name, share, repeat)
                X, y = domain.draw(share, rng)
                abnormality = -detector.score_samples(transform(X))
                for metric, measure in METRICS.items():
                    values[metric].append(float(measure(y == -1, abnormality)))
            for metric in METRICS:
                out[metric][str(share)].append(values[metric])
    return out


def summarise(
    done: dict[str, Any], row_of: Callable[[str, str], str]
) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Return means over domains and their spread over repeated draws and trainings.

    Parameters
    ----------
    done : dict
        "seed=<seed>/..." -> what `score_domains` returned.
    row_of : callable
        From the key of a unit and the name of a domain to the table's row, besides "all".

    Returns
    -------
    dict
        metric -> row -> share -> {"mean", "std"}.
    """
    figures: dict[str, Any] = {}
    for metric in METRICS:
        # row -> share -> (seed, repeat) -> values of domains
        cells: dict[str, dict[str, dict[tuple[str, int], list[float]]]] = {}
        for key, result in done.items():
            seed = key.split("/")[0]
            for share, by_domain in result[metric].items():
                for name, values in zip(result["domains"], by_domain, strict=True):
                    for row in dict.fromkeys(filter(None, (row_of(key, name), "all"))):
                        cell = cells.setdefault(row, {}).setdefault(share, {})
                        for repeat, value in enumerate(values):
                            cell.setdefault((seed, repeat), []).append(value)
        cells["all"] = cells.pop("all")  # to the end
        figures[metric] = {
            row: {share: _spread(cell) for share, cell in by_share.items()}
            for row, by_share in cells.items()
        }
    return figures


def _spread(cell: dict[tuple[str, int], list[float]]) -> dict[str, float]:
    means = [float(np.mean(values)) for values in cell.values()]
    return {"mean": float(np.mean(means)), "std": float(np.std(means))}


def table(figures: dict[str, Any], preset: Preset) -> str:
    """AUROC in percent, a row per group and a column per share."""
    shares = list(next(iter(figures["auroc"].values())))
    columns = [f"{float(share):.0%}".replace("%", " %") for share in shares]
    rows = [
        [row, *(f"{100 * c['mean']:.1f} ± {100 * c['std']:.1f}" for c in by_share.values())]
        for row, by_share in figures["auroc"].items()
    ]
    for row, cells in preset.published.items():
        rows.append([f"{row}, published", *(str(cells.get(column, "")) for column in columns)])
    spread = "AUROC in percent, mean ± standard deviation over repeated draws and trainings"
    return "\n".join([format_table([preset.name, *columns], rows), spread])
