"""Join of readings with the points of their stations."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from ..errors import InputError
from ..progress import Progress
from .covariate_fields import KEY_FIELDS, OBSERVATION_FIELDS
from .table import Table

_LEADING_ZEROS = re.compile(r"0+(?=\d+$)")


def with_station_fields(table: Table, fields: Mapping[tuple[str, str], Mapping[str, str]]) -> Table:
    """Return the observation layer with further texts of its stations, '' where unknown.

    Parameters
    ----------
    fields : mapping of (network, station) to mapping of field name to text
    """
    names = sorted({name for values in fields.values() for name in values}, reverse=True)
    stations = list(zip(table.text("network"), table.text("station")))
    columns = {}
    for name in names:
        texts = {station: fields.get(station, {}).get(name, "") for station in set(stations)}
        columns[name] = np.array([texts[station] for station in stations], dtype=object)
    return table.with_columns(columns)


def check_station_field(stations: Table, station_field: str) -> None:
    """Raise `InputError` where the points have no field with the names of the stations."""
    if not stations.has(station_field):
        raise InputError(
            f"STATIONS has no field '{station_field}' that names the stations.",
            f"Choose STATION_FIELD; the fields are: {', '.join(stations.names)}.",
        )


def join_stations(table: Table, stations: Table, station_field: str, progress: Progress) -> Table:
    """Return the observation layer with positions, CRS and further fields of its stations.

    Names are compared as texts, then without leading zeros; where several points bear a name,
    the one of the station's network counts. Keys and fields that the layer has already are not
    taken over, but `network` where the layer's is empty. Stations that `stations` lacks get no
    position and are listed.

    Raises
    ------
    InputError
        When `stations` has no field `station_field`, no point for any station, or a station
        twice at different places.
    """
    index = _index(stations, stations.text(station_field))
    names = list(zip(table.text("station"), table.text("network")))
    own = {name: _find(index, stations, *name) for name in set(names)}
    if all(place is None for place in own.values()):
        listed = sorted({name for name, _ in own})
        raise InputError(
            f"STATIONS holds none of the stations: the readings name {', '.join(listed[:5])}, its "
            f"field '{station_field}' {', '.join(sorted(index)[:5])}.",
            "Choose the STATION_FIELD that holds the names of the readings.",
        )
    rows = {name: -1 if place is None else place for name, place in own.items()}
    places = np.array([rows[name] for name in names])
    missing = places < 0
    x, y = (np.where(missing, np.nan, values[places]) for values in (stations.x, stations.y))
    columns = _further_fields(table, stations, station_field, places, progress)
    return Table({**table.columns, **columns}, x, y, stations.crs)


def _index(stations: Table, names: np.ndarray) -> dict[str, dict[str, list[int]]]:
    """Return the rows of each name and network, '' where the network is unknown."""
    field = next((name for name in stations.names if name.lower() == "network"), None)
    networks = stations.text(field) if field else [""] * len(names)
    index: dict[str, dict[str, list[int]]] = {}
    for row, (name, network) in enumerate(zip(names, networks)):
        if name:
            index.setdefault(name, {}).setdefault(network, []).append(row)
    return index


def _find(
    index: dict[str, dict[str, list[int]]], stations: Table, name: str, network: str
) -> int | None:
    """Return the row of a station; rows that repeat one at the same place do no harm."""
    found = index.get(name)
    if found is None:
        bare = _LEADING_ZEROS.sub("", name)
        same = [other for other in index if _LEADING_ZEROS.sub("", other) == bare]
        if len(same) != 1:
            return None
        found = index[same[0]]
    rows = found.get(network) or [row for several in found.values() for row in several]
    places = np.column_stack([stations.x[rows], stations.y[rows]])
    if not np.array_equal(places, np.broadcast_to(places[0], places.shape), equal_nan=True):
        raise InputError(
            f"STATIONS holds station '{name}' twice, at different places.",
            "Keep one point a station, or give each its network.",
        )
    return rows[0]


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
