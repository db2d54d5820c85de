"""Join of readings with the points of their stations."""

from __future__ import annotations

import re

import numpy as np

from ..errors import InputError
from ..progress import Progress
from .covariate_fields import KEY_FIELDS, OBSERVATION_FIELDS
from .table import Table

_LEADING_ZEROS = re.compile(r"0+(?=\d+$)")


def join_stations(table: Table, stations: Table, station_field: str, progress: Progress) -> Table:
    """Return the observation layer with positions, CRS and further fields of its stations.

    Names are compared as texts, then without leading zeros. Keys and fields that the layer has
    already are not taken over, but `network` where the layer's is empty. Stations that
    `stations` lacks get no position and are listed.

    Raises
    ------
    InputError
        When `stations` has no field `station_field`, no point for any station, or a station
        twice at different places.
    """
    index = _index(stations, stations.text(station_field))
    names = table.text("station")
    own = {name: _find(index, name) for name in set(names)}
    lost = sorted(name for name, place in own.items() if place is None)
    if len(lost) == len(own):
        raise InputError(
            f"STATIONS holds none of the stations: the readings name {', '.join(lost[:5])}, its "
            f"field '{station_field}' {', '.join(sorted(index)[:5])}.",
            "Choose the STATION_FIELD that holds the names of the readings.",
        )
    places = np.array([-1 if own[name] is None else own[name] for name in names])
    missing = places < 0
    x, y = (np.where(missing, np.nan, values[places]) for values in (stations.x, stations.y))
    columns = _further_fields(table, stations, station_field, places, progress)
    return Table({**table.columns, **columns}, x, y, stations.crs)


def _index(stations: Table, names: np.ndarray) -> dict[str, int]:
    """Return the row of each station; rows that repeat one at the same place do no harm."""
    index: dict[str, int] = {}
    for row, name in enumerate(names):
        if not name:
            continue
        first = index.setdefault(name, row)
        here = np.array([stations.x[row], stations.y[row]])
        there = np.array([stations.x[first], stations.y[first]])
        if not np.array_equal(here, there, equal_nan=True):
            raise InputError(
                f"STATIONS holds station '{name}' twice, at different places.",
                "Keep one point a station.",
            )
    return index


def _find(index: dict[str, int], name: str) -> int | None:
    if name in index:
        return index[name]
    bare = _LEADING_ZEROS.sub("", name)
    same = [row for other, row in index.items() if _LEADING_ZEROS.sub("", other) == bare]
    return same[0] if len(same) == 1 else None


def _further_fields(
    table: Table, stations: Table, station_field: str, places: np.ndarray, progress: Progress
) -> dict[str, np.ndarray]:
    left_out = {*KEY_FIELDS, *OBSERVATION_FIELDS, station_field.lower()} - {"network"}
    if table.has("network") and (table.text("network") != "").any():
        left_out.add("network")
    columns, passed_over = {}, []
    for name in stations.names:
        if name.lower() not in left_out:
            own = "network" if name.lower() == "network" else name
            columns[own] = _taken(stations.column(name), places)
        elif name != station_field and name.lower() not in KEY_FIELDS:
            passed_over.append(name)
    if passed_over:
        progress.info(f"Fields of STATIONS that the layer has itself: {', '.join(passed_over)}.")
    return columns


def _taken(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the values at `places`, missing where a place is negative."""
    taken = values[places].copy()
    missing = {"f": np.nan, "M": np.datetime64("NaT"), "O": ""}[values.dtype.kind]
    taken[places < 0] = missing
    return taken
