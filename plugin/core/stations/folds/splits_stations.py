"""Stations of a table that is split: their strata, and what is odd about their places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ..station_names import tell_decimal_names, tell_same_places
from ..table import Table
from .distance_matching import StationPlaces, distances_to, station_places

_SILENT = Progress()
_NAMES_SHOWN = 10


def rows_with_station(table: Table, station: str, progress: Progress) -> Table:
    """Return the rows that name a station; the others are counted."""
    if not len(table):
        raise InputError("The table has no rows.", "Choose another layer.")
    named = table.text(station) != ""
    if not named.any():
        raise InputError(
            f"The field '{station}' names no station: it is empty in all {len(table)} rows.",
            "Choose the field that names the stations as STATION, or fill it.",
        )
    if not named.all():
        progress.warn(f"{int((~named).sum())} rows left out: no value in the field '{station}'.")
    tell_decimal_names(table.text(station)[named], f"the field '{station}'", progress)
    return table.take(named)


def station_strata(
    table: Table, station: str, strata: str, progress: Progress = _SILENT
) -> dict[str, str]:
    """Return the stratum of each station: the value of most of its rows, the first on a tie."""
    stations, values = table.text(station), table.text(strata)
    counts: dict[str, Counter[str]] = {}
    for name, value in zip(stations, values):
        counts.setdefault(name, Counter())[value] += 1
    empty = sorted(name for name, found in counts.items() if found[""])
    if empty:
        progress.warn(
            f"{len(empty)} of {len(counts)} stations have no value of '{strata}' "
            f"({some_names(empty)}): what is empty counts as a value of its own."
        )
    several = sorted(name for name, found in counts.items() if len(found) > 1)
    if several:
        progress.warn(
            f"{len(several)} stations have several values of '{strata}' "
            f"({some_names(several)}): the value of most rows counts."
        )
    return {
        name: min(found, key=lambda value, found=found: (-found[value], value))  # type: ignore[misc]
        for name, found in counts.items()
    }


def shown_value(stratum: str) -> str:
    """Return a stratum as messages show it."""
    return stratum or "(empty)"


def tell_moved_places(places: StationPlaces, progress: Progress) -> None:
    """Tell of stations that stand at one place, and of those that stand at several."""
    tell_same_places(places.same_place(), "the nearest station to each is 0 m away.", progress)
    moved = [name for name, far in zip(places.names, places.spread) if far > 0]
    if moved:
        progress.info(
            f"{len(moved)} stations have rows at several places ({some_names(moved)}): the mean "
            "counts."
        )


def tell_torn_places(table: Table, station: str, field: str, progress: Progress) -> None:
    """Warn of stations that stand at one place and differ in `field`, a role or fold."""
    group = dict(zip(table.text(station), table.text(field)))
    places = station_places(table, station).same_place()
    torn = [names for names in places if len({group[name] for name in names}) > 1]
    tell_same_places(
        torn,
        f"they share their covariates, but not their {field}, so what is tested there has been "
        "seen. Give them one name where they are one station.",
        progress,
    )


def tell_far_domain(points: np.ndarray, domain: np.ndarray, progress: Progress) -> None:
    """Warn where the nearest station is farther from the domain than that is wide.

    Parameters
    ----------
    points, domain : float64 (n, 2 or 3), (m, 2 or 3)
        Of `metric_points`.
    """
    nearest = float(distances_to(points, domain).min())
    if nearest > float(np.hypot.reduce(np.ptp(domain, axis=0))):
        progress.warn(
            f"The nearest station is {nearest / 1000:.4g} km from DOMAIN, more than that is wide: "
            "check where both lie, and their coordinate reference systems."
        )


def some_names(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
