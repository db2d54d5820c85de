"""A forest as the compact arrays of a model file, and back with every check."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .forest import LEAF, Forest, LeafStore


class BrokenArrays(ValueError):
    """Arrays that are no forest or no training rows; the message says why."""


def pack_forest(forest: Forest) -> dict[str, np.ndarray]:
    """Return the arrays that hold `forest`, by name.

    Children are stored as their distance from the parent, 0 in a leaf.
    """
    own = np.arange(len(forest.value))
    inner = forest.feature != LEAF
    arrays = {
        "forest/tree_size": np.diff(forest.tree_start).astype("<i4"),
        "forest/feature": forest.feature.astype("<i4"),
        "forest/threshold": forest.threshold.astype("<f8"),
        "forest/left": np.where(inner, forest.left - own, 0).astype("<i4"),
        "forest/right": np.where(inner, forest.right - own, 0).astype("<i4"),
        "forest/value": forest.value.astype("<f8"),
        "forest/variance": forest.variance.astype("<f8"),
        "forest/count": forest.count.astype("<i4"),
    }
    store = forest.store
    if store is None:
        return arrays
    return {
        **arrays,
        "leaves/y": store.y.astype("<f8"),
        "leaves/order": smallest(store.order),
        "leaves/size": smallest(np.diff(store.start)),
        "leaves/row": smallest(store.row),
        "leaves/count": smallest(store.count),
    }


def smallest(values: np.ndarray) -> np.ndarray:
    """Return whole numbers from 0 on in the smallest type that holds them."""
    largest = int(values.max(initial=0))
    return values.astype("|u1" if largest < 2**8 else "<u2" if largest < 2**16 else "<i4")


def unpack_forest(arrays: Mapping[str, np.ndarray], features: int) -> Forest:
    """Return the forest in `arrays`.

    Raises
    ------
    BrokenArrays
        An array is absent, of another length or type, holds values that are not finite or out of
        range, a node is not reached exactly once from its tree's root, or counts do not add up.
    """
    sizes = whole(arrays, "forest/tree_size")
    tree_start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    nodes = int(tree_start[-1])
    if len(sizes) == 0 or (sizes < 1).any():
        raise BrokenArrays("a tree has no node")
    feature = whole(arrays, "forest/feature", nodes)
    inner = feature != LEAF
    own = np.arange(nodes)
    left = own + whole(arrays, "forest/left", nodes)
    right = own + whole(arrays, "forest/right", nodes)
    if (feature < LEAF).any() or (feature >= features).any():
        raise BrokenArrays("a node splits a covariate that the model does not have")
    _check_order(tree_start, inner, left, right)
    forest = Forest(
        features=features,
        tree_start=tree_start,
        feature=feature.astype(np.int32),
        threshold=real(arrays, "forest/threshold", nodes),
        left=np.where(inner, left, LEAF).astype(np.int32),
        right=np.where(inner, right, LEAF).astype(np.int32),
        value=real(arrays, "forest/value", nodes),
        variance=real(arrays, "forest/variance", nodes),
        count=whole(arrays, "forest/count", nodes).astype(np.int32),
        store=_unpack_store(arrays, nodes) if "leaves/y" in arrays else None,
    )
    _check_counts(forest)
    return forest


def whole(arrays: Mapping[str, np.ndarray], name: str, length: int | None = None) -> np.ndarray:
    """Return a vector of whole numbers as int64."""
    values = _vector(arrays, name, length)
    if values.dtype.kind not in "iu":
        raise BrokenArrays(f"the array '{name}' does not hold whole numbers")
    return values.astype(np.int64)


def real(
    arrays: Mapping[str, np.ndarray], name: str, length: int, *, finite: bool = True
) -> np.ndarray:
    """Return a vector of float64, by default without NaN and infinities."""
    values = _vector(arrays, name, length)
    if values.dtype.str != "<f8" or (finite and not np.isfinite(values).all()):
        raise BrokenArrays(f"the array '{name}' does not hold finite numbers")
    return values.astype(np.float64)


def _vector(arrays: Mapping[str, np.ndarray], name: str, length: int | None) -> np.ndarray:
    if name not in arrays:
        raise BrokenArrays(f"the array '{name}' is missing")
    values = arrays[name]
    if values.ndim != 1 or (length is not None and len(values) != length):
        raise BrokenArrays(f"the array '{name}' has the shape {values.shape}")
    return values


def _check_order(
    tree_start: np.ndarray, inner: np.ndarray, left: np.ndarray, right: np.ndarray
) -> None:
    own = np.arange(len(inner))
    end = np.repeat(tree_start[1:], np.diff(tree_start))
    for child in (left, right):
        if (child[inner] <= own[inner]).any() or (child[inner] >= end[inner]).any():
            raise BrokenArrays("a node's child does not come after it in its tree")
        if (child[~inner] != own[~inner]).any():
            raise BrokenArrays("a leaf has a child")
    reached = np.bincount(np.concatenate([left[inner], right[inner]]), minlength=len(inner))
    expected = np.ones(len(inner), dtype=np.int64)
    expected[tree_start[:-1]] = 0
    if (reached != expected).any():
        raise BrokenArrays("a node is not reached exactly once")


def _unpack_store(arrays: Mapping[str, np.ndarray], nodes: int) -> LeafStore:
    y = real(arrays, "leaves/y", len(_vector(arrays, "leaves/y", None)))
    n = len(y)
    order = whole(arrays, "leaves/order", n)
    size = whole(arrays, "leaves/size", nodes)
    entries = int(size.sum())
    row = whole(arrays, "leaves/row", entries)
    count = whole(arrays, "leaves/count", entries)
    if (size < 0).any() or (row < 0).any() or (row >= n).any() or (count < 1).any():
        raise BrokenArrays("a leaf holds a row that is none of the training rows")
    if not np.array_equal(np.sort(order), np.arange(n)) or (np.diff(y[order]) < 0).any():
        raise BrokenArrays("the training rows are not ordered by their target")
    return LeafStore(
        y=y,
        order=order.astype(np.int32),
        start=np.concatenate([[0], np.cumsum(size)]).astype(np.int64),
        row=row.astype(np.int32),
        count=count.astype(np.int32),
    )


def _check_counts(forest: Forest) -> None:
    inner = forest.feature != LEAF
    count = forest.count.astype(np.int64)
    below = count[forest.left[inner]] + count[forest.right[inner]]
    if (count < 1).any() or (count[inner] != below).any() or (forest.variance < 0).any():
        raise BrokenArrays("the draws of a node are not those of its children")
    store = forest.store
    if store is None:
        return
    totals = np.concatenate([[0], np.cumsum(store.count, dtype=np.int64)])[store.start]
    if (np.diff(totals) != np.where(inner, 0, count)).any():
        raise BrokenArrays("the draws of a leaf are not those of its rows")
    if (count[forest.tree_start[:-1]] != len(store.y)).any():
        raise BrokenArrays("a tree has not drawn as many rows as there are")
