"""Flow against hand-made cases, a plain reckoning cell by cell, and SAGA."""

from __future__ import annotations

import time
from importlib.util import find_spec

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from soil_moisture_mapper.plugin.core import kernel_cache
from soil_moisture_mapper.plugin.core.covariates.relief import flow, flow_engine
from soil_moisture_mapper.plugin.core.errors import Cancelled
from soil_moisture_mapper.plugin.core.kernel_cache import Kernels
from soil_moisture_mapper.plugin.core.progress import Progress

NEIGHBOURS = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if r or c]


def reckon_upslope(flood, cell_x, cell_y, exponent=1.1, single_above=np.inf):
    """Freeman's rule cell by cell, from the highest down; SAGA's rule at edges.

    `single_above`: cells through which more drain send all to their steepest neighbour.
    """
    level = flood.level
    height, width = level.shape
    water = np.where(np.isfinite(level), 1.0, np.nan)

    def at(row, column):
        inside = 0 <= row < height and 0 <= column < width
        return level[row, column] if inside else np.nan

    for cell in flood.order[::-1]:
        row, column = divmod(int(cell), width)
        ways = []
        for down, right in NEIGHBOURS:
            fall = level[row, column] - at(row + down, column + right)
            beyond = np.isnan(fall)
            if beyond:
                fall = at(row - down, column - right) - level[row, column]
            if fall > 0:
                tangent = fall / np.hypot(down * cell_y, right * cell_x)
                ways.append((None if beyond else (row + down, column + right), tangent))
        if not ways and flood.parent[cell] >= 0:
            ways = [(divmod(int(flood.parent[cell]), width), 1.0)]
        if ways and water[row, column] > single_above:
            ways = [max(ways, key=lambda way: way[1])]
        total = sum(tangent**exponent for _, tangent in ways)
        for place, tangent in ways:
            if place is not None:
                water[place] += water[row, column] * tangent**exponent / total
    return water


def unfilled(z):
    """A DEM as it is: water stays in its pits."""
    flat = np.where(np.isfinite(z), z, np.inf).ravel()
    order = np.argsort(flat, kind="stable")[: np.isfinite(z).sum()]
    return flow.Flood(z, order, np.full(z.size, -1, dtype=np.int64))


@pytest.fixture(scope="module")
def ecuador(shared_data):
    """Elevation and SAGA's catchment area (multiple flow, pits not filled), in cells."""
    with rasterio.open(shared_data / "rasters" / "terrain_saga_ecuador_10m.tif") as source:
        elevation, log_area = source.read(4).astype(float), source.read(5).astype(float)
    return elevation, 10.0 ** (log_area - 2.0)


def test_depression_fills_to_its_outlet():
    z = np.full((5, 7), 9.0)
    z[2, 1:6] = [2.0, 1.0, 3.0, 5.0, 4.0]
    z[2, 6] = 4.5
    level = flow.fill_depressions(z).level
    np.testing.assert_array_equal(level[2], [9.0, 5.0, 5.0, 5.0, 5.0, 4.5, 4.5])


def test_water_drains_into_voids():
    z = np.full((5, 5), 9.0)
    z[2, 2] = np.nan
    z[2, 1] = 1.0
    assert flow.fill_depressions(z).level[2, 1] == 1.0


def test_freeman_shares_by_slope_to_the_power():
    """Of two ways down, straight and diagonal, each gets its tangent^1.1.

    South of the lower row the ground goes on as it falls, and some water leaves there.
    """
    void = np.nan
    z = np.array([[void, void, void], [void, 5.0, void], [void, 3.0, 1.0]])
    cells = flow.accumulate_upslope(flow.fill_depressions(z), 10.0, 10.0)
    straight, diagonal = (2 / 10) ** 1.1, (4 / np.hypot(10, 10)) ** 1.1
    assert cells[1, 1] == 1.0
    assert cells[2, 1] == pytest.approx(1 + straight / (straight + diagonal))
    second = cells[2, 1]
    east, south = (2 / 10) ** 1.1, (2 / 10) ** 1.1
    arrives = 1 + diagonal / (straight + diagonal) + second * east / (east + south)
    assert cells[2, 2] == pytest.approx(arrives)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        elements=st.one_of(st.integers(0, 6).map(float), st.just(np.nan)),
    )
)
def test_all_water_leaves_at_outlets(z):
    """Flats, pits and voids lose no drop: what leaves is the number of cells."""
    flood = flow.fill_depressions(z)
    cells = flow.accumulate_upslope(flood, 2.0, 3.0)
    valid = np.isfinite(z)
    assert len(flood.order) == valid.sum()
    np.testing.assert_array_equal(np.isfinite(cells), valid)
    assert (cells[valid] >= 1 - 1e-12).all()
    assert (flood.level[valid] >= z[valid]).all()
    giver, _, share = flow._shares(flood, flood.order, (2.0, 3.0), 1.1, True)
    given_away = np.zeros(len(flood.order))
    np.add.at(given_away, giver, share)
    leaving = cells.ravel()[flood.order] * (1 - given_away)
    assert leaving.sum() == pytest.approx(valid.sum())
    rim = flood.parent[flood.order] < 0
    assert leaving[~rim] == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.float64, st.tuples(st.integers(3, 9), st.integers(3, 9)), elements=st.integers(0, 9)
    )
)
def test_filled_level_is_the_lowest_pass_to_the_rim(z):
    """The filled surface is the smallest one that solves level = max(z, lowest neighbour)."""
    level = flow.fill_depressions(z).level
    relaxed = np.where(np.pad(np.zeros(np.array(z.shape) - 2), 1, constant_values=1) > 0, z, 99.0)
    for _ in range(z.size):
        framed = np.pad(relaxed, 1, constant_values=99.0)
        lowest = np.minimum.reduce(
            [framed[r : r + z.shape[0], c : c + z.shape[1]] for r in range(3) for c in range(3)]
        )
        relaxed = np.minimum(relaxed, np.maximum(z, lowest))
    np.testing.assert_array_equal(level, relaxed)


def test_wetness_of_a_plane_grows_with_the_way_from_its_top():
    """On a plane tilted along the columns n cells drain through the n-th row."""
    z = np.repeat(np.arange(12.0)[::-1, None], 9, axis=1) * 1.0
    z = np.hstack([z, z, z])
    tangent = np.full(z.shape, 0.1)
    index = flow.wetness_index(z, tangent, 10.0, 10.0)
    expected = np.log(np.arange(1, 13) * 10.0 / 0.1)
    np.testing.assert_allclose(index[:, 13], expected, atol=0.02)


def test_wetness_takes_no_slope_below_a_thousandth():
    index = flow.wetness_index(np.zeros((2, 2)), np.zeros((2, 2)), 5.0, 5.0)
    assert index[0, 0] == pytest.approx(np.log(5.0 / 0.001))


def test_four_hundred_thousand_cells_flow_within_seconds():
    generator = np.random.default_rng(1)
    z = generator.normal(size=(640, 640)).cumsum(0).cumsum(1)
    started = time.perf_counter()
    flow.wetness_index(z, np.full(z.shape, 0.1), 10.0, 10.0)
    assert time.perf_counter() - started < 15.0


def test_upslope_area_equals_saga(ecuador):
    """All but what lies below a channel: from 500 cells on SAGA sends all water one way."""
    elevation, saga = ecuador
    flood = unfilled(elevation)
    cells = flow.accumulate_upslope(flood, 10.0, 10.0)
    common = np.isfinite(cells) & np.isfinite(saga)
    channel = flow.accumulate_upslope(flood, 10.0, 10.0) > 499.0
    below = below_of(flood, channel | (saga > 499.0))
    same = np.abs(cells / saga - 1.0) < 1e-5
    assert common.sum() > 150_000
    assert (common & ~below).sum() > 140_000
    assert same[common & ~below].mean() > 0.9999
    assert same[common].mean() > 0.95


def below_of(flood, above):
    """Cells that any water of `above` reaches, and `above` itself."""
    height, width = flood.level.shape
    reached = above.ravel().copy()
    level = flood.level
    for cell in flood.order[::-1]:
        if not reached[cell]:
            continue
        row, column = divmod(int(cell), width)
        for down, right in NEIGHBOURS:
            there = (row + down, column + right)
            inside = 0 <= there[0] < height and 0 <= there[1] < width
            if inside and level[there] < level[row, column]:
                reached[there[0] * width + there[1]] = True
    return reached.reshape(above.shape)


def test_plain_reckoning_with_channels_equals_saga(ecuador):
    """With SAGA's turn to single flow the plain reckoning used here gives SAGA's areas."""
    elevation, saga = ecuador
    cells = reckon_upslope(unfilled(elevation), 10.0, 10.0, single_above=500.0)
    same = np.abs(cells / saga - 1.0) < 1e-4
    assert same[np.isfinite(cells)].mean() > 0.9999


def test_filling_changes_only_what_lies_below_a_pit(ecuador):
    elevation, saga = ecuador
    cells = flow.accumulate_upslope(flow.fill_depressions(elevation), 10.0, 10.0)
    difference = np.abs(cells / saga - 1.0)
    common = np.isfinite(difference)
    assert np.median(difference[common]) < 1e-6
    assert np.mean(difference[common] < 0.01) > 0.93


def test_closed_edge_keeps_the_water_on_the_raster():
    """All that falls on a plane tilted along its rows arrives in the last row."""
    z = np.repeat(np.arange(6.0)[::-1, None], 5, axis=1)
    flood = flow.fill_depressions(z)
    closed = flow.accumulate_upslope(flood, 10.0, 10.0, open_edge=False)
    assert closed[-1].sum() == pytest.approx(30.0)
    assert flow.accumulate_upslope(flood, 10.0, 10.0)[-1].sum() < 29.0


@pytest.mark.parametrize("seed", range(4))
def test_accumulation_equals_the_plain_reckoning(seed):
    """With pits, flats, voids and cells that are not square."""
    rng = np.random.default_rng(seed)
    z = np.round(rng.normal(size=(40, 30)).cumsum(0).cumsum(1) / 3.0, seed % 2)
    z[rng.random(z.shape) < 0.02] = np.nan
    flood = flow.fill_depressions(z)
    assert (flood.level > z).sum() > 20
    found = flow.accumulate_upslope(flood, 7.0, 11.0)
    np.testing.assert_allclose(found, reckon_upslope(flood, 7.0, 11.0), rtol=1e-10)


needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")


@pytest.fixture
def always_compiled(monkeypatch):
    """Small DEMs by the kernels too, with arrays and portions that are soon too short."""
    monkeypatch.setattr(flow_engine, "FEWEST", 0)
    monkeypatch.setattr(flow_engine, "_AT_ONCE", 64)


@needs_numba
@pytest.mark.parametrize("seed", range(4))
def test_kernels_flow_as_numpy_does(monkeypatch, always_compiled, seed):
    """The same order of flooding, cell by cell, and areas to the last digits."""
    rng = np.random.default_rng(seed)
    z = np.round(rng.normal(size=(50, 70)).cumsum(0).cumsum(1) / 3.0, seed % 2)
    z[rng.random(z.shape) < 0.01] = np.nan
    fast = flow.fill_depressions(z)
    cells = [flow.accumulate_upslope(fast, 7.0, 11.0, open_edge=edge) for edge in (True, False)]
    assert flow_engine._kernels(z.size) is not None
    monkeypatch.setenv(kernel_cache.SWITCH, "numpy")
    assert flow_engine._kernels(z.size) is None
    plain = flow.fill_depressions(z)
    np.testing.assert_array_equal(fast.level, plain.level)
    np.testing.assert_array_equal(fast.order, plain.order)
    np.testing.assert_array_equal(fast.parent, plain.parent)
    for found, edge in zip(cells, (True, False)):
        expected = flow.accumulate_upslope(plain, 7.0, 11.0, open_edge=edge)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@needs_numba
@pytest.mark.parametrize(
    "z", [np.full((3, 3), np.nan), np.ones((1, 1)), np.full((40, 40), 5.0), np.ones((1, 9))]
)
def test_kernels_take_odd_dems(always_compiled, z):
    flood = flow.fill_depressions(z)
    cells = flow.accumulate_upslope(flood, 1.0, 1.0)
    assert len(flood.order) == np.isfinite(z).sum()
    np.testing.assert_array_equal(np.isfinite(cells), np.isfinite(z))


@needs_numba
def test_kernels_can_be_cancelled(always_compiled):
    class Stopped(Progress):
        cancelled = True

    with pytest.raises(Cancelled):
        flow.fill_depressions(np.random.default_rng(0).normal(size=(30, 30)), Stopped())


@needs_numba
def test_numba_that_cannot_compile_leaves_flow_to_numpy(monkeypatch, always_compiled):
    from soil_moisture_mapper.plugin.core.covariates.relief import flow_compiled

    def fail(*_arguments):
        raise flow_compiled.NumbaError("no such type")

    z = np.random.default_rng(0).normal(size=(30, 30))
    expected = flow.upslope_cells(z, 1.0, 1.0)
    fresh = Kernels("flow_compiled", flow_engine.__package__)
    monkeypatch.setattr(flow_engine, "_compiled", fresh)
    monkeypatch.setattr(flow_compiled, "flood_some", fail)
    np.testing.assert_allclose(flow.upslope_cells(z, 1.0, 1.0), expected, rtol=1e-12)
    assert flow_engine._kernels(z.size) is None
    assert flow_engine.bytes_per_cell(z.size) == 150
