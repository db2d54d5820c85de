"""The covariate table: rows from rasters, the row for a day, files written and read."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from raster_files import write_raster
from soil_moisture_mapper.plugin.core.covariates import table as table_module
from soil_moisture_mapper.plugin.core.covariates.relief.terrain import PARAMETERS
from soil_moisture_mapper.plugin.core.covariates.rows import COLUMNS, CovariateRow, choose_row
from soil_moisture_mapper.plugin.core.covariates.table import (
    CovariateTable,
    RasterInput,
    build_table,
    days_between,
    list_covariates,
    parse_groups,
    read_table,
    write_table,
)
from soil_moisture_mapper.plugin.core.covariates.table_groups import group_of
from soil_moisture_mapper.plugin.core.errors import InputError, RasterError
from soil_moisture_mapper.plugin.core.progress import RecordingProgress

APRIL = date(2021, 4, 1)


def day(shift):
    return APRIL + timedelta(days=shift)


def row(name="smap", start=None, end=None, *, tolerance=6, path="/a.tif", band=1):
    first = None if start is None else day(start)
    last = first if end is None else day(end)
    return CovariateRow(name, "", path, band, first, last, "bilinear", tolerance, "")


def raster(path, names=(None,), *, cell=10, at=(500000, 5535000), dtype="float32", **more):
    values = np.ones((len(names), 2, 2), dtype)
    return RasterInput(str(write_raster(path, values, names=names, cell=cell, corner=at, **more)))


@pytest.mark.parametrize(
    ("rows", "at", "chosen"),
    [
        ([row(start=0), row(start=5)], 0, 0),  # the day itself
        ([row(start=0), row(start=5)], 2, 0),  # two days back against three ahead
        ([row(start=0), row(start=4)], 2, 0),  # a tie: the earlier
        ([row(start=4), row(start=0)], 2, 1),  # whatever the order of rows
        ([row(start=0, end=30), row(start=10, end=20)], 15, 1),  # the latest start
        ([row(start=0, end=30), row(start=10, end=20)], 25, 0),
        ([row(start=0, end=3), row(start=20)], 8, 0),  # five days from the nearer end
        ([row(start=0, end=3), row(start=20)], 10, None),  # seven from one, ten from the other
        ([row(start=0, tolerance=1), row(start=9, tolerance=6)], 3, 1),  # each its own tolerance
        ([row(start=0, tolerance=0)], 1, None),
        ([row()], 5000, 0),  # static
        ([], 0, None),
    ],
)
def test_row_for_a_day(rows, at, chosen):
    assert choose_row(rows, day(at)) == (None if chosen is None else rows[chosen])


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 8), st.integers(0, 9)),
        min_size=1,
        max_size=8,
        unique_by=lambda period: period[:2],
    ),
    st.integers(-10, 60),
)
def test_row_for_a_day_by_brute_force(periods, at):
    rows = [row(start=s, end=s + length, tolerance=t) for s, length, t in periods]
    chosen = choose_row(rows, day(at))
    holding = [r for r in rows if r.start <= day(at) <= r.end]
    if holding:
        assert chosen in holding and chosen.start == max(r.start for r in holding)
        return
    reach = [
        (min(abs((r.start - day(at)).days), abs((r.end - day(at)).days)), r.start)
        for r in rows
        if min(abs((r.start - day(at)).days), abs((r.end - day(at)).days)) <= r.tolerance_days
    ]
    if not reach:
        assert chosen is None
        return
    assert (chosen.days_from(day(at)), chosen.start) == min(reach)


def test_without_a_day_only_static_rows_hold(tmp_path):
    table = CovariateTable((row("clay"), row("smap", 0)), tmp_path)
    chosen = table.select(["clay", "smap", "sand"], None)
    assert chosen == {"clay": table.rows[0], "smap": None, "sand": None}
    assert table.is_static("clay") and not table.is_static("smap")


def test_nearest_date(tmp_path):
    table = CovariateTable((row("smap", 0, 3), row("smap", 20)), tmp_path)
    assert table.nearest_date("smap", day(10)) == day(3)
    assert table.nearest_date("smap", day(2)) == day(2)
    assert table.nearest_date("smap", day(13)) == day(20)
    assert table.nearest_date("clay", day(2)) is None


def test_build_write_read(tmp_path):
    dem = raster(tmp_path / "land ä" / "dem.tif", ("elevation", "slope"), units=("m", "degree"))
    radar = raster(tmp_path / "s1_20210401.tif", ("VV", "VH"))
    other = tmp_path.parent / f"{tmp_path.name} elsewhere"
    smap = raster(other / "smap_20210403.tif")
    table = build_table(
        [dem],
        [radar, smap],
        tolerance_days=3,
        resampling="cubic",
        groups=parse_groups("V?=sentinel1\n elevation = terrain\n"),
        output=tmp_path / "c.csv",
    )
    assert table.names == ("elevation", "slope", "VV", "VH", "smap")
    with (tmp_path / "c.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [list(r.values()) for r in rows] == [
        ["elevation", "terrain", "land ä/dem.tif", "1", "", "", "cubic", "", "m"],
        ["slope", "", "land ä/dem.tif", "2", "", "", "cubic", "", "degree"],
        ["VV", "sentinel1", "s1_20210401.tif", "1", "2021-04-01", "2021-04-01", "cubic", "3", ""],
        ["VH", "sentinel1", "s1_20210401.tif", "2", "2021-04-01", "2021-04-01", "cubic", "3", ""],
        [
            "smap",
            "",
            str(other / "smap_20210403.tif"),
            "1",
            "2021-04-03",
            "2021-04-03",
            "cubic",
            "3",
            "",
        ],
    ]
    assert read_table(tmp_path / "c.csv") == table
    assert table.path_of(table.rows[0]) == tmp_path / "land ä" / "dem.tif"


def test_a_moved_folder_keeps_its_relative_paths(tmp_path):
    clay = raster(tmp_path / "a" / "clay.tif")
    build_table([clay], [], output=tmp_path / "a" / "c.csv")
    (tmp_path / "a").rename(tmp_path / "b")
    table = read_table(tmp_path / "b" / "c.csv")
    assert table.path_of(table.rows[0]) == tmp_path / "b" / "clay.tif"


def test_appending_replaces_rows_of_the_same_path_and_band(tmp_path):
    smap = [raster(tmp_path / f"smap_2021040{i}.tif") for i in (1, 2, 3)]
    first = build_table([], smap[:2], tolerance_days=1, output=tmp_path / "1.csv")
    progress = RecordingProgress()
    second = build_table(
        [],
        smap[1:],
        append_to=read_table(tmp_path / "1.csv"),
        tolerance_days=5,
        output=tmp_path / "2.csv",
        progress=progress,
    )
    assert [(r.start.day, r.tolerance_days) for r in second.rows] == [(1, 1), (2, 5), (3, 5)]
    assert second.rows[0] == first.rows[0]
    assert "1 rows kept, 1 replaced, 2 new or renewed." in progress.messages


def test_temporal_range_of_a_layer_dates_it(tmp_path):
    plain = raster(tmp_path / "rain.tif")
    dated = RasterInput(plain.path, APRIL, day(7))
    table = build_table([], [dated], output=tmp_path / "c.csv")
    assert (table.rows[0].start, table.rows[0].end) == (APRIL, day(7))


def test_dynamic_rasters_without_date_are_listed(tmp_path):
    rasters = [raster(tmp_path / f"{name}.tif") for name in ("rain", "ndvi")]
    with pytest.raises(InputError, match=r"without a date: rain.tif, band 1 \(rain\); ndvi.tif"):
        build_table([], rasters, output=tmp_path / "c.csv")
    assert not (tmp_path / "c.csv").exists()


def test_static_rasters_have_no_date(tmp_path):
    table = build_table([raster(tmp_path / "soil_20200101.tif")], [], output=tmp_path / "c.csv")
    assert table.rows[0].is_static and table.rows[0].covariate == "soil"


def test_two_tiles_of_a_day_are_listed(tmp_path):
    tiles = [raster(tmp_path / tile / "smap_20210401.tif") for tile in "ab"]
    with pytest.raises(InputError, match="given twice for the same period") as caught:
        build_table([], tiles, output=tmp_path / "c.csv")
    assert all(tile.path in str(caught.value) for tile in tiles)
    assert "mosaic" in caught.value.cure


def test_static_and_dated_rows_of_one_covariate_are_an_error(tmp_path):
    with pytest.raises(InputError, match="Static and dated rows of one covariate: smap, static"):
        build_table(
            [raster(tmp_path / "smap.tif")],
            [raster(tmp_path / "smap_20210401.tif")],
            output=tmp_path / "c.csv",
        )


@pytest.mark.parametrize("name", ["fid", "Role", "fold", "WEIGHT", "moisture", "n", "station"])
def test_names_of_the_tables_own_fields_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=f"may not be called {name}"):
        build_table([raster(tmp_path / "a.tif", (name,))], [], output=tmp_path / "c.csv")


def test_names_that_differ_in_case_alone_are_refused(tmp_path):
    with pytest.raises(InputError, match="differ only in case: NDVI; ndvi"):
        build_table([raster(tmp_path / "a.tif", ("ndvi", "NDVI"))], [], output=tmp_path / "c.csv")


def test_unused_covariates_are_not_checked(tmp_path):
    table = CovariateTable((row("clay"), row("sand"), row("sand"), row("fid")), tmp_path)
    table.check(["clay"])
    with pytest.raises(InputError, match="twice"):
        table.check(["clay", "sand"])
    with pytest.raises(InputError, match="fid"):
        table.check()


HEADER = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("smap,,a.tif,1,2021-04-31,2021-04-31,nearest,6,", "start '2021-04-31' in line 2 of"),
        ("smap,,a.tif,1,2021-04-02,2021-04-01,nearest,6,", "is not one"),
        ("smap,,a.tif,1,2021-04-02,,nearest,6,", "is not one"),
        ("smap,,a.tif,x,,,nearest,6,", "band 'x' in line 2"),
        ("smap,,a.tif,0,,,nearest,6,", "whole number from 1"),
        ("smap,,a.tif,1,,,lanczos,6,", "resampling 'lanczos'"),
        ("smap,,a.tif,1,,,nearest,-1,", "tolerance_days '-1'"),
        (",,a.tif,1,,,nearest,6,", "covariate in line 2"),
    ],
)
def test_cells_that_cannot_be_read_are_named(tmp_path, line, message):
    (tmp_path / "c.csv").write_text(f"{HEADER}\n{line}\n")
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "c.csv")


@pytest.mark.parametrize(
    "path",
    ["https://x.org/a.tif", "/vsicurl/https://x.org/a.tif", "NETCDF:a.nc:b", "<VRTDataset/>", ""],
)
def test_paths_that_are_no_local_files_are_refused(tmp_path, path):
    (tmp_path / "c.csv").write_text(f'{HEADER}\nsmap,,"{path}",1,,,nearest,6,\n')
    with pytest.raises(RasterError):
        read_table(tmp_path / "c.csv")


def test_missing_files_are_named_when_they_are_used(tmp_path):
    (tmp_path / "c.csv").write_text(f"{HEADER}\nsmap,,gone.tif,1,,,nearest,6,\n")
    table = read_table(tmp_path / "c.csv")
    with pytest.raises(RasterError, match=r"gone.tif' does not exist"):
        table.path_of(table.rows[0])


def test_tables_that_spreadsheets_wrote_are_read(tmp_path):
    """Byte order mark, semicolons, empty lines, missing further columns."""
    (tmp_path / "c.csv").write_bytes(
        "\ufeffcovariate;group;path;band\r\nclay;soil;a.tif;2\r\n\r\n;;;\r\n".encode()
    )
    (only,) = read_table(tmp_path / "c.csv").rows
    assert (only.covariate, only.group, only.band) == ("clay", "soil", 2)
    assert only.resampling == "bilinear"


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("station,moisture\n1,0.2\n")
    with pytest.raises(InputError, match="no covariate table: it has no column covariate"):
        read_table(tmp_path / "a.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path / "gone.csv")


def test_groups_are_lines(tmp_path):
    assert parse_groups("VV*=a\n\n  x = b ") == [("VV*", "a"), ("x", "b")]
    with pytest.raises(InputError, match="'VV' of the groups"):
        parse_groups("VV")
    table = CovariateTable((row("VV"), row("VH")), tmp_path)
    write_table(table, tmp_path / "c.csv")
    assert read_table(tmp_path / "c.csv").names == ("VV", "VH")


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("VV", "sentinel1"),
        ("angle", "sentinel1"),
        ("VH_desc", "sentinel1"),
        ("VV_min", "sentinel1_statistics"),
        ("VH_asc_sd", "sentinel1_statistics"),
        ("smap", "smap"),
        ("aspect_sin", "terrain"),
        ("twi", "terrain"),
        ("clay_0-5cm_mean", "soil"),
        ("NDII7", "optical"),
        ("ndvi", "optical"),
        ("delta_LST", "thermal"),
        ("ATI", "thermal"),
        ("land_cover", "classes"),
        ("soil_texture", "classes"),
        ("rain", ""),
        ("VVX", ""),
        ("sandwich", ""),
    ],
)
def test_usual_groups(name, group):
    """Those of Huang et al. (2020), table 1, and what the plugin's other algorithms write."""
    assert group_of(name, []) == group
    assert group_of(name, [("x*", "mine"), (name, "first"), ("*", "rest")]) == "first"


def test_usual_groups_hold_where_none_are_given(tmp_path):
    rasters = [raster(tmp_path / f"{name}.tif") for name in ("clay", "rain")]
    table = build_table(rasters, [], output=tmp_path / "c.csv")
    assert [one.group for one in table.rows] == ["soil", ""]
    table = build_table(rasters, [], groups=[("r*", "weather")], output=tmp_path / "c.csv")
    assert [one.group for one in table.rows] == ["", "weather"]


def test_every_covariate_of_the_plugin_has_a_group():
    assert {group_of(name, []) for name in PARAMETERS} == {"terrain"}


def test_composites_hold_for_their_period(tmp_path):
    named = raster(tmp_path / "ndvi_20210407.tif")
    ranged = RasterInput(raster(tmp_path / "rain.tif").path, APRIL, day(30))
    table = build_table([], [named, ranged], period_days=16, output=tmp_path / "c.csv")
    assert [(one.start, one.end) for one in table.rows] == [(day(6), day(21)), (APRIL, day(30))]


def warned(tmp_path, static=(), dynamic=(), **more):
    progress = RecordingProgress()
    list_covariates(static, dynamic, folder=tmp_path, progress=progress, **more)
    return progress.warnings


def test_a_table_without_oddities_warns_of_nothing(tmp_path):
    days = [raster(tmp_path / f"smap_2021040{i}.tif", units=("m",)) for i in (1, 2)]
    assert warned(tmp_path, [raster(tmp_path / "clay.tif")], days) == []


def test_covariates_and_their_days_are_told(tmp_path):
    progress = RecordingProgress()
    days = [raster(tmp_path / f"smap_2021040{i}.tif") for i in (3, 1)]
    soil = raster(tmp_path / "soil.tif", ("clay", "sand"))
    list_covariates([soil], days, folder=tmp_path, progress=progress)
    assert progress.messages == ["4 rows: static clay, sand; smap 2021-04-01 to 2021-04-03 (2)."]
    assert progress.fraction == 1


def test_different_units_of_a_covariate_are_told(tmp_path):
    units = ("m", "cm", "m", "")
    days = [
        raster(tmp_path / f"snow_2021040{i}.tif", units=(unit,))
        for i, unit in enumerate(units, start=1)
    ]
    (text,) = warned(tmp_path, [], days)
    assert text.startswith(
        "The rasters of snow have different units: 'm' (snow_20210401.tif and 1 more), "
        "'cm' (snow_20210402.tif), none (snow_20210404.tif)."
    )


def test_reference_systems_of_a_covariate_are_told(tmp_path):
    """The same place in two zones."""
    days = [
        raster(tmp_path / "VV_20210401.tif"),
        raster(tmp_path / "VV_20210402.tif", crs="EPSG:32633", at=(70000, 5560000), cell=10.001),
    ]
    (text,) = warned(tmp_path, [], days)
    assert text.startswith(
        "The rasters of VV come in 2 coordinate reference systems: EPSG:32632 (VV_20210401.tif), "
        "EPSG:32633 (VV_20210402.tif)."
    )


def test_cell_sizes_of_a_covariate_are_told(tmp_path):
    days = [raster(tmp_path / "VV_20210401.tif"), raster(tmp_path / "VV_20210402.tif", cell=30)]
    (text,) = warned(tmp_path, [], days)
    assert "cells of different size: 10 (VV_20210401.tif), 30 (VV_20210402.tif)" in text


def test_second_date_of_a_file_name_is_told(tmp_path):
    """MODIS files with both ends of the composite: the second stays in the covariate's name."""
    days = [raster(tmp_path / f"ndvi_202104{i}_202104{i + 15}.tif") for i in (10, 14)]
    (text,) = warned(tmp_path, [], days)
    assert text.startswith("Names of covariates hold a date: ndvi_20210425; ndvi_20210429.")
    assert "PERIOD" in text


def test_nodata_that_cells_cannot_hold_is_told(tmp_path, monkeypatch):
    """Some drivers pass such a declaration on; GeoTIFFs made here cannot bear one."""
    real = table_module.describe_raster

    def described(path, **more):
        info = real(path, **more)
        return replace(info, bands=tuple(replace(b, nodata=-9999.0) for b in info.bands))

    monkeypatch.setattr(table_module, "describe_raster", described)
    small = raster(tmp_path / "lai.tif", dtype="uint8")
    whole = raster(tmp_path / "snow.tif", dtype="int16")
    (text,) = warned(tmp_path, [small, whole])
    assert text.startswith(
        "The declared nodata cannot occur: -9999 in uint8 (lai.tif, band 1). Missing cells would"
    )


def test_covariates_without_a_place_in_common_are_refused(tmp_path):
    here = raster(tmp_path / "clay.tif")
    there = raster(tmp_path / "sand.tif", at=(510000, 5535000))
    with pytest.raises(InputError, match="'clay' and 'sand' have no place in common") as caught:
        build_table([here, there], [], output=tmp_path / "c.csv")
    assert "clay covers 500000, 5534980, 500020, 5535000 in EPSG:32632 = 9.000, 49.9" in str(
        caught.value
    )
    assert "sand covers 510000, 5534980, 510020, 5535000 in EPSG:32632 = 9.139" in str(caught.value)
    assert not (tmp_path / "c.csv").exists()


@pytest.mark.parametrize(
    ("crs", "at", "cell", "together"),
    [
        ("EPSG:4326", (8.5, 50.5), 1.0, True),  # around it
        ("EPSG:4326", (-180, 90), 90.0, True),  # the Earth
        ("EPSG:6933", (-17367530.45, 7314540.83), 3602200.0, False),  # its western part only
        ("EPSG:32633", (70000, 5560000), 1000.0, False),  # another zone, elsewhere
        ("EPSG:32633", (66000, 5560000), 10000.0, True),
        ("EPSG:4326", (20.0, 50.5), 1.0, False),
        ("EPSG:4326", (369.0 - 0.5, 50.5), 1.0, True),  # longitudes from 0 to 360 and beyond
    ],
)
def test_places_are_compared_across_reference_systems(tmp_path, crs, at, cell, together):
    here = raster(tmp_path / "clay.tif")
    other = raster(tmp_path / "sand.tif", crs=crs, at=at, cell=cell)
    if together:
        build_table([here, other], [], output=tmp_path / "c.csv")
    else:
        with pytest.raises(InputError, match="no place in common"):
            build_table([here, other], [], output=tmp_path / "c.csv")


def test_swaths_are_compared_together(tmp_path):
    """The first scene of VV lies beside the soil map, the second on it."""
    soil = raster(tmp_path / "clay.tif")
    scenes = [
        raster(tmp_path / "VV_20210401.tif", at=(600000, 5535000)),
        raster(tmp_path / "VV_20210407.tif"),
    ]
    build_table([soil], scenes, output=tmp_path / "c.csv")


def test_places_are_compared_with_those_of_an_extended_table(tmp_path):
    scenes = [
        raster(tmp_path / "VV_20210401.tif", at=(600000, 5535000)),
        raster(tmp_path / "VV_20210407.tif"),
    ]
    earlier = build_table([], scenes, output=tmp_path / "1.csv")
    near, far = raster(tmp_path / "clay.tif"), raster(tmp_path / "sand.tif", at=(0, 0))
    more = {"append_to": earlier, "output": tmp_path / "2.csv"}
    assert len(build_table([near], [], **more).rows) == 3
    with pytest.raises(InputError, match="'VV' and 'sand' have no place in common"):
        build_table([far], [], **more)
    for scene in scenes:
        Path(scene.path).unlink()
    assert len(build_table([far], [], **more).rows) == 3  # nothing left to compare with


def test_rasters_are_opened_once(tmp_path, monkeypatch):
    opened = []
    real = rasterio.open

    def counted(path, *arguments, **more):
        opened.append(str(path))
        return real(path, *arguments, **more)

    days = [raster(tmp_path / f"smap_202104{i:02d}.tif") for i in range(1, 31)]
    monkeypatch.setattr(rasterio, "open", counted)
    build_table([], days, output=tmp_path / "c.csv")
    assert len(opened) == len(set(opened)) == 30


def test_empty_table_is_an_error(tmp_path):
    with pytest.raises(InputError, match="would be empty"):
        build_table([], [], output=tmp_path / "c.csv")


def test_days_between():
    assert days_between(APRIL, day(7), 3) == [APRIL, day(3), day(6)]
    assert days_between(APRIL, APRIL) == [APRIL]
    with pytest.raises(InputError, match="before the start"):
        days_between(day(1), APRIL)
    with pytest.raises(InputError, match="step of 0"):
        days_between(APRIL, day(1), 0)
