"""The rooms of the package and their order (docs/design.md), held on the source text.

Every rule is a function from source text to the list of what breaks it, so that each is also
shown a snippet that must fail: a rule that can only pass proves nothing.
"""

import ast
import importlib
import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "acr_sklearn"

# The rooms from the ground up, and the modules of each in the same order: a module imports only
# from what stands before it. A folder's __init__ stands behind its modules.
ROOMS = {
    "exceptions": [],
    "_input": [
        "keywords",
        "callers",
        "parameters",
        "validation",
        "paths",
        "labels",
        "numbers",
        "domain_rows",
        "known_anomalies",
        "batch_checks",
        "chunks",
        "pillow",
    ],
    "persistence": [
        "registry",
        "encoder",
        "decoder",
        "container",
        "whole_file",
        "estimators",
    ],
    "preprocessing": ["_within_batches", "_trends", "detrender", "imputer", "scaler"],
    "_compute": [],
    "metrics": ["detection", "segmentation"],
    "networks": [
        "normalization",
        "conv",
        "objective_base",
        "user_module",
        "neural_transformation",
        "mlp",
        "objectives",
        "acr_network",
        "ensemble",
        "autoencoder",
        "variational",
        "signs",
        "monotone",
        "residuals",
        "constraintor",
        "flow",
        "residual_network",
    ],
    "domains": [
        "batch_statistics",
        "feature_scale",
        "covariance",
        "odd_columns",
        "robust_spreads",
        "domain_shift",
        "discriminability",
        "row_units",
    ],
    "tasks": ["settings", "sampling", "outliers", "sampler", "latent_outliers", "residual_tasks"],
    "training": [
        "settings",
        "callbacks",
        "skorch_net",
        "saved_net",
        "saved_residuals",
        "net_template",
        "acr_net",
        "reached_code",
        "cache",
        "meta_training",
        "distillation",
        "known_rows",
        "outlier_synthesizer",
        "residual_training",
    ],
    "thresholds": [],
    "scoring": [
        "standardize",
        "gross_values",
        "robust_scale",
        "reference_rows",
        "products",
        "neighbors",
        "trimming",
        "batch_units",
        "value_grid",
        "dependence",
        "neighborhoods",
        "discriminant",
        "evidence",
        "heads",
        "consensus_head",
        "fixed_norms",
        "fused_mlp",
        "fixed_batch",
        "consensus_batch",
        "attribution",
        "measure",
        "cross_fitting",
        "scorer",
        "residual_scorer",
        "residual_attribution",
    ],
    "export": [
        "graph",
        "statistics",
        "networks",
        "evidence",
        "heads",
        "fixed",
        "model",
    ],
    "detectors": [
        "_callback_support",
        "parts",
        "_acr_plan",
        "_scoring",
        "_sliding",
        "_notebook",
        "_report",
        "_pyod",
        "_explaining",
        "_known",
        "base",
        "_reference_state",
        "_reference",
        "acr",
        "synthesis",
        "_few_references",
        "resad",
    ],
    "images": [
        "anomaly_maps",
        "map_scores",
        "loading",
        "map_file",
        "mobilenet",
        "features",
        "patches",
        "patch_whitening",
        "patch_training",
        "few_shot",
        "segmenter",
    ],
    "model_selection": [
        "domain_lists",
        "splits",
        "normality",
        "contamination",
        "fit_on_normals",
        "label_threshold",
        "scorers",
    ],
    "distributed": [
        "frames",
        "column_plan",
        "scored_frame",
        "large_domain",
        "drawn_rows",
        "dask_frames",
        "spark_frames",
        "duckdb_queries",
        "fitted_frame",
    ],
    "datasets": [
        "_pickles",
        "_files",
        "_csv_form",
        "_lists",
        "domain_data",
        "_classes",
        "_pictures",
        "_tables",
        "anoshift",
        "cifar",
        "folder",
        "mnist",
        "mvtec",
        "omniglot",
        "visa",
    ],
    "plotting": [
        "canvas",
        "anomaly_map",
        "batch_size",
        "contamination_curve",
        "domain_map",
        "explanation",
        "ranking",
        "score_distribution",
        "scores_over_time",
        "selection_curve",
        "training_curve",
    ],
    "outliers": [],
    "cli": [
        "terminal",
        "tables",
        "declaration",
        "times",
        "columns",
        "models",
        "outputs",
        "page",
        "report",
        "fit",
        "score",
        "info",
        "demo",
        "main",
    ],
    "__main__": [],
}
#: What users may import from, beside the roof; everything else is private.
PUBLIC = {
    "datasets",
    "distributed",
    "exceptions",
    "images",
    "metrics",
    "model_selection",
    "outliers",
    "plotting",
    "preprocessing",
}
MAX_ROOMS, MAX_ARROWS = 25, 80

ORDER = [
    *(
        name
        for room, modules in ROOMS.items()
        for name in [*(f"{room}.{module}" for module in modules), room]
    ),
    "",  # the roof, acr_sklearn/__init__.py
]
FLOORS = {name: place for place, name in enumerate(ORDER)}


def room_of(module: str) -> str:
    """The folder, or the module beside the folders, that a module is or belongs to."""
    return module.partition(".")[0]


# What a room may import from outside; rooms not named here may use every declared dependency.
DIET = {
    "exceptions": set(),
    "_input": {"numpy", "sklearn", "PIL"},
    "_compute": {"torch"},
    "networks": {"numpy", "torch", "zuko"},
}

# One door per heavy dependency, the doors of modules still to come among them.
DOORS = {
    "skorch": ("training.skorch_net", "training.callbacks"),
    "zuko": "networks.flow",
    "matplotlib": "plotting.canvas",
    "safetensors": "persistence",
    "onnx": "export",
    "onnxruntime": "export",
    "captum": "explain",
    "dask": "distributed.dask_frames",
    "distributed": "distributed.dask_frames",
    "pyspark": "distributed.spark_frames",
    "duckdb": "distributed.duckdb_queries",
    # The distributed room's imports of it run where an engine has brought it along.
    "pandas": ("datasets._tables", "detectors._report", "distributed"),
    "PIL": "_input.pillow",
    "rich": "cli.terminal",
}

IMPORT_NAMES = {"pillow": "PIL", "scikit-learn": "sklearn"}
DRAWERS = {"common", "helper", "helpers", "misc", "util", "utils"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50

EXEMPTION = re.compile(
    r"#\s*(?:(?:ruff|flake8):\s*noqa|mypy:|noqa(?!:)|type:\s*ignore(?!\[)|pragma:\s*no\s*cover)"
)


# ---------------------------------------------------------------------------- reading source


def package_modules() -> dict[str, Path]:
    """Dotted name below the package -> file, the roof as ''."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported_names(source: str, module: str, *, is_package: bool) -> set[str]:
    """Full dotted names that a module imports, wherever in it the import stands."""
    here = [PACKAGE, *filter(None, module.split("."))]
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            up = node.level - is_package  # in an __init__ one dot is the package itself
            base = here[: len(here) - up] if node.level else []
            stem = ".".join([*base, *filter(None, [node.module])])
            names |= {f"{stem}.{alias.name}" for alias in node.names}
    return names


def inner_module(name: str) -> str:
    """The module of the package that a full dotted name belongs to."""
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in FLOORS:
        parts.pop()
    return ".".join(parts)


def is_inner(name: str) -> bool:
    return name == PACKAGE or name.startswith(f"{PACKAGE}.")


def outside_roots(source: str, module: str = "", *, is_package: bool = False) -> set[str]:
    """Top-level third-party packages that a module imports."""
    roots = {n.split(".")[0] for n in imported_names(source, module, is_package=is_package)}
    return roots - {PACKAGE} - sys.stdlib_module_names


def declared_dependencies() -> set[str]:
    """Import names of the run-time dependencies and of the extras that users install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra, requirements in project["optional-dependencies"].items():
        wanted += requirements if extra not in {"bench", "docs", "test"} else []
    names = {re.match(r"[A-Za-z0-9_.-]+", requirement).group() for requirement in wanted}
    return {IMPORT_NAMES.get(name, name) for name in names}


# --------------------------------------------------------------------------------- the rules


def breaks_floors(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """A module imports only from what stands before it."""
    return [
        f"{module or PACKAGE} imports {target or PACKAGE}, which stands above it; imports go down"
        for target in sorted(imported_modules(source, module, is_package=is_package))
        if FLOORS[target] >= FLOORS[module]
    ]


def imported_modules(source: str, module: str, *, is_package: bool = False) -> set[str]:
    """Modules of the package that a module imports."""
    inner = filter(is_inner, imported_names(source, module, is_package=is_package))
    return {inner_module(name) for name in inner}


def arrows_between_rooms(sources: dict[str, str], packages: set[str]) -> set[tuple[str, str]]:
    """Pairs of rooms of which one imports from the other; the roof is a room."""
    found = set()
    for module, source in sources.items():
        for target in imported_modules(source, module, is_package=module in packages):
            if room_of(target) != room_of(module):
                found.add((room_of(module), room_of(target)))
    return found


def breaks_diet(source: str, module: str) -> list[str]:
    """The lowest rooms import from a short list; networks draw no random numbers of NumPy's."""
    room = room_of(module)
    if room not in DIET:
        return []
    found = [
        f"{module} imports {root}; allowed in {room}: {sorted(DIET[room])}"
        for root in sorted(outside_roots(source, module) - DIET[room])
    ]
    if room == "networks" and uses_numpy_random(source):
        found.append(f"{module} uses numpy.random; randomness comes in as an argument")
    return found


def uses_numpy_random(source: str) -> bool:
    tree = ast.parse(source)
    aliases = {"numpy"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {a.asname for a in node.names if a.name == "numpy" and a.asname}
    if any(n.startswith("numpy.random") for n in imported_names(source, "", is_package=False)):
        return True
    return any(
        isinstance(node, ast.Attribute)
        and node.attr == "random"
        and isinstance(node.value, ast.Name)
        and node.value.id in aliases
        for node in ast.walk(tree)
    )


def breaks_doors(source: str, module: str) -> list[str]:
    """A heavy dependency is imported by one module, or by the few that are named as its doors."""
    found = []
    for root in sorted(outside_roots(source, module) & DOORS.keys()):
        doors = DOORS[root] if isinstance(DOORS[root], tuple) else (DOORS[root],)
        if not set(doors) & {module, module.rpartition(".")[0]}:
            found.append(f"{module or PACKAGE} imports {root}, whose door is {' and '.join(doors)}")
    return found


def breaks_declaration(source: str, module: str, declared: set[str]) -> list[str]:
    """What is imported is a declared dependency, not one that happens to come along."""
    return [
        f"{module or PACKAGE} imports {root}, which pyproject.toml does not declare"
        for root in sorted(outside_roots(source, module) - declared)
    ]


def breaks_map(modules: set[str]) -> list[str]:
    """The map above and the folder agree."""
    unknown = [
        f"{module} has no place: give it one in ROOMS and in docs/design.md"
        for module in sorted(modules - FLOORS.keys())
    ]
    gone = [f"{m} has a place but no file" for m in sorted(FLOORS.keys() - modules)]
    return unknown + gone


def breaks_naming(module: str) -> list[str]:
    """No drawers: a module is named after what it does."""
    parts = {part.strip("_") for part in module.split(".")}
    return [f"{module}: what is in {part!r}? name it after that" for part in parts & DRAWERS]


def breaks_size(source: str) -> list[str]:
    """Files and functions stay short enough to be read in one go."""
    found = []
    if (lines := len(source.splitlines())) > MAX_FILE_LINES:
        found.append(f"{lines} lines; at most {MAX_FILE_LINES}")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            if length > MAX_FUNCTION_LINES:
                found.append(f"{node.name}: {length} lines; at most {MAX_FUNCTION_LINES}")
    return found


def breaks_exemptions(source: str) -> list[str]:
    """No line turns a tool off without saying which finding it answers."""
    return [line.strip() for line in source.splitlines() if EXEMPTION.search(line)]


def ignores_types(source: str) -> list[str]:
    """No line of the package silences mypy: what it cannot follow is written so that it can."""
    return [line.strip() for line in source.splitlines() if re.search(r"#\s*type:\s*ignore", line)]


def breaks_front(source: str, *, is_roof: bool) -> list[str]:
    """An __init__ holds a docstring, imports, a sorted __all__ of literals; the roof a version."""
    found, seen = [], {}
    for position, node in enumerate(ast.parse(source).body):
        is_docstring = (
            position == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        )
        if is_docstring or isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            seen[node.targets[0].id] = node.value
        else:
            found.append(f"line {node.lineno}: {type(node).__name__} does not belong here")
    expected = {"__all__", "__version__"} if is_roof else {"__all__"}
    if seen.keys() != expected:
        found.append(f"assigns {sorted(seen)}, must assign {sorted(expected)}")
    try:
        names = ast.literal_eval(seen.get("__all__", ast.List([])))
    except ValueError:
        return [*found, "__all__ must be a literal list of strings"]
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        found.append("__all__ must be a literal list of strings")
    elif names != sorted(names):
        found.append(f"__all__ must be sorted: {sorted(names)}")
    return found


def breaks_public_api(source: str) -> list[str]:
    """Examples use what users use: names of the roof and public modules, nothing private."""
    inner = filter(is_inner, imported_names(source, "", is_package=False))
    return [
        f"imports {name}, which is private"
        for name in sorted(inner)
        if any(part.startswith("_") and not part.endswith("__") for part in name.split("."))
    ]


# ------------------------------------------------------------------------ the package obeys


MODULES = package_modules()
# A module with no floor yet is reported once, by test_every_module_has_a_place.
KNOWN = sorted(MODULES.keys() & FLOORS.keys())
SCRIPTS = sorted(p for folder in ("examples", "benchmarks") for p in (ROOT / folder).rglob("*.py"))

each_module = pytest.mark.parametrize("module", KNOWN, ids=lambda m: m or PACKAGE)


def source_of(module: str) -> str:
    return MODULES[module].read_text(encoding="utf-8")


def test_every_module_has_a_place():
    assert breaks_map(set(MODULES)) == []


def test_the_picture_for_readers_shows_the_same_order():
    page = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    drawn = [name.replace("/", ".") for name in re.findall(r"^\| `([\w/]+)` \|", page, re.M)]
    # A folder's __init__ stands for its modules, and has no row of its own.
    folders = {m for m in MODULES if MODULES[m].name == "__init__.py"}
    assert drawn == [m for m in ORDER if m not in folders][::-1]


def test_rooms_and_the_arrows_between_them_can_be_taken_in():
    packages = {m for m in MODULES if MODULES[m].name == "__init__.py"}
    arrows = arrows_between_rooms({m: source_of(m) for m in MODULES}, packages)
    rooms = {room_of(module) for module in MODULES}
    assert len(rooms) <= MAX_ROOMS
    assert len(arrows) <= MAX_ARROWS
    place = {room: i for i, room in enumerate([*ROOMS, ""])}
    assert [pair for pair in sorted(arrows) if place[pair[0]] <= place[pair[1]]] == []


def test_what_is_private_offers_nothing_in_its_front():
    fronts = {m for m in MODULES if MODULES[m].name == "__init__.py" and m}
    assert ROOMS.keys() >= PUBLIC
    for module in fronts - PUBLIC:
        names = importlib.import_module(f"{PACKAGE}.{module}").__all__
        # A folder that is private offers nothing; that of the detectors shows the roof's.
        assert set(names) <= set(importlib.import_module(PACKAGE).__all__), module


def test_arrows_are_counted():
    sources = {"tasks.sampler": "from acr_sklearn.domains.covariance import x", "domains": ""}
    sources["tasks.outliers"] = "import acr_sklearn.domains.feature_scale, acr_sklearn.exceptions"
    assert arrows_between_rooms(sources, {"domains"}) == {
        ("tasks", "domains"),
        ("tasks", "exceptions"),
    }


@each_module
def test_imports_go_down(module):
    is_package = MODULES[module].name == "__init__.py"
    assert breaks_floors(source_of(module), module, is_package=is_package) == []


@each_module
def test_the_lower_rooms_keep_their_diet(module):
    assert breaks_diet(source_of(module), module) == []


@each_module
def test_heavy_dependencies_have_one_door(module):
    assert breaks_doors(source_of(module), module) == []


@each_module
def test_imports_are_declared(module):
    assert breaks_declaration(source_of(module), module, declared_dependencies()) == []


@each_module
def test_no_drawers(module):
    assert breaks_naming(module) == []


@each_module
def test_size(module):
    assert breaks_size(source_of(module)) == []


@each_module
def test_no_blanket_exemptions(module):
    assert breaks_exemptions(source_of(module)) == []


@each_module
def test_no_type_is_ignored(module):
    assert ignores_types(source_of(module)) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_no_type_is_ignored_in_scripts(script):
    assert ignores_types(script.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("module", [m for m in KNOWN if MODULES[m].name == "__init__.py"])
def test_fronts_hold_names_only(module):
    assert breaks_front(source_of(module), is_roof=module == "") == []


@pytest.mark.parametrize("module", [m for m in KNOWN if MODULES[m].name != "__init__.py"])
def test_every_module_has_its_test_file(module):
    stem = MODULES[module].stem
    names = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    too_small_to_need_one = len(source_of(module).splitlines()) <= 40
    assert too_small_to_need_one or names & {f"test_{stem}.py", f"test_{stem.lstrip('_')}.py"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_scripts_use_the_public_api(script):
    assert breaks_public_api(script.read_text(encoding="utf-8")) == []


# --------------------------------------------------------------------- every rule can fail


@pytest.mark.parametrize(
    ("module", "source", "target"),
    [
        ("tasks.sampler", "from acr_sklearn.training.skorch_net import x", "training.skorch_net"),
        ("tasks.outliers", "from acr_sklearn.tasks import sampler", "tasks.sampler"),
        ("tasks.sampler", "def f():\n    import acr_sklearn.detectors.acr", "detectors.acr"),
        ("tasks.sampler", "from ..training.skorch_net import x", "training.skorch_net"),
        ("scoring.scorer", "from acr_sklearn import ZeroShotACRDetector", "acr_sklearn"),
        ("detectors.base", "from .acr import ZeroShotACRDetector", "detectors.acr"),
        ("detectors.acr", "from ..model_selection import NormalTrainSplit", "model_selection"),
        ("detectors.acr", "from . import ZeroShotACRDetector", "detectors"),
    ],
)
def test_an_import_upwards_is_found(module, source, target):
    (message,) = breaks_floors(source, module)
    assert f"imports {target}, which stands above it" in message


def test_an_import_upwards_is_found_in_an_init():
    (message,) = breaks_floors("from ..model_selection import x", "detectors", is_package=True)
    assert "imports model_selection, which" in message
    assert breaks_floors("from .acr import x", "detectors", is_package=True) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("_input.domain_rows", "import torch"),
        ("_input.domain_rows", "import pandas as pd"),
        ("networks.mlp", "from sklearn.base import clone"),
        ("networks.objectives", "import skorch.net"),
        ("networks.objectives", "from numpy import random"),
        ("networks.objectives", "from numpy.random import default_rng"),
        ("networks.mlp", "import numpy as np\nnp.random.default_rng(0)"),
    ],
)
def test_a_foreign_import_low_down_is_found(module, source):
    assert len(breaks_diet(source, module)) == 1


def test_a_low_room_may_eat_what_is_on_its_list():
    source = "import numpy as np\nimport torch\ntorch.random.fork_rng()"
    assert breaks_diet(source, "networks.mlp") == []


def test_a_second_door_is_found():
    (message,) = breaks_doors("from skorch import NeuralNet", "detectors.base")
    assert message == (
        "detectors.base imports skorch, whose door is training.skorch_net and training.callbacks"
    )
    assert breaks_doors("from skorch import NeuralNet", "training.skorch_net") == []
    assert len(breaks_doors("from skorch import NeuralNet", "training.meta_training")) == 1
    assert breaks_doors("import matplotlib", "plotting.canvas") == []
    assert len(breaks_doors("import matplotlib", "plotting.anomaly_map")) == 1


def test_an_undeclared_import_is_found():
    (message,) = breaks_declaration("import joblib, json, numpy", "training.skorch_net", {"numpy"})
    assert message == "training.skorch_net imports joblib, which pyproject.toml does not declare"
    assert {"numpy", "sklearn", "skorch", "torch"} <= declared_dependencies()
    assert "fonttools" not in declared_dependencies()  # of the bench extra only


def test_an_unknown_module_is_found():
    unknown, gone = breaks_map({*FLOORS, "attic"} - {"tasks.sampler"})
    assert unknown == "attic has no place: give it one in ROOMS and in docs/design.md"
    assert gone == "tasks.sampler has a place but no file"


@pytest.mark.parametrize("module", ["utils", "_helpers", "detectors.common"])
def test_a_drawer_is_found(module):
    assert len(breaks_naming(module)) == 1


def test_a_long_file_and_a_long_function_are_found():
    long_file = "x = 1\n" * (MAX_FILE_LINES + 1)
    assert breaks_size(long_file) == ["401 lines; at most 400"]
    body = "    x = 1\n" * MAX_FUNCTION_LINES
    docstring = '    """' + "line\n    " * 40 + '"""\n'
    assert breaks_size("def f():\n" + docstring + body) == []
    assert breaks_size("def f():\n" + docstring + body + "    x = 2\n") == [
        "f: 51 lines; at most 50"
    ]


@pytest.mark.parametrize(
    "comment",
    ["noqa", "ruff: noqa: E501", "type: ignore", "mypy: ignore-errors", "pragma: no cover"],
)
def test_a_blanket_exemption_is_found(comment):
    assert breaks_exemptions(f"x = 1\ny = 2  # {comment}\n") == [f"y = 2  # {comment}"]


def test_an_ignored_type_is_found():
    assert len(ignores_types("x = 1  # type: ignore[misc]\ny = 2  #type:ignore\nz = 3\n")) == 2


def test_a_named_exemption_on_a_line_is_not_blanket():
    assert breaks_exemptions("x = 1  # noqa: E741\ny = 2  # type: ignore[misc]\n") == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("import a\na.configure()", "Expr does not belong here"),
        ("try:\n    import a\nexcept ImportError:\n    pass", "Try does not belong here"),
        ("x = 1", "must assign"),
        ("__all__ = ['b', 'a']", "must be sorted"),
        ("__all__ = ('a', 'b')", "literal list of strings"),
        ("__all__ = [a, 'b']", "literal list of strings"),
    ],
)
def test_more_than_names_in_an_init_is_found(line, message):
    good = '"""Doc."""\nfrom x import a\n__all__ = ["a"]\n__version__ = "0"\n'
    assert breaks_front(good, is_roof=True) == []
    assert "must assign" in breaks_front(good, is_roof=False)[0]
    assert any(message in found for found in breaks_front(good + line, is_roof=True))


def test_a_private_import_in_a_script_is_found():
    (message,) = breaks_public_api("from acr_sklearn._input.domain_rows import read_rows")
    assert message == "imports acr_sklearn._input.domain_rows.read_rows, which is private"
    assert breaks_public_api("from acr_sklearn import ZeroShotACRDetector, __version__") == []


# ------------------------------------------------------------- importing changes nothing


# The dependencies come first: what they do to the process on import is not ours to answer for.
PROBE = textwrap.dedent(
    """
    import importlib, json, logging, os, pickle, random, signal, sys, warnings
    import numpy, sklearn, torch

    def state():
        return {
            "sklearn.config": sklearn.get_config(),
            "torch.rng": torch.get_rng_state().tolist(),
            "numpy.rng": pickle.dumps(numpy.random.get_state()),
            "numpy.errors": numpy.geterr(),
            "random.rng": random.getstate(),
            "torch.threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
            "torch.dtype": torch.get_default_dtype(),
            "torch.grad": torch.is_grad_enabled(),
            "torch.deterministic": torch.are_deterministic_algorithms_enabled(),
            "warnings.filters": list(warnings.filters),
            "environment": dict(os.environ),
            "logging": (logging.root.level, list(logging.root.handlers)),
            "interrupt": signal.getsignal(signal.SIGINT),
            "files": sorted(os.listdir()),
            "third party": {m.split(".")[0] for m in sys.modules} - sys.stdlib_module_names,
        }

    package, *dependencies = sys.argv[1:]
    for name in dependencies:
        importlib.import_module(name)
    before = state()
    importlib.import_module(package)
    after = state()
    after["third party"].discard(package)
    changed = sorted(key for key in before if before[key] != after[key])
    print(json.dumps({"changed": changed, "matplotlib": "matplotlib" in sys.modules}))
    """
)


def import_effects(package: str, dependencies: list[str], folder: Path) -> dict[str, object]:
    command = [sys.executable, "-B", "-c", PROBE, package, *dependencies]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_importing_the_package_changes_nothing(tmp_path):
    names = set()
    for module, path in MODULES.items():
        is_package = path.name == "__init__.py"
        names |= imported_names(source_of(module), module, is_package=is_package)
    roots = {name.split(".")[0] for name in names} - {PACKAGE} - sys.stdlib_module_names
    # matplotlib waits behind its door until something is drawn, an engine until it is called.
    roots -= {"matplotlib", "dask", "distributed", "duckdb", "pyspark"}
    # Submodules too (sklearn.utils.validation, ...): the name before the last dot is a module.
    modules = {name.rpartition(".")[0] or name for name in names if name.split(".")[0] in roots}
    effects = import_effects(PACKAGE, sorted(modules), tmp_path)
    assert effects == {"changed": [], "matplotlib": False}


def test_a_side_effect_at_import_is_found(tmp_path):
    noisy = """
        import os, warnings
        import matplotlib, numpy, sklearn, torch

        sklearn.set_config(enable_metadata_routing=True)
        numpy.random.random()
        torch.rand(1)
        torch.set_num_threads(torch.get_num_threads() + 1)
        warnings.simplefilter("ignore")
        os.environ["NOISY"] = "1"
        open("noisy.txt", "w").close()
    """
    (tmp_path / "noisy.py").write_text(textwrap.dedent(noisy))
    assert import_effects("noisy", [], tmp_path) == {
        "changed": [
            "environment",
            "files",
            "numpy.rng",
            "sklearn.config",
            "third party",
            "torch.rng",
            "torch.threads",
            "warnings.filters",
        ],
        "matplotlib": True,
    }
