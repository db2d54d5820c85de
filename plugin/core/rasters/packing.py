"""Small rasters as data providers ship them: packed to whole numbers, without a style."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from ..errors import RasterError
from .grids import GDAL_ERRORS, Grid, parse_crs
from .writing import FLOAT_NODATA, atomic_path

PACKED_NODATA = -32768


def write_packed(
    path: str | Path,
    grid: Grid,
    bands: Mapping[str, np.ndarray],
    *,
    scale: float | None = None,
    day: date | None = None,
) -> None:
    """Write bands as float32, or as int16 with a declared scale, under their names.

    Parameters
    ----------
    path : str or Path
        A GeoTIFF.
    grid : Grid
    bands : mapping of str to ndarray, shape (rows, columns)
        Band descriptions and values; NaN is missing. An empty description is left out.
    scale : float, optional
        Value of one unit of the stored int16 (nodata −32768); float32 (nodata −9999) without.
    day : date, optional
        Written as ``TIFFTAG_DATETIME``.
    """
    values = np.stack(list(bands.values()))
    missing = ~np.isfinite(values)
    if scale is None:
        stored = np.where(missing, FLOAT_NODATA, values).astype(np.float32)
        nodata: float = FLOAT_NODATA
    else:
        counts = np.round(np.where(missing, 0.0, values) / scale)
        stored = np.where(missing, PACKED_NODATA, counts).astype(np.int16)
        nodata = PACKED_NODATA
    options: dict[str, Any] = {
        "driver": "GTiff",
        "width": grid.width,
        "height": grid.height,
        "count": len(bands),
        "dtype": stored.dtype.name,
        "crs": parse_crs(grid.crs),
        "transform": grid.transform,
        "nodata": nodata,
        "compress": "deflate",
        "zlevel": 9,
        "predictor": 3 if scale is None else 2,
        "interleave": "band",
    }
    try:
        with atomic_path(path) as temporary, rasterio.open(temporary, "w", **options) as target:
            target.write(stored)
            for index, name in enumerate(bands, start=1):
                if name:
                    target.set_band_description(index, name)
            if scale is not None:
                target.scales = (scale,) * len(bands)
                target.offsets = (0.0,) * len(bands)
            if day is not None:
                target.update_tags(TIFFTAG_DATETIME=day.strftime("%Y:%m:%d 00:00:00"))
    except GDAL_ERRORS as error:
        raise RasterError(
            f"The raster '{path}' cannot be written ({error}).",
            "Check the free space and the rights of its folder.",
        ) from error
