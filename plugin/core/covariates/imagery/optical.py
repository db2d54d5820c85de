"""Rasters of spectral indices from scenes of surface reflectance."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ...rasters.cache import bounded_cache
from ...rasters.grids import Grid, Window
from ...rasters.styles import continuous_style
from ...rasters.workers import results_in_order
from ...rasters.writing import RasterWriter
from ..rows import listed
from ..table import RasterInput
from .cloud import DROPPED, MaskRule, check_classes, parse_clear_values
from .optical_cells import Tally, clean_reflectance, report_tallies
from .optical_formulas import INDICES, Index, compute_indices, index_of
from .reflectance import Scene, SceneRequest, check_grids, choose_sensor, find_scenes
from .reflectance_scaling import GivenFactors, scene_scaling
from .sensors import ROLES, Sensor, parse_bands, shown
from .sensors_bands import ProductBand, Scaling, describe_bands, describe_days
from .sensors_grids import BandReader

CELLS = ("finest", "coarsest")
_BLOCK = 1024
_GREENS = ("#8c510a", "#d8b365", "#f6e8c3", "#7fbf7b", "#1b7837")
_BLUES = ("#8c510a", "#d8b365", "#f5f5f5", "#67a9cf", "#2166ac")
_GREYS = ("#000000", "#404040", "#808080", "#bfbfbf", "#ffffff")


@dataclass(frozen=True)
class _Job:
    """Bands of one scene and what is made of them."""

    scene: Scene
    indices: tuple[Index, ...]
    bands: Mapping[str, ProductBand]
    scalings: Mapping[str, Scaling]
    grid: Grid


class _NothingLeft(Exception):
    """No cell of a scene has a value: its raster is not kept."""


def optical_indices(
    inputs: Sequence[RasterInput],
    folder: str | Path,
    *,
    sensor: str = "auto",
    indices: Sequence[str] = INDICES,
    bands: str = "",
    scale: float | None = None,
    offset: float | None = None,
    cloud_band: str = "",
    clear_values: str = "",
    dropped: Sequence[str] = DROPPED,
    cells: str = "finest",
    progress: Progress | None = None,
) -> list[Path]:
    """Write the indices of every day as ``optical_YYYYMMDD.tif``.

    Reflectance below −0.02 or above 1.6 is missing, between −0.02 and 0 it counts as 0; cells that
    are 0 in every band, masked cells and quotients by 0 are missing. All are counted. Memory does
    not grow with the rasters.

    Parameters
    ----------
    inputs : sequence of RasterInput
        Reflectance of a sensor: files of several bands, or a file a band.
    folder : path
        Gets the rasters.
    sensor : {"auto", "sentinel-2", "landsat-8-9", "modis"}
    indices : sequence of str
        Among `INDICES`. All of them stands for those that the bands permit; of a choice, each
        must be possible on every day.
    bands : str
        ``red=B4;nir=B8`` for bands with other names.
    scale, offset : float, optional
        Reflectance = stored number × scale + offset, in place of what the files declare or the
        product says.
    cloud_band : str
        Name of the mask band; empty for the sensor's own where it is given; ``none``.
    clear_values : str
        Values of the mask band that are kept, ``4;5;6`` or ``0-40``, in place of `dropped`.
    dropped : sequence of {"cloud", "shadow", "cirrus", "snow", "water"}
        What the sensor's own mask takes out.
    cells : {"finest", "coarsest"}
        Which of the bands gives the grid. Coarser bands are interpolated bilinearly, finer ones
        averaged by area, the mask band is read at the nearest cell.
    progress : Progress, optional

    Returns
    -------
    list of Path
        The rasters in the order of their days.

    Raises
    ------
    InputError, RasterError
        For bands, dates, factors or grids that do not fit; see `find_scenes`, `check_grids` and
        `scene_scaling`.
    """
    progress = progress or Progress()
    keys = _check_choice(inputs, indices, cells)
    rule = MaskRule(None, check_classes(dropped), parse_clear_values(clear_values))
    request = SceneRequest(sensor, parse_bands(bands), cloud_band.strip(), rule)
    found = describe_bands(inputs, progress.part(0.0, 0.05))
    chosen = choose_sensor(found, request)
    scenes = find_scenes(found, chosen, request, progress)
    plans = _plan(scenes, keys, chosen, progress)
    given = GivenFactors(scale or None, offset)
    jobs = []
    for done, (scene, possible) in enumerate(plans):
        progress.step(0.05 + 0.05 * done / len(plans))
        jobs.append(_prepare(scene, possible, chosen, given, cells, progress))
    _tell_factors(jobs, progress)
    _tell_grids(jobs, progress)
    return _write_all(jobs, Path(folder).absolute(), progress.part(0.1, 1.0))


def _check_choice(
    inputs: Sequence[RasterInput], indices: Sequence[str], cells: str
) -> tuple[str, ...]:
    if not inputs:
        raise InputError("No raster is given.", "Add the rasters with the bands.")
    unknown = [name for name in indices if name not in INDICES]
    if unknown or not indices:
        raise InputError(
            f"The indices '{';'.join(indices)}' cannot be computed.",
            f"Choose from {', '.join(INDICES)}.",
        )
    if cells not in CELLS:
        raise InputError(f"The cells '{cells}' are unknown.", f"Use {' or '.join(CELLS)}.")
    return tuple(key for key in INDICES if key in indices)


def _plan(
    scenes: Sequence[Scene], keys: Sequence[str], sensor: Sensor, progress: Progress
) -> list[tuple[Scene, tuple[Index, ...]]]:
    """Choose the indices of each scene: all that its bands permit, or exactly those asked for."""
    everything = set(keys) == set(INDICES)
    indices = [index_of(key, sensor.name) for key in keys]
    plans = []
    left_out: dict[str, set[str]] = {}
    bare: list[str] = []
    for scene in scenes:
        possible = []
        for index in indices:
            lacking = [role for role in ROLES if role in index.roles and role not in scene.bands]
            if not lacking:
                possible.append(index)
            elif everything:
                left_out.setdefault(index.name, set()).update(lacking)
            else:
                _refuse_index(index, lacking, scene, sensor)
        if possible:
            plans.append((scene, tuple(possible)))
        else:
            bare.append(str(scene.day))
    if not plans:
        names = [band.names[-1] for scene in scenes for band in scene.bands.values()]
        raise InputError(
            f"The bands {shown(names)} permit none of the indices.",
            "Add the bands for red and near infrared, or map them by BANDS (red=B4;nir=B8).",
        )
    for name, roles in left_out.items():
        wanted = ", ".join(role for role in ROLES if role in roles)
        progress.info(f"{name} is left out where there is no band for {wanted}.")
    if bare:
        progress.warn(f"The bands of {listed(bare)} permit no index: these dates are left out.")
    return plans


def _refuse_index(index: Index, lacking: Sequence[str], scene: Scene, sensor: Sensor) -> None:
    roles = ", ".join(lacking)
    if any(role not in sensor.roles for role in lacking):
        raise InputError(
            f"{index.name} needs {roles}, which {sensor.title} does not have "
            f"({', '.join(sensor.roles)}).",
            f"Leave {index.name} out of INDICES.",
        )
    names = [band.names[-1] for band in scene.bands.values()]
    raise InputError(
        f"{index.name} needs {roles}, which the rasters of {scene.day} do not have: "
        f"{shown(names)}.",
        "Add the band, map it by BANDS (red=B4;nir=B8), or leave the index out.",
    )


def _prepare(
    scene: Scene,
    possible: tuple[Index, ...],
    sensor: Sensor,
    given: GivenFactors,
    cells: str,
    progress: Progress,
) -> _Job:
    roles = {role for index in possible for role in index.roles}
    bands = {role: scene.bands[role] for role in ROLES if role in roles}
    ordered = sorted(bands.values(), key=lambda band: band.grid.resolution)
    base = ordered[0 if cells == "finest" else -1]
    check_grids(scene, [base, *ordered, *([scene.mask] if scene.mask else [])])
    scalings = scene_scaling(scene, bands, sensor, given, progress)
    return _Job(scene, possible, bands, scalings, base.grid)


def _tell_factors(jobs: Sequence[_Job], progress: Progress) -> None:
    dates: dict[str, set[date]] = {}
    for job in jobs:
        for scaling in job.scalings.values():
            dates.setdefault(scaling.describe(), set()).add(job.scene.day)
    for text, days in dates.items():
        progress.info(f"Reflectance = {text}: {describe_days(days)}.")


def _tell_grids(jobs: Sequence[_Job], progress: Progress) -> None:
    sizes: set[str] = set()
    shifted: list[str] = []
    grids: list[Grid] = []
    for job in jobs:
        own = sorted({band.grid.resolution[0] for band in job.bands.values()})
        if len(own) > 1:
            cells = ", ".join(f"{size:g}" for size in own)
            sizes.add(f"{cells} are brought to {job.grid.resolution[0]:g}")
        for band in job.bands.values():
            same_size = np.allclose(band.grid.resolution, job.grid.resolution)
            if same_size and job.grid.offset_in(band.grid) is None:
                shifted.append(band.label)
        if not any(job.grid.matches(grid) for grid in grids):
            grids.append(job.grid)
    for text in sorted(sizes):
        progress.info(f"Cells of {text}: coarser ones interpolated, finer ones averaged.")
    if shifted:
        progress.warn(
            f"The cells of {listed(shifted)} are shifted against the other bands by a part of a "
            "cell: interpolated."
        )
    if len(grids) > 1:
        progress.info(
            f"The days have {len(grids)} grids, and so have their rasters: bring these to one "
            "grid for statistics over time."
        )


def _write_all(jobs: Sequence[_Job], folder: Path, progress: Progress) -> list[Path]:
    paths: list[Path] = []
    empty: list[str] = []
    tallies: list[Tally] = []
    for done, job in enumerate(jobs):
        target = folder / f"optical_{job.scene.day:%Y%m%d}.tif"
        tally = Tally()
        tallies.append(tally)
        try:
            _write(job, target, tally, progress.part(done / len(jobs), (done + 1) / len(jobs)))
        except _NothingLeft:
            empty.append(str(job.scene.day))
        else:
            paths.append(target)
            progress.info(tally.line(job.scene.day, len(job.indices)))
    report_tallies(tallies, empty, progress)
    if not paths:
        raise InputError(
            f"No cell has a value on {listed(empty)}.",
            "Check the cloud mask (CLOUD_BAND, CLEAR_VALUES) and the nodata of the rasters.",
        )
    return paths


def _write(job: _Job, target: Path, tally: Tally, progress: Progress) -> None:
    windows = job.grid.windows(_BLOCK)
    names = [index.name for index in job.indices]
    with contextlib.ExitStack() as stack:
        stack.enter_context(bounded_cache())
        writer = stack.enter_context(
            RasterWriter(target, job.grid, names, day=job.scene.day, style=_style(job.indices[0]))
        )
        readers = {
            role: stack.enter_context(
                BandReader(band, job.scalings[role], job.grid, progress=progress)
            )
            for role, band in job.bands.items()
        }
        mask = None
        if job.scene.mask is not None:
            mask = stack.enter_context(
                BandReader(job.scene.mask, Scaling(), job.grid, method="nearest", progress=progress)
            )

        def compute(window: Window, _: threading.Event) -> np.ndarray:
            return _block(job, readers, mask, window, tally, progress)

        blocks = results_in_order(compute, windows, 1, progress)
        stack.enter_context(contextlib.closing(blocks))
        for done, (window, block) in enumerate(zip(windows, blocks), start=1):
            writer.write(window, block)
            progress.step(done / len(windows))
        if not tally.filled:
            raise _NothingLeft


def _block(
    job: _Job,
    readers: Mapping[str, BandReader],
    mask: BandReader | None,
    window: Window,
    tally: Tally,
    progress: Progress,
) -> np.ndarray:
    reflectance = {}
    for role, reader in readers.items():
        progress.check()
        reflectance[role] = reader.read(window)
    tally.cells += window.width * window.height
    if mask is not None and job.scene.rule is not None:
        dropped = job.scene.rule.marks(mask.read(window), mask.band.label)
        tally.masked += int(dropped.sum())
        for values in reflectance.values():
            values[dropped] = np.nan
    progress.check()
    clean_reflectance(reflectance, tally)
    block = compute_indices(reflectance, job.indices)
    tally.filled += int(np.isfinite(block).any(axis=0).sum())
    return block


def _style(index: Index) -> str:
    """Return fixed colours, so that days can be compared."""
    if index.name in ("NDVI", "EVI", "SAVI", "VARI"):
        return continuous_style(-0.2, 1.0, colours=_GREENS)
    if index.name == "albedo":
        return continuous_style(0.0, 0.5, colours=_GREYS)
    return continuous_style(-0.8, 0.8, colours=_BLUES)
