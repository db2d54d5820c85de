"""Growing forests: the same forest as scikit-learn's, whatever the version and the threads."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.ensemble import RandomForestRegressor
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError
from soil_moisture_mapper.plugin.core.models.distribution import predict_forest
from soil_moisture_mapper.plugin.core.models.forest import LEAF, draw_counts, grow_forest
from soil_moisture_mapper.plugin.core.models.traversal import find_leaves
from soil_moisture_mapper.plugin.core.progress import Progress

DRAWS_BY_WEIGHT = tuple(int(part) for part in sklearn.__version__.split(".")[:2]) >= (1, 9)
NODE_ARRAYS = ("tree_start", "feature", "threshold", "left", "right", "value", "variance", "count")


def table(n=300, p=5, seed=3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)).astype(np.float32)
    return X, 0.3 + 0.05 * X[:, 0] - 0.03 * X[:, 1] * X[:, 2] + 0.02 * rng.normal(size=n)


def same_forest(a, b):
    arrays = [np.array_equal(getattr(a, name), getattr(b, name)) for name in NODE_ARRAYS]
    stored = [
        np.array_equal(getattr(a.store, name), getattr(b.store, name))
        for name in ("y", "order", "start", "row", "count")
    ]
    return all(arrays + stored)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("min_leaf", [1, 10])
@pytest.mark.parametrize("max_features", [1 / 3, 1.0])
def test_forest_is_that_of_scikit_learn(weighted, min_leaf, max_features):
    if weighted and not DRAWS_BY_WEIGHT:
        pytest.skip("this scikit-learn multiplies weights instead of drawing by them")
    X, y = table()
    weight = np.random.default_rng(5).uniform(0.1, 8, len(y)) if weighted else None
    settings = {"min_samples_leaf": min_leaf, "max_features": max_features, "random_state": 7}
    oracle = RandomForestRegressor(20, **settings).fit(X, y, sample_weight=weight)

    forest = grow_forest(
        X, y, weight, trees=20, min_leaf=min_leaf, max_features=max_features, seed=7
    )

    for i, estimator in enumerate(oracle.estimators_):
        nodes = slice(*forest.tree_start[i : i + 2])
        tree, inner = estimator.tree_, estimator.tree_.feature >= 0
        assert np.array_equal(forest.feature[nodes][inner], tree.feature[inner])
        assert np.array_equal(forest.threshold[nodes][inner], tree.threshold[inner])
        assert np.array_equal(forest.left[nodes] == LEAF, ~inner)
        assert np.array_equal(forest.value[nodes], tree.value[:, 0, 0])
        assert np.array_equal(forest.count[nodes], tree.weighted_n_node_samples)
        assert forest.variance[nodes] == pytest.approx(tree.impurity, rel=1e-6, abs=1e-13)
    query = np.random.default_rng(6).normal(size=(200, X.shape[1])).astype(np.float32)
    assert np.array_equal(find_leaves(forest, query) - forest.tree_start[:-1], oracle.apply(query))
    assert np.array_equal(predict_forest(forest, query).mean, oracle.predict(query))


def test_draws_follow_the_weights():
    weight = np.array([1.0, 2.0, 3.0, 94.0])
    drawn = sum(draw_counts(4, weight, seed) for seed in range(2000))
    share = weight / weight.sum()
    error = np.sqrt(share * (1 - share) / 8000)
    assert np.all(np.abs(drawn / 8000 - share) < 4 * error)


def test_row_weights_reach_the_mean_of_a_leaf():
    y = np.repeat([0.0, 1.0], [90, 10])
    weight = np.where(y == 1, 100.0, 1.0)
    X = np.ones((100, 1), dtype=np.float32)

    prediction = predict_forest(grow_forest(X, y, weight, trees=200), X[:1], [0.05])

    share = 1000 / 1090
    assert prediction.mean[0] == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 20000))
    assert prediction.sd[0] == pytest.approx(np.sqrt(share * (1 - share)), abs=0.01)
    assert prediction.quantiles[0, 0] == 0


@pytest.mark.parametrize("constant", [1.0, 0.25])
def test_equal_weights_are_no_weights(constant):
    X, y = table()
    plain = grow_forest(X, y, trees=5)
    assert same_forest(plain, grow_forest(X, y, np.full(len(y), constant), trees=5))


def test_threads_do_not_change_the_forest():
    X, y = table()
    one = grow_forest(X, y, trees=9, threads=1)
    assert same_forest(one, grow_forest(X, y, trees=9, threads=4))
    assert not same_forest(one, grow_forest(X, y, trees=9, seed=43))


def test_leaf_store_holds_the_draws_of_each_tree():
    X, y = table()
    forest = grow_forest(X, y, trees=6, min_leaf=4, seed=11)
    state = np.random.RandomState(11)
    leaves = find_leaves(forest, X)
    node = np.repeat(np.arange(len(forest.value)), np.diff(forest.store.start))
    for i in range(6):
        counts = draw_counts(len(y), None, int(state.randint(np.iinfo(np.int32).max)))
        here = (node >= forest.tree_start[i]) & (node < forest.tree_start[i + 1])
        rows = forest.store.row[here]
        assert sorted(rows) == np.flatnonzero(counts).tolist()
        assert np.array_equal(forest.store.count[here], counts[rows])
        assert np.array_equal(node[here], leaves[rows, i])
    sizes = np.bincount(node, minlength=len(forest.value))
    assert np.all(sizes[forest.feature == LEAF] >= 4)
    assert np.all(sizes[forest.feature != LEAF] == 0)


def test_nodes_hold_mean_variance_and_count_of_their_draws():
    X, y = table()
    forest = grow_forest(X, 1000 + y, trees=4)
    store = forest.store
    for leaf in np.flatnonzero(forest.feature == LEAF):
        entries = slice(store.start[leaf], store.start[leaf + 1])
        draws = np.repeat(store.y[store.row[entries]], store.count[entries])
        assert forest.count[leaf] == len(draws)
        assert forest.value[leaf] == pytest.approx(draws.mean(), rel=1e-12)
        assert forest.variance[leaf] == pytest.approx(draws.var(), rel=1e-6)
    inner = np.flatnonzero(forest.feature != LEAF)
    left, right = forest.left[inner], forest.right[inner]
    assert np.all(left > inner)
    assert np.all(right > inner)
    assert np.array_equal(forest.count[inner], forest.count[left] + forest.count[right])


def test_forest_without_rows_predicts_the_same_mean_and_sd():
    X, y = table()
    full = grow_forest(X, y, trees=5)
    lean = grow_forest(X, y, trees=5, keep_rows=False)
    assert full.has_distribution
    assert not lean.has_distribution
    assert not full.without_rows().has_distribution
    assert np.array_equal(predict_forest(full, X).sd, predict_forest(lean, X).sd)
    assert np.array_equal(predict_forest(full, X).mean, predict_forest(lean, X).mean)


class Stopping(Progress):
    def __init__(self, after):
        self.after = after
        self.seen = []

    @property
    def cancelled(self):
        return len(self.seen) >= self.after

    def report(self, fraction):
        self.seen.append(fraction)


def test_progress_is_reported_after_each_tree():
    X, y = table()
    progress = Stopping(after=100)
    grow_forest(X, y, trees=4, progress=progress)
    assert progress.seen == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("after", [0, 2])
def test_cancelling_stops_between_trees(after):
    X, y = table()
    progress = Stopping(after)
    with pytest.raises(Cancelled):
        grow_forest(X, y, trees=500, progress=progress)
    assert len(progress.seen) == after


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"max_features": 0.0}, r"MAX_FEATURES is 0\. Give the share"),
        ({"max_features": 1.2}, r"MAX_FEATURES is 1\.2\. "),
        ({"max_features": float("nan")}, r"MAX_FEATURES is nan\. "),
        ({"trees": 0}, r"TREES is 0\. Give at least 1"),
        ({"min_leaf": 0}, r"MIN_LEAF is 0\. Give at least 1"),
    ],
)
def test_settings_of_no_forest_are_refused(setting, message):
    with pytest.raises(InputError, match=message):
        grow_forest(*table(20), **setting)


def test_rows_that_cannot_be_used_are_refused():
    X, y = table(20)
    gap = X.copy()
    gap[3, 1] = np.nan
    with pytest.raises(InputError, match="missing or infinite in a training row"):
        grow_forest(gap, y)
    with pytest.raises(InputError, match="missing or infinite in a training row"):
        grow_forest(X, np.where(np.arange(20) == 2, np.inf, y))
    with pytest.raises(InputError, match="not positive"):
        grow_forest(X, y, np.arange(20))
    with pytest.raises(InputError, match="one target for each row"):
        grow_forest(X, y[:-1])
