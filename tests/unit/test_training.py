"""Training: held-out predictions by station and network, tuning, calibration and invariance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError
from soil_moisture_mapper.plugin.core.models.calibration import TAUS
from soil_moisture_mapper.plugin.core.models.heldout import (
    ForestSettings,
    bound_columns,
    cross_calibrate,
    predict_folds,
)
from soil_moisture_mapper.plugin.core.models.record import predict_model
from soil_moisture_mapper.plugin.core.models.training import (
    TrainSettings,
    choose_folds,
    margins,
    train_model,
)
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress
from soil_moisture_mapper.plugin.core.stations.rows import training_rows
from soil_moisture_mapper.plugin.core.stations.table import Table

SMALL = ForestSettings(trees=12, min_leaf=3, max_features=0.5)


def make_table(stations=24, days=12, networks=4, seed=0):
    """Moisture = 0.2 + 0.05 wetness - 0.03 sand + station effect + noise."""
    random = np.random.default_rng(seed)
    n = stations * days
    station = np.repeat([f"s{i:02d}" for i in range(stations)], days).astype(object)
    network = np.repeat([f"n{i % networks}" for i in range(stations)], days).astype(object)
    wetness = random.normal(size=n)
    sand = np.repeat(random.normal(size=stations), days)
    effect = np.repeat(random.normal(scale=0.02, size=stations), days)
    moisture = 0.2 + 0.05 * wetness - 0.03 * sand + effect + random.normal(scale=0.005, size=n)
    date = np.tile(np.arange("2021-04-01", "2021-04-13", dtype="datetime64[D]")[:days], stations)
    columns = {
        "station": station,
        "network": network,
        "date": date,
        "moisture": np.clip(moisture, 0.02, 0.6),
        "wetness": wetness,
        "sand": sand,
    }
    place = np.repeat(np.arange(stations), days) * 100.0
    return Table(columns, place, place, "EPSG:32633")


def make_rows(**options):
    return training_rows(make_table(**options), covariates=["wetness", "sand"])


def test_heldout_prediction_of_a_fold_is_that_of_a_forest_without_it():
    rows = make_rows()
    fold = choose_folds(rows, 4, seed=1)
    held, _ = predict_folds(rows, fold, SMALL, Progress())
    rest = rows.take(fold != 2)
    oracle = RandomForestRegressor(
        n_estimators=12, min_samples_leaf=3, max_features=0.5, random_state=42
    ).fit(rest.X, rest.y)
    np.testing.assert_allclose(held.mean[fold == 2], oracle.predict(rows.X[fold == 2]), atol=1e-12)


def test_no_station_is_in_two_folds():
    rows = make_rows()
    fold = choose_folds(rows, 5, seed=3)
    assert all(len(np.unique(fold[rows.station == name])) == 1 for name in set(rows.station))
    assert len(np.unique(fold)) == 5


def test_folds_of_the_table_replace_the_setting():
    rows = make_rows()
    own = np.where(rows.station < "s12", 7, 9)
    np.testing.assert_array_equal(choose_folds(replace(rows, fold=own), 5, seed=3), own)


def test_network_margin_is_applied_where_there_are_three_networks():
    result = train_model(make_rows(networks=3), TrainSettings(forest=SMALL))
    assert result.model.calibration.applied == "network"
    assert result.network is not None
    assert set(result.network.rows.network) == {"n0", "n1", "n2"}


def test_two_networks_fall_back_to_the_station_margin_with_a_warning():
    progress = RecordingProgress()
    result = train_model(make_rows(networks=2), TrainSettings(forest=SMALL), progress)
    assert result.model.calibration.applied == "station"
    assert result.network is None
    assert "fewer than 3 networks" in progress.warnings[0]


def test_cross_calibration_never_uses_the_own_station():
    rows = make_rows(stations=8)
    held, _ = predict_folds(rows, choose_folds(rows, 4, 1), SMALL, Progress())
    calibrated = cross_calibrate(held, margins, held.rows.station, 1)
    own = rows.station == "s03"
    expected = held.take(own).with_margins(margins(held.take(~own)))
    np.testing.assert_array_equal(calibrated.take(own).calibrated, expected.calibrated)


def test_calibrated_interval_covers_unseen_stations():
    rows = make_rows(stations=60, days=6, seed=5)
    result = train_model(rows, TrainSettings(forest=replace(SMALL, trees=30)))
    lower, upper = result.station.bounds(0.9)
    covered = (rows.y >= lower) & (rows.y <= upper)
    raw_lower, raw_upper = result.station.bounds(0.9, calibrated=False)
    assert 0.85 <= covered.mean() <= 0.97
    assert covered.mean() >= ((rows.y >= raw_lower) & (rows.y <= raw_upper)).mean()


def test_row_and_covariate_order_change_nothing():
    table = make_table()
    shuffled = table.take(np.random.default_rng(8).permutation(len(table)))
    one = train_model(
        training_rows(table, covariates=["wetness", "sand"]), TrainSettings(forest=SMALL)
    )
    two = train_model(
        training_rows(shuffled, covariates=["sand", "wetness"]), TrainSettings(forest=SMALL)
    )
    np.testing.assert_array_equal(one.station.calibrated, two.station.calibrated)
    grid = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    first = predict_model(one.model, grid, (0.05, 0.5, 0.95))
    second = predict_model(two.model, grid, (0.05, 0.5, 0.95))
    np.testing.assert_array_equal(first.quantiles, second.quantiles)
    np.testing.assert_array_equal(first.mean, second.mean)
    assert one.model.calibration == two.model.calibration


def test_threads_change_nothing():
    rows = make_rows()
    one = train_model(rows, TrainSettings(forest=replace(SMALL, threads=1)))
    two = train_model(rows, TrainSettings(forest=replace(SMALL, threads=2)))
    np.testing.assert_array_equal(one.station.raw, two.station.raw)


def test_tuning_reports_the_rmse_of_the_forest_it_names():
    rows = make_rows()
    settings = TrainSettings(forest=SMALL, tune=True, folds=3)
    result = train_model(rows, settings)
    assert {(row["trees"], row["min_leaf"]) for row in result.tuning} == {
        (trees, leaf) for trees in (10, 20, 50, 100) for leaf in (5, 10)
    }
    chosen = next(row for row in result.tuning if row["chosen"])
    assert chosen["rmse"] == min(row["rmse"] for row in result.tuning)
    again, _ = predict_folds(
        rows,
        choose_folds(rows, 3, 42),
        replace(SMALL, trees=chosen["trees"], min_leaf=chosen["min_leaf"]),
        Progress(),
    )
    rmse = np.sqrt(((again.mean - rows.y) ** 2).mean())
    assert chosen["rmse"] == pytest.approx(rmse, abs=1e-12)
    assert result.model.hyperparameters["trees"] == chosen["trees"]


def test_plain_forest_gets_an_interval_around_its_mean():
    result = train_model(make_rows(), TrainSettings(forest=replace(SMALL, method="rf")))
    assert not result.model.forest.has_distribution
    lower, upper = result.station.bounds(0.9)
    np.testing.assert_allclose(upper - result.station.mean, result.station.mean - lower, atol=1e-12)


def test_model_remembers_what_it_was_trained_on():
    rows = make_rows()
    info = {"sand": ("soil", "%")}
    model = train_model(rows, TrainSettings(forest=SMALL, covariate_info=info)).model
    sand = model.covariates[0]
    assert (sand.name, sand.group, sand.units) == ("sand", "soil", "%")
    assert sand.minimum == rows.X[:, 0].min()
    assert sand.maximum == rows.X[:, 0].max()
    assert model.period == ("2021-04-01", "2021-04-12")
    step = model.provenance["steps"][0]
    assert (step["rows"], step["stations"], step["networks"]) == (288, 24, ["n0", "n1", "n2", "n3"])


def test_one_station_is_refused():
    with pytest.raises(InputError, match=r"1 station"):
        train_model(make_rows().take(np.arange(12)), TrainSettings(forest=SMALL))


def test_one_fold_is_refused():
    with pytest.raises(InputError, match=r"FOLDS is 1\. Give at least two folds"):
        train_model(make_rows(), TrainSettings(forest=SMALL, folds=1))


def test_a_cancelled_run_raises():
    class Stopped(Progress):
        @property
        def cancelled(self):
            return True

    with pytest.raises(Cancelled):
        train_model(make_rows(), TrainSettings(forest=SMALL), Stopped())


def test_bounds_are_the_columns_of_their_level():
    low, high = bound_columns(0.9)
    assert (TAUS[low], TAUS[high]) == (0.05, 0.95)
