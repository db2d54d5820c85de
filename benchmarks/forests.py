"""The same forest grown by us and by quantile-forest, in memory and as files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from quantile_forest import RandomForestQuantileRegressor
from sklearn.tree import DecisionTreeRegressor

from ..plugin.core.models import forest
from ..plugin.core.models.forest import Forest, grow_forest
from ..plugin.core.models.modelfile import save_model
from ..plugin.core.models.record import Covariate, Model
from . import data

THREADS = 2


@dataclass(frozen=True)
class Pair:
    """One forest twice, and the rows it was grown on."""

    rows: data.Rows
    ours: Forest
    theirs: RandomForestQuantileRegressor


@dataclass(frozen=True)
class Files:
    """A pair of forests on disk."""

    ours: Path
    theirs: Path


def grow_ours(rows: data.Rows, trees: int = data.TREES) -> Forest:
    """Grow the forest with the plugin."""
    return grow_forest(
        rows.X,
        rows.y,
        trees=trees,
        min_leaf=data.MIN_LEAF,
        max_features=data.MAX_FEATURES,
        seed=data.SEED,
        threads=THREADS,
    )


def settings(trees: int = data.TREES) -> dict[str, object]:
    """Return the settings of the forest in scikit-learn's words."""
    return {
        "n_estimators": trees,
        "min_samples_leaf": data.MIN_LEAF,
        "max_features": data.MAX_FEATURES,
        "random_state": data.SEED,
        "n_jobs": THREADS,
    }


def grow_pair(rows: data.Rows, twice: bool = True) -> Pair:
    """Grow the same forest with the plugin and with quantile-forest.

    With `twice` false it is grown by quantile-forest alone, and the plugin flattens those trees:
    the same arrays in half the time.
    """
    theirs = RandomForestQuantileRegressor(**settings(), max_samples_leaf=None)
    theirs.fit(rows.X, rows.y)
    return Pair(rows, grow_ours(rows) if twice else flatten(theirs, rows), theirs)


def flatten(theirs: RandomForestQuantileRegressor, rows: data.Rows) -> Forest:
    """Return our arrays of a grown forest."""

    def flat(estimator: DecisionTreeRegressor) -> forest._Tree:
        counts = forest.draw_counts(len(rows.y), None, estimator.random_state)
        return forest._grow_tree(_Grown(estimator.tree_), rows.X, rows.y, counts)

    with ThreadPoolExecutor(THREADS) as pool:
        trees = list(pool.map(flat, theirs.estimators_))
    return forest._join(trees, rows.X.shape[1], rows.y)


@dataclass(frozen=True)
class _Grown:
    """A tree that need not be fitted again."""

    tree_: object

    def fit(self, *arguments: object, **keywords: object) -> None:
        """Leave the tree as it is."""


def as_model(grown: Forest, X: np.ndarray) -> Model:
    """Return a model of a forest whose covariates are called c00, c01 …"""
    covariates = tuple(
        Covariate(f"c{i:02d}", "", "", float(v.min()), float(v.max()), float(v.mean()))
        for i, v in enumerate(X.T)
    )
    return Model("qrf", "trained", grown, covariates)


def write_pair(pair: Pair, folder: Path) -> Files:
    """Write a model file without training rows, and a joblib dump of quantile-forest's."""
    n = len(pair.rows.y)
    files = Files(folder / f"{n}.smm", folder / f"{n}.joblib")
    save_model(as_model(pair.ours, pair.rows.X), files.ours, embed_training=False)
    joblib.dump(pair.theirs, files.theirs)
    return files
