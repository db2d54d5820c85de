"""Day–night temperature difference and thermal inertia: formulas, units, dates, grids."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from raster_files import full_layers, scaled, write_raster
from rasterio.warp import Resampling, reproject
from soil_moisture_mapper.plugin.core.covariates.imagery import thermal
from soil_moisture_mapper.plugin.core.covariates.imagery.thermal import (
    thermal_indices,
    thermal_inertia,
)
from soil_moisture_mapper.plugin.core.covariates.table import RasterInput
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError, RasterError
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress

SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
CORNER = (-4_447_802.0, 5_559_752.0)


def write(
    path,
    bands,
    *,
    dtype="float32",
    cell=926.625433,
    nodata=None,
    scale=None,
    crs=SINUSOIDAL,
    origin=CORNER,
):
    """Write bands by description ('' for none); a number fills 3 × 4 cells."""
    place = {"crs": crs, "cell": cell, "corner": origin, "nodata": nodata}
    scaling = scaled(len(bands), scale)
    layers = full_layers(bands)
    write_raster(path, layers, names=tuple(bands), dtype=dtype, **place, **scaling)
    return RasterInput(str(path))


def read(path):
    """Return values by band name, NaN for missing."""
    with rasterio.open(path) as dataset:
        values = dataset.read(masked=True).filled(np.nan).astype(np.float64)
        return dict(zip(dataset.descriptions, values))


def run(day, folder, **options):
    """Return the paths and what was said."""
    progress = RecordingProgress()
    return thermal_indices(day, folder, progress=progress, **options), progress


def mod11a1(path, warm=15_000, cold=14_250, **options):
    """A file as Earth Engine exports MOD11A1: 300 K by day, 285 K by night."""
    bands = {"LST_Day_1km": warm, "QC_Day": 0, "Day_view_time": 106, "LST_Night_1km": cold}
    shape = np.shape(warm) or (3, 4)
    layers = {name: np.broadcast_to(value, shape) for name, value in bands.items()}
    return write(path, layers, dtype="uint16", **options)


# formulas


def test_formula_by_hand():
    difference = np.array([15.0, 10.0, 2.0, 1.0, 0.5, -3.0, np.nan, 15.0])
    albedo = np.array([0.25, 0.0, 0.5, 0.2, 0.2, 0.2, 0.2, np.nan])
    expected = [0.05, 0.1, 0.25, np.nan, np.nan, np.nan, np.nan, np.nan]
    np.testing.assert_allclose(thermal_inertia(difference, albedo), expected, rtol=1e-12)


@given(
    st.lists(
        st.tuples(st.floats(-40, 60), st.one_of(st.floats(0, 1), st.just(float("nan")))),
        min_size=1,
    )
)
def test_inertia_is_missing_or_between_0_and_1(pairs):
    difference, albedo = np.array(pairs).T
    found = thermal_inertia(difference, albedo)
    there = np.isfinite(albedo) & (difference > 1)
    np.testing.assert_array_equal(np.isfinite(found), there)
    assert ((found[there] >= 0) & (found[there] < 1)).all()
    np.testing.assert_allclose(found[there] * difference[there], 1 - albedo[there], atol=1e-12)


def test_modis_in_one_file_with_albedo(tmp_path):
    warm = np.array([[15_000, 15_000, 0, 14_300]])
    cold = np.array([[14_250, 0, 14_250, 14_250]])
    day = [mod11a1(tmp_path / "MOD11A1_20210401.tif", warm, cold)]
    albedo = [
        write(
            tmp_path / "optical_20210401.tif",
            {"NDVI": np.full((1, 4), 0.5), "albedo": np.full((1, 4), 0.25)},
        )
    ]
    paths, progress = run(day, tmp_path / "out", albedo=albedo)
    assert [path.name for path in paths] == ["thermal_20210401.tif"]
    found = read(paths[0])
    assert list(found) == ["delta_LST", "ATI"]
    # (15000 − 14250) × 0.02 = 15 K; (1 − 0.25)/15 = 0.05; 50 × 0.02 = 1 K has no inertia
    np.testing.assert_allclose(found["delta_LST"], [[15, np.nan, np.nan, 1]], rtol=1e-6)
    np.testing.assert_allclose(found["ATI"], [[0.05, np.nan, np.nan, np.nan]], rtol=1e-6)
    assert "1 cells have a difference of 1 K or less, and no ATI." in progress.messages
    assert any("× 0.02 (MODIS) in kelvin: 2021-04-01" in text for text in progress.messages)
    assert progress.warnings == []
    with rasterio.open(paths[0]) as dataset:
        assert dataset.tags()["TIFFTAG_DATETIME"] == "2021:04:01 00:00:00"
        assert dataset.units == ("K", "1/K")
    assert paths[0].with_suffix(".qml").exists()


def test_difference_alone_without_albedo(tmp_path):
    paths, progress = run([mod11a1(tmp_path / "MOD11A1_20210401.tif")], tmp_path / "out")
    found = read(paths[0])
    assert list(found) == ["delta_LST"]
    np.testing.assert_allclose(found["delta_LST"], 15, rtol=1e-6)
    assert "Without ALBEDO there is delta_LST only, no ATI." in progress.messages


@pytest.mark.parametrize("apart", [False, True])
def test_a_file_a_side(tmp_path, apart):
    """AppEEARS gives a file a band; all of them may go into DAY."""
    files = {
        side: write(
            tmp_path / f"MOD11A1.061_LST_{side}_1km_doy2021091_aid0001.tif",
            {"": value},
            dtype="uint16",
        )
        for side, value in (("Day", 15_000), ("Night", 14_250))
    }
    if apart:
        paths, _ = run([files["Day"]], tmp_path / "out", night=[files["Night"]])
    else:
        paths, _ = run([files["Night"], files["Day"]], tmp_path / "out")
    assert paths[0].name == "thermal_20210401.tif"
    np.testing.assert_allclose(read(paths[0])["delta_LST"], 15, rtol=1e-6)


def test_bands_named_by_the_user(tmp_path):
    bands = {"noon": 300.0, "midnight": 280.0}
    day = [write(tmp_path / "own_20210401.tif", bands)]
    with pytest.raises(InputError, match=r"DAY: which band of 'own_20210401.tif' .* noon, midn"):
        run(day, tmp_path / "out")
    paths, _ = run(day, tmp_path / "out", day_band="noon", night_band="midnight")
    np.testing.assert_allclose(read(paths[0])["delta_LST"], 20, rtol=1e-6)


# units and scale


@pytest.mark.parametrize(
    ("warm", "cold"),
    [
        ({"value": 300.0}, {"value": 285.0}),
        ({"value": 26.85}, {"value": 11.85}),
        ({"value": 300.0}, {"value": 11.85}),
        ({"value": 15_000, "dtype": "uint16", "scale": 0.02}, {"value": 285.0}),
        ({"value": 3000, "dtype": "int16", "scale": 0.1}, {"value": 11.85}),
    ],
)
def test_kelvin_and_celsius_by_their_range(tmp_path, warm, cold):
    sides = []
    for name, file in (("day", dict(warm)), ("night", dict(cold))):
        value = file.pop("value")
        sides.append(write(tmp_path / f"t_{name}_20210401.tif", {"": value}, **file))
    paths, _ = run(sides[:1], tmp_path / "out", night=sides[1:])
    np.testing.assert_allclose(read(paths[0])["delta_LST"], 15, rtol=1e-5)


def test_zero_degrees_celsius_is_a_temperature(tmp_path):
    day = [write(tmp_path / "a_20210401.tif", {"": np.array([[0, 10, 20]])}, dtype="int16")]
    night = [write(tmp_path / "b_20210401.tif", {"": np.array([[-5, 0, 5]])}, dtype="int16")]
    paths, _ = run(day, tmp_path / "out", night=night)
    np.testing.assert_allclose(read(paths[0])["delta_LST"], [[5, 10, 15]])


@pytest.mark.parametrize("declared", [None, 0.02, 0.01])
def test_scale_given_replaces_what_the_file_declares(tmp_path, declared):
    day = [write(tmp_path / "a_20210401.tif", {"": 15_000}, dtype="uint16", scale=declared)]
    night = [write(tmp_path / "b_20210401.tif", {"": 14_250}, dtype="uint16", scale=declared)]
    paths, _ = run(day, tmp_path / "out", night=night, scale=0.02)
    np.testing.assert_allclose(read(paths[0])["delta_LST"], 15, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_missing_scale_is_told(tmp_path, dtype):
    values = np.linspace(13_000, 16_000, 12).reshape(3, 4)
    day = [write(tmp_path / "heat_20210401.tif", {"": values}, dtype=dtype)]
    with pytest.raises(RasterError) as caught:
        run(day, tmp_path / "out", night=day)
    assert "'heat_20210401.tif' has values from 13000 to 16000" in caught.value.cause
    assert caught.value.cause.endswith("these are no temperatures.")
    assert caught.value.cure.startswith("A scale factor is missing: set SCALE to 0.02")


@pytest.mark.parametrize(
    ("value", "units", "message"),
    [
        (300.0, "celsius", r"that is kelvin, not celsius\. Set UNITS to auto or kelvin"),
        (26.0, "kelvin", r"that is celsius, not kelvin\. Set UNITS to auto or celsius"),
        (120.0, "auto", r"no temperatures\. Give land-surface temperature in kelvin or degrees"),
    ],
)
def test_units_that_do_not_fit(tmp_path, value, units, message):
    day = [write(tmp_path / "a_20210401.tif", {"": value})]
    night = [write(tmp_path / "b_20210401.tif", {"": value - 9})]
    with pytest.raises(RasterError, match=message):
        run(day, tmp_path / "out", night=night, units=units)


def test_scale_that_only_one_side_needs(tmp_path):
    day = [write(tmp_path / "a_20210401.tif", {"": 15_000}, dtype="uint16")]
    night = [write(tmp_path / "b_20210401.tif", {"": 285.0})]
    message = r"'a_20210401.tif' is in kelvin and 'b_20210401.tif' in degrees Celsius"
    with pytest.raises(InputError, match=message):
        run(day, tmp_path / "out", night=night, scale=0.02)


def test_impossible_temperatures_are_missing_and_counted(tmp_path):
    day = [write(tmp_path / "a_20210401.tif", {"": np.array([[300, 0, 500, 310.0]])})]
    night = [write(tmp_path / "b_20210401.tif", {"": np.array([[290, 290, 290, 290.0]])})]
    paths, progress = run(day, tmp_path / "out", night=night)
    np.testing.assert_allclose(read(paths[0])["delta_LST"], [[10, np.nan, np.nan, 20]])
    text = "2 temperatures below 150 or above 400 K count as missing."
    assert text in progress.messages


def test_swapped_sides_are_told(tmp_path):
    day = [write(tmp_path / "a_20210401.tif", {"": 280.0})]
    night = [write(tmp_path / "b_20210401.tif", {"": 300.0})]
    _, progress = run(day, tmp_path / "out", night=night)
    assert any("not swapped" in text for text in progress.warnings)
    night = [write(tmp_path / "LST_Day_20210401.tif", {"": 300.0})]
    with pytest.raises(InputError, match=r"NIGHT: which band of 'LST_Day_20210401.tif'"):
        run(day, tmp_path / "out", night=night)


# dates


def series(folder, name, days, value):
    return [write(folder / f"{name}_202104{day:02d}.tif", {"": value}) for day in days]


def test_dates_without_a_partner_are_listed(tmp_path):
    day = series(tmp_path, "a", (1, 2, 3), 300.0)
    night = series(tmp_path, "b", (2, 3, 5), 290.0)
    paths, progress = run(day[::-1], tmp_path / "out", night=night)
    assert [path.name for path in paths] == ["thermal_20210402.tif", "thermal_20210403.tif"]
    assert "NIGHT has no raster of 2021-04-01: left out." in progress.warnings
    assert "DAY has no raster of 2021-04-05: left out." in progress.warnings


def test_albedo_is_the_latest_up_to_the_date(tmp_path):
    day = series(tmp_path, "a", (1, 9, 10, 30), 300.0)
    night = series(tmp_path, "b", (1, 9, 10, 30), 290.0)
    albedo = [
        *series(tmp_path, "albedo", (10,), 0.3),
        *series(tmp_path, "albedo", (2,), 0.1),
        *series(tmp_path, "albedo", (8,), 0.2),
    ]
    options = {"night": night, "albedo": albedo, "tolerance_days": 5}
    paths, progress = run(day, tmp_path / "out", **options)
    found = [read(path) for path in paths]
    assert ["ATI" in bands for bands in found] == [False, True, True, False]
    np.testing.assert_allclose(found[1]["ATI"], 0.08, rtol=1e-6)
    np.testing.assert_allclose(found[2]["ATI"], 0.07, rtol=1e-6)
    (warning,) = progress.warnings
    assert "up to 5 days before 2021-04-01; 2021-04-30: these dates have delta_LST" in warning


def test_only_albedo_without_a_date_holds_always(tmp_path):
    day, night = (series(tmp_path, name, (1,), value) for name, value in (("a", 300), ("b", 290)))
    albedo = [write(tmp_path / "albedo.tif", {"": 0.2})]
    paths, progress = run(day, tmp_path / "out", night=night, albedo=albedo)
    np.testing.assert_allclose(read(paths[0])["ATI"], 0.08, rtol=1e-6)
    text = "'albedo.tif' has no date: its albedo is used on every date."
    assert text in progress.messages


def test_date_without_a_value_is_left_out(tmp_path):
    day = [
        mod11a1(tmp_path / "MOD11A1_20210401.tif", np.zeros((2, 2)), np.full((2, 2), 14_000)),
        mod11a1(tmp_path / "MOD11A1_20210402.tif"),
    ]
    paths, progress = run(day, tmp_path / "out")
    assert [path.name for path in paths] == ["thermal_20210402.tif"]
    assert any("on 2021-04-01: no raster is written" in text for text in progress.warnings)
    with pytest.raises(InputError, match=r"No cell has day and night temperature on 2021-04-01"):
        run(day[:1], tmp_path / "out")


# grids


def test_albedo_of_another_grid(tmp_path):
    """Finer albedo in another reference system is averaged, as GDAL's warper does."""
    rng = np.random.default_rng(2)
    origin = (500_000.0, 5_540_000.0)
    options = {"cell": 1000.0, "crs": "EPSG:32632", "origin": origin}
    day = [write(tmp_path / "a_20210401.tif", {"": np.full((5, 6), 300)}, **options)]
    night = [write(tmp_path / "b_20210401.tif", {"": np.full((5, 6), 290)}, **options)]
    values = rng.uniform(0.1, 0.4, (400, 500)).astype(np.float32)
    cell = 0.0003
    where = {"cell": cell, "crs": "EPSG:4326", "origin": (8.98, 50.03)}
    albedo = [write(tmp_path / "albedo_20210401.tif", {"": values}, nodata=-9999, **where)]
    found = read(run(day, tmp_path / "out", night=night, albedo=albedo)[0][0])["ATI"]
    expected = np.zeros((5, 6))
    reproject(
        values.astype(np.float64),
        expected,
        src_crs="EPSG:4326",
        src_transform=Affine(cell, 0, 8.98, 0, -cell, 50.03),
        dst_crs="EPSG:32632",
        dst_transform=Affine(1000, 0, origin[0], 0, -1000, origin[1]),
        resampling=Resampling.average,
    )
    np.testing.assert_allclose(found, (1 - expected) / 10, atol=2e-4)


def test_modis_albedo_with_fill_that_is_not_declared(tmp_path):
    """MCD43A3 has cells of 500 m, whole numbers × 0.001 and 32767 for missing."""
    day = [mod11a1(tmp_path / "MOD11A1_20210401.tif", np.full((1, 3), 15_000), 14_500)]
    values = np.array([[200, 300, 32767, 100, 32767, 32767]] * 2)
    values[1, 2] = 400
    albedo = [
        write(
            tmp_path / "MCD43A3_20210401.tif",
            {"Albedo_WSA_shortwave": values, "Albedo_BSA_shortwave": values},
            dtype="uint16",
            cell=926.625433 / 2,
        )
    ]
    with pytest.raises(InputError, match=r"which band of 'MCD43A3_20210401.tif' is the albedo"):
        run(day, tmp_path / "out", albedo=albedo)
    options = {"albedo": albedo, "albedo_band": "Albedo_WSA_shortwave"}
    found = read(run(day, tmp_path / "out", **options)[0][0])["ATI"]
    means = [0.25, (0.1 + 0.1 + 0.4) / 3, np.nan]
    np.testing.assert_allclose(found, [(1 - np.array(means)) / 10], rtol=1e-6)


def test_night_of_other_cells(tmp_path):
    """Night of half the resolution, whose fill of 0 must not blend into its neighbours."""
    warm = np.full((2, 6), 15_000)
    day = [write(tmp_path / "LST_Day_1km_20210401.tif", {"": warm}, dtype="uint16", cell=1000)]
    cold = np.array([[0, 14_000, 14_000]])
    night = [write(tmp_path / "LST_Night_1km_20210401.tif", {"": cold}, dtype="uint16", cell=2000)]
    found = read(run(day, tmp_path / "out", night=night)[0][0])["delta_LST"]
    np.testing.assert_allclose(found, [[np.nan] * 2 + [20] * 4] * 2, rtol=1e-6)


def test_blocks_change_nothing(tmp_path, monkeypatch):
    rng = np.random.default_rng(3)
    day = [write(tmp_path / "a_20210401.tif", {"": rng.uniform(290, 320, (50, 70))})]
    night = [write(tmp_path / "b_20210401.tif", {"": rng.uniform(270, 285, (50, 70))})]
    albedo = [
        write(tmp_path / "albedo_20210401.tif", {"": rng.uniform(0, 0.5, (30, 40))}, cell=1853.25)
    ]
    options = {"night": night, "albedo": albedo}
    whole = read(run(day, tmp_path / "a", **options)[0][0])
    monkeypatch.setattr(thermal, "_BLOCK", 13)
    parts = read(run(day, tmp_path / "b", **options)[0][0])
    for name in ("delta_LST", "ATI"):
        assert np.isfinite(whole[name]).mean() > 0.5
        np.testing.assert_array_equal(parts[name], whole[name])


# wrong input


@pytest.mark.parametrize(
    ("night", "message"),
    [
        ({"crs": "EPSG:32632"}, r"in different coordinate reference systems"),
        ({"origin": (0.0, 0.0)}, r"Day and night of 2021-04-01 do not overlap"),
    ],
)
def test_grids_that_do_not_fit(tmp_path, night, message):
    day = [write(tmp_path / "a_20210401.tif", {"": 300.0})]
    other = [write(tmp_path / "b_20210401.tif", {"": 290.0}, **night)]
    with pytest.raises(RasterError, match=message):
        run(day, tmp_path / "out", night=other)


def test_no_common_date(tmp_path):
    day, night = series(tmp_path, "a", (1, 2), 300.0), series(tmp_path, "b", (5,), 290.0)
    with pytest.raises(InputError, match=r"no date in common: DAY has 2 dates, 2021-04-01 to"):
        run(day, tmp_path / "out", night=night)


def test_date_twice_and_no_date(tmp_path):
    (tmp_path / "twin").mkdir()
    day = [*series(tmp_path, "a", (1,), 300.0), *series(tmp_path / "twin", "a", (1,), 300.0)]
    with pytest.raises(InputError, match=r"DAY has 2021-04-01 twice"):
        run(day, tmp_path / "out", night=series(tmp_path, "b", (1,), 290.0))
    undated = [write(tmp_path / "heat.tif", {"": 300.0})]
    with pytest.raises(InputError, match=r"DAY: no date is found for 'heat.tif'"):
        run(undated, tmp_path / "out", night=undated)


def test_no_night_at_all(tmp_path):
    day = [write(tmp_path / "LST_Day_1km_20210401.tif", {"": 300.0})]
    with pytest.raises(InputError, match=r"DAY holds no temperature by night, and NIGHT is empty"):
        run(day, tmp_path / "out")
    with pytest.raises(InputError, match="No raster is given in DAY"):
        run([], tmp_path / "out")


@pytest.mark.parametrize(
    ("value", "day", "error", "message"),
    [
        (250.0, 1, RasterError, r"half of them above 1: a scale factor is missing"),
        (0.2, 20, InputError, r"No ALBEDO lies on or up to 16 days before"),
    ],
)
def test_albedo_that_does_not_fit(tmp_path, value, day, error, message):
    warm, cold = series(tmp_path, "a", (1,), 300.0), series(tmp_path, "b", (1,), 290.0)
    albedo = series(tmp_path, "albedo", (day,), value)
    with pytest.raises(error, match=message):
        run(warm, tmp_path / "out", night=cold, albedo=albedo)


def test_cancelled_run_leaves_nothing(tmp_path):
    class Stopped(Progress):
        cancelled = True

    day = [mod11a1(tmp_path / "MOD11A1_20210401.tif")]
    with pytest.raises(Cancelled):
        thermal_indices(day, tmp_path / "out", progress=Stopped())
    assert not (tmp_path / "out").exists()
