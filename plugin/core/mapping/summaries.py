"""What a run of maps found: coverage, mean, spread, and what the user should hear."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Sequence

from ..progress import Progress
from ..rasters.writing import atomic_path
from .blocks import Tally

_MOST_LISTED = 8


@dataclass(frozen=True)
class MapSummary:
    """What a map holds.

    `coverage` is the share of the `cells` inside the mask that have a value; `mean` and `sd` are
    over the cells of the band moisture_mean, NaN where there is none.
    """

    day: date
    coverage: float
    mean: float
    sd: float
    cells: int


def summarize(day: date, tally: Tally) -> MapSummary:
    """Return what a day's counts say."""
    return MapSummary(day, tally.coverage, tally.mean, tally.sd, tally.cells)


def report_tallies(tallies: Sequence[Tally], progress: Progress) -> None:
    """Say what share is covered, what is missing and which covariates are beyond their ranges."""
    total = Tally()
    for tally in tallies:
        total.add(tally)
    progress.info(f"{total.coverage:.1%} of {total.cells} pixels have a value.")
    if total.fallback:
        progress.info(f"{total.fallback / total.cells:.1%} come from the fallback model.")
    if total.first_missing:
        listed = ", ".join(
            f"{name} {count / total.cells:.1%}" for name, count in total.first_missing.items()
        )
        text = f"Without a value, by the first covariate that is missing: {listed}."
        (progress.info if total.predicted else progress.warn)(
            text if total.predicted else f"No pixel has a value. {text}"
        )
    if total.outside_range:
        found = sorted(total.outside_range.items(), key=lambda item: -item[1])
        listed = ", ".join(
            f"{name} {_share(count / total.predicted)}" for name, count in found[:_MOST_LISTED]
        )
        more = len(found) - _MOST_LISTED
        progress.warn(
            "Outside the range of the training rows, share of the mapped pixels: "
            f"{listed}{f' and {more} more covariates' if more > 0 else ''}. "
            "A forest does not extrapolate: it repeats what it knows at the edge of the range."
        )


def _share(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "below 0.1%"


def write_summary(
    days: Sequence[date], summaries: dict[date, MapSummary], output: str | Path
) -> None:
    """Write date, coverage, mean and sd of each day asked for; days left out cover nothing."""
    with atomic_path(output) as temporary, temporary.open(
        "w", encoding="utf-8", newline=""
    ) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["date", "coverage", "mean", "sd"])
        for day in days:
            found = summaries.get(day)
            cells = (found.coverage, found.mean, found.sd) if found else (0.0, math.nan, math.nan)
            writer.writerow(
                [day.isoformat(), *("" if math.isnan(cell) else f"{cell:.6f}" for cell in cells)]
            )
