"""What a fresh clone, a wheel and CI rely on, read from the files themselves."""

import ast
import configparser
import os
import re
import shlex
import sys
import tomllib
from fnmatch import fnmatch
from importlib import metadata, resources
from pathlib import Path

import pytest

import acr_sklearn

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
MODULES = sorted((ROOT / "acr_sklearn").rglob("*.py"))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def requirements() -> list[str]:
    extras = PROJECT["optional-dependencies"].values()
    return sorted({*PROJECT["dependencies"], *(line for extra in extras for line in extra)})


def floor_of(requirement: str) -> tuple[str, str]:
    name, floor = requirement.split(">=")
    return name, floor


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


# ------------------------------------------------------------------------------- the version


def test_the_version_literal_is_the_projects():
    tree = ast.parse(read("acr_sklearn/__init__.py"))
    assigned = {
        node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)
    }
    assert ast.literal_eval(assigned["__version__"]) == PROJECT["version"]
    assert acr_sklearn.__version__ == PROJECT["version"]


def test_changelog_and_citation_know_the_version():
    version = re.escape(PROJECT["version"])
    heading = re.search(rf"^## \[{version}\] - (\d{{4}}-\d\d-\d\d)$", read("CHANGELOG.md"), re.M)
    assert heading, "CHANGELOG.md needs an entry for the version"
    citation = read("CITATION.cff")
    assert re.search(rf"^version: {version}$", citation, re.M)
    assert f"date-released: {heading.group(1)}" in citation


# ---------------------------------------------------------------------------- the dependencies


@pytest.mark.parametrize("requirement", requirements())
def test_a_requirement_is_a_floor_and_nothing_else(requirement):
    assert re.fullmatch(r"[A-Za-z0-9-]+>=\d+(\.\d+)*", requirement)


@pytest.mark.parametrize("requirement", PROJECT["dependencies"])
def test_what_is_installed_is_above_the_floor(requirement):
    name, floor = floor_of(requirement)
    assert numbers(metadata.version(name)) >= numbers(floor)


def test_the_floor_constraints_sit_on_the_floors():
    pins = dict(
        line.split("==") for line in read("constraints-floor.txt").splitlines() if "==" in line
    )
    testing = PROJECT["optional-dependencies"]["test"]
    floors = dict(map(floor_of, [*PROJECT["dependencies"], *testing]))
    wanted = {"numpy", "pytest", "safetensors", "scikit-learn", "scipy", "skorch", "zuko"}
    assert wanted == pins.keys()
    for name, pin in pins.items():
        # Up to the minor version: a first patch release may have no wheel for Python 3.11.
        assert numbers(pin)[:2] == numbers(floors[name])[:2], name


# ----------------------------------------------------------------------------- what is shipped


def test_typing_information_is_shipped():
    assert PYPROJECT["tool"]["setuptools"]["package-data"] == {"acr_sklearn": ["py.typed"]}
    assert (resources.files("acr_sklearn") / "py.typed").is_file()


def test_every_folder_of_the_package_is_found_by_setuptools():
    # find_packages passes over a folder without an __init__.py, and the wheel lacks it silently.
    for folder in {path.parent for path in MODULES}:
        assert (folder / "__init__.py").is_file(), folder
    patterns = PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert patterns == ["acr_sklearn*"]


@pytest.mark.parametrize("name", ["LICENSE", "CONTRIBUTING.md", "SECURITY.md", "docs/design.md"])
def test_a_file_that_others_point_to_exists(name):
    assert read(name).strip()


def written_pages() -> list[str]:
    """Pages in docs/ that people write: not those that `make docs` leaves there."""
    made = {"_build", "api", "gallery", "repository"}
    pages = [path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md")]
    return [page.as_posix() for page in pages if page.parts[1] not in made]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *sorted(written_pages())])
def test_links_between_pages_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", read(str(page)))
    missing = [t for t in targets if not (ROOT / page).parent.joinpath(t).exists()]
    assert missing == []


# ------------------------------------------------------------------------------- the commands


def test_ci_runs_targets_of_the_makefile_and_nothing_else():
    lines = [line.strip() for line in read(".ci/run").splitlines()]
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands == [
        "set -euo pipefail",
        'cd "$(dirname "${BASH_SOURCE[0]}")/.."',
        "make test",
        "make test-floor",
        "make test-engines",
        "make types",
        "make docs",
    ]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no execute bit")
def test_ci_can_be_executed():
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_hosted_machines_run_what_ci_runs_on_every_python_and_every_week():
    workflow = read(".github/workflows/ci.yml")
    assert re.findall(r"run: (.+)", workflow) == [
        "make test",
        "make test-floor",
        "make test-engines",
        "make types",
        "make docs",
    ]
    oldest = re.search(r">=(3\.\d+)", PROJECT["requires-python"]).group(1)
    assert f'python: ["{oldest}", "3.12", "3.13"]' in workflow
    assert f'python-version: "{oldest}"' in workflow
    assert re.search(r'schedule:\n +- cron: "\d+ \d+ \* \* \d"', workflow)


def test_a_commit_is_checked_by_the_linters_of_the_makefile():
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", read("Makefile"), re.M).group(1)
    of_make = set(re.findall(r"bin/(ruff \w+|mypy)", lint))
    of_hooks = set(
        re.findall(r"entry: \.venv/bin/(ruff \w+|mypy)", read(".pre-commit-config.yaml"))
    )
    assert of_make == of_hooks == {"ruff format", "ruff check", "mypy"}
    assert re.search(r"^lint: .*\blint-workflows\b", read("Makefile"), re.M)
    assert "entry: make lint-workflows" in read(".pre-commit-config.yaml")


def test_the_readme_opens_with_the_two_commands():
    opening = read("README.md").partition("## Install")[0]
    assert re.search(r"^ {4}make demo\b", opening, re.M)
    assert re.search(r"^ {4}make test\b", opening, re.M)


def test_make_targets_that_pages_name_exist():
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.M))
    assert {"demo", "test", "test-floor", "lint", "clean", "help", "bench-train"} <= targets
    for page in ("README.md", "CONTRIBUTING.md", "docs/design.md", "docs/concepts.md"):
        named = set(re.findall(r"(?:`|^ {4})make ([a-z][a-z-]*)", read(page), re.M))
        assert named <= targets, page


def test_files_that_the_makefile_runs_exist():
    for word in shlex.split(read("Makefile"), comments=True):
        if word.endswith(".py"):
            assert any(ROOT.glob(word)), word


def test_make_test_measures_and_holds_the_coverage():
    coverage = PYPROJECT["tool"]["coverage"]
    assert coverage["run"] == {"source": ["acr_sklearn"], "branch": True}
    assert coverage["report"]["fail_under"] >= 95
    makefile = read("Makefile")
    assert re.search(r"^COV \?= --cov\b", makefile, re.M)
    engines = "--ignore=tests/distributed/engines"
    assert f"-m pytest {engines} $(PYTEST_ARGS) $(COV)\n" in makefile


# ------------------------------------------------------------------------------------ the tools


def test_setup_cfg_holds_flake8_and_says_why():
    parser = configparser.ConfigParser()
    parser.read_string(read("setup.cfg"))
    assert parser.sections() == ["flake8"]
    assert parser["flake8"]["max-line-length"] == str(PYPROJECT["tool"]["ruff"]["line-length"])
    assert read("setup.cfg").startswith("#")


def test_no_lint_exemption_covers_a_file_of_the_package():
    ruff, mypy = PYPROJECT["tool"]["ruff"], PYPROJECT["tool"]["mypy"]
    patterns = [*ruff["lint"]["per-file-ignores"], *ruff.get("extend-exclude", [])]
    files = [path.relative_to(ROOT).as_posix() for path in MODULES]
    assert [(f, p) for f in files for p in patterns if fnmatch(f, p)] == []
    overridden = [name for override in mypy["overrides"] for name in override["module"]]
    assert [name for name in overridden if name.startswith("acr_sklearn")] == []
    assert "exclude" not in mypy


def test_warnings_are_errors_but_for_named_ones():
    first, *exceptions = PYPROJECT["tool"]["pytest"]["ini_options"]["filterwarnings"]
    assert first == "error"
    for line in exceptions:
        action, message, category = line.split(":", 2)
        assert action == "ignore", line
        assert message, f"{line}: name the message"
        assert category, f"{line}: name the category"


def test_python_floor_agrees_everywhere():
    assert PROJECT["requires-python"] == ">=3.11"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == "py311"
    assert PYPROJECT["tool"]["mypy"]["python_version"] == "3.11"
    assert sys.version_info >= (3, 11)
