"""Which engine computes predictions: compiled where numba is installed, else NumPy's."""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

import numpy as np

from ..kernel_cache import Kernels
from .compact import CompactForest, compact_forest, sort_keys
from .forest import Forest

_layouts: WeakKeyDictionary[Forest, CompactForest | None] = WeakKeyDictionary()
_lock = threading.Lock()
_kernels = Kernels("compiled", str(__package__))


def engine_name() -> str:
    """Return which engine predicts here: ``compiled`` or ``numpy``."""
    return "numpy" if _kernels.chosen() is None else "compiled"


def predict_fast(
    forest: Forest, X: np.ndarray, levels: np.ndarray, weighted: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return mean, standard deviation and quantiles, or None where NumPy has to do it.

    The first call of a session loads the kernels, and the first on a machine compiles them, which
    takes some seconds. One call keeps one thread busy and lets the others run.

    Parameters
    ----------
    forest : Forest
    X : (m, p) float32 array
        Finite, contiguous.
    levels : (k,) float64 array
        From 0 to 1.
    weighted : bool
        Whether leaves have equal weights, or draws.
    """
    kernels = _kernels.chosen()
    layout = None if kernels is None else _layout(forest)
    if kernels is None or layout is None:
        return None
    mean, sd = np.empty(len(X)), np.empty(len(X))
    quantiles = np.empty((len(X), len(levels)))
    try:
        kernels.predict_compiled(
            layout.nodes,
            layout.shift,
            layout.node_base,
            layout.leaf_base,
            layout.stream,
            layout.moments,
            layout.bin_bits,
            layout.y,
            layout.widest,
            sort_keys(X),
            levels,
            weighted,
            mean,
            sd,
            quantiles,
        )
    except kernels.NumbaError:
        _kernels.give_up()
        return None
    return mean, sd, quantiles


def _layout(forest: Forest) -> CompactForest | None:
    """Return the forest's layout, made once."""
    with _lock:
        if forest not in _layouts:
            _layouts[forest] = compact_forest(forest)
        return _layouts[forest]
