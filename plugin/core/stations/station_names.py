"""Stations that share a name or a place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from ..progress import Progress
from .table import Table

_DECIMAL_NAME = re.compile(r"[+-]?\d+\.\d*[1-9]\d*(?:e[+-]?\d+)?|[+-]?\d+e-\d+")
_SHOWN = 10
_DECIMALS_OF_DEGREES, _DECIMALS_OF_METRES = 6, 1
_FAR_IN_DEGREES, _FAR_IN_METRES = 0.01, 1000.0


def name_apart(table: Table, progress: Progress) -> Table:
    """Return the layer with stations of different networks under different names.

    Only names that several networks use are changed: to ``network/station``, or the name itself
    where the network is unknown. Splits and models know stations by their name alone.
    """
    names, networks = table.text("station"), table.text("network")
    users: dict[str, set[str]] = {}
    for name, network in set(zip(names, networks)):
        users.setdefault(name, set()).add(network)
    shared = {name for name, several in users.items() if len(several) > 1}
    if not shared:
        return table
    renamed = [
        f"{network}/{name}" if name in shared and network else name
        for name, network in zip(names, networks)
    ]
    progress.warn(
        f"{len(shared)} names of stations are used by several networks that share a name: "
        f"{_shown(shared)}. These stations are named network/station."
    )
    changed = table.with_columns({"station": np.array(renamed, dtype=object)})
    order = np.lexsort([changed.dates("date"), _ranks(renamed)])
    return changed.take(order)


def tell_decimal_names(stations: Iterable[str], parameter: str, progress: Progress) -> None:
    """Warn of names that are numbers with decimals, as of a field that names no stations.

    Each different number would be a station of its own, so that folds of stations would tear the
    rows of a place apart.
    """
    names = set(stations)
    decimal = sorted(name for name in names if _DECIMAL_NAME.fullmatch(name))
    if decimal:
        progress.warn(
            f"{len(decimal)} of {len(names)} station names are numbers with decimals, such as "
            f"'{decimal[0]}'; they are kept as they are. Is {parameter} right?"
        )


def same_places(
    names: Iterable[str], x: np.ndarray, y: np.ndarray, crs: str
) -> list[tuple[str, ...]]:
    """Return the stations that stand at one place, each group sorted.

    Parameters
    ----------
    names : iterable of n str
        A station may have several rows.
    x, y : float64 (n,)
        In `crs`, compared to a tenth of a metre, or 1e-6 degrees; NaN where unknown.
    """
    known = np.isfinite(x) & np.isfinite(y)
    decimals = _DECIMALS_OF_DEGREES if _is_geographic(crs) else _DECIMALS_OF_METRES
    places = zip(np.round(x[known], decimals).tolist(), np.round(y[known], decimals).tolist())
    at: dict[tuple[float, float], set[str]] = {}
    for name, place in set(zip(np.array(list(names), dtype=object)[known], places)):
        at.setdefault(place, set()).add(str(name))
    return sorted({tuple(sorted(several)) for several in at.values() if len(several) > 1})


def tell_same_places(places: Sequence[tuple[str, ...]], meaning: str, progress: Progress) -> None:
    """Warn of stations at one place; `meaning` says what that does, and what to do."""
    if places:
        progress.warn(
            f"Several stations stand at one place ({_shown({' and '.join(p) for p in places})}): "
            f"{meaning}"
        )


def named_by_place(table: Table, station: str, progress: Progress) -> Table:
    """Return the table with the place of a row as its station where the field is empty."""
    names = table.text(station)
    nameless = names == ""
    if not nameless.any():
        return table
    progress.warn(
        f"{int(nameless.sum())} rows have no value in the field '{station}': each place of theirs "
        "counts as a station."
    )
    places = [f"{x:.10g}, {y:.10g}" for x, y in zip(table.x, table.y)]
    filled = [name or place for name, place in zip(names, places)]
    return table.with_columns({station: np.array(filled, dtype=object)})


def tell_places(table: Table, progress: Progress) -> None:
    """Warn of stations at one place, and of stations at several places far apart."""
    known = np.isfinite(table.x) & np.isfinite(table.y)
    if not known.any():
        return
    degrees = _is_geographic(table.crs)
    decimals = _DECIMALS_OF_DEGREES if degrees else _DECIMALS_OF_METRES
    x, y = np.round(table.x[known], decimals), np.round(table.y[known], decimals)
    stations = list(zip(table.text("network")[known], table.text("station")[known]))
    at: dict[tuple[float, float], set[tuple[str, str]]] = {}
    of: dict[tuple[str, str], set[tuple[float, float]]] = {}
    for station, place in set(zip(stations, zip(x.tolist(), y.tolist()))):
        at.setdefault(place, set()).add(station)
        of.setdefault(station, set()).add(place)
    together = [several for several in at.values() if len(several) > 1]
    if together:
        groups = {" = ".join(sorted(name for _, name in several)) for several in together}
        progress.warn(
            f"{sum(map(len, together))} stations share {len(together)} places: {_shown(groups)}. "
            "They are kept apart; give them one name where they are one station."
        )
    far = _FAR_IN_DEGREES if degrees else _FAR_IN_METRES
    moved = {name for (_, name), places in of.items() if np.ptp(list(places), axis=0).max() > far}
    if moved:
        progress.warn(f"{len(moved)} stations lie at several places, far apart: {_shown(moved)}.")


def _is_geographic(crs: str) -> bool:
    return crs.upper() == "EPSG:4326" or crs.startswith(("GEOGCRS", "GEOGCS"))


def _ranks(names: list[str]) -> np.ndarray:
    rank = {name: place for place, name in enumerate(sorted(set(names)))}
    return np.array([rank[name] for name in names], dtype=np.int64)


def _shown(names: set[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:_SHOWN]) + (" …" if len(listed) > _SHOWN else "")
