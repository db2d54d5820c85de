"""Random forests as plain arrays: growing them tree by tree on weighted bootstrap draws."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse
from sklearn.tree import DecisionTreeRegressor

from ..errors import InputError
from ..progress import Progress

LEAF = -1
_SEED_LIMIT = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class LeafStore:
    """The training rows in the leaves of a forest, from which its quantiles come.

    Attributes
    ----------
    y : (n,) float64
        Target of the training rows.
    order : (n,) int32
        Training rows by ascending target.
    start : (nodes + 1,) int64
        Leaf i holds the entries ``start[i]`` to ``start[i + 1] - 1``, other nodes none.
    row, count : (entries,) int32
        Training row, and how often its tree drew it.
    """

    y: np.ndarray
    order: np.ndarray
    start: np.ndarray
    row: np.ndarray
    count: np.ndarray

    @cached_property
    def draws(self) -> sparse.csr_matrix:
        """Nodes x ranks of the target with a one for each draw (a row drawn twice has two)."""
        rank = np.empty(len(self.order), dtype=np.int32)
        rank[self.order] = np.arange(len(self.order), dtype=np.int32)
        ranks = np.repeat(rank[self.row], self.count)
        starts = np.concatenate([[0], np.cumsum(self.count, dtype=np.int64)])[self.start]
        shape = (len(self.start) - 1, len(rank))
        return sparse.csr_matrix((np.ones(len(ranks)), ranks, starts), shape=shape)


@dataclass(frozen=True, eq=False)
class DecisionTable:
    """Nodes laid out for a walk in which a leaf leads to itself.

    Attributes
    ----------
    feature : (nodes,) intp
    threshold : (nodes,) float32
        The largest float32 number not above the node's threshold: the same decisions.
    child : (2 nodes,) intp
        Right and left child of node i at 2i and 2i + 1.
    leaf : (nodes,) bool
    """

    feature: np.ndarray
    threshold: np.ndarray
    child: np.ndarray
    leaf: np.ndarray


@dataclass(frozen=True, eq=False)
class Forest:
    """A regression forest: the nodes of all trees one after the other, and the rows in its leaves.

    A row x goes left in node i where ``x[feature[i]] <= threshold[i]``, x being float32. A node's
    children come after it and within its tree; a tree's root is its first node.

    Attributes
    ----------
    features : int
        Number of covariates, p.
    tree_start : (B + 1,) int64
        Tree b has the nodes ``tree_start[b]`` to ``tree_start[b + 1] - 1``.
    feature, left, right : (nodes,) int32
        Covariate, and children as places in these same arrays; all -1 in a leaf.
    threshold : (nodes,) float64
        Zero in a leaf.
    value, variance : (nodes,) float64
        Mean of the draws in the node, in units of y, and their variance about it.
    count : (nodes,) int32
        Number of draws in the node.
    store : LeafStore or None
        Without it the forest has a mean and a standard deviation, but no quantiles.
    """

    features: int
    tree_start: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    variance: np.ndarray
    count: np.ndarray
    store: LeafStore | None = None

    @property
    def trees(self) -> int:
        """Number of trees, B."""
        return len(self.tree_start) - 1

    @property
    def has_distribution(self) -> bool:
        """Whether the leaves hold their training rows, so that quantiles can be given."""
        return self.store is not None

    @cached_property
    def table(self) -> DecisionTable:
        """The nodes as the walk down the trees needs them."""
        leaf = self.feature == LEAF
        own = np.arange(len(leaf))
        with np.errstate(over="ignore"):
            threshold = self.threshold.astype(np.float32)
        above = threshold > self.threshold
        threshold[above] = np.nextafter(threshold[above], np.float32(-np.inf))
        child = [np.where(leaf, own, self.right), np.where(leaf, own, self.left)]
        return DecisionTable(
            feature=np.where(leaf, 0, self.feature).astype(np.intp),
            threshold=threshold,
            child=np.stack(child, axis=1).reshape(-1).astype(np.intp),
            leaf=leaf,
        )

    def without_rows(self) -> Forest:
        """Return this forest without its leaf store."""
        return replace(self, store=None)


@dataclass(frozen=True, eq=False)
class _Tree:
    """One grown tree; children and leaves counted from its root."""

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    variance: np.ndarray
    count: np.ndarray
    leaf_size: np.ndarray
    leaf_row: np.ndarray
    leaf_count: np.ndarray


def grow_forest(
    X: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    trees: int = 50,
    min_leaf: int = 10,
    max_features: float = 1 / 3,
    seed: int = 42,
    threads: int = 2,
    keep_rows: bool = True,
    progress: Progress | None = None,
) -> Forest:
    """Grow a random regression forest [1]_ on weighted bootstrap draws.

    Each tree draws n rows with replacement, the chance of a row proportional to its weight, and is
    fitted on the draw counts. This is what ``RandomForestRegressor(random_state=seed)`` of
    scikit-learn 1.9 and later does, draw for draw; growing the trees one by one gives the same
    forest with every scikit-learn from 1.2 on, and lets the user cancel between trees.

    Parameters
    ----------
    X : (n, p) array
        Covariates, read as float32; no missing values.
    y : (n,) array
        Target; no missing values.
    weight : (n,) array, optional
        Positive chances of the rows. Equal weights and none give the same forest.
    trees, min_leaf : int
        Number of trees; smallest number of different rows in a leaf.
    max_features : float
        Share of the covariates tried at each split; at least one is.
    seed : int
        Seed of the draws and of the order in which covariates are tried.
    threads : int
        Trees grown at a time; does not change the forest.
    keep_rows : bool
        Keep the rows of each leaf, from which the quantiles come.
    progress : Progress, optional
        Asked after each tree whether to stop.

    Raises
    ------
    InputError
        Arrays that do not fit together, are not finite, weights that are not positive, or settings
        that no forest can have.
    Cancelled
        The user stopped the run.

    References
    ----------
    .. [1] Breiman, L. (2001). Random forests. Machine Learning, 45, 5-32.
       https://doi.org/10.1023/A:1010933404324
    """
    _check_settings(trees, min_leaf, max_features)
    X, y, weight = _checked(X, y, weight)
    state = np.random.RandomState(seed)
    seeds = [int(state.randint(_SEED_LIMIT)) for _ in range(trees)]

    def grow(tree_seed: int) -> _Tree:
        estimator = DecisionTreeRegressor(
            min_samples_leaf=min_leaf, max_features=max_features, random_state=tree_seed
        )
        return _grow_tree(estimator, X, y, draw_counts(len(y), weight, tree_seed))

    grown = _run(grow, seeds, threads, progress or Progress())
    return _join(grown, X.shape[1], y if keep_rows else None)


def draw_counts(n: int, weight: np.ndarray | None, seed: int) -> np.ndarray:
    """Return how often each of `n` rows is drawn in `n` draws with chances `weight`, (n,) int."""
    state = np.random.RandomState(seed)
    if weight is None:
        drawn = state.randint(0, n, n)
    else:
        drawn = state.choice(n, n, replace=True, p=weight / np.sum(weight))
    return np.bincount(drawn, minlength=n)


def _check_settings(trees: int, min_leaf: int, max_features: float) -> None:
    for name, number in (("TREES", trees), ("MIN_LEAF", min_leaf)):
        if number < 1:
            raise InputError(f"{name} is {number}.", "Give at least 1.")
    if not 0 < max_features <= 1:
        raise InputError(
            f"MAX_FEATURES is {max_features:g}.",
            "Give the share of covariates to try at each split, above 0 and up to 1.",
        )


def _checked(
    X: np.ndarray, y: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    X = np.ascontiguousarray(X, dtype=np.float32)
    y = np.ascontiguousarray(y, dtype=np.float64)
    if X.ndim != 2 or X.shape[1] == 0 or y.shape != X.shape[:1] or len(y) == 0:
        raise InputError(
            f"The training rows have {X.shape} covariate values and {y.shape} targets.",
            "Give one target for each row of covariates, at least one row and one covariate.",
        )
    if not (np.isfinite(X).all() and np.isfinite(y).all()):
        raise InputError(
            "A covariate or the target is missing or infinite in a training row.",
            "Leave such rows out.",
        )
    if weight is None:
        return X, y, None
    weight = np.ascontiguousarray(weight, dtype=np.float64)
    if weight.shape != y.shape or not (np.isfinite(weight).all() and (weight > 0).all()):
        raise InputError(
            "A row weight is missing, infinite or not positive.",
            "Give every training row a positive weight, or none.",
        )
    if (weight == weight[0]).all():
        return X, y, None
    return X, y, weight


def _run(
    grow: Callable[[int], _Tree], seeds: list[int], threads: int, progress: Progress
) -> list[_Tree]:
    """Grow the trees in threads; report from the caller's thread only."""
    grown: list[_Tree] = []
    progress.check()
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        waiting: list[Future[_Tree]] = [pool.submit(grow, seed) for seed in seeds]
        try:
            for future in waiting:
                grown.append(future.result())
                progress.step(len(grown) / len(seeds))
        finally:
            for future in waiting:
                future.cancel()
    return grown


def _grow_tree(
    estimator: DecisionTreeRegressor, X: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> _Tree:
    estimator.fit(X, y, sample_weight=counts)
    tree = estimator.tree_
    leaf = tree.children_left == LEAF
    value = tree.value.reshape(-1).copy()
    drawn = np.flatnonzero(counts)
    place = tree.apply(X[drawn])
    by_leaf = np.argsort(place, kind="stable")
    leaf_row = drawn[by_leaf]
    spread = counts[drawn] * (y[drawn] - value[place]) ** 2
    total = np.bincount(place, weights=counts[drawn], minlength=len(value))
    variance = np.maximum(tree.impurity, 0.0)
    variance[leaf] = np.bincount(place, weights=spread, minlength=len(value))[leaf] / total[leaf]
    return _Tree(
        feature=np.where(leaf, LEAF, tree.feature).astype(np.int32),
        threshold=np.where(leaf, 0.0, tree.threshold),
        left=tree.children_left.astype(np.int32),
        right=tree.children_right.astype(np.int32),
        value=value,
        variance=variance,
        count=np.rint(tree.weighted_n_node_samples).astype(np.int32),
        leaf_size=np.bincount(place, minlength=len(value)),
        leaf_row=leaf_row.astype(np.int32),
        leaf_count=counts[leaf_row].astype(np.int32),
    )


def _join(grown: list[_Tree], features: int, y: np.ndarray | None) -> Forest:
    tree_start = np.cumsum([0] + [len(tree.value) for tree in grown], dtype=np.int64)

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(tree, name) for tree in grown])

    def children(name: str) -> np.ndarray:
        own = [getattr(tree, name) for tree in grown]
        return np.concatenate(
            [np.where(c == LEAF, LEAF, c + start) for c, start in zip(own, tree_start)]
        ).astype(np.int32)

    forest = Forest(
        features=features,
        tree_start=tree_start,
        feature=joined("feature"),
        threshold=joined("threshold"),
        left=children("left"),
        right=children("right"),
        value=joined("value"),
        variance=joined("variance"),
        count=joined("count"),
    )
    if y is None:
        return forest
    store = LeafStore(
        y=y,
        order=np.argsort(y).astype(np.int32),  # ties as in quantile-forest
        start=np.concatenate([[0], np.cumsum(joined("leaf_size"))]).astype(np.int64),
        row=joined("leaf_row"),
        count=joined("leaf_count"),
    )
    return replace(forest, store=store)
