"""`predict` from files to a file: how much reading and writing cost, and how much memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

from ..plugin.core.covariates.rows import CovariateRow
from ..plugin.core.covariates.table import CovariateTable
from ..plugin.core.mapping.prediction import predict_map
from ..plugin.core.models.modelfile import load_model
from ..plugin.core.models.record import Model
from ..plugin.core.rasters.grids import Grid
from . import data, memory, peers, timing
from .forests import THREADS, Files

_CRS = "EPSG:32632"
_TILE = 512
_DAY = date(2021, 4, 1)


def write_covariates(folder: Path, width: int, height: int) -> CovariateTable:
    """Write 25 float32 bands, deflated, each in a file of its own; a smooth field repeated."""
    bands = data.field(_TILE, _TILE)
    rows = []
    for number, band in enumerate(bands):
        name = f"c{number:02d}"
        path = folder / f"{name}_{width}.tif"
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            dtype="float32",
            compress="deflate",
            predictor=3,
            tiled=True,
            width=width,
            height=height,
            count=1,
            crs=_CRS,
            transform=grid_of(width, height).transform,
            nodata=-9999.0,
        ) as out:
            for row in range(0, height, _TILE):
                for col in range(0, width, _TILE):
                    size = min(_TILE, width - col), min(_TILE, height - row)
                    out.write(band[: size[1], : size[0]], 1, window=Window(col, row, *size))
        rows.append(CovariateRow(name, "", str(path), 1, None, None, "bilinear", 0, ""))
    return CovariateTable(tuple(rows), folder)


def grid_of(width: int, height: int) -> Grid:
    """Return the grid of the covariates and of the map."""
    return Grid(_CRS, Affine(10, 0, 5e5, 0, -10, 55e5), width, height)


def share_of_engine(
    model: Model, folder: Path, edge: int, runs: int, say: Callable[[str], None]
) -> float:
    """Return the speed of `predict` as a share of the engine's alone on the same pixels."""
    say(f"predict end to end, {edge} × {edge} pixels")
    table = write_covariates(folder, edge, edge)
    pixels = np.concatenate(
        [data.as_pixels(data.field(_TILE, _TILE))] * max(1, edge * edge // _TILE**2)
    )
    alone = peers.ours(model.forest)
    alone(pixels[:4096])
    shares = []
    for _ in range(runs):
        engine = timing.seconds_of(lambda: alone(pixels))
        whole = timing.seconds_of(lambda: _predict(model, table, edge, edge, folder))
        shares.append(engine / whole * (edge * edge / len(pixels)))
    return float(np.median(shares))


def peak_of_map(files: Files, folder: Path, width: int, height: int) -> float:
    """Return the peak memory in MB of a fresh process that maps so many pixels."""
    write_covariates(folder, width, height)
    return memory.run_fresh("map", str(files.ours), str(folder), str(width), str(height))["peak"]


def child_map(model: str, folder: str, width: str, height: str) -> dict:
    """Map rasters that are there; runs in the fresh process."""
    place = Path(folder)
    paths = [place / f"c{number:02d}_{width}.tif" for number in range(data.COVARIATES)]
    rows = [
        CovariateRow(path.name[:3], "", str(path), 1, None, None, "bilinear", 0, "")
        for path in paths
    ]
    table = CovariateTable(tuple(rows), place)
    seconds = timing.seconds_of(
        lambda: _predict(load_model(Path(model)), table, int(width), int(height), place)
    )
    return {"peak": memory.peak_megabytes(), "seconds": seconds}


def _predict(model: Model, table: CovariateTable, width: int, height: int, folder: Path) -> None:
    predict_map(
        model,
        table,
        _DAY,
        grid_of(width, height),
        quantiles=data.QUANTILES,
        output=folder / "map.tif",
        threads=THREADS,
    )
