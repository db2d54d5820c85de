"""Covariates on another grid: the same for any block, and missing cells never blend in."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import rasterio
from affine import Affine
from raster_files import write_raster
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from soil_moisture_mapper.plugin.core.errors import RasterError
from soil_moisture_mapper.plugin.core.progress import RecordingProgress
from soil_moisture_mapper.plugin.core.rasters import warping
from soil_moisture_mapper.plugin.core.rasters.grids import Grid, Window
from soil_moisture_mapper.plugin.core.rasters.reading import read_band
from soil_moisture_mapper.plugin.core.rasters.warping import (
    CovariateReader,
    Source,
    cell_ratio,
)

UTM = "EPSG:32632"
CORNER = (500000.0, 5535000.0)


def write(path, values, **more):
    return write_raster(path, values, **{"crs": UTM, "corner": CORNER, **more})


def in_blocks(sources, grid, block):
    out = np.full((len(sources), *grid.shape), -1, dtype=np.float32)
    for window in grid.windows(block):
        with CovariateReader(sources, grid) as reader:  # a fresh one for each block
            rows, cols = window.slices
            out[:, rows, cols] = reader.read(window)
    return out


TARGETS = {
    "same system, finer": Grid(UTM, Affine(3.3, 0, 500100.1, 0, -3.3, 5534000.7), 330, 290),
    "same system, coarser": Grid(UTM, Affine(33, 0, 499900, 0, -33, 5535500), 300, 270),
    "neighbouring zone": Grid("EPSG:32633", Affine(9, 0, 71000, 0, -9, 5551000), 330, 290),
    "degrees": Grid("EPSG:4326", Affine(0.0002, 0, 9.0, 0, -0.0002, 49.97), 300, 280),
}


@pytest.fixture(scope="module")
def gappy(tmp_path_factory):
    rng = np.random.default_rng(5)
    values = (800 + rng.normal(0, 20, (2, 400, 500))).astype(np.float32)
    values[rng.random(values.shape) < 0.03] = np.nan
    folder = tmp_path_factory.mktemp("wärp ing")
    return write(folder / "quelle ä.tif", values, nodata=np.nan)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "average"])
def test_any_block_size_reads_the_same(gappy, target, resampling):
    grid = TARGETS[target]
    sources = [Source("a", gappy, 1, resampling), Source("b", gappy, 2, resampling)]
    with CovariateReader(sources, grid) as reader:
        whole = reader.read(grid.whole)
    assert np.isfinite(whole).mean() > 0.2
    for block in (256, 97):
        np.testing.assert_array_equal(in_blocks(sources, grid, block), whole)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "average"])
def test_equals_one_read_of_the_whole_by_gdal(tmp_path, gappy, target, resampling):
    grid = TARGETS[target]
    with CovariateReader([Source("a", gappy, 1, resampling)], grid) as reader:
        ours = reader.read(grid.whole)[0]
        source_grid = reader._groups[0]._source
    xscale, yscale = cell_ratio(source_grid, grid)
    with rasterio.open(gappy) as dataset:  # GDAL's rule for gaps depends on the bands it warps
        alone = write(tmp_path / "alone.tif", dataset.read([1]), nodata=np.nan)
    with (
        rasterio.open(alone) as dataset,
        WarpedVRT(
            dataset,
            crs=grid.crs,
            transform=grid.transform,
            width=grid.width,
            height=grid.height,
            resampling=Resampling[resampling],
            tolerance=1e-6,
            XSCALE=xscale,
            YSCALE=yscale,
        ) as warped,
    ):
        gdal = warped.read(1)
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(gdal))
    np.testing.assert_allclose(ours, gdal, rtol=2e-5)


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "average"])
def test_a_band_reads_the_same_alone_and_with_others(gappy, resampling):
    grid = TARGETS["degrees"]
    with CovariateReader(
        [Source("a", gappy, 1, resampling), Source("b", gappy, 2, resampling)], grid
    ) as reader:
        together = reader.read(grid.whole)
    for band in (1, 2):
        with CovariateReader([Source("x", gappy, band, resampling)], grid) as reader:
            np.testing.assert_array_equal(reader.read(grid.whole)[0], together[band - 1])


def test_threads_read_the_same(gappy):
    grid = TARGETS["degrees"]
    sources = [Source("a", gappy, 1), Source("b", gappy, 2, "cubic")]
    found = {}
    with CovariateReader(sources, grid) as reader:
        whole = reader.read(grid.whole)

        def work(windows):
            for window in windows:
                found[window] = reader.read(window)

        windows = grid.windows(64)
        workers = [threading.Thread(target=work, args=(windows[i::3],)) for i in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert len(found) == len(windows)
    for window, values in found.items():
        np.testing.assert_array_equal(values, whole[(slice(None), *window.slices)])


def test_cells_that_agree_are_copied_exactly(gappy):
    """A window of the source, reaching beyond it, comes as its own cells."""
    grid = Grid(UTM, Affine(10, 0, CORNER[0] - 50, 0, -10, CORNER[1] + 30), 60, 50)
    for resampling in ("nearest", "bilinear", "cubic", "average"):
        with CovariateReader([Source("b", gappy, 2, resampling)], grid) as reader:
            values = reader.read(grid.whole)[0]
        expected = np.full((50, 60), np.nan)
        expected[3:, 5:] = read_band(gappy, 2, Window(0, 0, 55, 47))
        np.testing.assert_array_equal(values, expected.astype(np.float32))


@pytest.mark.parametrize(
    ("dtype", "mark", "nodata"),
    [
        ("float32", -9999, None),
        ("float32", -32768, None),
        ("float32", -3.4028234663852886e38, None),
        ("float32", 3.4e38, None),
        ("int16", -9999, None),
        ("int16", -32768, None),
        ("float32", np.inf, None),
        ("float32", -np.inf, -5),
        ("float32", -3.4028234663852886e38, -3.4028234663852886e38),
        ("int16", -5, -5),
        ("uint8", 0, 0),
    ],
)
def test_no_kind_of_missing_cell_blends_into_its_neighbours(tmp_path, dtype, mark, nodata):
    """A field of one value stays at it, wherever cells are missing."""
    rng = np.random.default_rng(2)
    values = np.full((1, 60, 60), 7, dtype=dtype)
    values[0][rng.random((60, 60)) < 0.2] = mark
    path = write(tmp_path / "a.tif", values, nodata=nodata)
    grid = Grid(UTM, Affine(7, 0, CORNER[0] + 3, 0, -7, CORNER[1] - 3), 70, 70)
    for resampling in ("nearest", "bilinear", "cubic", "average"):
        with CovariateReader([Source("a", path, 1, resampling)], grid) as reader:
            read = reader.read(grid.whole)
        assert np.isfinite(read).mean() > 0.5
        np.testing.assert_allclose(read[np.isfinite(read)], 7, rtol=1e-6)


def test_scale_and_offset_are_applied_before_interpolation(tmp_path):
    """A plane in scaled int16 comes out as the plane, and −32768 as a hole."""
    cols, rows = np.meshgrid(np.arange(40), np.arange(40))
    raw = (3 * cols + 2 * rows).astype(np.int16)[None]
    raw[0, 20, 20] = -32768
    path = write(tmp_path / "s.tif", raw, scales=(0.1,), offsets=(-4.0,))
    grid = Grid(UTM, Affine(5, 0, CORNER[0] + 20, 0, -5, CORNER[1] - 20), 70, 70)
    progress = RecordingProgress()
    with CovariateReader([Source("s", path, 1)], grid, progress) as reader:
        read = reader.read(grid.whole)[0]
    x, y = grid.centres()
    plane = (3 * ((x - CORNER[0]) / 10 - 0.5) + 2 * ((CORNER[1] - y) / 10 - 0.5)) * 0.1 - 4
    far = np.hypot(x - CORNER[0] - 205, CORNER[1] - 205 - y) > 16
    np.testing.assert_allclose(read[far], plane[far], atol=1e-5)
    assert len(progress.warnings) == 1
    assert "1 × -32768" in progress.warnings[0]
    assert "Band 1" in progress.warnings[0]


def test_bands_with_different_gaps_and_a_mask_stay_apart(tmp_path):
    values = np.stack([np.full((30, 30), 5.0), np.full((30, 30), 6.0)]).astype(np.float32)
    values[0, :10] = np.nan
    values[1, 20:] = np.nan
    path = write(tmp_path / "two.tif", values)
    masked = tmp_path / "masked.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        write(masked, np.full((1, 30, 30), 9, dtype=np.int16))
        with rasterio.open(masked, "r+") as dataset:
            mask = np.full((30, 30), 255, dtype=np.uint8)
            mask[:, :15] = 0
            dataset.write_mask(mask)
    grid = Grid(UTM, Affine(5, 0, CORNER[0], 0, -5, CORNER[1]), 60, 60)
    sources = [Source("a", path, 1), Source("b", path, 2), Source("m", masked, 1)]
    with CovariateReader(sources, grid) as reader:
        a, b, m = reader.read(grid.whole)
    assert np.isnan(a[:20]).all() and (a[20:] == 5).all()
    assert np.isnan(b[40:]).all() and (b[:40] == 6).all()
    assert np.isnan(m[:, :30]).all() and (m[:, 30:] == 9).all()


def test_bands_that_declare_different_nodata(tmp_path):
    """A virtual raster may: −1 is missing in the first band and a value in the second."""
    values = np.full((2, 30, 30), 5, dtype=np.int16)
    values[:, 10:20, :15] = -1
    values[:, 10:20, 15:] = -2
    write(tmp_path / "two.tif", values)
    bands = "".join(
        f'<VRTRasterBand dataType="Int16" band="{band}"><NoDataValue>{-band}</NoDataValue>'
        f'<SimpleSource><SourceFilename relativeToVRT="1">two.tif</SourceFilename>'
        f"<SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
        for band in (1, 2)
    )
    path = tmp_path / "two.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="30" rasterYSize="30"><SRS>EPSG:32632</SRS><GeoTransform>'
        f"{CORNER[0]},10,0,{CORNER[1]},0,-10</GeoTransform>{bands}</VRTDataset>"
    )
    grid = Grid(UTM, Affine(5, 0, CORNER[0], 0, -5, CORNER[1]), 60, 60)
    sources = [Source("a", path, 1, "nearest"), Source("b", path, 2, "nearest")]
    with CovariateReader(sources, grid) as reader:
        first, second = reader.read(grid.whole)
    expected = np.full((2, 60, 60), 5.0)
    expected[0, 20:40, :30], expected[0, 20:40, 30:] = np.nan, -2
    expected[1, 20:40, :30], expected[1, 20:40, 30:] = -1, np.nan
    np.testing.assert_array_equal([first, second], expected)
    np.testing.assert_array_equal(read_band(path, 2)[10:20], expected[1, 20:40:2, ::2])


def test_alpha_band_masks(tmp_path):
    path = tmp_path / "rgba.tif"
    values = np.stack([np.full((20, 20), 50), np.full((20, 20), 255)]).astype(np.uint8)
    values[1, :, :7] = 0
    write(path, values, dtype="uint8", options={"alpha": "yes"})
    grid = Grid(UTM, Affine(10, 0, CORNER[0], 0, -10, CORNER[1]), 20, 20)
    with CovariateReader([Source("g", path, 1)], grid) as reader:
        read = reader.read(grid.whole)[0]
    assert np.isnan(read[:, :7]).all() and (read[:, 7:] == 50).all()


def test_average_is_the_mean_of_the_cells(tmp_path):
    values = np.random.default_rng(3).normal(size=(1, 40, 40)).astype(np.float32)
    values[0, 0, 0] = np.nan
    path = write(tmp_path / "a.tif", values)
    grid = Grid(UTM, Affine(40, 0, CORNER[0], 0, -40, CORNER[1]), 10, 10)
    with CovariateReader([Source("a", path, 1, "average")], grid) as reader:
        read = reader.read(grid.whole)[0]
    expected = np.nanmean(values[0].reshape(10, 4, 10, 4).swapaxes(1, 2).reshape(10, 10, 16), -1)
    np.testing.assert_allclose(read, expected, rtol=1e-5)


def test_raster_that_does_not_touch_the_map_is_named(tmp_path, gappy):
    grid = Grid(UTM, Affine(10, 0, 100000, 0, -10, 100000), 5, 5)
    progress = RecordingProgress()
    with CovariateReader([Source("far", gappy, 1)], grid, progress) as reader:
        assert reader.outside == ("far",)
        assert np.isnan(reader.read(grid.whole)).all()
    assert "'far' does not touch the map" in progress.warnings[0]


def test_tile_beyond_the_source_is_missing(gappy):
    grid = Grid(UTM, Affine(20, 0, CORNER[0] + 1, 0, -20, CORNER[1] + 1), 900, 300)
    with CovariateReader([Source("a", gappy, 1, "average")], grid) as reader:
        read = reader.read(grid.whole)[0]
    assert np.isnan(read[:, 260:]).all() and np.isfinite(read[10:190, 10:240]).mean() > 0.99


def test_unknown_resampling_is_refused(gappy):
    with pytest.raises(RasterError, match="'lanczos' of covariate 'a' is unknown"):
        CovariateReader([Source("a", gappy, 1, "lanczos")], TARGETS["degrees"])


def test_tiles_are_small_where_the_source_is_much_finer(tmp_path, monkeypatch):
    rng = np.random.default_rng(4)
    values = rng.normal(size=(600, 700)).astype(np.float32)
    path = write(tmp_path / "fine.tif", values, cell=1.0)
    target = Grid(UTM, Affine(20, 0, CORNER[0], 0, -20, CORNER[1]), 35, 30)
    sources = [Source("a", path, 1, "average")]
    expected = values.reshape(30, 20, 35, 20).mean(axis=(1, 3))
    with CovariateReader(sources, target) as reader:
        assert reader.read(target.whole)[0] == pytest.approx(expected, abs=1e-6)
    monkeypatch.setattr(warping, "_SOURCE_CELLS", 20_000)
    shapes = []
    read = warping.WarpedVRT

    def spy(*arguments, **options):
        shapes.append((options["width"], options["height"]))
        return read(*arguments, **options)

    monkeypatch.setattr(warping, "WarpedVRT", spy)
    assert in_blocks(sources, target, 7)[0] == pytest.approx(expected, abs=1e-6)
    assert all(width * height * 400 <= 20_000 for width, height in shapes)
    with CovariateReader(sources, target) as reader:
        assert np.array_equal(reader.read(target.whole), in_blocks(sources, target, 11))
