"""The area of applicability on the landscape: runs, chained outputs, and wrong input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

BANDS = ("dissimilarity", "inside", "local_point_density")


@pytest.fixture
def given(chain: Any, landscape: Any) -> dict[str, Any]:
    """All that a map of applicability needs beside its model."""
    return {"COVARIATES": chain.covariates, "DATE": "2021-04-09", "GRID": landscape.dem}


def read(path: str | Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(masked=True).filled(np.nan)


def test_spiking_brings_the_field_inside(
    run: Callable, given: dict[str, Any], chain: Any, landscape: Any, tmp_path: Path
) -> None:
    shares = {}
    for name, model in (("before", chain.model), ("after", chain.spiked)):
        out, error = tmp_path / f"{name} ä.tif", tmp_path / f"{name} Fehler.tif"
        mask = {"MASK": landscape.boundary}
        result = run(
            "applicability",
            {**given, **mask, "MODEL": model, "OUTPUT": out, "EXPECTED_ERROR": error},
        )
        assert (result["OUTPUT"], result["EXPECTED_ERROR"]) == (str(out), str(error))
        with rasterio.open(out) as dataset:
            assert dataset.descriptions == BANDS
            assert dataset.tags()["TIFFTAG_DATETIME"].startswith("2021:04:09")
            assert (dataset.width, dataset.height, dataset.nodata) == (60, 60, -9999)
        assert out.with_suffix(".qml").exists() and error.with_suffix(".qml").exists()
        di, inside, density = read(out)
        field = np.zeros((60, 60), dtype=bool)
        field[20:40, 42:58] = True
        assert (np.isfinite(di) == field).all()
        assert result["COVERAGE"] == 1.0
        assert ((di[field] <= result["THRESHOLD"]) == inside[field]).all()
        assert ((density[field] > 0) == inside[field]).mean() > 0.99
        assert result["INSIDE"] == pytest.approx(inside[field].mean())
        expected = read(error)[0]
        assert 0 < np.nanmin(expected) <= np.nanmax(expected) < 0.1
        shares[name] = result["INSIDE"]
    assert shares["after"] > shares["before"] + 0.2


def test_threshold_rules_and_the_grid_of_an_extent(
    run: Callable, given: dict[str, Any], chain: Any, tmp_path: Path
) -> None:
    place = {"EXTENT": "504200,505800,5596000,5598000 [EPSG:32633]"}
    found = {}
    for rule in ("fence", "whisker"):
        out = tmp_path / f"{rule}.tif"
        more = {**place, "MODEL": chain.model, "THRESHOLD_RULE": rule, "OUTPUT": out}
        found[rule] = run("applicability", {**given, **more})
        assert "EXPECTED_ERROR" not in found[rule]
        assert read(out).shape == (3, 20, 16)
    assert found["whisker"]["THRESHOLD"] < found["fence"]["THRESHOLD"]
    assert found["whisker"]["INSIDE"] <= found["fence"]["INSIDE"]
    own = {**given, "MODEL": chain.model, "OUTPUT": tmp_path / "own.tif"}
    own.pop("GRID")
    run("applicability", {**own, **place, "RESOLUTION": 100})
    np.testing.assert_array_equal(read(own["OUTPUT"]), read(tmp_path / "fence.tif"))


def test_mask_for_the_prediction_is_made_of_it(
    run: Callable, given: dict[str, Any], chain: Any, tmp_path: Path
) -> None:
    """The map and the band inside fit cell by cell: what is outside can be masked."""
    import processing

    area, moisture = tmp_path / "area.tif", tmp_path / "moisture.tif"
    run("applicability", {**given, "MODEL": chain.model, "OUTPUT": area})
    run("predict", {**given, "MODEL": chain.model, "OUTPUT": moisture})
    kept = processing.run(
        "gdal:rastercalculator",
        {
            "INPUT_A": str(moisture),
            "BAND_A": 1,
            "INPUT_B": str(area),
            "BAND_B": 2,
            "FORMULA": "where(B == 1, A, -9999)",
            "NO_DATA": -9999,
            "OUTPUT": str(tmp_path / "kept.tif"),
        },
    )
    inside = read(area)[1] == 1
    assert 0 < inside.mean() < 1
    np.testing.assert_array_equal(np.isfinite(read(kept["OUTPUT"])[0]), inside)


def test_run_tells_weights_threshold_and_share(
    run: Callable, given: dict[str, Any], chain: Any, feedback: Any, tmp_path: Path
) -> None:
    heard = feedback()
    run("applicability", {**given, "MODEL": chain.spiked, "OUTPUT": tmp_path / "a.tif"}, heard)
    text = " ".join([*heard.said, *heard.warned])
    assert "Weights of the covariates, by permutation in held-out station folds: " in text
    assert "Threshold of the dissimilarity: " in text
    assert "of the pixels with all covariates are inside the area of applicability" in text


def test_wrong_input(
    run: Callable, refused: Callable, given: dict[str, Any], chain: Any, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.smm"
    run(
        "trainmodel",
        {"INPUT": chain.split, "TREES": 5, "EMBED_TRAINING": False, "OUTPUT": bare},
    )
    base = {**given, "MODEL": chain.model, "OUTPUT": tmp_path / "a.tif"}
    refused(
        "applicability",
        {**base, "MODEL": bare},
        "The model holds no training rows, so nothing can be compared with them. "
        "Train it again with EMBED_TRAINING.",
    )
    refused(
        "applicability",
        {key: value for key, value in base.items() if key != "GRID"},
        "Neither GRID nor EXTENT is given. Choose a raster as GRID, or an EXTENT and a RESOLUTION.",
    )
    refused(
        "applicability",
        {**base, "RESOLUTION": 10},
        "RESOLUTION cannot be given beside GRID. "
        "Leave GRID or them empty: with GRID, EXTENT alone cuts its cells.",
    )
    refused(
        "applicability",
        {**base, "DATE": "2021-08-01"},
        "On 2021-08-01 there is no covariate 'wet' (nearest date 2021-04-21, 102 days away). "
        "Choose another date, add rasters, or raise tolerance_days in the covariate table.",
    )
    assert not (tmp_path / "a.tif").exists()
