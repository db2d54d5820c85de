"""Texture classes: against the triangle's polygons, its limits, and published class means."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from raster_files import write_raster
from soil_moisture_mapper.plugin.core.covariates.classes import class_names, read_classes
from soil_moisture_mapper.plugin.core.covariates.texture import (
    TEXTURES,
    TextureBand,
    classify_texture,
    soil_texture,
)
from soil_moisture_mapper.plugin.core.errors import InputError, RasterError
from soil_moisture_mapper.plugin.core.progress import RecordingProgress

# Corners of the classes in the triangle of the Soil Survey Manual (USDA Handbook 18, figure 3-7),
# as (clay, sand) in per cent.
POLYGONS = {
    "sand": [(0, 100), (0, 85), (10, 90)],
    "loamy sand": [(10, 90), (0, 85), (0, 70), (15, 85)],
    "sandy loam": [(15, 85), (0, 70), (0, 50), (7, 43), (7, 52), (20, 52), (20, 80)],
    "silt loam": [(0, 50), (0, 20), (12, 8), (12, 0), (27, 0), (27, 23), (7, 43)],
    "silt": [(0, 20), (0, 0), (12, 0), (12, 8)],
    "loam": [(7, 52), (7, 43), (27, 23), (27, 45), (20, 52)],
    "sandy clay loam": [(20, 80), (20, 52), (27, 45), (35, 45), (35, 65)],
    "silty clay loam": [(27, 20), (27, 0), (40, 0), (40, 20)],
    "clay loam": [(27, 45), (27, 20), (40, 20), (40, 45)],
    "sandy clay": [(35, 65), (35, 45), (55, 45)],
    "silty clay": [(40, 20), (40, 0), (60, 0)],
    "clay": [(40, 45), (40, 20), (60, 0), (100, 0), (55, 45)],
}

# Mean composition (sand, silt, clay) of the soils of each class: Cosby et al. (1984), table 2,
# doi:10.1029/WR020i006p00682.
COSBY = {
    "sand": (92, 5, 3),
    "loamy sand": (82, 12, 6),
    "sandy loam": (58, 32, 10),
    "loam": (43, 39, 18),
    "silt loam": (17, 70, 13),
    "sandy clay loam": (58, 15, 27),
    "clay loam": (32, 34, 34),
    "silty clay loam": (10, 56, 34),
    "sandy clay": (52, 6, 42),
    "silty clay": (6, 47, 47),
    "clay": (22, 20, 58),
}


def name_of(sand, silt, clay):
    code = classify_texture(*(np.array([float(part)]) for part in (sand, silt, clay)))[0]
    return TEXTURES[code - 1]


def area(corners):
    pairs = zip(corners, [*corners[1:], corners[0]])
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)) / 2


def side(polygon, clay, sand):
    """1 inside, 0 on the edge, −1 outside; in exact arithmetic (crossing number)."""
    inside = False
    for (x0, y0), (x1, y1) in zip(polygon, [*polygon[1:], polygon[0]]):
        cross = (x1 - x0) * (sand - y0) - (y1 - y0) * (clay - x0)
        within = min(x0, x1) <= clay <= max(x0, x1) and min(y0, y1) <= sand <= max(y0, y1)
        if cross == 0 and within:
            return 0
        if (y0 > sand) != (y1 > sand):
            at = Fraction(x1 - x0) * (sand - y0) / (y1 - y0) + x0
            inside ^= clay < at
    return 1 if inside else -1


def holders(clay, sand, scale=1):
    """Return the class that holds a composition, or those on whose edge it lies."""
    sides = {
        name: side([(scale * x, scale * y) for x, y in polygon], clay, sand)
        for name, polygon in POLYGONS.items()
    }
    inside = {name for name, where in sides.items() if where == 1}
    return inside or {name for name, where in sides.items() if where == 0}


def test_polygons_fill_the_triangle():
    assert sum(area(corners) for corners in POLYGONS.values()) == 100 * 100 / 2


def test_every_half_per_cent_against_the_polygons():
    """On an edge the class is one of those that share it."""
    points = [(clay, sand) for clay in range(201) for sand in range(201 - clay)]
    clay, sand = np.array(points).T / 2
    found = classify_texture(sand, 100 - sand - clay, clay)
    assert len(found) == 20_301 and len(set(found.tolist())) == 12
    for (c, s), code in zip(points, found):
        assert TEXTURES[code - 1] in holders(c, s, 2), (c / 2, s / 2)


@given(st.integers(0, 100_000), st.integers(0, 100_000))
def test_every_composition_has_one_class_that_holds_it(first, second):
    low, high = sorted((first, second))
    clay, sand = Fraction(low, 1000), Fraction(100_000 - high, 1000)
    silt = 100 - clay - sand
    assert name_of(sand, silt, clay) in holders(clay, sand)


@given(st.floats(0, 1), st.floats(0, 1))
def test_any_floating_point_composition_has_a_class(clay, rest):
    clay, sand = 100 * clay, 100 * (1 - clay) * rest
    code = classify_texture(np.array(sand), np.array(100 - clay - sand), np.array(clay))
    assert 1 <= int(code) <= 12


@pytest.mark.parametrize("name", COSBY)
def test_published_class_means(name):
    assert name_of(*COSBY[name]) == name


@pytest.mark.parametrize("name", POLYGONS)
def test_centres_of_the_polygons(name):
    corners = np.array(POLYGONS[name], dtype=float)
    clay, sand = corners.mean(axis=0)
    assert name_of(sand, 100 - sand - clay, clay) == name


@pytest.mark.parametrize(
    ("sand", "silt", "clay", "name"),
    [
        # Definitions of the manual as clarified by Benham et al. (2009)
        (85, 15, 0, "loamy sand"),  # silt + 1.5 clay = 15 is no longer below 15
        (85.01, 14.99, 0, "sand"),
        (90, 0, 10, "loamy sand"),
        (70, 30, 0, "sandy loam"),  # silt + 2 clay = 30 is no longer below 30
        (85, 0, 15, "sandy loam"),
        (50, 50, 0, "silt loam"),
        (20, 80, 0, "silt"),
        (8, 80, 12, "silt loam"),  # silt ends below 12 % clay
        (43, 50, 7, "silt loam"),
        (52, 41, 7, "loam"),  # loam: clay from 7, sand up to 52
        (52, 28, 20, "loam"),
        (52.01, 27.99, 20, "sandy clay loam"),
        (80, 0, 20, "sandy clay loam"),
        (45, 28, 27, "clay loam"),  # clay loam: sand up to 45
        (45.01, 27.99, 27, "sandy clay loam"),
        (23, 50, 27, "clay loam"),
        (20, 53, 27, "silty clay loam"),  # silty clay loam: sand up to 20
        (45, 20, 35, "clay loam"),
        (65, 0, 35, "sandy clay"),
        (45, 15, 40, "clay"),
        (20, 40, 40, "silty clay"),
        (0, 40, 60, "silty clay"),
        (45, 0, 55, "clay"),
        (100, 0, 0, "sand"),
        (0, 100, 0, "silt"),
        (0, 0, 100, "clay"),
    ],
)
def test_limits_belong_to_one_class(sand, silt, clay, name):
    assert name_of(sand, silt, clay) == name


def test_rounding_does_not_decide():
    """0.28 × 100 is 28.000000000000004, and more in single precision."""
    fractions = np.array([0.52, 0.28, 0.20])
    assert name_of(*(100 * fractions)) == "loam"
    assert name_of(*(100 * fractions.astype(np.float32)).astype(float)) == "loam"


def test_missing_stays_missing():
    nan = np.array([np.nan, 50.0])
    full = np.array([50.0, 50.0])
    found = classify_texture(nan, full, np.zeros(2))
    assert found.tolist() == [255, 4]


def test_table_of_classes_is_in_this_order():
    assert tuple(one.name for one in read_classes("soil_texture.csv")) == TEXTURES


def write(path, values, dtype="float32", nodata=-9999, cell=250.0):
    return TextureBand(str(write_raster(path, values, dtype=dtype, nodata=nodata, cell=cell)))


def three(tmp_path, parts, **more):
    names = ("sand", "silt", "clay")
    return [write(tmp_path / f"{name}.tif", part, **more) for name, part in zip(names, parts)]


def codes_of(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1).tolist()


MEANS = np.array(list(COSBY.values()), dtype=float).T
EXPECTED = [TEXTURES.index(name) + 1 for name in COSBY]


@pytest.mark.parametrize(
    ("units", "factor", "dtype"),
    [("percent", 1, "uint8"), ("g-per-kg", 10, "int16"), ("fraction", 0.01, "float32")],
)
@pytest.mark.parametrize("with_silt", [True, False])
def test_units_are_told(tmp_path, units, factor, dtype, with_silt):
    nodata = 255 if dtype == "uint8" else -9999
    sand, silt, clay = three(tmp_path, factor * MEANS, dtype=dtype, nodata=nodata)
    for asked in ("auto", units):
        progress = RecordingProgress()
        output = tmp_path / f"{asked}.tif"
        soil_texture(
            sand, silt if with_silt else None, clay, output, units=asked, progress=progress
        )
        assert codes_of(output) == [EXPECTED]
        assert progress.messages[0].startswith(f"Units: {units} (") == (asked == "auto")
    assert class_names(output)[7] == "sandy clay loam"


def test_counts_and_metadata(tmp_path):
    sand, silt, clay = three(tmp_path, MEANS)
    counts = soil_texture(sand, silt, clay, tmp_path / "out.tif", name="texture_0_5")
    assert list(counts) == list(TEXTURES)
    assert sum(counts.values()) == 11 and counts["silt"] == 0
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert (dataset.descriptions, dataset.units) == (("texture_0_5",), ("class",))
        assert (dataset.dtypes, dataset.nodata) == (("uint8",), 255)


def test_sums_near_the_whole_are_scaled_and_others_missing(tmp_path):
    """60 + 24 + 19 = 103 scales to 58.25, 23.3, 18.45: sandy loam as before."""
    parts = [[60, 30, 50, -1, 52, 52], [24, 20, 30, 60, 28, 28], [19, 20, 20, 41, 20, 20]]
    sand, silt, clay = three(tmp_path, parts)
    progress = RecordingProgress()
    soil_texture(sand, silt, clay, tmp_path / "out.tif", units="percent", progress=progress)
    assert codes_of(tmp_path / "out.tif") == [[3, 255, 6, 255, 6, 6]]
    (warning,) = progress.warnings
    assert warning.startswith("Sand, silt and clay of 2 of 6 cells do not add up to 100 % within 5")
    assert "30 + 20 + 20 = 70" in warning


def test_wrong_units_stop(tmp_path):
    sand, silt, clay = three(tmp_path, 10 * MEANS)
    with pytest.raises(InputError, match="11 of 11 cells do not add up") as caught:
        soil_texture(sand, silt, clay, tmp_path / "out.tif", units="percent")
    assert "UNITS (taken as percent)" in caught.value.cure
    assert not (tmp_path / "out.tif").exists()


def test_units_that_cannot_be_told(tmp_path):
    sand, silt, clay = three(tmp_path, 3 * MEANS)
    with pytest.raises(InputError, match="units cannot be told: sand, silt and clay add up to 300"):
        soil_texture(sand, silt, clay, tmp_path / "out.tif")


def test_sand_and_clay_beyond_the_whole(tmp_path):
    sand, _, clay = three(tmp_path, [[62, 70, 40], [0, 0, 0], [40, 40, 20]])
    progress = RecordingProgress()
    soil_texture(sand, None, clay, tmp_path / "out.tif", units="percent", progress=progress)
    assert codes_of(tmp_path / "out.tif") == [[10, 255, 6]]
    assert "1 of 3 cells" in progress.warnings[0]


def test_other_grids_are_refused(tmp_path):
    sand, silt, _ = three(tmp_path, MEANS)
    clay = write(tmp_path / "fine.tif", MEANS[2], cell=100.0)
    with pytest.raises(RasterError, match=r"not on one grid: 'sand.tif' has 11 × 1 cells of 250"):
        soil_texture(sand, silt, clay, tmp_path / "out.tif")
    with pytest.raises(RasterError, match="Align to grid"):
        soil_texture(sand, silt, clay, tmp_path / "out.tif")


def test_nothing_to_classify(tmp_path):
    bands = three(tmp_path, np.full((3, 2), -9999.0))
    progress = RecordingProgress()
    soil_texture(*bands, tmp_path / "out.tif", progress=progress)
    assert "every class is missing" in progress.warnings[0]
    with pytest.raises(InputError, match="'grams' are unknown"):
        soil_texture(*bands, tmp_path / "out.tif", units="grams")


def test_blocks_do_not_show(tmp_path, monkeypatch):
    rng = np.random.default_rng(2)
    parts = np.moveaxis(rng.dirichlet((1, 1, 1), (300, 170)) * 100, 2, 0)
    bands = three(tmp_path, parts)
    soil_texture(*bands, tmp_path / "a.tif")
    monkeypatch.setattr("soil_moisture_mapper.plugin.core.covariates.texture._BLOCK", 64)
    soil_texture(*bands, tmp_path / "b.tif")
    assert codes_of(tmp_path / "a.tif") == codes_of(tmp_path / "b.tif")
