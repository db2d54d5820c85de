"""Search among points without compiled code: all distances, by products of matrices.

Products round more than sums of squared differences do: what they leave in doubt is computed again
from the differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

_QUERIES = 512  # a tile of products stays in the processor's cache
_ROWS = 512
_PAIRS = 65_536  # whose differences are held at a time
_PRECISE = 1e-10  # relative error up to which a product decides


def search_plain(
    points: np.ndarray,
    queries: np.ndarray,
    radius: float | None,
    check: Callable[[], None],
    own: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the square of the distance to the nearest point, and the number below a radius.

    Parameters
    ----------
    points, queries : (n, p), (m, p) float64 arrays
        Finite, and best centred on zero.
    radius : float or None
        Square of the radius; None counts nothing.
    check : callable
        Called every now and then; may raise to end the search.
    own : (m,) int array, optional
        A point of each query that is passed over.

    Returns
    -------
    (m,) float64, (m,) int64
        Infinite where there is no point.
    """
    nearest = np.full(len(queries), np.inf)
    counts = np.zeros(len(queries), dtype=np.int64)
    rows = _Rows(points)
    for start in range(0, len(queries), _QUERIES):
        part = slice(start, start + _QUERIES)
        mine = None if own is None else own[part]
        nearest[part], counts[part] = rows.search(queries[part], radius, mine, check)
    return nearest, counts


class _Rows:
    """Points with what makes half the squares of distances a product: [-x, x·x / 2, 1]."""

    def __init__(self, points: np.ndarray) -> None:
        halves = np.einsum("ij,ij->i", points, points) / 2.0
        self._points = points
        self._factors = np.column_stack([-points, halves, np.ones(len(points))])
        self._largest = float(np.sqrt(2.0 * halves.max())) if len(points) else 0.0

    def search(
        self,
        queries: np.ndarray,
        radius: float | None,
        own: np.ndarray | None,
        check: Callable[[], None],
    ) -> tuple[np.ndarray, np.ndarray]:
        square = 0.0 if radius is None else radius
        halves = np.einsum("ij,ij->i", queries, queries) / 2.0
        factors = np.column_stack([queries, np.ones(len(queries)), halves - square / 2.0])
        error = (
            np.finfo(float).eps
            * (len(queries.T) + 4)
            * (np.square(self._largest + np.sqrt(2.0 * halves)) + square)
        )
        least = np.full(len(queries), np.inf)  # half a square, less half that of the radius
        closest = np.zeros(len(queries), dtype=np.int64)
        counts = np.zeros(len(queries), dtype=np.int64)
        every = np.arange(len(queries))
        for first, above in self._tiles(factors, own, check):
            tile_closest = above.argmin(axis=1)
            tile_least = above[every, tile_closest]
            better = tile_least < least
            least[better] = tile_least[better]
            closest[better] = tile_closest[better] + first
            if radius is not None:
                counts += np.count_nonzero(above < 0.0, axis=1)
        nearest = np.full(len(queries), np.inf)
        any_row = np.isfinite(least)
        nearest[any_row] = _squares(self._points[closest[any_row]], queries[any_row])
        doubt = any_row & (nearest > 0) & (error > _PRECISE * nearest)
        if radius is not None:
            doubt |= error > _PRECISE * square
        if doubt.any():
            some = None if own is None else own[doubt]
            nearest[doubt], counts[doubt] = self._settle(
                queries[doubt], factors[doubt], least[doubt], error[doubt], square, some, check
            )
        return nearest, counts if radius is not None else np.zeros_like(counts)

    def _settle(
        self,
        queries: np.ndarray,
        factors: np.ndarray,
        least: np.ndarray,
        error: np.ndarray,
        radius: float,
        own: np.ndarray | None,
        check: Callable[[], None],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return squares and counts, from differences wherever products cannot tell."""
        nearest = np.full(len(queries), np.inf)
        counts = np.zeros(len(queries), dtype=np.int64)
        low, high = -error[:, None], error[:, None]
        for first, above in self._tiles(factors, own, check):
            counts += np.count_nonzero(above < low, axis=1)
            close = above <= least[:, None] + 2.0 * high
            query, row = np.nonzero(close | ((above >= low) & (above <= high)))
            for start in range(0, len(query), _PAIRS):
                check()
                q, r = query[start : start + _PAIRS], row[start : start + _PAIRS]
                squares = _squares(self._points[first + r], queries[q])
                np.minimum.at(nearest, q, squares)
                unsure = above[q, r] >= -error[q]
                counts += np.bincount(q[unsure & (squares < radius)], minlength=len(queries))
        return nearest, counts

    def _tiles(
        self, factors: np.ndarray, own: np.ndarray | None, check: Callable[[], None]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the number of the first of some rows, and half the squares less the radius's."""
        room = np.empty((len(factors), _ROWS))
        for first in range(0, len(self._points), _ROWS):
            check()
            some = self._factors[first : first + _ROWS]
            above = np.matmul(factors, some.T, out=room[:, : len(some)])
            if own is not None:
                here = np.flatnonzero((own >= first) & (own < first + len(some)))
                above[here, own[here] - first] = np.inf
            yield first, above


def _squares(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.square(one - other).sum(axis=1)
