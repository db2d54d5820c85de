"""The stations to spike with: how many, from which strata, whatever the order of rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.progress import RecordingProgress
from soil_moisture_mapper.plugin.core.stations.spiking_design import (
    allocate,
    select_spiking,
    spike_count,
)
from soil_moisture_mapper.plugin.core.stations.table import Table


def make_table(stations, **columns):
    names = np.repeat([f"p{i:03d}" for i in range(stations)], 2)
    return Table({"station": names, "clay": np.arange(2.0 * stations), **columns})


def spikes_of(table):
    names = table.text("station")
    roles = table.text("role")
    chosen = set(names[roles == "spike"])
    assert not chosen & set(names[roles == "validate"])
    assert set(roles) <= {"spike", "validate"}
    return chosen


@pytest.mark.parametrize(
    ("stations", "count", "fraction", "expected"),
    [
        (94, 0, 0.1, 10),
        (80, 0, 0.1, 8),
        (81, 0, 0.1, 9),
        (300, 0, 0.1, 30),
        (60, 0, 0.1, 8),
        (12, 0, 0.1, 8),
        (11, 0, 0.1, 11),
        (1, 0, 0.1, 1),
        (94, 5, 0.1, 5),
        (11, 3, 0.1, 3),
        (20, 0, 1.0, 20),
    ],
)
def test_number_of_spikes(stations, count, fraction, expected):
    assert spike_count(stations, count, fraction) == expected
    table = select_spiking(make_table(stations), count=count, fraction=fraction)
    assert len(spikes_of(table)) == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(0, 99), st.randoms(), st.data())
def test_choice_is_whole_and_blind_to_row_order(stations, seed, chance, data):
    count = data.draw(st.integers(1, stations))
    table = make_table(stations)
    chosen = spikes_of(select_spiking(table, count=count, seed=seed))
    assert len(chosen) == count
    order = list(range(len(table)))
    chance.shuffle(order)
    again = select_spiking(table.take(np.array(order)), count=count, seed=seed)
    assert spikes_of(again) == chosen


@given(
    st.dictionaries(st.text("abc", max_size=3), st.integers(1, 50), min_size=1, max_size=6),
    st.data(),
)
def test_allocation_is_proportional(sizes, data):
    total = sum(sizes.values())
    count = data.draw(st.integers(0, total))
    shares = allocate(sizes, count)
    assert sum(shares.values()) == count
    for name, size in sizes.items():
        assert abs(shares[name] - count * size / total) < 1
        assert 0 <= shares[name] <= size


def test_stratified_choice_follows_the_strata():
    # Eight of 94 stations by land cover, as in the field the method was published with.
    cover = np.repeat(["forest"] * 70 + ["herbaceous"] * 24, 2)
    table = make_table(94, cover=cover)
    chosen = spikes_of(select_spiking(table, count=8, method="stratified", strata="cover"))
    assert Counter("forest" if name < "p070" else "herbaceous" for name in chosen) == {
        "forest": 6,
        "herbaceous": 2,
    }


def test_station_without_complete_row_is_not_chosen():
    clay = np.arange(40.0)
    clay[:16] = np.nan
    progress = RecordingProgress()
    table = select_spiking(make_table(20, clay=clay), covariates=["clay"], progress=progress)
    assert len(spikes_of(table)) == 8
    assert min(spikes_of(table)) >= "p008"
    assert "8 stations have no row with all covariates" in progress.warnings[0]
    with pytest.raises(InputError, match="No station has a row with all covariates"):
        select_spiking(make_table(20, clay=np.full(40, np.nan)), covariates=["clay"])


def test_all_stations_spiking_is_warned_of():
    progress = RecordingProgress()
    select_spiking(make_table(5), progress=progress)
    assert progress.warnings == ["All stations spike, so none is left to validate with."]
    assert "5 of 5 stations spike: p000, p001, p002, p003, p004." in progress.messages


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"count": 21}, "COUNT is 21, but there are 20 stations"),
        ({"count": -1}, "COUNT is -1"),
        ({"fraction": 0.0}, "FRACTION is 0. It must lie above 0"),
        ({"method": "stratified"}, "METHOD stratified needs a field"),
        ({"method": "stratified", "strata": "soil"}, "no field 'soil'"),
        ({"method": "maximin"}, "METHOD 'maximin' is not one of random, stratified"),
        ({"covariates": ["smap"]}, "no field 'smap'"),
    ],
)
def test_wrong_settings_are_refused(settings_, message):
    with pytest.raises(InputError, match=message):
        select_spiking(make_table(20), **settings_)
