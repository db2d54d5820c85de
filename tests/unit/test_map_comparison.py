"""Two maps compared: against NumPy and SciPy on arrays, and what must be refused."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from raster_files import write_raster
from rasterio.warp import Resampling, reproject
from scipy.stats import entropy, linregress
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.evaluation.comparison import (
    Comparison,
    compare_maps,
    comparison_grid,
)
from soil_moisture_mapper.plugin.core.evaluation.comparison_maps import map_band
from soil_moisture_mapper.plugin.core.evaluation.comparison_scores import (
    comparison_row,
    write_comparison,
)
from soil_moisture_mapper.plugin.core.evaluation.comparison_statistics import (
    Histogram,
    PairCounts,
    PairMoments,
    divergence,
)
from soil_moisture_mapper.plugin.core.evaluation.reports.comparison_report import comparison_report
from soil_moisture_mapper.plugin.core.mapping.interpolation import interpolate_map
from soil_moisture_mapper.plugin.core.mapping.interpolation_distance import metric_of
from soil_moisture_mapper.plugin.core.mapping.interpolation_stations import station_values
from soil_moisture_mapper.plugin.core.progress import RecordingProgress
from soil_moisture_mapper.plugin.core.rasters.reading import geometry
from soil_moisture_mapper.plugin.core.stations.table import Table

UTM = "EPSG:32633"
WEST, NORTH = 500_000.0, 5_600_000.0


def write(
    path: Path,
    values: np.ndarray,
    *,
    cell: float = 10.0,
    west: float = WEST,
    north: float = NORTH,
    names: tuple[str, ...] = (),
    crs: str = UTM,
    unit: str = "",
) -> Path:
    bands = values if values.ndim == 3 else values[None]
    bands = np.where(np.isfinite(bands), bands, np.nan)
    units = (unit, *[""] * (len(bands) - 1))
    place = {"crs": crs, "cell": cell, "corner": (west, north), "nodata": -9999}
    return write_raster(path, bands, names=names, dtype="float32", units=units, **place)


def field(rows: int, columns: int, seed: int = 0, holes: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = 0.25 + 0.05 * rng.standard_normal((rows, columns))
    values[rng.random((rows, columns)) < holes] = np.nan
    return values.astype(np.float32).astype(np.float64)


def compare(
    first: Path, second: Path, output: Path, which: str = "input", **given: Any
) -> Comparison:
    maps = (map_band(first), map_band(second, parameter="REFERENCE"))
    return compare_maps(*maps, comparison_grid(*maps, which), output, **given)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(1, masked=True).astype(np.float64).filled(np.nan)


def test_statistics_are_those_of_numpy(tmp_path: Path) -> None:
    """Cells of one grid, several tiles; formulas on the whole arrays."""
    a, b = field(300, 520), field(300, 520, 1) + 0.02
    b = b.astype(np.float32).astype(np.float64)
    one, two = write(tmp_path / "a.tif", a), write(tmp_path / "b.tif", b)
    found = compare(one, two, tmp_path / "d.tif")
    difference = read(tmp_path / "d.tif")
    np.testing.assert_allclose(difference, a - b, atol=1e-7)
    both = np.isfinite(a) & np.isfinite(b)
    x, y = a[both], b[both]
    d = x - y
    row = comparison_row(found)
    fitted = linregress(x, y)
    expected = {
        "n": both.sum(),
        "me": d.mean(),
        "rmse": np.sqrt(np.mean(d**2)),
        "ubrmse": d.std(),
        "mae": np.abs(d).mean(),
        "r": fitted.rvalue,
        "slope": fitted.slope,
        "r2": 1 - np.sum(d**2) / np.sum((y - y.mean()) ** 2),
        "mean_input": x.mean(),
        "sd_reference": y.std(),
        "cv_reference": y.std() / y.mean(),
        "wetter": np.mean(d > 0.05),
        "drier": np.mean(d < -0.05),
        "min_difference": d.min(),
        "max_reference": y.max(),
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-9), name
    for level in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99):
        key = f"q{round(100 * level):02d}"
        assert row[f"{key}_difference"] == pytest.approx(np.quantile(d, level), abs=3e-6)
        assert row[f"{key}_input"] == pytest.approx(np.quantile(x, level), abs=3e-6)
    ends = (min(x.min(), y.min()), max(x.max(), y.max()))
    t = np.histogram((y - ends[0]) / (ends[1] - ends[0]), 20, (0, 1))[0] + 0.5
    p = np.histogram((x - ends[0]) / (ends[1] - ends[0]), 20, (0, 1))[0] + 0.5
    assert row["kl"] == pytest.approx(entropy(t, p), rel=1e-9)
    assert found.counts.density.sum() == both.sum()
    assert np.nanmax(np.abs(found.previews[2])) <= np.abs(d).max()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 0.6), st.floats(0, 0.6)), min_size=1, max_size=60),
    st.integers(1, 60),
)
def test_moments_do_not_depend_on_the_pieces(drawn: list[tuple[float, float]], cut: int) -> None:
    pairs = np.array(drawn, dtype=np.float64)
    whole, cut_up = PairMoments(), PairMoments()
    whole.add(pairs[:, 0], pairs[:, 1])
    for start in range(0, len(pairs), cut):
        cut_up.add(pairs[start : start + cut, 0], pairs[start : start + cut, 1])
    assert cut_up.n == whole.n == len(pairs)
    np.testing.assert_allclose(cut_up.means, whole.means, atol=1e-14)
    np.testing.assert_allclose(cut_up.products, whole.products, atol=1e-13)
    assert (cut_up.wetter, cut_up.drier) == (whole.wetter, whole.drier)
    difference = pairs[:, 0] - pairs[:, 1]
    assert whole.rmse == pytest.approx(np.sqrt(np.mean(difference**2)), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=80), st.floats(0, 1))
def test_quantiles_are_numpys_to_a_bin(drawn: list[float], level: float) -> None:
    values = np.array(drawn)
    bins = Histogram(float(values.min()), float(values.max()), 1000)
    bins.add(values)
    assert bins.quantile(level) == pytest.approx(np.quantile(values, level), abs=1e-3)


def test_divergence_of_equal_maps_is_zero_and_constant_maps_have_numbers(tmp_path: Path) -> None:
    flat = write(tmp_path / "a.tif", np.full((5, 5), 0.25))
    found = compare(flat, flat, tmp_path / "d.tif")
    row = comparison_row(found)
    assert (row["kl"], row["me"], row["rmse"], row["r"], row["slope"]) == (0, 0, 0, None, None)
    comparison_report(found, tmp_path / "r.html")
    # two cells in two of 20 bins, counted by hand: (1.5, 0.5 × 19) against (0.5, 1.5, 0.5 × 18)
    t, p = np.zeros(20, int), np.zeros(20, int)
    t[0], p[1] = 1, 1
    assert divergence(t, p) == pytest.approx(1.5 / 11 * np.log(3) + 0.5 / 11 * np.log(1 / 3))


def test_coarse_cells_average_the_fine_map(tmp_path: Path) -> None:
    fine, coarse = field(60, 80, 2, 0.0), field(7, 8, 3, 0.0)
    fine[:20, :15] = np.nan  # first cell of 10 × 10 empty, the second of the first row half
    one = write(tmp_path / "fine.tif", fine)
    two = write(tmp_path / "coarse.tif", coarse, cell=100.0)
    heard = RecordingProgress()
    found = compare(one, two, tmp_path / "d.tif", "coarser", minimum_cover=0.6, progress=heard)
    assert found.resampling == ("average", "")
    blocks = fine.reshape(6, 10, 8, 10)
    share = np.isfinite(blocks).mean(axis=(1, 3))
    with np.errstate(invalid="ignore"):
        total = np.nansum(blocks, axis=(1, 3)) / (100 * share)
    expected = np.where(share >= 0.6, total - coarse[:6], np.nan)
    np.testing.assert_allclose(read(tmp_path / "d.tif"), expected, atol=1e-7)
    assert found.grid.shape == (6, 8)
    assert found.uncovered == 2
    assert any(text.startswith("2 cells are left out: less than 60 %") for text in heard.messages)
    half = compare(one, two, tmp_path / "e.tif", "coarser", minimum_cover=0.5)
    assert half.moments.n == found.moments.n + 2


def test_coarse_map_is_brought_to_the_fine_grid_as_gdal_does(tmp_path: Path) -> None:
    """Other reference system; the second oracle is GDAL's warper in one read of the whole."""
    fine = field(50, 60, 4, 0.0)
    coarse = field(30, 30, 5, 0.0)
    one = write(tmp_path / "fine.tif", fine)
    place = {"west": 14.995, "north": 50.56, "cell": 0.001, "crs": "EPSG:4326"}
    two = write(tmp_path / "coarse.tif", coarse, **place)
    for method in ("nearest", "bilinear"):
        found = compare(one, two, tmp_path / "d.tif", resampling=method)
        warped = np.full((50, 60), np.nan)
        reproject(
            coarse,
            warped,
            src_transform=Affine(0.001, 0, 14.995, 0, -0.001, 50.56),
            src_crs="EPSG:4326",
            dst_transform=Affine(10, 0, WEST, 0, -10, NORTH),
            dst_crs=UTM,
            resampling=Resampling[method],
            src_nodata=np.nan,
            dst_nodata=np.nan,
            tolerance=1e-6,
        )
        expected = (fine - warped)[: found.grid.height, : found.grid.width]
        assert np.isfinite(expected).sum() > 1000
        np.testing.assert_allclose(read(tmp_path / "d.tif"), expected, atol=2e-4)
    assert compare(two, one, tmp_path / "d.tif", "reference").grid.crs == found.grid.crs


def test_grid_is_cut_to_both_maps(tmp_path: Path) -> None:
    one = write(tmp_path / "a.tif", field(40, 40))
    two = write(tmp_path / "b.tif", field(20, 20), west=WEST + 105, north=NORTH - 205)
    found = compare(one, two, tmp_path / "d.tif")
    assert found.grid.bounds == (WEST + 100, NORTH - 400, WEST + 310, NORTH - 200)
    assert found.resampling == ("", "bilinear")
    aligned = compare(one, two, tmp_path / "d.tif", "coarser").grid
    assert aligned == found.grid  # of equal cells, the input's


def test_percent_is_divided_or_refused(tmp_path: Path) -> None:
    a = field(20, 20, 0, 0.0)
    one = write(tmp_path / "a.tif", a)
    told = write(tmp_path / "told.tif", 100 * a, unit="%")
    untold = write(tmp_path / "untold.tif", 100 * a)
    heard = RecordingProgress()
    found = compare(one, told, tmp_path / "d.tif", progress=heard)
    assert found.moments.rmse < 1e-7
    assert "REFERENCE is in percent: its values are divided by 100." in heard.messages
    with pytest.raises(InputError, match=r"REFERENCE: 400 of 400 values.*REFERENCE_UNITS percent"):
        compare(one, untold, tmp_path / "e.tif")
    assert not (tmp_path / "e.tif").exists()
    maps = (map_band(one), map_band(untold, units="percent", parameter="REFERENCE"))
    output = tmp_path / "e.tif"
    assert compare_maps(*maps, comparison_grid(*maps, "input"), output).moments.rmse < 1e-7


def test_intervals_are_judged_where_the_input_has_them(tmp_path: Path) -> None:
    mean, truth = field(30, 30, 6), field(30, 30, 7)
    bands = np.stack([mean, mean - 0.06, mean + 0.06])
    names = ("moisture_mean", "moisture_q05", "moisture_q95")
    one = write(tmp_path / "map_20210501.tif", bands, names=names)
    two = write(tmp_path / "truth_20210504.tif", truth)
    heard = RecordingProgress()
    row = comparison_row(compare(one, two, tmp_path / "d.tif", progress=heard))
    both = np.isfinite(mean) & np.isfinite(truth)
    inside = (truth >= np.float32(mean - 0.06)) & (truth <= np.float32(mean + 0.06))
    assert row["picp90"] == pytest.approx(inside[both].mean())
    assert row["width90"] == pytest.approx(0.12, abs=1e-6)
    assert heard.warnings[0].startswith("INPUT shows 2021-05-01, REFERENCE 2021-05-04")
    coarse = write(tmp_path / "c.tif", np.full((3, 3), 0.25), cell=100)
    averaged = comparison_row(compare(one, coarse, tmp_path / "d.tif", "coarser"))
    assert "picp90" not in averaged


def test_mask_and_what_cannot_be_compared(tmp_path: Path) -> None:
    one = write(tmp_path / "a.tif", field(40, 40, 0, 0.0))
    ring = [[WEST, NORTH], [WEST + 100, NORTH], [WEST + 100, NORTH - 50], [WEST, NORTH - 50]]
    mask = [{"type": "Polygon", "coordinates": [[*ring, ring[0]]]}]
    found = compare(one, one, tmp_path / "d.tif", mask=mask)
    assert found.moments.n == 50
    assert np.isfinite(read(tmp_path / "d.tif")).sum() == 50
    away = [{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}]
    with pytest.raises(InputError, match="No cell's centre lies inside the mask"):
        compare(one, one, tmp_path / "e.tif", mask=away)
    far = write(tmp_path / "far.tif", field(5, 5), west=WEST + 10_000)
    with pytest.raises(InputError, match="The maps have no place in common: INPUT covers 40 × 40"):
        compare(one, far, tmp_path / "e.tif")
    empty = write(tmp_path / "empty.tif", np.full((40, 40), np.nan))
    with pytest.raises(InputError, match="No cell has a value in both maps"):
        compare(one, empty, tmp_path / "e.tif")
    with pytest.raises(InputError, match="has no band 2"):
        map_band(one, 2)
    with pytest.raises(InputError, match=r"would replace its own input: a\.tif"):
        compare(one, one, one)
    assert not (tmp_path / "e.tif").exists()


def test_style_is_symmetric_and_the_day_is_kept(tmp_path: Path) -> None:
    a = field(20, 20, 0, 0.0)
    one = write(tmp_path / "a_20210501.tif", a)
    two = write(tmp_path / "b_20210501.tif", a - 0.03)
    found = compare(one, two, tmp_path / "d.tif")
    assert found.widest == 0.03
    style = (tmp_path / "d.qml").read_text(encoding="utf-8")
    assert 'minimumValue="-0.03" maximumValue="0.03"' in style
    assert '<item value="0" label="0" color="#f5f5f5"' in style
    with rasterio.open(tmp_path / "d.tif") as dataset:
        assert dataset.tags()["TIFFTAG_DATETIME"].startswith("2021:05:01")
        assert dataset.descriptions == ("difference",)
    assert found.maps[0].day == datetime.date(2021, 5, 1)


def test_report_and_table(tmp_path: Path) -> None:
    one = write(tmp_path / "a & b.tif", field(30, 30))
    two = write(tmp_path / "reference.tif", field(30, 30, 8))
    found = compare(one, two, tmp_path / "d.tif")
    comparison_report(found, tmp_path / "r.html", warnings=["Beware of <this>."])
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    for part in ("a &amp; b − reference", "Beware of &lt;this&gt;", "K–L divergence", "<figure>"):
        assert part in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    write_comparison(found, tmp_path / "m.csv")
    with (tmp_path / "m.csv").open(encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert list(row)[:7] == ["scope", "group", "n", "stations", "r2", "r", "me"]
    assert float(row["kl"]) == pytest.approx(found.counts.divergence, rel=1e-5)
    assert (row["stations"], row["picp90"]) == ("", "")


def test_counts_hold_every_pair() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random(1000), rng.random(1000)
    moments = PairMoments()
    moments.add(x, y)
    counts = PairCounts(moments)
    counts.add(x[:400], y[:400])
    counts.add(x[400:], y[400:])
    for bins in (*counts.divergence_counts, *counts.shown, *counts.fine):
        assert bins.counts.sum() == 1000
    rows, cols = np.nonzero(counts.density)
    assert counts.density[rows, cols].sum() == 1000


def test_probes_of_the_sample_field_show_their_offset(root: Path, tmp_path: Path) -> None:
    """They read 0.050 + 0.002 (clay − 40 %) too wet (docs/landscape.md), and follow the truth."""
    folder = root / "resources" / "landscape"
    with (folder / "probes.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["date"] == "2021-07-23"]
    columns = {name: [row[name] for row in rows] for name in ("station", "moisture")}
    place = [np.array([float(row[axis]) for row in rows]) for axis in "xy"]
    truth = folder / "truth" / "moisture_20210723.tif"
    grid = geometry(truth)
    stations = station_values(Table(columns, *place, "EPSG:4326"), metric_of(grid))
    output = tmp_path / "idw_20210723.tif"
    interpolate_map(stations, metric_of(grid), grid, output)
    with rasterio.open(folder / "field" / "soil.tif") as dataset:
        clay = dataset.read(1, masked=True).astype(float)
    row = comparison_row(compare(output, truth, tmp_path / "d.tif"))
    assert row["me"] == pytest.approx(0.05 + 0.002 * (clay.mean() - 40), abs=0.01)
    assert row["r"] > 0.6
    assert row["ubrmse"] < 0.03
