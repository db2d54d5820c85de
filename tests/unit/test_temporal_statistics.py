"""Statistics over time against NumPy on the whole stack."""

from __future__ import annotations

import gc
import tracemalloc
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from raster_files import write_raster
from soil_moisture_mapper.plugin.core.covariates.table import RasterInput
from soil_moisture_mapper.plugin.core.covariates.timeseries import series_files, statistics
from soil_moisture_mapper.plugin.core.covariates.timeseries.statistics import (
    RunningStatistics,
    temporal_statistics,
)
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError, RasterError
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress

ALL = ["min", "mean", "max", "sd"]
SHAPE = (23, 31)


def write(path, values, names=("VV", "VH"), cell=10.0):
    write_raster(path, values, names=names, cell=cell, dtype="float32", nodata=np.nan)
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
    monkeypatch.setattr(series_files, "OPEN_FILES", 3)
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


@given(
    st.lists(st.floats(-40, 0, width=32), min_size=1, max_size=30),
    st.sampled_from([0.0, 1e6, -1e9]),
)
def test_a_large_offset_costs_no_digits(values, offset):
    """Against exact fractions: the deviation keeps its digits on top of any level."""
    values = [value + offset for value in values]
    running = RunningStatistics((1, 1))
    for value in values:
        running.add(np.array([[value]]))
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    variance = sum((value - mean) ** 2 for value in exact) / len(exact)
    assert running.result("mean", 1)[0, 0] == pytest.approx(float(mean), rel=1e-14)
    assert running.result("sd", 1)[0, 0] == pytest.approx(float(variance) ** 0.5, rel=1e-7)


def orbits(folder):
    """Three ascending and three descending days, 2 dB apart, and one of unknown direction."""
    inputs = []
    for i in range(3):
        for level, direction in ((-10.0, "asc"), (-12.0, "desc")):
            day = date(2021, 4, 1) + timedelta(days=6 * i + (direction == "desc"))
            path = folder / f"s1_{direction}_{day:%Y%m%d}.tif"
            inputs.append(write(path, np.full((2, 2, 2), level + i), ("VV", "VH")))
    return inputs


def test_directions_have_bands_of_their_own(tmp_path):
    progress = RecordingProgress()
    names = temporal_statistics(
        orbits(tmp_path), ["mean", "sd"], tmp_path / "t.tif", minimum_dates=3, progress=progress
    )
    assert names == tuple(
        f"{band}_{direction}_{s}"
        for band in ("VV", "VH")
        for direction in ("asc", "desc")
        for s in ("mean", "sd")
    )
    found, _ = read(tmp_path / "t.tif")
    np.testing.assert_allclose(found[[0, 2], 0, 0], [-9, -11])
    np.testing.assert_allclose(found[[1, 3], 0, 0], np.std([0, 1, 2]), rtol=1e-6)
    assert progress.warnings == []
    assert "VV_asc: 3 rasters on 3 dates." in progress.messages


def test_one_direction_keeps_the_names(tmp_path):
    names = temporal_statistics(orbits(tmp_path)[::2], ["min"], tmp_path / "t.tif")
    assert names == ("VV_min", "VH_min")


def test_directions_can_be_pooled_with_a_warning(tmp_path):
    progress = RecordingProgress()
    names = temporal_statistics(
        orbits(tmp_path),
        ["mean"],
        tmp_path / "t.tif",
        minimum_dates=6,
        directions="pooled",
        progress=progress,
    )
    assert names == ("VV_mean", "VH_mean")
    np.testing.assert_allclose(read(tmp_path / "t.tif")[0], -10)
    assert any("are mixed in VH, VV" in text for text in progress.warnings)


@pytest.mark.parametrize(
    ("bands", "names"), [(["VV"], ("VV_max",)), (["V?"], ("VV_max", "VH_max"))]
)
def test_bands_can_be_chosen(tmp_path, bands, names):
    inputs = [
        write(tmp_path / f"s1_2021040{n}.tif", np.full((3, 2, 2), n), ("VV", "VH", "angle"))
        for n in (1, 2)
    ]
    found = temporal_statistics(inputs, ["max"], tmp_path / "t.tif", minimum_dates=2, bands=bands)
    assert found == names
    np.testing.assert_allclose(read(tmp_path / "t.tif")[0], 2)


def test_band_that_is_nowhere_is_named(tmp_path, series):
    with pytest.raises(InputError, match=r"No band is named 'HH'\. There are VV, VH"):
        temporal_statistics(series[0], ALL, tmp_path / "t.tif", bands=["HH"])


def test_bands_in_another_order_are_matched_by_name(tmp_path):
    inputs = [
        write(tmp_path / "s1_20210401.tif", np.stack([np.full((2, 2), v) for v in (1, 10)])),
        write(
            tmp_path / "s1_20210402.tif",
            np.stack([np.full((2, 2), v) for v in (20, 2)]),
            ("VH", "VV"),
        ),
    ]
    temporal_statistics(inputs, ["max"], tmp_path / "t.tif", minimum_dates=2)
    found, names = read(tmp_path / "t.tif")
    assert dict(zip(names, found[:, 0, 0])) == {"VV_max": 2, "VH_max": 20}


def test_other_band_names_are_told(tmp_path):
    inputs = [
        write(tmp_path / f"s1_2021040{n}.tif", np.ones((2, 2, 2)), ("VV", name))
        for n, name in enumerate(["VH", "VH", "Sigma0_VH"], start=1)
    ]
    progress = RecordingProgress()
    temporal_statistics(inputs, ["max"], tmp_path / "t.tif", minimum_dates=1, progress=progress)
    assert any(
        "1 rasters have no band 'VH', which others like them have: s1_20210403.tif" in text
        for text in progress.warnings
    )


@pytest.mark.parametrize("change", ["shifted", "system"])
def test_shifted_grids_and_other_systems_are_named(tmp_path, series, change):
    odd = write(tmp_path / "s1_20211001.tif", np.ones((2, *SHAPE)))
    with rasterio.open(odd.path, "r+") as dataset:
        if change == "shifted":
            dataset.transform = Affine(10, 0, 500005, 0, -10, 5535000)
        else:
            dataset.crs = "EPSG:32633"
    with pytest.raises(RasterError, match=r"'s1_20211001.tif' has 31 × 23 .*'Align to grid'"):
        temporal_statistics([*series[0], odd], ALL, tmp_path / "t.tif")
    assert not (tmp_path / "t.tif").exists()


def test_several_rasters_of_a_day_are_told(tmp_path):
    inputs = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        inputs.append(write(tmp_path / folder / "s1_20210401.tif", np.ones((1, 2, 2)), ("VV",)))
    progress = RecordingProgress()
    temporal_statistics(inputs, ["max"], tmp_path / "t.tif", minimum_dates=1, progress=progress)
    (told,) = progress.warnings
    assert "2021-04-01: s1_20210401.tif and s1_20210401.tif" in told


def test_gaps_of_a_day_are_joined_cell_by_cell(tmp_path):
    """Two tiles of a day that overlap in one cell: a date each, three values in two dates."""
    tiles = [[1.0, 2.0, np.nan], [np.nan, 4.0, 5.0]]
    inputs = []
    for folder, values in zip("ab", tiles):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "s1_20210401.tif"
        inputs.append(write(path, np.array([[values]]), ("VV",)))
    inputs.append(write(tmp_path / "s1_20210405.tif", np.array([[[7.0, 9.0, np.nan]]]), ("VV",)))
    temporal_statistics(inputs, ["mean"], tmp_path / "t.tif", minimum_dates=2)
    np.testing.assert_allclose(read(tmp_path / "t.tif")[0], [[[4.0, 5.0, np.nan]]])


def test_rasters_with_unreadable_dates_are_told(tmp_path):
    inputs = [
        write(tmp_path / name, np.ones((1, 2, 2)), ("VV",))
        for name in ("s1_20211341.tif", "s1_20210401.tif")
    ]
    progress = RecordingProgress()
    temporal_statistics(inputs, ["max"], tmp_path / "t.tif", minimum_dates=2, progress=progress)
    assert any(
        text.startswith("Rasters without a date that can be read") and "s1_20211341.tif" in text
        for text in progress.warnings
    )


def test_units_are_kept(tmp_path):
    inputs = [write(tmp_path / f"s1_2021040{n}.tif", np.ones((2, 2, 2))) for n in (1, 2)]
    for item in inputs:
        with rasterio.open(item.path, "r+") as dataset:
            dataset.units = ("dB", "dB")
    temporal_statistics(inputs, ["min", "sd"], tmp_path / "t.tif")
    with rasterio.open(tmp_path / "t.tif") as dataset:
        assert dataset.units == ("dB",) * 4


def test_undeclared_marks_are_counted_once_however_blocks_are_read(tmp_path, monkeypatch):
    values = np.ones((1, 20, 20))
    values[0, :, 0] = -9999
    inputs = []
    for n in range(1, 6):
        path = tmp_path / f"x_2021040{n}.tif"
        inputs.append(write(path, values, ("x",)))
        with rasterio.open(path, "r+") as dataset:
            dataset.nodata = None
    monkeypatch.setattr(statistics, "blocks_of", lambda grid, cells: grid.windows(6))
    monkeypatch.setattr(series_files, "OPEN_FILES", 2)
    progress = RecordingProgress()
    temporal_statistics(inputs, ["mean"], tmp_path / "t.tif", minimum_dates=1, progress=progress)
    told = [text for text in progress.warnings if "holds 20 × -9999" in text]
    assert len(told) == 3
    assert any(text.startswith("So do 2 more bands") for text in progress.warnings)
    found, _ = read(tmp_path / "t.tif")
    assert np.isnan(found[0, :, 0]).all()
    assert (found[0, :, 1:] == 1).all()


def test_threads_give_the_same_bytes(tmp_path, series):
    written = []
    for threads in (1, 4):
        temporal_statistics(series[0], ALL, tmp_path / "t.tif", threads=threads)
        written.append((tmp_path / "t.tif").read_bytes())
    assert written[0] == written[1]


def test_memory_does_not_grow_with_the_dates(tmp_path):
    """Arrays held at a time: those of the statistics, not of the series."""
    peaks = {}
    for count in (5, 40):
        folder = tmp_path / str(count)
        folder.mkdir()
        inputs = [
            write(
                folder / f"x_{date(2021, 1, 1) + timedelta(days=n):%Y%m%d}.tif",
                np.full((1, 300, 300), n),
                ("x",),
            )
            for n in range(count)
        ]
        gc.collect()
        tracemalloc.start()
        temporal_statistics(inputs, ALL, folder / "t.tif")
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[40] < 1.3 * peaks[5]
