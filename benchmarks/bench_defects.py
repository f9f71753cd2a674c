"""MVTec AD and VisA with a few normal pictures of each product, for whoever has the data.

``make bench-defects DATA=folder`` scores every product of the folder after training on other
products of it, by folds; ``DATA=mvtec TRAIN=visa`` trains on all products of another folder, as
ResAD's authors do. Beside ours a memory bank and PaDiM score the same features of the same
references. It prints AUROC of pictures and pixels, and writes defects-<folder>.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _report import PACKAGES, RESULTS, describe_run, format_table, save_json
from products.features import (
    NETWORKS,
    Maps,
    Network,
    Pictures,
    feature_maps,
    load_network,
    train_order,
)
from products.methods import BANK, OURS, PADIM, evaluate, methods

from acr_sklearn import ResADDetector
from acr_sklearn.datasets import MVTecProduct, load_mvtec, load_visa

MEASURES = ("image_auroc", "pixel_auroc")
#: What ResAD's authors publish for 4 references, WideResNet-50, trained on the other set
#: (github.com/xcyao00/ResAD): image and pixel AUROC in percent.
PUBLISHED = {"MVTec AD": (91.0, 96.0), "VisA": (89.4, 96.8)}


def load_products(
    folder: Path, size: int, names: list[str] | None = None
) -> tuple[str, list[MVTecProduct]]:
    """Read a folder of MVTec AD or VisA, whichever it is."""
    below = folder / "1cls" if (folder / "1cls").is_dir() else folder
    is_visa = (folder / "split_csv").is_dir() or any(below.glob("*/test/bad"))
    load = load_visa if is_visa else load_mvtec
    name = "VisA" if is_visa else "MVTec AD"
    return name, load(folder, products=names, size=size, crop=size)


def plan(
    scored: list[MVTecProduct], trained: list[MVTecProduct] | None, n_folds: int
) -> list[tuple[list[MVTecProduct], list[MVTecProduct]]]:
    """Pairs of products: those that are trained on, and those that are then scored."""
    if trained is not None:
        return [(trained, scored)]
    folds = [scored[i::n_folds] for i in range(n_folds)]
    return [([p for p in scored if p not in fold], fold) for fold in folds if fold]


class Features:
    """Feature maps of products, in files of a folder."""

    def __init__(self, network: Network, folder: Path, n_pictures: int):
        self.network, self.folder, self.n_pictures = network, folder, n_pictures

    def train(self, product: MVTecProduct, seed: int) -> Maps:
        """Maps of normal pictures, in random order."""
        chosen = train_order(product, seed)[: self.n_pictures]
        pictures = Pictures(product, "train", chosen)
        return feature_maps(self.network, pictures, self.folder, f"{product.name}-train-{seed}")

    def test(self, product: MVTecProduct) -> Maps:
        """Maps of the test pictures, in the order of their files."""
        pictures = Pictures(product, "test", np.arange(len(product.test_files)))
        return feature_maps(self.network, pictures, self.folder, f"{product.name}-test")


def run(
    arguments: argparse.Namespace,
    folds: Sequence[tuple[list[MVTecProduct], list[MVTecProduct]]],
    features: tuple[Features, Features],
) -> Iterator[dict[str, Any]]:
    """Figures of every product, seed, number of references and method."""
    of_trained, of_scored = features
    settings: dict[str, Any] = {
        "levels": of_scored.network.levels,
        "regions": arguments.regions,
        "sigma": arguments.sigma,
    }
    if arguments.steps is not None:
        settings["detector"] = ResADDetector(max_iter=arguments.steps)
    for seed in arguments.seeds:
        for trained, scored in folds:
            found = methods([of_trained.train(p, seed) for p in trained], settings, seed)
            for product in scored:
                known = of_scored.train(product, seed)
                maps = np.asarray(of_scored.test(product), np.float32)
                for number in arguments.references:
                    references = np.asarray(known[:number], np.float32)
                    for name, method in found.items():
                        start = time.perf_counter()
                        scores = method(references, maps)
                        seconds = time.perf_counter() - start
                        yield {
                            "product": product.name,
                            "seed": seed,
                            "references": number,
                            "given": len(references),
                            "method": name,
                            **evaluate(product, scores, arguments.sigma),
                            "seconds": seconds,
                        }
                print(f"{product.name}, seed {seed}: done", flush=True)


def summary(found: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """AUROC by number of references, product and method, over seeds; and the mean of products."""
    collected: dict[str, dict[str, dict[str, dict[str, list[float]]]]] = {}
    for one in found:
        by_product = collected.setdefault(str(one["references"]), {})
        cell = by_product.setdefault(one["product"], {}).setdefault(one["method"], {})
        for measure in MEASURES:
            cell.setdefault(measure, []).append(one[measure])
    result: dict[str, Any] = {}
    for number, products in collected.items():
        means = {
            product: {m: {k: float(np.mean(v)) for k, v in c.items()} for m, c in cells.items()}
            for product, cells in products.items()
        }
        each = list(means.values())
        means["mean"] = {
            m: {k: float(np.mean([one[m][k] for one in each])) for k in MEASURES}
            for m in (OURS, BANK, PADIM)
        }
        result[number] = means
    return result


def table(result: dict[str, Any], name: str, network: str) -> str:
    """Image / pixel AUROC in percent, a table per number of references."""
    parts = []
    for number, products in result.items():
        rows = [
            [product, *(" / ".join(f"{100 * c[m][k]:.1f}" for k in MEASURES) for m in c)]
            for product, c in products.items()
        ]
        title = f"{name}, {network}, {number} references"
        parts.append(format_table([title, OURS, BANK, PADIM], rows))
    image, pixel = PUBLISHED[name]
    parts.append(
        "Image / pixel AUROC in percent. ResAD's authors publish "
        f"{image} / {pixel} for 4 references, WideResNet-50 and training on the other set."
    )
    return "\n\n".join(parts)


def arguments_of(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data", type=Path, help="folder of MVTec AD or VisA whose products to score"
    )
    parser.add_argument("--train", type=Path, help="folder of the set to train on instead")
    parser.add_argument("--products", nargs="+", help="which to score; default: all")
    parser.add_argument("--folds", type=int, default=3, help="without --train: folds of products")
    parser.add_argument("--references", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--network", choices=NETWORKS, default="mobilenet")
    parser.add_argument("--weights", type=Path, help="torchvision's file; MobileNetV2 is fetched")
    parser.add_argument("--size", type=int, default=224, help="side of the pictures")
    parser.add_argument("--map", type=int, default=28, help="side of the feature maps")
    parser.add_argument("--pictures", type=int, default=50, help="of a product to train on at most")
    parser.add_argument(
        "--regions", choices=("position", "neighborhood", "pooled"), default="pooled"
    )
    parser.add_argument("--sigma", type=float, default=4.0, help="smoothing of the maps, in pixels")
    parser.add_argument("--steps", type=int, help="optimiser steps; default: the detector's own")
    parser.add_argument("--features", type=Path, help="folder that keeps the feature maps")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args(argv)
    if min(arguments.references) < 1 or max(arguments.references) > arguments.pictures:
        parser.error("--references must be from 1 to --pictures, of which they are the first")
    if arguments.network == "wide_resnet50" and arguments.weights is None:
        parser.error(
            "--network wide_resnet50 needs --weights FILE: torchvision's wide_resnet50_2 weights"
        )
    return arguments


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, write JSON."""
    arguments = arguments_of(argv)
    name, scored = load_products(arguments.data, arguments.size, arguments.products)
    trained = None
    if arguments.train is not None:
        trained = load_products(arguments.train, arguments.size)[1]
    folds = plan(scored, trained, min(arguments.folds, len(scored)))
    if min(len(products) for products, _ in folds) < 2:
        raise ValueError(
            f"{len(scored)} products leave fewer than 2 to train on. Give more products or folds, "
            "or another set by --train."
        )
    described = describe_run(arguments.seeds, (*PACKAGES, "pillow"))
    network = load_network(arguments.network, arguments.weights, arguments.map)
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.features or Path(temporary)
        settings = f"{arguments.network}-{arguments.size}-{arguments.map}"
        features = [
            Features(network, root / settings / folder.resolve().name, arguments.pictures)
            for folder in (arguments.train or arguments.data, arguments.data)
        ]
        found = list(run(arguments, folds, (features[0], features[1])))
    result = summary(found)
    protocol = {k: str(v) if isinstance(v, Path) else v for k, v in vars(arguments).items()}
    for private in ("data", "train", "features", "out", "weights"):
        protocol[private] = protocol[private] and Path(protocol[private]).name
    content = {"run": described, "set": name, "protocol": protocol, "means": result, "each": found}
    save_json(arguments.out / f"defects-{arguments.data.resolve().name}.json", content)
    print(table(result, name, arguments.network))
    return content


if __name__ == "__main__":
    main()
