"""Terrain surfaces against analytic shapes, SAGA and gdaldem."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import rasterio
from raster_files import write_raster
from soil_moisture_mapper.plugin.core.covariates.relief import surface
from soil_moisture_mapper.plugin.core.errors import InputError


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


GDALDEM = [("horn", "Horn"), ("zevenbergen-thorne", "ZevenbergenThorne")]
PLANE = (0.3, -0.2, 0.0, 0.0, 0.0)
DOME = (0.25, -0.35, -0.010, 0.0, -0.016)
BOWL = (0.25, -0.35, 0.010, 0.0, 0.016)
SADDLE = (0.30, 0.10, 0.012, 0.005, -0.008)


@pytest.mark.parametrize("method", surface.METHODS)
@pytest.mark.parametrize(
    "shape", [PLANE, DOME, BOWL, SADDLE], ids=["plane", "dome", "bowl", "saddle"]
)
def test_every_parameter_on_quadratic_shapes(method, shape):
    """Slope from the gradient, curvatures from the Hessian along and across it, and the rest.

    Every method recovers the derivatives of a quadratic surface without error.
    """
    p, q, r, s, t = shape
    cell = 5.0
    x, y = plane_coordinates(cell=cell)
    z = 700 + p * x + q * y + r * x**2 / 2 + s * x * y + t * y**2 / 2
    found = parameters_at_centre(z, cell, method)
    steepness = np.hypot(p, q)
    down = np.array([-p, -q]) / steepness
    level = np.array([-down[1], down[0]])
    hessian = np.array([[r, s], [s, t]])
    along, across = down @ hessian @ down, level @ hessian @ level
    normals = [
        np.array([-(p + r * i + s * j), -(q + s * i + t * j), 1.0])
        for i in (-cell, 0.0, cell)
        for j in (-cell, 0.0, cell)
    ]
    heights = z[9:12, 9:12]
    expected = {
        "slope": np.degrees(np.arctan(steepness)),
        "aspect": np.degrees(np.arctan2(down[0], down[1])) % 360.0,
        "aspect_sin": down[0],
        "aspect_cos": down[1],
        "profile_curvature": -along / (1 + steepness**2) ** 1.5,
        "plan_curvature": -across / steepness,
        "tangential_curvature": -across / np.sqrt(1 + steepness**2),
        "mean_curvature": -(along / (1 + steepness**2) + across) / (2 * np.sqrt(1 + steepness**2)),
        "roughness": np.linalg.norm(sum(n / np.linalg.norm(n) for n in normals)) / 9,
        "elevation_range": heights.max() - heights.min(),
    }
    assert set(found) == set(expected) == set(surface.WINDOWED)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name
    assert bool(found["roughness"] < 1 - 1e-6) is (shape is not PLANE)


@pytest.mark.parametrize(
    "shape, positive, negative",
    [
        (DOME, ("profile", "plan", "tangential", "mean"), ()),
        (BOWL, (), ("profile", "plan", "tangential", "mean")),
        (SADDLE, ("plan", "tangential"), ("profile",)),
    ],
    ids=["dome", "bowl", "saddle"],
)
def test_domes_are_positive_and_bowls_negative(shape, positive, negative):
    p, q, r, s, t = shape
    x, y = plane_coordinates()
    found = parameters_at_centre(p * x + q * y + r * x**2 / 2 + s * x * y + t * y**2 / 2)
    assert all(found[f"{name}_curvature"] > 1e-3 for name in positive)
    assert all(found[f"{name}_curvature"] < -1e-3 for name in negative)


def test_mean_curvature_is_half_of_profile_and_tangential_everywhere():
    z = np.random.default_rng(3).normal(size=(30, 40)).cumsum(0).cumsum(1)
    found = surface.terrain_parameters(z, 3.0, 4.0)
    mean = (found["profile_curvature"] + found["tangential_curvature"]) / 2
    np.testing.assert_allclose(found["mean_curvature"][1:-1, 1:-1], mean[1:-1, 1:-1], rtol=1e-9)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (2, 9)])
def test_rasters_smaller_than_a_window_have_no_shape(size):
    for name, values in surface.terrain_parameters(np.ones(size), 1.0, 1.0).items():
        assert values.shape == size, name
        assert np.isnan(values).all(), name


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
        assert np.abs(found[name] - expected)[common].max() < 1e-6, name
        assert (np.sign(found[name]) == np.sign(expected))[common].all(), name


@pytest.mark.skipif(shutil.which("gdaldem") is None, reason="gdaldem is not installed")
@pytest.mark.parametrize("method, algorithm", GDALDEM)
def test_slope_aspect_and_range_equal_gdaldem(tmp_path, method, algorithm):
    z = np.random.default_rng(11).normal(size=(40, 50)).cumsum(0).cumsum(1).astype(np.float32)
    z[20, 20] = -9999
    dem = tmp_path / "dem.tif"
    write_raster(dem, z, crs="EPSG:32633", corner=(500000, 5000000), nodata=-9999)
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


@pytest.mark.skipif(shutil.which("gdaldem") is None, reason="gdaldem is not installed")
@pytest.mark.parametrize("method, algorithm", GDALDEM)
@pytest.mark.parametrize("file", ["dem_bigtujunga_srtm30m.tif", "dem_whitebox_90m.tif"])
def test_real_terrain_equals_gdaldem(shared_data, tmp_path, file, method, algorithm):
    """Steep whole metres with many flats, and smooth decimals.

    gdaldem computes in singles, so directions are compared where the slope is not a rounding.
    """
    dem = shared_data / "rasters" / file
    with rasterio.open(dem) as source:
        z = source.read(1, masked=True).astype(float).filled(np.nan)
        cell_x, cell_y = source.res
    found = surface.terrain_parameters(z, cell_x, cell_y, method, ["slope", "aspect"])
    for name, tolerance in (("slope", 1e-4), ("aspect", 0.01)):
        out = tmp_path / f"{name}.tif"
        subprocess.run(["gdaldem", name, str(dem), str(out), "-q", "-alg", algorithm], check=True)
        with rasterio.open(out) as source:
            expected = source.read(1, masked=True).astype(float).filled(np.nan)
        np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(expected), err_msg=name)
        turn = np.abs((found[name] - expected + 180.0) % 360.0 - 180.0)
        assert turn[found["slope"] > 0.1].max() < tolerance, name
