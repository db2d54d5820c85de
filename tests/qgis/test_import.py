"""Import of ISMN archives, and what an import says of what it left out."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qgis.core import QgsProcessingException, QgsVectorLayer

STATIC = (
    "land cover classification;;;;130;{};CCI_landcover_2010;ESA CCI;\n"
    "climate classification;;;;Cfb;Temperate;koeppen_geiger_2007;;\n"
)
COVERS = {"Alm #1": "Grassland", "Börde": "Cropland", "Moor,süd": "Grassland", "Alb(2)": "Cropland"}


def series(station: str, variable: str, value: Callable[[int], float], flag: str = "G") -> str:
    """A file of two days by ISMN's published layout "header + values"."""
    lines = [f"NET NET {station} 47.5 11.25 650.0 0.00 0.05 5TE"]
    for hour in range(48):
        text = f"{value(hour):.4f}"
        lines.append(f"2021/06/{1 + hour // 24:02d} {hour % 24:02d}:00 {text} {flag} M")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive made here, with four stations, two depths, flags, frost and a bad file."""
    path = tmp_path_factory.mktemp("made") / "Data separate ä.zip"
    with zipfile.ZipFile(path, "w") as file:
        for number, (station, cover) in enumerate(COVERS.items()):
            base = f"NET/{station}/NET_NET_{station}"
            level = 0.1 + 0.1 * number
            text = series(station, "sm", lambda hour, level=level: level + 0.01 * (hour % 2))
            file.writestr(f"{base}_sm_0.000000_0.050000_5TE_20210601_20210602.stm", text)
            deep = text.replace("0.00 0.05 5TE", "0.20 0.20 5TE")
            file.writestr(f"{base}_sm_0.200000_0.200000_5TE_20210601_20210602.stm", deep)
            file.writestr(f"{base}_static_variables.csv", STATIC.format(cover))
        frost = series("Alm #1", "ts", lambda hour: -1.0 if hour < 24 else 5.0)
        base = "NET/Alm #1/NET_NET_Alm #1"
        file.writestr(f"{base}_ts_0.000000_0.050000_5TE_20210601_20210602.stm", frost)
        flagged = series("Alm #1", "sm", lambda hour: 0.9, "D03")
        file.writestr(f"{base}_sm_0.000000_0.050000_EC5_20210601_20210602.stm", flagged)
        file.writestr(f"{base}_sm_0.000000_0.050000_bad_20210601_20210602.stm", "no data")
    return path


@pytest.mark.parametrize("ending", ["gpkg", "csv", "geojson", "fgb"])
def test_ismn_archive(
    run: Callable, feedback: type, archive: Path, tmp_path: Path, rows_of: Callable, ending: str
) -> None:
    output = tmp_path / f"observations.{ending}"
    said = feedback()
    result = run("importstations", {"INPUT": archive, "OUTPUT": output}, said)
    assert set(result) == {"OUTPUT"}
    rows = rows_of(output)
    assert len(rows) == 4 * 2 - 1
    row = next(row for row in rows if row["station"] == "Moor,süd")
    assert float(row["moisture"]) == pytest.approx(0.305)
    assert (row["network"], int(row["n"]), float(row["depth_to"])) == ("NET", 24, 0.05)
    assert (row["land_cover"], row["climate_class"]) == ("Grassland", "Cfb (Temperate)")
    assert (row["x"], row["y"]) == (11.25, 47.5)
    assert {row["station"] for row in rows} == set(COVERS)
    assert any("0.2 m (Alb(2), Alm #1, Börde, Moor,süd)" in text for text in said.said)
    assert any(text.startswith("1 files cannot be read: ") for text in said.warned)
    assert any("4 stations share 1 places" in text for text in said.warned)


def test_table_of_what_was_dropped(run: Callable, archive: Path, tmp_path: Path) -> None:
    dropped = tmp_path / "dropped.csv"
    result = run("importstations", {"INPUT": archive, "OUTPUT": "memory:", "DROPPED": dropped})
    assert result["DROPPED"] == str(dropped)
    with dropped.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "network", "station", "depth_from", "depth_to", "reason", "detail", "n", "first", "last",
    ]  # fmt: skip
    by_reason = {row["reason"]: row for row in rows}
    assert by_reason["frozen soil"] == {
        "network": "NET", "station": "Alm #1", "depth_from": "0.0", "depth_to": "0.05",
        "reason": "frozen soil", "detail": "", "n": "24", "first": "2021-06-01",
        "last": "2021-06-01",
    }  # fmt: skip
    assert (by_reason["quality flag"]["detail"], by_reason["quality flag"]["n"]) == ("D03", "48")
    assert (by_reason["depth"]["depth_from"], by_reason["depth"]["n"]) == ("0.2", "")
    assert "no line of ISMN: no data" in by_reason["unreadable file"]["detail"]
    assert sum(row["reason"] == "depth" for row in rows) == 4


def test_dropped_table_has_no_points(run: Callable, archive: Path) -> None:
    given = {"INPUT": archive, "OUTPUT": "memory:", "DROPPED": "memory:"}
    layer = run("importstations", given)["DROPPED"]
    assert isinstance(layer, QgsVectorLayer)
    assert not layer.isSpatial()
    names = {field.name(): field.typeName() for field in layer.fields()}
    assert (names["n"], names["first"]) == ("integer", "date")


def test_flags_screening_and_largest_moisture(
    run: Callable, archive: Path, rows_of: Callable
) -> None:
    def alm(**given: Any) -> dict[str, Any]:
        given = {"INPUT": archive, "FORMAT": "ismn", "OUTPUT": "memory:", **given}
        rows = rows_of(run("importstations", given)["OUTPUT"])
        return {
            row["date"].toString("dd"): (row["n"], round(row["moisture"], 6))
            for row in rows
            if row["station"] == "Alm #1"
        }

    assert alm() == {"02": (24, 0.105)}
    assert alm(SCREENING=[]) == {"01": (24, 0.105), "02": (24, 0.105)}
    assert alm(SCREENING="spikes,flat") == {"01": (24, 0.105), "02": (24, 0.105)}
    assert alm(QUALITY_FLAGS="G;D03") == {"02": (48, 0.5025)}
    assert alm(QUALITY_FLAGS="") == {"02": (48, 0.5025)}
    assert alm(QUALITY_FLAGS="", MOISTURE_MAX=0.6) == {"02": (24, 0.105)}


def test_stations_are_split_within_land_covers(
    run: Callable, archive: Path, tmp_path: Path, rows_of: Callable
) -> None:
    observations = tmp_path / "observations.gpkg"
    run("importstations", {"INPUT": archive, "OUTPUT": observations})
    given = {"INPUT": observations, "METHOD": "stratified", "STRATA": "land_cover"}
    rows = rows_of(run("splitstations", {**given, "FRACTION": 0.5, "OUTPUT": "memory:"})["OUTPUT"])
    roles = {(row["land_cover"], row["station"]): row["role"] for row in rows}
    for cover in ("Grassland", "Cropland"):
        assert sorted(role for (own, _), role in roles.items() if own == cover) == [
            "train",
            "validate",
        ]


def test_frozen_soil_of_a_csv_file(
    run: Callable, feedback: type, tmp_path: Path, rows_of: Callable
) -> None:
    source = tmp_path / "uscrn.csv"
    source.write_text(
        "wban,LST_DATE,longitude,latitude,SOIL_MOISTURE_5_DAILY,SOIL_TEMP_5_DAILY\n"
        "53974,20200101,-96.61,39.1,0.201,-0.4\n53974,20200102,-96.61,39.1,0.203,0.4\n",
        encoding="utf-8",
    )
    said = feedback()
    rows = rows_of(run("importstations", {"INPUT": source, "OUTPUT": "memory:"}, said)["OUTPUT"])
    assert [row["moisture"] for row in rows] == [0.201, 0.203]
    assert any("name it in TEMPERATURE_COLUMNS" in text for text in said.said)
    given = {"INPUT": source, "TEMPERATURE_COLUMNS": "SOIL_TEMP_5_DAILY", "OUTPUT": "memory:"}
    rows = rows_of(run("importstations", given)["OUTPUT"])
    assert [row["moisture"] for row in rows] == [0.203]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"QUALITY_FLAGS": "good"},
            "QUALITY_FLAGS 'good' is no quality flag of ISMN. Flags are such as G, U, C01, D03; "
            "join them by semicolons.",
        ),
        (
            {"DEPTH_MIN": 0.5, "DEPTH_MAX": 1},
            "No sensor lies within DEPTH_MIN 0.5 and DEPTH_MAX 1 m; the sensors are: 0–0.05 m "
            "(Alb(2), Alm #1, Börde, Moor,süd); 0.2 m (Alb(2), Alm #1, Börde, Moor,süd). Set "
            "DEPTH_MIN and DEPTH_MAX; depths are in metres.",
        ),
        (
            {"SCREENING": ["rain"]},
            "Unable to execute algorithm\nIncorrect parameter value for SCREENING",
        ),
        (
            {"MOISTURE_MAX": 60},
            "Unable to execute algorithm\nIncorrect parameter value for MOISTURE_MAX",
        ),
        ({"START": "2030-01-01"}, "No reading lies within START 2030-01-01; the readings are of "
         "2021-06-01 to 2021-06-02. Choose other days."),
    ],
)  # fmt: skip
def test_wrong_input(
    run: Callable, archive: Path, tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    output = tmp_path / "out.gpkg"
    with pytest.raises(QgsProcessingException) as caught:
        run("importstations", {"INPUT": archive, **given, "OUTPUT": output})
    assert str(caught.value).startswith(message)
    assert not output.exists()


def test_csv_is_no_archive(refused: Callable, landscape: Any) -> None:
    refused(
        "importstations",
        {"INPUT": landscape.readings, "FORMAT": "ismn", "OUTPUT": "memory:"},
        f"INPUT '{landscape.readings}' holds no ISMN file of soil moisture. Choose the folder or "
        "zip archive as it was downloaded, or set FORMAT.",
    )


def test_cancelled_import_leaves_nothing(
    run: Callable, feedback: type, archive: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.gpkg"
    with pytest.raises(QgsProcessingException):
        run("importstations", {"INPUT": archive, "OUTPUT": output}, feedback(stop_at=6))
    assert list(tmp_path.iterdir()) == []
