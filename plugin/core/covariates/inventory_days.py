"""Days on which covariates are there, and days on which they are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from .rows import CovariateRow


@dataclass(frozen=True)
class Gap:
    """Days, both ends included, on which a covariate has no row within its tolerance."""

    covariate: str
    start: date
    end: date

    @property
    def days(self) -> int:
        """How many there are."""
        return (self.end - self.start).days + 1


def whole_period(rows: Sequence[CovariateRow]) -> tuple[date, date] | None:
    """Return the first and the last day that rows hold for; None where all are static."""
    starts = [row.start for row in rows if row.start]
    ends = [row.end for row in rows if row.end]
    return (min(starts), max(ends)) if starts and ends else None


def find_gaps(rows: Sequence[CovariateRow], period: tuple[date, date]) -> tuple[Gap, ...]:
    """Return the days of a period on which none of a covariate's rows is within its tolerance."""
    first, last = period[0].toordinal(), period[1].toordinal()
    gaps, free = [], first
    for start, stop in _reaches(rows):
        if start > free:
            gaps.append((free, min(start - 1, last)))
        free = max(free, stop + 1)
    if free <= last:
        gaps.append((free, last))
    return tuple(
        Gap(rows[0].covariate, date.fromordinal(start), date.fromordinal(stop))
        for start, stop in gaps
        if start <= stop
    )


def complete_days(
    covariates: Sequence[Sequence[CovariateRow]], period: tuple[date, date] | None
) -> int:
    """Count the days of a period on which every covariate has a row within its tolerance."""
    if period is None:
        return 0
    first = period[0].toordinal()
    complete = np.ones((period[1] - period[0]).days + 1, dtype=bool)
    for rows in covariates:
        for gap in find_gaps(rows, period):
            start = gap.start.toordinal() - first
            complete[start : start + gap.days] = False
    return int(complete.sum())


def _reaches(rows: Sequence[CovariateRow]) -> list[tuple[int, int]]:
    """Return the days, as ordinals, that rows serve with their tolerance, by start."""
    return sorted(
        (row.start.toordinal() - row.tolerance_days, row.end.toordinal() + row.tolerance_days)
        for row in rows
        if row.start and row.end
    )
