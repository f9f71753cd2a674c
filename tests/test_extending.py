"""The examples of docs/extending.md run as they stand, and each does what the page says of it."""

import re
import sys
import types
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from house_checks import house_checks
from sklearn.metrics import roc_auc_score

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.networks.objectives import OBJECTIVES
from acr_sklearn.outliers import OutlierSource
from acr_sklearn.scoring.heads import SCORE_HEADS
from acr_sklearn.scoring.robust_scale import robust_z_scores

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
SECTIONS = ("An objective", "An outlier source", "A score head", "A detector")
OPEN_TO_ENTRIES = (OBJECTIVES, SCORE_HEADS, ZeroShotACRDetector._parameter_constraints)
IS_ANOMALY = np.arange(200) >= 180

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")


def blocks_by_section(text):
    """Python blocks of each section; those before the first under the name ""."""
    parts = re.split(r"^## (.+)\n", text, flags=re.M)
    named = {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))
    return {
        name: re.findall(r"^```python\n(.*?)^```$", body, re.M | re.S)
        for name, body in named.items()
    }


@pytest.fixture
def run(monkeypatch):
    """Function (*sections, text=None) -> names defined by the blocks above all, and by theirs."""

    def run(*sections, text=None):
        blocks = blocks_by_section(PAGE.read_text() if text is None else text)
        # A module, so that what the page defines can be pickled.
        page = types.ModuleType("extending_page")
        monkeypatch.setitem(sys.modules, page.__name__, page)
        for name in ("", *sections):
            assert blocks[name], name
            for block in blocks[name]:
                exec(compile(block, PAGE.name, "exec"), vars(page))
        return page

    with ExitStack() as stack:
        for names in OPEN_TO_ENTRIES:
            stack.enter_context(mock.patch.dict(names))
        yield run


def auroc(scores):
    return roc_auc_score(IS_ANOMALY, -scores)


def check_objective(page):
    detector = page.by_odds
    assert type(detector.module_.objective) is page.DistanceOdds
    output = torch.tensor([0.0, 0.5, 4.0])
    normal, outlier = page.DistanceOdds.losses(output)
    np.testing.assert_allclose(normal, np.log([1, 1.5, 5]), rtol=1e-6)
    np.testing.assert_allclose(outlier, np.log([1001, 3, 1.25]), rtol=1e-2)
    losses = [row["train_loss"] for row in detector.history_]
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(page.frozen_odds.numpy(), -page.odds_scores, rtol=1e-6)
    plain = ZeroShotACRDetector(score_head="objective", **page.quick).fit(page.sites)
    assert not np.allclose(plain.score_samples(page.new), page.odds_scores)
    # A square, in "combined" as a distance: its root.
    score = torch.tensor([0.0, 4.0, 9.0])
    np.testing.assert_allclose(detector.module_.distance(score), [0, 2, 3])
    both = ZeroShotACRDetector(objective="odds", n_estimators=2, **page.quick).fit(page.sites)
    assert auroc(both.score_samples(page.new)) > 0.8
    assert auroc(page.odds_scores) > 0.8


def check_source(page):
    source, rows = page.SensorDrift(), page.sites[0].copy()
    rows.setflags(write=False)
    assert isinstance(source, OutlierSource)
    made = source.sample(rows, 0, 50, np.random.default_rng(0))
    differs = made[:, None] != rows
    # Each is a row of the domain in all features but one, and there off as far as is said.
    closest = differs.sum(axis=2).argmin(axis=1)
    off = np.abs(made - rows[closest]) / rows.std(axis=0)
    assert ((off > 0).sum(axis=1) == 1).all()
    assert off.max(axis=1).min() >= 2 - 1e-9
    assert off.max() <= 6 + 1e-9
    again = ZeroShotACRDetector(
        outlier_source=page.SensorDrift(), score_head="objective", **page.quick
    ).fit(page.sites)
    np.testing.assert_array_equal(again.score_samples(page.drifted), page.drift_scores)
    assert roc_auc_score(np.arange(180) >= 160, -page.drift_scores) > 0.8


def check_head(page):
    assert page.averaging.head_.kind == "average"
    for scores in (page.stacked, -page.fixed.numpy(), page.chunked):
        np.testing.assert_allclose(scores, page.whole, rtol=1e-7, atol=1e-9)
    single = page.averaging.score_samples(page.new.astype(np.float32))
    np.testing.assert_allclose(single, page.whole, rtol=1e-3, atol=1e-3)
    # A batch too large to be scored in one piece, and rows by themselves.
    many = np.concatenate([page.new] * 12)
    large = page.averaging.set_params(chunk_size=None).score_samples(many)
    np.testing.assert_allclose(large[:200], large[200:400], rtol=1e-9)
    live = page.averaging.adapt(page.new)
    alone = np.concatenate([live.score_samples(row[None]) for row in page.new[:5]])
    np.testing.assert_allclose(alone, page.whole[:5], rtol=1e-7)

    def scores(head):
        changes = {"score_head": head, "trim_fraction": 0.0}
        return -ZeroShotACRDetector(**changes, **page.quick).fit(page.sites).score_samples(page.new)

    # Without trimming it is what the two heads that it joins say.
    two = torch.from_numpy(np.stack([scores("neighbors"), np.sqrt(scores("objective"))]))
    np.testing.assert_allclose(
        scores("average"), robust_z_scores(two).numpy().mean(axis=0), rtol=1e-6
    )


def check_detector(page):
    # The page ran them all; the last one is the last that there is.
    assert page.name == [name for name, _ in house_checks(None, None, None)][-1]
    away = page.new - np.median(page.new, axis=0)
    centred = np.concatenate([rows - rows.mean(axis=0) for rows in page.sites])
    variances, axes = np.linalg.eigh(np.cov(centred.T))
    slow = [max(abs(row @ axes[:, k]) / variances[k] ** 0.5 for k in range(5)) for row in away]
    np.testing.assert_allclose(-page.axis_scores, slow, rtol=1e-9)
    assert auroc(page.axis_scores) > 0.9


CHECKS = dict(
    zip(SECTIONS, (check_objective, check_source, check_head, check_detector), strict=True)
)


@pytest.mark.parametrize("section", SECTIONS)
def test_an_example_does_what_the_page_says(run, section):
    CHECKS[section](run(section))


def test_the_page_runs_from_top_to_bottom(run):
    page = run(*SECTIONS)
    assert {"by_odds", "by_drift", "averaging", "by_axes"} <= vars(page).keys()


def test_every_example_is_looked_at_and_the_page_stays_short():
    text = PAGE.read_text()
    assert set(blocks_by_section(text)) == {"", *SECTIONS}
    assert text.count("```python") == sum(map(len, blocks_by_section(text).values()))
    assert len(text.splitlines()) <= 250


@pytest.mark.parametrize("name", re.findall(r"`([a-z_]+(?:/[a-z_]+)+\.py)`", PAGE.read_text()))
def test_files_that_the_page_names_exist(name):
    root = PAGE.parents[1]
    assert (root / name).is_file() or (root / "acr_sklearn" / name).is_file()


@pytest.mark.parametrize(
    ("section", "right", "wrong"),
    [
        ("An objective", "return torch.log1p(output), ", "return output, "),
        ("An objective", ".clamp_min(0).sqrt()", ""),
        ("An objective", 'OBJECTIVES["odds"] = DistanceOdds', 'OBJECTIVES["odd"] = DistanceOdds'),
        ("An outlier source", "+= size *", "+= 0 * size *"),
        ("An outlier source", "rng.integers(len(X), size=n)]", ":n]"),
        ("An outlier source", "rng.uniform(2, 6, size=n)", "np.random.uniform(2, 6, size=n)"),
        ("A score head", "z_scores.mean(dim=0)", "z_scores.amax(dim=0)"),
        ("A score head", "z_scores.mean(dim=0)", "z_scores[0] - z_scores[0].mean()"),
        ("A score head", 'SCORE_HEADS["average"] = average', 'SCORE_HEADS["average"] = None'),
        ("A detector", "np.median(rows[own], axis=0)", "np.median(rows, axis=0)"),
        ("A detector", ".max(axis=1)", ".mean(axis=1)"),
    ],
)
def test_a_broken_example_is_found(run, section, right, wrong):
    text = PAGE.read_text()
    assert text.count(right) == 1
    with pytest.raises((AssertionError, ValueError)):
        CHECKS[section](run(section, text=text.replace(right, wrong)))


def test_what_the_page_registers_is_gone_afterwards():
    for names in OPEN_TO_ENTRIES:
        assert not {"odds", "average"} & names.keys()
    with pytest.raises(ValueError, match="'objective' parameter"):
        ZeroShotACRDetector(objective="odds").fit([np.zeros((20, 2))] * 2)
