"""Defects on surfaces never seen, against methods that see the batch alone.

Run ``make bench-surfaces``, or ``python benchmarks/bench_surfaces.py --help`` for the options. It
prints a table and writes surfaces-<split>.json and surfaces-<split>.png to benchmarks/results.
Every choice is made on the validation surfaces; the test surfaces are run once per release, and
only with the file that counts their runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from _report import PACKAGES, RESULTS, describe_run, format_table, run_in_words, save_json
from numpy.typing import NDArray
from quality.fetch import WEIGHTS, data_dir
from surfaces import defects, few_shot, textures
from surfaces.rivals import RIVALS
from surfaces.run import (
    DATA_SEED,
    DEVIATIONS,
    INPUT,
    LAYERS,
    MAP,
    SIGMA,
    Prepared,
    evaluate,
    our_scores,
    prepare,
    rival_scores,
    standardised,
    to_pixels,
)
from surfaces.textures import load_surfaces

from acr_sklearn import AnomalyMapDisplay, ZeroShotSegmenter

OURS, BOTH = "ZeroShotSegmenter", "ours + mutual"
LEARNT, DISTANCE = "its detector alone", "its distance alone"
MEASURES = {
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "pro": "PRO",
    "image_auroc_pasted": "pasted",
    "image_auroc_scratched": "scratched",
    "image_auroc_blurred": "blurred",
}
GAUSSIAN, MUTUAL = "Gaussian per position", "mutual (MuSc)"
COMPARED = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "pro")
DRAWN = 8


def run(prepared: Prepared, seeds: Sequence[int], rivals: Sequence[str]) -> dict[str, Any]:
    """Figures of every method: one list per measure, a value per surface (and seed)."""
    methods: dict[str, Any] = {}
    kept: dict[str, list[NDArray[np.floating]]] = {}
    for name, scores, seconds in rival_scores(prepared, rivals):
        kept[name] = scores
        methods[name] = _figures(prepared, scores, seconds)
        print(f"{name}: done", flush=True)
    for name in (OURS, *([BOTH] if MUTUAL in rivals else [])):
        methods[name] = {}
    for seed in seeds:
        start = time.perf_counter()
        segmenter = ZeroShotSegmenter(sigma=SIGMA, random_state=seed).fit(prepared.train)
        fit_seconds = time.perf_counter() - start
        scores, seconds = our_scores(prepared, segmenter)
        _extend(methods[OURS], _figures(prepared, scores, seconds) | {"fit_seconds": [fit_seconds]})
        kept.setdefault(OURS, scores)
        if BOTH in methods:
            both = [s + standardised(m) for s, m in zip(scores, kept[MUTUAL], strict=True)]
            _extend(methods[BOTH], _figures(prepared, both, seconds))
        if seed == seeds[0]:
            weight = segmenter.distance_weight
            alone, seconds = our_scores(prepared, segmenter.set_params(distance_weight=0.0))
            methods[LEARNT] = _figures(prepared, alone, seconds)
            # The distance has no seed; what is left of the sum is its part.
            rest = [s - (1 - weight) * a for s, a in zip(scores, alone, strict=True)]
            methods[DISTANCE] = _figures(prepared, rest, seconds)
        print(f"{OURS}, seed {seed}: done", flush=True)
    return {"methods": methods, "maps": kept}


def _figures(
    prepared: Prepared, scores: list[NDArray[np.floating]], seconds: float
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"seconds": [seconds]}
    for batch, own in zip(prepared.batches, scores, strict=True):
        for measure, value in evaluate(batch, to_pixels(own)).items():
            found.setdefault(measure, []).append(value)
    return found


def _extend(figures: dict[str, list[float]], more: dict[str, list[float]]) -> None:
    for measure, values in more.items():
        figures.setdefault(measure, []).extend(values)


def summarise(methods: dict[str, Any], n_surfaces: int) -> dict[str, Any]:
    """Means, the paired difference to the Gaussian, and that of ours to each method."""
    summary = {}
    for name, figures in methods.items():
        row: dict[str, Any] = {m: float(np.mean(v)) for m, v in figures.items()}
        row["difference"] = {
            measure: _difference(figures[measure], methods[GAUSSIAN][measure], n_surfaces)
            for measure in COMPARED
        }
        if name != OURS:
            row["ours_ahead"] = {
                measure: _difference(methods[OURS][measure], figures[measure], n_surfaces)
                for measure in COMPARED
            }
        summary[name] = row
    return summary


def _difference(ours: list[float], theirs: list[float], n_surfaces: int) -> dict[str, float]:
    """Mean over surfaces, seeds averaged first, with a 90 % bootstrap over surfaces.

    `sd` is over surfaces, `behind` counts those on which the first is the lower one.
    """
    by_surface = [np.reshape(v, (-1, n_surfaces)).mean(axis=0) for v in (ours, theirs)]
    pairs = by_surface[0] - by_surface[1]
    drawn = np.random.default_rng(0).integers(n_surfaces, size=(2000, n_surfaces))
    low, high = np.quantile(pairs[drawn].mean(axis=1), (0.05, 0.95))
    found = {"mean": pairs.mean(), "low": low, "high": high, "sd": pairs.std()}
    return {k: float(v) for k, v in found.items()} | {"behind": int((pairs < 0).sum())}


def table(summary: dict[str, Any]) -> str:
    """Methods by image AUROC."""
    header = ["", *MEASURES.values(), "image AUROC - Gaussian", "s/batch"]
    rows = []
    for name, row in sorted(summary.items(), key=lambda item: -item[1]["image_auroc"]):
        pair = row["difference"]["image_auroc"]
        rows.append(
            [
                name,
                *(f"{row[measure]:.3f}" for measure in MEASURES),
                f"{pair['mean']:+.3f} [{pair['low']:+.3f}, {pair['high']:+.3f}]",
                f"{row['seconds']:.1f}",
            ]
        )
    return format_table(header, rows)


def draw(prepared: Prepared, scores: list[NDArray[np.floating]], path: Path) -> None:
    """One defective patch of evenly spaced surfaces, with its map and its mask."""
    import matplotlib as mpl

    mpl.use("Agg")
    images, maps, masks, titles = [], [], [], []
    chosen = np.linspace(0, len(prepared.batches) - 1, 2 * DRAWN).round().astype(int)
    for place, number in enumerate(chosen):
        batch = prepared.batches[number]
        own = to_pixels(scores[number])
        kind = defects.KINDS[place % len(defects.KINDS)]
        image = np.flatnonzero(batch.kinds == kind)[0]
        images.append(batch.images[image])
        # Each batch in its own units, or one rough surface would darken all the others.
        maps.append(own[image] / own.max())
        masks.append(batch.masks[image])
        titles.append(f"{Path(prepared.names[number]).stem[:14]}: {kind}")
    display = AnomalyMapDisplay(np.stack(images), np.stack(maps), np.stack(masks), titles)
    display.plot(n_columns=2).figure_.savefig(path, dpi=110)


def measure_memory(n_images: int) -> dict[str, Any]:
    """Peak memory of images of 224 x 224 pixels, in a process of its own."""
    script = Path(__file__).parent / "surfaces" / "memory.py"
    weights = data_dir("mobilenet") / WEIGHTS
    command = [sys.executable, str(script), str(weights), "--images", str(n_images)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def count_test_run(path: Path, described: dict[str, Any]) -> int:
    """Append to the record of test runs, before the run: a look that fails is a look."""
    runs = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    runs.append({name: described[name] for name in ("date", "commit", "seeds")})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(runs, indent=2) + "\n", encoding="utf-8")
    return len(runs)


def _some(surfaces: textures.Surfaces, chosen: NDArray[np.int64]) -> textures.Surfaces:
    return textures.Surfaces([surfaces.names[i] for i in chosen], surfaces.patches[chosen])


def with_references(
    arguments: argparse.Namespace, surfaces: dict[str, textures.Surfaces], described: dict[str, Any]
) -> None:
    """Measure what a few normal patches of each surface are good for."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(surfaces, arguments.split, arguments.features or Path(folder))
        for seed in arguments.seeds:
            found[str(seed)] = few_shot.measure(
                prepared, arguments.references, seed, ablations=arguments.ablations
            )
    data = {"split": arguments.split, "names": prepared.names, "train": len(prepared.train)}
    settings = few_shot.SETTINGS | {"references": arguments.references}
    content = {"run": described, "data": data, "settings": settings, "by_seed": found}
    save_json(arguments.out / f"surfaces-references-{arguments.split}.json", content)


def main() -> None:
    """Run, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rivals", nargs="*", default=list(RIVALS), choices=list(RIVALS))
    parser.add_argument("--surfaces", type=int, help="only the first so many scored surfaces")
    parser.add_argument("--skip", type=int, default=0, help="but so many before them")
    parser.add_argument("--trained", type=int, help="so many training surfaces, evenly spaced")
    parser.add_argument(
        "--ablations", action="store_true", help="with --references: ours without each part too"
    )
    parser.add_argument(
        "--references", type=int, help="instead, so many normal patches of each surface are known"
    )
    parser.add_argument("--features", type=Path, help="folder that keeps the training features")
    parser.add_argument(
        "--memory-images", type=int, default=1000, help="images of the memory measurement; 0: none"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--test-runs", type=Path, help="file that counts the runs on the test")
    arguments = parser.parse_args()
    rivals = [GAUSSIAN, *(name for name in arguments.rivals if name != GAUSSIAN)]
    if arguments.split == "test" and arguments.test_runs is None:
        parser.error(
            "the test surfaces are run once per release, and every run is counted: "
            "`make bench-surfaces SPLIT=test`, or name the record with --test-runs"
        )
    described = describe_run(arguments.seeds, (*PACKAGES, "pillow"))
    n_test_runs = None
    if arguments.split == "test":
        n_test_runs = count_test_run(arguments.test_runs, described)
    surfaces = load_surfaces()
    end = None if arguments.surfaces is None else arguments.skip + arguments.surfaces
    n_scored, n_train = (len(surfaces[split].names) for split in (arguments.split, "train"))
    scored = np.arange(n_scored)[arguments.skip : end]
    trained = np.linspace(0, n_train - 1, arguments.trained or n_train).round().astype(int)
    surfaces[arguments.split] = _some(surfaces[arguments.split], scored)
    surfaces["train"] = _some(surfaces["train"], trained)
    if arguments.references:
        with_references(arguments, surfaces, described)
        return
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(surfaces, arguments.split, arguments.features or Path(folder))
        done = run(prepared, arguments.seeds, rivals)
    summary = summarise(done["methods"], len(prepared.batches))
    memory = measure_memory(arguments.memory_images) if arguments.memory_images else None
    print(table(summary))
    if memory:
        print(
            f"{memory['images']:,} images of {memory['side']} x {memory['side']} pixels: peak "
            f"{memory['peak_gb']:.2f} GB, {memory['extract_seconds']:.0f} s for features, "
            f"{memory['score_seconds']:.0f} s for scores"
        )
    print(run_in_words(described))
    save_json(
        arguments.out / f"surfaces-{arguments.split}.json",
        {
            "run": described,
            "test_runs": n_test_runs,
            "data": {
                "split": arguments.split,
                "train_surfaces": len(prepared.train),
                "scored_surfaces": len(prepared.batches),
                "names": prepared.names,
                "evenness": asdict(textures.SCORED),
                "defects": {"area": defects.AREA, "blend": defects.BLEND, "seed": DATA_SEED},
                "share": defects.SHARE,
            },
            "features": {
                "layers": list(LAYERS),
                "deviations": list(DEVIATIONS),
                "input": INPUT,
                "map": MAP,
                "sigma": SIGMA,
            },
            "memory": memory,
            "summary": summary,
            "by_surface": done["methods"],
        },
    )
    draw(prepared, done["maps"][OURS], arguments.out / f"surfaces-{arguments.split}.png")


if __name__ == "__main__":
    main()
