"""The graphical model "Field moisture map" in `qgis_process`, by path and by id."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

MODEL_ID = "soilmoisture:Field moisture map"
OUTPUTS = {
    "soil_moisture": "tif",
    "why_cells_are_empty": "tif",
    "terrain_covariates_of_the_field": "tif",
    "radar_statistics_of_the_field": "tif",
    "covariate_table_of_the_field": "csv",
    "probes_with_their_roles": "gpkg",
    "regional_model": "smm",
    "model_of_the_field": "smm",
    "training_report": "html",
    "training_metrics": "csv",
    "spiking_report": "html",
    "spiking_metrics": "csv",
    "validation_report": "html",
    "validation_metrics": "csv",
    "residuals": "gpkg",
}

Run = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="module")
def qgis_process(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Run:
    """Run the program with the plugin enabled in a new profile."""
    program = shutil.which("qgis_process")
    if program is None:
        pytest.skip("qgis_process is not installed")
    profile = tmp_path_factory.mktemp("profile")
    (profile / "plugins").mkdir()
    (profile / "plugins" / "soil_moisture_mapper").symlink_to(root, target_is_directory=True)
    environment = {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "QGIS_PLUGINPATH": str(profile / "plugins"),
        "QGIS_CUSTOM_CONFIG_PATH": str(profile),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path.startswith(sys.prefix)),
        "LC_ALL": "C.UTF-8",
        "GDAL_PAM_ENABLED": "NO",
        **{f"XDG_{name}": str(profile) for name in ("CONFIG_HOME", "CACHE_HOME", "DATA_HOME")},
    }

    def run(*arguments: str, **inputs: Any) -> subprocess.CompletedProcess:
        return subprocess.run(
            [program, "--json", *arguments],
            input=json.dumps({"inputs": inputs}) if inputs else None,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    enabled = run("plugins", "enable", "soil_moisture_mapper")
    assert enabled.returncode == 0, enabled.stderr
    return run


@pytest.fixture(scope="module")
def inputs(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The shipped landscape with fewer readings, so that a run is quick."""
    landscape = root / "resources" / "landscape"
    folder = tmp_path_factory.mktemp("few readings")

    def rasters(*patterns: str) -> list[str]:
        return [str(path) for pattern in patterns for path in sorted(landscape.glob(pattern))]

    return {
        "STATIONS": thin(landscape / "stations.csv", folder / "stations.csv", 2, 4),
        "REGION_DEM": str(landscape / "region" / "dem.tif"),
        "REGION_RADAR": rasters("region/s1/*.tif"),
        "REGION_STATIC": rasters("region/soil.tif"),
        "REGION_DYNAMIC": rasters("region/ndvi/*.tif", "coarse/*.tif"),
        "PROBES": thin(landscape / "probes.csv", folder / "probes.csv", 3, 4),
        "FIELD_DEM": str(landscape / "field" / "dem.tif"),
        "FIELD_RADAR": rasters("field/s1/*.tif"),
        "FIELD_STATIC": rasters("field/soil.tif"),
        "FIELD_DYNAMIC": rasters("field/ndvi/*.tif", "coarse/*.tif"),
        "DATE": "2021-07-23",
        "MASK": str(landscape / "field" / "boundary.geojson"),
        "BASELINE": "smap",
    }


def thin(source: Path, target: Path, stations: int, days: int) -> str:
    """Write every so many stations and days of a table of readings."""
    with source.open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    names = sorted({row["station"] for row in rows})[::stations]
    dates = sorted({row["date"] for row in rows})[::days]
    with target.open("w", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if row["station"] in names and row["date"] in dates)
    return str(target)


def test_help_lists_inputs_and_outputs(qgis_process: Run) -> None:
    result = qgis_process("help", MODEL_ID)
    assert result.returncode == 0, result.stderr
    described = json.loads(result.stdout)
    assert set(described["outputs"]) == set(OUTPUTS)
    assert {"STATIONS", "PROBES", "REGION_DEM", "FIELD_DEM", "DATE"} <= set(described["parameters"])
    assert described["algorithm_details"]["short_description"]


def test_optional_inputs_can_be_left_out(
    qgis_process: Run, inputs: dict[str, Any], tmp_path: Path
) -> None:
    left = {
        name: value
        for name, value in inputs.items()
        if not name.endswith(("_STATIC", "_DYNAMIC")) and name not in ("MASK", "BASELINE")
    }
    outputs = {name: str(tmp_path / f"{name}.{kind}") for name, kind in OUTPUTS.items()}
    result = qgis_process("run", MODEL_ID, "-", **left, **outputs)
    assert result.returncode == 0, result.stderr
    with Path(outputs["covariate_table_of_the_field"]).open(encoding="utf-8") as text:
        names = {row["covariate"] for row in csv.DictReader(text)}
    assert {"slope", "VV", "VV_mean"} <= names
    assert not {"clay", "smap", "ndvi"} & names


@pytest.mark.parametrize("by", ["id", "path"])
def test_whole_chain_in_one_run(
    qgis_process: Run, inputs: dict[str, Any], root: Path, tmp_path: Path, by: str
) -> None:
    path = root / "resources" / "models" / "field_moisture_map.model3"
    algorithm = MODEL_ID if by == "id" else str(path)
    outputs = {name: str(tmp_path / f"{name}.{kind}") for name, kind in OUTPUTS.items()}
    result = qgis_process("run", algorithm, "-", **inputs, **outputs)
    assert result.returncode == 0, result.stderr
    assert set(json.loads(result.stdout)["results"]) >= set(OUTPUTS)
    assert all(Path(file).stat().st_size > 0 for file in outputs.values())
    with rasterio.open(outputs["soil_moisture"]) as moisture:
        assert moisture.descriptions[0] == "moisture_mean"
        mean = moisture.read(1, masked=True)
    assert mean.count() == 8000
    assert 0.15 < mean.mean() < 0.4
    check_kept_table(Path(outputs["covariate_table_of_the_field"]), tmp_path)
    with Path(outputs["spiking_metrics"]).open(encoding="utf-8") as text:
        overall = {row["source"]: row for row in csv.DictReader(text) if row["scope"] == "overall"}
    assert abs(float(overall["after"]["me"])) < 0.5 * abs(float(overall["before"]["me"]))


def check_kept_table(table: Path, folder: Path) -> None:
    """The table that stays points to no raster that is gone."""
    with table.open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    paths = {row["path"] for row in rows}
    assert all((folder / path).exists() for path in paths)
    assert {"terrain_covariates_of_the_field.tif", "radar_statistics_of_the_field.tif"} <= paths
    assert {row["covariate"] for row in rows} >= {"twi", "VV_mean", "VV", "clay", "ndvi", "smap"}
    assert len(np.unique([row["group"] for row in rows])) >= 5
