"""What shape is a surface: slope, aspect, curvatures and roughness from elevations.

A quadratic surface is laid over each 3×3 window (p = z_x, q = z_y with north positive, r = z_xx,
s = z_xy, t = z_yy). Curvatures are in 1/m, positive on domes. A cell whose window is not complete,
at the raster's edge or beside a missing cell, is missing.

References
----------
Zevenbergen, L.W., Thorne, C.R. (1987). Quantitative analysis of land surface topography.
Earth Surface Processes and Landforms 12, 47–56. https://doi.org/10.1002/esp.3290120107
Evans, I.S. (1980). An integrated system of terrain analysis and slope mapping.
Zeitschrift für Geomorphologie, Supplement 36, 274–295.
Horn, B.K.P. (1981). Hill shading and the reflectance map.
Proceedings of the IEEE 69, 14–47. https://doi.org/10.1109/PROC.1981.11918
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import correlate1d

from ...errors import InputError

METHODS = ("zevenbergen-thorne", "evans", "horn")
WINDOWED = (
    "slope",
    "aspect",
    "aspect_sin",
    "aspect_cos",
    "profile_curvature",
    "plan_curvature",
    "tangential_curvature",
    "mean_curvature",
    "roughness",
    "elevation_range",
)
WINDOW_REACH = 2
_REACH = 3.0


class Derivatives(NamedTuple):
    """Partial derivatives of elevation: p = z_x, q = z_y, r = z_xx, s = z_xy, t = z_yy."""

    p: np.ndarray
    q: np.ndarray
    r: np.ndarray
    s: np.ndarray
    t: np.ndarray


def derivatives(
    z: np.ndarray, cell_x: float, cell_y: float, method: str = "zevenbergen-thorne"
) -> Derivatives:
    """Partial derivatives of the surface that `method` lays over each 3×3 window.

    Horn (1981) gives first derivatives only: the second ones take his 1-2-1 weights here.

    Parameters
    ----------
    z : ndarray, shape (h, w)
        Elevation, rows from north to south; NaN where missing.
    cell_x, cell_y : float
        Cell size in the unit of `z`; `cell_y` is negative where rows run from south to north.
    method : {"zevenbergen-thorne", "evans", "horn"}

    Returns
    -------
    Derivatives
        Five arrays of shape (h, w); NaN where the 3×3 window is not complete.
    """
    if method not in METHODS:
        raise InputError(f'There is no terrain method "{method}".', f"Use {', '.join(METHODS)}.")
    z = np.asarray(z, dtype=np.float64)
    (a, b, c), (d, e, f), (g, h, i) = _windows(z)
    s = (c + g - a - i) / (4.0 * cell_x * cell_y)
    if method == "zevenbergen-thorne":
        p = (f - d) / (2.0 * cell_x)
        q = (b - h) / (2.0 * cell_y)
        r = (d + f - 2.0 * e) / cell_x**2
        t = (b + h - 2.0 * e) / cell_y**2
    else:
        k = 1.0 if method == "evans" else 2.0
        west, middle, east = a + k * d + g, b + k * e + h, c + k * f + i
        north, centre, south = a + k * b + c, d + k * e + f, g + k * h + i
        n = 2.0 + k
        p = (east - west) / (2.0 * n * cell_x)
        q = (north - south) / (2.0 * n * cell_y)
        r = (west + east - 2.0 * middle) / (n * cell_x**2)
        t = (north + south - 2.0 * centre) / (n * cell_y**2)
    parts = (p, q, r, s, t)
    hole = ~np.isfinite(a + b + c + d + e + f + g + h + i)
    return Derivatives(*(_framed(np.where(hole, np.nan, part), z.shape) for part in parts))


def _windows(z: np.ndarray) -> list[list[np.ndarray]]:
    """Return the nine neighbours of each inner cell, by row and column of the window."""
    height, width = (max(size - 2, 0) for size in z.shape)
    return [
        [z[row : row + height, column : column + width] for column in range(3)] for row in range(3)
    ]


def _framed(inner: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    framed = np.full(shape, np.nan)
    framed[1:-1, 1:-1] = inner
    return framed


def slope_tangent(surface: Derivatives) -> np.ndarray:
    """Tangent of the slope angle, √(p² + q²)."""
    tangent: np.ndarray = np.hypot(surface.p, surface.q)
    return tangent


def slope(tangent: np.ndarray) -> np.ndarray:
    """Slope in degrees, from its tangent."""
    return np.degrees(np.arctan(tangent))


def aspect(surface: Derivatives, tangent: np.ndarray) -> np.ndarray:
    """Downhill direction in degrees clockwise from north, [0, 360); missing where flat."""
    angle = np.degrees(np.arctan2(-surface.p, -surface.q)) % 360.0
    angle = np.where(angle.astype(np.float32) >= 360.0, 0.0, angle)
    return np.where(tangent > 0.0, angle, np.nan)


def profile_curvature(surface: Derivatives) -> np.ndarray:
    """Curvature of the slope line in 1/m; 0 where flat."""
    p, q, r, s, t = surface
    g = p * p + q * q
    return _over(-(p * p * r + 2.0 * p * q * s + q * q * t), g * (1.0 + g) ** 1.5)


def plan_curvature(surface: Derivatives) -> np.ndarray:
    """Curvature of the contour line in 1/m; 0 where flat."""
    g = surface.p**2 + surface.q**2
    return _over(-_across(surface), g**1.5)


def tangential_curvature(surface: Derivatives) -> np.ndarray:
    """Curvature across the slope line, in the normal plane, in 1/m; 0 where flat."""
    g = surface.p**2 + surface.q**2
    return _over(-_across(surface), g * np.sqrt(1.0 + g))


def mean_curvature(surface: Derivatives) -> np.ndarray:
    """Mean of the two principal curvatures in 1/m."""
    p, q, r, s, t = surface
    bent = (1.0 + q * q) * r - 2.0 * p * q * s + (1.0 + p * p) * t
    curvature: np.ndarray = -bent / (2.0 * (1.0 + p * p + q * q) ** 1.5)
    return curvature


def roughness(surface: Derivatives) -> np.ndarray:
    """Length of the mean of the 3×3 unit normals: 1 on a plane, less where rough (Hobson 1972)."""
    up = 1.0 / np.sqrt(1.0 + surface.p**2 + surface.q**2)
    total = np.zeros_like(up)
    for part in (-surface.p * up, -surface.q * up, up):
        cells = [cell for row in _windows(part) for cell in row]
        total = total + _framed(np.add.reduce(cells), up.shape) ** 2
    length: np.ndarray = np.sqrt(total) / 9.0
    return length


def elevation_range(z: np.ndarray) -> np.ndarray:
    """Largest less smallest elevation of the 3×3 window (what gdaldem calls roughness)."""
    cells = [cell for row in _windows(np.asarray(z, dtype=np.float64)) for cell in row]
    return _framed(np.maximum.reduce(cells) - np.minimum.reduce(cells), z.shape)


def _across(surface: Derivatives) -> np.ndarray:
    p, q, r, s, t = surface
    across: np.ndarray = q * q * r - 2.0 * p * q * s + p * p * t
    return across


def _over(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide; 0 where the denominator is 0, missing where it is missing."""
    return np.divide(
        numerator,
        denominator,
        out=np.where(np.isnan(denominator), np.nan, 0.0),
        where=denominator > 0.0,
    )


def terrain_parameters(
    z: np.ndarray,
    cell_x: float,
    cell_y: float,
    method: str = "zevenbergen-thorne",
    parameters: Sequence[str] = WINDOWED,
) -> dict[str, np.ndarray]:
    """Compute `parameters` that depend on a window only (all but elevation and twi).

    Parameters
    ----------
    z : ndarray, shape (h, w)
        Elevation in metres, rows from north to south; NaN where missing.
    cell_x, cell_y : float
        Cell size in metres; `cell_y` is negative where rows run from south to north.
    method : {"zevenbergen-thorne", "evans", "horn"}
    parameters : sequence of str
        Names out of `WINDOWED`. Aspect is missing on flat ground, its sine and cosine are 0.

    Returns
    -------
    dict of str to ndarray of float64, shape (h, w)
        NaN where the window (3×3; 5×5 for roughness) is not complete.
    """
    surface = derivatives(z, cell_x, cell_y, method)
    tangent = slope_tangent(surface)
    compute = {
        "slope": lambda: slope(tangent),
        "aspect": lambda: aspect(surface, tangent),
        "aspect_sin": lambda: _over(-surface.p, tangent),
        "aspect_cos": lambda: _over(-surface.q, tangent),
        "profile_curvature": lambda: profile_curvature(surface),
        "plan_curvature": lambda: plan_curvature(surface),
        "tangential_curvature": lambda: tangential_curvature(surface),
        "mean_curvature": lambda: mean_curvature(surface),
        "roughness": lambda: roughness(surface),
        "elevation_range": lambda: elevation_range(z),
    }
    return {name: compute[name]() for name in parameters}


def smoothing_reach(sd: float) -> int:
    """Cells on either side that :func:`smooth` looks at."""
    return math.ceil(_REACH * sd)


def smooth(z: np.ndarray, sd: float) -> np.ndarray:
    """Smooth elevation by a Gaussian, cut at three standard deviations.

    Missing neighbours lose their weight; missing cells stay missing. The result is rounded to a
    nanometre, so that flats stay flat.

    Parameters
    ----------
    z : ndarray, shape (h, w)
        Elevation in metres; NaN where missing.
    sd : float
        Standard deviation in cells; 0 returns `z`.
    """
    if sd == 0:
        return z
    reach = smoothing_reach(sd)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sd) ** 2)
    valid = np.isfinite(z)
    total, weight = np.where(valid, z, 0.0), valid.astype(np.float64)
    for axis in (0, 1):
        total = correlate1d(total, kernel, axis=axis, mode="constant")
        weight = correlate1d(weight, kernel, axis=axis, mode="constant")
    return np.where(valid, np.round(total / np.where(valid, weight, 1.0), 9), np.nan)
