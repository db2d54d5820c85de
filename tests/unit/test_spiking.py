"""Spiking: weights, the one-standard-error rule, verdicts, intervals and refusals."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.models.calibration import (
    combine,
    local_margins,
    station_margins,
)
from soil_moisture_mapper.plugin.core.models.heldout import ForestSettings
from soil_moisture_mapper.plugin.core.models.spiking import SpikeSettings, spike_model
from soil_moisture_mapper.plugin.core.models.training import TrainSettings, train_model
from soil_moisture_mapper.plugin.core.models.verdict import (
    Verdict,
    choose_candidate,
    judge,
    paired_t,
)
from soil_moisture_mapper.plugin.core.progress import RecordingProgress
from soil_moisture_mapper.plugin.core.stations.rows import concat, training_rows
from soil_moisture_mapper.plugin.core.stations.table import Table

SETTINGS = TrainSettings(forest=ForestSettings(trees=15, min_leaf=3, max_features=0.5))


def make_rows(prefix, stations, network, offset=0.0, depth=(0.0, 0.05), days=8, seed=0):
    random = np.random.default_rng(seed)
    n = stations * days
    wetness = random.normal(size=n)
    sand = np.repeat(random.normal(size=stations), days)
    moisture = 0.25 + offset + 0.04 * wetness - 0.03 * sand + random.normal(scale=0.01, size=n)
    place = np.repeat(np.arange(stations), days) * 10.0
    columns = {
        "station": np.repeat([f"{prefix}{i:02d}" for i in range(stations)], days).astype(object),
        "network": np.repeat([f"{network}{i % 3}" for i in range(stations)], days).astype(object),
        "date": np.tile(np.datetime64("2021-05-01") + np.arange(days), stations),
        "moisture": np.clip(moisture, 0.01, 0.7),
        "wetness": wetness,
        "sand": sand,
        "depth_from": np.full(n, depth[0]),
        "depth_to": np.full(n, depth[1]),
    }
    table = Table(columns, place, place, "EPSG:32633")
    return training_rows(table, covariates=["wetness", "sand"], min_stations=1)


@lru_cache(maxsize=1)
def base():
    return train_model(make_rows("g", 18, "n"), SETTINGS).model


@lru_cache(maxsize=1)
def spiked():
    local = make_rows("p", 8, "field", offset=0.1, seed=1)
    validation = make_rows("v", 10, "field", offset=0.1, seed=2)
    return spike_model(base(), local, SpikeSettings(), validation=validation)


def mean_error(held):
    return float((held.mean - held.rows.y).mean())


def test_spiking_mends_a_bias_on_stations_it_has_not_seen():
    result = spiked()
    assert mean_error(result.validate_before) < -0.07
    assert abs(mean_error(result.validate_after)) < 0.6 * abs(mean_error(result.validate_before))
    assert result.verdict.spiking == "helps"


def test_weight_gives_local_rows_the_chosen_share():
    result = spiked()
    chosen = next(c for c in result.candidates if c.chosen)
    local, world = 8 * 8, 18 * 8
    expected = max(1.0, chosen.share / (1 - chosen.share) * world / local)
    assert result.weight == pytest.approx(expected)
    assert result.model.training.weight[result.model.local] == pytest.approx(expected)
    assert (result.model.training.weight[~result.model.local] == 1).all()


def test_leave_one_out_uses_no_row_of_the_station():
    result = spiked()
    name = "p03"
    share = next(c.share for c in result.candidates if c.chosen)
    rest = result.spikes.take(result.spikes.station != name)
    weight = max(1.0, share / (1 - share) * 144 / len(rest))
    joined = concat(base().training, replace(rest, weight=rest.weight * weight))
    forest = SETTINGS.forest.grow(joined)
    out = result.loso_after.rows.station == name
    from soil_moisture_mapper.plugin.core.models.distribution import predict_forest

    expected = predict_forest(forest, result.loso_after.rows.X[out]).mean
    np.testing.assert_allclose(result.loso_after.mean[out], expected, atol=1e-12)


def test_spiked_margins_are_the_larger_of_all_and_local():
    result = spiked()
    spread, after = result.spread, result.loso_after
    lower, upper, y, station = (
        np.concatenate([a, b]) for a, b in zip(spread.margin_input(), after.margin_input())
    )
    expected = combine(
        station_margins(lower, upper, y, station), local_margins(*after.margin_input())
    )
    assert result.model.calibration.applied == "spiked"
    assert result.model.calibration.spiked.values == pytest.approx(expected.values)
    assert min(expected.values) >= 0


def test_model_keeps_dates_rows_and_both_margins():
    model = spiked().model
    assert model.kind == "spiked"
    assert model.spike_dates == tuple(f"2021-05-{day:02d}" for day in range(1, 9))
    assert model.local.sum() == 64
    assert model.calibration.network == base().calibration.network
    assert [step["algorithm"] for step in model.provenance["steps"]] == ["trainmodel", "spikemodel"]


def test_a_given_weight_is_used_and_not_searched():
    result = spike_model(base(), make_rows("p", 5, "f", 0.1), SpikeSettings(weight=3.5))
    assert result.weight == 3.5
    assert not result.candidates
    assert result.verdict is not None


def test_below_four_stations_nothing_is_learned():
    progress = RecordingProgress()
    result = spike_model(base(), make_rows("p", 3, "f", 0.1), SpikeSettings(), progress=progress)
    assert result.weight == 1
    assert result.verdict is None
    assert result.loso_after is None
    assert result.model.calibration.margins == base().calibration.network
    assert "no weight can be learned" in progress.warnings[0]


def test_row_order_changes_nothing():
    local = make_rows("p", 5, "f", 0.1)
    one = spike_model(base(), local, SpikeSettings())
    two = spike_model(base(), local, SpikeSettings(threads=1))
    np.testing.assert_array_equal(one.model.forest.value, two.model.forest.value)
    assert one.model.calibration == two.model.calibration


def test_local_stations_of_the_base_model_are_left_out_of_it():
    known = make_rows("g", 18, "n").take(np.arange(6 * 8))
    progress = RecordingProgress()
    result = spike_model(base(), known, SpikeSettings(weight=1), progress=progress)
    assert "6 local stations are among the training stations" in progress.warnings[0]
    assert len(result.model.training) == 18 * 8
    assert not set(result.spread.rows.station) & set(known.station)


def test_another_depth_is_refused_with_both_ranges():
    deep = make_rows("p", 5, "f", depth=(0.3, 0.3))
    with pytest.raises(InputError, match=r"from 0\.3 to 0\.3 m.* on 0 to 0\.05 m"):
        spike_model(base(), deep, SpikeSettings())
    progress = RecordingProgress()
    spike_model(base(), deep, SpikeSettings(weight=1, allow_depth_mismatch=True), progress=progress)
    assert "0.3" in progress.warnings[0]


def test_a_model_that_does_not_state_its_forest_is_not_refitted():
    model = base()
    unknown = {k: v for k, v in model.hyperparameters.items() if k != "min_leaf"}
    with pytest.raises(InputError, match="does not state min_leaf of its forest"):
        spike_model(
            replace(model, hyperparameters=unknown), make_rows("p", 5, "f"), SpikeSettings()
        )


def test_a_spiked_model_is_not_spiked_again():
    with pytest.raises(InputError, match="spiked already"):
        spike_model(spiked().model, make_rows("q", 5, "f"), SpikeSettings())


def test_a_model_without_rows_names_the_cure():
    with pytest.raises(InputError, match="EMBED_TRAINING"):
        spike_model(replace(base(), training=None), make_rows("q", 5, "f"), SpikeSettings())


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_impossible_weights_are_refused(weight):
    with pytest.raises(InputError, match="WEIGHT is"):
        spike_model(base(), make_rows("q", 5, "f"), SpikeSettings(weight=weight))


def test_one_standard_error_rule():
    """Worked by hand: excess of pooled over the best (0.5): mean 1, sd √(2/3·…) = 1, /√4 = 0.5."""
    best = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}
    pooled = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 2.0}  # excess 0 1 2 1: mean 1, se 0.408
    quarter = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 2.0}  # excess 0 0 0 1: mean .25, se .25
    candidates = choose_candidate([0, 0.25, 0.5], [1, 2, 3], [pooled, quarter, best])
    assert [c.chosen for c in candidates] == [False, True, False]
    assert candidates[0].excess == 1
    assert candidates[0].standard_error == pytest.approx(np.sqrt(2 / 3) / 2)
    assert candidates[1].standard_error == pytest.approx(0.25)


def test_pooled_is_chosen_when_it_is_the_best():
    errors = [{"a": 1.0, "b": 1.0}, {"a": 2.0, "b": 3.0}]
    assert [c.chosen for c in choose_candidate([0, 0.5], [1, 2], errors)] == [True, False]


@pytest.mark.parametrize(
    ("t", "words"), [(2.1, "helps"), (2.0, "probably"), (1.0, "probably"), (0.99, "not shown")]
)
def test_verdict_words(t, words):
    assert Verdict(8, t, float("nan")).spiking == words


def test_local_is_not_judged_below_six_stations():
    names = "abcde"
    one = dict.fromkeys(names, 1.0)
    less = {name: 0.1 * i for i, name in enumerate(names)}
    assert np.isnan(judge(one, one, less).against_local)
    assert not judge(one, one, less).local_may_do_better


def test_paired_t_is_that_of_scipy():
    from scipy.stats import ttest_1samp

    values = np.array([0.2, -0.1, 0.4, 0.05, 0.3])
    assert paired_t(values) == pytest.approx(ttest_1samp(values, 0).statistic)
    assert paired_t(np.zeros(4)) == 0
