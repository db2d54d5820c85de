"""Rasters that covariates are made from: terrain, radar images, a series of dates."""

from __future__ import annotations

import os
import shutil
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

_CRS = "EPSG:32632"
_PATCH = 2500  # cells of the terrain that is mirrored over a larger DEM
_LOOKS = 4.4  # of a Sentinel-1 GRD image in high resolution
_DISTINCT = 8  # files of a series; the other dates are links to them


def write_dem(path: Path, size: int) -> Path:
    """Write a DEM of size × size cells of 10 m: spectral noise (f^-1.8), mirrored patch by patch.

    Heights are float32, deflated in tiles, so that no two cells are alike and none is missing.
    """
    rng = np.random.default_rng(1)
    n = min(_PATCH, size)
    frequency = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)[None])
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal((n, n))) * frequency**-1.8
    spectrum[0, 0] = 0.0
    relief = np.fft.irfft2(spectrum, (n, n))
    patch = (600.0 + 250.0 * relief / relief.std()).astype(np.float32)
    with rasterio.open(path, "w", width=size, height=size, count=1, **_profile(10)) as out:
        for row in range(0, size, n):
            for col in range(0, size, n):
                part = patch[:: (-1) ** (row // n), :: (-1) ** (col // n)]
                height, width = min(n, size - row), min(n, size - col)
                out.write(part[:height, :width], 1, window=Window(col, row, width, height))
    return path


def write_scenes(folder: Path, size: int, count: int) -> list[Path]:
    """Write dated Sentinel-1 images of size × size cells of 10 m: VV, VH (dB, speckle), angle."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(2)
    speckle = [
        (mean + 10.0 * np.log10(rng.gamma(_LOOKS, 1.0 / _LOOKS, (size, size)))).astype(np.float32)
        for mean in (-11.0, -18.0)
    ]
    angle = np.broadcast_to(np.linspace(31.0, 45.0, size, dtype=np.float32), (size, size))
    paths = []
    for number in range(count):
        path = folder / f"s1_{date(2021, 1, 1) + timedelta(days=6 * number):%Y%m%d}.tif"
        with rasterio.open(path, "w", width=size, height=size, count=3, **_profile(10)) as out:
            for index, band in enumerate((*speckle, angle), start=1):
                out.write(np.roll(band, 37 * number, axis=0) if index < 3 else band, index)
            out.descriptions = ("VV", "VH", "angle")
        paths.append(path)
    return paths


def write_series(folder: Path, size: int, count: int) -> list[Path]:
    """Write `count` dated rasters of one band, a fifth of the cells missing."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    paths: list[Path] = []
    for number in range(count):
        path = folder / f"VV_{date(2018, 1, 1) + timedelta(days=6 * number):%Y%m%d}.tif"
        if number < _DISTINCT:
            values = rng.normal(-12.0, 2.0, (size, size)).astype(np.float32)
            values[rng.random((size, size)) < 0.2] = -9999.0
            with rasterio.open(path, "w", width=size, height=size, count=1, **_profile(100)) as out:
                out.write(values, 1)
                out.descriptions = ("VV",)
        else:
            _link(paths[number % _DISTINCT], path)
        paths.append(path)
    return paths


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _profile(cell: int) -> dict:
    return {
        "driver": "GTiff",
        "dtype": "float32",
        "crs": _CRS,
        "transform": Affine(cell, 0, 5e5, 0, -cell, 55e5),
        "nodata": -9999.0,
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
        "predictor": 3,
        "interleave": "band",
    }
