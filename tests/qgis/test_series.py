"""Series and grids through QGIS: gaps filled, rasters aligned, statistics by direction."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from qgis.core import QgsProcessingException, QgsRasterLayer
from raster_files import write_raster

CRS = "EPSG:32633"
FIRST = datetime.date(2021, 4, 1)


def write(
    path: Path,
    values: np.ndarray,
    names: list[str | None],
    *,
    cell: float = 10.0,
    dtype: str = "float32",
    crs: str = CRS,
) -> Path:
    place: dict[str, Any] = {"crs": crs, "cell": cell, "corner": (500_000, 5_600_000)}
    nodata = 255 if dtype == "uint8" else -9999.0
    return write_raster(path, values, names=names, dtype=dtype, nodata=nodata, **place)


@pytest.fixture
def smap(tmp_path: Path) -> list[Path]:
    """Days 1, 3 and 8 of a coarse product, one cell missing on day 3."""
    paths = []
    for number, level in ((0, 0.1), (2, 0.3), (7, 0.2)):
        values = np.full((4, 5), level)
        if number == 2:
            values[0, 0] = np.nan
        day = FIRST + datetime.timedelta(days=number)
        paths.append(write(tmp_path / f"smap_{day:%Y%m%d}.tif", values, [None]))
    return paths


def values_of(path: str | Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def test_gaps_are_filled_and_flagged(
    run: Callable, smap: list[Path], tmp_path: Path, feedback: type
) -> None:
    heard = feedback()
    result = run(
        "fillgaps", {"INPUT": smap[::-1], "WINDOW": 2, "OUTPUT": tmp_path / "täglich"}, heard
    )
    folder = tmp_path / "täglich"
    assert result["OUTPUT"] == str(folder)
    names = [Path(path).name for path in result["LAYERS"]]
    assert names == [f"smap_2021040{n}.tif" for n in range(1, 9)]
    assert not any("flags" in path for path in result["LAYERS"])
    assert sorted(p.name for p in (folder / "flags").glob("*.tif")) == names
    corner = [float(values_of(path)[0, 0]) for path in result["LAYERS"]]
    other = [float(values_of(path)[1, 1]) for path in result["LAYERS"]]
    np.testing.assert_allclose(corner, [0.1, 0.1, 0.1, -9999, -9999, 0.2, 0.2, 0.2], rtol=1e-6)
    np.testing.assert_allclose(other, [0.1, 0.2, 0.3, 0.3, 0.3, 0.2, 0.2, 0.2], rtol=1e-6)
    flags = [int(values_of(folder / "flags" / name)[1, 1]) for name in names]
    assert flags == [0, 2, 0, 1, 1, 3, 4, 0]
    assert any("smap: 8 rasters, one a day, from 3" in text for text in heard.said)
    layer = QgsRasterLayer(str(folder / "flags" / names[1]), "flags")
    labels = {entry.value: entry.label for entry in layer.renderer().classes()}
    assert labels[2] == "Filled from earlier and later days"


def test_filled_series_feeds_a_covariate_table(
    run: Callable, smap: list[Path], tmp_path: Path
) -> None:
    layers = run("fillgaps", {"INPUT": smap, "WINDOW": 1, "OUTPUT": tmp_path / "daily"})["LAYERS"]
    table = tmp_path / "covariates.csv"
    run("covariatetable", {"DYNAMIC": layers, "TOLERANCE": 0, "OUTPUT": table})
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["covariate"] for row in rows} == {"smap"}
    days = [row["start"] for row in rows]
    assert days == [f"2021-04-0{n}" for n in (1, 2, 3, 4, 7, 8)], "days without value are absent"
    assert [row["end"] for row in rows] == days
    assert rows[0]["path"] == "daily/smap_20210401.tif"


def test_composites_are_carried_forward(run: Callable, smap: list[Path], tmp_path: Path) -> None:
    given = {"INPUT": smap, "METHOD": "carry-forward", "WINDOW": 7, "START": "2021-04-02"}
    result = run("fillgaps", {**given, "END": "2021-04-10", "OUTPUT": tmp_path / "o"})
    found = [float(values_of(path)[1, 1]) for path in result["LAYERS"]]
    np.testing.assert_allclose(found, [0.1] + [0.3] * 5 + [0.2] * 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"START": "2021-04-05", "END": "2021-04-02"},
            "The end 2021-04-02 lies before the start 2021-04-05. Swap them.",
        ),
        (
            {"OUTPUT": "."},
            "The run would replace its own input: smap_20210401.tif; smap_20210403.tif; "
            "smap_20210408.tif. Choose another folder.",
        ),
        (
            {"INPUT": ["smap.tif"]},
            "Rasters without a date that can be read: smap.tif, band 1 (smap). Put the date into "
            "the file name (smap_20210401.tif) or the band description, or give the layer a "
            "fixed temporal range.",
        ),
    ],
)
def test_gaps_refuse(
    refused: Callable, smap: list[Path], tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    write(tmp_path / "smap.tif", np.ones((4, 5)), [None])
    parameters = {"INPUT": smap, "OUTPUT": tmp_path / "o", **given}
    if "INPUT" in given:
        parameters["INPUT"] = [tmp_path / name for name in given["INPUT"]]
    if given.get("OUTPUT") == ".":
        parameters["OUTPUT"] = tmp_path
    refused("fillgaps", parameters, message)
    assert not (tmp_path / "o").exists()


def test_window_below_zero_is_refused(run: Callable, smap: list[Path], tmp_path: Path) -> None:
    with pytest.raises(QgsProcessingException, match="WINDOW"):
        run("fillgaps", {"INPUT": smap, "WINDOW": -1, "OUTPUT": tmp_path / "o"})


def test_gaps_can_be_cancelled(
    run: Callable, smap: list[Path], tmp_path: Path, feedback: type
) -> None:
    with pytest.raises(QgsProcessingException, match=r"Cancelled\."):
        run("fillgaps", {"INPUT": smap, "OUTPUT": tmp_path / "o"}, feedback(stop_at=8))
    assert not (tmp_path / "o").exists()


def test_series_on_two_grids_are_aligned_first(
    run: Callable, smap: list[Path], tmp_path: Path
) -> None:
    """The cure that the error names works: align, then fill."""
    smap[1] = write(smap[1], np.full((8, 10), 0.3), [None], cell=5.0)
    with pytest.raises(QgsProcessingException, match="'Align to grid'"):
        run("fillgaps", {"INPUT": smap, "OUTPUT": tmp_path / "o"})
    aligned = run("aligntogrid", {"INPUT": smap, "GRID": smap[0], "OUTPUT": tmp_path / "aligned"})
    assert [Path(p).name for p in aligned["LAYERS"]] == [path.name for path in smap]
    filled = run("fillgaps", {"INPUT": aligned["LAYERS"], "OUTPUT": tmp_path / "o"})
    np.testing.assert_allclose(values_of(filled["LAYERS"][1]), 0.2, rtol=1e-6)


def test_rasters_on_an_extent(run: Callable, tmp_path: Path, feedback: type) -> None:
    columns = np.tile(np.arange(12.0), (12, 1))
    values = write(tmp_path / "ramp.tif", columns, ["ramp"])
    codes = np.kron([[10, 20, 30], [40, 50, 60]], np.ones((6, 4)))
    cover = write(tmp_path / "landcover.tif", codes, [None], dtype="uint8")
    heard = feedback()
    result = run(
        "aligntogrid",
        {
            "INPUT": [values, cover],
            "EXTENT": f"500000,500120,5599880,5600000 [{CRS}]",
            "RESOLUTION": 40,
            "OUTPUT": tmp_path / "o",
        },
        heard,
    )
    ramp, classes = result["LAYERS"]
    np.testing.assert_allclose(values_of(ramp), np.tile([1.5, 5.5, 9.5], (3, 1)))
    assert values_of(classes)[0].tolist() == [10, 20, 30]
    assert values_of(classes)[2].tolist() == [40, 50, 60]
    assert values_of(classes).dtype == np.uint8
    assert any(text.startswith("ramp.tif: average (values") for text in heard.said)
    assert any(text.startswith("landcover.tif: mode (classes") for text in heard.said)


def test_classes_are_named_by_the_user(run: Callable, tmp_path: Path) -> None:
    source = write(tmp_path / "map.tif", np.kron([[1, 9]], np.ones((4, 6))), [None])
    given = {"INPUT": [source], "EXTENT": f"500000,500120,5599960,5600000 [{CRS}]"}
    given |= {"RESOLUTION": 40, "OUTPUT": tmp_path / "o"}
    mixed = values_of(run("aligntogrid", given)["LAYERS"][0])
    kept = values_of(run("aligntogrid", {**given, "CATEGORICAL": "m*"})["LAYERS"][0])
    assert mixed[0].tolist() == [1, 5, 9]
    assert kept[0].tolist() == [1, 1, 9]


def test_alignment_refuses(refused: Callable, smap: list[Path], tmp_path: Path) -> None:
    given = {"INPUT": smap, "OUTPUT": tmp_path / "o"}
    refused(
        "aligntogrid",
        given,
        "Neither GRID nor EXTENT is given. Choose a raster as GRID, or an EXTENT and a RESOLUTION.",
    )
    refused(
        "aligntogrid",
        {**given, "EXTENT": f"0,100,0,100 [{CRS}]", "RESOLUTION": 10},
        "The raster 'smap_20210401.tif' does not touch the grid: it covers 5 × 4 cells of 10, "
        "edges 500000, 5599960, 500050, 5600000, EPSG:32633, the grid 10 × 10 cells of 10, edges "
        "0, 0, 100, 100, EPSG:32633. Choose another extent, or check the coordinate reference "
        "systems of both.",
    )


def test_statistics_by_direction(run: Callable, tmp_path: Path, feedback: type) -> None:
    inputs = []
    for number in range(6):
        direction, level = ("asc", -10.0) if number % 2 else ("desc", -14.0)
        day = FIRST + datetime.timedelta(days=6 * number)
        path = tmp_path / f"s1_{direction}_{day:%Y%m%d}.tif"
        bands = np.full((3, 4, 5), level)
        inputs.append(write(path, bands, ["VV", "VH", "angle"]))
    given = {"INPUT": inputs, "MIN_DATES": 3, "STATISTICS": ["mean"], "BANDS": "V?"}
    output = tmp_path / "statistics.tif"
    run("temporalstatistics", {**given, "OUTPUT": output})
    with rasterio.open(output) as dataset:
        assert dataset.descriptions == (
            "VV_asc_mean",
            "VV_desc_mean",
            "VH_asc_mean",
            "VH_desc_mean",
        )
        np.testing.assert_allclose(dataset.read()[:, 0, 0], [-10, -14, -10, -14])
    heard = feedback()
    run("temporalstatistics", {**given, "DIRECTIONS": "pooled", "OUTPUT": output}, heard)
    with rasterio.open(output) as dataset:
        assert dataset.descriptions == ("VV_mean", "VH_mean")
        np.testing.assert_allclose(dataset.read(), -12)
    assert any("Ascending and descending images are mixed in VH, VV" in w for w in heard.warned)


def test_real_series_of_dates_as_bands(run: Callable, shared_data: Path, tmp_path: Path) -> None:
    """Twelve MODIS dates in one file → daily rasters that a table reads by date and name."""
    source = shared_data / "rasters" / "modis_mod13q1_ndvi_sinop_series.tif"
    given = {"INPUT": [source], "METHOD": "carry-forward", "WINDOW": 31}
    result = run(
        "fillgaps",
        {**given, "START": "2013-10-10", "END": "2013-10-20", "OUTPUT": tmp_path / "ndvi"},
    )
    assert len(result["LAYERS"]) == 11
    with rasterio.open(source) as dataset:
        first, second = dataset.read(1), dataset.read(2)
    np.testing.assert_array_equal(values_of(result["LAYERS"][0]), first)
    np.testing.assert_array_equal(values_of(result["LAYERS"][6]), second)
    table = tmp_path / "t.csv"
    run("covariatetable", {"DYNAMIC": result["LAYERS"], "OUTPUT": table})
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["covariate"] for row in rows} == {source.stem}
    assert rows[6]["start"] == "2013-10-16"
