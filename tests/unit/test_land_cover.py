"""Land cover maps grouped into classes: the tables, own mappings, and the raster written."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import rasterio
from raster_files import write_raster
from soil_moisture_mapper.plugin.core.covariates.classes import (
    class_names,
    holds_classes,
    read_classes,
    table_class_names,
)
from soil_moisture_mapper.plugin.core.covariates.landcover import (
    MAP_SCHEMES,
    ValueRange,
    group_classes,
    legend,
    parse_mapping,
    read_mapping,
)
from soil_moisture_mapper.plugin.core.covariates.table import RasterInput, build_table
from soil_moisture_mapper.plugin.core.errors import InputError, RasterError
from soil_moisture_mapper.plugin.core.progress import RecordingProgress

OWN = {
    1: "cultivated",
    2: "herbaceous",
    3: "forest",
    4: "shrub",
    5: "bare",
    6: "other",
}


def write(path, values, dtype="uint8", nodata=None, **more):
    return write_raster(path, values, cell=100, dtype=dtype, nodata=nodata, **more)


def classes_of(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1).tolist()


@pytest.fixture(scope="module")
def tables(root):
    found = {}
    for scheme in MAP_SCHEMES:
        path = root / "resources" / "classes" / f"{scheme}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            found[scheme] = {int(row["value"]): row["class"] for row in csv.DictReader(file)}
    return found


# Codes that the providers document: Buchhorn et al. (2020), doi:10.5281/zenodo.3938963; Van De
# Kerchove et al. (2022), WorldCover product user manual; MRLC's legend of NLCD 2001 and later; the
# 44 classes of Kosztra et al. (2019), CLC nomenclature guidelines.
DOCUMENTED = {
    "lc100": {0, 20, 30, 40, 50, 60, 70, 80, 90, 100, *range(111, 117), *range(121, 127), 200},
    "worldcover": {10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100},
    "nlcd": {
        *(11, 12, 21, 22, 23, 24, 31, 41, 42, 43, 51, 52, 71, 72, 73, 74, 81, 82, 90, 95),
    },
    "corine": {
        *range(1, 45),
        *(111, 112, 121, 122, 123, 124, 131, 132, 133, 141, 142, 211, 212, 213, 221, 222, 223),
        *(231, 241, 242, 243, 244, 311, 312, 313, 321, 322, 323, 324, 331, 332, 333, 334, 335),
        *(411, 412, 421, 422, 423, 511, 512, 521, 522, 523),
    },
}


@pytest.mark.parametrize("scheme", MAP_SCHEMES)
def test_tables_hold_every_documented_code(tables, scheme):
    assert set(tables[scheme]) >= DOCUMENTED[scheme]
    assert set(tables[scheme].values()) <= {*OWN.values(), "missing"}


def test_codes_and_names_are_those_the_docs_promise():
    found = {one.code: one.name for one in read_classes("land_cover.csv")}
    assert found == OWN


@pytest.mark.parametrize(
    ("scheme", "name", "values"),
    [
        ("lc100", "cultivated", [40]),
        ("lc100", "herbaceous", [30]),
        ("lc100", "forest", [*range(111, 117), *range(121, 127)]),
        ("lc100", "shrub", [20]),
        ("lc100", "bare", [60, 100]),
        ("lc100", "other", [50, 70, 80, 90, 200]),
        ("lc100", "missing", [0]),
        ("worldcover", "forest", [10]),
        ("worldcover", "cultivated", [40]),
        ("worldcover", "other", [50, 70, 80, 90, 95]),
        ("nlcd", "cultivated", [61, 81, 82, 83, 84]),
        ("nlcd", "bare", [31, 32, 33, 73, 74]),
        ("nlcd", "shrub", [51, 52]),
        ("nlcd", "herbaceous", [71, 72]),
        ("corine", "herbaceous", [18, 26, 231, 321]),
        ("corine", "forest", [23, 24, 25, 311, 312, 313]),
        ("corine", "shrub", [27, 28, 29, 322, 323, 324]),
        ("corine", "bare", [30, 31, 32, 33, 331, 332, 333, 334]),
    ],
)
def test_values_of_a_class(tables, scheme, name, values):
    assert [value for value, found in tables[scheme].items() if found == name] == values


def test_corine_codes_of_both_kinds_agree(tables):
    """Raster codes 1–44 follow the level-3 codes in their order."""
    level3 = sorted(value for value in DOCUMENTED["corine"] if value >= 111)
    for number, code in enumerate(level3, start=1):
        assert tables["corine"][number] == tables["corine"][code], code


def test_raster_keeps_grid_names_and_colours(tmp_path):
    source = write(tmp_path / "lc.tif", [[0, 20, 30], [40, 60, 255]], nodata=255)
    progress = RecordingProgress()
    counts = group_classes(source, 1, tmp_path / "out.tif", scheme="lc100", progress=progress)
    assert counts == {
        "cultivated": 1,
        "herbaceous": 1,
        "forest": 0,
        "shrub": 1,
        "bare": 1,
        "other": 0,
    }
    with rasterio.open(tmp_path / "out.tif") as dataset, rasterio.open(source) as original:
        assert dataset.read(1).tolist() == [[255, 4, 2], [1, 5, 255]]
        assert (dataset.transform, dataset.crs) == (original.transform, original.crs)
        assert dataset.descriptions == ("land_cover",)
        assert (dataset.dtypes, dataset.nodata, dataset.units) == (("uint8",), 255, ("class",))
        assert dataset.colormap(1)[3] == (0x00, 0x66, 0x4B, 255)
    assert class_names(tmp_path / "out.tif") == OWN
    assert holds_classes(tmp_path / "out.tif")
    assert 'value="3" label="forest" color="#00664B"' in (tmp_path / "out.qml").read_text()
    assert progress.messages[-1].startswith("4 cells with a class: cultivated 25.0 %")
    assert "2 missing" in progress.messages[-1]


def test_names_do_not_depend_on_the_files_beside(tmp_path):
    """They lie in the raster itself; the sidecar is for GDAL and QGIS."""
    source = write(tmp_path / "lc.tif", [[20, 30]])
    group_classes(source, 1, tmp_path / "out.tif", scheme="lc100")
    sidecar = tmp_path / "out.tif.aux.xml"
    assert "<Category></Category><Category>cultivated</Category>" in sidecar.read_text()
    sidecar.unlink()
    assert class_names(tmp_path / "out.tif") == OWN


def test_real_map(shared_data, tmp_path):
    """Counts of the codes summed by hand: barren is 31 alone, the forests 41, 42 and 43."""
    source = shared_data / "rasters" / "nlcd2011_zion_31m.tif"
    counts = group_classes(source, 1, tmp_path / "out.tif", scheme="nlcd")
    with rasterio.open(source) as dataset:
        found, number = np.unique(dataset.read(1), return_counts=True)
        crs, transform = dataset.crs, dataset.transform
    cells = dict(zip(found.tolist(), number.tolist()))
    assert counts["bare"] == cells[31] == 106070
    assert counts["forest"] == cells[41] + cells[42] + cells[43] == 767537
    assert counts["cultivated"] == cells[81] + cells[82]
    assert sum(counts.values()) == number.sum()
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert (dataset.crs, dataset.transform) == (crs, transform)


def test_blocks_do_not_show(tmp_path, monkeypatch):
    values = np.random.default_rng(1).choice([20, 30, 40, 111, 126, 200], (300, 170))
    source = write(tmp_path / "lc.tif", values)
    group_classes(source, 1, tmp_path / "a.tif", scheme="lc100")
    monkeypatch.setattr("soil_moisture_mapper.plugin.core.covariates.landcover._BLOCK", 64)
    group_classes(source, 1, tmp_path / "b.tif", scheme="lc100")
    assert classes_of(tmp_path / "a.tif") == classes_of(tmp_path / "b.tif")


def test_values_that_are_not_listed_are_counted(tmp_path):
    source = write(tmp_path / "lc.tif", [[20, 7, 7], [7, 41, 20]])
    with pytest.raises(InputError) as caught:
        group_classes(source, 1, tmp_path / "out.tif", scheme="lc100")
    assert caught.value.cause == (
        "'lc.tif' holds values that the mapping 'lc100' does not list: 7 (3 cells); 41 (1 cells)."
    )
    assert "UNMAPPED" in caught.value.cure
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lc.tif"]


@pytest.mark.parametrize(("unmapped", "code"), [("missing", 255), ("other", 6)])
def test_values_that_are_not_listed_may_become_something(tmp_path, unmapped, code):
    source = write(tmp_path / "lc.tif", [[20, 7]])
    progress = RecordingProgress()
    group_classes(
        source, 1, tmp_path / "out.tif", scheme="lc100", unmapped=unmapped, progress=progress
    )
    assert classes_of(tmp_path / "out.tif") == [[4, code]]
    assert progress.warnings == [
        f"Values that are not in the mapping, taken as {unmapped}: 7 (1 cells)."
    ]


def test_lines_come_before_the_scheme(tmp_path):
    source = write(tmp_path / "lc.tif", [[81, 82, 90, 95, 11]])
    group_classes(
        source,
        1,
        tmp_path / "out.tif",
        scheme="nlcd",
        mapping=parse_mapping("81=herbaceous\n90-95 = wetland; 11=missing"),
    )
    assert classes_of(tmp_path / "out.tif") == [[2, 1, 7, 7, 255]]
    assert class_names(tmp_path / "out.tif") == {**OWN, 7: "wetland"}


def test_own_classes_alone(tmp_path):
    source = write(tmp_path / "lc.tif", [[-3, 70000, 12, 5]], dtype="int32")
    group_classes(
        source,
        1,
        tmp_path / "out.tif",
        scheme="own",
        mapping=parse_mapping("-3--1=orchard\n70000=20\n12=forest\n5=vineyard"),
        name="crop",
    )
    assert classes_of(tmp_path / "out.tif") == [[7, 20, 3, 8]]
    assert class_names(tmp_path / "out.tif") == {
        3: "forest",
        7: "orchard",
        8: "vineyard",
        20: "20",
    }


def test_mapping_from_a_file(tmp_path):
    text = "\ufeffvalue;label;class\r\n1-3;anything;forest\r\n;;\r\n9;;bare\r\n"
    (tmp_path / "own.csv").write_bytes(text.encode())
    assert read_mapping(tmp_path / "own.csv") == [
        ValueRange(1, 3, "forest"),
        ValueRange(9, 9, "bare"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("forest", "'forest=' in the line 'forest' of the mapping is not 'value=class'"),
        ("x=forest", "'x=forest' in the line"),
        ("4=", "'4=' in the line"),
        ("1.5=bare", "'1.5=bare'"),
        ("9-4=bare", "runs backwards"),
    ],
)
def test_lines_that_cannot_be_read(text, message):
    with pytest.raises(InputError, match=message):
        parse_mapping(text)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_mapping(tmp_path / "gone.csv")
    (tmp_path / "a.csv").write_text("code,class\n1,forest\n")
    with pytest.raises(InputError, match="has no column value"):
        read_mapping(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("value,class\n1,forest\nx,bare\n")
    with pytest.raises(InputError, match="'x=bare' in line 3 of"):
        read_mapping(tmp_path / "b.csv")


def test_wrong_input(tmp_path):
    source = write(tmp_path / "lc.tif", [[20.0, 0.25]], dtype="float32")
    with pytest.raises(InputError, match=r"'lc.tif' holds 0.25, which is no class code"):
        group_classes(source, 1, tmp_path / "out.tif")
    with pytest.raises(RasterError, match="no band 2"):
        group_classes(source, 2, tmp_path / "out.tif")
    with pytest.raises(InputError, match="'own' has no classes"):
        group_classes(source, 1, tmp_path / "out.tif", scheme="own")
    with pytest.raises(InputError, match="may not be called role"):
        group_classes(source, 1, tmp_path / "out.tif", name="role")
    with pytest.raises(InputError, match="class numbers 1 cannot be codes"):
        legend(["forest", "cultivated", "1"], "own")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lc.tif"]


def test_map_without_values(tmp_path):
    source = write(tmp_path / "lc.tif", [[255, 255]], nodata=255)
    progress = RecordingProgress()
    group_classes(source, 1, tmp_path / "out.tif", progress=progress)
    assert progress.warnings == ["No cell has a class: every value is missing."]


def test_classes_are_read_by_the_nearest_cell(tmp_path):
    """And the covariate table leads to their names."""
    source = write(tmp_path / "lc.tif", [[20, 30]])
    group_classes(source, 1, tmp_path / "out.tif", scheme="lc100")
    clay = write(tmp_path / "clay.tif", [[1.0, 2.0]], dtype="float32")
    palette = write(tmp_path / "nlcd.tif", [[1, 2]])
    with rasterio.open(palette, "r+") as dataset:
        dataset.write_colormap(1, {1: (1, 2, 3, 255), 2: (4, 5, 6, 255)})
    inputs = [RasterInput(str(path)) for path in (tmp_path / "out.tif", clay, palette)]
    progress = RecordingProgress()
    table = build_table(
        inputs, [], resampling="average", output=tmp_path / "c.csv", progress=progress
    )
    assert {row.covariate: row.resampling for row in table.rows} == {
        "land_cover": "nearest",
        "clay": "average",
        "nlcd": "nearest",
    }
    assert any("land_cover, nlcd" in text and "nearest" in text for text in progress.messages)
    assert table_class_names(table) == {"land_cover": OWN}
