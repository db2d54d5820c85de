"""The algorithms for stations: runs and wrong input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rasterio
from qgis.core import QgsProcessingException


def test_import_long(chain: Any, rows_of: Callable) -> None:
    rows = rows_of(chain.observations)
    assert len(rows) == 3 * 7 * 6
    first = next(row for row in rows if row["station"] == "Moor 0")
    assert first["network"] == "Moor"
    assert first["date"].toString("yyyy-MM-dd") == "2021-04-01"
    assert isinstance(first["moisture"], float)
    assert first["n"] == 1
    assert first["landcover"] == "dry"
    assert {"depth_from", "depth_to", "x", "y"} <= set(first)


def test_import_wide_by_depth(run: Callable, tmp_path: Path, rows_of: Callable) -> None:
    source = tmp_path / "wide ä.csv"
    source.write_text(
        "logger,date,lon,lat,vwc_5,vwc_30\n"
        "L1,2021-05-01T01:00,10.5,51.25,20,30\n"
        "L1,2021-05-01T13:00,10.5,51.25,24,32\n",
        encoding="utf-8",
    )
    given = {
        "INPUT": source,
        "STATION_COLUMN": "logger",
        "VALUE_COLUMNS": "vwc_5=0.05;vwc_30=0.3",
        "UNITS": "percent",
    }
    output = run("importstations", {**given, "OUTPUT": "memory:"})["OUTPUT"]
    (row,) = rows_of(output)
    assert row["moisture"] == pytest.approx(0.22)
    assert (row["depth_from"], row["depth_to"], row["n"]) == (0.05, 0.05, 2)
    assert (row["x"], row["y"]) == (10.5, 51.25)
    deep = {**given, "DEPTH_MIN": 0.3, "DEPTH_MAX": 0.3, "OUTPUT": "memory:"}
    (row,) = rows_of(run("importstations", deep)["OUTPUT"])
    assert row["moisture"] == pytest.approx(0.31)


def test_import_accepts_a_folder(
    run: Callable, landscape: Any, tmp_path: Path, rows_of: Callable
) -> None:
    folder = tmp_path / "readings"
    folder.mkdir()
    (folder / "a.csv").write_bytes(landscape.readings.read_bytes())
    given = {"INPUT": folder, "STATIONS": landscape.stations, "DEPTH_MAX": 0.3}
    output = run("importstations", {**given, "OUTPUT": "memory:"})["OUTPUT"]
    assert len(rows_of(output)) == 3 * 7 * 6


def test_import_keeps_a_period(
    run: Callable, landscape: Any, tmp_path: Path, rows_of: Callable
) -> None:
    given = {"INPUT": landscape.readings, "STATIONS": landscape.stations, "DEPTH_MAX": 0.3}
    period = {"START": "2021-04-05", "END": "2021-04-13"}
    output = run("importstations", {**given, **period, "OUTPUT": "memory:"})["OUTPUT"]
    assert {row["date"].toString("MM-dd") for row in rows_of(output)} == {"04-05", "04-09", "04-13"}


def test_import_refuses_an_unknown_zone(run: Callable, landscape: Any) -> None:
    given = {"INPUT": landscape.readings, "TIMEZONE": "Middle/Earth", "OUTPUT": "memory:"}
    with pytest.raises(QgsProcessingException, match="Middle/Earth"):
        run("importstations", given)


def test_sample(chain: Any, landscape: Any, rows_of: Callable) -> None:
    rows = rows_of(chain.training)
    assert len(rows) == 3 * 7 * 6
    with rasterio.open(landscape.soil) as soil, rasterio.open(landscape.wet[2]) as wet:
        for row in rows:
            place = [(row["x"], row["y"])]
            assert row["clay"] == pytest.approx(next(soil.sample(place))[0], rel=1e-6)
            if row["date"].toString("yyyyMMdd") == "20210409":
                assert row["wet"] == pytest.approx(next(wet.sample(place))[0], rel=1e-6)
    names = {"elevation", "slope", "aspect_sin", "aspect_cos", "clay", "sand", "wet"}
    assert names <= set(rows[0])


def test_sample_tells_what_does_not_match(
    run: Callable, chain: Any, landscape: Any, tmp_path: Path, rows_of: Callable
) -> None:
    source = tmp_path / "points.csv"
    source.write_text(
        "WKT,station,date,moisture\n"
        '"POINT (502000 5598000)",in,2021-04-01,0.2\n'
        '"POINT (900000 5598000)",out,2021-04-01,0.2\n'
        ",nowhere,2021-04-01,0.2\n"
        '"POINT (502000 5598000)",undated,,0.2\n',
        encoding="utf-8",
    )
    source.with_suffix(".csvt").write_text("WKT,String,Date,Real\n", encoding="utf-8")
    crs = rasterio.crs.CRS.from_epsg(32633).to_wkt()
    source.with_suffix(".prj").write_text(crs, encoding="utf-8")
    given = {"INPUT": source, "COVARIATES": chain.covariates}
    unmatched = tmp_path / "unmatched.gpkg"
    result = run("samplecovariates", {**given, "OUTPUT": "memory:", "UNMATCHED": unmatched})
    assert [row["station"] for row in rows_of(result["OUTPUT"])] == ["in"]
    reasons = {row["station"]: row["reason"] for row in rows_of(unmatched)}
    assert set(reasons) == {"out", "nowhere", "undated"}
    assert len(set(reasons.values())) == 3


def test_sample_refuses_a_table_with_a_url(run: Callable, chain: Any, tmp_path: Path) -> None:
    table = tmp_path / "covariates.csv"
    table.write_text(
        "covariate,group,path,band,start,end,resampling,tolerance_days,units\n"
        "clay,,http://localhost:1/clay.tif,1,,,nearest,,\n",
        encoding="utf-8",
    )
    output = tmp_path / "out.gpkg"
    with pytest.raises(QgsProcessingException, match="it is a URL, not a local file"):
        run(
            "samplecovariates",
            {"INPUT": chain.observations, "COVARIATES": table, "OUTPUT": output},
        )
    assert not output.exists()


def test_split_within_networks(chain: Any, rows_of: Callable) -> None:
    rows = rows_of(chain.split)
    stations = {row["station"]: (row["network"], row["role"]) for row in rows}
    assert Counter(stations.values()) == {
        **{(name, "validate"): 2 for name in ("Alb", "Börde", "Moor")},
        **{(name, "train"): 5 for name in ("Alb", "Börde", "Moor")},
    }
    assert all(stations[row["station"]][1] == row["role"] for row in rows)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"STATION": "nome"}, "There is no field 'nome'. The fields are: "),
        (
            {"METHOD": "bootstrap"},
            "Unable to execute algorithm\nIncorrect parameter value for METHOD",
        ),
        ({"FRACTION": 2}, "Unable to execute algorithm\nIncorrect parameter value for FRACTION"),
        ({"METHOD": "leave-network-out", "HOLD_OUT": "Mars"}, ""),
    ],
)
def test_split_refuses(
    run: Callable, chain: Any, tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    output = tmp_path / "out.gpkg"
    with pytest.raises(QgsProcessingException) as caught:
        run("splitstations", {"INPUT": chain.training, **given, "OUTPUT": output})
    assert str(caught.value).startswith(message)
    assert "Mars" in str(caught.value) or message
    assert not output.exists()


def test_folds_share_stations(run: Callable, chain: Any, rows_of: Callable) -> None:
    given = {"INPUT": chain.training, "METHOD": "k-fold", "FOLDS": 3, "OUTPUT": "memory:"}
    rows = rows_of(run("splitstations", given)["OUTPUT"])
    folds = {(row["station"], row["fold"]) for row in rows}
    assert len(folds) == 21
    assert {fold for _, fold in folds} == {1, 2, 3}
    assert {row["role"] for row in rows} == {"train"}
    assert isinstance(rows[0]["fold"], int)


def test_select_eight_spikes(chain: Any, rows_of: Callable) -> None:
    roles = {row["station"]: row["role"] for row in rows_of(chain.spiking)}
    assert Counter(roles.values()) == {"spike": 8, "validate": 8}


def test_select_within_strata(run: Callable, chain: Any, rows_of: Callable) -> None:
    given = {
        "INPUT": chain.local,
        "BASE_MODEL": chain.model,
        "METHOD": "stratified",
        "STRATA": "landcover",
        "COUNT": 6,
    }
    rows = rows_of(run("selectspiking", {**given, "OUTPUT": "memory:"})["OUTPUT"])
    chosen = {row["station"]: row["landcover"] for row in rows if row["role"] == "spike"}
    assert Counter(chosen.values()) == {"wet": 3, "dry": 3}


def test_select_refuses_strata_without_a_field(refused: Callable, chain: Any) -> None:
    refused(
        "selectspiking",
        {"INPUT": chain.local, "METHOD": "stratified", "OUTPUT": "memory:"},
        "METHOD stratified needs a field. Choose a field as STRATA.",
    )
