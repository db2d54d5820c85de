"""Importance against scikit-learn, a known law and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance as sklearn_importance
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.evaluation.importance import (
    Importance,
    by_importance,
    impurity_importance,
    out_of_bag_importance,
    permutation_importance,
)
from soil_moisture_mapper.plugin.core.models.distribution import predict_forest
from soil_moisture_mapper.plugin.core.models.forest import Forest, draw_counts, grow_forest

NAMES = ("clay", "smap", "noise")


def law(n=300, seed=1):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)).astype(np.float32)
    return X, 0.02 * X[:, 0].astype(float) + 0.08 * X[:, 1] + rng.normal(0, 0.01, n)


def test_impurity_of_one_split_by_hand():
    # four rows 0, 0, 1, 1 split cleanly: 4 · 0.25 before, nothing after
    forest = Forest(
        features=2,
        tree_start=np.array([0, 3]),
        feature=np.array([1, -1, -1], dtype=np.int32),
        threshold=np.array([0.5, 0.0, 0.0]),
        left=np.array([1, -1, -1], dtype=np.int32),
        right=np.array([2, -1, -1], dtype=np.int32),
        value=np.array([0.5, 0.0, 1.0]),
        variance=np.array([0.25, 0.0, 0.0]),
        count=np.array([4, 2, 2], dtype=np.int32),
    )
    assert impurity_importance(forest, ["a", "b"]) == [Importance("a", 0.0), Importance("b", 1.0)]


def test_impurity_is_scikit_learns():
    X, y = law()
    forest = grow_forest(X, y, trees=12, min_leaf=5, max_features=0.7, seed=4)
    ours = impurity_importance(forest, NAMES)
    theirs = RandomForestRegressor(
        n_estimators=12, min_samples_leaf=5, max_features=0.7, random_state=4
    ).fit(X, y)
    sums = [
        tree.tree_.compute_feature_importances(normalize=False)
        * tree.tree_.weighted_n_node_samples[0]
        for tree in theirs.estimators_
    ]
    assert [item.value for item in ours] == pytest.approx(np.mean(sums, axis=0))


def test_permutation_rise_of_a_linear_law():
    # shuffling x in y = b·x raises the error to b²·E(x − x')² = 2·b²·var(x)
    X, _ = law(400)
    slopes = np.array([0.02, 0.08, 0.0])

    def predict(values):
        return values @ slopes

    found = permutation_importance([(predict, X, predict(X))] * 8, NAMES, repeats=20)
    expected = 2 * slopes**2 * X.var(axis=0)
    assert [item.value for item in found] == pytest.approx(expected, rel=0.05)
    assert found[2] == Importance("noise", 0.0, 0.0)
    assert 0 < found[1].sd < found[1].value


def test_shuffling_leaves_the_rows_of_the_fold_alone():
    X, y = law(40)
    before = X.copy()
    permutation_importance([(lambda values: values[:, 0], X, y)], NAMES)
    assert np.array_equal(X, before)


def test_many_rows_are_drawn_by_seed():
    X, y = law(2000)
    sizes = []

    def predict(values):
        sizes.append(len(values))
        return values[:, 1] * 0.08

    one = permutation_importance([(predict, X, y)], NAMES, max_rows=100, seed=7)
    assert set(sizes) == {100}
    assert len(sizes) == 1 + 5 * 3
    assert one == permutation_importance([(predict, X, y)], NAMES, max_rows=100, seed=7)
    assert one != permutation_importance([(predict, X, y)], NAMES, max_rows=100, seed=8)


def test_the_order_of_covariates_changes_nothing():
    X, y = law(200)
    slopes = np.array([0.02, 0.08, 0.0])
    turned = [2, 0, 1]
    one = permutation_importance([(lambda v: v @ slopes, X, y)], NAMES)
    other = permutation_importance(
        [(lambda v: v @ slopes[turned], X[:, turned], y)], [NAMES[i] for i in turned]
    )
    for item, again in zip(by_importance(one), by_importance(other)):
        assert item.covariate == again.covariate
        assert item.value == pytest.approx(again.value)


def test_without_folds_there_is_no_importance():
    assert permutation_importance([], NAMES) == []


def test_the_most_important_comes_first():
    items = [Importance("b", 0.1), Importance("a", 0.1), Importance("c", 0.5)]
    assert [item.covariate for item in by_importance(items)] == ["c", "a", "b"]


def test_permutation_is_scikit_learns_on_a_held_out_fold():
    X, y = law(400)
    known, unseen = slice(0, 300), slice(300, None)
    forest = grow_forest(X[known], y[known], trees=15, min_leaf=5, max_features=1.0)

    class Grown(LinearRegression):
        def predict(self, values):
            return predict_forest(forest, values).mean

    theirs = sklearn_importance(
        Grown().fit(X[known], y[known]),
        X[unseen],
        y[unseen],
        scoring="neg_mean_squared_error",
        n_repeats=60,
        random_state=1,
    )
    fold = (lambda values: predict_forest(forest, values).mean, X[unseen], y[unseen])
    ours = permutation_importance([fold], NAMES, repeats=60)
    # both are means of 60 draws of the same quantity: they differ by their standard errors
    error = np.sqrt(2 * theirs.importances_std**2 / 60)
    found = np.array([item.value for item in ours])
    assert (np.abs(found - theirs.importances_mean) < 4 * error + 1e-12).all()
    assert found[1] > 20 * error[1]
    assert [i.sd for i in ours] == pytest.approx(theirs.importances_std, rel=0.4)


@pytest.mark.parametrize("weighted", [False, True])
def test_out_of_bag_is_that_of_trees_fitted_one_by_one(weighted):
    X, y = law(120)
    weight = np.linspace(1, 3, len(y)) if weighted else None
    forest = grow_forest(X, y, weight, trees=8, min_leaf=4, max_features=0.7, seed=4)
    before = X.copy()
    ours = out_of_bag_importance(forest, X, NAMES, seed=9)
    assert np.array_equal(X, before)

    state = np.random.RandomState(4)
    rises = []
    for tree in range(8):
        seed = int(state.randint(np.iinfo(np.int32).max))
        counts = draw_counts(len(y), weight, seed)
        fitted = DecisionTreeRegressor(min_samples_leaf=4, max_features=0.7, random_state=seed)
        fitted.fit(X, y, sample_weight=counts)
        unseen, truth = X[counts == 0], y[counts == 0]
        order = np.random.default_rng([9, tree]).permutation(len(truth))
        base = np.mean((fitted.predict(unseen) - truth) ** 2)
        row = []
        for column in range(3):
            shuffled = unseen.copy()
            shuffled[:, column] = unseen[order, column]
            row.append(np.mean((fitted.predict(shuffled) - truth) ** 2) - base)
        rises.append(row)
    assert [item.value for item in ours] == pytest.approx(np.mean(rises, axis=0))
    assert [item.sd for item in ours] == pytest.approx(np.std(rises, axis=0, ddof=1))
    assert ours[1].standardised == pytest.approx(ours[1].value / ours[1].sd)
    assert Importance("never used", 0.0, 0.0).standardised == 0.0


def test_out_of_bag_needs_the_rows_that_trees_drew():
    X, y = law(30)
    forest = grow_forest(X, y, trees=2, keep_rows=False)
    with pytest.raises(InputError, match="does not hold the rows its trees drew"):
        out_of_bag_importance(forest, X, NAMES)
    few = grow_forest(X[:1], y[:1], trees=2, min_leaf=1)
    with pytest.raises(InputError, match="No tree has left two rows out of its draw"):
        out_of_bag_importance(few, X[:1], NAMES)
