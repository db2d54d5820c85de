"""What may be wrong with the rasters of a covariate table: refused, or told."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Tuple

import numpy as np

from ..errors import InputError, PluginError
from ..progress import Progress
from ..rasters.grids import Extent, Grid, crs_name, same_crs, transform_extent
from ..rasters.names import date_in_name
from ..rasters.reading import BandInfo, RasterInfo, geometry
from .rows import CovariateRow, listed

_Area = Tuple[str, Extent]  # coordinate reference system, and edges in it
_SAME_SIZE = 0.01  # cell sizes that differ by less, as a share, count as one


@dataclass(frozen=True)
class ListedBand:
    """A row of the table with the raster and the band it stands for."""

    row: CovariateRow
    raster: RasterInfo
    band: BandInfo


def warn_of_oddities(bands: Sequence[ListedBand], progress: Progress) -> None:
    """Tell what often is a mistake; none of it keeps the table from being written."""
    by_name = _by_name(bands)
    for name, members in by_name.items():
        _warn_of_units(name, members, progress)
        _warn_of_systems(name, members, progress)
        _warn_of_cells(name, members, progress)
    _warn_of_dates_in_names(list(by_name), progress)
    _warn_of_nodata(bands, progress)


def check_overlap(
    bands: Sequence[ListedBand], earlier: Sequence[CovariateRow], progress: Progress
) -> None:
    """Raise where two covariates have no place in common: no cell could have both.

    Parameters
    ----------
    bands : sequence of ListedBand
        The new rows.
    earlier : sequence of CovariateRow
        Those of a table that is extended; their rasters are opened only until an overlap is
        found, and those that cannot be opened are passed over.

    Raises
    ------
    InputError
        Names the two covariates and their extents.
    """
    extents = {name: _extents(members) for name, members in _by_name(bands).items()}
    names = list(extents)
    for place, name in enumerate(names):
        for other in names[:place]:
            if not _overlap(extents[name], extents[other]):
                raise _apart(other, extents[other], name, extents[name])
    for name, rows in _rows_by_name(earlier, names).items():
        progress.check()
        for new in names:
            seen: list[_Area] = []
            if not any(_overlap([area], extents[new]) for area in _areas(rows, seen)) and seen:
                raise _apart(name, seen, new, extents[new])


def _by_name(bands: Sequence[ListedBand]) -> dict[str, list[ListedBand]]:
    found: dict[str, list[ListedBand]] = {}
    for one in bands:
        found.setdefault(one.row.covariate, []).append(one)
    return found


def _rows_by_name(
    rows: Sequence[CovariateRow], without: Sequence[str]
) -> dict[str, list[CovariateRow]]:
    found: dict[str, list[CovariateRow]] = {}
    for row in rows:
        if row.covariate not in without:
            found.setdefault(row.covariate, []).append(row)
    return found


def _extents(members: Sequence[ListedBand]) -> list[_Area]:
    """Return the extent of a covariate in each of its coordinate reference systems."""
    union: dict[str, Extent] = {}
    for grid in dict.fromkeys(one.raster.grid for one in members):
        union[grid.crs] = _joined(union.get(grid.crs), grid.bounds)
    return list(union.items())


def _areas(rows: Sequence[CovariateRow], seen: list[_Area]) -> Iterator[_Area]:
    """Yield where the rasters of rows lie, and keep it in `seen`."""
    for path in dict.fromkeys(row.path for row in rows):
        try:
            grid = geometry(path)
        except PluginError:
            continue
        seen.append((grid.crs, grid.bounds))
        yield seen[-1]


def _overlap(first: Sequence[_Area], second: Sequence[_Area]) -> bool:
    return any(_meet(one, other) for one in first for other in second)


def _meet(first: _Area, second: _Area) -> bool:
    """Whether two extents share a place, or it cannot be told.

    Each is carried into the other's system: a system may have no place for far-away extents.
    """
    told = [_within_reach(first, second), _within_reach(second, first)]
    return True in told or False not in told


def _within_reach(first: _Area, second: _Area) -> bool | None:
    try:
        moved = transform_extent(first[0], second[0], first[1])
    except InputError:
        return None
    if not all(math.isfinite(edge) for edge in moved) or moved[0] > moved[2]:
        return None
    own = second[1]
    return bool(moved[0] < own[2] and own[0] < moved[2] and moved[1] < own[3] and own[1] < moved[3])


def _joined(first: Extent | None, second: Extent) -> Extent:
    if first is None:
        return second
    return (
        min(first[0], second[0]),
        min(first[1], second[1]),
        max(first[2], second[2]),
        max(first[3], second[3]),
    )


def _apart(
    first: str, first_areas: Sequence[_Area], second: str, second_areas: Sequence[_Area]
) -> InputError:
    return InputError(
        f"The covariates '{first}' and '{second}' have no place in common: {first} covers "
        f"{_shown(first_areas)}, {second} covers {_shown(second_areas)} "
        "(xmin, ymin, xmax, ymax).",
        "Check their coordinate reference systems, or leave one of them out.",
    )


def _shown(areas: Sequence[_Area]) -> str:
    texts = []
    for crs, extent in areas:
        edges = ", ".join(f"{edge:.7g}" for edge in extent)
        texts.append(f"{edges} in {crs_name(crs)}{_degrees(crs, extent)}")
    return listed(texts)


def _degrees(crs: str, extent: Extent) -> str:
    """Return longitudes and latitudes of an extent that is given in other units."""
    if same_crs(crs, "EPSG:4326"):
        return ""
    try:
        edges = transform_extent(crs, "EPSG:4326", extent)
    except InputError:
        return ""
    if not all(math.isfinite(edge) for edge in edges):
        return ""
    return f" = {', '.join(f'{edge:.3f}' for edge in edges)} in degrees"


def _warn_of_units(name: str, members: Sequence[ListedBand], progress: Progress) -> None:
    rasters = _rasters_by(members, lambda one: one.row.units)
    if len(rasters) > 1:
        shown = ", ".join(f"{_quoted(units)} ({example})" for units, example in rasters.items())
        progress.warn(
            f"The rasters of {name} have different units: {shown}. Bring them to one before the "
            "table is used: values are taken as they are."
        )


def _warn_of_systems(name: str, members: Sequence[ListedBand], progress: Progress) -> None:
    rasters = _rasters_by(members, lambda one: crs_name(one.raster.grid.crs))
    if len(rasters) > 1:
        shown = ", ".join(f"{crs} ({example})" for crs, example in rasters.items())
        progress.warn(
            f"The rasters of {name} come in {len(rasters)} coordinate reference systems: {shown}. "
            "Each is brought to the map's grid from its own."
        )


def _warn_of_cells(name: str, members: Sequence[ListedBand], progress: Progress) -> None:
    by_crs: dict[str, list[ListedBand]] = {}
    for one in members:
        by_crs.setdefault(one.raster.grid.crs, []).append(one)
    for same in by_crs.values():
        first = same[0].raster.grid
        other = next((one for one in same if not _like(one.raster.grid, first)), None)
        if other is not None:
            progress.warn(
                f"The rasters of {name} have cells of different size: {_cell(first)} "
                f"({same[0].raster.path.name}), {_cell(other.raster.grid)} "
                f"({other.raster.path.name}). A model sees two covariates under one name."
            )
            return


def _warn_of_dates_in_names(names: Sequence[str], progress: Progress) -> None:
    dated = [name for name in names if date_in_name(name)[0] is not None]
    if dated:
        progress.warn(
            f"Names of covariates hold a date: {listed(dated)}. Where a file name holds two dates, "
            "the first dates the raster and the second stays in its name. Name the band, or "
            "rename the files; days that a raster holds for are given in PERIOD."
        )


def _warn_of_nodata(bands: Sequence[ListedBand], progress: Progress) -> None:
    """Tell of declared missing values that the cells cannot hold."""
    wrong: dict[str, list[str]] = {}
    for one in bands:
        nodata = one.band.nodata
        if nodata is None or not _impossible(nodata, one.band.dtype):
            continue
        what = f"{nodata:g} in {one.band.dtype}"
        wrong.setdefault(what, []).append(f"{one.raster.path.name}, band {one.band.index}")
    for what, places in wrong.items():
        progress.warn(
            f"The declared nodata cannot occur: {what} ({listed(places)}). Missing cells would "
            "pass as values: set the raster's nodata value."
        )


def _impossible(nodata: float, dtype: str) -> bool:
    kind = np.dtype(dtype)
    if kind.kind not in "iu":
        return False
    limits = np.iinfo(kind)
    return not (limits.min <= nodata <= limits.max and nodata == round(nodata))


def _rasters_by(
    members: Sequence[ListedBand], key: Callable[[ListedBand], str]
) -> Mapping[str, str]:
    """Return an example raster for each value of `key`, with how many more there are."""
    places: dict[str, list[str]] = {}
    for one in members:
        places.setdefault(key(one), []).append(one.raster.path.name)
    return {
        value: names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        for value, names in places.items()
    }


def _quoted(units: str) -> str:
    return f"'{units}'" if units else "none"


def _like(first: Grid, second: Grid) -> bool:
    return all(
        math.isclose(one, other, rel_tol=_SAME_SIZE)
        for one, other in zip(first.resolution, second.resolution)
    )


def _cell(grid: Grid) -> str:
    width, height = grid.resolution
    return f"{width:g}" if math.isclose(width, height) else f"{width:g} × {height:g}"


def tell_covariates(rows: Sequence[CovariateRow], progress: Progress) -> None:
    """Say which covariates the table holds, and from when to when the dated ones."""
    static = [row.covariate for row in rows if row.start is None]
    dated: dict[str, list[CovariateRow]] = {}
    for row in rows:
        if row.start is not None:
            dated.setdefault(row.covariate, []).append(row)
    parts = [f"static {', '.join(static)}"] if static else []
    for name, own in dated.items():
        days = sorted(row.start for row in own if row.start is not None)
        span = f"{days[0]} to {days[-1]}" if len(days) > 1 else f"{days[0]}"
        parts.append(f"{name} {span} ({len(days)})")
    progress.info(f"{len(rows)} rows: {'; '.join(parts)}.")
