"""Folds by nearest-neighbour distance: the numbers of definitions, and known laws."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from raster_files import write_raster
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.evaluation.reports.folds_report import folds_report
from soil_moisture_mapper.plugin.core.progress import RecordingProgress
from soil_moisture_mapper.plugin.core.stations.folds.distance_matching import (
    clustering_p,
    distance_mismatch,
    distances_across,
    distances_between,
    distances_to,
    match_folds,
    merge_clusters,
    metric_points,
    station_places,
)
from soil_moisture_mapper.plugin.core.stations.folds.distance_matching_domain import (
    Domain,
    point_domain,
    polygon_domain,
    raster_domain,
)
from soil_moisture_mapper.plugin.core.stations.folds.splits import split_stations, station_folds
from soil_moisture_mapper.plugin.core.stations.folds.splits_facts import split_facts
from soil_moisture_mapper.plugin.core.stations.table import Table

UTM = "EPSG:32632"
SIDE = 100_000.0


def clustered(rng, clusters=8, each=12, spread=2000.0):
    """Stations in close groups within the square, and a domain that is the whole of it."""
    centres = rng.uniform(0, SIDE, (clusters, 2))
    stations = np.repeat(centres, each, axis=0) + rng.normal(0, spread, (clusters * each, 2))
    return stations, rng.uniform(0, SIDE, (1000, 2))


def names_of(n):
    return np.array([f"s{i:03d}" for i in range(n)], dtype=object)


def table_of(points, days=1, crs=UTM):
    names = np.repeat(names_of(len(points)), days)
    x, y = np.repeat(points, days, axis=0).T
    return Table({"station": names}, 500000 + x, 5500000 + y, crs)


def domain_of(points):
    return Domain(500000 + points[:, 0], 5500000 + points[:, 1], UTM, "points")


def fold_of(split):
    return dict(zip(split.text("station"), split.numeric("fold").astype(int)))


def test_distances_are_those_of_the_full_matrix():
    rng = np.random.default_rng(1)
    points, targets = rng.normal(size=(60, 2)), rng.normal(size=(80, 2))
    fold = rng.integers(1, 5, 60)
    to_targets = np.linalg.norm(points[:, None] - targets[None], axis=2)
    among = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.testing.assert_allclose(distances_to(points, targets), to_targets.min(axis=1))
    others = np.where(np.eye(60, dtype=bool), np.inf, among)
    np.testing.assert_allclose(distances_between(points), others.min(axis=1))
    across = np.where(fold[:, None] == fold[None], np.inf, among)
    np.testing.assert_allclose(distances_across(points, fold), across.min(axis=1))
    assert np.isinf(distances_across(points, np.ones(60))).all()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=30),
    st.lists(st.integers(0, 50), min_size=1, max_size=30),
)
def test_w_is_the_area_between_the_distribution_functions(first, second):
    first, second = np.array(first, float), np.array(second, float)
    steps = np.arange(0, 51) + 0.5  # whole numbers: both functions are flat around these
    between = np.abs(
        (first[:, None] <= steps).mean(axis=0) - (second[:, None] <= steps).mean(axis=0)
    )
    assert distance_mismatch(first, second) == pytest.approx(between.sum(), abs=1e-9)


def test_clustered_stations_get_folds_that_lie_as_far_as_the_map():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        stations, domain = clustered(rng)
        random = station_folds(names_of(len(stations)), 5, 42)
        found = match_folds(stations, domain, random)
        assert found.clusters > 0 and found.p < 0.05
        to_map = distances_to(domain, stations)
        # W of the folds returned, computed anew
        across = distances_across(stations, found.fold)
        assert found.w == pytest.approx(distance_mismatch(across, to_map))
        assert found.w < 0.6 * found.w_random
        assert np.median(across) > 3 * np.median(distances_across(stations, random))
        assert sorted(set(found.fold)) == [1, 2, 3, 4, 5]
        assert np.bincount(found.fold).max() <= len(stations) / 2


def test_stations_spread_like_the_map_keep_random_folds():
    kept = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        stations, domain = rng.uniform(0, SIDE, (80, 2)), rng.uniform(0, SIDE, (1000, 2))
        random = station_folds(names_of(80), 5, 42)
        found = match_folds(stations, domain, random)
        if found.p >= 0.05:
            assert found.clusters == 0
            np.testing.assert_array_equal(found.fold, random)
            kept += 1
    assert kept >= 15  # of 20, where the test errs in about 5 % of draws


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 8), st.integers(6, 40))
def test_any_layout_gives_folds_of_at_most_half_and_no_worse_than_random(seed, k, n):
    rng = np.random.default_rng(seed)
    stations = rng.normal(0, 1, (n, 2)) * 10.0 ** rng.integers(0, 5, (n, 1))
    random = station_folds(names_of(n), k, 1)
    found = match_folds(stations, rng.normal(3e4, 1e4, (200, 2)), random)
    sizes = np.bincount(found.fold)[1:]
    assert len(sizes) == min(k, n) and sizes.min() > 0 and sizes.max() <= n / 2
    assert found.w <= found.w_random


def test_merging_follows_the_axis_and_leaves_large_clusters_alone():
    cluster = np.array([0] * 6 + [1, 1, 2, 2, 3, 4])
    along = np.array([0.0] * 6 + [4, 4, 1, 1, 3, 2])
    # 12 stations, 3 folds: cluster 0 is one; then 2, 4, 3, 1 in turn
    merged = merge_clusters(cluster, along, 3)
    np.testing.assert_array_equal(merged, [1] * 6 + [3, 3, 2, 2, 2, 3])


def test_split_shares_folds_among_dates_and_is_blind_to_row_order():
    stations, domain = clustered(np.random.default_rng(3), clusters=6, each=8)
    table = table_of(stations, days=4)
    progress = RecordingProgress()
    given = {"method": "knndm", "folds": 4, "domain": domain_of(domain)}
    split = split_stations(table, progress=progress, **given)
    folds = fold_of(split)
    assert [folds[name] for name in split.text("station")] == split.numeric("fold").tolist()
    assert set(split.text("role")) == {"train"}
    assert any("clusters of stations: W is" in text for text in progress.messages)
    assert any("represented by 1000 points" in text for text in progress.messages)
    order = np.random.default_rng(0).permutation(len(table))
    assert fold_of(split_stations(table.take(order), **given)) == folds
    assert fold_of(split_stations(table, **given)) == folds


def test_degrees_are_measured_on_the_sphere():
    x, y = np.array([10.0, 11.0, -170.0, 179.9]), np.array([50.0, 50.0, 0.0, 0.0])
    points = metric_points(x, y, "EPSG:4326")
    # haversine between the first two
    a = np.cos(np.radians(50)) ** 2 * np.sin(np.radians(0.5)) ** 2
    expected = 2 * 6371007.2 * np.arcsin(np.sqrt(a))
    assert distances_between(points)[0] == pytest.approx(expected, rel=1e-9)
    # across the date line: 10.1 degrees of the equator
    assert distances_between(points)[2] == pytest.approx(np.radians(10.1) * 6371007.2, rel=1e-9)
    feet = metric_points(np.array([0.0, 1.0]), np.zeros(2), "EPSG:2263")
    assert distances_between(feet)[0] == pytest.approx(1200 / 3937)


def test_degrees_and_metres_give_the_same_folds():
    stations, domain = clustered(np.random.default_rng(5))
    table = table_of(stations)
    lon, lat = rasterio.warp.transform(UTM, "EPSG:4326", table.x, table.y)
    degrees = Table(table.columns, np.array(lon), np.array(lat), "EPSG:4326")
    given = {"method": "knndm", "domain": domain_of(domain)}
    first, second = (
        fold_of(split_stations(table, **given)),
        fold_of(split_stations(degrees, **given)),
    )
    # folds may be numbered from the other end of the axis
    together = [[one[a] == one[b] for a in one for b in one] for one in (first, second)]
    assert np.mean(np.array(together[0]) == np.array(together[1])) > 0.95


def test_positions_are_means_of_rows_and_stations_at_one_place_are_told():
    table = Table(
        {"station": ["b", "a", "a", "c", "d"]},
        [5.0, 0.0, 2.0, 5.0, np.nan],
        [5.0, 1.0, 1.0, 5.0, 0.0],
        UTM,
    )
    places = station_places(table, "station")
    assert places.names == ("a", "b", "c", "d")
    np.testing.assert_array_equal(places.x, [1, 5, 5, np.nan])
    np.testing.assert_array_equal(places.spread, [1, 0, 0, 0])
    assert places.same_place() == [("b", "c")]
    progress = RecordingProgress()
    stations, domain = clustered(np.random.default_rng(2), clusters=4, each=5)
    stations[1] = stations[0]
    stations[7] = np.nan
    split = split_stations(
        table_of(stations), method="knndm", domain=domain_of(domain), progress=progress
    )
    assert len(split) == 19
    assert any("1 stations without a position are left out: s007" in t for t in progress.warnings)
    assert any("at one place (s000 and s001)" in text for text in progress.warnings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"domain": None}, "knndm needs DOMAIN"),
        ({"folds": 2}, "No fold may hold more than half of the stations: take 3"),
    ],
)
def test_wrong_settings_are_refused(given, message):
    stations, domain = clustered(np.random.default_rng(2), clusters=4, each=5)
    with pytest.raises(InputError, match=message):
        split_stations(
            table_of(stations), **{"method": "knndm", "domain": domain_of(domain), **given}
        )


def test_a_domain_without_place_or_a_table_without_points_is_refused():
    stations, domain = clustered(np.random.default_rng(2), clusters=4, each=5)
    nowhere = Domain(np.array([np.inf]), np.array([0.0]), "EPSG:4326", "points")
    with pytest.raises(InputError, match="DOMAIN has no place"):
        split_stations(table_of(stations), method="knndm", domain=nowhere)
    plain = Table({"station": names_of(9)})
    with pytest.raises(InputError, match="names 0 station"):
        split_stations(plain, method="knndm", domain=domain_of(domain))


def test_raster_domain_has_points_where_there_are_values_and_by_area(tmp_path):
    values = np.ones((180, 40), np.float32)
    values[:, 20:] = np.nan
    path = tmp_path / "globe.tif"
    place = {"crs": "EPSG:4326", "cell": 1, "corner": (0, 90), "nodata": np.nan}
    write_raster(path, values, dtype="float32", **place)
    domain = raster_domain(path, 5000, np.random.default_rng(0))
    assert len(domain.x) == 5000 and domain.x.min() > 0 and domain.x.max() < 20
    # half of a sphere lies within 30 degrees of its equator; SD of the share is 0.007
    assert np.mean(np.abs(domain.y) <= 30) == pytest.approx(0.5, abs=0.03)
    with rasterio.open(path, "r+") as dataset:
        dataset.write(np.full_like(values, np.nan), 1)
    with pytest.raises(InputError, match=r"DOMAIN: of 400 points in the raster 'globe.tif' none"):
        raster_domain(path, 10, np.random.default_rng(0))


def test_point_and_polygon_domains_draw_by_seed_and_area():
    x = np.array([3.0, 1.0, np.nan, 2.0])
    kept = point_domain(x, x, UTM, 10, np.random.default_rng(0))
    np.testing.assert_array_equal(kept.x, [1, 2, 3])
    again = point_domain(np.tile(x, 3), np.tile(x, 3), UTM, 10, np.random.default_rng(0))
    np.testing.assert_array_equal(again.x, kept.x)
    few = point_domain(x, x, UTM, 2, np.random.default_rng(0))
    assert len(few.x) == 2 and set(few.x) < {1.0, 2.0, 3.0}
    with pytest.raises(InputError, match="DOMAIN holds no point"):
        point_domain(x[2:3], x[2:3], UTM, 2, np.random.default_rng(0))

    def draw(place, count):
        return np.full(count, place), np.zeros(count)

    domain = polygon_domain(np.array([3.0, 0.0, 1.0]), draw, UTM, 4000, np.random.default_rng(0))
    assert np.mean(domain.x == 0) == pytest.approx(0.75, abs=0.03) and not (domain.x == 1).any()
    with pytest.raises(InputError, match="DOMAIN holds no area"):
        polygon_domain(np.zeros(2), draw, UTM, 10, np.random.default_rng(0))


def test_p_is_small_where_stations_lie_closer_than_the_map():
    near, far = np.linspace(0, 1, 50), np.linspace(5, 6, 100)
    # D+ = 1: exp(-2 D² nm / (n + m)) is the asymptotic p
    assert clustering_p(near, far) < 1e-20 < 0.99 < clustering_p(far, near)
    large = clustering_p(np.linspace(0, 1, 200), np.linspace(0.1, 1.1, 300))
    d = 0.1
    assert large == pytest.approx(np.exp(-2 * d**2 * 200 * 300 / 500), rel=0.3)


def test_facts_of_roles_measure_from_those_that_validate_to_those_that_train():
    points = np.array([[0.0, 0], [100, 0], [1000, 0], [1300, 0]])
    table = table_of(points, days=2).with_columns(
        {"role": np.repeat(["train", "train", "validate", "validate"], 2)}
    )
    facts = split_facts(table, station="station")
    np.testing.assert_allclose(facts.distances.across, [900, 1200])
    np.testing.assert_allclose(facts.distances.between, [100, 100, 300, 300])
    assert facts.distances.w is None and facts.rows == {"train": 4, "validate": 4}
    spots = np.array([[-50.0, 0], [1400, 0]])
    facts = split_facts(table, station="station", domain=domain_of(spots))
    np.testing.assert_allclose(facts.distances.to_map, [50, 100])
    assert facts.distances.w == pytest.approx((900 - 50 + 1200 - 100) / 2)
    mixed = table.with_columns({"role": ["train", "validate"] * 4})
    assert split_facts(mixed, station="station").distances is None


@pytest.mark.parametrize("method", ["knndm", "random", "leave-network-out"])
@pytest.mark.parametrize("crs", [UTM, "EPSG:4326"])
def test_the_report_draws_every_kind_of_split(tmp_path, method, crs):
    stations, spots = clustered(np.random.default_rng(9), clusters=5, each=6)
    table = table_of(stations, days=2)
    table = table.with_columns({"network": np.repeat([f"<N{i // 6}>" for i in range(30)], 2)})
    if crs != UTM:
        lon, lat = rasterio.warp.transform(UTM, crs, table.x, table.y)
        table = Table(table.columns, np.array(lon), np.array(lat), crs)
    domain = domain_of(spots)
    split = split_stations(table, method=method, domain=domain)
    facts = split_facts(split, station="station", domain=domain)
    path = tmp_path / "r.html"
    folds_report(facts, path, method=method, name="obs", warnings=["look here"])
    text = path.read_text(encoding="utf-8")
    for part in ("30 stations", method, "look here", "Distances", "&lt;N0&gt;"):
        assert part in text
    assert "<N0>" not in text and "<script" not in text and text.count("<img") == 2


@pytest.mark.parametrize(
    ("away", "said"),
    [
        (30, "much nearer"),
        (70, "a little too good"),
        (90, "about as far"),
        (150, "scores may look too bad"),
        (250, "much farther"),
    ],
)
def test_the_report_says_which_way_the_split_errs(tmp_path, away, said):
    """Two that train, one that validates `away` metres off, and a map 100 m from all of them."""
    points = np.array([[0.0, 0], [0, 1], [float(away), 0]])
    roles = {"role": np.array(["train", "train", "validate"], dtype=object)}
    table = table_of(points).with_columns(roles)
    facts = split_facts(table, station="station", domain=domain_of(np.array([[-100.0, 0]])))
    folds_report(facts, tmp_path / "r.html", method="random")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert said in text
    assert "Grey lines" not in text


def test_the_report_of_a_table_without_points_has_no_map(tmp_path):
    split = split_stations(Table({"station": names_of(9)}))
    folds_report(split_facts(split, station="station"), tmp_path / "r.html", method="random")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "there is no map" in text and "<img" not in text
