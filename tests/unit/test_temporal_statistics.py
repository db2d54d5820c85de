"""Statistics over time against NumPy on the whole stack."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from soil_moisture_mapper.plugin.core.covariates import series as series_module
from soil_moisture_mapper.plugin.core.covariates import statistics
from soil_moisture_mapper.plugin.core.covariates.statistics import (
    RunningStatistics,
    temporal_statistics,
)
from soil_moisture_mapper.plugin.core.covariates.table import RasterInput
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError, RasterError
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress

ALL = ["min", "mean", "max", "sd"]
SHAPE = (23, 31)


def write(path, values, names=("VV", "VH"), cell=10.0):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=values.shape[2],
        height=values.shape[1],
        count=values.shape[0],
        dtype="float32",
        crs="EPSG:32632",
        transform=Affine(cell, 0, 500000, 0, -cell, 5535000),
        nodata=np.nan,
    ) as dataset:
        dataset.write(values.astype(np.float32))
        dataset.descriptions = names
    return RasterInput(str(path))


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    folder = tmp_path_factory.mktemp("s1 ä")
    rng = np.random.default_rng(4)
    stack = rng.normal(-12, 3, (12, 2, *SHAPE)).astype(np.float32)
    stack[rng.random(stack.shape) < 0.15] = np.nan
    inputs = [
        write(folder / f"s1_{date(2021, 3, 1) + timedelta(days=6 * i):%Y%m%d}.tif", values)
        for i, values in enumerate(stack)
    ]
    return inputs, stack.astype(np.float64)


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(masked=True).filled(np.nan), dataset.descriptions


@pytest.mark.parametrize("block", [512, 10])
def test_equals_numpy_over_the_stack(tmp_path, series, monkeypatch, block):
    monkeypatch.setattr(statistics, "blocks_of", lambda grid, cells: grid.windows(block))
    monkeypatch.setattr(series_module, "OPEN_FILES", 3)
    inputs, stack = series
    progress = RecordingProgress()
    names = temporal_statistics(inputs[::-1], ALL, tmp_path / "t.tif", progress=progress)
    found, descriptions = read(tmp_path / "t.tif")
    assert names == descriptions
    assert names == tuple(f"{band}_{s}" for band in ("VV", "VH") for s in ALL)
    enough = np.isfinite(stack).sum(axis=0) >= 10
    assert 0.3 < enough.mean() < 0.98
    functions = (np.nanmin, np.nanmean, np.nanmax, np.nanstd)
    for band in (0, 1):
        for position, function in enumerate(functions):
            expected = np.where(enough[band], function(stack[:, band], axis=0), np.nan)
            np.testing.assert_allclose(found[4 * band + position], expected, rtol=1e-6)
    assert "VV: 12 rasters on 12 dates." in progress.messages


def test_order_of_rasters_changes_nothing(tmp_path, series):
    inputs, _ = series
    temporal_statistics(inputs, ALL, tmp_path / "a.tif")
    temporal_statistics(inputs[::-1], ALL, tmp_path / "b.tif")
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], read(tmp_path / "b.tif")[0])


@given(
    st.lists(
        st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=3, max_size=3),
        min_size=1,
        max_size=15,
    )
)
def test_running_statistics_are_those_of_the_values(blocks):
    stack = np.array(blocks)[:, None, :]
    running = RunningStatistics((1, 3))
    for values in stack:
        running.add(values)
    for cell in range(3):
        values = stack[:, 0, cell][np.isfinite(stack[:, 0, cell])]
        for name, function in (("min", np.min), ("mean", np.mean), ("max", np.max), ("sd", np.std)):
            found = running.result(name, 1)[0, cell]
            if values.size:
                # Cancellation in the deviations is relative to the size of the values.
                size = 1 + np.abs(values).max()
                assert found == pytest.approx(function(values), abs=1e-7 * size)
            else:
                assert np.isnan(found)


def test_two_rasters_of_a_day_are_one_date(tmp_path):
    """Ten rasters on nine days: too few dates, but all ten values count where it is enough."""
    inputs = []
    for i in range(10):
        folder = tmp_path / f"orbit {i % 2}"
        folder.mkdir(exist_ok=True)
        day = date(2021, 3, 1) + timedelta(days=min(i, 8))
        inputs.append(write(folder / f"s1_{day:%Y%m%d}.tif", np.full((1, 2, 2), i), ("VV",)))
    progress = RecordingProgress()
    temporal_statistics(inputs, ["mean"], tmp_path / "t.tif", progress=progress)
    assert np.isnan(read(tmp_path / "t.tif")[0]).all()
    assert any("9 dates, fewer than the 10" in text for text in progress.warnings)
    temporal_statistics(inputs, ["mean"], tmp_path / "t.tif", minimum_dates=9)
    np.testing.assert_allclose(read(tmp_path / "t.tif")[0], 4.5)


def test_rasters_without_date_count_each(tmp_path):
    inputs = [write(tmp_path / f"{i}.tif", np.full((1, 2, 2), i), ("VV",)) for i in "123"]
    temporal_statistics(inputs, ["max"], tmp_path / "t.tif", minimum_dates=3)
    np.testing.assert_allclose(read(tmp_path / "t.tif")[0], 3)


def test_rasters_on_two_grids_are_named(tmp_path):
    inputs = [
        write(tmp_path / "a_20210401.tif", np.ones((2, 3, 3))),
        write(tmp_path / "b_20210402.tif", np.ones((2, 3, 3)), cell=20.0),
    ]
    with pytest.raises(RasterError, match=r"'a_20210401.tif' has 3 × 3 cells of 10.*'b_2021"):
        temporal_statistics(inputs, ALL, tmp_path / "t.tif")


def test_unknown_statistics_and_no_raster_are_errors(tmp_path):
    with pytest.raises(InputError, match="No raster"):
        temporal_statistics([], ALL, tmp_path / "t.tif")
    with pytest.raises(InputError, match="'median'"):
        temporal_statistics([RasterInput("a.tif")], ["median"], tmp_path / "t.tif")


def test_cancelled_run_leaves_nothing(tmp_path, series):
    class Stopped(Progress):
        cancelled = True

    with pytest.raises(Cancelled):
        temporal_statistics(series[0], ALL, tmp_path / "t.tif", progress=Stopped())
    assert list(tmp_path.iterdir()) == []


def test_real_series_of_a_year(tmp_path, shared_data):
    """Twelve MODIS dates in one file against NumPy."""
    path = shared_data / "rasters" / "modis_mod13q1_ndvi_sinop_series.tif"
    names = temporal_statistics([RasterInput(str(path))], ["mean", "sd"], tmp_path / "t.tif")
    assert names == tuple(f"modis_mod13q1_ndvi_sinop_series_{s}" for s in ("mean", "sd"))
    with rasterio.open(path) as dataset:
        stack = dataset.read().astype(np.float64)
    found, _ = read(tmp_path / "t.tif")
    np.testing.assert_allclose(found[0], stack.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found[1], stack.std(axis=0), rtol=1e-6)
