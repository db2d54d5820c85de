"""Dissimilarity against brute force in double precision, and against figures CAST publishes."""

from __future__ import annotations

import doctest
import sqlite3

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist
from soil_moisture_mapper.plugin.core import kernel_cache
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError
from soil_moisture_mapper.plugin.core.stations.similarity import dissimilarity, neighbours
from soil_moisture_mapper.plugin.core.stations.similarity.dissimilarity import (
    covariate_space,
    threshold,
)

NAMES = ("clay", "sand", "slope", "smap", "vv")
ENGINES = ("compiled", "numpy")


@pytest.fixture(params=ENGINES)
def any_engine(request, monkeypatch):
    if request.param == "compiled":
        pytest.importorskip("numba")
        monkeypatch.delenv(kernel_cache.SWITCH, raising=False)
    else:
        monkeypatch.setenv(kernel_cache.SWITCH, "numpy")
    yield request.param
    assert (neighbours.chosen_kernels() is None) == (request.param == "numpy")


def make(n=700, seed=1, columns=5):
    """Rows of stations: some covariates are the same on all days of a station."""
    rng = np.random.default_rng(seed)
    station = np.arange(n) % 35
    X = rng.normal(size=(n, columns)) * np.logspace(-2, 3, columns)
    X[:, :2] = rng.normal(size=(35, 2))[station]
    return X.astype(np.float32), station % 5


def brute(X, new, weight, fold, rule):
    """Everything by the whole matrix of distances."""
    X, new = np.asarray(X, float), np.asarray(new, float)
    weight = np.maximum(weight, 0)
    mean, sd = X.mean(axis=0), X.std(axis=0, ddof=1)
    P, Q = (X - mean) / sd * weight, (new - mean) / sd * weight
    average = pdist(P).mean()
    own = cdist(P, P) / average
    own[fold[:, None] == fold[None, :]] = np.inf
    training = own.min(axis=1)
    low, high = np.percentile(training, [25, 75])
    fence = high + 1.5 * (high - low)
    limit = {
        "fence": min(fence, training.max()),
        "whisker": training[training <= fence].max(),
    }[rule]
    apart = cdist(Q, P) / average
    return average, training, limit, apart.min(axis=1), (apart < limit).sum(axis=1)


@pytest.mark.parametrize("rule", ["fence", "whisker"])
@pytest.mark.parametrize(
    "weight", [np.ones(5), np.array([0.001, -0.2, 0.0, 0.02, 0.004])], ids=["equal", "importance"]
)
def test_equals_brute_force(any_engine, weight, rule):
    X, fold = make()
    new = make(1000, seed=2)[0] * 1.3
    space = covariate_space(X, NAMES, weight=weight, fold=fold)
    average, training, limit, di, lpd = brute(X, new, weight, fold, rule)
    assert space.mean_distance == pytest.approx(average, rel=1e-12)
    np.testing.assert_allclose(space.training_dissimilarity(), training, rtol=1e-9, atol=1e-12)
    own = threshold(space.training_dissimilarity(), rule)
    assert own == pytest.approx(limit, rel=1e-9)
    np.testing.assert_allclose(space.dissimilarity(new), di, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(space.local_density(new, own), lpd)
    assert 0 < lpd.min() + lpd.max() < 2 * len(X)


@pytest.mark.parametrize("columns", [1, 3, 4, 9])
@pytest.mark.parametrize("rows", [2, 15, 16, 17, 33, 400])
def test_any_number_of_rows_and_covariates(any_engine, rows, columns):
    X = np.random.default_rng(rows).normal(size=(rows, columns))
    new = np.random.default_rng(7).normal(size=(50, columns))
    names = [f"c{i}" for i in range(columns)]
    space = covariate_space(X, names, fold=np.arange(rows))
    fold = np.arange(rows)
    _, training, _, di, _ = brute(X, new, np.ones(columns), fold, "fence")
    np.testing.assert_allclose(space.training_dissimilarity(), training, rtol=1e-9)
    np.testing.assert_allclose(space.dissimilarity(new), di, rtol=1e-9)
    plain = covariate_space(X, names).training_dissimilarity()
    np.testing.assert_allclose(plain, training, rtol=1e-9)
    everything = space.local_density(new, 1e9)
    np.testing.assert_array_equal(everything, rows)


def test_engines_count_the_same_where_rows_lie_on_the_threshold(monkeypatch):
    pytest.importorskip("numba")
    X = np.array(np.meshgrid(*[np.arange(6.0)] * 3)).reshape(3, -1).T
    space = covariate_space(X, "abc", fold=np.arange(len(X)))
    limit = threshold(space.training_dissimilarity())
    counts = [space.local_density(X, limit)]
    monkeypatch.setenv(kernel_cache.SWITCH, "numpy")
    counts.append(space.local_density(X, limit))
    np.testing.assert_array_equal(*counts)
    np.testing.assert_array_equal(counts[0], 1)  # itself; the next lie at the threshold, not below


def test_training_row_has_no_dissimilarity(any_engine):
    X, fold = make()
    assert (covariate_space(X, NAMES, fold=fold).dissimilarity(X) == 0).all()


def test_results_do_not_depend_on_what_else_is_asked(any_engine):
    X, fold = make()
    new = make(500, seed=5)[0]
    space = covariate_space(X, NAMES, fold=fold)
    whole = space.measure(new, 0.4)
    order = np.random.default_rng(0).permutation(len(new))
    for size in (1, 7, 100):
        for start in range(0, 200, size):
            some = order[start : start + size]
            di, lpd = space.measure(new[some], 0.4)
            np.testing.assert_array_equal(di, whole[0][some])
            np.testing.assert_array_equal(lpd, whole[1][some])


@settings(max_examples=25, deadline=None)
@given(
    factor=st.lists(st.floats(-1e3, 1e3).filter(lambda v: abs(v) > 1e-3), min_size=5, max_size=5),
    shift=st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=5),
    overall=st.floats(1e-6, 1e6),
)
def test_units_of_covariates_and_importance_do_not_matter(factor, shift, overall):
    X, fold = make(120)
    new = make(40, seed=9)[0]
    X, new = X.astype(float), new.astype(float)
    weight = np.array([1.0, 0.5, 2.0, 0.0, 0.1])
    first = covariate_space(X, NAMES, weight=weight, fold=fold)
    second = covariate_space(X * factor + shift, NAMES, weight=weight * overall, fold=fold)
    np.testing.assert_allclose(
        second.dissimilarity(new * factor + shift), first.dissimilarity(new), rtol=1e-5, atol=1e-6
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 3.0), st.floats(0.01, 3.0))
def test_a_larger_threshold_never_takes_a_place_or_a_row_away(seed, one, other):
    X, fold = make(150)
    new = make(50, seed=seed)[0]
    space = covariate_space(X, NAMES, fold=fold)
    small, large = sorted((one, other))
    assert (space.local_density(new, small) <= space.local_density(new, large)).all()


def test_order_of_rows_and_covariates_changes_nothing():
    X, fold = make(6000)
    new = make(50, seed=3)[0]
    weight = np.array([1.0, 0.5, 2.0, 0.0, 0.1])
    first = covariate_space(X, NAMES, weight=weight, fold=fold, seed=3)
    rows = np.random.default_rng(0).permutation(len(X))
    columns = [3, 0, 4, 2, 1]
    second = covariate_space(
        X[rows][:, columns],
        [NAMES[c] for c in columns],
        weight=weight[columns],
        fold=fold[rows],
        seed=3,
    )
    assert second.mean_distance == pytest.approx(first.mean_distance, rel=1e-12)
    np.testing.assert_allclose(
        second.dissimilarity(new[:, columns]), first.dissimilarity(new), rtol=1e-9
    )
    np.testing.assert_allclose(
        second.training_dissimilarity(), first.training_dissimilarity()[rows], rtol=1e-9
    )


def test_mean_distance_of_many_rows_is_drawn_by_seed():
    X = make(6000)[0]
    exact = covariate_space(X[:5000], NAMES)
    scaled = (X[:5000] - X[:5000].astype(float).mean(0)) / X[:5000].astype(float).std(0, ddof=1)
    assert exact.mean_distance == pytest.approx(pdist(scaled).mean(), rel=1e-9)
    drawn = [covariate_space(X, NAMES, seed=seed).mean_distance for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] == pytest.approx(drawn[2], rel=0.02)


def test_constant_covariates_are_dropped_and_listed():
    X, fold = make()
    more = np.column_stack([X[:, :2], np.full(len(X), 0.1, np.float32), X[:, 2:]])
    names = [*NAMES[:2], "depth", *NAMES[2:]]
    space = covariate_space(more, names, weight=[1, 2, 9, 3, 4, 5], fold=fold)
    assert space.dropped == ("depth",)
    assert space.names == NAMES
    plain = covariate_space(X, NAMES, weight=[1, 2, 3, 4, 5], fold=fold)
    np.testing.assert_array_equal(space.dissimilarity(more + 1), plain.dissimilarity(X + 1))


def test_negative_weights_count_as_nothing_and_none_at_all_as_equal():
    X, fold = make()
    new = make(20, seed=4)[0]
    equal = covariate_space(X, NAMES, fold=fold).dissimilarity(new)
    for weight in ([0, 0, 0, 0, 0], [-1, 0, -3, 0, 0]):
        same = covariate_space(X, NAMES, weight=weight, fold=fold)
        np.testing.assert_array_equal(same.dissimilarity(new), equal)
    one = covariate_space(X, NAMES, weight=[0, -1, 2, -3, 0], fold=fold)
    alone = covariate_space(X[:, [2]], NAMES[2:3], fold=fold)
    np.testing.assert_allclose(one.dissimilarity(new), alone.dissimilarity(new[:, [2]]), rtol=1e-12)


def test_missing_covariate_is_missing_even_without_weight():
    X, fold = make()
    space = covariate_space(X, NAMES, weight=[1, 1, 1, 1, 0], fold=fold)
    new = X[:4].copy()
    new[0, 4], new[1, 0], new[2, 2] = np.nan, np.inf, -np.inf
    di, lpd = space.measure(new, 0.5)
    assert np.isnan(di).tolist() == np.isnan(lpd).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        ("fence", [0, 1, 2, 3, 4, 20], 3.75 + 1.5 * 2.5),  # quartiles 1.25 and 3.75
        ("whisker", [0, 1, 2, 3, 4, 20], 4),
        ("fence", [0, 1, 2, 3, 4], 4),  # the fence, 6, lies above the largest
        ("whisker", [0, 1, 2, 3, 4], 4),
        ("fence", [2, 2, 2], 2),
    ],
)
def test_threshold_rules(rule, values, expected):
    assert threshold(np.array(values, float), rule) == expected


def test_search_can_be_cancelled(any_engine):
    def stop():
        raise Cancelled

    X, fold = make()
    space = covariate_space(X, NAMES, fold=fold)
    with pytest.raises(Cancelled):
        space.measure(X, 0.5, stop)
    with pytest.raises(Cancelled):
        space.training_dissimilarity(stop)
    with pytest.raises(Cancelled):
        covariate_space(X, NAMES).training_dissimilarity(stop)


def refused(message, *arguments, **more):
    with pytest.raises(InputError, match=message):
        covariate_space(*arguments, **more)


def test_wrong_input():
    X, fold = make()
    refused("same in every row: clay, sand", np.ones((3, 2)), ["clay", "sand"])
    refused("There are 1 rows", X[:1], NAMES)
    refused("2 covariates are named", X, NAMES[:2])
    refused("as many finite weights", X, NAMES, weight=[1, 2])
    refused("as many finite weights", X, NAMES, weight=[1, 2, 3, 4, np.nan])
    refused("700 rows need as many folds, there are 3", X, NAMES, fold=fold[:3])
    hole = X.copy()
    hole[3, 2] = np.nan
    refused("missing in the covariates slope", hole, NAMES)
    with pytest.raises(InputError, match="All rows are in fold 2"):
        covariate_space(X, NAMES, fold=np.full(len(X), 2)).training_dissimilarity()
    with pytest.raises(InputError, match=r"shape \(700, 3\), the space has 5 covariates"):
        covariate_space(X, NAMES).dissimilarity(X[:, :3])
    with pytest.raises(InputError, match="The rule 'median' is unknown"):
        threshold(np.ones(3), "median")


def test_switch_is_that_of_the_forests(monkeypatch):
    monkeypatch.setenv(kernel_cache.SWITCH, "numpy")
    assert neighbours.chosen_kernels() is None


@pytest.fixture
def fresh_kernels(monkeypatch):
    fresh = kernel_cache.Kernels("neighbours_compiled", neighbours.__package__)
    monkeypatch.setattr(neighbours, "_kernels", fresh)


def test_works_without_numba(monkeypatch, fresh_kernels):
    monkeypatch.setattr(kernel_cache, "find_spec", lambda name: None)
    assert neighbours.chosen_kernels() is None
    index = neighbours.NeighbourIndex(np.arange(9.0)[:, None])
    nearest, count = index.search(np.array([[2.25]]), 1.0)
    assert (nearest.item(), count.item()) == (0.25, 2)


def test_works_with_a_numba_that_cannot_compile(monkeypatch, fresh_kernels):
    pytest.importorskip("numba")
    kernels = neighbours.chosen_kernels()

    def fail(*arguments):
        raise kernels.NumbaError("unknown version")

    monkeypatch.setattr(kernels, "search_groups", fail)
    index = neighbours.NeighbourIndex(np.arange(9.0)[:, None])
    assert index.search(np.array([[2.25]]), 1.0)[1].item() == 2
    assert neighbours.chosen_kernels() is None


def test_published_figures_of_cast(shared_data):
    """CAST's tests, ``aoa`` without a trained model on Cook Farm (tests/testthat/test-aoa.R).

    https://github.com/HannaMeyer/CAST: 30 loggers, DEM, NDRE.Sd and TWI, no weights, no folds;
    threshold 0.52872, 3377 cells inside, quartiles of the DI, LPD of the loggers.
    """
    farm = shared_data / "cookfarm"
    with sqlite3.connect(farm / "stations.gpkg") as tables:
        places = tables.execute(
            "SELECT Easting, Northing FROM stations ORDER BY station LIMIT 30"
        ).fetchall()
    with rasterio.open(farm / "covariates.tif") as dataset:
        bands = [dataset.descriptions.index(name) + 1 for name in ("DEM", "NDRE.Sd", "TWI")]
        X = np.array(list(dataset.sample(places, bands)))
        cells = dataset.read(bands).reshape(3, -1).T
    space = covariate_space(X, ["DEM", "NDRE.Sd", "TWI"])
    limit = threshold(space.training_dissimilarity(), "fence")
    assert round(limit, 5) == 0.52872
    di, lpd = space.measure(cells, limit)
    assert np.isnan(di).sum() == 1993
    assert (di <= limit).sum() == 3377
    summary = [*np.nanquantile(di, [0, 0.25, 0.5, 0.75, 1]), np.nanmean(di)]
    assert np.round(summary, 4).tolist() == [0.0, 0.1759, 0.2642, 0.4051, 2.6631, 0.3109]
    assert (lpd[di > limit] == 0).all()
    others = space.local_density(X, limit) - 1  # less the logger itself
    assert others.astype(int).tolist() == [
        *(7, 9, 12, 1, 12, 12, 4, 2, 8, 10, 6, 1, 3, 4, 11),
        *(9, 9, 7, 5, 5, 6, 5, 0, 5, 9, 8, 4, 11, 3, 2),
    ]


def test_doctest():
    assert doctest.testmod(dissimilarity).failed == 0
