"""Parts of the validation report about stations: certainty, boxes, series, distances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from ..models.heldout import HeldOut
from ..stations.dissimilarity import covariate_space
from ..stations.rows import TrainingRows
from .bootstrap import DRAWS, FEWEST_STATIONS, ScoreInterval, score_intervals
from .groups import groupings
from .metrics import Row, interval_scores, natural_order
from .report import (
    UNIT,
    Html,
    count,
    folded,
    gallery,
    heading,
    number,
    paragraph,
    percent,
    picture,
    plural,
    section,
    table,
)
from .station_figures import Series, box_figure, distance_figure, series_figure
from .validation import ValidationResult

_SHOWN = {
    "me": "ME",
    "rmse": "RMSE",
    "ubrmse": "ubRMSE",
    "mae": "MAE",
    "r2": "R²",
    "r": "r",
    "slope": "slope",
    "anomaly_r": "anomaly r",
    "picp90": "inside 90\u202f%",
    "interval_score90": "interval score",
}
_UNITLESS = ("r2", "r", "slope", "anomaly_r")
_BOXED = (("r", "r"), ("me", f"ME ({UNIT})"), ("rmse", f"RMSE ({UNIT})"), ("r2", "R²"))
_FEWEST_DATES = 5
_MOST_SERIES = 24
_MOST_GROUPS = 10
_MOST_ROWS = 20_000


def certainty_section(result: ValidationResult) -> Html:
    """Return 95 % intervals of the scores from drawing stations, overall and by group."""
    held = result.held
    lines: list[list[str]] = []
    for name, rows in _groups(held.rows):
        found = _intervals(held.take(rows))
        if found:
            stations = len(set(held.rows.station[rows]))
            lines.append([name, count(int(rows.sum())), count(stations), *_cells(found)])
    if not lines:
        text = f"With fewer than {FEWEST_STATIONS} stations no interval can be given."
        return section("How certain the scores are", paragraph(text))
    return section(
        "How certain the scores are",
        paragraph(
            f"95 % intervals of the scores: stations are drawn with replacement {count(DRAWS)} "
            "times, each with all its rows (percentile bootstrap by station). Stations near each "
            "other share weather and soil, so the true uncertainty is larger.",
            kind="small",
        ),
        table(["rows", "n", "stations", *_SHOWN.values()], lines),
    )


def boxes_section(result: ValidationResult, rows: Sequence[Row], labels: dict[str, str]) -> Html:
    """Return the scores of stations as boxes, by network and by each class field."""
    parts = []
    for title, group in _groupings(result.held.rows):
        chosen = _scores_by_group(rows, group, labels)
        if chosen is None:
            continue
        names, found = chosen
        figures = [
            picture(
                box_figure(names, {labels[s]: found[s, score] for s in labels}, label),
                f"{label.split(' (')[0]} of stations by {title}; number of stations below.",
                f"Box plot of {label} by {title}",
            )
            for score, label in _BOXED
            if all(any(values) for values in (found[s, score] for s in labels))
        ]
        parts += [heading(f"By {title}"), gallery(*figures)] if figures else []
    return section("Scores of stations", *parts)


def series_section(result: ValidationResult) -> Html:
    """Return measured and predicted moisture of each station over time."""
    listed = [one for one in _series(result) if len(np.unique(one.date)) >= _FEWEST_DATES]
    if not listed:
        return Html("")
    shown = listed[:_MOST_SERIES]
    more = "" if len(shown) == len(listed) else f"; the first {len(shown)} are drawn"
    return section(
        "Stations over time",
        folded(
            f"{plural(len(listed), 'station')} with readings on {_FEWEST_DATES} days or more{more}",
            picture(
                series_figure(shown),
                "Measured and predicted soil moisture with the calibrated 90 % interval.",
                "Time series of measured and predicted soil moisture by station",
            ),
            opened=len(shown) <= 8,
        ),
    )


def distance_section(result: ValidationResult) -> Html:
    """Return how far the validated rows lie from the training rows in covariate space."""
    training = result.model.training
    if training is None or len(set(training.station)) < 2:
        return Html("")
    _, fold = np.unique(training.station.astype(str), return_inverse=True)
    kept = _thinned(len(training))
    space = covariate_space(
        training.X[kept], result.model.names, fold=np.asarray(fold)[kept], seed=42
    )
    own = space.training_dissimilarity()
    checked = _thinned(len(result.held))
    new = space.dissimilarity(result.held.rows.X[checked])
    edge = float(np.nanmax(own))
    beyond = float(np.mean(new > edge))
    return section(
        "Distance to the training rows",
        gallery(
            picture(
                distance_figure(
                    {"training rows, to other stations": own, "validated rows": new},
                    "dissimilarity index",
                ),
                "Distance in standardised covariates to the nearest training row, in mean "
                "distances of training rows. Where the lines part, the validated places differ "
                "more from the training than its stations do from each other.",
                "Distribution of the distances to the training rows",
            )
        ),
        paragraph(
            f"{percent(beyond)} of the validated rows lie farther from all training rows than any "
            "training row lies from other stations.",
            kind="small",
        ),
    )


def _cells(found: dict[str, ScoreInterval]) -> list[str]:
    cells = []
    for name in _SHOWN:
        one = found.get(name)
        if one is None:
            cells.append("–")
        elif name == "picp90":
            cells.append(f"{percent(one.low)} … {percent(one.high)}")
        else:
            digits = 2 if name in _UNITLESS else 3
            signed = name == "me"
            ends = [number(value, digits, signed=signed) for value in (one.low, one.high)]
            cells.append(" … ".join(ends))
    return cells


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


def _class_columns(rows: TrainingRows) -> list[tuple[str, np.ndarray]]:
    return [(field, values.astype(str)) for field, values in rows.classes.items()]


def _groupings(rows: TrainingRows) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what groups stations, with the commonest value of each station."""
    for field, values in [("network", rows.network.astype(str)), *_class_columns(rows)]:
        tallies: dict[str, Counter[str]] = {}
        for station, value in zip(rows.station.astype(str), values):
            if value:
                tallies.setdefault(str(station), Counter())[str(value)] += 1
        if tallies:
            yield (
                field,
                {
                    name: min(tally, key=lambda value: (-tally[value], value))
                    for name, tally in tallies.items()
                },
            )


def _scores_by_group(
    rows: Sequence[Row], group: dict[str, str], labels: dict[str, str]
) -> tuple[list[str], dict[tuple[str, str], list[list[float]]]] | None:
    """Return the largest groups, and each source's scores of their stations."""
    sizes = Counter(group.values())
    names = natural_order(name for name, _ in sizes.most_common(_MOST_GROUPS))
    stations = [row for row in rows if row["scope"] == "station"]
    if len(group) < FEWEST_STATIONS:
        return None
    found: dict[tuple[str, str], list[list[float]]] = {}
    for source in labels:
        for score, _ in _BOXED:
            found[source, score] = [
                [
                    row[score]
                    for row in stations
                    if row["source"] == source
                    and row[score] is not None
                    and group.get(str(row["group"])) == name
                ]
                for name in names
            ]
    return names, found


def _series(result: ValidationResult) -> Iterator[Series]:
    held = result.held
    low, high = held.bounds(0.9)
    station = held.rows.station.astype(str)
    for name in natural_order(set(station)):
        rows = (station == name) & ~np.isnat(held.rows.date)
        if rows.any():
            baseline = None if result.baseline is None else result.baseline[rows]
            yield Series(
                name, held.rows.date[rows], held.rows.y[rows], held.mean[rows], low[rows],
                high[rows], baseline,
            )  # fmt: skip


def _thinned(n: int) -> np.ndarray:
    """Return row numbers: all, or 20 000 drawn by seed."""
    if n <= _MOST_ROWS:
        return np.arange(n)
    return np.sort(np.random.default_rng(42).choice(n, _MOST_ROWS, replace=False))
