"""Archives of the International Soil Moisture Network become observation layers.

Archives beside the two real ones are made here, by the layouts that the network publishes.
"""

from __future__ import annotations

import io
import math
import random
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress
from soil_moisture_mapper.plugin.core.stations.imports.importing import import_stations
from soil_moisture_mapper.plugin.core.stations.imports.ismn_files import (
    CEOP,
    HEADER,
    SEPARATE,
    find_layout,
    parse_name,
)
from soil_moisture_mapper.plugin.core.stations.imports.ismn_parsing import (
    parse_flags,
    parse_moments,
    parse_numbers,
    split_lines,
)
from soil_moisture_mapper.plugin.core.stations.imports.ismn_static import read_static
from soil_moisture_mapper.plugin.core.stations.imports.screening_drops import Drops
from soil_moisture_mapper.plugin.core.stations.table import Table

START = datetime(2021, 6, 1)
STATIC = (
    "quantity_name;unit;depth_from[m];depth_to[m];value;description;quantity_source_name;"
    "quantity_source_description;\n"
    'clay fraction;% weight;0.00;0.30;23.00;;HWSD;30";\n'
    "land cover classification;;;;10;Cropland, rainfed;CCI_landcover_2000;ESA CCI;\n"
    "land cover classification;;;;130;Grassland;CCI_landcover_2010;ESA CCI;\n"
    "land cover classification;;;;pasture;;insitu;;\n"
    "climate classification;;;;Cfb;Temperate - Without dry season;koeppen_geiger_2007;0.1°;\n"
)

Row = tuple[datetime, str, str]


def hours(values: Iterable[object], flag: str = "G", start: datetime = START) -> list[Row]:
    return [(start + timedelta(hours=i), str(v), flag) for i, v in enumerate(values)]


def file_name(
    station: str = "Alm", top: float = 0.05, bottom: float = 0.05, variable: str = "sm",
    sensor: str = "5TE", network: str = "NET", dates: str = "20210601_20210630",
) -> str:  # fmt: skip
    return f"{network}_{network}_{station}_{variable}_{top:f}_{bottom:f}_{sensor}_{dates}.stm"


def header_text(
    rows: Iterable[Row], station: str = "Alm", top: float = 0.05, bottom: float = 0.05,
    network: str = "NET", provider: str = "M", sensor: str = "5TE", place: str = "47.5 11.25 650.0",
) -> str:  # fmt: skip
    lines = [f"{network}  {network}     {station}   {place}  {top:.2f}  {bottom:.2f} {sensor}"]
    lines += [f"{t:%Y/%m/%d %H:%M} {v:>8} {flag} {provider}" for t, v, flag in rows]
    return "\n".join(lines) + "\n"


def separate_text(
    rows: Iterable[Row], station: str = "Alm", top: float = 0.05, bottom: float = 0.05
) -> str:
    where = f"NET  NET   {station}   47.50000  11.25000  650.00  {top:.2f}  {bottom:.2f}"
    return "".join(
        f"{t:%Y/%m/%d %H:%M} {t:%Y/%m/%d %H:%M} {where} {v:>8} {flag} M\n" for t, v, flag in rows
    )


def ceop_text(rows: Iterable[tuple[datetime, float, str, str]], flag: str = "G") -> str:
    return "".join(
        f"{t:%Y/%m/%d %H:%M} {t:%Y/%m/%d %H:%M} NET NET Alm 47.50000 11.25000 650.00 "
        f"-   {depth:.2f} {warmth:>8} {'M' if warmth == '-999.99' else flag} {v:>8} {flag}\n"
        for t, depth, warmth, v in rows
    )


def zipped(files: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., tuple[Table, RecordingProgress, Table]]:
    """Import an archive made of these files; gives the layer, what was said and dropped."""

    def run(files: dict[str, str | bytes], **options: object):
        path = tmp_path / f"made {random.random()}.zip"
        path.write_bytes(zipped(files))
        progress, drops = RecordingProgress(), Drops()
        table = import_stations(path, progress=progress, drops=drops, **options)
        return table, progress, drops.table()

    return run


def moistures(table: Table) -> list[float]:
    return table.column("moisture").round(9).tolist()


def counts(dropped: Table) -> dict[tuple[str, str], float]:
    keys = zip(dropped.text("reason"), dropped.text("detail"))
    return dict(zip(keys, dropped.column("n").tolist()))


def read_plainly(path: Path, member: str, value: int, flag: int) -> dict[tuple[str, str], list]:
    """Good readings of a real file by station and day, word by word."""
    days = defaultdict(list)
    with zipfile.ZipFile(path) as archive:
        lines = archive.read(member).decode().splitlines()
    for line in lines:
        words = line.split()
        if len(words) > flag and words[0].count("/") == 2 and words[flag] == "G":
            days[words[0].replace("/", "-")].append(float(words[value]))
    return days


REAL = "ismn_raw_samples/tuw_{}.zip"


@pytest.mark.parametrize(
    ("name", "value"), [("ceop_sep_cosmos_fraqui", 12), ("header_values_cosmos", 2)]
)
def test_real_archives(shared_data: Path, name: str, value: int) -> None:
    path = shared_data / REAL.format(name)
    table = import_stations(path, depth_max=0.3)
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.namelist() if m.endswith(".stm")]
    for member in members:
        days = read_plainly(path, member, value, value + 1)
        rows = table.take(table.text("station") == Path(member).parts[-2])
        assert rows.text("date").tolist() == sorted(days)
        assert rows.column("n").tolist() == [len(days[day]) for day in sorted(days)]
        means = [sum(days[day]) / len(days[day]) for day in sorted(days)]
        np.testing.assert_allclose(rows.column("moisture"), means, rtol=1e-12)
    first = table.take(table.text("station") == "ARM-1")
    assert (first.x[0], first.y[0], first.crs) == (-97.4878, 36.6054, "EPSG:4326")
    assert (first.column("depth_from")[0], first.column("depth_to")[0]) == (0.0, 0.19)
    assert first.text("land_cover")[0] == "Grassland"
    assert first.text("climate_class")[0] == "Cfa (Temperate - Without dry season - Hot Summer)"


def test_a_real_archive_without_a_sensor_so_shallow(shared_data: Path) -> None:
    message = r"No sensor lies within DEPTH_MIN 0 and DEPTH_MAX 0.05 m; .* 0–0.19 m \(ARM-1\); 0–0"
    with pytest.raises(InputError, match=message):
        import_stations(shared_data / REAL.format("header_values_cosmos"))


def test_real_flags_are_counted(shared_data: Path) -> None:
    drops = Drops()
    import_stations(shared_data / REAL.format("ceop_sep_cosmos_fraqui"), drops=drops)
    dropped = counts(drops.table())
    # As `awk '{print $14}' | sort | uniq -c` counts them.
    assert dropped["quality flag", "D10"] == 881
    assert dropped["quality flag", "D05"] == 736
    assert dropped["quality flag", "D03,D05"] == 3


def test_all_layouts_give_the_same(load: Callable) -> None:
    values = [0.1, 0.2, 0.3] * 20
    rows = hours(values)
    made = {
        "header": {file_name(): header_text(rows)},
        "separate": {file_name(): separate_text(rows)},
        "ceop": {
            "NET_NET_Alm_20210601_20210630.stm": ceop_text(
                (t, depth, "11.20", v if depth == 0.05 else "0.9")
                for t, v, _ in rows
                for depth in (0.05, 0.1)
            )
        },
    }
    tables = {kind: load(files)[0] for kind, files in made.items()}
    assert tables["header"].column("n").tolist() == [24, 24, 12]
    assert moistures(tables["header"]) == [0.2, 0.2, 0.2]
    for table in tables.values():
        assert table.names == tables["header"].names
        for name in table.names:
            np.testing.assert_array_equal(table.column(name), tables["header"].column(name))
        assert (table.x[0], table.y[0]) == (11.25, 47.5)


def test_quality_flags(load: Callable) -> None:
    rows = [
        *hours([0.1, 0.2]),
        *hours([0.3], "D03,D01", START + timedelta(hours=5)),
        *hours([0.4], "U", START + timedelta(hours=6)),
        *hours(["NaN"], "M", START + timedelta(hours=7)),
        *hours([-9999.0], "G", START + timedelta(hours=8)),
        *hours([0.7], "C03", START + timedelta(hours=9)),
    ]
    files = {file_name(): header_text(rows)}
    table, progress, dropped = load(files)
    assert moistures(table) == [0.15]
    assert counts(dropped) == {
        ("quality flag", "D01,D03"): 1, ("quality flag", "U"): 1, ("quality flag", "C03"): 1,
        ("missing", ""): 2,
    }  # fmt: skip
    assert any("3 readings left out: quality flag (" in said for said in progress.messages)
    assert load(files, quality_flags="g; D01;D03")[0].column("n").tolist() == [3]
    assert load(files, quality_flags="G;D01")[0].column("n").tolist() == [2]
    assert load(files, quality_flags="")[0].column("n").tolist() == [5]
    with pytest.raises(InputError, match="QUALITY_FLAGS 'good' is no quality flag"):
        load(files, quality_flags="good")


def test_old_archives_have_other_flags(load: Callable) -> None:
    with pytest.raises(
        InputError, match=r"quality flag G is left; there are U 3\. Set QUALITY_FLAGS"
    ):
        load({file_name(): header_text(hours([0.1] * 3, "U"))})


def test_whole_range_of_the_sensor_must_lie_inside_ends_included(load: Callable) -> None:
    ranges = [(0.0, 0.05), (0.05, 0.05), (0.0, 0.06), (0.05, 0.1), (0.0508, 0.0508)]
    files = {
        file_name(f"s{i}", *ends): header_text(hours([0.2]), f"s{i}", *ends)
        for i, ends in enumerate(ranges)
    }
    table, progress, dropped = load(files)
    assert table.text("station").tolist() == ["s0", "s1", "s4"]
    assert table.column("depth_to").tolist() == [0.05, 0.05, 0.05]
    said = "Sensors outside 0–0.05 m, left out: 0–0.06 m (s2); 0.05–0.1 m (s3)."
    assert said in progress.messages
    assert dropped.text("reason").tolist() == ["depth", "depth"]
    assert np.isnan(dropped.column("n")).all()
    table, *_ = load(files, depth_min=0.05, depth_max=0.1)
    assert table.text("station").tolist() == ["s1", "s3", "s4"]


def test_depth_of_the_name_has_more_digits(load: Callable) -> None:
    text = header_text(hours([0.2]), top=0.03, bottom=0.03)
    table, *_ = load({file_name(top=0.025, bottom=0.025): text})
    assert table.column("depth_from").tolist() == [0.025]
    table, *_ = load({file_name(top=0.02, bottom=0.03): header_text(hours([0.2]), top=0.01)})
    assert (table.column("depth_from")[0], table.column("depth_to")[0]) == (0.01, 0.05)


def test_several_sensors_of_a_station_are_averaged(load: Callable) -> None:
    table, *_ = load(
        {
            file_name(sensor="A"): header_text(hours([0.1, 0.2])),
            file_name(sensor="B"): header_text(hours([0.6])),
            file_name(top=0.0, sensor="A"): header_text(hours([0.3]), top=0.0),
        }
    )
    assert moistures(table) == [0.3]
    assert table.column("n").tolist() == [4]
    assert (table.column("depth_from")[0], table.column("depth_to")[0]) == (0.0, 0.05)


@pytest.mark.parametrize(
    ("in_name", "in_file"),
    [
        ("AdamsRanch#1", "Adams_Ranch_#1"),
        ("Mt.St.Helens,upper", "Mt.St.Helens,upper"),
        ("Farm(north)", "Farm (north)"),
        ("A-B", "A/B"),
        ("KELLEYR.S_", "KELLEYR.S_"),
        ("3.09", "3.09"),
        ("Münster", "Münster"),
    ],
)
def test_names_of_stations(load: Callable, in_name: str, in_file: str) -> None:
    files = {
        f"NET/{in_name}/{file_name(in_name)}": header_text(hours([0.2]), in_file),
        f"NET/{in_name}/{file_name(in_name, 0.1, 0.1)}": separate_text(
            hours([0.4]), in_file, 0.1, 0.1
        ),
        f"NET/{in_name}/NET_NET_{in_name}_static_variables.csv": STATIC,
    }
    table, progress, _ = load(files, depth_max=0.1)
    assert table.text("station").tolist() == [in_file]
    assert table.text("land_cover").tolist() == ["Grassland"]
    assert moistures(table) == [0.3]
    assert not progress.warnings


@pytest.mark.parametrize(
    ("name", "variable", "sensor"),
    [
        (file_name(), "sm", "5TE"),
        (file_name("a_b", sensor="EC-(2.5-Volt)"), "sm", "EC-(2.5-Volt)"),
        (file_name(sensor="Meter-5TM_1_2"), "sm", "Meter-5TM_1_2"),
        (file_name(variable="ts"), "ts", "5TE"),
        ("OZNET_OZNET_Widgiewa_Soil-Temperature_0.150000_0.150000_CS616_1_2_20010103_20090812.stm",
         "soil-temperature", "CS616_1_2"),
        (file_name(variable="p", top=-2.0, bottom=-2.0), "p", "5TE"),
    ],
)  # fmt: skip
def test_names_of_files(name: str, variable: str, sensor: str) -> None:
    parsed = parse_name(name)
    assert (parsed.variable, parsed.sensor) == (variable, sensor)
    assert parse_name("NET_NET_Alm_20210601_20210630.stm") is None


@pytest.mark.parametrize(
    ("line", "kind", "value", "station", "depths"),
    [
        ("A A s 1.0 2.0 3.0 0.00 0.05 Hydraprobe II Sdi-12_B", HEADER, 2, "s", (0.0, 0.05)),
        ("A A 2 N 1.0 2.0 3.0 0.05 0.05", HEADER, 2, "2 N", (0.05, 0.05)),
        ("A A 3.09 1.0 2.0 NaN 0.05 0.05 5TE", HEADER, 2, "3.09", (0.05, 0.05)),
        ("2020/01/01 00:00 2020/01/01 00:00 A A s 1 2 3 0.05 0.05 0.2 G M", SEPARATE, 12, "s",
         (0.05, 0.05)),
        ("2020/01/01 00:00 2020/01/01 00:00 A A s t 1 2 3 0.05 0.05 0.2 G M", SEPARATE, 13, "s t",
         (0.05, 0.05)),
    ],
)  # fmt: skip
def test_first_lines(line: str, kind: str, value: int, station: str, depths: tuple) -> None:
    layout = find_layout(line.encode(), parse_name(file_name()))
    assert (layout.kind, layout.value, layout.sensor.station) == (kind, value, station)
    assert (layout.sensor.depth_from, layout.sensor.depth_to) == depths


@pytest.mark.parametrize(
    ("depth", "top", "bottom", "value"),
    [("- 0.05", 11, 11, 14), ("-0.05", 10, 10, 13), ("0.00 0.05", 10, 11, 14)],
)
def test_first_lines_with_all_depths(depth: str, top: int, bottom: int, value: int) -> None:
    line = f"2020/01/01 00:00 2020/01/01 00:00 A A s 1 2 3 {depth} 12.2 U 0.29 U"
    layout = find_layout(line.encode(), None)
    assert (layout.kind, layout.top, layout.bottom, layout.value) == (CEOP, top, bottom, value)


def test_flags_of_providers_may_have_blanks(load: Callable) -> None:
    rows = [*hours([0.1]), *hours([0.3], "D02", START + timedelta(hours=1))]
    text = header_text(rows, provider="DLT >= 1.5,OK,NA 0.9 G", sensor="Hydraprobe II Sdi-12_B")
    table, _, dropped = load({file_name(): text.replace("\n", "\r\r\n")})
    assert moistures(table) == [0.1]
    assert counts(dropped) == {("quality flag", "D02"): 1}


def test_archives_within_archives(load: Callable, tmp_path: Path) -> None:
    inner = zipped({file_name("a"): header_text(hours([0.1]), "a")})
    second = zipped({"deep/c.zip": zipped({file_name("c"): header_text(hours([0.3]), "c")})})
    files = {"one.zip": inner, "x/two.ZIP": second, file_name("b"): header_text(hours([0.2]), "b")}
    table, *_ = load(files)
    assert dict(zip(table.text("station"), moistures(table))) == {"a": 0.1, "b": 0.2, "c": 0.3}
    folder = tmp_path / "folder ü"
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    unpacked = import_stations(folder)
    for name in table.names:
        np.testing.assert_array_equal(unpacked.column(name), table.column(name))
    single = import_stations(folder / file_name("b"))
    assert moistures(single) == [0.2]


def test_large_archives_within_go_through_a_file(load: Callable, monkeypatch) -> None:
    module = "soil_moisture_mapper.plugin.core.stations.imports.ismn_archive._IN_MEMORY"
    monkeypatch.setattr(module, 10)
    table, *_ = load({"one.zip": zipped({file_name(): header_text(hours([0.1]))})})
    assert moistures(table) == [0.1]


def test_the_same_reading_counts_once(load: Callable) -> None:
    first = header_text(hours([0.1, 0.2]))
    later = header_text(hours([0.2, 0.6], start=START + timedelta(hours=1)))
    table, _, dropped = load(
        {
            f"NET/Alm/{file_name()}": first,
            f"copy/NET/Alm/{file_name()}": first,
            f"NET/Alm/{file_name(dates='20210601_20211231')}": later,
        }
    )
    assert table.column("n").tolist() == [3]
    assert moistures(table) == [0.3]
    assert counts(dropped) == {("repeated", ""): 1}


def test_bad_files_are_listed_and_do_not_stop_the_import(load: Callable) -> None:
    good = header_text(hours([0.2, 0.4]))
    files = {
        file_name("good"): good.replace("Alm", "good"),
        file_name("empty"): "",
        file_name("onlyhead"): header_text([]),
        file_name("binary"): bytes(range(256)) * 40,
        file_name("prose"): "This is no data.\nNot at all.\n",
        file_name("nodates"): good.replace("2021/06/01", "yesterday"),
        "renamed.stm": good,
        "damaged.zip": zipped({"a.stm": good})[:60],
        file_name("percent"): header_text(hours([20, 30, 25]), "percent"),
    }
    table, progress, dropped = load(files)
    assert table.text("station").tolist() == ["good"]
    reasons = dropped.text("detail")[dropped.text("reason") == "unreadable file"]
    assert len(reasons) == len(files) - 1
    for part in (
        "empty", "It is empty", "It has no readings", "no line of ISMN: This is no data",
        "None of its 2 lines can be read", "name does not tell which variable", "damaged.zip",
        "go up to 30 and look like percent",
    ):  # fmt: skip
        assert any(part in reason for reason in reasons), part
        assert any(part in said for said in progress.warnings), part
    assert any(said.startswith("8 files cannot be read: ") for said in progress.warnings)


def test_damaged_member_of_an_archive(tmp_path: Path) -> None:
    names = [file_name("a"), file_name("b")]
    data = bytearray(zipped({n: header_text(hours([0.2] * 500), n.split("_")[2]) for n in names}))
    data[data.index(b"2021") if b"2021" in data[60:200] else 200] ^= 0xFF
    path = tmp_path / "damaged.zip"
    path.write_bytes(bytes(data))
    progress = RecordingProgress()
    table = import_stations(path, progress=progress)
    assert table.text("station").tolist() == ["b"] * len(table)
    assert any(said.startswith("1 files cannot be read: ") for said in progress.warnings)


def test_unreadable_lines_are_counted_with_the_first(load: Callable) -> None:
    text = header_text(hours([0.2, 0.4, 0.6]))
    broken = text.replace("01:00      0.4", "01:00     wet") + "2021/02/30 00:00 0.2 G M\n2021/06/0"
    table, _, dropped = load({file_name(): "\n\n" + broken})
    assert moistures(table) == [0.4]
    assert counts(dropped) == {("unreadable line", f"{file_name()}: line 5"): 3}


def test_names_that_point_elsewhere_do_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "here"
    folder.mkdir(parents=True)
    path = folder / "slip.zip"
    path.write_bytes(zipped({f"../../{file_name()}": header_text(hours([0.2]))}))
    before = sorted(tmp_path.rglob("*"))
    assert moistures(import_stations(path)) == [0.2]
    assert sorted(tmp_path.rglob("*")) == before


def test_static_variables() -> None:
    assert read_static(STATIC.encode()) == {
        "land_cover": "Grassland",
        "climate_class": "Cfb (Temperate - Without dry season)",
    }
    headless = STATIC.split("\n", 1)[1].encode("cp1252")
    assert read_static(headless) == read_static(STATIC.encode())
    assert read_static(b"land cover classification;;;;130;;CCI_landcover_2005;x\n") == {
        "land_cover": "class 130"
    }
    own = b"land cover classification;;;;pasture;own;insitu;\nclimate classification;;;;unknown;;x;"
    assert read_static(own) == {"land_cover": "own"}
    assert read_static(b"") == read_static(b"\xff;;;\n") == {}


def test_stations_without_static_variables_have_empty_fields(load: Callable) -> None:
    table, *_ = load(
        {
            file_name("a"): header_text(hours([0.1]), "a"),
            file_name("b"): header_text(hours([0.2]), "b"),
            "NET_NET_b_static_variables.csv": STATIC,
        }
    )
    assert table.text("land_cover").tolist() == ["", "Grassland"]
    assert not table.is_numeric("climate_class")


def test_readings_of_frozen_soil_are_left_out(load: Callable) -> None:
    moisture = header_text(hours([0.1, 0.2, 0.3, 0.4]))
    warmth = [-0.1, 0.0, -99.0, 5.0]
    files = {file_name(): moisture, file_name(variable="ts"): header_text(hours(warmth))}
    table, progress, dropped = load(files)
    assert moistures(table) == [0.3]
    assert counts(dropped) == {("frozen soil", ""): 1}
    assert "1 readings left out: frozen soil." in progress.messages
    assert load(files, screening=[])[0].column("n").tolist() == [4]
    deeper = file_name(top=0.2, bottom=0.2, variable="ts")
    files = {file_name(): moisture, deeper: header_text(hours(warmth), top=0.2, bottom=0.2)}
    assert load(files)[0].column("n").tolist() == [4]
    unreadable = {file_name(): moisture, file_name(variable="ts"): ""}
    table, progress, _ = load(unreadable)
    assert table.column("n").tolist() == [4]
    assert any("It is empty" in said for said in progress.warnings)


def test_soil_temperature_of_the_same_instrument_counts(load: Callable) -> None:
    table, *_ = load(
        {
            file_name(sensor="B"): header_text(hours([0.1, 0.2])),
            file_name(sensor="A", variable="ts"): header_text(hours([-1, -1])),
            file_name(sensor="B", variable="ts"): header_text(hours([-1, 1])),
        }
    )
    assert moistures(table) == [0.2]


def test_frozen_soil_by_the_lines_of_the_file_with_all_depths(load: Callable) -> None:
    rows = [
        (START, 0.05, "-0.10", "0.1"),
        (START + timedelta(hours=1), 0.05, "-999.99", "0.2"),
        (START + timedelta(hours=2), 0.05, "1.00", "0.4"),
    ]
    table, *_ = load({"NET_NET_Alm_20210601_20210630.stm": ceop_text(rows)})
    assert moistures(table) == [0.3]


def test_everything_read_is_kept_or_accounted_for(load: Callable) -> None:
    rng = np.random.default_rng(5)
    rows = []
    for _ in range(3000):
        flag = ["G", "G", "G", "D03", "D01,D02", "M"][rng.integers(6)]
        value = f"{rng.uniform(-0.05, 1.1):.4f}"
        rows.append((START + timedelta(hours=int(rng.integers(4000))), value, flag))
    warmth = [f"{v:.2f}" for v in rng.uniform(-5, 15, 4000)]
    files = {
        file_name(): header_text(rows),
        file_name(variable="ts"): header_text(hours(warmth)),
    }
    table, _, dropped = load(
        files, screening=["frozen", "spikes", "flat"], start=date(2021, 6, 20), min_readings=3
    )
    assert table.column("n").sum() + dropped.column("n").sum() == 3000
    assert {"other days", "few readings", "frozen soil", "repeated"} <= set(dropped.text("reason"))


def test_percent_and_largest_moisture(load: Callable) -> None:
    files = {file_name(): header_text(hours([20, 30, 90]))}
    assert moistures(load(files, units="percent", moisture_max=0.6)[0]) == [0.25]
    with pytest.raises(InputError, match=r"No file can be read: .*look like percent: set UNITS"):
        load(files)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": date(2022, 1, 1)}, "No reading lies within START 2022-01-01; .* of 2021-06-01"),
        ({"min_readings": 9}, "No day has 9 readings; the most are 3"),
        ({"depth_min": 0.3, "depth_max": 0.2}, "are no range of depths"),
        ({"depth_min": 0.2, "depth_max": 0.3}, r"No sensor lies within .*: 0.05 m \(Alm\)"),
        ({"moisture_max": 0.05}, "No reading is left; they were left out as: implausible 3"),
        ({"quality_flags": "D03"}, "No reading with the quality flag D03 is left; there are G 3"),
    ],
)
def test_nothing_left(load: Callable, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load({file_name(): header_text(hours([0.1, 0.2, 0.3]))}, **options)


def test_archives_without_soil_moisture(load: Callable, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no ISMN file of soil moisture"):
        load({file_name(variable="ts"): header_text(hours([9]))})
    with pytest.raises(InputError, match="holds no ISMN file of soil moisture"):
        load({"a.csv": "station,date,vwc\na,2021-06-01,0.2"}, format="ismn")
    with pytest.raises(InputError, match="does not exist"):
        import_stations(tmp_path / "none.zip", format="ismn")
    cut = tmp_path / "cut.zip"
    cut.write_bytes(zipped({file_name(): header_text(hours([0.2]))})[:-30])
    with pytest.raises(InputError, match=r"'cut.zip' is no zip archive, or its end is missing"):
        import_stations(cut)


def test_positions_of_stations_are_joined(load: Callable) -> None:
    points = Table({"station": ["Alm"], "soil": ["loam"]}, [600000.0], [5250000.0], "utm")
    table, *_ = load({file_name(): header_text(hours([0.2]))}, stations=points)
    assert (table.x[0], table.crs, table.text("soil")[0]) == (600000.0, "utm", "loam")


def test_one_name_in_two_networks(load: Callable) -> None:
    files = {
        file_name(network=net): header_text(hours([value]), network=net, place=f"47.{i} 11.0 1.0")
        for i, (net, value) in enumerate((("B", 0.2), ("A", 0.1)))
    }
    table, progress, _ = load(files)
    assert dict(zip(table.text("station"), moistures(table))) == {"A/Alm": 0.1, "B/Alm": 0.2}
    assert table.text("network").tolist() == ["A", "B"]
    assert any("share a name: Alm" in said for said in progress.warnings)


def test_order_of_files_changes_nothing(load: Callable) -> None:
    rng = np.random.default_rng(1)
    files = {
        file_name(f"s{i % 7}", sensor=f"x{i}"): header_text(hours(rng.random(60)), f"s{i % 7}")
        for i in range(21)
    }
    reference, *_ = load(files)
    shuffled, *_ = load(dict(reversed(files.items())))
    for name in reference.names:
        np.testing.assert_array_equal(shuffled.column(name), reference.column(name))


def test_block_size_changes_nothing(load: Callable, monkeypatch) -> None:
    files = {file_name(): header_text(hours(np.random.default_rng(2).random(500).round(4)))}
    reference, *_ = load(files)
    for size in (40, 1000):
        monkeypatch.setattr(
            "soil_moisture_mapper.plugin.core.stations.imports.ismn_series._BLOCK", size
        )
        np.testing.assert_array_equal(
            load(files)[0].column("moisture"), reference.column("moisture")
        )


def test_cancel_stops_the_import(tmp_path: Path) -> None:
    class Stopped(Progress):
        asked = 0

        @property
        def cancelled(self) -> bool:
            Stopped.asked += 1
            return Stopped.asked > 5

    files = {file_name(f"s{i}"): header_text(hours([0.1] * 50), f"s{i}") for i in range(40)}
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(files))
    with pytest.raises(Cancelled):
        import_stations(path, progress=Stopped())
    assert Stopped.asked < 40


@given(st.lists(st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)), max_size=30))
def test_moments_are_those_that_were_written(moments: list[datetime]) -> None:
    text = "".join(f" {m:%Y/%m/%d %H:%M}\t1.0 G\n\n" for m in moments)
    lines, count = split_lines(text.encode())
    assert count == 2 * len(moments)
    expected = np.array([m.replace(second=0, microsecond=0) for m in moments], "datetime64[s]")
    np.testing.assert_array_equal(parse_moments(lines, 0), expected)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=30), st.integers(0, 6))
def test_numbers_and_flags_are_those_that_were_written(values: list[float], digits: int) -> None:
    text = "\n".join(f"a b {value:.{digits}f} D{i:02d},G" for i, value in enumerate(values))
    lines, _ = split_lines(text.encode())
    numbers, good = parse_numbers(lines, 2)
    assert good.all()
    assert numbers.tolist() == [float(f"{value:.{digits}f}") for value in values]
    assert parse_flags(lines, 3).tolist() == [f"D{i:02d},G".encode() for i in range(len(values))]
    assert not parse_numbers(lines, 4)[1].any()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["2021/06/01 00:00 0.2 G M", "NET NET s 1.0 2.0 3.0 0.05 0.05 x", "2021/13/01 00:00",
             "",
             "2021/06/01 00:00 2021/06/01 00:00 N N s 1 2 3 0.05 0.05 0.2 G M",
             "2021/06/01 00:00 2021/06/01 00:00 N N s 1 2 3 - 0.05 1.0 G 0.2 G"]
        )
        | st.text(max_size=12),
        max_size=8,
    ),
    st.sampled_from([file_name(), "NET_NET_Alm_20210601_20210630.stm", "x.stm"]),
)  # fmt: skip
def test_whatever_the_file_only_named_errors_come_out(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], name: str
) -> None:
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes("\n".join(lines).encode("utf-8", "ignore"))
    try:
        table = import_stations(path)
    except InputError as error:
        assert error.cause
    else:
        assert all(math.isfinite(value) for value in table.column("moisture"))
