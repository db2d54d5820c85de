"""Training rows are complete, in canonical order, and refuse what is no moisture."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.progress import RecordingProgress
from soil_moisture_mapper.plugin.core.stations.covariate_fields import candidate_covariates
from soil_moisture_mapper.plugin.core.stations.roles import spiking_roles
from soil_moisture_mapper.plugin.core.stations.rows import concat, training_rows
from soil_moisture_mapper.plugin.core.stations.table import Table

N = 24


def make_table(**changes):
    rng = np.random.default_rng(7)
    columns = {
        "fid": np.arange(N),
        "station": [f"s{i % 6}" for i in range(N)],
        "network": ["A" if i % 6 < 3 else "B" for i in range(N)],
        "date": np.datetime64("2021-04-01") + np.arange(N) // 6,
        "moisture": rng.uniform(0.05, 0.45, N),
        "depth_from": np.zeros(N),
        "depth_to": np.full(N, 0.05),
        "n": np.full(N, 24.0),
        "clay": rng.uniform(5, 40, N),
        "slope": rng.uniform(0, 10, N),
        "landcover": ["forest" if i % 2 else "shrub" for i in range(N)],
    }
    columns.update(changes)
    columns = {name: values for name, values in columns.items() if values is not None}
    return Table(columns, rng.uniform(0, 1, N), rng.uniform(0, 1, N), "crs")


def same_rows(a, b):
    assert a.covariates == b.covariates
    assert a.depth == b.depth
    assert a.dropped == b.dropped
    for name in ("X", "y", "station", "network", "date", "weight", "fold", "x", "y_coord"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    for name in a.classes:
        np.testing.assert_array_equal(a.classes[name], b.classes[name])


def test_rows_of_an_observation_layer():
    table = make_table()
    rows = training_rows(table, groups=["landcover"])
    assert rows.covariates == ("clay", "slope")
    assert rows.X.shape == (N, 2)
    assert rows.X.dtype == np.float32
    assert rows.station.tolist() == sorted(table.column("station"))
    assert rows.depth == (0.0, 0.05)
    assert set(rows.fold) == {-1}
    assert set(rows.weight) == {1.0}
    assert rows.dropped == {}
    np.testing.assert_array_equal(rows.y, table.column("moisture")[rows.row])
    np.testing.assert_array_equal(rows.X[:, 0], table.column("clay")[rows.row].astype("f4"))
    np.testing.assert_array_equal(rows.classes["landcover"], table.column("landcover")[rows.row])
    np.testing.assert_array_equal(rows.x, table.x[rows.row])


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(N)), st.permutations(["clay", "slope", "n2", "twi"]))
def test_order_of_rows_and_covariates_changes_nothing(order, covariates):
    rng = np.random.default_rng(1)
    table = make_table(
        n2=np.round(rng.uniform(0, 1, N)),
        twi=np.where(np.arange(N) == 3, np.nan, 1.0),
        weight=rng.uniform(1, 2, N),
        date=np.full(N, "2021-04-01", dtype="datetime64[D]"),
    )
    reference = training_rows(
        table, covariates=["clay", "slope", "n2", "twi"], groups=["landcover"]
    )
    shuffled = training_rows(
        table.take(np.array(order)), covariates=covariates, groups=["landcover"]
    )
    same_rows(shuffled, reference)


def test_candidates_follow_the_contract():
    table = make_table(
        OBJECTID=np.arange(N),
        role=["train"] * N,
        fold=np.ones(N),
        weight=np.ones(N),
        texted=[str(i / 4) for i in range(N)],
        soil=["loam"] * N,
        aspect=np.arange(N),
        aspect_sin=np.arange(N),
        vwc=np.arange(N),
    )
    names = candidate_covariates(table, ["vwc", "landcover"])
    assert names == ["aspect", "aspect_sin", "clay", "slope", "texted"]
    table = table.with_columns({"aspect_cos": np.arange(N)})
    names = candidate_covariates(table, ["vwc"], text_numbers=False)
    assert names == ["aspect_cos", "aspect_sin", "clay", "slope"]


def test_no_candidate_is_an_error():
    with pytest.raises(InputError, match="no numeric field that could be a covariate"):
        candidate_covariates(make_table(), ["clay", "slope"])


def test_decimal_commas_in_a_candidate_stop_the_run():
    table = make_table(clay=[f"{i},5" for i in range(N)])
    with pytest.raises(InputError, match="'clay' holds numbers with a decimal comma, such as"):
        training_rows(table)
    with pytest.raises(InputError, match=r"row 1 of the field 'clay' is not a number.*comma"):
        training_rows(table, covariates=["clay"])


def test_covariates_named_twice_or_missing_or_reserved():
    table = make_table(Clay=np.arange(N))
    with pytest.raises(InputError, match="twice, or differ only in case: clay"):
        training_rows(table, covariates=["clay", "Clay"])
    with pytest.raises(InputError, match="twice, or differ only in case: clay"):
        training_rows(table)
    with pytest.raises(InputError, match=r"no field for the covariates: smap, vv. The fields are:"):
        training_rows(table, covariates=["clay", "smap", "vv"])
    with pytest.raises(InputError, match="Not a covariate: moisture, station"):
        training_rows(table, covariates=["clay", "moisture", "station"])


def test_target_in_other_units_stops_the_run_by_name():
    moisture = make_table().column("moisture")
    with pytest.raises(InputError, match=r"'vwc_pct' follows the target 'moisture'.*other units"):
        training_rows(make_table(vwc_pct=100 * moisture))
    with pytest.raises(InputError, match=r"'dryness'.*r = -1.0000"):
        training_rows(make_table(dryness=0.5 - moisture))
    noisy = moisture + np.random.default_rng(0).normal(0, 0.03, N)
    assert "smap" in training_rows(make_table(smap=noisy)).covariates


def test_few_rows_may_agree_by_chance():
    near = np.array([0.1, 0.2, 0.3, 0.4])
    table = Table({"station": ["a", "b", "c", "d"], "moisture": near, "v": near**1.02})
    assert np.corrcoef(table.column("v"), near)[0, 1] > 0.999
    assert training_rows(table).covariates == ("v",)
    with pytest.raises(InputError, match="other units"):
        training_rows(table.with_columns({"v": near * 64}))


def test_missing_covariates_are_counted_per_covariate():
    clay, slope = make_table().column("clay").copy(), make_table().column("slope").copy()
    clay[[0, 1, 2]] = np.nan
    slope[[2, 3]] = np.nan
    progress = RecordingProgress()
    rows = training_rows(make_table(clay=clay, slope=slope), progress=progress)
    assert len(rows) == N - 4
    assert rows.dropped == {"clay": 3, "slope": 2}
    assert f"4 of {N} rows left out" in progress.warnings[0]
    assert "clay 3, slope 2" in progress.warnings[0]
    with pytest.raises(InputError, match=f"None of the {N} rows is complete.*smap {N}"):
        training_rows(make_table(smap=np.full(N, np.nan)))


@pytest.mark.parametrize("code", [-9999.0, -32768.0, 3.4028234663852886e38])
def test_missing_codes_in_a_covariate_are_missing(code):
    clay = make_table().column("clay").copy()
    clay[4] = code
    progress = RecordingProgress()
    rows = training_rows(make_table(clay=clay), progress=progress)
    assert rows.dropped == {"clay": 1}
    assert "covariate 'clay' holds a missing code" in progress.warnings[0]


def test_rows_without_target_or_station_are_left_out_and_counted():
    moisture = make_table().column("moisture").copy()
    moisture[0] = np.nan
    moisture[1] = -9999
    stations = make_table().column("station").copy()
    stations[[2, 3, 4]] = ["", None, " "]
    progress = RecordingProgress()
    rows = training_rows(make_table(moisture=moisture, station=stations), progress=progress)
    assert len(rows) == N - 5
    assert any("3 rows left out: no value in the field 'station'" in w for w in progress.warnings)
    assert any("2 rows left out: no value in the field 'moisture'" in w for w in progress.warnings)
    assert any("'moisture' holds a missing code (-9999)" in w for w in progress.warnings)


def test_percent_and_text_in_the_moisture_column():
    moisture = make_table().column("moisture")
    with pytest.raises(InputError, match=r"'moisture' holds values up to \d+\.\d+.*percent.*100"):
        training_rows(make_table(moisture=100 * moisture))
    spoilt = moisture.copy()
    spoilt[5] = 7.5
    with pytest.raises(InputError, match=r"1 values above 1 m³ m⁻³, up to 7.5 \(first in row 6\)"):
        training_rows(make_table(moisture=spoilt))
    with pytest.raises(InputError, match="'wet' in row 2 of the field 'moisture'"):
        training_rows(make_table(moisture=["0.1", "wet"] + ["0.2"] * (N - 2)))


def test_negative_moisture_is_warned_of():
    moisture = make_table().column("moisture").copy()
    moisture[5] = -0.02
    progress = RecordingProgress()
    assert len(training_rows(make_table(moisture=moisture), progress=progress)) == N
    assert "1 values below 0 m³ m⁻³, down to -0.02" in progress.warnings[0]


def test_roles_are_kept_and_their_absence_lists_what_is_there():
    roles = ["train"] * 4 + [""] * 4 + ["Validate"] * 4 + ["spike"] * 12
    table = make_table(role=roles)
    assert sorted(training_rows(table, roles=["train"]).row) == list(range(8))
    assert sorted(training_rows(table, roles=["validate"]).row) == [8, 9, 10, 11]
    assert len(training_rows(table)) == N
    listed = r"role test; the roles found are: spike \(12 rows\), train \(8 rows\), validate \(4"
    with pytest.raises(InputError, match=listed):
        training_rows(table, roles=["test"])


def test_spiking_takes_all_but_validation_rows_where_none_spikes():
    progress = RecordingProgress()
    assert spiking_roles(make_table(role=["spike"] + ["train"] * (N - 1)), progress) == ("spike",)
    assert not progress.messages
    table = make_table(role=["validate"] * 4 + ["train"] * 10 + ["other"] * 10)
    assert spiking_roles(table, progress) == ("other", "train")
    assert "No row has the role spike" in progress.messages[0]
    only = make_table(role=["validate"] * N)
    with pytest.raises(InputError, match=r"the roles found are: validate \(24 rows\)"):
        training_rows(only, roles=spiking_roles(only, progress))


def test_folds_are_read_where_they_are_filled():
    folds = np.arange(N) % 6 % 3 + 1
    rows = training_rows(make_table(fold=folds))
    np.testing.assert_array_equal(rows.fold, folds[rows.row])
    assert set(training_rows(make_table(fold=[""] * N)).fold) == {-1}
    assert set(training_rows(make_table(fold=folds), use_folds=False).fold) == {-1}
    part = folds.astype(float)
    part[3] = np.nan
    with pytest.raises(InputError, match=f"'fold' is empty in 1 of {N} rows"):
        training_rows(make_table(fold=part))
    with pytest.raises(InputError, match=r"fold 1.5 in row 1 is not a whole number"):
        training_rows(make_table(fold=folds + 0.5))
    with pytest.raises(InputError, match="one fold only"):
        training_rows(make_table(fold=np.ones(N)))


def test_a_station_torn_over_folds_is_warned_of():
    progress = RecordingProgress()
    training_rows(make_table(fold=np.arange(N) // 12), progress=progress)
    assert any("one station into several folds" in text for text in progress.warnings)


def test_weights_come_from_the_field_weight_or_the_one_named():
    weight, other = np.linspace(1, 2, N), np.linspace(3, 4, N)
    progress = RecordingProgress()
    rows = training_rows(make_table(weight=weight), progress=progress)
    np.testing.assert_array_equal(rows.weight, weight[rows.row])
    assert "Row weights come from the field 'weight'." in progress.messages
    rows = training_rows(make_table(weight=weight, w2=other), weight_field="w2")
    np.testing.assert_array_equal(rows.weight, other[rows.row])
    assert rows.covariates == ("clay", "slope")
    assert set(training_rows(make_table(weight=np.full(N, np.nan))).weight) == {1.0}


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
def test_weights_must_be_positive(bad):
    weight = np.ones(N)
    weight[4] = bad
    with pytest.raises(InputError, match=r"1 rows have no positive weight.*row 5"):
        training_rows(make_table(weight=weight))


def test_too_few_stations_are_refused():
    one = make_table(station=["only"] * N)
    with pytest.raises(InputError, match=r"names 1 station \(only\) in complete rows.*at least 2"):
        training_rows(one)
    assert len(training_rows(one, min_stations=1)) == N


def test_repeated_station_days_are_told():
    table = make_table()
    doubled = table.take(np.r_[np.arange(N), 0, 1])
    moved = doubled.column("moisture").copy()
    moved[N] += 0.01
    progress = RecordingProgress()
    rows = training_rows(doubled.with_columns({"moisture": moved}), progress=progress)
    assert len(rows) == N + 2
    assert any(text.startswith("2 rows are further rows") for text in progress.messages)
    assert any(text.startswith("1 rows repeat another row") for text in progress.warnings)


def test_depths_that_do_not_overlap_are_warned_of():
    bottom, top = np.full(N, 0.05), np.zeros(N)
    top[0], bottom[0] = 0.3, 0.3
    progress = RecordingProgress()
    rows = training_rows(make_table(depth_from=top, depth_to=bottom), progress=progress)
    assert rows.depth == (0.0, 0.3)
    assert "0–0.05 m, 0.3–0.3 m" in progress.warnings[0]


def test_a_table_needs_neither_date_nor_depth_nor_network():
    rows = training_rows(make_table(date=None, depth_from=None, network=None))
    assert np.isnat(rows.date).all()
    assert rows.depth is None
    assert set(rows.network) == {""}


def test_concat_appends_and_keeps_class_fields_of_both():
    first = training_rows(make_table(), groups=["landcover"])
    second = training_rows(make_table(depth_to=np.full(N, 0.1)), groups=["network"])
    both = concat(first, second)
    assert len(both) == 2 * N
    assert both.depth == (0.0, 0.1)
    assert both.classes["landcover"][N:].tolist() == [""] * N
    assert both.classes["network"][:N].tolist() == [""] * N
    np.testing.assert_array_equal(both.X[N:], second.X)
    np.testing.assert_array_equal(both.X[:N], first.X)
    np.testing.assert_array_equal(both.station[N:], second.station)
    with pytest.raises(InputError, match="differ in the covariates slope"):
        concat(first, training_rows(make_table(), covariates=["clay"]))


def test_concat_brings_positions_into_one_crs():
    first = replace(training_rows(make_table()), crs="EPSG:4326")
    second = replace(training_rows(make_table()), crs="EPSG:3857")
    both = concat(first, second)
    assert both.crs == "EPSG:4326"
    np.testing.assert_array_equal(both.x[:N], first.x)
    # One metre of the Mercator plane is 360/(2 pi 6378137) degrees at the equator.
    degrees = 180 / (np.pi * 6378137)
    np.testing.assert_allclose(both.x[N:], second.x * degrees, rtol=1e-6)
    np.testing.assert_allclose(both.y_coord[N:], second.y_coord * degrees, rtol=1e-6)


def test_polish_fields_with_their_real_gaps_and_repeats(shared_data):
    with (shared_data / "poland_s1" / "table.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    table = Table({name: [line[i] for line in lines] for i, name in enumerate(header)})
    progress = RecordingProgress()
    with pytest.raises(InputError, match="'vwc_pct' follows the target 'vwc'"):
        training_rows(table, target="vwc", station="field")
    names = ["s1_g0_vh_db", "s1_g0_vv_db", "local_inc_deg", "clay_pct"]
    rows = training_rows(table, target="vwc", station="field", covariates=names, progress=progress)
    assert len(rows) == 816
    assert rows.dropped == {"clay_pct": 10}
    assert any(text.startswith("20 rows repeat another row") for text in progress.warnings)
