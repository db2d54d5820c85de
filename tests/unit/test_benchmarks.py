"""The benchmarks notice a wrong engine and form their table; no speed is measured here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from quantile_forest import RandomForestQuantileRegressor
from sklearn.ensemble import RandomForestRegressor
from soil_moisture_mapper.benchmarks import comparison, data, exactness, forests, peers, targets
from soil_moisture_mapper.benchmarks.command import Report
from soil_moisture_mapper.benchmarks.table import Result, Target, form_table, ratio
from soil_moisture_mapper.benchmarks.timing import Plan, measure


@pytest.fixture(scope="module")
def pair():
    rows = data.training_rows(200)
    few = forests.settings(trees=5)
    theirs = RandomForestQuantileRegressor(**few, max_samples_leaf=None).fit(rows.X, rows.y)
    return forests.Pair(rows, forests.grow_ours(rows, trees=5), theirs)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(comparison, "_CHECKED", 128)
    monkeypatch.setattr(peers, "our_paths", lambda: [peers.NUMPY])  # no compiling in unit tests
    monkeypatch.setattr(data, "field_pixels", data.random_pixels)


def test_a_right_engine_is_exact(pair):
    checks = comparison.check_exact(pair)
    assert len(checks) == 4
    assert Report(checks=checks).exact


@pytest.mark.parametrize("wrong", ["mean", "quantiles"])
def test_a_wrong_engine_is_noticed(pair, wrong):
    forest = pair.ours
    if wrong == "mean":
        forest = replace(forest, value=forest.value + 1e-8)
    else:
        forest = replace(forest, store=replace(forest.store, y=forest.store.y + 1e-8))
    checks = comparison.check_exact(replace(pair, ours=forest))
    assert {check.what.rsplit(" ", 1)[1] for check in checks if not check.exact} == {wrong}
    assert "NOT EXACT" in str(Report(checks=checks))
    assert not Report(checks=checks).exact


def test_flattened_forest_is_the_grown_one(pair):
    flat = forests.flatten(pair.theirs, pair.rows)
    for name in ("tree_start", "feature", "threshold", "left", "right", "value", "variance"):
        np.testing.assert_array_equal(getattr(flat, name), getattr(pair.ours, name))
    for name in ("y", "order", "start", "row", "count"):
        np.testing.assert_array_equal(getattr(flat.store, name), getattr(pair.ours.store, name))


def test_nothing_checked_is_not_exact():
    assert not Report().exact


@pytest.mark.parametrize(
    ("found", "exact"),
    [([1.0, 2.0], True), ([1.0, 2.0 + 2e-9], False), ([1.0, np.nan], False), ([1.0], False)],
)
def test_compare(found, exact):
    assert exactness.compare("x", np.array(found), np.array([1.0, 2.0])).exact is exact


def test_mean_only_is_that_of_scikit_learn(pair):
    plain = RandomForestRegressor(**forests.settings(trees=5)).fit(pair.rows.X, pair.rows.y)
    X = data.random_pixels(64)
    np.testing.assert_allclose(peers.mean_only(pair.theirs)(X), plain.predict(X), rtol=1e-14)


def test_block_loop_predicts_the_raster(pair, tmp_path):
    X = data.random_pixels(128 * 130)
    peers.write_strip(X, tmp_path)
    peers.block_loop(pair.theirs, tmp_path)(X)
    with rasterio.open(tmp_path / "blocks_out.tif") as raster:
        found = raster.read().reshape(3, -1).T
    expected = peers.quantile_forest(pair.theirs)(X)
    np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_table():
    results = [
        Result("quantile-forest", 50_000, "random", 8_000.0, 300.4),
        Result("fast", 50_000, "random", 100_000.4),
        Result("fast", 200_000, "random", 100_000.4),
    ]
    assert form_table(results).splitlines() == [
        "| peer            |    rows | pixels are | pixels/s | ratio | peak memory |",
        "|-----------------|--------:|-----------:|---------:|------:|------------:|",
        "| quantile-forest |  50 000 |     random |    8 000 |  1.00 |      300 MB |",
        "| fast            |  50 000 |     random |  100 000 | 12.50 |           – |",
        "| fast            | 200 000 |     random |  100 000 |     – |           – |",
    ]
    assert ratio(results, results[2]) is None


def test_targets():
    def result(peer, rows, rate):
        return Result(peer, rows, comparison.RANDOM, rate)

    found = targets.of_peers(
        [
            result(peers.ENGINE, 50_000, 90_000.0),
            result(peers.NUMPY, 50_000, 30_000.0),
            result(peers.MEAN, 50_000, 180_000.0),
            result(peers.QUANTILE_FOREST, 50_000, 3_000.0),
            result(peers.ENGINE, 400_000, 50_000.0),
        ]
    )
    assert [target.measured for target in found] == [30.0, None, 0.5, 10.0, 1.8]
    assert [target.reached for target in found] == [True, False, False, True, False]
    assert str(found[0]).endswith("≥ 15 × (stretch 30 ×): measured 30 ×: reached")
    assert str(found[1]).endswith("not measured")
    load = Target("load", 1, 0.5, most=True, unit="s")
    assert str(load) == "target load ≤ 1 s: measured 0.5 s: reached"


def test_measure_gives_each_peer_what_it_can_do():
    seen = []
    rates = measure({"a": lambda X: seen.append(len(X))}, np.zeros((10_000, 1)), Plan(0.1, 2))
    assert rates["a"] > 0
    assert seen[:2] == [512, 4096]
    assert seen[2:] == [9984, 9984]


def test_field_is_smooth_and_random_pixels_are_not():
    bands = data.field(64, 64, covariates=2)
    assert bands.shape == (2, 64, 64)
    np.testing.assert_allclose(bands.std(axis=(1, 2)), 1, atol=1e-3)
    beside = [np.corrcoef(b[:, :-1].ravel(), b[:, 1:].ravel())[0, 1] for b in bands]
    assert min(beside) > 0.99
    noise = data.random_pixels(4096, 1)[:, 0]
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.05
