"""Series of rasters: which bands show one covariate, and on which days."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Sequence

from ...errors import InputError, RasterError
from ...progress import Progress
from ...rasters.grids import Grid
from ...rasters.reading import BandInfo, RasterInfo, describe_raster
from ..rows import listed
from ..table import RasterInput

SEPARATE, POOLED = "separate", "pooled"
_DIRECTION = re.compile(
    r"(?:^|[_\-. ])(?:(?P<asc>asc(?:ending)?)|desc(?:ending)?)(?=[_\-. ]|$)", re.IGNORECASE
)


@dataclass(frozen=True)
class Layer:
    """One band of one raster: a covariate on a day (None where the raster has no date)."""

    path: Path
    band: int
    day: date | None


@dataclass(frozen=True)
class Series:
    """The bands of one covariate, in the order of their days; undated ones come first.

    `direction` is set where ascending and descending images are told apart.
    """

    name: str
    covariate: str
    direction: str
    units: str
    grid: Grid
    layers: tuple[Layer, ...]

    @property
    def days(self) -> tuple[date, ...]:
        """The days it has, ascending, each once."""
        return tuple(sorted({layer.day for layer in self.layers if layer.day is not None}))


def describe_rasters(
    inputs: Sequence[RasterInput], progress: Progress | None = None
) -> list[RasterInfo]:
    """Read grids, names and dates of rasters; one that is given twice is read once.

    Raises
    ------
    InputError
        For no raster.
    """
    progress = progress or Progress()
    if not inputs:
        raise InputError("No raster is given.", "Add rasters.")
    infos: dict[Path, RasterInfo] = {}
    for done, item in enumerate(inputs):
        progress.step(done / len(inputs))
        info = describe_raster(
            item.path,
            fallback_date=item.fallback_date,
            fallback_end=item.fallback_end,
            progress=progress,
        )
        real = info.path.resolve()
        if real in infos:
            progress.warn(f"'{info.path.name}' is given twice: it is read once.")
        infos[real] = info
    return list(infos.values())


def collect_series(
    infos: Sequence[RasterInfo],
    *,
    bands: Sequence[str] = (),
    directions: str = POOLED,
    progress: Progress | None = None,
) -> list[Series]:
    """Put the bands that share a name together.

    Parameters
    ----------
    infos : sequence of RasterInfo
    bands : sequence of str
        Names or shell patterns (``V?``) of the covariates wanted; all without any.
    directions : {"separate", "pooled"}
        Whether a covariate whose file names tell ascending (``asc``) from descending (``desc``)
        images is one series for each, named ``VV_asc`` and ``VV_desc``, or a single one.
    progress : Progress, optional
        Hears of units that differ within a series and of bands that not all rasters have.

    Returns
    -------
    list of Series
        In the order of their first bands.

    Raises
    ------
    InputError
        For names that differ in case alone, rasters that have no name in common, and patterns
        that fit no band.
    RasterError
        For a series on two grids: the first two rasters are named.
    """
    progress = progress or Progress()
    found: dict[str, list[tuple[RasterInfo, BandInfo]]] = {}
    for info in infos:
        for band in info.bands:
            if not bands or any(fnmatch.fnmatchcase(band.name, pattern) for pattern in bands):
                found.setdefault(band.name, []).append((info, band))
    if not found:
        names = dict.fromkeys(band.name for info in infos for band in info.bands)
        raise InputError(
            f"No band is named '{';'.join(bands)}'. There are {', '.join(names)}.",
            "Give names or patterns such as VV;VH.",
        )
    _check_names(infos, found)
    _warn_of_lacking(infos, found, progress)
    both = sorted(
        name for name, members in found.items() if len(_directions_of(members) - {""}) > 1
    )
    series = []
    for name, members in found.items():
        if name not in both or directions != SEPARATE:
            series.append(_series(name, "", members, progress))
            continue
        for direction in sorted(_directions_of(members)):
            some = [(i, b) for i, b in members if direction_of(i.path.stem) == direction]
            series.append(_series(name, direction, some, progress))
    if both and directions != SEPARATE:
        progress.warn(
            f"Ascending and descending images are mixed in {', '.join(both)}: they look at the "
            "ground from two sides, and what is said of the two together holds for neither."
        )
    return series


def direction_of(stem: str) -> str:
    """Return 'asc' or 'desc' where a file's base name tells the direction of the orbit, else ''.

    Examples
    --------
    >>> direction_of("s1_asc_20210401"), direction_of("s1_20210401_DESCENDING"), direction_of("s1")
    ('asc', 'desc', '')
    """
    found = _DIRECTION.search(stem)
    if found is None:
        return ""
    return "asc" if found.group("asc") else "desc"


def require_days(series: Sequence[Series]) -> None:
    """Raise where a layer has no date, or a covariate two layers of a day."""
    undated = [
        f"{layer.path.name}, band {layer.band} ({one.name})"
        for one in series
        for layer in one.layers
        if layer.day is None
    ]
    if undated:
        raise InputError(
            f"Rasters without a date that can be read: {listed(undated)}.",
            "Put the date into the file name (smap_20210401.tif) or the band description, or "
            "give the layer a fixed temporal range.",
        )
    twice = [
        f"{one.name} on {day}: {' and '.join(layer.path.name for layer in layers)}"
        for one in series
        for day, layers in repeated_days(one).items()
    ]
    if twice:
        raise InputError(
            f"The same covariate twice on a day: {listed(twice)}.",
            "Tiles: mosaic them first. Ascending and descending images, or versions of a "
            "product: run them one after the other.",
        )


def repeated_days(series: Series) -> dict[date, list[Layer]]:
    """Return the layers of each day that has more than one."""
    by_day: dict[date, list[Layer]] = {}
    for layer in series.layers:
        if layer.day is not None:
            by_day.setdefault(layer.day, []).append(layer)
    return {day: layers for day, layers in by_day.items() if len(layers) > 1}


def common_grid(infos: Sequence[tuple[Path, Grid]]) -> Grid:
    """Return the one grid of rasters.

    Raises
    ------
    RasterError
        Where there are two: the first two rasters that differ are named.
    """
    path, first = infos[0]
    for other, grid in infos[1:]:
        if not grid.matches(first):
            raise RasterError(
                f"The rasters are not on one grid: '{path.name}' has {first.describe()}, "
                f"'{other.name}' has {grid.describe()}.",
                "Bring them to one grid with 'Align to grid' first.",
            )
    return first


def _check_names(
    infos: Sequence[RasterInfo], found: dict[str, list[tuple[RasterInfo, BandInfo]]]
) -> None:
    lower: dict[str, str] = {}
    for name in found:
        other = lower.setdefault(name.lower(), name)
        if other != name:
            raise InputError(
                f"The bands '{other}' ({found[other][0][0].path.name}) and '{name}' "
                f"({found[name][0][0].path.name}) differ in case alone.",
                "Give them one name.",
            )
    if len(infos) > 1 and all(len(members) == 1 for members in found.values()):
        names = [f"'{name}' ({members[0][0].path.name})" for name, members in found.items()]
        raise InputError(
            f"No two rasters show the same covariate: {listed(names)}.",
            "Give the bands the same descriptions, or files of one band names that differ in "
            "their dates alone.",
        )


def _warn_of_lacking(
    infos: Sequence[RasterInfo],
    found: dict[str, list[tuple[RasterInfo, BandInfo]]],
    progress: Progress,
) -> None:
    """Warn of covariates that only some of the rasters have which have others of them."""
    together: dict[Path, set[str]] = {
        info.path: {band.name for band in info.bands} & set(found) for info in infos
    }
    for name, members in found.items():
        partners = set().union(*(together[info.path] for info, _ in members))
        lacking = [
            path.name for path, names in together.items() if name not in names and names & partners
        ]
        if lacking:
            progress.warn(
                f"{len(lacking)} rasters have no band '{name}', which others like them have: "
                f"{listed(lacking)}. Bands are matched by name."
            )


def _directions_of(members: Sequence[tuple[RasterInfo, BandInfo]]) -> set[str]:
    return {direction_of(info.path.stem) for info, _ in members}


def _series(
    covariate: str,
    direction: str,
    members: Sequence[tuple[RasterInfo, BandInfo]],
    progress: Progress,
) -> Series:
    name = f"{covariate}_{direction}" if direction else covariate
    units = list(dict.fromkeys(band.units for _, band in members if band.units))
    if len(units) > 1:
        progress.warn(
            f"The bands of {name} have different units: {', '.join(units)}. Bring them to one."
        )
    grid = common_grid([(info.path, info.grid) for info, _ in members])
    layers = [Layer(info.path, band.index, band.date) for info, band in members]
    layers.sort(key=lambda layer: (layer.day or date.min, str(layer.path), layer.band))
    unit = units[0] if len(units) == 1 else ""
    return Series(name, covariate, direction, unit, grid, tuple(layers))
