"""Gap filling against loops over its definition."""

from __future__ import annotations

import gc
import tracemalloc
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from raster_files import write_raster
from soil_moisture_mapper.plugin.core.covariates.table import RasterInput
from soil_moisture_mapper.plugin.core.covariates.timeseries import gaps, series_files
from soil_moisture_mapper.plugin.core.covariates.timeseries.gaps import (
    file_name,
    fill_day,
    fill_gaps,
)
from soil_moisture_mapper.plugin.core.covariates.timeseries.series import direction_of
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError, RasterError
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress

FIRST = date(2021, 4, 1)
SHAPE = (5, 7)
UTM = "EPSG:32632"


def day(number):
    return FIRST + timedelta(days=number)


def write(path, bands, names=(), *, nodata=-9999.0, crs=UTM, dtype="float32", **more):
    more.update(names=names, crs=crs, dtype=dtype, nodata=nodata)
    return RasterInput(str(write_raster(path, bands, **more)))


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1, masked=True).filled(np.nan).astype(np.float64)


def flags_of(path):
    with rasterio.open(path.parent / "flags" / path.name) as dataset:
        assert dataset.nodata == 255
        assert dataset.dtypes == ("uint8",)
        return dataset.read(1)


def expected_of(stack, days, window, method, last=None):
    """Loop over days and cells: {day: (values, flags)} from {day: array}."""
    last = max(stack) if last is None else last
    out = {}
    for one in days:
        values = np.full(SHAPE, np.nan)
        flags = np.full(SHAPE, 255, np.uint8)
        for cell in np.ndindex(SHAPE):
            known = {d: a[cell] for d, a in stack.items() if not np.isnan(a[cell])}
            if one in known:
                values[cell], flags[cell] = known[one], 0
                continue
            if method == "mean":
                near = {d: v for d, v in known.items() if abs((d - one).days) <= window}
                if near:
                    values[cell] = sum(near.values()) / len(near)
                    before, after = min(near) < one, max(near) > one
                    flags[cell] = 2 if before and after else 1 if before else 3
                    if one + timedelta(days=window) > last:
                        flags[cell] = 4
            else:
                old = [d for d in known if 0 < (one - d).days <= window]
                if old:
                    values[cell], flags[cell] = known[max(old)], 1
        out[one] = values, flags
    return out


@pytest.fixture(scope="module")
def smap(tmp_path_factory):
    """Ten days with gaps in days and in cells; float32 values, exact in float64."""
    folder = tmp_path_factory.mktemp("smap ä")
    rng = np.random.default_rng(8)
    stack = {}
    for number in (0, 1, 3, 4, 9, 14, 15, 16, 25, 27):
        values = rng.uniform(0.05, 0.45, SHAPE).astype(np.float32).astype(np.float64)
        values[rng.random(SHAPE) < 0.35] = np.nan
        stack[day(number)] = values
    inputs = [write(folder / f"smap_{d:%Y%m%d}.tif", v[None]) for d, v in stack.items()]
    return inputs, stack


@pytest.mark.parametrize("method", ["mean", "carry-forward"])
@pytest.mark.parametrize("window", [0, 1, 3, 8])
def test_equals_a_loop_over_the_definition(tmp_path, smap, method, window):
    inputs, stack = smap
    progress = RecordingProgress()
    paths = fill_gaps(inputs[::-1], tmp_path / "o", window=window, method=method, progress=progress)
    days = [day(n) for n in range(28)]
    expected = expected_of(stack, days, window, method)
    some = [d for d in days if not np.isnan(expected[d][0]).all()]
    assert paths == [tmp_path / "o" / f"smap_{d:%Y%m%d}.tif" for d in some]
    for one, path in zip(some, paths):
        np.testing.assert_allclose(read(path), expected[one][0], rtol=1e-7)
        np.testing.assert_array_equal(flags_of(path), expected[one][1])
    empty = len(days) - len(some)
    assert empty > 0 or window == 8
    said = f"smap: {len(some)} rasters, one a day, from 10"
    said += f"; {empty} more days have no value, and so no raster." if empty else "."
    assert said in progress.messages


@pytest.mark.parametrize("method", ["mean", "carry-forward"])
def test_batches_blocks_and_open_files_change_nothing(tmp_path, smap, monkeypatch, method):
    inputs, _ = smap
    whole = fill_gaps(inputs, tmp_path / "a", method=method)
    monkeypatch.setattr(gaps, "DAYS_AT_ONCE", 4)
    monkeypatch.setattr(gaps, "blocks_of", lambda grid, cells: grid.windows(3))
    monkeypatch.setattr(series_files, "OPEN_FILES", 2)
    parts = fill_gaps(inputs, tmp_path / "b", method=method)
    assert [p.name for p in whole] == [p.name for p in parts]
    for one, other in zip(whole, parts):
        np.testing.assert_array_equal(read(one), read(other))
        np.testing.assert_array_equal(flags_of(one), flags_of(other))
        assert one.with_suffix(".qml").read_text() == other.with_suffix(".qml").read_text()


def test_start_and_end_use_rasters_outside(tmp_path, smap):
    inputs, stack = smap
    days = [day(n) for n in range(5, 14)]
    expected = expected_of(stack, days, 3, "mean")
    paths = fill_gaps(inputs, tmp_path, start=days[0], end=days[-1])
    assert paths[0].name == "smap_20210406.tif"
    for path, one in zip(paths, [d for d in days if not np.isnan(expected[d][0]).all()]):
        np.testing.assert_allclose(read(path), expected[one][0], rtol=1e-7)
        np.testing.assert_array_equal(flags_of(path), expected[one][1])


def test_days_behind_the_last_raster_are_flagged(tmp_path, smap):
    """The last raster is of day 27: from day 25 on the window of 3 days is not whole."""
    paths = fill_gaps(smap[0], tmp_path, start=day(22), end=day(40))
    codes = {path.name: set(np.unique(flags_of(path))) - {255} for path in paths}
    assert max(codes) == file_name("smap", day(30))
    for number in range(22, 31):
        found = codes[file_name("smap", day(number))]
        assert found <= ({0, 1, 2, 3} if number <= 24 else {0, 4})
    assert 4 in codes[file_name("smap", day(30))]


CELL = st.one_of(st.just(float("nan")), st.floats(-1e3, 1e3, width=32))
STACK = st.dictionaries(
    st.integers(0, 12), st.lists(CELL, min_size=4, max_size=4), min_size=1, max_size=8
)


@given(STACK, st.integers(0, 12), st.integers(0, 5), st.sampled_from(["mean", "carry-forward"]))
def test_observed_stay_and_filled_lie_within_their_window(stack, number, window, method):
    inside = [
        (day(d), np.array([v]))
        for d, v in sorted(stack.items())
        if number - window <= d <= number + (window if method == "mean" else 0)
    ]
    if not inside:
        return
    values, flags = fill_day(inside, day(number), method=method, last=day(12), window=window)
    own = np.array([stack.get(number, [np.nan] * 4)])
    seen = ~np.isnan(own)
    np.testing.assert_array_equal(values[seen], own[seen])
    np.testing.assert_array_equal(flags == 0, seen)
    near = np.array([v[0] for _, v in inside])
    there = ~np.isnan(near).all(axis=0)
    np.testing.assert_array_equal(~np.isnan(values[0]), there)
    np.testing.assert_array_equal(flags[0] == 255, ~there)
    slack = 1e-9 * (1 + np.abs(np.nan_to_num(near)).max())
    low, high = np.nanmin(near[:, there], axis=0), np.nanmax(near[:, there], axis=0)
    assert (values[0][there] >= low - slack).all()
    assert (values[0][there] <= high + slack).all()


@given(STACK, st.integers(0, 12), st.integers(0, 4))
def test_nothing_beyond_the_window_matters(stack, number, window):
    """Other values outside the window leave a day as it is."""
    rasters = {d: np.array([v]) for d, v in stack.items()}
    shifted = {d: v + (1e6 if abs(d - number) > window else 0) for d, v in rasters.items()}

    def run(some):
        job = [(day(d), v) for d, v in sorted(some.items()) if abs(d - number) <= window]
        return fill_day(job, day(number), window=window)[0] if job else None

    first, second = run(rasters), run(shifted)
    if first is not None:
        np.testing.assert_array_equal(first, second)


def test_outputs_are_covariates_of_the_house(tmp_path):
    """float32 with −9999, name, unit, day; one legend for all days; flags with theirs."""
    inputs = [
        write(
            tmp_path / "in" / f"x_{day(n):%Y%m%d}.tif",
            np.full((1, 2, 2), v),
            ["smap"],
            units=("m3 m-3",),
        )
        for n, v in ((0, 0.1), (2, 0.3))
    ]
    paths = fill_gaps(inputs, tmp_path / "o")
    assert [p.name for p in paths] == [f"smap_2021040{n}.tif" for n in (1, 2, 3)]
    with rasterio.open(paths[1]) as dataset:
        assert dataset.dtypes == ("float32",)
        assert dataset.nodata == -9999
        assert dataset.descriptions == ("smap",)
        assert dataset.units == ("m3 m-3",)
        assert dataset.tags()["TIFFTAG_DATETIME"] == "2021:04:02 00:00:00"
        np.testing.assert_allclose(dataset.read(), 0.2, rtol=1e-6)
    styles = {p.with_suffix(".qml").read_text() for p in paths}
    assert len(styles) == 1
    assert 'classificationMin="0.1' in styles.pop()
    legend = (tmp_path / "o" / "flags" / "smap_20210402.qml").read_text()
    assert 'value="4" label="Filled on one of the last days"' in legend
    assert sorted(p.name for p in (tmp_path / "o").iterdir() if p.suffix == "") == ["flags"]


def test_every_band_is_a_series_of_its_own(tmp_path):
    """VV and VH of one file, in either order; on day 2 only VV."""
    write_day = lambda n, names, values: write(  # noqa: E731
        tmp_path / f"s1_{day(n):%Y%m%d}.tif",
        np.stack([np.full((2, 2), v) for v in values]),
        names,
    )
    inputs = [write_day(0, ["VV", "VH"], [-10, -20]), write_day(4, ["VH", "VV"], [-22, -12])]
    paths = fill_gaps(inputs, tmp_path / "o", window=2)
    names = [p.name for p in paths]
    assert names[:4] == [f"{b}_2021040{n}.tif" for n in (1, 2) for b in ("VV", "VH")]
    middle = {p.name: read(p)[0, 0] for p in paths if p.name.endswith("03.tif")}
    assert middle == {"VV_20210403.tif": -11.0, "VH_20210403.tif": -21.0}


def test_integer_rasters_with_scale_and_undeclared_marks(tmp_path):
    """int16 × 0.0001 with −9999 that nobody declared: never a number, and told."""
    inputs = []
    for n, values in ((0, [2000, -9999]), (2, [4000, -9999]), (3, [-9999, 6000])):
        path = tmp_path / f"ndvi_{day(n):%Y%m%d}.tif"
        inputs.append(
            write(
                path,
                np.array([[values]]),
                nodata=None,
                dtype="int16",
                scales=(0.0001,),
                offsets=(0.1,),
            )
        )
    progress = RecordingProgress()
    paths = fill_gaps(inputs, tmp_path / "o", window=1, progress=progress)
    found = {p.stem[-1]: read(p)[0].tolist() for p in paths}
    assert found["1"] == pytest.approx([0.3, np.nan], nan_ok=True)
    assert found["2"] == pytest.approx([0.4, np.nan], nan_ok=True)
    assert found["3"] == pytest.approx([0.5, 0.7], nan_ok=True)
    assert found["4"] == pytest.approx([0.5, 0.7], nan_ok=True)
    told = [text for text in progress.warnings if "-9999" in text]
    assert len(told) == 3
    assert "holds 1 × -9999: counted as missing" in told[0]
    assert "holds 2" not in "".join(told), "each cell is read once"


def test_long_list_of_undeclared_marks_is_cut(tmp_path):
    inputs = [
        write(tmp_path / f"x_{day(n):%Y%m%d}.tif", np.array([[[1.0, -9999.0]]]), nodata=None)
        for n in range(8)
    ]
    progress = RecordingProgress()
    fill_gaps(inputs, tmp_path / "o", progress=progress)
    assert sum("counted as missing" in text for text in progress.warnings) == 3
    assert any(text.startswith("So do 5 more bands") for text in progress.warnings)


def test_composites_further_apart_than_the_window(tmp_path):
    inputs = [
        write(tmp_path / f"lst_{day(8 * n):%Y%m%d}.tif", np.full((1, 1, 1), 290.0 + n))
        for n in range(4)
    ]
    progress = RecordingProgress()
    paths = fill_gaps(inputs, tmp_path / "a", method="carry-forward", progress=progress)
    assert len(paths) == 4 + 3 * 3
    assert any("8 days apart" in text and "give 7 or more" in text for text in progress.warnings)
    progress = RecordingProgress()
    paths = fill_gaps(
        inputs,
        tmp_path / "b",
        method="carry-forward",
        window=7,
        end=day(31),
        progress=progress,
    )
    assert len(paths) == 32
    assert read(paths[31])[0, 0] == 293.0
    assert read(paths[15])[0, 0] == 291.0
    assert progress.warnings == []
    assert set(np.unique(np.stack([flags_of(p) for p in paths]))) == {0, 1}


def test_real_series_of_dates_as_bands(tmp_path, shared_data):
    """Twelve MODIS composites in one file: observed days stay, days between are their mean."""
    path = shared_data / "rasters" / "modis_mod13q1_ndvi_sinop_series.tif"
    with rasterio.open(path) as dataset:
        stack = dataset.read().astype(np.float64)
        days = [date.fromisoformat(text) for text in dataset.descriptions]
        transform = dataset.transform
    paths = fill_gaps([RasterInput(str(path))], tmp_path, window=16, end=date(2013, 12, 1))
    name = "modis_mod13q1_ndvi_sinop_series"
    assert paths[0].name == f"{name}_20130914.tif"
    found = {p.stem[-8:]: p for p in paths}
    assert len(found) == 79
    with rasterio.open(paths[5]) as dataset:
        assert dataset.transform == transform
        assert dataset.crs.to_dict()["proj"] == "sinu"
    np.testing.assert_array_equal(read(found["20131016"]), stack[1])
    np.testing.assert_allclose(read(found["20130930"]), (stack[0] + stack[1]) / 2, rtol=1e-6)
    np.testing.assert_array_equal(read(found["20131001"]), stack[1])
    assert [(days[1] - days[0]).days, (date(2013, 9, 30) - days[0]).days] == [32, 16]
    assert (flags_of(found["20130930"]) == 2).all()
    assert (flags_of(found["20131001"]) == 3).all()


def two(tmp_path, names=("a_20210401.tif", "a_20210403.tif"), **second):
    return [
        write(tmp_path / names[0], np.ones((1, 3, 3))),
        write(tmp_path / names[1], np.ones((1, 3, 3)), **second),
    ]


@pytest.mark.parametrize("second", [{"cell": 20.0}, {"crs": "EPSG:32633"}], ids=["cells", "system"])
def test_two_grids_are_named(tmp_path, second):
    with pytest.raises(RasterError) as caught:
        fill_gaps(two(tmp_path, **second), tmp_path / "o")
    text = str(caught.value)
    assert text.startswith(
        "The rasters are not on one grid: 'a_20210401.tif' has 3 × 3 cells of 10"
    )
    assert "'a_20210403.tif' has 3 × 3 cells" in text
    assert text.endswith("Bring them to one grid with 'Align to grid' first.")
    assert not (tmp_path / "o").exists()


def test_shifted_grid_is_another_grid(tmp_path):
    inputs = two(tmp_path)
    with rasterio.open(inputs[1].path, "r+") as dataset:
        dataset.transform = Affine(10, 0, 500005, 0, -10, 5535000)
    with pytest.raises(RasterError, match="not on one grid"):
        fill_gaps(inputs, tmp_path / "o")


def test_series_may_have_different_grids(tmp_path):
    inputs = two(tmp_path)
    inputs += two(tmp_path, ("b_20210401.tif", "b_20210403.tif"))
    for item in inputs[2:]:
        with rasterio.open(item.path, "r+") as dataset:
            dataset.transform = Affine(10, 0, 500005, 0, -10, 5535000)
    assert len(fill_gaps(inputs, tmp_path / "o")) == 6


@pytest.mark.parametrize("name", ["smap.tif", "smap_20211341.tif", "smap_2021.tif"])
def test_rasters_without_readable_date_are_listed(tmp_path, name):
    inputs = [
        write(tmp_path / name, np.ones((1, 2, 2)), ["smap"]),
        write(tmp_path / "smap_20210401.tif", np.ones((1, 2, 2)), ["smap"]),
    ]
    with pytest.raises(InputError, match=rf"date that can be read: {name}, band 1 \(smap\)\. Put"):
        fill_gaps(inputs, tmp_path / "o")


def test_date_of_the_layer_counts(tmp_path):
    inputs = [
        RasterInput(
            write(tmp_path / f"{n}.tif", np.full((1, 2, 2), n), ["x"]).path, day(n), day(n + 7)
        )
        for n in (1, 3)
    ]
    paths = fill_gaps(inputs, tmp_path / "o")
    assert [p.name for p in paths] == ["x_20210402.tif", "x_20210403.tif", "x_20210404.tif"]


def test_date_twice_is_listed(tmp_path):
    inputs = two(tmp_path, ("a/x_20210401.tif", "b/x_2021-04-01.tif"))
    with pytest.raises(InputError) as caught:
        fill_gaps(inputs, tmp_path / "o")
    assert "x on 2021-04-01: x_20210401.tif and x_2021-04-01.tif" in str(caught.value)
    assert "mosaic them first" in caught.value.cure


def test_raster_given_twice_is_read_once(tmp_path):
    inputs = two(tmp_path)
    progress = RecordingProgress()
    assert len(fill_gaps([*inputs, inputs[0]], tmp_path / "o", progress=progress)) == 3
    assert progress.warnings == ["'a_20210401.tif' is given twice: it is read once."]


def test_mixed_directions_are_refused(tmp_path):
    inputs = [
        write(tmp_path / f"s1_{direction}_{day(n):%Y%m%d}.tif", np.ones((1, 2, 2)), ["VV"])
        for n, direction in enumerate(["asc", "desc", "asc", "desc"])
    ]
    with pytest.raises(InputError, match="Ascending and descending images of VV"):
        fill_gaps(inputs, tmp_path / "o")
    assert len(fill_gaps(inputs[::2], tmp_path / "o")) == 3


@pytest.mark.parametrize(
    ("stem", "direction"),
    [
        ("s1_asc_20210401", "asc"),
        ("s1_desc_20210401", "desc"),
        ("S1-Descending 20210401", "desc"),
        ("ASCENDING_vv", "asc"),
        ("ascot_20210401", ""),
        ("description_1", ""),
        ("cascade_20210401", ""),
    ],
)
def test_directions_in_file_names(stem, direction):
    assert direction_of(stem) == direction


def test_rasters_with_nothing_in_common(tmp_path):
    inputs = two(tmp_path, ("S1A_20210401_1A2B.tif", "S1A_20210403_3C4D.tif"))
    with pytest.raises(InputError) as caught:
        fill_gaps(inputs, tmp_path / "o")
    assert "'S1A_1A2B' (S1A_20210401_1A2B.tif); 'S1A_3C4D' (S1A_20210403_3C4D.tif)" in str(
        caught.value
    )


def test_names_that_differ_in_case(tmp_path):
    inputs = [
        write(tmp_path / f"s1_{day(n):%Y%m%d}.tif", np.ones((1, 2, 2)), [name])
        for n, name in enumerate(["VV", "vv"])
    ]
    with pytest.raises(InputError, match=r"'VV' .* and 'vv' .* differ in case alone"):
        fill_gaps(inputs, tmp_path / "o")


def test_bands_that_some_rasters_lack_are_told(tmp_path):
    inputs = [
        write(tmp_path / f"s1_{day(n):%Y%m%d}.tif", np.ones((len(names), 2, 2)), names)
        for n, names in enumerate([["VV", "VH"], ["VV", "Sigma0_VH"], ["VV", "VH"]])
    ]
    progress = RecordingProgress()
    fill_gaps(inputs, tmp_path / "o", progress=progress)
    assert any(
        "1 rasters have no band 'VH'" in text and "s1_20210402.tif" in text
        for text in progress.warnings
    )


def test_other_units_are_told(tmp_path):
    inputs = [
        write(tmp_path / f"x_{day(n):%Y%m%d}.tif", np.ones((1, 2, 2)), units=(unit,))
        for n, unit in enumerate(["K", "degC"])
    ]
    progress = RecordingProgress()
    fill_gaps(inputs, tmp_path / "o", progress=progress)
    assert any("different units: K, degC" in text for text in progress.warnings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"window": -1}, "A window of -1 days"),
        ({"method": "spline"}, "'spline' is unknown. Use mean or carry-forward"),
        ({"start": day(5), "end": day(2)}, "The end 2021-04-03 lies before the start 2021-04-06"),
        (
            {"start": day(50), "end": day(60)},
            "No day from 2021-05-21 to 2021-05-31 has a value: the rasters are of 2021-04-01 to "
            "2021-04-03",
        ),
    ],
)
def test_settings_that_cannot_be(tmp_path, given, message):
    with pytest.raises(InputError, match=message):
        fill_gaps(two(tmp_path), tmp_path / "o", **given)
    assert not (tmp_path / "o").exists()


def test_no_raster_and_no_value_are_errors(tmp_path):
    with pytest.raises(InputError, match="No raster is given"):
        fill_gaps([], tmp_path / "o")
    inputs = [write(tmp_path / "a_20210401.tif", np.full((1, 2, 2), np.nan))]
    with pytest.raises(InputError, match=r"No day .* has a value"):
        fill_gaps(inputs, tmp_path / "o")


def test_inputs_are_never_replaced(tmp_path):
    inputs = two(tmp_path)
    before = Path(inputs[0].path).read_bytes()
    with pytest.raises(InputError, match=r"replace its own input: a_20210401.tif; a_20210403.tif"):
        fill_gaps(inputs, tmp_path)
    assert Path(inputs[0].path).read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a_20210401.tif", "a_20210403.tif"]


def test_name_that_holds_a_date_is_refused(tmp_path):
    inputs = [
        write(tmp_path / f"x_{day(n):%Y%m%d}.tif", np.ones((1, 2, 2)), ["mean 20200101"])
        for n in (0, 1)
    ]
    with pytest.raises(InputError, match="'mean 20200101' holds a date"):
        fill_gaps(inputs, tmp_path / "o")


def test_two_covariates_with_one_file_name_are_refused(tmp_path):
    inputs = [
        write(tmp_path / f"x_{day(n):%Y%m%d}.tif", np.ones((2, 2, 2)), ["a/b", "a b"])
        for n in (0, 1)
    ]
    with pytest.raises(InputError, match=r"same files: a_b_20210401.tif; a_b_20210402.tif"):
        fill_gaps(inputs, tmp_path / "o")


class Stopped(Progress):
    def __init__(self, after):
        self.left = after

    @property
    def cancelled(self):
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("after", [0, 3, 12, 30])
def test_cancelled_run_leaves_nothing_and_keeps_what_was_there(tmp_path, smap, after):
    folder = tmp_path / "o"
    with pytest.raises(Cancelled):
        fill_gaps(smap[0], folder, progress=Stopped(after))
    assert not folder.exists()
    folder.mkdir()
    (folder / "smap_20210401.tif").write_text("earlier")
    with pytest.raises(Cancelled):
        fill_gaps(smap[0], folder, progress=Stopped(after))
    assert [p.name for p in folder.iterdir()] == ["smap_20210401.tif"]
    assert (folder / "smap_20210401.tif").read_text() == "earlier"


def test_earlier_rasters_are_replaced_and_stale_ones_named(tmp_path, smap):
    fill_gaps(smap[0], tmp_path, window=8)
    (tmp_path / "smap_20210401.tif.aux.xml").write_text("old statistics")
    progress = RecordingProgress()
    paths = fill_gaps(smap[0], tmp_path, window=1, progress=progress)
    assert not (tmp_path / "smap_20210401.tif.aux.xml").exists()
    stale = sorted({p.name for p in tmp_path.glob("*.tif")} - {p.name for p in paths})
    assert stale
    (told,) = [text for text in progress.warnings if "earlier run" in text]
    assert stale[0] in told


def test_damaged_raster_leaves_nothing(tmp_path):
    inputs = two(tmp_path)
    path = Path(inputs[1].path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(RasterError, match=r"a_20210403.tif"):
        fill_gaps(inputs, tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_memory_does_not_grow_with_the_dates(tmp_path):
    """Arrays held at a time: those of one window, not of the series."""
    cells = (256, 256)
    peaks = {}
    for count in (8, 40):
        inputs = [
            write(tmp_path / str(count) / f"x_{day(n):%Y%m%d}.tif", np.full((1, *cells), 1.0 * n))
            for n in range(0, 2 * count, 2)
        ]
        gc.collect()
        tracemalloc.start()
        fill_gaps(inputs, tmp_path / f"o{count}", window=3)
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[40] < 1.5 * peaks[8]
    assert peaks[40] < 40 * 8 * cells[0] * cells[1]
