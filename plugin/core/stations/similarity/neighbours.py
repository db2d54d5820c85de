"""Nearest rows, and rows within a radius, among points of many coordinates: exact, never sampled.

Compiled where numba is installed; else, or with the environment variable
``SOIL_MOISTURE_ENGINE=numpy``, by NumPy. Both add up squares of differences in double precision, so
that they differ by rounding only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np

from ...kernel_cache import Kernels
from .neighbours_plain import search_plain

_CELL = 16  # so many rows on average share coordinates where these are added up once for all
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
        Finite; fastest where centred on zero.
    fold : (n,) array, optional
        Fold of each point, for `nearest_outside`.
    """

    def __init__(self, points: np.ndarray, fold: np.ndarray | None = None) -> None:
        self._points = np.ascontiguousarray(points, dtype=np.float64)
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
            nearest[part], counts[part] = self._search(queries[part], radius, _NO_FOLD, check)
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
        own = np.arange(len(self._points))
        return np.sqrt(search_plain(self._points, self._points, None, check or _go_on, own)[0])

    def prepare(self) -> None:
        """Arrange the points now and not with the first search, which several threads may start."""
        self._search(self._points[:1], 0.0, _NO_FOLD, None)

    def _search(
        self, queries: np.ndarray, radius: float | None, skip: int, check: Check | None
    ) -> tuple[np.ndarray, np.ndarray]:
        square = None if radius is None else radius * radius
        nearest, counts = self._squares(queries, square, skip, check or _go_on)
        return np.sqrt(nearest), counts

    def _squares(
        self, queries: np.ndarray, radius: float | None, skip: int, check: Check
    ) -> tuple[np.ndarray, np.ndarray]:
        kernels = chosen_kernels()
        if kernels is not None:
            try:
                return self._search_compiled(kernels, queries, radius, skip, check)
            except kernels.NumbaError:
                _kernels.give_up()
        points = self._points if skip == _NO_FOLD else self._points[self._fold != skip]
        return search_plain(points, queries, radius, check)

    def _search_compiled(
        self,
        kernels: ModuleType,
        queries: np.ndarray,
        radius: float | None,
        skip: int,
        check: Check,
    ) -> tuple[np.ndarray, np.ndarray]:
        rows = self._rows
        arranged = rows.axes.arrange(queries, kernels.STRIDE)
        own = _grow_tree(kernels, arranged, 0, 1, kernels.LANES)
        _, start, stop, _, lower, upper = own.nodes
        leaves = own.leaves
        groups = np.stack([start[leaves], stop[leaves]], axis=1)
        corners = np.stack([lower[leaves], upper[leaves]], axis=1)
        nearest = np.empty(len(queries))
        counts = np.zeros(len(queries), dtype=np.int64)
        step = max(1, _pieces(len(self._points)) // kernels.LANES)
        for first in range(0, len(groups), step):
            check()
            some = slice(first, first + step)
            kernels.search_groups(
                rows.values,
                rows.fold,
                skip,
                rows.shared,
                rows.tree.nodes,
                rows.tree.depth,
                arranged,
                own.order,
                groups[some],
                corners[some],
                -1.0 if radius is None else radius,
                nearest,
                counts,
            )
        return nearest, counts

    @cached_property
    def _rows(self) -> _Rows:
        kernels = chosen_kernels()
        if kernels is None:
            raise RuntimeError("there are no kernels to build a tree with")
        return _arrange_rows(kernels, self._points, self._fold)


@dataclass(frozen=True, eq=False)
class _Axes:
    """Which coordinates many points share, and which not; the widest of each first."""

    shared: np.ndarray
    own: np.ndarray
    cells: int

    def arrange(self, points: np.ndarray, stride: int) -> np.ndarray:
        """Return points with the shared coordinates first, zeros behind either kind.

        Up to a multiple of `stride`.
        """
        width = self.width(stride)
        arranged = np.zeros((len(points), width + -(-len(self.own) // stride) * stride))
        arranged[:, : len(self.shared)] = points[:, self.shared]
        arranged[:, width : width + len(self.own)] = points[:, self.own]
        return arranged

    def width(self, stride: int) -> int:
        """Return how many columns of `arrange` are shared."""
        return -(-len(self.shared) // stride) * stride


@dataclass(frozen=True, eq=False)
class _Tree:
    """Points in an `order`, and what `build_tree` says of the nodes.

    `nodes` are left, start, stop, cell, lower and upper.
    """

    order: np.ndarray
    nodes: tuple[np.ndarray, ...]
    depth: int

    @property
    def leaves(self) -> np.ndarray:
        return np.flatnonzero(self.nodes[0] < 0)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Points as `search_groups` takes them."""

    axes: _Axes
    tree: _Tree
    shared: int
    values: np.ndarray
    fold: np.ndarray


def chosen_kernels() -> ModuleType | None:
    """Return the module of kernels; None where NumPy has to search."""
    return _kernels.chosen()


def _go_on() -> None:
    """Check nothing."""


def _pieces(points: int) -> int:
    """Return how many queries are searched between two looks at the cancel button."""
    return int(min(max(_PAIRS_AT_ONCE // max(points, 1), 64), _QUERIES_AT_ONCE))


def _find_axes(points: np.ndarray) -> _Axes:
    """Return which coordinates form cells: the same in at least `_CELL` points on average.

    Days of a station share what does not change with time, stations what depends on the day
    alone. Coordinates are joined one by one, as long as the cells stay large enough, once from
    those of the fewest values on and once from those of the most; the wider set counts.
    """
    codes = [np.unique(column, return_inverse=True)[1].reshape(-1) for column in points.T]
    number = np.array([int(code.max()) + 1 for code in codes])
    most = len(points) // _CELL
    order = [axis for axis in np.argsort(number, kind="stable") if number[axis] <= most]
    spread = points.var(axis=0)
    shared, cells = max(
        (_join_axes(codes, axes, most) for axes in (order, order[::-1])),
        key=lambda found: spread[found[0]].sum(),
    )
    widest = np.argsort(-spread, kind="stable")
    own = widest[~np.isin(widest, shared)]
    if not len(own):  # the kernels want one
        return _Axes(widest[:-1], widest[-1:], cells)
    return _Axes(widest[np.isin(widest, shared)], own, cells)


def _join_axes(codes: list[np.ndarray], axes: list[int], most: int) -> tuple[np.ndarray, int]:
    """Return the coordinates that together take at most `most` values, and how many they take."""
    joint, cells, shared = np.zeros(len(codes[0]), dtype=np.int64), 1, []
    for axis in axes:
        pairs = joint * (int(codes[axis].max()) + 1) + codes[axis]
        values, code = np.unique(pairs, return_inverse=True)
        if len(values) <= most:
            joint, cells = code.reshape(-1), len(values)
            shared.append(axis)
    return np.array(shared, dtype=np.intp), cells


def _arrange_rows(kernels: ModuleType, points: np.ndarray, fold: np.ndarray) -> _Rows:
    axes = _find_axes(points)
    shared = axes.width(kernels.STRIDE)
    arranged = axes.arrange(points, kernels.STRIDE)
    tree = _grow_tree(kernels, arranged, shared, axes.cells, kernels.LEAF)
    _, start, stop, *_ = tree.nodes
    values = np.empty((len(points), arranged.shape[1] - shared))
    for leaf in tree.leaves:  # side by side: a coordinate of all rows, then the next
        rows = slice(start[leaf], stop[leaf])
        values[rows].reshape(-1)[:] = arranged[tree.order[rows], shared:].T.reshape(-1)
    own_fold = np.ascontiguousarray(fold[tree.order], dtype=np.int64)
    return _Rows(axes, tree, shared, values.reshape(-1), own_fold)


def _grow_tree(
    kernels: ModuleType, points: np.ndarray, shared: int, cells: int, leaf: int
) -> _Tree:
    """Return a tree with at most `leaf` points a leaf, all of one cell."""
    room = 2 * (cells + len(points) // leaf + 1)
    order = np.arange(len(points))
    left, start, stop, depth = (np.zeros(room, dtype=np.int64) for _ in range(4))
    cell = np.zeros(room, dtype=bool)
    lower, upper = np.empty((room, points.shape[1])), np.empty((room, points.shape[1]))
    used = kernels.build_tree(
        points, shared, leaf, order, left, start, stop, cell, depth, lower, upper
    )
    nodes = tuple(part[:used] for part in (left, start, stop, cell, lower, upper))
    return _Tree(order, nodes, int(depth[:used].max()))
