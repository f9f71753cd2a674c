"""Hostile input of every kind: finite scores, or an error that names what is wrong.

2,200 inputs run with the tests, 50,000 with `make fuzz`; a mishandled one is shown with the seed
that makes it again. Labels and single cells come from hypothesis, tables and what holds them from a
seed, for those cost too much to be drawn number by number.
"""

import functools
import importlib
import inspect
import os
import re
import warnings

import numpy as np
import pytest
from hostile_calls import CALLS, call
from hostile_parameters import CHANGES, HUGE, SETTINGS, changed
from hostile_tables import CELLS, LABELS, WIDTH, held, labels, table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_architecture import PUBLIC

from acr_sklearn import ZeroShotACRDetector, split_domains
from acr_sklearn.exceptions import ACRWarning
from acr_sklearn.training import skorch_net

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")

#: Inputs in all: most are scored, some trained on, some are parameters, some of other public names.
INPUTS = int(os.environ.get("ACR_FUZZ_INPUTS", "2200"))
SHARES = {"scoring": 0.7, "training": 0.05, "parameters": 0.1, "calls": 0.15}
COUNTED = dict.fromkeys(SHARES, 0)

#: Shapes of what others return or implement: they are given nothing by users.
NOT_CALLED = {"DomainData", "FrameFit", "LabelledDomain", "MVTecProduct", "OutlierSource"}

OWNERS = ["ZeroShotACRDetector", "MLPBackbone", "ConvBackbone", "NeuralTransformation"]
OWNERS += ["HeldOutDomains", "callback name"]
NAMED = re.compile("|".join([*OWNERS, *ZeroShotACRDetector._parameter_constraints]))


def inputs(kind):
    return settings(
        max_examples=max(1, round(INPUTS * SHARES[kind])),
        deadline=None,
        database=None,
        derandomize=INPUTS < 10_000,
        suppress_health_check=list(HealthCheck),
    )


def mishandled(kind, call, named=NAMED):
    """What is wrong with how a call ended; None if nothing is."""
    COUNTED[kind] += 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ACRWarning)
        # Others' words, and true ones: names that fit did not see, a masked cell that is read.
        warnings.filterwarnings("ignore", "X (has|does not have valid) feature names")
        warnings.filterwarnings("ignore", "Converting a tensor with requires_grad=True")
        warnings.filterwarnings("ignore", "Warning: converting a masked element to nan")
        warnings.filterwarnings("ignore", "The groups parameter is ignored by")
        warnings.filterwarnings("ignore", "Persisting input arguments took")  # a busy machine
        try:
            scores = call()
        except (ValueError, TypeError, OSError) as error:
            return None if named.search(str(error)) else f"{type(error).__name__}: {error}"
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the finding
            return f"{type(error).__name__}: {error}"
    if np.isfinite(scores).all():
        return None
    return f"scores that are not finite: {scores}"


def tiny(**changes):
    """Make the smallest of detectors."""
    small = {"max_iter": 2, "n_tasks": 2, "task_size": 8, "hidden_layer_sizes": (8,)}
    return ZeroShotACRDetector(**(small | {"random_state": 0} | changes))


def fitted_detectors():
    """Fitted ones: in batches, in chunks, by a sample, row by row."""
    rng = np.random.default_rng(0)
    sites = [rng.normal(rng.normal(0, 3, WIDTH), 1.0, (30, WIDTH)) for _ in range(5)]
    usual = tiny().fit(sites)
    columns = np.concatenate([np.insert(site, 1, i, axis=1) for i, site in enumerate(sites)])
    return [
        *(usual, usual, usual),
        tiny(chunk_size=16, norm_mode="batch").fit(sites),
        tiny(max_reference_rows=16).fit(sites),
        tiny(norm_mode="reference").fit(sites),
        tiny(score_head="mahalanobis", threshold="batch").fit(sites),
        tiny(domain_column=1).fit(columns[:, :WIDTH]),
    ]


@pytest.fixture(scope="module")
def detectors():
    return fitted_detectors()


METHODS = (
    *("score_samples", "decision_function", "predict", "p_values", "score", "adapt", "freeze"),
    *("explain", "report", "as_function", "as_pyod"),
)


def score(detectors, seed, cells, values):
    rng = np.random.default_rng((seed, 3))
    detector = detectors[rng.integers(len(detectors))]
    method = METHODS[rng.integers(len(METHODS))]
    X = held(seed, cells)
    n_rows = len(table(seed, []))
    given = labels(seed, values, n_rows) if values else None
    if method in ("adapt", "freeze"):
        fixed = getattr(detector, method)(X)
        return fixed.offset_ if method == "adapt" else next(fixed.buffers()).numpy()
    if method == "as_function":
        return detector.as_function(X)(np.zeros((2, WIDTH)))
    if method == "as_pyod":
        return detector.as_pyod().fit(X).decision_scores_
    if method == "report":
        return detector.report(X, domains=given, n_rows=3)["score"].to_numpy()
    if method == "explain":
        found, base = detector.explain(X, domains=given, return_base=True)
        return found.sum(axis=1) + base
    if method == "score":
        y = np.where(np.arange(n_rows) % 4 == 3, -1, 1) if given is None else given
        auc = detector.score(X, y)
        # Labels other than 1 and -1 give nan and a warning, as scikit-learn's checks want it.
        return auc if given is None else 0.0
    scores = getattr(detector, method)(X, domains=given)
    if given is not None:
        pieces = split_domains(scores, given)
        assert sum(map(len, pieces.values())) == len(scores)
    return scores


SEEDS = st.integers(0, 2**32 - 1)
PLACES = st.lists(CELLS, max_size=2), st.lists(LABELS, max_size=3)


class Finder:
    """Try inputs; at the end all that were mishandled are shown, and not the first alone."""

    def __init__(self, kind):
        self.kind, self.faults = kind, {}

    def __call__(self, call, *made_of, named=NAMED):
        fault = mishandled(self.kind, call, named)
        if fault is not None:
            self.faults.setdefault(fault[:80], f"{fault}, made of {made_of!r}")

    def conclude(self, record_property):
        record_property("fuzz_inputs", COUNTED[self.kind])
        assert not self.faults, "\n".join(self.faults.values())


def test_no_input_of_scoring_is_mishandled(detectors, record_property):
    found = Finder("scoring")

    @inputs("scoring")
    @given(SEEDS, *PLACES)
    def one(seed, cells, values):
        call = functools.partial(score, detectors, seed, cells, values)
        found(call, seed, cells, values)

    one()
    found.conclude(record_property)


def test_no_input_of_training_is_mishandled(record_property):
    found = Finder("training")

    @inputs("training")
    @given(SEEDS, *PLACES)
    def one(seed, cells, values):
        def fit():
            X = held(seed, cells)
            given = labels(seed, values, len(table(seed, []))) if values else None
            return tiny().fit(X, domains=given).offset_

        found(fit, seed, cells, values)

    one()
    found.conclude(record_property)


SITES = np.random.default_rng(0).normal(size=(5, 16, WIDTH))
#: The one error that only training can show.
AFTER_WORK = "ended with scores that are not finite"


class BegunError(BaseException):
    """Training was about to begin."""


def fit_with(places, monkeypatch):
    """Fit; whatever is refused is to be so before the first step."""
    given, small = changed(places)
    begun, run = [], skorch_net._run

    def watched(*args):
        begun.append(True)
        if not small:
            raise BegunError
        return run(*args)

    with monkeypatch.context() as patch:
        patch.setattr(skorch_net, "_run", watched)
        try:
            return tiny(**given).fit(list(SITES)).offset_
        except BegunError:
            return 0.0
        except (ValueError, TypeError) as error:
            if begun and AFTER_WORK not in str(error):
                raise AssertionError(f"refused after work had begun: {error}") from error
            raise


def test_no_parameter_is_mishandled(record_property, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where memory= makes its folders
    found = Finder("parameters")

    @inputs("parameters")
    @given(CHANGES)
    def one(changes):
        found(lambda: fit_with(changes, monkeypatch), changes)

    one()
    found.conclude(record_property)


def test_no_call_of_other_public_names_is_mishandled(record_property, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    found = Finder("calls")

    @inputs("calls")
    @given(SEEDS)
    def one(seed):
        made, name, whom = call(seed)
        found(made, name, seed, named=re.compile("|".join(whom) or "$^"))

    one()
    found.conclude(record_property)


def test_every_public_name_is_called():
    called = " ".join(inspect.getsource(function) for function in CALLS)
    for room in sorted(PUBLIC - {"exceptions"}):
        for name in importlib.import_module(f"acr_sklearn.{room}").__all__:
            assert re.search(rf"\b{name}\b", called) or name in NOT_CALLED, name


def test_work_of_parameters_that_ask_for_much_is_not_begun(monkeypatch):
    huge = {"max_iter": next(i for i, value in enumerate(SETTINGS) if value is HUGE[0])}
    assert fit_with(huge, monkeypatch) == 0.0


def test_what_is_mishandled_is_seen():
    def raises(error):
        raise error

    assert mishandled("scoring", lambda: [0.0, 1.0]) is None
    assert mishandled("scoring", lambda: raises(ValueError("ZeroShotACRDetector.fit got"))) is None
    assert "not finite" in mishandled("scoring", lambda: [0.0, np.nan])
    assert "ValueError" in mishandled("scoring", lambda: raises(ValueError("of no one")))
    assert "IndexError" in mishandled("scoring", lambda: raises(IndexError("X")))
    assert "BegunError" in mishandled("scoring", lambda: raises(BegunError()))
    assert "RuntimeWarning" in mishandled("scoring", lambda: np.float64(1e308) * 10)


def test_all_that_was_mishandled_is_shown():
    found = Finder("scoring")
    for values in ([np.nan], [1.0], [np.inf]):
        found(lambda values=values: values, values)
    with pytest.raises(AssertionError, match=r"(?s)made of \(\[nan\],\).*made of \(\[inf\],\)"):
        found.conclude(lambda *_: None)
