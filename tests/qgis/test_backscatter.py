"""Radar images in QGIS: a series, what is made from it, and wrong input."""

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
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterMultipleLayers,
    QgsProject,
    QgsRasterLayer,
)
from raster_files import write_raster

NAMES = ("VV", "VH", "angle")
DAYS = ("20210401", "20210407", "20210413")


def write(path: Path, values: np.ndarray, names: tuple[str, ...] = NAMES, **tags: str) -> Path:
    place: dict[str, Any] = {"crs": "EPSG:32633", "corner": (500_000, 5_600_000), "nodata": np.nan}
    return write_raster(path, values, names=names, dtype="float32", tags=tags, **place)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Three days with half of the power in every second row: means of 3/4."""
    paths = []
    for number, day in enumerate(DAYS):
        power = np.full((40, 60), 0.1 * (1 + number) / 2)
        power[::2] /= 2
        vv = 10 * np.log10(power)
        values = np.stack([vv, vv - 7, np.full_like(vv, 38.0)])
        paths.append(write(tmp_path / f"S1A_IW_GRDH_1SDV_{day}T055316.tif", values))
    return paths


LEVELS = [10 * np.log10(0.1 * 0.75 * (1 + number) / 2) for number in range(3)]


def test_series_statistics_and_table(run: Callable, images: list[Path], tmp_path: Path) -> None:
    result = run("preparebackscatter", {"INPUT": images[::-1], "OUTPUT": tmp_path / "Radar ä"})
    assert result["OUTPUT"] == str(tmp_path / "Radar ä")
    assert [Path(path).name for path in result["LAYERS"]] == [f"s1_{day}.tif" for day in DAYS]
    for path, level in zip(result["LAYERS"], LEVELS):
        with rasterio.open(path) as dataset:
            assert dataset.descriptions == NAMES
            found = dataset.read()
        assert found.shape == (3, 4, 6)
        for band, value in zip(found, (level, level - 7, 38)):
            np.testing.assert_allclose(band, value, rtol=0, atol=2e-6)
    given = {"INPUT": result["LAYERS"], "MIN_DATES": 3, "OUTPUT": tmp_path / "statistics.tif"}
    run("temporalstatistics", given)
    with rasterio.open(tmp_path / "statistics.tif") as dataset:
        bands = dict(zip(dataset.descriptions, dataset.read()[:, 0, 0]))
    assert bands["VV_mean"] == pytest.approx(np.mean(LEVELS), abs=1e-5)
    assert bands["VH_sd"] == pytest.approx(np.std(LEVELS), abs=1e-5)
    table = tmp_path / "covariates.csv"
    run("covariatetable", {"DYNAMIC": result["LAYERS"], "OUTPUT": table})
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 9
    assert {(row["covariate"], row["units"]) for row in rows} == {
        ("VV", "dB"),
        ("VH", "dB"),
        ("angle", "degree"),
    }
    assert sorted({row["start"] for row in rows}) == ["2021-04-01", "2021-04-07", "2021-04-13"]


def test_settings_reach_the_core(run: Callable, tmp_path: Path) -> None:
    power = np.full((2, 20, 20), 0.05)
    power[:, :, ::2] = 0.2  # −7 dB: above VV_MAX −8, VH_MAX −9
    power[:, :12, 8:10] = np.nan
    path = write(tmp_path / "20210401.tif", power, ("b1", "b2"), orbit_state="descending")
    given = {
        "INPUT": [path],
        "BANDS": "VH=b1;VV=b2",
        "UNITS": "linear",
        "VV_MAX": -8,
        "VH_MAX": -9,
        "RESOLUTION": 40,
        "FILTER": False,
        "MIN_VALID": 0.45,
        "OUTPUT": tmp_path / "out",
    }
    result = run("preparebackscatter", given)
    assert [Path(path).name for path in result["LAYERS"]] == ["s1_desc_20210401.tif"]
    with rasterio.open(result["LAYERS"][0]) as dataset:
        assert dataset.descriptions == ("VV", "VH")
        found = dataset.read(1, masked=True)
    assert found.shape == (5, 5)
    # 4 of 16 are left where two columns are missing, else 8
    lost = np.zeros((5, 5), dtype=bool)
    lost[:3, 2] = True
    np.testing.assert_array_equal(found.mask, lost)
    np.testing.assert_allclose(found.compressed(), 10 * np.log10(0.05), atol=1e-6)


def test_layers_and_extent_in_another_system(
    run: Callable, images: list[Path], tmp_path: Path
) -> None:
    layers = [QgsRasterLayer(str(path), path.stem) for path in images]
    QgsProject.instance().addMapLayers(layers)
    box = "15.00005,15.0026,50.5483,50.5503 [EPSG:4326]"
    given = {"INPUT": [layer.id() for layer in layers], "EXTENT": box}
    result = run("preparebackscatter", {**given, "OUTPUT": tmp_path / "out"})
    QgsProject.instance().removeMapLayers([layer.id() for layer in layers])
    assert len(result["LAYERS"]) == 3
    with rasterio.open(result["LAYERS"][1]) as dataset:
        assert dataset.bounds.left == 500_000
        assert dataset.width < 6
        np.testing.assert_allclose(dataset.read(1), LEVELS[1], atol=2e-6)


def test_extent_without_a_system_is_in_that_of_the_images(
    run: Callable, images: list[Path], tmp_path: Path, project_crs: Callable
) -> None:
    project_crs("EPSG:4326")
    given = {"INPUT": images, "EXTENT": "500000,500200,5599800,5600000"}
    result = run("preparebackscatter", {**given, "OUTPUT": tmp_path / "out"})
    with rasterio.open(result["LAYERS"][0]) as dataset:
        assert dataset.bounds == (500_000, 5_599_800, 500_200, 5_600_000)


def test_model_goes_on_from_the_layers(
    provider: Any, feedback: type, images: list[Path], tmp_path: Path
) -> None:
    model = QgsProcessingModelAlgorithm("radar", "")
    kind = Qgis.ProcessingSourceType.Raster
    several = QgsProcessingParameterMultipleLayers("IMAGES", "images", kind)
    model.addModelParameter(several, QgsProcessingModelParameter("IMAGES"))
    source = QgsProcessingModelChildParameterSource
    prepare = QgsProcessingModelChildAlgorithm("soilmoisture:preparebackscatter")
    prepare.setChildId("prepare")
    prepare.addParameterSources("INPUT", [source.fromModelParameter("IMAGES")])
    model.addChildAlgorithm(prepare)
    statistics = QgsProcessingModelChildAlgorithm("soilmoisture:temporalstatistics")
    statistics.setChildId("statistics")
    statistics.addParameterSources("INPUT", [source.fromChildOutput("prepare", "LAYERS")])
    statistics.addParameterSources("MIN_DATES", [source.fromStaticValue(2)])
    output = QgsProcessingModelOutput("statistics", "statistics")
    output.setChildId("statistics")
    output.setChildOutputName("OUTPUT")
    statistics.setModelOutputs({"statistics": output})
    model.addChildAlgorithm(statistics)
    model.initAlgorithm()
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    key = "statistics:statistics"
    given = {"IMAGES": [str(path) for path in images], key: str(tmp_path / "statistics.tif")}
    _, done = model.run(given, context, feedback())
    assert done
    with rasterio.open(given[key]) as dataset:
        assert "VH_max" in dataset.descriptions
        index = dataset.descriptions.index("VH_max") + 1
        np.testing.assert_allclose(dataset.read(index), max(LEVELS) - 7, atol=2e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"UNITS": "linear"},
            "VV in 'S1A_IW_GRDH_1SDV_20210401T055316.tif' holds values from -16.02 to -13.01 "
            "(median -14.52): that is dB, not linear power. Set UNITS to db.",
        ),
        (
            {"RESOLUTION": 5},
            "RESOLUTION 5 is finer than the cells of the image "
            "'S1A_IW_GRDH_1SDV_20210401T055316.tif' (10). Give 10 or more.",
        ),
        (
            {"VV_MIN": -4},
            "VV_MIN -4 is not below VV_MAX -5. Give the lower end of the valid range first.",
        ),
        (
            {"BANDS": "HH;HV"},
            "No image has a band of backscatter called HH, HV: "
            + "; ".join(f"'S1A_IW_GRDH_1SDV_{day}T055316.tif' (VV, VH, angle)" for day in DAYS)
            + ". Say in BANDS what the bands are called, as VV=Sigma0_VV_db;VH=Sigma0_VH_db.",
        ),
        (
            {"EXTENT": "0,10,0,10 [EPSG:32633]"},
            "The extent 0, 0, 10, 10 touches no cell of the grid, whose edges are 500000, "
            "5.5996e+06, 500600, 5.6e+06 (xmin, ymin, xmax, ymax). Give an extent inside the "
            "grid, in the grid's coordinate reference system.",
        ),
    ],
)
def test_wrong_input(
    refused: Callable, images: list[Path], tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    output = tmp_path / "out"
    refused("preparebackscatter", {"INPUT": images, **settings, "OUTPUT": output}, message)
    assert not output.exists()


def test_warnings_reach_the_log(
    run: Callable, feedback: type, images: list[Path], tmp_path: Path
) -> None:
    other = write(tmp_path / "dem_20210401.tif", np.full((1, 4, 4), 300.0), ("elevation",))
    log = feedback()
    run("preparebackscatter", {"INPUT": [*images, other], "OUTPUT": tmp_path / "out"}, log)
    assert log.warned == [
        "Images without a band VV, VH, angle are left out: 'dem_20210401.tif' (elevation)."
    ]
    assert "3 dates, unknown orbit: 2021-04-01 to 2021-04-13." in log.said
    assert log.fractions[-1] == pytest.approx(1.0)


def test_cancel_leaves_nothing(
    run: Callable, feedback: type, images: list[Path], tmp_path: Path
) -> None:
    for stop_at in (1, 6, 14):
        with pytest.raises(QgsProcessingException, match="Cancelled"):
            run(
                "preparebackscatter",
                {"INPUT": images, "OUTPUT": tmp_path / "out"},
                feedback(stop_at),
            )
        assert not (tmp_path / "out").exists()
