"""The part of a validation report that shows the scores of stations as boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ...stations.rows import TrainingRows
from ..bootstrap import FEWEST_STATIONS
from ..metrics import Row, class_fields, natural_order
from ..validation import ValidationResult
from .report import UNIT, Html, gallery, heading, number, picture, plural, section
from .station_figures import box_figure

_BOXED = (
    ("r", "r"),
    ("r2", "R²"),
    ("me", f"ME ({UNIT})"),
    ("rmse", f"RMSE ({UNIT})"),
    ("ubrmse", f"ubRMSE ({UNIT})"),
    ("anomaly_r", "anomaly r"),
)
_MOST_GROUPS = 10
_LEAST_R2 = (-3.0, -10.0)


def boxes_section(result: ValidationResult, rows: Sequence[Row], labels: Mapping[str, str]) -> Html:
    """Return the scores of stations as boxes, by network and by each class field."""
    parts: list[Html] = []
    whole = False
    for title, group in _groupings(result.held.rows):
        chosen = _scores_by_group(rows, group, labels)
        single = len(set(group.values())) == 1
        if chosen is None or (single and whole):
            continue
        whole = whole or single
        figures = [_boxes(chosen, key, label, title, labels) for key, label in _BOXED]
        if any(figures):
            parts += [heading(f"By {title}"), gallery(*figures)]
    return section("Scores of stations", *parts)


def _boxes(
    chosen: tuple[list[str], dict[tuple[str, str], list[list[float]]]],
    key: str,
    label: str,
    title: str,
    labels: Mapping[str, str],
) -> Html:
    """Return one score as boxes; groups without a value of any source are left out."""
    names, found = chosen
    kept = [i for i in range(len(names)) if any(found[source, key][i] for source in labels)]
    if not kept:
        return Html("")
    series = {labels[source]: [found[source, key][i] for i in kept] for source in labels}
    shown, name = [names[i] for i in kept], label.split(" (")[0]
    least = _least(series) if key == "r2" else None
    hidden = 0
    if least is not None:
        hidden = sum(v < least for values in series.values() for one in values for v in one)
    text = f"{name} of stations by {title}; number of stations in brackets."
    if hidden:
        text += f" {plural(hidden, 'value')} below {number(least, 0)} not shown."
    return picture(
        box_figure(shown, series, label, least=least), text, f"Box plot of {name} by {title}"
    )


def _least(series: Mapping[str, Sequence[Sequence[float]]]) -> float:
    """Return where the axis of R² ends: below the medians, yet not so far that all is squeezed."""
    medians = [float(np.median(one)) for values in series.values() for one in values if one]
    return max(_LEAST_R2[1], min(_LEAST_R2[0], float(np.floor(min(medians) - 1))))


def _class_columns(rows: TrainingRows) -> list[tuple[str, np.ndarray]]:
    return [(field, rows.classes[field].astype(str)) for field in class_fields(rows.classes)]


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
    rows: Sequence[Row], group: Mapping[str, str], labels: Mapping[str, str]
) -> tuple[list[str], dict[tuple[str, str], list[list[float]]]] | None:
    """Return the largest groups, and each source's scores of their stations."""
    sizes = Counter(group.values())
    names = natural_order(name for name, _ in sizes.most_common(_MOST_GROUPS))
    stations = [row for row in rows if row["scope"] == "station"]
    if len(group) < FEWEST_STATIONS:
        return None
    found: dict[tuple[str, str], list[list[float]]] = {}
    for source in labels:
        for key, _ in _BOXED:
            found[source, key] = [
                [
                    row[key]
                    for row in stations
                    if row["source"] == source
                    and row[key] is not None
                    and (row["n"] > 1 or key != "ubrmse")  # of one reading it is always 0
                    and group.get(str(row["group"])) == name
                ]
                for name in names
            ]
    return names, found
