"""Parts of the validation report about certainty and time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ...models.heldout import HeldOut
from ...stations.rows import TrainingRows
from ..bootstrap import DRAWS, FEWEST_STATIONS, ScoreInterval, score_intervals
from ..groups import groupings
from ..metrics import Row, interval_scores, natural_order, score
from ..validation import ValidationResult, shared_rows
from .report import (
    UNIT,
    Html,
    count,
    folded,
    gallery,
    number,
    paragraph,
    percent,
    picture,
    section,
    table,
)
from .station_figures import Series, month_figure, series_figure

_ERRORS = {
    "me": "ME",
    "rmse": "RMSE",
    "ubrmse": "ubRMSE",
    "mae": "MAE",
}
_AGREEMENT = {
    "r2": "R²",
    "r": "r",
    "slope": "slope",
    "anomaly_r": "anomaly r",
}
_CERTAINTY = {"picp90": "inside 90\u202f%", "interval_score90": "interval score"}
_TABLES = {
    f"Errors in {UNIT}": _ERRORS,
    "Agreement": _AGREEMENT,
    f"90\u202f% interval; its score in {UNIT}": _CERTAINTY,
}
_MONTHLY = {
    "n": "n",
    "stations": "stations",
    "me": "ME",
    "rmse": "RMSE",
    "ubrmse": "ubRMSE",
    "picp90": "inside 90\u202f%",
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITLESS = ("r2", "r", "slope", "anomaly_r")
_FEWEST_DATES = 5
_MOST_SERIES = 24
_FIRST_SERIES = 6
_FEWEST_MONTHS = 3
_MOST_MONTHS = 24


def certainty_section(result: ValidationResult) -> Html:
    """Return the scores with 95 % intervals from drawing stations, overall and by group."""
    listed: dict[str, list[list[str]]] = {}
    for name, rows in _groups(result.held.rows):
        held = result.held.take(rows)
        found = _intervals(held)
        if found:
            first = [name, count(len(held)), count(len(set(held.rows.station.astype(str))))]
            scores = _scores(held)
            for caption, kinds in _TABLES.items():
                line = [*first, *_cells(scores, found, kinds)]
                listed.setdefault(caption, []).append(line)
    if not listed:
        text = f"With fewer than {FEWEST_STATIONS} stations no interval can be given."
        return section("How certain the scores are", paragraph(text))
    return section(
        "How certain the scores are",
        paragraph(
            f"Scores of the model with 95 % intervals: stations are drawn with replacement "
            f"{count(DRAWS)} times, each with all its rows (percentile bootstrap by station), in "
            f"groups of {FEWEST_STATIONS} stations or more. Stations near each other share weather "
            "and soil, so the true uncertainty is larger.",
            kind="small",
        ),
        *(
            table(["rows", "n", "stations", *_TABLES[caption].values()], lines, caption=caption)
            for caption, lines in listed.items()
        ),
    )


def series_section(result: ValidationResult) -> Html:
    """Return measured and predicted moisture of each station over time."""
    listed = [one for one in _series(result) if len(one.date) >= _FEWEST_DATES]
    if not listed:
        return Html("")
    name = result.baseline_name or "baseline"
    first = _spread(listed, _FIRST_SERIES)
    text = (
        "Measured and predicted soil moisture; the ribbon is the calibrated 90 % interval. Where a "
        "station has several readings on a day, their predictions are averaged."
    )
    alternative = "Time series of measured and predicted soil moisture by station"
    more = Html("")
    if len(first) < len(listed):
        text += f" {len(first)} of {len(listed)} stations, from the smallest RMSE to the largest."
        rest = [one for one in listed if one not in first]
        others = _spread(rest, _MOST_SERIES)
        more = folded(
            f"More stations ({len(others)} of the other {len(rest)})",
            picture(series_figure(others, name), "The other stations.", alternative),
        )
    figure = picture(series_figure(first, name), text, alternative)
    return section("Stations over time", figure, more)


def _spread(series: Sequence[Series], most: int) -> list[Series]:
    """Return all series, or `most` of them spread evenly from the smallest RMSE to the largest."""
    if len(series) <= most:
        return list(series)
    order = sorted(series, key=lambda one: one.rmse)
    return [order[i] for i in np.linspace(0, len(order) - 1, most).round().astype(int)]


def months_section(result: ValidationResult) -> Html:
    """Return bias and RMSE of model and baseline month by month."""
    sides = {"model": result.held}
    shared = shared_rows(result)
    if shared is not None:
        sides[result.baseline_name] = shared[1]
    found = {name: monthly_scores(held) for name, held in sides.items()}
    months = [month for month, _ in found["model"]]
    if len(months) < _FEWEST_MONTHS:
        return Html("")
    lines: list[list[str]] = []
    starts = []
    for month in months:
        starts.append(len(lines))
        for name, rows in found.items():
            row = dict(rows).get(month)
            if row is not None:
                first = month if name == "model" else ""
                lines.append([first, name, *[_month_cell(row, key) for key in _MONTHLY]])
    figures = [
        picture(
            month_figure(
                months,
                {name: _by_month(rows, months, key) for name, rows in found.items()},
                f"{_MONTHLY[key]} ({UNIT})",
            ),
            f"{_MONTHLY[key]} by month, all readings of the month.",
            f"{_MONTHLY[key]} by month",
        )
        for key in ("me", "rmse")
    ]
    return section(
        "Errors over the year",
        gallery(*figures),
        folded(
            f"By month ({len(months)})",
            table(["month", "source", *_MONTHLY.values()], lines, text_columns=2, starts=starts),
        ),
    )


def monthly_scores(held: HeldOut) -> list[tuple[str, Row]]:
    """Return the scores of each month that has readings, in order of time.

    Months are named by year; of a period longer than 24 months the years are put together.
    """
    month = held.rows.date.astype("datetime64[M]")
    known = month[~np.isnat(month)]
    if not len(known):
        return []
    together = len(np.unique(known)) > _MOST_MONTHS
    key = month.astype(int) % 12 if together else month
    found = []
    for one in np.unique(key[~np.isnat(month)]):
        name = _MONTHS[int(one)] if together else str(one)
        found.append((name, _scores(held.take((key == one) & ~np.isnat(month)))))
    return found


def _by_month(
    rows: Sequence[tuple[str, Row]], months: Sequence[str], key: str
) -> list[float | None]:
    known = {month: row[key] for month, row in rows}
    return [known.get(month) for month in months]


def _month_cell(row: Row, key: str) -> str:
    if key in ("n", "stations"):
        return count(row[key])
    if key == "picp90":
        return percent(row[key])
    return number(row[key], signed=key == "me")


def _cells(scores: Row, found: Mapping[str, ScoreInterval], shown: Mapping[str, str]) -> list[str]:
    """Return each score with its interval: '0.050 (0.041 … 0.060)'."""
    cells = []
    for name in shown:
        one = found.get(name)
        if one is None or scores[name] is None:
            cells.append("–")
            continue
        values = (scores[name], one.low, one.high)
        if name == "picp90":
            texts = [percent(value) for value in values]
        else:
            digits = 2 if name in _UNITLESS else 3
            texts = [number(value, digits, signed=name == "me") for value in values]
        cells.append(f"{texts[0]} ({texts[1]} … {texts[2]})")
    return cells


def _scores(held: HeldOut) -> Row:
    low, high = held.bounds(0.9)
    rows = held.rows
    return score(rows.y, held.mean, lower=low, upper=high, station=rows.station, date=rows.date)


def _intervals(held: HeldOut) -> dict[str, ScoreInterval]:
    rows = held.rows
    low, high = held.bounds(0.9)
    known = np.isfinite(low) & np.isfinite(high)
    inside = np.where(known, (low <= rows.y) & (rows.y <= high), np.nan)
    return score_intervals(
        rows.y,
        held.mean,
        rows.station,
        inside=inside,
        interval=interval_scores(rows.y, low, high),
        date=rows.date,
    )


def _groups(rows: TrainingRows) -> Iterator[tuple[str, np.ndarray]]:
    """Yield all rows, then those of each network, season and class that is not all of them."""
    yield "all rows", np.ones(len(rows), dtype=bool)
    for _, groups in groupings(rows):
        for group in groups:
            yield group.label, group.rows


def _series(result: ValidationResult) -> Iterator[Series]:
    """Yield the days of each station: readings as they are, predictions averaged by day."""
    held = result.held
    low, high = held.bounds(0.9)
    station = held.rows.station.astype(str)
    for name in natural_order(set(station)):
        rows = np.flatnonzero((station == name) & ~np.isnat(held.rows.date))
        if rows.size:
            day, code = np.unique(held.rows.date[rows], return_inverse=True)
            size = np.bincount(code)
            predicted, lower, upper = (
                np.bincount(code, weights=column[rows]) / size for column in (held.mean, low, high)
            )
            baseline = None
            if result.baseline is not None:
                baseline = np.bincount(code, weights=result.baseline[rows]) / size
            error = held.mean[rows] - held.rows.y[rows]
            yield Series(
                name, day, predicted, lower, upper, held.rows.date[rows], held.rows.y[rows],
                float(np.sqrt(np.mean(error**2))), baseline,
            )  # fmt: skip
