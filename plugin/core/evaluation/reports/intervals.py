"""What reports say of prediction intervals: coverage, width and margins."""

from __future__ import annotations

import numpy as np

from ...models.calibration import LEVELS, Calibration
from ...models.heldout import HeldOut
from ..by_station import station_means
from .figures import coverage_figure, width_figure
from .report import (
    UNIT,
    Html,
    count,
    gallery,
    join,
    number,
    paragraph,
    percent,
    picture,
    plural,
    table,
)

POINT_NOTE = (
    "An interval is a prediction interval for a probe reading at a point, not for the mean of the "
    "pixel."
)


def coverage(held: HeldOut, *, calibrated: bool) -> tuple[list[float], list[float]]:
    """Return the share of readings inside and the mean width of the interval of each level."""
    inside, width = [], []
    for level in LEVELS:
        low, high = held.bounds(level, calibrated=calibrated)
        inside.append(float(np.mean((low <= held.rows.y) & (held.rows.y <= high))))
        width.append(float(np.mean(high - low)))
    return inside, width


def station_coverage(held: HeldOut, level: float = 0.9) -> float | None:
    """Return the calibrated coverage of `level`, each station counting alike."""
    if held.calibrated is None:
        return None
    low, high = held.bounds(level)
    inside = ((low <= held.rows.y) & (held.rows.y <= high)).astype(float)
    return float(np.mean(list(station_means(inside, held.rows.station).values())))


def coverage_part(
    held: HeldOut, what: str, *, raw: bool = True, earlier: HeldOut | None = None
) -> Html:
    """Return nominal against observed coverage with widths, before and after calibration.

    Parameters
    ----------
    held : HeldOut
    what : str
        Which predictions these are.
    raw : bool
        Whether there are uncalibrated intervals (a forest without quantiles has none).
    earlier : HeldOut, optional
        The same rows predicted before spiking, whose calibrated intervals stand beside.
    """
    series: dict[str, tuple[list[float], list[float]]] = {}
    if raw:
        series["uncalibrated"] = coverage(held, calibrated=False)
    if held.calibrated is not None:
        series["calibrated"] = coverage(held, calibrated=True)
    if earlier is not None and earlier.calibrated is not None:
        series["before spiking"] = coverage(earlier, calibrated=True)
    if not series:
        return paragraph("The model has no prediction intervals: it was not calibrated.")
    rows = [
        [percent(level)]
        + [percent(inside[i]) for inside, _ in series.values()]
        + [number(width[i]) for _, width in series.values()]
        for i, level in enumerate(LEVELS)
    ]
    header = ["nominal", *[f"inside, {name}" for name in series]]
    header += [f"width, {name}" for name in series]
    mark = LEVELS.index(0.9)
    return join(
        gallery(
            picture(
                coverage_figure(LEVELS, {name: value[0] for name, value in series.items()}),
                f"Share of readings inside the interval, {what}. On the line it is as promised; "
                "below it intervals are too narrow.",
                f"Observed against nominal coverage, {what}",
            ),
            picture(
                width_figure(LEVELS, {name: value[1] for name, value in series.items()}),
                f"Mean width of the intervals, {what}. A line that leaves the figure: too few "
                "stations for a finite interval.",
                f"Width of the prediction intervals, {what}",
            ),
        ),
        table(
            header, rows, caption=f"{count(len(held))} rows, {what}; width in {UNIT}", marked=[mark]
        ),
    )


def margins_table(calibration: Calibration | None) -> Html:
    """Return the margins a model holds, and say which of them its maps use."""
    if calibration is None:
        return paragraph("The model holds no calibration: its intervals are the forest's own.")
    kinds = [
        (name, getattr(calibration, name))
        for name in ("station", "network", "spiked")
        if getattr(calibration, name) is not None
    ]
    shown = {
        "station": "new station of a known network",
        "network": "station of a new network",
        "spiked": "spiked field",
    }
    sizes = [margins.at(np.array(LEVELS)) for _, margins in kinds]
    rows = [
        [percent(level), *[number(size[i]) for size in sizes]] for i, level in enumerate(LEVELS)
    ]
    header = ["interval", *[shown[name] for name, _ in kinds]]
    stations = ", ".join(f"{shown[name]}: {plural(m.stations, 'station')}" for name, m in kinds)
    return join(
        paragraph(
            "Each bound of an interval is moved outwards by its margin. Maps of this model use the "
            f"margins for a {shown[calibration.applied]}. Resting on: {stations}. ∞: too few "
            "stations for a finite margin, the interval then ends at 0 and 1.",
        ),
        table(header, rows, caption=f"Margins in {UNIT}"),
    )
