"""How outputs are written: formats, types, cancelled and failed runs, tables from CSV."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qgis.core import (
    NULL,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsProperty,
    QgsVectorLayer,
)

FORMATS = ("gpkg", "fgb", "geojson", "csv")
SPLIT = {"METHOD": "k-fold", "FOLDS": 3}


def comparable(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    found = []
    for row in rows:
        date = row["date"]
        day = date if isinstance(date, str) else date.toString("yyyy-MM-dd")
        numbers = (round(row[name], 9) for name in ("moisture", "clay", "x", "y"))
        found.append((row["station"], day, row["fold"], *numbers))
    return sorted(found)


@pytest.mark.parametrize("suffix", [*FORMATS, "memory"])
def test_vector_formats_hold_the_same_rows(
    run: Callable, chain: Any, tmp_path: Path, rows_of: Callable, suffix: str
) -> None:
    expected = rows_of(
        run("splitstations", {**SPLIT, "INPUT": chain.training, "OUTPUT": "memory:"})["OUTPUT"]
    )
    output = "memory:" if suffix == "memory" else tmp_path / f"Röhre 1.{suffix}"
    result = run("splitstations", {**SPLIT, "INPUT": chain.training, "OUTPUT": output})
    layer = result["OUTPUT"] if suffix == "memory" else output
    found = rows_of(layer)
    assert comparable(found) == comparable(expected)
    assert isinstance(found[0]["station"], str)
    assert isinstance(found[0]["fold"], int)
    assert isinstance(found[0]["network"], str)
    opened = layer if suffix == "memory" else QgsVectorLayer(str(layer), "a", "ogr")
    assert opened.crs().authid() == "EPSG:32633"


@pytest.mark.parametrize("suffix", FORMATS)
def test_chain_goes_on_from_each_format(
    run: Callable, chain: Any, tmp_path: Path, suffix: str
) -> None:
    output = tmp_path / f"Röhre 1.{suffix}"
    run("splitstations", {**SPLIT, "INPUT": chain.training, "OUTPUT": output})
    from soil_moisture_mapper.plugin.core.models.modelfile import load_model

    given = {"TREES": 5, "MIN_LEAF": 3, "INPUT": output, "OUTPUT": tmp_path / "a.smm"}
    result = run("trainmodel", given)
    assert result["RMSE"] < 0.06
    model = load_model(tmp_path / "a.smm")
    terrain = {"elevation", "slope", "aspect_sin", "aspect_cos"}
    assert set(model.names) == {*terrain, "clay", "sand", "wet"}


def test_csv_has_iso_dates_and_points(run: Callable, chain: Any, tmp_path: Path) -> None:
    output = tmp_path / "a.csv"
    run("splitstations", {**SPLIT, "INPUT": chain.training, "OUTPUT": output})
    header, first, *_ = output.read_text(encoding="utf-8").splitlines()
    assert header.startswith("WKT,station,network,")
    assert first.startswith("POINT (5")
    assert ",2021-04-01," in first
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.csv", "a.csvt", "a.prj"]


def test_geopackage_is_named_after_its_file(run: Callable, chain: Any, tmp_path: Path) -> None:
    output = tmp_path / "Röhre 1.gpkg"
    run("splitstations", {**SPLIT, "INPUT": chain.training, "OUTPUT": output})
    with sqlite3.connect(output) as database:
        tables = database.execute("SELECT table_name FROM gpkg_contents").fetchall()
    assert tables == [("Röhre 1",)]
    assert [path.name for path in tmp_path.iterdir()] == ["Röhre 1.gpkg"]


def test_temporary_output(run: Callable, chain: Any) -> None:
    result = run("splitstations", {**SPLIT, "INPUT": chain.training, "OUTPUT": "TEMPORARY_OUTPUT"})
    assert result["OUTPUT"].featureCount() == 126


def test_database_table(run: Callable, chain: Any, tmp_path: Path, rows_of: Callable) -> None:
    """A table of an existing GeoPackage is written beside the tables that are there."""
    database = tmp_path / "database.gpkg"
    run("splitstations", {**SPLIT, "INPUT": chain.training, "OUTPUT": database})
    output = f"ogr:dbname='{database}' table=\"folds\" (geom)"
    run("splitstations", {**SPLIT, "INPUT": chain.training, "OUTPUT": output})
    assert len(rows_of(f"{database}|layername=folds")) == 126
    assert len(rows_of(f"{database}|layername=database")) == 126


def test_layer_is_loaded_under_its_final_name(provider: Any, chain: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "a.gpkg")
    project = QgsProject()
    definition = QgsProcessingOutputLayerDefinition(QgsProperty.fromValue(path), project)
    definition.destinationName = "my folds"
    context = QgsProcessingContext()
    context.setProject(project)
    algorithm = provider.algorithm("splitstations").create()
    given = {**SPLIT, "INPUT": str(chain.training), "OUTPUT": definition}
    results, fine = algorithm.run(given, context, QgsProcessingFeedback())
    assert fine
    assert results == {"OUTPUT": path}
    details = context.layersToLoadOnCompletion()
    assert list(details) == [path]
    assert details[path].name == "my folds"


CANCELLED = {
    "splitstations": ({}, "out.gpkg"),
    "samplecovariates": ({}, "out.csv"),
    "trainmodel": ({"REPORT": "out.html", "METRICS": "metrics.csv"}, "out.smm"),
    "spikemodel": ({"REPORT": "out.html", "METRICS": "metrics.csv"}, "out.smm"),
    "predict": ({"REASON": "reason.tif"}, "out.tif"),
    "predictseries": ({"SUMMARY": "summary.csv"}, "maps"),
    "terraincovariates": ({}, "out.tif"),
    "temporalstatistics": ({}, "out.tif"),
}


def inputs(name: str, chain: Any, landscape: Any) -> dict[str, Any]:
    grid = {
        "MODEL": chain.spiked,
        "COVARIATES": chain.covariates,
        "GRID": landscape.dem,
    }
    return {
        "splitstations": {"INPUT": chain.training},
        "samplecovariates": {"INPUT": chain.observations, "COVARIATES": chain.covariates},
        "trainmodel": {"INPUT": chain.split, "TREES": 10},
        "spikemodel": {"MODEL": chain.model, "INPUT": chain.spiking},
        "predict": {**grid, "DATE": "2021-04-09"},
        "predictseries": {**grid, "START": "2021-04-01", "END": "2021-04-10"},
        "terraincovariates": {"INPUT": landscape.dem},
        "temporalstatistics": {"INPUT": landscape.wet, "MIN_DATES": 2},
    }[name]


@pytest.mark.parametrize("name", CANCELLED)
def test_run_stopped_anywhere_leaves_what_was_there(
    run: Callable, feedback: Any, chain: Any, landscape: Any, tmp_path: Path, name: str
) -> None:
    """Stopped at the first, a middle and the last time it asks."""
    others, output = CANCELLED[name]
    outputs = {"OUTPUT": tmp_path / output}
    outputs.update({key: tmp_path / value for key, value in others.items()})
    given = {**inputs(name, chain, landscape), **outputs}
    whole = feedback()
    run(name, given, whole)
    assert whole.asked >= 3
    made = {path for path in tmp_path.rglob("*") if path.is_file()}
    for path in made:
        path.write_bytes(b"an earlier file")
    for ask in (1, whole.asked // 2, whole.asked):
        with pytest.raises(QgsProcessingException) as caught:
            run(name, given, feedback(stop_at=ask))
        assert str(caught.value) == "Cancelled."
        assert {path for path in tmp_path.rglob("*") if path.is_file()} == made, ask
        assert {path.read_bytes() for path in made} == {b"an earlier file"}, ask


def test_failed_run_leaves_what_was_there(run: Callable, tmp_path: Path) -> None:
    """FlatGeobuf cannot hold a row without a point: seen only when rows are written."""
    source = QgsVectorLayer("Point?crs=EPSG:32633&field=station:string", "points", "memory")
    from qgis.core import QgsFeature, QgsGeometry, QgsPointXY

    for number, point in enumerate((QgsPointXY(1, 1), None, QgsPointXY(2, 2))):
        feature = QgsFeature(source.fields())
        feature.setAttributes([f"S{number}"])
        if point:
            feature.setGeometry(QgsGeometry.fromPointXY(point))
        source.dataProvider().addFeature(feature)
    output = tmp_path / "out.fgb"
    output.write_bytes(b"an earlier file")
    with pytest.raises(QgsProcessingException) as caught:
        run("splitstations", {**SPLIT, "INPUT": source, "OUTPUT": output})
    assert str(caught.value) == (
        "FlatGeobuf cannot hold rows without a point, and there are 1. Write to .gpkg or .csv."
    )
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"an earlier file"]


def test_unwritable_folder_is_named(run: Callable, chain: Any, tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("", encoding="utf-8")
    with pytest.raises(QgsProcessingException, match="a file' cannot be written"):
        run("splitstations", {**SPLIT, "INPUT": chain.training, "OUTPUT": blocked / "out.gpkg"})
    with pytest.raises(QgsProcessingException, match="a file' cannot be written"):
        run("terraincovariates", {"INPUT": chain.terrain, "OUTPUT": blocked / "out.tif"})


def test_types_and_nulls_pass_through(run: Callable, tmp_path: Path, rows_of: Callable) -> None:
    source = QgsVectorLayer(
        "None?field=station:integer&field=date:date&field=seen:datetime&field=good:boolean"
        "&field=big:int8&field=name:string&field=value:double&field=fid:integer",
        "table",
        "memory",
    )
    from qgis.core import QgsFeature
    from qgis.PyQt.QtCore import QDate, QDateTime, QTime

    day = QDate(2021, 4, 1)
    rows = [
        [7, day, QDateTime(day, QTime(13, 30)), True, 2**60 + 1, "é", 0.1, 3],
        [8, NULL, NULL, NULL, NULL, NULL, NULL, 3],
        [9, day, QDateTime(day, QTime(0, 0)), False, 5, "", 1e-30, 3],
    ]
    for row in rows:
        feature = QgsFeature(source.fields())
        feature.setAttributes(row)
        source.dataProvider().addFeature(feature)
    result = run("splitstations", {**SPLIT, "INPUT": source, "OUTPUT": tmp_path / "a.gpkg"})
    assert result["OUTPUT"] == str(tmp_path / "a.gpkg")
    layer = QgsVectorLayer(result["OUTPUT"], "a", "ogr")
    assert not layer.isSpatial()
    found = {row["station"]: row for row in rows_of(layer)}
    first, empty, last = found[7], found[8], found[9]
    assert [first[n] for n in ("good", "name", "value")] == [True, "é", 0.1]
    assert first["date"] == day
    assert first["seen"] == "2021-04-01T13:30:00"
    assert first["big"] == str(2**60 + 1)
    assert all(empty[n] == NULL for n in ("date", "seen", "good", "big", "name", "value"))
    assert (last["good"], last["value"]) == (False, 1e-30)
    assert {row["fid"] for row in found.values()} == {1, 2, 3}


def test_shapes_give_their_centroid(run: Callable, rows_of: Callable) -> None:
    from qgis.core import QgsFeature, QgsGeometry

    source = QgsVectorLayer("MultiPolygon?crs=EPSG:32633&field=station:string", "a", "memory")
    for name, shape in (
        ("a", "MultiPolygon(((0 0, 4 0, 4 2, 0 2, 0 0)))"),
        ("b", "MultiPolygon(((10 10, 12 10, 12 12, 10 12, 10 10)))"),
        ("c", ""),
    ):
        feature = QgsFeature(source.fields())
        feature.setAttributes([name])
        if shape:
            feature.setGeometry(QgsGeometry.fromWkt(shape))
        source.dataProvider().addFeature(feature)
    rows = rows_of(run("splitstations", {**SPLIT, "INPUT": source, "OUTPUT": "memory:"})["OUTPUT"])
    places = {row["station"]: (row.get("x"), row.get("y")) for row in rows}
    assert places == {"a": (2, 1), "b": (11, 11), "c": (None, None)}


def test_texts_of_a_csv_are_numbers(
    run: Callable, chain: Any, tmp_path: Path, rows_of: Callable
) -> None:
    """A delimited layer without types brings numbers as text; a decimal comma is refused."""
    from soil_moisture_mapper.plugin.core.models.modelfile import load_model

    rows = rows_of(chain.training)
    path = tmp_path / "table.csv"
    names = ("station", "moisture", "clay", "wet")
    lines = [",".join(str(row[name]) for name in names) for row in rows]
    path.write_text("\n".join([",".join(names), *lines]), encoding="utf-8")
    layer = QgsVectorLayer(f"file://{path}?detectTypes=no", "table", "delimitedtext")
    assert {field.typeName() for field in layer.fields()} == {"text"}
    given = {"TREES": 5, "MIN_LEAF": 3, "OUTPUT": tmp_path / "a.smm"}
    run("trainmodel", {**given, "INPUT": layer})
    model = load_model(tmp_path / "a.smm")
    assert model.names == ("clay", "wet")
    commas = path.read_text(encoding="utf-8").replace(",", ";").replace(".", ",")
    other = tmp_path / "commas.csv"
    other.write_text(commas, encoding="utf-8")
    source = f"file://{other}?detectTypes=no&delimiter=;"
    layer = QgsVectorLayer(source, "commas", "delimitedtext")
    with pytest.raises(QgsProcessingException, match="decimal comma"):
        run("trainmodel", {**given, "INPUT": layer, "OUTPUT": tmp_path / "b.smm"})
    assert not (tmp_path / "b.smm").exists()


def test_progress_rises_to_the_end(
    run: Callable, feedback: Any, chain: Any, tmp_path: Path
) -> None:
    spoken = feedback()
    run("trainmodel", {"INPUT": chain.split, "TREES": 5, "OUTPUT": tmp_path / "a.smm"}, spoken)
    assert np.diff(spoken.fractions).min() > -1e-9
    assert spoken.fractions[-1] <= 1
    assert any("Covariates: " in text for text in spoken.said)


def test_geojson_is_valid_json(run: Callable, chain: Any, tmp_path: Path) -> None:
    output = tmp_path / "a.geojson"
    run("splitstations", {**SPLIT, "INPUT": chain.training, "OUTPUT": output})
    document = json.loads(output.read_text(encoding="utf-8"))
    assert document["name"] == "a"
    assert len(document["features"]) == 126
