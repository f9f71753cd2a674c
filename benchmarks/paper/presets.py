"""The published settings, one preset per data set.

Li, Qiu, Kloft, Smyth, Rudolph, Mandt, "Zero-Shot Anomaly Detection via Batch Normalization",
NeurIPS 2023 (arXiv 2302.07849); settings as in the configuration files of their released code,
github.com/aodongli/zero-shot-ad-via-batch-norm. `differences` lists where a run here is knowingly
not theirs; it is printed and saved with every result, as is what the user changed (`changes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Their method wherever it runs: only what a data set adds is in its preset.
RECIPE: dict[str, Any] = {
    "objective": "dsvdd",
    "embedding_dim": 32,
    "lr_schedule": "constant",
    "outlier_source": "domains",
    "score_head": "objective",
    "trim_fraction": 0.0,
    "whiten_features": False,
    "early_stopping": False,
}
PARTS = ("detector", "data", "protocol")
CONV_ONLY = ("conv_channels", "conv_downsampling", "input_shape")
#: Settings that the detector takes within its parts, see `command.make_detector`.
OF_PARTS = (*CONV_ONLY, "whiten_features", "embedding_dim", "lr_schedule")
DRAWS: dict[str, Any] = {"shares": (0.01, 0.05, 0.1, 0.2), "repeats": 5}

# What of the package's network and loss is not theirs, wherever it runs.
NETWORK = (
    (
        "features are brought to units measured on the training domains, and each batch that is "
        "scored to its own overall spread"
    ),
    "1/A is bounded as 1 / (A + 0.001)",
)
DENSE = (
    *NETWORK,
    (
        "layers start as PyTorch starts them; theirs draws the scales of the last batch norm "
        "uniformly from [0, 1]"
    ),
)
CONV = (
    *NETWORK,
    "every pixel is centred on the batch before the first layer",
    (
        "layers start as PyTorch starts them, convolutions without a bias; theirs draws the "
        "scales of batch norms uniformly from [0, 1], convolutions (with a bias) from Xavier's "
        "uniform distribution and, for Omniglot, the last layer from a normal distribution"
    ),
)
WHOLE_BATCHES = "batches of more than 1000 rows are scored whole, theirs in pieces of 1000"
NO_REPEATED_ROWS = "no anomaly is twice in a test batch, theirs may be"


@dataclass(frozen=True)
class Preset:
    """What one command runs.

    Attributes
    ----------
    name : str
        Of the command and its files.
    detector : dict
        Parameters of ZeroShotACRDetector beyond RECIPE, or instead of it.
    data : dict
        Options of the reader.
    protocol : dict
        What is done with both: shares of anomalies, repeated draws, ...
    differences : tuple of str
        From the released code.
    published : dict
        Figures of the paper to set beside ours: row -> column -> percent.
    """

    name: str
    detector: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)
    differences: tuple[str, ...] = ()
    published: dict[str, dict[str, float]] = field(default_factory=dict)


ANOSHIFT = Preset(
    "anoshift",
    RECIPE
    | {
        "hidden_layer_sizes": (128, 128, 128),
        "max_iter": 1000,
        "n_tasks": 32,
        "task_size": 512,
        "outlier_fraction": 0.2,
        "learning_rate": 4e-4,
        "permute_features": True,
    },
    {"max_train_rows": 5000, "categorical": "onehot"},
    DRAWS,
    (
        *DENSE,
        WHOLE_BATCHES,
        "the rate falls to 0.8 of itself after the last step there, never here",
        (
            "test anomalies are drawn from all of a year's; theirs from its first n in the file, n "
            "being the number of its normal rows"
        ),
        "all training rows may be drawn; theirs sets 0.1 % of them aside",
    ),
    {"FAR, dsvdd": {"1 %": 62.0, "20 %": 59.1}},
)

OMNIGLOT = Preset(
    "omniglot",
    RECIPE
    | {
        "backbone": "conv",
        "conv_channels": (64, 64, 64, 64),
        "conv_downsampling": "stride",
        "max_iter": 10000,
        "n_tasks": 32,
        "task_size": 30,
        "outlier_fraction": 0.5,
        "learning_rate": 1e-3,
    },
    {"size": 28, "n_train": 1200},
    DRAWS | {"lr_step": 1500, "lr_factor": 0.7},
    (
        *CONV,
        NO_REPEATED_ROWS,
        "the first 1200 characters by name are trained on, theirs in the order of the file system",
    ),
)

CIFAR100C = Preset(
    "cifar100c",
    RECIPE
    | {
        "backbone": "conv",
        "conv_channels": (128, 128, 128, 128),
        "conv_downsampling": "maxpool",
        "max_iter": 6000,
        "n_tasks": 32,
        "task_size": 60,
        "outlier_fraction": 0.5,
        "learning_rate": 3e-3,
    },
    {"corruptions": None, "severities": (5,)},
    DRAWS
    | {
        "lr_step": 3000,
        "lr_factor": 0.8,
        # Their tasks draw from the first 100 of the 500 training images of a class; None for all.
        "train_rows_per_class": 100,
        "channel_mean": (0.5074, 0.4867, 0.4411),
        "channel_std": (0.2011, 0.1987, 0.2025),
    },
    (
        *CONV,
        NO_REPEATED_ROWS,
        "tested on the corrupted images; theirs loads them, then overwrites them (x_test)",
        (
            "a linear layer brings the 512 features to 32 before the last batch norm; the released "
            "batch norm of 32 features does not fit its network's 512"
        ),
    ),
)

MNIST = Preset(
    "mnist",
    OMNIGLOT.detector,
    {"rotations": ((0, 1, 2), (3, 4, 5), (6, 7, 8, 9))},
    OMNIGLOT.protocol,
    (
        *CONV,
        NO_REPEATED_ROWS,
        "no settings for MNIST were released: these are Omniglot's",
        "three trainings, each tested on the digits that it did not see",
    ),
)

MVTEC = Preset(
    "mvtec",
    RECIPE
    | {
        "hidden_layer_sizes": (512, 256, 128, 64, 32),
        "max_iter": 50,
        "n_tasks": 32,
        "task_size": 60,
        "outlier_fraction": 0.5,
        "learning_rate": 3e-4,
    },
    {"size": 256, "crop": 224},
    {
        "noise": 0.1,
        "noisy_copies": True,  # beside every test row, so that half a batch is as in training
        "sigma": 4.0,
        "train_positions": None,  # a number trains on so many of a product's, to save memory
    },
    (
        *DENSE,
        "outliers of a task are noisy rows of its position, theirs noisy copies of its own normals",
    ),
    {"mean": {"image": 85.8, "pixel": 92.5}},
)

# ------------------------------------------------- sets that can be had from package registries

GLYPHS = Preset(
    "glyphs",
    OMNIGLOT.detector,
    {"most_domains": None},
    OMNIGLOT.protocol | {"shares": (0.05, 0.1, 0.2), "repeats": 50},
    (
        *CONV,
        NO_REPEATED_ROWS,
        "rendered characters instead of drawn ones, test characters of scripts not trained on",
    ),
)

FARS = Preset(
    "fars",
    ANOSHIFT.detector,
    {"most_domains": None, "most_rows": 2000},
    DRAWS,
    (*DENSE, WHOLE_BATCHES, "states instead of years: more domains than AnoShift has"),
)

PRESETS = {one.name: one for one in (ANOSHIFT, OMNIGLOT, CIFAR100C, MNIST, MVTEC, GLYPHS, FARS)}


def plain_setting(preset: Preset) -> dict[str, dict[str, Any]]:
    """Return detector, data and protocol with nothing but what JSON can hold."""
    return {
        part: {name: _plain(value) for name, value in getattr(preset, part).items()}
        for part in PARTS
    }


def changes(name: str, setting: Mapping[str, Any]) -> dict[str, dict[str, Any]] | None:
    """Compare the settings of a run with its preset.

    Parameters
    ----------
    name : str
        Of the preset.
    setting : mapping
        As `plain_setting` returns it, or as a file of results holds it.

    Returns
    -------
    dict or None
        Setting -> {"preset", "here"}, the former only where the preset has one. None if there is
        no such preset. What goes with another backbone is not named besides it.
    """
    if name not in PRESETS:
        return None
    published = plain_setting(PRESETS[name])
    found: dict[str, dict[str, Any]] = {}
    for part in PARTS:
        for key, here in setting.get(part, {}).items():
            there = {"preset": published[part][key]} if key in published[part] else {}
            if there != {"preset": _plain(here)}:
                found[key] = there | {"here": _plain(here)}
    return found


def in_words(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Say what was changed: "max_iter 300 (preset 1000)", or "nothing"."""
    parts = (
        f"{name} {one['here']}" + (f" (preset {one['preset']})" if "preset" in one else "")
        for name, one in found.items()
    )
    return ", ".join(parts) or "nothing"


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, int | float | str | None) else repr(value)
