"""Coarse moisture in QGIS: SMAP files to training rows, EASE-Grid 2.0, wrong input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.warp
from qgis.core import QgsProcessingException
from raster_files import write_raster
from rasterio.transform import from_origin

h5py = pytest.importorskip("h5py")

# EASE-Grid 2.0 at 36 km (Brodzik et al. 2012, 2014)
EASE, CELL, COLUMNS, ROWS = "EPSG:6933", 36032.220840584, 964, 406
WEST, NORTH = -COLUMNS / 2 * CELL, ROWS / 2 * CELL
ROW, COLUMN = 42, 525  # in Poland
DAYS = {"20210401": (0.20, 0.30), "20210402": (0.26, None), "20210405": (0.30, 0.34)}


def moisture(row: np.ndarray, column: np.ndarray, mean: float) -> np.ndarray:
    return mean + 0.01 * (row - ROW) + 0.02 * (column - COLUMN)


def write_smap(path: Path, am: float, pm: float | None) -> None:
    """Write a day as SPL3SMP: a plane of moisture around the cell, fill elsewhere."""
    row, column = np.indices((ROWS, COLUMNS))
    near = (abs(row - ROW) <= 3) & (abs(column - COLUMN) <= 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for half, suffix, mean in (("AM", "", am), ("PM", "_pm", pm)):
            group = file.create_group(f"Soil_Moisture_Retrieval_Data_{half}")
            values = np.full((ROWS, COLUMNS), -9999, dtype="float32")
            flags = np.full((ROWS, COLUMNS), 65534, dtype="uint16")
            if mean is not None:
                values[near] = moisture(row, column, mean)[near]
                flags[near] = 0
                values[ROW - 3, COLUMN - 3], flags[ROW - 3, COLUMN - 3] = 0.45, 1
            for name, array in (("soil_moisture", values), ("retrieval_qual_flag", flags)):
                made = group.create_dataset(name + suffix, data=array, compression="gzip")
                made.attrs["_FillValue"] = array.dtype.type(-9999 if name[0] == "s" else 65534)


def centre(row: float, column: float) -> tuple[float, float]:
    """Longitude and latitude of a cell's centre."""
    x, y = WEST + (column + 0.5) * CELL, NORTH - (row + 0.5) * CELL
    (lon,), (lat,) = rasterio.warp.transform(EASE, "EPSG:4326", [x], [y])
    return lon, lat


@pytest.fixture(scope="module")
def smap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days of SMAP in a folder with blank and umlaut."""
    folder = tmp_path_factory.mktemp("raw") / "SMAP für Polen"
    for day, (am, pm) in DAYS.items():
        write_smap(folder / day / f"SMAP_L3_SM_P_{day}_R18290_001.h5", am, pm)
    return folder


@pytest.fixture(scope="module")
def extent() -> str:
    """The cell of interest, in degrees."""
    lon, lat = centre(ROW, COLUMN)
    return f"{lon - 0.05},{lon + 0.05},{lat - 0.05},{lat + 0.05} [EPSG:4326]"


def read(path: str | Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(1, masked=True).astype(float).filled(np.nan)


def test_smap_becomes_training_rows(
    run: Callable, provider: Any, smap: Path, extent: str, tmp_path: Path, rows_of: Callable
) -> None:
    """Downloads → series → gaps filled → covariate table → value at a station."""
    folder = tmp_path / "Reihe ä"
    result = run("preparecoarsemoisture", {"INPUT": smap, "EXTENT": extent, "OUTPUT": folder})
    assert [Path(path).name for path in result["LAYERS"]] == [f"smap_{day}.tif" for day in DAYS]
    first = read(result["LAYERS"][0])
    assert first.shape == (3, 3)
    rows, columns = np.indices((3, 3)) - 1
    np.testing.assert_allclose(first, 0.25 + 0.01 * rows + 0.02 * columns, atol=1e-6)
    daily = run("fillgaps", {"INPUT": result["LAYERS"], "WINDOW": 3, "OUTPUT": tmp_path / "daily"})
    assert len(daily["LAYERS"]) == 5
    table = tmp_path / "covariates.csv"
    run(
        "covariatetable",
        {"DYNAMIC": daily["LAYERS"], "RESAMPLING": "nearest", "TOLERANCE": 0, "OUTPUT": table},
    )
    lon, lat = centre(ROW + 1, COLUMN)
    stations = tmp_path / "stations.csv"
    days = ("2021-04-01", "2021-04-03", "2021-04-05", "2021-04-09")
    lines = [f"A,{day},0.2,{lon:.8f},{lat:.8f}" for day in days]
    stations.write_text("station,date,moisture,lon,lat\n" + "\n".join(lines), encoding="utf-8")
    observations, training = tmp_path / "obs.gpkg", tmp_path / "training.gpkg"
    run(
        "importstations",
        {"INPUT": stations, "FORMAT": "csv", "DEPTH_MAX": 0.3, "OUTPUT": observations},
    )
    run("samplecovariates", {"INPUT": observations, "COVARIATES": table, "OUTPUT": training})
    found = {row["date"].toString("yyyy-MM-dd"): row["smap"] for row in rows_of(training)}
    assert found["2021-04-01"] == pytest.approx(0.25 + 0.01, abs=1e-6)
    assert found["2021-04-05"] == pytest.approx(0.32 + 0.01, abs=1e-6)
    # 3 April: the mean of 1, 2 and 5 April, which lie within three days
    assert found["2021-04-03"] == pytest.approx((0.25 + 0.26 + 0.32) / 3 + 0.01, abs=1e-6)
    assert not isinstance(found.get("2021-04-09"), float)


def test_log_says_what_was_left_out(
    run: Callable, feedback: type, smap: Path, tmp_path: Path
) -> None:
    log = feedback()
    run(
        "preparecoarsemoisture",
        {"INPUT": smap, "PASS": "am", "START": "2021-04-02", "OUTPUT": tmp_path},
        log,
    )
    text = "\n".join(log.said)
    assert "2 days from 2021-04-02 to 2021-04-05; 964 × 406 cells of 36032.2" in text
    assert "Quality: 2 of 98 retrievals in the area (2.0%) are not recommended" in text
    assert log.fractions[-1] > 0.9


def test_one_file(run: Callable, smap: Path, extent: str, tmp_path: Path) -> None:
    file = smap / "20210402" / "SMAP_L3_SM_P_20210402_R18290_001.h5"
    run(
        "preparecoarsemoisture",
        {"INPUT": file, "EXTENT": extent, "NAME": "sm36", "OUTPUT": tmp_path / "out"},
    )
    assert read(tmp_path / "out" / "sm36_20210402.tif")[1, 1] == pytest.approx(0.26, abs=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"INPUT": "nowhere"},
            "'{folder}/nowhere' does not exist. Check the path.",
        ),
        (
            {"INPUT": "page.h5"},
            "'{folder}/page.h5' is not an HDF5 file. The download may have failed (a web page "
            "saved under the name): download it again.",
        ),
        (
            {"INPUT": "page.h5", "NAME": "date"},
            "NAME 'date' is the name of a field that every table has. Choose another one.",
        ),
        (
            {"INPUT": "page.h5", "START": "2021-05-01", "END": "2021-04-01"},
            "END 2021-04-01 lies before START 2021-05-01. Swap them.",
        ),
        (
            {"INPUT": "page.h5", "EXTENT": "5,9,50,53"},
            "EXTENT has no coordinate system. Add it, as in 5,9,50,53 [EPSG:4326].",
        ),
    ],
)
def test_series_refuses(
    refused: Callable, tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    (tmp_path / "page.h5").write_text("<html>log in</html>")
    parameters = {**given, "INPUT": tmp_path / given["INPUT"], "OUTPUT": tmp_path / "o"}
    refused("preparecoarsemoisture", parameters, message.replace("{folder}", str(tmp_path)))
    assert not (tmp_path / "o").exists()


def write(path: Path, values: np.ndarray, west: float, north: float, size: float) -> Path:
    nodata = 255 if values.dtype == np.uint8 else -9999
    return write_raster(path, values, crs=EASE, cell=size, corner=(west, north), nodata=nodata)


def test_means_and_shares_on_the_grid(run: Callable, tmp_path: Path) -> None:
    """2×1 cells of 36 km of 4×4 smaller cells each: means and shares by hand."""
    west, north = WEST + COLUMN * CELL, NORTH - ROW * CELL
    values = np.arange(32, dtype="float32").reshape(4, 8)
    elevation = write(tmp_path / "elevation.tif", values, west, north, CELL / 4)
    codes = np.where(values % 8 < 3, 10, 40).astype("uint8")
    cover = write(tmp_path / "cover_2020.tif", codes, west, north, CELL / 4)
    result = run("easegrid", {"INPUT": [elevation], "CELL": "36km", "OUTPUT": tmp_path / "mean"})
    (path,) = result["LAYERS"]
    assert path == str(tmp_path / "mean" / "elevation.tif")
    np.testing.assert_allclose(read(path), [[13.5, 17.5]])
    result = run(
        "easegrid",
        {"INPUT": [cover], "CELL": "36km", "CLASSES": True, "OUTPUT": tmp_path / "share"},
    )
    with rasterio.open(result["LAYERS"][0]) as dataset:
        assert dataset.descriptions == ("cover_2020_10", "cover_2020_40")
        np.testing.assert_allclose(dataset.read()[:, 0], [[0.75, 0], [0.25, 1]])


def test_snapped_series_matches_the_definition(run: Callable, tmp_path: Path) -> None:
    """A grid saved with metres rounded to 36 000 comes back to its place."""
    west, north = WEST + COLUMN * CELL, NORTH - ROW * CELL
    values = np.arange(12, dtype="float32").reshape(3, 4)
    rounded = write(tmp_path / "sm_20210401.tif", values, round(west), round(north), 36000.0)
    result = run(
        "easegrid",
        {"INPUT": [rounded], "CELL": "36km", "MODE": "snap", "OUTPUT": tmp_path / "o"},
    )
    with rasterio.open(result["LAYERS"][0]) as dataset:
        assert dataset.transform.almost_equals(from_origin(west, north, CELL, CELL), 1e-6)
        np.testing.assert_array_equal(dataset.read(1), values)
    with pytest.raises(QgsProcessingException, match=r"'sm_20210401.tif': .* of the 9km grid"):
        run("easegrid", {"INPUT": [rounded], "MODE": "snap", "OUTPUT": tmp_path / "p"})


def test_grid_refuses_classes_to_snap(refused: Callable, tmp_path: Path) -> None:
    values = np.zeros((2, 2), dtype="uint8")
    cover = write(tmp_path / "cover.tif", values, WEST, NORTH, CELL)
    refused(
        "easegrid",
        {"INPUT": [cover], "MODE": "snap", "CLASSES": True, "OUTPUT": tmp_path / "o"},
        "Shares of classes are asked for with MODE snap, which keeps the cells as they are. "
        "Use MODE aggregate, or leave CLASSES off.",
    )
