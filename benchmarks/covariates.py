"""Covariates made from files: terrain beside gdaldem, radar preparation, statistics of a series."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import rasterio

from ..plugin.core.covariates.radar.backscatter import prepare_backscatter
from ..plugin.core.covariates.radar.backscatter_blocks import Preparation
from ..plugin.core.covariates.relief.surface import WINDOWED, terrain_parameters
from ..plugin.core.covariates.relief.terrain import PARAMETERS, terrain_covariates
from ..plugin.core.covariates.table import RasterInput
from ..plugin.core.covariates.timeseries.statistics import STATISTICS, temporal_statistics
from . import exactness, memory, timing
from .covariates_data import write_dem, write_scenes, write_series
from .exactness import Check
from .found import Found
from .table import Target

THREADS = 2
GDALDEM = ("slope", "aspect", "roughness", "TPI")
WITHOUT_TWI = tuple(name for name in PARAMETERS if name != "twi")
_OPTIONS = ("TILED=YES", "COMPRESS=DEFLATE", "PREDICTOR=3", "BIGTIFF=IF_SAFER")
_FEW, _MANY = 50, 200  # dates
_FEWEST = 10  # dates that a cell needs

Say = Callable[[str], None]


@dataclass(frozen=True)
class Extents:
    """How large the rasters are: cells along a side; runs of the terrain; images of the radar."""

    dem: int
    runs: int
    scene: int
    scenes: int
    series: int
    wetness: int


FULL = Extents(dem=10_000, runs=1, scene=4096, scenes=4, series=1500, wetness=2500)
QUICK = Extents(dem=2500, runs=3, scene=4096, scenes=2, series=700, wetness=1000)


def measure(quick: bool, folder: Path, say: Say) -> Found:
    """Measure terrain, radar and statistics."""
    extents = QUICK if quick else FULL
    parts = [
        part(extents, folder / part.__name__, say)
        for part in (of_terrain, of_wetness, of_backscatter, of_statistics)
    ]
    return Found.of_all(parts)


def of_terrain(extents: Extents, folder: Path, say: Say) -> Found:
    """Run all bands but twi against gdaldem's, one after the other, with its compression."""
    folder.mkdir()
    million = extents.dem**2 / 1e6
    say(f"terrain, {million:.3g} Mpixel")
    dem, output = write_dem(folder / "dem.tif", extents.dem), folder / "terrain.tif"
    ours, theirs, peak = [], [], 0.0
    for _ in range(extents.runs):
        if shutil.which("gdaldem"):
            theirs.append(timing.seconds_of(lambda: _run_gdaldem(dem, folder)))
        else:
            say("gdaldem is not installed")
        found = memory.run_fresh("terrain", str(dem), str(output), ",".join(WITHOUT_TWI))
        ours.append(found["seconds"])
        peak = max(peak, found["peak"])
    own = median(ours) / len(WITHOUT_TWI)
    their = median(theirs) / len(GDALDEM) if theirs else None
    what = f"terrain, {len(WITHOUT_TWI)} bands, {million:.3g} Mpixel"
    targets = (
        Target(f"{what}: speed per band against gdaldem", 0.7, their and their / own),
        Target(f"{what}: peak memory", 1500, peak, most=True, unit="MB"),
    )
    figures = [(f"{what}: seconds per band", f"{own:.3g} s")]
    if their:
        figures.append((f"gdaldem {', '.join(GDALDEM)}: seconds per band", f"{their:.3g} s"))
    check = _check_terrain(dem, output)
    shutil.rmtree(folder)
    return Found(targets, tuple(figures), (check,))


def of_wetness(extents: Extents, folder: Path, say: Say) -> Found:
    """Run the wetness index alone, which needs the whole DEM."""
    folder.mkdir()
    million = extents.wetness**2 / 1e6
    say(f"wetness index, {million:.3g} Mpixel")
    dem = write_dem(folder / "dem.tif", extents.wetness)
    found = memory.run_fresh("terrain", str(dem), str(folder / "twi.tif"), "twi")
    shutil.rmtree(folder)
    text = f"{million / found['seconds']:.3g} Mpixel/s, {found['peak']:.0f} MB"
    return Found((), ((f"wetness index, {million:.3g} Mpixel", text),))


def of_backscatter(extents: Extents, folder: Path, say: Say) -> Found:
    """Prepare deflated images of VV, VH and angle; a pixel counts once for its three bands."""
    say(f"radar, {extents.scenes} images")
    scenes = write_scenes(folder, extents.scene, extents.scenes)
    pixels = extents.scene**2 * len(scenes)
    rates = {}
    for metres in (100, 10):
        output = folder / f"at_{metres}_m"
        found = memory.run_fresh("backscatter", str(folder), str(output), str(metres))
        rates[metres] = pixels / found["seconds"] / 1e6
    what = "Sentinel-1 images (VV, VH, angle; 10 m) to"
    check = _check_backscatter(scenes[0], folder / "at_100_m" / scenes[0].name)
    shutil.rmtree(folder)
    return Found(
        (Target(f"{what} 100 m", 20, rates[100], unit="Mpixel/s"),),
        ((f"{what} 10 m, written as large as read", f"{rates[10]:.3g} Mpixel/s"),),
        (check,),
    )


def of_statistics(extents: Extents, folder: Path, say: Say) -> Found:
    """Peak memory with 200 dates against 50, each in a fresh process."""
    say(f"statistics over {_MANY} dates")
    paths = write_series(folder, extents.series, _MANY)
    output = folder / "statistics" / "out.tif"
    few = memory.run_fresh("statistics", str(folder), str(_FEW), str(output))
    many = memory.run_fresh("statistics", str(folder), str(_MANY), str(output))
    check = _check_statistics(paths, output)
    shutil.rmtree(folder)
    what = f"statistics over {_MANY} dates"
    rate = extents.series**2 * _MANY / many["seconds"] / 1e6
    return Found(
        (
            Target(
                f"{what}: peak memory against {_FEW}", 1.1, many["peak"] / few["peak"], most=True
            ),
        ),
        ((what, f"{rate:.3g} Mvalue/s, {many['peak']:.0f} MB"),),
        (check,),
    )


def child_terrain(dem: str, output: str, parameters: str) -> dict:
    """Write terrain; runs in the fresh process."""
    seconds = timing.seconds_of(
        lambda: terrain_covariates(
            dem, 1, output, parameters=parameters.split(","), threads=THREADS
        )
    )
    return {"seconds": seconds, "peak": memory.peak_megabytes()}


def child_backscatter(folder: str, output: str, metres: str) -> dict:
    """Prepare the images of a folder; runs in the fresh process."""
    scenes = [RasterInput(str(path)) for path in sorted(Path(folder).glob("*.tif"))]
    preparation = Preparation(resolution=float(metres))
    seconds = timing.seconds_of(
        lambda: prepare_backscatter(scenes, output, preparation=preparation, threads=THREADS)
    )
    return {"seconds": seconds, "peak": memory.peak_megabytes()}


def child_statistics(folder: str, dates: str, output: str) -> dict:
    """Statistics of the first dates of a folder; runs in the fresh process."""
    series = [RasterInput(str(path)) for path in sorted(Path(folder).glob("*.tif"))]
    seconds = timing.seconds_of(
        lambda: temporal_statistics(series[: int(dates)], STATISTICS, output, threads=THREADS)
    )
    return {"seconds": seconds, "peak": memory.peak_megabytes()}


def _run_gdaldem(dem: Path, folder: Path) -> None:
    options = [word for option in _OPTIONS for word in ("-co", option)]
    for mode in GDALDEM:
        output = folder / f"{mode}.tif"
        subprocess.run(["gdaldem", mode, str(dem), str(output), "-q", *options], check=True)
        output.unlink()


def _check_terrain(dem: Path, output: Path) -> Check:
    """Compare cells across block edges with one computation in memory."""
    cells, halo = 600, 2
    with rasterio.open(dem) as source:
        start = (source.width - cells) // 2
        window = rasterio.windows.Window(start, start, cells, cells)
        z = source.read(1, window=window).astype(np.float64)
    found = terrain_parameters(z, 10.0, 10.0, parameters=WINDOWED)
    expected = np.stack([z if name == "elevation" else found[name] for name in WITHOUT_TWI])
    with rasterio.open(output) as source:
        written = source.read(window=window)
    inner = (slice(None), slice(halo, -halo), slice(halo, -halo))
    return exactness.compare(
        "terrain in blocks", *_beyond_rounding(written[inner], expected[inner])
    )


def _check_backscatter(scene: Path, output: Path) -> Check:
    """Compare VV and VH at 100 m with the definition in plain NumPy."""
    kernel = np.array([1.0, 2.0, 1.0])
    expected = []
    with rasterio.open(scene) as source:
        size = source.width // 10
        for band, low, high in ((1, -25.0, -5.0), (2, -30.0, -10.0)):
            decibels = source.read(band).astype(np.float64)[: size * 10, : size * 10]
            power = 10.0 ** (decibels / 10.0)
            power[(decibels < low) | (decibels > high)] = np.nan
            mean = np.nanmean(power.reshape(size, 10, size, 10), axis=(1, 3))
            rows = sum(w * mean[k : size - 2 + k] for k, w in enumerate(kernel))
            smooth = sum(w * rows[:, k : size - 2 + k] for k, w in enumerate(kernel)) / 16.0
            expected.append(10.0 * np.log10(smooth))
    with rasterio.open(output) as source:
        written = source.read((1, 2))[:, 1 : size - 1, 1 : size - 1]
    return exactness.compare("backscatter at 100 m", *_beyond_rounding(written, np.stack(expected)))


def _check_statistics(paths: Sequence[Path], output: Path) -> Check:
    """Compare a corner with the definition in plain NumPy."""
    window = rasterio.windows.Window(0, 0, 100, 100)
    stack = []
    for path in paths:
        with rasterio.open(path) as source:
            stack.append(source.read(1, window=window, masked=True).astype(np.float64))
    series = np.ma.stack(stack)
    statistics = (series.min(0), series.mean(0), series.max(0), series.std(0))
    expected = np.stack([np.ma.filled(values, np.nan) for values in statistics])
    expected[:, series.count(axis=0) < _FEWEST] = np.nan
    with rasterio.open(output) as source:
        written = source.read(window=window)
    return exactness.compare("statistics over 200 dates", *_beyond_rounding(written, expected))


def _beyond_rounding(written: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what float32 values differ by beyond their own rounding, and zeros.

    Missing cells (-9999) must be missing in both.
    """
    missing = written == -9999.0
    if (missing != ~np.isfinite(expected)).any():
        return np.full(1, np.inf), np.zeros(1)
    values, true = written[~missing], np.asarray(expected)[~missing]
    half = np.spacing(np.abs(true).astype(np.float32)).astype(np.float64) / 2
    beyond = np.maximum(np.abs(values - true) - half, 0.0)
    return beyond, np.zeros_like(beyond)
