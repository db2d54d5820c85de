"""Anomalies and the bootstrap by station, against loops over their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr
from soil_moisture_mapper.plugin.core.evaluation.anomaly import anomalies, anomaly_correlation
from soil_moisture_mapper.plugin.core.evaluation.bootstrap import score_intervals
from soil_moisture_mapper.plugin.core.evaluation.metrics import score


def series(seed=0, stations=3, days=80):
    rng = np.random.default_rng(seed)
    station = np.repeat([f"s{i}" for i in range(stations)], days).astype(object)
    date = np.tile(np.datetime64("2021-03-01") + np.arange(days), stations)
    kept = rng.random(station.size) < 0.6
    moisture = 0.25 + 0.05 * rng.standard_normal(station.size)
    return moisture[kept], date[kept], station[kept]


def test_anomaly_is_the_value_less_the_mean_of_fifteen_days_on_either_side():
    values, date, station = series()
    found = anomalies(values, date, station)
    for i in range(len(values)):
        near = (station == station[i]) & (np.abs((date - date[i]).astype(int)) <= 15)
        expected = values[i] - values[near].mean() if near.sum() >= 5 else np.nan
        assert found[i] == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert np.isfinite(found).any()


def test_order_of_rows_does_not_matter_and_missing_values_count_in_no_window():
    values, date, station = series(1)
    values[::7] = np.nan
    turned = np.random.default_rng(3).permutation(len(values))
    found = anomalies(values, date, station)
    np.testing.assert_allclose(
        anomalies(values[turned], date[turned], station[turned]), found[turned]
    )
    kept = np.isfinite(values)
    np.testing.assert_allclose(anomalies(values[kept], date[kept], station[kept]), found[kept])
    assert np.isnan(found[~kept]).all()


def test_too_few_values_give_no_anomaly():
    days = np.datetime64("2021-05-01") + np.arange(4)
    assert np.isnan(anomalies(np.arange(4.0), days, np.full(4, "a"))).all()
    assert anomaly_correlation(np.arange(4.0), np.arange(4.0), days, np.full(4, "a")) == (None, 0)


def test_correlation_of_anomalies_does_not_see_levels_and_seasons():
    values, date, station = series(2)
    level = np.where(station == "s0", 0.1, -0.1)
    season = 0.001 * (date - date.min()).astype(int)
    r, n = anomaly_correlation(values, 0.5 * values + level, date, station)
    assert r == pytest.approx(1.0)
    assert n > 50
    tilted, _ = anomaly_correlation(values, 0.5 * values + season, date, station)
    assert tilted > 0.95
    predicted = values + 0.05 * np.random.default_rng(8).standard_normal(len(values))
    o, p = anomalies(values, date, station), anomalies(predicted, date, station)
    there = np.isfinite(o)
    r, _ = anomaly_correlation(values, predicted, date, station)
    assert r == pytest.approx(pearsonr(o[there], p[there])[0], abs=1e-12)


def test_bootstrap_scores_are_those_of_the_stations_drawn():
    rng = np.random.default_rng(5)
    station = np.repeat(np.arange(12), rng.integers(3, 30, 12))
    observed = 0.2 + 0.05 * rng.standard_normal(station.size) + 0.02 * (station % 3)
    predicted = observed + 0.03 * rng.standard_normal(station.size) + 0.01 * (station - 6) / 6
    inside = (rng.random(station.size) < 0.9).astype(float)
    names = np.char.zfill(station.astype(str), 2)
    found = score_intervals(observed, predicted, names, inside=inside, draws=400, seed=1)
    drawn = np.random.default_rng(1).multinomial(12, np.full(12, 1 / 12), size=400)
    values = {name: [] for name in ("me", "rmse", "ubrmse", "mae", "r2", "r", "slope")}
    for counts in drawn:
        rows = np.concatenate(
            [np.flatnonzero(station == s) for s, c in enumerate(counts) for _ in range(c)]
        )
        one = score(observed[rows], predicted[rows])
        for name, kept in values.items():
            kept.append(one[name])
    for name, kept in values.items():
        low, high = np.quantile(kept, [0.025, 0.975])
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=1e-9), name
    assert found["picp90"].low < inside.mean() < found["picp90"].high


def test_interval_holds_the_score_and_needs_six_stations():
    rng = np.random.default_rng(6)
    station = np.repeat(np.arange(30), 20)
    observed = rng.normal(0.25, 0.05, 600)
    predicted = observed + np.repeat(rng.normal(0.01, 0.03, 30), 20)
    found = score_intervals(observed, predicted, station)
    assert found["me"].low < np.mean(predicted - observed) < found["me"].high
    assert score_intervals(observed[:100], predicted[:100], station[:100]) == {}
