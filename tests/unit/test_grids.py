"""Grids: extent and resolution to cells, cuts, windows, and cells that agree."""

from __future__ import annotations

import math

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.rasters.grids import (
    Grid,
    Window,
    crs_name,
    crs_text,
    parse_crs,
    same_crs,
    transform_extent,
    transform_points,
)

UTM = "EPSG:32632"


@pytest.fixture(scope="module")
def pyproj():
    """PROJ's own Python binding, the oracle of transformed points."""
    module = pytest.importorskip("pyproj")
    try:
        module.CRS.from_epsg(32632)
    except module.exceptions.CRSError:
        pytest.skip("pyproj does not find its database")
    return module


corners = st.floats(-5e6, 5e6).map(lambda value: round(value, 3))
sizes = st.floats(0.5, 5e4)
resolutions = st.sampled_from([0.1, 0.3, 1.0, 10.0, 30.0, 92.7, 100.0, 2252.0138025365])


@given(corners, corners, sizes, sizes, resolutions)
def test_extent_keeps_left_and_top_and_is_covered(xmin, ymin, width, height, resolution):
    extent = (xmin, ymin, xmin + width, ymin + height)
    try:
        grid = Grid.from_extent(extent, resolution, UTM)
    except InputError:
        assert min(width, height) / resolution < 1e-5
        return
    left, bottom, right, top = grid.bounds
    assert (left, top) == (extent[0], extent[3])
    # Covered to within 1e-6 cell, and with no whole column or row too many.
    assert right >= extent[2] - 2e-6 * resolution and bottom <= extent[1] + 2e-6 * resolution
    assert right - resolution < extent[2] and bottom + resolution > extent[1]


@pytest.mark.parametrize(
    ("width", "columns"),
    [(100, 10), (100.000009, 10), (100.00002, 11), (99.99999, 10), (91, 10), (90.1, 10), (9, 1)],
)
def test_columns_are_rounded_up_but_to_the_nearest_within_a_millionth(width, columns):
    assert Grid.from_extent((0, 0, width, 30), 10, UTM).width == columns


@given(st.integers(1, 3000), st.integers(1, 3000), resolutions, corners, corners)
def test_own_bounds_make_the_same_grid_again(width, height, resolution, x, y):
    grid = Grid(UTM, Affine(resolution, 0, x, 0, -resolution, y), width, height)
    assert Grid.from_extent(grid.bounds, resolution, UTM).matches(grid)
    assert grid.cut(grid.bounds) == grid


@pytest.mark.parametrize(
    ("extent", "resolution"),
    [
        ((0, 0, 0, 10), 1),
        ((0, 0, 10, 0), 1),
        ((10, 0, 0, 10), 1),
        ((0, 0, math.nan, 10), 1),
        ((0, 0, 1e-9, 10), 1),
        ((0, 0, 10, 10), 0),
        ((0, 0, 10, 10), -1),
        ((0, 0, 10, 10), math.inf),
        ((0, 0, 1e9, 10), 1e-6),
    ],
)
def test_grid_of_zero_or_absurd_size_is_refused(extent, resolution):
    with pytest.raises(InputError, match="resolution"):
        Grid.from_extent(extent, resolution, UTM)


def test_zero_size_names_extent_and_resolution():
    with pytest.raises(InputError) as caught:
        Grid.from_extent((5, 0, 5, 10), 2, UTM)
    assert "5, 0, 5, 10" in str(caught.value) and "resolution 2" in str(caught.value)


@given(st.integers(0, 39), st.integers(0, 29), st.data())
def test_cut_holds_the_cells_touched_and_no_others(col, row, data):
    grid = Grid(UTM, Affine(10, 0, 100, 0, -10, 900), 40, 30)
    last_col = data.draw(st.integers(col, 39))
    last_row = data.draw(st.integers(row, 29))
    inner = data.draw(st.floats(0.001, 0.4))
    extent = (
        100 + 10 * (col + inner),
        900 - 10 * (last_row + 1 - inner),
        100 + 10 * (last_col + 1 - inner),
        900 - 10 * (row + inner),
    )
    cut = grid.cut(extent)
    assert cut.offset_in(grid) == (col, row)
    assert cut.shape == (last_row - row + 1, last_col - col + 1)


def test_cut_at_cell_edges_takes_no_neighbours_and_stays_inside():
    grid = Grid(UTM, Affine(10, 0, 100, 0, -10, 900), 40, 30)
    assert grid.cut((120, 800, 140, 850)).shape == (5, 2)
    assert grid.cut((-1e6, -1e6, 1e6, 1e6)) == grid
    with pytest.raises(InputError, match="touches no cell"):
        grid.cut((501, 0, 600, 900))
    with pytest.raises(InputError, match="touches no cell"):
        grid.cut((500, 600, 510, 900))  # shares only the right edge


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 100))
def test_windows_cover_every_cell_once(width, height, block):
    grid = Grid(UTM, Affine(1, 0, 0, 0, -1, 0), width, height)
    seen = np.zeros(grid.shape, dtype=int)
    for window in grid.windows(block):
        seen[window.slices] += 1
        assert max(window.width, window.height) <= block
    assert (seen == 1).all()


def test_centres_are_half_a_cell_inside():
    grid = Grid(UTM, Affine(10, 0, 100, 0, -20, 900), 3, 2)
    x, y = grid.centres()
    np.testing.assert_array_equal(x, [[105, 115, 125]] * 2)
    np.testing.assert_array_equal(y, [[890] * 3, [870] * 3])
    x, y = grid.centres(Window(1, 1, 2, 1))
    assert (x.tolist(), y.tolist()) == ([[115, 125]], [[870, 870]])


def test_cells_agree_to_a_millionth():
    grid = Grid(UTM, Affine(10, 0, 100, 0, -10, 900), 40, 30)
    moved = Grid(UTM, Affine(10, 0, 100 + 9e-6, 0, -10, 900), 40, 30)
    apart = Grid(UTM, Affine(10, 0, 100 + 2e-5, 0, -10, 900), 40, 30)
    stretched = Grid(UTM, Affine(10 + 1e-6, 0, 100, 0, -10, 900), 40, 30)
    assert grid.matches(moved)
    assert not grid.matches(apart) and not grid.matches(stretched)
    assert not grid.matches(Grid("EPSG:32633", grid.transform, 40, 30))
    assert not grid.matches(grid.part(Window(0, 0, 40, 29)))
    assert grid.part(Window(-2, 3, 5, 6)).offset_in(grid) == (-2, 3)
    assert grid.part(Window(-2, 3, 5, 6)).offset_in(apart) is None


def test_reference_systems_are_compared_by_meaning(pyproj):
    assert same_crs(UTM, parse_crs(UTM).to_wkt())
    assert same_crs(crs_text(UTM), pyproj.CRS.from_epsg(32632).to_wkt())
    assert not same_crs(UTM, "EPSG:25832")
    assert crs_name(crs_text(UTM)) == "EPSG:32632"
    for wrong in ("", "EPSG:99999999", "nonsense"):
        with pytest.raises(InputError, match="oordinate reference system"):
            parse_crs(wrong)


@given(
    st.lists(st.tuples(st.floats(6, 12), st.floats(45, 55)), min_size=1, max_size=20),
    st.sampled_from(["EPSG:32632", "EPSG:3035", "EPSG:3857"]),
)
def test_points_land_where_proj_puts_them(pyproj, points, target):
    lon, lat = np.array(points).T
    x, y = transform_points("EPSG:4326", target, lon, lat)
    expected = pyproj.Transformer.from_crs(4326, target, always_xy=True).transform(lon, lat)
    np.testing.assert_allclose([x, y], expected, atol=1e-3)


def test_points_without_image_are_missing_and_spoil_no_others():
    x, y = transform_points("EPSG:4326", UTM, [9, np.nan, 9, 400, 10], [50, 50, 95, 50, 51])
    np.testing.assert_array_equal(np.isfinite(x)[[0, 1, 2, 4]], [True, False, False, True])
    np.testing.assert_array_equal(np.isfinite(x), np.isfinite(y))
    assert x[0] == pytest.approx(500000, abs=1e-6)


def test_extent_follows_the_bent_sides(pyproj):
    """In this projection the top side of a box in degrees is highest in its middle."""
    edges = transform_extent("EPSG:4326", "EPSG:3035", (0.0, 50.0, 20.0, 60.0))
    to_laea = pyproj.Transformer.from_crs(4326, 3035, always_xy=True)
    lon = np.linspace(0, 20, 200)
    bottom = to_laea.transform(lon, np.full(200, 50.0))[1].min()
    assert edges[1] == pytest.approx(bottom, abs=2000)
    assert transform_extent(UTM, UTM, (1, 2, 3, 4)) == (1, 2, 3, 4)
