"""The graphical models that make covariates, run on the landscape that comes with the plugin."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import rasterio


@pytest.fixture(scope="module")
def shipped(root: Path) -> Path:
    return root / "resources" / "landscape"


def rows_of(table: str) -> list[dict[str, str]]:
    with Path(table).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_sentinel1_series(run: Callable, shipped: Path, tmp_path: Path) -> None:
    images = sorted((shipped / "field" / "s1").glob("*.tif"))
    found: dict[str, Any] = run(
        "Prepare Sentinel-1 series",
        {
            "IMAGES": [str(path) for path in images],
            "RESOLUTION": 30,
            "folder_of_the_series": str(tmp_path / "series"),
            "radar_statistics": str(tmp_path / "statistics.tif"),
            "covariate_table": str(tmp_path / "covariates.csv"),
            "report": str(tmp_path / "covariates.html"),
        },
    )
    series = sorted((tmp_path / "series").glob("*.tif"))
    assert len(series) == len(images)
    rows = rows_of(found["covariate_table"])
    dated = {row["covariate"] for row in rows if row["start"]}
    assert dated == {"VV", "VH", "angle"}
    assert {"VV_mean", "VH_sd"} <= {row["covariate"] for row in rows if not row["start"]}
    with rasterio.open(found["radar_statistics"]) as statistics:
        names = list(statistics.descriptions)
        means = statistics.read(names.index("VV_mean") + 1, masked=True)
        assert statistics.res == (30.0, 30.0)
    raw = []
    for path in images:
        with rasterio.open(path) as image:
            raw.append(image.read(1, masked=True) * image.scales[0])
    # averaging in linear power lifts a mean in dB by no more than speckle's 2.5 dB
    assert 0 <= float(means.mean()) - float(np.ma.mean(raw)) < 2.5
    assert (tmp_path / "covariates.html").stat().st_size > 1000


def test_terrain_and_soil(run: Callable, shipped: Path, tmp_path: Path) -> None:
    dem = shipped / "field" / "dem.tif"
    found = run(
        "Prepare terrain and soil",
        {
            "DEM": str(dem),
            "SOIL": [str(shipped / "region" / "soil.tif")],
            "terrain_covariates": str(tmp_path / "terrain.tif"),
            "folder_of_the_maps": str(tmp_path / "maps"),
            "covariate_table": str(tmp_path / "covariates.csv"),
            "report": str(tmp_path / "covariates.html"),
        },
    )
    rows = rows_of(found["covariate_table"])
    assert {"slope", "twi", "clay", "sand"} <= {row["covariate"] for row in rows}
    with rasterio.open(dem) as grid, rasterio.open(tmp_path / "maps" / "soil.tif") as soil:
        assert soil.shape == grid.shape
        assert soil.transform.almost_equals(grid.transform, 1e-9)


def test_coarse_moisture_series(run: Callable, shipped: Path, tmp_path: Path) -> None:
    found = run(
        "Prepare coarse moisture series",
        {
            "DOWNLOADS": str(shipped / "coarse"),
            "START": "2021-03-01",
            "END": "2021-03-31",
            "folder_of_the_series": str(tmp_path / "series"),
            "covariate_table": str(tmp_path / "covariates.csv"),
            "report": str(tmp_path / "covariates.html"),
        },
    )
    rows = rows_of(found["covariate_table"])
    assert {row["covariate"] for row in rows} == {"smap"}
    assert len(rows) == 31  # every day, though SMAP passes every second or third
    measured = shipped / "coarse" / "smap_20210304.tif"
    with rasterio.open(measured) as before:
        expected = before.read(1, masked=True) * before.scales[0] + before.offsets[0]
    with rasterio.open(tmp_path / "series" / "smap_20210304.tif") as after:
        values = after.read(1, masked=True)
    assert np.allclose(values, expected, atol=1e-6)
