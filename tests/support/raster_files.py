"""Rasters that tests read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine


def write_raster(
    path: Path,
    values: Any,
    *,
    names: Sequence[str | None] = (),
    crs: str = "EPSG:32632",
    cell: float = 10.0,
    corner: tuple[float, float] = (500_000.0, 5_535_000.0),
    transform: Affine | None = None,
    dtype: str | None = None,
    nodata: float | None = None,
    tags: dict[str, str] | None = None,
    colormap: dict[int, tuple[int, ...]] | None = None,
    options: dict[str, Any] | None = None,
    **attributes: Any,
) -> Path:
    """Write a GeoTIFF and return its path.

    Parameters
    ----------
    values : array, shape (bands, rows, columns) or (rows, columns)
        NaN becomes `nodata` where there is one.
    names : sequence of str
        Descriptions of the bands; an empty one is left out.
    cell, corner : float, (x, y)
        Edge of the square cells, and the upper left corner; `transform` replaces both.
    dtype : str, optional
        That of `values` where left out.
    colormap : dict, optional
        Of the first band.
    options : dict, optional
        For creating the file.
    **attributes
        Set on the open dataset, such as `scales`, `offsets` and `units`.
    """
    bands = np.asarray(values)
    bands = bands if bands.ndim == 3 else np.atleast_2d(bands)[None]
    kind = dtype or bands.dtype.name
    if nodata is not None and bands.dtype.kind == "f":
        bands = np.where(np.isnan(bands), nodata, bands)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=bands.shape[2],
        height=bands.shape[1],
        count=len(bands),
        dtype=kind,
        crs=crs,
        transform=transform or Affine(cell, 0, corner[0], 0, -cell, corner[1]),
        nodata=nodata,
        **(options or {}),
    ) as dataset:
        dataset.write(bands.astype(kind))
        for index, name in enumerate(names, start=1):
            if name:
                dataset.set_band_description(index, name)
        if colormap:
            dataset.write_colormap(1, colormap)
        dataset.update_tags(**(tags or {}))
        for key, value in attributes.items():
            setattr(dataset, key, value)
    return path


def full_layers(bands: dict[str, Any]) -> np.ndarray:
    """Return bands as an array (bands, rows, columns); a number fills 3 × 4 cells."""
    return np.array(
        [np.full((3, 4), v) if np.isscalar(v) else np.asarray(v) for v in bands.values()]
    )


def scaled(count: int, scale: float | None, offset: float = 0.0) -> dict[str, tuple[float, ...]]:
    """Return the attributes of so many bands with a scale; none without."""
    return {} if scale is None else {"scales": (scale,) * count, "offsets": (offset,) * count}
