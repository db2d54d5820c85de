"""What a split did: where its stations stand and how far it keeps them apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..roles import TRAIN, VALIDATE
from ..table import Table
from .distance_matching import (
    StationPlaces,
    clustering_p,
    distance_mismatch,
    distances_across,
    distances_between,
    distances_to,
    metric_points,
    station_places,
)
from .distance_matching_domain import Domain, domain_points
from .splits import DEFAULT_STRATA, station_folds
from .splits_stations import station_strata

BOTH_SIDES = "both"


@dataclass(frozen=True)
class Distances:
    """Distances to the nearest station, metres.

    Parameters
    ----------
    between : float64
        From each station to the nearest other one, G_j.
    across : float64
        From each station that is tested to the nearest that trains, G_j*.
    to_map : float64 or None
        From points of the domain to the nearest station, G_ij.
    w, w_random : float or None
        W of G_j* and G_ij, and that of as many random folds; None without a domain.
    p : float or None
        Kolmogorov–Smirnov test that stations lie no closer to each other than the domain to them.
    """

    between: np.ndarray
    across: np.ndarray
    to_map: np.ndarray | None = None
    w: float | None = None
    w_random: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class SplitFacts:
    """Stations of a split table, for its report.

    Parameters
    ----------
    field : str
        ``fold`` or ``role``.
    places : StationPlaces
    group : object (n,)
        Fold or role of each station; ``both`` where its rows lie on both sides.
    rows : dict of str to int
        Rows of each fold or role.
    network : object (n,)
        Value of the strata field, '' everywhere without one.
    strata : str
        That field; '' without one.
    distances : Distances or None
        None where positions or sides are missing.
    domain : Domain or None
    """

    field: str
    places: StationPlaces
    group: np.ndarray
    rows: dict[str, int]
    network: np.ndarray
    strata: str
    distances: Distances | None
    domain: Domain | None

    @property
    def groups(self) -> tuple[str, ...]:
        """Folds or roles in their order."""
        return tuple(sorted(set(self.group), key=lambda value: (len(value), value)))


def split_facts(
    table: Table,
    *,
    station: str,
    strata: str | None = None,
    domain: Domain | None = None,
    seed: int = 42,
) -> SplitFacts:
    """Return where the stations of a split table stand and how far its sides lie apart."""
    field = "fold" if table.has("fold") else "role"
    places = station_places(table, station)
    stations, values = table.text(station), table.text(field)
    found: dict[str, set[str]] = {}
    for name, value in zip(stations, values):
        found.setdefault(name, set()).add(value)
    group = np.full(len(places.names), BOTH_SIDES, dtype=object)
    for place, name in enumerate(places.names):
        if len(found[name]) == 1:
            group[place] = min(found[name])
    named = strata or DEFAULT_STRATA
    stratum = station_strata(table, station, named) if table.has(named) else {}
    network = np.full(len(places.names), "", dtype=object)
    network[:] = [stratum.get(name, "") for name in places.names]
    return SplitFacts(
        field,
        places,
        group,
        {value: int((values == value).sum()) for value in sorted(set(values))},
        network,
        named if stratum else "",
        _distances(places, group, field, domain, seed),
        domain,
    )


def _distances(
    places: StationPlaces, group: np.ndarray, field: str, domain: Domain | None, seed: int
) -> Distances | None:
    known = places.known
    sides = group[known]
    if not places.crs or len(sides) < 2 or BOTH_SIDES in sides or len(set(sides)) < 2:
        return None
    points = metric_points(places.x[known], places.y[known], places.crs)
    between = distances_between(points)
    across = _across(points, sides, field)
    if domain is None:
        return Distances(between, across)
    to_map = distances_to(domain_points(domain, places.crs), points)
    names = np.array(places.names, dtype=object)[known]
    folds = len(set(sides)) if field == "fold" else 0
    chance = station_folds(names, folds, seed) if folds else _shuffled(sides, seed)
    return Distances(
        between,
        across,
        to_map,
        distance_mismatch(across, to_map),
        distance_mismatch(_across(points, chance, field), to_map),
        clustering_p(between, to_map),
    )


def _across(points: np.ndarray, sides: np.ndarray, field: str) -> np.ndarray:
    if field == "fold":
        return distances_across(points, sides)
    return distances_to(points[sides == VALIDATE], points[sides == TRAIN])


def _shuffled(sides: np.ndarray, seed: int) -> np.ndarray:
    return sides[np.random.default_rng(seed).permutation(len(sides))]
