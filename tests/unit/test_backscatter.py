"""Whole runs of the preparation of backscatter against NumPy and GDAL."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
import rasterio
from affine import Affine
from raster_files import write_raster
from rasterio.warp import Resampling, reproject
from scipy.ndimage import convolve
from soil_moisture_mapper.plugin.core.covariates.radar import backscatter_blocks, backscatter_grid
from soil_moisture_mapper.plugin.core.covariates.radar.backscatter import prepare_backscatter
from soil_moisture_mapper.plugin.core.covariates.radar.backscatter_blocks import Preparation
from soil_moisture_mapper.plugin.core.covariates.table import RasterInput
from soil_moisture_mapper.plugin.core.covariates.timeseries.statistics import temporal_statistics
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError, RasterError
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress

CRS = "EPSG:32632"
KERNEL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
NAMES = ("VV", "VH", "angle")
SHAPE = (70, 90)


def scene(seed=0, shape=SHAPE):
    """Speckled VV, VH and angle with missing cells and values outside the valid ranges."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    truth = -12 + 3 * np.sin(rows / 9) * np.cos(cols / 13)
    values = np.stack([truth, truth - 7, 35 + cols / 10])
    values[:2] += 10 * np.log10(rng.gamma(4.4, 1 / 4.4, (2, *shape)))
    values[:, rng.random(shape) < 0.05] = np.nan
    values[:, :10, :10] = np.nan  # a whole cell
    values[:2, 30:40, 20:30] = 3.0  # a town: a cell with an angle alone
    return values.astype(np.float32)


def write(path, values, names=NAMES, *, x=500000.0, y=5600000.0, **options):
    given = {"crs": CRS, "dtype": "float32", "nodata": np.nan, **options}
    return RasterInput(str(write_raster(path, values, names=names, corner=(x, y), **given)))


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(masked=True).filled(np.nan).astype(np.float64)


def cells_of(values, step):
    """Means over step × step cells, NaN missing."""
    bands, rows, cols = values.shape
    blocks = values.reshape(bands, rows // step, step, cols // step, step)
    there = np.isfinite(blocks)
    count = there.sum(axis=(2, 4))
    total = np.where(there, blocks, 0.0).sum(axis=(2, 4))
    return np.where(count, total / np.maximum(count, 1), np.nan), count / step**2


def expected(values, step, smooth=True):
    """The rule of the methods, on the whole image."""
    values = values.astype(np.float64)
    for band, (low, high) in enumerate(((-25, -5), (-30, -10))):
        with np.errstate(invalid="ignore"):
            values[band][~((values[band] >= low) & (values[band] <= high))] = np.nan
    values[:2] = 10 ** (values[:2] / 10)
    means, _ = cells_of(values, step)
    if smooth:
        for band in (0, 1):
            there = np.isfinite(means[band])
            total = convolve(np.where(there, means[band], 0.0), KERNEL, mode="constant")
            weight = convolve(there.astype(float), KERNEL, mode="constant")
            means[band] = np.where(there, total / np.where(there, weight, 1), np.nan)
    means[:2] = 10 * np.log10(means[:2])
    return means


def prepare(inputs, folder, *, progress=None, bands="VV;VH;angle", extent=None, **settings):
    settings.setdefault("resolution", 100.0)
    return prepare_backscatter(
        inputs,
        folder,
        bands=bands,
        preparation=Preparation(**settings),
        extent=extent,
        progress=progress,
    )


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("decibels", [True, False])
def test_equals_the_rule_in_numpy(tmp_path, smooth, decibels):
    values = scene()
    given = values.copy()
    if not decibels:
        given[:2] = 10 ** (values[:2].astype(np.float64) / 10)
    item = write(tmp_path / "S1_20210401.tif", given)
    (path,) = prepare([item], tmp_path / "out", smooth=smooth, decibels=decibels)
    found, wanted = read(path), expected(values, 10, smooth)
    assert np.isnan(wanted[:, 0, 0]).all()
    assert np.isnan(wanted[:2, 3, 2]).all()
    assert np.isfinite(wanted[2, 3, 2])
    # single precision in the file, 4.8e-7 at 8 to 16 dB; linear images hold single precision too
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    single = np.spacing(np.abs(wanted).astype(np.float32)) / 2
    assert np.nanmax(np.abs(found - wanted) - single) < (1e-9 if decibels else 1e-6)


def test_raster_says_what_it_is(tmp_path):
    item = write(tmp_path / "S1_20210401.tif", scene(), tags={"PASS": "ASCENDING"})
    (path,) = prepare([item], tmp_path / "neu ä")
    assert path == tmp_path / "neu ä" / "s1_asc_20210401.tif"
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "s1_asc_20210401.qml",
        "s1_asc_20210401.tif",
    ]
    with rasterio.open(path) as dataset:
        assert dataset.descriptions == NAMES
        assert dataset.units == ("dB", "dB", "degree")
        assert dataset.nodata == -9999
        assert dataset.tags()["TIFFTAG_DATETIME"] == "2021:04:01 00:00:00"
        assert dataset.crs.to_epsg() == 32632
        assert dataset.transform == Affine(100, 0, 500000, 0, -100, 5600000)
        assert dataset.shape == (7, 9)
    style = path.with_suffix(".qml").read_text(encoding="utf-8")
    assert 'minimumValue="-25" maximumValue="-5"' in style


@pytest.mark.parametrize("cell", [100.0, 33.0, 10.0])
@pytest.mark.parametrize("x", [500000.0, 500004.2])
def test_blocks_and_threads_change_nothing(tmp_path, monkeypatch, cell, x):
    items = [
        write(tmp_path / f"S1_202104{day}T055316.tif", scene(day), x=x + 13.7 * day)
        for day in (10, 22)
    ]
    # a second slice, so that several files meet in a cell
    items.append(write(tmp_path / "S1_20210410T055341.tif", scene(5), x=x + 250, y=5599800.0))
    whole = prepare(items, tmp_path / "whole", resolution=cell)
    monkeypatch.setattr(backscatter_grid, "_WIDE", 40)
    monkeypatch.setattr(backscatter_grid, "_HIGH", 30)
    monkeypatch.setattr(backscatter_blocks, "PORTION", 64)
    parts = prepare_backscatter(
        items, tmp_path / "parts", preparation=Preparation(resolution=cell), threads=3
    )
    for first, second in zip(whole, parts):
        np.testing.assert_array_equal(read(first), read(second))
        assert np.isfinite(read(first)).any()


def test_striped_images_are_read_in_whole_rows(tmp_path):
    values = scene(shape=(40, 600))
    item = write(tmp_path / "S1_20210401.tif", values, blockysize=1)
    (path,) = prepare([item], tmp_path / "out")
    np.testing.assert_allclose(read(path), expected(values, 10), rtol=0, atol=4e-6)


def test_order_of_images_changes_nothing(tmp_path):
    items = [
        write(tmp_path / f"S1_20210401T05531{n}.tif", scene(n), x=500000 + 30.3 * n)
        for n in range(3)
    ]
    first = prepare(items, tmp_path / "a")
    second = prepare(items[::-1], tmp_path / "b")
    np.testing.assert_array_equal(read(first[0]), read(second[0]))


def test_all_dates_share_one_grid(tmp_path):
    """Shifted images of other extents, on edges that are multiples of the resolution."""
    items = [
        write(tmp_path / "S1_20210401.tif", scene(), x=500033.0, y=5600071.0),
        write(tmp_path / "S1_20210413.tif", scene(1, (50, 50)), x=500400.0, y=5599900.0, cell=20),
    ]
    progress = RecordingProgress()
    paths = prepare(items, tmp_path / "out", progress=progress)
    for path in paths:
        with rasterio.open(path) as dataset:
            assert dataset.transform == Affine(100, 0, 500000, 0, -100, 5600100)
            assert dataset.shape == (12, 14)
    temporal_statistics(
        [RasterInput(str(path)) for path in paths], ["mean"], tmp_path / "t.tif", minimum_dates=1
    )
    assert any("14 × 12 cells of 100" in text for text in progress.messages)


def test_cells_of_the_images_are_kept_where_they_have_the_resolution(tmp_path):
    values = scene()
    items = [
        write(tmp_path / "S1_20210401.tif", values, x=500003.7),
        write(tmp_path / "S1_20210413.tif", values, x=500013.7),
    ]
    paths = prepare(items, tmp_path / "out", resolution=10.0, smooth=False)
    with rasterio.open(paths[1]) as dataset:
        assert (dataset.transform.c, dataset.width) == (500003.7, SHAPE[1] + 1)
    masked = expected(values, 1, smooth=False)
    np.testing.assert_allclose(read(paths[1])[:, :, 1:], masked, rtol=0, atol=4e-6)
    assert np.isnan(read(paths[1])[:, :, 0]).all()


def test_slices_are_averaged_where_they_overlap(tmp_path):
    """Two slices of −10 and −13.01 dB (half): −11.25 dB, three quarters, where both are."""
    names = ("S1A_20210401T055316", "S1A_20210401T055341")
    for name, level, y in zip(names, (0.1, 0.05), (5600000.0, 5599700.0)):
        write(tmp_path / f"{name}.tif", np.full((1, 50, 30), 10 * math.log10(level)), ("VV",), y=y)
    items = [RasterInput(str(tmp_path / f"{name}.tif")) for name in names]
    (path,) = prepare(items, tmp_path / "out", smooth=False)
    power = 10 ** (read(path)[0] / 10)
    column = [0.1, 0.1, 0.1, 0.075, 0.075, 0.05, 0.05, 0.05]
    np.testing.assert_allclose(power, np.tile(column, (3, 1)).T, rtol=1e-6)


def test_bands_in_files_of_their_own_are_the_same(tmp_path):
    values = scene()
    whole = prepare([write(tmp_path / "S1_20210401.tif", values)], tmp_path / "a")
    items = [
        write(tmp_path / f"S1_20210401_{name}.tif", values[i : i + 1], (None,))
        for i, name in enumerate(NAMES)
    ]
    single = prepare(items, tmp_path / "b")
    np.testing.assert_array_equal(read(whole[0]), read(single[0]))


def test_bands_that_are_lacking(tmp_path):
    values = scene()
    items = [
        write(tmp_path / "S1_20210401.tif", values[:2], ("VV", "VH")),
        write(tmp_path / "S1_20210413.tif", values[:1], ("VV",)),
    ]
    paths = prepare(items, tmp_path / "out")
    for path in paths:
        with rasterio.open(path) as dataset:
            assert dataset.descriptions == ("VV", "VH")
    first, second = (read(path) for path in paths)
    np.testing.assert_array_equal(first[0], second[0])
    assert np.isnan(second[1]).all()
    assert np.isfinite(first[1]).any()


def test_smallest_share_of_a_cell(tmp_path):
    values = scene()
    item = write(tmp_path / "S1_20210401.tif", values)
    (path,) = prepare([item], tmp_path / "out", smooth=False, least_share=0.95)
    masked = values[2:].astype(np.float64)
    _, share = cells_of(masked, 10)
    assert 0.2 < (share >= 0.95).mean() < 0.9
    np.testing.assert_array_equal(np.isfinite(read(path)[2]), share[0] >= 0.95)


def test_own_ranges(tmp_path):
    item = write(tmp_path / "S1_20210401.tif", scene())
    ranges = ((-12.0, -11.0), (-20.0, -18.0))
    (path,) = prepare([item], tmp_path / "out", ranges=ranges)
    found = read(path)
    for band, (low, high) in zip(found, ranges):
        assert low <= np.nanmin(band) < np.nanmax(band) <= high


def test_scaled_integers(tmp_path):
    values = scene()
    counts = np.where(np.isfinite(values), np.round(values * 100), -32768)
    item = write(
        tmp_path / "S1_20210401.tif",
        counts,
        dtype="int16",
        nodata=-32768,
        scales=(0.01, 0.01, 0.01),
    )
    (path,) = prepare([item], tmp_path / "out")
    rounded = np.where(counts == -32768, np.nan, counts * 0.01)
    np.testing.assert_allclose(read(path), expected(rounded, 10), rtol=0, atol=4e-6)


def test_undeclared_marks_are_counted_and_told(tmp_path):
    values = np.where(np.isfinite(scene()), scene(), -9999)
    item = write(tmp_path / "S1_20210401.tif", values, nodata=None)
    progress = RecordingProgress()
    (path,) = prepare([item], tmp_path / "out", progress=progress)
    np.testing.assert_allclose(read(path), expected(scene(), 10), rtol=0, atol=4e-6)
    for index, name in enumerate(NAMES, start=1):
        count = int(np.isnan(scene()[index - 1]).sum())
        text = f"Band {index} ({name}) of '{item.path}' declares no nodata but holds {count} ×"
        assert sum(text in warning for warning in progress.warnings) == 1


def test_angle_in_radians_is_taken_to_degrees(tmp_path):
    values = scene()
    given = np.concatenate([values[:2], np.radians(values[2:])])
    progress = RecordingProgress()
    item = write(tmp_path / "S1_20210401.tif", given)
    (path,) = prepare([item], tmp_path / "out", progress=progress)
    np.testing.assert_allclose(read(path)[2], expected(values, 10)[2], rtol=1e-6)
    assert any("is in radians" in text for text in progress.messages)


def test_angle_of_zero_is_filling(tmp_path):
    """SNAP fills with 0 and declares no nodata; backscatter of 0 is outside its range anyway."""
    values = scene()
    given = np.where(np.isfinite(values), values, 0.0)
    item = write(tmp_path / "S1_20210401.tif", given, nodata=None)
    (path,) = prepare([item], tmp_path / "out")
    np.testing.assert_allclose(read(path), expected(values, 10), rtol=0, atol=4e-6)


def test_images_in_degrees(tmp_path):
    values = scene()
    item = write(tmp_path / "S1_20210401.tif", values, x=10.0, y=50.0, cell=0.0001, crs="EPSG:4326")
    with pytest.raises(InputError, match=r"100 is in degrees.*EPSG:4326.*about 0\.0009\)"):
        prepare([item], tmp_path / "out")
    (path,) = prepare([item], tmp_path / "out", resolution=0.001)
    np.testing.assert_allclose(read(path), expected(values, 10), rtol=0, atol=4e-6)


@pytest.mark.parametrize(
    ("resolution", "message"),
    [
        (5.0, r"5 is finer than the cells of the image 'S1_20210401.tif' \(10\). Give 10 or more"),
        (0.0, "0 is no cell size"),
        (math.nan, "nan is no cell size"),
    ],
)
def test_resolutions_that_cannot_be(tmp_path, resolution, message):
    item = write(tmp_path / "S1_20210401.tif", scene())
    with pytest.raises(InputError, match=message):
        prepare([item], tmp_path / "out", resolution=resolution)


@pytest.mark.parametrize(
    ("values", "decibels", "message"),
    [
        (lambda v: 10 ** (v / 10), True, "linear power, not dB. Set UNITS to linear"),
        (lambda v: v, False, "that is dB, not linear power. Set UNITS to db"),
        (lambda v: 200 + 10 * v, True, "no backscatter, neither in dB nor linear. Calibrate"),
        (lambda v: 200 + 10 * v, False, "no backscatter, neither"),
        (lambda v: 100 * v, True, "no backscatter in dB is so low. Declare the scale"),
    ],
)
def test_units_are_judged_by_the_values(tmp_path, values, decibels, message):
    given = values(scene()[:1].astype(np.float64))
    item = write(tmp_path / "S1_20210401.tif", given, ("VV",))
    with pytest.raises(InputError, match="VV in 'S1_20210401.tif' holds values from .*" + message):
        prepare([item], tmp_path / "out", decibels=decibels)
    assert not (tmp_path / "out").exists()


def test_units_are_found_in_a_corner(tmp_path):
    """An image that is missing but for a corner between the patches that are looked at first."""
    values = np.full((1, 1300, 1300), np.nan, dtype=np.float32)
    values[0, 1200:1230, 1270:1290] = 0.05
    item = write(tmp_path / "S1_20210401.tif", values, ("VV",))
    with pytest.raises(InputError, match="linear power, not dB"):
        prepare([item], tmp_path / "out")


def test_power_below_zero_and_strong_scatterers_are_no_reason_to_stop(tmp_path):
    """Noise removal leaves some power below 0; towns are above 0 dB."""
    values = 10 ** (scene()[:1].astype(np.float64) / 10)
    values[0, ::3, ::2] = -0.001
    item = write(tmp_path / "S1_20210401.tif", values, ("VV",))
    assert prepare([item], tmp_path / "out", decibels=False)
    values = scene()[:1]
    values[0, :20] = 4.0
    item = write(tmp_path / "S1_20210402.tif", values, ("VV",))
    assert prepare([item], tmp_path / "out")


def test_nothing_valid_is_an_error_and_a_warning_by_date(tmp_path):
    wet = np.full((1, 20, 20), -28.0)
    items = [
        write(tmp_path / "S1_20210401.tif", wet, ("VV",)),
        write(tmp_path / "S1_20210413.tif", wet, ("VV",)),
    ]
    with pytest.raises(InputError, match=r"within the valid range \(VV -25 to -5 dB\)"):
        prepare(items, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    items.append(write(tmp_path / "S1_20210425.tif", wet + 10, ("VV",)))
    progress = RecordingProgress()
    paths = prepare(items, tmp_path / "out", progress=progress)
    assert [path.name for path in paths] == ["s1_20210425.tif"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == [
        "s1_20210425.qml",
        "s1_20210425.tif",
    ]
    assert "s1_20210401.tif: no VV lies within -25 to -5 dB." in progress.warnings
    assert any("not written: s1_20210401.tif; s1_20210413.tif." in t for t in progress.warnings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ranges": ((-5.0, -25.0), (-30.0, -10.0))}, "VV_MIN -5 is not below VV_MAX -25"),
        ({"ranges": ((-25.0, -5.0), (-10.0, -10.0))}, "VH_MIN -10 is not below VH_MAX -10"),
        ({"least_share": 1.5}, "MIN_VALID 1.5 is not between 0 and 1"),
    ],
)
def test_settings_that_contradict_themselves(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        prepare([RasterInput("a.tif")], tmp_path / "out", **settings)


def test_extent_cuts_to_the_cells_it_touches(tmp_path):
    items = [
        write(tmp_path / "S1_20210401.tif", scene()),
        write(tmp_path / "S1_20210413.tif", scene(1), x=501000.0),
    ]
    progress = RecordingProgress()
    extent = (500250.0, 5599550.0, 500480.0, 5599810.0)
    (path,) = prepare(items, tmp_path / "out", extent=extent, progress=progress)
    with rasterio.open(path) as dataset:
        assert dataset.bounds == (500200, 5599500, 500500, 5599900)
    # the Gaussian sees the cells beside the extent
    np.testing.assert_allclose(read(path), expected(scene(), 10)[:, 1:5, 2:5], rtol=0, atol=4e-6)
    assert "1 dates have no image in EXTENT." in progress.warnings
    with pytest.raises(InputError, match="touches no cell"):
        prepare(items, tmp_path / "out", extent=(0.0, 0.0, 10.0, 10.0))


class Stopping(Progress):
    """Says stop after some steps."""

    def __init__(self, steps):
        self.steps = steps

    @property
    def cancelled(self):
        return self.steps <= 0

    def report(self, fraction):
        self.steps -= 1


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_cancelled_run_leaves_everything_as_it_was(tmp_path, monkeypatch, steps):
    monkeypatch.setattr(backscatter_grid, "_HIGH", 40)
    items = [write(tmp_path / f"S1_202104{day}.tif", scene(day)) for day in (10, 22)]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "s1_20210410.tif").write_text("earlier")
    with pytest.raises(Cancelled):
        prepare(items, tmp_path / "out", progress=Stopping(steps))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["s1_20210410.tif"]
    assert (tmp_path / "out" / "s1_20210410.tif").read_text() == "earlier"
    with pytest.raises(Cancelled):
        prepare(items, tmp_path / "new", progress=Stopping(steps))
    assert not (tmp_path / "new").exists()


def test_damaged_image_leaves_nothing(tmp_path):
    item = write(tmp_path / "S1_20210401.tif", scene())
    broken = write(tmp_path / "S1_20210413.tif", scene(1, (300, 300)))
    data = (tmp_path / "S1_20210413.tif").read_bytes()
    (tmp_path / "S1_20210413.tif").write_bytes(data[: len(data) // 2])
    with pytest.raises(RasterError, match=r"S1_20210413\.tif"):
        prepare([item, broken], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folder_that_is_a_file(tmp_path):
    item = write(tmp_path / "S1_20210401.tif", scene())
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match=r"The folder '.*out' cannot be written"):
        prepare([item], tmp_path / "out")


def test_real_scene_against_gdal(tmp_path, shared_data):
    """Sentinel-1 VV of 2015-03-09: GDAL's average of the same linear power, on the same cells."""
    path = shared_data / "rasters" / "s1_vv_db_20150309_20m.tif"
    progress = RecordingProgress()
    (found,) = prepare([RasterInput(str(path))], tmp_path, smooth=False, progress=progress)
    assert found.name == "s1_20150309.tif"
    with rasterio.open(path) as dataset, rasterio.open(found) as result:
        decibels = dataset.read(1).astype(np.float64)
        valid = (decibels >= -25) & (decibels <= -5)
        power = np.where(valid, 10 ** (decibels / 10), np.nan)
        expected = np.full(result.shape, np.nan)
        reproject(
            power,
            expected,
            src_transform=dataset.transform,
            src_crs=dataset.crs,
            dst_transform=result.transform,
            dst_crs=result.crs,
            src_nodata=np.nan,
            dst_nodata=np.nan,
            resampling=Resampling.average,
        )
        assert result.tags()["TIFFTAG_DATETIME"].startswith("2015:03:09")
    values = read(found)[0]
    values, expected = values[1:-1, 1:-1], expected[1:-1, 1:-1]  # GDAL stretches cells at the edge
    assert np.isfinite(values).sum() > 2000
    # GDAL's weights of cut cells have single precision
    np.testing.assert_allclose(values, 10 * np.log10(expected), rtol=0, atol=2e-6)
    assert 0.001 < 1 - valid.mean() < 0.2
    assert date(2015, 3, 9).isoformat() in " ".join(progress.messages)
