"""Delimited files of readings become observation layers, and faults are named by place."""

from __future__ import annotations

import csv
import gzip
import itertools
import sqlite3
import zipfile
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress
from soil_moisture_mapper.plugin.core.stations.imports.csv_depths import header_depth
from soil_moisture_mapper.plugin.core.stations.imports.csv_layout import parse_depth
from soil_moisture_mapper.plugin.core.stations.imports.importing import import_stations
from soil_moisture_mapper.plugin.core.stations.imports.screening_drops import Drops
from soil_moisture_mapper.plugin.core.stations.table import Table
from soil_moisture_mapper.plugin.core.stations.times import parse_season

LONG = """station,date,depth,moisture,lon,lat
b,2021-06-01,0.05,0.30,10.1,50.1
a,2021-06-02,0.05,0.20,10.0,50.0
a,2021-06-01,0.05,0.10,10.0,50.0
a,2021-06-01,0.05,0.20,10.0,50.0
a,2021-06-01,0.10,0.40,10.0,50.0
"""


@pytest.fixture
def load(tmp_path):
    """Import a text written to a file; gives the layer and what was said."""
    count = itertools.count()

    def run(text, name="readings.csv", encoding="utf-8", **options):
        folder = tmp_path / str(next(count))
        folder.mkdir()
        path = folder / name
        data = text.encode(encoding)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        progress = RecordingProgress()
        return import_stations(path, progress=progress, **options), progress

    return run


def moistures(table):
    return table.column("moisture").round(9).tolist()


def test_long_file_becomes_daily_means(load):
    table, progress = load(LONG)
    assert table.names == (
        "station", "network", "date", "moisture", "depth_from", "depth_to", "n",
    )  # fmt: skip
    assert table.text("station").tolist() == ["a", "a", "b"]
    assert table.text("date").tolist() == ["2021-06-01", "2021-06-02", "2021-06-01"]
    assert moistures(table) == [0.15, 0.2, 0.3]
    assert table.column("n").tolist() == [2, 1, 1]
    assert set(table.column("depth_from")) == {0.05}
    assert table.x.tolist() == [10.0, 10.0, 10.1]
    assert table.crs == "EPSG:4326"
    assert "Sensors outside 0–0.05 m, left out: 0.1 m (a)." in progress.messages
    assert any("1 of 3 station-days are means of several readings" in m for m in progress.messages)
    assert not progress.warnings


def test_several_depths_are_averaged_and_their_range_kept(load):
    table, _ = load(LONG, depth_max=0.1)
    assert moistures(table)[0] == round((0.1 + 0.2 + 0.4) / 3, 9)
    assert table.column("n")[0] == 3
    assert (table.column("depth_from")[0], table.column("depth_to")[0]) == (0.05, 0.1)


def test_whole_range_of_the_sensor_must_lie_inside_ends_included(load):
    text = "station,date,vwc,depth_from,depth_to\na,2021-06-01,0.1,0,0.05\nb,2021-06-01,0.1,0,0.06"
    table, progress = load(text)
    assert table.text("station").tolist() == ["a"]
    assert "left out: 0–0.06 m (b)." in progress.messages[1]
    table, _ = load("station,date,vwc,depth\na,2021-06-01,0.1,0-0.05\nb,2021-06-01,0.1,0.05-0.1")
    assert table.text("station").tolist() == ["a"]
    assert table.column("depth_from").tolist() == [0.0]


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(12)))
def test_order_of_rows_changes_nothing(tmp_path_factory, order):
    rows = [f"s{i % 2},2021-06-0{1 + i % 3},0.{i + 1}3,{i / 7}" for i in range(12)]

    def read(lines):
        path = tmp_path_factory.mktemp("order") / "a.csv"
        path.write_text("\n".join(["station,date,vwc,x", *lines]))
        return import_stations(path)

    reference, shuffled = read(rows), read([rows[i] for i in order])
    for name in reference.names:
        np.testing.assert_array_equal(shuffled.column(name), reference.column(name))
    np.testing.assert_array_equal(shuffled.x, reference.x)


def test_wide_by_depth(load):
    text = "site;Date;vwc 5cm;vwc 10cm;vwc 20cm\n7;2021-06-01;0,10;0,20;0,90\n7;2021-06-02;;0,4;0,9"
    table, progress = load(text, value_columns="vwc 5cm=0.05; vwc 10cm=0.1", depth_max=0.1)
    assert moistures(table) == [0.15, 0.4]
    assert table.column("n").tolist() == [2, 1]
    assert table.text("station").tolist() == ["7", "7"]
    assert "1 of 4 readings are missing." in progress.messages
    table, _ = load(text, value_columns="vwc 5cm=0-0.05;vwc 10cm=0,1")
    assert (table.column("depth_from")[0], table.column("depth_to")[0]) == (0.0, 0.05)


def test_wide_by_station(load):
    text = "timestamp,Nord,Süd,101\n2021-06-01 00:00,0.1,0.2,0.3\n2021-06-01 12:00,0.3,,0.5"
    table, progress = load(text, value_columns="*")
    assert table.text("station").tolist() == ["101", "Nord", "Süd"]
    assert moistures(table) == [0.4, 0.2, 0.2]
    assert table.column("n").tolist() == [2, 2, 1]
    assert np.isnan(table.column("depth_from")).all()
    assert any(text.startswith("No depth is given") for text in progress.warnings)


@pytest.mark.parametrize("delimiter", [";", "\t", ",", "|"])
def test_delimiters_are_found(load, delimiter):
    table, _ = load(LONG.replace(",", delimiter))
    assert moistures(table) == [0.15, 0.2, 0.3]


def test_decimal_commas(load):
    semicolons = LONG.replace(",", ";").replace(".", ",")
    table, _ = load(semicolons)
    assert moistures(table) == [0.15, 0.2, 0.3]
    assert table.x.tolist() == [10.0, 10.0, 10.1]
    quoted, _ = load('station,date,vwc\na,2021-06-01,"0,25"')
    assert moistures(quoted) == [0.25]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252", "utf-8"])
def test_encodings_and_umlauts(load, encoding):
    text = "Station;Datum;Bodenfeuchte\nMüncheberg;2021-06-01;0,2"
    table, _ = load(
        text, "Messwerte für Süd.csv", encoding, date_column="Datum", value_columns="Bodenfeuchte"
    )
    assert table.text("station").tolist() == ["Müncheberg"]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.txt", "a.txt.gz", "a.dat"])
def test_endings(load, name):
    assert len(load(LONG, name)[0]) == 3


def test_lines_above_the_header_and_units_below(load):
    text = (
        '"TOA5","Logger 7","CR1000"\n# made by date and station\n\n'
        "TIMESTAMP,RECORD,Site Id,VWC (m3/m3)\nTS,RN,,m3/m3\n,,,Avg\n"
        "2021-06-01 10:00:00,1,3,0.2\n# pause\n2021-06-01 11:00:00,2,3.0,0.4\n"
    )
    table, _ = load(text)
    assert moistures(table) == [0.3]
    assert table.text("station").tolist() == ["3"]


def test_missing_codes_and_impossible_values(load):
    values = ["-9999", "-99", "-999.0", "NA", "NaN", "", "-", "1.7", "-0.3", "0.2"]
    rows = "\n".join(f"a,2021-06-{day:02d},{value}" for day, value in enumerate(values, 1))
    table, progress = load("station,date,vwc\n" + rows)
    assert moistures(table) == [0.2]
    assert "7 of 10 readings are missing." in progress.messages
    assert "2 readings outside 0–1 m³ m⁻³ left out (from -0.3 to 1.7)." in progress.warnings


def test_percent(load):
    text = "station,date,vwc\na,2021-06-01,43.1\na,2021-06-02,12\nb,2021-06-02,-9999"
    with pytest.raises(InputError, match=r"values up to 43.1: they look like percent.*UNITS"):
        load(text)
    table, _ = load(text, units="percent")
    assert moistures(table) == [0.431, 0.12]
    with pytest.raises(InputError, match=r"UNITS is percent, but no value is above 0.4"):
        load(LONG, units="percent", depth_max=0.1)


def test_days_are_cut_in_utc(load):
    rows = "station,time,vwc\na,2021-07-01 01:30,0.1\na,2021-07-01 02:30,0.3\n"
    assert load(rows)[0].text("date").tolist() == ["2021-07-01"]
    # Summer time in Berlin is two hours ahead.
    table, _ = load(rows, timezone="Europe/Berlin")
    assert table.text("date").tolist() == ["2021-06-30", "2021-07-01"]
    table, _ = load(rows.replace(":30,", ":30Z,"), timezone="Europe/Berlin")
    assert table.text("date").tolist() == ["2021-07-01"]
    table, _ = load(rows.replace(":30,", ":30-05:00,"))
    assert table.text("date").tolist() == ["2021-07-01"]
    table, _ = load("station,time,vwc\na,2021-07-01T22:30-0500,0.1")
    assert table.text("date").tolist() == ["2021-07-02"]
    table, _ = load("station,date,vwc\na,2021-07-01,0.1", timezone="Pacific/Auckland")
    assert table.text("date").tolist() == ["2021-07-01"]
    with pytest.raises(InputError, match="TIMEZONE 'Europe/Nowhere' is not known"):
        load(rows, timezone="Europe/Nowhere")


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("20210704", "2021-07-04"),
        ("202107041530", "2021-07-04"),
        ("2021/7/4", "2021-07-04"),
        ("2021-07-04T15:30:00.000Z", "2021-07-04"),
        ("04.07.2021", "2021-07-04"),
        ("4.7.2021 15:30", "2021-07-04"),
        ("07/14/2021 3:30 PM", "2021-07-14"),
        ("14/07/2021", "2021-07-14"),
        ("2021-07-04 24:00", "2021-07-05"),
        ("12/31/2021 12:00 AM", "2021-12-31"),
    ],
)
def test_dates_are_read(load, text, day):
    assert load(f"station,date,vwc\na,{text},0.2")[0].text("date").tolist() == [day]


def test_column_of_times_completes_the_dates(load):
    text = "station,date,time,vwc\na,2021-07-01,23:30,0.2\na,2021-07-01,09:00,0.4"
    table, _ = load(text, timezone="America/Chicago")
    assert table.text("date").tolist() == ["2021-07-01", "2021-07-02"]


@pytest.mark.parametrize("text", ["2021-02-30", "yesterday", "2021-07-01 25:00", "41000.5"])
def test_what_is_no_date_is_named_by_line_and_column(load, text):
    with pytest.raises(InputError, match=r"line 3, column 'date' of readings.csv is not a date"):
        load(f"station,date,vwc\na,2021-07-01,0.2\na,{text},0.2")


def test_day_and_month_that_cannot_be_told_apart(load):
    with pytest.raises(InputError, match=r"leaves open whether day or month.*'03/04/2021'"):
        load("station,date,vwc\na,03/04/2021,0.2")
    with pytest.raises(InputError, match="leaves open"):
        load("station,date,vwc\na,13/04/2021,0.2\na,04/13/2021,0.2")


def test_text_among_the_readings_is_named_by_line_and_column(load):
    with pytest.raises(InputError) as caught:
        load("station,date,vwc\na,2021-07-01,0.2\na,2021-07-02,wet")
    assert "'wet' in line 3, column 'vwc' of readings.csv is not a number" in str(caught.value)
    with pytest.raises(InputError, match=r"mixes decimal commas \('0,2'\) and points \('0.3'\)"):
        load("station;date;vwc\na;2021-07-01;0,2\na;2021-07-02;0.3")


def test_unquoted_decimal_commas_between_commas(load):
    with pytest.raises(InputError, match=r"Line 2 .* holds 4 values.*3 columns.*semicolons"):
        load("station,date,vwc\na,2021-07-01,0,2\na,2021-07-02,0,3\na,2021-07-03,0")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"station_column": "probe"}, r"STATION_COLUMN names 'probe', which readings.csv does not"),
        ({"date_column": "when"}, "DATE_COLUMN names 'when'.*columns are: station, date, depth"),
        ({"value_columns": "sm"}, "VALUE_COLUMNS names 'sm'"),
        ({"value_columns": "moisture=5 feet"}, "depth '5 feet' for 'moisture', which is no"),
        ({"value_columns": "moisture;depth=1"}, "names 'moisture' without a depth"),
        ({"value_columns": "moisture=0.1;moisture=0.2"}, "VALUE_COLUMNS names a column twice"),
        ({"depth_min": 0.2, "depth_max": 0.1}, "DEPTH_MIN 0.2 and DEPTH_MAX 0.1 are no range"),
        ({"depth_min": 0.2, "depth_max": 0.3}, r"No sensor lies within.*0.05 m \(a, b\); 0.1 m"),
        ({"season": "March"}, "SEASON 'March' is not a season"),
        ({"season": "02-30/10-01"}, "SEASON '02-30/10-01' is not a season"),
        ({"start": date(2022, 1, 1)}, "No reading lies within START 2022-01-01.*2021-06-01 to"),
        ({"start": date(2022, 1, 1), "end": date(2021, 1, 1)}, "START 2022-01-01 is after END"),
        ({"min_readings": 3}, "No day has 3 readings; the most are 2"),
        ({"units": "vol"}, "UNITS 'vol' is not one of m3m3, percent"),
        ({"format": "xls"}, "FORMAT 'xls' is not one of"),
        ({"format": "ismn"}, "holds no ISMN file of soil moisture"),
        ({"screening": ["rain"]}, "SCREENING 'rain' is not one of frozen, spikes, flat"),
    ],
)
def test_wrong_settings_are_refused(load, options, message):
    with pytest.raises(InputError, match=message):
        load(LONG, **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("one column\n1\n2", "holds one column only"),
        ("a,b\n1,2", r"No header is found in readings.csv; its first row is: a \| b"),
        ("date,vwc\n2021-06-01,0.2", "No column of readings.csv is found to be the station"),
        ("station,date\na,2021-06-01", "No column of readings.csv is found to be the value"),
        ("station,date,vwc", "holds no rows below its header"),
        ("station,date,vwc,vwc\na,2021-06-01,1,2", "The column 'vwc' is twice"),
        ("station,date,vwc\na,2021-06-01,\nb,2021-06-01,-99", "Every reading is missing"),
        (
            "station,date,vwc\n,2021-06-01,0.2\na,,0.2",
            "No reading of .* has both a station and a",
        ),
        ("station,date,vwc,depth\na,2021-06-01,0.2,-0.05", "A depth is negative: -0.05 m.*'a'"),
        ("station,date,vwc,depth\na,2021-06-01,0.2,0.1-0.05", "range is upside down: 0.1–0.05"),
        ("station,date,vwc,depth\na,2021-06-01,0.2,top", "'top' in line 2, column 'depth'"),
        ("station,date,vwc,x,y\na,2021-06-01,0.2,493383,5180586", "493383.*are no degrees.*CRS"),
    ],
)
def test_unusable_files_are_refused(load, text, message):
    with pytest.raises(InputError, match=message):
        load(text)


def test_damaged_and_missing_files(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        import_stations(tmp_path / "none.csv")
    broken = tmp_path / "a.csv.gz"
    broken.write_bytes(gzip.compress(LONG.encode())[:-20])
    with pytest.raises(InputError, match="damaged gzip"):
        import_stations(broken)
    binary = tmp_path / "b.csv"
    binary.write_bytes(b"GIF89a\0\1\2")
    with pytest.raises(InputError, match="not a text file"):
        import_stations(binary)
    with pytest.raises(InputError, match="holds no file ending in"):
        (tmp_path / "empty").mkdir()
        import_stations(tmp_path / "empty")


def test_rows_without_station_or_date_are_counted(load):
    table, progress = load("station,date,vwc\n,2021-06-01,0.2\na,,0.2\na,2021-06-01,0.2")
    assert len(table) == 1
    said = "1 readings left out: no {} (first in line {} of readings.csv)."
    assert said.format("station", 2) in progress.warnings
    assert said.format("date", 3) in progress.warnings


def test_depth_in_centimetres_by_header_and_by_unit(load):
    table, _ = load("station,date,vwc,depth (cm)\na,2021-06-01,0.2,5\nb,2021-06-01,0.2,10")
    assert table.text("station").tolist() == ["a"]
    assert table.column("depth_to").tolist() == [0.05]
    assert parse_depth("0-5 cm") == (0.0, 0.05)
    assert parse_depth("100mm") == (0.1, 0.1)
    assert parse_depth("deep") is None
    with pytest.raises(InputError, match=r"the sensors are: 5 m \(a\).*depths are in metres"):
        load("station,date,vwc,depth\na,2021-06-01,0.2,5")


def test_period_season_and_fewest_readings(load):
    days = [date(2021, 2, 28), date(2021, 3, 1), date(2021, 10, 1), date(2021, 10, 2)]
    text = "station,date,vwc\n" + "\n".join(f"a,{day},0.2" for day in days)

    def kept(**options):
        return load(text, **options)[0].text("date").tolist()

    assert kept(season="03-01/10-01") == ["2021-03-01", "2021-10-01"]
    assert kept(season="10-02/02-28") == ["2021-02-28", "2021-10-02"]
    assert kept(start=date(2021, 3, 1), end=date(2021, 10, 1)) == ["2021-03-01", "2021-10-01"]
    table, progress = load(LONG, min_readings=2)
    assert len(table) == 1
    assert "2 station-days left out: fewer than 2 readings." in progress.messages


@given(st.dates(), st.dates(), st.dates())
def test_season_and_its_complement_hold_every_day_once(first, last, day):
    season = parse_season(f"{first:%m-%d}/{last:%m-%d}")
    days = np.array([day], dtype="datetime64[D]")
    key, ends = (day.month, day.day), ((first.month, first.day), (last.month, last.day))
    inside = ends[0] <= key <= ends[1] if ends[0] <= ends[1] else key >= ends[0] or key <= ends[1]
    assert season.holds(days)[0] == inside


def test_stations_layer_gives_positions_and_fields(load):
    points = Table(
        {
            "fid": [1, 2, 3],
            "name": ["a", "b", "c"],
            "Network": ["North", "South", "South"],
            "soil": ["loam", "sand", "clay"],
            "elevation": [10.0, 20.0, 30.0],
            "n": [5, 5, 5],
        },
        [500000.0, 500100.0, 0.0],
        [5500000.0, 5500100.0, 0.0],
        "utm",
    )
    text = LONG + "z,2021-06-01,0.05,0.2,9,9\n"
    table, progress = load(text, stations=points, station_field="name")
    assert table.crs == "utm"
    assert table.x[:3].tolist() == [500000.0, 500000.0, 500100.0]
    assert np.isnan(table.x[3])
    assert table.text("network").tolist() == ["North", "North", "South", ""]
    assert table.text("soil").tolist() == ["loam", "loam", "sand", ""]
    np.testing.assert_array_equal(table.column("elevation"), [10.0, 10.0, 20.0, np.nan])
    assert table.names[:7] == (
        "station", "network", "date", "moisture", "depth_from", "depth_to", "n",
    )  # fmt: skip
    assert table.column("n").tolist() == [2, 1, 1, 1]
    assert not table.has("fid")
    assert "1 stations have no position: z." in progress.warnings
    _, nowhere = load("station,date,moisture\na,2021-06-01,0.2\n")
    assert any("Give STATIONS that hold it" in text for text in nowhere.warnings)
    with pytest.raises(InputError, match=r"STATIONS holds none of the stations.*STATION_FIELD"):
        load(LONG, stations=points, station_field="soil")
    with pytest.raises(InputError, match=r"STATIONS has no field 'site'.*Choose STATION_FIELD"):
        load("not read before that", stations=points, station_field="site")
    twice = points.with_columns({"name": ["a", "a", "b"]})
    with pytest.raises(InputError, match="holds station 'a' twice, at different places"):
        load(LONG, stations=twice, station_field="name")


def test_station_numbers_match_without_leading_zeros(load):
    points = Table({"wban": ["03047", "3048"]}, [1.0, 2.0], [1.0, 2.0], "crs")
    text = "wban,date,vwc\n3047,2021-06-01,0.2\n03048,2021-06-01,0.2"
    table, _ = load(text, stations=points, station_field="wban")
    assert dict(zip(table.text("station"), table.x)) == {"3047": 1.0, "03048": 2.0}


def test_stations_of_two_networks_with_one_name_get_names_of_their_own(load):
    text = "network,station,date,vwc\nB,1,2021-06-01,0.2\nA,1,2021-06-01,0.4\nA,2,2021-06-01,0.3"
    table, progress = load(text)
    assert dict(zip(table.text("station"), moistures(table))) == {"A/1": 0.4, "B/1": 0.2, "2": 0.3}
    assert table.text("station").tolist() == ["2", "A/1", "B/1"]
    assert any("share a name: 1." in text for text in progress.warnings)


def test_stations_of_two_networks_take_the_points_of_their_network(load):
    points = Table(
        {"station": ["1", "1"], "network": ["A", "B"]}, [1.0, 2.0], [1.0, 2.0], "EPSG:4326"
    )
    text = "network,station,date,vwc\nB,1,2021-06-01,0.2\nA,1,2021-06-01,0.4"
    table, _ = load(text, stations=points)
    assert dict(zip(table.text("station"), table.x)) == {"A/1": 1.0, "B/1": 2.0}


def test_stations_at_one_place_and_at_several_are_told(load):
    text = "station,date,vwc,x,y\na,2021-06-01,0.2,9,50\nb,2021-06-01,0.3,9,50\n"
    _, progress = load(text + "c,2021-06-01,0.3,9.1,50\nc,2021-06-02,0.3,9.2,50")
    assert any(text.startswith("2 stations share 1 places: a = b.") for text in progress.warnings)
    assert "1 stations lie at several places, far apart: c." in progress.warnings


def test_station_numbers_with_decimals_stay_apart_and_are_told(load):
    text = "station,date,vwc\n12.0,2021-06-01,0.2\n12,2021-06-02,0.2\n12.5,2021-06-01,0.3"
    table, progress = load(text)
    assert table.text("station").tolist() == ["12", "12", "12.5"]
    assert (
        "1 of 2 station names are numbers with decimals, such as '12.5'; they are kept as they "
        "are. Is STATION_COLUMN right?"
    ) in progress.warnings


@pytest.mark.parametrize(
    ("header", "cell", "message"),
    [
        ("local_time", "2021-07-01 22:30", "holds local times, which are read as UTC"),
        ("LST_DATE", "20210701", "holds local days, which are taken as days in UTC"),
    ],
)
def test_local_dates_are_told(load, header, cell, message):
    text = f"station,{header},vwc\na,{cell},0.2"
    _, progress = load(text, date_column=header)
    assert any(f"'{header}' {message}" in said for said in progress.warnings + progress.messages)
    _, progress = load(text, date_column=header, timezone="America/Chicago")
    assert not any("read as UTC" in said for said in progress.warnings)


@pytest.mark.parametrize(
    ("header", "depth"),
    [
        ("vwc_005cm", (0.05, 0.05)),
        ("Soil Moisture 0-5 cm", (0.0, 0.05)),
        ("SOIL_MOISTURE_5_DAILY", (0.05, 0.05)),
        ("Soil Moisture Percent -2in (pct) Start of Day Values", (0.05, 0.05)),
        ("SMS.I-1:-8 (pct)  (silt)", (0.2, 0.2)),
        ("sm_0.1 m [m3/m3]", (0.1, 0.1)),
        ("theta 300mm", (0.3, 0.3)),
        ("soil moisture (m3 m-3)", None),
        ("soil_moisture_temp_5cm", None),
        ("rain_5mm", None),
        ("vwc_1", None),
    ],
)
def test_depth_told_by_a_header(header, depth):
    assert header_depth(header) == depth


def test_wide_by_depth_is_found_by_its_headers(load):
    text = "site,date,vwc_005cm,vwc_010cm,temp_005cm\n1,2021-06-01,0.2,0.4,9\n1,2021-06-02,,0.4,9"
    table, progress = load(text)
    assert moistures(table) == [0.2]
    assert "Sensors outside 0–0.05 m, left out: 0.1 m (1)." in progress.messages


def test_reports_of_scan(load):
    text = "# Soil Climate Analysis Network, a comment\n" * 70 + (
        "Date,Abrams (2044) Soil Moisture Percent -2in (pct) Start of Day Values,"
        "Adams Ranch #1 (2015) Soil Moisture Percent -2in (pct) Start of Day Values\n"
        "2021-06-01,12.5,8.0\n2021-06-02,,9.0\n"
    )
    table, _ = load(text, units="percent")
    assert table.text("station").tolist() == [
        "Abrams (2044)", "Adams Ranch #1 (2015)", "Adams Ranch #1 (2015)",
    ]  # fmt: skip
    assert moistures(table) == [0.125, 0.08, 0.09]


def test_daily_files_of_uscrn(load):
    line = (
        "53974 {} 2.622 -96.61 39.10 8.5 -1.0 3.8 4.1 0.0 9.6 C 14.0 -3.0 3.8 90.0 40.0 66.0 "
        "{} 0.250 -99.000 -99.000 -99.000 4.0 4.5 -9999.0 -9999.0 -9999.0"
    )
    text = "\n".join([line.format("20200101", "0.201"), line.format("20200102", "-99.000"), ""])
    table, progress = load(text, "CRND0103-2020-KS_Manhattan_6_SSW.txt")
    assert moistures(table) == [0.201]
    assert (table.text("station")[0], table.text("network")[0]) == ("53974", "USCRN")
    assert (table.x[0], table.y[0], table.column("depth_to")[0]) == (-96.61, 39.1, 0.05)
    assert any("'LST_DATE' holds local days" in said for said in progress.warnings)
    with pytest.raises(InputError, match="line 2, column 'LST_DATE'"):
        load(text.replace("20200102", "20201302"), "a.txt")


def test_frozen_soil_is_left_out_where_a_column_tells_it(load):
    text = (
        "site,date,vwc_5cm,vwc_10cm,ts_5,ts_10\n"
        "1,2021-02-01,0.2,0.4,-0.1,2\n1,2021-02-02,0.3,0.5,0,-3\n1,2021-02-03,0.1,0.5,-9999,1\n"
    )
    drops = Drops()
    table, progress = load(text, temperature_columns="ts_5=0.05;ts_10=0.1", drops=drops)
    assert table.text("date").tolist() == ["2021-02-02", "2021-02-03"]
    assert "1 readings left out: frozen soil." in progress.messages
    dropped = drops.table()
    place = dropped.text("reason").tolist().index("frozen soil")
    assert dropped.column("n")[place] == 1
    assert dropped.text("first")[place] == "2021-02-01"
    assert len(load(text, temperature_columns="ts_5=0.05", screening=[])[0]) == 3
    with pytest.raises(InputError, match="TEMPERATURE_COLUMNS cannot be used with a column a st"):
        load(text, value_columns="*", temperature_columns="ts_5")
    with pytest.raises(InputError, match="TEMPERATURE_COLUMNS names 'soil', which"):
        load(text, temperature_columns="soil")


def test_everything_left_out_is_accounted_for(load):
    text = (
        "station,date,vwc,depth\n"
        "a,2021-06-01 01:00,0.2,0.05\na,2021-06-01 02:00,0.3,0.05\na,2021-06-02,0.3,0.05\n"
        "a,2021-06-03,-99,0.05\na,2021-06-03,1.5,0.05\na,2021-06-03,0.2,0.5\n"
        "a,2021-06-03,0.2,\na,2022-06-03,0.2,0.05\n,2021-06-03,0.2,0.05\na,,0.2,0.05\n"
    )
    drops = Drops()
    table, _ = load(text, drops=drops, min_readings=2, end=date(2021, 12, 31))
    dropped = drops.table()
    counted = dict(zip(dropped.text("reason"), dropped.column("n")))
    assert counted == {
        "missing": 1, "implausible": 1, "depth": 1, "no depth": 1, "other days": 1,
        "no station": 1, "no date": 1, "few readings": 1,
    }  # fmt: skip
    assert table.column("n").sum() + dropped.column("n").sum() == 10
    assert dropped.crs == ""


def test_folders_and_archives_of_files(tmp_path):
    folder = tmp_path / "Daten Süd"
    folder.mkdir()
    for name, value in (("p1", 0.1), ("p2", 0.3)):
        (folder / f"{name}.csv").write_text(f"date,vwc\n2021-06-01,{value}")
    (folder / "notes.pdf").write_bytes(b"\0")
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.glob("*.csv")):
            file.write(path, f"inner/{path.name}")
    for source in (folder, archive):
        table = import_stations(source)
        assert table.text("station").tolist() == ["p1", "p2"]
        assert moistures(table) == [0.1, 0.3]


def test_a_bad_file_among_several_is_listed(tmp_path):
    (tmp_path / "readme.txt").write_text("About these files: nothing")
    (tmp_path / "stations.csv").write_text("station,x,y\np1,1,2\n")
    (tmp_path / "p2.csv").write_text("date,vwc\n2021-06-01,wet")
    with pytest.raises(InputError, match=r"'wet' in line 2, column 'vwc' of p2\.csv"):
        import_stations(tmp_path)
    (tmp_path / "p1.csv").write_text("date,vwc\n2021-06-01,0.2")
    drops, progress = Drops(), RecordingProgress()
    table = import_stations(tmp_path, drops=drops, progress=progress)
    assert table.text("station").tolist() == ["p1"]
    assert drops.table().text("reason").tolist() == ["unreadable file"] * 3
    (said,) = [text for text in progress.warnings if "cannot be read" in text]
    assert said.startswith("3 of 4 files cannot be read and are left out: The value 'wet'")


def test_cancel_stops_the_import(tmp_path):
    class Stopped(Progress):
        @property
        def cancelled(self):
            return True

    path = tmp_path / "a.csv"
    path.write_text(LONG)
    with pytest.raises(Cancelled):
        import_stations(path, progress=Stopped())


def test_loggers_of_a_farm(shared_data):
    folder = shared_data / "cookfarm"
    with sqlite3.connect(f"file:{folder / 'stations.gpkg'}?immutable=1", uri=True) as base:
        found = base.execute("SELECT station, Easting, Northing, DEM FROM stations").fetchall()
    names, x, y, dem = zip(*found)
    points = Table({"station": names, "DEM": dem}, x, y, "EPSG:26911")
    table = import_stations(
        folder / "observations.csv.gz", stations=points, depth_min=0.3, depth_max=0.3
    )
    # Rows and mean moisture at 0.3 m as the data's own description gives them.
    assert len(table) == 26567
    assert table.column("moisture").mean() == pytest.approx(0.268, abs=5e-4)
    assert len(set(table.text("station"))) == 42
    assert np.isfinite(table.x).all()
    assert table.column("DEM").min() > 770
    first = table.text("station") == "CAF003"
    assert table.x[first][0] == pytest.approx(493383.10705)


def test_climate_station_with_its_missing_codes(shared_data):
    path = shared_data / "uscrn_daily" / "uscrn_53974_manhattan_ks_raw_sentinels.csv.gz"
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = {
        f"{row['LST_DATE'][:4]}-{row['LST_DATE'][4:6]}-{row['LST_DATE'][6:]}": float(
            row["SOIL_MOISTURE_5_DAILY"]
        )
        for row in rows
        if float(row["SOIL_MOISTURE_5_DAILY"]) > -90
    }
    table = import_stations(path, value_columns="SOIL_MOISTURE_5_DAILY=0.05")
    assert dict(zip(table.text("date"), table.column("moisture"))) == expected
    assert set(table.text("station")) == {"53974"}
    assert set(table.x) == {-96.61}
    found = import_stations(path)
    assert dict(zip(found.text("date"), found.column("moisture"))) == expected


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(
            st.sampled_from(
                ["station", "date", "vwc", "depth", "2021-06-01", "0.2", "0,2", "a", "", '"', "\n"]
            )
            | st.text(max_size=6),
            max_size=5,
        ).map(";".join),
        max_size=6,
    ).map("\n".join)
    | st.binary(max_size=80)
)
def test_whatever_the_file_only_named_errors_come_out(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "a.csv"
    path.write_bytes(content.encode("utf-8", "ignore") if isinstance(content, str) else content)
    try:
        assert len(import_stations(path)) > 0
    except InputError as error:
        assert error.cause


def test_sensors_at_other_depths_are_listed_in_short(load):
    header = "station,date,vwc_005cm,vwc_050cm,lon,lat\n"
    rows = "".join(f"s{i:02d},2021-06-01,0.2,0.3,{i},50\n" for i in range(30))
    _, progress = load(header + rows)
    (told,) = [text for text in progress.messages if text.startswith("Sensors outside")]
    assert "s09 and 20 more" in told and "s10" not in told


def test_offsets_of_several_files_are_told_once(tmp_path):
    for name, *times in (
        ("a", "2021-04-01T01:00+02:00", "2021-04-01T12:00+02:00"),
        ("b", "2021-04-01T23:30-05:00", "2021-04-05 12:00"),
    ):
        lines = ["date,vwc", *(f"{time},0.2" for time in times)]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
    progress = RecordingProgress()
    table = import_stations(tmp_path, timezone="America/Chicago", progress=progress)
    days = list(zip(table.text("station"), table.text("date")))
    assert days == [
        ("a", "2021-03-31"),
        ("a", "2021-04-01"),
        ("b", "2021-04-02"),
        ("b", "2021-04-05"),
    ]
    assert [text for text in progress.warnings if "offset" in text] == [
        "3 times of 'date' have an offset and are carried to UTC, in which days are cut and "
        "rasters are dated: 2 of them, such as '2021-04-01T01:00+02:00', fall on another day."
    ]
    assert [text for text in progress.messages if "offset" in text] == [
        "TIMEZONE America/Chicago is not used for times with an offset.",
        "The times of 'date' have no offset and are read in America/Chicago.",
    ]
