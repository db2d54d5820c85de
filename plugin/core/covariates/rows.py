"""One row of a covariate table: a band, the days it shows, and the rules rows must keep."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Sequence

from ..errors import InputError
from ..rasters.names import RESERVED_NAMES
from ..rasters.paths import refuse_remote
from ..rasters.warping import RESAMPLINGS

COLUMNS = (
    "covariate",
    "group",
    "path",
    "band",
    "start",
    "end",
    "resampling",
    "tolerance_days",
    "units",
)
_LISTED = 10  # problems named in one message


@dataclass(frozen=True)
class CovariateRow:
    """One band of the table. `start` and `end` are inclusive, both None for a static band."""

    covariate: str
    group: str
    path: str
    band: int
    start: date | None
    end: date | None
    resampling: str
    tolerance_days: int
    units: str

    @property
    def is_static(self) -> bool:
        """Whether the band holds for every day."""
        return self.start is None

    def holds(self, day: date) -> bool:
        """Whether the row's period holds a day."""
        return self.start is not None and self.end is not None and self.start <= day <= self.end

    def days_from(self, day: date) -> int:
        """Return the days from a day to the nearer end of the period, 0 inside."""
        if self.start is None or self.end is None or self.holds(day):
            return 0
        return min(abs((self.start - day).days), abs((day - self.end).days))

    def describe(self) -> str:
        """Say covariate, period and place in one line."""
        period = "static" if self.start is None else f"{self.start} to {self.end}"
        return f"{self.covariate}, {period}: {self.path}, band {self.band}"


def choose_row(rows: Sequence[CovariateRow], day: date | None) -> CovariateRow | None:
    """Choose among the rows of one covariate; see `CovariateTable.select`."""
    for row in rows:
        if row.is_static:
            return row
    if day is None:
        return None
    holding = [row for row in rows if row.holds(day)]
    if holding:
        latest = max(_start(row) for row in holding)
        return min((row for row in holding if row.start == latest), key=_end)
    near = [row for row in rows if row.days_from(day) <= row.tolerance_days]
    return min(near, key=lambda row: (row.days_from(day), _start(row)), default=None)


def parse_row(record: dict[str, str], folder: Path, where: str) -> CovariateRow:
    """Read one record of the file; relative paths count from `folder`."""
    cells = {name: (record.get(name) or "").strip() for name in COLUMNS}
    if not cells["covariate"]:
        raise InputError(f"The covariate in {where} is empty.", "Name it.")
    path = Path(refuse_remote(cells["path"]))
    start, end = (_parse_date(cells[name], name, where) for name in ("start", "end"))
    if (start is None) != (end is None) or (start and end and end < start):
        raise InputError(
            f"The period '{cells['start']}' to '{cells['end']}' in {where} is not one.",
            "Give start and end, both or neither, start first.",
        )
    resampling = cells["resampling"].lower() or "bilinear"
    if resampling not in RESAMPLINGS:
        raise InputError(
            f"The resampling '{cells['resampling']}' in {where} is unknown.",
            f"Use one of {', '.join(RESAMPLINGS)}.",
        )
    return CovariateRow(
        covariate=cells["covariate"],
        group=cells["group"],
        path=str(path if path.is_absolute() else folder / path),
        band=_parse_whole(cells["band"] or "1", "band", where, 1),
        start=start,
        end=end,
        resampling=resampling,
        tolerance_days=_parse_whole(cells["tolerance_days"] or "0", "tolerance_days", where, 0),
        units=cells["units"],
    )


def _parse_date(text: str, column: str, where: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"The {column} '{text}' in {where} is not a date.", "Write it as 2021-04-01."
        ) from error


def _parse_whole(text: str, column: str, where: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise InputError(
            f"The {column} '{text}' in {where} is not a whole number from {least} on.",
            "Put it right in the table.",
        )
    return number


def check_names(names: Sequence[str]) -> None:
    """Raise where a name is forbidden, or differs from another only in case."""
    forbidden = [name for name in names if name.lower() in RESERVED_NAMES or not name.strip()]
    if forbidden:
        raise InputError(
            f"Covariates may not be called {listed(forbidden)}.",
            f"These names belong to the tables: {', '.join(RESERVED_NAMES)}. "
            "Rename the band or the file.",
        )
    counts = Counter(name.lower() for name in names)
    alike = [name for name in names if counts[name.lower()] > 1]
    if alike:
        raise InputError(
            f"Covariates whose names differ only in case: {listed(alike)}.",
            "Rename one of them.",
        )


def check_periods(rows: Sequence[CovariateRow]) -> None:
    """Raise where rows of one covariate share a period, or mix static and dated."""
    periods: dict[tuple[str, date | None, date | None], list[CovariateRow]] = {}
    kinds: dict[str, set[bool]] = {}
    for row in rows:
        periods.setdefault((row.covariate, row.start, row.end), []).append(row)
        kinds.setdefault(row.covariate, set()).add(row.is_static)
    twice = [row.describe() for same in periods.values() if len(same) > 1 for row in same]
    if twice:
        raise InputError(
            f"The same covariate is given twice for the same period: {listed(twice)}.",
            "Keep one of them; mosaic tiles first (Raster, Miscellaneous, Merge).",
        )
    mixed = {name for name, kind in kinds.items() if len(kind) > 1}
    both = [row.describe() for row in rows if row.covariate in mixed]
    if both:
        raise InputError(
            f"Static and dated rows of one covariate: {listed(both)}.",
            "Give it either as static or as dynamic rasters, or rename one.",
        )


def listed(items: Sequence[str]) -> str:
    """Join the first items of a list, and say how many more there are."""
    more = len(items) - _LISTED
    return "; ".join(items[:_LISTED]) + (f"; and {more} more" if more > 0 else "")


def _start(row: CovariateRow) -> date:
    return row.start or date.min


def _end(row: CovariateRow) -> date:
    return row.end or date.max
