"""The file of a covariate table: read, written, and the row for a day chosen."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Iterable, Sequence

from ..errors import InputError
from ..rasters.paths import check_local_path, refuse_remote
from ..rasters.writing import atomic_path
from .rows import COLUMNS, CovariateRow, check_names, check_periods, choose_row, parse_row


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

    def select(self, names: Sequence[str], day: date | None) -> dict[str, CovariateRow | None]:
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
    with (
        atomic_path(target) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
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


def _written_path(path: str, folder: Path) -> str:
    absolute = Path(path)
    for base, full in ((folder, absolute), (folder.resolve(), absolute.resolve())):
        try:
            return full.relative_to(base).as_posix()
        except ValueError:
            continue
    return str(absolute)
