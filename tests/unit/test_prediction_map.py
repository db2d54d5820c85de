"""Maps: the same for any block and thread count, with a reason for every empty pixel."""

from __future__ import annotations

import csv
import itertools
import re
import threading
import time
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
import rasterio
from affine import Affine
from raster_files import write_raster
from soil_moisture_mapper.plugin.core.covariates.rows import CovariateRow
from soil_moisture_mapper.plugin.core.covariates.table import CovariateTable
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError
from soil_moisture_mapper.plugin.core.mapping import blocks, prediction
from soil_moisture_mapper.plugin.core.mapping.prediction import (
    predict_map,
    predict_series,
    quantile_name,
)
from soil_moisture_mapper.plugin.core.models.calibration import Calibration, Margins
from soil_moisture_mapper.plugin.core.models.forest import grow_forest
from soil_moisture_mapper.plugin.core.models.record import Covariate, Model, predict_model
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress
from soil_moisture_mapper.plugin.core.rasters.grids import Grid

UTM = "EPSG:32632"
LEFT, TOP = 500000.0, 5535000.0
DAY = date(2021, 4, 1)
GRID = Grid(UTM, Affine(10, 0, LEFT, 0, -10, TOP), 150, 130)
NAMES = ("clay", "slope", "smap")


def make_model(names=NAMES, *, seed=1, **more):
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 1, (300, len(names))).astype(np.float32)
    y = 0.1 + 0.3 * X[:, 0] + 0.05 * rng.normal(size=300)
    covariates = tuple(Covariate(name, "", "", 0.0, 1.0, 0.5) for name in names)
    calibration = Calibration(None, Margins((0.9,), (0.02,), 10), None, "network")
    forest = grow_forest(X, y, trees=8, min_leaf=10, seed=seed, threads=1)
    return Model("qrf", "trained", forest, covariates, calibration=calibration, **more)


def write(path, values, *, cell=10.0, left=LEFT, top=TOP, crs=UTM, nodata=-9999.0):
    place = {"crs": crs, "cell": cell, "corner": (left, top)}
    return write_raster(path, values, dtype="float32", nodata=nodata, **place)


def row(name, path, day=None, resampling="bilinear", tolerance=2):
    return CovariateRow(name, "", str(path), 1, day, day, resampling, tolerance, "")


@pytest.fixture(scope="module")
def land(tmp_path_factory):
    """Three covariates on three grids; holes in clay (rows 0–9) and smap (columns 0–9)."""
    folder = tmp_path_factory.mktemp("länd schaft")
    rng = np.random.default_rng(3)
    clay = rng.uniform(0, 1, GRID.shape)
    clay[:10] = np.nan
    smap = rng.uniform(0, 1, GRID.shape)
    smap[:, :10] = np.nan
    rows = [
        row("clay", write(folder / "clay.tif", clay)),
        row(
            "slope",
            write(
                folder / "slope.tif",
                rng.uniform(0, 1, (140, 140)),
                cell=13.0,
                left=LEFT - 100,
                top=TOP + 100,
            ),
        ),
        row("smap", write(folder / "smap_20210401.tif", smap), DAY),
        row("unused", folder / "not there.tif"),
        row("unused", folder / "not there.tif"),
    ]
    return CovariateTable(tuple(rows), folder)


@pytest.fixture(scope="module")
def model():
    return make_model()


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(masked=True).filled(np.nan)


def test_map_is_the_model_at_every_pixel_that_has_its_covariates(tmp_path, land, model):
    """Oracle: GDAL reads the covariates that lie on the map's grid, the model predicts them."""
    clay_row, _, smap_row = land.rows[:3]
    table = CovariateTable((clay_row, smap_row, replace(clay_row, covariate="slope")), land.folder)
    summary = predict_map(model, table, DAY, GRID, output=tmp_path / "karte ö.tif")
    clay, smap = read(land.rows[0].path)[0], read(land.rows[2].path)[0]
    there = np.isfinite(clay) & np.isfinite(smap)
    X = np.stack([clay[there], clay[there], smap[there]], axis=1).astype(np.float32)
    expected = predict_model(model, X, (0.05, 0.5, 0.95))
    bands = read(tmp_path / "karte ö.tif")
    np.testing.assert_array_equal(np.isfinite(bands[0]), there)
    np.testing.assert_array_equal(bands[0][there], expected.mean.astype(np.float32))
    np.testing.assert_array_equal(bands[1][there], expected.sd.astype(np.float32))
    np.testing.assert_array_equal(bands[2:, there].T, expected.quantiles.astype(np.float32))
    assert summary.coverage == there.mean()
    assert summary.mean == pytest.approx(expected.mean.mean(), abs=1e-7)
    assert summary.sd == pytest.approx(expected.mean.std(), abs=1e-6)
    with rasterio.open(tmp_path / "karte ö.tif") as dataset:
        assert dataset.descriptions == (
            "moisture_mean",
            "moisture_sd",
            "moisture_q05",
            "moisture_q50",
            "moisture_q95",
        )
        assert dataset.tags()["TIFFTAG_DATETIME"] == "2021:04:01 00:00:00"
        assert (dataset.nodata, dataset.dtypes[0]) == (-9999.0, "float32")
        assert dataset.profile["tiled"] and dataset.compression.value == "DEFLATE"
    assert "singlebandpseudocolor" in (tmp_path / "karte ö.qml").read_text()


def test_blocks_that_finish_in_any_order_give_the_same_file(tmp_path, land, model, monkeypatch):
    real = prediction.predict_block
    tiles = Grid(UTM, Affine(5, 0, LEFT, 0, -5, TOP), 300, 260)

    def delayed(*args, **kwargs):
        if next(number) == 0:
            time.sleep(0.5)
        return real(*args, **kwargs)

    monkeypatch.setattr(prediction, "predict_block", delayed)
    files = []
    for threads in (1, 4):
        number = itertools.count()
        path = tmp_path / f"{threads}.tif"
        predict_map(model, land, DAY, tiles, output=path, threads=threads)
        files.append(path.read_bytes())
    assert files[0] == files[1]


def test_blocks_are_written_in_turn_to_each_file_and_stop_when_told():
    windows = GRID.windows(16)
    turns, stop, order = blocks.Turns(windows), threading.Event(), []

    def write(window):
        with turns.take(0, window, stop):
            order.append(window)

    workers = [threading.Thread(target=write, args=(window,)) for window in windows[::-1]]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(5)
    assert order == list(windows)
    stop.set()
    with pytest.raises(Cancelled), turns.take(1, windows[1], stop):
        pass


def test_blocks_and_threads_change_nothing(tmp_path, land, model):
    maps = []
    for number, (block, threads) in enumerate([(256, 1), (64, 2), (37, 3)]):
        path = tmp_path / f"{number}.tif"
        reason = tmp_path / f"r{number}.tif"
        predict_map(
            model,
            land,
            DAY,
            GRID,
            output=path,
            reason_output=reason,
            block=block,
            threads=threads,
            fallback=make_model(("clay", "slope"), seed=2),
        )
        with rasterio.open(path) as a, rasterio.open(reason) as b:
            maps.append((a.read(), b.read()))
    for values, reasons in maps[1:]:
        np.testing.assert_array_equal(values, maps[0][0])
        np.testing.assert_array_equal(reasons, maps[0][1])


def test_reasons_and_fallback(tmp_path, land, model):
    """Full where it can, else fallback, else the first covariate missing, else outside."""
    polygon = {
        "type": "Polygon",
        "coordinates": [
            [
                (LEFT, TOP),
                (LEFT + 500, TOP),
                (LEFT + 500, TOP - 300),
                (LEFT, TOP - 300),
                (LEFT, TOP),
            ]
        ],
    }
    summary = predict_map(
        model,
        land,
        DAY,
        GRID,
        mask=[polygon],
        output=tmp_path / "m.tif",
        reason_output=tmp_path / "r.tif",
        fallback=make_model(("clay", "slope"), seed=2),
    )
    expected = np.full(GRID.shape, 255)
    expected[:30, :50] = 0
    expected[:30, :10] = 1  # smap missing, the fallback does without
    expected[:10, :50] = 10  # clay missing: both models need it; it is covariate 0
    with rasterio.open(tmp_path / "r.tif") as dataset:
        reasons = dataset.read(1)
        assert (dataset.nodata, dataset.dtypes[0]) == (255, "uint8")
    np.testing.assert_array_equal(reasons, expected)
    np.testing.assert_array_equal(np.isfinite(read(tmp_path / "m.tif")[0]), expected < 2)
    assert summary.coverage == pytest.approx(20 * 50 / (30 * 50))
    assert summary.cells == 1500
    legend = (tmp_path / "r.qml").read_text()
    assert re.findall(r'value="(\d+)" label="([^"]+)"', legend) == [
        ("0", "Full model"),
        ("1", "Fallback model"),
        ("10", "clay is missing"),
        ("11", "slope is missing"),
        ("12", "smap is missing"),
    ]
    without = tmp_path / "r2.tif"
    predict_map(model, land, DAY, GRID, output=tmp_path / "m2.tif", reason_output=without)
    with rasterio.open(without) as dataset:
        reasons = dataset.read(1)
    assert (reasons[:10] == 10).all() and (reasons[10:, :10] == 12).all()
    assert (reasons[10:, 10:] == 0).all()


def test_fallback_pixels_are_the_fallback_models(tmp_path, land, model):
    fallback = make_model(("clay",), seed=5)
    predict_map(model, land, DAY, GRID, output=tmp_path / "m.tif", fallback=fallback)
    clay = read(land.rows[0].path)[0][10:, :10]
    expected = predict_model(fallback, clay.reshape(-1, 1), (0.05,))
    bands = read(tmp_path / "m.tif")
    np.testing.assert_array_equal(
        bands[2, 10:, :10].ravel(), expected.quantiles[:, 0].astype(np.float32)
    )


def test_date_without_covariates_names_covariate_and_nearest_date(tmp_path, land, model):
    output = tmp_path / "m.tif"
    with pytest.raises(InputError) as caught:
        predict_map(model, land, date(2021, 4, 9), GRID, output=output)
    assert str(caught.value).startswith(
        "On 2021-04-09 there is no covariate 'smap' (nearest date 2021-04-01, 8 days away)."
    )
    assert not output.exists()
    progress = RecordingProgress()
    predict_map(
        model,
        land,
        date(2021, 4, 9),
        GRID,
        output=output,
        progress=progress,
        fallback=make_model(("clay", "slope")),
        reason_output=tmp_path / "r.tif",
    )
    assert "2021-04-09 is mapped by the fallback model alone: no 'smap'" in progress.warnings[0]
    with rasterio.open(tmp_path / "r.tif") as dataset:
        assert set(np.unique(dataset.read(1))) == {1, 10}


def test_covariate_that_the_table_lacks_is_named(tmp_path, land):
    model = make_model(("Clay", "slope", "sand"))
    with pytest.raises(InputError, match=r"no 'Clay', 'sand'.*'clay' differs from 'Clay' in case"):
        predict_map(model, land, DAY, GRID, output=tmp_path / "m.tif")


def test_ambiguous_covariates_matter_only_where_they_are_used(tmp_path, land, model):
    table = CovariateTable((*land.rows, land.rows[0]), land.folder)
    with pytest.raises(InputError, match="given twice for the same period: clay, static"):
        predict_map(model, table, DAY, GRID, output=tmp_path / "m.tif")


def test_values_beyond_the_training_range_are_counted(tmp_path, land, model):
    narrow = tuple(replace(c, maximum=0.75) if c.name == "clay" else c for c in model.covariates)
    progress = RecordingProgress()
    predict_map(
        replace(model, covariates=narrow),
        land,
        DAY,
        GRID,
        output=tmp_path / "m.tif",
        progress=progress,
    )
    clay = read(land.rows[0].path)[0][10:, 10:]
    share = (clay > 0.75).mean()
    (warning,) = [text for text in progress.warnings if "Outside the range" in text]
    assert f"clay {share:.1%}" in warning and "slope" not in warning


def test_spiked_model_warns_far_from_its_readings(tmp_path, land):
    for spike, warned in (("2021-03-17", False), ("2021-03-16", True)):
        progress = RecordingProgress()
        model = make_model(spike_dates=(spike,), period=("2020-01-01", "2021-12-31"))
        predict_map(model, land, DAY, GRID, output=tmp_path / "m.tif", progress=progress)
        assert any("more than 15 days from every probe" in t for t in progress.warnings) == warned


def test_mask_without_a_pixel_and_raster_beside_the_map_are_errors(tmp_path, land, model):
    far = {"type": "Polygon", "coordinates": [[(0, 0), (1, 0), (1, 1), (0, 0)]]}
    with pytest.raises(InputError, match="No pixel's centre lies inside the mask"):
        predict_map(model, land, DAY, GRID, mask=[far], output=tmp_path / "m.tif")
    elsewhere = Grid(UTM, Affine(10, 0, 100000, 0, -10, 100000), 5, 5)
    with pytest.raises(InputError, match=r"covariate 'clay' does not touch the map's grid"):
        predict_map(model, land, DAY, elsewhere, output=tmp_path / "m.tif")
    assert list(tmp_path.iterdir()) == []


def test_covariate_without_any_value_leaves_a_warning(tmp_path, land, model):
    empty = write(tmp_path / "empty.tif", np.full(GRID.shape, np.nan))
    rows = tuple(row("clay", empty) if r.covariate == "clay" else r for r in land.rows)
    progress = RecordingProgress()
    summary = predict_map(
        model,
        CovariateTable(rows, land.folder),
        DAY,
        GRID,
        output=tmp_path / "m.tif",
        progress=progress,
    )
    assert summary.coverage == 0 and np.isnan(summary.mean)
    assert any("No pixel has a value" in t and "clay 100.0%" in t for t in progress.warnings)


class CancelSoon(Progress):
    def __init__(self):
        self.begun = threading.Event()

    @property
    def cancelled(self):
        return self.begun.is_set()


def test_cancelled_run_ends_at_once_and_keeps_the_earlier_file(tmp_path, land, model, monkeypatch):
    progress = CancelSoon()
    real = blocks.predict_model

    def slow(*args):
        progress.begun.set()
        time.sleep(0.1)
        return real(*args)

    output = tmp_path / "m.tif"
    output.write_bytes(b"earlier")
    monkeypatch.setattr(blocks, "predict_model", slow)
    monkeypatch.setattr(blocks, "_ROWS_AT_ONCE", 10)
    start = time.monotonic()
    with pytest.raises(Cancelled):
        predict_map(model, land, DAY, GRID, output=output, progress=progress, block=32)
    assert time.monotonic() - start < 2
    assert [path.name for path in tmp_path.iterdir()] == ["m.tif"]
    assert output.read_bytes() == b"earlier"


def test_error_in_a_block_reaches_the_caller(tmp_path, land, model, monkeypatch):
    def fail(*args):
        raise InputError("broken")

    monkeypatch.setattr(blocks, "predict_model", fail)
    with pytest.raises(InputError, match="broken"):
        predict_map(model, land, DAY, GRID, output=tmp_path / "m.tif")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def series(land, tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    rng = np.random.default_rng(9)
    rows = [r for r in land.rows if r.covariate in ("clay", "slope")]
    for shift in (0, 3, 6):
        day = DAY + timedelta(days=shift)
        values = rng.uniform(0, 1, (40, 40))
        values[:5] = np.nan
        path = write(folder / f"smap_{day:%Y%m%d}.tif", values, cell=50.0, top=TOP + 100)
        rows.append(row("smap", path, day, tolerance=1))
    return CovariateTable(tuple(rows), folder)


def test_series_equals_maps_of_single_days(tmp_path, series, model, monkeypatch):
    days = [DAY + timedelta(days=shift) for shift in (5, 0, 1, 12, 6)]
    single = {}
    for day in days:
        if day != DAY + timedelta(days=12):
            path = tmp_path / f"{day}.tif"
            single[day] = predict_map(model, series, day, GRID, output=path)
    monkeypatch.setattr(prediction, "DAYS_AT_ONCE", 3)
    progress = RecordingProgress()
    paths = predict_series(
        model,
        series,
        days,
        GRID,
        folder=tmp_path / "out put",
        block=64,
        progress=progress,
        summary_output=tmp_path / "s.csv",
    )
    assert [path.name for path in paths] == [
        "moisture_20210401.tif",
        "moisture_20210402.tif",
        "moisture_20210406.tif",
        "moisture_20210407.tif",
    ]
    for day, path in zip(sorted(single), paths):
        np.testing.assert_array_equal(read(path), read(tmp_path / f"{day}.tif"))
    assert any("1 of 5 dates are left out" in text for text in progress.warnings)
    with (tmp_path / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [r["date"] for r in rows] == [str(day) for day in sorted(days)]
    assert rows[-1] == {"date": "2021-04-13", "coverage": "0.000000", "mean": "", "sd": ""}
    first = single[DAY]
    assert float(rows[0]["coverage"]) == pytest.approx(first.coverage, abs=1e-6)
    assert float(rows[0]["mean"]) == pytest.approx(first.mean, abs=1e-6)


def test_series_reads_static_covariates_once_a_block(tmp_path, series, model, monkeypatch):
    reads = []
    real = blocks.CovariateReader.read

    def counted(self, window):
        reads.append(tuple(source.covariate for source in self.sources))
        return real(self, window)

    monkeypatch.setattr(blocks.CovariateReader, "read", counted)
    days = [DAY + timedelta(days=shift) for shift in (0, 1, 2, 3)]
    predict_series(model, series, days, GRID, folder=tmp_path, block=100)
    windows = len(GRID.windows(100))
    assert reads.count(("clay", "slope")) == windows
    assert reads.count(("smap",)) == 2 * windows  # two rasters serve the four days


def test_series_without_any_possible_day_is_an_error(tmp_path, series, model):
    with pytest.raises(InputError, match="On 2022-01-01 there is no covariate 'smap'"):
        predict_series(model, series, [date(2022, 1, 1)], GRID, folder=tmp_path)


@pytest.mark.parametrize(
    ("quantile", "name"),
    [(0.05, "q05"), (0.5, "q50"), (0.025, "q025"), (0.95, "q95"), (0.1, "q10"), (0.999, "q999")],
)
def test_band_names_of_quantiles(quantile, name):
    assert quantile_name(quantile) == f"moisture_{name}"


def test_no_block_is_larger_than_asked(land, model, tmp_path, monkeypatch):
    """No array of a run grows with the map."""
    shapes = []
    real = prediction.predict_block

    def seen(stack, *rest):
        shapes.append(stack.shape)
        return real(stack, *rest)

    monkeypatch.setattr(prediction, "predict_block", seen)
    predict_map(model, land, DAY, GRID, output=tmp_path / "m.tif", block=50)
    assert len(shapes) == 9 and max(shapes) == (3, 50, 50)


def test_gdal_caches_little_while_a_map_is_made(land, model, tmp_path, monkeypatch):
    from rasterio.env import get_gdal_config
    from soil_moisture_mapper.plugin.core.rasters.cache import CACHE_BYTES

    seen = []
    real = prediction.predict_block

    def look(*given):
        seen.append(get_gdal_config("GDAL_CACHEMAX"))
        return real(*given)

    monkeypatch.setattr(prediction, "predict_block", look)
    before = get_gdal_config("GDAL_CACHEMAX")
    predict_map(model, land, DAY, GRID, output=tmp_path / "map.tif", threads=2)
    assert set(seen) == {CACHE_BYTES}
    assert get_gdal_config("GDAL_CACHEMAX") == before
