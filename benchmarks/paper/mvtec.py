"""MVTec AD: for each product trained on all the others, on frozen features of their pictures.

``python benchmarks/paper/mvtec.py --data DIR --features DIR`` or ``--extractor FILE``, with the
folders of the products in DIR. A position of the feature maps is a domain, all test pictures of a
product at a position are one batch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _report import format_table
from sklearn.metrics import roc_auc_score

from acr_sklearn.datasets import MVTecProduct, load_mvtec
from paper.command import Unit, changed, generator, make_detector, parser_for, run
from paper.features import extract_features, load_extractor, read_features
from paper.maps import NoisyRows, anomaly_maps, position_rows, smooth_maps
from paper.presets import MVTEC, Preset

LEVELS = ("image", "pixel")


def evaluate(
    preset: Preset, folder: Path, products: Sequence[MVTecProduct], name: str, seed: int
) -> dict[str, float]:
    """Train on the other products' good pictures; AUROC over pictures and over pixels."""
    protocol = preset.protocol
    domains = []
    for product in products:
        if product.name != name:
            features = read_features(folder, product, "train")
            positions = np.arange(features.shape[2] * features.shape[3])
            if protocol["train_positions"] is not None:
                rng = generator(seed, "positions", name, product.name)
                positions = np.sort(rng.permutation(positions)[: protocol["train_positions"]])
            domains += position_rows(features, positions)
    source = NoisyRows(protocol["noise"])
    detector = make_detector(preset, seed, outlier_source=source).fit(domains)
    (product,) = (p for p in products if p.name == name)
    maps = anomaly_maps(
        detector,
        read_features(folder, product, "test"),
        noise=protocol["noise"],
        copies=protocol["noisy_copies"],
        rng=generator(seed, "copies", name),
    )
    maps = smooth_maps(maps, product.crop, protocol["sigma"])
    return {
        "image": float(roc_auc_score(product.y == -1, maps.max(axis=(1, 2)))),
        "pixel": float(roc_auc_score(product.masks().ravel(), maps.ravel())),
    }


def summarise(done: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return the mean over seeds of each product, and the mean over products."""
    by_product: dict[str, list[dict[str, float]]] = {}
    for key, result in done.items():
        by_product.setdefault(key.split("/")[1], []).append(result)
    figures = {
        name: {level: float(np.mean([r[level] for r in results])) for level in LEVELS}
        for name, results in by_product.items()
    }
    rows = list(figures.values())
    figures["mean"] = {level: float(np.mean([r[level] for r in rows])) for level in LEVELS}
    return figures


def table(figures: dict[str, dict[str, float]], preset: Preset) -> str:
    """AUROC in percent, a row per product."""
    rows = [
        [name, *(f"{100 * values[level]:.1f}" for level in LEVELS)]
        for name, values in figures.items()
    ]
    rows += [
        [f"{name}, published", *(str(values[level]) for level in LEVELS)]
        for name, values in preset.published.items()
    ]
    return "\n".join([format_table([preset.name, *LEVELS], rows), "AUROC in percent"])


def prepared_features(
    arguments: argparse.Namespace, products: Sequence[MVTecProduct]
) -> tuple[Path, dict[str, Any]]:
    """Return the folder of the features, checked, and what it holds."""
    folder = arguments.features
    if folder is None:
        # By the extractor's name and size, so that another one's features are not taken for its.
        size = arguments.extractor.stat().st_size if arguments.extractor.is_file() else 0
        folder = arguments.out / "features" / f"{arguments.extractor.stem}-{size}"
        extractor = load_extractor(arguments.extractor)
        for product in products:
            for part in ("train", "test"):
                extract_features(extractor, product, part, folder)
    facts = {}
    for product in products:
        shapes = [list(read_features(folder, product, part).shape) for part in ("train", "test")]
        facts[product.name] = shapes
    widths = {tuple(shape[1:]) for shapes in facts.values() for shape in shapes}
    if len(widths) > 1:
        raise ValueError(
            f"The features in {folder} have different shapes: {sorted(widths)}. Expected the same "
            "(channels, height, width) for all products."
        )
    return folder, facts


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Run what is not done yet, print, save."""
    parser = parser_for(MVTEC, "MVTec AD")
    parser.add_argument(
        "--features", type=Path, help="folder with <product>_train.npy and <product>_test.npy"
    )
    parser.add_argument(
        "--extractor", type=Path, help="a network of torch.export, pictures to features"
    )
    parser.add_argument("--products", nargs="+", help="which; default: all in --data")
    arguments = parser.parse_args(argv)
    if (arguments.features is None) == (arguments.extractor is None):
        parser.error(
            "give either --features or --extractor: the paper scores frozen features of a network "
            "(WideResNet-50, layer 3), which nothing in this repository can stand in for"
        )
    preset = changed(MVTEC, arguments.changes, parser)
    products = load_mvtec(arguments.data, products=arguments.products, **preset.data)
    if len(products) < 2:
        parser.error("give at least two products: each is scored by what the others taught")
    folder, facts = prepared_features(arguments, products)
    units = [
        Unit(f"seed={seed}/{p.name}", partial(evaluate, preset, folder, products, p.name, seed))
        for seed in arguments.seeds
        for p in products
    ]
    show = partial(table, preset=preset)
    return run(preset, arguments, facts, lambda _store: units, summarise, show)


if __name__ == "__main__":
    main()
