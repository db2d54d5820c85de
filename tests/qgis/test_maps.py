"""The algorithms that map: runs, grids, and wrong input."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from qgis.core import QgsProcessingException

WEST, NORTH, CELL = 500_000.0, 5_600_000.0, 100.0
FIELD = f"{WEST + 4200},{WEST + 5800},{NORTH - 4000},{NORTH - 2000} [EPSG:32633]"


@pytest.fixture
def given(chain: Any) -> dict[str, Any]:
    """Model, covariates and day of a map."""
    return {"MODEL": chain.spiked, "COVARIATES": chain.covariates, "DATE": "2021-04-09"}


def test_map_of_a_raster_grid(
    run: Callable, given: dict[str, Any], chain: Any, landscape: Any, tmp_path: Path
) -> None:
    unspiked = chain.model
    outputs = {"OUTPUT": tmp_path / "Karte ä.tif", "REASON": tmp_path / "reason.tif"}
    result = run("predict", {**given, "GRID": landscape.dem, "MASK": landscape.boundary, **outputs})
    with rasterio.open(result["OUTPUT"]) as dataset:
        names = ("moisture_mean", "moisture_sd", "moisture_q05", "moisture_q50", "moisture_q95")
        assert dataset.descriptions == names
        assert dataset.tags()["TIFFTAG_DATETIME"].startswith("2021:04:09")
        assert dataset.nodata == -9999
        assert (dataset.width, dataset.height) == (60, 60)
        bands = dataset.read(masked=True)
    with rasterio.open(result["REASON"]) as dataset:
        reason = dataset.read(1)
    inside = np.zeros((60, 60), dtype=bool)
    inside[20:40, 42:58] = True
    slope_known = np.zeros((60, 60), dtype=bool)
    slope_known[1:-1, 1:-1] = True
    assert (np.ma.getmaskarray(bands[0]) == ~(inside & slope_known)).all()
    assert (reason[~inside] == 255).all()
    assert (reason[inside] == 0).all()
    assert result["COVERAGE"] == 1.0
    assert (bands[2] <= bands[3]).all()
    assert (bands[3] <= bands[4]).all()
    truth = landscape_truth(landscape)
    error = np.asarray(bands[0] - truth)[inside]
    run("predict", {**given, "MODEL": unspiked, "GRID": landscape.dem, "OUTPUT": outputs["OUTPUT"]})
    with rasterio.open(outputs["OUTPUT"]) as dataset:
        before = (dataset.read(1) - truth)[inside]
    assert abs(error.mean()) < 0.5 * abs(before.mean())
    dry = tmp_path / "dry.tif"
    run("predict", {**given, "DATE": "2021-04-01", "GRID": landscape.dem, "OUTPUT": dry})
    with rasterio.open(dry) as dataset:
        rise = (np.asarray(bands[0]) - dataset.read(1))[inside]
    assert rise.min() > 0.03


def test_mask_in_degrees_is_brought_to_the_grid(
    run: Callable, given: dict[str, Any], landscape: Any, tmp_path: Path
) -> None:
    import processing

    degrees = tmp_path / "degrees.gpkg"
    target = {"TARGET_CRS": "EPSG:4326", "OUTPUT": str(degrees)}
    processing.run("native:reprojectlayer", {"INPUT": str(landscape.boundary), **target})
    first, second = tmp_path / "a.tif", tmp_path / "b.tif"
    grid = {"GRID": landscape.dem}
    run("predict", {**given, **grid, "MASK": landscape.boundary, "OUTPUT": first})
    run("predict", {**given, **grid, "MASK": degrees, "OUTPUT": second})
    with rasterio.open(first) as one, rasterio.open(second) as other:
        assert np.array_equal(one.read(), other.read())


def test_fallback_maps_what_the_model_cannot(
    run: Callable, given: dict[str, Any], chain: Any, landscape: Any, tmp_path: Path
) -> None:
    """In June there is no wetness, which the fallback does without."""
    static = tmp_path / "static.smm"
    fields = "clay;sand;elevation"
    training = {"INPUT": chain.split, "COVARIATES": fields, "TREES": 10, "MIN_LEAF": 3}
    run("trainmodel", {**training, "OUTPUT": static})
    outputs = {"OUTPUT": tmp_path / "map.tif", "REASON": tmp_path / "reason.tif"}
    june = {"DATE": "2021-06-01", "GRID": landscape.dem, "FALLBACK": static}
    result = run("predict", {**given, **june, **outputs})
    assert result["COVERAGE"] == 1.0
    with rasterio.open(outputs["REASON"]) as dataset:
        assert (dataset.read(1) == 1).all()


def landscape_truth(landscape: Any) -> np.ndarray:
    """Moisture of the field on 9 April 2021."""
    with rasterio.open(landscape.soil) as soil, rasterio.open(landscape.wet[2]) as wet:
        return 0.10 + 0.25 * wet.read(1) + 0.004 * (soil.read(1) - 20) + 0.08


def test_extent_cuts_a_raster_grid(
    run: Callable, given: dict[str, Any], landscape: Any, tmp_path: Path
) -> None:
    whole, part = tmp_path / "whole.tif", tmp_path / "part.tif"
    run("predict", {**given, "GRID": landscape.dem, "OUTPUT": whole})
    run("predict", {**given, "GRID": landscape.dem, "EXTENT": FIELD, "OUTPUT": part})
    with rasterio.open(whole) as one, rasterio.open(part) as other:
        assert other.transform.c, other.transform.f == (WEST + 4200, NORTH - 2000)
        assert (other.width, other.height) == (16, 20)
        assert np.array_equal(other.read(), one.read()[:, 20:40, 42:58])


def test_grid_of_an_extent(run: Callable, given: dict[str, Any], tmp_path: Path) -> None:
    output = tmp_path / "map.tif"
    run("predict", {**given, "EXTENT": FIELD, "RESOLUTION": 150, "OUTPUT": output})
    with rasterio.open(output) as dataset:
        assert (dataset.transform.c, dataset.transform.f) == (WEST + 4200, NORTH - 2000)
        assert (dataset.width, dataset.height) == (11, 14)
        assert dataset.res == (150, 150)
        assert dataset.crs.to_epsg() == 32633


def test_extent_without_a_system_takes_that_of_crs(
    run: Callable, given: dict[str, Any], tmp_path: Path
) -> None:
    output = tmp_path / "map.tif"
    plain = FIELD.split(" ")[0]
    grid = {"EXTENT": plain, "RESOLUTION": 200, "CRS": "EPSG:32633"}
    run("predict", {**given, **grid, "OUTPUT": output})
    with rasterio.open(output) as dataset:
        assert (dataset.transform.c, dataset.width, dataset.height) == (WEST + 4200, 8, 10)


@pytest.mark.parametrize("grid", ["GRID", "CRS"])
def test_extent_without_a_system_is_not_the_projects(
    run: Callable,
    given: dict[str, Any],
    landscape: Any,
    tmp_path: Path,
    project_crs: Callable,
    grid: str,
) -> None:
    """Where a grid or CRS says what the coordinates are in, they are, as in QGIS itself."""
    project_crs("EPSG:4326")
    output = tmp_path / "map.tif"
    place = {
        "GRID": {"GRID": landscape.dem},
        "CRS": {"CRS": "EPSG:32633", "RESOLUTION": 100},
    }[grid]
    run("predict", {**given, **place, "EXTENT": FIELD.split(" ")[0], "OUTPUT": output})
    with rasterio.open(output) as dataset:
        assert (dataset.transform.c, dataset.transform.f) == (WEST + 4200, NORTH - 2000)
        assert (dataset.width, dataset.height) == (16, 20)


def test_extent_without_a_system_or_a_grid_is_the_projects(
    run: Callable, given: dict[str, Any], tmp_path: Path, project_crs: Callable
) -> None:
    project_crs("EPSG:32633")
    output = tmp_path / "map.tif"
    place = {"EXTENT": FIELD.split(" ")[0], "RESOLUTION": 200}
    run("predict", {**given, **place, "OUTPUT": output})
    with rasterio.open(output) as dataset:
        assert dataset.crs.to_epsg() == 32633
        assert dataset.transform.c == WEST + 4200


def test_extent_in_degrees_is_brought_to_crs(
    run: Callable, given: dict[str, Any], tmp_path: Path
) -> None:
    from rasterio.warp import transform_bounds

    box = (WEST + 4200, NORTH - 4000, WEST + 5800, NORTH - 2000)
    west, south, east, north = transform_bounds("EPSG:32633", "EPSG:4326", *box)
    output = tmp_path / "map.tif"
    extent = f"{west},{east},{south},{north} [EPSG:4326]"
    grid = {"EXTENT": extent, "RESOLUTION": 200, "CRS": "EPSG:32633"}
    run("predict", {**given, **grid, "OUTPUT": output})
    with rasterio.open(output) as dataset:
        found = dataset.bounds
    assert found.left == pytest.approx(box[0], abs=60)
    assert found.top == pytest.approx(box[3], abs=60)


def test_quantiles_name_their_bands(run: Callable, given: dict[str, Any], tmp_path: Path) -> None:
    output = tmp_path / "map.tif"
    grid = {"EXTENT": FIELD, "RESOLUTION": 400}
    run("predict", {**given, **grid, "QUANTILES": "0.975, 0.025;0.1", "OUTPUT": output})
    with rasterio.open(output) as dataset:
        assert dataset.descriptions[2:] == ("moisture_q025", "moisture_q10", "moisture_q975")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {},
            "Neither GRID nor EXTENT is given. Choose a raster as GRID, or an EXTENT and a "
            "RESOLUTION.",
        ),
        (
            {"GRID": "dem", "RESOLUTION": 10, "CRS": "EPSG:32633"},
            "RESOLUTION and CRS cannot be given beside GRID. Leave GRID or them empty: with "
            "GRID, EXTENT alone cuts its cells.",
        ),
        (
            {"EXTENT": FIELD},
            "EXTENT is given without RESOLUTION. Give the cell size in CRS units.",
        ),
        (
            {"EXTENT": "5,5,7,8 [EPSG:32633]", "RESOLUTION": 1},
            "The extent 5, 7, 5, 8 (xmin, ymin, xmax, ymax) with resolution 1 makes a grid of "
            "zero size. Give an extent whose right and top edges lie beyond its left and bottom "
            "edges.",
        ),
        (
            {"EXTENT": "5,5,7,8 [EPSG:999999]", "RESOLUTION": 1},
            "EXTENT: 'EPSG:999999' is not a known coordinate system. Name one as in [EPSG:4326].",
        ),
        (
            {"EXTENT": "5,7,5,8", "RESOLUTION": 1, "CRS": "EPSG:999999"},
            "CRS: 'EPSG:999999' is not a known coordinate system. Name one as in EPSG:32633.",
        ),
        (
            {"GRID": "dem", "QUANTILES": "0.05;5"},
            "QUANTILES: '5' is not a number between 0 and 1. Give levels joined by semicolons, "
            "such as 0.05;0.5;0.95.",
        ),
        (
            {"GRID": "dem", "MODEL": "model.zip"},
            "Unable to execute algorithm\nIncorrect parameter value for MODEL",
        ),
        (
            {"GRID": "dem", "DATE": "9 April"},
            "Unable to execute algorithm\nIncorrect parameter value for DATE",
        ),
    ],
)
def test_map_refuses(
    refused: Callable,
    given: dict[str, Any],
    landscape: Any,
    tmp_path: Path,
    changed: dict[str, Any],
    message: str,
) -> None:
    if changed.get("GRID") == "dem":
        changed = {**changed, "GRID": landscape.dem}
    output = tmp_path / "map.tif"
    refused("predict", {**given, **changed, "OUTPUT": output}, message)
    assert not list(tmp_path.iterdir())


def test_day_without_covariates_names_the_nearest(
    run: Callable, given: dict[str, Any], landscape: Any, tmp_path: Path
) -> None:
    with pytest.raises(QgsProcessingException, match="2021-04-21"):
        run(
            "predict",
            {
                **given,
                "DATE": "2021-06-01",
                "GRID": landscape.dem,
                "OUTPUT": tmp_path / "map.tif",
            },
        )
    assert not list(tmp_path.iterdir())


def test_series(run: Callable, given: dict[str, Any], landscape: Any, tmp_path: Path) -> None:
    given = {name: value for name, value in given.items() if name != "DATE"}
    grid = {"GRID": landscape.dem, "EXTENT": FIELD}
    folder = tmp_path / "Karten"
    days = {"START": "2021-04-01", "END": "2021-04-10", "STEP": 4}
    result = run(
        "predictseries",
        {**given, **days, **grid, "OUTPUT": folder, "SUMMARY": tmp_path / "summary.csv"},
    )
    names = [Path(layer).name for layer in result["LAYERS"]]
    assert names == [f"moisture_2021040{day}.tif" for day in (1, 5, 9)]
    with (tmp_path / "summary.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["date"] for row in rows] == ["2021-04-01", "2021-04-05", "2021-04-09"]
    assert list(rows[0]) == ["date", "coverage", "mean", "sd"]
    single = tmp_path / "single.tif"
    run("predict", {**given, "DATE": "2021-04-09", **grid, "OUTPUT": single})
    with rasterio.open(single) as one, rasterio.open(folder / names[-1]) as other:
        assert np.array_equal(one.read(), other.read())
        assert float(rows[-1]["mean"]) == pytest.approx(
            float(one.read(1, masked=True).mean()), rel=1e-5
        )


def test_series_of_single_days(run: Callable, given: dict[str, Any], tmp_path: Path) -> None:
    del given["DATE"]
    grid = {"EXTENT": FIELD, "RESOLUTION": 400}
    days = {"DATES": "2021-04-09; 2021-04-01"}
    result = run("predictseries", {**given, **days, **grid, "OUTPUT": tmp_path / "maps"})
    names = [Path(layer).name for layer in result["LAYERS"]]
    assert names == ["moisture_20210401.tif", "moisture_20210409.tif"]


def test_series_into_a_temporary_folder(run: Callable, given: dict[str, Any]) -> None:
    del given["DATE"]
    grid = {"EXTENT": FIELD, "RESOLUTION": 400, "DATES": "2021-04-09"}
    result = run("predictseries", {**given, **grid, "OUTPUT": "TEMPORARY_OUTPUT"})
    assert Path(result["LAYERS"][0]).parent == Path(result["OUTPUT"])
    assert Path(result["LAYERS"][0]).is_file()


@pytest.mark.parametrize(
    ("days", "message"),
    [
        ({}, "No days are given. Give START and END, or DATES."),
        (
            {"START": "2021-04-02", "END": "2021-04-01"},
            "The end 2021-04-01 lies before the start 2021-04-02. Swap them.",
        ),
        (
            {"START": "2021-04-02", "DATES": "2021-04-01"},
            "DATES is given beside START or END. Give one or the other.",
        ),
        (
            {"DATES": "1.4.2021"},
            "DATES: '1.4.2021' is not a date. Give days as YYYY-MM-DD, joined by semicolons.",
        ),
    ],
)
def test_series_refuses(
    refused: Callable,
    given: dict[str, Any],
    tmp_path: Path,
    days: dict[str, str],
    message: str,
) -> None:
    del given["DATE"]
    grid = {"EXTENT": FIELD, "RESOLUTION": 400}
    refused("predictseries", {**given, **days, **grid, "OUTPUT": tmp_path / "m"}, message)
