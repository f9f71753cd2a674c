"""What the commands share: options, the detector, and the way through the units of work."""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import RESULTS, describe_run, run_in_words, save_json
from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from tqdm import tqdm

from acr_sklearn import ConvBackbone, MLPBackbone, ZeroShotACRDetector
from acr_sklearn.exceptions import SmallBatchWarning, UnfamiliarBatchWarning

from .checks import complaint
from .presets import CONV_ONLY, OF_PARTS, Preset, changes, in_words, plain_setting
from .store import Store, StoreError


@dataclass(frozen=True)
class Unit:
    """A piece of work whose result is kept: what it is called, and how it is done."""

    key: str
    run: Callable[[], Any]


def parser_for(preset: Preset, what: str, *, reads_folder: bool = True) -> argparse.ArgumentParser:
    """Return the options that all commands have."""
    parser = argparse.ArgumentParser(
        description=f"The protocol of Li et al. (2023) on {what}.",
        epilog=(
            "A run that was killed goes on where it was when it is started again, unit by unit; a "
            "training or a unit that was under way begins again. More --seeds may be added to "
            "what is done."
        ),
    )
    if reads_folder:
        parser.add_argument("--data", type=Path, required=True, help="the folder of the data")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one training each")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="changes",
        help="change a setting of the detector, the reader or the protocol: "
        + ", ".join([*preset.detector, *preset.data, *preset.protocol]),
    )
    parser.add_argument("--fresh", action="store_true", help="drop the results of earlier runs")
    return parser


def changed(preset: Preset, wanted: Sequence[str], parser: argparse.ArgumentParser) -> Preset:
    """Return the preset with `NAME=VALUE` changes, or say what is wrong with them."""
    known = {*inspect.signature(ZeroShotACRDetector).parameters, *OF_PARTS}
    parts = {name: dict(getattr(preset, name)) for name in ("detector", "data", "protocol")}
    for change in wanted:
        name, equals, text = change.partition("=")
        home = next((part for part, values in parts.items() if name in values), None)
        if home is None and name in known:
            home = "detector"
        if not equals or home is None:
            parser.error(f"--set {change}: give NAME=VALUE with a name that --help lists")
        try:
            parts[home][name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            parts[home][name] = text  # a word: dsvdd, mlp
    if parts["detector"].get("backbone", "mlp") != "conv":
        for name in CONV_ONLY:
            parts["detector"].pop(name, None)
    preset = replace(preset, **parts)
    if wrong := complaint(preset):
        parser.error(wrong)
    return preset


def make_detector(preset: Preset, seed: int, **more: Any) -> ZeroShotACRDetector:
    """Return the detector of a preset; `more` is what only the data can say."""
    settings = {"verbose": 1} | preset.detector | more | {"random_state": seed}
    # Results name settings flat, as JSON holds them; the detector takes some within its parts.
    inside = {name: settings.pop(name) for name in OF_PARTS if name in settings}
    if settings.get("backbone") == "conv":
        settings["backbone"] = ConvBackbone(
            input_shape=inside["input_shape"],
            channels=inside["conv_channels"],
            downsampling=inside["conv_downsampling"],
        )
    elif settings.get("backbone", "mlp") == "mlp":
        settings["backbone"] = MLPBackbone(whiten_features=inside.get("whiten_features", True))
    if (width := inside.get("embedding_dim", 32)) != 32:
        settings["net"] = NeuralNet(None, None, module__embedding_dim=width)
    step = preset.protocol.get("lr_step")
    rates = torch.optim.lr_scheduler
    if step is not None:
        falls = {"step_size": step, "gamma": preset.protocol["lr_factor"], "step_every": "batch"}
        settings["callbacks"] = [LRScheduler(rates.StepLR, **falls)]
    elif inside.get("lr_schedule") == "constant":
        settings["callbacks"] = [LRScheduler(rates.ConstantLR, factor=1.0)]
    return ZeroShotACRDetector(**settings)


def generator(seed: int, *words: object) -> np.random.Generator:
    """Return a generator for a draw of its own, whatever was drawn before it."""
    return np.random.default_rng([seed, *"/".join(map(str, words)).encode()])


def run(
    preset: Preset,
    arguments: argparse.Namespace,
    facts: dict[str, Any],
    units: Callable[[Store], Sequence[Unit]],
    summarise: Callable[[dict[str, Any]], dict[str, Any]],
    show: Callable[[dict[str, Any]], str],
) -> dict[str, Any]:
    """Do the units that are not done yet; print and save what all of them say.

    Parameters
    ----------
    preset : Preset
        With the user's changes.
    arguments : argparse.Namespace
        Of `parser_for`.
    facts : dict
        What was read, with checksums: results of other data are not taken for these.
    units : callable
        From the store to all units.
    summarise, show : callable
        From the results by unit to figures, from these to a table.

    Returns
    -------
    dict
        As it is saved to <out>/paper-<name>.json.
    """
    setting = plain_setting(preset) | {"read": facts}
    name = f"paper-{preset.name}"
    described = describe_run(arguments.seeds)
    try:
        store = Store.open(arguments.out, name, setting, fresh=arguments.fresh)
        print(run_in_words(described))
        done = _work_off(preset.name, store, units(store))
    except StoreError as error:
        sys.exit(str(error))
    figures = summarise(done)
    found = changes(preset.name, setting)
    result = {
        "run": described,
        "setting": setting | {"seeds": arguments.seeds},
        "changed": found,
        "differences": list(preset.differences),
        "published": preset.published,
        "figures": figures,
    }
    save_json(arguments.out / f"{name}.json", result)
    print(show(figures))
    print(f"Changed against the preset: {in_words(found or {})}.")
    for line in preset.differences:
        print(f"Unlike the released code: {line}.")
    return result


def _work_off(name: str, store: Store, wanted: Sequence[Unit]) -> dict[str, Any]:
    """Do the units that are not done yet; return the results of all."""
    todo = [unit for unit in wanted if unit.key not in store.done]
    ready = len(wanted) - len(todo)
    if ready:
        print(f"{ready} of {len(wanted)} units are done already.", flush=True)
    with tqdm(total=len(wanted), initial=ready, desc=name, unit="unit") as bar:
        for unit in todo:
            bar.set_postfix_str(unit.key)
            with warnings.catch_warnings():
                # That a batch is small, or unlike the training domains, is what is tested here.
                warnings.simplefilter("ignore", SmallBatchWarning)
                warnings.simplefilter("ignore", UnfamiliarBatchWarning)
                result = unit.run()
            store.add(unit.key, result)
            bar.update()
    return {unit.key: store.done[unit.key] for unit in wanted}
