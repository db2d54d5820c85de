"""The radar images of a run: their files, bands, days and orbits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ...errors import InputError, RasterError
from ...progress import Progress
from ...rasters.grids import Grid, crs_name, same_crs
from ...rasters.names import date_in_name, date_in_tag, is_nameless
from ...rasters.paths import check_local_path
from ...rasters.reading import RasterReader, describe_raster, grid_of, open_raster
from ..rows import listed
from ..table import RasterInput
from .backscatter_bands import POLARISATIONS, Label, match_bands
from .backscatter_metadata import (
    UNKNOWN,
    is_amplitude,
    orbit_in_name,
    orbit_in_tags,
    read_snap_header,
    start_in_name,
)

_FOLDERS = 2  # levels of folders whose names may hold the date


@dataclass(frozen=True)
class ImageBand:
    """A band of an image that has a role; `start` is a second of the day, None if unknown."""

    role: str
    path: Path
    band: int
    rank: int
    day: date
    orbit: str
    start: int | None
    grid: Grid
    striped: bool

    @property
    def file(self) -> str:
        """The file's name."""
        return self.path.name


@dataclass(frozen=True)
class _File:
    """One file, read as far as its bands and dates."""

    path: Path
    grid: Grid
    striped: bool
    orbit: str
    start: int | None
    labels: tuple[tuple[Label, date | None], ...]


def find_images(
    inputs: Sequence[RasterInput],
    wanted: Mapping[str, str],
    *,
    decibels: bool,
    progress: Progress,
) -> list[ImageBand]:
    """Return the bands of all images that have a role, in the order of the paths.

    Parameters
    ----------
    inputs : sequence of RasterInput
    wanted : mapping
        Role → name; see `parse_bands`.
    decibels : bool
        Which of two bands is taken that differ in units.

    Raises
    ------
    InputError
        For no image, no band of the names wanted, amplitudes, and images without date.
    RasterError
        For images that cannot be read, are not geocoded, rotated or in several systems.
    """
    if not inputs:
        raise InputError("No image is given.", "Add the radar images of the series.")
    bands = _choose_bands(_describe_all(inputs, progress), wanted, decibels, progress)
    _check_grids(bands)
    return bands


def _describe_all(inputs: Sequence[RasterInput], progress: Progress) -> list[_File]:
    by_path = {check_local_path(item.path): item for item in inputs}
    if len(by_path) < len(inputs):
        progress.info(f"{len(inputs) - len(by_path)} images are given twice; each is used once.")
    files = []
    for path in sorted(by_path):  # whatever the order of the inputs
        progress.check()
        files.append(_describe(path, by_path[path], progress))
    return files


def _describe(path: Path, item: RasterInput, progress: Progress) -> _File:
    with open_raster(path) as dataset:
        _refuse_ungeocoded(dataset, path)
        grid = grid_of(dataset)
        tags = dict(dataset.tags())
        for index in dataset.indexes:
            tags.update({key: text for key, text in dataset.tags(index).items() if key not in tags})
        descriptions = dataset.descriptions
        block_rows, block_cols = dataset.block_shapes[0]
    header = read_snap_header(path)
    day = _file_day(path, tags, item, progress)
    labels: list[tuple[Label, date | None]] = []
    nameless = len(descriptions) > 1 and all(map(is_nameless, descriptions))
    if nameless and header and len(header.bands) == len(descriptions):
        with RasterReader(path) as reader:
            labels = [(Label(index, header.bands[index - 1]), day) for index in reader.bands]
    else:
        info = describe_raster(
            path,
            fallback_date=item.fallback_date,
            fallback_end=item.fallback_end,
            progress=progress,
        )
        named = header.bands[0] if header and len(header.bands) == len(descriptions) == 1 else ""
        for band in info.bands:
            backup = path.stem if len(info.bands) == 1 else ""
            name = named if named and is_nameless(descriptions[0]) else band.name
            labels.append((Label(band.index, name, backup), band.date or day))
        labels = _dated_by_name(labels)
    orbit = orbit_in_tags(tags) or (header.orbit if header else UNKNOWN)
    return _File(
        path,
        grid,
        striped=block_cols >= grid.width > 4 * block_rows,
        orbit=orbit or orbit_in_name(path.stem),
        start=_start(path),
        labels=tuple(labels),
    )


def _dated_by_name(labels: list[tuple[Label, date | None]]) -> list[tuple[Label, date | None]]:
    """Take the days in the names of bands where one file stacks images of several days."""
    inner = [date_in_name(label.name)[0] for label, _ in labels]
    if len(labels) > 1 and len(set(inner) - {None}) > 1:
        return [(label, own or day) for (label, day), own in zip(labels, inner)]
    return labels


def _file_day(
    path: Path, tags: Mapping[str, str], item: RasterInput, progress: Progress
) -> date | None:
    """Return the day of a file; where nothing else tells it, that of the folders it lies in."""
    day = (
        date_in_name(path.stem)[0]
        or date_in_tag(tags.get("TIFFTAG_DATETIME"))
        or item.fallback_date
    )
    if day is None:
        for folder in list(path.parents)[:_FOLDERS]:
            day = date_in_name(folder.name)[0]
            if day is not None:
                progress.info(f"'{path.name}' is dated by its folder '{folder.name}': {day}.")
                break
    return day


def _start(path: Path) -> int | None:
    for text in (path.stem, *(folder.name for folder in list(path.parents)[:_FOLDERS])):
        if date_in_name(text)[0]:
            return start_in_name(text)
    return None


def _refuse_ungeocoded(dataset: Any, path: Path) -> None:
    points, _ = dataset.gcps
    if dataset.crs is None and points:
        raise RasterError(
            f"The image '{path.name}' is not geocoded: it only has ground control points.",
            "Calibrate it and correct it for terrain first (in SNAP: Calibration, then "
            "Range-Doppler Terrain Correction), or download a corrected product.",
        )


def _choose_bands(
    files: Sequence[_File], wanted: Mapping[str, str], decibels: bool, progress: Progress
) -> list[ImageBand]:
    chosen: list[ImageBand] = []
    unused, undated, amplitudes = [], [], []
    for file in files:
        days = dict.fromkeys(day for _, day in file.labels)
        before = len(chosen)
        for day in days:
            labels = [label for label, own in file.labels if own == day]
            found = match_bands(labels, wanted, decibels=decibels, where=file.path.name)
            if is_amplitude(file.path.name) and set(found) & set(POLARISATIONS):
                amplitudes.append(file.path.name)
            if found and day is None:
                undated.append(file.path.name)
            chosen += [
                ImageBand(
                    role,
                    file.path,
                    match.index,
                    match.rank,
                    day or date.min,
                    file.orbit,
                    file.start,
                    file.grid,
                    file.striped,
                )
                for role, match in found.items()
            ]
        if len(chosen) == before:
            names = ", ".join(label.name for label, _ in file.labels)
            unused.append(f"'{file.path.name}' ({names})")
    _check_choice(chosen, unused, undated, wanted, progress)
    if amplitudes:
        raise InputError(
            f"Images hold amplitude, as their names say: {listed(amplitudes)}.",
            "Square them (Raster calculator) and name them anew, or order the product in power.",
        )
    return chosen


def _check_choice(
    chosen: Sequence[ImageBand],
    unused: Sequence[str],
    undated: Sequence[str],
    wanted: Mapping[str, str],
    progress: Progress,
) -> None:
    sought = ", ".join(wanted.values())
    if not any(band.role in POLARISATIONS for band in chosen):
        seen = sorted({f"'{band.file}'" for band in chosen})
        held = f"only the angle is there ({listed(seen)})" if seen else listed(unused)
        raise InputError(
            f"No image has a band of backscatter called {sought}: {held}.",
            "Say in BANDS what the bands are called, as VV=Sigma0_VV_db;VH=Sigma0_VH_db.",
        )
    if undated:
        raise InputError(
            f"The date of {len(undated)} images cannot be told: {listed(sorted(undated))}.",
            "Put it into the file name (s1_20210401.tif), or set the layer's temporal range.",
        )
    if unused:
        progress.warn(f"Images without a band {sought} are left out: {listed(unused)}.")
    for role, name in wanted.items():
        if not any(band.role == role for band in chosen):
            progress.warn(f"No image has a band '{name}': the series has no {role}.")


def _check_grids(bands: Sequence[ImageBand]) -> None:
    first = bands[0]
    for band in bands:
        t = band.grid.transform
        if band.grid.is_rotated or t.a <= 0 or t.e >= 0:
            raise RasterError(
                f"The rows of the image '{band.file}' do not run from west to east, the "
                "northernmost first.",
                "Bring it to a north-up grid with 'Warp (reproject)'.",
            )
        if not same_crs(band.grid.crs, first.grid.crs):
            raise RasterError(
                f"The images have different coordinate reference systems: '{first.file}' has "
                f"{crs_name(first.grid.crs)}, '{band.file}' has {crs_name(band.grid.crs)}.",
                "Bring them to one first, with 'Warp (reproject)', or run them apart.",
            )
