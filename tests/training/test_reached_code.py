"""Code that is reached: through globals, closures, modules, classes and objects, and no further."""

import functools
import importlib
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.training.reached_code import reached_code

ROOT = Path(__file__).parents[2]


def run(text, name="written"):
    """Make a module of a text, as if it had been typed into a file of the user's."""
    module = types.ModuleType(name)
    module.__file__ = f"/home/someone/{name}.py"
    exec(compile(text, module.__file__, "exec"), vars(module))
    return module


CALLER = """
import functools
import numpy as np
import {other}
SCALE = {scale}
TABLE = {{"one": [{scale}], "two": np.array([{scale}, 1])}}

def make(k):
    def inner(x):
        return x * k
    return inner

scaled = make({closed})

def deep(x):
    return x + {deep}

def helper(x):
    return deep(x) * SCALE

def decorated(f):
    @functools.wraps(f)
    def wrapper(*args):
        return f(*args)
    return wrapper

@decorated
def wrapped(x):
    return x - {wrapped}

def default(x, k={default}):
    return x * k

class Base:
    unit = {attribute}
    def base(self, x):
        return x / {base}

class Source(Base):
    @staticmethod
    def fixed(x):
        return x ** {static}
    @property
    def width(self):
        return {prop}
    def sample(self, X, domain_index, n, rng):
        x = self.base(self.fixed(X)) * self.width
        rows = [helper(scaled(default(wrapped(row)))) for row in x]
        return np.array({other}.outside(rows)) + TABLE["one"][0]
"""
NUMBERS = ["scale", "closed", "deep", "wrapped", "default", "attribute", "base", "static", "prop"]


@pytest.fixture
def source(monkeypatch):
    """Function (outside=1, **numbers) -> the class `Source` of a module where these stand."""

    def build(outside=1, **numbers):
        text = f"def outside(x):\n    return [v * {outside} for v in x]\n"
        monkeypatch.setitem(sys.modules, "elsewhere", run(text, "elsewhere"))
        module = run(CALLER.format(other="elsewhere", **dict.fromkeys(NUMBERS, 1) | numbers))
        monkeypatch.setitem(sys.modules, "written", module)
        return module.Source

    return build


def test_equal_code_is_equal(source):
    assert reached_code([source()()]) == reached_code([source()()])


@pytest.mark.parametrize("changed", [*NUMBERS, "outside"])
@pytest.mark.parametrize("of", ["object", "class", "method", "partial", "holder"])
def test_an_edit_of_whatever_is_reached_is_seen(source, changed, of):
    ways = {
        "object": lambda kind: kind(),
        "class": lambda kind: kind,
        "method": lambda kind: kind().sample,
        "partial": lambda kind: functools.partial(max, key=kind().sample),
        "holder": lambda kind: {"one": [types.SimpleNamespace(held=kind())]},
    }
    before, after = (reached_code([ways[of](source(**c))]) for c in ({}, {changed: 2}))
    assert before != after


def test_comments_and_places_do_not_count():
    text = "def f(x):\n    return x + 1\n"
    one = run(text).f
    other = run(f"\n\n# a word\n{text}", "written").f
    assert reached_code([one]) == reached_code([other])


def test_cycles_end():
    module = run(
        "def f(x):\n    return g(x)\ndef g(x):\n    return f(x) if x else H()\n"
        "class H:\n    def __call__(self):\n        return H, f, LOOP\nLOOP = []\n"
        "LOOP.append(LOOP)\nLOOP.append({'one': LOOP})\n"
    )
    assert len(reached_code([module.f, module.H()])) >= 3


def test_installed_code_is_not_entered():
    assert reached_code([np.linalg.norm, torch.nn.Linear(2, 2), subprocess.run]) == []
    assert reached_code([ZeroShotACRDetector]) == []
    assert reached_code([None, 3, "x", len, print, np.zeros(3)]) == []


def test_packages_of_an_environment_below_are_not_entered(tmp_path, monkeypatch):
    below = tmp_path / "lib" / "site-packages"
    below.mkdir(parents=True)
    code = "def work(x):\n    return x + 1\n"
    (below / "from_below.py").write_text(code)
    (tmp_path / "of_a_user.py").write_text(code)
    for folder in (below, tmp_path):
        monkeypatch.syspath_prepend(str(folder))
    assert reached_code([importlib.import_module("from_below").work]) == []
    assert reached_code([importlib.import_module("of_a_user").work]) != []


def test_other_values_under_the_same_names_are_another_code():
    # Swapped, not edited.
    texts = ("a, b = 1, 2", "a, b = 2, 1")
    codes = [reached_code([run(f"{t}\ndef f():\n    return a - b\n").f]) for t in texts]
    assert codes[0] != codes[1]


def test_functions_that_import_where_they_run(monkeypatch):
    codes = []
    for number in (1, 1, 2):
        other = run(f"def help_out(x):\n    return x * {number}\n", "elsewhere")
        monkeypatch.setitem(sys.modules, "elsewhere", other)
        text = "def f(x):\n    from elsewhere import help_out\n    return help_out(x)\n"
        codes.append(reached_code([run(text).f]))
    assert codes[0] == codes[1] != codes[2]


IN_A_PROCESS = """
from acr_sklearn.training.reached_code import reached_code
NAMES = {"a", "b", "c", "d"}
def inner(x):
    return x in {"k", "l", "m", "n"} and NAMES
def f(x):
    return inner(x)
class A:
    def sample(self):
        return f(1)
import hashlib
print(hashlib.sha256(repr(reached_code([A(), f])).encode()).hexdigest(), len(reached_code([f])))
"""


def test_every_process_finds_the_same():
    said = {
        subprocess.run(
            [sys.executable, "-c", IN_A_PROCESS],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    (one,) = said
    assert int(one.split()[1]) >= 4  # what is typed in is a user's


def test_a_training_is_made_anew_when_a_helper_was_edited(domains, trainings, tmp_path, source):
    def fit(**numbers):
        kind = source(**numbers)
        kind.sample = _sampled_by(kind.sample)
        return ZeroShotACRDetector(
            outlier_source=kind(), memory=str(tmp_path / "cache"), random_state=0, max_iter=3
        ).fit(domains[:5])

    fit()
    fit()
    assert len(trainings) == 1
    fit(deep=2)
    assert len(trainings) == 2


def _sampled_by(sample):
    def draw(self, X, domain_index, n, rng):
        return np.array(sample(self, X[:n] + 40.0, domain_index, n, rng))

    return draw


class Slotted:
    __slots__ = ("high", "low")

    def sample(self):
        return self.low


def test_a_class_with_slots_is_described():
    assert any("Slotted.sample" in line for line in reached_code([Slotted]))
    assert reached_code([Slotted()]) == reached_code([Slotted])
