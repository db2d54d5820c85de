"""The same forest grown by us and by quantile-forest, in memory and as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from quantile_forest import RandomForestQuantileRegressor

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


def grow_pair(rows: data.Rows) -> Pair:
    """Grow the same forest with the plugin and with quantile-forest."""
    theirs = RandomForestQuantileRegressor(**settings(), max_samples_leaf=None)
    return Pair(rows, grow_ours(rows), theirs.fit(rows.X, rows.y))


def as_model(forest: Forest, X: np.ndarray) -> Model:
    """Return a model of a forest whose covariates are called c00, c01 …"""
    covariates = tuple(
        Covariate(f"c{i:02d}", "", "", float(v.min()), float(v.max()), float(v.mean()))
        for i, v in enumerate(X.T)
    )
    return Model("qrf", "trained", forest, covariates)


def write_pair(pair: Pair, folder: Path) -> Files:
    """Write a model file without training rows, and a joblib dump of quantile-forest's."""
    n = len(pair.rows.y)
    files = Files(folder / f"{n}.smm", folder / f"{n}.joblib")
    save_model(as_model(pair.ours, pair.rows.X), files.ours, embed_training=False)
    joblib.dump(pair.theirs, files.theirs)
    return files
