"""The covariate table: which band of which raster shows a covariate on which days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Sequence

from ..errors import InputError
from ..progress import Progress
from ..rasters.reading import BandInfo, RasterInfo, describe_raster
from ..rasters.warping import RESAMPLINGS
from .classes import CLASS_UNIT, holds_classes
from .rows import CovariateRow, listed
from .table_checks import ListedBand, check_overlap, tell_covariates, warn_of_oddities
from .table_file import CovariateTable, read_table, write_table
from .table_groups import group_of, parse_groups

__all__ = [
    "CovariateRow",
    "CovariateTable",
    "Listing",
    "RasterInput",
    "build_table",
    "days_between",
    "list_covariates",
    "parse_groups",
    "read_table",
    "write_table",
]

_NEAREST = "nearest"


@dataclass(frozen=True)
class RasterInput:
    """A raster handed to the table.

    `fallback_date` (to `fallback_end`) is the layer's fixed temporal range: used where neither
    band description, file name nor tag holds a date.
    """

    path: str
    fallback_date: date | None = None
    fallback_end: date | None = None


@dataclass(frozen=True)
class Listing:
    """A covariate table, and the rasters that were opened for it, by the path of their rows."""

    table: CovariateTable
    rasters: Mapping[str, RasterInfo]


def build_table(
    static: Sequence[RasterInput],
    dynamic: Sequence[RasterInput],
    *,
    append_to: CovariateTable | None = None,
    tolerance_days: int = 6,
    resampling: str = "bilinear",
    groups: Sequence[tuple[str, str]] = (),
    period_days: int = 1,
    output: str | Path,
    progress: Progress | None = None,
) -> CovariateTable:
    """Describe rasters as a covariate table and write it; see `list_covariates`."""
    listing = list_covariates(
        static,
        dynamic,
        append_to=append_to,
        tolerance_days=tolerance_days,
        resampling=resampling,
        groups=groups,
        period_days=period_days,
        folder=Path(output).absolute().parent,
        progress=progress,
    )
    write_table(listing.table, output)
    return listing.table


def list_covariates(
    static: Sequence[RasterInput],
    dynamic: Sequence[RasterInput],
    *,
    append_to: CovariateTable | None = None,
    tolerance_days: int = 6,
    resampling: str = "bilinear",
    groups: Sequence[tuple[str, str]] = (),
    period_days: int = 1,
    folder: Path,
    progress: Progress | None = None,
) -> Listing:
    """Describe rasters as a covariate table; each is opened once.

    Parameters
    ----------
    static, dynamic : sequences of RasterInput
        Rasters that hold always, and rasters of a day each.
    append_to : CovariateTable, optional
        An earlier table; its rows with the same path and band are replaced.
    tolerance_days : int
        How many days a dated band may lie from the day asked for.
    resampling : {"nearest", "bilinear", "cubic", "average"}
        How the new rows are brought to another grid; rasters of classes always by the nearest.
    groups : sequence of (pattern, group)
        Shell patterns (``VV*``) of covariate names; the first that fits gives the group. Without
        any, names that are usual have their usual group, see `USUAL_GROUPS`.
    period_days : int
        Days that a dated raster holds for, from its date on: the length of composites.
    folder : Path
        The folder of the table.

    Raises
    ------
    InputError
        For dynamic rasters without a date, for ambiguous or forbidden names, and for covariates
        that have no place in common; all are listed.
    """
    progress = progress or Progress()
    if resampling not in RESAMPLINGS:
        raise InputError(
            f"The resampling '{resampling}' is unknown.", f"Use one of {', '.join(RESAMPLINGS)}."
        )
    bands: list[ListedBand] = []
    undated: list[str] = []
    todo = [(raster, False) for raster in static] + [(raster, True) for raster in dynamic]
    for done, (raster, dated) in enumerate(todo):
        progress.step(done / len(todo))
        info = describe_raster(
            raster.path,
            fallback_date=raster.fallback_date,
            fallback_end=raster.fallback_end,
            dated=dated,
            progress=progress,
        )
        for band in info.bands:
            if dated and band.date is None:
                undated.append(f"{info.path.name}, band {band.index} ({band.name})")
            row = _row(info, band, resampling, tolerance_days, period_days)
            bands.append(ListedBand(replace(row, group=group_of(band.name, groups)), info, band))
    if undated:
        raise InputError(
            f"Dynamic rasters without a date: {listed(undated)}.",
            "Put the date into the file name (smap_20210401.tif) or the band description, give "
            "the layer a fixed temporal range, or add the raster as static.",
        )
    bands = _classes_by_nearest(bands, progress)
    kept = _kept(append_to, bands, groups, progress)
    table = CovariateTable((*kept, *(one.row for one in bands)), folder)
    if not table.rows:
        raise InputError("The covariate table would be empty.", "Add a raster.")
    table.check()
    check_overlap(bands, kept, progress)
    warn_of_oddities(bands, progress)
    tell_covariates(table.rows, progress)
    progress.report(1)
    return Listing(table, {one.row.path: one.raster for one in bands})


def days_between(start: date, end: date, step: int = 1) -> list[date]:
    """Return the days from `start` to `end`, both included, every `step` days."""
    if end < start:
        raise InputError(f"The end {end} lies before the start {start}.", "Swap them.")
    if step < 1:
        raise InputError(f"A step of {step} days leads nowhere.", "Give 1 or more.")
    return [start + timedelta(days=shift) for shift in range(0, (end - start).days + 1, step)]


def _row(
    info: RasterInfo, band: BandInfo, resampling: str, tolerance: int, period: int
) -> CovariateRow:
    end = band.end
    if band.date is not None and end == band.date:
        end = band.date + timedelta(days=max(period, 1) - 1)
    return CovariateRow(
        covariate=band.name,
        group="",
        path=str(info.path),
        band=band.index,
        start=band.date,
        end=end,
        resampling=resampling,
        tolerance_days=0 if band.date is None else tolerance,
        units=band.units,
    )


def _classes_by_nearest(bands: Sequence[ListedBand], progress: Progress) -> list[ListedBand]:
    """Have rasters of classes read by their nearest cell: a mean of codes is no class.

    Told by the unit that the plugin gives them, else by the first raster of a covariate having
    class names or a colour for each value.
    """
    classes: dict[str, bool] = {}
    for one in bands:
        name = one.row.covariate
        if name not in classes:
            whole = one.band.dtype.startswith(("int", "uint"))
            classes[name] = one.band.units == CLASS_UNIT or (
                whole and holds_classes(one.raster.path, one.band.index)
            )
    changed = list(
        dict.fromkeys(
            one.row.covariate
            for one in bands
            if classes[one.row.covariate] and one.row.resampling != _NEAREST
        )
    )
    if changed:
        progress.info(f"Classes, so read by the nearest cell: {', '.join(changed)}.")
    return [
        replace(one, row=replace(one.row, resampling=_NEAREST))
        if one.row.covariate in changed
        else one
        for one in bands
    ]


def _kept(
    earlier: CovariateTable | None,
    bands: Sequence[ListedBand],
    groups: Sequence[tuple[str, str]],
    progress: Progress,
) -> list[CovariateRow]:
    """Return the earlier rows that new ones do not replace."""
    if earlier is None:
        return []
    new = {(_key(one.row.path), one.row.band) for one in bands}
    kept = []
    for row in earlier.rows:
        if (_key(row.path), row.band) in new:
            continue
        kept.append(replace(row, group=row.group or group_of(row.covariate, groups)))
    replaced = len(earlier.rows) - len(kept)
    progress.info(f"{len(kept)} rows kept, {replaced} replaced, {len(bands)} new or renewed.")
    return kept


def _key(path: str) -> str:
    return str(Path(path).resolve())
