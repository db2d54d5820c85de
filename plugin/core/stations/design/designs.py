"""Designs: random, feature-space coverage and conditioned Latin hypercube."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ..similarity.dissimilarity import covariate_space
from .coverage import choose_coverage
from .designs_sites import Sites, check_fit, draw_in_order, pack
from .latin_hypercube import choose_latin_hypercube

METHODS = ("random", "coverage", "lhs")
RANDOM_ORDERS = 20
"""Tries of a random choice that keeps a smallest distance."""

_ROWS_AT_ONCE = 2_000
_SILENT = Progress()


@dataclass(frozen=True, eq=False)
class BaseRows:
    """Training rows of a model that new readings will add to.

    Attributes
    ----------
    X : (n, p) array
        Covariates, finite.
    names : tuple of p str
    stations : frozenset of (str, str)
        Network and name of each station.
    """

    X: np.ndarray
    names: tuple[str, ...]
    stations: frozenset[tuple[str, str]] = frozenset()


def choose_sites(
    sites: Sites, count: int, method: str, seed: int, progress: Progress = _SILENT
) -> np.ndarray:
    """Return the index of each of `count` new places, ascending.

    Parameters
    ----------
    method : {'random', 'coverage', 'lhs'}
        `random`: drawn without replacement, the chance of each proportional to its preference.
        `coverage`: see `choose_coverage`. `lhs`: see `choose_latin_hypercube`.

    Raises
    ------
    InputError
        When so many places are not there, or do not lie far enough apart.
    """
    check_fit(sites, count)
    if count == 0:
        return np.empty(0, dtype=np.int64)
    chosen = _choose(sites, count, method, seed, progress)
    if len(chosen) < count:
        # the design got stuck between its own places: choose among some that all fit together
        narrowed = np.zeros(len(sites.candidate), dtype=bool)
        narrowed[pack(sites, len(sites.candidate))] = True
        chosen = _choose(
            replace(sites, candidate=narrowed, spacing=None), count, method, seed, progress
        )
    return np.sort(chosen)


def draw_random(sites: Sites, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return up to `count` candidates, each drawn with a chance proportional to its preference."""
    found = np.empty(0, dtype=np.int64)
    for _ in range(RANDOM_ORDERS if sites.spacing else 1):
        order = random_order(sites, rng)
        drawn = draw_in_order(order, count, sites.spacing)
        if len(drawn) > len(found):
            found = drawn
        if len(found) == count:
            break
    return found


def random_order(sites: Sites, rng: np.random.Generator) -> np.ndarray:
    """Return the candidates in random order, those of high preference rather early.

    Drawn one after the other with a chance proportional to the preference (by exponential keys,
    Efraimidis & Spirakis 2006, https://doi.org/10.1016/j.ipl.2005.11.003).
    """
    rows = rng.permutation(sites.candidates)
    if sites.preference is None:
        return rows
    weight = sites.weights(rows)
    keys = rng.exponential(size=len(rows))
    late = np.divide(keys, weight, out=np.full(len(rows), np.inf), where=weight > 0)
    return np.asarray(rows[np.argsort(late, kind="stable")])


def base_dissimilarity(
    base: BaseRows,
    X: np.ndarray,
    names: Sequence[str],
    seed: int,
    progress: Progress = _SILENT,
) -> np.ndarray:
    """Return the dissimilarity index (DI) of rows to the training rows of a model, (m,).

    In the covariates that both have, standardised over the training rows and weighed alike; those
    of the model that the rows lack are named. Rows with a missing value are NaN.

    Raises
    ------
    InputError
        When they have no covariate in common.
    """
    shared = sorted(set(base.names) & set(names))
    if not shared:
        raise InputError(
            "BASE_MODEL has none of the covariates, so what it covers cannot be told.",
            f"It uses: {', '.join(sorted(base.names))}.",
        )
    lacking = sorted(set(base.names) - set(names))
    if lacking:
        progress.info(
            f"The dissimilarity to BASE_MODEL leaves out its covariates {', '.join(lacking)}."
        )
    own = [base.names.index(name) for name in shared]
    space = covariate_space(np.asarray(base.X)[:, own], shared, seed=seed)
    if space.dropped:
        progress.warn(
            f"Constant in the training rows of BASE_MODEL, left out: {', '.join(space.dropped)}."
        )
    columns = [list(names).index(name) for name in shared]
    found = np.empty(len(X))
    for start in range(0, len(X), _ROWS_AT_ONCE):
        progress.check()
        some = slice(start, start + _ROWS_AT_ONCE)
        found[some] = space.dissimilarity(X[some][:, columns])
    return found


def _choose(sites: Sites, count: int, method: str, seed: int, progress: Progress) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if method == "random":
        return draw_random(sites, count, rng)
    if method == "coverage":
        return choose_coverage(sites, count, rng, progress)
    if method == "lhs":
        return choose_latin_hypercube(sites, count, rng, progress)
    raise InputError(f"METHOD '{method}' is not one of {', '.join(METHODS)}.")
