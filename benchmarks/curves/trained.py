"""Curves with a network trained per point: domains, foreign sets, normalisation, architecture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from quality.datasets import Split, Unseen, available
from quality.rivals import RIVALS
from torch.nn.functional import adaptive_avg_pool2d

from .bench import HEADS, Bench, Record, Run, by_head, scored, usual_batches
from .norms import NORMS, norm_swapped, without_centring

IMAGES = ("digits", "fashion_mnist", "glyphs")
SMALL = 8  # side to which larger images are averaged; that of the digits
LAYERS: dict[str, tuple[int, ...]] = {
    "3 x 32": (32,) * 3,
    "1 x 128": (128,),
    "3 x 128": (128,) * 3,
    "5 x 128": (128,) * 5,
    "3 x 512": (512,) * 3,
}
DEFAULT_LAYERS = "3 x 128"


def counts(bench: Bench, set_name: str) -> Iterator[Record]:
    """Vary the number of training domains: nested random subsets, up to all."""
    runs = bench.runs(set_name, one_split=True)
    for run in runs:
        train = run.split.train
        # Splits that differ by a domain or two share their last point.
        last = min(n for r in runs if (n := len(r.split.train)) > 0.9 * len(train))
        order = np.random.default_rng(run.seed).permutation(len(train))
        for count in [*(n for n in bench.amounts.counts if n < last), last]:
            part = [train[i] for i in np.sort(order[:count])]
            every = count == len(train)
            detector = bench.detector(run) if every else bench.detector(run, part)
            other = RIVALS["mahalanobis_centred"].make(run.seed)
            other.fit(part)
            scorers = by_head(detector) | {"mahalanobis_centred": other.score_samples}
            for batch in usual_batches(run, bench.amounts):
                yield from scored(run, batch, count, scorers)


def foreign(bench: Bench, set_name: str) -> Iterator[Record]:
    """Train on the domains of another set of images, of the same size or made so."""
    if set_name not in IMAGES:
        return
    for i, run in enumerate(bench.trained_runs(set_name)):
        for other in (name for name in IMAGES if name in available("validation")):
            source = bench.trained_runs(other)[i]
            yield from _transfer(bench, source, run, small=True)
            if "digits" not in (set_name, other):
                yield from _transfer(bench, source, run, small=False)


def _transfer(bench: Bench, source: Run, target: Run, *, small: bool) -> Iterator[Record]:
    if small:
        source, target = (_shrunk(run) for run in (source, target))
    features = target.domains[0].normals.shape[1]
    x = f"{_plain(source)}, {features} features"
    scorers = bench.scorers(source)
    for batch in usual_batches(target, bench.amounts):
        for one in scored(target, batch, x, scorers):
            yield one | {"set": _plain(target)}


def _plain(run: Run) -> str:
    return run.set_name.removesuffix(" small")


def _shrunk(run: Run) -> Run:
    """Return a run on images averaged to 8 x 8 and of values between 0 and 1."""
    top = max(float(rows.max()) for rows in run.split.train)

    def shrink(rows: np.ndarray) -> np.ndarray:
        side = int(np.sqrt(rows.shape[1]))
        images = torch.from_numpy(rows / np.float32(top)).view(-1, 1, side, side)
        return adaptive_avg_pool2d(images, SMALL).reshape(len(rows), -1).numpy()

    def of(domain: Unseen) -> Unseen:
        return replace(domain, normals=shrink(domain.normals), pool=shrink(domain.pool))

    small = Split(run.split.name, run.split.train_names, tuple(map(shrink, run.split.train)), ())
    return Run(f"{run.set_name} small", small, run.seed, tuple(map(of, run.domains)))


def norms(bench: Bench, set_name: str) -> Iterator[Record]:
    """Swap the normalisation behind every layer; the heads are those that use the network alone."""
    for run in bench.trained_runs(set_name):
        for name, norm in NORMS.items():
            if norm is None:
                detector = bench.detector(run)
            else:
                with norm_swapped(norm):
                    detector = without_centring(bench.detector(run, run.split.train))
            scorers = {f"acr, {head}": by_head(detector)[f"acr, {head}"] for head in HEADS}
            for batch in usual_batches(run, bench.amounts):
                yield from scored(run, batch, name, scorers)


def layers(bench: Bench, set_name: str) -> Iterator[Record]:
    """Vary width and depth of the network."""
    for run in bench.trained_runs(set_name):
        for name, widths in LAYERS.items():
            if name == DEFAULT_LAYERS:
                detector = bench.detector(run)
            else:
                detector = bench.detector(run, run.split.train, hidden_layer_sizes=widths)
            for batch in usual_batches(run, bench.amounts):
                yield from scored(run, batch, name, by_head(detector))
