"""Parts that several reports share: data, scores, figures and the origin of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...models.heldout import HeldOut
from ...models.record import Model
from ...stations.rows import TrainingRows
from ..by_station import station_means
from ..groups import season_name
from ..metrics import Row, natural_order
from .figures import moisture_limits, residual_map, scatter_figure, widest_error
from .report import (
    MISSING,
    UNIT,
    Html,
    box,
    bullets,
    count,
    facts,
    folded,
    gallery,
    general,
    heading,
    join,
    moment,
    number,
    paragraph,
    percent,
    picture,
    plural,
    section,
    strong,
    table,
)

_SCORE_HEADER = (
    "n",
    "stations",
    "ME",
    "|ME|",
    "RMSE",
    "ubRMSE",
    "MAE",
    "inside 90\u202f%",
    "width 90\u202f%",
    "interval score",
    "R²",
    "r",
    "slope",
    "anomaly r",
)
_MAY_BE_EMPTY = ("inside 90\u202f%", "width 90\u202f%", "interval score", "anomaly r")
_OPEN_STATIONS = 20


def warnings_box(warnings: Sequence[str]) -> Html:
    """Return what the run warned of; nothing where it did not."""
    if not warnings:
        return Html("")
    title = "Warning of the run" if len(warnings) == 1 else "Warnings of the run"
    return box(paragraph(strong(title)), bullets(dict.fromkeys(warnings)), kind="warning")


def score_cells(row: Row | None) -> list[str]:
    """Return the scores of one line of the metrics table as table cells."""
    if row is None:
        return ["–"] * len(_SCORE_HEADER)
    return [
        count(row["n"]),
        count(row["stations"]),
        number(row["me"], signed=True),
        number(row["abs_me"]),
        number(row["rmse"]),
        number(row["ubrmse"]),
        number(row["mae"]),
        percent(row["picp90"]),
        number(row["width90"]),
        number(row.get("interval_score90")),
        _r2(row["r2"]),
        number(row["r"], 2),
        number(row["slope"], 2),
        number(row.get("anomaly_r"), 2),
    ]


def score_header() -> tuple[str, ...]:
    """Return the headings over :func:`score_cells`."""
    return _SCORE_HEADER


def score_lines(
    rows: Iterable[Row], first: str, labels: Mapping[str, str], caption: str = ""
) -> Html:
    """Return lines of the metrics table, those of one group below each other.

    Parameters
    ----------
    rows : iterable of dict
        Lines of one scope.
    first : str
        Heading of the groups.
    labels : mapping
        What to call each source; the column is left out where there is one source only.
    """
    listed = list(rows)
    if len(labels) < 2:
        body = [[shown_group(row), *score_cells(row)] for row in listed]
        header, body = _filled([first, *_SCORE_HEADER], body)
        return table(header, body, caption=caption)
    groups = dict.fromkeys((row["scope"], row["group"]) for row in listed)
    body, starts = [], []
    for group in groups:
        starts.append(len(body))
        for row in listed:
            if (row["scope"], row["group"]) == group:
                name = shown_group(row) if len(body) == starts[-1] else ""
                body.append([name, labels.get(row["source"], row["source"]), *score_cells(row)])
    header, body = _filled([first, "source", *_SCORE_HEADER], body)
    return table(header, body, caption=caption, text_columns=2, starts=starts)


def shown_group(row: Row) -> str:
    """Return the name a reader knows the group of a line by."""
    group = str(row["group"])
    if row["scope"] == "season":
        return season_name(group)
    if row["scope"] in ("class", "spike_loso") and "=" in group:
        return group.split("=", 1)[1]
    whole = {
        "overall": "all rows",
        "spike_loso": "all spike stations",
        "station_mean": "mean over stations",
        "station_median": "median over stations",
    }
    return group or whole.get(row["scope"], "")


def score_section(
    rows: Sequence[Row], labels: Mapping[str, str], title: str = "Scores", *, note: bool = True
) -> Html:
    """Return the scores overall and by network, class, season and station.

    `note` says whether what the columns mean stands above the tables.
    """
    parts = [whole_scores(rows, labels)]
    for scope, name in (("network", "By network"), ("season", "By season")):
        chosen = [row for row in rows if row["scope"] == scope]
        if len({row["group"] for row in chosen}) > 1:
            parts += [heading(name), score_lines(chosen, scope, labels)]
    parts.append(class_scores(rows, "class", labels))
    stations = [row for row in rows if row["scope"] == "station"]
    names = {row["group"] for row in stations}
    lines = len(stations)
    parts.append(
        folded(
            f"By station ({len(names)})",
            score_lines(stations, "station", labels),
            opened=lines <= _OPEN_STATIONS,
        )
    )
    return section(title, score_note() if note else None, *parts)


def whole_scores(rows: Sequence[Row], labels: Mapping[str, str]) -> Html:
    """Return the scores of all rows, and their mean and median over stations."""
    over = [r for r in rows if r["scope"] in ("station_mean", "station_median") and r["stations"]]
    if over:
        text = "Mean and median over stations count stations with at least 10 rows on 5 dates."
    else:
        text = "No station has 10 rows on 5 dates, so there is no mean over stations."
    overall = [row for row in rows if row["scope"] == "overall"]
    return join(score_lines([*overall, *over], "rows", labels), paragraph(text, kind="small"))


def class_scores(rows: Sequence[Row], scope: str, labels: Mapping[str, str]) -> Html:
    """Return a table for each class field found in the lines of `scope`."""
    chosen = [row for row in rows if row["scope"] == scope and "=" in str(row["group"])]
    fields = dict.fromkeys(str(row["group"]).split("=", 1)[0] for row in chosen)
    parts = []
    for field in fields:
        of_field = [r for r in chosen if str(r["group"]).split("=", 1)[0] == field]
        parts += [heading(f"By {field}"), score_lines(of_field, field, labels)]
    return join(*parts)


def score_note() -> Html:
    """Return what the columns of a table of scores are."""
    return paragraph(
        f"ME (predicted − measured), |ME| (mean over the stations of each one's absolute ME), "
        f"RMSE, ubRMSE (RMSE without the bias), MAE and width in {UNIT}; R² = 1 − SSE/SST about "
        "the group's own mean, so it is negative where the group's mean predicts better; r is "
        "Pearson's correlation; slope is that of measured on predicted; inside 90 % is the share "
        "of measurements within the calibrated 90 % prediction interval, the interval score its "
        "width + 20 × the distance of those outside (less is better); anomaly r is the r of what "
        "is left less each station's 30-day mean. “–” stands for what cannot be computed.",
        kind="small",
    )


def scatter(held: HeldOut, what: str, limits: tuple[float, float] | None = None) -> Html:
    """Return measured against predicted moisture as a figure."""
    rows = held.rows
    return picture(
        scatter_figure(rows.y, held.mean, limits=limits),
        f"Measured against predicted, {what}; {plural(len(rows), 'row')} of "
        f"{plural(len(set(rows.station)), 'station')}. On the line both agree.",
        f"Scatter of measured against predicted soil moisture, {what}",
    )


def compared_figures(before: HeldOut, after: HeldOut, what: tuple[str, str]) -> Html:
    """Return figures of two predictions of the same rows, on the same axes and colours."""
    widest = widest_error(np.concatenate([station_errors(h)[3] for h in (before, after)]))
    limits = moisture_limits(before.rows.y, before.mean, after.mean)
    pairs = tuple(zip((before, after), what))
    return join(
        gallery(*[scatter(held, name, limits) for held, name in pairs]),
        gallery(*[station_map(held, name, widest=widest) for held, name in pairs]),
    )


def station_map(held: HeldOut, what: str, *, widest: float | None = None) -> Html:
    """Return the mean error of each station on a map; nothing without positions."""
    names, x, y, error = station_errors(held)
    placed = np.isfinite(x) & np.isfinite(y)
    if not placed.any():
        return Html("")
    return picture(
        residual_map(x, y, error, held.rows.crs, names, widest),
        f"Mean error of each station, {what}; {plural(int(placed.sum()), 'station')}. Blue: "
        "predicted too wet, red: too dry. North is up.",
        f"Map of the mean errors by station, {what}",
    )


def station_errors(held: HeldOut) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Return names, mean x, mean y and mean error (predicted − measured) of the stations."""
    rows = held.rows
    names = natural_order(set(rows.station.astype(str).tolist()))
    columns = [rows.x, rows.y_coord, held.mean - rows.y]
    means = [station_means(column, rows.station) for column in columns]
    x, y, error = (np.array([mean[name] for name in names]) for mean in means)
    return names, x, y, error


def rows_facts(rows: TrainingRows) -> list[tuple[str, Any]]:
    """Return how much data there is, from where, when and what depth."""
    networks = natural_order({str(name) for name in rows.network if name})
    known = rows.date[~np.isnat(rows.date)]
    pairs: list[tuple[str, Any]] = [
        ("Rows", count(len(rows))),
        ("Stations", count(len(set(rows.station.astype(str).tolist())))),
        ("Networks", f"{len(networks)}: {', '.join(networks)}" if networks else "none given"),
        (
            "Period",
            f"{known.min()} to {known.max()}, {plural(len(np.unique(known)), 'day')}"
            if len(known)
            else "no dates",
        ),
        ("Depth", depth_text(rows.depth)),
        (
            f"Measured ({UNIT})",
            f"mean {number(float(rows.y.mean()))}, from {number(float(rows.y.min()))} to "
            f"{number(float(rows.y.max()))}",
        ),
    ]
    if np.ptp(rows.weight) > 0:
        weights = f"from {general(float(rows.weight.min()))} to {general(float(rows.weight.max()))}"
        pairs.append(("Row weights", weights))
    if rows.dropped:
        listed = ", ".join(f"{name} {count(n)}" for name, n in sorted(rows.dropped.items()))
        pairs.append(("Rows left out, covariate missing", listed))
    return pairs


def depth_text(depth: tuple[float, float] | None) -> str:
    """Return a depth range in words."""
    if depth is None:
        return "not given"
    span = f"{depth[0]:g}" if depth[0] == depth[1] else f"{depth[0]:g} to {depth[1]:g}"
    return f"{span} m below the surface"


def covariates_section(model: Model) -> Html:
    """Return the covariates of a model with group, unit and range."""
    grouped = any(c.group for c in model.covariates)
    rows = [
        [c.name, *([c.group] if grouped else []), c.units or "–"]
        + [general(value) for value in (c.minimum, c.mean, c.maximum)]
        for c in model.covariates
    ]
    header = ["covariate", *(["group"] if grouped else []), "unit", "smallest", "mean", "largest"]
    return section(
        "Covariates",
        paragraph(
            "Range and mean over the rows the model was fitted on. Maps match covariates by these "
            "names; outside these ranges the model is untested."
        ),
        table(header, rows, text_columns=3 if grouped else 2),
    )


def settings_section(model: Model) -> Html:
    """Return hyper-parameters, the steps that made the model, and versions."""
    origin = model.provenance
    parts: list[Any] = [facts([(_words(k), _shown(v)) for k, v in model.hyperparameters.items()])]
    listed = origin.get("steps", [])
    steps = [s for s in listed if isinstance(s, Mapping)] if isinstance(listed, list) else []
    for place, step in enumerate(steps, start=1):
        parts += [heading(f"Step {place}: {step.get('algorithm', '')}"), facts(_step_facts(step))]
    names = ("program", "version", "created", "python", "numpy", "scikit_learn")
    versions = [(_words(name), moment(str(origin[name]))) for name in names if name in origin]
    parts += [heading("Versions"), facts(versions)] if versions else []
    return section("Settings and origin", *parts)


def model_facts(model: Model) -> list[tuple[str, Any]]:
    """Return what a model is, in a few lines."""
    methods = {"qrf": "quantile random forest", "rf": "random forest"}
    pairs: list[tuple[str, Any]] = [
        ("Method", f"{methods.get(model.method, model.method)}, {model.forest.trees} trees"),
        ("Kind", "spiked with local readings" if model.kind == "spiked" else "not spiked"),
        ("Target", f"{model.target} ({UNIT})"),
        ("Depth", depth_text(model.depth)),
        ("Period", " to ".join(model.period) if model.period else "no dates"),
        ("Covariates", f"{len(model.covariates)}: {', '.join(model.names)}"),
    ]
    if model.class_fields:
        pairs.append(("Classes reported by", ", ".join(model.class_fields)))
    return pairs


def _filled(header: list[str], body: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Leave out the columns of further scores that are empty in every row."""
    kept = [
        i
        for i, name in enumerate(header)
        if name not in _MAY_BE_EMPTY or any(row[i] != MISSING for row in body)
    ]
    return [header[i] for i in kept], [[row[i] for i in kept] for row in body]


def _r2(value: float | None) -> str:
    """Return R², cut off where the group's own spread is next to nothing."""
    return "< −10" if value is not None and value < -10 else number(value, 2)


def _step_facts(step: Mapping[str, Any]) -> list[tuple[str, Any]]:
    pairs = []
    for name, value in step.items():
        if name == "algorithm":
            continue
        if isinstance(value, Mapping):
            pairs += [(str(k), _shown(v)) for k, v in value.items()]
        else:
            shown = _shown(value)
            if name == "period" and shown:
                shown = shown.replace(", ", " to ")
            pairs.append((_words(name), shown))
    return pairs


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return general(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return str(value)


def _words(name: str) -> str:
    named = {
        "numpy": "NumPy",
        "scikit_learn": "scikit-learn",
        "python": "Python",
        "min_leaf": "Smallest leaf",
        "max_features": "Share of covariates tried at a split",
        "local_weight": "Weight of a local row",
        "share": "Share of the weight held by local rows",
        "automatic": "Weight chosen automatically",
    }
    return named.get(name, name.replace("_", " ").capitalize())
