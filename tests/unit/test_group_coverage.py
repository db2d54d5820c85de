"""Intervals by network, season and class: counted by hand, judged, and told in words."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from rasterio.crs import CRS
from scipy.stats import binom
from soil_moisture_mapper.plugin.core.evaluation.bootstrap import (
    difference_interval,
    score_intervals,
    share_intervals,
)
from soil_moisture_mapper.plugin.core.evaluation.group_coverage import (
    DRAWN_ROWS,
    MARK,
    group_coverage,
)
from soil_moisture_mapper.plugin.core.evaluation.groups import groupings
from soil_moisture_mapper.plugin.core.evaluation.reports.baseline_section import compare_groups
from soil_moisture_mapper.plugin.core.evaluation.reports.coverage_figures import (
    Panel,
    coverage_panels,
)
from soil_moisture_mapper.plugin.core.evaluation.reports.group_coverage_section import (
    group_coverage_part,
    sentence,
    shortfall,
)
from soil_moisture_mapper.plugin.core.models.calibration import LEVELS, TAUS
from soil_moisture_mapper.plugin.core.models.heldout import HeldOut
from soil_moisture_mapper.plugin.core.stations.rows import training_rows
from soil_moisture_mapper.plugin.core.stations.table import Table

DAYS = 24
UTM = CRS.from_epsg(32633).to_wkt()


def make_rows(stations=20, days=DAYS):
    """Half the stations stand in cropland; half the days are in spring, half in summer."""
    n = stations * days
    half = days // 2
    first = np.datetime64("2021-05-31") - np.arange(half)[::-1]
    columns = {
        "station": np.repeat([f"s{i:02d}" for i in range(stations)], days).astype(object),
        "network": np.repeat(["one"], n).astype(object),
        "cover": np.repeat(["cropland" if i % 2 else "forest" for i in range(stations)], days),
        "date": np.tile(np.concatenate([first, first + half]), stations),
        "moisture": np.full(n, 0.3),
        "wet": np.arange(n, dtype=float),
    }
    table = Table(columns, np.full(n, 5e5), np.full(n, 5e6), UTM)
    return training_rows(table, covariates=["wet"], groups=["cover"], min_stations=1)


def make_held(rows, outside, *, half=0.05, far=0.02, calibrated=True):
    """Return intervals of width 2 · `half` at 90 % that miss the rows of `outside` by `far`.

    The interval of level c reaches half · c / 0.9 to either side of the reading, or of a point
    `half` + `far` away from it.
    """
    centre = rows.y + np.where(outside, half + far, 0.0)
    quantiles = centre[:, None] + half * 2 * (np.asarray(TAUS) - 0.5) / 0.9
    narrow = centre[:, None] + 0.5 * half * 2 * (np.asarray(TAUS) - 0.5) / 0.9
    n = len(rows)
    return HeldOut(rows, centre, np.zeros(n), narrow, quantiles if calibrated else None)


def every(rows, k, place=0):
    """Return which rows are each station's every k-th."""
    return np.arange(len(rows)) % k == place


def test_groups_are_those_that_part_the_rows():
    found = dict(groupings(make_rows()))
    assert list(found) == ["season", "cover"]  # one network only tells nothing
    assert [group.name for group in found["season"]] == ["MAM", "JJA"]
    assert [group.place for group in found["season"]] == ["In March–May", "In June–August"]
    assert [group.place for group in found["cover"]] == [
        "Where cover is cropland",
        "Where cover is forest",
    ]
    assert [int(group.rows.sum()) for group in found["cover"]] == [240, 240]


def test_the_network_named_as_a_class_is_one_group_only():
    rows = make_rows()
    halves = np.where(every(rows, 2), "N", "S").astype(object)
    rows = replace(rows, network=halves, classes={"network": halves, **rows.classes})
    assert [field for field, _ in groupings(rows)] == ["network", "season", "cover"]


def test_coverage_width_and_score_of_a_group_by_formula():
    rows = make_rows()
    cropland = rows.classes["cover"] == "cropland"
    outside = cropland & every(rows, 4)  # 6 of the 24 readings of each station
    found = group_coverage(make_held(rows, outside, half=0.05, far=0.02))
    crop, forest = found["cover"]
    assert (crop.n, crop.stations) == (240, 10)
    assert crop.held == pytest.approx(0.75)
    assert forest.observed.tolist() == [1.0] * len(LEVELS)
    # the 98 % interval reaches 0.0544 and the 99 % interval 0.055, both less than 0.07
    assert crop.observed.tolist() == [0.75] * len(LEVELS)
    assert crop.width == pytest.approx(0.1)
    assert crop.score == pytest.approx(0.1 + 20 * 0.02 / 4)
    assert forest.score == pytest.approx(0.1)
    # uncalibrated intervals are half as wide and miss by half · 0.5 more
    assert crop.raw_width == pytest.approx(0.05)
    assert crop.raw_score == pytest.approx(0.05 + 20 * 0.045 / 4)
    assert crop.raw[MARK] == pytest.approx(0.75)


def test_a_group_whose_intervals_do_not_hold_is_named():
    rows = make_rows()
    outside = (rows.classes["cover"] == "cropland") & every(rows, 4)
    held = make_held(rows, outside)
    crop, forest = group_coverage(held)["cover"]
    # each station misses alike, so drawing other ones changes nothing
    assert crop.ends == pytest.approx((0.75, 0.75))
    assert (crop.verdict, forest.verdict) == ("short", "holds")
    said = (
        "Where cover is cropland the 90 % interval held 75\u202f% of 240 readings at 10 stations "
        "(95 % bootstrap interval 75–75\u202f%): it does not hold there."
    )
    assert sentence(crop) == said
    html = group_coverage_part(held, "test rows")
    assert "The 90 % interval does not hold in 1 group:" in html
    assert html.count(said) == 2  # in the box, and under the figure
    assert re.search(r'<tr class="marked"><td class="text">cropland</td>', html)
    assert "cover cropland (75\u202f%)" in shortfall(held)
    assert "forest" not in shortfall(held)


def test_where_all_hold_the_report_says_so():
    rows = make_rows()
    held = make_held(rows, every(rows, 12))
    html = group_coverage_part(held, "test rows")
    assert "No season or cover is seen in which the 90 % interval falls short." in html
    assert "does not hold" not in html
    assert shortfall(held) == ""


def test_chance_is_not_called_a_shortfall():
    rows = make_rows()
    crop = rows.classes["cover"] == "cropland"
    # two of ten stations miss all: 80 %, and drawing stations gives Binomial(10, 0.2)/10
    outside = np.isin(rows.station.astype(str), ["s01", "s03"])
    found = group_coverage(make_held(rows, outside))["cover"][0]
    assert found.held == pytest.approx(0.8)
    expected = 1 - binom.ppf([0.975, 0.025], 10, 0.2) / 10
    assert found.ends == pytest.approx(tuple(expected))
    assert found.verdict == "low"
    assert sentence(found).endswith("this may be chance.")
    assert crop.sum() == found.n


def test_few_stations_are_not_judged_and_small_groups_not_drawn():
    rows = make_rows(stations=10, days=4)
    held = make_held(rows, every(rows, 4))
    found = group_coverage(held)["cover"][0]
    assert (found.n, found.stations, found.drawn) == (20, 5, True)
    assert found.n == DRAWN_ROWS
    assert found.ends is None
    assert sentence(found).endswith("at 5 stations: too few stations to tell it from chance.")
    few = make_rows(stations=4, days=10)
    html = group_coverage_part(make_held(few, every(few, 5)), "test rows")
    assert "Not drawn, fewer than 20 readings or 3 stations" in html
    assert "cropland (80\u202f% of 20)" in html


def test_without_calibration_the_forest_intervals_are_shown_and_nothing_without_any():
    rows = make_rows()
    held = make_held(rows, every(rows, 4), calibrated=False)
    found = group_coverage(held)["cover"][0]
    assert found.raw is None
    assert found.width == pytest.approx(0.05)
    assert "Uncalibrated intervals; width" in group_coverage_part(held, "test rows")
    assert group_coverage(held, raw=False) == {}
    assert group_coverage_part(held, "test rows", raw=False) == ""
    assert shortfall(held) == ""
    assert list(group_coverage(held, fields=["cover"])) == ["cover"]


def test_at_most_eight_groups_are_drawn_and_the_rest_named():
    rows = make_rows(stations=60, days=8)
    code = np.array([f"c{int(s[1:]) % 10}" for s in rows.station], dtype=object)
    rows.classes["cover"] = code
    html = group_coverage_part(make_held(rows, every(rows, 4)), "test rows", fields=["cover"])
    assert "The 8 largest are drawn; see the table for c8 and c9." in html


def test_panels_share_their_axes_and_mark_what_does_not_hold():
    levels = np.asarray(LEVELS)
    panels = [
        Panel("a$b", "1 reading", 0.5 * levels, None, np.stack([0.4 * levels, levels]), True),
        *[Panel(f"g{i}", "", levels, 0.9 * levels) for i in range(4)],
    ]
    figure = coverage_panels(panels)
    drawn = [axes for axes in figure.axes if axes.get_visible()]
    assert len(drawn) == 5
    assert {axes.get_ylim() for axes in drawn} == {(16.0, 103.0)}  # the lowest point is 25 %
    assert [text.get_text() for text in drawn[0].texts] == ["90 % held 45 %", "1 reading"]
    assert drawn[0].get_title(loc="left") == r"a\$b"
    assert drawn[0].texts[0].get_color() != drawn[1].texts[0].get_color()


def test_shares_agree_with_the_scores_drawn_from_the_same_stations():
    random = np.random.default_rng(3)
    station = np.repeat(np.arange(12), random.integers(3, 20, 12))
    inside = (random.random((station.size, 2)) < [0.6, 0.9]).astype(float)
    y = random.normal(0.3, 0.05, station.size)
    found = share_intervals(inside, station)
    one = score_intervals(y, y + 0.01, station, inside=inside[:, 1])["picp90"]
    assert found[:, 1] == pytest.approx([one.low, one.high])
    assert (found[0] <= inside.mean(axis=0)).all()
    assert (inside.mean(axis=0) <= found[1]).all()
    assert share_intervals(inside[:4], station[:4]) is None


def test_anomaly_and_interval_score_of_drawn_stations():
    random = np.random.default_rng(5)
    stations, days = 8, 40
    station = np.repeat(np.arange(stations), days)
    date = np.tile(np.datetime64("2021-05-01") + np.arange(days), stations)
    y = 0.3 + random.normal(0, 0.03, station.size)
    far = np.repeat(np.linspace(0.1, 0.2, stations), days)
    found = score_intervals(
        y, 0.5 * y, station, inside=np.ones(station.size), interval=far, date=date
    )
    # half the reading has half the anomaly: r = 1 in every draw
    assert found["anomaly_r"].low == pytest.approx(1.0)
    assert found["anomaly_r"].high == pytest.approx(1.0)
    # the mean of eight drawn of 0.1 … 0.2: sd of one is 0.0327, of the mean 0.0116
    middle = (found["interval_score90"].low + found["interval_score90"].high) / 2
    width = found["interval_score90"].high - found["interval_score90"].low
    assert middle == pytest.approx(0.15, abs=0.003)
    assert width == pytest.approx(2 * 1.96 * np.std(np.linspace(0.1, 0.2, 8)) / 8**0.5, rel=0.1)


def test_difference_of_rmse_of_drawn_stations():
    station = np.repeat([f"s{i}" for i in range(8)], 5)
    signs = np.tile([1.0, -1.0, 1.0, -1.0, 1.0], 8)
    found = difference_interval((0.03 * signs, 0.05 * signs), station)
    # all errors of a side are as large: RMSE 0.03 and 0.05 whatever is drawn
    assert (found.low, found.high) == pytest.approx((-0.02, -0.02))
    assert difference_interval((signs[:25], signs[:25]), station[:25]) is None


def test_model_and_baseline_are_compared_in_each_group():
    rows = make_rows()
    crop = rows.classes["cover"] == "cropland"
    ours = make_held(rows, np.zeros(len(rows), dtype=bool))
    sign = np.where(every(rows, 2), 1.0, -1.0)
    model = HeldOut(rows, rows.y + sign * np.where(crop, 0.06, 0.02), ours.sd, ours.raw)
    other = HeldOut(rows, rows.y + sign * 0.04, ours.sd, ours.raw)
    found = {one.label: one for one in compare_groups(model, other)}
    assert list(found) == ["all rows", "March–May", "June–August", "cover cropland", "cover forest"]
    assert found["cover cropland"].verdict == "baseline"
    assert found["cover forest"].verdict == "model"
    assert found["cover forest"].model["rmse"] == pytest.approx(0.02)
    assert found["cover forest"].difference.high == pytest.approx(-0.02)
    # √((0.06² + 0.02²)/2) = 0.0447 against 0.04: which stations are drawn decides
    assert found["all rows"].verdict == "open"


@pytest.mark.parametrize("stations", [6, 20])
def test_groups_that_hold_are_rarely_called_too_narrow(stations):
    """Coverage of stations spread about 0.9 with an SD of 0.12, 30 readings each."""
    random = np.random.default_rng(0)
    both = 0.9 * 0.1 / 0.12**2 - 1
    station = np.repeat(np.arange(stations), 30)
    short = 0
    for _ in range(400):
        inside = random.random(station.size) < np.repeat(
            random.beta(0.9 * both, 0.1 * both, stations), 30
        )
        short += share_intervals(inside[:, None].astype(float), station, draws=400)[1, 0] < 0.9
    # one in 40 are 10 of 400, with an SD of 3.1
    assert 2 <= short <= 19


def test_fewer_than_twenty_readings_say_nothing():
    rows = make_rows(stations=6, days=6)
    held = make_held(rows, np.ones(len(rows), dtype=bool))
    found = group_coverage(held)["cover"][0]
    assert (found.n, found.held, found.verdict) == (18, 0.0, "few")
    assert "Not drawn" in group_coverage_part(held, "test rows", fields=["cover"])
    assert "No cover has enough readings to judge its 90 % interval." in group_coverage_part(
        held, "test rows", fields=["cover"]
    )
