"""Rain between an image and a reading: the image then shows another soil than the probe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...covariates.rows import CovariateRow
from ...covariates.table import CovariateTable
from ...errors import InputError
from ...progress import Progress
from .matching_rows import Chosen, days_after, one_day
from .matching_values import FileValues, Places, group_by_file, read_files

DEFAULT_MAX = 2.0

_ROUNDING = 1e-6  # of sums of float32 readings, mm
_MILLIMETRES = frozenset({"", "mm", "mm/d", "mm/day", "mm d-1", "mm day-1", "kg m-2", "kg/m2"})


@dataclass(frozen=True)
class RainRule:
    """Refuse a match where rain fell between image and observation.

    Parameters
    ----------
    covariate : str
        Of the covariate table, with a row for each day: precipitation of the day, mm.
    most : float
        mm; a larger sum refuses the match.
    only : tuple of str
        Groups or names of the covariates it holds for; empty = every dated one but the rain.
    """

    covariate: str
    most: float = DEFAULT_MAX
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusals:
    """What the rule says.

    Parameters
    ----------
    refused : bool (n, k)
    unknown : bool (n, k)
        Kept though the rain of some day between is not known.
    applies : tuple of str
        Covariates it was applied to.
    """

    refused: np.ndarray
    unknown: np.ndarray
    applies: tuple[str, ...]


def refuse_rained(
    covariates: CovariateTable,
    chosen: Chosen,
    days: np.ndarray,
    places: Places,
    rule: RainRule,
    *,
    threads: int = 1,
    progress: Progress,
) -> Refusals:
    """Return which matches the rule refuses.

    Summed are the days after the earlier of image and observation, up to and including the later
    *(own choice)*: the earlier day itself does not count, since its rain may have come first. An
    image of the day itself is never refused. Days without a reading of rain count as dry, and
    are told.

    Raises
    ------
    InputError
        When the covariate is not in the table or has no row for single days, or a name of
        `only` is neither a group nor a covariate.
    """
    daily = _daily_rows(covariates, rule.covariate, progress)
    applies = _applies(covariates, rule)
    columns = [covariates.names.index(name) for name in applies]
    asked = chosen.served[:, columns] & (chosen.shift[:, columns] != 0)
    refused = np.zeros(chosen.served.shape, dtype=bool)
    unknown = np.zeros(chosen.served.shape, dtype=bool)
    rows, parts = np.nonzero(asked)
    if not rows.size:
        return Refusals(refused, unknown, applies)
    at = np.array(columns)[parts]
    before, last = days_after(chosen.shift[rows, at], days[rows])
    needed = _days_needed(before, last)
    fallen = _read_rain(covariates, daily, needed, places, threads, progress)
    place = places.of_row[rows]
    low, high = np.searchsorted(needed, before, "right"), np.searchsorted(needed, last, "right")
    wet, unread = _running(np.nan_to_num(fallen)), _running(np.isnan(fallen).astype(np.float64))
    total = wet[place, high] - wet[place, low]
    too_wet = total > rule.most + _ROUNDING
    refused[rows, at] = too_wet
    unknown[rows, at] = ~too_wet & (unread[place, high] > unread[place, low])
    return Refusals(refused, unknown, applies)


def _daily_rows(
    covariates: CovariateTable, name: str, progress: Progress
) -> dict[np.datetime64, CovariateRow]:
    rows = covariates.rows_of(name)
    if not rows:
        raise InputError(
            f"RAIN: the covariate table has no '{name}'.",
            f"It has {', '.join(covariates.names)}.",
        )
    wrong = [row for row in rows if not one_day(row)]
    if wrong:
        raise InputError(
            f"RAIN: '{name}' has rows that do not show one day each ({wrong[0].describe()}).",
            "Give the rain of each day as a dated raster.",
        )
    units = sorted({row.units for row in rows if row.units.strip().lower() not in _MILLIMETRES})
    if units:
        progress.warn(f"RAIN: '{name}' is in '{units[0]}', but RAIN_MAX is in mm.")
    return {np.datetime64(row.start, "D"): row for row in rows}


def _applies(covariates: CovariateTable, rule: RainRule) -> tuple[str, ...]:
    """Return the covariates the rule holds for."""
    dated = {row.covariate: row.group for row in covariates.rows if not row.is_static}
    dated.pop(rule.covariate, None)
    if not rule.only:
        return tuple(name for name in covariates.names if name in dated)
    unknown = [one for one in rule.only if one not in dated and one not in dated.values()]
    if unknown:
        groups = sorted(set(dated.values()) - {""})
        raise InputError(
            f"RAIN_GROUPS names {', '.join(unknown)}, which is neither a group nor the name of "
            "dated covariates.",
            f"The groups are {', '.join(groups) or 'none'}, the dated covariates "
            f"{', '.join(dated) or 'none'}.",
        )
    return tuple(
        name
        for name in covariates.names
        if name in dated and (name in rule.only or dated[name] in rule.only)
    )


def _days_needed(before: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return all days between, each once."""
    pairs = np.unique(np.column_stack([before.astype(np.int64), last.astype(np.int64)]), axis=0)
    days = {day for first, end in pairs.tolist() for day in range(first + 1, end + 1)}
    return np.array(sorted(days), dtype="datetime64[D]")


def _read_rain(
    covariates: CovariateTable,
    daily: dict[np.datetime64, CovariateRow],
    needed: np.ndarray,
    places: Places,
    threads: int,
    progress: Progress,
) -> np.ndarray:
    """Return the rain of each place (m) on each day needed (d), float64 (m, d), NaN missing."""
    fallen = np.full((len(places.points), len(needed)), np.nan)
    everywhere = Places(places.points, np.arange(len(places.points)))
    members = everywhere.of_row
    column = {row: place for place, day in enumerate(needed) if (row := daily.get(day)) is not None}
    requests = group_by_file((covariates.path_of(row), row, "nearest", members) for row in column)

    def take(found: FileValues) -> None:
        for row, values in zip(found.request.rows, found.values):
            fallen[:, column[row]] = values

    read_files(requests, everywhere, take, threads=threads, progress=progress)
    return fallen


def _running(values: np.ndarray) -> np.ndarray:
    """Return running sums along the days, beginning with 0, (m, d + 1)."""
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
