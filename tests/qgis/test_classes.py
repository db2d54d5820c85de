"""Land cover and soil texture classes: runs, the way of names to QGIS, and wrong input."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from osgeo import gdal
from qgis.core import QgsProcessingException, QgsRasterLayer
from raster_files import write_raster

gdal.UseExceptions()
CLASSES = ["cultivated", "herbaceous", "forest", "shrub", "bare", "other"]


def write(path: Path, values: Any, dtype: str = "uint8", cell: float = 100.0) -> Path:
    place: dict[str, Any] = {"crs": "EPSG:32633", "cell": cell, "corner": (500_000, 5_600_000)}
    return write_raster(path, values, dtype=dtype, **place)


def read(path: Path) -> list[list[int]]:
    with rasterio.open(path) as dataset:
        return dataset.read(1).tolist()


def legend_of(path: Path) -> dict[int, tuple[str, str]]:
    """Return code, label and colour as QGIS reads them from the style beside the raster."""
    layer = QgsRasterLayer(str(path), "classes")
    assert layer.isValid()
    assert layer.renderer().type() == "paletted"
    return {
        int(one.value): (one.label, one.color.name().upper()) for one in layer.renderer().classes()
    }


def test_land_cover(run: Callable, tmp_path: Path) -> None:
    source = write(tmp_path / "lc.tif", [[20, 30, 40, 50], [60, 111, 126, 0]])
    output = tmp_path / "land cover.tif"
    result = run("groupclasses", {"INPUT": source, "OUTPUT": output})
    assert result["OUTPUT"] == str(output)
    assert read(output) == [[4, 2, 1, 6], [5, 3, 3, 255]]
    assert {code: name for code, (name, _) in legend_of(output).items()} == dict(
        enumerate(CLASSES, start=1)
    )
    assert legend_of(output)[3] == ("forest", "#00664B")


def test_names_are_where_gdal_and_qgis_look_for_them(run: Callable, tmp_path: Path) -> None:
    source = write(tmp_path / "lc.tif", [[20, 30]])
    run("groupclasses", {"INPUT": source, "OUTPUT": tmp_path / "out.tif"})
    dataset = gdal.Open(str(tmp_path / "out.tif"))
    band = dataset.GetRasterBand(1)
    table = band.GetDefaultRAT()
    assert band.GetCategoryNames() == ["", *CLASSES]  # GDAL 3.6 reads them with the table
    assert [table.GetNameOfCol(i) for i in range(5)] == ["Value", "Class", "Red", "Green", "Blue"]
    assert table.GetColOfUsage(gdal.GFU_Name) == 1
    assert [table.GetValueAsString(i, 1) for i in range(table.GetRowCount())] == CLASSES
    assert [table.GetValueAsInt(i, 0) for i in range(table.GetRowCount())] == [1, 2, 3, 4, 5, 6]
    layer = QgsRasterLayer(str(tmp_path / "out.tif"), "classes")
    attributes = layer.attributeTable(1)
    assert attributes is not None and attributes.isValid()[0]


def test_own_classes(run: Callable, tmp_path: Path) -> None:
    """A table, and lines that come before it."""
    source = write(tmp_path / "lc.tif", [[1, 2, 3, 9]])
    (tmp_path / "own.csv").write_text("value,class\n1-2,meadow\n3,forest\n9,moor\n")
    given = {
        "INPUT": source,
        "SCHEME": "own",
        "MAPPING": "2=bare\n9=missing",
        "MAPPING_TABLE": tmp_path / "own.csv",
        "NAME": "cover",
        "OUTPUT": tmp_path / "out.tif",
    }
    run("groupclasses", given)
    assert read(tmp_path / "out.tif") == [[7, 5, 3, 255]]
    assert {code: name for code, (name, _) in legend_of(tmp_path / "out.tif").items()} == {
        3: "forest",
        5: "bare",
        7: "meadow",
    }
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.descriptions == ("cover",)


def test_land_cover_refuses(run: Callable, refused: Callable, tmp_path: Path) -> None:
    source = write(tmp_path / "lc.tif", [[20, 11, 11]])
    output = tmp_path / "out.tif"
    refused(
        "groupclasses",
        {"INPUT": source, "OUTPUT": output},
        "'lc.tif' holds values that the mapping 'lc100' does not list: 11 (2 cells). Check SCHEME; "
        "or add them to MAPPING (value=class, or value=missing); or choose in UNMAPPED what "
        "becomes of them.",
    )
    refused(
        "groupclasses",
        {"INPUT": source, "SCHEME": "own", "OUTPUT": output},
        "The scheme 'own' has no classes: MAPPING and MAPPING_TABLE are empty. Write lines such as "
        "82=cultivated, or give a CSV with the columns value and class.",
    )
    refused(
        "groupclasses",
        {"INPUT": source, "MAPPING": "11", "OUTPUT": output},
        "'11=' in the line '11' of the mapping is not 'value=class'. Write for example "
        "82=cultivated or 111-126=forest.",
    )
    refused(
        "groupclasses",
        {"INPUT": source, "NAME": "fold", "UNMAPPED": "other", "OUTPUT": output},
        "Covariates may not be called fold. These names belong to the tables: fid, role, fold, "
        "weight, station, network, date, moisture, depth_from, depth_to, n. Rename the band or "
        "the file.",
    )
    assert not output.exists()


SOIL = {"sand": [90, 60, 20, 10], "silt": [7, 30, 20, 80], "clay": [3, 10, 60, 10]}
EXPECTED = [[1, 3, 12, 5]]  # sand, sandy loam, clay, silt


@pytest.fixture
def soil(tmp_path: Path) -> dict[str, Path]:
    """As SoilGrids delivers it, in g/kg."""
    return {
        name.upper(): write(tmp_path / f"{name}.tif", 10 * np.array([values]), "int16")
        for name, values in SOIL.items()
    }


def test_texture(run: Callable, soil: dict[str, Path], feedback: Any, tmp_path: Path) -> None:
    output = tmp_path / "texture.tif"
    heard = feedback()
    run("soiltexture", {**soil, "OUTPUT": output}, feedback=heard)
    assert read(output) == EXPECTED
    assert "Units: g-per-kg (sand, silt and clay add up to 1000)." in heard.said
    labels = [name for name, _ in legend_of(output).values()]
    assert (labels[0], labels[5], labels[-1], len(labels)) == ("sand", "loam", "clay", 12)


def test_texture_from_bands_of_one_raster(run: Callable, tmp_path: Path) -> None:
    path = tmp_path / "soil.tif"
    write(path, [SOIL["sand"]], "float32")
    with rasterio.open(path) as dataset:
        profile = dataset.profile
    profile.update(count=2)
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(np.array([[SOIL["clay"]], [SOIL["sand"]]], dtype="float32"))
        dataset.descriptions = ("clay", "sand")
    given = {"SAND": path, "SAND_BAND": 2, "CLAY": path, "OUTPUT": tmp_path / "texture.tif"}
    run("soiltexture", given)
    assert read(tmp_path / "texture.tif") == EXPECTED


def test_texture_refuses(
    run: Callable, refused: Callable, soil: dict[str, Path], tmp_path: Path
) -> None:
    output = tmp_path / "texture.tif"
    fine = write(tmp_path / "fine.tif", [SOIL["clay"]], "int16", cell=50.0)
    with pytest.raises(QgsProcessingException, match=r"not on one grid.*Align to grid"):
        run("soiltexture", {**soil, "CLAY": fine, "OUTPUT": output})
    refused(
        "soiltexture",
        {**soil, "UNITS": "percent", "OUTPUT": output},
        "Sand, silt and clay of 4 of 4 cells do not add up to 100 % within 5 %, such as "
        "900 + 70 + 30 = 1000 (sand + silt + clay, %). Check UNITS (taken as percent), bands and "
        "fractions: fine earth without organic matter and stones. Or raise SUM_TOLERANCE.",
    )
    assert not output.exists()


def test_classes_reach_the_stations(
    run: Callable, landscape: Any, rows_of: Callable, tmp_path: Path
) -> None:
    """Land cover → covariate table → stations: whole codes, whatever the resampling."""
    with rasterio.open(landscape.soil) as dataset:
        profile = dataset.profile
        clay = dataset.read(1)
    profile.update(count=1, dtype="uint8", nodata=None)
    with rasterio.open(tmp_path / "lc.tif", "w", **profile) as dataset:
        dataset.write(np.where(clay > 15, 40, 30).astype("uint8"), 1)
    cover, table = tmp_path / "land_cover.tif", tmp_path / "table.csv"
    run("groupclasses", {"INPUT": tmp_path / "lc.tif", "OUTPUT": cover})
    given = {"STATIC": [cover, landscape.soil], "RESAMPLING": "cubic", "OUTPUT": table}
    run("covariatetable", given)
    with table.open(encoding="utf-8", newline="") as stream:
        rows = {row["covariate"]: row for row in csv.DictReader(stream)}
    assert (rows["land_cover"]["resampling"], rows["land_cover"]["group"]) == ("nearest", "classes")
    assert rows["clay"]["resampling"] == "cubic"
    result = run(
        "samplecovariates",
        {
            "INPUT": landscape.stations,
            "COVARIATES": table,
            "OUTPUT": str(tmp_path / "sampled.gpkg"),
        },
    )
    rows_found = rows_of(result["OUTPUT"])
    found = {(row["land_cover"], row["land_cover_class"]) for row in rows_found}
    assert found == {(1.0, "cultivated"), (2.0, "herbaceous")}
