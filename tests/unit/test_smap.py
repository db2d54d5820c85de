"""SMAP level-3 files, made to the public layout: where cells lie, passes, quality, bad files."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import rasterio
import rasterio.warp
from soil_moisture_mapper.plugin.core.covariates.coarse_products.coarse import prepare_coarse_series
from soil_moisture_mapper.plugin.core.covariates.coarse_products.coarse_days import Selection
from soil_moisture_mapper.plugin.core.covariates.coarse_products.smap import describe_smap, smap_day
from soil_moisture_mapper.plugin.core.errors import (
    Cancelled,
    InputError,
    MissingPackageError,
    RasterError,
)
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress
from soil_moisture_mapper.plugin.core.rasters import containers
from soil_moisture_mapper.plugin.core.rasters.easegrid import EASE_GRIDS
from soil_moisture_mapper.plugin.core.rasters.grids import place

h5py = pytest.importorskip("h5py")

SHAPES = {"36km": (406, 964), "9km": (1624, 3856)}
FILL, NO_FLAG = -9999.0, 65534
# Column 500, row 120 of the 36 km grid: around 6.8° E, 23.6° N
ROW, COLUMN = 120, 500
BOX = (6.6, 22.5, 8.0, 24.5)


def write_smap(
    path,
    am=None,
    pm=None,
    *,
    cell="36km",
    shape=None,
    flags=True,
    other=False,
    day="2021-04-01",
):
    """Write a file as NSIDC's SPL3SMP: values and flags by (row, column), else fill.

    `am` and `pm` are dicts (row, column) → (moisture, flag); None = no such group.
    """
    shape = shape or SHAPES[cell]
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        extent = file.create_group("Metadata/Extent")
        extent.attrs["rangeBeginningDateTime"] = f"{day}T00:00:00.000Z"
        for values, half, suffix in ((am, "AM", ""), (pm, "PM", "_pm")):
            if values is None:
                continue
            group = file.create_group(f"Soil_Moisture_Retrieval_Data_{half}")
            moisture = np.full(shape, FILL, dtype="float32")
            quality = np.full(shape, NO_FLAG, dtype="uint16")
            for place_of, (value, flag) in values.items():
                moisture[place_of], quality[place_of] = value, flag
            arrays = {"soil_moisture": moisture, "surface_flag": quality}
            if flags:
                arrays["retrieval_qual_flag"] = quality
            for name, array in arrays.items():
                made = group.create_dataset(
                    name + suffix, data=array, compression="gzip", chunks=True
                )
                made.attrs["_FillValue"] = FILL if name == "soil_moisture" else np.uint16(NO_FLAG)
            if "soil_moisture" in arrays:
                made = group[f"soil_moisture{suffix}"]
                made.attrs["units"] = "cm**3/cm**3"
                made.attrs["valid_min"], made.attrs["valid_max"] = 0.02, 0.5
            times = np.full(shape, b"2021-04-01T06:00:00.000Z")
            group.create_dataset(f"tb_time_utc{suffix}", data=times[:1])
            group.create_dataset(
                f"landcover_class{suffix}", data=np.zeros((*shape[:1], 4, 3), "u1")
            )
        if other:
            for name in ("flag", "age"):
                file.create_dataset(f"Freeze_Thaw/{name}", data=np.zeros(shape, "u1"))
    return path


def name_of(day="20210401", release="R18290_001", enhanced=False):
    return f"SMAP_L3_SM_P_{'E_' if enhanced else ''}{day}_{release}.h5"


def read(path):
    with rasterio.open(path) as dataset:
        values = dataset.read(1, masked=True).astype(float).filled(np.nan)
        return values, dataset.transform, dataset


def value_at(path, lon, lat):
    values, transform, dataset = read(path)
    (x,), (y,) = rasterio.warp.transform("EPSG:4326", dataset.crs, [lon], [lat])
    col, row = place(~transform, x, y)
    return values[int(row), int(col)]


def centre(cell, row, column):
    grid = EASE_GRIDS[cell]
    x, y = grid.west + (column + 0.5) * grid.cell, grid.north - (row + 0.5) * grid.cell
    (lon,), (lat,) = rasterio.warp.transform("EPSG:6933", "EPSG:4326", [x], [y])
    return lon, lat


def test_cells_lie_where_the_definition_says(tmp_path):
    """No extent: the whole grid, each value at its row and column."""
    cells = {(0, 0): (0.1, 0), (405, 963): (0.2, 0), (ROW, COLUMN): (0.3, 0)}
    file = write_smap(tmp_path / name_of(), cells, {})
    (path,) = prepare_coarse_series(file, tmp_path / "out")
    assert path.name == "smap_20210401.tif"
    values, transform, dataset = read(path)
    assert transform.almost_equals(EASE_GRIDS["36km"].grid.transform, 1e-9)
    assert dataset.crs.to_epsg() == 6933
    assert values.shape == (406, 964)
    assert np.isfinite(values).sum() == 3
    for (row, column), (value, _) in cells.items():
        assert value_at(path, *centre("36km", row, column)) == pytest.approx(value, abs=1e-7)
    with rasterio.open(path) as found:
        assert found.descriptions == ("smap",)
        assert found.units == ("m3 m-3",)
        assert found.tags()["TIFFTAG_DATETIME"] == "2021:04:01 00:00:00"
        assert found.nodata == -9999
    assert path.with_suffix(".qml").is_file()


def test_passes_are_averaged_of_what_is_there(tmp_path):
    places = {"both": (ROW, COLUMN), "am": (ROW, COLUMN + 1), "pm": (ROW, COLUMN + 2)}
    file = write_smap(
        tmp_path / name_of(),
        {places["both"]: (0.2, 0), places["am"]: (0.15, 0)},
        {places["both"]: (0.3, 0), places["pm"]: (0.4, 0)},
    )
    expected = {
        "average": {"both": 0.25, "am": 0.15, "pm": 0.4},
        "am": {"both": 0.2, "am": 0.15, "pm": np.nan},
        "pm": {"both": 0.3, "am": np.nan, "pm": 0.4},
    }
    for which, values in expected.items():
        (path,) = prepare_coarse_series(file, tmp_path / which, selection=Selection(which=which))
        found = read(path)[0]
        for name, value in values.items():
            assert found[places[name]] == pytest.approx(value, abs=1e-6, nan_ok=True)
        assert np.isfinite(found).sum() == sum(np.isfinite(v) for v in values.values())


def test_quality_flag(tmp_path):
    """Bit 0 says not recommended; other bits, and odd flags of old releases, do not count."""
    flags = {COLUMN: 0, COLUMN + 1: 8, COLUMN + 2: 1, COLUMN + 3: 9, COLUMN + 4: NO_FLAG}
    cells = {(ROW, column): (0.25, flag) for column, flag in flags.items()}
    file = write_smap(tmp_path / name_of(), cells, {})
    progress = RecordingProgress()
    (path,) = prepare_coarse_series(file, tmp_path / "a", progress=progress)
    kept = np.flatnonzero(np.isfinite(read(path)[0][ROW]))
    assert kept.tolist() == [COLUMN, COLUMN + 1]
    assert any(text.startswith("Quality: 3 of 5 retrievals") for text in progress.messages)
    everything = Selection(quality="all")
    (path,) = prepare_coarse_series(file, tmp_path / "b", selection=everything, progress=progress)
    assert np.isfinite(read(path)[0]).sum() == 5
    assert any("all 5 retrievals" in text for text in progress.messages)


def test_extent_keeps_a_cell_around(tmp_path):
    rows, columns = EASE_GRIDS["36km"].cell_of([BOX[0], BOX[2]], [BOX[3], BOX[1]])
    cells = {
        (row, column): (row / 1000 + column / 10000, 0)
        for row in range(rows[0] - 3, rows[1] + 4)
        for column in range(columns[0] - 3, columns[1] + 4)
    }
    file = write_smap(tmp_path / name_of(), cells, cells)
    (path,) = prepare_coarse_series(file, tmp_path / "o", extent=(BOX, "EPSG:4326"))
    values, transform, _ = read(path)
    grid = EASE_GRIDS["36km"]
    assert values.shape == (rows[1] - rows[0] + 3, columns[1] - columns[0] + 3)
    assert transform.c == pytest.approx(grid.west + (columns[0] - 1) * grid.cell, abs=1e-6)
    assert transform.f == pytest.approx(grid.north - (rows[0] - 1) * grid.cell, abs=1e-6)
    assert values[0, 0] == pytest.approx((rows[0] - 1) / 1000 + (columns[0] - 1) / 10000, abs=1e-6)
    assert values[1, 2] == pytest.approx(rows[0] / 1000 + (columns[0] + 1) / 10000, abs=1e-6)


def test_nine_kilometres(tmp_path):
    row, column = 480, 2000
    cells = {(row, column): (0.21, 0), (row + 1, column): (0.23, 8)}
    file = write_smap(tmp_path / name_of(enhanced=True), cells, {}, cell="9km")
    lon, lat = centre("9km", row, column)
    box = (lon - 0.2, lat - 0.2, lon + 0.2, lat + 0.2)
    (path,) = prepare_coarse_series(file, tmp_path / "o", name="sm9", extent=(box, "EPSG:4326"))
    assert path.name == "sm9_20210401.tif"
    assert read(path)[1].a == EASE_GRIDS["9km"].cell
    assert value_at(path, lon, lat) == pytest.approx(0.21, abs=1e-6)
    assert value_at(path, *centre("9km", row + 1, column)) == pytest.approx(0.23, abs=1e-6)


@pytest.fixture
def month(tmp_path):
    """Four days in folders as NSIDC orders come; one without a value in the box."""
    folder = tmp_path / "Ö order 50%"
    here, far = {(ROW, COLUMN): (0.2, 0)}, {(10, 10): (0.2, 0)}
    write_smap(folder / "1" / name_of("20210403"), {(ROW, COLUMN): (0.3, 0)}, None)
    write_smap(folder / "2" / name_of("20210401"), here, here)
    write_smap(folder / "3" / name_of("20210402"), far, far)
    write_smap(folder / "4" / name_of("20210501"), here, here)
    return folder


def test_folder_of_days(tmp_path, month):
    progress = RecordingProgress()
    lon, lat = centre("36km", ROW, COLUMN)
    box = (lon - 0.5, lat - 0.5, lon + 0.5, lat + 0.5)
    paths = prepare_coarse_series(
        month,
        tmp_path / "o",
        selection=Selection(start=date(2021, 4, 1), end=date(2021, 4, 30)),
        extent=(box, "EPSG:4326"),
        progress=progress,
    )
    assert [path.name for path in paths] == ["smap_20210401.tif", "smap_20210403.tif"]
    assert sorted(path.name for path in (tmp_path / "o").glob("*.tif")) == [p.name for p in paths]
    assert any("1 days have no value in the area" in text for text in progress.messages)
    assert any("2021-04-02" in text for text in progress.messages)
    assert any("1 files hold only the AM pass" in text for text in progress.warnings)
    progress = RecordingProgress()
    prepare_coarse_series(month, tmp_path / "p", selection=Selection(which="pm"), progress=progress)
    assert any("1 files hold no PM pass and are left out" in text for text in progress.warnings)


def test_newest_release_of_a_day_is_taken(tmp_path):
    for release, value in (("R18290_001", 0.1), ("R18290_002", 0.2), ("R17000_009", 0.3)):
        write_smap(tmp_path / name_of(release=release), {(ROW, COLUMN): (value, 0)}, {})
    progress = RecordingProgress()
    (path,) = prepare_coarse_series(tmp_path, tmp_path / "o", progress=progress)
    assert read(path)[0][ROW, COLUMN] == pytest.approx(0.2, abs=1e-6)
    told = [text for text in progress.messages if "newer release" in text]
    assert "R18290_001" in told[0]
    assert "R17000_009" in told[0]


def test_the_same_release_twice_is_refused(tmp_path):
    for folder in "ab":
        write_smap(tmp_path / folder / name_of(), {(ROW, COLUMN): (0.1, 0)}, {})
    with pytest.raises(InputError, match=r"Days occur more than once: 2021-04-01 \(.*a.*, .*b"):
        prepare_coarse_series(tmp_path, tmp_path / "o")


def test_renamed_file_is_dated_by_its_metadata(tmp_path):
    file = write_smap(tmp_path / "download.h5", {(ROW, COLUMN): (0.1, 0)}, {}, day="2019-07-09")
    assert describe_smap(file).day == date(2019, 7, 9)
    assert smap_day(tmp_path / name_of()) == (date(2021, 4, 1), (18290, 1))


def test_two_products_in_a_folder(tmp_path):
    write_smap(tmp_path / name_of(), {(ROW, COLUMN): (0.1, 0)}, {})
    cells = {(4 * ROW, 4 * COLUMN): (0.4, 0)}
    write_smap(tmp_path / name_of(enhanced=True), cells, {}, cell="9km")
    with pytest.raises(InputError, match=r"several products: SMAP at 36km and 9km\. Choose PROD"):
        prepare_coarse_series(tmp_path, tmp_path / "o")
    selection = Selection(product="smap-l3-9km")
    (path,) = prepare_coarse_series(tmp_path, tmp_path / "o", selection=selection)
    assert np.nanmax(read(path)[0]) == pytest.approx(0.4)


@pytest.mark.parametrize("name", ["a'b c.h5", "ä=1;2.h5", "a:b.h5", "a&b<c>.h5", "back\\slash.h5"])
def test_odd_names_are_read(tmp_path, name):
    file = write_smap(tmp_path / name, {(ROW, COLUMN): (0.1, 0)}, {})
    (path,) = prepare_coarse_series(file, tmp_path / "o")
    assert path.name == "smap_20210401.tif"


def test_quotation_mark_is_refused(tmp_path):
    file = write_smap(tmp_path / 'a"://b.h5', {(ROW, COLUMN): (0.1, 0)}, {})
    with pytest.raises(RasterError, match=r"has a quotation mark .* Rename it"):
        prepare_coarse_series(file, tmp_path / "o")


def test_cut_download(tmp_path):
    whole = write_smap(tmp_path / name_of(), {(ROW, COLUMN): (0.1, 0)}, {}).read_bytes()
    (tmp_path / name_of()).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RasterError, match=r"cannot be opened as an HDF5 file .*download it again"):
        prepare_coarse_series(tmp_path, tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_damaged_array(tmp_path):
    """The file opens, but one of its arrays cannot be unpacked."""
    noise = np.random.default_rng(1).random((406, 964))
    cells = {(r, c): (noise[r, c], 0) for r in range(0, 406, 2) for c in range(0, 964, 2)}
    file = write_smap(tmp_path / name_of(), cells, {})
    data = bytearray(file.read_bytes())
    with h5py.File(file) as opened:
        array = opened["Soil_Moisture_Retrieval_Data_AM/soil_moisture"]
        chunk = array.id.get_chunk_info(0)
    data[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\x55" * chunk.size
    file.write_bytes(bytes(data))
    with pytest.raises(RasterError, match=r"cannot be read .* download it again"):
        prepare_coarse_series(file, tmp_path / "o")
    assert not list(tmp_path.glob("o/*.tif"))


@pytest.mark.parametrize("content", [b"", b"<html>please log in</html>"])
def test_what_is_no_hdf5(tmp_path, content):
    (tmp_path / name_of()).write_bytes(content)
    with pytest.raises(RasterError, match=r"is not an HDF5 file.*download may have failed"):
        prepare_coarse_series(tmp_path, tmp_path / "o")


def test_other_hdf5(tmp_path):
    file = write_smap(tmp_path / "SMAP_L3_FT_P_20210401.h5", other=True)
    with pytest.raises(RasterError, match=r"no SMAP level-3 soil moisture file.*Freeze_Thaw"):
        prepare_coarse_series(file, tmp_path / "o")


def test_subset_is_refused(tmp_path):
    file = write_smap(tmp_path / name_of(), {(1, 1): (0.1, 0)}, {}, shape=(40, 60))
    message = r"have 40 × 60 cells: .* which has 406 × 964 \(36km\), 1624 × 3856 \(9km\)"
    with pytest.raises(RasterError, match=message):
        prepare_coarse_series(file, tmp_path / "o")


def test_file_with_one_array(tmp_path):
    with h5py.File(tmp_path / name_of(), "w") as file:
        values = np.full(SHAPES["36km"], 0.25, dtype="float32")
        file.create_dataset("Soil_Moisture_Retrieval_Data_AM/soil_moisture", data=values)
    everything = Selection(quality="all")
    (path,) = prepare_coarse_series(tmp_path, tmp_path / "o", selection=everything)
    np.testing.assert_array_equal(read(path)[0], 0.25)


def test_missing_flag_array(tmp_path):
    file = write_smap(tmp_path / name_of(), {(ROW, COLUMN): (0.1, 0)}, {}, flags=False)
    with pytest.raises(RasterError, match=r"no quality flag .* QUALITY all"):
        prepare_coarse_series(file, tmp_path / "o")
    paths = prepare_coarse_series(file, tmp_path / "o", selection=Selection(quality="all"))
    assert len(paths) == 1


def test_gdal_without_hdf5(tmp_path, monkeypatch):
    class Bare:
        def __enter__(self):
            return self

        def __exit__(self, *details):
            return None

        def drivers(self):
            return {"GTiff": "GeoTIFF"}

    file = write_smap(tmp_path / name_of(), {(ROW, COLUMN): (0.1, 0)}, {})
    monkeypatch.setattr(containers.rasterio, "Env", Bare)
    message = r"rasterio of this QGIS was built without HDF5.*PyPI have it.*pip install"
    with pytest.raises(MissingPackageError, match=message):
        describe_smap(file)


def test_no_value_at_all(tmp_path):
    file = write_smap(tmp_path / name_of(), {}, {})
    with pytest.raises(InputError, match="None of the 1 days has a value in the area"):
        prepare_coarse_series(file, tmp_path / "o")
    assert not list(tmp_path.glob("o/*"))


def test_nothing_is_there(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match=r"holds no raster that can be read here \(.h5"):
        prepare_coarse_series(tmp_path / "in", tmp_path / "o")
    with pytest.raises(InputError, match="does not exist"):
        prepare_coarse_series(tmp_path / "nowhere", tmp_path / "o")
    write_smap(tmp_path / "in" / name_of(), {(ROW, COLUMN): (0.1, 0)}, {})
    late = Selection(start=date(2022, 1, 1))
    with pytest.raises(InputError, match=r"None of the 1 files in .* from 2022-01-01 to the end"):
        prepare_coarse_series(tmp_path / "in", tmp_path / "o", selection=late)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"name": "moisture"}, "NAME 'moisture' is the name of a field"),
        ({"name": "../x"}, "NAME '../x' cannot name"),
        ({"name": "a_20200101"}, "cannot name a covariate"),
        ({"units": "kg"}, "UNITS 'kg' is unknown"),
        ({"selection": Selection(which="noon")}, "PASS 'noon' is unknown"),
        ({"selection": Selection(quality="good")}, "QUALITY 'good' is unknown"),
        ({"selection": Selection(product="smos")}, "product 'smos' is unknown"),
        (
            {"selection": Selection(start=date(2021, 5, 1), end=date(2021, 4, 1))},
            "END 2021-04-01 lies before START 2021-05-01",
        ),
        (
            {"extent": ((0.0, 86.0, 1.0, 87.0), "EPSG:4326")},
            "EXTENT 0, 86, 1, 87 .* lies outside the series",
        ),
    ],
)
def test_wrong_settings(tmp_path, keywords, message):
    file = write_smap(tmp_path / name_of(), {(ROW, COLUMN): (0.1, 0)}, {})
    with pytest.raises(InputError, match=message):
        prepare_coarse_series(file, tmp_path / "o", **keywords)


def test_cancelled_run_leaves_nothing(tmp_path):
    class Stopped(Progress):
        cancelled = True

    file = write_smap(tmp_path / name_of(), {(ROW, COLUMN): (0.1, 0)}, {})
    with pytest.raises(Cancelled):
        prepare_coarse_series(file, tmp_path / "o", progress=Stopped())
    assert not (tmp_path / "o").exists()
