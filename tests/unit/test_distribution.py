"""The forest's distribution, against quantile-forest and against its definition."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from quantile_forest import RandomForestQuantileRegressor
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.models import distribution, traversal
from soil_moisture_mapper.plugin.core.models.distribution import predict_forest
from soil_moisture_mapper.plugin.core.models.forest import LEAF, grow_forest
from soil_moisture_mapper.plugin.core.models.traversal import find_leaves

pytestmark = pytest.mark.usefixtures("each_engine")
DRAWS_BY_WEIGHT = tuple(int(part) for part in sklearn.__version__.split(".")[:2]) >= (1, 9)
MANY = tuple(np.linspace(0, 1, 41))


@pytest.fixture(params=["", "numpy"], ids=["compiled", "numpy"], scope="module")
def each_engine(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOIL_MOISTURE_ENGINE", request.param)
        yield


def table(n=200, p=4, seed=3, decimals=None):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)).astype(np.float32)
    y = 0.3 + 0.05 * X[:, 0] + 0.04 * rng.normal(size=n)
    return X, y if decimals is None else np.round(y, decimals)


def oracle(X, y, weight, query, quantiles, **grown):
    """Return quantile-forest's quantiles, (m, k)."""
    forest = RandomForestQuantileRegressor(
        grown["trees"],
        min_samples_leaf=grown["min_leaf"],
        max_features=1 / 3,
        random_state=grown["seed"],
        max_samples_leaf=None,
    ).fit(X, y, sample_weight=weight)
    found = forest.predict(query, quantiles=list(quantiles), weighted_leaves=True)
    return found.reshape(len(query), len(quantiles))


def weights_by_definition(forest, X, x):
    """Return w_i(x) of every training row by looping over trees and leaf mates."""
    store = forest.store
    total = np.zeros(len(store.y))
    for leaf in find_leaves(forest, x[None])[0]:
        entries = slice(store.start[leaf], store.start[leaf + 1])
        counts = store.count[entries]
        np.add.at(total, store.row[entries], counts / counts.sum())
    return total / forest.trees


@st.composite
def forests(draw):
    """A small training table with ties, repeated rows and, now and then, weights."""
    n = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    X = rng.integers(0, draw(st.sampled_from([2, 6, 1000])), size=(n, 3)).astype(np.float32)
    y = rng.integers(0, draw(st.sampled_from([3, 12, 100_000])), size=n) / 7
    weighted = n > 1 and DRAWS_BY_WEIGHT and draw(st.booleans())
    weight = rng.integers(1, 6, n) / 3 if weighted else None
    if weighted and np.ptp(weight) == 0:
        weight = None  # equal weights draw as none does, unlike in scikit-learn
    grown = {
        "trees": draw(st.integers(1, 12)),
        "min_leaf": draw(st.integers(1, 8)),
        "seed": draw(st.integers(0, 1000)),
    }
    query = np.concatenate([X[:5], rng.integers(0, 7, size=(5, 3)).astype(np.float32)])
    return X, y, weight, query, grown


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    made=forests(),
    quantiles=st.sampled_from([(0.5,), (0.95, 0.05), (0.0, 1.0), (0.05, 0.5, 0.95), MANY]),
)
def test_quantiles_are_those_of_quantile_forest(made, quantiles):
    X, y, weight, query, grown = made
    found = predict_forest(grow_forest(X, y, weight, **grown), query, quantiles).quantiles
    expected = oracle(X, y, weight, query, quantiles, **grown)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-9


@pytest.mark.parametrize("decimals", [None, 2])
@pytest.mark.parametrize("min_leaf", [1, 3, 10])
def test_larger_forests_agree_with_quantile_forest(decimals, min_leaf):
    X, y = table(600, decimals=decimals)
    weight = np.random.default_rng(9).uniform(0.2, 5, len(y)) if DRAWS_BY_WEIGHT else None
    grown = {"trees": 25, "min_leaf": min_leaf, "seed": 42}
    query = table(150, seed=8)[0]
    found = predict_forest(grow_forest(X, y, weight, **grown), query, MANY).quantiles
    assert np.abs(found - oracle(X, y, weight, query, MANY, **grown)).max() <= 1e-9


@pytest.mark.parametrize("weighted", [False, True])
def test_mean_and_sd_are_those_of_the_weights(weighted):
    X, y = table()
    weight = np.random.default_rng(2).uniform(0.1, 9, len(y)) if weighted else None
    forest = grow_forest(X, y, weight, trees=15, min_leaf=3)
    query = table(30, seed=8)[0]
    prediction = predict_forest(forest, query)
    for i, x in enumerate(query):
        w = weights_by_definition(forest, X, x)
        assert w.sum() == pytest.approx(1, abs=1e-12)
        assert prediction.mean[i] == pytest.approx(w @ y, rel=1e-12)
        spread = np.sqrt(w @ (y - prediction.mean[i]) ** 2)
        assert prediction.sd[i] == pytest.approx(spread, rel=1e-9)


def test_median_of_equal_weights_is_the_sample_median():
    X = np.ones((9, 1), dtype=np.float32)
    y = np.arange(9) / 10
    forest = grow_forest(X, y, trees=1, min_leaf=9, seed=1)
    draws = np.repeat(y, np.bincount(forest.store.row, forest.store.count, minlength=9).astype(int))
    found = predict_forest(forest, X[:1], MANY).quantiles[0]
    assert found == pytest.approx(np.quantile(draws, MANY), abs=1e-12)


def test_values_on_a_threshold_go_left_as_in_scikit_learn():
    X, y = table(300)
    forest = grow_forest(X, y, trees=4, min_leaf=2)
    thresholds = forest.threshold[forest.feature != LEAF].astype(np.float32)
    beside = [np.nextafter(thresholds, np.float32(end)) for end in (-np.inf, np.inf)]
    values = np.unique(np.concatenate([thresholds, *beside]))
    query = np.random.default_rng(1).choice(values, size=(2000, X.shape[1]))

    found = find_leaves(forest, query)

    node = np.tile(forest.tree_start[:-1], (len(query), 1))
    while (forest.feature[node] != LEAF).any():
        value = np.take_along_axis(query, np.maximum(forest.feature[node], 0), axis=1)
        goes_left = value.astype(np.float64) <= forest.threshold[node]
        child = np.where(goes_left, forest.left[node], forest.right[node])
        node = np.where(forest.feature[node] == LEAF, node, child)
    assert np.array_equal(found, node)


def test_result_of_a_row_depends_on_no_other_row(monkeypatch):
    X, y = table(400)
    forest = grow_forest(X, y, trees=10, min_leaf=2)
    query = table(300, seed=8)[0]
    whole = predict_forest(forest, query, MANY)
    for limit in (1, 50, 700):
        monkeypatch.setattr(distribution, "_DRAWS", limit)
        monkeypatch.setattr(distribution, "_LEAVES", 3 * limit)
        monkeypatch.setattr(traversal, "_WALKERS", limit)
        part = predict_forest(forest, query, MANY)
        for name in ("mean", "sd", "quantiles"):
            assert np.array_equal(getattr(whole, name), getattr(part, name))
    shuffled = np.random.default_rng(1).permutation(len(query))
    turned = predict_forest(forest, query[shuffled], MANY)
    assert np.array_equal(turned.quantiles, whole.quantiles[shuffled])


def test_quantile_asked_alone_or_with_others_is_the_same():
    X, y = table(300)
    forest = grow_forest(X, y, trees=10, min_leaf=2)
    together = predict_forest(forest, X, MANY).quantiles
    for i in (0, 3, 20, 40):
        assert np.array_equal(
            predict_forest(forest, X, MANY[i : i + 1]).quantiles[:, 0], together[:, i]
        )
    assert np.all(np.diff(together, axis=1) >= 0)


def test_threads_may_share_a_forest():
    X, y = table(300)
    forest = grow_forest(X, y, trees=10)
    expected = predict_forest(forest, X, (0.05, 0.95)).quantiles
    fresh = grow_forest(X, y, trees=10)
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(lambda _: predict_forest(fresh, X, (0.05, 0.95)).quantiles, range(8))
        assert all(np.array_equal(part, expected) for part in parts)


def test_product_is_that_of_scipy(monkeypatch):
    X, y = table(400)
    forest = grow_forest(X, y, trees=10, min_leaf=2)
    monkeypatch.setenv("SOIL_MOISTURE_ENGINE", "numpy")
    found = predict_forest(forest, X, MANY)
    monkeypatch.setattr(distribution, "_csr_matmat", None)
    assert np.array_equal(predict_forest(forest, X, MANY).quantiles, found.quantiles)


def test_no_rows_and_no_quantiles_give_empty_arrays():
    X, y = table(50)
    forest = grow_forest(X, y, trees=3)
    nothing = predict_forest(forest, X[:0], (0.05, 0.5))
    assert (nothing.mean.shape, nothing.sd.shape, nothing.quantiles.shape) == ((0,), (0,), (0, 2))
    assert predict_forest(forest, X).quantiles.shape == (50, 0)


def test_what_cannot_be_predicted_is_refused():
    X, y = table(50)
    forest = grow_forest(X, y, trees=3)
    with pytest.raises(InputError, match="uses 4 covariates"):
        predict_forest(forest, X[:, :3])
    with pytest.raises(InputError, match="covariate is missing"):
        predict_forest(forest, np.where(X[0, 0] == X, np.nan, X))
    with pytest.raises(InputError, match="not all between 0 and 1"):
        predict_forest(forest, X, [0.5, 1.5])
    with pytest.raises(InputError, match="not all between 0 and 1"):
        predict_forest(forest, X, [np.nan])
    with pytest.raises(InputError, match="Train the model with the method qrf"):
        predict_forest(forest.without_rows(), X, [0.5])
