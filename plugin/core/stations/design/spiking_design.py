"""Which stations of a field to spike a model with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ..covariate_fields import candidate_covariates, read_covariates
from ..folds.splits_stations import (
    rows_with_station,
    shown_value,
    some_names,
    station_strata,
    tell_torn_places,
)
from ..roles import SPIKE, VALIDATE, row_roles
from ..table import Table
from .designs import BaseRows, base_dissimilarity, choose_sites, random_order
from .designs_sites import Sites, mean_nearest, standardise

METHODS = ("random", "stratified", "coverage", "lhs")
FEWEST_SPIKES = 8
"""Below 8 spike stations a local weight is poorly learned (see the methods)."""
FEWEST_TO_SHARE = 12
"""Below 12 stations all are used, since too few would be left to judge with."""
COMPARED_DRAWS = 100
"""Random choices that a choice is compared with."""

_IN_COVARIATE_SPACE = ("coverage", "lhs")
_SILENT = Progress()


@dataclass(frozen=True, eq=False)
class StationMeans:
    """One row a station, in the order of their names.

    Attributes
    ----------
    names : tuple of m str
        Stations that have a row with all covariates.
    covariates : tuple of p str
    X : (m, p) float64
        Mean over these rows.
    di : (m,) float64 or None
        Mean over these rows of the dissimilarity to the rows of a base model.
    """

    names: tuple[str, ...]
    covariates: tuple[str, ...]
    X: np.ndarray
    di: np.ndarray | None


def select_spiking(
    table: Table,
    *,
    station: str = "station",
    covariates: Sequence[str] | None = None,
    count: int = 0,
    fraction: float = 0.1,
    method: str = "random",
    strata: str | None = None,
    base: BaseRows | None = None,
    exclude_fields: Iterable[str] = (),
    seed: int = 42,
    progress: Progress = _SILENT,
) -> Table:
    """Return the table with role `spike` for the chosen stations and `validate` for the others.

    Stations that have a row of role `spike` in the table stay chosen and count; the others are
    chosen beside them.

    Parameters
    ----------
    covariates : sequence of str, optional
        A station without a single row complete in them is never chosen, since it could not
        spike. None or empty = those of `base`; without it with `coverage` and `lhs` every field
        that may be one, else every station may be chosen.
    count : int
        Stations to choose, those chosen already included; 0 = by `fraction`.
    fraction : float
        Share of the stations, rounded up, never below 8; all where there are fewer than 12.
    method : {'random', 'stratified', 'coverage', 'lhs'}
        `stratified` draws from each value of `strata` in proportion to its stations (largest
        remainders, ties to the larger stratum, then by name). `coverage` and `lhs` work on the
        standardised covariates of a station, means over its dates; `lhs` takes the values of
        `strata`, where given, as a class variable.
    base : BaseRows, optional
        Training rows of the model to spike: stations unlike them are preferred. With `random` and
        `stratified` the chance is proportional to the dissimilarity index (DI), with `coverage`
        k-means is weighted by it, with `lhs` the population that the choice should be like.
    exclude_fields : iterable of str
        Fields that are no covariates because other parameters name them.

    Raises
    ------
    InputError
        When a field is missing, no station can be chosen, `count` is above their number or below
        that of the stations chosen already, or all covariates are constant.
    """
    if method not in METHODS:
        raise InputError(f"METHOD '{method}' is not one of {', '.join(METHODS)}.")
    if method == "stratified" and not strata:
        raise InputError("METHOD stratified needs a field.", "Choose a field as STRATA.")
    named = rows_with_station(table, station, progress)
    stations = named.text(station)
    if base is not None:
        _tell_known(named, stations, base, progress)
    names = sorted(covariates or (base.names if base else ()))
    if method in _IN_COVARIATE_SPACE and not names:
        names = candidate_covariates(named, [station, strata or "", *exclude_fields])
        progress.info(f"Covariates: {', '.join(names)}.")
    means = _station_means(named, stations, names, base, seed, progress)
    kept = _kept_stations(named, stations, means.names, progress)
    everyone = sorted({*means.names, *kept})
    new = _new_spikes(len(everyone), len(set(stations)), len(kept), count, fraction)
    if kept and not new:
        progress.warn(
            "No station is chosen beside those that spike already: empty the field 'role' to "
            "choose anew, or raise COUNT or FRACTION."
        )
    stratum = station_strata(named, station, strata, progress) if strata else None
    sites = _sites(means, kept, stratum if method == "lhs" else None, method, progress)
    if method == "stratified":
        values = {name: stratum[name] for name in everyone} if stratum else {}
        rows = _choose_stratified(sites, means.names, kept, values, new, seed)
    else:
        rows = choose_sites(sites, new, method, seed, progress)
    chosen = kept | {means.names[row] for row in rows}
    if stratum:
        _tell_strata(stratum, set(means.names), chosen, strata or "", progress)
    roles = [SPIKE if name in chosen else VALIDATE for name in stations]
    _tell(sorted(chosen), len(set(stations)), progress)
    _tell_worth(sites, rows, seed, progress)
    result = named.with_columns({"role": np.array(roles, dtype=object)})
    tell_torn_places(result, station, "role", progress)
    return result


def _tell_known(table: Table, stations: np.ndarray, base: BaseRows, progress: Progress) -> None:
    """Warn of stations that the model was trained on."""
    count = len(stations)
    network = table.text("network") if table.has("network") else np.full(count, "", dtype=object)
    keys = {(str(group), str(name)) for group, name in zip(network, stations)}
    known = sorted(name for _, name in keys & base.stations)
    if known:
        progress.warn(
            f"{len(known)} of {len(keys)} stations are among the training stations of BASE_MODEL "
            f"({some_names(known)}): a spiked model leaves their regional rows out, and gains "
            "little from them. Give the stations of the field alone."
        )


def spike_count(stations: int, count: int, fraction: float) -> int:
    """Return how many of the stations to choose.

    Examples
    --------
    >>> spike_count(94, 0, 0.1), spike_count(30, 0, 0.1), spike_count(11, 0, 0.1)
    (10, 8, 11)
    """
    if count < 0 or count > stations:
        raise InputError(
            f"COUNT is {count}, but there are {stations} stations.",
            "Choose a smaller COUNT, or 0 to use FRACTION.",
        )
    if count:
        return count
    if not 0 < fraction <= 1:
        raise InputError(f"FRACTION is {fraction:g}.", "It must lie above 0 and not above 1.")
    if stations < FEWEST_TO_SHARE:
        return stations
    return max(int(np.ceil(fraction * stations - 1e-9)), FEWEST_SPIKES)


def allocate(
    sizes: dict[str, int], count: int, taken: dict[str, int] | None = None
) -> dict[str, int]:
    """Return `count` shared over strata in proportion to their sizes, by largest remainders.

    Parameters
    ----------
    sizes : dict of str to int
    count : int
        To share beside those taken.
    taken : dict of str to int, optional
        What strata have already: the shares make up for it as far as they can.

    Examples
    --------
    >>> allocate({"forest": 70, "herbaceous": 24}, 8)
    {'forest': 6, 'herbaceous': 2}
    >>> allocate({"forest": 70, "herbaceous": 24}, 4, {"forest": 4})
    {'forest': 2, 'herbaceous': 2}
    """
    has = {name: (taken or {}).get(name, 0) for name in sizes}
    total, all_places = sum(sizes.values()), count + sum(has.values())
    shares = dict.fromkeys(sizes, 0)
    for _ in range(count):
        # how far each is behind its proportional share, times the total
        behind = {n: all_places * sizes[n] - total * (has[n] + shares[n]) for n in sizes}
        shares[min(sizes, key=lambda n, b=behind: (-b[n], -sizes[n], n))] += 1  # type: ignore[misc]
    return shares


def _new_spikes(usable: int, stations: int, kept: int, count: int, fraction: float) -> int:
    if usable < count <= stations:
        raise InputError(
            f"COUNT is {count}, but only {usable} of {stations} stations have a row with all "
            "covariates.",
            "Choose a smaller COUNT, or leave out covariates that are empty.",
        )
    wanted = spike_count(usable, count, fraction)
    if count and wanted < kept:
        raise InputError(
            f"COUNT is {count}, but {kept} stations have the role spike already.",
            "Choose a larger COUNT, or empty the field 'role' to choose anew.",
        )
    return max(wanted - kept, 0)


def _station_means(
    table: Table,
    stations: np.ndarray,
    names: Sequence[str],
    base: BaseRows | None,
    seed: int,
    progress: Progress,
) -> StationMeans:
    X = read_covariates(table, names, np.ones(len(table), dtype=bool), progress)
    complete = np.isfinite(X).all(axis=1)
    usable = sorted(set(stations[complete]))
    unusable = sorted(set(stations) - set(usable))
    if unusable:
        progress.warn(
            f"{len(unusable)} stations have no row with all covariates and cannot be chosen: "
            f"{some_names(unusable)}."
        )
    if not usable:
        raise InputError(
            "No station has a row with all covariates.", "Leave out covariates that are empty."
        )
    values = X[complete].astype(np.float64)
    code = np.searchsorted(np.array(usable, dtype=object), stations[complete])
    order = np.lexsort((*values.T, code))  # sums that do not depend on the order of rows
    values, code = values[order], code[order]
    number = np.bincount(code)

    def mean(column: np.ndarray) -> np.ndarray:
        return np.asarray(np.bincount(code, column) / number)

    means = np.empty((len(usable), len(names)))
    for index, column in enumerate(values.T):
        means[:, index] = mean(column)
    di = None
    if base is not None:
        di = mean(base_dissimilarity(base, values, names, seed, progress))
    return StationMeans(tuple(usable), tuple(names), means, di)


def _kept_stations(
    table: Table, stations: np.ndarray, usable: Sequence[str], progress: Progress
) -> set[str]:
    kept = set(stations[row_roles(table) == SPIKE])
    if kept:
        progress.info(
            f"{len(kept)} stations have the role spike already and keep it: "
            f"{some_names(sorted(kept))}."
        )
    unplaced = sorted(kept - set(usable))
    if unplaced:
        progress.warn(
            f"{len(unplaced)} of them have no row with all covariates, so the others are chosen as "
            f"if they were not there: {some_names(unplaced)}."
        )
    return kept


def _sites(
    means: StationMeans,
    kept: set[str],
    stratum: dict[str, str] | None,
    method: str,
    progress: Progress,
) -> Sites:
    everyone = np.ones(len(means.names), dtype=bool)
    chosen = np.array([name in kept for name in means.names], dtype=bool)
    points, varies = standardise(means.X, everyone)
    if method in _IN_COVARIATE_SPACE and not points.shape[1]:
        raise InputError(
            f"The design {method} has nothing to choose by: the same at every station are "
            f"{', '.join(means.covariates)}.",
            "Choose covariates that differ between stations, or the design random.",
        )
    if method in _IN_COVARIATE_SPACE and not varies.all():
        dropped = [name for name, differs in zip(means.covariates, varies) if not differs]
        progress.warn(f"The same at every station, left out: {', '.join(dropped)}.")
    classes: tuple[np.ndarray, ...] = ()
    if stratum is not None:
        codes = np.unique([stratum[name] for name in means.names], return_inverse=True)[1]
        classes = (codes.astype(np.int64),)
    return Sites(points, ~chosen, chosen, everyone, means.di, classes)


def _choose_stratified(
    sites: Sites,
    names: Sequence[str],
    kept: set[str],
    stratum: dict[str, str],
    count: int,
    seed: int,
) -> np.ndarray:
    taken = Counter(stratum[name] for name in kept)
    shares = allocate(dict(Counter(stratum.values())), count, dict(taken))
    own = np.array([stratum[name] for name in names], dtype=object)
    rng = np.random.default_rng(seed)
    chosen: list[int] = []
    for value in sorted(shares):
        members = Sites(
            sites.points,
            sites.candidate & (own == value),
            sites.kept,
            sites.population,
            sites.preference,
        )
        chosen += random_order(members, rng)[: shares[value]].tolist()
    return np.array(sorted(chosen), dtype=np.int64)


def _tell(chosen: list[str], stations: int, progress: Progress) -> None:
    progress.info(f"{len(chosen)} of {stations} stations spike: {', '.join(chosen)}.")
    if len(chosen) == stations:
        progress.warn("All stations spike, so none is left to validate with.")


def _tell_strata(
    stratum: dict[str, str], usable: set[str], chosen: set[str], field: str, progress: Progress
) -> None:
    """Warn of strata of which no station spikes."""
    without = sorted(set(stratum.values()) - {stratum[name] for name in chosen})
    possible = {stratum[name] for name in usable}
    listed = [
        shown_value(value) + ("" if value in possible else " (no row with all covariates)")
        for value in without
    ]
    if listed:
        progress.warn(f"No station spikes of '{field}': {some_names(listed)}.")


def _tell_worth(sites: Sites, rows: np.ndarray, seed: int, progress: Progress) -> None:
    """Say what the choice gains over random ones in covariate space and in dissimilarity."""
    if not len(rows) or len(rows) == len(sites.candidates):
        return
    if sites.points.shape[1]:
        fixed = sites.points[sites.kept]
        rng = np.random.default_rng(seed)
        drawn = [
            mean_nearest(sites.points, np.vstack([fixed, sites.points[some]]))
            for some in (
                rng.permutation(sites.candidates)[: len(rows)] for _ in range(COMPARED_DRAWS)
            )
        ]
        own = mean_nearest(sites.points, np.vstack([fixed, sites.points[rows]]))
        progress.info(
            "Mean distance of a station to the nearest spike, in standard deviations of the "
            f"covariates: {own:.3f}; {np.mean(drawn):.3f} where as many are drawn at random (mean "
            f"of {COMPARED_DRAWS})."
        )
    if sites.preference is not None:
        progress.info(
            f"Mean dissimilarity to BASE_MODEL: {sites.preference[rows].mean():.3f} at the "
            f"stations chosen now, {sites.preference.mean():.3f} at all. Preferring what the model "
            "lacks may leave others farther from a spike than a random choice does."
        )
