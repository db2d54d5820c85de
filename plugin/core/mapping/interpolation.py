"""Readings of stations spread over a map by inverse distance weighting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ..errors import InputError
from ..progress import Progress
from ..rasters.cache import bounded_cache
from ..rasters.grids import Grid, Window, place
from ..rasters.styles import MOISTURE_STYLE
from ..rasters.workers import compute_in_order
from ..rasters.writing import RasterWriter
from .blocks import inside_mask
from .interpolation_distance import Metric
from .interpolation_stations import FEWEST, MOISTURE, StationValues

_PAIRS = 1_000_000  # of a cell and a station that are held at a time, in each thread


@dataclass(frozen=True)
class Weighting:
    """How stations count.

    Parameters
    ----------
    power : float
        Weight = distance^−power, above 0.
    neighbours : int
        Nearest stations that count; 0 = all.
    radius : float, optional
        Stations further away, in metres, do not count.

    References
    ----------
    Shepard (1968), doi:10.1145/800186.810616.
    """

    power: float = 2.0
    neighbours: int = 12
    radius: float | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.power) and self.power > 0):
            raise InputError(f"POWER is {self.power:g}.", "Give a number above 0; 2 is usual.")
        if self.neighbours < 0:
            raise InputError(f"NEIGHBOURS is {self.neighbours}.", "Give 0 for all, or 1 and more.")
        if self.radius is not None and not self.radius > 0:
            raise InputError(f"RADIUS is {self.radius:g} m.", "Give metres above 0, or leave it.")


@dataclass(frozen=True)
class StationScores:
    """Leave-one-station-out: each station estimated from the others.

    `me` is the mean of estimated − measured; what cannot be computed is NaN. `alone` stations
    have no other within the radius.
    """

    n: int
    alone: int
    me: float
    rmse: float
    r: float


def interpolate(
    stations: StationValues,
    metric: Metric,
    x: np.ndarray,
    y: np.ndarray,
    weighting: Weighting | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate values at places.

    Parameters
    ----------
    stations : StationValues
    metric : Metric
        The one that the stations' positions are of.
    x, y : float arrays, one shape
        In the metric's reference system.
    weighting : Weighting, optional

    Returns
    -------
    value, distance : float64 arrays of that shape
        The value, exactly a station's at its place, NaN where no station lies within the radius;
        and metres to the nearest station. Both are NaN where a place has no coordinates.
    """
    return _Estimator(stations, metric, weighting or Weighting()).at(x, y)


def score_stations(
    stations: StationValues, metric: Metric, weighting: Weighting | None = None
) -> StationScores:
    """Estimate each station from the others, and compare."""
    weighting = weighting or Weighting()
    estimate = np.full(len(stations), np.nan)
    reach = metric.straight(weighting.radius) if weighting.radius is not None else np.inf
    count = min(weighting.neighbours or len(stations), len(stations) - 1)
    step = max(1, _PAIRS // len(stations))
    for start in range(0, len(stations), step):
        rows = np.arange(start, min(start + step, len(stations)))
        straight = _distances(stations.position[rows], stations.position)
        straight[np.arange(rows.size), rows] = np.inf
        nearest = np.argsort(straight, axis=1, kind="stable")[:, :count]
        some = np.take_along_axis(straight, nearest, axis=1)
        some[some > reach] = np.inf
        weights = _weights(metric.metres(some), weighting.power)
        estimate[rows] = _mean(weights, stations.value[nearest])
    known = np.isfinite(estimate)
    error = estimate[known] - stations.value[known]
    if not known.any():
        return StationScores(0, len(stations), np.nan, np.nan, np.nan)
    return StationScores(
        int(known.sum()),
        int((~known).sum()),
        float(error.mean()),
        float(np.sqrt(np.mean(error**2))),
        _correlation(estimate[known], stations.value[known]),
    )


def interpolate_map(
    stations: StationValues,
    metric: Metric,
    grid: Grid,
    output: str | Path,
    *,
    weighting: Weighting | None = None,
    field: str = MOISTURE,
    mask: Sequence[dict[str, Any]] | None = None,
    day: date | None = None,
    block: int = 256,
    threads: int = 2,
    progress: Progress | None = None,
) -> float:
    """Write the bands ``moisture_idw`` and ``distance`` (m to the nearest station).

    Memory does not grow with the map, and neither `block` nor `threads` changes a value.

    Parameters
    ----------
    stations : StationValues
    metric : Metric
        The grid's.
    grid : Grid
    output : path
        The ``.tif``.
    weighting : Weighting, optional
    field : str
        Names the first band.
    mask : sequence of dict, optional
        GeoJSON polygons in the grid's reference system; cells with their centre outside stay
        empty.
    day : date, optional
        Written as date of the raster.

    Returns
    -------
    float
        Share of the cells inside the mask that have a value, 0–1.
    """
    progress = progress or Progress()
    estimator = _Estimator(stations, metric, weighting or Weighting())
    windows = grid.windows(block)
    counts = np.zeros(2, dtype=np.int64)
    nearest = np.inf
    moisture = field == MOISTURE
    writer = RasterWriter(
        output,
        grid,
        [f"{field}_idw", "distance"],
        day=day,
        style=MOISTURE_STYLE if moisture else None,
        units=["m3 m-3" if moisture else "", "m"],
        threads=threads,
    )
    done = 0

    def work(window: Window) -> np.ndarray:
        inside = inside_mask(mask, grid, window)
        bands = np.full((2, *inside.shape), np.nan)
        if inside.any():
            x, y = grid.centres(window)
            bands[:, inside] = estimator.at(x[inside], y[inside], progress)
        return bands

    def take(window: Window, bands: np.ndarray) -> None:
        nonlocal done, nearest
        writer.write(window, bands)
        counts[:] += np.isfinite(bands).sum(axis=(1, 2))
        nearest = min(nearest, float(np.nan_to_num(bands[1], nan=np.inf).min()))
        done += 1
        progress.step(done / len(windows))

    with bounded_cache(), writer:
        compute_in_order(work, windows, take, threads, progress)
        if not counts[1]:
            raise InputError(
                "No cell's centre lies inside the mask.",
                "Check that the mask overlaps the grid, or choose a finer grid.",
            )
        if not counts[0]:
            raise InputError(
                "No station lies within the radius of any cell.",
                "Raise RADIUS, or check where grid and stations lie.",
            )
    if nearest > _diagonal(grid, metric):
        progress.warn(
            f"The nearest station is {nearest / 1000:.4g} km from the map, more than the map is "
            "wide: check where both lie, and their coordinate reference systems."
        )
    return float(counts[0] / counts[1])


class _Estimator:
    """Weighs stations at places; safe to use from several threads."""

    def __init__(self, stations: StationValues, metric: Metric, weighting: Weighting) -> None:
        if len(stations) < FEWEST:
            raise InputError(
                f"There are {len(stations)} stations; at least {FEWEST} are needed.",
                "Add stations.",
            )
        self._stations, self._metric, self._weighting = stations, metric, weighting
        self._tree = cKDTree(stations.position)
        radius = weighting.radius
        self._reach = np.inf if radius is None else metric.straight(radius)
        self._count = min(weighting.neighbours or len(stations), len(stations))

    def at(
        self, x: np.ndarray, y: np.ndarray, progress: Progress | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        places = self._metric.coordinates(x, y)
        value, distance = np.full(len(places), np.nan), np.full(len(places), np.nan)
        known = np.flatnonzero(np.isfinite(places).all(axis=1))
        step = max(1, _PAIRS // self._count)
        for start in range(0, known.size, step):
            if progress is not None:
                progress.check()
            some = known[start : start + step]
            value[some], distance[some] = self._estimate(places[some])
        return value.reshape(np.shape(x)), distance.reshape(np.shape(x))

    def _estimate(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._count == len(self._stations):
            straight = _distances(places, self._stations.position)
            values = np.broadcast_to(self._stations.value, straight.shape)
        else:
            straight, near = self._tree.query(places, k=self._count)
            straight = straight.reshape(len(places), -1)
            values = self._stations.value[near.reshape(len(places), -1)]
        nearest = self._metric.metres(straight.min(axis=1))
        straight = np.where(straight > self._reach, np.inf, straight)
        weights = _weights(self._metric.metres(straight), self._weighting.power)
        return _mean(weights, values), nearest


def _diagonal(grid: Grid, metric: Metric) -> float:
    """Return the metres from corner to corner of a grid; infinite where they have no place."""
    corners = [place(grid.transform, *at) for at in ((0, 0), (grid.width, grid.height))]
    first, second = metric.coordinates(*np.array(corners).T)
    length = float(metric.metres(np.array([np.linalg.norm(second - first)]))[0])
    return length if np.isfinite(length) else np.inf


def _distances(places: np.ndarray, stations: np.ndarray) -> np.ndarray:
    """Return straight distances, shape (places, stations)."""
    squares = np.zeros((len(places), len(stations)))
    for axis in range(places.shape[1]):
        squares += (places[:, axis, None] - stations[None, :, axis]) ** 2
    return np.sqrt(squares)


def _weights(distance: np.ndarray, power: float) -> np.ndarray:
    """Return weights relative to the nearest station's; infinite distances weigh nothing.

    A station at the place itself takes all the weight, and no power over- or underflows.
    """
    nearest = distance.min(axis=1)
    alone = ~np.isfinite(nearest)
    with np.errstate(invalid="ignore", divide="ignore"):
        weights = nearest[:, None] / distance
        weights = weights * weights if power == 2 else weights**power
    weights[alone] = 0.0
    there = nearest == 0
    weights[there] = distance[there] == 0
    return np.asarray(weights)


def _mean(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return weighted means within the range of the values; NaN where nothing weighs."""
    total = weights.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.einsum("ij,ij->i", weights, values) / total
    np.clip(mean, values.min(axis=1), values.max(axis=1), out=mean)
    return np.asarray(np.where(total > 0, mean, np.nan))


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    if first.size < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
