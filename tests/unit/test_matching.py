"""Covariates at stations, by place and day."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import date, timedelta

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform
from soil_moisture_mapper.plugin.core.covariates.rows import CovariateRow
from soil_moisture_mapper.plugin.core.covariates.table import (
    CovariateTable,
    RasterInput,
    build_table,
)
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.progress import RecordingProgress
from soil_moisture_mapper.plugin.core.stations.matching import sample_covariates
from soil_moisture_mapper.plugin.core.stations.table import Table

UTM = "EPSG:32632"
LEFT, TOP = 500000.0, 5535000.0
DAY = date(2021, 4, 1)


def write(path, values, left=LEFT):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=values.shape[1],
        height=values.shape[0],
        count=1,
        dtype="float32",
        crs=UTM,
        transform=Affine(10, 0, left, 0, -10, TOP),
        nodata=np.nan,
    ) as dataset:
        dataset.write(values.astype(np.float32), 1)
    return path


def row(name, path, shift=None, resampling="nearest", tolerance=2):
    day = None if shift is None else DAY + timedelta(days=shift)
    return CovariateRow(name, "", str(path), 1, day, day, resampling, tolerance, "")


@pytest.fixture
def covariates(tmp_path):
    """Clay holds its column, the dated smap 100 × (its day) + its row."""
    cols, rows = np.meshgrid(np.arange(20.0), np.arange(20.0))
    table = [row("clay", write(tmp_path / "clay.tif", cols))]
    for shift in (0, 10):
        path = write(tmp_path / f"smap_{shift}.tif", 100 * shift + rows)
        table.append(row("smap", path, shift))
    return CovariateTable(tuple(table), tmp_path)


def points(cells, days=None, **columns):
    cols, rows = np.array(cells, float).T
    dates = ["2021-04-01"] * len(cells) if days is None else days
    return Table(
        {"station": np.arange(len(cells)), "date": np.array(dates, dtype=object), **columns},
        LEFT + 10 * cols,
        TOP - 10 * rows,
        UTM,
    )


def test_each_row_gets_the_cell_and_the_day(covariates):
    table = points([(3.5, 4.5), (7.2, 8.9), (0.1, 0.1)], ["2021-04-02", "2021-04-10", "2021-04-06"])
    progress = RecordingProgress()
    matched, unmatched = sample_covariates(table, covariates, progress=progress)
    np.testing.assert_array_equal(matched.numeric("clay"), [3, 7, 0])
    np.testing.assert_array_equal(matched.numeric("smap"), [4, 1008, np.nan])  # 5 days from both
    assert len(unmatched) == 0 and matched.names[:2] == ("station", "date")
    assert any("per covariate: smap 1" in text for text in progress.warnings)


def test_rows_that_match_nothing_are_kept_apart_with_the_reason(tmp_path):
    values = np.ones((20, 20))
    values[:, 10:] = np.nan
    covariates = CovariateTable((row("smap", write(tmp_path / "s.tif", values), 0),), tmp_path)
    table = points(
        [(3.5, 4.5), (np.nan, 1), (3.5, 4.5), (100, 4), (15.5, 4.5), (3.5, 4.5)],
        ["2021-04-01", "2021-04-01", "", "2021-04-01", "2021-04-01", "2021-04-09"],
    )
    progress = RecordingProgress()
    matched, unmatched = sample_covariates(table, covariates, progress=progress)
    assert matched.numeric("station").tolist() == [0]
    assert unmatched.numeric("station").tolist() == [1, 2, 3, 4, 5]
    assert unmatched.column("reason").tolist() == [
        "no point",
        "no date",
        "outside every raster",
        "no covariate has a value here on this date",
        "no raster within the tolerance of this date",
    ]
    assert "reason" not in matched.names and "smap" not in unmatched.names
    assert any("5 of 6 rows are left out" in text for text in progress.warnings)


def test_no_row_matched_is_an_error(covariates):
    with pytest.raises(InputError, match="No row of the 2 has a covariate: 2 outside every"):
        sample_covariates(points([(100, 1), (200, 2)]), covariates)


@pytest.mark.parametrize(
    ("resampling", "method", "bilinear"),
    [
        ("nearest", "table", False),
        ("average", "table", False),
        ("bilinear", "table", True),
        ("cubic", "table", True),
        ("bilinear", "nearest", False),
        ("nearest", "bilinear", True),
    ],
)
def test_how_a_rows_resampling_is_read_at_a_point(tmp_path, resampling, method, bilinear):
    cols, _ = np.meshgrid(np.arange(20.0), np.arange(20.0))
    path = write(tmp_path / "clay.tif", cols)
    covariates = CovariateTable((row("clay", path, resampling=resampling),), tmp_path)
    matched, _ = sample_covariates(points([(3.75, 4.5)]), covariates, method=method)
    # The point lies a quarter of a cell right of the centre of cell 3.
    assert matched.numeric("clay")[0] == pytest.approx(3.25 if bilinear else 3)


def test_a_point_whose_cell_is_missing_is_missing_by_bilinear_too(tmp_path):
    values = np.ones((5, 5))
    values[2, 2] = np.nan
    rows = (
        row("a", write(tmp_path / "a.tif", values), resampling="bilinear"),
        row("b", write(tmp_path / "b.tif", np.ones((5, 5)))),
    )
    matched, _ = sample_covariates(points([(2.9, 2.5), (3.1, 2.5)]), CovariateTable(rows, tmp_path))
    np.testing.assert_array_equal(matched.numeric("a"), [np.nan, 1])


def test_stations_in_degrees_find_the_same_cells(covariates):
    rng = np.random.default_rng(1)
    table = points(rng.uniform(0.5, 19.5, (30, 2)))
    lon, lat = transform(UTM, "EPSG:4326", table.x, table.y)
    degrees = Table(table.columns, lon, lat, "EPSG:4326")
    first, _ = sample_covariates(table, covariates)
    second, _ = sample_covariates(degrees, covariates)
    for name in ("clay", "smap"):
        np.testing.assert_array_equal(first.numeric(name), second.numeric(name))


def test_a_field_of_a_covariates_name_is_replaced_with_a_note(covariates):
    progress = RecordingProgress()
    table = points([(3.5, 4.5)], clay=[99.0], SMAP=[99.0], crop=["maize"])
    matched, _ = sample_covariates(table, covariates, progress=progress)
    assert matched.names == ("station", "date", "crop", "clay", "smap")
    assert matched.numeric("clay")[0] == 3
    assert sum("is replaced by the covariate" in text for text in progress.messages) == 2


def test_dates_are_not_asked_where_every_covariate_is_static(covariates):
    static = CovariateTable(covariates.rows[:1], covariates.folder)
    table = points([(3.5, 4.5)]).without(["date"])
    matched, _ = sample_covariates(table, static)
    assert matched.numeric("clay")[0] == 3
    with pytest.raises(InputError, match="no field 'date'"):
        sample_covariates(table, covariates)


def test_unused_days_of_a_long_series_are_not_opened(tmp_path, covariates):
    gone = row("smap", tmp_path / "gone.tif", 300)
    table = CovariateTable((*covariates.rows, gone), tmp_path)
    matched, _ = sample_covariates(points([(3.5, 4.5)]), table)
    assert matched.numeric("smap")[0] == 4


def test_wrong_settings_are_refused(covariates):
    table = points([(3.5, 4.5)])
    with pytest.raises(InputError, match="method 'cubic'"):
        sample_covariates(table, covariates, method="cubic")
    with pytest.raises(InputError, match="no field 'day'"):
        sample_covariates(table, covariates, date_field="day")
    with pytest.raises(InputError, match="no coordinate reference system"):
        sample_covariates(Table(table.columns, table.x, table.y, ""), covariates)
    twice = CovariateTable((*covariates.rows, covariates.rows[0]), covariates.folder)
    with pytest.raises(InputError, match="twice"):
        sample_covariates(table, twice)
    with pytest.raises(InputError, match="has no rows"):
        sample_covariates(table.take(np.array([], dtype=int)), covariates)


def test_farm_stations_have_the_cells_their_maker_took(tmp_path, shared_data):
    farm = shared_data / "cookfarm"
    fields = ("Easting", "Northing", "DEM", "TWI", "NDRE.M", "NDRE.Sd")
    address = f"file:{farm / 'stations.gpkg'}?immutable=1"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as file:
        (layer,) = file.execute("SELECT table_name FROM gpkg_contents").fetchone()
        names = ", ".join(f'"{name}"' for name in fields)
        rows = np.array(file.execute(f'SELECT {names} FROM "{layer}"').fetchall())  # noqa: S608
    stations = dict(zip(fields, rows.T))
    raster = RasterInput(str(farm / "covariates_relabelled.tif"))
    covariates = build_table([raster], [], resampling="nearest", output=tmp_path / "c.csv")
    table = Table(
        {"station": np.arange(len(rows))}, stations["Easting"], stations["Northing"], "EPSG:26911"
    )
    matched, unmatched = sample_covariates(table, covariates)
    assert (len(matched), len(unmatched)) == (42, 0)
    for name in fields[2:]:
        found = matched.numeric(name).astype(np.float32)
        np.testing.assert_array_equal(found, stations[name].astype(np.float32))
