"""How radar images of many sources are recognised: bands, days, orbits, passes."""

from __future__ import annotations

import struct
from datetime import date

import numpy as np
import pytest
import rasterio
from affine import Affine
from raster_files import write_raster
from soil_moisture_mapper.plugin.core.covariates.radar.backscatter_bands import (
    Label,
    match_bands,
    parse_bands,
)
from soil_moisture_mapper.plugin.core.covariates.radar.backscatter_metadata import (
    orbit_in_name,
    orbit_in_tags,
    read_snap_header,
    start_in_name,
)
from soil_moisture_mapper.plugin.core.covariates.radar.backscatter_passes import find_passes
from soil_moisture_mapper.plugin.core.covariates.table import RasterInput
from soil_moisture_mapper.plugin.core.errors import InputError, RasterError
from soil_moisture_mapper.plugin.core.progress import RecordingProgress

DEFAULT = {"VV": "VV", "VH": "VH", "angle": "angle"}
GEE = "S1A_IW_GRDH_1SDV_20210401T{}_20210401T055341_037258_046358_ABCD"


def image(path, names=("VV",), *, x=500000.0, crs="EPSG:32632", size=6, tags=None, step=(10, -10)):
    values = np.full((len(names), size, size), -12.0, dtype=np.float32)
    transform = Affine(step[0], 0, x, 0, step[1], 5600000)
    place = {"crs": crs, "transform": transform, "nodata": np.nan}
    return RasterInput(str(write_raster(path, values, names=names, tags=tags, **place)))


def passes(*inputs, wanted=None, decibels=True, progress=None):
    progress = progress or RecordingProgress()
    return find_passes(inputs, wanted or DEFAULT, decibels=decibels, progress=progress)


def roles(one):
    return [(band.role, band.path.name, band.band) for band in one.bands]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("VV;VH;angle", DEFAULT),
        ("VH", {"VH": "VH"}),
        ("angle;VV", {"VV": "VV", "angle": "angle"}),
        ("Sigma0_VV_db; Sigma0_VH_db", {"VV": "Sigma0_VV_db", "VH": "Sigma0_VH_db"}),
        ("vh=b2;VV=b1", {"VV": "b1", "VH": "b2"}),
        ("a;;b", {"VV": "a", "angle": "b"}),
    ],
)
def test_names_of_bands_are_read(text, expected):
    assert parse_bands(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names neither VV nor VH"),
        ("angle", "names neither"),
        ("HH=x;VV=y", "'HH=x' is not the name"),
        ("VV=", "'VV=' is not the name"),
        ("VV=a;VV=b", "VV twice: 'a' and 'b'"),
        ("a;b;c;d", "'d' is not the name"),
    ],
)
def test_names_that_make_no_sense_are_errors(text, message):
    with pytest.raises(InputError, match=message):
        parse_bands(text)


@pytest.mark.parametrize(
    ("names", "decibels", "expected"),
    [
        (["VV", "VH", "angle"], True, {"VV": 1, "VH": 2, "angle": 3}),
        (["angle", "VH", "VV"], True, {"VV": 3, "VH": 2, "angle": 1}),
        (["vv", "vh"], True, {"VV": 1, "VH": 2}),
        (
            ["Sigma0_VH_db", "Sigma0_VV_db", "localIncidenceAngle"],
            True,
            {"VV": 2, "VH": 1, "angle": 3},
        ),
        # both units in one product, ratios, and two angles
        (["Sigma0_VV", "Sigma0_VV_db"], True, {"VV": 2}),
        (["Sigma0_VV", "Sigma0_VV_db"], False, {"VV": 1}),
        (["VV", "VH", "VV_VH_ratio"], True, {"VV": 1, "VH": 2}),
        (["VV", "localIncidenceAngle", "incidenceAngleFromEllipsoid"], True, {"VV": 1, "angle": 3}),
        (["VV", "local_incidence_angle", "incidence_angle"], True, {"VV": 1, "angle": 3}),
        (["1SDV", "HV", "HH"], True, {}),
    ],
)
def test_bands_are_matched_by_name(names, decibels, expected):
    labels = [Label(index, name) for index, name in enumerate(names, start=1)]
    found = match_bands(labels, DEFAULT, decibels=decibels, where="a.tif")
    assert {role: match.index for role, match in found.items()} == expected


def test_two_bands_that_fit_are_an_error():
    labels = [Label(1, "Sigma0_VV"), Label(2, "Gamma0_VV")]
    message = "Several bands of 'a.tif' may be VV: 'Sigma0_VV', 'Gamma0_VV'. Name .*VV=Sigma0_VV"
    with pytest.raises(InputError, match=message):
        match_bands(labels, DEFAULT, decibels=False, where="a.tif")
    found = match_bands(labels, {"VV": "gamma0_vv"}, decibels=False, where="a.tif")
    assert found["VV"].index == 2


@pytest.mark.parametrize(
    ("name", "orbit"),
    [
        ("S1A__IW___A_20150309T173017_VV_gamma0-rtc", "asc"),
        ("S1B__IW___D_20150309T053017_VV", "desc"),
        ("s1a_33NWB_vv_DES_007_20200108txxxxxx", "desc"),
        ("s1_asc_20210401", "asc"),
        ("S1_20210401_DESCENDING", "desc"),
        ("S1A_IW_GRDH_1SDV_20210401T055316_ABCD", ""),
        ("S1A_IW_20210401T055316_DVP_RTC30_G_gpuned_A1D2_VV", ""),
        ("asc_desc_20210401", ""),
        ("cascade_description", ""),
    ],
)
def test_orbits_in_names(name, orbit):
    assert orbit_in_name(name) == orbit


@pytest.mark.parametrize(
    ("tags", "orbit"),
    [
        ({"orbitProperties_pass": "ASCENDING"}, "asc"),
        ({"ORBIT_PASS_DIRECTION": "descending"}, "desc"),
        ({"sat:orbit_state": "ascending"}, "asc"),
        ({"ORBIT_DIRECTION": "DES"}, "desc"),
        ({"PASS": "A"}, "asc"),
        ({"flightDirection": "Descending"}, "desc"),
        ({"COMPASS": "A", "AREA_OR_POINT": "Area"}, ""),
        ({"ORBIT_PASS": "unknown"}, ""),
    ],
)
def test_orbits_in_tags(tags, orbit):
    assert orbit_in_tags(tags) == orbit


def test_starts_in_names():
    assert start_in_name(GEE.format("055316")) == 5 * 3600 + 53 * 60 + 16
    assert start_in_name("s1a-iw-grd-vv-20210401t055316-001") == 21196
    assert start_in_name("s1_20210401") is None
    assert start_in_name("x_20210401T997716") is None


def test_earth_engine_image(tmp_path):
    item = image(tmp_path / f"{GEE.format('055316')}.tif", ("angle", "VH", "VV"))
    (one,) = passes(item)
    name = item.path.rsplit("/")[-1]
    assert (one.day, one.orbit, one.file) == (date(2021, 4, 1), "", "s1_20210401.tif")
    assert roles(one) == [("VV", name, 3), ("VH", name, 2), ("angle", name, 1)]


def test_stack_of_days_in_one_file(tmp_path):
    """What toBands() of an Earth Engine collection gives."""
    days = ("20210401", "20210413")
    names = [f"S1A_IW_GRDH_1SDV_{day}T055316_ABCD_{band}" for day in days for band in ("VV", "VH")]
    found = passes(image(tmp_path / "stack.tif", names))
    assert [one.file for one in found] == ["s1_20210401.tif", "s1_20210413.tif"]
    assert [band.band for one in found for band in one.bands] == [1, 2, 3, 4]


def test_bands_named_by_day_take_the_role_of_the_file(tmp_path):
    found = passes(image(tmp_path / "VH.tif", ("2021-04-01", "2021-04-13")))
    assert [(one.day.day, one.bands[0].role, one.bands[0].band) for one in found] == [
        (1, "VH", 1),
        (13, "VH", 2),
    ]


def test_files_of_one_band_are_joined(tmp_path):
    """ASF HyP3: power by polarisation, and both angles, of which the ellipsoidal is taken."""
    stem = "S1A_IW_20210401T055316_DVP_RTC30_G_gpuned_1A2B"
    names = ("VV", "VH", "inc_map", "inc_map_ell", "ls_map", "dem")
    progress = RecordingProgress()
    items = [image(tmp_path / f"{stem}_{name}.tif", (None,)) for name in names]
    (one,) = passes(*items, progress=progress, decibels=False)
    assert roles(one) == [
        ("VV", f"{stem}_VV.tif", 1),
        ("VH", f"{stem}_VH.tif", 1),
        ("angle", f"{stem}_inc_map_ell.tif", 1),
    ]
    (warning,) = progress.warnings
    assert "left out" in warning
    assert "_dem.tif" in warning
    assert "_ls_map.tif" in warning
    assert "_inc_map.tif" not in warning


def test_folder_tells_the_day_where_nothing_else_does(tmp_path):
    """Planetary Computer and SNAP's own format call every image alike."""
    folder = tmp_path / f"{GEE.format('055316')}_rtc" / "measurement"
    progress = RecordingProgress()
    items = [image(folder / f"iw-{name}.rtc.tiff", (None,)) for name in ("vv", "vh")]
    (one,) = passes(*items, progress=progress)
    assert one.day == date(2021, 4, 1)
    assert [band.role for band in one.bands] == ["VV", "VH"]
    assert one.bands[0].start == 21196
    assert any("is dated by its folder" in text for text in progress.messages)


def snap_tiff(path, names, passed="DESCENDING", big=False, order="<"):
    """Write a GeoTIFF as SNAP does: bands without descriptions, a header in a private tag."""
    item = image(path, (None,) * len(names))
    infos = "".join(
        f"<Spectral_Band_Info><BAND_INDEX>{index}</BAND_INDEX><BAND_DESCRIPTION/>"
        f"<BAND_NAME>{name}</BAND_NAME></Spectral_Band_Info>"
        for index, name in enumerate(names)
    )
    xml = (
        "<?xml version='1.0'?><Dimap_Document name='a.dim'>"
        f'<MDATTR name="PASS" type="ascii" mode="rw">{passed}</MDATTR>{infos}</Dimap_Document>\0'
    ).encode()
    data = bytearray(path.read_bytes())
    assert data[:4] == b"II*\0"
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    entries = data[first + 2 : first + 2 + 12 * count]
    after = bytes(data[first + 2 + 12 * count : first + 6 + 12 * count])
    place = len(data)
    data += xml + b"\0" * (len(xml) % 2)
    struct.pack_into("<I", data, 4, len(data))
    data += struct.pack("<H", count + 1) + entries
    data += struct.pack("<HHII", 65000, 2, len(xml), place) + after
    path.write_bytes(data)
    return item


def test_snap_names_bands_and_orbit_in_its_header(tmp_path):
    item = snap_tiff(tmp_path / "S1A_20210401_TC.tif", ["Sigma0_VH_db", "Sigma0_VV_db"])
    with rasterio.open(item.path) as dataset:  # a sound file, whose bands have no names
        assert dataset.descriptions == (None, None)
        assert dataset.read().shape == (2, 6, 6)
    (one,) = passes(item)
    assert one.file == "s1_desc_20210401.tif"
    assert [(band.role, band.band) for band in one.bands] == [("VV", 2), ("VH", 1)]


def test_snap_header_of_one_band(tmp_path):
    item = snap_tiff(tmp_path / "20210401_TC.tif", ["Gamma0_VH"], "ASCENDING")
    (one,) = passes(item, decibels=False)
    assert [band.role for band in one.bands] == ["VH"]
    assert one.orbit == "asc"


def test_files_without_snap_header(tmp_path):
    item = image(tmp_path / "VV_20210401.tif")
    assert read_snap_header(tmp_path / "VV_20210401.tif") is None
    (tmp_path / "cut.tif").write_bytes(b"II*\0\xff\xff\0\0")
    (tmp_path / "text.tif").write_bytes(b"no TIFF at all")
    assert read_snap_header(tmp_path / "cut.tif") is None
    assert read_snap_header(tmp_path / "text.tif") is None
    with (
        rasterio.open(item.path) as dataset,
        rasterio.open(tmp_path / "big.tif", "w", **{**dataset.profile, "bigtiff": "YES"}),
    ):
        pass
    assert (tmp_path / "big.tif").read_bytes()[2] == 43
    assert read_snap_header(tmp_path / "big.tif") is None


def test_several_nameless_bands_are_an_error(tmp_path):
    with pytest.raises(RasterError, match="have no name"):
        passes(image(tmp_path / "S1_20210401.tif", (None, None)))


def test_orbits_of_a_day_make_two_rasters(tmp_path):
    found = passes(
        image(tmp_path / "b_20210401.tif", tags={"orbitProperties_pass": "DESCENDING"}),
        image(tmp_path / "a_20210401.tif", tags={"orbitProperties_pass": "ASCENDING"}),
        image(tmp_path / "S1_ASC_20210320.tif"),
    )
    assert [one.file for one in found] == [
        "s1_asc_20210320.tif",
        "s1_asc_20210401.tif",
        "s1_desc_20210401.tif",
    ]


def test_angle_without_orbit_goes_with_the_image_of_its_day(tmp_path):
    (one,) = passes(
        image(tmp_path / "VV_20210401.tif", tags={"PASS": "ASCENDING"}),
        image(tmp_path / "angle_20210401.tif", (None,)),
    )
    assert one.file == "s1_asc_20210401.tif"
    assert [band.role for band in one.bands] == ["VV", "angle"]


def test_angle_that_may_belong_to_two_passes_is_left_out(tmp_path):
    progress = RecordingProgress()
    found = passes(
        image(tmp_path / "VV_asc_20210401.tif"),
        image(tmp_path / "VV_desc_20210401.tif"),
        image(tmp_path / "angle_20210401.tif", (None,)),
        progress=progress,
    )
    assert [one.file for one in found] == ["s1_asc_20210401.tif", "s1_desc_20210401.tif"]
    assert any("no image goes with the angle in angle_20210401.tif" in t for t in progress.warnings)


def test_slices_of_a_pass_are_one(tmp_path):
    """Both exported over the same area, as Earth Engine does; the names tell the start."""
    (one,) = passes(
        image(tmp_path / f"{GEE.format('055316')}.tif"),
        image(tmp_path / f"{GEE.format('055341')}.tif"),
    )
    assert len(one.bands) == 2


def test_tiles_of_an_image_are_one(tmp_path):
    (one,) = passes(
        image(tmp_path / f"{GEE.format('055316')}-0000000000-0000000000.tif"),
        image(tmp_path / f"{GEE.format('055316')}-0000000000-0000006912.tif", x=500060.0),
    )
    assert len(one.bands) == 2


def test_two_passes_of_a_day_without_orbit_are_an_error(tmp_path):
    message = "Images of 2021-04-01 are of two passes.*_ASC_, _DESC_"
    with pytest.raises(InputError, match=message):
        passes(
            image(tmp_path / f"{GEE.format('055316')}.tif"),
            image(tmp_path / f"{GEE.format('170516')}.tif"),
        )


def test_two_passes_of_one_orbit_are_joined_with_a_warning(tmp_path):
    progress = RecordingProgress()
    (one,) = passes(
        image(tmp_path / f"{GEE.format('055316')}.tif", tags={"PASS": "DESCENDING"}),
        image(tmp_path / f"{GEE.format('073116')}.tif", tags={"PASS": "DESCENDING"}),
        progress=progress,
    )
    assert len(one.bands) == 2
    assert any("Two descending passes on 2021-04-01" in text for text in progress.warnings)


def test_passes_of_both_orbits_on_other_days_are_told(tmp_path):
    progress = RecordingProgress()
    evening = image(tmp_path / "S1A_IW_GRDH_1SDV_20210406T170516_ABCD.tif")
    morning = image(tmp_path / f"{GEE.format('055316')}.tif")
    found = passes(evening, morning, wanted={"VV": "VV"}, progress=progress)
    assert [one.file for one in found] == ["s1_20210401.tif", "s1_20210406.tif"]
    (warning,) = progress.warnings
    assert "seem to be of an ascending and a descending pass" in warning
    night = [
        image(tmp_path / f"S1A_IW_GRDH_1SDV_{moment}_ABCD.tif")
        for moment in ("20210506T235516", "20210513T000316")
    ]
    progress = RecordingProgress()
    passes(*night, wanted={"VV": "VV"}, progress=progress)
    assert progress.warnings == []


def test_amplitude_is_refused(tmp_path):
    name = "S1A_IW_20210401T055316_DVP_RTC30_G_gauned_1A2B_VV.tif"
    with pytest.raises(InputError, match=f"hold amplitude, as their names say: {name}"):
        passes(image(tmp_path / name, (None,)), decibels=False)


def test_a_place_shown_twice_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"'a_20210401.tif' and 'b_20210401.tif' both show VV"):
        passes(image(tmp_path / "a_20210401.tif"), image(tmp_path / "b_20210401.tif"))


def test_an_image_given_twice_is_used_once(tmp_path):
    item = image(tmp_path / "a_20210401.tif")
    progress = RecordingProgress()
    (one,) = passes(item, item, progress=progress)
    assert len(one.bands) == 1
    assert any("given twice" in text for text in progress.messages)


def test_missing_bands_are_told(tmp_path):
    progress = RecordingProgress()
    found = passes(
        image(tmp_path / "a_20210401.tif", ("VV", "VH")),
        image(tmp_path / "a_20210413.tif", ("VV",)),
        progress=progress,
    )
    assert [len(one.bands) for one in found] == [2, 1]
    assert progress.warnings == [
        "No image has a band 'angle': the series has no angle.",
        "VH is missing on 1 dates: 2021-04-13.",
    ]


def test_images_without_backscatter_are_an_error(tmp_path):
    message = r"called VV, VH, angle: 'a_20210401.tif' \(HH, HV\). Say in BANDS"
    with pytest.raises(InputError, match=message):
        passes(image(tmp_path / "a_20210401.tif", ("HH", "HV")))
    with pytest.raises(InputError, match="only the angle is there"):
        passes(image(tmp_path / "angle_20210401.tif", (None,)))
    with pytest.raises(InputError, match="No image is given"):
        passes()


def test_images_without_date_are_listed(tmp_path):
    items = [image(tmp_path / name) for name in ("b.tif", "a.tif", "VV_20210401.tif")]
    with pytest.raises(InputError, match=r"date of 2 images cannot be told: a\.tif; b\.tif"):
        passes(*items)
    dated = RasterInput(items[0].path, date(2021, 4, 2))
    assert passes(dated)[0].day == date(2021, 4, 2)


def test_two_systems_are_an_error_with_both_names(tmp_path):
    message = "'a_20210401.tif' has EPSG:32632, 'b_20210402.tif' has EPSG:32633"
    with pytest.raises(RasterError, match=message):
        passes(
            image(tmp_path / "a_20210401.tif"), image(tmp_path / "b_20210402.tif", crs="EPSG:32633")
        )


def test_images_that_are_not_north_up_are_refused(tmp_path):
    with pytest.raises(RasterError, match=r"'a_20210401.tif' do not run from west to east"):
        passes(image(tmp_path / "a_20210401.tif", step=(10, 10)))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_images_with_control_points_alone_are_refused(tmp_path):
    path = tmp_path / "s1a-iw-grd-vv-20210401t055316-20210401t055341-001.tiff"
    points = [rasterio.control.GroundControlPoint(r, c, c, -r) for r in (0, 5) for c in (0, 5)]
    profile = {"driver": "GTiff", "width": 6, "height": 6, "count": 1, "dtype": "uint16"}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.gcps = (points, rasterio.crs.CRS.from_epsg(4326))
    with pytest.raises(RasterError, match=r"is not geocoded.*Range-Doppler"):
        passes(RasterInput(str(path)))
