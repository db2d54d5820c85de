"""Covariates at stations, by place and day."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raster_files import write_raster
from rasterio.warp import transform
from soil_moisture_mapper.plugin.core.covariates.rows import CovariateRow
from soil_moisture_mapper.plugin.core.covariates.table import (
    CovariateTable,
    RasterInput,
    build_table,
)
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.evaluation.reports.match_report import match_report
from soil_moisture_mapper.plugin.core.progress import RecordingProgress
from soil_moisture_mapper.plugin.core.rasters import sampling
from soil_moisture_mapper.plugin.core.stations.sampling.matching import (
    match_covariates,
    sample_covariates,
)
from soil_moisture_mapper.plugin.core.stations.sampling.matching_facts import (
    MATCHED,
    NO_RASTER,
    RAINED,
    WHY,
)
from soil_moisture_mapper.plugin.core.stations.sampling.matching_rain import RainRule
from soil_moisture_mapper.plugin.core.stations.sampling.matching_rows import choose_rows
from soil_moisture_mapper.plugin.core.stations.table import Table

UTM = "EPSG:32632"
LEFT, TOP = 500000.0, 5535000.0
DAY = date(2021, 4, 1)


def write(path, values, left=LEFT):
    place = {"crs": UTM, "corner": (left, TOP), "nodata": np.nan}
    return write_raster(path, values, dtype="float32", **place)


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


@pytest.fixture
def rainy(tmp_path):
    """Radar on days 0 and 6; 1.5 mm on days 1 and 2 left of column 10, 9 mm on day 5 everywhere."""
    table = [row("clay", write(tmp_path / "clay.tif", np.ones((20, 20))))]
    for shift in (0, 6):
        path = write(tmp_path / f"vv_{shift}.tif", np.full((20, 20), float(shift)))
        table.append(row("VV", path, shift, tolerance=3))
    for shift in range(7):
        values = np.zeros((20, 20))
        values[:, :10] = 1.5 if shift in (1, 2) else 0
        values[:] += 9.0 if shift == 5 else 0
        if shift != 3:
            path = write(tmp_path / f"rain_{shift}.tif", values)
            table.append(row("rain", path, shift, tolerance=0))
    return CovariateTable(tuple(table), tmp_path)


def on_days(shifts, cell=(3.5, 4.5)):
    return points([cell] * len(shifts), [str(DAY + timedelta(days=shift)) for shift in shifts])


def test_rain_between_image_and_reading_refuses_the_match(rainy):
    rule = RainRule("rain", 2.0)
    progress = RecordingProgress()
    match = match_covariates(on_days(range(8)), rainy, rain=rule, progress=progress)
    # days 0-3 have the image of day 0, 4-7 that of day 6. Sums after the earlier to the later:
    # 0: same day; 1: 1.5; 2: 1.5 + 1.5; 3: 3 + unknown; 4: days 5, 6 = 9; 5: day 6 = 0;
    # 6: same day; 7: unknown
    expected = [0, 0, np.nan, np.nan, np.nan, 6, 6, 6]
    np.testing.assert_array_equal(match.matched.numeric("VV"), expected)
    column = match.facts.names.index("VV")
    refused = [why == RAINED for why in match.facts.why[:, column]]
    assert refused == [value != value for value in expected]
    assert match.facts.rain.unknown.tolist() == [0, 1, 0]  # of day 7; day 3 was too wet already
    assert np.isfinite(match.matched.numeric("clay")).all()
    assert any("more than 2 mm of rain" in t and "VV 3 (of VV)" in t for t in progress.messages)
    assert any("1 values are kept though rain" in text for text in progress.warnings)


@pytest.mark.parametrize(
    ("cell", "most", "kept"),
    [
        ((3.5, 4.5), 3.0, True),  # the sum itself does not refuse
        ((3.5, 4.5), 2.9, False),
        ((15.5, 4.5), 0.0, True),  # it did not rain here
    ],
)
def test_rain_is_summed_at_the_point_and_compared_with_the_most(rainy, cell, most, kept):
    match = match_covariates(on_days([2], cell), rainy, rain=RainRule("rain", most))
    assert np.isfinite(match.matched.numeric("VV")[0]) == kept


def test_rain_concerns_the_groups_and_covariates_named(rainy):
    rows = tuple(replace(r, group="sar" if r.covariate == "VV" else "") for r in rainy.rows)
    table = CovariateTable(rows, rainy.folder)
    grouped = match_covariates(on_days([2]), table, rain=RainRule("rain", 2.0, ("sar",)))
    assert grouped.facts.rain.applies == ("VV",) and np.isnan(grouped.matched.numeric("VV")[0])
    match = match_covariates(on_days([2]), table, rain=RainRule("rain", 2.0, ("VV",)))
    assert match.facts.rain.applies == ("VV",)
    with pytest.raises(InputError, match="RAIN_GROUPS names radar, which is neither"):
        match_covariates(on_days([2]), table, rain=RainRule("rain", 2.0, ("radar",)))


@pytest.mark.parametrize(
    ("covariate", "message"),
    [
        ("snow", "RAIN: the covariate table has no 'snow'. It has clay, VV, rain"),
        ("clay", r"RAIN: 'clay' has rows that do not show one day each \(clay, static"),
    ],
)
def test_what_is_no_daily_rain_is_refused(rainy, covariate, message):
    with pytest.raises(InputError, match=message):
        match_covariates(on_days([2]), rainy, rain=RainRule(covariate))


def test_the_unit_of_rain_is_looked_at(rainy):
    rows = tuple(replace(r, units="m") if r.covariate == "rain" else r for r in rainy.rows)
    progress = RecordingProgress()
    table = CovariateTable(rows, rainy.folder)
    match_covariates(on_days([2]), table, rain=RainRule("rain"), progress=progress)
    assert "RAIN: 'rain' is in 'm', but RAIN_MAX is in mm." in progress.warnings


def test_facts_say_how_far_apart_and_which_of_several_rows(tmp_path):
    path = write(tmp_path / "a.tif", np.ones((20, 20)))
    rows = (
        CovariateRow("lai", "", str(path), 1, DAY, DAY + timedelta(7), "nearest", 3, ""),
        CovariateRow(
            "lai", "", str(path), 1, DAY + timedelta(5), DAY + timedelta(9), "nearest", 3, ""
        ),
        row("VV", path, 0, tolerance=3),
        row("VV", path, 4, tolerance=3),
    )
    match = match_covariates(on_days([-2, 2, 6, 8, 20]), CovariateTable(rows, tmp_path))
    facts = match.facts
    assert facts.shift[:, 0].tolist() == [2, 0, 0, 0, 0]
    assert facts.shift[:, 1].tolist() == [2, -2, -2, 0, 0]
    assert (facts.why[:, 0] == MATCHED).tolist() == [True] * 4 + [False]
    assert [WHY[code] for code in facts.why[3:, 1]] == [WHY[NO_RASTER]] * 2
    assert match.unmatched.column("reason").tolist() == [
        "no raster within the tolerance of this date"
    ]
    overlap, tie = facts.choices
    assert overlap.overlap and overlap.used is rows[1] and overlap.others == (rows[0],)
    assert str(overlap.day) == "2021-04-07"
    assert not tie.overlap and tie.used is rows[2] and tie.others == (rows[3],)
    assert facts.several.tolist() == [3, 1]
    assert facts.apart(1).tolist() == [2, 2, 2]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 6), st.integers(0, 8)), min_size=1, max_size=8
    ),
    st.lists(st.integers(-10, 60), min_size=1, max_size=12),
)
def test_rows_are_those_that_the_table_chooses(periods, shifts):
    rows = []
    for start, length, tolerance in {(s, n): (s, n, t) for s, n, t in periods}.values():
        first = DAY + timedelta(start)
        rows.append(
            CovariateRow(
                "a", "", "a.tif", 1, first, first + timedelta(length), "nearest", tolerance, ""
            )
        )
    table = CovariateTable(tuple(rows), Path())
    days = np.array([DAY + timedelta(shift) for shift in shifts], "datetime64[D]")
    chosen = choose_rows(table, days, np.ones(len(days), bool))
    for index, shift in enumerate(shifts):
        expected = table.select(["a"], DAY + timedelta(shift))["a"]
        serving = [one.row for one in chosen.serving if index in one.members]
        assert serving == ([] if expected is None else [expected])
        if expected is not None:
            assert abs(chosen.shift[index, 0]) == expected.days_from(DAY + timedelta(shift))


def test_times_with_an_offset_are_carried_to_utc(covariates):
    days = ["2021-04-01T23:30:00-05:00", "2021-04-02 01:00+02:00", "2021-04-02T10:00", "2021-04-03"]
    progress = RecordingProgress()
    table = points([(3.5, 4.5)] * 4, days)
    match = match_covariates(table, covariates, progress=progress)
    assert [str(day) for day in match.facts.days] == [
        "2021-04-02",
        "2021-04-01",
        "2021-04-02",
        "2021-04-03",
    ]
    assert any(
        "2 times of 'date' have an offset and are carried to UTC" in text
        and "2 of them, such as '2021-04-01T23:30:00-05:00', fall on another day" in text
        for text in progress.warnings
    )
    assert any("without an offset from UTC" in text for text in progress.messages)
    assert match.matched.column("date").tolist() == days


def test_stations_at_one_place_and_repeated_rows_are_told_and_kept(covariates):
    table = points([(3.5, 4.5), (3.5, 4.5), (7.5, 4.5), (7.5, 4.5)])
    table = table.with_columns({"station": ["a", "b", "c", "c"]})
    progress = RecordingProgress()
    match = match_covariates(table, covariates, progress=progress)
    assert match.facts.same_place == (("a", "b"),) and match.facts.repeated == 1
    assert len(match.matched) == 4
    assert any("at one place" in text and "a and b" in text for text in progress.warnings)
    assert "1 rows share station and day with another row: all are kept." in progress.warnings


def test_days_that_no_raster_holds_are_named_in_the_error(covariates):
    dated = CovariateTable(covariates.rows[1:], covariates.folder)
    match = match_covariates(on_days([100, 101]), dated)
    assert len(match.matched) == 0 and len(match.unmatched) == 2
    assert str(match.problem).startswith(
        "No row of the 2 has a covariate: 2 no raster within the tolerance of this date. 'smap' "
        "has rasters from 2021-04-01 to 2021-04-11, the observations are from 2021-07-10"
    )
    progress = RecordingProgress()
    sample_covariates(on_days([100]), covariates, progress=progress)
    assert any("Without any value: smap. 'smap' has rasters" in t for t in progress.warnings)


def test_threads_change_nothing_and_each_raster_is_opened_once(rainy, monkeypatch):
    opened = []
    real = sampling.RasterReader

    def counted(path, **more):
        opened.append(str(path))
        return real(path, **more)

    monkeypatch.setattr(sampling, "RasterReader", counted)
    rng = np.random.default_rng(0)
    days = [str(DAY + timedelta(days=int(shift))) for shift in rng.integers(0, 8, 200)]
    table = points(rng.uniform(0, 25, (200, 2)), days)
    first = match_covariates(table, rainy)
    assert len(opened) == len(set(opened)) == 9
    second = match_covariates(table, rainy, threads=4)
    assert first.matched.names == second.matched.names
    for name in rainy.names:
        np.testing.assert_array_equal(first.matched.numeric(name), second.matched.numeric(name))
    np.testing.assert_array_equal(first.facts.why, second.facts.why)


def test_the_report_says_what_was_matched_and_why_not(rainy, tmp_path):
    table = on_days(range(-5, 9)).with_columns({"station": ["<a>"] * 7 + ["b"] * 7})
    match = match_covariates(table, rainy, rain=RainRule("rain"))
    match_report(match.facts, tmp_path / "r.html", name="obs", warnings=["look here"])
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    for part in ("Days apart", "rain in between", "Not before rain", "look here", "&lt;a&gt;"):
        assert part in text
    counts = match.facts.counts()
    assert counts.sum(axis=1).tolist() == [14] * 3
    assert f"<td>{counts[1, RAINED]}</td>" in text
    assert "<a>" not in text and "<script" not in text
