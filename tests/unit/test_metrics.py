"""Scores against scikit-learn, SciPy and numbers worked out by hand."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as oracle
from soil_moisture_mapper.plugin.core.evaluation.metrics import (
    COLUMNS,
    find_row,
    natural_order,
    scope_table,
    score,
    score_table,
    season_of,
    write_metrics,
)

CONTRACT = "scope,group,n,stations,r2,r,me,rmse,ubrmse,mae,slope,picp90,width90,source"

moisture = st.lists(st.floats(0, 0.625, width=32), min_size=3, max_size=40)


def noisy(n=60, seed=3):
    rng = np.random.default_rng(seed)
    observed = rng.uniform(0.05, 0.45, n)
    return observed, 0.1 + 0.6 * observed + rng.normal(0, 0.03, n)


def days(n, start="2021-03-01", step=1):
    return np.datetime64(start) + np.arange(0, n * step, step)


def test_scores_of_scikit_learn_and_scipy():
    o, p = noisy()
    found = score(o, p)
    line = stats.linregress(p, o)
    assert found["n"] == 60
    assert found["r2"] == pytest.approx(oracle.r2_score(o, p))
    assert found["r"] == pytest.approx(stats.pearsonr(o, p)[0])
    assert found["slope"] == pytest.approx(line.slope)
    assert found["rmse"] == pytest.approx(np.sqrt(oracle.mean_squared_error(o, p)))
    assert found["mae"] == pytest.approx(oracle.mean_absolute_error(o, p))
    assert found["me"] == pytest.approx(np.mean(p) - np.mean(o))


def test_scores_by_hand():
    found = score(
        np.array([0.10, 0.20, 0.30]),
        np.array([0.20, 0.20, 0.40]),
        lower=np.array([0.05, 0.21, 0.30]),
        upper=np.array([0.15, 0.31, 0.50]),
        station=np.array(["a", "a", "b"], dtype=object),
    )
    assert found["stations"] == 2
    assert found["me"] == pytest.approx(0.2 / 3)
    assert found["rmse"] == pytest.approx(np.sqrt(0.02 / 3))
    assert found["ubrmse"] == pytest.approx(np.sqrt(0.02 / 9))
    assert found["mae"] == pytest.approx(0.2 / 3)
    assert found["r2"] == pytest.approx(0.0)
    assert found["r"] == pytest.approx(np.sqrt(3) / 2)
    assert found["slope"] == pytest.approx(0.75)
    assert found["picp90"] == pytest.approx(2 / 3)
    assert found["width90"] == pytest.approx(0.4 / 3)
    # station a errs by 0.05 on average, b by 0.1
    assert found["abs_me"] == pytest.approx(0.075)
    # the second measurement is 0.01 below its interval: 0.01 · 2 / 0.1, over three rows
    assert found["interval_score90"] == pytest.approx((0.4 + 0.2) / 3)


@given(moisture, st.integers(0, 2**32 - 1))
@settings(max_examples=80, deadline=None)
def test_rmse_is_made_of_bias_and_the_rest(observed, seed):
    predicted = np.random.default_rng(seed).uniform(0, 0.6, len(observed))
    found = score(np.array(observed), predicted)
    assert found["rmse"] ** 2 == pytest.approx(found["me"] ** 2 + found["ubrmse"] ** 2, abs=1e-15)
    assert abs(found["me"]) <= found["mae"] + 1e-15 <= found["rmse"] + 1e-14
    assert found["r"] is None or -1 <= found["r"] <= 1


@given(moisture, st.floats(-0.2, 0.2))
@settings(max_examples=60, deadline=None)
def test_a_constant_error_is_bias_only(observed, error):
    found = score(np.array(observed), np.array(observed) + error)
    assert found["me"] == pytest.approx(error, abs=1e-12)
    assert found["ubrmse"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("observed", "predicted", "empty"),
    [
        ([0.1, 0.2], [0.1, 0.3], {"r", "slope"}),
        ([0.2, 0.2, 0.2], [0.1, 0.3, 0.2], {"r", "r2"}),
        ([0.1, 0.2, 0.3], [0.2, 0.2, 0.2], {"r", "slope"}),
        ([0.1], [0.2], {"r", "r2", "slope"}),
        ([], [], {"r2", "r", "me", "rmse", "ubrmse", "mae", "slope", "abs_me"}),
        ([0.1, np.nan], [np.nan, 0.2], {"r2", "r", "me", "rmse", "ubrmse", "mae", "slope"}),
    ],
)
def test_what_cannot_be_computed_is_empty(observed, predicted, empty):
    found = score(np.array(observed), np.array(predicted))
    assert {name for name in empty if found[name] is None} == empty
    assert found["picp90"] is None
    assert all(np.isfinite(v) for v in found.values() if v is not None)


def test_missing_predictions_are_left_out_and_not_counted():
    o, p = noisy()
    gaps = p.copy()
    gaps[[3, 7]] = np.nan
    kept = np.isfinite(gaps)
    assert score(o, gaps) == score(o[kept], p[kept])
    assert score(o, gaps)["n"] == 58


def test_a_place_visited_once_has_no_correlation():
    o, p = noisy(16)
    once = np.full(16, np.datetime64("2024-10-19"))
    station = np.repeat(np.array(["BGE", "BGF"], object), 8)
    table = score_table(o, p, station=station, date=once, source="model")
    field = find_row(table, "station", "model", "BGE")
    assert field["r"] is None
    assert field["slope"] is None
    assert field["rmse"] == pytest.approx(np.sqrt(oracle.mean_squared_error(o[:8], p[:8])))
    assert find_row(table, "overall", "model")["r"] == pytest.approx(stats.pearsonr(o, p)[0])


@pytest.mark.parametrize(
    ("day", "season"),
    [
        ("2020-12-01", "DJF"),
        ("2021-02-28", "DJF"),
        ("2021-03-01", "MAM"),
        ("2021-05-31", "MAM"),
        ("2021-06-01", "JJA"),
        ("2021-08-31", "JJA"),
        ("2021-09-01", "SON"),
        ("2021-11-30", "SON"),
        ("NaT", ""),
    ],
)
def test_seasons(day, season):
    assert season_of(np.array([day], dtype="datetime64[D]")).tolist() == [season]


@pytest.fixture
def table():
    n = 40
    o, p = noisy(n)
    return score_table(
        o,
        p,
        lower=p - 0.05,
        upper=p + 0.05,
        station=np.repeat(np.array(["2", "10", "1", "9"], object), 10),
        network=np.repeat(np.array(["Süd", "Nord"], object), 20),
        date=np.concatenate([days(10), days(10, step=20), days(10)[[0, 1, 2, 3] * 2 + [0, 1]]] * 2)[
            :n
        ],
        classes={"landcover": np.array(["forest", ""] * 20, dtype=object)},
        source="model",
    )


def test_scopes_and_groups_come_in_the_order_of_the_contract(table):
    assert [(row["scope"], row["group"]) for row in table] == [
        ("overall", ""),
        ("network", "Nord"),
        ("network", "Süd"),
        ("class", "landcover=forest"),
        ("season", "MAM"),
        ("season", "JJA"),
        ("station", "1"),
        ("station", "2"),
        ("station", "9"),
        ("station", "10"),
        ("station_mean", ""),
        ("station_median", ""),
    ]
    assert {row["source"] for row in table} == {"model"}
    assert find_row(table, "class", "model", "landcover=forest")["n"] == 20


def test_pooled_rows_are_scored_together(table):
    o, p = noisy(40)
    assert find_row(table, "overall", "model")["stations"] == 4
    assert find_row(table, "network", "model", "Süd")["rmse"] == pytest.approx(
        np.sqrt(oracle.mean_squared_error(o[:20], p[:20]))
    )


def test_station_mean_is_over_stations_with_ten_rows_on_five_dates(table):
    # station 1 has ten rows on four dates only
    chosen = [find_row(table, "station", "model", name) for name in ("2", "9", "10")]
    mean = find_row(table, "station_mean", "model")
    median = find_row(table, "station_median", "model")
    assert (mean["stations"], mean["n"]) == (3, 30)
    assert mean["rmse"] == pytest.approx(np.mean([row["rmse"] for row in chosen]))
    assert median["r"] == pytest.approx(np.median([row["r"] for row in chosen]))
    assert mean["abs_me"] == pytest.approx(np.mean([abs(row["me"]) for row in chosen]))
    assert mean["me"] == pytest.approx(np.mean([row["me"] for row in chosen]))


def test_nine_rows_or_four_dates_are_too_few():
    o, p = noisy(19)
    station = np.array(["a"] * 9 + ["b"] * 10, dtype=object)
    date = np.concatenate([days(9), days(4), days(4), days(2)])
    rows = score_table(o, p, station=station, date=date, source="model")
    mean = find_row(rows, "station_mean", "model")
    assert (mean["n"], mean["stations"], mean["rmse"]) == (0, 0, None)


def test_rows_without_dates_networks_or_classes_give_the_other_scopes():
    o, p = noisy(12)
    station = np.repeat(np.array(["a", "b"], object), 6)
    nothing = np.full(12, "", object)
    undated = np.full(12, np.datetime64("NaT", "D"))
    rows = score_table(o, p, station=station, network=nothing, date=undated, source="after")
    assert [row["scope"] for row in rows] == [
        "overall",
        "station",
        "station",
        "station_mean",
        "station_median",
    ]


def test_a_class_field_that_is_the_network_is_not_scored_twice():
    o, p = noisy(12)
    station = np.repeat(np.array(["a", "b"], object), 6)
    network = np.repeat(np.array(["N", "S"], object), 6)
    classes = {"Network": network, "cover": network}
    rows = score_table(o, p, station=station, network=network, classes=classes, source="model")
    assert [row["group"] for row in rows if row["scope"] == "network"] == ["N", "S"]
    assert [row["group"] for row in rows if row["scope"] == "class"] == ["cover=N", "cover=S"]
    alone = score_table(o, p, station=station, classes={"network": network}, source="model")
    assert [row["group"] for row in alone if row["scope"] == "class"] == ["network=N", "network=S"]


def test_spike_scope_is_pooled_then_by_class():
    o, p = noisy(12)
    rows = scope_table(
        "spike_loso",
        o,
        p,
        station=np.repeat(np.array(["a", "b", "c"], object), 4),
        classes={"cover": np.array(["x", "y"] * 6, object)},
        source="before",
    )
    assert [(r["scope"], r["group"]) for r in rows] == [
        ("spike_loso", ""),
        ("spike_loso", "cover=x"),
        ("spike_loso", "cover=y"),
    ]
    assert rows[0]["stations"] == 3


def test_the_order_of_rows_changes_nothing():
    o, p = noisy(40)
    station = np.repeat(np.array(["a", "b", "c", "d"], object), 10)
    order = np.random.default_rng(1).permutation(40)
    one = score_table(o, p, station=station, date=np.tile(days(10), 4), source="model")
    other = score_table(
        o[order],
        p[order],
        station=station[order],
        date=np.tile(days(10), 4)[order],
        source="model",
    )
    for a, b in zip(one, other):
        assert a == pytest.approx(b)


def test_the_table_has_the_columns_of_the_contract(table, tmp_path):
    path = tmp_path / "größe der fehler.csv"
    write_metrics(table, path)
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[0].startswith(CONTRACT)
    assert text.splitlines()[0] == ",".join(COLUMNS)
    with path.open(encoding="utf-8", newline="") as stream:
        read = list(csv.DictReader(stream))
    assert len(read) == len(table)
    for wrote, found in zip(table, read):
        assert found["group"] == wrote["group"]
        for name in ("n", "rmse", "r", "picp90"):
            assert (
                found[name] == ""
                if wrote[name] is None
                else float(found[name]) == (pytest.approx(wrote[name]))
            )


def test_a_failed_write_leaves_the_earlier_table(table, tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("earlier", encoding="utf-8")

    def broken():
        yield table[0]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_metrics(broken(), path)
    assert path.read_text(encoding="utf-8") == "earlier"
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.csv"]


def test_names_that_are_numbers_sort_as_numbers():
    assert natural_order(["10", "9", "1"]) == ["1", "9", "10"]
    assert natural_order(["b10", "9", "a"]) == ["9", "a", "b10"]
