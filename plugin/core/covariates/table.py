"""The covariate table: which band of which raster shows a covariate on which days."""

from __future__ import annotations

import csv
import fnmatch
import io
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Iterable, Sequence

from ..errors import InputError
from ..progress import Progress
from ..rasters.paths import check_local_path, refuse_remote
from ..rasters.reading import BandInfo, RasterInfo, describe_raster
from ..rasters.warping import RESAMPLINGS
from ..rasters.writing import atomic_path
from .rows import (
    COLUMNS,
    CovariateRow,
    check_names,
    check_periods,
    choose_row,
    listed,
    parse_row,
)


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
class CovariateTable:
    """The rows of a covariate table and the folder that relative paths count from.

    Paths of the rows are absolute once read.
    """

    rows: tuple[CovariateRow, ...]
    folder: Path

    @property
    def names(self) -> tuple[str, ...]:
        """The covariates, in the order of their first rows."""
        return tuple(dict.fromkeys(row.covariate for row in self.rows))

    def rows_of(self, name: str) -> tuple[CovariateRow, ...]:
        """Return the rows of a covariate."""
        return tuple(row for row in self.rows if row.covariate == name)

    def path_of(self, row: CovariateRow) -> Path:
        """Return the checked path of a row's raster; see `check_local_path`."""
        path = Path(refuse_remote(row.path))
        return check_local_path(path if path.is_absolute() else self.folder / path)

    def is_static(self, name: str) -> bool:
        """Whether a covariate holds for every day."""
        rows = self.rows_of(name)
        return bool(rows) and all(row.is_static for row in rows)

    def select(
        self, names: Sequence[str], day: date | None
    ) -> dict[str, CovariateRow | None]:
        """Choose the row of each covariate for a day.

        Of several rows whose period holds the day, the latest start; else the row whose nearer
        end is fewest days away, within its own tolerance, the earlier on a tie; else None. Static
        rows hold always; without a day, only they do.
        """
        by_name: dict[str, list[CovariateRow]] = {name: [] for name in names}
        for row in self.rows:
            if row.covariate in by_name:
                by_name[row.covariate].append(row)
        return {name: choose_row(rows, day) for name, rows in by_name.items()}

    def nearest_date(self, name: str, day: date) -> date | None:
        """Return the day nearest to `day` on which a covariate has a band, or None."""
        nearest = None
        for row in self.rows_of(name):
            if row.start is None or row.end is None:
                continue
            candidate = min(max(day, row.start), row.end)
            if nearest is None or abs((candidate - day).days) < abs((nearest - day).days):
                nearest = candidate
        return nearest

    def check(self, names: Iterable[str] | None = None) -> None:
        """Raise where covariates (all, or those named) are ambiguous or have forbidden names."""
        wanted = set(self.names if names is None else names)
        rows = [row for row in self.rows if row.covariate in wanted]
        check_names(sorted({row.covariate for row in rows}))
        check_periods(rows)


def read_table(path: str | Path) -> CovariateTable:
    """Read a covariate table.

    Paths are made absolute. URLs, ``/vsi…``, driver prefixes and inline XML are refused here;
    whether a file is there is asked when it is used, and so are ambiguous rows
    (:meth:`CovariateTable.check`), so that covariates nobody uses do no harm.

    Raises
    ------
    InputError
        For a file that is no covariate table, and for a cell that cannot be read: named by line
        and column.
    """
    file = Path(path).absolute()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The covariate table '{path}' cannot be read ({error}).", "Check the path."
        ) from error
    header = text.partition("\n")[0]
    delimiter = ";" if header.count(";") > header.count(",") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    missing = [name for name in COLUMNS[:4] if name not in (reader.fieldnames or [])]
    if missing:
        raise InputError(
            f"'{file.name}' is no covariate table: it has no column {', '.join(missing)}.",
            "Make one with the algorithm 'covariatetable'.",
        )
    rows = [
        parse_row(record, file.parent, f"line {reader.line_num} of '{file.name}'")
        for record in reader
        if any((value or "").strip() for key, value in record.items() if key)
    ]
    return CovariateTable(tuple(rows), file.parent)


def write_table(table: CovariateTable, path: str | Path) -> None:
    """Write a covariate table; paths in its folder or below become relative."""
    target = Path(path).absolute()
    with atomic_path(target) as temporary, temporary.open(
        "w", encoding="utf-8", newline=""
    ) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in table.rows:
            writer.writerow(
                [
                    row.covariate,
                    row.group,
                    _written_path(row.path, target.parent),
                    row.band,
                    row.start.isoformat() if row.start else "",
                    row.end.isoformat() if row.end else "",
                    row.resampling,
                    "" if row.is_static else row.tolerance_days,
                    row.units,
                ]
            )


def build_table(
    static: Sequence[RasterInput],
    dynamic: Sequence[RasterInput],
    *,
    append_to: CovariateTable | None = None,
    tolerance_days: int = 6,
    resampling: str = "bilinear",
    groups: Sequence[tuple[str, str]] = (),
    output: str | Path,
    progress: Progress | None = None,
) -> CovariateTable:
    """Describe rasters as a covariate table and write it.

    Parameters
    ----------
    static, dynamic : sequences of RasterInput
        Rasters that hold always, and rasters of a day each.
    append_to : CovariateTable, optional
        An earlier table; its rows with the same path and band are replaced.
    tolerance_days : int
        How many days a dated band may lie from the day asked for.
    resampling : {"nearest", "bilinear", "cubic", "average"}
        How the new rows are brought to another grid.
    groups : sequence of (pattern, group)
        Shell patterns (``VV*``) of covariate names; the first that fits gives the group.
    output : path
        The ``.csv``.

    Raises
    ------
    InputError
        For dynamic rasters without a date, and for ambiguous or forbidden names; all are listed.
    """
    progress = progress or Progress()
    if resampling not in RESAMPLINGS:
        raise InputError(
            f"The resampling '{resampling}' is unknown.", f"Use one of {', '.join(RESAMPLINGS)}."
        )
    rows: list[CovariateRow] = []
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
            group = _group_of(band.name, groups)
            rows.append(_row(info, band, group, resampling, tolerance_days))
    if undated:
        raise InputError(
            f"Dynamic rasters without a date: {listed(undated)}.",
            "Put the date into the file name (smap_20210401.tif) or the band description, give "
            "the layer a fixed temporal range, or add the raster as static.",
        )
    table = CovariateTable(
        _appended(append_to, rows, groups, progress), Path(output).absolute().parent
    )
    if not table.rows:
        raise InputError("The covariate table would be empty.", "Add a raster.")
    table.check()
    write_table(table, output)
    return table


def parse_groups(text: str) -> list[tuple[str, str]]:
    """Read lines ``pattern=group``; empty lines are skipped."""
    pairs = []
    for line in text.replace(";", "\n").splitlines():
        if not line.strip():
            continue
        pattern, sign, group = line.partition("=")
        if not sign or not pattern.strip() or not group.strip():
            raise InputError(
                f"The line '{line.strip()}' of the groups is not 'pattern=group'.",
                "Write for example VV*=sentinel1.",
            )
        pairs.append((pattern.strip(), group.strip()))
    return pairs


def days_between(start: date, end: date, step: int = 1) -> list[date]:
    """Return the days from `start` to `end`, both included, every `step` days."""
    if end < start:
        raise InputError(f"The end {end} lies before the start {start}.", "Swap them.")
    if step < 1:
        raise InputError(f"A step of {step} days leads nowhere.", "Give 1 or more.")
    return [start + timedelta(days=shift) for shift in range(0, (end - start).days + 1, step)]


def _row(
    info: RasterInfo, band: BandInfo, group: str, resampling: str, tolerance: int
) -> CovariateRow:
    return CovariateRow(
        covariate=band.name,
        group=group,
        path=str(info.path),
        band=band.index,
        start=band.date,
        end=band.end,
        resampling=resampling,
        tolerance_days=0 if band.date is None else tolerance,
        units=band.units,
    )


def _group_of(name: str, groups: Sequence[tuple[str, str]]) -> str:
    for pattern, group in groups:
        if fnmatch.fnmatchcase(name, pattern):
            return group
    return ""


def _appended(
    earlier: CovariateTable | None,
    rows: Sequence[CovariateRow],
    groups: Sequence[tuple[str, str]],
    progress: Progress,
) -> tuple[CovariateRow, ...]:
    """Put new rows behind the earlier ones that they do not replace."""
    if earlier is None:
        return tuple(rows)
    new = {(_key(row.path), row.band) for row in rows}
    kept = []
    for row in earlier.rows:
        if (_key(row.path), row.band) in new:
            continue
        group = row.group or _group_of(row.covariate, groups)
        kept.append(replace(row, group=group))
    replaced = len(earlier.rows) - len(kept)
    progress.info(f"{len(kept)} rows kept, {replaced} replaced, {len(rows)} new or renewed.")
    return (*kept, *rows)


def _key(path: str) -> str:
    return str(Path(path).resolve())


def _written_path(path: str, folder: Path) -> str:
    absolute = Path(path)
    for base, full in ((folder, absolute), (folder.resolve(), absolute.resolve())):
        try:
            return full.relative_to(base).as_posix()
        except ValueError:
            continue
    return str(absolute)


