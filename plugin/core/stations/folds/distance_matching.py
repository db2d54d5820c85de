"""Folds of stations whose distances to each other are those of the map to the stations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial import cKDTree
from scipy.stats import ks_2samp, wasserstein_distance

from ...errors import InputError
from ...progress import Progress
from ...rasters.grids import parse_crs, transform_points
from ..station_names import same_places
from ..table import Table

LARGEST_SHARE = 0.5
SIGNIFICANT = 0.05
MOST_STATIONS = 10_000

_CANDIDATES = 100
_EXACT = 10_000  # product of sample sizes
_EARTH_RADIUS = 6_371_007.2  # metres, of the sphere with the area of WGS 84
_DEGREES = "EPSG:4326"
_SILENT = Progress()


@dataclass(frozen=True)
class StationPlaces:
    """Stations in the order of their names, and where they stand.

    Parameters
    ----------
    names : tuple of n str
    x, y : float64 (n,)
        Mean position of the rows in the table's reference system; NaN where no row has one.
    crs : str
    spread : float64 (n,)
        Largest distance of a row to the mean position, in units of `crs`.
    """

    names: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    crs: str
    spread: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Which stations have a position, bool (n,)."""
        return np.isfinite(self.x) & np.isfinite(self.y)

    def same_place(self) -> list[tuple[str, ...]]:
        """Return the stations that stand at one place, in the order of their names."""
        return same_places(self.names, self.x, self.y, self.crs)


@dataclass(frozen=True)
class MatchedFolds:
    """Folds made by matching distances, and how well they match.

    Parameters
    ----------
    fold : int64 (n,)
        1…k.
    clusters : int
        Clusters that were merged into folds; 0 where the folds are random.
    p : float
        Of the Kolmogorov–Smirnov test that the stations lie no closer to each other than the map
        to the stations.
    w, w_random : float
        W of these folds, and of random ones; metres.
    """

    fold: np.ndarray
    clusters: int
    p: float
    w: float
    w_random: float


def station_places(table: Table, station: str) -> StationPlaces:
    """Return where the stations of a table stand: the mean of their rows, whatever their order."""
    names, member = np.unique(table.text(station).astype(str), return_inverse=True)
    member = member.reshape(-1)
    has_point = np.isfinite(table.x) & np.isfinite(table.y)
    middle = np.full((2, len(names)), np.nan)
    spread = np.zeros(len(names))
    order = np.lexsort((table.y, table.x, member))
    kept = order[has_point[order]]
    first = np.flatnonzero(np.diff(member[kept], prepend=-1))
    for rows in np.split(kept, first[1:]) if kept.size else []:
        x, y = table.x[rows], table.y[rows]
        # of equal positions the position itself, not a mean with rounding
        place = (_mean(x), _mean(y))
        middle[:, member[rows[0]]] = place
        spread[member[rows[0]]] = float(np.hypot(x - place[0], y - place[1]).max())
    return StationPlaces(
        tuple(str(name) for name in names), middle[0], middle[1], table.crs, spread
    )


def metric_points(x: np.ndarray, y: np.ndarray, crs: str) -> np.ndarray:
    """Return points as coordinates whose straight distances stand for metres on the ground.

    Projected coordinates are scaled to metres, float64 (n, 2). Degrees become points on a
    sphere, (n, 3); :func:`ground_distance` turns their straight distances into great circles.

    Raises
    ------
    InputError
        When there is no coordinate reference system.
    """
    system = parse_crs(crs)
    if system.is_projected:
        factor = float(system.linear_units_factor[1])
        return np.column_stack([np.asarray(x, float), np.asarray(y, float)]) * factor
    lon, lat = (np.radians(v) for v in transform_points(crs, _DEGREES, x.tolist(), y.tolist()))
    across = np.cos(lat)
    sphere = np.column_stack([across * np.cos(lon), across * np.sin(lon), np.sin(lat)])
    return np.asarray(_EARTH_RADIUS * sphere)


def ground_distance(straight: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return straight distances between `points` of :func:`metric_points` as metres on ground."""
    if points.shape[1] == 2:
        return straight
    half = np.clip(straight / (2 * _EARTH_RADIUS), 0.0, 1.0)
    return np.asarray(2 * _EARTH_RADIUS * np.arcsin(half))


def distances_to(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the distance of each point to the nearest target, metres (n,)."""
    return ground_distance(cKDTree(targets).query(points)[0], points)


def distances_between(points: np.ndarray) -> np.ndarray:
    """Return the distance of each point to the nearest other one, G_j, metres (n,)."""
    return ground_distance(cKDTree(points).query(points, k=2)[0][:, 1], points)


def distances_across(points: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return the distance of each point to the nearest of another fold, G_j*, metres (n,).

    Infinite where there is only one fold.
    """
    found = np.full(len(points), np.inf)
    for one in np.unique(fold):
        inside = fold == one
        if not inside.all():
            found[inside] = distances_to(points[inside], points[~inside])
    return found


def distance_mismatch(first: np.ndarray, second: np.ndarray) -> float:
    """Return W = ∫|G_first − G_second| dr of two samples of distances, metres."""
    return float(wasserstein_distance(first, second))


def clustering_p(between: np.ndarray, to_map: np.ndarray) -> float:
    """Return p of the one-sided test that stations lie no closer to each other than the map.

    Kolmogorov–Smirnov of G_j and G_ij: small where G_j lies above. Exact for small samples, as R
    does it.
    """
    method = "exact" if len(between) * len(to_map) < _EXACT else "asymp"
    return float(ks_2samp(between, to_map, alternative="greater", method=method).pvalue)


def match_folds(
    stations: np.ndarray,
    domain: np.ndarray,
    random_fold: np.ndarray,
    progress: Progress = _SILENT,
) -> MatchedFolds:
    """Divide stations into folds by nearest-neighbour-distance matching (kNNDM).

    Where the stations lie no closer to each other than the map lies to them (one-sided
    Kolmogorov–Smirnov test of G_j and G_ij, p ≥ 0.05), the random folds stay. Else the stations
    are put into ever more clusters (Ward's method, 100 numbers of clusters from k to n − 2,
    evenly spaced on a logarithmic scale); these are merged into k folds in the order of their
    centres along the first principal axis, clusters of n/k stations and more being a fold of
    their own. Of all that leave no fold above half of the stations, and of the random folds, the
    one with the smallest W is chosen, the first on a tie. (That the random folds are among them
    is a choice made here.)

    Parameters
    ----------
    stations, domain : float64 (n, d), (m, d)
        From :func:`metric_points`. The order of the stations does not matter but where two
        stand at one place.
    random_fold : int64 (n,)
        Random folds 1…k.

    Raises
    ------
    InputError
        For less than three folds, and for more stations than can be clustered.

    References
    ----------
    Linnenbrink et al. (2024), kNNDM CV, doi:10.5194/gmd-17-5897-2024.
    """
    k = int(random_fold.max(initial=0))
    if k * LARGEST_SHARE <= 1:
        raise InputError(
            f"{k} folds by nearest-neighbour distance cannot be made.",
            "No fold may hold more than half of the stations: take 3 folds or more.",
        )
    if len(stations) > MOST_STATIONS:
        raise InputError(
            f"{len(stations)} stations are too many to be matched by distance.",
            f"Up to {MOST_STATIONS} can be: check the station field.",
        )
    to_stations = distances_to(domain, stations)
    p = clustering_p(distances_between(stations), to_stations)
    w_random = distance_mismatch(distances_across(stations, random_fold), to_stations)
    best = MatchedFolds(random_fold, 0, p, w_random, w_random)
    if p >= SIGNIFICANT:
        return best
    for count, fold in _candidates(stations, k, progress):
        w = distance_mismatch(distances_across(stations, fold), to_stations)
        if w < best.w:
            best = MatchedFolds(fold, count, p, w, w_random)
    return best


def _candidates(points: np.ndarray, k: int, progress: Progress) -> list[tuple[int, np.ndarray]]:
    """Return numbers of clusters with the folds they are merged into."""
    n = len(points)
    places = len(np.unique(points, axis=0))
    last = min(n - 2, places)
    if last < k:
        return []
    counts = np.unique(np.rint(np.exp(np.linspace(np.log(k), np.log(last), _CANDIDATES))))
    cuts = cut_tree(linkage(points, "ward"), n_clusters=counts.astype(int))
    centred = points - points.mean(axis=0)
    along = centred @ _first_axis(centred)
    found = []
    for place, count in enumerate(counts.astype(int)):
        progress.step(place / len(counts))
        fold = merge_clusters(cuts[:, place], along, k)
        sizes = np.bincount(fold, minlength=k + 1)[1:]
        if sizes.min() > 0 and sizes.max() <= LARGEST_SHARE * n:
            found.append((int(count), fold))
    return found


def merge_clusters(cluster: np.ndarray, along: np.ndarray, k: int) -> np.ndarray:
    """Merge clusters into folds 1…k.

    In the order of their mean place `along` an axis, clusters of n/k stations and more become
    folds of their own, the others go to the remaining folds in turn.
    """
    labels, member, sizes = np.unique(cluster, return_inverse=True, return_counts=True)
    member = member.reshape(-1)
    means = np.bincount(member, weights=along) / sizes
    fold = np.zeros(len(labels), dtype=np.int64)
    order = np.argsort(means, kind="stable")
    large = [label for label in order if sizes[label] >= len(cluster) / k]
    fold[large] = np.arange(1, len(large) + 1)
    rest = [label for label in order if sizes[label] < len(cluster) / k]
    others = np.arange(len(large) + 1, k + 1)
    if rest:
        fold[rest] = others[np.arange(len(rest)) % len(others)]
    return fold[member]


def _first_axis(centred: np.ndarray) -> np.ndarray:
    """Return the first principal axis, its largest part positive."""
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    return np.asarray(axis * np.sign(axis[np.argmax(np.abs(axis))]))


def _mean(values: np.ndarray) -> float:
    return float(values[0]) if np.all(values == values[0]) else float(values.mean())
