"""Spectral indices: formulas by hand, products as they are delivered, masks, grids, bad input."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from raster_files import full_layers, scaled, write_raster
from rasterio.warp import Resampling, reproject
from soil_moisture_mapper.plugin.core.covariates.imagery import optical
from soil_moisture_mapper.plugin.core.covariates.imagery.optical import optical_indices
from soil_moisture_mapper.plugin.core.covariates.imagery.optical_cells import (
    Tally,
    clean_reflectance,
)
from soil_moisture_mapper.plugin.core.covariates.imagery.optical_formulas import (
    INDICES,
    compute_indices,
    index_of,
)
from soil_moisture_mapper.plugin.core.covariates.imagery.sensors import ROLES, detect_sensor
from soil_moisture_mapper.plugin.core.covariates.table import RasterInput
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError, RasterError
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress

CRS = "EPSG:32632"
RHO = {
    "blue": 0.05,
    "green": 0.09,
    "red": 0.08,
    "nir": 0.32,
    "swir1240": 0.30,
    "swir1640": 0.24,
    "swir2130": 0.15,
}
# By hand from the formulas of methods.md with the reflectance above.
BY_HAND = {
    "NDVI": 0.24 / 0.40,
    "EVI": 0.6 / 1.425,
    "SAVI": 0.36 / 0.90,
    "VARI": 0.01 / 0.12,
    "NDWI": 0.02 / 0.62,
    "NDII5": 0.02 / 0.62,
    "NDII6": 0.08 / 0.56,
    "NDII7": 0.17 / 0.47,
    "NDMI": 0.08 / 0.56,
    "GVMI": 0.16 / 0.68,
    # Liang (2001): 0.0128 + 0.09312 + 0.01215 + 0.01044 + 0.0336 + 0.01215 − 0.0015
    "albedo": 0.17276,
}
# Liang (2001), Landsat: 0.0178 + 0.0104 + 0.11936 + 0.0204 + 0.0108 − 0.0018
LANDSAT_ALBEDO = 0.17696
S2_BANDS = {
    "blue": "B02",
    "green": "B03",
    "red": "B04",
    "nir": "B08",
    "swir1640": "B11",
    "swir2130": "B12",
}
LANDSAT_BANDS = {role: f"SR_B{n}" for role, n in zip(S2_BANDS, (2, 3, 4, 5, 6, 7))}
MODIS_BANDS = {
    "red": 1,
    "nir": 2,
    "blue": 3,
    "green": 4,
    "swir1240": 5,
    "swir1640": 6,
    "swir2130": 7,
}


def write(
    path,
    bands,
    *,
    dtype="float32",
    cell=10.0,
    nodata=None,
    scale=None,
    offset=0.0,
    crs=CRS,
    origin=(500_000.0, 5_535_000.0),
    north_up=True,
):
    """Write bands by description ('' for none); a number fills 3 × 4 cells."""
    layers = full_layers(bands)
    layers = layers if dtype.startswith("float") else np.rint(layers)
    transform = Affine(cell, 0, origin[0], 0, -cell if north_up else cell, origin[1])
    scaling = scaled(len(layers), scale, offset)
    place = {"crs": crs, "transform": transform, "nodata": nodata}
    write_raster(path, layers, names=tuple(bands), dtype=dtype, **place, **scaling)
    return RasterInput(str(path))


def read(path):
    """Return values by band name, NaN for missing."""
    with rasterio.open(path) as dataset:
        values = dataset.read(masked=True).filled(np.nan).astype(np.float64)
        return dict(zip(dataset.descriptions, values))


def run(inputs, folder, **options):
    """Return the paths and what was said."""
    progress = RecordingProgress()
    paths = optical_indices(inputs, folder, progress=progress, **options)
    return paths, progress


def first(inputs, folder, **options):
    return read(run(inputs, folder, **options)[0][0])


def earth_engine(path, **options):
    """A file a day as Earth Engine exports reflectance of Sentinel-2, float 0–1."""
    bands = {name.replace("B0", "B"): RHO[role] for role, name in S2_BANDS.items()}
    return write(path, bands, **options)


# formulas


@pytest.mark.parametrize("key", INDICES)
def test_formula_by_hand(key):
    index = index_of(key, "modis")
    arrays = {role: np.full((1, 2), value) for role, value in RHO.items()}
    found = compute_indices(arrays, [index])
    assert found.shape == (1, 1, 2)
    np.testing.assert_allclose(found, BY_HAND[index.name], rtol=1e-6)


@pytest.mark.parametrize("sensor", ["landsat-8-9", "sentinel-2"])
def test_albedo_of_landsat_bands(sensor):
    arrays = {role: np.full((1, 1), value) for role, value in RHO.items()}
    found = compute_indices(arrays, [index_of("albedo", sensor)])
    np.testing.assert_allclose(found, LANDSAT_ALBEDO, rtol=1e-6)


REFLECTANCE = st.floats(0, 1, width=32)
CELLS = st.lists(
    st.tuples(*(st.one_of(REFLECTANCE, st.just(float("nan"))) for _ in ROLES)),
    min_size=1,
    max_size=20,
)


@given(CELLS)
@settings(max_examples=200)
def test_normalized_indices_stay_in_range_and_missing_stays_missing(cells):
    stack = np.array(cells, dtype=np.float64).T[:, None, :]
    arrays = dict(zip(ROLES, stack))
    for key in INDICES:
        index = index_of(key, "modis")
        (values,) = compute_indices(arrays, [index])
        used = np.stack([arrays[role] for role in index.roles])
        assert np.isnan(values[np.isnan(used).any(axis=0)]).all()
        if key.startswith(("ndv", "ndw", "ndi", "ndm", "gvmi")):
            known = values[np.isfinite(values)]
            assert (np.abs(known) <= 1 + 1e-6).all()


@given(CELLS, st.permutations(ROLES))
def test_order_of_bands_changes_nothing(cells, order):
    stack = dict(zip(ROLES, np.array(cells, dtype=np.float64).T[:, None, :]))
    indices = [index_of(key, "modis") for key in INDICES]
    expected = compute_indices(stack, indices)
    shuffled = compute_indices({role: stack[role] for role in order}, indices)
    np.testing.assert_array_equal(shuffled, expected)


def test_quotient_by_zero_is_missing():
    arrays = {
        "red": np.array([[0.0, 0.1, 0.05]]),
        "nir": np.array([[0.0, 0.1, 0.2]]),
        "green": np.array([[0.0, 0.1, 0.05]]),
        "blue": np.array([[0.0, 0.2, 0.1]]),
    }
    ndvi, vari = compute_indices(arrays, [index_of(key, "modis") for key in ("ndvi", "vari")])
    np.testing.assert_allclose(ndvi, [[np.nan, 0.0, 0.6]], rtol=1e-6)
    np.testing.assert_array_equal(vari, [[np.nan, np.nan, np.nan]])


def test_what_cannot_be_reflectance_is_missing_and_counted():
    tally = Tally()
    arrays = {
        "red": np.array([0.1, -0.01, -0.021, 1.7, 0.0, 0.0, np.nan]),
        "nir": np.array([0.3, 0.30, 0.3, 0.3, 0.0, 0.3, 0.3]),
    }
    clean_reflectance(arrays, tally)
    np.testing.assert_array_equal(arrays["red"], [0.1, 0, np.nan, np.nan, np.nan, 0, np.nan])
    np.testing.assert_array_equal(arrays["nir"], [0.3, 0.3, 0.3, 0.3, np.nan, 0.3, 0.3])
    assert (tally.raised, tally.empty, tally.outside) == (1, 1, {"red": 2, "nir": 0})


# products as they are delivered


def sentinel_2(folder, day="20210401", *, shift=0, safe=None):
    """A file a band as ESA delivers them: bands of 20 m beside those of 10 m."""
    place = folder / safe if safe else folder
    place.mkdir(parents=True, exist_ok=True)
    inputs = []
    for role, band in S2_BANDS.items():
        coarse = band in ("B11", "B12")
        cell, shape = (20, (3, 4)) if coarse else (10, (6, 8))
        path = place / f"T31UFU_{day}T105031_{band}_{cell}m.tif"
        values = np.full(shape, RHO[role] * 10_000 + shift)
        inputs.append(write(path, {"": values}, dtype="uint16", cell=cell))
    return inputs


def landsat(folder, day="20210401", **options):
    stem = f"LC08_L2SP_198026_{day}_20210409_02_T1"
    return [
        write(
            folder / f"{stem}_{band}.TIF",
            {"": (RHO[role] + 0.2) / 0.0000275},
            dtype="uint16",
            cell=30.0,
            **options,
        )
        for role, band in LANDSAT_BANDS.items()
    ]


def modis(folder, pattern, **options):
    return [
        write(folder / pattern.format(number), {"": RHO[role] * 10_000}, dtype="int16", **options)
        for role, number in MODIS_BANDS.items()
    ]


def check_by_hand(found, *, landsat_albedo, tolerance=1e-6):
    expected = dict(BY_HAND)
    if landsat_albedo:
        expected["albedo"] = LANDSAT_ALBEDO
        del expected["NDWI"], expected["NDII5"]
    assert list(found) == list(expected)
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=tolerance, err_msg=name)


def test_sentinel_2_as_downloaded(tmp_path):
    paths, progress = run(sentinel_2(tmp_path), tmp_path / "out")
    assert [path.name for path in paths] == ["optical_20210401.tif"]
    check_by_hand(read(paths[0]), landsat_albedo=True)
    with rasterio.open(paths[0]) as dataset:
        assert dataset.res == (10.0, 10.0)
        assert dataset.tags()["TIFFTAG_DATETIME"] == "2021:04:01 00:00:00"
        assert dataset.nodata == -9999
        assert set(dataset.dtypes) == {"float32"}
    assert paths[0].with_suffix(".qml").exists()
    assert "NDII5 is left out where there is no band for swir1240." in progress.messages
    assert any("no cloud mask on 2021-04-01" in text for text in progress.warnings)


def test_landsat_as_downloaded(tmp_path):
    paths, progress = run(landsat(tmp_path), tmp_path / "out")
    # Stored whole numbers: half a step of 2.75e-5 in reflectance
    check_by_hand(read(paths[0]), landsat_albedo=True, tolerance=2e-3)
    assert any("× 2.75e-05 − 0.2 (Landsat 8/9)" in text for text in progress.messages)


@pytest.mark.parametrize(
    "pattern",
    [
        "MOD09A1.A2021097.h18v03.061.2021106035029.sur_refl_b0{}.tif",
        "MOD09A1.061_sur_refl_b0{}_doy2021097_aid0001.tif",
        "MOD09GA.061_sur_refl_b0{}_1_doy2021097000000_aid0001.tif",
        "MCD43A4.061_Nadir_Reflectance_Band{}_doy2021097_aid0001.tif",
    ],
)
def test_modis_as_downloaded(tmp_path, pattern):
    paths, progress = run(modis(tmp_path, pattern), tmp_path / "out")
    assert [path.name for path in paths] == ["optical_20210407.tif"]  # day 97 of 2021
    check_by_hand(read(paths[0]), landsat_albedo=False)
    assert bool(progress.warnings) == ("Nadir" not in pattern)


@pytest.mark.parametrize("shuffled", [False, True])
def test_one_file_a_day_in_any_order_of_bands(tmp_path, shuffled):
    names = {f"sur_refl_b0{n}": RHO[role] for role, n in MODIS_BANDS.items()}
    if shuffled:
        names = dict(reversed(names.items()))
    inputs = [write(tmp_path / "MOD09A1_2021_04_01.tif", {"NumObs": 3.0, **names})]
    check_by_hand(first(inputs, tmp_path / "out"), landsat_albedo=False)


def test_stack_of_earth_engine_holds_a_day_a_band(tmp_path):
    bands = {
        f"{day}T105031_{day}T105544_T31UFU_{band}": value
        for day, red in (("20210401", 0.1), ("20210411", 0.2))
        for band, value in (("B4", red), ("B8", 0.3))
    }
    paths, _ = run([write(tmp_path / "stack.tif", bands)], tmp_path / "out", indices=["ndvi"])
    assert [path.name[8:16] for path in paths] == ["20210401", "20210411"]
    np.testing.assert_allclose(read(paths[0])["NDVI"], 0.5, rtol=1e-6)
    np.testing.assert_allclose(read(paths[1])["NDVI"], 0.2, rtol=1e-6)


def test_bands_of_other_names_are_mapped(tmp_path):
    inputs = [
        write(tmp_path / "field_rot_20210401.tif", {"": 0.08}),
        write(tmp_path / "field_infrarot_20210401.tif", {"": 0.32}),
    ]
    options = {"sensor": "landsat-8-9", "bands": "red=rot; nir=infrarot"}
    found = first(inputs, tmp_path / "out", **options)
    assert list(found) == ["NDVI", "SAVI"]
    np.testing.assert_allclose(found["NDVI"], 0.6, rtol=1e-6)


def test_bands_named_by_their_role_need_no_mapping(tmp_path):
    bands = {"red": 0.08, "nir08": 0.32, "swir16": 0.24}
    inputs = [write(tmp_path / "stac_20210401.tif", bands)]
    found = first(inputs, tmp_path / "out", sensor="landsat-8-9")
    assert list(found) == ["NDVI", "SAVI", "NDII6", "NDMI", "GVMI"]
    np.testing.assert_allclose(found["GVMI"], BY_HAND["GVMI"], rtol=1e-6)


def test_near_infrared_is_b8_where_it_is_there(tmp_path):
    bands = {"B4": 0.1, "B8A": 0.5, "B8": 0.3}
    inputs = [write(tmp_path / "s2_20210401.tif", bands)]
    np.testing.assert_allclose(first(inputs, tmp_path / "a")["NDVI"], 0.5, rtol=1e-6)
    found = first(inputs, tmp_path / "b", bands="nir=B8A")
    np.testing.assert_allclose(found["NDVI"], 0.4 / 0.6, rtol=1e-6)
    inputs = [write(tmp_path / "s2_20210402.tif", {"B4": 0.1, "B8A": 0.5})]
    np.testing.assert_allclose(first(inputs, tmp_path / "c")["NDVI"], 0.4 / 0.6, rtol=1e-6)


@pytest.mark.parametrize(
    ("names", "sensor"),
    [
        (["B4", "B8"], "sentinel-2"),
        (["B2", "B12"], "sentinel-2"),
        (["T31UFU_20210401T105031_B04_10m"], "sentinel-2"),
        (["SR_B4"], "landsat-8-9"),
        (["LC09_L2SP_198026_20220401_20220403_02_T1_SR_B5"], "landsat-8-9"),
        (["HLS.L30.T31UFU.2021091T103629.v2.0.B05"], "landsat-8-9"),
        (["HLS.S30.T31UFU.2021091T103629.v2.0.B08"], "sentinel-2"),
        (["sur_refl_b01"], "modis"),
    ],
)
def test_sensor_by_names(names, sensor):
    assert detect_sensor(names).name == sensor


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["B2", "B3", "B4", "B5"], r"bands B2, B3, B4, B5 do not tell the sensor"),
        (["B4", "B5", "B8"], r"do not tell the sensor\. Choose SENSOR"),
        (["SR_B4", "B8A"], r"several sensors: Sentinel-2 and Landsat 8/9"),
    ],
)
def test_names_that_do_not_tell_the_sensor(names, message):
    with pytest.raises(InputError, match=message):
        detect_sensor(names)


# scale and offset


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ({"dtype": "float32"}, {}),
        ({"dtype": "float32", "stored": 10_000}, {"scale": 0.0001}),
        ({"dtype": "float32", "stored": 100}, {"scale": 0.01}),
        ({"dtype": "uint16", "stored": 10_000}, {}),
        ({"dtype": "uint16", "stored": 10_000}, {"scale": 0.0001}),
        ({"dtype": "uint16", "stored": 20_000, "scale": 0.00005}, {}),
        ({"dtype": "uint16", "stored": 10_000, "scale": 0.0001}, {"scale": 0.0001}),
        ({"dtype": "uint16", "stored": 10_000, "scale": 0.01}, {"scale": 0.0001}),
        ({"dtype": "uint16", "stored": 10_000, "shift": 1000, "scale": 1e-4, "offset": -0.1}, {}),
        (
            {"dtype": "uint16", "stored": 10_000, "shift": 1000, "scale": 1e-4, "offset": -0.1},
            {"scale": 0.0001},
        ),
        (
            {"dtype": "uint16", "stored": 10_000, "shift": 1000, "scale": 1e-4, "offset": -0.1},
            {"scale": 0.0001, "offset": -0.1},
        ),
        ({"dtype": "uint16", "stored": 10_000, "shift": 1000}, {"offset": -0.1}),
        ({"dtype": "float32", "shift": 0.1}, {"offset": -0.1}),
    ],
)
def test_scale_of_file_and_user_are_never_both_applied(tmp_path, file, options):
    """EVI, GVMI and albedo are not ratios: they show a wrong factor."""
    file = dict(file)
    stored, shift = file.pop("stored", 1), file.pop("shift", 0)
    bands = {name.replace("B0", "B"): RHO[role] * stored + shift for role, name in S2_BANDS.items()}
    inputs = [write(tmp_path / "s2_20210401.tif", bands, **file)]
    found = first(inputs, tmp_path / "out", **options)
    check_by_hand(found, landsat_albedo=True, tolerance=2e-6)


@pytest.mark.parametrize(
    ("day", "safe", "shift"),
    [
        ("20220124", None, 0),
        ("20220125", None, 1000),
        ("20210401", "S2A_MSIL2A_20210401T105031_N0300_R051_T31UFU_20210401T140000.SAFE", 0),
        ("20210401", "S2A_MSIL2A_20210401T105031_N0500_R051_T31UFU_20230609T140000.SAFE", 1000),
        ("20220301", "S2A_MSIL2A_20220301T105031_N0301_R051_T31UFU_20220301T140000.SAFE", 0),
    ],
)
def test_offset_of_sentinel_2_by_baseline_and_day(tmp_path, day, safe, shift):
    inputs = sentinel_2(tmp_path, day, shift=shift, safe=safe)
    check_by_hand(first(inputs, tmp_path / "out"), landsat_albedo=True)


def test_harmonized_sentinel_2_has_no_offset(tmp_path):
    """Earth Engine names bands B2, ESA B02; dark ground below 1000 tells the numbers apart."""
    bands = {n.replace("B0", "B"): RHO[role] * 10_000 for role, n in S2_BANDS.items()}
    inputs = [write(tmp_path / "S2_20230401.tif", bands, dtype="uint16")]
    paths, progress = run(inputs, tmp_path / "out")
    check_by_hand(read(paths[0]), landsat_albedo=True)
    assert any("without offset, as visible bands go below 1000" in m for m in progress.messages)


def test_unclear_offset_of_sentinel_2_is_asked_for(tmp_path):
    bands = {n.replace("B0", "B"): RHO[role] * 10_000 + 1000 for role, n in S2_BANDS.items()}
    inputs = [write(tmp_path / "S2_20230401.tif", bands, dtype="uint16")]
    message = r"not clear whether the numbers of band B2 of 'S2_20230401.tif' .* Set OFFSET to -0.1"
    with pytest.raises(InputError, match=message):
        run(inputs, tmp_path / "out")
    check_by_hand(first(inputs, tmp_path / "out", offset=-0.1), landsat_albedo=True)


def test_harmonized_landsat_is_stored_as_sentinel_2(tmp_path):
    names = {
        role: f"HLS.L30.T31UFU.2021091T103629.v2.0.B0{n}"
        for role, n in zip(S2_BANDS, (2, 3, 4, 5, 6, 7))
    }
    inputs = [
        write(tmp_path / f"{name}.tif", {"": RHO[role] * 10_000}, dtype="int16", nodata=-9999)
        for role, name in names.items()
    ]
    paths, _ = run(inputs, tmp_path / "out")
    assert paths[0].name == "optical_20210401.tif"
    check_by_hand(read(paths[0]), landsat_albedo=True)


def test_missing_scale_is_told_with_band_and_values(tmp_path):
    values = np.linspace(400, 3000, 12).reshape(3, 4)
    inputs = [write(tmp_path / "s2_20210401.tif", {"B4": values, "B8": values})]
    with pytest.raises(RasterError) as caught:
        run(inputs, tmp_path / "out")
    assert "band B4 of 's2_20210401.tif' has values from 400 to 3000" in caught.value.cause
    assert "a scale factor is missing" in caught.value.cause
    assert caught.value.cure.startswith("Give SCALE and OFFSET: 0.0001 and 0 for MODIS")
    assert not (tmp_path / "out").exists()


def test_scale_upon_reflectance_is_told(tmp_path):
    inputs = [earth_engine(tmp_path / "s2_20210401.tif")]
    with pytest.raises(RasterError, match=r"hardly reach 3\.2e-05.* Set SCALE to 1 and OFFSET to"):
        run(inputs, tmp_path / "out", scale=0.0001, offset=0.0)


def test_colours_are_refused(tmp_path):
    inputs = [write(tmp_path / "s2_20210401.tif", {"B4": 20, "B8": 60}, dtype="uint8")]
    with pytest.raises(RasterError, match=r"8 bits: colours for the screen"):
        run(inputs, tmp_path / "out")


# missing cells


def test_fill_of_products_that_do_not_declare_it(tmp_path):
    for name, dtype, fill, bands in (
        ("S2", "uint16", 0, ("B4", "B8")),
        ("MOD09A1", "int16", -28672, ("sur_refl_b01", "sur_refl_b02")),
        ("MCD43A4", "int16", 32767, ("Nadir_Reflectance_Band1", "Nadir_Reflectance_Band2")),
    ):
        red = np.array([[800, 800, fill, 800]])
        inputs = [
            write(
                tmp_path / f"{name}_20210401.tif",
                {bands[0]: red, bands[1]: np.array([[3200, fill, fill, 3200]])},
                dtype=dtype,
            )
        ]
        found = first(inputs, tmp_path / name, indices=["ndvi"])["NDVI"]
        np.testing.assert_allclose(found, [[0.6, np.nan, np.nan, 0.6]], rtol=1e-6)


def test_declared_nodata_and_empty_cells(tmp_path):
    red = np.array([[0.08, -1.0, 0.0, np.nan]])
    nir = np.array([[0.32, 0.32, 0.0, 0.32]])
    inputs = [write(tmp_path / "s2_20210401.tif", {"B4": red, "B8": nir}, nodata=-1.0)]
    paths, progress = run(inputs, tmp_path / "out")
    found = read(paths[0])
    for name in ("NDVI", "SAVI"):
        np.testing.assert_array_equal(np.isfinite(found[name]), [[True, False, False, False]])
    assert "1 cells are 0 in every band: missing." in progress.messages


# cloud masks

# USGS LSDS-1619, Landsat 8–9 Collection 2 Level 2 Science Product Guide: values of QA_PIXEL and
# what they mean. Cloud of middle confidence alone is not called cloud.
QA_PIXEL_TABLE = {
    1: "fill",
    21824: "clear",
    21826: "cloud",  # dilated cloud over land
    21888: "water",
    21890: "cloud water",  # dilated cloud over water
    22080: "clear",  # mid confidence of cloud
    22144: "water",
    22280: "cloud",
    23888: "shadow",
    23952: "shadow water",
    24088: "cloud shadow",
    24216: "cloud shadow water",
    24344: "cloud shadow",
    24472: "cloud shadow water",
    30048: "snow",
    54596: "cirrus",
    54852: "cirrus",
    55052: "cirrus cloud",
}


def masked_by(folder, mask_name, values, dtype, sensor_bands, **options):
    """Return which cells keep their NDVI under a mask band, cell by cell."""
    row = np.array([values])
    bands = {sensor_bands[0]: np.full(row.shape, 0.08), sensor_bands[1]: np.full(row.shape, 0.32)}
    folder.mkdir(exist_ok=True)
    inputs = [
        write(folder / "a_20210401.tif", bands),
        write(folder / f"{mask_name}_20210401.tif", {mask_name: row}, dtype=dtype),
    ]
    found = first(inputs, folder / "out", indices=["ndvi"], **options)["NDVI"]
    return np.isfinite(found[0]).tolist()


def test_landsat_mask_by_the_published_table(tmp_path):
    values = list(QA_PIXEL_TABLE)
    for number, dropped in enumerate(
        (("cloud", "shadow", "cirrus", "snow"), ("cloud",), ("water", "snow"), ("shadow",))
    ):
        kept = masked_by(
            tmp_path / str(number),
            "QA_PIXEL",
            values,
            "uint16",
            ("SR_B4", "SR_B5"),
            dropped=dropped,
        )
        expected = [
            not (set(meaning.split()) & {*dropped, "fill"}) for meaning in QA_PIXEL_TABLE.values()
        ]
        assert kept == expected, dropped


def test_sentinel_2_mask_by_class(tmp_path):
    values = list(range(12))
    kept = masked_by(tmp_path / "a", "SCL", values, "uint8", ("B4", "B8"))
    assert [value for value, keep in zip(values, kept) if keep] == [2, 4, 5, 6, 7]
    kept = masked_by(
        tmp_path / "b", "SCL", values, "uint8", ("B4", "B8"), dropped=["water", "cloud"]
    )
    assert [value for value, keep in zip(values, kept) if keep] == [2, 3, 4, 5, 7, 10, 11]


# MODIS Surface Reflectance User's Guide, Collection 6: bits of the state flags.
MODIS_LAND = 1 << 3
MODIS_STATES = [
    (MODIS_LAND, "clear"),
    (MODIS_LAND | 1, "cloud"),
    (MODIS_LAND | 2, "cloud"),
    (MODIS_LAND | 3, "clear"),  # not set, assumed clear
    (MODIS_LAND | 1 << 2, "shadow"),
    (MODIS_LAND | 3 << 6, "clear"),  # much aerosol
    (MODIS_LAND | 1 << 8, "cirrus"),
    (MODIS_LAND | 3 << 8, "cirrus"),
    (MODIS_LAND | 1 << 10, "cloud"),
    (MODIS_LAND | 1 << 11, "clear"),  # fire
    (MODIS_LAND | 1 << 12, "snow"),
    (MODIS_LAND | 1 << 13, "clear"),  # beside a cloud
    (MODIS_LAND | 1 << 15, "snow"),
    (2 << 3, "clear"),  # shore
    (3 << 3, "water"),
    (7 << 3, "water"),
]


@pytest.mark.parametrize("name", ["state_1km", "sur_refl_state_500m", "StateQA", "state_1km_1"])
@pytest.mark.parametrize("dropped", [("cloud", "shadow", "cirrus", "snow"), ("water",)])
def test_modis_mask_by_its_bits(tmp_path, name, dropped):
    values = [value for value, _ in MODIS_STATES]
    bands = ("sur_refl_b01", "sur_refl_b02")
    kept = masked_by(tmp_path, name, values, "uint16", bands, dropped=dropped)
    assert kept == [meaning not in dropped for _, meaning in MODIS_STATES]


def test_other_masks(tmp_path):
    """HLS User Guide v2.0 (Fmask); QA60 of Sentinel-2; qualities of MCD43A4."""
    fmask = [0, 1, 2, 4, 8, 16, 32, 64, 255]
    kept = masked_by(tmp_path / "a", "Fmask", fmask, "uint8", ("B4", "B8"))
    assert [value for value, keep in zip(fmask, kept) if keep] == [0, 32, 64]
    kept = masked_by(tmp_path / "b", "QA60", [0, 1024, 2048], "uint16", ("B4", "B8"))
    assert kept == [True, False, False]
    name = "BRDF_Albedo_Band_Mandatory_Quality_Band2"
    bands = ("Nadir_Reflectance_Band1", "Nadir_Reflectance_Band2")
    kept = masked_by(tmp_path / "c", name, [0, 1, 255], "uint8", bands, cloud_band=name)
    assert kept == [True, True, False]
    kept = masked_by(tmp_path / "d", "QA", [0, 1, 2, 3], "uint16", bands, cloud_band="QA")
    assert kept == [True, True, False, False]


def test_days_on_which_qa60_is_empty(tmp_path):
    """Earth Engine's catalogue: masked out from 2022-01-25 until 2024-02-28."""
    inputs = [
        write(tmp_path / f"s2_{day}.tif", {"B4": 0.1, "B8": 0.3, "QA60": 0})
        for day in ("20220124", "20220125", "20240227", "20240228")
    ]
    _, progress = run(inputs, tmp_path / "out", indices=["ndvi"])
    (warning,) = progress.warnings
    assert warning.startswith("QA60 is empty on 2022-01-25; 2024-02-27, as on all days")


def test_own_mask_by_its_clear_values(tmp_path):
    options = {"cloud_band": "probability", "clear_values": "0-40;100"}
    kept = masked_by(
        tmp_path, "probability", [0, 40, 41, 99, 100], "uint8", ("B4", "B8"), **options
    )
    assert kept == [True, True, False, False, True]


def test_mask_can_be_left_aside(tmp_path):
    kept = masked_by(tmp_path, "SCL", [4, 9], "uint8", ("B4", "B8"), cloud_band="none")
    assert kept == [True, True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cloud_band": "CLD"}, r"CLOUD_BAND: there is no band 'CLD' on 2021-04-01"),
        ({"cloud_band": "probability"}, r"not known what the values of 'probability' mean"),
        ({"clear_values": "5-4"}, r"CLEAR_VALUES: '5-4' is neither"),
        ({"clear_values": "clear"}, r"CLEAR_VALUES: 'clear' is neither"),
        ({"dropped": ["haze"]}, r"class 'haze' cannot be dropped"),
    ],
)
def test_masks_that_do_not_fit(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        masked_by(tmp_path, "probability", [0, 50], "uint8", ("B4", "B8"), **options)


def test_mask_that_was_interpolated_is_refused(tmp_path):
    with pytest.raises(RasterError, match=r"holds 6.5, which is no quality number"):
        masked_by(tmp_path, "SCL", [4, 6.5], "float32", ("B4", "B8"))


def test_day_without_a_value_is_left_out(tmp_path):
    inputs = []
    for day, clear in (("20210401", 9), ("20210402", 4)):
        bands = {"B4": 0.1, "B8": 0.3, "SCL": clear}
        inputs.append(write(tmp_path / f"s2_{day}.tif", bands))
    paths, progress = run(inputs, tmp_path / "out")
    assert [path.name for path in paths] == ["optical_20210402.tif"]
    assert "No cell has a value on 2021-04-01: no raster is written." in progress.warnings
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "optical_20210402.tif",
        "optical_20210402.qml",
    }
    with pytest.raises(InputError, match="No cell has a value on 2021-04-01"):
        run(inputs[:1], tmp_path / "out")


# grids


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Bands of 10 and 20 m with structure, and a mask of 20 m."""
    folder = tmp_path_factory.mktemp("mixed ä")
    rng = np.random.default_rng(5)
    fine = {name: rng.uniform(0.05, 0.4, (70, 90)) for name in ("B04", "B08")}
    coarse = {"B11": rng.uniform(0.05, 0.4, (35, 45))}
    inputs = []
    for bands, cell in ((fine, 10), (coarse, 20)):
        for name, values in bands.items():
            path = folder / f"T31UFU_20210401T105031_{name}_{cell}m.tif"
            inputs.append(write(path, {"": values}, cell=cell, nodata=-9999.0))
    scl = rng.choice([4, 5, 9], (35, 45), p=[0.5, 0.3, 0.2])
    path = folder / "T31UFU_20210401T105031_SCL_20m.tif"
    inputs.append(write(path, {"": scl}, dtype="uint8", cell=20))
    return inputs, {**fine, **coarse}, scl


def test_coarser_bands_are_interpolated_as_gdal_does(tmp_path, mixed):
    inputs, values, scl = mixed
    found = first(inputs, tmp_path / "out", indices=["ndii6"])["NDII6"]
    swir = np.zeros((70, 90))
    grid = {"src_crs": CRS, "dst_crs": CRS, "resampling": Resampling.bilinear}
    reproject(
        values["B11"].astype(np.float32).astype(np.float64),
        swir,
        src_transform=Affine(20, 0, 0, 0, -20, 0),
        dst_transform=Affine(10, 0, 0, 0, -10, 0),
        **grid,
    )
    nir = values["B08"].astype(np.float32).astype(np.float64)
    expected = (nir - swir) / (nir + swir)
    expected[np.repeat(np.repeat(scl == 9, 2, axis=0), 2, axis=1)] = np.nan
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_finer_bands_are_averaged(tmp_path, mixed):
    inputs, values, scl = mixed
    found = first(inputs, tmp_path / "out", indices=["ndii6"], cells="coarsest")["NDII6"]
    nir = values["B08"].reshape(35, 2, 45, 2).mean(axis=(1, 3))
    expected = np.where(scl == 9, np.nan, (nir - values["B11"]) / (nir + values["B11"]))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("cells", ["finest", "coarsest"])
def test_blocks_change_nothing(tmp_path, mixed, monkeypatch, cells):
    indices = ["ndvi", "ndii6", "gvmi"]
    whole = first(mixed[0], tmp_path / "a", indices=indices, cells=cells)
    monkeypatch.setattr(optical, "_BLOCK", 17)
    parts = first(mixed[0], tmp_path / "b", indices=indices, cells=cells)
    for name in whole:
        np.testing.assert_array_equal(parts[name], whole[name])


def test_fill_does_not_blend_into_interpolated_cells(tmp_path):
    """Sentinel-2 files do not declare that 0 is missing."""
    swir = np.array([[0, 2000, 2000]])
    name = "T31UFU_20210401T105031_{}_{}m.tif"
    nir = np.full((2, 6), 3000)
    inputs = [
        write(tmp_path / name.format("B08", 10), {"": nir}, dtype="uint16", cell=10),
        write(tmp_path / name.format("B11", 20), {"": swir}, dtype="uint16", cell=20),
    ]
    found = first(inputs, tmp_path / "out", indices=["ndmi"], offset=0.0)["NDMI"]
    np.testing.assert_allclose(found, [[np.nan] * 2 + [0.2] * 4] * 2, rtol=1e-6)


def test_same_band_in_several_sizes_is_read_at_the_finest(tmp_path):
    name = "T31UFU_20210401T105031_{}_{}m.tif"
    inputs = [
        write(tmp_path / name.format("B04", 20), {"": np.full((2, 3), 0.2)}, cell=20),
        write(tmp_path / name.format("B04", 10), {"": np.full((4, 6), 0.1)}, cell=10),
        write(tmp_path / name.format("B08", 10), {"": np.full((4, 6), 0.3)}, cell=10),
    ]
    found = first(inputs, tmp_path / "out", indices=["ndvi"])["NDVI"]
    np.testing.assert_allclose(found, np.full((4, 6), 0.5), rtol=1e-6)


def test_shifted_bands_and_days_of_several_grids_are_told(tmp_path):
    nir = np.tile([0.2, 0.4, 0.6, 0.8], (3, 1))
    inputs = [
        write(tmp_path / "s2_20210401_B4.tif", {"": 0.1}),
        write(tmp_path / "s2_20210401_B8.tif", {"": nir}, origin=(500_005.0, 5_535_000.0)),
        write(tmp_path / "s2_20210402.tif", {"B4": 0.1, "B8": 0.3}, cell=30.0),
    ]
    paths, progress = run(inputs, tmp_path / "out", indices=["ndvi"], cloud_band="none")
    (warning,) = progress.warnings
    assert warning.startswith("The cells of 's2_20210401_B8.tif' are shifted")
    assert any(text.startswith("The days have 2 grids") for text in progress.messages)
    between = np.array([0.2, 0.3, 0.5, 0.7])  # left of the first centre there is none to weigh
    expected = np.tile((between - 0.1) / (between + 0.1), (3, 1))
    np.testing.assert_allclose(read(paths[0])["NDVI"], expected, rtol=1e-6)


def test_rows_from_south_to_north(tmp_path):
    red, nir = np.full((4, 4), 0.1), np.arange(16).reshape(4, 4) / 40 + 0.1
    swir = np.array([[0.2, 0.4], [0.1, 0.3]])
    inputs = [
        write(tmp_path / "s2_20210401_B4.tif", {"": red}),
        write(
            tmp_path / "s2_20210401_B8.tif",
            {"": nir[::-1]},
            origin=(500_000.0, 5_534_960.0),
            north_up=False,
        ),
        write(tmp_path / "s2_20210401_B11.tif", {"": swir}, cell=20.0),
    ]
    found = first(inputs, tmp_path / "out", indices=["ndvi"])["NDVI"]
    np.testing.assert_allclose(found, (nir - red) / (nir + red), rtol=1e-5)


def test_modis_series_in_its_own_projection(tmp_path, shared_data):
    """The real NDVI of a year, taken apart into red and near infrared, comes back."""
    source = shared_data / "rasters" / "modis_mod13q1_ndvi_sinop_series.tif"
    with rasterio.open(source) as dataset:
        profile, days = dataset.profile, dataset.descriptions
        stack = dataset.read([1, 7]).astype(np.float64) * 0.0001
    known = (stack > -0.2) & (stack < 0.99)
    inputs, red = [], 0.05
    for ndvi, there, number in zip(stack, known, (0, 1)):
        nir = red * (1 + ndvi) / (1 - ndvi)
        path = tmp_path / f"MOD13Q1.A201{3 + number}273.sinop.tif"
        with rasterio.open(
            path, "w", **{**profile, "count": 2, "dtype": "float32", "nodata": -1.0}
        ) as dataset:
            dataset.write(np.where(there, red, -1), 1)
            dataset.write(np.where(there, nir, -1), 2)
            dataset.descriptions = ("sur_refl_b01", "sur_refl_b02")
        inputs.append(RasterInput(str(path)))
    paths, _ = run(inputs, tmp_path / "out", indices=["ndvi"])
    assert len(days) == 12
    assert [path.stem[8:] for path in paths] == ["20130930", "20140930"]
    for path, ndvi, there in zip(paths, stack, known):
        with rasterio.open(path) as dataset:
            assert dataset.crs == profile["crs"]
            assert dataset.transform == profile["transform"]
        bright = 0.05 * (1 + ndvi) / (1 - ndvi) > 1.6
        expected = np.where(there & ~bright, ndvi, np.nan)
        assert np.isfinite(expected).mean() > 0.5
        np.testing.assert_allclose(read(path)["NDVI"], expected, atol=2e-6)


# wrong input


def test_index_that_the_sensor_does_not_have(tmp_path):
    inputs = [earth_engine(tmp_path / "s2_20210401.tif")]
    with pytest.raises(InputError, match=r"NDII5 needs swir1240, which Sentinel-2 does not have"):
        run(inputs, tmp_path / "out", indices=["ndvi", "ndii5"])


def test_index_whose_band_is_not_given(tmp_path):
    inputs = [
        earth_engine(tmp_path / "s2_20210401.tif"),
        write(tmp_path / "s2_20210402.tif", {"B4": 0.1, "B8": 0.3}),
    ]
    with pytest.raises(InputError, match=r"NDMI needs swir1640, which the rasters of 2021-04-02"):
        run(inputs, tmp_path / "out", indices=["ndmi"])
    paths, _ = run(inputs, tmp_path / "out")
    assert [len(read(path)) for path in paths] == [9, 2]


def test_unknown_names_are_listed(tmp_path):
    inputs = [write(tmp_path / "drone_20210401.tif", {"rot": 0.1, "infrarot": 0.3})]
    with pytest.raises(InputError, match=r"rot, infrarot do not tell the sensor.* red=B4;nir=B8"):
        run(inputs, tmp_path / "out")
    with pytest.raises(InputError, match=r"None of the bands is known .*: rot, infrarot\. Map"):
        run(inputs, tmp_path / "out", sensor="modis")
    with pytest.raises(InputError, match=r"bands rot permit none of the indices"):
        run(inputs, tmp_path / "out", sensor="modis", bands="red=rot")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["LE07_L2SP_198026_20210401_20210409_02_T1_SR_B4"], r"older Landsat.*blue=B1;green=B2"),
        (["LC08_L1TP_198026_20210401_20210409_02_T1_B4"], r"Level-1: numbers of the sensor"),
    ],
)
def test_other_products_are_refused(tmp_path, names, message):
    inputs = [write(tmp_path / f"{name}.tif", {"": 0.1}) for name in names]
    with pytest.raises(InputError, match=message):
        run(inputs, tmp_path / "out", sensor="landsat-8-9")


def test_older_landsat_by_its_own_numbers(tmp_path):
    stem = "LT05_L2SP_198026_20050401_20200901_02_T1_SR_"
    inputs = [
        write(tmp_path / f"{stem}{band}.TIF", {"": value})
        for band, value in (("B3", 0.08), ("B4", 0.32), ("B5", 0.24))
    ]
    options = {"sensor": "landsat-8-9", "bands": "red=SR_B3;nir=SR_B4;swir1=SR_B5"}
    found = first(inputs, tmp_path / "out", indices=["ndvi", "ndmi"], **options)
    np.testing.assert_allclose(found["NDVI"], 0.6, rtol=1e-6)
    np.testing.assert_allclose(found["NDMI"], BY_HAND["NDMI"], rtol=1e-6)


def test_two_tiles_of_a_day(tmp_path):
    inputs = [
        write(tmp_path / f"T31UF{tile}_20210401T105031_{band}_10m.tif", {"": 0.1}, origin=origin)
        for tile, origin in (("U", (500_000, 5_535_000)), ("V", (600_000, 5_535_000)))
        for band in ("B04", "B08")
    ]
    message = r"2021-04-01 has the band for red twice: .*UFU.* and .*UFV.*Mosaic the tiles"
    with pytest.raises(InputError, match=message):
        run(inputs, tmp_path / "out")


def test_raster_without_a_date(tmp_path):
    inputs = [earth_engine(tmp_path / "s2.tif")]
    with pytest.raises(InputError, match=r"No date is found for band B2 of 's2.tif'"):
        run(inputs, tmp_path / "out")
    dated = RasterInput(inputs[0].path, date(2021, 4, 1))
    paths, _ = run([dated], tmp_path / "out")
    assert paths[0].name == "optical_20210401.tif"


def test_bands_of_two_reference_systems(tmp_path):
    inputs = [
        write(tmp_path / "s2_20210401_B4.tif", {"": 0.1}),
        write(tmp_path / "s2_20210401_B8.tif", {"": 0.3}, crs="EPSG:32631"),
    ]
    with pytest.raises(RasterError, match=r"different coordinate reference systems: .*EPSG:32632"):
        run(inputs, tmp_path / "out")


def test_bands_of_two_places(tmp_path):
    inputs = [
        write(tmp_path / "s2_20210401_B4.tif", {"": 0.1}),
        write(tmp_path / "s2_20210401_B8.tif", {"": 0.3}, origin=(600_000.0, 5_535_000.0)),
    ]
    with pytest.raises(RasterError, match=r"bands of 2021-04-01 do not overlap"):
        run(inputs, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"indices": ["ndvi", "msi"]}, r"indices 'ndvi;msi' cannot be computed"),
        ({"indices": []}, r"indices '' cannot be computed"),
        ({"sensor": "aster"}, r"sensor 'aster' is unknown"),
        ({"bands": "red"}, r"BANDS: 'red' is not 'role=band'"),
        ({"bands": "infrared=B8"}, r"'infrared=B8' is not .* roles are blue, green"),
        ({"cells": "10"}, r"cells '10' are unknown"),
    ],
)
def test_wrong_settings(tmp_path, options, message):
    inputs = [earth_engine(tmp_path / "s2_20210401.tif")]
    with pytest.raises(InputError, match=message):
        run(inputs, tmp_path / "out", **options)


def test_no_raster(tmp_path):
    with pytest.raises(InputError, match="No raster is given"):
        run([], tmp_path / "out")


def test_cancelled_run_leaves_nothing(tmp_path):
    class Stopped(Progress):
        asked = 0

        @property
        def cancelled(self):
            self.asked += 1
            return self.asked > 12

    inputs = [earth_engine(tmp_path / f"s2_2021040{n}.tif") for n in (1, 2, 3)]
    stopped = Stopped()
    with pytest.raises(Cancelled):
        optical_indices(inputs, tmp_path / "out", progress=stopped)
    left = [path.name for path in (tmp_path / "out").glob("*")]
    assert all(name.startswith("optical_2021040") for name in left)
    assert len([name for name in left if name.endswith(".tif")]) < 3
