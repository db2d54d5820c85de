"""Spikes, flat lines and frozen soil are found, and true rain and drought are not.

The hourly rules are checked against plain loops over the equations of Dorigo et al. (2013),
doi:10.2136/vzj2012.0097, and against the flags that ISMN itself gave a real series.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress
from soil_moisture_mapper.plugin.core.stations.imports.importing import import_stations
from soil_moisture_mapper.plugin.core.stations.imports.ismn_archive import IsmnArchive
from soil_moisture_mapper.plugin.core.stations.imports.ismn_files import parse_name
from soil_moisture_mapper.plugin.core.stations.imports.ismn_series import (
    RawSeries,
    open_layout,
    read_series,
)
from soil_moisture_mapper.plugin.core.stations.imports.readings import Readings, group_codes
from soil_moisture_mapper.plugin.core.stations.imports.screening import (
    REASONS,
    check_rules,
    screen_series,
    screened,
)
from soil_moisture_mapper.plugin.core.stations.imports.screening_drops import Drops
from soil_moisture_mapper.plugin.core.stations.imports.screening_rules import (
    daily_spikes,
    high_plateaus,
    hourly_drops,
    hourly_spikes,
    low_plateaus,
    stuck_values,
)

HOUR, DAY = 3600, 86_400


def wetting(n: int = 400, seed: int = 0) -> np.ndarray:
    """Hourly moisture with rain: sudden rises, slow drying, noise of the sensor."""
    rng = np.random.default_rng(seed)
    x = np.empty(n)
    level = 0.2
    for i in range(n):
        if i % 130 == 60:
            level = min(level + 0.12, 0.42)
        level = 0.1 + (level - 0.1) * 0.994
        x[i] = level
    return x + rng.normal(0, 0.0005, n)


def noisy(seed: int) -> np.ndarray:
    """Hourly moisture with spikes, steps, gaps and plateaus put in at random."""
    rng = np.random.default_rng(seed)
    x = wetting(600, seed)
    x[rng.integers(5, 595, 12)] *= rng.choice([0.6, 0.75, 1.25, 1.5], 12)
    for start in rng.integers(0, 560, 3):
        x[start : start + 40] -= 0.05
    for start in rng.integers(0, 560, 3):
        x[start : start + 25] = x.max() * 0.99
    x[rng.integers(0, 600, 20)] = np.nan
    return x


def curvature(x: np.ndarray, t: int) -> float:
    n = len(x)
    return x[max(t - 1, 0)] - 2 * x[t] + x[min(t + 1, n - 1)]


def slope(x: np.ndarray, t: int) -> float:
    return (x[min(t + 1, len(x) - 1)] - x[max(t - 1, 0)]) / 2


def spikes_by_loops(x: np.ndarray) -> np.ndarray:
    found = np.zeros(len(x), dtype=bool)
    for t in range(1, len(x) - 1):
        around = np.r_[x[max(t - 12, 0) : t], x[t + 1 : t + 13]]
        around = around[np.isfinite(around)]
        if len(around) < 12 or not np.isfinite(x[t - 1 : t + 2]).all():
            continue
        a, b = curvature(x, t - 1), curvature(x, t + 1)
        ratio = abs(a / b) if b else np.inf
        peak = (x[t] - x[t - 1]) * (x[t] - x[t + 1]) > 0
        off = min(abs(x[t] / x[t - 1] - 1), abs(x[t] / x[t + 1] - 1)) > 0.15
        noise = 100 * np.var(around, ddof=1) / np.mean(around)
        found[t] = peak and off and 0.8 < ratio < 1.2 and noise < 1
    return found


def drops_by_loops(x: np.ndarray) -> np.ndarray:
    found = np.zeros(len(x), dtype=bool)
    with np.errstate(all="ignore"):
        for t in range(1, len(x) - 2):
            change = x[t] - x[t - 1]
            slopes = [slope(x, i) for i in range(max(t - 12, 0), min(t + 13, len(x)))]
            slopes = [value for value in slopes if np.isfinite(value)]
            if x[t] == 0:
                found[t] = change < -0.05
            elif len(slopes) >= 4:
                found[t] = (
                    abs(change / x[t]) > 0.1
                    and abs(change) > 0.01
                    and slope(x, t) < 0
                    and abs(slope(x, t)) > 10 * abs(np.mean(slopes))
                    and abs(abs(curvature(x, t - 1) / curvature(x, t)) - 1) < 0.05
                    and abs(curvature(x, t) / curvature(x, t + 2)) > 10
                )
    return found


@pytest.mark.parametrize("seed", range(8))
def test_hourly_rules_follow_the_equations(seed: int) -> None:
    x = noisy(seed)
    np.testing.assert_array_equal(hourly_spikes(x), spikes_by_loops(x))
    np.testing.assert_array_equal(hourly_drops(x)[:-2], drops_by_loops(x)[:-2])


def test_there_is_something_to_find_in_these_series() -> None:
    assert sum(hourly_spikes(noisy(seed)).sum() for seed in range(8)) >= 10
    assert sum(hourly_drops(noisy(seed)).sum() for seed in range(8)) >= 3


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.3, 2.0])
def test_one_hour_off_is_a_spike_and_nothing_else(factor: float) -> None:
    x = wetting()
    assert not hourly_spikes(x).any()
    x[100] *= factor
    assert np.flatnonzero(hourly_spikes(x)).tolist() == [100]


def test_spike_beside_gaps_is_none() -> None:
    x = wetting()
    x[100] *= 2
    x[101] = np.nan
    assert not hourly_spikes(x).any()
    x = np.full(400, np.nan)
    x[98:103] = [0.2, 0.2, 0.4, 0.2, 0.2]
    assert not hourly_spikes(x).any()


def test_constant_low_values_after_a_break() -> None:
    x = wetting(200, 3)
    x[70:100] = 0.031
    found = np.flatnonzero(low_plateaus(x))
    assert found.tolist() == list(range(70, 100))
    x = wetting(200, 3)
    x[70:80] = 0.031  # shorter than 13 hours
    assert not low_plateaus(x).any()
    x = wetting(200, 3)
    x[70:100] = 0.0
    assert np.flatnonzero(low_plateaus(x)).tolist() == list(range(70, 100))
    x[80:85] = np.nan
    assert np.flatnonzero(low_plateaus(x)).tolist() == [*range(70, 80), *range(85, 100)]


def test_saturated_plateau() -> None:
    x = wetting(300, 1)
    x[150:180] = 0.48
    found = np.flatnonzero(high_plateaus(x))
    assert found[0] in (149, 150)
    assert found[-1] in (179, 180)
    assert len(found) >= 30
    assert not high_plateaus(wetting(300, 1)).any()
    lower = wetting(300, 1)
    lower[150:180] = 0.2  # constant, but not at the highest value
    lower[250] = 0.5
    assert not high_plateaus(lower).any()
    assert not high_plateaus(np.full(300, 0.3)).any()
    assert not high_plateaus(np.full(5, 0.3)).any()


def test_days_off_both_neighbours_are_spikes() -> None:
    time = np.arange(9) * DAY
    x = np.array([0.30, 0.30, 0.05, 0.31, 0.30, 0.45, 0.31, 0.30, 0.30])
    assert np.flatnonzero(daily_spikes(time, x)).tolist() == [2, 5]
    rain = np.array([0.10, 0.10, 0.30, 0.24, 0.20, 0.17, 0.15, 0.14, 0.13])
    assert not daily_spikes(time, rain).any()
    time[3:] += 5 * DAY
    assert np.flatnonzero(daily_spikes(time, x)).tolist() == [5]


def test_values_that_stay_the_same_for_two_weeks() -> None:
    days = np.arange(40) * DAY
    x = np.linspace(0.3, 0.2, 40)
    x[10:24] = 0.25
    assert np.flatnonzero(stuck_values(days, x)).tolist() == list(range(10, 24))
    x[23] = 0.26
    assert not stuck_values(days, x).any()
    weekly = np.arange(40) * 7 * DAY
    assert not stuck_values(weekly, np.full(40, 0.2)).any()
    hours = np.arange(14 * 24) * HOUR
    assert stuck_values(hours, np.full(len(hours), 0.0)).all()
    assert not stuck_values(hours[:-1], np.full(len(hours) - 1, 0.0)).any()


@pytest.fixture(scope="module")
def flagged(shared_data: Path) -> RawSeries:
    """The series of FR_Aqui fraye with the flags that ISMN gave it."""
    source = shared_data / "ismn_raw_samples" / "tuw_ceop_sep_cosmos_fraqui.zip"
    with IsmnArchive(source, Progress()) as archive:
        member = next(m for m in archive.members() if "fraye_sm" in m.name)
        return read_series(member, open_layout(member, parse_name(member.name)), Progress())


def has(series: RawSeries, flag: bytes) -> np.ndarray:
    return np.array([flag in text.split(b",") for text in series.flag.tolist()])


def test_flags_that_ismn_gave_are_found_again(flagged: RawSeries) -> None:
    code = screen_series(flagged.time, flagged.value, None, ("spikes", "flat"))
    flat = code == REASONS.index("flat line")
    theirs = has(flagged, b"D09") | has(flagged, b"D10")
    assert theirs.sum() == 901
    assert (flat & theirs).sum() == 901
    # ISMN compares plateaus with the highest value of the two years before, we with the whole.
    assert (flat & ~theirs).sum() < 0.0015 * len(flat)
    assert has(flagged, b"D06").sum() == 0
    assert (code == REASONS.index("spike")).sum() == 0


def test_breaks_that_ismn_flagged_are_found_again(flagged: RawSeries) -> None:
    hour = (flagged.time - flagged.time[0]).astype("timedelta64[h]").astype(int)
    x = np.full(hour[-1] + 1, np.nan)
    x[hour] = flagged.value
    np.testing.assert_array_equal(hourly_drops(x)[hour], has(flagged, b"D07"))


def daily_series(path: Path, station: str, column: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rows = defaultdict(list)
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            if row[column] and 0 <= float(row[column]) <= 1:
                rows[row[station]].append((row["date"], float(row[column])))
    for pairs in rows.values():
        days, values = zip(*sorted(pairs))
        yield np.array(days, "datetime64[s]"), np.array(values)


def test_controlled_daily_series_pass(shared_data: Path) -> None:
    path = shared_data / "uscrn_daily" / "uscrn_2020_all_sites.csv.gz"
    codes = [
        screen_series(time, value, None, ("spikes", "flat"))
        for time, value in daily_series(path, "wban", "soil_moisture_5_daily")
    ]
    assert sum(map(len, codes)) == 33924
    assert sum(int((code != 0).sum()) for code in codes) == 0


def test_raw_daily_series_have_flat_lines(shared_data: Path) -> None:
    path = shared_data / "scan_daily" / "insitu_daily_2010_on.csv.gz"
    series = list(daily_series(path, "site", "vwc_005cm"))
    code = np.concatenate([screen_series(*pair, None, ("spikes", "flat")) for pair in series])
    value = np.concatenate([values for _, values in series])
    flat, spikes = code == REASONS.index("flat line"), code == REASONS.index("spike")
    assert 0.01 < flat.mean() < 0.02
    assert 20 < spikes.sum() < 200
    assert (value[flat] == 0).mean() > 0.3  # failed sensors that write zero


def test_impossible_values_of_a_raw_network(shared_data: Path) -> None:
    drops, progress = Drops(), RecordingProgress()
    path = shared_data / "scan_daily" / "insitu_daily_2010_on.csv.gz"
    column = {"value_columns": "vwc_010cm=0.1", "depth_max": 0.1}
    table = import_stations(path, drops=drops, progress=progress, **column)
    assert 0 <= table.column("moisture").min() <= table.column("moisture").max() <= 1
    assert any("up to 448" in said or "to 448" in said for said in progress.warnings)
    assert drops.total("implausible") > 0


def times(n: int, step: int) -> np.ndarray:
    return np.datetime64("2021-01-01", "s") + np.arange(n) * np.timedelta64(step, "s")


def test_rules_work_on_what_is_not_frozen() -> None:
    x = wetting()
    x[100] *= 2
    temperature = np.full(len(x), 5.0)
    temperature[200:210], temperature[300] = -0.1, np.nan
    code = screen_series(times(400, HOUR), x, temperature, ("frozen", "spikes", "flat"))
    assert np.flatnonzero(code == 1).tolist() == list(range(200, 210))
    assert np.flatnonzero(code == 2).tolist() == [100]
    assert not screen_series(times(400, HOUR), x, temperature, ()).any()
    assert not screen_series(times(400, HOUR), x, None, ("frozen",)).any()


def test_ten_minutes_are_judged_by_the_hour() -> None:
    hourly = wetting()
    hourly[100] *= 2
    code = screen_series(times(2400, 600), np.repeat(hourly, 6), None, ("spikes",))
    assert np.flatnonzero(code).tolist() == list(range(600, 606))


def test_gaps_of_years_cost_nothing() -> None:
    x = wetting()
    x[100] *= 2
    time = times(400, HOUR)
    time[200:] += np.timedelta64(100 * 365 * DAY, "s")
    assert np.flatnonzero(screen_series(time, x, None, ("spikes",))).tolist() == [100]


@pytest.mark.parametrize("step", [3 * HOUR, 12 * HOUR])
def test_other_steps_are_screened_for_stuck_values_only(step: int) -> None:
    x = wetting()
    x[100] *= 2
    assert not screen_series(times(400, step), x, None, ("spikes", "flat")).any()
    assert screen_series(times(400, step), np.full(400, 0.2), None, ("flat",)).all()


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_short_series_pass(n: int) -> None:
    value = np.full(n, 0.2)
    for step in (HOUR, DAY):
        assert not screen_series(times(n, step), value, None, ("spikes", "flat")).any()
    assert not screen_series(times(n, 0), value, None, ("spikes", "flat")).any()


def readings(value: np.ndarray, station: np.ndarray, time: np.ndarray, **more) -> Readings:
    n = len(value)
    text = np.full(n, "net", dtype=object)
    depth = np.full(n, 0.05)
    return Readings(station, text, time, value, depth, depth, depth, depth, **more)


def test_sensors_are_screened_one_by_one() -> None:
    a, b = wetting(seed=1), wetting(seed=2) + 0.2
    a[100] *= 2
    value = np.r_[a, b, a]
    station = np.repeat(np.array(["s", "s", "t"], dtype=object), 400)
    series = np.repeat([0, 1, 0], 400)
    order = np.random.default_rng(0).permutation(1200)
    given = readings(value, station, np.tile(times(400, HOUR), 3), series=series).take(order)
    drops, progress = Drops(), RecordingProgress()
    kept = screened(given, ("spikes",), drops, progress)
    assert len(kept) == 1198
    assert progress.messages == ["2 readings left out: spike."]
    table = drops.table()
    assert table.text("station").tolist() == ["s", "t"]
    assert table.text("first").tolist() == ["2021-01-05", "2021-01-05"]


def test_nothing_left_is_told() -> None:
    given = readings(
        np.full(3, 0.2), np.full(3, "s", object), times(3, DAY), temperature=np.full(3, -1.0)
    )
    with pytest.raises(InputError, match="No reading passes the screening"):
        screened(given, ("frozen",), Drops(), Progress())


def test_rules_are_checked() -> None:
    assert check_rules(["flat", "frozen"]) == ("frozen", "flat")
    with pytest.raises(InputError, match="SCREENING 'dry' is not one of frozen, spikes, flat"):
        check_rules(["dry"])


def test_groups_of_equal_keys() -> None:
    texts = np.array(["b", "a", "b", "b"], dtype=object)
    code = group_codes(texts, np.array([np.nan, 1.0, np.nan, 1.0]))
    assert code[0] == code[2]
    assert len(set(code.tolist())) == 3


def test_short_constant_series_are_kept_by_default(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"a,2021-{m:02d}-{d:02d},0.2" for m in range(1, 13) for d in range(1, 29)]
    path.write_text("\n".join(["station,date,vwc", *rows]))
    load: Callable = import_stations
    assert len(load(path)) == 336
    with pytest.raises(InputError, match="No reading passes the screening"):
        load(path, screening=["flat"])
