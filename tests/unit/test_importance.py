"""Importance against scikit-learn, a known law and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from soil_moisture_mapper.plugin.core.evaluation.importance import (
    Importance,
    by_importance,
    impurity_importance,
    permutation_importance,
)
from soil_moisture_mapper.plugin.core.models.forest import Forest, grow_forest

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
