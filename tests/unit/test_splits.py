"""Splits keep stations whole, have the promised sizes and depend on names and seed only."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.progress import RecordingProgress
from soil_moisture_mapper.plugin.core.stations.folds.splits import (
    network_folds,
    split_stations,
    station_folds,
)
from soil_moisture_mapper.plugin.core.stations.table import Table

SIZES = {"A": 8, "B": 10, "C": 3}


def make_table(sizes=None, days=3, **columns):
    stations, networks, dates = [], [], []
    for network, size in (sizes or SIZES).items():
        for index in range(size):
            for day in range(days):
                stations.append(f"{network}{index:02d}")
                networks.append(network)
                dates.append(np.datetime64("2013-06-01") + 365 * day)
    return Table({"station": stations, "network": networks, "date": dates, **columns})


def stations_of(table, field="role"):
    """Stations of each value of a field; fails where a station has several."""
    found = {}
    for station, value in zip(table.text("station"), table.text(field)):
        assert found.setdefault(station, value) == value
    return found


station_lists = st.lists(st.integers(0, 30).map(str), min_size=2, max_size=80).filter(
    lambda names: len(set(names)) > 1
)


@settings(max_examples=60, deadline=None)
@given(station_lists, st.floats(0.01, 0.99), st.integers(0, 99), st.randoms())
def test_random_split_is_whole_counted_and_blind_to_row_order(names, fraction, seed, chance):
    split = split_stations(Table({"station": names}), fraction=fraction, seed=seed)
    sides = stations_of(split)
    total = len(set(names))
    validating = sum(role == "validate" for role in sides.values())
    assert abs(validating - fraction * total) <= 0.5 + 1e-6 or validating in (1, total - 1)
    assert 1 <= validating <= total - 1
    shuffled = list(names)
    chance.shuffle(shuffled)
    again = split_stations(Table({"station": shuffled}), fraction=fraction, seed=seed)
    assert stations_of(again) == sides


@pytest.mark.parametrize(
    ("stations", "fraction", "expected"),
    [(10, 0.25, 3), (6, 0.25, 2), (4, 0.25, 1), (3, 0.1, 1), (2, 0.9, 1), (303, 0.25, 76)],
)
def test_share_is_rounded_half_up_with_one_on_either_side(stations, fraction, expected):
    split = split_stations(make_table({"A": stations}, days=1), fraction=fraction)
    assert Counter(split.text("role"))["validate"] == expected


def test_stratified_split_has_the_share_of_every_stratum():
    split = split_stations(make_table(), method="stratified", fraction=0.25)
    drawn = Counter(name[0] for name, role in stations_of(split).items() if role == "validate")
    assert drawn == {"A": 2, "B": 3, "C": 1}


def test_stratum_of_one_station_trains_and_is_named():
    progress = RecordingProgress()
    split = split_stations(make_table({"A": 4, "Z": 1}), method="stratified", progress=progress)
    assert stations_of(split)["Z00"] == "train"
    assert any("one station, which trains: Z." in text for text in progress.warnings)


def test_strata_that_hold_nothing_back_are_told():
    progress = RecordingProgress()
    split = split_stations(make_table({"A": 4}), method="stratified", progress=progress)
    assert stations_of(split) == stations_of(split_stations(make_table({"A": 4})))
    assert any("'network' has one value only" in text for text in progress.warnings)
    clay = [f"{index}.5" for index in range(4) for _ in range(3)]
    table = make_table({"A": 4}).with_columns({"clay": clay})
    with pytest.raises(InputError, match="Each value of 'clay' has one station only"):
        split_stations(table, method="stratified", strata="clay")


def test_station_of_several_strata_counts_by_most_rows():
    table = make_table({"A": 4}, days=3)
    crops = ["wheat", "wheat", "peas"] * 4
    progress = RecordingProgress()
    split = split_stations(
        table.with_columns({"crop": crops}), method="stratified", strata="crop", progress=progress
    )
    assert Counter(stations_of(split).values()) == {"train": 3, "validate": 1}
    assert "4 stations have several values of 'crop'" in progress.warnings[0]


def test_seeds_draw_differently():
    draws = {
        tuple(split_stations(make_table(), seed=seed).text("role").tolist()) for seed in range(5)
    }
    assert len(draws) == 5


def test_held_out_networks_validate():
    split = split_stations(make_table(), method="leave-network-out", hold_out="A; C")
    for name, role in stations_of(split).items():
        assert role == ("train" if name[0] == "B" else "validate")
    assert not split.has("fold")


def test_network_folds_number_the_networks_by_name():
    split = split_stations(make_table(), method="leave-network-out")
    assert set(split.text("role")) == {"train"}
    folds = stations_of(split, "fold")
    assert {(name[0], fold) for name, fold in folds.items()} == {("A", "1"), ("B", "2"), ("C", "3")}
    assert network_folds(np.array(["b", "", "a"], dtype=object)).tolist() == [3, 1, 2]


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"hold_out": "A;X"}, "HOLD_OUT names X, which the field 'network' does not hold.*A, B, C"),
        ({"hold_out": "A;B;C"}, "No row gets the role train"),
        ({"strata": "region"}, "no field 'region'"),
    ],
)
def test_leave_network_out_refuses(settings_, message):
    with pytest.raises(InputError, match=message):
        split_stations(make_table(), method="leave-network-out", **settings_)


def test_leave_network_out_needs_networks_and_stations_of_one_network():
    with pytest.raises(InputError, match="'network' holds one value only: A"):
        split_stations(make_table({"A": 3}), method="leave-network-out")
    shared = Table({"station": ["1", "1", "2"], "network": ["A", "B", "A"]})
    with pytest.raises(InputError, match=r"1 stations have several values.*1: A, B"):
        split_stations(shared, method="leave-network-out", hold_out="A")


def test_years_split_rows_and_say_so():
    progress = RecordingProgress()
    split = split_stations(make_table(), method="years", hold_out="2015", progress=progress)
    years = np.array([str(day)[:4] for day in split.dates("date")])
    assert set(split.text("role")[years == "2015"]) == {"validate"}
    assert set(split.text("role")[years != "2015"]) == {"train"}
    assert any("splits rows, not stations" in text for text in progress.warnings)
    with pytest.raises(InputError, match=r"HOLD_OUT names 2020.*the table holds: 2013, 2014, 2015"):
        split_stations(make_table(), method="years", hold_out="2013;2020")
    with pytest.raises(InputError, match="HOLD_OUT names no year"):
        split_stations(make_table(), method="years")


def test_rows_without_station_or_date_are_left_out_and_counted():
    table = Table(
        {
            "station": ["a", "", "b", "c"],
            "date": ["2013-01-01", "2013-01-01", "2014-01-01", ""],
        }
    )
    progress = RecordingProgress()
    split = split_stations(table, method="years", hold_out="2014", progress=progress)
    assert split.text("station").tolist() == ["a", "b"]
    assert "1 rows left out: no value in the field 'station'." in progress.warnings
    assert "1 rows left out: no value in the field 'date'." in progress.warnings


@settings(max_examples=60, deadline=None)
@given(station_lists, st.integers(2, 12), st.integers(0, 99), st.randoms())
def test_station_folds_are_whole_balanced_and_blind_to_row_order(names, k, seed, chance):
    folds = station_folds(np.array(names, dtype=object), k, seed)
    own = dict(zip(names, folds.tolist()))
    assert folds.tolist() == [own[name] for name in names]
    counts = Counter(own.values())
    assert sorted(counts) == list(range(1, min(k, len(own)) + 1))
    assert max(counts.values()) - min(counts.values()) <= 1
    shuffled = list(names)
    chance.shuffle(shuffled)
    again = station_folds(np.array(shuffled, dtype=object), k, seed)
    assert dict(zip(shuffled, again.tolist())) == own


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.integers(2, 6), st.integers(0, 99))
def test_station_folds_spread_every_network(sizes, k, seed):
    """Of a network's n stations every fold holds the whole part of n / k, or one more."""
    network = np.repeat([f"N{i}" for i in range(len(sizes))], sizes)
    names = np.array([f"s{i}" for i in range(len(network))], dtype=object)
    folds = station_folds(names, k, seed, spread=network)
    k = min(k, len(names))
    for i, size in enumerate(sizes):
        counts = np.bincount(folds[network == f"N{i}"] - 1, minlength=k)
        assert counts.min() >= size // k
        assert counts.max() <= -(-size // k)
    counts = np.bincount(folds - 1)
    assert counts.max() - counts.min() <= 1
    order = np.random.default_rng(seed).permutation(len(names))
    again = station_folds(names[order], k, seed, spread=network[order])
    assert (again == folds[order]).all()


def test_k_fold_writes_folds_and_role_train():
    progress = RecordingProgress()
    table = make_table(role=["validate"] * 63)
    split = split_stations(table, method="k-fold", folds=4, progress=progress)
    assert set(split.text("role")) == {"train"}
    assert Counter(stations_of(split, "fold").values()) == {"1": 6, "2": 5, "3": 5, "4": 5}
    assert any("Rows by fold: 1: 6 stations, 18 rows" in text for text in progress.messages)
    split_stations(make_table({"A": 3}), method="k-fold", progress=progress)
    assert "FOLDS is cut to the 3 stations there are." in progress.warnings


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"method": "blocks"}, "METHOD 'blocks' is not one of random, stratified"),
        ({"fraction": 1.0}, "FRACTION is 1. It must lie between 0 and 1"),
        ({"fraction": 0.0, "method": "stratified"}, "FRACTION is 0"),
        ({"station": "site"}, "no field 'site'"),
        ({"folds": 1, "method": "k-fold"}, "1 folds of 21 stations cannot be made"),
    ],
)
def test_wrong_settings_are_refused(settings_, message):
    with pytest.raises(InputError, match=message):
        split_stations(make_table(), **settings_)


def test_one_station_cannot_be_split():
    with pytest.raises(InputError, match=r"names 1 station \(A00\)"):
        split_stations(make_table({"A": 1}))
    with pytest.raises(InputError, match="names no station"):
        split_stations(Table({"station": ["", None]}))
