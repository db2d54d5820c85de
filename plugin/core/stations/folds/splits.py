"""Splits into training and validation stations, and folds of stations or networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ..roles import TRAIN, VALIDATE
from ..table import Table
from ..times import observation_days
from .distance_matching import SIGNIFICANT, match_folds, metric_points, station_places
from .distance_matching_domain import Domain, domain_points
from .splits_stations import (
    rows_with_station,
    shown_value,
    some_names,
    station_strata,
    tell_far_domain,
    tell_moved_places,
    tell_torn_places,
)

METHODS = ("random", "stratified", "leave-network-out", "years", "k-fold", "knndm")
DEFAULT_STRATA = "network"

_SILENT = Progress()


@dataclass(frozen=True)
class _Split:
    station: str
    strata: str
    fraction: float
    hold_out: tuple[str, ...]
    folds: int
    date: str
    seed: int
    domain: Domain | None


def split_stations(
    table: Table,
    *,
    station: str = "station",
    strata: str | None = None,
    method: str = "random",
    fraction: float = 0.25,
    hold_out: str = "",
    folds: int = 5,
    date: str = "date",
    seed: int = 42,
    domain: Domain | None = None,
    progress: Progress = _SILENT,
) -> Table:
    """Return the table with a role (`train`, `validate`) or a fold for each row.

    All rows of a station get the same, but with `years`. The draw depends on the names of the
    stations and on `seed`, not on the order of the rows. Rows without a station belong to no
    side: they are left out and counted.

    Parameters
    ----------
    strata : str, optional
        Field to draw within (`stratified`) or whose values are held out (`leave-network-out`);
        `network` where left out.
    method : {'random', 'stratified', 'leave-network-out', 'years', 'k-fold', 'knndm'}
        `k-fold`, `knndm`, and `leave-network-out` without `hold_out`, write `fold` 1…k and role
        train; the others write `role`.
    fraction : float
        Share of the stations (of each stratum) that validate, rounded half up, at least one
        station on either side; a stratum of one station trains.
    hold_out : str
        Values of `strata`, or years, that validate; joined by ``;``.
    folds : int
        Number of folds; no more than there are stations.
    domain : Domain, optional
        What is to be mapped, for `knndm`; see `match_folds`.

    Raises
    ------
    InputError
        When a field is missing, a value of `hold_out` is not found, one side stays empty, or a
        station lies in several networks.
    """
    if method not in METHODS:
        raise InputError(f"METHOD '{method}' is not one of {', '.join(METHODS)}.")
    values = tuple(dict.fromkeys(v.strip() for v in hold_out.split(";") if v.strip()))
    split = _Split(station, strata or DEFAULT_STRATA, fraction, values, folds, date, seed, domain)
    named = rows_with_station(table, station, progress)
    result = _BY_METHOD[method](named, split, progress)
    _tell(result, station, progress)
    if method not in ("years", "knndm"):
        by_role = split.hold_out or method in ("random", "stratified")
        tell_torn_places(result, station, "role" if by_role else "fold", progress)
    return result


def station_folds(
    station: np.ndarray, k: int, seed: int, spread: np.ndarray | None = None
) -> np.ndarray:
    """Return a fold 1…k for each row, int64 (n,); all rows of a station share it.

    Numbers of stations in the folds differ by one at most. The draw depends on the set of
    stations, their groups and `seed` only; `k` is cut to the number of stations.

    Parameters
    ----------
    station : (n,) array
    k, seed : int
    spread : (n,) array of str, optional
        Group of each row (network …): the stations of each are dealt out over the folds in turn,
        so that no fold takes a group away from the others by chance.

    Examples
    --------
    >>> folds = station_folds(np.array(["b", "a", "b", "c"], dtype=object), 2, 42)
    >>> folds[0] == folds[2]
    True
    """
    names = sorted(set(station))
    if k < 2 or len(names) < 2:
        raise InputError(
            f"{k} folds of {len(names)} stations cannot be made.",
            "At least 2 folds and 2 stations are needed.",
        )
    order = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
    if spread is not None:
        group: dict[object, str] = {}
        for name, value in zip(station, spread):
            group[name] = min(group.get(name, str(value)), str(value))
        order.sort(key=lambda name: group[name])
    fold = {name: place % min(k, len(names)) + 1 for place, name in enumerate(order)}
    return np.array([fold[name] for name in station], dtype=np.int64)


def network_folds(network: np.ndarray) -> np.ndarray:
    """Return a fold 1…m for each row, int64 (n,): one fold a network, in the order of names.

    Rows without a network ('') form a fold of their own.
    """
    fold = {name: index for index, name in enumerate(sorted(set(network)), start=1)}
    return np.array([fold[name] for name in network], dtype=np.int64)


def draw_stations(names: list[str], count: int, rng: np.random.Generator) -> list[str]:
    """Return `count` of the stations, drawn at random from their sorted names."""
    ordered = sorted(names)
    return [ordered[index] for index in rng.permutation(len(ordered))[:count]]


def _share(stations: int, fraction: float) -> int:
    """Return `fraction` of the stations, rounded half up, with one left on either side."""
    return min(max(int(np.floor(fraction * stations + 0.5 + 1e-9)), 1), stations - 1)


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise InputError(f"FRACTION is {fraction:g}.", "It must lie between 0 and 1.")


def _with_roles(table: Table, validating: np.ndarray, what: str) -> Table:
    for mask, role in ((validating, VALIDATE), (~validating, TRAIN)):
        if not mask.any():
            raise InputError(
                f"No row gets the role {role}: {what} takes all of them.",
                "Both sides need rows: leave some to either.",
            )
    return table.with_columns({"role": np.where(validating, VALIDATE, TRAIN).astype(object)})


def _with_folds(table: Table, folds: np.ndarray) -> Table:
    roles = np.full(len(table), TRAIN, dtype=object)
    return table.with_columns({"role": roles, "fold": folds})


def _random(table: Table, split: _Split, progress: Progress) -> Table:
    _check_fraction(split.fraction)
    stations = table.text(split.station)
    names = sorted(set(stations))
    _need_two(names, split.station)
    rng = np.random.default_rng(split.seed)
    drawn = set(draw_stations(names, _share(len(names), split.fraction), rng))
    return _with_roles(table, _members(stations, drawn), "FRACTION")


def _stratified(table: Table, split: _Split, progress: Progress) -> Table:
    _check_fraction(split.fraction)
    stations = table.text(split.station)
    _need_two(sorted(set(stations)), split.station)
    stratum = station_strata(table, split.station, split.strata, progress)
    if len(set(stratum.values())) == 1:
        progress.warn(
            f"'{split.strata}' has one value only, {shown_value(min(stratum.values()))}: the split "
            "is that of METHOD random."
        )
    rng = np.random.default_rng(split.seed)
    drawn: set[str] = set()
    alone = []
    for value in sorted(set(stratum.values())):
        names = [name for name, own in stratum.items() if own == value]
        if len(names) == 1:
            alone.append(shown_value(value))
            continue
        drawn |= set(draw_stations(names, _share(len(names), split.fraction), rng))
    if alone:
        progress.warn(
            f"Values of '{split.strata}' with one station, which trains: {some_names(alone)}."
        )
    if not drawn:
        raise InputError(
            f"Each value of '{split.strata}' has one station only, so that none would validate.",
            "Choose a field of classes with several stations each, or METHOD random.",
        )
    return _with_roles(table, _members(stations, drawn), "FRACTION")


def _leave_network_out(table: Table, split: _Split, progress: Progress) -> Table:
    networks = table.text(split.strata)
    _refuse_shared_stations(table.text(split.station), networks, split)
    if not split.hold_out:
        if len(set(networks)) < 2:
            raise InputError(
                f"The field '{split.strata}' holds one value only: {shown_value(networks[0])}.",
                "Folds by network need at least two: choose another field as STRATA, or METHOD "
                "k-fold.",
            )
        names = [shown_value(name) for name in sorted(set(networks))]
        listed = ", ".join(f"{fold} {name}" for fold, name in enumerate(names, start=1))
        progress.info(f"Folds: {listed}.")
        return _with_folds(table, network_folds(networks))
    unknown = [value for value in split.hold_out if value not in set(networks)]
    if unknown:
        raise InputError(
            f"HOLD_OUT names {', '.join(unknown)}, which the field '{split.strata}' does not hold.",
            f"It holds: {', '.join(sorted(set(networks) - {''}))}.",
        )
    return _with_roles(
        table, _members(networks, set(split.hold_out)), f"HOLD_OUT ({'; '.join(split.hold_out)})"
    )


def _years(table: Table, split: _Split, progress: Progress) -> Table:
    days = observation_days(table, split.date, progress)
    dated = ~np.isnat(days)
    if not dated.all():
        progress.warn(f"{int((~dated).sum())} rows left out: no value in the field '{split.date}'.")
    table = table.take(dated)
    years = np.array([str(day)[:4] for day in days[dated]], dtype=object)
    found = sorted(set(years))
    unknown = [year for year in split.hold_out if year not in found]
    if unknown or not split.hold_out:
        raise InputError(
            f"HOLD_OUT names {', '.join(unknown) or 'no year'}.",
            f"Name years that validate, joined by ';'; the table holds: {', '.join(found)}.",
        )
    progress.warn(
        "METHOD years splits rows, not stations: stations may lie on both sides, so scores say "
        "nothing about unseen places."
    )
    return _with_roles(
        table, _members(years, set(split.hold_out)), f"HOLD_OUT ({'; '.join(split.hold_out)})"
    )


def _k_fold(table: Table, split: _Split, progress: Progress) -> Table:
    stations = table.text(split.station)
    _need_two(sorted(set(stations)), split.station)
    if split.folds > len(set(stations)):
        progress.warn(f"FOLDS is cut to the {len(set(stations))} stations there are.")
    return _with_folds(table, station_folds(stations, split.folds, split.seed))


def _knndm(table: Table, split: _Split, progress: Progress) -> Table:
    if split.domain is None:
        raise InputError(
            "METHOD knndm needs DOMAIN, the area that is to be mapped.",
            "Choose a layer of polygons or points, or a raster.",
        )
    places = station_places(table, split.station)
    tell_moved_places(places, progress)
    if not places.known.all():
        lost = [name for name, known in zip(places.names, places.known) if not known]
        table = table.take(~_members(table.text(split.station), set(lost)))
        progress.warn(f"{len(lost)} stations without a position are left out: {some_names(lost)}.")
    stations = table.text(split.station)
    names = [name for name, known in zip(places.names, places.known) if known]
    _need_two(names, split.station)
    if split.folds > len(names):
        progress.warn(f"FOLDS is cut to the {len(names)} stations there are.")
    order = np.array(names, dtype=object)
    points = metric_points(places.x[places.known], places.y[places.known], places.crs)
    domain = domain_points(split.domain, places.crs, progress)
    tell_far_domain(points, domain, progress)
    chance = station_folds(order, split.folds, split.seed)
    folds = match_folds(points, domain, chance, progress)
    text = f"W is {folds.w:.0f} m, with random folds {folds.w_random:.0f} m"
    if folds.clusters:
        progress.info(f"Folds merged from {folds.clusters} clusters of stations: {text}.")
    elif folds.p >= SIGNIFICANT:
        progress.info(
            "Random folds: the stations lie no closer to each other than the domain to them "
            f"(Kolmogorov–Smirnov p = {folds.p:.2g}). {text.partition(',')[0]}."
        )
    else:
        progress.warn(
            "Random folds: no clusters of stations come nearer to the distances of the domain. "
            f"{text.partition(',')[0]}; folds by network may be the better test."
        )
    fold = dict(zip(names, folds.fold.tolist()))
    return _with_folds(table, np.array([fold[name] for name in stations], dtype=np.int64))


_BY_METHOD: dict[str, Callable[[Table, _Split, Progress], Table]] = {
    "random": _random,
    "stratified": _stratified,
    "leave-network-out": _leave_network_out,
    "years": _years,
    "k-fold": _k_fold,
    "knndm": _knndm,
}


def _members(values: np.ndarray, chosen: set[str]) -> np.ndarray:
    return np.array([value in chosen for value in values], dtype=bool)


def _need_two(names: list[str], station: str) -> None:
    if len(names) < 2:
        raise InputError(
            f"The field '{station}' names {len(names)} station ({some_names(names)}).",
            "A split needs at least two.",
        )


def _refuse_shared_stations(stations: np.ndarray, networks: np.ndarray, split: _Split) -> None:
    own: dict[str, set[str]] = {}
    for name, network in zip(stations, networks):
        own.setdefault(name, set()).add(network)
    shared = sorted(name for name, found in own.items() if len(found) > 1)
    if shared:
        first = ", ".join(shown_value(value) for value in sorted(own[shared[0]]))
        raise InputError(
            f"{len(shared)} stations have several values of '{split.strata}' "
            f"({some_names(shared)}; {shared[0]}: {first}).",
            f"Give each station its own name in the field '{split.station}'.",
        )


def _tell(table: Table, station: str, progress: Progress) -> None:
    """Say how many stations and rows each role and fold got."""
    stations = table.text(station)
    for field in ("role", "fold"):
        if not table.has(field):
            continue
        values = table.text(field)
        counts = ", ".join(
            f"{value}: {len(set(stations[values == value]))} stations, "
            f"{int((values == value).sum())} rows"
            for value in sorted(set(values), key=lambda v: (len(v), v))
        )
        progress.info(f"Rows by {field}: {counts}.")
