"""EASE-Grid 2.0: its cells against published numbers, and means on it against other ways."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio
import rasterio.warp
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from raster_files import write_raster
from rasterio.crs import CRS
from soil_moisture_mapper.plugin.core.covariates.coarse_products import ease
from soil_moisture_mapper.plugin.core.covariates.coarse_products.ease import to_ease_grid
from soil_moisture_mapper.plugin.core.covariates.coarse_products.ease_overlap import (
    CellOverlaps,
    area_in_unit_square,
)
from soil_moisture_mapper.plugin.core.covariates.table import RasterInput
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError, RasterError
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress
from soil_moisture_mapper.plugin.core.rasters.easegrid import (
    EASE_CRS,
    EASE_GRIDS,
    WORLD_WIDTH,
    ease_grid,
    is_ease,
)
from soil_moisture_mapper.plugin.core.rasters.grids import Grid, Window, place

CELL = {name: grid.cell for name, grid in EASE_GRIDS.items()}


def write(path, values, transform, crs=EASE_CRS, names=(), nodata=math.nan, dtype="float32"):
    place = {"crs": crs, "transform": transform, "nodata": nodata}
    return RasterInput(str(write_raster(path, values, names=names or (), dtype=dtype, **place)))


def read(path):
    with rasterio.open(path) as dataset:
        values = dataset.read(masked=True).astype(np.float64).filled(np.nan)
        return values, dataset.transform, dataset.descriptions


def within(name, columns, rows, size, first=(1900, 500), parts=1):
    """A transform over cells of a grid, each cut into parts × parts, and its shape."""
    grid = EASE_GRIDS[name]
    edge = grid.cell / parts
    west = grid.west + first[0] * grid.cell
    north = grid.north - first[1] * grid.cell
    return Affine(edge, 0, west, 0, -edge, north), (rows * parts, columns * parts), size


# the definition


@pytest.mark.parametrize(
    ("name", "columns", "rows", "x", "y"),
    [
        # NSIDC, A Guide to EASE Grids, tables of the global grids: columns, rows and the outer
        # edge of the upper-left pixel in metres (nsidc.org/ease/ease-grid-projection-gt)
        ("36km", 964, 406, -17367530.45, 7314540.83),
        ("25km", 1388, 584, -17367530.45, 7307375.92),
        ("9km", 3856, 1624, -17367530.45, 7314540.83),
        ("3km", 11568, 4872, -17367530.45, 7314540.83),
    ],
)
def test_corners_are_those_published(name, columns, rows, x, y):
    grid = EASE_GRIDS[name]
    assert (grid.columns, grid.rows) == (columns, rows)
    assert grid.west == pytest.approx(x, abs=0.006)
    assert grid.north == pytest.approx(y, abs=0.006)
    assert grid.grid.bounds == pytest.approx((x, -y, -x, y), abs=0.006)


@pytest.mark.parametrize("name", ["36km", "9km", "3km", "2.25km"])
def test_outer_corner_in_degrees(name):
    """SMAP's own transformation (S. Chan, JPL, smapease2inverse.m) prints this for (−½, −½)."""
    grid = EASE_GRIDS[name]
    (lon,), (lat,) = rasterio.warp.transform(EASE_CRS, "EPSG:4326", [grid.west], [grid.north])
    assert lat == pytest.approx(85.044566407398861, abs=1e-8)
    assert abs(lon) == pytest.approx(180, abs=1e-9)


def test_first_cell_centre_of_smap():
    """Latitude and longitude of row 0, column 0 in SMAP L3 files of 36 and 9 km."""
    for name, latitude, longitude in (("36km", 83.63197, -179.8133), ("9km", 84.65642, -179.9533)):
        grid = EASE_GRIDS[name]
        x, y = grid.west + grid.cell / 2, grid.north - grid.cell / 2
        (lon,), (lat,) = rasterio.warp.transform(EASE_CRS, "EPSG:4326", [x], [y])
        assert (lat, lon) == pytest.approx((latitude, longitude), abs=6e-5)


def snyder(lon, lat, cell, columns, rows):
    """Row and column by Snyder (1987, USGS PP 1395, eqs 3-12, 10-13 to 10-15) on WGS 84."""
    e = 0.081819190842621
    k0 = math.cos(math.radians(30)) / math.sqrt(1 - (e * 0.5) ** 2)
    s = np.sin(np.radians(lat))
    q = (1 - e**2) * (s / (1 - (e * s) ** 2) - np.log((1 - e * s) / (1 + e * s)) / (2 * e))
    x, y = 6378137.0 * k0 * np.radians(lon), 6378137.0 * q / (2 * k0)
    return np.floor(rows / 2 - y / cell), np.floor(columns / 2 + x / cell)


@pytest.mark.parametrize("name", EASE_GRIDS)
def test_rows_and_columns_by_the_formula(name):
    grid = EASE_GRIDS[name]
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(-180, 180, 5000), rng.uniform(-84, 84, 5000)
    found = grid.cell_of(lon, lat)
    np.testing.assert_array_equal(found, snyder(lon, lat, grid.cell, grid.columns, grid.rows))


def test_points_outside_have_no_cell():
    rows, columns = EASE_GRIDS["36km"].cell_of([0.0, 0.0, math.nan], [89.0, -86.0, 0.0])
    assert rows.tolist() == columns.tolist() == [-1, -1, -1]


@pytest.mark.parametrize(("coarse", "fine", "parts"), [("36km", "9km", 4), ("9km", "2.25km", 4)])
def test_grids_are_nested(coarse, fine, parts):
    outer, inner = EASE_GRIDS[coarse], EASE_GRIDS[fine]
    assert inner.cell * parts == outer.cell
    assert (inner.columns, inner.rows) == (outer.columns * parts, outer.rows * parts)
    assert (inner.west, inner.north) == (outer.west, outer.north)


def test_width_of_the_world():
    (x,), _ = rasterio.warp.transform("EPSG:4326", EASE_CRS, [180.0], [0.0])
    assert 2 * x == pytest.approx(WORLD_WIDTH, rel=1e-15)


def test_projection_is_known_by_its_parameters():
    assert is_ease(CRS.from_proj4("+proj=cea +lat_ts=30 +lon_0=0 +datum=WGS84").to_wkt())
    assert not is_ease("EPSG:3410")  # the first EASE-Grid, on a sphere
    assert not is_ease("EPSG:4326")


def test_unknown_cell_size():
    with pytest.raises(InputError, match=r"'12km' is no EASE-Grid 2.0 cell size. Choose from 36km"):
        ease_grid("12km")


# intersections


def clipped_area(u, v):
    """Sutherland & Hodgman's clipping, one polygon."""
    points = list(zip(u, v))
    for axis, bound, sign in ((0, 0, 1), (0, 1, -1), (1, 0, 1), (1, 1, -1)):
        kept = []
        for here, there in zip(points, points[1:] + points[:1]):
            a, b = sign * (here[axis] - bound), sign * (there[axis] - bound)
            if a >= 0:
                kept.append(here)
            if (a >= 0) != (b >= 0):
                t = a / (a - b)
                kept.append(tuple(p + t * (q - p) for p, q in zip(here, there)))
        points = kept
        if not points:
            return 0.0
    xs, ys = np.array(points).T
    return 0.5 * (np.dot(xs, np.roll(ys, -1)) - np.dot(ys, np.roll(xs, -1)))


@given(
    st.floats(-1.5, 2.5), st.floats(-1.5, 2.5), st.floats(0.01, 3), st.floats(0.01, 3),
    st.floats(0, 6.3), st.floats(-0.3, 0.3),
)  # fmt: skip
def test_area_in_a_square_is_that_of_the_clipped_polygon(x, y, width, height, turn, skew):
    corners = np.array([[0, 0], [1, 0], [1 + skew, 1], [skew, 1]]) * (width, height)
    c, s = math.cos(turn), math.sin(turn)
    u, v = corners @ np.array([[c, s], [-s, c]]) + (x, y), None
    u, v = u[:, 0], u[:, 1]
    found = area_in_unit_square(u[:, None], v[:, None])[0]
    assert found == pytest.approx(clipped_area(u, v), abs=1e-10)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", Affine(0.07, 0, 10.013, 0, -0.05, 53.01)),
        ("EPSG:32632", Affine(1700, 0, 560123, 0, -1700, 5712345)),
        ("EPSG:32632", Affine(1500, 700, 560123, 700, -1500, 5712345)),
        ("+proj=sinu +R=6371007.181", Affine(926, 0, 600000, 0, -926, 5700000)),
    ],
)
def test_shares_of_a_cell_sum_to_its_area(crs, transform):
    source = Grid(crs, transform, 37, 29)
    overlaps = CellOverlaps(source, EASE_GRIDS["9km"])
    (tile,) = overlaps.tiles()
    touched = overlaps.touched(tile)
    parts = overlaps.of_tile(tile, touched)
    summed = np.bincount(parts.cell, parts.area, 37 * 29)
    cols, rows = np.meshgrid(np.arange(38.0), np.arange(30.0))
    x, y = place(transform, cols.ravel(), rows.ravel())
    x, y = rasterio.warp.transform(crs, EASE_CRS, x, y)
    x, y = np.reshape(x, cols.shape) / CELL["9km"], np.reshape(y, cols.shape) / CELL["9km"]
    shoelace = 0.5 * np.abs(
        (x[1:, 1:] - x[:-1, :-1]) * (y[1:, :-1] - y[:-1, 1:])
        - (y[1:, 1:] - y[:-1, :-1]) * (x[1:, :-1] - x[:-1, 1:])
    )
    np.testing.assert_allclose(summed, shoelace.ravel(), rtol=3e-4)
    exact = CellOverlaps(source, EASE_GRIDS["9km"])
    exact._step = 1
    parts = exact.of_tile(tile, touched)
    np.testing.assert_allclose(
        np.bincount(parts.cell, parts.area, 37 * 29), shoelace.ravel(), rtol=1e-10
    )


def test_area_of_degrees_is_the_area_of_the_earth():
    """Cells of a degree cover the sphere's zone: their areas sum to the grid's cells."""
    source = Grid("EPSG:4326", Affine(1, 0, -180, 0, -1, 90), 360, 180)
    ease36 = EASE_GRIDS["36km"]
    overlaps = CellOverlaps(source, ease36)
    cover = np.zeros((ease36.rows, ease36.columns))
    for tile in overlaps.tiles():
        parts = overlaps.of_tile(tile, Window(0, 0, ease36.columns, ease36.rows))
        np.add.at(cover, (parts.row, parts.column), parts.area)
    np.testing.assert_allclose(cover, 1, atol=2e-9)


# aggregation


def sampled_means(values, transform, crs, ease_window, grid, many=60):
    """Means by brute force: many points in each grid cell, each taking the cell it falls in."""
    out = np.full((ease_window.height, ease_window.width), np.nan)
    share = np.zeros_like(out)
    offsets = (np.arange(many) + 0.5) / many
    for row in range(ease_window.height):
        for col in range(ease_window.width):
            u, v = np.meshgrid(ease_window.col + col + offsets, ease_window.row + row + offsets)
            x = grid.west + u.ravel() * grid.cell
            y = grid.north - v.ravel() * grid.cell
            x, y = rasterio.warp.transform(EASE_CRS, crs, x, y)
            c, r = place(~transform, np.array(x), np.array(y))
            c, r = np.floor(c).astype(int), np.floor(r).astype(int)
            inside = (c >= 0) & (r >= 0) & (c < values.shape[1]) & (r < values.shape[0])
            taken = values[r[inside], c[inside]]
            known = taken[np.isfinite(taken)]
            share[row, col] = known.size / many**2
            if known.size:
                out[row, col] = known.mean()
    return out, share


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", Affine(0.05, 0, 10.0, 0, -0.04, 60.0)),
        ("EPSG:32633", Affine(2500, 0, 420000, 0, -2500, 5650000)),
        ("+proj=sinu +R=6371007.181", Affine(1853, 0, 900000, 0, -1853, 5100000)),
    ],
)
def test_mean_against_many_points(tmp_path, crs, transform):
    rng = np.random.default_rng(2)
    values = rng.normal(0.25, 0.1, (24, 30))
    values[rng.random(values.shape) < 0.15] = np.nan
    source = write(tmp_path / "x.tif", values, transform, crs)
    (path,) = to_ease_grid([source], "9km", tmp_path / "out", minimum_share=0.0)
    found, affine, names = read(path)
    assert names == ("x",)
    grid = EASE_GRIDS["9km"]
    col, row = place(~grid.grid.transform, affine.c, affine.f)
    window = Window(round(col), round(row), found.shape[2], found.shape[1])
    expected, share = sampled_means(values.astype(np.float32), transform, crs, window, grid)
    clear = share > 0.3
    assert clear.sum() > 20
    np.testing.assert_allclose(found[0][clear], expected[clear], atol=0.004)
    (path,) = to_ease_grid([source], "9km", tmp_path / "half")
    half = read(path)[0][0]
    sure = np.abs(share - 0.5) > 0.02
    np.testing.assert_array_equal(np.isfinite(half)[sure], (share >= 0.5)[sure])
    same = np.isfinite(half)
    np.testing.assert_array_equal(half[same], found[0][same])


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.sampled_from(["EPSG:4326", "EPSG:32632"]))
def test_the_mean_of_all_is_kept(tmp_path_factory, seed, crs):
    """Over the whole raster the area-weighted mean before and after are the same."""
    folder = tmp_path_factory.mktemp("mean")
    rng = np.random.default_rng(seed)
    size, x, y = (0.3, 5.3, 54.1) if crs == "EPSG:4326" else (20000, 300000, 6000000)
    transform = Affine(size, 0, x, 0, -size * rng.uniform(0.5, 1), y)
    values = rng.normal(0, 1, (7, 9))
    values[rng.random(values.shape) < 0.2] = np.nan
    source = Grid(crs, transform, 9, 7)
    grid = EASE_GRIDS["25km"]
    overlaps = CellOverlaps(source, grid)
    (tile,) = overlaps.tiles()
    parts = overlaps.of_tile(tile, overlaps.touched(tile))
    flat = values.astype(np.float32).astype(float).ravel()
    known = np.isfinite(flat[parts.cell])
    before = np.bincount(parts.cell, parts.area, 63)[np.isfinite(flat)]
    given = write(folder / "x.tif", values, transform, crs)
    (path,) = to_ease_grid([given], "25km", folder / "o", minimum_share=0.0)
    found, affine, _ = read(path)
    col, row = (round(v) for v in place(~grid.grid.transform, affine.c, affine.f))
    weight = np.zeros(found.shape[1:])
    here = parts.row[known] - row, parts.column[known] - col
    np.add.at(weight, here, parts.area[known])
    there = np.isfinite(found[0])
    after = np.sum(found[0][there] * weight[there]) / weight[there].sum()
    expected = np.sum(flat[np.isfinite(flat)] * before) / before.sum()
    assert after == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("coarse", "fine"), [("36km", "9km"), ("9km", "2.25km")])
def test_nested_cells_are_averaged_exactly(tmp_path, coarse, fine):
    transform, shape, _ = within(coarse, 7, 5, 0, first=(480, 120), parts=4)
    assert transform.a == CELL[fine]
    values = np.random.default_rng(3).random(shape).astype(np.float32)
    source = write(tmp_path / "sm_20210401.tif", values, transform)
    (path,) = to_ease_grid([source], coarse, tmp_path / "out")
    found, affine, names = read(path)
    assert path.name == "sm_20210401.tif"
    assert names == ("sm",)
    assert found.shape == (1, 5, 7)
    assert (affine.a, affine.c, affine.f) == pytest.approx(
        (CELL[coarse], transform.c, transform.f), abs=1e-8
    )
    expected = values.astype(float).reshape(5, 4, 7, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(found[0], expected, rtol=1e-7)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32632"])
def test_blocks_change_nothing(tmp_path, monkeypatch, crs):
    rng = np.random.default_rng(4)
    size = 0.02 if crs == "EPSG:4326" else 1500
    x, y = (9.0, 52.0) if crs == "EPSG:4326" else (500000, 5700000)
    source = write(tmp_path / "x.tif", rng.random((300, 290)), Affine(size, 0, x, 0, -size, y), crs)
    results = []
    for block in (512, 19):
        monkeypatch.setattr(ease, "_BLOCK", block)
        (path,) = to_ease_grid([source], "9km", tmp_path / str(block))
        results.append(read(path)[0])
    assert np.isfinite(results[0]).sum() > 1000
    np.testing.assert_array_equal(*results)


def test_shares_of_classes(tmp_path):
    transform, shape, _ = within("9km", 2, 1, 0, parts=4)
    codes = np.full(shape, 10)
    codes[:, 4:] = 30
    codes[0, :4] = 20
    codes[:2, 4:] = 255  # half of the second cell is missing
    source = write(
        tmp_path / "cover.tif", codes, transform, names=["landcover"], nodata=255, dtype="uint8"
    )
    (path,) = to_ease_grid([source], "9km", tmp_path / "out", classes=True)
    found, _, names = read(path)
    assert names == ("landcover_10", "landcover_20", "landcover_30")
    np.testing.assert_allclose(found[:, 0, 0], [0.75, 0.25, 0])
    np.testing.assert_allclose(found[:, 0, 1], [0, 0, 1])
    np.testing.assert_allclose(found.sum(axis=0), 1)
    (path,) = to_ease_grid([source], "9km", tmp_path / "o", classes=True, minimum_share=0.51)
    assert np.isnan(read(path)[0][:, 0, 1]).all()


@pytest.mark.parametrize("west", [170.0, -190.0])
def test_raster_across_180_degrees(tmp_path, west):
    """The same strip, whether its longitudes run beyond 180 or below −180."""
    values = np.arange(20.0)[None, :].repeat(4, axis=0)
    source = write(tmp_path / "x.tif", values, Affine(1, 0, west, 0, -1, 2), "EPSG:4326")
    (path,) = to_ease_grid([source], "36km", tmp_path / "o")
    found, affine, _ = read(path)
    middle = found[0, found.shape[1] // 2]
    edges = (affine.c + affine.a * np.arange(middle.size + 1)) / WORLD_WIDTH * 360
    degrees = (edges + 190) % 360  # from the strip's left edge
    whole = (np.floor(degrees[:-1]) == np.floor(degrees[1:])) & (degrees[1:] < 20)
    assert whole.sum() > 30
    assert {0, 9, 10, 19} <= set(middle[whole].round(4))
    np.testing.assert_allclose(middle[whole], np.floor(degrees[:-1][whole]), atol=1e-5)
    assert np.isnan(middle[(degrees[:-1] > 20) & (degrees[1:] > degrees[:-1])]).all()


def test_extent_limits_the_cells(tmp_path):
    values = np.random.default_rng(5).random((100, 100))
    source = write(tmp_path / "x.tif", values, Affine(0.1, 0, 5, 0, -0.1, 55), "EPSG:4326")
    extent = ((9.0, 49.0, 9.5, 49.5), "EPSG:4326")
    (path,) = to_ease_grid([source], "9km", tmp_path / "part", extent=extent)
    (whole,) = to_ease_grid([source], "9km", tmp_path / "whole")
    part, affine, _ = read(path)
    all_cells, wide, _ = read(whole)
    col, row = (round(v) for v in place(~wide, affine.c, affine.f))
    height, width = part.shape[1:]
    assert 5 <= width <= 8
    np.testing.assert_array_equal(part, all_cells[:, row : row + height, col : col + width])


def test_bands_of_several_days_become_files(tmp_path):
    transform, shape, _ = within("9km", 3, 2, 0, parts=2)
    values = np.stack([np.full(shape, 1.0), np.full(shape, 2.0)])
    source = write(tmp_path / "ndvi.tif", values, transform, names=["2021-05-01", "2021-04-01"])
    paths = to_ease_grid([source], "9km", tmp_path / "o")
    assert [path.name for path in paths] == ["ndvi_20210401.tif", "ndvi_20210501.tif"]
    np.testing.assert_allclose(read(paths[0])[0], 2)
    assert read(paths[0])[2] == ("ndvi",)
    with rasterio.open(paths[1]) as dataset:
        assert dataset.tags()["TIFFTAG_DATETIME"] == "2021:05:01 00:00:00"


def test_coarser_rasters_are_warned_of(tmp_path):
    source = write(tmp_path / "x.tif", np.ones((3, 3)), Affine(0.5, 0, 9, 0, -0.5, 50), "EPSG:4326")
    progress = RecordingProgress()
    (path,) = to_ease_grid([source], "9km", tmp_path / "o", progress=progress)
    assert any("coarser than those of the 9km grid" in text for text in progress.warnings)
    assert np.nanmax(np.abs(read(path)[0] - 1)) == 0


def test_empty_result_is_warned_of(tmp_path):
    source = write(
        tmp_path / "x.tif", np.ones((3, 3)), Affine(100, 0, 5e5, 0, -100, 5e6), "EPSG:32632"
    )
    progress = RecordingProgress()
    to_ease_grid([source], "36km", tmp_path / "o", progress=progress)
    assert any("'x.tif' is empty: no cell has values on 50%" in t for t in progress.warnings)


def test_raster_at_the_pole_is_refused(tmp_path):
    source = write(tmp_path / "x.tif", np.ones((3, 3)), Affine(1, 0, 9, 0, -1, 90), "EPSG:4326")
    with pytest.raises(RasterError, match=r"'x.tif' touches no cell of the 9km EASE-Grid"):
        to_ease_grid([source], "9km", tmp_path / "o")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"mode": "snip"}, "mode 'snip' is unknown"),
        ({"mode": "snap", "classes": True}, "Shares of classes are asked for with MODE snap"),
        ({"minimum_share": 1.5}, "smallest share of valid area is 1.5"),
        ({"extent": ((0.0, 86.0, 1.0, 87.0), "EPSG:4326")}, "touches no cell of the 9km EASE-Grid"),
        ({"classes": True}, "'x.tif' holds 0.5, which is no class"),
    ],
)
def test_wrong_input(tmp_path, keywords, message):
    transform, shape, _ = within("9km", 2, 2, 0)
    source = write(tmp_path / "x.tif", np.full(shape, 0.5), transform)
    with pytest.raises(InputError, match=message):
        to_ease_grid([source], "9km", tmp_path / "o", **keywords)
    assert not list(tmp_path.glob("o/*.tif"))


def test_two_tiles_of_a_day_are_refused(tmp_path):
    transform, shape, _ = within("9km", 2, 2, 0)
    sources = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "x_20210401.tif"
        sources.append(write(path, np.ones(shape), transform))
    with pytest.raises(InputError, match=r"same file: x_20210401.tif \(.*a.*, .*b"):
        to_ease_grid(sources, "9km", tmp_path / "o")
    with pytest.raises(InputError, match="written over itself"):
        to_ease_grid(sources[:1], "9km", tmp_path / "a")
    with pytest.raises(InputError, match="No raster"):
        to_ease_grid([], "9km", tmp_path / "o")


def test_many_values_are_no_classes(tmp_path):
    transform, _, _ = within("9km", 2, 2, 0)
    source = write(tmp_path / "x.tif", np.arange(100.0).reshape(10, 10), transform)
    with pytest.raises(InputError, match="more than 64 different values"):
        to_ease_grid([source], "9km", tmp_path / "o", classes=True)


def test_cancelled_run_leaves_nothing(tmp_path):
    class Stopped(Progress):
        cancelled = True

    transform, shape, _ = within("9km", 2, 2, 0)
    source = write(tmp_path / "x.tif", np.ones(shape), transform)
    with pytest.raises(Cancelled):
        to_ease_grid([source], "9km", tmp_path / "o", progress=Stopped())
    assert not (tmp_path / "o").exists()


# snapping


@pytest.mark.parametrize("crs", [None, "EPSG:4326", EASE_CRS])
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_whole_grid_is_known_by_its_size(tmp_path, crs):
    """A SMAP array without a place, or with a box of degrees around it."""
    values = np.random.default_rng(6).random((406, 964)).astype(np.float32)
    transform = Affine(0.37, 0, -180, 0, -0.42, 85) if crs else Affine.identity()
    source = write(tmp_path / "SMAP_20210401.tif", values, transform, crs)
    (path,) = to_ease_grid([source], "36km", tmp_path / "o", mode="snap")
    found, affine, names = read(path)
    assert path.name == "SMAP_20210401.tif"
    assert names == ("SMAP",)
    assert affine.almost_equals(EASE_GRIDS["36km"].grid.transform, 1e-9)
    np.testing.assert_array_equal(found[0], values)


def test_rounded_georeference_is_put_right(tmp_path):
    """36 000 m instead of 36 032.22 m: the corner is right, cells drift by 0.09 % each."""
    grid = EASE_GRIDS["36km"]
    west, north = grid.west + 500 * grid.cell, grid.north - 100 * grid.cell
    transform = Affine(36000, 0, round(west, 1), 0, -36000, round(north, 1))
    values = np.random.default_rng(7).random((40, 60)).astype(np.float32)
    source = write(tmp_path / "x.tif", values, transform)
    (path,) = to_ease_grid([source], "36km", tmp_path / "o", mode="snap")
    found, affine, _ = read(path)
    np.testing.assert_array_equal(found[0], values)
    assert (affine.c, affine.f, affine.a) == pytest.approx((west, north, grid.cell), abs=1e-6)
    extent = ((west + 1, north - grid.cell * 3, west + grid.cell * 2 - 1, north - 1), EASE_CRS)
    (path,) = to_ease_grid([source], "36km", tmp_path / "p", mode="snap", extent=extent)
    np.testing.assert_array_equal(read(path)[0][0], values[:3, :2])
    far = ((0.0, 0.0, 10.0, 10.0), EASE_CRS)
    with pytest.raises(RasterError, match="has no cell in the extent: it holds columns 500"):
        to_ease_grid([source], "36km", tmp_path / "p", mode="snap", extent=far)


@pytest.mark.parametrize(
    ("transform", "crs", "message"),
    [
        (Affine(9008.055, 0, -1004000, 0, -9008.055, 4e6), EASE_CRS, "of a cell off"),
        (Affine(9000, 0, -900805.5, 0, -9000, 900805.5), EASE_CRS, "the last 0.18"),
        (Affine(36032.22, 0, -900805.5, 0, -36032.22, 900805.5), EASE_CRS, "Choose its CELL"),
        (Affine(0.1, 0, 5, 0, -0.1, 50), "EPSG:4326", "in another projection .* MODE aggregate"),
        (Affine(9008.055, 0, 0, 0, 9008.055, 0), EASE_CRS, "rows do not run from west to east"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, transform, crs, message):
    source = write(tmp_path / "x.tif", np.ones((200, 200)), transform, crs)
    with pytest.raises(RasterError, match=f"(?s)'x.tif': .*{message}"):
        to_ease_grid([source], "9km", tmp_path / "o", mode="snap")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_snapping_needs_names_for_several_bands(tmp_path):
    source = write(tmp_path / "x.tif", np.ones((2, 406, 964)), Affine.identity(), None)
    with pytest.raises(RasterError, match="2 bands, of which 1, 2 have no name"):
        to_ease_grid([source], "36km", tmp_path / "o", mode="snap")


def test_real_series_against_many_points(tmp_path, shared_data):
    """MODIS NDVI of a year, 231.7 m in sinusoidal projection (GDAL's average is up to 3 % off)."""
    series = shared_data / "rasters" / "modis_mod13q1_ndvi_sinop_series.tif"
    with rasterio.open(series) as dataset:
        crs, transform, stack = dataset.crs, dataset.transform, dataset.read().astype(float)
    paths = to_ease_grid([RasterInput(str(series))], "9km", tmp_path)
    assert len(paths) == 12
    assert paths == sorted(paths)
    grid = EASE_GRIDS["9km"]
    for path, values in list(zip(paths, stack))[::5]:
        found, affine, names = read(path)
        assert names == ("modis_mod13q1_ndvi_sinop_series",)
        col, row = (round(v) for v in place(~grid.grid.transform, affine.c, affine.f))
        window = Window(col, row, found.shape[2], found.shape[1])
        expected, _ = sampled_means(values, transform, crs, window, grid, many=150)
        there = np.isfinite(found[0])
        assert there.sum() > 20
        np.testing.assert_allclose(found[0][there], expected[there], atol=25)  # 0.0025 NDVI
