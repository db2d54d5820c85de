"""The learning curve: draws, designs, scores and how many stations are enough."""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError
from soil_moisture_mapper.plugin.core.evaluation.metrics import score
from soil_moisture_mapper.plugin.core.evaluation.reports.learning_curve_report import (
    enough_text,
    learning_curve_report,
)
from soil_moisture_mapper.plugin.core.models.heldout import ForestSettings, predict_rows
from soil_moisture_mapper.plugin.core.models.learning_curve import (
    CurveSettings,
    fits_at_most,
    learning_curve,
    parse_counts,
)
from soil_moisture_mapper.plugin.core.models.learning_curve_scores import (
    CurveRow,
    count_enough,
    curve_row,
    values_of,
    write_curve,
)
from soil_moisture_mapper.plugin.core.models.training import TrainSettings, train_model
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress
from soil_moisture_mapper.plugin.core.stations.rows import concat, training_rows
from soil_moisture_mapper.plugin.core.stations.table import Table

QUICK = CurveSettings(counts=(1, 2, 5), draws=2, trees=4, weight=5.0)
DESIGNS = ("random", "stratified", "coverage")


def make_table(prefix, stations, offset, days=6, seed=0):
    random = np.random.default_rng(seed)
    n = stations * days
    wetness = random.normal(size=n)
    sand = np.repeat(random.normal(size=stations), days)
    noise = random.normal(scale=0.01, size=n)
    columns = {
        "station": np.repeat([f"{prefix}{i:02d}" for i in range(stations)], days).astype(object),
        "network": np.repeat([f"{prefix}{i % 3}" for i in range(stations)], days).astype(object),
        "date": np.tile(np.datetime64("2021-05-01") + np.arange(days), stations),
        "moisture": np.clip(0.25 + offset + 0.04 * wetness - 0.03 * sand + noise, 0.01, 0.7),
        "wetness": wetness,
        "sand": sand,
    }
    return Table(columns)


def rows_from(table):
    return training_rows(table, covariates=["wetness", "sand"], min_stations=1)


@lru_cache(maxsize=1)
def base():
    forest = ForestSettings(trees=8, min_leaf=3, max_features=0.5)
    return train_model(rows_from(make_table("g", 15, 0.0)), TrainSettings(forest=forest)).model


@lru_cache(maxsize=1)
def local():
    return rows_from(make_table("p", 16, 0.1, seed=1))


def strata():
    return {str(name): "wet" if int(name[1:]) < 12 else "dry" for name in local().station}


@lru_cache(maxsize=1)
def curve():
    return learning_curve(base(), local(), replace(QUICK, designs=DESIGNS), strata=strata())


def test_every_design_count_and_draw_is_scored_at_the_same_unseen_stations():
    found = curve()
    keys = [(r.design, r.count, r.draw, r.model) for r in found.rows]
    expected = {("", 0, draw, "global") for draw in (1, 2)} | {
        (design, count, draw, model)
        for design in DESIGNS
        for count in (1, 2, 5)
        for draw in (1, 2)
        for model in ("local", "spiked")
    }
    assert len(keys) == len(expected)
    assert set(keys) == expected
    for row in found.rows:
        test = found.test_stations[row.draw - 1]
        assert (len(test), row.stations, row.n) == (6, 6, 36)  # 0.4 × 16 = 6.4
        assert not set(row.spikes) & set(test)
        assert len(row.spikes) == row.count
    assert found.test_stations[0] != found.test_stations[1]


@pytest.mark.parametrize("design", ["random", "stratified"])
def test_random_and_stratified_choices_are_nested(design):
    for draw in (1, 2):
        chosen = {
            r.count: set(r.spikes) for r in curve().rows if r.design == design and r.draw == draw
        }
        assert chosen[1] < chosen[2] < chosen[5]


def test_stratified_choices_keep_the_shares_of_the_strata():
    found = curve()
    for draw in (1, 2):
        pool = set(strata()) - set(found.test_stations[draw - 1])
        share = sum(strata()[name] == "wet" for name in pool) / len(pool)
        row = next(r for r in found.rows if (r.design, r.count, r.draw) == ("stratified", 5, draw))
        wet = sum(strata()[name] == "wet" for name in row.spikes)
        assert abs(wet - 5 * share) < 1


def test_more_stations_mend_a_bias():
    rows = curve().rows
    for design in DESIGNS:
        errors = [values_of(rows, "abs_me", "spiked", design, k).mean() for k in (1, 2, 5)]
        assert errors[0] > errors[1] > errors[2]
    assert values_of(rows, "me", "global") == pytest.approx([-0.1, -0.1], abs=0.03)


def test_global_scores_are_those_of_the_metrics_table():
    found = curve()
    test = np.isin(local().station.astype(str), found.test_stations[0])
    trees = ForestSettings(trees=4, min_leaf=3, max_features=0.5, seed=42)
    held = predict_rows(trees.grow(base().training), local().take(test))
    held = held.with_margins(base().calibration.margins)
    low, high = held.bounds(0.9)
    expected = score(held.rows.y, held.mean, lower=low, upper=high)
    row = next(r for r in found.rows if r.model == "global" and r.draw == 1)
    for name in ("rmse", "me", "ubrmse", "picp90", "width90", "interval_score90"):
        assert getattr(row, name) == pytest.approx(expected[name], abs=1e-12), name


def test_local_intervals_need_four_stations():
    for row in curve().rows:
        if row.model == "local":
            assert np.isfinite(row.picp90) == (row.count >= 4)


def test_order_of_rows_does_not_matter():
    table = make_table("p", 16, 0.1, seed=1)
    turned = rows_from(table.take(np.random.default_rng(3).permutation(len(table))))
    quick = replace(QUICK, counts=(2,), draws=1, designs=("random", "lhs"))
    one = learning_curve(base(), local(), quick).rows
    other = learning_curve(base(), turned, quick).rows
    assert repr(one) == repr(other)  # NaN included


def test_local_stations_are_left_out_of_the_model():
    both = train_model(
        concat(base().training, local()),
        TrainSettings(forest=ForestSettings(trees=8, min_leaf=3, max_features=0.5)),
    ).model
    heard = RecordingProgress()
    quick = replace(QUICK, counts=(1,), draws=1, designs=("random",))
    found = learning_curve(both, local(), quick, progress=heard)
    assert values_of(found.rows, "me", "global")[0] == pytest.approx(-0.1, abs=0.03)
    assert len(heard.warnings) == 1
    assert "16 local stations are among the training stations" in heard.warnings[0]


def test_counts_too_large_are_left_out_and_zero_doubles():
    heard = RecordingProgress()
    quick = replace(QUICK, counts=(1, 11, 30), draws=1, designs=("random",))
    found = learning_curve(base(), local(), quick, progress=heard)
    assert found.settings.counts == (1,)
    assert heard.warnings == ["Counts left out: 11, 30. Of 16 stations 10 are not held out."]
    few = local().take(np.isin(local().station.astype(str), ["p00", "p01", "p02", "p03"]))
    found = learning_curve(base(), few, replace(quick, counts=()))
    assert found.settings.counts == (1, 2)  # 0.4 × 4 = 1.6 → 2 held out


def test_fits_are_counted():
    # below 4 stations 2 each; 4: 4 shares × 4 + 4 local + 5 folds + 2 = 27
    settings = CurveSettings(counts=(1, 2, 4), designs=("random", "lhs"), draws=3)
    assert fits_at_most(settings) == 3 * 2 * (2 + 2 + 27)
    assert fits_at_most(replace(settings, weight=2.0)) == 3 * 2 * (2 + 2 + 15)


def test_counts_are_parsed():
    assert parse_counts("1;2, 4 8") == (1, 2, 4, 8)
    assert parse_counts("0") == parse_counts("") == ()
    with pytest.raises(InputError, match=r"COUNTS holds '2\.5'.*whole number"):
        parse_counts("1;2.5")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": (11,)}, "COUNTS is 11, but of 16 stations 10 are not held out"),
        ({"test_share": 1.0}, "TEST_SHARE is 1"),
        ({"designs": ("stratified",)}, "needs a field"),
        ({"designs": ("grid",)}, "DESIGNS is 'grid'"),
        ({"designs": ()}, "DESIGNS is ''"),
    ],
)
def test_settings_that_cannot_be_tried_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        learning_curve(base(), local(), replace(QUICK, **changes))


def test_one_station_and_a_model_without_rows_are_refused():
    with pytest.raises(InputError, match="has 1 station with complete rows"):
        learning_curve(base(), local().take(local().station == "p00"), QUICK)
    with pytest.raises(InputError, match="EMBED_TRAINING"):
        learning_curve(replace(base(), training=None), local(), QUICK)


def test_a_run_can_be_cancelled():
    class Impatient(Progress):
        asked = 0

        @property
        def cancelled(self):
            self.asked += 1
            return self.asked > 30

    with pytest.raises(Cancelled):
        learning_curve(base(), local(), QUICK, progress=Impatient())


def made_rows(rmse_by_count):
    return [
        CurveRow(
            design="random" if count else "",
            count=count,
            draw=draw + 1,
            model="spiked" if count else "global",
            n=9,
            stations=3,
            rmse=value,
            me=0.0,
            abs_me=0.0,
            ubrmse=value,
            picp90=0.9,
            width90=0.1,
            interval_score90=0.2,
            weight=1.0,
            spikes=(),
        )
        for count, values in rmse_by_count.items()
        for draw, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("errors", "count", "stays", "open_ended", "text"),
    [
        ({0: 0.10, 1: 0.08, 2: 0.0515, 4: 0.05, 8: 0.051}, 2, True, False, "2 stations: from"),
        ({0: 0.10, 1: 0.08, 2: 0.07, 4: 0.06, 8: 0.05}, 8, True, True, "still falls"),
        ({0: 0.05, 1: 0.051, 2: 0.05, 4: 0.051, 8: 0.049}, 0, True, False, "no number of stations"),
        ({0: 0.10, 1: 0.08, 2: 0.05, 4: 0.06, 8: 0.07}, 2, False, False, "rises again"),
    ],
)
def test_enough_is_the_count_from_which_on_the_error_stays_near_its_best(
    errors, count, stays, open_ended, text
):
    # a hard draw has twice the error everywhere: paired ratios do not see it
    rows = made_rows({k: (v, 2 * v, v) for k, v in errors.items()})
    found = count_enough(rows, "random", (1, 2, 4, 8), 0.05)
    assert (found.count, found.stays, found.open_ended) == (count, stays, open_ended)
    best = min(errors.values())
    assert found.ratios == pytest.approx({k: v / best for k, v in errors.items()})
    assert text in enough_text(found, 0.05)


def test_station_bias_counts_each_station_alike():
    held = predict_rows(base().forest, local().take(np.arange(9)))  # 6 rows of p00, 3 of p01
    error = held.mean - held.rows.y
    row = curve_row(held, "random", 1, 0, "local", 1.0, ("p05",))
    assert row.abs_me == pytest.approx((abs(error[:6].mean()) + abs(error[6:].mean())) / 2)
    assert np.isnan([row.picp90, row.width90, row.interval_score90, row.weight]).all()


def test_table_and_report(tmp_path):
    found = curve()
    write_curve(found.rows, tmp_path / "curve.csv")
    with (tmp_path / "curve.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == len(found.rows)
    last = lines[-1]
    assert float(last["rmse"]) == pytest.approx(found.rows[-1].rmse)
    assert last["spikes"].split(";") == list(found.rows[-1].spikes)
    assert lines[0]["weight"] == lines[0]["spikes"] == lines[0]["design"] == ""
    learning_curve_report(found, tmp_path / "curve.html", warnings=["Take care."])
    page = (tmp_path / "curve.html").read_text(encoding="utf-8")
    assert "How many probes are enough?" in page
    assert "Designs against random" in page
    assert "Take care." in page
    assert page.count("<svg") == 0  # pictures are embedded as images
    assert page.count("data:image/svg+xml;base64,") == 2
    assert "<script" not in page
