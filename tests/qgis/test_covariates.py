"""The algorithms that make covariates: runs and wrong input."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from qgis.core import (
    Qgis,
    QgsDateTimeRange,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QDateTime, Qt
from raster_files import write_raster

CRS = "EPSG:32633"


@pytest.fixture
def plane(tmp_path: Path) -> Path:
    """A plane that falls 1 m in 10 m towards the east."""
    heights = 100 - np.tile(np.arange(12) * 1.0, (10, 1))
    return write(tmp_path / "plane.tif", heights[None], ["elevation"])


def write(path: Path, bands: np.ndarray, names: list[str], crs: str = CRS) -> Path:
    cell = 10.0 if crs == CRS else 0.001
    place: dict[str, Any] = {"crs": crs, "cell": cell, "corner": (15.0, 50.0)}
    return write_raster(path, bands, names=names, dtype="float32", nodata=-9999.0, **place)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_terrain_of_a_plane(run: Callable, plane: Path, tmp_path: Path) -> None:
    output = tmp_path / "terrain.tif"
    names = ["slope", "aspect", "mean_curvature"]
    result = run("terraincovariates", {"INPUT": plane, "PARAMETERS": names, "OUTPUT": output})
    assert result["OUTPUT"] == str(output)
    with rasterio.open(output) as dataset:
        assert list(dataset.descriptions) == names
        inner = dataset.read(window=((1, -1), (1, -1)))
        edge = dataset.read(1)[0]
    np.testing.assert_allclose(inner[0], np.degrees(np.arctan(0.1)), rtol=1e-6)
    np.testing.assert_allclose(inner[1], 90, rtol=1e-6)
    np.testing.assert_allclose(inner[2], 0, atol=1e-9)
    assert (edge == -9999).all()


def test_terrain_refuses_a_dem_in_degrees(run: Callable, tmp_path: Path) -> None:
    dem = write(tmp_path / "dem.tif", np.ones((1, 5, 5)), ["elevation"], "EPSG:4326")
    output = tmp_path / "terrain.tif"
    with pytest.raises(QgsProcessingException, match="degrees"):
        run("terraincovariates", {"INPUT": dem, "OUTPUT": output})
    assert not output.exists()


def test_raster_that_is_a_url_is_refused(refused: Callable, tmp_path: Path) -> None:
    url = "/vsicurl/http://localhost:1/dem.tif"
    message = (
        f"Unable to execute algorithm\nINPUT: '{url}' is refused: it is a GDAL virtual file, "
        "not a local file. Download or convert the raster to a GeoTIFF and give its path."
    )
    refused("terraincovariates", {"INPUT": url, "OUTPUT": tmp_path / "a.tif"}, message)


def test_layer_that_is_no_file_is_refused(refused: Callable, tmp_path: Path) -> None:
    """What is seen while layers are collected is told when the run starts."""
    source = "?crs=EPSG:32633&extent=0,0,100,100&width=10&height=10&formula=1"
    layer = QgsRasterLayer(source, "computed", "virtualraster")
    QgsProject.instance().addMapLayer(layer)
    refused(
        "terraincovariates",
        {"INPUT": layer.id(), "OUTPUT": tmp_path / "a.tif"},
        "INPUT: the layer 'computed' is not a raster file. Save it as GeoTIFF and choose the file.",
    )
    QgsProject.instance().removeMapLayer(layer.id())


def test_statistics_of_days(run: Callable, landscape: Any, tmp_path: Path) -> None:
    output = tmp_path / "statistics.tif"
    run("temporalstatistics", {"INPUT": landscape.wet, "MIN_DATES": 6, "OUTPUT": output})
    stack = np.stack([rasterio.open(path).read(1) for path in landscape.wet]).astype(float)
    with rasterio.open(output) as dataset:
        assert list(dataset.descriptions) == ["wet_min", "wet_mean", "wet_max", "wet_sd"]
        found = dataset.read()
    expected = stack.min(0), stack.mean(0), stack.max(0), stack.std(0)
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-5)


def test_statistics_refuse_two_grids(run: Callable, plane: Path, landscape: Any) -> None:
    output = plane.with_name("out.tif")
    with pytest.raises(QgsProcessingException, match="grid"):
        run("temporalstatistics", {"INPUT": [plane, landscape.wet[0]], "OUTPUT": output})
    assert not output.exists()


def test_covariate_table(run: Callable, landscape: Any) -> None:
    output = landscape.folder / "table.csv"
    run(
        "covariatetable",
        {
            "STATIC": [landscape.soil],
            "DYNAMIC": landscape.wet[:2],
            "TOLERANCE": 3,
            "GROUPS": "wet=smap",
            "OUTPUT": output,
        },
    )
    rows = read_rows(output)
    assert [row["covariate"] for row in rows] == ["clay", "sand", "wet", "wet"]
    assert [row["path"] for row in rows[2:]] == ["wet_20210401.tif", "wet_20210405.tif"]
    assert rows[2]["start"] == rows[2]["end"] == "2021-04-01"
    assert rows[2]["tolerance_days"] == "3"
    assert [row["group"] for row in rows] == ["", "", "smap", "smap"]


def test_table_takes_the_date_of_a_layer(run: Callable, plane: Path) -> None:
    layer = QgsRasterLayer(str(plane), "a layer")
    temporal = layer.temporalProperties()
    temporal.setIsActive(True)
    temporal.setMode(Qgis.RasterTemporalMode.FixedTemporalRange)
    start = QDateTime.fromString("2020-05-03T00:00:00", Qt.DateFormat.ISODate)
    temporal.setFixedTemporalRange(QgsDateTimeRange(start, start.addDays(7)))
    QgsProject.instance().addMapLayer(layer)
    output = plane.with_name("table.csv")
    run("covariatetable", {"DYNAMIC": [layer.id()], "OUTPUT": output})
    QgsProject.instance().removeMapLayer(layer.id())
    (row,) = read_rows(output)
    assert (row["covariate"], row["path"]) == ("elevation", "plane.tif")
    assert row["start"] == str(datetime.date(2020, 5, 3))
    assert row["end"] == str(datetime.date(2020, 5, 10))


def test_table_is_extended(run: Callable, landscape: Any) -> None:
    first, second = landscape.folder / "first.csv", landscape.folder / "second.csv"
    run("covariatetable", {"STATIC": [landscape.soil], "OUTPUT": first})
    run(
        "covariatetable",
        {
            "STATIC": [landscape.soil],
            "DYNAMIC": landscape.wet[:1],
            "APPEND_TO": first,
            "OUTPUT": second,
        },
    )
    assert [row["covariate"] for row in read_rows(second)] == ["clay", "sand", "wet"]


def test_table_is_reported(run: Callable, landscape: Any, feedback: Any) -> None:
    folder = landscape.folder
    heard = feedback()
    result = run(
        "covariatetable",
        {
            "STATIC": [landscape.soil],
            "DYNAMIC": landscape.wet,
            "TOLERANCE": 1,
            "OUTPUT": folder / "reported.csv",
            "REPORT": folder / "report.html",
        },
        feedback=heard,
    )
    assert result["REPORT"] == str(folder / "report.html")
    text = (folder / "report.html").read_text(encoding="utf-8")
    # rows every four days: one day between each pair has none within one day
    assert "On 16 of the 21\u202fdays" in text or "On 16 of the 21 days" in text
    assert text.count("no row from") == 5
    assert "EPSG:32633" in text and "100\u202fm" in text
    assert heard.fractions[-1] > 0.9 and heard.fractions == sorted(heard.fractions)


def test_table_without_report(run: Callable, landscape: Any, tmp_path: Path) -> None:
    result = run("covariatetable", {"STATIC": [landscape.soil], "OUTPUT": tmp_path / "a.csv"})
    assert result == {"OUTPUT": str(tmp_path / "a.csv")}
    assert [row["group"] for row in read_rows(tmp_path / "a.csv")] == ["soil", "soil"]


def test_composites_hold_for_their_period(run: Callable, landscape: Any, tmp_path: Path) -> None:
    output = tmp_path / "table.csv"
    run("covariatetable", {"DYNAMIC": landscape.wet[:1], "PERIOD": 8, "OUTPUT": output})
    (row,) = read_rows(output)
    assert (row["start"], row["end"]) == ("2021-04-01", "2021-04-08")


def test_covariates_elsewhere_are_refused(run: Callable, landscape: Any, plane: Path) -> None:
    """The plane lies at 15 m east, 50 m north of the zone's origin: a forgotten shift."""
    output = plane.with_name("table.csv")
    with pytest.raises(QgsProcessingException, match="no place in common: clay covers 500000"):
        run("covariatetable", {"STATIC": [landscape.soil, plane], "OUTPUT": output})
    assert not output.exists()


def test_file_that_is_no_raster_is_named(run: Callable, landscape: Any, tmp_path: Path) -> None:
    """Also behind others: QGIS is not left to look at each of a long list."""
    broken = tmp_path / "broken.tif"
    broken.write_text("no raster")
    given = {"STATIC": [landscape.soil, broken], "OUTPUT": tmp_path / "table.csv"}
    with pytest.raises(QgsProcessingException, match=r"broken.tif' cannot be read as a raster"):
        run("covariatetable", given)


def test_undated_rasters_are_listed(refused: Callable, plane: Path) -> None:
    refused(
        "covariatetable",
        {"DYNAMIC": [plane], "OUTPUT": plane.with_name("table.csv")},
        "Dynamic rasters without a date: plane.tif, band 1 (elevation). Put the date into the file "
        "name (smap_20210401.tif) or the band description, give the layer a fixed temporal range, "
        "or add the raster as static.",
    )


def test_cancelled_report_leaves_nothing(run: Callable, landscape: Any, feedback: Any) -> None:
    output, report = landscape.folder / "no.csv", landscape.folder / "no.html"
    given = {"STATIC": [landscape.soil], "DYNAMIC": landscape.wet}
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run(
            "covariatetable",
            {**given, "OUTPUT": output, "REPORT": report},
            feedback=feedback(stop_at=12),
        )
    assert not output.exists() and not report.exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {},
            "Neither STATIC nor DYNAMIC holds a raster. Choose the rasters of the table.",
        ),
        (
            {"STATIC": ["nowhere.tif"]},
            "Unable to execute algorithm\nSTATIC: the raster file '{folder}/nowhere.tif' does not "
            "exist. Check the path, or choose a layer of the project.",
        ),
        (
            {"STATIC": ["soil.tif"], "GROUPS": "clay"},
            "The line 'clay' of the groups is not 'pattern=group'. "
            "Write for example VV*=sentinel1.",
        ),
        (
            {"STATIC": ["<VRTDataset/>"]},
            "Unable to execute algorithm\nSTATIC: '<VRTDataset/>' is refused: it is inline XML, "
            "not a local file. Download or convert the raster to a GeoTIFF and give its path.",
        ),
    ],
)
def test_table_refuses(
    refused: Callable, landscape: Any, given: dict[str, Any], message: str
) -> None:
    rasters = [
        str(landscape.folder / name) if name.endswith(".tif") else name
        for name in given.get("STATIC", [])
    ]
    parameters = {**given, "OUTPUT": landscape.folder / "refused.csv"}
    if rasters:
        parameters["STATIC"] = rasters
    refused("covariatetable", parameters, message.replace("{folder}", str(landscape.folder)))
    assert not (landscape.folder / "refused.csv").exists()


def test_two_tiles_of_a_day_are_refused(run: Callable, landscape: Any, tmp_path: Path) -> None:
    twin = tmp_path / landscape.wet[0].name
    twin.write_bytes(landscape.wet[0].read_bytes())
    output = tmp_path / "table.csv"
    with pytest.raises(QgsProcessingException, match="wet"):
        run("covariatetable", {"DYNAMIC": [landscape.wet[0], twin], "OUTPUT": output})
    assert not output.exists()
