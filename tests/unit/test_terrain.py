"""Terrain against analytic surfaces, SAGA, gdaldem and hand-made flow."""

from __future__ import annotations

import shutil
import subprocess
import time

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rasterio.transform import from_origin
from soil_moisture_mapper.plugin.core.covariates import flow, surface, terrain
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError, RasterError
from soil_moisture_mapper.plugin.core.progress import Progress


def plane_coordinates(size=21, cell=5.0):
    """East and north of cell centres, rows from north to south, (0, 0) in the middle."""
    step = (np.arange(size) - size // 2) * cell
    return np.meshgrid(step, -step)


def parameters_at_centre(z, cell=5.0, method="zevenbergen-thorne"):
    values = surface.terrain_parameters(z, cell, cell, method)
    middle = z.shape[0] // 2
    return {name: values[name][middle, middle] for name in surface.WINDOWED}


@pytest.mark.parametrize("method", surface.METHODS)
@pytest.mark.parametrize(
    "p, q, aspect",
    [(0.0, -0.5, 0.0), (-0.5, 0.0, 90.0), (0.0, 0.5, 180.0), (0.5, 0.0, 270.0), (-1, -1, 45.0)],
)
def test_plane_slopes_downhill_without_curvature(method, p, q, aspect):
    x, y = plane_coordinates()
    found = parameters_at_centre(100 + p * x + q * y, method=method)
    assert found["slope"] == pytest.approx(np.degrees(np.arctan(np.hypot(p, q))), abs=1e-12)
    assert found["aspect"] == pytest.approx(aspect, abs=1e-9)
    assert found["aspect_sin"] == pytest.approx(np.sin(np.radians(aspect)), abs=1e-12)
    assert found["aspect_cos"] == pytest.approx(np.cos(np.radians(aspect)), abs=1e-12)
    assert found["roughness"] == pytest.approx(1.0, abs=1e-12)
    assert found["elevation_range"] == pytest.approx(10 * (abs(p) + abs(q)), abs=1e-9)
    for name in surface.WINDOWED:
        if name.endswith("_curvature"):
            assert found[name] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("method", surface.METHODS)
def test_quadratic_surface_has_the_curvatures_of_its_formula(method):
    """Every method recovers the derivatives of a quadratic surface without error."""
    p, q, r, s, t = 0.3, -0.2, 0.01, 0.004, -0.006
    x, y = plane_coordinates()
    found = parameters_at_centre(
        p * x + q * y + r * x**2 / 2 + s * x * y + t * y**2 / 2, method=method
    )
    g = 0.3**2 + 0.2**2
    along = p * p * r + 2 * p * q * s + q * q * t
    across = q * q * r - 2 * p * q * s + p * p * t
    assert found["profile_curvature"] == pytest.approx(-along / (g * (1 + g) ** 1.5), rel=1e-9)
    assert found["plan_curvature"] == pytest.approx(-across / g**1.5, rel=1e-9)
    assert found["tangential_curvature"] == pytest.approx(-across / (g * (1 + g) ** 0.5), rel=1e-9)
    assert found["mean_curvature"] == pytest.approx(
        (found["profile_curvature"] + found["tangential_curvature"]) / 2, rel=1e-9
    )


def test_mean_curvature_is_half_of_profile_and_tangential_everywhere():
    z = np.random.default_rng(3).normal(size=(30, 40)).cumsum(0).cumsum(1)
    found = surface.terrain_parameters(z, 3.0, 4.0)
    mean = (found["profile_curvature"] + found["tangential_curvature"]) / 2
    np.testing.assert_allclose(found["mean_curvature"][1:-1, 1:-1], mean[1:-1, 1:-1], rtol=1e-9)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_sphere_has_one_over_its_radius(sign):
    """A dome is positive, a bowl negative; on a sphere normal curvatures are 1/R."""
    radius = 10_000.0
    x, y = plane_coordinates()
    x, y = x + 3000.0, y + 1000.0
    found = parameters_at_centre(sign * np.sqrt(radius**2 - x**2 - y**2))
    distance = np.hypot(3000.0, 1000.0)
    for name in ("profile_curvature", "tangential_curvature", "mean_curvature"):
        assert found[name] == pytest.approx(sign / radius, rel=1e-4)
    assert found["plan_curvature"] == pytest.approx(sign / distance, rel=1e-4)
    assert found["slope"] == pytest.approx(np.degrees(np.arcsin(distance / radius)), rel=1e-5)


@pytest.mark.parametrize("method", surface.METHODS)
def test_flat_land_has_no_aspect_and_no_curvature(method):
    found = parameters_at_centre(np.full((7, 7), 123.456), method=method)
    assert np.isnan(found.pop("aspect"))
    assert found.pop("roughness") == pytest.approx(1.0)
    assert set(found.values()) == {0.0}


@pytest.mark.parametrize("method", surface.METHODS)
def test_top_of_a_paraboloid_is_flat_with_mean_curvature_only(method):
    x, y = plane_coordinates()
    found = parameters_at_centre(-(x**2 + 3 * y**2) / 200.0, method=method)
    assert found["mean_curvature"] == pytest.approx((0.01 + 0.03) / 2, rel=1e-9)
    assert found["profile_curvature"] == found["plan_curvature"] == 0.0
    assert found["slope"] == found["aspect_sin"] == found["tangential_curvature"] == 0.0
    assert np.isnan(found["aspect"])


def test_saddle_has_curvatures_of_either_sign():
    """Hollow along its axis, domed across it."""
    x, y = plane_coordinates()
    on_axis = parameters_at_centre((x**2 - y**2) / 200.0 + 0.2 * x)
    assert on_axis["profile_curvature"] == pytest.approx(-0.01 / (1.04**1.5), rel=1e-9)
    assert on_axis["tangential_curvature"] == pytest.approx(0.01 / 1.04**0.5, rel=1e-9)


def test_roughness_of_a_roof_is_the_length_of_the_mean_normal():
    """On a roof whose sides slope 45° the ridge window has three flat, six tilted normals."""
    x, _ = plane_coordinates(cell=1.0)
    found = parameters_at_centre(-np.abs(x), cell=1.0)
    up = (3 + 6 / np.sqrt(2)) / 9
    assert found["roughness"] == pytest.approx(up, rel=1e-12)


def test_rows_from_south_to_north_give_the_same_land():
    z = np.random.default_rng(5).normal(size=(12, 9)).cumsum(0)
    north_up = surface.terrain_parameters(z, 10.0, 20.0, "evans")
    south_up = surface.terrain_parameters(z[::-1], 10.0, -20.0, "evans")
    for name, values in north_up.items():
        np.testing.assert_allclose(south_up[name][::-1], values, rtol=1e-12, err_msg=name)


def test_void_spreads_no_farther_than_its_window():
    z = np.random.default_rng(7).normal(size=(15, 15)).cumsum(0)
    z[7, 7] = np.nan
    for name, values in surface.terrain_parameters(z, 10.0, 10.0).items():
        reach = 2 if name == "roughness" else 1
        expected = np.zeros(z.shape, dtype=bool)
        expected[7 - reach : 8 + reach, 7 - reach : 8 + reach] = True
        expected[:reach] = expected[-reach:] = True
        expected[:, :reach] = expected[:, -reach:] = True
        np.testing.assert_array_equal(np.isnan(values), expected, err_msg=name)


def test_unknown_method_is_refused_by_its_name():
    with pytest.raises(InputError, match="shary"):
        surface.derivatives(np.zeros((3, 3)), 1.0, 1.0, "shary")


def test_smoothing_keeps_flats_flat_and_voids_void():
    z = np.full((30, 30), 812.3)
    z[4, 4] = np.nan
    smoothed = surface.smooth(z, 2.0)
    assert np.isnan(smoothed[4, 4])
    assert np.unique(smoothed[np.isfinite(smoothed)]) == pytest.approx([812.3])
    assert len(np.unique(smoothed[np.isfinite(smoothed)])) == 1


def test_smoothing_lowers_a_spike_to_the_gaussian():
    z = np.zeros((31, 31))
    z[15, 15] = 1.0
    kernel = np.exp(-0.5 * (np.arange(-6, 7) / 2.0) ** 2)
    expected = np.outer(kernel, kernel) / kernel.sum() ** 2
    np.testing.assert_allclose(surface.smooth(z, 2.0)[9:22, 9:22], expected, atol=1e-9)


def test_slope_and_curvatures_equal_saga(shared_data):
    with rasterio.open(shared_data / "rasters" / "terrain_saga_ecuador_10m.tif") as source:
        slope, plan, profile, elevation = (source.read(i).astype(float) for i in (1, 2, 3, 4))
    found = surface.terrain_parameters(elevation, 10.0, 10.0)
    common = np.isfinite(slope) & np.isfinite(found["slope"])
    assert common.sum() > 150_000
    assert np.abs(found["slope"] - slope)[common].max() < 1e-4
    for name, expected in (("profile_curvature", profile), ("plan_curvature", plan)):
        difference = np.abs(found[name] - expected)[common]
        assert np.percentile(difference, 99) < 1e-6, name
        assert np.median(difference) < 1e-8, name


def test_upslope_area_equals_saga_multiple_flow(shared_data):
    """Only what lies below a filled pit or the edge, which SAGA treats otherwise, differs."""
    with rasterio.open(shared_data / "rasters" / "terrain_saga_ecuador_10m.tif") as source:
        elevation, log_area = source.read(4).astype(float), source.read(5).astype(float)
    cells = flow.accumulate_upslope(flow.fill_depressions(elevation), 10.0, 10.0)
    difference = np.abs(np.log10(cells * 100.0) - log_area)
    common = np.isfinite(difference)
    assert common.sum() > 150_000
    assert np.median(difference[common]) < 1e-6
    assert np.mean(difference[common] < 1e-5) > 0.8


@pytest.mark.skipif(shutil.which("gdaldem") is None, reason="gdaldem is not installed")
@pytest.mark.parametrize(
    "method, algorithm", [("horn", "Horn"), ("zevenbergen-thorne", "ZevenbergenThorne")]
)
def test_slope_aspect_and_range_equal_gdaldem(tmp_path, method, algorithm):
    z = np.random.default_rng(11).normal(size=(40, 50)).cumsum(0).cumsum(1).astype(np.float32)
    z[20, 20] = -9999
    dem = tmp_path / "dem.tif"
    with rasterio.open(
        dem, "w", driver="GTiff", width=50, height=40, count=1, dtype="float32",
        crs="EPSG:32633", transform=from_origin(500000, 5000000, 10, 10), nodata=-9999,
    ) as target:  # fmt: skip
        target.write(z, 1)
    z = np.where(z == -9999, np.nan, z.astype(float))
    found = surface.terrain_parameters(z, 10.0, 10.0, method)
    for mode, name in (("slope", "slope"), ("aspect", "aspect"), ("roughness", "elevation_range")):
        out = tmp_path / f"{mode}.tif"
        extra = [] if mode == "roughness" else ["-alg", algorithm]
        subprocess.run(["gdaldem", mode, str(dem), str(out), "-q", *extra], check=True)
        with rasterio.open(out) as source:
            expected = source.read(1, masked=True).astype(float).filled(np.nan)
        np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(expected), err_msg=name)
        np.testing.assert_allclose(found[name], expected, rtol=2e-5, atol=1e-3, err_msg=name)


def test_depression_fills_to_its_outlet():
    z = np.full((5, 7), 9.0)
    z[2, 1:6] = [2.0, 1.0, 3.0, 5.0, 4.0]
    z[2, 6] = 4.5
    level = flow.fill_depressions(z).level
    np.testing.assert_array_equal(level[2], [9.0, 5.0, 5.0, 5.0, 5.0, 4.5, 4.5])


def test_water_drains_into_voids():
    z = np.full((5, 5), 9.0)
    z[2, 2] = np.nan
    z[2, 1] = 1.0
    assert flow.fill_depressions(z).level[2, 1] == 1.0


def test_freeman_shares_by_slope_to_the_power():
    """Of two ways down, straight and diagonal, each gets its tangent^1.1."""
    void = np.nan
    z = np.array([[void, void, void], [void, 5.0, void], [void, 3.0, 1.0]])
    cells = flow.accumulate_upslope(flow.fill_depressions(z), 10.0, 10.0)
    straight, diagonal = (2 / 10) ** 1.1, (4 / np.hypot(10, 10)) ** 1.1
    assert cells[1, 1] == 1.0
    assert cells[2, 1] == pytest.approx(1 + straight / (straight + diagonal))
    assert cells[2, 2] == pytest.approx(3.0)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        elements=st.one_of(st.integers(0, 6).map(float), st.just(np.nan)),
    )
)
def test_all_water_leaves_at_outlets(z):
    """Flats, pits and voids lose no drop: what leaves is the number of cells."""
    flood = flow.fill_depressions(z)
    cells = flow.accumulate_upslope(flood, 2.0, 3.0)
    valid = np.isfinite(z)
    assert len(flood.order) == valid.sum()
    np.testing.assert_array_equal(np.isfinite(cells), valid)
    assert (cells[valid] >= 1 - 1e-12).all()
    assert (flood.level[valid] >= z[valid]).all()
    giver, _, share = flow._shares(flood, flood.order, 2.0, 3.0, 1.1)
    given_away = np.zeros(len(flood.order))
    np.add.at(given_away, giver, share)
    leaving = cells.ravel()[flood.order] * (1 - given_away)
    assert leaving.sum() == pytest.approx(valid.sum())
    rim = flood.parent[flood.order] < 0
    assert leaving[~rim] == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.float64, st.tuples(st.integers(3, 9), st.integers(3, 9)), elements=st.integers(0, 9)
    )
)
def test_filled_level_is_the_lowest_pass_to_the_rim(z):
    """The filled surface is the smallest one that solves level = max(z, lowest neighbour)."""
    level = flow.fill_depressions(z).level
    relaxed = np.where(np.pad(np.zeros(np.array(z.shape) - 2), 1, constant_values=1) > 0, z, 99.0)
    for _ in range(z.size):
        framed = np.pad(relaxed, 1, constant_values=99.0)
        lowest = np.minimum.reduce(
            [framed[r : r + z.shape[0], c : c + z.shape[1]] for r in range(3) for c in range(3)]
        )
        relaxed = np.minimum(relaxed, np.maximum(z, lowest))
    np.testing.assert_array_equal(level, relaxed)


def test_wetness_of_a_plane_grows_with_the_way_from_its_top():
    """On a plane tilted along the columns n cells drain through the n-th row."""
    z = np.repeat(np.arange(12.0)[::-1, None], 9, axis=1) * 1.0
    z = np.hstack([z, z, z])
    tangent = np.full(z.shape, 0.1)
    index = flow.wetness_index(z, tangent, 10.0, 10.0)
    expected = np.log(np.arange(1, 13) * 10.0 / 0.1)
    np.testing.assert_allclose(index[:, 13], expected, atol=0.02)


def test_wetness_takes_no_slope_below_a_thousandth():
    index = flow.wetness_index(np.zeros((2, 2)), np.zeros((2, 2)), 5.0, 5.0)
    assert index[0, 0] == pytest.approx(np.log(5.0 / 0.001))


def test_four_hundred_thousand_cells_flow_within_seconds():
    generator = np.random.default_rng(1)
    z = generator.normal(size=(640, 640)).cumsum(0).cumsum(1)
    started = time.perf_counter()
    flow.wetness_index(z, np.full(z.shape, 0.1), 10.0, 10.0)
    assert time.perf_counter() - started < 15.0


def write_dem(path, z, crs="EPSG:32633", transform=None, units=None):
    with rasterio.open(
        path, "w", driver="GTiff", width=z.shape[1], height=z.shape[0], count=1, dtype="float32",
        crs=crs, transform=transform or from_origin(500000, 5000000, 10, 10), nodata=-9999,
    ) as target:  # fmt: skip
        target.write(np.where(np.isnan(z), -9999, z).astype(np.float32), 1)
        if units:
            target.set_band_unit(1, units)
    return path


def hills(rows, columns, seed=2):
    y, x = np.indices((rows, columns))
    noise = np.random.default_rng(seed).normal(size=(rows, columns))
    return np.float32(400 + 30 * np.sin(x / 9.0) + 20 * np.cos(y / 7.0) + noise).astype(float)


def read_bands(path):
    with rasterio.open(path) as source:
        values = source.read(masked=True).astype(float).filled(np.nan)
        return dict(zip(source.descriptions, values)), source.profile


def test_bands_come_in_the_order_of_the_contract(tmp_path):
    z = hills(40, 60)
    z[20, 30] = np.nan
    dem = write_dem(tmp_path / "Höhen modell.tif", z)
    terrain.terrain_covariates(dem, 1, tmp_path / "terrain.tif")
    bands, profile = read_bands(tmp_path / "terrain.tif")
    assert tuple(bands) == terrain.PARAMETERS
    assert profile["dtype"] == "float32" and profile["nodata"] == -9999
    expected = surface.terrain_parameters(z, 10.0, 10.0)
    for name, values in expected.items():
        np.testing.assert_array_equal(bands[name], values.astype(np.float32), err_msg=name)
    np.testing.assert_array_equal(bands["elevation"], z)
    np.testing.assert_array_equal(np.isnan(bands["twi"]), np.isnan(bands["slope"]))


@pytest.mark.parametrize("smoothing", [0.0, 1.4])
def test_blocks_do_not_show(tmp_path, smoothing):
    z = hills(70, 90)
    z[30:33, 40] = np.nan
    dem = write_dem(tmp_path / "dem.tif", z)
    written = []
    for block in (16, 37, 256):
        out = tmp_path / f"terrain{block}.tif"
        terrain.terrain_covariates(dem, 1, out, smoothing=smoothing, block=block)
        written.append(read_bands(out)[0])
    for name in terrain.PARAMETERS:
        for other in written[:2]:
            np.testing.assert_array_equal(other[name], written[2][name], err_msg=name)


def test_smoothing_leaves_elevation_and_lowers_slopes(tmp_path):
    z = hills(40, 40)
    dem = write_dem(tmp_path / "dem.tif", z)
    out = tmp_path / "terrain.tif"
    terrain.terrain_covariates(
        dem, 1, out, parameters=["slope", "elevation"], smoothing=2.0, method="horn"
    )
    bands, _ = read_bands(out)
    assert tuple(bands) == ("elevation", "slope")
    np.testing.assert_array_equal(bands["elevation"], z)
    rough = surface.terrain_parameters(z, 10.0, 10.0, "horn", ["slope"])["slope"]
    assert np.nanmean(bands["slope"]) < 0.95 * np.nanmean(rough)


def test_feet_are_taken_to_metres(tmp_path):
    """A slope of 1:2 stays one, whether map and heights are in metres or in feet."""
    z = np.repeat(np.arange(9.0)[None] * 5, 9, axis=0)
    survey_feet = "EPSG:2227"
    dem = write_dem(tmp_path / "dem.tif", z, crs=survey_feet, units="us-ft")
    out = terrain.terrain_covariates(dem, 1, tmp_path / "t.tif", parameters=["slope", "elevation"])
    bands, _ = read_bands(out)
    assert bands["slope"][4, 4] == pytest.approx(np.degrees(np.arctan(0.5)), rel=1e-6)
    assert bands["elevation"][0, 8] == pytest.approx(40 * 1200 / 3937, rel=1e-6)


def test_dem_in_degrees_is_refused_with_the_cure(tmp_path):
    dem = write_dem(
        tmp_path / "dem.tif", hills(9, 9), "EPSG:4326", from_origin(15, 48, 0.001, 0.001)
    )
    with pytest.raises(RasterError, match=r"dem\.tif.*degrees.*EPSG:4326.*Warp"):
        terrain.terrain_covariates(dem, 1, tmp_path / "t.tif")
    assert not (tmp_path / "t.tif").exists()


def test_dem_without_elevation_is_refused_and_leaves_nothing(tmp_path):
    dem = write_dem(tmp_path / "dem.tif", np.full((9, 9), np.nan))
    with pytest.raises(RasterError, match="holds no elevation"):
        terrain.terrain_covariates(dem, 1, tmp_path / "t.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["dem.tif"]


@pytest.mark.parametrize(
    "settings_, message",
    [
        ({"method": "shary"}, "shary"),
        ({"parameters": ["slope", "twist"]}, "twist"),
        ({"smoothing": -1.0}, "-1 cells"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path, settings_, message):
    dem = write_dem(tmp_path / "dem.tif", hills(9, 9))
    with pytest.raises(InputError, match=message):
        terrain.terrain_covariates(dem, 1, tmp_path / "t.tif", **settings_)


def test_cancelled_run_leaves_the_earlier_file(tmp_path):
    class Stopped(Progress):
        cancelled = True

    dem = write_dem(tmp_path / "dem.tif", hills(9, 9))
    earlier = tmp_path / "t.tif"
    earlier.write_bytes(b"earlier")
    with pytest.raises(Cancelled):
        terrain.terrain_covariates(dem, 1, earlier, progress=Stopped())
    assert earlier.read_bytes() == b"earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dem.tif", "t.tif"]
