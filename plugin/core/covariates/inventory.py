"""What a covariate table holds: covariates, days, grids and values, for its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from ..errors import PluginError
from ..progress import Progress
from ..rasters.grids import Grid
from ..rasters.reading import RasterInfo, geometry
from .classes import class_names
from .inventory_days import Gap, complete_days, find_gaps, whole_period
from .inventory_values import BandValues, look_at_bands, sampling_cost
from .rows import CovariateRow, listed
from .table_file import CovariateTable

LOOKED_CELLS = 400_000_000  # about how many cells of files are decoded to see values
_GIVEN_UP = 3  # rasters of a covariate named where many hold marks


@dataclass(frozen=True)
class CovariateFacts:
    """One covariate of the table.

    Parameters
    ----------
    name, group : str
    units : tuple of str
        All that its rows bear.
    rows : tuple of CovariateRow
        In the order of their periods.
    grids : tuple of int
        Places in `Inventory.grids`.
    looked : mapping of CovariateRow to BandValues
        Rows whose values were looked at.
    classes : mapping of int to str
        Names of its classes, where it holds any.
    gaps : tuple of Gap
        Days without a row within the tolerance, within the period of the table.
    """

    name: str
    group: str
    units: tuple[str, ...]
    rows: tuple[CovariateRow, ...]
    grids: tuple[int, ...]
    looked: Mapping[CovariateRow, BandValues] = field(default_factory=dict)
    classes: Mapping[int, str] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()

    @property
    def is_static(self) -> bool:
        """Whether it holds for every day."""
        return all(row.is_static for row in self.rows)

    @property
    def period(self) -> tuple[date, date] | None:
        """The first and the last day its rows hold for; None where it is static."""
        return whole_period(self.rows)

    @property
    def interval(self) -> float | None:
        """Median days from one row's start to the next; None below two dates."""
        starts = sorted({row.start.toordinal() for row in self.rows if row.start})
        return float(np.median(np.diff(starts))) if len(starts) > 1 else None

    @property
    def missing(self) -> float | None:
        """Mean share of cells without a value, 0–1, of the rows looked at."""
        shares = [values.missing for values in self.looked.values()]
        return float(np.mean(shares)) if shares else None

    @property
    def limits(self) -> tuple[float, float] | None:
        """Smallest and largest value seen."""
        known = [values for values in self.looked.values() if values.known]
        if not known:
            return None
        return min(one.minimum for one in known), max(one.maximum for one in known)

    @property
    def empty_rows(self) -> tuple[CovariateRow, ...]:
        """Rows looked at in which no cell had a value."""
        return tuple(row for row, values in self.looked.items() if not values.known)


@dataclass(frozen=True)
class Inventory:
    """What a covariate table holds.

    Parameters
    ----------
    covariates : tuple of CovariateFacts
        Dated and static, in the order of the table.
    grids : tuple of Grid
        Every grid on which a raster lies.
    period : tuple of date or None
        From the first to the last day of any dated row.
    complete_days : int
        Days of the period on which every dated covariate has a row within its tolerance.
    unread : tuple of str
        Rasters of the table that cannot be opened.
    """

    covariates: tuple[CovariateFacts, ...]
    grids: tuple[Grid, ...]
    period: tuple[date, date] | None
    complete_days: int
    unread: tuple[str, ...] = ()

    @property
    def dated(self) -> tuple[CovariateFacts, ...]:
        """The dated covariates."""
        return tuple(one for one in self.covariates if not one.is_static)

    @property
    def days(self) -> int:
        """Days of the period."""
        return (self.period[1] - self.period[0]).days + 1 if self.period else 0

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return sum(len(one.rows) for one in self.covariates)

    @property
    def looked(self) -> int:
        """Rows whose values were looked at."""
        return sum(len(one.looked) for one in self.covariates)


def take_inventory(
    table: CovariateTable,
    rasters: Mapping[str, RasterInfo],
    *,
    most_cells: int = LOOKED_CELLS,
    progress: Progress | None = None,
) -> Inventory:
    """Say what a table holds, with a bounded look at the values.

    Parameters
    ----------
    table : CovariateTable
    rasters : mapping of str to RasterInfo
        Rasters that have been opened already, by path; the others are opened.
    most_cells : int
        About how many cells of files may be decoded: where the rasters have more, a part of each
        covariate's rows is looked at, spread evenly over time, and always one.
    progress : Progress, optional
        Hears of rasters that cannot be opened, and of values that look like undeclared marks of
        missing cells.
    """
    progress = progress or Progress()
    grids, unread = _grids(table, rasters, progress)
    if unread:
        progress.warn(f"{len(unread)} rasters cannot be opened: {listed(list(unread.values()))}.")
    looked = _look(table, grids, most_cells, progress)
    places = {grid: place for place, grid in enumerate(dict.fromkeys(grids.values()))}
    period = whole_period(table.rows)
    covariates = tuple(
        _facts(name, rows, grids, places, looked, period)
        for name, rows in _rows_by_name(table).items()
    )
    _warn_of_values(covariates, progress)
    dated = [one.rows for one in covariates if not one.is_static]
    return Inventory(
        covariates=covariates,
        grids=tuple(places),
        period=period,
        complete_days=complete_days(dated, period),
        unread=tuple(unread.values()),
    )


def spread_order(count: int) -> Iterator[int]:
    """Yield 0 … count − 1 so that any first part of them is spread evenly: ends, middle, quarters.

    Examples
    --------
    >>> list(spread_order(6))
    [0, 5, 2, 1, 3, 4]
    """
    seen: set[int] = set()
    parts = 1
    while len(seen) < count:
        for part in range(parts + 1):
            place = (count - 1) * part // parts
            if place not in seen:
                seen.add(place)
                yield place
        parts *= 2


def _rows_by_name(table: CovariateTable) -> dict[str, list[CovariateRow]]:
    found: dict[str, list[CovariateRow]] = {}
    for row in table.rows:
        found.setdefault(row.covariate, []).append(row)
    for rows in found.values():
        rows.sort(key=lambda row: (row.start or date.min, row.end or date.min))
    return found


def _grids(
    table: CovariateTable, rasters: Mapping[str, RasterInfo], progress: Progress
) -> tuple[dict[str, Grid], dict[str, str]]:
    """Return the grid of each path, and why others cannot be opened."""
    grids: dict[str, Grid] = {}
    unread: dict[str, str] = {}
    paths = dict.fromkeys(row.path for row in table.rows)
    for done, path in enumerate(paths):
        progress.step(0.2 * done / len(paths))
        if path in rasters:
            grids[path] = rasters[path].grid
            continue
        try:
            grids[path] = geometry(path)
        except PluginError as error:
            unread[path] = error.cause
    return grids, unread


def _look(
    table: CovariateTable, grids: Mapping[str, Grid], most_cells: int, progress: Progress
) -> dict[CovariateRow, BandValues]:
    """Look at values of rows, covariate by covariate in turn, until the cells are used up."""
    chosen = _choose(table, grids, most_cells)
    by_path: dict[str, list[CovariateRow]] = {}
    for row in chosen:
        by_path.setdefault(row.path, []).append(row)
    found: dict[CovariateRow, BandValues] = {}
    marks = _Marks(progress)
    for done, (path, rows) in enumerate(by_path.items()):
        progress.step(0.2 + 0.8 * done / len(by_path))
        bands = sorted({row.band for row in rows})
        values = dict(zip(bands, look_at_bands(path, bands, marks)))
        found.update({row: values[row.band] for row in rows})
    marks.tell()
    return found


def _choose(
    table: CovariateTable, grids: Mapping[str, Grid], most_cells: int
) -> list[CovariateRow]:
    turns = [
        (rows, spread_order(len(rows)))
        for rows in (
            [row for row in all_rows if row.path in grids]
            for all_rows in _rows_by_name(table).values()
        )
        if rows
    ]
    chosen: list[CovariateRow] = []
    cells, first_round = 0, True
    while turns:
        left = []
        for rows, order in turns:
            place = next(order, None)
            if place is None:
                continue
            cost = sampling_cost(grids[rows[place].path])
            if not first_round and cells + cost > most_cells:
                return chosen
            cells += cost
            chosen.append(rows[place])
            left.append((rows, order))
        turns, first_round = left, False
    return chosen


class _Marks(Progress):
    """Keeps what readers say of undeclared marks, so that a long series does not say it often."""

    def __init__(self, passed_to: Progress) -> None:
        self._passed_to = passed_to
        self._texts: list[str] = []

    @property
    def cancelled(self) -> bool:
        return self._passed_to.cancelled

    def warn(self, text: str) -> None:
        self._texts.append(text)

    def tell(self) -> None:
        for text in self._texts[:_GIVEN_UP]:
            self._passed_to.warn(text)
        if len(self._texts) > _GIVEN_UP:
            more = len(self._texts) - _GIVEN_UP
            self._passed_to.warn(f"{more} further bands hold undeclared marks of missing cells.")


def _facts(
    name: str,
    rows: Sequence[CovariateRow],
    grids: Mapping[str, Grid],
    places: Mapping[Grid, int],
    looked: Mapping[CovariateRow, BandValues],
    period: tuple[date, date] | None,
) -> CovariateFacts:
    static = all(row.is_static for row in rows)
    seen = {row: looked[row] for row in rows if row in looked}
    used = sorted({places[grids[row.path]] for row in rows if row.path in grids})
    first = next((row for row in rows if row.path in grids), None)
    return CovariateFacts(
        name=name,
        group=rows[0].group,
        units=tuple(dict.fromkeys(row.units for row in rows)),
        rows=tuple(rows),
        grids=tuple(used),
        looked=seen,
        classes=class_names(first.path, first.band) if first else {},
        gaps=() if static or period is None else find_gaps(rows, period),
    )


def _warn_of_values(covariates: Sequence[CovariateFacts], progress: Progress) -> None:
    for one in covariates:
        marked = {row: values.mark for row, values in one.looked.items() if values.mark}
        if marked and not one.classes:
            (row, (value, count)), *others = marked.items()
            more = f" and {len(others)} more rasters" if others else ""
            progress.warn(
                f"{one.name} holds {value:g} in {count} of the cells looked at, far from all its "
                f"other values ({_where(row)}{more}): is it an undeclared mark of missing cells? "
                "Then set the raster's nodata value."
            )
        if one.empty_rows:
            progress.warn(
                f"{one.name}: no value in {len(one.empty_rows)} of the {len(one.looked)} rasters "
                f"looked at ({listed([_where(row) for row in one.empty_rows])})."
            )


def _where(row: CovariateRow) -> str:
    return row.start.isoformat() if row.start else Path(row.path).name
