import pickle
import time
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits

import acr_sklearn.domains.domain_shift as module
from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn.domains.domain_shift import fit_domain_shift, warn_unfamiliar_batches
from acr_sklearn.exceptions import UnfamiliarBatchWarning

N_FEATURES = 12


def domain(seed, n_rows=200, dtype=np.float64):
    """Rows whose features vary by spreads of the domain's own, close to a common pattern."""
    rng = np.random.default_rng(seed)
    common = np.linspace(-2, 2, N_FEATURES)
    spread = np.exp(common + rng.normal(0, 0.2, N_FEATURES))
    rows = rng.normal(0, 5, N_FEATURES) + spread * rng.normal(size=(n_rows, N_FEATURES))
    return rows.astype(dtype)


def fit(parts, kept=None):
    index = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    kept = np.arange(len(parts)) if kept is None else np.array(kept)
    return fit_domain_shift(np.concatenate(parts), index, kept)


@pytest.fixture(scope="module")
def known():
    return fit([domain(seed) for seed in range(8)])


def test_new_domains_of_the_kind_are_within_reach(known):
    for n in (16, 64, 500):
        far = [known.distance(domain(seed, n)) for seed in range(100, 200)]
        assert np.mean(np.array(far) > 1) < 0.1
        assert np.max(far) < 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_permuted_features_are_far(known, dtype):
    for seed in range(10):
        rows = domain(seed, 64, dtype)
        assert known.distance(rows) < 0.7
        assert known.distance(np.ascontiguousarray(rows[:, ::-1])) > 1.4


def test_broken_dependence_is_far_where_every_spread_is_alike():
    def walks(seed):
        steps = np.random.default_rng(seed).normal(size=(300, N_FEATURES))
        rows = steps.cumsum(axis=1)
        return rows / rows.std(axis=0)

    trained = fit([walks(seed) for seed in range(6)])
    assert trained.distance(walks(9)) < 1
    assert trained.distance(walks(9)[:, np.random.default_rng(0).permutation(N_FEATURES)]) > 1.1


def test_a_shift_and_an_overall_scale_change_nothing(known):
    rows = domain(50)
    expected = known.distance(rows)
    assert known.distance(rows + 1e6) == pytest.approx(expected, rel=1e-4)
    assert known.distance(rows + np.arange(N_FEATURES)) == pytest.approx(expected, rel=1e-4)
    for factor in (1e-200, 1e-3, 1e6, 1e200):
        assert known.distance(factor * rows) == pytest.approx(expected, rel=1e-4)


def test_held_out_domains_do_not_count():
    parts = [domain(seed) for seed in range(5)]
    odd = domain(9)[:, ::-1]
    with_odd, without = fit([*parts, odd]), fit([*parts, odd], kept=range(5))
    assert with_odd.distance(odd) < 1
    assert without.distance(odd) > 1.4
    assert without.distance(domain(60)) == fit(parts).distance(domain(60))


def test_few_rows_of_many_features_make_no_new_ones_strange():
    rng = np.random.default_rng(0)
    parts = [rng.uniform(size=(60, 300)) for _ in range(6)]
    trained = fit(parts)
    assert max(trained.distance(rng.uniform(size=(n, 300))) for n in (16, 60, 900)) < 1
    assert trained.distance(parts[0]) < 1


def test_rows_that_were_trained_on_are_not_strange_where_features_are_many():
    rng = np.random.default_rng(0)
    parts = [rng.normal(rng.normal(0, 3, 1500), 1, (60, 1500)) for _ in range(5)]
    for kept in (range(5), range(1, 5)):
        assert fit(parts, kept=kept).distance(parts[0]) < 1


@pytest.mark.parametrize("n", [1, 2])
def test_few_domains_tell_nothing(n):
    assert fit([domain(seed) for seed in range(n)]) is None
    assert fit([domain(seed) for seed in range(4)], kept=range(n)) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "odd",
    [
        lambda X: np.column_stack([X[:, :3], np.full((len(X), 2), 7.0)]),
        lambda X: np.tile(X[0], (len(X), 1)),
        lambda X: X[:2],
        lambda X: X[:, :1],
        lambda X: 1e-12 * X,
        lambda X: 1e9 + X,
    ],
    ids=["constant features", "equal rows", "two rows", "one feature", "tiny", "huge offset"],
)
def test_odd_values_stay_finite(odd, dtype):
    parts = [odd(domain(seed, 40)).astype(dtype) for seed in range(4)]
    detector = fit(parts)
    for part in parts:
        assert detector.distance(part) < 1
    assert np.isfinite(detector.distance(odd(domain(9, 40)).astype(dtype)))


def test_equal_domains_have_some_reach():
    detector = fit([domain(0)] * 3)
    assert detector.distance(domain(0)) < 1
    assert detector.reach.min() > 0


def test_the_size_and_the_cost_are_bounded(monkeypatch):
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(300, 100_000)).astype(np.float32) for _ in range(4)]

    def cost(some):
        start = time.process_time()
        fitted = fit(some)
        fitted.distance(some[0])
        return time.process_time() - start, fitted

    few, _ = min((cost([part[:, :512] for part in parts]) for _ in range(3)), key=lambda c: c[0])
    many, detector = cost(parts)
    # 512 of the features are looked at: 200 times as many cost the time to choose among them.
    assert many < 50 * few
    assert detector.ruler.axes.shape == (16, 512)
    assert len(pickle.dumps(detector)) < 100_000
    monkeypatch.setattr(module, "_DOMAINS", 5)
    assert fit([domain(seed, 20) for seed in range(9)]).profiles[0].shape[0] == 5


def test_a_pickled_one_measures_alike(known):
    again = pickle.loads(pickle.dumps(known))
    assert again.distance(domain(70)) == known.distance(domain(70))


# ------------------------------------------------------------------ the warning


def warn(known, data):
    warn_unfamiliar_batches(known, data, who="X", names=lambda: range(N_FEATURES))


def scored(parts, labels, named=True):
    index = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return DomainRows(np.concatenate(parts), index, np.array(labels), named)


def test_unfamiliar_batches_are_named_in_one_warning(known):
    odd = [domain(seed)[:, ::-1] for seed in (1, 2)]
    data = scored([odd[0], domain(3), odd[1]], ["north", "south", "west"])
    with pytest.warns(UnfamiliarBatchWarning, match=r"^X got a batch unlike every") as seen:
        warn(known, data)
    assert len(seen) == 1
    text = str(seen[0].message)
    for name, rows in (("north", odd[0]), ("west", odd[1])):
        assert f"domain '{name}' ({known.distance(rows):.1f} times)" in text
    assert "south" not in text
    assert sorted(seen[0].message.domains) == ["north", "west"]
    assert "Check the order, the units" in text


def test_many_unfamiliar_batches_are_counted_and_a_nameless_one_is_the_batch(known):
    odd = domain(1)[:, ::-1]
    with pytest.warns(UnfamiliarBatchWarning, match=r"times\) and 2 more, as multiples"):
        warn(known, scored([odd] * 7, range(7)))
    with pytest.warns(UnfamiliarBatchWarning, match=r"domain: the batch \(") as seen:
        warn(known, scored([odd], [0], named=False))
    assert seen[0].message.domains == ()
    assert seen[0].message.reasons == ""


def test_familiar_and_small_batches_get_no_warning(known):
    warn(known, scored([domain(1), domain(80)], [0, 1]))
    warn(known, scored([domain(1, 15)[:, ::-1]], [0]))
    warn(None, scored([domain(1)[:, ::-1]], [0]))


def test_the_warning_can_be_silenced(known):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UnfamiliarBatchWarning)
        warn(known, scored([domain(1)[:, ::-1]], [0]))


def test_the_columns_that_stand_out_are_named(known):
    rows = domain(50)
    rows[:, 3] *= 12
    rows[:, 7] *= 0.2
    names = [f"sensor {i}" for i in range(N_FEATURES)]
    data = scored([rows, domain(51), domain(52)[:, ::-1]], ["north", "south", "west"])
    with pytest.warns(UnfamiliarBatchWarning) as seen:
        warn_unfamiliar_batches(known, data, who="X", names=lambda: names)
    text = str(seen[0].message)
    (wide, narrow) = known.odd_columns(rows)
    assert (wide.position, narrow.position) == (3, 7)
    # Of a column so wide the rows far out are left out first: by these alone it is 4 times as wide.
    assert 6 < wide.ratio < 24
    assert 0.1 < narrow.ratio < 0.4
    assert (
        f"would keep. Domain 'north' differs mostly in 'sensor 3' ({wide.ratio:.1f} times as wide "
        f"as in the nearest training domain) and 'sensor 7' ({narrow.ratio:.2g} times). What was"
    ) in text
    assert seen[0].message.reasons.startswith("Domain 'north' differs mostly in 'sensor 3' (")
    assert seen[0].message.reasons.endswith("times).")
    assert text.count("differs mostly") == 1  # no column stands out in the reversed batch


@pytest.mark.parametrize("n_features", [8, 32])
def test_no_column_stands_out_in_permuted_batches(n_features):
    rng = np.random.default_rng(0)
    draw = correlated(rng, n_features)
    shift = fit([draw(200) for _ in range(12)])
    batches = [draw(200)[:, rng.permutation(n_features)] for _ in range(40)]
    batches = [batch for batch in batches if shift.distance(batch) > module.UNFAMILIAR]
    assert len(batches) >= 36
    assert sum(bool(shift.odd_columns(batch)) for batch in batches) <= 4


@pytest.mark.parametrize("by", [0.05, 12, 1000])
@pytest.mark.parametrize("n_features", [4, 8, 16])
def test_one_changed_column_is_named_wherever_it_raises_the_warning(n_features, by):
    rng = np.random.default_rng(0)
    draw = correlated(rng, n_features)
    shift = fit([draw(200) for _ in range(12)])
    named, odd = 0, 0
    for _ in range(40):
        batch, column = draw(200), rng.integers(n_features)
        batch[:, column] *= by
        if shift.distance(batch) > module.UNFAMILIAR:
            odd += 1
            named += [c.position for c in shift.odd_columns(batch)] == [column]
    assert odd >= 36 or (n_features, by) == (16, 0.05)
    assert named >= 0.9 * odd


def test_a_column_is_named_by_its_place_among_all_where_only_some_are_looked_at(monkeypatch):
    monkeypatch.setattr(module, "_FEATURES", 6)
    trained = fit([domain(seed) for seed in range(8)])
    rows = domain(50)
    rows[:, trained.ruler.features[2]] *= 50
    (odd,) = trained.odd_columns(rows)
    assert odd.position == trained.ruler.features[2] == 4


def test_gross_values_in_an_odd_column_do_not_overflow(known):
    rows = 1e-300 * domain(50)
    rows[:, 3] *= 0.02
    rows[0, 3] = -np.finfo(np.float64).max
    (odd,) = known.odd_columns(rows)
    assert odd.position == 3
    assert 0.01 < odd.ratio < 0.04


@pytest.mark.parametrize("other", [1, 0, 1e-250, 1e250])
@pytest.mark.parametrize("factor", [0, 1e-300, 1e-100, 1e-3, 1e20, 1e150, 1e300])
def test_columns_of_any_size_are_named_without_a_warning_of_numpy(known, factor, other):
    rows = domain(99)
    rows[:, 2] *= factor
    rows[:, 0] *= other
    odd = known.odd_columns(rows)
    assert all(column.ratio >= 0 for column in odd)
    if other == 1 and factor > 1:  # a column that varies little is not missed when it varies less
        assert [column.position for column in odd] == [2]


def test_columns_are_looked_for_only_where_a_warning_is_given(known, monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(module.DomainShift, "odd_columns", refuse)
    warn(known, scored([domain(1), domain(80)], [0, 1]))
    with pytest.raises(AssertionError):
        warn(known, scored([domain(1)[:, ::-1]], [0]))


# ------------------------------------------------------------------ anomalies and true changes


def correlated(rng, n_features):
    """Function n_rows -> rows of a domain, all domains being alike."""
    mix = np.eye(n_features) + 0.3 * rng.normal(size=(n_features, n_features))
    mix *= np.exp(rng.normal(size=n_features))
    return lambda n_rows: rng.normal(size=(n_rows, n_features)) @ mix


def warned(shift, batches):
    return sum(shift.distance(batch) > module.UNFAMILIAR for batch in batches)


@pytest.mark.parametrize("n_rows", [30, 200])
@pytest.mark.parametrize("n_features", [4, 8, 32, 64])
@pytest.mark.parametrize("kind", ["cluster", "scattered", "narrow"])
def test_anomalies_do_not_make_a_batch_unfamiliar(n_features, n_rows, kind):
    rng = np.random.default_rng(0)
    draw = correlated(rng, n_features)
    shift = fit([draw(200) for _ in range(12)])
    spread = draw(2000).std(axis=0)
    assert warned(shift, (draw(n_rows) for _ in range(40))) <= 2
    for share in (0.1, 1 / 3):
        for n_columns in (1, n_features // 2, n_features):
            for by in (2, 4, 6, 12):
                batches = []
                for _ in range(40):
                    batch, columns = draw(n_rows), rng.permutation(n_features)[:n_columns]
                    size = int(share * n_rows)
                    if kind == "scattered":
                        batch[:size, columns] += (
                            by * spread[columns] * rng.normal(size=(size, n_columns))
                        )
                    else:
                        batch[:size, columns] += by * spread[columns]
                    if kind == "narrow":
                        # A tenth as wide as the normal rows, in all features.
                        middle = batch[:size].mean(axis=0)
                        batch[:size] = middle + 0.1 * (batch[:size] - middle)
                    batches.append(rng.permutation(batch))
                assert warned(shift, batches) <= 2, (share, n_columns, by)


@pytest.mark.parametrize("n_rows", [60, 200])
@pytest.mark.parametrize("n_features", [8, 32, 64])
def test_permuted_and_rescaled_features_are_unfamiliar(n_features, n_rows):
    rng = np.random.default_rng(0)
    draw = correlated(rng, n_features)
    shift = fit([draw(200) for _ in range(12)])
    permuted = (draw(n_rows)[:, rng.permutation(n_features)] for _ in range(40))
    rescaled = (draw(n_rows) * np.exp(rng.normal(size=n_features)) for _ in range(40))
    assert warned(shift, permuted) >= 36
    assert warned(shift, rescaled) >= 36


@pytest.mark.parametrize("n_rows", [30, 60, 200])
def test_a_third_of_the_rows_in_a_tight_cluster_is_not_unfamiliar_in_few_features(n_rows):
    # Where the cluster passed for the middle half, 4 of 40 were named in one of these at 30 rows.
    for seed in range(3):
        rng = np.random.default_rng((seed, 4))
        draw = correlated(rng, 4)
        shift = fit([draw(200) for _ in range(12)])
        spread = draw(2000).std(axis=0)
        for n_columns in (1, 2, 4):
            batches = []
            for _ in range(40):
                batch, columns = draw(n_rows), rng.permutation(4)[:n_columns]
                batch[: n_rows // 3, columns] += 2 * spread[columns]
                middle = batch[: n_rows // 3].mean(axis=0)
                batch[: n_rows // 3] = middle + 0.1 * (batch[: n_rows // 3] - middle)
                batches.append(rng.permutation(batch))
            assert warned(shift, batches) <= 2, (seed, n_columns)


@pytest.mark.parametrize(("n_features", "before", "least"), [(4, 156, 161), (6, 178, 184)])
def test_most_rescaled_batches_of_few_features_are_unfamiliar(n_features, before, least):
    named = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        draw = correlated(rng, n_features)
        shift = fit([draw(200) for _ in range(12)])
        scales = (np.exp(rng.normal(size=n_features)) for _ in range(20))
        named += warned(shift, (draw(200) * scale for scale in scales))
    # So many were before, with room for what a tight cluster did to the spreads.
    assert named >= least > before


def test_permuted_features_of_equal_spread_are_unfamiliar_where_they_are_mixed():
    named = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        mix = np.eye(8) + 0.3 * rng.normal(size=(8, 8))
        shift = fit([rng.normal(size=(200, 8)) @ mix for _ in range(12)])
        batches = (rng.normal(size=(200, 8)) @ mix for _ in range(20))
        named += warned(shift, (batch[:, rng.permutation(8)] for batch in batches))
    assert named >= 90  # 87 with the room of before


@pytest.mark.parametrize("by", [2, 4, 8])
def test_off_by_a_constant_in_one_column_of_a_domain_that_differs_in_its_mean_only(by):
    rng = np.random.default_rng(0)
    mix = np.eye(8) + 0.3 * rng.normal(size=(8, 8))

    def draw():
        return rng.normal(size=(200, 8)) @ mix + rng.normal(0, 4, 8)

    shift = fit([draw() for _ in range(12)])
    batches = [draw() for _ in range(40)]
    assert warned(shift, batches) <= 2
    for batch in batches:
        batch[:66, rng.integers(8)] += by
    assert warned(shift, batches) <= 2


def test_tied_columns_with_anomalies_are_not_unfamiliar():
    rng = np.random.default_rng(0)

    def draw():
        rows = np.round(rng.normal(size=(200, 8)) * [1, 1, 2, 2, 4, 4, 8, 8])
        kinds = np.eye(4)[rng.choice(4, 200, p=[0.7, 0.2, 0.05, 0.05])]
        return np.hstack([rows, kinds])

    shift = fit([draw() for _ in range(12)])
    batches = [draw() for _ in range(40)]
    spread = draw().std(axis=0)
    assert warned(shift, batches) <= 2
    assert warned(shift, [batch[:, ::-1] for batch in batches]) >= 36
    for batch in batches:
        column = rng.integers(12)
        batch[:60, column] += 6 * spread[column]
    assert warned(shift, batches) <= 2


def test_digits_are_familiar_with_anomalies_and_unfamiliar_with_permuted_pixels():
    pixels, digit = load_digits(return_X_y=True)
    rng = np.random.default_rng(1)
    familiar, permuted = [], []
    for unseen in range(10):
        other = (unseen + 1) % 10
        seen = [pixels[digit == d] for d in range(10) if d not in (unseen, other)]
        shift = fit(seen)
        for n_rows in (16, 30, 60, 150):
            clean = rng.permutation(pixels[digit == unseen])[:n_rows]
            natural, moved = clean.copy(), clean.copy()
            third, columns = n_rows // 3, rng.permutation(64)[:13]
            natural[:third] = pixels[digit == other][:third]
            moved[:third, columns] += 6 * clean[:, columns].std(axis=0)
            familiar += [shift.distance(batch) for batch in (clean, natural, moved)]
            permuted.append(shift.distance(clean[:, rng.permutation(64)]))
    assert np.mean(np.array(familiar) > module.UNFAMILIAR) <= 0.05
    assert np.mean(np.array(permuted) > module.UNFAMILIAR) >= 0.9


def test_rare_counts_vary_by_chance_more_than_normal_values():
    named = 0
    for seed in (0, 3):
        rng = np.random.default_rng(seed)

        def draw(n_rows, rng=rng):
            return rng.poisson([0.05, 0.1, 0.3, 1, 3, 10], size=(n_rows, 6)).astype(float)

        shift = fit([draw(200) for _ in range(12)])
        named += warned(shift, [draw(30) for _ in range(80)])
        assert warned(shift, [draw(200) for _ in range(40)]) <= 2
        assert warned(shift, [draw(200)[:, ::-1] for _ in range(40)]) >= 36
    # Chance as it is in normal values alone, by the square root of the rows, names 9.
    assert named <= 4


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8])
def test_rows_of_an_idle_machine_do_not_count(share):
    rng = np.random.default_rng(0)

    def draw(idle):
        rows = 2 + rng.normal(size=(200, 8)) * np.exp(np.linspace(-1, 1, 8))
        rows[: round(200 * idle)] = 0
        return rows

    shift = fit([draw(rng.uniform(0, 0.4)) for _ in range(12)])
    assert warned(shift, [draw(share) for _ in range(20)]) <= 1
    assert warned(shift, [draw(share)[:, ::-1] for _ in range(20)]) >= 18


@pytest.mark.parametrize("trained", [1e-300, 1.0, 1e300])
@pytest.mark.parametrize("scored", [1e-300, 1.0, 1e300])
def test_values_near_both_ends_of_the_numbers_are_measured_without_overflow(trained, scored):
    shift = fit([trained * domain(seed) for seed in range(6)])
    rows = scored * domain(50)
    rows[0, 0], rows[1, 1] = 8e307, -8e307
    assert shift.distance(rows) < 1.2
    assert np.isfinite(shift.spread_of(rows)).all()


def test_large_batches_cost_what_a_sample_costs():
    rng = np.random.default_rng(0)
    shift = fit([rng.normal(size=(200, 64)) for _ in range(12)])
    sample, times = rng.normal(size=(512, 64)), {}
    batch = np.tile(sample, (100, 1))
    for rows in (sample, batch):
        costs = []
        for _ in range(20):
            start = time.perf_counter()
            shift.distance(rows)
            costs.append(time.perf_counter() - start)
        times[len(rows)] = np.median(costs)
    assert times[51200] < 5 * times[512]
    assert warned(shift, [batch]) == 0
