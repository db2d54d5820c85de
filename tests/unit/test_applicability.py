"""Maps of applicability against brute force, for any block, thread count and model."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from datetime import date
from itertools import groupby

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist
from soil_moisture_mapper.plugin.core.covariates.rows import CovariateRow
from soil_moisture_mapper.plugin.core.covariates.table import CovariateTable
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError
from soil_moisture_mapper.plugin.core.evaluation.expected_error import (
    applicability_folds,
    held_out_errors,
)
from soil_moisture_mapper.plugin.core.mapping.applicability import (
    map_applicability,
    model_applicability,
)
from soil_moisture_mapper.plugin.core.mapping.applicability_error import error_profile
from soil_moisture_mapper.plugin.core.models.distribution import predict_forest
from soil_moisture_mapper.plugin.core.models.forest import grow_forest
from soil_moisture_mapper.plugin.core.models.modelfile import load_model, save_model
from soil_moisture_mapper.plugin.core.models.record import Model
from soil_moisture_mapper.plugin.core.models.training import covariates_of
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress
from soil_moisture_mapper.plugin.core.rasters.grids import Grid
from soil_moisture_mapper.plugin.core.stations.folds.splits import station_folds
from soil_moisture_mapper.plugin.core.stations.rows import TrainingRows

UTM = "EPSG:32632"
LEFT, TOP = 500000.0, 5535000.0
DAY = date(2021, 4, 1)
GRID = Grid(UTM, Affine(10, 0, LEFT, 0, -10, TOP), 90, 70)
NAMES = ("clay", "depth", "noise", "smap")
GROWN = {"trees": 8, "min_leaf": 5, "max_features": 0.5, "seed": 1, "folds": 4}


def make_rows(stations=24, days=12, *, seed=1, prefix="s", fold=-1):
    """Clay is a property of the station, depth of all, smap of the day and the station."""
    rng = np.random.default_rng(seed)
    n = stations * days
    station = np.repeat(np.arange(stations), days)
    X = np.empty((n, 4), dtype=np.float32)
    X[:, 0] = rng.uniform(0, 60, stations)[station]
    X[:, 1] = 0.05
    X[:, 2] = rng.normal(size=n)
    X[:, 3] = rng.uniform(0.05, 0.45, n)
    y = 0.05 + 0.002 * X[:, 0] + 0.5 * X[:, 3] + 0.02 * rng.normal(size=n)
    return TrainingRows(
        X=X,
        y=y,
        station=np.array([f"{prefix}{i:02d}" for i in station], dtype=object),
        network=np.full(n, "net", dtype=object),
        date=np.full(n, "2021-04-01", dtype="datetime64[D]"),
        weight=np.ones(n),
        fold=np.full(n, fold),
        classes={},
        x=np.full(n, np.nan),
        y_coord=np.full(n, np.nan),
        crs="",
        covariates=NAMES,
        depth=(0.0, 0.05),
        dropped={},
        row=np.arange(n),
    )


def make_model(rows, local=None, **more):
    forest = grow_forest(
        rows.X, rows.y, rows.weight, trees=8, min_leaf=5, max_features=0.5, seed=1, threads=1
    )
    return Model(
        "qrf",
        "trained" if local is None else "spiked",
        forest,
        covariates_of(rows, {}),
        hyperparameters=GROWN,
        training=rows,
        local=local,
        **more,
    )


def write(path, values):
    stored = np.where(np.isfinite(values), values, -9999.0).astype(np.float32)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=values.shape[1],
        height=values.shape[0],
        count=1,
        dtype="float32",
        crs=UTM,
        transform=GRID.transform,
        nodata=-9999.0,
    ) as dataset:
        dataset.write(stored, 1)
    return path


@pytest.fixture(scope="module")
def land(tmp_path_factory):
    """Clay reaches beyond the stations' in the east; rows 0-4 lack smap."""
    folder = tmp_path_factory.mktemp("länd")
    rng = np.random.default_rng(3)
    column = np.arange(GRID.width) / GRID.width * np.ones(GRID.shape)
    values = {
        "clay": 100 * column + rng.normal(size=GRID.shape),
        "depth": np.full(GRID.shape, 0.05),
        "noise": rng.normal(size=GRID.shape),
        "smap": rng.uniform(0.1, 0.5, GRID.shape),
    }
    values["smap"][:5] = np.nan
    rows = [
        CovariateRow(
            name, "", str(write(folder / f"{name}.tif", v)), 1, *period(name), "bilinear", 2, ""
        )
        for name, v in values.items()
    ]
    return CovariateTable((*rows,), folder)


def period(name):
    return (DAY, DAY) if name == "smap" else (None, None)


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(masked=True).filled(np.nan)


@pytest.fixture(scope="module")
def model():
    return make_model(make_rows())


@pytest.fixture(scope="module")
def held(model):
    return held_out_errors(model, threads=1)


@pytest.fixture(scope="module")
def reach(model, held):
    return model_applicability(model, held.fold, held.weight, squares=held.squares)


def stack_of(land):
    return np.stack([read(row.path)[0] for row in land.rows])


@pytest.mark.parametrize("rule", ["fence", "whisker"])
def test_map_is_brute_force_at_every_cell(tmp_path, land, model, held, rule):
    reach = model_applicability(model, held.fold, held.weight, rule=rule)
    out = tmp_path / "Ö.tif"
    summary = map_applicability(model, reach, land, DAY, GRID, output=out)

    used = [0, 2, 3]  # depth never varies
    X = model.training.X[:, used].astype(float)
    weight = np.maximum(held.weight[used], 0)
    scale = weight / X.std(axis=0)
    P = (X - X.mean(axis=0)) * scale
    mean = pdist(P).mean()
    own = cdist(P, P) / mean
    own[held.fold[:, None] == held.fold] = np.inf
    training = own.min(axis=1)
    low, high = np.percentile(training, [25, 75])
    fence = high + 1.5 * (high - low)
    limit = training[training <= fence].max() if rule == "whisker" else min(fence, training.max())

    cells = stack_of(land)[used].reshape(3, -1).T
    there = np.isfinite(cells).all(axis=1)
    apart = cdist((cells[there] - X.mean(axis=0)) * scale, P) / mean
    expected = np.full((3, len(cells)), np.nan)
    expected[0, there] = apart.min(axis=1)
    expected[1, there] = apart.min(axis=1) <= limit
    expected[2, there] = (apart < limit).sum(axis=1)

    bands = read(out).reshape(3, -1)
    np.testing.assert_allclose(bands[0], expected[0], rtol=1e-6)
    np.testing.assert_array_equal(bands[1:], expected[1:])
    assert 0.05 < np.nanmean(expected[1]) < 0.95
    assert summary.threshold == pytest.approx(limit, rel=1e-9)
    assert summary.inside == pytest.approx(np.nanmean(expected[1]))
    assert summary.coverage == there.mean() == 65 / 70
    with rasterio.open(out) as dataset:
        assert dataset.descriptions == ("dissimilarity", "inside", "local_point_density")
        assert (dataset.nodata, dataset.dtypes) == (-9999.0, ("float32",) * 3)
        assert dataset.tags()["TIFFTAG_DATETIME"] == "2021:04:01 00:00:00"
    style = out.with_suffix(".qml").read_text()
    assert "singlebandpseudocolor" in style
    assert float(re.search('classificationMax="([^"]+)"', style)[1]) == pytest.approx(2 * limit)


def test_neither_blocks_nor_threads_change_a_byte_of_a_value(tmp_path, land, model, reach):
    maps, errors = [], []
    for block, threads in ((256, 1), (16, 3), (48, 2), (512, 2)):
        out, error = tmp_path / f"{block}.tif", tmp_path / f"e{block}.tif"
        map_applicability(
            model,
            reach,
            land,
            DAY,
            GRID,
            output=out,
            error_output=error,
            block=block,
            threads=threads,
        )
        maps.append(read(out))
        errors.append(read(error))
    for one, other in zip(maps[1:], errors[1:]):
        np.testing.assert_array_equal(one, maps[0])
        np.testing.assert_array_equal(other, errors[0])


def test_whisker_is_never_wider_than_fence(tmp_path, land, model, held):
    inside = []
    for rule in ("whisker", "fence"):
        reach = model_applicability(model, held.fold, held.weight, rule=rule)
        map_applicability(model, reach, land, DAY, GRID, output=tmp_path / f"{rule}.tif")
        inside.append(np.nan_to_num(read(tmp_path / f"{rule}.tif")[1]))
    assert (inside[0] <= inside[1]).all()


def test_expected_error_follows_the_dissimilarity_and_ends_where_nothing_was_tested(
    tmp_path, land, model, reach
):
    out, error = tmp_path / "a.tif", tmp_path / "e.tif"
    map_applicability(model, reach, land, DAY, GRID, output=out, error_output=error)
    di, expected = read(out)[0], read(error)[0]
    beyond = di > reach.training_di.max() * (1 + 1e-6)
    within = di < reach.training_di.max() * (1 - 1e-6)
    assert beyond.any() and np.isnan(expected[beyond]).all()
    assert np.isfinite(expected[within]).all() and np.isnan(expected[np.isnan(di)]).all()
    order = np.argsort(di[within])
    assert (np.diff(expected[within][order]) >= -1e-9).all()
    with rasterio.open(error) as dataset:
        assert dataset.descriptions == ("expected_error",)
        assert dataset.units == ("m3 m-3",)


def test_mask_and_missing_covariates_stay_empty_and_are_told(tmp_path, land, model, reach):
    edge = [LEFT, TOP - 300, LEFT + 400, TOP]
    square = {
        "type": "Polygon",
        "coordinates": [
            [
                [edge[0], edge[1]],
                [edge[2], edge[1]],
                [edge[2], edge[3]],
                [edge[0], edge[3]],
                [edge[0], edge[1]],
            ]
        ],
    }
    progress = RecordingProgress()
    out = tmp_path / "m.tif"
    summary = map_applicability(
        model, reach, land, DAY, GRID, mask=[square], output=out, block=16, progress=progress
    )
    expected = np.zeros(GRID.shape, bool)
    expected[5:30, :40] = True
    np.testing.assert_array_equal(np.isfinite(read(out)[0]), expected)
    assert (summary.cells, summary.coverage) == (1200, 25 / 30)
    assert any("by the first covariate that is missing: smap 16.7%" in m for m in progress.messages)
    far = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    with pytest.raises(InputError, match="No pixel's centre lies inside the mask"):
        map_applicability(model, reach, land, DAY, GRID, mask=[far], output=tmp_path / "f.tif")
    assert not (tmp_path / "f.tif").exists()


def test_held_out_errors_are_those_of_forests_that_have_not_seen_the_station(model, held):
    rows = model.training
    np.testing.assert_array_equal(held.fold, station_folds(rows.station, 4, 1))
    for name in np.unique(held.fold):
        own = held.fold == name
        forest = grow_forest(
            rows.X[~own],
            rows.y[~own],
            rows.weight[~own],
            trees=8,
            min_leaf=5,
            max_features=0.5,
            seed=1,
            threads=2,
        )
        expected = (predict_forest(forest, rows.X[own]).mean - rows.y[own]) ** 2
        np.testing.assert_allclose(held.squares[own], expected, rtol=1e-12)
    weight = dict(zip(NAMES, held.weight))
    assert weight["smap"] > weight["clay"] > 10 * abs(weight["noise"])
    assert weight["depth"] == 0


def test_same_model_gives_the_same_with_any_threads_and_from_its_file(tmp_path, model, held):
    save_model(model, tmp_path / "a.smm")
    again = held_out_errors(load_model(tmp_path / "a.smm"), threads=3)
    np.testing.assert_array_equal(again.fold, held.fold)
    np.testing.assert_array_equal(again.weight, held.weight)
    np.testing.assert_array_equal(again.squares, held.squares)


def test_folds_of_the_table_are_kept():
    rows = make_rows()
    rows = replace(rows, fold=np.repeat([3, 7], len(rows) // 2))
    np.testing.assert_array_equal(applicability_folds(make_model(rows)), rows.fold)


def spiked(stations=5, weight=9.0):
    whole, field = make_rows(), make_rows(stations, seed=5, prefix="p")
    field = replace(
        field, weight=np.full(len(field), weight), X=field.X + np.float32([30, 0, 0, 0])
    )
    from soil_moisture_mapper.plugin.core.stations.rows import concat

    rows = concat(whole, field)
    return make_model(rows, np.arange(len(rows)) >= len(whole))


@pytest.mark.parametrize("stations", [1, 2, 5, 9])
def test_local_stations_of_a_spiked_model_stay_whole(stations):
    model = spiked(stations)
    fold = applicability_folds(model)
    pairs = sorted(set(zip(model.training.station, fold)))
    assert len(pairs) == len({station for station, _ in pairs}) == 24 + stations
    np.testing.assert_array_equal(fold[~model.local], applicability_folds(make_model(make_rows())))
    counts = [
        len(list(group)) for _, group in groupby(sorted(f for s, f in pairs if s.startswith("p")))
    ]
    assert max(counts) - min(counts) <= 1


def test_weights_of_local_rows_do_not_move_them(held):
    spaces = []
    for weight in (1.0, 50.0):
        model = spiked(weight=weight)
        fold = applicability_folds(model)
        spaces.append(model_applicability(model, fold, held.weight))
    np.testing.assert_array_equal(spaces[0].space.points, spaces[1].space.points)
    assert spaces[0].threshold == spaces[1].threshold
    assert len(spaces[0].space) == 29 * 12  # global and local rows


def test_spiking_brings_the_field_inside(held):
    model = spiked()
    rows = model.training
    without = make_model(rows.take(~model.local))
    field = rows.X[model.local] + np.float32([0.5, 0, 0, 0.001])
    before = model_applicability(without, applicability_folds(without), held.weight)
    after = model_applicability(model, applicability_folds(model), held.weight)
    shares = [one.is_inside(one.space.dissimilarity(field)).mean() for one in (before, after)]
    assert shares[1] > shares[0] + 0.2


def test_what_the_user_hears(model, held):
    progress = RecordingProgress()
    model_applicability(model, held.fold, held.weight, squares=held.squares, progress=progress)
    text = " ".join(progress.messages)
    assert re.search(r"held-out station folds: smap \d+%, clay \d+%", text)
    assert re.search(r"Threshold of the dissimilarity: 0\.\d+, rule fence", text)
    assert re.search("Error of held-out stations|does not rise", text)
    assert progress.warnings == [
        "The same in all training rows, so left out of the dissimilarity: depth. Places where "
        "they differ are not told."
    ]
    again = RecordingProgress()
    model_applicability(model, held.fold, np.full(4, -1.0), progress=again)
    assert "No covariate matters" in again.warnings[-1]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([1, 30, 100]))
def test_profile_is_isotonic_regression_of_the_bins(seed, stations, each):
    rng = np.random.default_rng(seed)
    n = stations * each
    di = rng.gamma(2, size=n).round(rng.integers(1, 6))
    squares = rng.gamma(1, size=n) * (0.1 + di)
    station = np.repeat(np.arange(stations), each)
    profile = error_profile(di, squares, station)
    assert 1 <= len(profile.di) <= 20
    assert (np.diff(profile.di) > 0).all() and (np.diff(profile.rmse) >= 0).all()
    assert profile.largest == di.max()
    bins = max(1, min(20, n // 50, stations // 2))
    order = np.lexsort((squares, di))
    parts = np.array_split(order, bins)
    if len(profile.di) == bins:
        # the max-min formula: the least over ends of the greatest over starts, of means between
        fitted = [
            max(
                min(squares[np.concatenate(parts[a : b + 1])].mean() for b in range(i, bins))
                for a in range(i + 1)
            )
            for i in range(bins)
        ]
        np.testing.assert_allclose(profile.rmse**2, fitted, rtol=1e-9)
        kept = sum(len(p) * value for p, value in zip(parts, profile.rmse**2)) / n
        assert kept == pytest.approx(squares.mean(), rel=1e-9)
    shuffled = rng.permutation(n)
    again = error_profile(di[shuffled], squares[shuffled], station[shuffled])
    np.testing.assert_allclose(again.rmse, profile.rmse, rtol=1e-12)
    asked = profile.expect(np.array([0.0, di.max(), di.max() * 1.01 + 0.1, np.nan]))
    assert asked[0] == profile.rmse[0] and asked[1] == profile.rmse[-1]
    assert np.isnan(asked[2:]).all()


def test_profile_finds_a_known_relation():
    rng = np.random.default_rng(0)
    di = rng.uniform(0, 1, 40_000)
    error = rng.normal(size=len(di)) * (0.02 + 0.06 * di)
    profile = error_profile(di, error**2, np.repeat(np.arange(400), 100))
    asked = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(profile.expect(asked), 0.02 + 0.06 * asked, rtol=0.05)


def test_wrong_input(tmp_path, land, model, held, reach):
    rowless = replace(model, training=None)
    message = "The model holds no training rows.*Train it again with EMBED_TRAINING"
    with pytest.raises(InputError, match=message):
        held_out_errors(rowless)
    with pytest.raises(InputError, match=message):
        model_applicability(rowless, held.fold, held.weight)
    with pytest.raises(InputError, match="does not state trees, max_features of its forest"):
        held_out_errors(replace(model, hyperparameters={"min_leaf": 5}))
    one = make_model(make_rows(1))
    with pytest.raises(InputError, match="The table has 1 station"):
        held_out_errors(one)
    same = make_rows()
    same = replace(same, X=np.ones_like(same.X))
    with pytest.raises(InputError, match="All covariates are the same in every row"):
        model_applicability(replace(model, training=same), held.fold, held.weight)
    with pytest.raises(InputError, match="cannot be paired"):
        error_profile(np.ones(2), np.ones(3), np.ones(2))
    plain = model_applicability(model, held.fold, held.weight)
    with pytest.raises(InputError, match="errors of held-out stations are needed"):
        map_applicability(
            model,
            plain,
            land,
            DAY,
            GRID,
            output=tmp_path / "a.tif",
            error_output=tmp_path / "b.tif",
        )
    with pytest.raises(InputError, match=r"no covariate 'smap' \(nearest date 2021-04-01"):
        map_applicability(model, reach, land, date(2021, 6, 1), GRID, output=tmp_path / "a.tif")
    away = Grid(UTM, Affine(10, 0, LEFT + 1e5, 0, -10, TOP), 20, 20)
    with pytest.raises(InputError, match="'clay' does not touch the map's grid"):
        map_applicability(model, reach, land, DAY, away, output=tmp_path / "a.tif")
    assert not list(tmp_path.glob("*.tif"))


class Stopping(Progress):
    """Asks to stop after some looks."""

    def __init__(self, looks):
        self._looks = looks
        self._lock = threading.Lock()

    @property
    def cancelled(self):
        with self._lock:
            self._looks -= 1
        return self._looks < 0


@pytest.mark.parametrize("looks", [0, 1, 3])
def test_cancel_leaves_nothing_behind(tmp_path, land, model, reach, looks):
    with pytest.raises(Cancelled):
        map_applicability(
            model,
            reach,
            land,
            DAY,
            GRID,
            output=tmp_path / "a.tif",
            error_output=tmp_path / "e.tif",
            block=16,
            progress=Stopping(looks),
        )
    assert not list(tmp_path.iterdir())
    with pytest.raises(Cancelled):
        held_out_errors(model, progress=Stopping(looks))
