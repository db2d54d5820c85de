"""How the engine's time grows with rows, trees, pixels, covariates and quantiles; training."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from ..plugin.core.models.forest import Forest
from . import data, forests, peers, timing
from .table import Target, aligned, spaced

_PIXELS = 131_072
_RUNS = 3
_ROWS = 50_000

Say = Callable[[str], None]


def growth(forest: Forest, say: Say) -> str:
    """Return a table of seconds for 131 072 random pixels, one thing varied at a time."""
    lines = [("varied", "value", "ms", "against the line above")]

    def add(what: str, cases) -> None:
        say(f"scaling with {what}")
        before = None
        for value, run, X in cases:
            run(X[:4096])
            seconds = timing.median_seconds(lambda run=run, X=X: run(X), _RUNS)
            times = "–" if before is None else f"{seconds / before:.2f} ×"
            lines.append((what, spaced(value), f"{1000 * seconds:.0f}", times))
            before = seconds

    X = data.random_pixels(_PIXELS)
    add("rows", ((n, peers.ours(_grown(n)), X) for n in (12_500, 25_000, 50_000, 100_000)))
    add("trees", ((b, peers.ours(_grown(_ROWS, trees=b)), X) for b in (12, 25, 50, 100)))
    add("covariates", (_of_covariates(p) for p in (6, 12, 25, 50)))
    run = peers.ours(forest)
    add("pixels", ((m, run, X[:m]) for m in (_PIXELS // 8, _PIXELS // 4, _PIXELS // 2, _PIXELS)))
    add("quantiles", ((k, peers.ours(forest, _levels(k)), X) for k in (0, 1, 3, 9, 17)))
    return aligned(lines)


def _grown(n: int, trees: int = data.TREES, covariates: int = data.COVARIATES) -> Forest:
    return forests.grow_ours(data.training_rows(n, covariates), trees)


def _of_covariates(p: int):
    return p, peers.ours(_grown(_ROWS, covariates=p)), data.random_pixels(_PIXELS, p)


def _levels(k: int) -> tuple[float, ...]:
    return tuple(np.linspace(0, 1, k + 2)[1:-1])


def of_training(rows: data.Rows, say: Say) -> Target:
    """Return fitting and flattening against RandomForestRegressor.fit, taking turns."""
    say("training")
    shares = []
    for _ in range(_RUNS):
        ours = timing.seconds_of(lambda: forests.grow_ours(rows))
        plain = RandomForestRegressor(**forests.settings())
        shares.append(ours / timing.seconds_of(lambda plain=plain: plain.fit(rows.X, rows.y)))
    return Target("fit and flatten against RandomForestRegressor.fit", 1.15,
                  median(shares), most=True)  # fmt: skip
