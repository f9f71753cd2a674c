"""The floors of the package (docs/design.md), held on the source text.

Every rule is a function from source text to the list of what breaks it, so that each is also
shown a snippet that must fail: a rule that can only pass proves nothing.
"""

import ast
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

# The whole number is the floor; the decimal orders the few neighbours on one floor that may
# import each other. A module imports only what has a smaller number.
FLOORS = {
    "_labels": 0.0,
    "exceptions": 0.0,
    "_validation": 0.2,
    "_sizes": 0.3,
    "_streams": 0.3,
    "batch_norm": 1.0,
    "mobilenet": 1.0,
    "devices": 1.0,
    "shared_work": 1.0,
    "row_units": 1.0,
    "conv_backbone": 1.1,
    "objective_base": 1.1,
    "user_module": 1.1,
    "neural_transformation": 1.2,
    "backbones": 1.2,
    "objectives": 1.3,
    "networks": 1.4,
    "frozen_network": 1.5,
    "matrix_chain": 1.6,
    "patch_rows": 2.0,
    "patch_whitening": 2.05,
    "_pillow": 2.0,
    "sampling": 2.0,
    "scaling": 2.0,
    "task_settings": 2.0,
    "patch_outliers": 2.0,
    "patch_training": 2.1,
    "familiarity": 2.1,
    "normal_shape": 2.1,
    "outliers": 2.1,
    "separability": 2.2,
    "tasks": 2.3,
    "distances": 2.4,
    "log_scale": 2.4,
    "row_keys": 2.4,
    "anomaly_maps": 3.0,
    "images": 3.0,
    "feature_maps": 3.1,
    "segmentation_metrics": 3.0,
    "metrics": 3.0,
    "net_template": 3.0,
    "chunks": 3.0,
    "heads": 3.1,
    "frozen": 3.0,
    "freezing": 3.2,
    "scoring": 3.3,
    "thresholds": 3.0,
    "training_settings": 3.0,
    "training": 3.1,
    "meta_training": 3.2,
    "detectors._acr_parameters": 4.0,
    "detectors._acr_plan": 4.0,
    "detectors._callback_support": 4.0,
    "detectors._batch_scoring": 4.0,
    "detectors._reference": 4.05,
    "detectors.base": 4.1,
    "detectors.acr": 4.2,
    "detectors": 4.3,
    "datasets._files": 5.0,
    "datasets._lists": 5.0,
    "datasets.domain_data": 5.0,
    "datasets._classes": 5.1,
    "datasets._pictures": 5.1,
    "datasets._tables": 5.1,
    "datasets.anoshift": 5.2,
    "datasets.cifar": 5.2,
    "datasets.folder": 5.2,
    "datasets.mnist": 5.2,
    "datasets.mvtec": 5.2,
    "datasets.omniglot": 5.2,
    "datasets": 5.3,
    "model_selection.anomaly_metrics": 5.0,
    "model_selection.domain_lists": 5.0,
    "model_selection.normality": 5.05,
    "model_selection.splits": 5.0,
    "model_selection.contamination": 5.1,
    "model_selection.scorers": 5.1,
    "model_selection": 5.2,
    "segmentation": 5.0,
    "plotting.canvas": 5.3,
    "plotting.anomaly_map": 5.4,
    "plotting.batch_size": 5.4,
    "plotting.contamination_curve": 5.4,
    "plotting.domain_map": 5.4,
    "plotting.ranking": 5.4,
    "plotting.score_distribution": 5.4,
    "plotting.training_curve": 5.4,
    "plotting": 5.5,
    "": 6.0,  # the roof, acr_sklearn/__init__.py
}

# What a floor may import from outside; floors not named here may use every declared dependency.
DIET = {0: {"numpy", "sklearn"}, 1: {"numpy", "torch"}}

# One door per heavy dependency, the doors of modules still to come among them.
DOORS = {
    "skorch": "training",
    "matplotlib": "plotting.canvas",
    "safetensors": "persistence",
    "onnx": "export",
    "onnxruntime": "export",
    "captum": "explain",
    "dask": "distributed",
    "pandas": "datasets._tables",
    "PIL": "_pillow",
}

IMPORT_NAMES = {"pillow": "PIL", "scikit-learn": "sklearn"}
DRAWERS = {"common", "helper", "helpers", "misc", "util", "utils"}
MAX_FILE_LINES = 320
MAX_FUNCTION_LINES = 55

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
    """A module imports only from below itself."""
    inner = filter(is_inner, imported_names(source, module, is_package=is_package))
    targets = {inner_module(name) for name in inner}
    return [
        f"{module or PACKAGE} (floor {FLOORS[module]}) imports {target or PACKAGE} "
        f"(floor {FLOORS[target]}); imports go down only"
        for target in sorted(targets)
        if FLOORS[target] >= FLOORS[module]
    ]


def breaks_diet(source: str, module: str) -> list[str]:
    """Floors 0 and 1 import from a short list; floor 1 draws no random numbers of NumPy's."""
    floor = int(FLOORS[module])
    if floor not in DIET:
        return []
    found = [
        f"{module} (floor {floor}) imports {root}; allowed there: {sorted(DIET[floor])}"
        for root in sorted(outside_roots(source, module) - DIET[floor])
    ]
    if floor == 1 and uses_numpy_random(source):
        found.append(f"{module} (floor 1) uses numpy.random; randomness comes in as an argument")
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
    """A heavy dependency is imported by one module, or by the modules of one folder."""
    return [
        f"{module or PACKAGE} imports {root}, whose one door is {DOORS[root]}"
        for root in sorted(outside_roots(source, module) & DOORS.keys())
        if DOORS[root] not in (module, module.rpartition(".")[0])
    ]


def breaks_declaration(source: str, module: str, declared: set[str]) -> list[str]:
    """What is imported is a declared dependency, not one that happens to come along."""
    return [
        f"{module or PACKAGE} imports {root}, which pyproject.toml does not declare"
        for root in sorted(outside_roots(source, module) - declared)
    ]


def breaks_map(modules: set[str]) -> list[str]:
    """The map above and the folder agree."""
    unknown = [
        f"{module} has no floor: give it one in FLOORS and in docs/design.md"
        for module in sorted(modules - FLOORS.keys())
    ]
    gone = [f"{m} has a floor but no file" for m in sorted(FLOORS.keys() - modules)]
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
# A module with no floor yet is reported once, by test_every_module_has_a_floor.
KNOWN = sorted(MODULES.keys() & FLOORS.keys())
SCRIPTS = sorted(p for folder in ("examples", "benchmarks") for p in (ROOT / folder).rglob("*.py"))

each_module = pytest.mark.parametrize("module", KNOWN, ids=lambda m: m or PACKAGE)


def source_of(module: str) -> str:
    return MODULES[module].read_text(encoding="utf-8")


def test_every_module_has_a_floor():
    assert breaks_map(set(MODULES)) == []


def test_the_picture_for_readers_shows_the_same_floors():
    page = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| `([\w/]+)` \|", page, re.M)
    drawn = {name.replace("/", "."): int(floor) for floor, name in rows}
    # The roof has a row of its own kind; a folder's __init__ stands for its modules.
    folders = {m for m in MODULES if MODULES[m].name == "__init__.py"}
    built = {m: int(floor) for m, floor in FLOORS.items() if m not in folders}
    assert drawn == built
    assert [floor for floor, _ in rows] == sorted((floor for floor, _ in rows), reverse=True)


@each_module
def test_imports_go_down(module):
    is_package = MODULES[module].name == "__init__.py"
    assert breaks_floors(source_of(module), module, is_package=is_package) == []


@each_module
def test_the_lower_floors_keep_their_diet(module):
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
        ("tasks", "from acr_sklearn.training.skorch_net import fit", "training"),
        ("outliers", "from acr_sklearn import tasks", "tasks"),
        ("tasks", "def f():\n    import acr_sklearn.detectors.acr", "detectors.acr"),
        ("tasks", "from .training import fit", "training"),
        ("scoring", "from acr_sklearn import ZeroShotACRDetector", "acr_sklearn"),
        ("detectors.base", "from .acr import ZeroShotACRDetector", "detectors.acr"),
        ("detectors.acr", "from ..model_selection import NormalTrainSplit", "model_selection"),
        ("detectors.acr", "from . import ZeroShotACRDetector", "detectors"),
    ],
)
def test_an_import_upwards_is_found(module, source, target):
    (message,) = breaks_floors(source, module)
    assert f"imports {target} (floor" in message


def test_an_import_upwards_is_found_in_an_init():
    (message,) = breaks_floors("from ..model_selection import x", "detectors", is_package=True)
    assert "imports model_selection (floor 5.2)" in message
    assert breaks_floors("from .acr import x", "detectors", is_package=True) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("_validation", "import torch"),
        ("_validation", "import pandas as pd"),
        ("backbones", "from sklearn.base import clone"),
        ("objectives", "import skorch.net"),
        ("objectives", "from numpy import random"),
        ("objectives", "from numpy.random import default_rng"),
        ("backbones", "import numpy as np\nnp.random.default_rng(0)"),
    ],
)
def test_a_foreign_import_on_a_low_floor_is_found(module, source):
    assert len(breaks_diet(source, module)) == 1


def test_a_low_floor_may_eat_what_is_on_its_list():
    assert (
        breaks_diet("import numpy as np\nimport torch\ntorch.random.fork_rng()", "backbones") == []
    )


def test_a_second_door_is_found():
    (message,) = breaks_doors("from skorch import NeuralNet", "detectors.base")
    assert message == "detectors.base imports skorch, whose one door is training"
    assert breaks_doors("from skorch import NeuralNet", "training") == []
    assert breaks_doors("import matplotlib", "plotting.canvas") == []
    assert len(breaks_doors("import matplotlib", "plotting.anomaly_map")) == 1


def test_an_undeclared_import_is_found():
    (message,) = breaks_declaration("import joblib, json, numpy", "training", {"numpy"})
    assert message == "training imports joblib, which pyproject.toml does not declare"
    assert {"numpy", "sklearn", "skorch", "torch"} <= declared_dependencies()
    assert "fonttools" not in declared_dependencies()  # of the bench extra only


def test_an_unknown_module_is_found():
    unknown, gone = breaks_map({*FLOORS, "attic"} - {"tasks"})
    assert unknown == "attic has no floor: give it one in FLOORS and in docs/design.md"
    assert gone == "tasks has a floor but no file"


@pytest.mark.parametrize("module", ["utils", "_helpers", "detectors.common"])
def test_a_drawer_is_found(module):
    assert len(breaks_naming(module)) == 1


def test_a_long_file_and_a_long_function_are_found():
    long_file = "x = 1\n" * (MAX_FILE_LINES + 1)
    assert breaks_size(long_file) == ["321 lines; at most 320"]
    body = "    x = 1\n" * MAX_FUNCTION_LINES
    docstring = '    """' + "line\n    " * 40 + '"""\n'
    assert breaks_size("def f():\n" + docstring + body) == []
    assert breaks_size("def f():\n" + docstring + body + "    x = 2\n") == [
        "f: 56 lines; at most 55"
    ]


@pytest.mark.parametrize(
    "comment",
    ["noqa", "ruff: noqa: E501", "type: ignore", "mypy: ignore-errors", "pragma: no cover"],
)
def test_a_blanket_exemption_is_found(comment):
    assert breaks_exemptions(f"x = 1\ny = 2  # {comment}\n") == [f"y = 2  # {comment}"]


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
    (message,) = breaks_public_api("from acr_sklearn._input.validation import read_rows")
    assert message == "imports acr_sklearn._input.validation.read_rows, which is private"
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
    # matplotlib waits behind its door until something is drawn.
    roots.discard("matplotlib")
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
