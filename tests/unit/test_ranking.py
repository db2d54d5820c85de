"""Ranking and choosing covariates: a known law, other code on the same folds, rules by hand."""

from __future__ import annotations

import csv
import importlib
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError
from soil_moisture_mapper.plugin.core.evaluation.metrics import score
from soil_moisture_mapper.plugin.core.evaluation.ranking import grouped, rank_covariates
from soil_moisture_mapper.plugin.core.evaluation.ranking_table import (
    COLUMNS,
    METHODS,
    RankSettings,
    write_ranking,
)
from soil_moisture_mapper.plugin.core.evaluation.reports.ranking_report import ranking_report
from soil_moisture_mapper.plugin.core.evaluation.selection import (
    CovariateSet,
    SetScorer,
    filled_covariates,
    smallest_enough,
    station_constant,
)
from soil_moisture_mapper.plugin.core.evaluation.selection_forward import (
    forward_cost,
    paired_gain,
    select_forward,
)
from soil_moisture_mapper.plugin.core.evaluation.successive import choose_set, improvements
from soil_moisture_mapper.plugin.core.models.heldout import ForestSettings, predict_folds
from soil_moisture_mapper.plugin.core.models.training import choose_folds
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress
from soil_moisture_mapper.plugin.core.stations.constant_covariates import without_constant
from soil_moisture_mapper.plugin.core.stations.rows import training_rows
from soil_moisture_mapper.plugin.core.stations.table import Table

FOREST = ForestSettings(trees=15, min_leaf=4, max_features=1.0)
TRUE = {"clay", "rain", "smap"}
#: 'elevation' is another number at each station and has no part in the law; but each station has an
#: offset of its own, which a forest learns from it where it has seen the station on other days.
STATIC = ("clay", "elevation")


def law_table(noise=6, stations=40, days=8, seed=10):
    """Moisture made by three covariates and an offset of each station.

    The offsets follow neither clay nor a trend of elevation, not even by chance.
    """
    rng = np.random.default_rng(seed)
    station = np.repeat(np.arange(stations), days)
    n = len(station)
    columns = {f"noise_{i}": rng.normal(size=n) for i in range(noise)}
    columns["rain"], columns["smap"] = rng.normal(size=n), rng.normal(size=n)
    clay, place = rng.normal(size=stations), rng.permutation(stations) / stations
    columns["clay"], columns["elevation"] = clay[station], 500 * place[station]
    trends = np.column_stack([place**k for k in range(5)] + [clay, clay**2])
    offset = rng.normal(0, 0.04, stations)
    offset -= trends @ np.linalg.lstsq(trends, offset, rcond=None)[0]
    offset = offset[station]
    moisture = 0.3 + 0.025 * columns["rain"] + 0.04 * columns["smap"] + 0.04 * columns["clay"]
    return Table(
        {
            "station": [f"S{i:02d}" for i in station],
            "date": np.datetime64("2021-04-01") + np.tile(np.arange(days), stations),
            "moisture": moisture + offset + rng.normal(0, 0.005, n),
            **columns,
        }
    )


@lru_cache
def law_rows(noise=6):
    return training_rows(law_table(noise))


@lru_cache
def ranked(method, noise=6, ranking="permutation"):
    """The ranking, and what the run said."""
    heard = RecordingProgress()
    settings = RankSettings(method, FOREST, ranking=ranking)
    return rank_covariates(law_rows(noise), settings, heard), heard


def order_of(lines):
    return [line.names[0] for line in lines]


def scored(names, fold_mse=(1e-4,), spread=0.05, **scores):
    """A set with scores made up."""
    given = {"r": 0.8, "ubrmse": 0.05, "me": 0.0, "slope": 1.0, "n": 10, "stations": 5, **scores}
    given.setdefault("rmse", float(np.hypot(given["ubrmse"], given["me"])))
    return CovariateSet(tuple(names), given, np.array(fold_mse), spread)


# known law


@pytest.mark.parametrize(
    ("method", "noise"),
    [("permutation", 6), ("out-of-bag", 6), ("impurity", 6), ("successive", 2), ("forward", 2)],
)
def test_every_method_selects_the_law(method, noise):
    result, _ = ranked(method, noise)
    assert set(result.selected) == TRUE
    assert set(result.chosen.names) == TRUE
    assert {n for line in result.lines if line.selected for n in line.names} == TRUE
    assert result.chosen.rmse < result.whole.rmse


def test_out_of_bag_ranks_what_tells_stations_apart_too_high_and_station_folds_do_not():
    result, heard = ranked("out-of-bag")
    published, held_out = result.lines, result.beside
    assert {line.method for line in published} == {"out-of-bag"}
    assert {line.method for line in held_out} == {"permutation"}
    share = {line.names[0]: line.importance / published[0].importance for line in published}
    noise = max(value for name, value in share.items() if name.startswith("noise"))
    assert order_of(published)[3] == "elevation"
    assert share["elevation"] > 0.05
    assert share["elevation"] > 10 * noise
    unseen = {line.names[0]: line.relative for line in held_out}
    noise = max(value for name, value in unseen.items() if name.startswith("noise"))
    assert unseen["elevation"] < noise < 0.02
    assert "elevation" not in result.selected
    assert result.static == STATIC
    assert heard.warnings == [
        "Out-of-bag importance ranks covariates too high that have one value a station, since "
        "they tell the stations apart: clay, elevation. Permutation in station folds does not."
    ]
    assert ranked("permutation")[1].warnings == []
    assert order_of(ranked("permutation")[0].lines) == order_of(held_out)


def test_out_of_bag_is_ranked_by_rise_over_its_spread():
    lines = ranked("out-of-bag")[0].lines
    quotient = [line.importance / line.sd for line in lines]
    assert quotient == sorted(quotient, reverse=True)
    assert [line.relative for line in lines] == pytest.approx(np.array(quotient) / quotient[0])


def test_successive_sets_follow_the_order_asked_for():
    by_folds, _ = ranked("successive", 2)
    published, heard = ranked("successive", 2, ranking="out-of-bag")
    assert order_of(by_folds.lines) == order_of(ranked("permutation", 2)[0].lines)
    assert order_of(published.lines) == order_of(ranked("out-of-bag", 2)[0].lines)
    assert len(heard.warnings) == 1
    for result in (by_folds, published):
        for rank, line in enumerate(result.lines, start=1):
            assert line.scored.names == tuple(sorted(order_of(result.lines)[:rank]))


def test_out_of_bag_misleads_on_a_real_farm(root, shared_data, monkeypatch):
    """Cook Agronomy Farm: eight covariates that never change at one of 42 loggers, five of weather.

    That static covariates look better than they are at unseen loggers of this farm is the finding
    of Meyer et al. (2018, doi:10.1016/j.envsoft.2017.12.001).
    """
    monkeypatch.syspath_prepend(str(root / "benchmarks" / "skill"))
    cookfarm = importlib.import_module("cookfarm")
    rows, _ = cookfarm.read_rows(shared_data / "cookfarm")
    rows = rows.take(np.arange(0, len(rows), 2))
    settings = RankSettings("out-of-bag", ForestSettings(trees=20), repeats=2)
    result = rank_covariates(rows, settings)
    assert set(result.static) == set(cookfarm.STATIC)
    published = {line.names[0]: line.importance for line in result.lines}
    held_out = {line.names[0]: line.importance for line in result.beside}
    weather = {"rain_30", "sin_doy"}
    assert set(order_of(result.beside)[:2]) == weather
    assert not weather <= set(order_of(result.lines)[:2])
    # how much of all importance the static ones have
    shares = [
        sum(found[name] for name in cookfarm.STATIC) / sum(found.values())
        for found in (published, held_out)
    ]
    assert shares[0] > 0.3
    assert shares[1] < 0.2
    assert len(set(result.selected) - weather) < 4
    assert result.chosen.rmse <= 1.02 * result.whole.rmse


# other code


@pytest.mark.parametrize("names", [("smap",), ("clay", "rain", "smap")])
def test_scores_of_a_set_are_those_of_a_model_of_these_covariates(names):
    table = law_table()
    rows = training_rows(table, covariates=names)
    fold = choose_folds(rows, 5, FOREST.seed)
    held, _ = predict_folds(rows, fold, FOREST, Progress())
    found = SetScorer(law_rows(), choose_folds(law_rows(), 5, FOREST.seed), FOREST).score(names)
    assert found.rmse == pytest.approx(np.sqrt(np.mean((held.mean - rows.y) ** 2)), rel=1e-12)
    assert found.scores["r"] == pytest.approx(np.corrcoef(held.mean, rows.y)[0, 1])
    assert found.spread == pytest.approx(held.mean.std())
    expected = [np.mean((held.mean - rows.y)[fold == k] ** 2) for k in range(1, 6)]
    assert found.fold_mse == pytest.approx(expected)


def test_a_dropped_group_costs_what_a_model_without_it_loses():
    groups = {"rain": "weather", "smap": "weather", "clay": "soil"}
    settings = RankSettings("group-drop", FOREST, groups=groups)
    result = rank_covariates(law_rows(2), settings)
    fold = choose_folds(law_rows(2), 5, FOREST.seed)
    errors = []
    for names in (("clay", "elevation", "noise_0", "noise_1"), law_rows(2).covariates):
        rows = training_rows(law_table(2), covariates=names)
        held, _ = predict_folds(rows, fold, FOREST, Progress())
        square = (held.mean - rows.y) ** 2
        errors.append([square[fold == k].mean() for k in range(1, 6)])
    loss = np.subtract(*errors)
    first = result.lines[0]
    assert (first.group, first.names) == ("weather", ("rain", "smap"))
    assert first.importance == pytest.approx(loss.mean())
    assert first.sd == pytest.approx(loss.std(ddof=1))
    assert [line.group for line in result.lines[:2]] == ["weather", "soil"]
    assert set(result.selected) == TRUE
    assert grouped(["b", "a", "c"], {"a": "g", "c": "g"}) == {"b": ("b",), "g": ("a", "c")}


def test_twins_hide_each_other_but_one_of_them_is_kept():
    table = law_table(2)
    rng = np.random.default_rng(1)
    twin = table.numeric("smap") + rng.normal(0, 1e-3, len(table))
    names = ["noise_0", "smap", "smap_twin"]
    rows = training_rows(table.with_columns({"smap_twin": twin}), covariates=names)
    settings = RankSettings("group-drop", replace(FOREST, max_features=1.0), tolerance=0.05)
    result = rank_covariates(rows, settings)
    alone = {line.group: line.scored.rmse for line in result.lines}
    assert alone["smap"] == pytest.approx(result.whole.rmse, rel=0.05)
    assert alone["smap_twin"] == pytest.approx(result.whole.rmse, rel=0.05)
    assert {"smap", "smap_twin"} & set(result.selected)
    assert result.chosen.rmse <= 1.05 * result.whole.rmse


def test_the_next_by_rank_come_in_until_the_set_is_as_good_as_all():
    rows = law_rows(2)
    scorer = SetScorer(rows, choose_folds(rows, 5, 42), FOREST)
    units = [(name,) for name in ("noise_0", "smap", "clay", "rain", "noise_1", "elevation")]
    found = smallest_enough(scorer, units, 0, 0.02, Progress())
    assert found.names == ("clay", "noise_0", "rain", "smap")
    assert smallest_enough(scorer, units, 6, 0.02, Progress()).names == rows.covariates


# rules


def test_forward_starts_from_the_best_pair_and_ends_with_the_first_refused():
    rows = law_rows(2)
    scorer = SetScorer(rows, choose_folds(rows, 5, FOREST.seed), FOREST)
    steps = select_forward(scorer, 0.02, Progress())
    assert [len(step.scored.names) for step in steps] == list(range(1, len(steps) + 1))
    assert [step.taken for step in steps] == [True, True, True, False]
    pairs = [
        scorer.score((a, b)) for a in rows.covariates for b in rows.covariates if a < b
    ]  # scored before, so nothing is grown
    assert steps[1].scored.mean_fold_rmse == min(pair.mean_fold_rmse for pair in pairs)
    last = steps[-1]
    assert last.gain <= max(0.02 * steps[-2].scored.mean_fold_rmse, last.error)
    # 15 pairs, 2 alone, 4 with a third and 3 with a fourth covariate
    assert scorer.fits == (15 + 2 + 4 + 3) * 5
    assert 15 + 2 + 4 + 3 <= forward_cost(6) == 27


def test_gain_is_paired_over_folds():
    before = scored("a", fold_mse=np.array([0.05, 0.06, 0.07]) ** 2)
    after = scored("ab", fold_mse=np.array([0.04, 0.04, 0.04]) ** 2)
    # falls of 0.01, 0.02, 0.03: mean 0.02, standard deviation 0.01
    assert paired_gain(before, after) == pytest.approx((0.02, 0.01 / np.sqrt(3)))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"r": 0.815}, ()),
        ({"r": 0.825}, ("r",)),
        ({"ubrmse": 0.0495}, ()),
        ({"ubrmse": 0.0485}, ("ubrmse",)),
        # a fall of the RMSE by 2 % is one of its square by 3.96 %, here 9.9e-5 of 25e-4
        ({"me": 0.001}, ("me",)),
        ({"me": 0.0102}, ()),
        ({"slope": 1.05}, ("slope",)),
        ({"slope": 1.23}, ()),
        ({"r": None, "slope": None}, ()),
    ],
)
def test_what_counts_as_better(change, expected):
    first = {"me": 0.0141, "slope": 1.25, "ubrmse": np.sqrt(25e-4 - 0.0141**2)}
    if "ubrmse" in change:
        first = {"ubrmse": 0.05}
    before = scored("a", **first)
    after = scored("ab", **{**first, **change})
    assert improvements(before, after, 0.02) == expected


def test_the_parts_of_the_squared_error_add_up():
    rng = np.random.default_rng(2)
    y = rng.normal(0.25, 0.08, 200)
    predicted = 0.1 + 0.4 * y + rng.normal(0, 0.03, 200)
    found = score(y, predicted)
    slope_part = (found["slope"] - 1) ** 2 * predicted.var()
    rest = (1 - found["r"] ** 2) * y.var()
    assert found["rmse"] ** 2 == pytest.approx(found["me"] ** 2 + slope_part + rest)


def test_the_smallest_set_after_which_nothing_improves():
    falling = [0.09, 0.07, 0.07, 0.05, 0.0495, 0.0496]
    sets = [scored("abcdef"[: i + 1], ubrmse=v, r=0.5) for i, v in enumerate(falling)]
    assert choose_set(sets, 0.02) == 3  # not the level stretch at the second
    assert choose_set(sets, 0.0) == 4
    assert choose_set(sets[:1], 0.02) == 0
    assert choose_set(sets, 0.5) == 0


@given(
    st.lists(
        st.tuples(st.floats(0.1, 0.95), st.floats(0.02, 0.1), st.floats(-0.05, 0.05)),
        min_size=1,
        max_size=8,
    ),
    st.floats(0.0, 0.2),
)
def test_no_larger_set_improves_on_the_chosen_and_every_smaller_one_is_improved(values, tolerance):
    sets = [scored("abcdefgh"[: i + 1], r=r, ubrmse=u, me=m) for i, (r, u, m) in enumerate(values)]
    place = choose_set(sets, tolerance)
    assert not any(improvements(sets[place], one, tolerance) for one in sets[place + 1 :])
    for i in range(place):
        assert any(improvements(sets[i], one, tolerance) for one in sets[i + 1 :])


# order, input, output


@pytest.mark.parametrize("method", ["out-of-bag", "successive"])
def test_rows_and_columns_in_any_order_give_the_same_table(method, tmp_path):
    table = law_table(2)
    rng = np.random.default_rng(3)
    turned = Table(dict(reversed(list(table.columns.items())))).take(rng.permutation(len(table)))
    names = list(reversed(law_rows(2).covariates))
    settings = RankSettings(method, FOREST)
    texts = []
    for number, rows in enumerate((law_rows(2), training_rows(turned, covariates=names))):
        write_ranking(rank_covariates(rows, settings), tmp_path / f"{number}.csv")
        texts.append((tmp_path / f"{number}.csv").read_bytes())
    assert texts[0] == texts[1]


def test_another_seed_gives_another_table():
    other = replace(FOREST, seed=7)
    result = rank_covariates(law_rows(2), RankSettings("permutation", other))
    first = rank_covariates(law_rows(2), RankSettings("permutation", FOREST))
    assert result.lines[0].importance != first.lines[0].importance


def test_folds_of_the_table_are_used():
    table = law_table(2)
    fold = np.where(table.text("station") < "S20", 1.0, 2.0)
    result = rank_covariates(
        training_rows(table.with_columns({"fold": fold})), RankSettings("permutation", FOREST)
    )
    assert result.folds == 2
    assert len(result.whole.fold_mse) == 2


@pytest.mark.parametrize("method", METHODS)
def test_table_has_its_columns_and_one_line_for_each_rank(method, tmp_path):
    result, _ = ranked(method, 2)
    write_ranking(result, tmp_path / "ranking.csv")
    with (tmp_path / "ranking.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    own = [row for row in rows if row["method"] == method and row["rank"]]
    assert [row["rank"] for row in own] == [str(i + 1) for i in range(len(own))]
    whole, chosen = rows[-2:]
    assert (whole["rank"], chosen["rank"]) == ("", "")
    assert whole["covariate"].split(";") == list(law_rows(2).covariates)
    assert chosen["covariate"] == ";".join(result.selected)
    assert (whole["selected"], chosen["selected"]) == ("0", "1")
    assert float(chosen["rmse"]) == pytest.approx(result.chosen.rmse)
    assert (chosen["n"], chosen["stations"], chosen["covariates"]) == ("320", "40", "3")


@pytest.mark.parametrize("method", METHODS)
def test_report_says_what_was_chosen(method, tmp_path):
    result, heard = ranked(method, 2)
    ranking_report(result, tmp_path / "r.html", warnings=[*heard.warnings, "<b>rain</b>"])
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert f"COVARIATES: {';'.join(result.selected)}" in page
    assert "320 rows of 40 stations in 5 folds" in page
    assert "&lt;b&gt;rain&lt;/b&gt;" in page
    assert "<b>rain" not in page
    assert "<script" not in page
    curves = "Curves of the scores against the number of covariates" in page
    assert curves == (method in ("successive", "forward"))


def test_the_cost_is_told_before():
    assert (
        "At most 140 forests of 15 trees are grown: up to 28 sets of covariates in 5 station folds."
        in ranked("forward", 2)[1].messages
    )


def test_constant_and_empty_covariates_are_left_out_and_named():
    n = len(law_table(1))
    table = law_table(1).with_columns(
        {"flat": np.full(n, 7.0), "gone": np.full(n, np.nan), "coded": np.full(n, -9999.0)}
    )
    heard = RecordingProgress()
    names = filled_covariates(table, [], ["moisture"], heard)
    assert heard.warnings == ["Left out, without any value: coded, gone."]
    rows, constant = without_constant(training_rows(table, covariates=names), heard)
    assert constant == ("flat",)
    assert rows.covariates == ("clay", "elevation", "noise_0", "rain", "smap")
    assert np.array_equal(rows.X, training_rows(law_table(1)).X)
    assert heard.warnings[1] == (
        "Left out, with the same value in all rows: flat. They tell nothing."
    )
    with pytest.raises(InputError, match=r"^No covariate has a value: coded, gone\."):
        filled_covariates(table, ["gone", "coded"], [], heard)
    with pytest.raises(InputError, match=r"^Every covariate has the same value in all rows: flat"):
        without_constant(training_rows(table, covariates=["flat"]), heard)


def test_a_covariate_is_static_where_no_station_sees_it_change():
    assert station_constant(law_rows()) == STATIC
    first = np.unique(law_rows().station, return_index=True)[1]
    assert station_constant(law_rows().take(first)) == ()


def test_wrong_settings_are_refused():
    with pytest.raises(InputError, match=r"^All covariates are of one group \(soil\)"):
        groups = dict.fromkeys(law_rows(2).covariates, "soil")
        rank_covariates(law_rows(2), RankSettings("group-drop", FOREST, groups=groups))
    one = training_rows(law_table(2), covariates=["rain"])
    with pytest.raises(InputError, match=r"starts with pairs, but there is one covariate \(rain\)"):
        rank_covariates(one, RankSettings("forward", FOREST))
    with pytest.raises(InputError, match="There is no ranking 'shap' by 'permutation'"):
        rank_covariates(one, RankSettings("shap", FOREST))
    assert rank_covariates(one, RankSettings("permutation", FOREST)).selected == ("rain",)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_can_be_stopped_anywhere(method):
    class Stopping(Progress):
        def __init__(self, after):
            self.after = after

        @property
        def cancelled(self):
            self.after -= 1
            return self.after < 0

    for after in (0, 30, 100):
        with pytest.raises(Cancelled):
            rank_covariates(law_rows(2), RankSettings(method, FOREST), Stopping(after))


def test_progress_goes_up_to_one():
    class Fractions(Progress):
        def __init__(self):
            self.seen = []

        def report(self, fraction):
            self.seen.append(fraction)

    for method in ("out-of-bag", "group-drop"):
        progress = Fractions()
        rank_covariates(law_rows(2), RankSettings(method, FOREST), progress)
        assert progress.seen == sorted(progress.seen)
        assert 0 <= progress.seen[0] <= progress.seen[-1] <= 1 + 1e-9
