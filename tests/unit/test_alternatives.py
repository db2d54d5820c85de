"""Alternatives to spiking: bias correction and residual forest on laws that are known."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.evaluation.reports.alternatives_section_report import (
    correction_metrics,
    correction_report,
    correction_verdict,
)
from soil_moisture_mapper.plugin.core.evaluation.reports.spiking_report import spiking_report
from soil_moisture_mapper.plugin.core.models.alternatives import (
    compare_alternatives,
    corrected_margins,
    estimate_shift,
    shift_forest,
)
from soil_moisture_mapper.plugin.core.models.alternatives_model import correct_bias
from soil_moisture_mapper.plugin.core.models.calibration import (
    TAUS,
    combine,
    local_margins,
)
from soil_moisture_mapper.plugin.core.models.distribution import predict_forest
from soil_moisture_mapper.plugin.core.models.heldout import ForestSettings, HeldOut, predict_rows
from soil_moisture_mapper.plugin.core.models.modelfile import load_model, save_model
from soil_moisture_mapper.plugin.core.models.record import predict_model
from soil_moisture_mapper.plugin.core.models.spiking import SpikeSettings, spike_model
from soil_moisture_mapper.plugin.core.models.training import TrainSettings, train_model
from soil_moisture_mapper.plugin.core.progress import RecordingProgress
from soil_moisture_mapper.plugin.core.stations.rows import training_rows
from soil_moisture_mapper.plugin.core.stations.table import Table

FOREST = ForestSettings(trees=6, min_leaf=3, max_features=0.5)
DAYS = 8


def make_rows(prefix, stations, law=None, seed=0, depth=0.05):
    """Return rows of moisture by wetness and sand, changed by `law` of both."""
    random = np.random.default_rng(seed)
    n = stations * DAYS
    wetness = random.uniform(-1, 1, size=n)
    sand = np.repeat(random.uniform(-1, 1, size=stations), DAYS)
    moisture = 0.25 + 0.06 * wetness - 0.03 * sand + random.normal(scale=0.005, size=n)
    if law is not None:
        moisture = moisture + law(wetness, sand)
    names = [f"{prefix}{i:02d}" for i in range(stations)]
    return training_rows(
        Table(
            {
                "station": np.repeat(names, DAYS).astype(object),
                "network": np.repeat([f"{prefix}{i % 3}" for i in range(stations)], DAYS),
                "date": np.tile(np.datetime64("2021-05-01") + np.arange(DAYS), stations),
                "moisture": moisture,
                "wetness": wetness,
                "sand": sand,
                "depth_from": np.zeros(n),
                "depth_to": np.full(n, depth),
            }
        ),
        covariates=["wetness", "sand"],
        min_stations=1,
    )


@lru_cache(maxsize=1)
def base():
    return train_model(make_rows("g", 24), TrainSettings(forest=FOREST)).model


def constant(wetness, sand):
    return 0.08


def by_wetness(wetness, sand):
    return np.where(wetness > 0, 0.08, -0.08)


def held_with(residuals, sd=0.0):
    """Return predictions of 0.3 with the residuals given by station, two rows each."""
    rows = make_rows("p", len(residuals)).take(
        np.concatenate([[i * DAYS, i * DAYS + 1] for i in range(len(residuals))])
    )
    y = 0.3 + np.repeat(np.asarray(residuals, float), 2)
    mean = np.full(len(y), 0.3)
    raw = np.repeat(mean[:, None], len(TAUS), axis=1)
    return HeldOut(replace(rows, y=y), mean, np.full(len(y), sd), raw)


def predicted(rows):
    return predict_rows(base().forest, rows)


def rmse(held):
    return float(np.sqrt(np.mean((held.mean - held.rows.y) ** 2)))


def bias(held):
    return float(np.mean(held.mean - held.rows.y))


def test_shift_is_what_empirical_bayes_says():
    # mean 0.04; (0.02² + 0.02² + 0.03²) / 3 = variance of a station mean; V a third of it
    found = estimate_shift(held_with([0.02, 0.04, 0.06], sd=0.03))
    squared_error = (0.02**2 + 0.02**2 + 0.03**2) / 9
    factor = 1 - squared_error / 0.04**2
    assert found.mean == pytest.approx(0.04)
    assert found.error == pytest.approx(np.sqrt(squared_error))
    assert found.factor == pytest.approx(factor)
    assert found.value == pytest.approx(0.04 * factor)
    assert found.stations == 3


def test_a_single_station_is_believed_as_far_as_the_model_doubts_itself():
    assert estimate_shift(held_with([0.1], sd=0.05)).factor == pytest.approx(1 - 0.25)
    assert estimate_shift(held_with([0.04], sd=0.05)).value == 0.0


@settings(max_examples=60, deadline=None)
@given(
    some.lists(some.floats(-0.2, 0.2), min_size=1, max_size=12),
    some.floats(0, 0.1),
)
def test_shift_never_exceeds_the_mean_nor_turns_it(residuals, sd):
    found = estimate_shift(held_with(residuals, sd))
    assert 0 <= found.factor <= 1
    assert abs(found.value) <= abs(found.mean)
    assert found.value * found.mean >= 0


def test_more_stations_of_the_same_spread_keep_more_of_the_mean():
    few = estimate_shift(held_with([0.0, 0.05] * 2, sd=0.03))
    many = estimate_shift(held_with([0.0, 0.05] * 6, sd=0.03))
    assert few.mean == pytest.approx(many.mean)
    assert few.factor < many.factor < 1


def test_days_of_a_station_do_not_outvote_other_stations():
    held = held_with([0.1, 0.0])
    often = held.take(np.array([0, 1, 0, 1, 0, 1, 2, 3]))
    assert estimate_shift(often).value == pytest.approx(estimate_shift(held).value)


def test_a_constant_bias_is_taken_off_at_unseen_stations():
    before = predicted(make_rows("p", 8, constant, seed=1))
    judges = predicted(make_rows("v", 12, constant, seed=2))
    found, residual = compare_alternatives(before, base().calibration, validation=judges, seed=1)
    assert bias(judges) == pytest.approx(-0.08, abs=0.01)
    assert found.shift.value == pytest.approx(0.08, abs=0.01)
    assert abs(bias(found.validate)) < 0.01
    assert abs(bias(found.loso)) < 0.01
    assert rmse(found.validate) < rmse(judges) / 3
    assert rmse(found.validate) <= rmse(residual.validate) + 0.002
    assert residual.shift is None


def test_no_bias_is_not_corrected_away_by_chance():
    shifts = [
        abs(estimate_shift(predicted(make_rows("p", 5, seed=seed))).value) for seed in range(12)
    ]
    means = [
        abs(estimate_shift(predicted(make_rows("p", 5, seed=seed))).mean) for seed in range(12)
    ]
    assert np.mean(shifts) < 0.6 * np.mean(means)


def test_a_bias_that_follows_a_covariate_needs_the_residual_forest():
    before = predicted(make_rows("p", 8, by_wetness, seed=3))
    judges = predicted(make_rows("v", 12, by_wetness, seed=4))
    shift, residual = compare_alternatives(before, base().calibration, validation=judges, seed=1)
    assert residual.min_leaf == 2 * DAYS
    for old, constant_one, forest_one in (
        (before, shift.loso, residual.loso),
        (judges, shift.validate, residual.validate),
    ):
        assert rmse(old) == pytest.approx(0.08, abs=0.02)
        assert rmse(constant_one) > 0.8 * rmse(old)
        assert rmse(forest_one) < 0.6 * rmse(old)


def test_a_station_left_out_has_no_part_in_its_correction():
    before = predicted(make_rows("p", 6, constant, seed=1))
    out = before.rows.station == "p02"
    spoilt = before.rows.y.copy()
    spoilt[out] += 0.2
    changed = replace(before, rows=replace(before.rows, y=spoilt))
    for one, other in zip(
        compare_alternatives(before, base().calibration),
        compare_alternatives(changed, base().calibration),
    ):
        np.testing.assert_array_equal(one.loso.mean[out], other.loso.mean[out])
        np.testing.assert_array_equal(one.loso.raw[out], other.loso.raw[out])
        assert (one.loso.mean[~out] != other.loso.mean[~out]).any()


def test_margins_are_the_larger_of_base_and_local():
    before = predicted(make_rows("p", 8, by_wetness, seed=3))
    calibration = base().calibration
    for one in compare_alternatives(before, calibration):
        local = local_margins(*one.loso.margin_input())
        assert one.margins == combine(calibration.network, local)
        assert corrected_margins(None, one.loso) == local
    low, high = compare_alternatives(before, calibration)[0].loso.bounds(0.9)
    inside = np.mean((low <= before.rows.y) & (before.rows.y <= high))
    assert inside > 0.85


def test_below_four_stations_nothing_is_left_out_and_the_margins_are_those_of_a_new_field():
    found = compare_alternatives(predicted(make_rows("p", 3, constant, seed=1)), base().calibration)
    for one in found:
        assert one.loso is None
        assert one.margins == base().calibration.network
        assert one.validate is None


@pytest.mark.parametrize("shift", [-0.05, 0.03])
def test_a_shifted_forest_predicts_so_much_more(shift):
    rows = make_rows("v", 4, seed=5)
    levels = (0.05, 0.5, 0.95)
    old = predict_forest(base().forest, rows.X, levels)
    new = predict_forest(shift_forest(base().forest, shift), rows.X, levels)
    np.testing.assert_allclose(new.mean, old.mean + shift, atol=1e-12)
    np.testing.assert_allclose(new.quantiles, old.quantiles + shift, atol=1e-12)
    np.testing.assert_allclose(new.sd, old.sd, atol=1e-12)


def test_a_shifted_forest_stays_within_0_and_1():
    rows = make_rows("v", 4, seed=5)
    for shift, limit in ((-0.9, 0.0), (0.9, 1.0)):
        found = predict_forest(shift_forest(base().forest, shift), rows.X, (0.05, 0.95))
        assert (found.mean == limit).all()
        assert (found.quantiles == limit).all()


def test_a_corrected_model_is_saved_and_predicts_as_judged(tmp_path):
    bare = replace(base(), training=None)
    spikes = make_rows("p", 8, constant, seed=1)
    judges = make_rows("v", 6, constant, seed=2)
    heard = RecordingProgress()
    result = correct_bias(bare, spikes, SpikeSettings(), validation=judges, progress=heard)
    save_model(result.model, tmp_path / "field.smm")
    model = load_model(tmp_path / "field.smm")
    found = predict_model(model, judges.X, TAUS)
    np.testing.assert_allclose(found.mean, result.bias.validate.mean, atol=1e-12)
    np.testing.assert_allclose(found.quantiles, result.bias.validate.calibrated, atol=1e-12)
    assert (model.kind, model.training) == ("spiked", None)
    assert model.calibration.applied == "spiked"
    assert model.calibration.network == base().calibration.network
    assert model.spike_dates == tuple(f"2021-05-{day:02d}" for day in range(1, 9))
    assert model.hyperparameters["correction"] == "bias"
    assert model.hyperparameters["shift"] == pytest.approx(result.shift.value)
    assert model.provenance["steps"][-1]["method"] == "bias correction"
    assert any("cannot be told whether it has seen" in text for text in heard.warnings)
    with pytest.raises(InputError, match="spiked already"):
        correct_bias(model, spikes, SpikeSettings())
    with pytest.raises(InputError, match="Give the model from before the correction"):
        model.require_rows("nothing can be compared with them")


def test_local_stations_known_to_the_model_are_left_out_of_it():
    spikes = base().training.take(np.isin(base().training.station.astype(str), ["g00", "g01"]))
    heard = RecordingProgress()
    result = correct_bias(base(), spikes, SpikeSettings(), progress=heard)
    assert len(result.base.training) == len(base().training) - len(spikes)
    assert "2 local stations are among the training stations" in heard.warnings[0]


def test_another_depth_is_refused():
    bare = replace(base(), training=None)
    deep = replace(make_rows("p", 5, seed=1), depth=(0.3, 0.4))
    with pytest.raises(InputError, match=r"0\.3 to 0\.4 m"):
        correct_bias(bare, deep, SpikeSettings())
    found = correct_bias(bare, deep, SpikeSettings(allow_depth_mismatch=True))
    assert found.model.kind == "spiked"


def test_a_base_model_without_calibration_gets_local_margins():
    plain = replace(base(), training=None, calibration=None)
    result = correct_bias(plain, make_rows("p", 6, constant, seed=1), SpikeSettings())
    assert result.model.calibration.station is None
    assert result.model.calibration.margins.stations == 6
    few = correct_bias(plain, make_rows("p", 3, constant, seed=1), SpikeSettings())
    assert few.model.calibration is None


def test_reports_show_the_alternatives(tmp_path):
    spikes = make_rows("p", 6, constant, seed=1)
    judges = make_rows("v", 5, constant, seed=2)
    corrected = correct_bias(base(), spikes, SpikeSettings(), validation=judges)
    rows = correction_metrics(corrected)
    assert [row["source"] for row in rows if row["scope"] == "overall"] == ["before", "after"]
    assert [row["source"] for row in rows if row["scope"] == "spike_loso"] == ["before", "after"]
    correction_report(corrected, tmp_path / "bias.html", warnings=["Take care."])
    page = (tmp_path / "bias.html").read_text(encoding="utf-8")
    assert "The bias correction helps here" in page
    assert "residual forest" in page
    assert "Take care." in page
    result = spike_model(base(), spikes, SpikeSettings(weight=3.0), validation=judges)
    found = compare_alternatives(
        result.loso_before, base().calibration, validation=result.validate_before
    )
    spiking_report(result, tmp_path / "spiking.html", alternatives=found)
    page = (tmp_path / "spiking.html").read_text(encoding="utf-8")
    assert page.count('<td class="text">bias correction</td>') == 2
    assert page.count('<td class="text">residual forest</td>') == 2
    few = correct_bias(base(), make_rows("p", 2, constant, seed=1), SpikeSettings())
    correction_report(few, tmp_path / "few.html")
    assert "cannot be told" in (tmp_path / "few.html").read_text(encoding="utf-8")


def test_the_verdict_of_a_correction_is_text_too():
    (said, shift), kind = correction_verdict(
        correct_bias(base(), make_rows("p", 6, constant, seed=1), SpikeSettings())
    )
    assert said.startswith("The bias correction helps here: at the 6 spike stations")
    assert shift.startswith("Bias correction: at 6 spike stations") and kind == "good"
