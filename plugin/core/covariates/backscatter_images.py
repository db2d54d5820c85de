"""The radar images of a run: their bands, days and passes, and what keeps them from one series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from ..errors import InputError, RasterError
from ..progress import Progress
from ..rasters.grids import Grid, crs_name, same_crs
from ..rasters.names import date_in_name, date_in_tag, is_nameless
from ..rasters.paths import check_local_path
from ..rasters.reading import RasterReader, describe_raster, grid_of, open_raster
from .backscatter_bands import POLARISATIONS, ROLES, Label, match_bands
from .backscatter_metadata import (
    ORBIT_NAMES,
    UNKNOWN,
    orbit_in_name,
    orbit_in_tags,
    read_snap_header,
    start_in_name,
)
from .rows import listed
from .table import RasterInput

SAME_PASS = 1800  # seconds between the starts of slices of one pass
_FOLDERS = 2  # levels of folders whose names may hold the date
_SAME_PLACE = 0.5  # of the smaller extent


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
class Pass:
    """The bands that make one raster of the series: those of a day and an orbit direction."""

    day: date
    orbit: str
    bands: tuple[ImageBand, ...]

    @property
    def file(self) -> str:
        """The name of the raster to write."""
        orbit = f"{self.orbit}_" if self.orbit else ""
        return f"s1_{orbit}{self.day:%Y%m%d}.tif"

    def of(self, role: str) -> tuple[ImageBand, ...]:
        """Return the bands of a role."""
        return tuple(band for band in self.bands if band.role == role)


@dataclass(frozen=True)
class _File:
    """One file, read as far as its bands and dates."""

    path: Path
    grid: Grid
    striped: bool
    orbit: str
    start: int | None
    labels: tuple[tuple[Label, date | None], ...]


def find_passes(
    inputs: Sequence[RasterInput],
    wanted: Mapping[str, str],
    *,
    decibels: bool,
    progress: Progress,
) -> tuple[Pass, ...]:
    """Sort the bands of all images into passes, in the order of days and orbits.

    Slices, tiles and single bands of one pass come together. What was found is told.

    Raises
    ------
    InputError
        For no image, no band of the names wanted, images without date, two passes of a day
        whose orbits are not told, or a place shown twice in one pass.
    RasterError
        For images that cannot be read, are not geocoded, rotated or in several systems.
    """
    if not inputs:
        raise InputError("No image is given.", "Add the radar images of the series.")
    files = _describe_all(inputs, progress)
    bands = _choose_bands(files, wanted, decibels, progress)
    _check_grids(bands)
    passes = _passes(_share_orbits(bands), progress)
    for one in passes:
        _check_pass(one, progress)
    _tell(passes, progress)
    return passes


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
    unused, undated = [], []
    for file in files:
        days = dict.fromkeys(day for _, day in file.labels)
        before = len(chosen)
        for day in days:
            labels = [label for label, own in file.labels if own == day]
            found = match_bands(labels, wanted, decibels=decibels, where=file.path.name)
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


def _share_orbits(bands: Sequence[ImageBand]) -> list[ImageBand]:
    """Give bands without orbit the one known of their pass: a lone angle file tells none."""
    known: dict[date, list[ImageBand]] = {}
    for band in bands:
        if band.orbit:
            known.setdefault(band.day, []).append(band)
    shared = []
    for band in bands:
        same_day = known.get(band.day, [])
        orbits = {other.orbit for other in same_day if _may_be_one_pass(band, other)}
        alone = not band.orbit and len(orbits) == 1
        shared.append(replace(band, orbit=orbits.pop()) if alone else band)
    return shared


def _may_be_one_pass(first: ImageBand, second: ImageBand) -> bool:
    if first.start is None or second.start is None:
        return True
    return abs(first.start - second.start) <= SAME_PASS


def _passes(bands: Sequence[ImageBand], progress: Progress) -> tuple[Pass, ...]:
    together: dict[tuple[date, str], list[ImageBand]] = {}
    for band in sorted(bands, key=lambda b: (b.day, b.orbit, ROLES.index(b.role), str(b.path))):
        together.setdefault((band.day, band.orbit), []).append(band)
    passes = []
    for (day, orbit), members in together.items():
        if any(band.role in POLARISATIONS for band in members):
            passes.append(Pass(day, orbit, tuple(_best_ranked(members))))
        else:
            names = listed(sorted({band.file for band in members}))
            progress.warn(f"{day}, {ORBIT_NAMES[orbit]}: no image goes with the angle in {names}.")
    return tuple(passes)


def _best_ranked(members: Sequence[ImageBand]) -> list[ImageBand]:
    """Leave out second-best bands, such as the local beside the ellipsoidal angle."""
    best = {role: min((b.rank for b in members if b.role == role), default=0) for role in ROLES}
    return [band for band in members if band.rank == best[band.role]]


def _check_pass(one: Pass, progress: Progress) -> None:
    """Raise where a pass is none: a place shown twice, or passes of both orbits untold."""
    apart = set()
    for role in ROLES:
        members = one.of(role)
        for position, first in enumerate(members):
            for second in members[position + 1 :]:
                if not _may_be_one_pass(first, second):
                    apart.add((first.file, second.file))
                elif _is_twice(first, second):
                    raise InputError(
                        f"'{first.file}' and '{second.file}' both show {role} of the same place "
                        f"on {one.day}.",
                        "Leave one of them out. If they are two passes, say so in the file names "
                        "(_ASC_, _DESC_); if they are slices of one, mosaic them or put the "
                        "start times into the names (20210401T055316).",
                    )
    if not apart:
        return
    first_name, second_name = sorted(apart)[0]
    if not one.orbit:
        raise InputError(
            f"Images of {one.day} are of two passes, and none says whether it is ascending or "
            f"descending: '{first_name}' and '{second_name}'.",
            "Say so in the file names (_ASC_, _DESC_), or run them apart.",
        )
    progress.warn(
        f"Two {ORBIT_NAMES[one.orbit]} passes on {one.day} become one raster: '{first_name}' and "
        f"'{second_name}'."
    )


def _is_twice(first: ImageBand, second: ImageBand) -> bool:
    slices = first.start is not None and second.start is not None and first.start != second.start
    if slices and first.path != second.path:
        return False
    return _shared_place(first.grid, second.grid) > _SAME_PLACE


def _shared_place(first: Grid, second: Grid) -> float:
    """Return the common area as a share of the smaller extent."""
    a, b = first.bounds, second.bounds
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((e[2] - e[0]) * (e[3] - e[1]) for e in (a, b))
    return max(width, 0.0) * max(height, 0.0) / smaller


def _tell(passes: Sequence[Pass], progress: Progress) -> None:
    for orbit, name in ORBIT_NAMES.items():
        days = [one for one in passes if one.orbit == orbit]
        if days:
            progress.info(f"{len(days)} dates, {name}: {days[0].day} to {days[-1].day}.")
    for role in ROLES:
        lacking = [one for one in passes if not one.of(role)]
        if lacking and len(lacking) < len(passes):
            names = listed([str(one.day) for one in lacking])
            progress.warn(f"{role} is missing on {len(lacking)} dates: {names}.")
