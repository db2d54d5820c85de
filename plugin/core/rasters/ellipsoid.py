"""Places on the WGS 84 ellipsoid, from the middle of the Earth."""

from __future__ import annotations

import numpy as np

_AXIS, _FLATTENING = 6_378_137.0, 1 / 298.257223563


def on_ellipsoid(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Return longitudes and latitudes in degrees as coordinates in metres, (n, 3).

    Examples
    --------
    >>> on_ellipsoid(np.array([0.0]), np.array([0.0])).tolist()
    [[6378137.0, 0.0, 0.0]]
    """
    lon, lat = np.radians(lon), np.radians(lat)
    squeezed = _FLATTENING * (2 - _FLATTENING)
    radius = _AXIS / np.sqrt(1 - squeezed * np.sin(lat) ** 2)
    return np.column_stack(
        [
            radius * np.cos(lat) * np.cos(lon),
            radius * np.cos(lat) * np.sin(lon),
            radius * (1 - squeezed) * np.sin(lat),
        ]
    )
