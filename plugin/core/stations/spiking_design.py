"""Which stations of a field to spike a model with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..progress import Progress
from .roles import SPIKE, VALIDATE
from .splits import draw_stations, rows_with_station, station_strata
from .table import Table

METHODS = ("random", "stratified")
FEWEST_SPIKES = 8
"""Below 8 spike stations a local weight is poorly learned (see the methods)."""
FEWEST_TO_SHARE = 12
"""Below 12 stations all are used, since too few would be left to judge with."""

_SILENT = Progress()


def select_spiking(
    table: Table,
    *,
    station: str = "station",
    covariates: Sequence[str] | None = None,
    count: int = 0,
    fraction: float = 0.1,
    method: str = "random",
    strata: str | None = None,
    seed: int = 42,
    progress: Progress = _SILENT,
) -> Table:
    """Return the table with role `spike` for the chosen stations and `validate` for the others.

    Parameters
    ----------
    covariates : sequence of str, optional
        A station without a single row complete in them is never chosen, since it could not
        spike; None or empty = every station may be.
    count : int
        Stations to choose; 0 = by `fraction`.
    fraction : float
        Share of the stations, rounded up, never below 8; all where there are fewer than 12.
    method : {'random', 'stratified'}
        `stratified` draws from each value of `strata` in proportion to its stations (largest
        remainders, ties to the larger stratum, then by name).

    Raises
    ------
    InputError
        When a field is missing, no station can be chosen, or `count` is above their number.
    """
    if method not in METHODS:
        raise InputError(f"METHOD '{method}' is not one of {', '.join(METHODS)}.")
    if method == "stratified" and not strata:
        raise InputError("METHOD stratified needs a field.", "Choose a field as STRATA.")
    named = rows_with_station(table, station, progress)
    stations = named.text(station)
    names = _usable_stations(named, stations, covariates or (), progress)
    wanted = spike_count(len(names), count, fraction)
    rng = np.random.default_rng(seed)
    if method == "random":
        chosen = set(draw_stations(names, wanted, rng))
    else:
        stratum = station_strata(named, station, str(strata), progress)
        chosen = _draw_stratified({name: stratum[name] for name in names}, wanted, rng)
    roles = [SPIKE if name in chosen else VALIDATE for name in stations]
    _tell(sorted(chosen), len(set(stations)), progress)
    return named.with_columns({"role": np.array(roles, dtype=object)})


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


def allocate(sizes: dict[str, int], count: int) -> dict[str, int]:
    """Return `count` shared over strata in proportion to their sizes, by largest remainders.

    Examples
    --------
    >>> allocate({"forest": 70, "herbaceous": 24}, 8)
    {'forest': 6, 'herbaceous': 2}
    """
    total = sum(sizes.values())
    shares = {name: count * size // total for name, size in sizes.items()}
    remainders = {name: count * size % total for name, size in sizes.items()}
    order = sorted(sizes, key=lambda name: (-remainders[name], -sizes[name], name))
    for name in order[: count - sum(shares.values())]:
        shares[name] += 1
    return shares


def _draw_stratified(stratum: dict[str, str], count: int, rng: np.random.Generator) -> set[str]:
    shares = allocate(dict(Counter(stratum.values())), count)
    chosen: set[str] = set()
    for value in sorted(shares):
        names = [name for name, own in stratum.items() if own == value]
        chosen |= set(draw_stations(names, shares[value], rng))
    return chosen


def _usable_stations(
    table: Table, stations: np.ndarray, covariates: Sequence[str], progress: Progress
) -> list[str]:
    complete = np.ones(len(table), dtype=bool)
    for name in covariates:
        complete &= np.isfinite(table.numeric(name))
    usable = sorted(set(stations[complete]))
    unusable = sorted(set(stations) - set(usable))
    if unusable:
        progress.warn(
            f"{len(unusable)} stations have no row with all covariates and cannot be chosen: "
            f"{', '.join(unusable[:10])}."
        )
    if not usable:
        raise InputError(
            "No station has a row with all covariates.", "Leave out covariates that are empty."
        )
    return usable


def _tell(chosen: list[str], stations: int, progress: Progress) -> None:
    progress.info(f"{len(chosen)} of {stations} stations spike: {', '.join(chosen)}.")
    if len(chosen) == stations:
        progress.warn("All stations spike, so none is left to validate with.")
