"""Searching among points, compiled and not, against all distances by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from soil_moisture_mapper.plugin.core import kernel_cache
from soil_moisture_mapper.plugin.core.errors import Cancelled
from soil_moisture_mapper.plugin.core.stations.similarity import neighbours, neighbours_plain
from soil_moisture_mapper.plugin.core.stations.similarity.dissimilarity import TIE, covariate_space
from soil_moisture_mapper.plugin.core.stations.similarity.neighbours import NeighbourIndex

ENGINES = ("compiled", "numpy")


@pytest.fixture(params=ENGINES)
def any_engine(request, monkeypatch):
    use(request.param, monkeypatch)


def use(engine, monkeypatch):
    if engine == "compiled":
        pytest.importorskip("numba")
        monkeypatch.delenv(kernel_cache.SWITCH, raising=False)
    else:
        monkeypatch.setenv(kernel_cache.SWITCH, "numpy")


def all_distances(points, queries):
    """Return distances by sums of squared differences, and none that rounding makes equal."""
    return cdist(queries, points)


def free_radius(apart, wanted):
    """Return a radius near the one wanted that no distance comes near."""
    values = np.unique(np.r_[0.0, apart.ravel(), wanted, 2 * wanted])
    gaps = np.diff(values)
    wide = np.flatnonzero(gaps > 1e-6 * values[1:])
    middles = values[wide] + gaps[wide] / 2
    return middles[np.argmin(np.abs(middles - wanted))]


def station_days(rng, stations, days, static, daily, dynamic):
    """Return rows of stations × days: constant at a station, the same everywhere, and neither."""
    parts = (
        np.repeat(rng.normal(size=(stations, static)), days, axis=0),
        np.tile(rng.normal(size=(days, daily)), (stations, 1)),
        rng.normal(size=(stations * days, dynamic)),
    )
    points = np.concatenate(parts, axis=1)
    return points[:, rng.permutation(points.shape[1])]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    stations=st.integers(1, 12),
    days=st.sampled_from([1, 5, 20, 45]),
    kinds=st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(0, 6)).filter(any),
    constant=st.integers(0, 2),
    repeated=st.booleans(),
    rounded=st.sampled_from([None, 1]),
    quantile=st.floats(0.0, 1.0),
    engine=st.sampled_from(ENGINES),
)
def test_equals_all_distances(
    seed, stations, days, kinds, constant, repeated, rounded, quantile, engine
):
    rng = np.random.default_rng(seed)
    points = station_days(rng, stations, days, *kinds)
    points = np.concatenate([points, np.full((len(points), constant), 0.7)], axis=1)
    queries = np.concatenate([rng.normal(size=(70, points.shape[1])), points[:10]])
    if rounded is not None:  # many equal values, and distances
        points, queries = points.round(rounded), queries.round(rounded)
    if repeated:
        points = np.concatenate([points, points[: len(points) // 2 + 1]])
    apart = all_distances(points, queries)
    radius = free_radius(apart, np.quantile(apart, quantile))
    fold = rng.integers(0, 3, len(points))
    with pytest.MonkeyPatch.context() as patch:
        use(engine, patch)
        index = NeighbourIndex(points, fold)
        nearest, counts = index.search(queries, radius)
        outside, other = index.nearest_outside(), index.nearest_other()
    np.testing.assert_allclose(nearest, apart.min(axis=1), rtol=1e-9)
    np.testing.assert_array_equal(counts, (apart < radius).sum(axis=1))
    own = all_distances(points, points)
    elsewhere = np.where(fold[:, None] == fold[None, :], np.inf, own).min(axis=1)
    np.testing.assert_allclose(outside, elsewhere, rtol=1e-9)
    np.fill_diagonal(own, np.inf)
    np.testing.assert_allclose(other, own.min(axis=1), rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), engine=st.sampled_from(ENGINES))
def test_space_of_equal_weights_equals_brute_force(seed, engine):
    rng = np.random.default_rng(seed)
    X = station_days(rng, 30, 40, 12, 2, 6).astype(np.float32)
    new = np.cumsum(rng.normal(size=(150, 20)) * 0.1, axis=0).astype(np.float32)  # smooth
    with pytest.MonkeyPatch.context() as patch:
        use(engine, patch)
        space = covariate_space(X, [f"c{i}" for i in range(20)])
        apart = all_distances(space.points, space.locate(new)) / space.mean_distance
        limit = float(np.quantile(apart, 0.05))
        di, density = space.measure(new, limit)
    np.testing.assert_allclose(di, apart.min(axis=1), rtol=1e-9)
    np.testing.assert_array_equal(density, (apart < limit * (1 - TIE)).sum(axis=1))


def test_one_point(any_engine):
    index = NeighbourIndex(np.array([[1.0, 2.0, 2.0]]), np.array([4]))
    nearest, counts = index.search(np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]]), 2.0)
    assert nearest.tolist() == [3.0, 0.0] and counts.tolist() == [0, 1]
    assert np.isinf(index.nearest_outside()) and np.isinf(index.nearest_other())


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e7])
def test_far_from_zero_and_close_together(any_engine, offset):
    rng = np.random.default_rng(0)
    points = offset + rng.normal(size=(900, 6)) * 1e-3
    queries = np.concatenate([points[:50] + rng.normal(size=(50, 6)) * 1e-8, points[:50]])
    apart = all_distances(points, queries)
    radius = free_radius(apart, np.quantile(apart, 0.2))
    nearest, counts = NeighbourIndex(points).search(queries, radius)
    np.testing.assert_allclose(nearest, apart.min(axis=1), rtol=1e-9)
    np.testing.assert_array_equal(counts, (apart < radius).sum(axis=1))
    assert (nearest[50:] == 0).all()


def test_query_far_from_all_points(any_engine):
    rng = np.random.default_rng(1)
    points = rng.normal(size=(2000, 5))
    queries = rng.normal(size=(20, 5)) * np.logspace(0, 12, 20)[:, None]
    nearest, counts = NeighbourIndex(points).search(queries, 1.0)
    apart = all_distances(points, queries)
    np.testing.assert_allclose(nearest, apart.min(axis=1), rtol=1e-9)
    np.testing.assert_array_equal(counts, (apart < 1.0).sum(axis=1))


@pytest.mark.parametrize(
    ("stations", "days", "kinds", "shared"),
    [
        (20, 40, (5, 0, 3), 5),  # stations
        (20, 40, (1, 4, 3), 4),  # days, which more coordinates share
        (20, 1, (5, 0, 3), 0),  # no row shares anything
    ],
)
def test_shared_coordinates_are_found(stations, days, kinds, shared):
    points = station_days(np.random.default_rng(3), stations, days, *kinds)
    axes = neighbours._find_axes(points)
    assert len(axes.shared) == shared
    assert len(axes.own) == points.shape[1] - shared
    assert axes.cells == (1 if not shared else len(np.unique(points[:, axes.shared], axis=0)))


def test_many_queries_and_rows_cross_the_tiles_of_the_plain_search(monkeypatch):
    monkeypatch.setattr(neighbours_plain, "_QUERIES", 7)
    monkeypatch.setattr(neighbours_plain, "_ROWS", 11)
    monkeypatch.setattr(neighbours_plain, "_PAIRS", 13)
    rng = np.random.default_rng(4)
    points, queries = rng.normal(size=(100, 3)), rng.normal(size=(50, 3))
    queries[:20] = points[:20] + 1e-9  # products cannot tell
    square, counts = neighbours_plain.search_plain(points, queries, 1.0, lambda: None)
    apart = all_distances(points, queries)
    np.testing.assert_allclose(np.sqrt(square), apart.min(axis=1), rtol=1e-9)
    np.testing.assert_array_equal(counts, (apart < 1.0).sum(axis=1))


def test_both_engines_can_be_cancelled(any_engine):
    def stop():
        raise Cancelled

    with pytest.raises(Cancelled):
        NeighbourIndex(np.zeros((3, 2))).search(np.zeros((1, 2)), 1.0, stop)
