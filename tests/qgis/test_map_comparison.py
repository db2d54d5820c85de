"""Maps compared, and stations interpolated, through QGIS."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from qgis.core import QgsProcessingException
from raster_files import write_raster

CRS = "EPSG:32633"
WEST, NORTH = 500_000.0, 5_600_000.0


def write(path: Path, values: np.ndarray, cell: float = 100.0, west: float = WEST) -> Path:
    place: dict[str, Any] = {"crs": CRS, "cell": cell, "corner": (west, NORTH)}
    return write_raster(path, values, dtype="float32", nodata=-9999.0, **place)


def read(path: str | Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(masked=True).astype(np.float64).filled(np.nan)


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A map of 100 m and a coarse one of 500 m in the place of the landscape."""
    folder = tmp_path_factory.mktemp("maps")
    rng = np.random.default_rng(1)
    fine = 0.2 + 0.1 * rng.random((60, 60))
    coarse = fine.reshape(12, 5, 12, 5).mean(axis=(1, 3)) - 0.02
    return write(folder / "fine.tif", fine), write(folder / "coarse.tif", coarse, 500.0)


def test_maps_are_compared_on_the_coarser_cells(
    run: Callable, maps: tuple[Path, Path], tmp_path: Path, feedback: Any
) -> None:
    """The coarse map is the fine one's mean less 0.02: so says every number."""
    heard = feedback()
    result = run(
        "comparemaps",
        {
            "INPUT": maps[0],
            "REFERENCE": maps[1],
            "GRID": "coarser",
            "OUTPUT": tmp_path / "d.tif",
            "REPORT": tmp_path / "r.html",
            "METRICS": tmp_path / "m.csv",
        },
        feedback=heard,
    )
    np.testing.assert_allclose(read(result["OUTPUT"]), 0.02, atol=1e-6)
    assert result["N"] == 144
    assert result["ME"] == pytest.approx(0.02, abs=1e-6)
    assert result["UBRMSE"] == pytest.approx(0, abs=1e-6)
    assert result["R"] == pytest.approx(1)
    with Path(result["METRICS"]).open(encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["scope"], row["n"], row["source"]) == ("overall", "144", "input")
    assert "averaged by area" in Path(result["REPORT"]).read_text(encoding="utf-8")
    assert heard.fractions[-1] > 0.9 and heard.fractions == sorted(heard.fractions)


def test_field_is_compared_on_the_fine_cells(
    run: Callable, landscape: Any, maps: tuple[Path, Path], tmp_path: Path
) -> None:
    given = {"INPUT": maps[0], "REFERENCE": maps[1], "MASK": landscape.boundary}
    output = tmp_path / "d.tif"
    result = run("comparemaps", {**given, "RESAMPLING": "nearest", "OUTPUT": output})
    fine, coarse = read(maps[0])[0], read(maps[1])[0]
    expected = (fine - coarse.repeat(5, axis=0).repeat(5, axis=1))[20:40, 42:58]
    assert result["N"] == expected.size == 320
    assert result["RMSE"] == pytest.approx(np.sqrt(np.mean(expected**2)), rel=1e-5)
    np.testing.assert_allclose(read(output)[0][20:40, 42:58], expected, atol=1e-6)
    assert "REPORT" not in result and "METRICS" not in result


def test_what_cannot_be_compared_is_refused(
    refused: Callable, maps: tuple[Path, Path], tmp_path: Path
) -> None:
    output = tmp_path / "d.tif"
    given = {"INPUT": maps[0], "OUTPUT": output}
    far = write(tmp_path / "far.tif", np.full((3, 3), 0.2), west=WEST + 50_000)
    refused(
        "comparemaps",
        {**given, "REFERENCE": far},
        "The maps have no place in common: INPUT covers 60 × 60 cells of 100, edges 500000, "
        "5594000, 506000, 5600000, EPSG:32633; REFERENCE covers 3 × 3 cells of 100, edges 550000, "
        "5599700, 550300, 5600000, EPSG:32633. Check that both lie where they should, and their "
        "coordinate reference systems.",
    )
    percent = write(tmp_path / "percent.tif", 100 * read(maps[0])[0])
    with pytest.raises(QgsProcessingException, match="REFERENCE_UNITS percent"):
        _run("comparemaps", {**given, "REFERENCE": percent})
    huge = write(tmp_path / "huge.tif", np.full((2, 2), 0.2), cell=36_000.0)
    with pytest.raises(QgsProcessingException, match="In 1 cells too little is covered"):
        _run("comparemaps", {**given, "REFERENCE": huge, "GRID": "coarser"})
    assert not output.exists()


def _run(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    import processing

    plain = {key: str(value) for key, value in parameters.items()}
    return processing.run(f"soilmoisture:{name}", plain)


def test_cancelled_comparison_leaves_nothing(
    run: Callable, maps: tuple[Path, Path], tmp_path: Path, feedback: Any
) -> None:
    given = {"INPUT": maps[0], "REFERENCE": maps[1], "OUTPUT": tmp_path / "d.tif"}
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run("comparemaps", given, feedback=feedback(stop_at=3))
    assert list(tmp_path.iterdir()) == []


def test_probes_are_interpolated_and_compared(
    run: Callable,
    chain: Any,
    landscape: Any,
    tmp_path: Path,
    feedback: Any,
    rows_of: Callable[[Any], list[dict[str, Any]]],
) -> None:
    """The probes stand on centres of cells, two of them on one: there the map is the reading."""
    output, heard = tmp_path / "idw_20210405.tif", feedback()
    probes = chain.folder / "Sonden.gpkg"
    given = {"INPUT": probes, "DATE": "2021-04-05", "GRID": landscape.dem, "OUTPUT": output}
    result = run("interpolatestations", given, feedback=heard)
    readings: dict[tuple[int, int], list[float]] = {}
    for row in rows_of(probes):
        if str(row["date"].toString("yyyy-MM-dd")) == "2021-04-05":
            cell = (int((NORTH - row["y"]) // 100), int((row["x"] - WEST) // 100))
            readings.setdefault(cell, []).append(row["moisture"])
    assert result["N"] == len(readings) == 15
    assert any(text.startswith("Stations at one place are averaged") for text in heard.warned)
    assert 0 < result["RMSE"] < 0.2
    assert any("Each of 15 stations estimated from the others" in text for text in heard.said)
    values, distance = read(output)
    assert (distance == 0).sum() == 15
    for cell, of_cell in readings.items():
        assert values[cell] == pytest.approx(np.mean(of_cell), abs=1e-6)
    means = [float(np.mean(of_cell)) for of_cell in readings.values()]
    assert np.nanmin(values) >= min(means) - 1e-6 and np.nanmax(values) <= max(means) + 1e-6
    with rasterio.open(output) as dataset:
        assert dataset.descriptions == ("moisture_idw", "distance")
        assert dataset.tags()["TIFFTAG_DATETIME"].startswith("2021:04:05")
    compared = run(
        "comparemaps", {"INPUT": output, "REFERENCE": output, "OUTPUT": tmp_path / "d.tif"}
    )
    assert (compared["N"], compared["ME"], compared["KL"]) == (3600, 0, 0)


def test_period_radius_and_extent(
    run: Callable, chain: Any, landscape: Any, tmp_path: Path
) -> None:
    output = tmp_path / "idw.tif"
    result = run(
        "interpolatestations",
        {
            "INPUT": chain.folder / "Sonden.gpkg",
            "START": "2021-04-01",
            "END": "2021-04-09",
            "EXTENT": "504200,505800,5596000,5598000 [EPSG:32633]",
            "RESOLUTION": 50,
            "RADIUS": 150,
            "MASK": landscape.boundary,
            "OUTPUT": output,
        },
    )
    values, distance = read(output)
    assert values.shape == (40, 32)
    np.testing.assert_array_equal(np.isnan(values), distance > 150)
    assert result["N"] <= 16
    with rasterio.open(output) as dataset:
        assert "TIFFTAG_DATETIME" not in dataset.tags()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"DATE": "2021-04-05", "START": "2021-04-01"},
            "DATE is given beside START or END. Give DATE for a day, or START and END for the "
            "mean of a period.",
        ),
        (
            {"DATE": "2021-08-01"},
            "There is no reading on 2021-08-01. The readings run from 2021-04-01 to 2021-04-21.",
        ),
        ({"FIELD": "clay"}, "There is no field 'clay'."),
        ({"GRID": None}, "Neither GRID nor EXTENT is given. Choose a raster as GRID, or"),
    ],
)
def test_interpolation_refuses(
    chain: Any, landscape: Any, tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    parameters = {
        "INPUT": chain.folder / "Sonden.gpkg",
        "GRID": landscape.dem,
        "OUTPUT": tmp_path / "idw.tif",
        **given,
    }
    with pytest.raises(QgsProcessingException) as caught:
        _run("interpolatestations", {k: v for k, v in parameters.items() if v is not None})
    assert message in str(caught.value)
    assert not (tmp_path / "idw.tif").exists()
