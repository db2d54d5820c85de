"""Points that stand for the area of a map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ...rasters.grids import Grid, transform_points
from ...rasters.reading import geometry
from ...rasters.sampling import sample_points
from .distance_matching import metric_points

_ROUNDS = 20
_SILENT = Progress()


@dataclass(frozen=True)
class Domain:
    """Points spread over the area that is to be mapped.

    Parameters
    ----------
    x, y : float64 (m,)
    crs : str
    kind : str
        What they were drawn from: raster, polygons or points.
    """

    x: np.ndarray
    y: np.ndarray
    crs: str
    kind: str


def raster_domain(
    path: str | Path, count: int, rng: np.random.Generator, progress: Progress = _SILENT
) -> Domain:
    """Draw points at random from the area of the cells that hold a value in the first band.

    In a raster in degrees the chance of a row is that of its area on the ground.

    Raises
    ------
    InputError
        Where hardly any cell holds a value.
    """
    grid = geometry(path)
    xs: list[np.ndarray] = []
    ys: list[np.ndarray] = []
    found = 0
    for done in range(_ROUNDS):
        progress.step(done / _ROUNDS)
        x, y = _anywhere(grid, 2 * count, rng)
        held = np.isfinite(sample_points(path, 1, x.tolist(), y.tolist(), grid.crs))
        xs.append(x[held])
        ys.append(y[held])
        found += int(held.sum())
        if found >= count:
            break
    if not found:
        raise InputError(
            f"DOMAIN: of {_ROUNDS * 2 * count} points in the raster '{Path(path).name}' none has a "
            "value.",
            "Choose a raster with values where the map will have them.",
        )
    progress.step(1.0)
    return Domain(np.concatenate(xs)[:count], np.concatenate(ys)[:count], grid.crs, "raster")


def point_domain(
    x: np.ndarray, y: np.ndarray, crs: str, count: int, rng: np.random.Generator
) -> Domain:
    """Take each place once, whatever its dates; of more than `count` as many drawn at random."""
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        raise InputError("DOMAIN holds no point.", "Choose another layer.")
    places = np.unique(np.column_stack([x[known], y[known]]), axis=0)
    if len(places) > count:
        places = places[np.sort(rng.choice(len(places), count, replace=False))]
    return Domain(places[:, 0], places[:, 1], crs, "points")


def polygon_domain(
    areas: np.ndarray,
    draw: Callable[[int, int], tuple[np.ndarray, np.ndarray]],
    crs: str,
    count: int,
    rng: np.random.Generator,
) -> Domain:
    """Draw points in polygons, each by its share of the whole area.

    Parameters
    ----------
    areas : float64 (k,)
    draw : callable
        Given a polygon's place in `areas` and how many points, gives their x and y.
    """
    total = float(np.sum(areas))
    if not total > 0:
        raise InputError("DOMAIN holds no area.", "Choose a layer of polygons.")
    shares = rng.multinomial(count, np.asarray(areas, float) / total)
    drawn = [draw(place, int(share)) for place, share in enumerate(shares) if share]
    return Domain(
        np.concatenate([x for x, _ in drawn]),
        np.concatenate([y for _, y in drawn]),
        crs,
        "polygons",
    )


def domain_points(domain: Domain, crs: str, progress: Progress = _SILENT) -> np.ndarray:
    """Return a domain's points as :func:`metric_points` of a reference system.

    Raises
    ------
    InputError
        Where none has a place in that system.
    """
    x, y = transform_points(domain.crs, crs, domain.x.tolist(), domain.y.tolist())
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        raise InputError(
            "DOMAIN has no place in the coordinate reference system of the stations.",
            "Check the systems of both layers.",
        )
    if not known.all():
        progress.warn(f"{int((~known).sum())} points of DOMAIN have no place and are left out.")
    progress.info(f"The domain is represented by {int(known.sum())} points ({domain.kind}).")
    return metric_points(x[known], y[known], crs)


def _anywhere(grid: Grid, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw points in a grid, evenly by area on the ground."""
    col = rng.uniform(0, grid.width, count)
    row = rng.uniform(0, grid.height, count)
    t = grid.transform
    x, y = t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f
    if grid.is_geographic:
        kept = rng.uniform(0, 1, count) <= np.cos(np.radians(np.clip(y, -90, 90)))
        x, y = x[kept], y[kept]
    return x, y
