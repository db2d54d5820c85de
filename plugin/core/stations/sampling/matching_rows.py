"""Which rows of a covariate table serve which observations, and how many days lie between."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from ...covariates.rows import CovariateRow, choose_row
from ...covariates.table import CovariateTable

_EPOCH = date(1970, 1, 1)
_FOREVER = 2**31


@dataclass(frozen=True)
class Serving:
    """A row of the covariate table, and the observations (n,) that it serves."""

    row: CovariateRow
    members: np.ndarray


@dataclass(frozen=True)
class Choice:
    """A day on which several rows of a covariate have the same claim.

    Either their periods overlap on that day, and the latest start is used; or they lie equally
    far before and after it, and the earlier is used.
    """

    day: date
    used: CovariateRow
    others: tuple[CovariateRow, ...]
    overlap: bool
    observations: int


@dataclass(frozen=True)
class Chosen:
    """The rows that serve observations.

    Parameters
    ----------
    serving : tuple of Serving
    served : bool (n, k)
        Which covariates have a row for which observation.
    shift : int16 (n, k)
        Days from the observation to the nearer end of the row's period, negative where the row
        is earlier; 0 where its period holds the day, where it is static and where there is none.
    several : int64 (k,)
        Observations for which more than one row lies within its tolerance.
    choices : tuple of Choice
    """

    serving: tuple[Serving, ...]
    served: np.ndarray
    shift: np.ndarray
    several: np.ndarray
    choices: tuple[Choice, ...]


def choose_rows(covariates: CovariateTable, days: np.ndarray, usable: np.ndarray) -> Chosen:
    """Choose for each usable observation the row of each covariate; see `choose_row`.

    Parameters
    ----------
    days : datetime64[D] (n,)
        NaT asks for static rows only.
    usable : bool (n,)
    """
    names = covariates.names
    served = np.zeros((len(days), len(names)), dtype=bool)
    shift = np.zeros((len(days), len(names)), dtype=np.int16)
    several = np.zeros(len(names), dtype=np.int64)
    serving: list[Serving] = []
    choices: list[Choice] = []
    by_name: dict[str, list[CovariateRow]] = {name: [] for name in names}
    for row in covariates.rows:
        by_name[row.covariate].append(row)
    groups = _by_day(days, usable)
    for column, name in enumerate(names):
        limits = _limits(by_name[name])
        asked: dict[CovariateRow, list[np.ndarray]] = {}
        for day, members in groups:
            near = [by_name[name][place] for place in _near(limits, day)]
            used = choose_row(near, day)
            if used is None:
                continue
            asked.setdefault(used, []).append(members)
            served[members, column] = True
            shift[members, column] = _shift(used, day)
            if len(near) > 1 and day is not None:
                several[column] += len(members)
                choices += _equal_claims(near, used, day, len(members))
        serving += [Serving(row, np.sort(np.concatenate(rows))) for row, rows in asked.items()]
    return Chosen(tuple(serving), served, shift, several, tuple(choices))


def _by_day(days: np.ndarray, usable: np.ndarray) -> list[tuple[date | None, np.ndarray]]:
    members = np.flatnonzero(usable)
    order = members[np.argsort(days[members], kind="stable")]
    unique, first = np.unique(days[order], return_index=True)
    return [
        (None if np.isnat(day) else date.fromisoformat(str(day)), rows)
        for day, rows in zip(unique, np.split(order, first[1:]))
    ]


def _limits(rows: list[CovariateRow]) -> np.ndarray:
    """Return first day, last day and tolerance of rows, int64 (3, rows)."""
    return np.array(
        [
            (-_FOREVER, _FOREVER, 0)
            if row.start is None or row.end is None
            else ((row.start - _EPOCH).days, (row.end - _EPOCH).days, row.tolerance_days)
            for row in rows
        ],
        dtype=np.int64,
    ).T


def _near(limits: np.ndarray, day: date | None) -> np.ndarray:
    """Return the places of the rows that may serve a day; all that are static without one."""
    if day is None:
        return np.flatnonzero(limits[0] == -_FOREVER)
    number = (day - _EPOCH).days
    return np.flatnonzero((limits[0] - limits[2] <= number) & (number <= limits[1] + limits[2]))


def _shift(row: CovariateRow, day: date | None) -> int:
    if day is None or row.start is None or row.end is None or row.holds(day):
        return 0
    return (row.start - day).days if row.start > day else (row.end - day).days


def _equal_claims(
    near: list[CovariateRow], used: CovariateRow, day: date, observations: int
) -> list[Choice]:
    apart = used.days_from(day)
    others = tuple(row for row in near if row is not used and row.days_from(day) == apart)
    return [Choice(day, used, others, used.holds(day), observations)] if others else []


def nearest_days(covariates: CovariateTable, name: str, days: np.ndarray) -> str:
    """Say which days the rows of a covariate show and which are asked for."""
    rows = [row for row in covariates.rows_of(name) if row.start and row.end]
    known = days[~np.isnat(days)]
    if not rows or not known.size:
        return ""
    first = min(row.start for row in rows if row.start)
    last = max(row.end for row in rows if row.end)
    return (
        f"'{name}' has rasters from {first} to {last}, the observations are from {known.min()} "
        f"to {known.max()}"
    )


def days_after(shift: np.ndarray, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the last day that is over and the last that counts, between image and observation.

    The days between are those after the earlier of the two, up to and including the later:
    on the earlier day itself it is not known what came first, rain or image.

    Examples
    --------
    >>> day = np.array(["2021-04-05", "2021-04-05"], "datetime64[D]")
    >>> before, last = days_after(np.array([-3, 2]), day)
    >>> [str(d) for d in before], [str(d) for d in last]
    (['2021-04-02', '2021-04-05'], ['2021-04-05', '2021-04-07'])
    """
    image = days + shift.astype("timedelta64[D]")
    return np.minimum(image, days), np.maximum(image, days)


def one_day(row: CovariateRow) -> bool:
    """Whether a row shows a single day."""
    return row.start is not None and row.end is not None and row.end - row.start < timedelta(1)
