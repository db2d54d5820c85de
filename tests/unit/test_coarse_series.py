"""Coarse series from NetCDF and GeoTIFF: their days, places and numbers, and what is refused."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pytest
import rasterio
from affine import Affine
from raster_files import write_raster
from scipy.io import netcdf_file
from soil_moisture_mapper.plugin.core.covariates.coarse_products import coarse
from soil_moisture_mapper.plugin.core.covariates.coarse_products.coarse import prepare_coarse_series
from soil_moisture_mapper.plugin.core.covariates.coarse_products.coarse_days import Selection
from soil_moisture_mapper.plugin.core.errors import InputError, RasterError
from soil_moisture_mapper.plugin.core.progress import RecordingProgress
from soil_moisture_mapper.plugin.core.rasters.grids import Window, place
from soil_moisture_mapper.plugin.core.rasters.netcdf import NetcdfReader, describe_netcdf
from soil_moisture_mapper.plugin.core.rasters.netcdf_size import check_complete

LATITUDES = np.arange(52.875, 50, -0.25)
LONGITUDES = np.arange(5.125, 9, 0.25)


def field(lon, lat, day=0):
    """Moisture as a function of place and day."""
    return 0.2 + 0.001 * np.asarray(lon) - 0.002 * (np.asarray(lat) - 50) + 0.01 * day


def write_netcdf(
    path,
    values=None,
    *,
    lats=LATITUDES,
    lons=LONGITUDES,
    times=(18718, 18719),
    units="days since 1970-01-01 00:00:00 UTC",
    name="sm",
    calendar=None,
    packed=False,
    level=None,
    flag=False,
    version=2,
):
    """Write `name`(time, latitude, longitude) in the classic format, without GDAL."""
    lats, lons = np.asarray(lats), np.asarray(lons)
    if values is None:
        values = np.stack(
            [field(lons[None, :], lats[:, None], day) for day in range(len(times) or 1)]
        )
    dims = ("time", "lat", "lon") if len(times) else ("lat", "lon")
    values = values if len(times) else values[0]
    with netcdf_file(path, "w", version=version) as file:
        for dim, size in (("time", len(times)), ("lat", lats.size), ("lon", lons.size)):
            if size:
                file.createDimension(dim, size)
        if len(times):
            time = file.createVariable("time", "f8", ("time",))
            time[:] = times
            time.units = units
            if calendar:
                time.calendar = calendar
        for dim, axis, degrees in (("lat", lats, "north"), ("lon", lons, "east")):
            variable = file.createVariable(dim, "f8", (dim,))
            variable[:] = axis
            variable.units = f"degrees_{degrees}"
        if level is not None:
            file.createDimension("depth", len(level))
            file.createVariable("depth", "f8", ("depth",))[:] = level
            dims = (dims[0], "depth", *dims[1:])
            values = np.repeat(values[:, None], len(level), axis=1)
        names = [name] if isinstance(name, str) else list(name)
        for one in names:
            variable = file.createVariable(one, "i2" if packed else "f4", dims)
            variable.units = "m3 m-3"
            if packed:
                variable.scale_factor, variable.add_offset = 0.0001, 0.1
                variable._FillValue = np.int16(-32767)
                raw = np.round((values - 0.1) / 0.0001)
                variable[:] = np.where(np.isfinite(values), raw, -32767).astype("i2")
            else:
                variable._FillValue = np.float32(-9999)
                variable[:] = np.where(np.isfinite(values), values, -9999).astype("f4")
        if flag:
            file.createVariable("flag", "i1", dims)[:] = 0
    return path


def read(path):
    with rasterio.open(path) as dataset:
        values = dataset.read(1, masked=True).astype(float).filled(np.nan)
        return values, dataset.transform, dataset.crs


def lon_lat(path):
    values, transform, _ = read(path)
    rows, cols = np.indices(values.shape)
    return place(transform, cols + 0.5, rows + 0.5)


# NetCDF


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ascending", [False, True])
def test_days_places_and_numbers(tmp_path, packed, ascending):
    lats = LATITUDES[::-1] if ascending else LATITUDES
    values = np.stack([field(LONGITUDES[None], lats[:, None], day) for day in (0, 1)])
    values[0, 2, 3] = np.nan
    file = write_netcdf(tmp_path / "cci ä.nc", values, lats=lats, packed=packed, flag=True)
    progress = RecordingProgress()
    paths = prepare_coarse_series(file, tmp_path / "o", name="cci", progress=progress)
    assert [path.name for path in paths] == ["cci_20210401.tif", "cci_20210402.tif"]
    for day, path in enumerate(paths):
        found, transform, crs = read(path)
        assert crs.to_epsg() == 4326
        assert transform.almost_equals(Affine(0.25, 0, 5, 0, -0.25, 53), 1e-9)
        expected = field(*lon_lat(path), day)
        if not day:
            missing = len(lats) - 3 if ascending else 2
            assert np.isnan(found[missing, 3])
            expected[missing, 3] = np.nan
        np.testing.assert_allclose(found, expected, atol=6e-5 if packed else 1e-6)
    assert "Variable: sm (m3 m-3)." in progress.messages
    assert any("variable 'flag' is not used" in text for text in progress.messages)


@pytest.mark.parametrize(
    ("units", "times", "days"),
    [
        ("hours since 1900-01-01 00:00:00.0", [1063080, 1063104], ["2021-04-11", "2021-04-12"]),
        ("seconds since 1970-01-01", [1617235200], ["2021-04-01"]),
        ("minutes since 2021-04-01T00:00:00Z", [0, 1440 * 31], ["2021-04-01", "2021-05-02"]),
        ("Days since 2000-1-1", [7761.5], ["2021-04-01"]),
    ],
)
def test_time_axes(tmp_path, units, times, days):
    file = write_netcdf(tmp_path / "x.nc", units=units, times=times)
    series = describe_netcdf(file)
    assert [str(time.date()) for time in series.times] == days


def test_hours_of_a_day_are_averaged(tmp_path):
    """Six-hourly fields; where one hour is missing the mean is that of the others."""
    times = [0, 6, 12, 18, 24]
    values = np.stack([np.full((12, 16), 0.1 * (1 + i)) for i in range(5)])
    values[3, 0, 0] = np.nan
    file = write_netcdf(
        tmp_path / "era5.nc", values, times=times, units="hours since 2021-04-01", name="swvl1"
    )
    progress = RecordingProgress()
    paths = prepare_coarse_series(file, tmp_path / "o", name="swvl1", progress=progress)
    assert len(paths) == 2
    found = read(paths[0])[0]
    assert found[1, 1] == pytest.approx(0.25, abs=1e-6)
    assert found[0, 0] == pytest.approx(0.2, abs=1e-6)
    assert read(paths[1])[0][0, 0] == pytest.approx(0.5, abs=1e-6)
    assert any("up to 4 times a day are averaged" in text for text in progress.messages)


@pytest.mark.parametrize("lons", [np.arange(0, 360, 1.0), np.arange(0.5, 360, 1.0)])
def test_longitudes_to_360_are_turned(tmp_path, lons, monkeypatch):
    """As ERA5's: the west comes first, and windows across the seam are whole."""
    lats = np.arange(-3, 4.0)
    east = np.where(lons >= 180, lons - 360, lons)
    values = field(east[None, :], lats[:, None])[None]
    file = write_netcdf(tmp_path / "x.nc", values, lats=lats, lons=lons, times=[18718])
    series = describe_netcdf(file)
    assert series.grid.bounds[0] == pytest.approx(-180 if lons[0] else -180.5)
    (path,) = prepare_coarse_series(file, tmp_path / "o")
    np.testing.assert_allclose(read(path)[0], field(*lon_lat(path)), atol=1e-6)
    with NetcdfReader(series) as reader:
        whole = reader.read([1], series.grid.whole)
        for window in (Window(170, 1, 30, 3), Window(0, 0, 20, 7), Window(300, 2, 60, 1)):
            rows, cols = window.slices
            np.testing.assert_array_equal(reader.read([1], window), whole[:, rows, cols])
    box = ((-2.4, -1.4, 1.4, 1.4), "EPSG:4326")
    (path,) = prepare_coarse_series(file, tmp_path / "p", extent=box)
    found, transform, _ = read(path)
    assert transform.c < -3 < transform.c + 2
    np.testing.assert_allclose(found, field(*lon_lat(path)), atol=1e-6)


def test_western_half_of_360(tmp_path):
    lons = np.arange(260.5, 280)
    file = write_netcdf(tmp_path / "x.nc", lons=lons, times=[18718])
    (path,) = prepare_coarse_series(file, tmp_path / "o")
    assert read(path)[1].c == pytest.approx(-100)


def test_variable_is_found_or_asked_for(tmp_path):
    both = write_netcdf(tmp_path / "a.nc", name=("sm", "sm_uncertainty"))
    assert describe_netcdf(both).variable == "sm"
    assert describe_netcdf(both, "sm_uncertainty").variable == "sm_uncertainty"
    with pytest.raises(RasterError, match=r"'a.nc' has no variable 'swvl9'\. It has sm, sm_unc"):
        describe_netcdf(both, "swvl9")
    unclear = write_netcdf(tmp_path / "b.nc", name=("tp", "t2m"))
    with pytest.raises(RasterError, match=r"not clear\. It has tp, t2m\. Name it in VARIABLE"):
        describe_netcdf(unclear)
    assert describe_netcdf(write_netcdf(tmp_path / "c.nc", name="tp")).variable == "tp"


def test_file_without_time_is_dated_by_its_name(tmp_path):
    file = write_netcdf(tmp_path / "ESACCI-SM-20210401000000-fv07.1.nc", times=())
    with pytest.raises(RasterError, match="Neither a time axis nor the name"):
        prepare_coarse_series(file, tmp_path / "o")
    file = file.rename(tmp_path / "sm_20210401.nc")
    (path,) = prepare_coarse_series(file, tmp_path / "o")
    assert path.name == "smap_20210401.tif"


def test_levels_are_refused(tmp_path):
    file = write_netcdf(tmp_path / "x.nc", level=[0.05, 0.2])
    with pytest.raises(RasterError, match=r"'sm' of 'x.nc' has 2 values of 'depth'.*cdo"):
        describe_netcdf(file)
    one = describe_netcdf(write_netcdf(tmp_path / "y.nc", level=[0.05]))
    assert one.times == (datetime(2021, 4, 1), datetime(2021, 4, 2))


@pytest.mark.parametrize(
    ("units", "calendar"),
    [
        ("months since 2000-01-01", None),
        ("days since the flood", None),
        ("days since 2000-01-01", "noleap"),
        ("hours since 2000-01-01 00:00 +02:00", None),
    ],
)
def test_unreadable_times(tmp_path, units, calendar):
    file = write_netcdf(tmp_path / "x.nc", units=units, calendar=calendar)
    with pytest.raises(RasterError, match=r"time axis of 'x.nc' is in '.* since .*standard cal"):
        describe_netcdf(file)


def test_irregular_grid(tmp_path):
    lats = np.array([50.0, 50.3, 51.1, 52.9, 55.0])
    with pytest.raises(RasterError, match="has no regular grid"):
        describe_netcdf(write_netcdf(tmp_path / "x.nc", lats=lats))


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("cut", [60, 500, -1500, -4])
def test_cut_netcdf(tmp_path, version, cut):
    """GDAL would read zeros where values have been lost."""
    file = write_netcdf(tmp_path / "x.nc", version=version)
    data = file.read_bytes()
    file.write_bytes(data[:cut])
    message = r"(?i)cut short.*download it again" if cut != 60 else r"as a NetCDF file"
    with pytest.raises(RasterError, match=message):
        prepare_coarse_series(file, tmp_path / "o")
    file.write_bytes(data[:-3] if data.endswith(b"\0\0\0") else data)
    assert prepare_coarse_series(file, tmp_path / "o")


@pytest.mark.parametrize("records", [0, 1, 5])
def test_length_of_files_with_records(tmp_path, records):
    """SciPy writes files whose first dimension grows; all of their bytes are asked for."""
    path = tmp_path / "x.nc"
    with netcdf_file(path, "w") as file:
        file.title = "a"
        file.createDimension("time", None)
        file.createDimension("x", 3)
        file.createVariable("fixed", "f8", ("x",))[:] = 1
        one, two = (file.createVariable(n, k, ("time", "x")) for n, k in (("a", "i2"), ("b", "f4")))
        for record in range(records):
            one[record], two[record] = [1, 2, 3], [1, 2, 3]
    check_complete(path)
    data = path.read_bytes()
    path.write_bytes(data[:-4])
    with pytest.raises(RasterError, match=rf"it has {len(data) - 4} of {len(data)} bytes"):
        check_complete(path)


def test_what_is_no_netcdf(tmp_path):
    (tmp_path / "x.nc").write_bytes(b"GIF89a")
    with pytest.raises(RasterError, match="is not a NetCDF file"):
        prepare_coarse_series(tmp_path, tmp_path / "o")


def test_netcdf_4(tmp_path):
    """The format of today's files, which is HDF5."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "c3s.nc", "w") as file:
        axes = {
            "time": (np.array([18718.0]), b"days since 1970-01-01"),
            "lat": (LATITUDES, b"degrees_north"),
            "lon": (LONGITUDES, b"degrees_east"),
        }
        for name, (values, units) in axes.items():
            axis = file.create_dataset(name, data=values)
            axis.attrs["units"] = np.bytes_(units)
            axis.make_scale(name)
        values = field(LONGITUDES[None, None, :], LATITUDES[None, :, None]).astype("f4")
        made = file.create_dataset("sm", data=values, compression="gzip")
        made.attrs["_FillValue"] = np.array([-9999], dtype="f4")
        for index, name in enumerate(axes):
            made.dims[index].attach_scale(file[name])
    (path,) = prepare_coarse_series(tmp_path / "c3s.nc", tmp_path / "o")
    assert path.name == "smap_20210401.tif"
    np.testing.assert_allclose(read(path)[0], field(*lon_lat(path)), atol=1e-6)


def test_day_in_two_files(tmp_path):
    for name in ("a.nc", "b.nc"):
        write_netcdf(tmp_path / name, times=[18718])
    with pytest.raises(InputError, match=r"more than once: 2021-04-01 \(.*a.nc, .*b.nc\)"):
        prepare_coarse_series(tmp_path, tmp_path / "o")


def test_files_on_two_grids(tmp_path):
    write_netcdf(tmp_path / "a.nc", times=[18718])
    write_netcdf(tmp_path / "b.nc", times=[18719], lons=LONGITUDES + 0.1)
    with pytest.raises(RasterError, match=r"not on one grid: 'a.nc' has .*, 'b.nc' has"):
        prepare_coarse_series(tmp_path, tmp_path / "o")


# units


def test_percent(tmp_path):
    values = 100 * np.stack([field(LONGITUDES[None], LATITUDES[:, None])])
    file = write_netcdf(tmp_path / "x.nc", values, times=[18718])
    with pytest.raises(RasterError, match=r"no moisture in m³ m⁻³: 192 of 192 exceed 1\. Set UNIT"):
        prepare_coarse_series(file, tmp_path / "o")
    assert not list(tmp_path.glob("o/*.tif"))
    (path,) = prepare_coarse_series(file, tmp_path / "o", units="percent")
    np.testing.assert_allclose(read(path)[0], field(*lon_lat(path)), atol=1e-6)
    (path,) = prepare_coarse_series(file, tmp_path / "p", units="other", name="rain")
    np.testing.assert_allclose(read(path)[0], 100 * field(*lon_lat(path)), atol=1e-4)


def test_fractions_said_to_be_percent_are_warned_of(tmp_path):
    file = write_netcdf(tmp_path / "x.nc", times=[18718])
    progress = RecordingProgress()
    prepare_coarse_series(file, tmp_path / "o", units="percent", progress=progress)
    assert any("is the unit m³ m⁻³?" in text for text in progress.warnings)


def test_stray_values_are_left_out(tmp_path):
    values = np.stack([field(LONGITUDES[None], LATITUDES[:, None])])
    values[0, 0, 0], values[0, 5, 5] = 1.7, -0.2
    file = write_netcdf(tmp_path / "x.nc", values, times=[18718])
    progress = RecordingProgress()
    (path,) = prepare_coarse_series(file, tmp_path / "o", progress=progress)
    found = read(path)[0]
    assert np.argwhere(np.isnan(found)).tolist() == [[0, 0], [5, 5]]
    assert any("2 values outside 0 to 1" in text for text in progress.warnings)


# GeoTIFF


def write_tif(path, values, *, names=(), nodata=-9999.0, scale=None):
    values = np.asarray(values, dtype="float32" if scale is None else "int16")
    count = len(values) if values.ndim == 3 else 1
    scaling = {} if scale is None else {"scales": (scale,) * count, "offsets": (0.05,) * count}
    place = {"crs": "EPSG:4326", "cell": 0.25, "corner": (5, 53), "nodata": nodata}
    return write_raster(path, values, names=names, **place, **scaling)


def test_geotiff_series(tmp_path, monkeypatch):
    """Dates by name; scale and offset applied; the same numbers in strips of any height."""
    folder = tmp_path / "in"
    folder.mkdir()
    raw = np.random.default_rng(1).integers(100, 4000, (12, 16))
    raw[3, 4] = -9999
    write_tif(folder / "SM_2021-04-02.tif", raw, scale=0.0001)
    write_tif(folder / "SM_2021091.tif", raw + 5 * (raw > 0), scale=0.0001)
    expected = np.where(raw == -9999, np.nan, raw * 0.0001 + 0.05)
    monkeypatch.setattr(coarse, "_STRIP_CELLS", 50)
    paths = prepare_coarse_series(folder, folder / "out", name="sm")
    assert [path.name for path in paths] == ["sm_20210401.tif", "sm_20210402.tif"]
    np.testing.assert_allclose(read(paths[1])[0], expected, atol=1e-7)
    np.testing.assert_allclose(read(paths[0])[0], expected + 0.0005, atol=1e-6)
    assert prepare_coarse_series(folder, folder / "out", name="sm") == paths, "a second run"


def test_geotiff_bands(tmp_path):
    stack = np.stack([np.full((4, 4), 0.1), np.full((4, 4), 0.2)])
    write_tif(tmp_path / "sm.tif", stack, names=("2021-04-01", "2021-04-05"))
    paths = prepare_coarse_series(tmp_path / "sm.tif", tmp_path / "o")
    assert [path.name for path in paths] == ["smap_20210401.tif", "smap_20210405.tif"]
    write_tif(tmp_path / "x_20210401.tif", stack, names=("am", "pm"))
    with pytest.raises(InputError, match=r"has bands of several names: it has am, pm\. Name one"):
        prepare_coarse_series(tmp_path / "x_20210401.tif", tmp_path / "p")
    (path,) = prepare_coarse_series(
        tmp_path / "x_20210401.tif", tmp_path / "p", selection=Selection(variable="pm")
    )
    np.testing.assert_allclose(read(path)[0], 0.2)


def test_undeclared_nodata_is_warned_of(tmp_path):
    values = np.full((4, 4), 0.1)
    values[0, 0] = -9999
    write_tif(tmp_path / "x_20210401.tif", values, nodata=None)
    progress = RecordingProgress()
    (path,) = prepare_coarse_series(tmp_path, tmp_path / "o", progress=progress)
    assert np.isnan(read(path)[0][0, 0])
    assert any("1 × -9999" in text for text in progress.warnings)


def test_geotiff_without_date(tmp_path):
    write_tif(tmp_path / "sm.tif", np.full((4, 4), 0.1))
    with pytest.raises(InputError, match=r"1 rasters have no date: sm.tif\. Put it into the name"):
        prepare_coarse_series(tmp_path, tmp_path / "o")


def test_mixed_formats(tmp_path):
    write_tif(tmp_path / "sm_20210401.tif", np.full((4, 4), 0.1))
    write_netcdf(tmp_path / "a.nc")
    with pytest.raises(InputError, match=r"several formats: 1 × .nc, 1 × .tif\. Choose PRODUCT"):
        prepare_coarse_series(tmp_path, tmp_path / "o")
    selection = Selection(product="netcdf", start=date(2021, 4, 2))
    (path,) = prepare_coarse_series(tmp_path, tmp_path / "o", selection=selection)
    assert path.name == "smap_20210402.tif"
    with pytest.raises(InputError, match="no file of the product smap-l3-36km"):
        prepare_coarse_series(tmp_path, tmp_path / "o", selection=Selection(product="smap-l3-36km"))


def test_file_is_not_written_over_itself(tmp_path):
    file = write_tif(tmp_path / "smap_20210401.tif", np.full((4, 4), 0.1))
    before = file.read_bytes()
    with pytest.raises(InputError, match="would be written over itself"):
        prepare_coarse_series(tmp_path, tmp_path)
    assert file.read_bytes() == before


@pytest.mark.parametrize("source", ["/vsicurl/http://localhost/x.nc", 'NETCDF:"x.nc":sm'])
def test_names_that_gdal_would_follow_are_no_files(tmp_path, source):
    with pytest.raises(InputError, match="does not exist"):
        prepare_coarse_series(source, tmp_path / "o")
