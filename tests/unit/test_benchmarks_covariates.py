"""The benchmarks of covariates notice wrong values and form their table; no speed is measured."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from soil_moisture_mapper.benchmarks import covariates, covariates_data
from soil_moisture_mapper.benchmarks.found import Found
from soil_moisture_mapper.benchmarks.table import Target


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small DEM, images and a series, and what the children of the benchmarks make of them."""
    folder = tmp_path_factory.mktemp("covariates")
    dem = covariates_data.write_dem(folder / "dem.tif", 640)
    scenes = covariates_data.write_scenes(folder / "scenes", 80, 2)
    series = covariates_data.write_series(folder / "series", 100, 12)
    names = ",".join(covariates.WITHOUT_TWI)
    runs = [
        covariates.child_terrain(str(dem), str(folder / "terrain.tif"), names),
        covariates.child_backscatter(str(folder / "scenes"), str(folder / "s1"), "100"),
        covariates.child_statistics(str(folder / "series"), "12", str(folder / "statistics.tif")),
    ]
    assert all(run["seconds"] > 0 and run["peak"] > 50 for run in runs)
    checks = {
        "terrain": lambda path: covariates._check_terrain(dem, path),
        "s1": lambda path: covariates._check_backscatter(scenes[0], path),
        "statistics": lambda path: covariates._check_statistics(series, path),
    }
    files = {
        "terrain": folder / "terrain.tif",
        "s1": folder / "s1" / scenes[0].name,
        "statistics": folder / "statistics.tif",
    }
    return SimpleNamespace(series=series, checks=checks, files=files)


@pytest.mark.parametrize("kind", ["terrain", "s1", "statistics"])
def test_right_values_are_exact_and_wrong_ones_are_noticed(made, tmp_path, kind):
    """A second band that is off by its last digits is not exact."""
    assert made.checks[kind](made.files[kind]).exact
    spoilt = tmp_path / "spoilt.tif"
    shutil.copyfile(made.files[kind], spoilt)
    with rasterio.open(spoilt, "r+") as raster:
        values = raster.read(2)
        values[values != -9999] *= 1 + 1e-6
        raster.write(values, 2)
    assert not made.checks[kind](spoilt).exact


def test_every_date_has_a_file(made):
    assert len({path.name for path in made.series}) == 12
    assert all(path.is_file() for path in made.series)


def test_cells_that_are_missing_elsewhere_are_noticed():
    written = np.float32([1.0, -9999.0])
    found, _ = covariates._beyond_rounding(written, np.array([1.0, 2.0]))
    assert np.isinf(found).all()
    found, zeros = covariates._beyond_rounding(written, np.array([1.0, np.nan]))
    assert found == zeros == 0


def test_table():
    found = Found(
        (
            Target("terrain", 0.7, 2.345),
            Target("memory", 1500, 1600.0, most=True, unit="MB"),
            Target("no gdaldem", 0.7, None),
        ),
        (("wetness", "1.5 Mpixel/s"),),
    )
    assert found.form("covariates").splitlines() == [
        "| covariates |    target |     measured | reached |",
        "|------------|----------:|-------------:|--------:|",
        "| terrain    |   ≥ 0.7 × |       2.35 × |     yes |",
        "| memory     | ≤ 1500 MB |      1600 MB |      no |",
        "| no gdaldem |   ≥ 0.7 × | not measured |       – |",
        "| wetness    |         – | 1.5 Mpixel/s |       – |",
    ]
