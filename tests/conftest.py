"""Small related domains that every test may use."""

import sys

import numpy as np
import pytest

import acr_sklearn.training.meta_training as stage
from acr_sklearn import ZeroShotACRDetector


def _make_domain(seed, n_rows=120, n_features=5):
    """Normal rows around a centre of the domain's own, with the same correlations everywhere."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(n_features, n_features))
    return rng.normal(0, 5, n_features) + rng.normal(size=(n_rows, n_features)) @ mixing


@pytest.fixture(scope="session")
def make_domain():
    """Function (seed, n_rows=120, n_features=5) -> rows of a domain of its own."""
    return _make_domain


@pytest.fixture(scope="session")
def domains():
    """Six ragged training domains."""
    return [_make_domain(seed, n_rows=100 + 10 * seed) for seed in range(6)]


@pytest.fixture(scope="session")
def quick():
    """Constructor of a detector that trains in a moment."""

    def build(**changes):
        settings = {"max_iter": 6, "n_tasks": 8, "task_size": 32, "hidden_layer_sizes": (16, 16)}
        return ZeroShotACRDetector(**({**settings, "random_state": 0} | changes))

    return build


@pytest.fixture(scope="session")
def fitted(domains, quick):
    """A fitted detector; tests must leave it as it is."""
    return quick().fit(domains)


@pytest.fixture
def trainings(monkeypatch):
    """Trainings that really ran, as opposed to those found in a cache."""
    calls = []
    plain = stage.train_acr

    def train(*args, **kwargs):
        calls.append(1)
        return plain(*args, **kwargs)

    monkeypatch.setattr(stage, "train_acr", train)
    return calls


@pytest.fixture(scope="session")
def unseen(make_domain):
    """X, y, domains: three domains of 100 rows, 12 of them anomalies."""
    parts, labels = [], []
    for seed in (50, 51, 52):
        rows = make_domain(seed, n_rows=100)
        rows[88:] += 2 * np.random.default_rng(seed).normal(size=(12, 5))
        parts.append(rows)
        labels.append(np.repeat([1, -1], [88, 12]))
    return np.concatenate(parts), np.concatenate(labels), np.repeat(["x", "y", "z"], 100)


@pytest.fixture(autouse=True)
def closed_figures():
    """No figure is left open; matplotlib would warn at the twentieth."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def pytest_terminal_summary(terminalreporter):
    """Say how many hostile inputs were tried, in whatever processes."""

    def counts(outcome):
        reports = terminalreporter.stats.get(outcome, [])
        found = [getattr(report, "user_properties", []) for report in reports]
        return [n for pairs in found for name, n in pairs if name == "fuzz_inputs"]

    tried, failed = counts("passed") + counts("failed"), counts("failed")
    if tried:
        said = "some mishandled, see above" if failed else "none mishandled"
        terminalreporter.write_line(f"{sum(tried)} hostile inputs, {said}")
