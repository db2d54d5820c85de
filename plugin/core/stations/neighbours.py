"""Nearest rows, and rows within a radius, among points of many coordinates: exact, never sampled.

Compiled where numba is installed; else, or with the environment variable
``SOIL_MOISTURE_ENGINE=numpy``, by SciPy's k-d tree. Both add up squares of differences in double
precision, so that they differ by rounding only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from types import ModuleType

import numpy as np
from scipy.spatial import cKDTree

from ..kernel_cache import Kernels

_LEAF = 16
_STRIDE = 4  # the kernels take coordinates four at a time
_PAIRS_AT_ONCE = 40_000_000  # compared at worst between two looks at the cancel button
_QUERIES_AT_ONCE = 65_536
_NO_FOLD = -1

_kernels = Kernels("neighbours_compiled", str(__package__))

Check = Callable[[], None]


class NeighbourIndex:
    """Points arranged for searching; safe to search from several threads.

    Parameters
    ----------
    points : (n, p) float64 array
        Finite.
    fold : (n,) array, optional
        Fold of each point, for `nearest_outside`.
    """

    def __init__(self, points: np.ndarray, fold: np.ndarray | None = None) -> None:
        # widest coordinates first: what is far shows early
        self._axes = np.argsort(-points.var(axis=0), kind="stable")
        self._points = self._arranged(points)
        self._fold = np.full(len(points), 0)
        if fold is not None:
            self._fold = np.unique(fold, return_inverse=True)[1].reshape(-1)

    def search(
        self, queries: np.ndarray, radius: float | None = None, check: Check | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the distance to the nearest point, and the number of points below a radius.

        Parameters
        ----------
        queries : (m, p) float64 array
            Finite.
        radius : float, optional
            Without one nothing is counted, and the numbers are 0.
        check : callable, optional
            Called every now and then; may raise to end the search.

        Returns
        -------
        (m,) float64, (m,) int64
        """
        nearest = np.empty(len(queries))
        counts = np.zeros(len(queries), dtype=np.int64)
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            part = slice(start, start + _QUERIES_AT_ONCE)
            some = self._arranged(queries[part])
            nearest[part], counts[part] = self._search(some, radius, _NO_FOLD, check)
        return nearest, counts

    def nearest_outside(self, check: Check | None = None) -> np.ndarray:
        """Return the distance of each point to the nearest one of another fold, (n,) float64.

        Infinite where there is no other fold.
        """
        nearest = np.empty(len(self._points))
        for name in range(int(self._fold.max()) + 1):
            own = np.flatnonzero(self._fold == name)
            nearest[own] = self._search(self._points[own], None, name, check)[0]
        return nearest

    def nearest_other(self, check: Check | None = None) -> np.ndarray:
        """Return the distance of each point to the nearest other one, (n,) float64."""
        nearest = np.empty(len(self._points))
        step = _pieces(len(self._points))
        for start in range(0, len(nearest), step):
            if check is not None:
                check()
            part = slice(start, start + step)
            nearest[part] = self._kd_tree.query(self._points[part], k=2)[0][:, 1]
        return nearest

    def _search(
        self, queries: np.ndarray, radius: float | None, skip: int, check: Check | None
    ) -> tuple[np.ndarray, np.ndarray]:
        kernels = chosen_kernels()
        if kernels is not None:
            try:
                return self._search_compiled(kernels, queries, radius, skip, check)
            except kernels.NumbaError:
                _kernels.give_up()
        return self._search_plain(queries, radius, skip, check)

    def _search_compiled(
        self,
        kernels: ModuleType,
        queries: np.ndarray,
        radius: float | None,
        skip: int,
        check: Check | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        rows = self._sorted_points
        own, start, stop, lower, upper = _grow_tree(kernels, queries, kernels.LANES)
        leaves = slice(len(start) // 2, None)
        groups = np.stack([start[leaves], stop[leaves]], axis=1)
        corners = np.stack([lower[leaves], upper[leaves]], axis=1)
        square = -1.0 if radius is None else radius * radius
        nearest = np.empty(len(queries))
        counts = np.zeros(len(queries), dtype=np.int64)
        step = max(1, _pieces(len(rows)) // kernels.LANES)
        for first in range(0, len(groups), step):
            if check is not None:
                check()
            some = slice(first, first + step)
            kernels.search_groups(
                rows,
                self._sorted_fold,
                skip,
                self._tree[1:],
                queries,
                own,
                groups[some],
                corners[some],
                square,
                nearest,
                counts,
            )
        return np.sqrt(nearest), counts

    def _search_plain(
        self, queries: np.ndarray, radius: float | None, skip: int, check: Check | None
    ) -> tuple[np.ndarray, np.ndarray]:
        tree = self._kd_tree
        if skip != _NO_FOLD:
            others = self._points[self._fold != skip]
            if not len(others):
                return np.full(len(queries), np.inf), np.zeros(len(queries), dtype=np.int64)
            tree = cKDTree(others)
        nearest = np.empty(len(queries))
        counts = np.zeros(len(queries), dtype=np.int64)
        step = _pieces(len(self._points))
        for start in range(0, len(queries), step):
            if check is not None:
                check()
            part = slice(start, start + step)
            nearest[part] = tree.query(queries[part])[0]
            if radius is not None:
                found = tree.query_ball_point(
                    queries[part], np.nextafter(radius, 0.0), return_length=True
                )
                counts[part] = found
        return nearest, counts

    def _arranged(self, points: np.ndarray) -> np.ndarray:
        """Return points with sorted coordinates, zeros behind them up to a multiple of four."""
        width = -(-len(self._axes) // _STRIDE) * _STRIDE
        arranged = np.zeros((len(points), width))
        arranged[:, : len(self._axes)] = points[:, self._axes]
        return arranged

    def prepare(self) -> None:
        """Arrange the points now and not with the first search, which several threads may start."""
        self._search(self._points[:1], 0.0, _NO_FOLD, None)

    @cached_property
    def _kd_tree(self) -> cKDTree:
        return cKDTree(self._points)

    @cached_property
    def _tree(self) -> tuple[np.ndarray, ...]:
        kernels = chosen_kernels()
        if kernels is None:
            raise RuntimeError("there are no kernels to build a tree with")
        return _grow_tree(kernels, self._points, _LEAF)

    @cached_property
    def _sorted_points(self) -> np.ndarray:
        return np.ascontiguousarray(self._points[self._tree[0]])

    @cached_property
    def _sorted_fold(self) -> np.ndarray:
        return np.ascontiguousarray(self._fold[self._tree[0]], dtype=np.int64)


def chosen_kernels() -> ModuleType | None:
    """Return the module of kernels; None where SciPy has to search."""
    return _kernels.chosen()


def _pieces(points: int) -> int:
    """Return how many queries are searched between two looks at the cancel button."""
    return int(min(max(_PAIRS_AT_ONCE // max(points, 1), 64), _QUERIES_AT_ONCE))


def _grow_tree(kernels: ModuleType, points: np.ndarray, leaf: int) -> tuple[np.ndarray, ...]:
    """Return order, start, stop, lower and upper of a tree with at most `leaf` points a leaf."""
    levels = 0
    while -(-len(points) // 2**levels) > leaf:
        levels += 1
    nodes = 2 ** (levels + 1) - 1
    order = np.arange(len(points))
    start, stop = np.zeros(nodes, dtype=np.int64), np.zeros(nodes, dtype=np.int64)
    lower = np.empty((nodes, points.shape[1]))
    upper = np.empty_like(lower)
    kernels.build_tree(points, order, start, stop, lower, upper)
    return order, start, stop, lower, upper
