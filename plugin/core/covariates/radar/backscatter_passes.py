"""Passes: the images of a day and an orbit direction, which make one raster of the series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from ...errors import InputError
from ...progress import Progress
from ...rasters.grids import Grid
from ..rows import listed
from ..table import RasterInput
from .backscatter_bands import POLARISATIONS, ROLES
from .backscatter_images import ImageBand, find_images
from .backscatter_metadata import ORBIT_NAMES, UNKNOWN

SAME_PASS = 1800  # seconds between the starts of slices of one pass
_DAY = 86_400
_OTHER_ORBIT = 6 * 3600  # Sentinel-1 passes about 6 and 18 o'clock local time
_SAME_PLACE = 0.5  # of the smaller extent


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
        Where `find_images` does, for two passes of a day whose orbits are not told, and for a
        place shown twice in one pass.
    RasterError
        Where `find_images` does.
    """
    bands = find_images(inputs, wanted, decibels=decibels, progress=progress)
    passes = _passes(_share_orbits(bands), progress)
    for one in passes:
        _check_pass(one, progress)
    _tell(passes, progress)
    _warn_of_orbits(passes, progress)
    return passes


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
    return not slices and _shared_place(first.grid, second.grid) > _SAME_PLACE


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


def _warn_of_orbits(passes: Sequence[Pass], progress: Progress) -> None:
    """Warn where start times half a day apart betray passes of both orbits."""
    starts = [
        (one.bands[0].start, one.bands[0].file)
        for one in passes
        if one.orbit == UNKNOWN and one.bands[0].start is not None
    ]
    for start, file in starts[1:]:
        apart = abs(start - starts[0][0])
        if min(apart, _DAY - apart) > _OTHER_ORBIT:
            progress.warn(
                f"'{starts[0][1]}' and '{file}' seem to be of an ascending and a descending "
                "pass, by their start times, but no metadata tell which: they stand in one "
                "series. Say so in the file names (_ASC_, _DESC_) to keep them apart."
            )
            return
