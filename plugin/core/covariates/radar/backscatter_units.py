"""What the numbers of a radar image are: dB or linear power, degrees or radians."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ...rasters.grids import Grid, Window
from ...rasters.reading import RasterReader
from .backscatter_images import ImageBand

_PATCH = 64
_ENOUGH = 200  # values that a judgement rests on
_SCAN = 512
_FEW = 0.05  # of the values: strong scatterers reach 0 dB, noise removal leaves power below 0
_DIGITAL = 10.0  # median above: no backscatter, neither in dB nor linear
_PACKED = -60.0  # dB; below the noise of every sensor
_LARGEST_RADIANS = 1.6


def check_units(band: ImageBand, *, decibels: bool, progress: Progress) -> float:
    """Judge from samples of a band whether its numbers are what they are said to be.

    Returns
    -------
    float
        Factor that takes the values to dB, linear power or degrees: 1, but for an incidence
        angle in radians.

    Raises
    ------
    InputError
        Where dB are said to be linear, or the reverse, or the numbers are neither.
    """
    values = _sample(band)
    progress.check()
    if values.size == 0:
        return 1.0
    if band.role == "angle":
        if values.max() <= _LARGEST_RADIANS and values.min() >= 0:
            progress.info(f"The angle in '{band.file}' is in radians; it is taken to degrees.")
            return 180.0 / math.pi
        return 1.0
    middle = float(np.median(values))
    seen = (
        f"{band.role} in '{band.file}' holds values from {values.min():.4g} to "
        f"{values.max():.4g} (median {middle:.4g})"
    )
    negative = float((values < 0).mean())
    if middle > _DIGITAL:
        raise InputError(
            f"{seen}: that is no backscatter, neither in dB nor linear.",
            "Calibrate the image to sigma0 or gamma0 first, or declare its scale "
            "(gdal_edit.py -scale … -offset …).",
        )
    if decibels and negative <= _FEW:
        raise InputError(f"{seen}: that is linear power, not dB.", "Set UNITS to linear.")
    if not decibels and negative > 0.5:
        raise InputError(f"{seen}: that is dB, not linear power.", "Set UNITS to db.")
    if decibels and middle < _PACKED:
        raise InputError(
            f"{seen}: no backscatter in dB is so low.",
            "Declare the scale of the image (gdal_edit.py -scale 0.01 for hundredths of dB).",
        )
    return 1.0


def _sample(band: ImageBand) -> np.ndarray:
    """Return values from all over a band, missing cells and filling zeros left out.

    From nine patches; where they hold too few, from a scan that stops when it has enough.
    """
    found: list[np.ndarray] = []
    size = 0
    with RasterReader(band.path, count_all=False) as reader:
        for number, window in enumerate(_windows(band.grid)):
            if number >= 9 and size >= _ENOUGH:
                break
            values = reader.read([band.band], window)[0]
            values = values[np.isfinite(values) & (values != 0)]
            found.append(values)
            size += values.size
    return np.concatenate(found)


def _windows(grid: Grid) -> Iterator[Window]:
    for down in (1, 3, 5):
        for across in (1, 3, 5):
            col = max(0, min(grid.width * across // 6, grid.width - _PATCH))
            row = max(0, min(grid.height * down // 6, grid.height - _PATCH))
            patch = Window(col, row, _PATCH, _PATCH).overlap(grid.whole)
            if patch is not None:
                yield patch
    yield from grid.windows(_SCAN)
