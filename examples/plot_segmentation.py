"""
Defects on surfaces never seen
==============================

A frozen network turns images into feature maps, and a segmenter that was trained on the normal
maps of other surfaces finds the defects in an unlabelled batch of a new one: which images, and
where on them.

The surfaces are those of the benchmark where it has run (``make bench-surfaces``), with MobileNetV2
as the network. Elsewhere they are made here, random fields of many kinds, and the network is a
bank of fixed filters: any ``nn.Module`` will do.
"""

# %%
# Surfaces
# --------
# Every surface is one domain: images that show the same material.
import argparse
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from acr_sklearn import (
    AnomalyMapDisplay,
    FeatureExtractor,
    MLPBackbone,
    ZeroShotACRDetector,
    ZeroShotSegmenter,
    mobilenet_extractor,
    segmentation_scores,
)

cache = Path(os.environ.get("ACR_SKLEARN_DATA") or Path.home() / ".cache" / "acr_sklearn")
parser = argparse.ArgumentParser(description="Segmentation of defects on unseen surfaces.")
parser.add_argument("--save", type=Path, help="write the picture to this file")
parser.add_argument("--data", type=Path, default=cache, help="folder of the benchmark data")
parser.add_argument("--surfaces", type=int, default=40, help="surfaces to train on")
arguments = parser.parse_args()

plt.rcParams.update(
    {
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": "medium",
        "figure.constrained_layout.use": True,
        "figure.titlesize": "medium",
        "legend.frameon": False,
    }
)
SIDE, N_IMAGES, N_UNSEEN = 64, 64, 4


def random_field(rng):
    """Images of one material: filtered noise with a grain, a direction and a colour of its own."""
    grain = np.exp(rng.uniform(np.log(0.7), np.log(4), 2))
    noise = gaussian_filter(rng.normal(size=(N_IMAGES, SIDE, SIDE)), (0, *grain))
    noise += 0.3 * gaussian_filter(rng.normal(size=noise.shape), (0, 6, 6)) * grain.mean()
    noise /= noise.std()
    phase = 2 * np.pi * np.arange(SIDE) / rng.choice([8, 16, 32])
    pattern = rng.uniform(0, 1.5) * np.sin(phase)[:, None] * np.sin(phase)
    colour, contrast = rng.uniform(0.3, 0.7, 3), rng.uniform(0.03, 0.1, 3)
    field = np.tanh(noise + pattern)
    return np.clip(colour[:, None, None] + contrast[:, None, None] * field[:, None], 0, 1)


surfaces, weights = arguments.data / "surfaces-v2.npz", arguments.data / "mobilenet"
if surfaces.exists() and weights.exists():
    with np.load(surfaces) as saved:
        train, unseen = saved["train"][: arguments.surfaces], saved["validation"][-N_UNSEEN:]
    extractor = mobilenet_extractor(
        next(weights.glob("*.pth")),
        layers=["features.1", "features.3", "features.6", "features.13"],
        image_size=(128, 128),
        map_size=(16, 16),
    )
else:
    rng = np.random.default_rng(0)
    train = [random_field(rng) for _ in range(arguments.surfaces)]
    unseen = [random_field(rng) for _ in range(N_UNSEEN)]
    torch.manual_seed(0)
    filters = nn.Sequential(
        nn.Conv2d(3, 24, 5, stride=2, padding=2), nn.ReLU(),
        nn.Conv2d(24, 32, 3, stride=2, padding=1), nn.ReLU(),
    )  # fmt: skip
    extractor = FeatureExtractor(filters, ["1", "3"], map_size=(16, 16), normalize="none")

# %%
# Train on the feature maps of normal surfaces
# --------------------------------------------
detector = ZeroShotACRDetector(
    n_tasks=32, task_size=64, max_iter=60, backbone=MLPBackbone(whiten_features=False)
)
segmenter = ZeroShotSegmenter(detector=detector, sigma=2.0, random_state=0)
segmenter.fit([extractor.transform(images) for images in train])

# %%
# Score batches of surfaces that were not among them
# --------------------------------------------------
# Every sixth image gets a defect: a blob of another surface that shows through.
rng = np.random.default_rng(1)
rows, columns = np.mgrid[:SIDE, :SIDE]


def with_defects(images, other):
    images, masks = np.array(images), np.zeros((len(images), SIDE, SIDE), bool)
    for i in range(0, len(images), 6):
        y, x, radius = *rng.uniform(10, SIDE - 10, 2), rng.uniform(3, 7)
        masks[i] = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        mixed = 0.4 * images[i] + 0.6 * other[i]
        images[i] = np.where(masks[i], mixed, images[i]).astype(images.dtype)
    return images, masks


shown, found = [], []
for number, normal in enumerate(unseen):
    images, masks = with_defects(normal, unseen[number - 1])
    maps = segmenter.anomaly_maps(extractor.transform(images), image_size=(SIDE, SIDE))
    scores = segmentation_scores(masks, maps)
    found.append(scores)
    shown += [(images[i], maps[i], masks[i]) for i in (0, 6)]
    print(
        f"surface {number}: image AUROC {scores['image_auroc']:.3f}, "
        f"pixel AUROC {scores['pixel_auroc']:.3f}, PRO {scores['pro']:.3f}"
    )
print(f"Mean pixel AUROC on unseen surfaces: {np.mean([f['pixel_auroc'] for f in found]):.3f}")

# %%
# Image, map and mask side by side
# --------------------------------
# Two images of each surface. The maps are smooth, so they say where to look and not how the defect
# is shaped. A blob of another material is an easy defect: on the benchmark's photographs of real
# surfaces the figures are lower.
display = AnomalyMapDisplay(*(np.stack(parts) for parts in zip(*shown, strict=True)))
figure = display.plot(n_columns=2).figure_
if arguments.save:
    figure.savefig(arguments.save, dpi=120)
else:
    plt.show()
