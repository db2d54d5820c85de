"""The plugin in the `qgis_process` program, in a profile of its own."""

from __future__ import annotations

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

Run = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="module")
def qgis_process(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Run:
    """Run the program with the plugin enabled in a new profile."""
    program = shutil.which("qgis_process")
    if program is None:
        pytest.skip("qgis_process is not installed")
    profile = tmp_path_factory.mktemp("Profil ä")
    plugins = profile / "plugins"
    plugins.mkdir()
    (plugins / "soil_moisture_mapper").symlink_to(root, target_is_directory=True)
    packages = [path for path in sys.path if path.startswith(sys.prefix)]
    environment = {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "QGIS_PLUGINPATH": str(plugins),
        "QGIS_CUSTOM_CONFIG_PATH": str(profile),
        "PYTHONPATH": os.pathsep.join(packages),
        "LC_ALL": "C.UTF-8",
        **{f"XDG_{name}": str(profile) for name in ("CONFIG_HOME", "CACHE_HOME", "DATA_HOME")},
    }

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [program, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    enabled = run("plugins", "enable", "soil_moisture_mapper")
    assert enabled.returncode == 0, enabled.stderr
    return run


def test_list_holds_every_algorithm(qgis_process: Run, provider: Any) -> None:
    result = qgis_process("--json", "list")
    assert result.returncode == 0, result.stderr
    listed = json.loads(result.stdout)["providers"]["soilmoisture"]
    assert listed["name"] == "Soil moisture"
    expected = {algorithm.id() for algorithm in provider.algorithms()}
    assert set(listed["algorithms"]) == expected


def test_help_shows_parameters_and_outputs(qgis_process: Run) -> None:
    result = qgis_process("--json", "help", "soilmoisture:trainmodel")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["algorithm_details"]["short_description"].startswith("Trains a quantile")
    assert {"INPUT", "TREES", "OUTPUT"} <= set(document["parameters"])
    assert set(document["outputs"]) == {"OUTPUT", "REPORT", "METRICS", "RMSE", "R2"}


def test_run_writes_and_reports_numbers(qgis_process: Run, chain: Any, tmp_path: Path) -> None:
    output = tmp_path / "Modell 1.smm"
    result = qgis_process(
        "--json",
        "run",
        "soilmoisture:trainmodel",
        f"--INPUT={chain.split}",
        "--TREES=5",
        "--MIN_LEAF=3",
        "--GROUPS=landcover",
        "--METHOD=qrf",
        f"--OUTPUT={output}",
    )
    assert result.returncode == 0, result.stderr
    results = json.loads(result.stdout)["results"]
    assert results["OUTPUT"] == str(output)
    assert 0 < results["RMSE"] < 0.06
    assert output.is_file()


def test_map_of_an_extent(qgis_process: Run, chain: Any, tmp_path: Path) -> None:
    output = tmp_path / "map.tif"
    result = qgis_process(
        "run",
        "soilmoisture:predict",
        f"--MODEL={chain.spiked}",
        f"--COVARIATES={chain.covariates}",
        "--DATE=2021-04-09",
        "--EXTENT=504200,505800,5596000,5598000 [EPSG:32633]",
        "--RESOLUTION=200",
        f"--OUTPUT={output}",
    )
    assert result.returncode == 0, result.stderr
    assert "COVERAGE:\t1" in result.stdout
    assert output.is_file()


def test_extent_without_a_system_is_refused(qgis_process: Run, chain: Any, tmp_path: Path) -> None:
    result = qgis_process(
        "run",
        "soilmoisture:predict",
        f"--MODEL={chain.spiked}",
        f"--COVARIATES={chain.covariates}",
        "--DATE=2021-04-09",
        "--EXTENT=504200,505800,5596000,5598000",
        "--RESOLUTION=200",
        f"--OUTPUT={tmp_path / 'map.tif'}",
    )
    assert result.returncode != 0
    assert "EXTENT has no coordinate system." in result.stdout + result.stderr


def test_terrain_of_a_real_dem_is_that_of_saga(
    qgis_process: Run, shared_data: Path, tmp_path: Path
) -> None:
    """Slope to 1e-4 degree, profile and plan curvature to 1e-6 with their signs, at every cell."""
    saga = shared_data / "rasters" / "terrain_saga_ecuador_10m.tif"
    output = tmp_path / "terrain.tif"
    result = qgis_process(
        "run",
        "soilmoisture:terraincovariates",
        f"--INPUT={saga}",
        "--BAND=4",
        "--PARAMETERS=slope,profile_curvature,plan_curvature",
        f"--OUTPUT={output}",
    )
    assert result.returncode == 0, result.stderr
    with rasterio.open(saga) as source:
        names = {"slope": "slope", "profile_curvature": "cprof", "plan_curvature": "cplan"}
        bands = [source.descriptions.index(name) + 1 for name in names.values()]
        expected = source.read(bands).astype(float)
    with rasterio.open(output) as source:
        assert list(source.descriptions) == list(names)
        found = source.read(masked=True).astype(float).filled(np.nan)
    common = np.isfinite(found).all(axis=0) & np.isfinite(expected).all(axis=0)
    assert common.sum() > 156_000
    difference = np.abs(found - expected)[:, common].max(axis=1)
    assert (difference < (1e-4, 1e-6, 1e-6)).all(), difference
    assert (np.sign(found[1:]) == np.sign(expected[1:]))[:, common].all()


def test_wrong_input_fails_with_its_message(qgis_process: Run, chain: Any, tmp_path: Path) -> None:
    output = tmp_path / "a.smm"
    result = qgis_process(
        "run",
        "soilmoisture:trainmodel",
        f"--INPUT={chain.split}",
        "--TARGET=water",
        f"--OUTPUT={output}",
    )
    assert result.returncode != 0
    assert "There is no field 'water'." in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert not output.exists()
