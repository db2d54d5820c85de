"""Optical and thermal indices in QGIS: runs, chains and wrong input."""

from __future__ import annotations

import csv
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
S2 = {"B2": 0.05, "B3": 0.09, "B4": 0.08, "B8": 0.32, "B11": 0.24, "B12": 0.15, "SCL": 4}


def write(path: Path, bands: dict[str, float], *, dtype: str = "float32", cells: int = 4) -> Path:
    layers = np.array([np.full((cells, cells), value) for value in bands.values()])
    place: dict[str, Any] = {"crs": CRS, "cell": 1000 / cells, "corner": (500_000, 5_600_000)}
    return write_raster(path, layers, names=tuple(bands), dtype=dtype, **place)


@pytest.fixture
def scenes(tmp_path: Path) -> list[Path]:
    """Two days of Sentinel-2 as Earth Engine exports it."""
    folder = tmp_path / "Bilder ä"
    folder.mkdir()
    return [write(folder / f"S2_2021041{day}.tif", S2) for day in (1, 5)]


def read(path: str | Path) -> dict[str, float]:
    """Return the mean of each band by its name."""
    with rasterio.open(path) as dataset:
        values = dataset.read(masked=True).filled(np.nan).astype(float)
        return dict(zip(dataset.descriptions, values.mean(axis=(1, 2)).tolist()))


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_optical_indices(run: Callable, feedback: Any, scenes: list[Path], tmp_path: Path) -> None:
    told = feedback()
    folder = tmp_path / "out"
    result = run(
        "opticalindices",
        {"INPUT": scenes, "INDICES": ["ndvi", "ndmi", "albedo"], "OUTPUT": folder},
        told,
    )
    names = ["optical_20210411.tif", "optical_20210415.tif"]
    assert result == {"OUTPUT": str(folder), "LAYERS": [str(folder / name) for name in names]}
    for path in result["LAYERS"]:
        found = read(path)
        assert list(found) == ["NDVI", "NDMI", "albedo"]
        expected = [0.6, 1 / 7, 0.17696]  # Liang (2001), Landsat bands
        np.testing.assert_allclose(list(found.values()), expected, rtol=1e-6)
    assert "Sentinel-2: 2 dates, 2021-04-11 to 2021-04-15." in told.said
    assert told.warned == []
    assert told.fractions[-1] == pytest.approx(1)


def test_default_is_all_that_the_bands_permit(
    run: Callable, scenes: list[Path], tmp_path: Path
) -> None:
    result = run("opticalindices", {"INPUT": scenes[:1], "OUTPUT": tmp_path / "out"})
    found = list(read(result["LAYERS"][0]))
    assert found == ["NDVI", "EVI", "SAVI", "VARI", "NDII6", "NDII7", "NDMI", "GVMI", "albedo"]


def test_stored_numbers_with_scale_offset_and_mask(run: Callable, tmp_path: Path) -> None:
    bands = {"rot": 1800, "nir": 4200, "wolken": 7}
    scene = write(tmp_path / "s2_20230401.tif", bands, dtype="uint16")
    given = {
        "INPUT": [scene],
        "SENSOR": "sentinel-2",
        "INDICES": ["ndvi"],
        "BANDS": "red=rot",
        "SCALE": 0.0001,
        "OFFSET": -0.1,
        "CLOUD_BAND": "wolken",
        "CLEAR_VALUES": "5-8",
    }
    result = run("opticalindices", {**given, "OUTPUT": tmp_path / "out"})
    assert read(result["LAYERS"][0])["NDVI"] == pytest.approx(0.6, rel=1e-6)
    given["CLEAR_VALUES"] = "0"
    with pytest.raises(QgsProcessingException, match="No cell has a value on 2023-04-01"):
        run("opticalindices", {**given, "OUTPUT": tmp_path / "none"})


def test_from_reflectance_to_covariate_table(
    run: Callable, scenes: list[Path], tmp_path: Path
) -> None:
    """opticalindices → thermalindices → covariatetable: bands become covariates by their names."""
    optical = run(
        "opticalindices",
        {"INPUT": scenes, "INDICES": ["ndvi", "albedo"], "OUTPUT": tmp_path / "optical"},
    )
    modis = {"LST_Day_1km": 15_000, "LST_Night_1km": 14_250}
    heat = [
        write(tmp_path / f"MOD11A1_2021041{day}.tif", modis, dtype="uint16", cells=1)
        for day in (2, 6)
    ]
    thermal = run(
        "thermalindices",
        {"DAY": heat, "ALBEDO": optical["LAYERS"], "TOLERANCE": 3, "OUTPUT": tmp_path / "thermal"},
    )
    for path in thermal["LAYERS"]:
        found = read(path)
        assert found["delta_LST"] == pytest.approx(15, rel=1e-6)
        assert found["ATI"] == pytest.approx((1 - 0.17696) / 15, rel=1e-5)
    output = tmp_path / "covariates.csv"
    run(
        "covariatetable",
        {
            "DYNAMIC": [*optical["LAYERS"], *thermal["LAYERS"]],
            "GROUPS": "NDVI=optical;albedo=optical;delta_LST=thermal;ATI=thermal",
            "OUTPUT": output,
        },
    )
    rows = read_rows(output)
    assert [(row["covariate"], row["start"], row["group"]) for row in rows] == [
        ("NDVI", "2021-04-11", "optical"),
        ("albedo", "2021-04-11", "optical"),
        ("NDVI", "2021-04-15", "optical"),
        ("albedo", "2021-04-15", "optical"),
        ("delta_LST", "2021-04-12", "thermal"),
        ("ATI", "2021-04-12", "thermal"),
        ("delta_LST", "2021-04-16", "thermal"),
        ("ATI", "2021-04-16", "thermal"),
    ]
    assert rows[0]["path"] == "optical/optical_20210411.tif"
    assert [row["units"] for row in rows[4:6]] == ["K", "1/K"]


def test_date_of_a_layer_serves_files_without_one(run: Callable, tmp_path: Path) -> None:
    scene = write(tmp_path / "s2.tif", S2)
    layer = QgsRasterLayer(str(scene), "scene")
    temporal = layer.temporalProperties()
    temporal.setIsActive(True)
    temporal.setMode(Qgis.RasterTemporalMode.FixedTemporalRange)
    start = QDateTime.fromString("2020-05-03T00:00:00", Qt.DateFormat.ISODate)
    temporal.setFixedTemporalRange(QgsDateTimeRange(start, start.addDays(1)))
    QgsProject.instance().addMapLayer(layer)
    result = run("opticalindices", {"INPUT": [layer.id()], "OUTPUT": tmp_path / "out"})
    QgsProject.instance().removeMapLayer(layer.id())
    assert Path(result["LAYERS"][0]).name == "optical_20200503.tif"


def test_rasters_have_a_style(run: Callable, scenes: list[Path], tmp_path: Path) -> None:
    result = run("opticalindices", {"INPUT": scenes[:1], "OUTPUT": tmp_path / "out"})
    layer = QgsRasterLayer(result["LAYERS"][0], "indices")
    message, loaded = layer.loadDefaultStyle()
    assert loaded, message
    renderer = layer.renderer()
    assert renderer.type() == "singlebandpseudocolor"
    assert (renderer.classificationMin(), renderer.classificationMax()) == (-0.2, 1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"INDICES": ["ndii5"]},
            "NDII5 needs swir1240, which Sentinel-2 does not have (blue, green, red, nir, "
            "swir1640, swir2130). Leave NDII5 out of INDICES.",
        ),
        (
            {"SENSOR": "modis"},
            "None of the bands is known as one of MODIS: B2, B3, B4, B8, B11, B12, SCL. Map them "
            "by BANDS, for example red=B4;nir=B8; the roles are blue, green, red, nir, swir1240, "
            "swir1640, swir2130.",
        ),
        (
            {"CLOUD_BAND": "MSK"},
            "CLOUD_BAND: there is no band 'MSK' on 2021-04-11. Add its raster, correct the name, "
            "or set CLOUD_BAND to none.",
        ),
    ],
)
def test_optical_indices_refuse(
    refused: Callable, scenes: list[Path], tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "out"
    refused("opticalindices", {"INPUT": scenes, **given, "OUTPUT": folder}, message)
    assert not folder.exists()


def test_reflectance_without_its_scale_is_refused(refused: Callable, tmp_path: Path) -> None:
    scene = write(tmp_path / "S2_20210401.tif", {"B4": 800, "B8": 3200})
    refused(
        "opticalindices",
        {"INPUT": [scene], "OUTPUT": tmp_path / "out"},
        "band B4 of 'S2_20210401.tif' has values from 800 to 800, half of them above 800, as "
        "stored number: a scale factor is missing, reflectance lies between 0 and 1. Give SCALE "
        "and OFFSET: 0.0001 and 0 for MODIS and for Sentinel-2 until 24 January 2022 or "
        "harmonized, 0.0001 and -0.1 for Sentinel-2 from the next day on, 0.0000275 and -0.2 for "
        "Landsat Collection 2, 0.01 and 0 for percent.",
    )


def test_thermal_indices_refuse(refused: Callable, tmp_path: Path) -> None:
    day = write(tmp_path / "heat_20210401.tif", {"warm": 15_000}, dtype="uint16")
    night = write(tmp_path / "cold_20210402.tif", {"cold": 285})
    folder = tmp_path / "out"
    refused(
        "thermalindices",
        {"DAY": [day], "NIGHT": [night], "OUTPUT": folder},
        "'heat_20210401.tif' has values from 15000 to 15000, half of them above 15000, as "
        "stored number: these are no temperatures. A scale factor is missing: set SCALE to 0.02 "
        "for MODIS MOD11, MYD11 and MOD21.",
    )
    refused(
        "thermalindices",
        {"DAY": [day], "NIGHT": [night], "SCALE": 0.02, "OUTPUT": folder},
        "With SCALE 'heat_20210401.tif' is in kelvin and 'cold_20210402.tif' in degrees Celsius: "
        "not all rasters need SCALE. Set the scale of those that do (gdal_edit.py -scale) and "
        "leave SCALE empty.",
    )
    assert not folder.exists()


def test_cancelled_runs_end_with_an_error(
    run: Callable, feedback: Any, scenes: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run("opticalindices", {"INPUT": scenes, "OUTPUT": folder}, feedback(stop_at=4))
    assert not folder.exists()
