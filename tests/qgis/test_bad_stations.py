"""Stations, folds, strata, times and models that cannot be used as they are, and what is said."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rasterio
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingException,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

FAST = {"TREES": 5, "MIN_LEAF": 3}
CURVE = {"COUNTS": "1;4", "DRAWS": 1, "TREES": 5, "WEIGHT": 3}
COVARIATES = ("aspect_cos", "aspect_sin", "clay", "elevation", "sand", "slope", "wet")
TIMES = "have an offset and are carried to UTC, in which days are cut and rasters are dated"
SHARED = "they share their covariates, so none of them is an unseen place to the other. Give them "
SHARED += "one name where they are one station."

Row = dict[str, Any]


@pytest.fixture(scope="session")
def altered(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Copy a layer with its rows changed; a row given back as None is left out.

    A field whose type is given in `types` (text, real) gets that type.
    """
    folder = tmp_path_factory.mktemp("altered")

    def alter(source: Path, change: Callable[[Row], Row | None], **types: str) -> Path:
        layer = QgsVectorLayer(str(source), "source", "ogr")
        names = [field.name() for field in layer.fields() if field.name() != "fid"]
        kinds = {field.name(): field.typeName() for field in layer.fields()}
        given = {name: {"text": "string", "real": "double"}[kind] for name, kind in types.items()}
        columns = [f"field={n}:{given.get(n, _kind(kinds[n]))}" for n in names]
        columns += [f"field={n}:{given[n]}" for n in given if n not in names]
        names += [n for n in given if n not in names]
        made = QgsVectorLayer(
            f"Point?crs={layer.crs().authid()}&{'&'.join(columns)}", "made", "memory"
        )
        features = []
        for feature in layer.getFeatures():
            row = {name: feature[name] for name in names if name in kinds}
            point = feature.geometry().asPoint()
            changed = change({**row, "x": point.x(), "y": point.y()})
            if changed is None:
                continue
            copy = QgsFeature(made.fields())
            copy.setAttributes([changed.get(name) for name in names])
            place = QgsPointXY(changed["x"], changed["y"])
            copy.setGeometry(QgsGeometry.fromPointXY(place))
            features.append(copy)
        assert made.dataProvider().addFeatures(features)[0]
        path = folder / f"{len(list(folder.glob('*.gpkg')))}.gpkg"
        options = QgsVectorFileWriter.SaveVectorOptions()
        written = QgsVectorFileWriter.writeAsVectorFormatV3(
            made, str(path), layer.transformContext(), options
        )
        assert written[0] == QgsVectorFileWriter.WriterError.NoError, written
        return path

    return alter


def _kind(type_name: str) -> str:
    known = {"String": "string", "Real": "double", "Date": "date", "Integer": "integer"}
    return known.get(type_name, "integer")


@pytest.fixture
def warned(run: Callable, feedback: Any) -> Callable[..., list[str]]:
    """Run an algorithm and return its warnings."""

    def warnings(name: str, parameters: dict[str, Any]) -> list[str]:
        heard = feedback()
        run(name, parameters, heard)
        return heard.warned

    return warnings


def uses(name: str, table: Path, chain: Any, landscape: Any, tmp_path: Path) -> dict[str, Any]:
    """Return what an algorithm needs beside a table with stations."""
    model = {"MODEL": chain.model}
    return {
        "samplecovariates": {"COVARIATES": chain.covariates, "OUTPUT": "memory:"},
        "splitstations": {"METHOD": "k-fold", "OUTPUT": "memory:"},
        "selectspiking": {"METHOD": "coverage", "COUNT": 4, "OUTPUT": "memory:"},
        "trainmodel": {**FAST, "OUTPUT": tmp_path / "m.smm"},
        "rankcovariates": {**FAST, "FOLDS": 2, "OUTPUT": tmp_path / "ranking.csv"},
        "spikemodel": {**model, "OUTPUT": tmp_path / "field.smm"},
        "learningcurve": {**model, **CURVE, "OUTPUT": tmp_path / "curve.csv"},
        "validate": {**model, "ROLE": "", "METRICS": tmp_path / "scores.csv"},
        "interpolatestations": {
            "DATE": "2021-04-01",
            "GRID": landscape.soil,
            "OUTPUT": tmp_path / "idw.tif",
        },
    }[name] | {"INPUT": table}


# stations outside every raster


def moved_away(row: Row) -> Row:
    row["x"] -= 100_000
    return row


def test_observations_outside_every_raster_are_refused_with_both_places(
    run: Callable, altered: Callable, chain: Any
) -> None:
    far = altered(chain.observations, moved_away)
    with pytest.raises(QgsProcessingException) as caught:
        run("samplecovariates", {"INPUT": far, "COVARIATES": chain.covariates, "OUTPUT": "memory:"})
    said = str(caught.value)
    assert said.startswith("No row of the 126 has a covariate: 126 outside every raster. The ")
    assert "The observations lie at 40" in said and "(EPSG:32633), the raster of '" in said
    assert "at 500000 to 506000, 5594000 to 5600000 (EPSG:32633). Check the coordinate" in said


def test_stations_outside_every_raster_are_named(
    warned: Callable, altered: Callable, chain: Any
) -> None:
    one = altered(chain.observations, lambda r: moved_away(r) if r["station"] == "Alb 0" else r)
    said = warned(
        "samplecovariates", {"INPUT": one, "COVARIATES": chain.covariates, "OUTPUT": "memory:"}
    )
    assert "6 of 126 rows are left out: 6 outside every raster." in said
    assert "Stations without any row left: Alb 0." in said


def test_stations_far_from_what_is_mapped_are_told(
    warned: Callable, altered: Callable, chain: Any, landscape: Any, tmp_path: Path
) -> None:
    far = altered(chain.training, moved_away)
    given = {"METHOD": "knndm", "DOMAIN": landscape.soil, "FOLDS": 3, "OUTPUT": "memory:"}
    said = warned("splitstations", {"INPUT": far, **given})
    assert any(text.startswith("The nearest station is 96.") for text in said)
    assert any("km from DOMAIN, more than that is wide" in text for text in said)
    said = warned(
        "interpolatestations", uses("interpolatestations", far, chain, landscape, tmp_path)
    )
    assert any("km from the map, more than the map is wide" in text for text in said)
    plan = {"COVARIATES": chain.covariates, "GRID": landscape.soil, "EXISTING": far, "COUNT": 2}
    said = warned("planstations", {**plan, "OUTPUT": "memory:"})
    assert "21 of 21 EXISTING probes lie outside the grid: only their distance counts." in said


# days without rasters


def five_years_later(row: Row) -> Row:
    row["date"] = row["date"].addYears(5)
    return row


def test_days_without_rasters_name_both_periods(
    run: Callable, warned: Callable, altered: Callable, chain: Any, tmp_path: Path
) -> None:
    periods = (
        "'wet' has rasters from 2021-04-01 to 2021-04-21, the observations are from 2026-04-01 to "
        "2026-04-21"
    )
    late = altered(chain.observations, five_years_later)
    given = {"INPUT": late, "COVARIATES": chain.covariates, "OUTPUT": "memory:"}
    said = warned("samplecovariates", given)
    assert f"Without any value: wet. {periods}; check rasters and dates." in said
    with chain.covariates.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    dated = chain.folder / "dated.csv"
    with dated.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *(row for row in rows if row[0] == "wet")])
    with pytest.raises(QgsProcessingException) as caught:
        run("samplecovariates", {**given, "COVARIATES": dated})
    assert str(caught.value) == (
        "No row of the 126 has a covariate: 126 no raster within the tolerance of this date. "
        f"{periods}. Add rasters of these days, or raise the tolerance."
    )


@pytest.mark.parametrize("name", ["trainmodel", "spikemodel", "learningcurve", "validate"])
def test_rows_that_lack_a_covariate_everywhere_are_refused(
    refused: Callable, altered: Callable, chain: Any, landscape: Any, tmp_path: Path, name: str
) -> None:
    dry = altered(chain.local, lambda row: {**row, "wet": None})
    refused(
        name,
        uses(name, dry, chain, landscape, tmp_path),
        "None of the 96 rows is complete; rows missing per covariate: wet 96. Sample them from "
        "rasters of these places and days, or train without those that are empty.",
    )


def test_covariates_without_any_value_are_told_or_refused(
    warned: Callable, refused: Callable, altered: Callable, chain: Any, tmp_path: Path
) -> None:
    dry = altered(chain.local, lambda row: {**row, "wet": None})
    given = {"INPUT": dry, "METHOD": "coverage", "OUTPUT": "memory:"}
    refused(
        "selectspiking",
        given,
        "No station has a row with all covariates. Leave out covariates that are empty.",
    )
    ranked = {"INPUT": dry, **FAST, "FOLDS": 2, "OUTPUT": tmp_path / "ranking.csv"}
    assert "Left out, without any value: wet." in warned("rankcovariates", ranked)


def test_a_day_without_readings_is_refused(refused: Callable, chain: Any, landscape: Any) -> None:
    given = {"INPUT": chain.observations, "DATE": "2020-04-01", "GRID": landscape.soil}
    refused(
        "interpolatestations",
        {**given, "OUTPUT": "TEMPORARY_OUTPUT"},
        "There is no reading on 2020-04-01. The readings run from 2021-04-01 to 2021-04-21.",
    )


# folds and strata without stations


@pytest.mark.parametrize("name", ["trainmodel", "rankcovariates"])
def test_a_fold_without_complete_rows_is_told(
    warned: Callable,
    refused: Callable,
    altered: Callable,
    chain: Any,
    landscape: Any,
    tmp_path: Path,
    name: str,
) -> None:
    def in_folds(row: Row, folds: int) -> Row:
        row["fold"] = int(row["station"][-1]) % folds + 1
        return {**row, "wet": None} if row["fold"] == 2 else row

    three = altered(chain.training, lambda row: in_folds(row, 3), fold="real")
    said = warned(name, uses(name, three, chain, landscape, tmp_path))
    assert "No row of fold 2 is complete, so 2 of 3 folds are left." in said
    two = altered(chain.training, lambda row: in_folds(row, 2), fold="real")
    refused(
        name,
        uses(name, two, chain, landscape, tmp_path),
        "The field 'fold' holds one fold only (1); no row of fold 2 is complete. Give at least two "
        "folds, or empty the field.",
    )


def test_strata_with_one_station_or_without_a_value_are_told(
    warned: Callable, altered: Callable, chain: Any
) -> None:
    def classed(row: Row) -> Row:
        cover = {"Alb 0": "peat", "Moor 1": None, "Moor 2": None}
        return {**row, "landcover": cover.get(row["station"], row["landcover"])}

    table = altered(chain.training, classed)
    given = {"INPUT": table, "METHOD": "stratified", "STRATA": "landcover", "OUTPUT": "memory:"}
    said = warned("splitstations", given)
    assert (
        "2 of 21 stations have no value of 'landcover' (Moor 1, Moor 2): what is empty counts as a "
        "value of its own."
    ) in said
    assert "Values of 'landcover' with one station, which trains: peat." in said


def test_networks_that_cannot_be_held_out_are_refused(
    refused: Callable, altered: Callable, chain: Any
) -> None:
    cure = "Folds by network need at least two: choose another field as STRATA, or METHOD k-fold."
    given = {"METHOD": "leave-network-out", "OUTPUT": "memory:"}
    refused(
        "splitstations",
        {**given, "INPUT": altered(chain.training, lambda row: {**row, "network": None})},
        f"The field 'network' holds one value only: (empty). {cure}",
    )
    refused(
        "splitstations",
        {**given, "INPUT": chain.training, "HOLD_OUT": "Alb;Börde;Moor"},
        "No row gets the role train: HOLD_OUT (Alb; Börde; Moor) takes all of them. Both sides "
        "need rows: leave some to either.",
    )
    one = altered(chain.training, lambda row: row if row["station"] == "Alb 0" else None)
    refused(
        "splitstations",
        {"INPUT": one, "METHOD": "k-fold", "OUTPUT": "memory:"},
        "The field 'station' names 1 station (Alb 0). A split needs at least two.",
    )


def test_strata_of_which_no_station_spikes_are_told(
    warned: Callable, altered: Callable, chain: Any
) -> None:
    def classed(row: Row) -> Row:
        if row["landcover"] == "wet":
            return {**row, "wet": None}
        return {**row, "landcover": "peat" if row["station"] == "P00" else "dry"}

    given = {"METHOD": "stratified", "STRATA": "landcover", "COVARIATES": ["wet", "clay"]}
    given |= {"INPUT": altered(chain.local, classed), "COUNT": 4, "OUTPUT": "memory:"}
    said = warned("selectspiking", given)
    assert "No station spikes of 'landcover': peat, wet (no row with all covariates)." in said


# more spikes than stations


@pytest.mark.parametrize("method", ["random", "stratified", "coverage", "lhs"])
def test_more_spikes_than_stations_are_refused(refused: Callable, chain: Any, method: str) -> None:
    given = {"INPUT": chain.local, "METHOD": method, "STRATA": "landcover", "OUTPUT": "memory:"}
    refused(
        "selectspiking",
        {**given, "COUNT": 17},
        "COUNT is 17, but there are 16 stations. Choose a smaller COUNT, or 0 to use FRACTION.",
    )


def test_more_spikes_than_stations_with_covariates_are_refused(
    refused: Callable, altered: Callable, chain: Any
) -> None:
    half = altered(chain.local, lambda r: {**r, "wet": None} if r["landcover"] == "wet" else r)
    given = {"INPUT": half, "METHOD": "coverage", "COUNT": 12, "OUTPUT": "memory:"}
    refused(
        "selectspiking",
        given,
        "COUNT is 12, but only 8 of 16 stations have a row with all covariates. Choose a smaller "
        "COUNT, or leave out covariates that are empty.",
    )


def test_counts_beyond_the_stations_are_left_out_or_refused(
    warned: Callable, refused: Callable, chain: Any, landscape: Any, tmp_path: Path
) -> None:
    given = uses("learningcurve", chain.local, chain, landscape, tmp_path)
    refused(
        "learningcurve",
        {**given, "COUNTS": "50;100"},
        "COUNTS is 50; 100, but of 16 stations 10 are not held out. Give smaller counts, or a "
        "smaller TEST_SHARE.",
    )
    said = warned("learningcurve", {**given, "COUNTS": "1;100", "DESIGNS": ["random"]})
    assert "Counts left out: 100. Of 16 stations 10 are not held out." in said


def test_more_local_than_global_rows_are_told(
    warned: Callable, run: Callable, altered: Callable, chain: Any, tmp_path: Path
) -> None:
    three = altered(chain.training, lambda row: row if row["station"][-1] == "0" else None)
    small = tmp_path / "small.smm"
    run("trainmodel", {"INPUT": three, **FAST, "FOLDS": 3, "OUTPUT": small})
    said = warned(
        "spikemodel",
        {"MODEL": small, "INPUT": chain.local, "WEIGHT": 2, "OUTPUT": tmp_path / "field.smm"},
    )
    assert (
        "There are more rows to spike with (96 of 16 stations) than the model was trained on (18 "
        "of 3): at any weight it rests mostly on local readings. Compare it with local readings "
        "alone."
    ) in said


# constant covariates


def constant_clay(row: Row) -> Row:
    return {**row, "clay": 20.0}


def constant(row: Row) -> Row:
    return {**row, **dict.fromkeys(COVARIATES, 1.0)}


@pytest.mark.parametrize("name", ["trainmodel", "rankcovariates"])
def test_constant_covariates_are_left_out_and_listed(
    warned: Callable,
    refused: Callable,
    altered: Callable,
    chain: Any,
    landscape: Any,
    tmp_path: Path,
    name: str,
) -> None:
    given = uses(name, altered(chain.split, constant_clay), chain, landscape, tmp_path)
    said = warned(name, {**given, "REPORT": tmp_path / "report.html"})
    message = "Left out, with the same value in all rows: clay. They tell nothing."
    assert message in said
    assert message in (tmp_path / "report.html").read_text(encoding="utf-8")
    if name == "trainmodel":
        with zipfile.ZipFile(tmp_path / "m.smm") as archive:
            model = json.loads(archive.read("model.json"))
        assert "clay" not in [covariate["name"] for covariate in model["covariates"]]
    refused(
        name,
        uses(name, altered(chain.split, constant), chain, landscape, tmp_path),
        f"Every covariate has the same value in all rows: {', '.join(COVARIATES)}. Choose "
        "covariates that differ between stations or days.",
    )


def test_designs_leave_out_constant_covariates_and_list_them(
    warned: Callable, refused: Callable, altered: Callable, chain: Any, tmp_path: Path
) -> None:
    table, flat = altered(chain.local, constant_clay), altered(chain.local, constant)
    given = {"METHOD": "coverage", "COUNT": 4, "OUTPUT": "memory:"}
    said = warned("selectspiking", {"INPUT": table, **given})
    assert "The same at every station, left out: clay." in said
    refusal = (
        f"The design coverage has nothing to choose by: the same at every station are "
        f"{', '.join(COVARIATES)}. Choose covariates that differ between stations, or the design "
        "random."
    )
    refused("selectspiking", {"INPUT": flat, **given}, refusal)
    curve = {"MODEL": chain.model, **CURVE, "OUTPUT": tmp_path / "curve.csv"}
    said = warned("learningcurve", {"INPUT": table, **curve, "DESIGNS": ["coverage"]})
    assert "The same at every station, left out by the designs coverage: clay." in said
    refused("learningcurve", {"INPUT": flat, **curve, "DESIGNS": ["coverage"]}, refusal)


def test_a_plan_leaves_out_constant_rasters_and_lists_them(
    warned: Callable, refused: Callable, run: Callable, landscape: Any, tmp_path: Path
) -> None:
    with rasterio.open(landscape.soil) as source:
        profile, values = source.profile, source.read() * 0 + 7
    with rasterio.open(tmp_path / "flat.tif", "w", **profile) as dataset:
        dataset.write(values)
        dataset.descriptions = ("clay", "sand")
    flat, some = tmp_path / "flat.csv", tmp_path / "some.csv"
    run("covariatetable", {"STATIC": [tmp_path / "flat.tif"], "OUTPUT": flat})
    run("covariatetable", {"STATIC": [tmp_path / "flat.tif", landscape.dem], "OUTPUT": some})
    given = {"GRID": landscape.soil, "COUNT": 2, "OUTPUT": "memory:"}
    said = warned("planstations", {"COVARIATES": some, **given})
    assert "The same in the whole field, left out: clay, sand." in said
    refused(
        "planstations",
        {"COVARIATES": flat, **given},
        "No covariate differs within the field: clay, sand. Add covariates that tell its places "
        "apart.",
    )


# names of stations

NAMED = ["samplecovariates", "splitstations", "selectspiking", "trainmodel", "rankcovariates"]
NAMED += ["spikemodel", "learningcurve", "validate"]


@pytest.mark.parametrize("name", NAMED)
def test_names_that_are_numbers_with_decimals_are_told(
    warned: Callable, altered: Callable, chain: Any, landscape: Any, tmp_path: Path, name: str
) -> None:
    table = altered(
        chain.local, lambda row: {**row, "station": int(row["station"][1:]) / 2}, station="real"
    )
    assert (
        "8 of 16 station names are numbers with decimals, such as '0.5'; they are kept as they "
        "are. Is the field 'station' right?"
    ) in warned(name, uses(name, table, chain, landscape, tmp_path))


@pytest.mark.parametrize("name", NAMED)
def test_rows_without_a_station_are_counted(
    warned: Callable, altered: Callable, chain: Any, landscape: Any, tmp_path: Path, name: str
) -> None:
    table = altered(
        chain.local, lambda row: {**row, "station": None} if row["station"] == "P03" else row
    )
    said = warned(name, uses(name, table, chain, landscape, tmp_path))
    if name == "samplecovariates":
        assert (
            "6 of 96 rows have no value in the field 'station': they are kept, but splits and "
            "models leave them out."
        ) in said
    else:
        assert "6 rows left out: no value in the field 'station'." in said


@pytest.mark.parametrize("name", NAMED[1:])
def test_tables_without_any_station_are_refused(
    run: Callable, altered: Callable, chain: Any, landscape: Any, tmp_path: Path, name: str
) -> None:
    table = altered(chain.local, lambda row: {**row, "station": None})
    with pytest.raises(QgsProcessingException) as caught:
        run(name, uses(name, table, chain, landscape, tmp_path))
    assert str(caught.value) in (
        "The field 'station' names no station: it is empty in all 96 rows. Choose the field that "
        "names the stations as STATION, or fill it.",
        "No row has a value in both 'moisture' and 'station': of 96 rows 96 have none in "
        "'station', 0 none in 'moisture'. Choose the fields of moisture and of stations, or fill "
        "them.",
    )


def test_places_without_a_name_are_interpolated_one_by_one(
    run: Callable, altered: Callable, chain: Any, landscape: Any, tmp_path: Path, feedback: Any
) -> None:
    # with a network beside it, an empty name must not make one station of a whole network
    given = uses("interpolatestations", chain.observations, chain, landscape, tmp_path)
    named = run("interpolatestations", given)
    table = altered(chain.observations, lambda row: {**row, "station": None})
    heard = feedback()
    nameless = run("interpolatestations", {**given, "INPUT": table}, heard)
    assert (nameless["N"], nameless["RMSE"]) == (named["N"], pytest.approx(named["RMSE"]))
    assert (
        "126 rows have no value in the field 'station': each place of theirs counts as a station."
    ) in heard.warned


def test_import_of_readings_with_odd_stations(
    refused: Callable, warned: Callable, rows_of: Callable, tmp_path: Path
) -> None:
    def file(name: str, header: str, *lines: str) -> Path:
        path = tmp_path / name
        path.write_text("\n".join([header, *lines]), encoding="utf-8")
        return path

    header = "station,date,moisture,x,y"
    refused(
        "importstations",
        {"INPUT": file("a.csv", "date,moisture", "2021-04-01,0.2"), "OUTPUT": "memory:"},
        "No column of a.csv is found to be the station. Name it in STATION_COLUMN, or give a "
        "folder of files that are one station each. Its columns are: date, moisture.",
    )
    refused(
        "importstations",
        {"INPUT": file("b.csv", header, ",2021-04-01,0.2,12,50"), "OUTPUT": "memory:"},
        "No reading of b.csv has both a station and a date. Name the columns in STATION_COLUMN and "
        "DATE_COLUMN, and fill them.",
    )
    lines = [f"{name},2021-04-01,0.2,12,{y}" for name, y in (("1.0", 50), ("1.5", 50), ("", 51))]
    output = tmp_path / "layer.gpkg"
    said = warned("importstations", {"INPUT": file("c.csv", header, *lines), "OUTPUT": output})
    assert [row["station"] for row in rows_of(output)] == ["1", "1.5"]
    assert "1 readings left out: no station (first in line 4 of c.csv)." in said
    assert (
        "1 of 2 station names are numbers with decimals, such as '1.5'; they are kept as they are. "
        "Is STATION_COLUMN right?"
    ) in said
    assert (
        "2 stations share 1 places: 1 = 1.5. They are kept apart; give them one name where they "
        "are one station."
    ) in said


# two stations at one place


@pytest.fixture(scope="session")
def twins(altered: Callable, chain: Any, rows_of: Callable) -> Callable[[Path], Path]:
    """Put Alb 0 to the place of Alb 1, and P04 to that of P05."""
    rows = [*rows_of(chain.training), *rows_of(chain.local)]
    place = {row["station"]: (row["x"], row["y"]) for row in rows}

    def together(row: Row) -> Row:
        other = {"Alb 0": "Alb 1", "P04": "P05"}.get(row["station"], row["station"])
        row["x"], row["y"] = place[other]
        return row

    return lambda source: altered(source, together)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("samplecovariates", "Several stations stand at one place and get the same covariates: "),
        ("trainmodel", f"(Alb 0 and Alb 1): {SHARED}"),
        ("rankcovariates", f"(Alb 0 and Alb 1): {SHARED}"),
        ("validate", f"(Alb 0 and Alb 1): {SHARED}"),
        ("interpolatestations", "Stations at one place are averaged: Alb 0 + Alb 1."),
    ],
)
def test_stations_at_one_place_are_told(
    warned: Callable,
    twins: Callable,
    chain: Any,
    landscape: Any,
    tmp_path: Path,
    name: str,
    message: str,
) -> None:
    said = warned(name, uses(name, twins(chain.training), chain, landscape, tmp_path))
    assert any(message in text and "Alb 0" in text for text in said)


@pytest.mark.parametrize("name", ["spikemodel", "learningcurve"])
def test_local_stations_at_one_place_are_told(
    warned: Callable, twins: Callable, chain: Any, landscape: Any, tmp_path: Path, name: str
) -> None:
    said = warned(name, uses(name, twins(chain.local), chain, landscape, tmp_path))
    assert any("P04 and P05" in text and text.endswith(SHARED) for text in said)


def test_stations_at_one_place_that_are_torn_apart_are_told(
    warned: Callable, twins: Callable, altered: Callable, chain: Any, tmp_path: Path
) -> None:
    apart = "they share their covariates, but not their {}, so what is tested there has been seen."

    def told(said: list[str], names: str, field: str) -> bool:
        return any(names in text and apart.format(field) in text for text in said)

    table = twins(chain.training)
    folds = {"INPUT": table, "METHOD": "k-fold", "FOLDS": 21, "OUTPUT": "memory:"}
    assert told(warned("splitstations", folds), "Alb 0 and Alb 1", "fold")
    networks = {**folds, "METHOD": "leave-network-out"}
    assert not told(warned("splitstations", networks), "Alb 0 and Alb 1", "fold")
    spiking = altered(
        twins(chain.local),
        lambda row: {**row, "role": "spike" if row["station"] < "P05" else "validate"},
        role="text",
    )
    kept = {"INPUT": spiking, "COUNT": 5, "OUTPUT": "memory:"}
    assert told(warned("selectspiking", kept), "P04 and P05", "role")
    field = {"MODEL": chain.model, "INPUT": spiking, "WEIGHT": 2, "OUTPUT": tmp_path / "f.smm"}
    assert told(warned("spikemodel", field), "P04 and P05", "role")


# local time


@pytest.mark.parametrize(
    ("header", "times", "given", "message", "days"),
    [
        (
            "date",
            ("2021-04-01T00:30+02:00", "2021-04-01T12:00+02:00"),
            {},
            f"2 times of 'date' {TIMES}: 1 of them, such as '2021-04-01T00:30+02:00', fall on "
            "another day.",
            ["2021-03-31", "2021-04-01"],
        ),
        (
            "local_time",
            ("2021-04-01 00:30", "2021-04-01 23:30"),
            {},
            "'local_time' holds local times, which are read as UTC: set TIMEZONE to theirs.",
            ["2021-04-01"],
        ),
        (
            "LST_DATE",
            ("20210401", "20210402"),
            {},
            "'LST_DATE' holds local days, which are taken as days in UTC.",
            ["2021-04-01", "2021-04-02"],
        ),
        (
            "local_time",
            ("2021-04-01 00:30", "2021-04-01 23:30"),
            {"TIMEZONE": "Europe/Berlin"},
            None,
            ["2021-03-31", "2021-04-01"],
        ),
    ],
)
def test_local_times_of_readings_are_told(
    warned: Callable,
    rows_of: Callable,
    tmp_path: Path,
    header: str,
    times: tuple[str, ...],
    given: dict[str, str],
    message: str | None,
    days: list[str],
) -> None:
    source, output = tmp_path / "logger.csv", tmp_path / "layer.gpkg"
    lines = [f"station,{header},moisture,x,y", *(f"A,{time},0.2,12,50" for time in times)]
    source.write_text("\n".join(lines), encoding="utf-8")
    given = {"INPUT": source, "DATE_COLUMN": header, **given, "OUTPUT": output}
    said = warned("importstations", given)
    assert [row["date"].toString("yyyy-MM-dd") for row in rows_of(output)] == days
    about_time = [text for text in said if "UTC" in text]
    assert about_time == ([message] if message else [])


def test_the_name_of_a_time_zone_in_a_stamp_is_refused(refused: Callable, tmp_path: Path) -> None:
    source = tmp_path / "logger.csv"
    source.write_text("station,date,moisture\nA,2021-04-01 00:30 CET,0.2\n", encoding="utf-8")
    refused(
        "importstations",
        {"INPUT": source, "OUTPUT": "memory:"},
        "The value '2021-04-01 00:30 CET' in line 2, column 'date' of logger.csv is not a date. "
        "Write dates as YYYY-MM-DD or YYYY-MM-DD HH:MM, with the offset from UTC as +01:00; a "
        "zone's name goes into TIMEZONE.",
    )


@pytest.fixture(scope="session")
def stamped(altered: Callable, chain: Any) -> Path:
    """The local table with its dates as late evenings of another time zone."""

    def stamp(row: Row) -> Row:
        return {**row, "date": f"{row['date'].toString('yyyy-MM-dd')}T23:30:00-05:00"}

    return altered(chain.local, stamp, date="text")


@pytest.mark.parametrize(
    "name", ["samplecovariates", "trainmodel", "rankcovariates", "spikemodel", "learningcurve"]
)
def test_stamps_with_an_offset_are_carried_to_utc_in_tables(
    warned: Callable, stamped: Path, chain: Any, landscape: Any, tmp_path: Path, name: str
) -> None:
    said = warned(name, uses(name, stamped, chain, landscape, tmp_path))
    assert (
        f"96 times of 'date' {TIMES}: 96 of them, such as '2021-04-01T23:30:00-05:00', fall on "
        "another day."
    ) in said
    if name == "spikemodel":
        with zipfile.ZipFile(tmp_path / "field.smm") as archive:
            days = json.loads(archive.read("model.json"))["spike_dates"]
        assert days[0] == "2021-04-02" and days[-1] == "2021-04-22"


def test_days_of_stamps_are_those_in_utc(
    run: Callable, refused: Callable, stamped: Path, landscape: Any, tmp_path: Path
) -> None:
    given = {"INPUT": stamped, "GRID": landscape.soil, "OUTPUT": tmp_path / "idw.tif"}
    refused(
        "interpolatestations",
        {**given, "DATE": "2021-04-01"},
        "There is no reading on 2021-04-01. The readings run from 2021-04-02 to 2021-04-22.",
    )
    run("interpolatestations", {**given, "DATE": "2021-04-02"})


def test_years_of_stamps_are_those_in_utc(refused: Callable, altered: Callable, chain: Any) -> None:
    eve = "2020-12-31T23:30:00-05:00"
    table = altered(chain.local, lambda row: {**row, "date": eve}, date="text")
    refused(
        "splitstations",
        {"INPUT": table, "METHOD": "years", "HOLD_OUT": "2020", "OUTPUT": "memory:"},
        "HOLD_OUT names 2020. Name years that validate, joined by ';'; the table holds: 2021.",
    )


# models without training rows


@pytest.fixture(scope="session")
def bare(run: Callable, chain: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without training rows."""
    path = tmp_path_factory.mktemp("models") / "bare.smm"
    run("trainmodel", {"INPUT": chain.split, **FAST, "EMBED_TRAINING": False, "OUTPUT": path})
    return path


def test_models_without_training_rows_are_refused(
    refused: Callable, bare: Path, chain: Any, landscape: Any, tmp_path: Path
) -> None:
    again = "Train it again with EMBED_TRAINING."
    base = "The model holds no training rows, so what it covers cannot be told. " + again
    refit = "The model holds no training rows, so it cannot be refitted with local ones. "
    local = {"INPUT": chain.local, "OUTPUT": "memory:"}
    refused("selectspiking", {**local, "METHOD": "coverage", "BASE_MODEL": bare}, base)
    place = {"COVARIATES": chain.covariates, "GRID": landscape.soil}
    refused("planstations", {**place, "BASE_MODEL": bare, "COUNT": 2, "OUTPUT": "memory:"}, base)
    given = {"MODEL": bare, "INPUT": chain.spiking, "OUTPUT": tmp_path / "field.smm"}
    refused(
        "spikemodel",
        given,
        refit + again[:-1] + ", or set METHOD to bias: that corrects the bias of the model and "
        "needs none.",
    )
    curve = {"MODEL": bare, "INPUT": chain.local, **CURVE, "OUTPUT": tmp_path / "curve.csv"}
    refused("learningcurve", curve, refit + again)
    refused(
        "applicability",
        {"MODEL": bare, "DATE": "2021-04-01", **place, "OUTPUT": tmp_path / "inside.tif"},
        "The model holds no training rows, so nothing can be compared with them. " + again,
    )
    assert not list(tmp_path.iterdir())


def test_models_without_training_rows_validate_and_take_a_correction(
    warned: Callable, bare: Path, chain: Any, scores: Callable, tmp_path: Path
) -> None:
    given = {"MODEL": bare, "INPUT": chain.spiking}
    warned("validate", {**given, "METRICS": tmp_path / "scores.csv"})
    assert scores(tmp_path / "scores.csv")[0]["n"] == "48"
    said = warned("spikemodel", {**given, "METHOD": "bias", "OUTPUT": tmp_path / "field.smm"})
    assert (
        "The model holds no training rows, so it cannot be told whether it has seen local "
        "stations; if it has, its errors at them look smaller than they are."
    ) in said


@pytest.mark.parametrize("name", ["splitstations", "selectspiking", "trainmodel"])
def test_tables_without_rows_are_refused(
    run: Callable, altered: Callable, chain: Any, landscape: Any, tmp_path: Path, name: str
) -> None:
    empty = altered(chain.local, lambda row: None)
    with pytest.raises(QgsProcessingException, match=r"^The table has no rows\."):
        run(name, uses(name, empty, chain, landscape, tmp_path))
