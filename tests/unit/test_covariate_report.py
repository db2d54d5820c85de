"""The inventory of a covariate table and its report: days, values, grids, and the page."""

from __future__ import annotations

import re
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from raster_files import write_raster
from soil_moisture_mapper.plugin.core.covariates import inventory_values
from soil_moisture_mapper.plugin.core.covariates.inventory import (
    CovariateFacts,
    Inventory,
    spread_order,
    take_inventory,
)
from soil_moisture_mapper.plugin.core.covariates.inventory_days import Gap, find_gaps
from soil_moisture_mapper.plugin.core.covariates.inventory_values import (
    look_at_bands,
    sample_windows,
)
from soil_moisture_mapper.plugin.core.covariates.landcover import group_classes
from soil_moisture_mapper.plugin.core.covariates.rows import CovariateRow, choose_row
from soil_moisture_mapper.plugin.core.covariates.table import (
    RasterInput,
    build_table,
    list_covariates,
    read_table,
)
from soil_moisture_mapper.plugin.core.evaluation.reports.covariate_report import (
    cell_text,
    covariate_report,
)
from soil_moisture_mapper.plugin.core.evaluation.reports.covariate_timeline import ticks, timeline
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress
from soil_moisture_mapper.plugin.core.rasters.grids import Grid

APRIL = date(2021, 4, 1)


def day(shift):
    return APRIL + timedelta(days=shift)


def row(start, end=None, *, tolerance=3, name="VV"):
    last = start if end is None else end
    return CovariateRow(name, "", "a.tif", 1, day(start), day(last), "bilinear", tolerance, "")


def raster(path, values, names=(None,), *, crs="EPSG:32632", cell=10.0, nodata=-9999, **units):
    values = np.atleast_3d(np.asarray(values, dtype="float32"))
    values = values if values.shape[0] == len(names) else np.moveaxis(values, 2, 0)
    corner = (500000, 5535000) if cell > 1 else (8.9, 50.1)
    place = {"crs": crs, "cell": cell, "corner": corner, "nodata": nodata}
    return RasterInput(str(write_raster(path, values, names=names, **place, **units)))


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 9), st.integers(0, 6)),
        min_size=1,
        max_size=8,
    )
)
def test_gaps_are_the_days_for_which_no_row_is_chosen(periods):
    rows = [row(start, start + length, tolerance=t) for start, length, t in periods]
    period = (day(-5), day(75))
    found = find_gaps(rows, period)
    missing = {day(shift) for shift in range(-5, 76) if choose_row(rows, day(shift)) is None}
    listed = [gap.start + timedelta(days=i) for gap in found for i in range(gap.days)]
    assert set(listed) == missing and len(listed) == len(missing)
    # each gap is whole: no other begins on the day after it
    ends = {gap.end + timedelta(days=1) for gap in found}
    assert not ends & {gap.start for gap in found}


def test_gaps_by_hand():
    rows = [row(0, tolerance=2), row(10, tolerance=2), row(12, 20, tolerance=1)]
    assert find_gaps(rows, (day(0), day(30))) == (
        Gap("VV", day(3), day(7)),
        Gap("VV", day(22), day(30)),
    )
    assert Gap("VV", day(3), day(7)).days == 5


@given(st.integers(0, 200))
def test_looks_are_spread_over_time(count):
    order = list(spread_order(count))
    assert sorted(order) == list(range(count))
    for k in range(3, count):  # the first k leave no hole longer than twice the even one
        first = sorted(order[:k])
        assert max(np.diff(first)) <= 2 * (count - 1) / (k - 1) + 1


def test_windows_of_a_look():
    small = Grid("EPSG:32632", Affine(10, 0, 0, 0, -10, 0), 1024, 1024)
    assert sample_windows(small) == [small.whole]
    large = Grid("EPSG:32632", Affine(10, 0, 0, 0, -10, 0), 10_000, 5_000)
    windows = sample_windows(large)
    assert len(windows) == len(set(windows)) == 64
    assert {(w.width, w.height) for w in windows} == {(64, 64)}
    assert all(large.whole.overlap(window) == window for window in windows)
    assert max(w.col + w.width for w in windows) == 10_000
    strip = Grid("EPSG:32632", Affine(10, 0, 0, 0, -10, 0), 2_000_000, 3)
    assert [(w.row, w.height) for w in sample_windows(strip)] == [(0, 3)] * 8


def test_look_at_values(tmp_path):
    """Of a small raster every cell is read, so the share is exact."""
    values = np.linspace(0, 1, 200).reshape(10, 20)
    values[:2] = -9999
    found = look_at_bands(raster(tmp_path / "a.tif", values).path, [1], Progress())
    (only,) = found
    assert (only.cells, only.known, only.missing) == (200, 160, pytest.approx(0.2))
    assert (only.minimum, only.maximum) == (np.float32(values[2, 0]), 1.0)
    assert only.mark is None


def test_look_at_a_large_raster_is_near(tmp_path, monkeypatch):
    """A third is missing, a corner; the windows see it to within a few per cent."""
    monkeypatch.setattr(inventory_values, "_WHOLE_CELLS", 1000)
    values = np.full((900, 1200), 0.5)
    values[:600, :600] = -9999
    (found,) = look_at_bands(raster(tmp_path / "a.tif", values).path, [1], Progress())
    assert found.cells == 64 * 64 * 64
    assert found.missing == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize(
    ("values", "mark"),
    [
        ([-99, -99, -99, 12.5, 40.25, 33.1], -99),
        ([0.1, 0.25, 0.4, 255, 255, 255], 255),
        ([-99, 12.5, 40.25, 33.1, 20.2], None),  # once: a value
        ([0, 0, 0, 0.1, 0.25, 0.4, 0.37], None),  # dry days
        ([1, 1, 1, 0.97, 0.5, 0.2, -0.1], None),  # clipped
        ([0.5, 0.5, 0.5, 8.1, 9.2, 10.3], None),  # no whole number
        ([100, 120, 90, 95, 32767, 32767, 32767], 32767),
        ([1, 1, 1, 5, 6, 7, 5], None),  # counts leave holes
    ],
)
def test_undeclared_marks(tmp_path, values, mark):
    (found,) = look_at_bands(
        raster(tmp_path / "a.tif", [values], nodata=None).path, [1], Progress()
    )
    assert (found.mark[0] if found.mark else None) == mark


def listing_of(tmp_path, static=(), dynamic=(), **more):
    progress = RecordingProgress()
    listing = list_covariates(static, dynamic, folder=tmp_path, progress=progress, **more)
    return listing, progress


def taken(tmp_path, static=(), dynamic=(), most_cells=10**9, **more):
    listing, progress = listing_of(tmp_path, static, dynamic, **more)
    inventory = take_inventory(
        listing.table, listing.rasters, most_cells=most_cells, progress=progress
    )
    return inventory, progress


def test_inventory(tmp_path):
    dem = raster(
        tmp_path / "dem.tif", np.ones((2, 30, 40)), ("elevation", "slope"), units=("m", "°")
    )
    days = [
        raster(tmp_path / f"VV_2021{stamp}.tif", np.full((15, 20), value), cell=20.0)
        for stamp, value in (("0401", -9999), ("0407", 2), ("0413", 3), ("0501", 5))
    ]
    inventory, progress = taken(tmp_path, [dem], days, tolerance_days=3)
    elevation, slope, vv = inventory.covariates
    assert (elevation.units, slope.units, vv.units) == (("m",), ("°",), ("",))
    assert elevation.is_static and elevation.period is None and elevation.gaps == ()
    assert vv.period == (date(2021, 4, 1), date(2021, 5, 1)) == inventory.period
    assert (vv.interval, vv.limits, vv.missing) == (6, (2, 5), 0.25)
    assert vv.gaps == (Gap("VV", date(2021, 4, 17), date(2021, 4, 27)),)
    assert inventory.complete_days == 31 - 11 == inventory.days - vv.gaps[0].days
    assert [grid.resolution[0] for grid in inventory.grids] == [10, 20]
    assert (elevation.grids, vv.grids) == ((0,), (1,))
    assert (inventory.rows, inventory.looked) == (6, 6)
    assert progress.warnings == ["VV: no value in 1 of the 4 rasters looked at (2021-04-01)."]


def test_complete_days_need_every_covariate(tmp_path):
    days = [
        raster(tmp_path / f"{name}_2021040{i}.tif", np.ones((3, 3)))
        for name, days in (("a", (1, 2, 3)), ("b", (2, 3, 5)))
        for i in days
    ]
    inventory, _ = taken(tmp_path, [], days, tolerance_days=0)
    assert (inventory.days, inventory.complete_days) == (5, 2)


def test_look_is_bounded_and_reaches_every_covariate(tmp_path):
    days = [
        raster(tmp_path / f"{name}_202104{i:02d}.tif", np.ones((10, 10)))
        for name in ("a", "b")
        for i in range(1, 21)
    ]
    inventory, _ = taken(tmp_path, [], days, most_cells=650)
    assert [len(one.looked) for one in inventory.covariates] == [3, 3]
    assert [one.start.day for one in inventory.covariates[0].looked] == [1, 10, 20]
    inventory, _ = taken(tmp_path, [], days, most_cells=0)
    assert [len(one.looked) for one in inventory.covariates] == [1, 1]


def test_whole_number_far_from_the_values_of_a_float_product_is_told(tmp_path):
    values = np.linspace(0.1, 0.5, 100).reshape(10, 10)
    values[0] = -99
    days = [raster(tmp_path / f"smap_2021040{i}.tif", values) for i in (1, 2)]
    _, progress = taken(tmp_path, [], days)
    (text,) = progress.warnings
    assert text.startswith(
        "smap holds -99 in 10 of the cells looked at, far from all its other values (2021-04-01 "
        "and 1 more rasters): is it an undeclared mark"
    )


def test_usual_marks_are_told_once_for_a_series(tmp_path):
    values = np.linspace(0.1, 0.5, 100).reshape(10, 10)
    values[0] = -9999
    days = [raster(tmp_path / f"smap_202104{i:02d}.tif", values, nodata=None) for i in range(1, 11)]
    inventory, progress = taken(tmp_path, [], days)
    assert inventory.covariates[0].missing == pytest.approx(0.1)
    assert sum("declares no nodata" in text for text in progress.warnings) == 3
    assert progress.warnings[-1].startswith("7 further bands")


def test_rasters_of_an_extended_table_are_looked_at(tmp_path):
    clay = raster(tmp_path / "clay.tif", np.ones((3, 3)))
    gone = raster(tmp_path / "sand.tif", np.ones((3, 3)))
    build_table([clay, gone], [], output=tmp_path / "c.csv")
    Path(gone.path).unlink()
    earlier = read_table(tmp_path / "c.csv")
    silt = raster(tmp_path / "silt.tif", np.full((3, 3), 7))
    inventory, progress = taken(tmp_path, [silt], append_to=earlier)
    assert [one.limits for one in inventory.covariates] == [(1, 1), None, (7, 7)]
    assert len(inventory.unread) == 1 and "sand.tif" in inventory.unread[0]
    assert progress.warnings[0].startswith("1 rasters cannot be opened: The raster file")


@pytest.mark.parametrize(
    ("first", "last", "labels"),
    [
        ((2021, 3, 5), (2021, 3, 5), ["5 Mar"]),
        ((2021, 3, 28), (2021, 4, 16), ["28 Mar", "30 Mar", "1 Apr", "3 Apr", "5 Apr"]),
        ((2021, 3, 1), (2021, 6, 30), ["Mar 2021", "Apr", "May", "Jun"]),
        ((2020, 11, 3), (2021, 3, 2), ["Dec 2020", "Jan 2021", "Feb", "Mar"]),
        ((2020, 1, 1), (2021, 12, 31), ["Jan 2020", "Mar", "May", "Jul", "Sep", "Nov", "Jan 2021"]),
        ((2001, 1, 1), (2012, 12, 31), ["2001", "2002", "2003"]),
        ((1981, 1, 1), (2020, 12, 31), ["1985", "1990"]),
    ],
)
def test_ticks(first, last, labels):
    found = ticks(date(*first), date(*last))
    assert [label for _, label in found][: len(labels)] == labels
    assert 0 < len(found) <= 14
    assert all(date(*first) <= at <= date(*last) for at, _ in found)


def facts(name, rows, **more):
    return CovariateFacts(name, "", ("",), tuple(rows), (), **more)


def inventory_of(*covariates):
    rows = [row for one in covariates for row in one.rows]
    period = (min(r.start for r in rows), max(r.end for r in rows))
    return Inventory(covariates, (), period, 0)


def drawn(inventory):
    return ElementTree.fromstring(str(timeline(inventory)))  # noqa: S314 (made here)


def test_timeline_places_days():
    """100 days on a drawing whose days run from its labels to 966 of 1040."""
    rows = [row(0), row(50), row(99)]
    gaps = find_gaps(rows, (day(0), day(99)))
    svg = drawn(inventory_of(facts("VV", rows, gaps=gaps)))[0]
    (path,) = [one for one in svg.iter("path") if one.get("fill") == "#0072B2"]
    starts = [float(x) for x in re.findall(r"M([\d.]+) ", path.get("d"))]
    left, width = 90.0, 1040 - 74 - 90
    expected = [left + width * (shift + 0.5) / 100 for shift in (0, 50, 99)]
    assert [x + 2.5 for x in starts] == pytest.approx(expected, abs=0.06)
    hatched = [one for one in svg.iter("rect") if one.get("fill") == "url(#gap)"][:-1]
    spans = [(float(one.get("x")), float(one.get("width"))) for one in hatched]
    for (x, long), gap in zip(spans, gaps):
        assert x == pytest.approx(left + width * (gap.start - day(0)).days / 100, abs=0.06)
        assert long == pytest.approx(width * gap.days / 100, abs=0.06)
    assert len(spans) == len(gaps) == 2
    assert "no row from 2021-04-05 to 2021-05-17, 43 days" in ElementTree.tostring(svg, "unicode")


def test_timeline_of_many_rows_stays_small():
    covariates = [
        facts(f"c{i}", [row(shift, name=f"c{i}") for shift in range(300)]) for i in range(10)
    ]
    text = str(timeline(inventory_of(*covariates)))
    assert len(text) < 120_000
    assert text.count("<path") == 10
    assert len(re.findall(r"M[\d.]+ ", text)) == 3000
    assert str(timeline(inventory_of(facts("<b>&", [row(0)])))).count("&lt;b&gt;&amp;") == 2


def test_static_tables_have_no_timeline():
    assert timeline(Inventory((), (), None, 0)) == ""


@pytest.mark.parametrize(
    ("crs", "cell", "text"),
    [
        ("EPSG:32632", (10, 10), "10\u202fm"),
        ("EPSG:32632", (31.5303, 31.52466), "31.53 × 31.52\u202fm"),
        ("EPSG:6933", (36032.220840584, 36032.220840584), "36032\u202fm"),
        # at 50° north a degree is 111 320 m · cos 50° wide
        ("EPSG:4326", (0.0025, 0.0025), "0.0025° ≈ 178.9 × 278.3\u202fm"),
        ("EPSG:2225", (100, 100), "100 = 30.48\u202fm"),  # US survey feet
    ],
)
def test_cell_sizes_in_metres(crs, cell, text):
    grid = Grid(crs, Affine(cell[0], 0, 8.0, 0, -cell[1], 50.0), 4, 4)
    assert cell_text(grid) == text


class _Outline(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.text, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def page_of(tmp_path, inventory, **more):
    covariate_report(inventory, tmp_path / "r.html", **more)
    outline = _Outline()
    outline.feed((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert outline.open == []
    links = [value for key, value in outline.attributes if key in {"src", "href"}]
    assert not [value for value in links if not value.startswith("data:")]
    return re.sub(r"\s+", " ", " ".join(outline.text))


def test_report(tmp_path):
    terrain = raster(tmp_path / "dem.tif", np.ones((30, 40)), ("elevation",), units=("m",))
    codes = raster(tmp_path / "codes.tif", np.full((30, 40), 30))
    group_classes(codes.path, 1, tmp_path / "land_cover.tif")
    classes = RasterInput(str(tmp_path / "land_cover.tif"))
    days = [
        raster(tmp_path / f"s1_2021{stamp}.tif", np.ones((2, 30, 40)), ("VV", "VH"))
        for stamp in ("0401", "0407", "0519")
    ] + [
        raster(tmp_path / f"ndvi_2021{stamp}.tif", np.ones((12, 10)), cell=0.02, crs="EPSG:4326")
        for stamp in ("0401", "0417", "0503")
    ]
    inventory, progress = taken(tmp_path, [terrain, classes], days)
    text = page_of(tmp_path, inventory, name="<table>.csv", warnings=["mind <this>"])
    assert "<table>.csv: 11 rows" in text
    assert "5 covariates: 2 static, 3 dated." in text
    assert "On 10 of the 49 days from 2021-04-01 to 2021-05-19 every dated covariate" in text
    assert "mind <this>" in text
    assert "VV, VH 29 days (59 %); ndvi 16 days (33 %)." in text
    assert "VV, VH 2021-04-14 2021-05-12 29 6" in text
    assert "terrain elevation m bilinear 1 static" in text
    assert "sentinel1 VV – bilinear 3 2021-04-01 2021-05-19 24 6" in text
    assert "EPSG:4326, 0.02° ≈ 1432 × 2226 m" in text
    assert "elevation, land_cover, VV, VH : 40 × 30 cells, left 500000, bottom 5534700" in text
    assert "EPSG:4326: 1 grid, longitude 8.900 to 9.100, latitude 49.860 to 50.100" in text
    assert "land_cover : 1 cultivated, 2 herbaceous" in text
    assert progress.warnings == []


def test_report_of_static_rasters(tmp_path):
    inventory, _ = taken(tmp_path, [raster(tmp_path / "clay.tif", np.ones((3, 3)))])
    text = page_of(tmp_path, inventory)
    assert "All covariates are static" in text
    assert "Complete days" not in text


def test_report_without_gaps(tmp_path):
    days = [raster(tmp_path / f"a_2021040{i}.tif", np.ones((3, 3))) for i in (1, 5)]
    text = page_of(tmp_path, taken(tmp_path, [], days)[0])
    assert "None: every dated covariate serves every day of the period." in text
    assert "On 5 of the 5 days" in text


def test_report_folds_long_lists_of_gaps(tmp_path):
    days = [raster(tmp_path / f"a_2021{i:03d}.tif", np.ones((3, 3))) for i in range(1, 100, 2)]
    inventory, _ = taken(tmp_path, [], days, tolerance_days=0)
    assert len(inventory.covariates[0].gaps) == 49
    assert "19 more" in page_of(tmp_path, inventory)


def test_real_series(shared_data, tmp_path):
    """Twelve NDVI composites without declared nodata, in sinusoidal projection."""
    ndvi = RasterInput(str(shared_data / "rasters" / "modis_mod13q1_ndvi_sinop_series.tif"))
    inventory, _ = taken(tmp_path, [], [ndvi], period_days=16, tolerance_days=8)
    (only,) = inventory.covariates
    assert (len(only.rows), only.period) == (12, (date(2013, 9, 14), date(2014, 9, 13)))
    assert only.missing == 0
    text = page_of(tmp_path, inventory)
    assert "255 × 147" in text and "231.7 m" in text
    assert "Sinusoidal, unnamed: 1 grid" in text
    assert re.search(r"longitude −5\d\.\d+ to −5\d\.\d+, latitude −1\d\.\d+ to −1\d\.\d+", text)
