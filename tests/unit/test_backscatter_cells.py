"""Averages of backscatter against NumPy, brute force and the statistics of speckle."""

from __future__ import annotations

import math

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import convolve
from scipy.special import digamma
from soil_moisture_mapper.plugin.core.covariates.radar.backscatter_cells import (
    CellMeans,
    Cover,
    SourceSums,
    Spans,
    power_within,
    smooth_cells,
    to_decibels,
)
from soil_moisture_mapper.plugin.core.rasters.grids import Grid, Window

CRS = "EPSG:32632"
KERNEL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16


def grid(x, y, cell, width, height):
    return Grid(CRS, Affine(cell, 0, x, 0, -cell, y), width, height)


def average(values, source, target, window=None, portion=7):
    """Average through the classes under test, in portions of rows."""
    window = window or target.whole
    cover = Cover.of(source, target, window)
    sums = SourceSums(cover)
    rows, cols = cover.rows.source, cover.cols.source
    padded = np.full((rows.stop - rows.start, cols.stop - cols.start), np.nan)
    inside = Window(cols.start, rows.start, padded.shape[1], padded.shape[0]).overlap(source.whole)
    if inside:
        place = inside.shifted(-cols.start, -rows.start)
        padded[place.slices] = values[inside.slices]
    for row in range(0, len(padded), portion):
        part = padded[row : row + portion]
        valid = np.isfinite(part)
        sums.add(np.where(valid, part, 0.0), valid, rows.start + row)
    means = CellMeans((window.height, window.width))
    means.add(sums, window.shifted(-window.col, -window.row))
    return means


def brute_force(values, source, target):
    """Means weighted by the area of every pair of source and target cell, one by one."""
    found = np.full(target.shape, np.nan)
    share = np.zeros(target.shape)
    s, t = source.transform, target.transform
    for i, j in np.ndindex(*target.shape):
        left, top = t.c + j * t.a, t.f + i * t.e
        total = weight = 0.0
        for k, m in np.ndindex(*source.shape):
            x, y = s.c + m * s.a, s.f + k * s.e
            wide = min(left + t.a, x + s.a) - max(left, x)
            high = min(top, y) - max(top + t.e, y + s.e)
            if wide > 0 and high > 0 and np.isfinite(values[k, m]):
                total += wide * high * values[k, m]
                weight += wide * high
        if weight:
            found[i, j] = total / weight
            share[i, j] = weight / abs(t.a * t.e)
    return found, share


def test_whole_multiples_are_plain_means():
    rng = np.random.default_rng(1)
    values = rng.gamma(4, 0.02, (60, 90))
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:10, :10] = np.nan
    found = average(values, grid(0, 600, 10, 90, 60), grid(0, 600, 100, 9, 6)).result()
    blocks = values.reshape(6, 10, 9, 10).transpose(0, 2, 1, 3).reshape(6, 9, 100)
    with pytest.warns(RuntimeWarning, match="empty slice"):
        expected = np.nanmean(blocks, axis=2)
    assert np.isnan(found[0, 0])
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("cell", "x", "y"), [(33.0, 0.0, 0.0), (25.0, 3.7, -8.1), (10.0, 4.0, 4.0), (77.7, -31, 12)]
)
def test_other_ratios_are_weighted_by_area(cell, x, y):
    rng = np.random.default_rng(2)
    values = rng.gamma(4, 0.02, (25, 31))
    values[rng.random(values.shape) < 0.3] = np.nan
    source = grid(0, 250, 10, 31, 25)
    target = grid(x, 250 + y, cell, math.ceil(310 / cell) + 1, math.ceil(250 / cell) + 1)
    means = average(values, source, target)
    expected, share = brute_force(values, source, target)
    np.testing.assert_allclose(means.result(), expected, rtol=1e-12)
    # Shares of the area decide which cells are left out.
    edges = np.unique(share.round(9))
    least = (edges[len(edges) // 2] + edges[len(edges) // 2 + 1]) / 2
    kept = np.isfinite(means.result(least))
    np.testing.assert_array_equal(kept, share >= least)
    assert 0 < kept.sum() < kept.size


@settings(max_examples=60, deadline=None)
@given(
    st.floats(1.0, 9.0),
    st.floats(-3.0, 3.0),
    st.integers(1, 12),
    st.integers(0, 6),
    st.integers(1, 5),
)
def test_windows_and_portions_change_nothing(ratio, offset, portion, first, size):
    rng = np.random.default_rng(3)
    values = rng.gamma(2, 0.05, (20, 20))
    values[rng.random(values.shape) < 0.2] = np.nan
    source, target = grid(0, 0, 1.0, 20, 20), grid(offset, 0, ratio, 12, 12)
    window = Window(first, 0, size, 12)
    whole = average(values, source, target, Window(0, 0, 12, 12), 100).result()
    part = average(values, source, target, window, portion).result()
    np.testing.assert_array_equal(part, whole[window.slices])


@given(st.floats(1.0, 50.0), st.floats(-100, 100), st.integers(1, 40))
def test_spans_cover_every_cell_once(ratio, origin, count):
    spans = Spans.of(origin, ratio, 0, count)
    np.testing.assert_allclose(spans.weights.sum(axis=0), ratio, atol=1e-5)
    total = np.zeros(spans.source.stop - spans.source.start + 1)
    for weights, k in zip(spans.weights, range(len(spans.weights))):
        np.add.at(total, spans.first + k - spans.source.start, weights)
    assert total.max() <= 1 + 1e-5  # no source cell counts more than once
    assert total.sum() == pytest.approx(ratio * count, abs=1e-4)


def test_grids_that_agree_but_for_rounding_are_not_cut():
    source = grid(500000.1, 0, 10.0, 300, 300)
    target = grid(500000.1 + 3e-6, 0, 30.0 + 1e-9, 100, 100)
    cover = Cover.of(source, target, target.whole)
    assert (cover.rows.step, cover.cols.step) == (3, 3)


@pytest.mark.parametrize("decibels", [True, False])
def test_range_is_masked_in_decibels_with_its_ends(decibels):
    given = np.array([-25.1, -25.0, -12.5, -5.0, -4.9, np.nan, np.inf, -np.inf])
    values = given.copy() if decibels else 10 ** (given / 10)
    power, valid = power_within(values, -25.0, -5.0, decibels=decibels)
    np.testing.assert_array_equal(valid, [0, 1, 1, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(power[1:4], 10 ** (given[1:4] / 10), rtol=1e-14)
    assert (power[~valid] == 0).all()
    np.testing.assert_allclose(to_decibels(power[1:4]), given[1:4], rtol=1e-14)


def test_zero_and_negative_power_is_missing():
    _, valid = power_within(np.array([0.0, -0.01, 0.05]), -30.0, -5.0, decibels=False)
    np.testing.assert_array_equal(valid, [0, 0, 1])


def test_gaussian_is_that_of_scipy_over_valid_cells():
    rng = np.random.default_rng(5)
    values = rng.gamma(4, 0.02, (30, 40))
    values[rng.random(values.shape) < 0.4] = np.nan
    there = np.isfinite(values)
    total = convolve(np.where(there, values, 0.0), KERNEL, mode="constant")
    weight = convolve(there.astype(float), KERNEL, mode="constant")
    expected = np.where(there, total / np.where(there, weight, 1.0), np.nan)
    rim = np.pad(values, 1, constant_values=np.nan)
    np.testing.assert_allclose(smooth_cells(rim), expected, rtol=1e-12)


def test_gaussian_by_hand():
    """A valid corner cell with two valid neighbours, (4·1 + 2·3 + 1·5)/7."""
    values = np.full((5, 5), np.nan)
    values[1, 1], values[1, 2], values[2, 2] = 1.0, 3.0, 5.0
    found = smooth_cells(values)
    assert found[0, 0] == pytest.approx(15 / 7)
    assert np.isfinite(found).sum() == 3


@pytest.mark.parametrize("looks", [1.0, 4.4])
def test_mean_power_is_unbiased_where_the_mean_of_decibels_is_not(looks):
    """Speckle of L looks is gamma distributed: E[dB] − dB of the mean is (10/ln 10)(ψ(L) − ln L).

    Lee & Pottier (2009), Polarimetric Radar Imaging, section 4.2: −2.51 dB for one look.
    """
    rng = np.random.default_rng(6)
    truth = -12.0
    power = 10 ** (truth / 10) * rng.gamma(looks, 1 / looks, (1000, 1000))
    source, target = grid(0, 0, 10, 1000, 1000), grid(0, 0, 100, 100, 100)
    cells = average(power, source, target, portion=100).result()
    # of 100 cells: standard error 10/ln 10 · 1/√(100 L) dB, of their 10 000 means 100 times less
    error = 10 / math.log(10) / math.sqrt(1e6 * looks)
    assert 10 * math.log10(cells.mean()) == pytest.approx(truth, abs=4 * error)
    bias = 10 / math.log(10) * (digamma(looks) - math.log(looks))
    decibels = average(10 * np.log10(power), source, target, portion=100).result()
    assert decibels.mean() - truth == pytest.approx(bias, abs=8 * error)
    assert bias < (-2.5 if looks == 1 else -0.4)
    # The dB of a mean of 100 cells are those of 100 L looks.
    rest = 10 / math.log(10) * (digamma(100 * looks) - math.log(100 * looks))
    assert to_decibels(cells).mean() - truth == pytest.approx(rest, abs=4 * error)
