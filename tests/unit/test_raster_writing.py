"""Rasters written whole or not at all, and polygons on a grid."""

from __future__ import annotations

from datetime import date
from xml.dom import minidom

import numpy as np
import pytest
import rasterio
import rasterio.features
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from soil_moisture_mapper.plugin.core.errors import InputError, RasterError
from soil_moisture_mapper.plugin.core.rasters import writing
from soil_moisture_mapper.plugin.core.rasters.grids import Grid, Window
from soil_moisture_mapper.plugin.core.rasters.reading import describe_raster, read_band
from soil_moisture_mapper.plugin.core.rasters.styles import (
    MOISTURE_STYLE,
    continuous_style,
    paletted_style,
)
from soil_moisture_mapper.plugin.core.rasters.writing import (
    RasterWriter,
    atomic_path,
    rasterize_mask,
    write_text,
)

GRID = Grid("EPSG:32632", Affine(10, 0, 500000, 0, -10, 5535000), 300, 270)


def test_what_is_written_is_read_again(tmp_path):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2, *GRID.shape))
    values[0, :5] = np.nan
    values[1, 7, 7] = np.inf
    path = tmp_path / "größe x" / "karte.tif"
    with RasterWriter(path, GRID, ["a", "ä"], day=date(2021, 4, 1), units=["m3 m-3", ""]) as writer:
        for window in GRID.windows(100):
            writer.write(window, values[(slice(None), *window.slices)])
    expected = values.astype(np.float32)
    expected[~np.isfinite(expected)] = np.nan
    info = describe_raster(path)
    assert info.grid.matches(GRID)
    assert [(b.name, b.date, b.nodata, b.units) for b in info.bands] == [
        ("a", date(2021, 4, 1), -9999.0, "m3 m-3"),
        ("ä", date(2021, 4, 1), -9999.0, ""),
    ]
    for band in (1, 2):
        np.testing.assert_array_equal(read_band(path, band), expected[band - 1])
    with rasterio.open(path) as dataset:
        assert dataset.profile["tiled"] and dataset.profile["compress"] == "deflate"
        assert dataset.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "3"
    assert sorted(p.name for p in path.parent.iterdir()) == ["karte.qml", "karte.tif"]


def test_codes_are_bytes(tmp_path):
    codes = np.array([[[0, 1], [10, 255]]], np.uint8)
    grid = GRID.part(Window(0, 0, 2, 2))
    with RasterWriter(tmp_path / "c.tif", grid, ["reason"], dtype="uint8") as writer:
        writer.write(grid.whole, codes)
    with rasterio.open(tmp_path / "c.tif") as dataset:
        assert (dataset.dtypes[0], dataset.nodata) == ("uint8", 255)
        np.testing.assert_array_equal(dataset.read(), codes)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_broken_run_leaves_nothing_and_keeps_the_earlier_file(tmp_path, error):
    path = tmp_path / "a.tif"
    path.write_bytes(b"earlier")
    with pytest.raises(error), RasterWriter(path, GRID, ["a"]) as writer:
        writer.write(Window(0, 0, 2, 2), np.zeros((1, 2, 2)))
        assert len(list(tmp_path.iterdir())) == 2
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
    assert path.read_bytes() == b"earlier"


def test_stale_companions_of_the_earlier_file_go(tmp_path):
    (tmp_path / "a.tif.aux.xml").write_text("old statistics")
    grid = GRID.part(Window(0, 0, 2, 2))
    with RasterWriter(tmp_path / "a.tif", grid, ["a"]) as writer:
        writer.write(grid.whole, np.zeros((1, 2, 2)))
    assert not (tmp_path / "a.tif.aux.xml").exists()


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"'a.png' cannot be written in that format"):
        RasterWriter(tmp_path / "a.png", GRID, ["a"]).__enter__()


def test_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match=r"The folder '.*file' cannot be written"),
        atomic_path(tmp_path / "file" / "a.tif"),
    ):
        pass
    with pytest.raises(InputError, match="is a folder, not a file"), atomic_path(tmp_path):
        pass


def test_file_that_cannot_be_replaced_is_named(tmp_path, monkeypatch):
    def locked(self, target):
        raise PermissionError(13, "in use")

    monkeypatch.setattr(writing.Path, "replace", locked)
    with pytest.raises(RasterError, match=r"a.txt' cannot be replaced \(in use\)"):
        write_text("x", tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_writing_nothing_is_an_error(tmp_path):
    with pytest.raises(RasterError, match="Nothing was written"), atomic_path(tmp_path / "a.txt"):
        pass


def test_text_is_replaced_at_once(tmp_path):
    write_text("alt", tmp_path / "a.txt")
    write_text("größer\n", tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == "größer\n".encode()


POLYGON = {
    "type": "Polygon",
    "coordinates": [[(500005, 5534995), (502995, 5534995), (501500, 5532500), (500005, 5534995)]],
}


def test_mask_holds_the_cells_whose_centre_is_inside():
    """A square whose edges lie a hair inside and outside of cell centres."""
    left, top = 500000, 5535000
    ring = [
        (left + 14.9, top - 15.1),
        (left + 45.1, top - 15.1),
        (left + 45.1, top - 44.9),
        (left + 14.9, top - 44.9),
        (left + 14.9, top - 15.1),
    ]
    inside = rasterize_mask([{"type": "Polygon", "coordinates": [ring]}], GRID)
    expected = np.zeros(GRID.shape, bool)
    expected[2:4, 1:5] = True
    np.testing.assert_array_equal(inside, expected)


@given(st.integers(0, 299), st.integers(0, 269), st.integers(1, 300), st.integers(1, 300))
def test_mask_does_not_depend_on_the_window(col, row, width, height):
    window = Window(col, row, min(width, 300 - col), min(height, 270 - row))
    whole = rasterize_mask([POLYGON], GRID)
    np.testing.assert_array_equal(rasterize_mask([POLYGON], GRID, window), whole[window.slices])


def test_mask_equals_gdal_over_the_whole():
    gdal = rasterio.features.rasterize(
        [(POLYGON, 1)], out_shape=GRID.shape, transform=GRID.transform
    )
    ours = rasterize_mask([POLYGON], GRID)
    assert 0.2 < ours.mean() < 0.6
    np.testing.assert_array_equal(ours, gdal == 1)
    assert not rasterize_mask([], GRID).any()


def test_styles_are_xml_with_the_values_asked_for():
    items = _parse(continuous_style(0.0, 0.5)).getElementsByTagName("item")
    values = [float(item.getAttribute("value")) for item in items]
    assert (values[0], values[-1]) == (0.0, 0.5) and values == sorted(values)
    (entry,) = _parse(paletted_style([(10, 'a <"b"> & c', "#000000")])).getElementsByTagName(
        "paletteEntry"
    )
    assert entry.getAttribute("label") == 'a <"b"> & c'
    (renderer,) = _parse(MOISTURE_STYLE.read_text()).getElementsByTagName("rasterrenderer")
    assert renderer.getAttribute("band") == "1"


def test_steps_of_moisture_differ_to_the_eye():
    """A field of 0.25 to 0.35 has to show its pattern in a scale that all maps share."""
    items = _parse(MOISTURE_STYLE.read_text()).getElementsByTagName("item")
    assert [float(item.getAttribute("value")) for item in items] == [i / 20 for i in range(11)]
    texts = [item.getAttribute("color")[1:] for item in items]
    colours = np.array([[int(t[i : i + 2], 16) for i in (0, 2, 4)] for t in texts], float)
    assert np.linalg.norm(np.diff(colours, axis=0), axis=1).min() > 40
    light = colours @ [0.2126, 0.7152, 0.0722]
    assert light.argmax() == 5 and (np.diff(light[:6]) > 0).all() and (np.diff(light[5:]) < 0).all()


def _parse(style):
    return minidom.parseString(style.encode())  # noqa: S318
