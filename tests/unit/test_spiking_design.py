"""The stations to spike with: how many, from which strata, whatever the order of rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.progress import RecordingProgress
from soil_moisture_mapper.plugin.core.stations.design.designs import BaseRows
from soil_moisture_mapper.plugin.core.stations.design.spiking_design import (
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


def test_shares_make_up_for_what_strata_have():
    assert allocate({"a": 6, "b": 6}, 4, {"a": 4}) == {"a": 0, "b": 4}
    assert allocate({"a": 6, "b": 6}, 2, {"a": 5}) == {"a": 0, "b": 2}
    assert allocate({"a": 6, "b": 6}, 3, {"a": 1}) == {"a": 1, "b": 2}


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
        ({"method": "maximin"}, "'maximin' is not one of random, stratified, coverage, lhs"),
        ({"covariates": ["smap"]}, "no field 'smap'"),
    ],
)
def test_wrong_settings_are_refused(settings_, message):
    with pytest.raises(InputError, match=message):
        select_spiking(make_table(20), **settings_)


def make_field(stations=30, seed=5):
    """A field whose stations have three covariates, one of them dated, on two days."""
    rng = np.random.default_rng(seed)
    place = np.repeat(rng.normal(size=(stations, 2)), 2, axis=0)
    return make_table(
        stations, twi=place[:, 0], sand=place[:, 1], smap=rng.normal(size=2 * stations)
    )


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(["coverage", "stratified", "random"]), st.booleans(), st.randoms())
def test_designs_are_blind_to_the_order_of_rows_and_covariates(method, with_base, chance):
    _check_order(method, with_base, chance.shuffle)


@pytest.mark.parametrize("with_base", [False, True])
def test_latin_hypercube_is_blind_to_the_order_of_rows_and_covariates(with_base):
    _check_order("lhs", with_base, np.random.default_rng(2).shuffle)


def _check_order(method, with_base, shuffle):
    table = make_field().with_columns({"cover": np.repeat(["a", "b", "c"], 20)})
    rng = np.random.default_rng(1)
    base = BaseRows(rng.normal(size=(40, 3)), ("twi", "sand", "smap")) if with_base else None
    given_ = {"count": 8, "method": method, "strata": "cover", "base": base}
    names = ["twi", "sand", "smap"]
    chosen = spikes_of(select_spiking(table, covariates=names, **given_))
    assert len(chosen) == 8
    order = list(range(len(table)))
    shuffle(order)
    if base:
        given_["base"] = BaseRows(base.X[::-1, ::-1], base.names[::-1])
    again = select_spiking(table.take(np.array(order)), covariates=names[::-1], **given_)
    assert spikes_of(again) == chosen


@pytest.mark.parametrize("method", ["random", "stratified", "coverage", "lhs"])
def test_stations_chosen_already_stay_and_count(method):
    names = make_field().text("station")
    roles = np.where(np.isin(names, ["p003", "p017"]), "Spike", "validate")
    roles[names == "p020"] = ["", "spike"]  # one row makes the station a spike
    table = make_field().with_columns({"role": roles, "cover": np.repeat(["a", "b"], 30)})
    progress = RecordingProgress()
    chosen = spikes_of(
        select_spiking(table, count=9, method=method, strata="cover", progress=progress)
    )
    assert {"p003", "p017", "p020"} < chosen
    assert len(chosen) == 9
    assert any("3 stations have the role spike already" in text for text in progress.messages)
    with pytest.raises(InputError, match="COUNT is 2, but 3 stations have the role spike already"):
        select_spiking(table, count=2, method=method, strata="cover")
    # a share that is smaller than what is there adds nothing
    many = table.with_columns({"role": np.where(names < "p015", "spike", "")})
    heard = RecordingProgress()
    same = select_spiking(many, method=method, strata="cover", progress=heard)
    assert len(spikes_of(same)) == 15
    assert "No station is chosen beside those that spike already" in heard.warnings[0]


def test_coverage_takes_one_station_of_each_group():
    # four groups of five stations in two covariates; the constant one plays no part
    groups = np.repeat([[0.0, 0], [10, 0], [0, 10], [10, 10]], 10, axis=0)
    offset = np.repeat(np.tile([[0.0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], (4, 1)), 2, axis=0)
    twi, sand = (groups + offset).T
    daily = np.tile([-3.0, 3.0], 20)  # cancels in the mean over dates
    table = make_table(20, clay=np.full(40, 0.1), twi=twi + daily, sand=sand)
    progress = RecordingProgress()
    chosen = select_spiking(table, count=4, method="coverage", progress=progress)
    assert spikes_of(chosen) == {"p000", "p005", "p010", "p015"}
    assert progress.messages[0] == "Covariates: clay, sand, twi."
    assert progress.warnings == ["The same at every station, left out: clay."]
    assert any("drawn at random (mean of 100)" in text for text in progress.messages)


@pytest.mark.parametrize("method", ["coverage", "lhs"])
def test_constant_covariates_alone_are_refused(method):
    message = f"The design {method} has nothing to choose by: the same at every station are clay."
    with pytest.raises(InputError, match=message):
        select_spiking(make_table(20, clay=np.full(40, 7.0)), count=4, method=method)


def test_latin_hypercube_keeps_the_shares_of_the_strata():
    table = make_field(40).with_columns({"cover": np.repeat(["a", "a", "a", "b"], 20)})
    chosen = spikes_of(select_spiking(table, count=8, method="lhs", strata="cover"))
    assert Counter("a" if name < "p030" else "b" for name in chosen) == {"a": 6, "b": 2}


def test_stations_that_the_model_was_trained_on_are_told():
    table = make_table(20, sand=np.repeat(np.arange(20.0), 2))
    seen = frozenset({("", "p003"), ("", "p001"), ("abroad", "p005")})
    base = BaseRows(np.linspace(0, 1, 50)[:, None], ("sand",), seen)
    progress = RecordingProgress()
    select_spiking(table, count=4, base=base, progress=progress)
    (told,) = [text for text in progress.warnings if "BASE_MODEL" in text]
    assert told.startswith("2 of 20 stations are among the training stations of BASE_MODEL (p001, ")
    assert "p005" not in told


@pytest.mark.parametrize("method", ["random", "stratified", "coverage", "lhs"])
def test_stations_that_the_model_lacks_are_preferred(method):
    # the model has seen sand up to 1; half of the stations lie far above
    sand = np.repeat(np.concatenate([np.linspace(0, 1, 20), np.linspace(5, 9, 20)]), 2)
    table = make_table(40, sand=sand, cover=np.tile(["a", "a", "b", "b"], 20))
    base = BaseRows(np.linspace(0, 1, 50)[:, None], ("sand",))
    given_ = {"count": 10, "method": method, "strata": "cover", "covariates": ["sand"]}
    plain = spikes_of(select_spiking(table, **given_))
    preferring = spikes_of(select_spiking(table, base=base, **given_))
    assert sum(name >= "p020" for name in plain) <= 7
    assert sum(name >= "p020" for name in preferring) >= 8


def test_missing_codes_are_no_values():
    clay = np.arange(40.0)
    clay[:16] = -9999.0
    table = select_spiking(make_table(20, clay=clay), method="coverage", count=3)
    assert min(spikes_of(table)) >= "p008"
