"""Places for new probes: where they may stand, how far apart, what they add."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from raster_files import write_raster
from rasterio.transform import from_origin
from scipy.spatial.distance import cdist, pdist
from soil_moisture_mapper.plugin.core.covariates.rows import CovariateRow
from soil_moisture_mapper.plugin.core.covariates.table import CovariateTable
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress
from soil_moisture_mapper.plugin.core.rasters.grids import Grid, transform_points
from soil_moisture_mapper.plugin.core.stations.design.designs import METHODS, BaseRows
from soil_moisture_mapper.plugin.core.stations.design.designs_sites import Sites
from soil_moisture_mapper.plugin.core.stations.design.planning import plan_stations
from soil_moisture_mapper.plugin.core.stations.design.planning_cells import (
    choose_rasters,
    read_cells,
)
from soil_moisture_mapper.plugin.core.stations.design.planning_distance import metric_positions
from soil_moisture_mapper.plugin.core.stations.design.planning_worth import rank_probes
from soil_moisture_mapper.plugin.core.stations.table import Table

UTM = "EPSG:32633"
WEST, NORTH, CELL, ROWS, COLS = 500_000.0, 5_500_000.0, 10.0, 30, 40
DAY = datetime.date(2021, 5, 1)


def write(path, values, crs=UTM, cell=CELL, west=WEST, north=NORTH):
    place = {"crs": crs, "cell": cell, "corner": (west, north)}
    write_raster(path, values, dtype="float32", nodata=-9999.0, **place)


def row_of(name, path, day=None, units="", resampling="nearest"):
    return CovariateRow(name, "", str(path), 1, day, day, resampling, 0, units)


def covariate_values():
    rows, cols = np.mgrid[:ROWS, :COLS]
    twi = np.sin(rows / 6) + cols / 20
    sand = np.cos(cols / 7) * 3 + rows / 15
    sand[:4, :5] = np.nan
    return {"twi": twi, "sand": sand}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Two static covariates, one of them with a hole, and one of a single day."""
    folder = tmp_path_factory.mktemp("field")
    rows = []
    for name, values in covariate_values().items():
        write(folder / f"{name}.tif", values)
        rows.append(row_of(name, folder / f"{name}.tif"))
    write(folder / "smap.tif", np.linspace(0, 1, ROWS * COLS).reshape(ROWS, COLS))
    rows.append(row_of("smap", folder / "smap.tif", DAY))
    return CovariateTable(tuple(rows), folder)


@pytest.fixture(scope="module")
def grid():
    return Grid(UTM, from_origin(WEST, NORTH, CELL, CELL), COLS, ROWS)


def cells_of(plan):
    return (
        np.floor((NORTH - plan.y) / CELL).astype(int),
        np.floor((plan.x - WEST) / CELL).astype(int),
    )


def square(west, south, east, north):
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def points(x, y, crs=UTM):
    return Table({"station": [str(i) for i in range(len(x))]}, np.array(x), np.array(y), crs)


@pytest.mark.parametrize("method", METHODS)
def test_probes_stand_where_they_may(table, grid, method):
    south, north = NORTH - 250, NORTH
    access = [square(WEST, south, WEST + 200, north)]
    standing = points([WEST + 105.0, WEST + 55.0], [NORTH - 105.0, NORTH - 205.0])
    given = {"count": 6, "method": method, "access": access, "existing": standing}
    plan = plan_stations(table, grid, min_distance=40.0, **given)
    assert len(plan) == 6
    row, col = cells_of(plan)
    assert (col < 20).all() and (row < 25).all()
    values = covariate_values()
    assert np.isfinite(values["sand"][row, col]).all()
    for name in ("twi", "sand"):
        np.testing.assert_allclose(plan.numeric(name), values[name][row, col], rtol=1e-6)
    new, old = np.column_stack([plan.x, plan.y]), np.column_stack([standing.x, standing.y])
    assert pdist(new).min() >= 40 and cdist(new, old).min() >= 40
    # centres of cells
    np.testing.assert_allclose((plan.x - WEST) % CELL, CELL / 2)
    again = plan_stations(table, grid, min_distance=40.0, threads=1, **given)
    assert (again.x == plan.x).all() and (again.y == plan.y).all()
    nearest = np.sort(cdist(new, np.vstack([new, old])), axis=1)[:, 1]
    np.testing.assert_allclose(plan.numeric("nearest_m"), nearest)


@pytest.mark.parametrize("method", ["coverage", "lhs"])
def test_probes_represent_the_field_beyond_where_they_may_stand(table, grid, method):
    # only the west is open; what lies there and is most like the east comes nearest to its share
    twi = CovariateTable(table.rows[:1], table.folder)
    access = [square(WEST, NORTH - 300, WEST + 200, NORTH)]
    whole = plan_stations(twi, grid, count=6, method=method, access=access)
    west = plan_stations(twi, grid, count=6, method=method, mask=access)
    for plan in (whole, west):
        assert (cells_of(plan)[1] < 20).all()
    assert whole.numeric("twi").mean() > west.numeric("twi").mean() + 0.1
    assert west.numeric("share").sum() == pytest.approx(1)
    # mask and access together
    open_ = [square(WEST + 100, NORTH - 300, WEST + 300, NORTH)]
    both = plan_stations(twi, grid, count=6, method=method, mask=access, access=open_)
    assert set(cells_of(both)[1]) <= set(range(10, 20))


def test_cells_of_existing_probes_are_taken(table, grid):
    access = [square(WEST, NORTH - 70, WEST + 20, NORTH - 40)]  # six cells
    standing = points([WEST + 3.0, WEST + 3.0, WEST + 12.0], [NORTH - 44.0] * 2 + [NORTH - 61.0])
    plan = plan_stations(table, grid, count=4, access=access, existing=standing)
    row, col = cells_of(plan)
    assert sorted(zip(row, col)) == [(4, 1), (5, 0), (5, 1), (6, 0)]
    with pytest.raises(InputError, match="COUNT is 5, but there are 4 places to choose from"):
        plan_stations(table, grid, count=5, access=access, existing=standing)


def test_what_each_probe_adds(table, grid):
    standing = points([WEST + 105.0], [NORTH - 105.0])
    plan = plan_stations(table, grid, count=5, existing=standing)
    values = np.stack(list(covariate_values().values())).reshape(2, -1).T.astype(np.float32)
    field = values[np.isfinite(values).all(axis=1)].astype(float)
    scaled = (field - field.mean(axis=0)) / field.std(axis=0)

    def place(row, col):
        own = values[np.asarray(row) * COLS + col].astype(float)
        return (own - field.mean(axis=0)) / field.std(axis=0)

    apart = cdist(scaled, np.vstack([place([10], [10]), place(*cells_of(plan))]))
    mean = [apart[:, : n + 1].min(axis=1).mean() for n in range(6)]
    np.testing.assert_allclose(plan.numeric("mean_distance"), mean[1:], rtol=1e-6)
    np.testing.assert_allclose(
        plan.numeric("gain"), 1 - np.array(mean[1:]) / mean[:-1], rtol=1e-5, atol=1e-9
    )
    share = np.bincount(apart.argmin(axis=1), minlength=6) / len(field)
    np.testing.assert_allclose(plan.numeric("share"), share[1:])
    assert plan.numeric("rank").tolist() == [1, 2, 3, 4, 5]
    assert plan.text("station").tolist() == [f"plan_{n}" for n in range(1, 6)]
    # the first lowers the mean most of all five
    best = min(np.minimum(apart[:, 0], apart[:, n]).mean() for n in range(1, 6))
    assert mean[1] == pytest.approx(best)


def test_first_probe_of_an_empty_field_has_no_gain():
    field = np.array([[0.0], [1], [2], [10]])
    metres = np.column_stack([np.arange(4.0), np.zeros(4)])
    everyone = np.ones(4, dtype=bool)
    sites = Sites(field, everyone, ~everyone, everyone)
    worth = rank_probes(sites, np.array([1, 3]), metres, np.empty((0, 2)), Progress())
    assert worth.order.tolist() == [0, 1]
    np.testing.assert_allclose(worth.mean_distance, [11 / 4, 2 / 4])
    np.testing.assert_allclose(worth.gain, [np.nan, 1 - 2 / 11])
    np.testing.assert_allclose(worth.share, [0.75, 0.25])
    np.testing.assert_allclose(worth.nearest_m, [2, 2])


def test_coverage_adds_more_than_random_places(table, grid):
    progress = RecordingProgress()
    best = plan_stations(table, grid, count=6, method="coverage", progress=progress)
    drawn = [plan_stations(table, grid, count=6, method="random", seed=seed) for seed in range(5)]
    own = best.numeric("mean_distance")[-1]
    assert all(own < plan.numeric("mean_distance")[-1] for plan in drawn)
    assert any(f"{own:.3f} with the 6 new ones" in text for text in progress.messages)


@pytest.mark.parametrize("method", METHODS)
def test_too_many_probes_for_their_distance_are_refused(table, grid, method):
    # a strip of ten cells: at 25 m every third, four in all
    access = [square(WEST + 100, NORTH - 110, WEST + 200, NORTH - 100)]
    given = {"access": access, "min_distance": 25.0, "method": method}
    assert sorted(cells_of(plan_stations(table, grid, count=4, **given))[1]) == [10, 13, 16, 19]
    with pytest.raises(InputError) as caught:
        plan_stations(table, grid, count=5, **given)
    assert str(caught.value) == (
        "COUNT is 5, but only 4 places at least 25 m apart were found. "
        "Choose a COUNT of 4 or less, or a smaller MIN_DISTANCE."
    )


def test_probes_outside_keep_their_distance_and_are_told(table, grid):
    standing = points(
        [WEST - 5.0, WEST + 15.0, np.nan, WEST + 205.0],
        [NORTH - 105.0, NORTH - 15.0, 0.0, NORTH - 105.0],
    )
    progress = RecordingProgress()
    plan = plan_stations(
        table,
        grid,
        count=10,
        existing=standing,
        min_distance=60.0,
        method="random",
        progress=progress,
    )
    assert progress.warnings == [
        "1 of 3 EXISTING probes lie outside the grid: only their distance counts.",
        "1 of 3 EXISTING probes lie in cells without all covariates: only their distance counts.",
    ]
    own = np.column_stack([plan.x, plan.y])
    old = np.column_stack([standing.x, standing.y])[[0, 1, 3]]
    assert cdist(own, old).min() >= 60


def test_existing_probes_come_in_any_system(table, grid):
    lon, lat = transform_points(UTM, "EPSG:4326", [WEST + 105.0], [NORTH - 105.0])
    own = plan_stations(table, grid, count=3, existing=points([WEST + 105.0], [NORTH - 105.0]))
    other = plan_stations(table, grid, count=3, existing=points(lon, lat, "EPSG:4326"))
    assert (own.x == other.x).all() and (own.y == other.y).all()


def test_order_of_existing_probes_changes_nothing(table, grid):
    x, y = WEST + np.array([55.0, 205, 355]), NORTH - np.array([255.0, 105, 15])
    own = plan_stations(table, grid, count=4, existing=points(x, y))
    other = plan_stations(table, grid, count=4, existing=points(x[::-1], y[::-1]))
    assert (own.x == other.x).all() and (own.y == other.y).all()


@pytest.mark.parametrize("method", METHODS)
def test_distance_in_degrees_is_measured_in_metres(tmp_path, method):
    # at 60° north a degree of longitude is half as long as one of latitude
    values = np.random.default_rng(1).normal(size=(40, 40))
    write(tmp_path / "twi.tif", values, "EPSG:4326", 1e-4, 20.0, 60.0)
    table = CovariateTable((row_of("twi", tmp_path / "twi.tif"),), tmp_path)
    grid = Grid("EPSG:4326", from_origin(20.0, 60.0, 1e-4, 1e-4), 40, 40)
    plan = plan_stations(table, grid, count=8, min_distance=80.0, method=method)
    metres = np.column_stack([plan.x * 55_800.0, plan.y * 111_412.0])  # of WGS 84 at 60°
    assert pdist(metres).min() >= 80 * 0.999
    np.testing.assert_allclose(plan.numeric("nearest_m").min(), pdist(metres).min(), rtol=1e-3)
    # 0.004° of longitude are 223 m: with 120 m two fit side by side, in degrees more would
    with pytest.raises(InputError, match="places at least 120 m apart"):
        plan_stations(table, grid, count=20, min_distance=120.0, method=method)


def test_dated_covariates_need_a_date(table, grid):
    progress = RecordingProgress()
    static = plan_stations(table, grid, count=2, progress=progress)
    assert not static.has("smap")
    assert "Dated covariates are left out without DATE: smap." in progress.messages
    assert plan_stations(table, grid, count=2, day=DAY).has("smap")
    other = RecordingProgress()
    plan_stations(table, grid, count=2, day=datetime.date(2021, 6, 1), progress=other)
    assert other.warnings == [
        "Left out, since not there on 2021-06-01: smap (nearest date 2021-05-01)."
    ]
    dated = CovariateTable(table.rows[2:], table.folder)
    with pytest.raises(InputError, match="offers no covariate to plan by"):
        plan_stations(dated, grid, count=2)


def test_places_that_the_model_lacks_are_preferred(table, grid):
    # the model knows twi up to the middle of the field
    twi = covariate_values()["twi"]
    known = np.linspace(twi.min(), np.median(twi), 50)[:, None]
    base = BaseRows(known, ("twi",))
    for method in METHODS:
        progress = RecordingProgress()
        plan = plan_stations(table, grid, count=8, method=method, base=base, progress=progress)
        plain = plan_stations(
            CovariateTable(table.rows[:1], table.folder), grid, count=8, method=method
        )
        expected = cdist(plan.numeric("twi")[:, None], known).min(axis=1) / pdist(known).mean()
        np.testing.assert_allclose(plan.numeric("dissimilarity"), expected, atol=1e-6)
        assert plan.numeric("twi").mean() > plain.numeric("twi").mean() + 0.2
        assert not plan.has("sand")
        assert any("Mean dissimilarity to BASE_MODEL" in text for text in progress.messages)


def test_covariates_of_the_model_that_the_table_lacks_are_named(table, grid):
    base = BaseRows(np.random.default_rng(1).normal(size=(9, 2)), ("twi", "ndvi"))
    progress = RecordingProgress()
    plan_stations(table, grid, count=2, base=base, progress=progress)
    assert "Not in the covariate table, left out: ndvi." in progress.messages
    with pytest.raises(InputError, match="offers no covariate to plan by"):
        plan_stations(table, grid, count=2, base=BaseRows(base.X[:, 1:], ("ndvi",)))


def test_class_codes_have_no_distance(table, grid, tmp_path):
    codes = np.where(np.arange(COLS) < 10, 1.0, 7.0) * np.ones((ROWS, 1))
    write(tmp_path / "cover.tif", codes)
    both = (*table.rows[:1], row_of("cover", tmp_path / "cover.tif", units="class"))
    given = CovariateTable(both, tmp_path)
    progress = RecordingProgress()
    plan = plan_stations(given, grid, count=4, progress=progress)
    alone = plan_stations(CovariateTable(table.rows[:1], tmp_path), grid, count=4)
    assert (plan.x == alone.x).all() and plan.has("cover")
    assert any("Class codes have no distance" in text for text in progress.messages)
    by_share = plan_stations(given, grid, count=8, method="lhs").numeric("cover")
    assert (by_share == 1).sum() == 2


def test_large_fields_are_drawn_from(tmp_path):
    # four tiles, of which 500 cells stand for the field
    rng = np.random.default_rng(1)
    write(tmp_path / "twi.tif", rng.normal(size=(300, 300)))
    table = CovariateTable((row_of("twi", tmp_path / "twi.tif"),), tmp_path)
    grid = Grid(UTM, from_origin(WEST, NORTH, CELL, CELL), 300, 300)
    sources, classes = choose_rasters(table, None, None, Progress())
    progress = RecordingProgress()
    given = {"classes": classes, "places": (np.empty(0), np.empty(0))}
    cells = read_cells(sources, grid, most=500, **given, progress=progress)
    assert len(cells.X) == 500 and cells.complete == 90_000
    assert len(set(zip(cells.row, cells.col))) == 500
    assert (np.diff(cells.row * 300 + cells.col) > 0).all()
    # every quarter of the field gets its share
    quarters = np.bincount((cells.row >= 150) * 2 + (cells.col >= 150), minlength=4)
    assert quarters.min() > 125 - 4 * np.sqrt(500 * 0.25 * 0.75)
    assert progress.messages[-1] == (
        "500 of 90000 cells inside the grid, drawn by SEED, stand for the field and may be chosen."
    )
    again = read_cells(sources, grid, most=500, threads=1, **given, progress=Progress())
    assert (again.row == cells.row).all() and (again.X == cells.X).all()
    corner = [square(WEST, NORTH - 1000, WEST + 1000, NORTH)]
    near = read_cells(sources, grid, most=500, **given, access=corner, progress=Progress())
    assert near.in_field.sum() == near.accessible.sum() == 500
    assert (near.row[near.in_field] == cells.row).all()
    assert (near.row[near.accessible] < 100).all() and (near.col[near.accessible] < 100).all()
    other = read_cells(sources, grid, most=500, seed=1, **given, progress=Progress())
    assert (other.row != cells.row).any()


@pytest.mark.parametrize(
    ("crs", "west", "north", "cell", "exact"),
    [
        (UTM, 400_000.0, 5_500_000.0, 10.0, True),
        ("EPSG:4326", 15.0, 50.0, 1e-4, False),
        ("EPSG:3857", 1_670_000.0, 8_400_000.0, 20.0, False),
    ],
)
def test_distances_are_in_metres(crs, west, north, cell, exact):
    grid = Grid(crs, from_origin(west, north, cell, cell), 100, 100)
    x, y = west + cell * np.array([0.0, 50, 0]), north - cell * np.array([0.0, 0, 50])
    found = pdist(metric_positions(grid, x, y))
    if exact:
        np.testing.assert_allclose(found[:2], [500, 500])
        return
    lon, lat = transform_points(crs, "EPSG:4326", x, y)
    # radii of curvature of WGS 84 at the mean latitude
    a, e2, mid = 6_378_137.0, 0.00669437999014, np.radians(lat.mean())
    across = a / np.sqrt(1 - e2 * np.sin(mid) ** 2)
    along = across * (1 - e2) / (1 - e2 * np.sin(mid) ** 2)
    east = np.radians(lon[1] - lon[0]) * across * np.cos(np.radians(lat[0]))
    south = np.radians(lat[0] - lat[2]) * along
    np.testing.assert_allclose(found[:2], [east, south], rtol=1e-4)


def test_feet_are_not_metres():
    # EPSG:2263 is in US survey feet
    grid = Grid("EPSG:2263", from_origin(980_000.0, 200_000.0, 10.0, 10.0), 10, 10)
    found = metric_positions(grid, np.array([980_000.0, 981_000.0]), np.array([2e5, 2e5]))
    assert pdist(found)[0] == pytest.approx(1000 * 1200 / 3937, rel=1e-9)


def test_systems_without_a_place_on_earth_are_refused():
    local = 'LOCAL_CS["site",UNIT["metre",1]]'
    grid = Grid(local, from_origin(0, 100, 10, 10), 10, 10)
    with pytest.raises(InputError, match="Distances cannot be measured in site: it has no place"):
        metric_positions(grid, np.array([5.0]), np.array([5.0]))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": 0}, "COUNT is 0. Give 1 or more."),
        ({"count": 2, "method": "kmeans"}, "METHOD 'kmeans' is not one of random, coverage, lhs."),
        (
            {"count": 2, "access": [square(0, 0, 10, 10)]},
            "No cell of the grid has its centre inside ACCESS. Choose polygons that lie in the "
            "grid, or smaller cells.",
        ),
        (
            {"count": 2, "access": [square(WEST, NORTH - 30, WEST + 30, NORTH)]},
            "No cell inside ACCESS has all covariates. Cells without a value: sand in 9 of 9. "
            "Leave out covariates that do not cover the field, or choose another DATE.",
        ),
        (
            {"count": 1, "mask": [square(WEST + 50, NORTH - 60, WEST + 60, NORTH - 50)]},
            "No covariate differs within the field: sand, twi. Add covariates that tell its "
            "places apart.",
        ),
    ],
)
def test_wrong_settings_are_refused(table, grid, given, message):
    with pytest.raises(InputError) as caught:
        plan_stations(table, grid, **given)
    assert str(caught.value) == message


class Stop(Progress):
    cancelled = True


def test_planning_can_be_cancelled(table, grid):
    with pytest.raises(Cancelled):
        plan_stations(table, grid, count=3, progress=Stop())
