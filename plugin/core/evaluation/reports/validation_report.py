"""The report of a validation: a model, and a product that was there before, against readings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..bootstrap import ScoreInterval, score_intervals
from ..metrics import Row, find_row
from ..result_metrics import validation_metrics
from ..validation import ValidationResult, shared_rows
from .baseline_section import baseline_section
from .boxes_section import boxes_section
from .distance_section import distance_section
from .figures import moisture_limits
from .group_coverage_section import group_coverage_part, shortfall
from .intervals import POINT_NOTE, coverage_part, margins_table, station_coverage
from .report import (
    UNIT,
    Html,
    facts,
    gallery,
    heading,
    join,
    number,
    page,
    paragraph,
    percent,
    plural,
    section,
    tiles,
    write_page,
)
from .sections import (
    covariates_section,
    model_facts,
    rows_facts,
    scatter,
    score_section,
    settings_section,
    station_map,
    warnings_box,
)
from .validation_sections import certainty_section, months_section, series_section


def validation_report(
    result: ValidationResult, path: Path, *, warnings: Sequence[str] = ()
) -> None:
    """Write the report of a validation as one HTML file.

    Parameters
    ----------
    result : ValidationResult
    path : Path
        An earlier file stays until the new one is complete.
    warnings : sequence of str
        What the run warned of.
    """
    rows = validation_metrics(result)
    labels = {"model": "model"}
    if result.baseline is not None:
        labels["baseline"] = result.baseline_name
    html = page(
        "Validation report",
        f"{plural(len(result.held), 'row')} of "
        f"{plural(len(set(result.held.rows.station)), 'station')}",
        _summary(result, find_row(rows, "overall", "model") or {}),
        warnings_box(warnings),
        section("Data", facts(rows_facts(result.held.rows))),
        baseline_section(result),
        score_section(rows, labels),
        certainty_section(result),
        boxes_section(result, rows, labels),
        _pictures(result),
        months_section(result),
        series_section(result),
        _interval_section(result),
        distance_section(result),
        section("Model", facts(model_facts(result.model))),
        covariates_section(result.model),
        settings_section(result.model),
    )
    write_page(html, path)


def _summary(result: ValidationResult, overall: Row) -> Html:
    stations = plural(overall["stations"], "station")
    rests = f"{plural(overall['n'], 'row')}, {stations}"
    items = [
        ("RMSE", number(overall["rmse"]), f"{UNIT}; {rests}"),
        ("Bias (ME)", number(overall["me"], signed=True), UNIT),
        ("ubRMSE", number(overall["ubrmse"]), UNIT),
        ("R²", number(overall["r2"], 2), rests),
    ]
    if overall["picp90"] is not None:
        width = f"width {number(overall['width90'])} {UNIT}"
        items.append(("Inside the 90 % interval", percent(overall["picp90"]), width))
    sure = _certain(result)
    said = paragraph(
        f"At {stations} the model is off by {number(overall['rmse'])} {UNIT} (RMSE"
        f"{_ends(sure, 'rmse')}), with a bias of {number(overall['me'], signed=True)} {UNIT}"
        f"{_ends(sure, 'me', ' (', ')')}.",
        kind="lead",
    )
    narrow = shortfall(result.held)
    return Html(said + (paragraph(narrow) if narrow else "") + tiles(items))


def _certain(result: ValidationResult) -> dict[str, ScoreInterval]:
    rows = result.held.rows
    return score_intervals(rows.y, result.held.mean, rows.station)


def _ends(found: dict[str, ScoreInterval], name: str, before: str = ", ", after: str = "") -> str:
    one = found.get(name)
    if one is None:
        return ""
    low, high = (number(value, signed=name == "me") for value in (one.low, one.high))
    return f"{before}95 % interval {low} to {high}{after}"


def _pictures(result: ValidationResult) -> Html:
    """Draw readings against predictions and errors on maps, the baseline on the same axes."""
    sides = [(result.held, "model")]
    shared = shared_rows(result)
    if shared is not None:
        sides.append((shared[1], result.baseline_name))
    limits = moisture_limits(result.held.rows.y, *[held.mean for held, _ in sides])
    return join(
        section("Measured against predicted", gallery(*[scatter(*side, limits) for side in sides])),
        section(
            "Where the errors are",
            gallery(*[station_map(*side) for side in sides]),
            paragraph("Each map has its own scale of colours.", kind="small")
            if len(sides) > 1 and np.isfinite(result.held.rows.x).any()
            else None,
        ),
    )


def _interval_section(result: ValidationResult) -> Html:
    raw = result.model.forest.has_distribution
    share = station_coverage(result.held)
    note = None
    if share is not None:
        note = paragraph(f"Each station counting alike, 90 % intervals hold {percent(share)}.")
    return section(
        "Prediction intervals",
        paragraph(POINT_NOTE),
        note,
        coverage_part(result.held, "validated rows", raw=raw),
        group_coverage_part(result.held, "validated rows", raw=raw),
        heading("Margins"),
        margins_table(result.model.calibration),
    )
