"""Stations that share a name or a place."""

from __future__ import annotations

import numpy as np

from ..progress import Progress
from .table import Table

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


def tell_places(table: Table, progress: Progress) -> None:
    """Warn of stations at one place, and of stations at several places far apart."""
    known = np.isfinite(table.x) & np.isfinite(table.y)
    if not known.any():
        return
    degrees = table.crs.upper() == "EPSG:4326" or table.crs.startswith(("GEOGCRS", "GEOGCS"))
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


def _ranks(names: list[str]) -> np.ndarray:
    rank = {name: place for place, name in enumerate(sorted(set(names)))}
    return np.array([rank[name] for name in names], dtype=np.int64)


def _shown(names: set[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:_SHOWN]) + (" …" if len(listed) > _SHOWN else "")
