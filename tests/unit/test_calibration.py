"""Interval margins: their definition, their coverage, and how they move quantiles."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.models.calibration import (
    LEVELS,
    TAUS,
    Calibration,
    Margins,
    apply,
    combine,
    interval_bounds,
    local_margins,
    station_margins,
)
from soil_moisture_mapper.plugin.core.models.forest import grow_forest
from soil_moisture_mapper.plugin.core.models.record import Covariate, Model, predict_model

SEED = np.random.default_rng


def heldout(stations=12, rows=5, seed=1, width=0.02):
    """Return bounds, readings and stations; the intervals grow with the level and are narrow."""
    rng = SEED(seed)
    station = np.repeat([f"S{i}" for i in range(stations)], rows)
    centre = rng.uniform(0.1, 0.4, len(station))
    half = width * np.array(LEVELS)
    y = centre + 0.03 * rng.normal(size=stations).repeat(rows) + 0.02 * rng.normal(size=len(centre))
    return centre[:, None] - half, centre[:, None] + half, y, station


def margin_by_definition(scores, station, level, at_infinity):
    """Return the smallest score whose exact cumulated mass reaches the level."""
    names = sorted(set(station))
    share = Fraction(1, len(names) + at_infinity)
    mass = {name: share / list(station).count(name) for name in names}
    for score in sorted(scores):
        below = sum(mass[s] for e, s in zip(scores, station) if e <= score)
        if below >= Fraction(str(level)):
            return score
    return np.inf


def test_levels_and_quantiles_are_the_published_ones():
    assert LEVELS == (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
    bounds = [(1 - c) / 2 for c in LEVELS] + [(1 + c) / 2 for c in LEVELS] + [0.5]
    assert sorted(bounds) == pytest.approx(TAUS, abs=1e-12)


def test_bounds_are_the_quantiles_of_each_level():
    lower, upper = interval_bounds(np.array([TAUS]))
    assert lower[0] == pytest.approx([(1 - c) / 2 for c in LEVELS])
    assert upper[0] == pytest.approx([(1 + c) / 2 for c in LEVELS])


def around_the_published_level(values):
    """Return 90 % as it is, lower levels at most and higher ones at least as on the way to it."""
    kept = LEVELS.index(0.9)
    return [
        min(values[i : kept + 1]) if i <= kept else max(values[kept : i + 1])
        for i in range(len(values))
    ]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=12),
    seed=st.integers(0, 10_000),
    local=st.booleans(),
)
def test_margins_are_quantiles_of_the_weighted_scores(sizes, seed, local):
    rng = SEED(seed)
    station = np.repeat([f"S{i}" for i in range(len(sizes))], sizes)
    lower = -rng.integers(0, 4, (len(station), len(LEVELS))) / 8
    upper = rng.integers(0, 4, (len(station), len(LEVELS))) / 8
    y = rng.integers(-8, 9, len(station)) / 8

    margins = (local_margins if local else station_margins)(lower, upper, y, station)

    sizes_of = []
    for i, level in enumerate(LEVELS):
        scores = np.maximum(lower[:, i] - y, y - upper[:, i])
        sizes_of.append(margin_by_definition(scores, station, level, 0 if local else 1))
    expected = around_the_published_level(sizes_of) if local else np.maximum.accumulate(sizes_of)
    assert margins.values == pytest.approx(np.maximum(expected, 0.0))
    assert (np.diff(np.minimum(margins.values, 9)) >= 0).all()
    assert margins.levels == LEVELS
    assert margins.stations == len(sizes)


@pytest.mark.parametrize(("stations", "finite"), [(1, 1), (8, 4), (9, 5), (18, 5), (19, 6)])
def test_levels_beyond_the_number_of_stations_have_no_finite_margin(stations, finite):
    margins = station_margins(*heldout(stations))
    assert np.isfinite(margins.values).sum() == finite
    assert np.isfinite(local_margins(*heldout(stations)).values).all()


def test_intervals_that_cover_enough_keep_their_width():
    assert station_margins(*heldout(150, width=5.0)).values == (0.0,) * len(LEVELS)


def test_station_counts_once_however_many_rows_it_has():
    lower, upper, y, station = heldout(9)
    again = np.concatenate([np.arange(len(y)), np.flatnonzero(station == "S3").repeat(7)])
    shuffled = SEED(4).permutation(again)
    rows = (part[shuffled] for part in (lower, upper, y, station))
    assert station_margins(*rows) == station_margins(lower, upper, y, station)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_new_stations_are_covered_at_the_nominal_level(level):
    column, covered = LEVELS.index(level), []
    for seed in range(300):
        lower, upper, y, station = heldout(stations=49, rows=4, seed=seed)
        old = np.isin(station, [f"S{i}" for i in range(29)])
        margin = station_margins(lower[old], upper[old], y[old], station[old]).values[column]
        new = ~old
        inside = (y[new] >= lower[new, column] - margin) & (y[new] <= upper[new, column] + margin)
        covered.append(inside.mean())
    error = np.std(covered) / np.sqrt(len(covered))
    assert np.mean(covered) > level - 3 * error
    assert np.mean(covered) < level + 1 / 30 + 3 * error


def test_combined_margins_are_the_larger_ones():
    everywhere = Margins(LEVELS, (0.0, 0.0, 0.01, 0.02, 0.03, 0.04, np.inf, np.inf), 40)
    local = Margins(LEVELS, (0.0, 0.01, 0.01, 0.01, 0.05, 0.05, 0.05, 0.05), 8)
    combined = combine(everywhere, local)
    assert combined.values == (0.0, 0.01, 0.01, 0.02, 0.05, 0.05, np.inf, np.inf)
    assert combined.stations == 40


MARGINS = Margins(LEVELS, (0.01, 0.02, 0.02, 0.03, 0.05, 0.06, 0.08, np.inf), 60)


@pytest.mark.parametrize(
    ("coverage", "margin"),
    [
        (0.0, 0.0),
        (0.25, 0.005),
        (0.5, 0.01),
        (0.85, 0.04),
        (0.9, 0.05),
        (abs(2 * 0.05 - 1), 0.05),
        (abs(2 * 0.95 - 1), 0.05),
        (0.98, 0.08),
        (abs(2 * 0.99 - 1), 0.08),
        (0.981, np.inf),
        (0.99, np.inf),
        (1.0, np.inf),
    ],
)
def test_margins_are_linear_between_levels(coverage, margin):
    assert MARGINS.at(np.array([coverage]))[0] == pytest.approx(margin, abs=1e-12)


def test_last_margin_holds_beyond_the_last_level():
    finite = Margins(LEVELS, (0.01,) * 7 + (0.09,), 200)
    assert finite.at(np.array([0.99, 0.999, 1.0])) == pytest.approx([0.09] * 3)


def test_quantiles_move_outwards_and_the_median_stays():
    taus = (0.05, 0.25, 0.5, 0.75, 0.95)
    raw = np.array([[0.20, 0.24, 0.25, 0.27, 0.40]])
    moved = apply(MARGINS, taus, raw)
    assert moved[0] == pytest.approx([0.15, 0.23, 0.25, 0.28, 0.45], abs=1e-12)
    turned = apply(MARGINS, taus[::-1], raw[:, ::-1])
    assert np.array_equal(turned, moved[:, ::-1])


def test_infinite_margin_ends_at_the_range_of_soil_moisture():
    moved = apply(MARGINS, (0.005, 0.5, 0.995), np.array([[0.1, 0.2, 0.3]]))
    assert moved.tolist() == [[0.0, 0.2, 1.0]]


def test_quantiles_are_clipped_at_0_and_1():
    moved = apply(MARGINS, (0.05, 0.95), np.array([[0.02, 0.97]]))
    assert moved.tolist() == [[0.0, 1.0]]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    values=st.lists(st.floats(0, 0.3), min_size=8, max_size=8),
    raw=st.lists(st.floats(0, 1), min_size=9, max_size=9),
    infinite=st.integers(0, 8),
)
def test_calibrated_quantiles_keep_their_order_and_hold_the_raw_interval(values, raw, infinite):
    sizes = [*sorted(values)[: 8 - infinite], *[np.inf] * infinite]
    margins = Margins(LEVELS, tuple(sizes), 30)
    taus = np.linspace(0.02, 0.98, 9)
    given_raw = np.sort(raw)[None]
    moved = apply(margins, taus, given_raw)
    assert np.all(np.diff(moved, axis=1) >= 0)
    assert np.all((moved >= 0) & (moved <= 1))
    assert np.all(moved[:, :4] <= given_raw[:, :4])
    assert np.all(moved[:, 5:] >= given_raw[:, 5:])
    assert moved[0, 4] == given_raw[0, 4]


def test_calibrating_with_the_margins_of_the_rows_covers_them():
    lower, upper, y, station = heldout(30, rows=1)
    margins = station_margins(lower, upper, y, station)
    for i, level in enumerate(LEVELS):
        inside = (y >= lower[:, i] - margins.values[i]) & (y <= upper[:, i] + margins.values[i])
        assert inside.mean() >= level


def test_calibration_names_the_margins_in_use():
    calibration = Calibration(station=MARGINS, network=None, spiked=None, applied="station")
    assert calibration.margins is MARGINS
    with pytest.raises(InputError, match="no margins 'network'"):
        Calibration(station=MARGINS, network=None, spiked=None, applied="network")


def test_held_out_predictions_that_cannot_calibrate_are_refused():
    lower, upper, y, station = heldout(3)
    with pytest.raises(InputError, match="no held-out predictions"):
        station_margins(lower[:0], upper[:0], y[:0], station[:0])
    with pytest.raises(InputError, match="must be finite"):
        station_margins(np.where(lower == lower[2, 2], np.nan, lower), upper, y, station)


def model(method, calibration):
    rng = SEED(2)
    X = rng.normal(size=(80, 2)).astype(np.float32)
    y = 0.3 + 0.05 * X[:, 0]
    forest = grow_forest(X, y, trees=5, keep_rows=method == "qrf")
    covariates = tuple(Covariate(name, "", "", -3.0, 3.0, 0.0) for name in ("clay", "sand"))
    return Model(method, "trained", forest, covariates, calibration=calibration), X


SHIFTS = np.array([-0.05, 0.0, 0.05])
CALIBRATION = Calibration(station=None, network=MARGINS, spiked=None, applied="network")


def test_quantile_forest_model_is_calibrated_unless_told_otherwise():
    qrf, X = model("qrf", CALIBRATION)
    raw = predict_model(qrf, X, (0.05, 0.5, 0.95), calibrated=False)
    moved = predict_model(qrf, X, (0.05, 0.5, 0.95))
    assert moved.quantiles == pytest.approx(raw.quantiles + SHIFTS, abs=1e-12)
    assert np.array_equal(moved.mean, raw.mean)
    assert np.array_equal(moved.sd, raw.sd)
    plain, _ = model("qrf", None)
    assert np.array_equal(predict_model(plain, X, (0.05,)).quantiles, raw.quantiles[:, :1])


def test_forest_model_has_intervals_around_its_mean():
    rf, X = model("rf", CALIBRATION)
    found = predict_model(rf, X, (0.05, 0.5, 0.95))
    assert found.quantiles == pytest.approx(found.mean[:, None] + SHIFTS, abs=1e-12)


def test_forest_model_without_calibration_has_no_quantiles():
    rf, X = model("rf", None)
    assert predict_model(rf, X, (0.5,)).quantiles[:, 0] == pytest.approx(predict_model(rf, X).mean)
    with pytest.raises(InputError, match="Train it with calibration"):
        predict_model(rf, X, (0.05,))
    calibrated, _ = model("rf", CALIBRATION)
    with pytest.raises(InputError, match="Train it with calibration"):
        predict_model(calibrated, X, (0.05,), calibrated=False)
    with pytest.raises(InputError, match="not all between 0 and 1"):
        predict_model(calibrated, X, (1.05,))
