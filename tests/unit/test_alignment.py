"""Rasters on one grid: against area weights by brute force, GDAL, and what maps read."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from raster_files import write_raster
from rasterio.warp import transform as transform_xy
from soil_moisture_mapper.plugin.core.covariates.gridding import alignment
from soil_moisture_mapper.plugin.core.covariates.gridding.alignment import (
    align_rasters,
    choose_resampling,
)
from soil_moisture_mapper.plugin.core.covariates.gridding.alignment_cells import (
    largest_share,
    mean_by_area,
    overlaps,
)
from soil_moisture_mapper.plugin.core.covariates.table import RasterInput
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError, RasterError
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress
from soil_moisture_mapper.plugin.core.rasters.grids import Grid, Window, same_crs
from soil_moisture_mapper.plugin.core.rasters.reading import geometry, read_band
from soil_moisture_mapper.plugin.core.rasters.sampling import sample_points
from soil_moisture_mapper.plugin.core.rasters.warping import CovariateReader, Source

UTM = "EPSG:32632"
CORNER = (500000.0, 5535000.0)


def write(path, values, names=(), *, crs=UTM, transform=None, cell=10.0, nodata=-9999, **more):
    place = {"cell": cell, "corner": CORNER, "transform": transform}
    write_raster(path, values, names=names, crs=crs, nodata=nodata, **place, **more)
    return RasterInput(str(path))


def read(path, band=1):
    with rasterio.open(path) as dataset:
        return (
            dataset.read(band, masked=True).filled(np.nan)
            if dataset.dtypes[0] != "uint8"
            else (np.where(dataset.read(band) == 255, np.nan, dataset.read(band)))
        )


def grid(cell, dx=0.0, dy=0.0, width=20, height=16, ycell=None):
    transform = Affine(cell, 0, CORNER[0] + dx, 0, -(ycell or cell), CORNER[1] + dy)
    return Grid(UTM, transform, width, height)


@pytest.fixture(scope="module")
def gappy(tmp_path_factory):
    rng = np.random.default_rng(5)
    values = np.cumsum(rng.normal(size=(90, 110)), axis=1)
    values += np.arange(90)[:, None] * 0.3
    values[rng.random(values.shape) < 0.1] = np.nan
    values[30:50, 40:70] = np.nan
    return write(tmp_path_factory.mktemp("a") / "Höhe.tif", values.astype(np.float32))


def area_weights(target, source_size, offset, size, cell, source_cell):
    """Lengths of overlap, by a loop."""
    weights = np.zeros((size, source_size))
    for t in range(size):
        low, high = offset + t * cell, offset + (t + 1) * cell
        for s in range(source_size):
            weights[t, s] = max(0.0, min(high, (s + 1) * source_cell) - max(low, s * source_cell))
    return weights


COARSER = {
    "three by three": grid(30.0, width=36, height=30),
    "odd cells beyond the edges": grid(33.0, -7.0, 11.0, 35, 30),
    "a little coarser": grid(12.5, 1.0, -3.0, 60, 50),
    "far coarser": grid(170.0, 3.3, -1.7, 6, 5),
    "coarser one way alone": grid(4.0, 1.0, -2.0, 60, 20, ycell=35.0),
}


@pytest.mark.parametrize("target", COARSER.values(), ids=COARSER)
def test_average_is_weighted_by_area(tmp_path, gappy, target):
    (path,) = align_rasters([gappy], target, tmp_path)
    values = read_band(gappy.path, 1)
    t = target.transform
    across = area_weights(t, 110, t.c - CORNER[0], target.width, t.a, 10.0)
    down = area_weights(t, 90, CORNER[1] - t.f, target.height, -t.e, 10.0)
    there = np.isfinite(values)
    total = down @ np.where(there, values, 0) @ across.T
    weight = down @ there @ across.T
    with np.errstate(invalid="ignore"):
        expected = np.where(weight > 0, total / weight, np.nan)
    found = read(path)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("side", [1, 7, 1000])
def test_blocks_change_nothing(tmp_path, gappy, monkeypatch, side):
    target = COARSER["odd cells beyond the edges"]
    (whole,) = align_rasters([gappy], target, tmp_path / "a")
    monkeypatch.setattr(alignment, "_SOURCE_CELLS", side * 3.3)
    (parts,) = align_rasters([gappy], target, tmp_path / "b")
    np.testing.assert_array_equal(read(whole), read(parts))


@given(
    st.floats(-30, 30),
    st.floats(0.05, 9),
    st.integers(1, 12),
    st.integers(1, 15),
    st.booleans(),
)
def test_overlaps_are_those_of_intervals(offset, cell, count, size, descending):
    edges = offset + cell * np.arange(count + 1)
    if descending:
        edges = edges[::-1]
    found = overlaps(edges, size)
    full = np.zeros((count, size))
    full[:, found.first : found.first + found.count] = found.weights.toarray()
    for t in range(count):
        low, high = sorted(edges[t : t + 2])
        for s in range(size):
            expected = max(0.0, min(high, s + 1) - max(low, s))
            # slivers below a millionth of a cell are rounding
            assert full[t, s] == pytest.approx(expected, abs=1.1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5))
@settings(max_examples=50)
def test_share_is_that_of_a_count(seed, down, across):
    """Whole cells: the most frequent code of a block, the smaller one on a tie."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (down * 3, across * 4)).astype(float)
    values[rng.random(values.shape) < 0.2] = np.nan
    rows = overlaps(np.arange(0, 3 * down + 1, down, dtype=float), 3 * down)
    cols = overlaps(np.arange(0, 4 * across + 1, across, dtype=float), 4 * across)
    found = largest_share(values, rows.weights, cols.weights)
    mean = mean_by_area(values, rows.weights, cols.weights)
    for i in range(3):
        for j in range(4):
            block = values[i * down : (i + 1) * down, j * across : (j + 1) * across].ravel()
            codes, counts = np.unique(block[np.isfinite(block)], return_counts=True)
            if codes.size:
                assert found[i, j] == codes[counts.argmax()]
                assert mean[i, j] == pytest.approx(np.nanmean(block))
            else:
                assert np.isnan(found[i, j])
                assert np.isnan(mean[i, j])


FINER = {
    "finer": grid(3.3, 100.1, -99.3, 200, 150),
    "shifted by half a cell": grid(10.0, 5.0, -5.0, 90, 70),
    "neighbouring zone": Grid("EPSG:32633", Affine(9, 0, 69750, 0, -9, 5552290), 135, 115),
    "degrees": Grid("EPSG:4326", Affine(0.00005, 0, 9.0, 0, -0.00005, 49.966), 250, 150),
}


@pytest.mark.parametrize("resampling", ["bilinear", "nearest", "cubic"])
@pytest.mark.parametrize("target", FINER.values(), ids=FINER)
def test_a_map_reads_the_same(tmp_path, gappy, target, resampling):
    (path,) = align_rasters([gappy], target, tmp_path, resampling=resampling)
    with CovariateReader([Source("x", Path(gappy.path), 1, resampling)], target) as reader:
        expected = reader.read(target.whole)[0]
    np.testing.assert_array_equal(read(path), expected)
    assert np.isfinite(expected).any()


@pytest.mark.parametrize("target", [COARSER["a little coarser"], COARSER["three by three"]])
def test_a_map_averages_the_same(tmp_path, gappy, target):
    (path,) = align_rasters([gappy], target, tmp_path)
    with CovariateReader([Source("x", Path(gappy.path), 1, "average")], target) as reader:
        expected = reader.read(target.whole)[0]
    # at the raster's own edge GDAL gives the outermost cells too much weight
    inner = (slice(1, -12), slice(1, -12))
    np.testing.assert_allclose(read(path)[inner], expected[inner], rtol=2e-6, atol=1e-6)
    np.testing.assert_array_equal(np.isnan(read(path)), np.isnan(expected))


@pytest.mark.parametrize("target", FINER.values(), ids=FINER)
def test_bilinear_follows_the_rule_of_points(tmp_path, gappy, target):
    """Missing where the nearest cell is; other missing neighbours lose their weight."""
    (path,) = align_rasters([gappy], target, tmp_path, resampling="bilinear")
    x, y = (c.ravel().tolist() for c in target.centres())
    points = sample_points(gappy.path, 1, x, y, target.crs, "bilinear").reshape(target.shape)
    found = read(path)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(points))
    np.testing.assert_allclose(found, points, rtol=1e-3, atol=2e-3)


def test_nearest_reads_back_at_points(tmp_path, gappy):
    """No shift by half a cell: the centre of each cell holds what the source holds there."""
    target = FINER["neighbouring zone"]
    (path,) = align_rasters([gappy], target, tmp_path, resampling="nearest")
    x, y = (c.ravel() for c in target.centres())
    back_x, back_y = transform_xy(target.crs, UTM, x.tolist(), y.tolist())
    cols = (np.array(back_x) - CORNER[0]) / 10
    rows = (CORNER[1] - np.array(back_y)) / 10
    inside = (cols > 0) & (cols < 110) & (rows > 0) & (rows < 90)
    clear = inside & (abs(cols - np.rint(cols)) > 1e-3) & (abs(rows - np.rint(rows)) > 1e-3)
    values = read_band(gappy.path, 1)
    np.testing.assert_array_equal(
        read(path).ravel()[clear],
        values[rows[clear].astype(int), cols[clear].astype(int)].astype(np.float32),
    )
    assert clear.sum() > 5000


def test_plane_keeps_its_place(tmp_path):
    """Values that are their own easting: averages and interpolations return it at centres."""
    cols = np.arange(120) * 10.0 + 5
    item = write(tmp_path / "east.tif", np.tile(cols, (90, 1)).astype(np.float32))
    for target in (grid(30.0, 33.0, -40.0, 20, 15), grid(3.0, 33.0, -40.0, 100, 80)):
        (path,) = align_rasters([item], target, tmp_path / "o")
        np.testing.assert_allclose(read(path), target.centres()[0] - CORNER[0], rtol=1e-5)


ODD = {
    "third of a metre": Affine(10 / 3, 0, 500000.1234567, 0, -10 / 3, 5535000.7654321),
    "degrees": None,
    "south up": Affine(7.0, 0, 500100.3, 0, 7.0, 5534200.9),
    "rotated": Affine(8.0, 1.5, 500100.3, 1.5, -8.0, 5534800.9),
}


@pytest.mark.parametrize("name", ODD)
def test_cells_are_those_of_the_grid(tmp_path, gappy, name):
    target = Grid(UTM, ODD[name], 60, 50) if ODD[name] else FINER["degrees"]
    (path,) = align_rasters([gappy], target, tmp_path)
    written = geometry(path)
    assert same_crs(written.crs, target.crs)
    assert written.shape == target.shape
    inverse = ~target.transform
    for corner in ((0, 0), (target.width, 0), (0, target.height), (target.width, target.height)):
        x, y = written.transform @ corner
        dx, dy = x - target.transform.c, y - target.transform.f
        col, row = inverse.a * dx + inverse.b * dy, inverse.d * dx + inverse.e * dy
        assert math.hypot(col - corner[0], row - corner[1]) < 1e-9 * max(1, *corner)
    assert np.isfinite(read(path)).any()


def test_grid_a_hair_off_is_copied_and_snapped(tmp_path, gappy):
    """Cells that agree to 1e-7 are copied bit by bit; the numbers written are the grid's."""
    target = Grid(UTM, Affine(10, 0, CORNER[0] + 1e-6, 0, -10, CORNER[1]), 110, 90)
    progress = RecordingProgress()
    (path,) = align_rasters([gappy], target, tmp_path, progress=progress)
    assert geometry(path).transform.c == CORNER[0] + 1e-6
    np.testing.assert_array_equal(read(path), read_band(gappy.path, 1).astype(np.float32))
    assert progress.messages == ["Höhe.tif: copied, its cells are those of the grid."]


@pytest.mark.parametrize(
    ("cell", "ycell", "value", "code"),
    [
        (30, 30, "average", "mode"),
        (3, 3, "bilinear", "nearest"),
        (10.05, 10.05, "bilinear", "nearest"),
        (10.5, 9.5, "average", "mode"),
        (2, 30, "average", "mode"),
    ],
)
def test_choice_by_cell_size(cell, ycell, value, code):
    source, target = grid(10.0), grid(cell, ycell=ycell)
    assert choose_resampling(source, target, False) == value
    assert choose_resampling(source, target, True) == code


def classes(tmp_path, name="map.tif", dtype=np.uint8, **more):
    rng = np.random.default_rng(2)
    coarse = rng.choice([11, 21, 42, 82], (15, 20))
    values = np.kron(coarse, np.ones((6, 6), int)) + (rng.random((90, 120)) < 0.1)
    return write(tmp_path / name, values.astype(dtype), **{"nodata": 255, **more})


COLOURS = {11: (70, 107, 159, 255), 42: (28, 95, 44, 255)}


@pytest.mark.parametrize("how", ["colours", "name", "told", "band"])
def test_classes_are_never_averaged(tmp_path, how):
    name = "landcover_2020.tif" if how == "name" else "map.tif"
    item = classes(
        tmp_path,
        name,
        colormap=COLOURS if how == "colours" else None,
        names=["LULC"] if how == "band" else (None,),
    )
    told = ["ma*"] if how == "told" else ()
    for target in (grid(25.0, 3.0, -4.0, 40, 30), grid(4.0, 3.0, -4.0, 200, 150)):
        progress = RecordingProgress()
        (path,) = align_rasters([item], target, tmp_path / "o", categorical=told, progress=progress)
        with rasterio.open(path) as dataset:
            assert dataset.dtypes == ("uint8",)
            assert dataset.nodata == 255
        found = read(path)
        assert set(np.unique(found[np.isfinite(found)])) <= {11, 12, 21, 22, 42, 43, 82, 83}
        method = "mode" if target.resolution[0] > 10 else "nearest"
        assert f"{method} (classes" in progress.messages[0]
    style = path.with_suffix(".qml").read_text()
    assert 'type="paletted"' in style
    assert ('value="42" label="42" color="#1c5f2c"' in style) == (how == "colours")


@pytest.mark.parametrize("asked", ["average", "bilinear", "cubic"])
def test_classes_refuse_to_be_mixed(tmp_path, asked):
    progress = RecordingProgress()
    item = classes(tmp_path, colormap=COLOURS)
    target = grid(30.0, width=40, height=30)
    (path,) = align_rasters([item], target, tmp_path / "o", resampling=asked, progress=progress)
    assert progress.warnings == [
        f"'map.tif' holds classes, which have no {asked} value: mode is used."
    ]
    assert set(np.unique(read(path))) <= {11, 12, 21, 22, 42, 43, 82, 83}


def test_shares_of_whole_cells(tmp_path):
    item = classes(tmp_path, colormap=COLOURS)
    (path,) = align_rasters([item], grid(30.0, width=40, height=30), tmp_path / "o")
    values = read_band(item.path, 1)
    for i, j in ((0, 0), (3, 7), (29, 39), (12, 20)):
        codes, counts = np.unique(values[3 * i : 3 * i + 3, 3 * j : 3 * j + 3], return_counts=True)
        assert read(path)[i, j] == codes[counts.argmax()]


def test_shares_on_another_system(tmp_path):
    """Against 40 × 40 points a cell, each carried over by PROJ."""
    item = classes(tmp_path, colormap=COLOURS)
    x, y = transform_xy(UTM, "EPSG:32633", [CORNER[0] + 600], [CORNER[1] - 450])
    shift = Affine(50, 0, x[0] - 400, 0, -50, y[0] + 300)
    target = Grid("EPSG:32633", shift, 16, 12)
    (path,) = align_rasters([item], target, tmp_path / "o")
    values = read_band(item.path, 1)
    agree = total = 0
    for i, j in np.ndindex(target.shape):
        steps = (np.arange(40) + 0.5) / 40
        across, down = np.meshgrid(j + steps, i + steps)
        px = shift.c + 50 * across.ravel()
        py = shift.f - 50 * down.ravel()
        sx, sy = transform_xy(target.crs, UTM, px.tolist(), py.tolist())
        cols = np.floor((np.array(sx) - CORNER[0]) / 10).astype(int)
        rows = np.floor((CORNER[1] - np.array(sy)) / 10).astype(int)
        codes, counts = np.unique(values[rows, cols], return_counts=True)
        ranked = np.sort(counts)[::-1]
        if ranked.size > 1 and ranked[0] - ranked[1] < 0.03 * counts.sum():
            continue  # too near a tie for points
        total += 1
        agree += read(path)[i, j] == codes[counts.argmax()]
    assert total > 150
    assert agree == total


def test_average_on_another_system_is_near_the_area(tmp_path):
    """GDAL averages the box around a cell: against 60 × 60 points a cell on a smooth field."""
    rows, cols = np.mgrid[0:90, 0:120]
    values = (np.sin(cols / 15) + np.cos(rows / 11)).astype(np.float32)
    item = write(tmp_path / "wave.tif", values)
    x, y = transform_xy(UTM, "EPSG:32633", [CORNER[0] + 600], [CORNER[1] - 450])
    target = Grid("EPSG:32633", Affine(50, 0, x[0] - 400, 0, -50, y[0] + 300), 16, 12)
    (path,) = align_rasters([item], target, tmp_path / "o")
    steps = (np.arange(60) + 0.5) / 60
    t = target.transform
    expected = np.zeros(target.shape)
    for i, j in np.ndindex(target.shape):
        across, down = np.meshgrid(j + steps, i + steps)
        sx, sy = transform_xy(
            target.crs,
            UTM,
            (t.c + 50 * across.ravel()).tolist(),
            (t.f - 50 * down.ravel()).tolist(),
        )
        c = np.floor((np.array(sx) - CORNER[0]) / 10).astype(int)
        r = np.floor((CORNER[1] - np.array(sy)) / 10).astype(int)
        expected[i, j] = values[r, c].mean()
    np.testing.assert_allclose(read(path), expected, atol=0.01)
    assert expected.std() > 0.5


def test_average_on_another_system_in_any_block(tmp_path, gappy, monkeypatch):
    target = Grid("EPSG:32633", Affine(47, 0, 69750, 0, -47, 5552290), 26, 23)
    (whole,) = align_rasters([gappy], target, tmp_path / "a")
    assert np.isfinite(read(whole)).sum() > 300
    for side in (16, 90):
        monkeypatch.setattr(alignment, "_SOURCE_CELLS", side)
        (parts,) = align_rasters([gappy], target, tmp_path / "b")
        np.testing.assert_array_equal(read(whole), read(parts))


def test_class_codes_beyond_bytes_stay_whole(tmp_path):
    """CORINE's codes of three digits, and a class 255 that is no nodata."""
    item = write(
        tmp_path / "corine.tif",
        np.kron([[111, 523], [312, 211]], np.ones((9, 9))).astype(np.int16),
        nodata=-1,
    )
    other = write(
        tmp_path / "lulc.tif",
        np.kron([[1, 255], [3, 4]], np.ones((9, 9))).astype(np.uint8),
        nodata=0,
    )
    for path in align_rasters([item, other], grid(45.0, width=4, height=4), tmp_path / "o"):
        with rasterio.open(path) as dataset:
            assert dataset.dtypes == ("float32",)
            assert dataset.nodata == -9999
        found = read(path)
        assert found[0, 2] in (523, 255)
        assert np.isnan(found[-1]).sum() == 0


def test_bytes_that_look_like_classes_are_told(tmp_path):
    progress = RecordingProgress()
    align_rasters([classes(tmp_path)], grid(30.0), tmp_path / "o", progress=progress)
    (told,) = progress.warnings
    assert told.startswith("The band 'map' of 'map.tif' holds 8 different whole numbers")
    assert "CATEGORICAL" in told


def test_bands_names_dates_and_units(tmp_path):
    values = np.ones((3, 30, 30), np.float32) * np.array([1, 2, 3], np.float32)[:, None, None]
    item = write(
        tmp_path / "s1_asc_2021-04-13.tif", values, ["VV", "VH", "angle"], units=("dB", "dB", "deg")
    )
    plain = write(tmp_path / "clay 0-5.tif", values[0])
    paths = align_rasters([item, plain], grid(20.0, width=10, height=10), tmp_path / "o")
    assert [p.name for p in paths] == ["clay 0-5.tif", "s1_asc_20210413.tif"]
    with rasterio.open(paths[1]) as dataset:
        assert dataset.descriptions == ("VV", "VH", "angle")
        assert dataset.units == ("dB", "dB", "deg")
        assert dataset.tags()["TIFFTAG_DATETIME"] == "2021:04:13 00:00:00"
        np.testing.assert_allclose(dataset.read()[:, 0, 0], [1, 2, 3])
    with rasterio.open(paths[0]) as dataset:
        assert dataset.descriptions == ("clay 0-5",)
        assert "TIFFTAG_DATETIME" not in dataset.tags()


def test_scale_offset_and_undeclared_marks(tmp_path):
    values = np.full((30, 30), 2000, np.int16)
    values[:3, :3] = -9999
    item = write(tmp_path / "ndvi.tif", values, nodata=None, scales=(0.0001,), offsets=(0.1,))
    for target in (grid(30.0, width=10, height=10), FINER["neighbouring zone"]):
        progress = RecordingProgress()
        (path,) = align_rasters([item], target, tmp_path / "o", progress=progress)
        found = read(path)
        np.testing.assert_allclose(found[np.isfinite(found)], 0.3, rtol=1e-6)
        assert any("holds 9 × -9999" in text for text in progress.warnings)
    warped = Grid("EPSG:32633", Affine(30, 0, 69750, 0, -30, 5552290), 30, 30)
    progress = RecordingProgress()
    align_rasters([item], warped, tmp_path / "o", resampling="average", progress=progress)
    assert sum("× -9999" in text for text in progress.warnings) == 1


def test_part_of_the_grid_is_covered(tmp_path, gappy):
    target = grid(10.0, 505.0, -405.0, 100, 100)
    (path,) = align_rasters([gappy], target, tmp_path)
    found = read(path)
    assert np.isnan(found[:, 60:]).all()
    assert np.isfinite(found[:45, :55]).any()


def test_empty_intersection_names_both(tmp_path, gappy):
    with pytest.raises(RasterError) as caught:
        align_rasters([gappy], grid(10.0, 50000.0), tmp_path / "o")
    assert str(caught.value).startswith(
        "The raster 'Höhe.tif' does not touch the grid: it covers 110 × 90 cells of 10, edges "
        "500000, 5534100, 501100, 5535000, EPSG:32632, the grid 20 × 16 cells of 10, edges 550000,"
    )
    assert not (tmp_path / "o").exists()


def test_raster_without_value_on_the_grid_is_told(tmp_path, gappy):
    progress = RecordingProgress()
    align_rasters([gappy], grid(2.0, 450.0, -350.0, 50, 50), tmp_path, progress=progress)
    assert progress.warnings == ["'Höhe.tif' has no value on the grid: all cells are missing."]


def test_two_rasters_of_one_name_are_listed(tmp_path):
    items = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        items.append(write(tmp_path / folder / "soil.tif", np.ones((9, 9), np.float32)))
    with pytest.raises(InputError, match=r"one file: .*a.soil.tif; .*b.soil.tif"):
        align_rasters(items, grid(20.0), tmp_path / "o")


def test_inputs_are_never_replaced(tmp_path, gappy):
    folder = Path(gappy.path).parent
    before = Path(gappy.path).read_bytes()
    with pytest.raises(InputError, match=r"replace its own input: Höhe.tif"):
        align_rasters([gappy], grid(30.0), folder)
    assert Path(gappy.path).read_bytes() == before


def test_no_raster_and_unknown_resampling(tmp_path, gappy):
    with pytest.raises(InputError, match="No raster is given"):
        align_rasters([], grid(30.0), tmp_path)
    with pytest.raises(InputError, match="'lanczos' is unknown"):
        align_rasters([gappy], grid(30.0), tmp_path, resampling="lanczos")


def test_raster_given_twice_is_aligned_once(tmp_path, gappy):
    progress = RecordingProgress()
    paths = align_rasters([gappy, gappy], grid(30.0), tmp_path, progress=progress)
    assert [p.name for p in paths] == ["Höhe.tif"]
    assert progress.warnings == ["'Höhe.tif' is given twice: it is read once."]


def test_cancelled_run_leaves_nothing(tmp_path, gappy):
    class Stopped(Progress):
        left = 3

        @property
        def cancelled(self):
            self.left -= 1
            return self.left < 0

    with pytest.raises(Cancelled):
        align_rasters([gappy], grid(30.0), tmp_path / "o", progress=Stopped())
    assert not (tmp_path / "o").exists()


def test_odd_system_of_a_real_park(tmp_path, shared_data):
    """Elevation in degrees onto land cover tagged EPSG:6367, and back, as GDAL's points say."""
    rasters = shared_data / "rasters"
    dem, cover = rasters / "srtm_zion_3arcsec.tif", rasters / "nlcd2011_zion_31m.tif"
    target = geometry(cover).part(Window(300, 400, 200, 150))
    (path,) = align_rasters([RasterInput(str(dem))], target, tmp_path)
    assert same_crs(geometry(path).crs, geometry(cover).crs)
    x, y = (c.ravel().tolist() for c in target.centres())
    points = sample_points(str(dem), 1, x, y, target.crs, "bilinear").reshape(target.shape)
    np.testing.assert_allclose(read(path), points, atol=0.5)
    small = geometry(dem).part(Window(150, 150, 100, 80))
    progress = RecordingProgress()
    (path,) = align_rasters([RasterInput(str(cover))], small, tmp_path, progress=progress)
    assert "mode (classes" in progress.messages[0]
    codes = set(np.unique(read_band(cover, 1)[np.isfinite(read_band(cover, 1))]))
    found = read(path)
    assert set(np.unique(found[np.isfinite(found)])) <= codes
    x, y = (c.ravel().tolist() for c in small.centres())
    nearest = sample_points(str(cover), 1, x, y, small.crs, "nearest").reshape(small.shape)
    assert (found == nearest).mean() > 0.7
    assert 'color="#' in path.with_suffix(".qml").read_text()


def test_real_series_onto_a_field_grid(tmp_path, shared_data):
    """MODIS in its sinusoidal system onto UTM: dates stay the bands' names."""
    source = shared_data / "rasters" / "modis_mod13q1_ndvi_sinop_series.tif"
    target = Grid("EPSG:32721", Affine(100, 0, 650000, 0, -100, 8720000), 150, 120)
    (path,) = align_rasters([RasterInput(str(source))], target, tmp_path)
    assert path.name == source.name
    with rasterio.open(source) as before, rasterio.open(path) as after:
        assert after.descriptions == before.descriptions
    x, y = (c.ravel().tolist() for c in target.centres())
    points = sample_points(str(source), 7, x, y, target.crs, "bilinear").reshape(target.shape)
    found = read(path, 7)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(points))
    np.testing.assert_allclose(found, points, atol=2.0)
    assert np.nanstd(points) > 500
