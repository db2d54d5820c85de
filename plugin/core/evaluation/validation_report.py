"""The report of a validation: a model, and a product that was there before, against readings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .by_station import station_rmse
from .figures import moisture_limits, scatter_figure
from .intervals import POINT_NOTE, coverage_part, margins_table, station_coverage
from .metrics import Row, find_row, score
from .paired import FEWEST_STATIONS, paired_tests
from .report import (
    UNIT,
    Html,
    box,
    count,
    facts,
    gallery,
    heading,
    number,
    page,
    paragraph,
    percent,
    picture,
    plural,
    section,
    strong,
    table,
    tiles,
    write_page,
)
from .result_metrics import validation_metrics
from .sections import (
    covariates_section,
    model_facts,
    rows_facts,
    scatter,
    score_cells,
    score_header,
    score_section,
    settings_section,
    station_map,
    warnings_box,
)
from .validation import ValidationResult
from .validation_sections import (
    boxes_section,
    certainty_section,
    distance_section,
    series_section,
)


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
    values = [result.held.rows.y, result.held.mean]
    limits = moisture_limits(*values, *([] if result.baseline is None else [result.baseline]))
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
        _baseline_section(result),
        score_section(rows, labels),
        certainty_section(result),
        boxes_section(result, rows, labels),
        section(
            "Measured against predicted",
            gallery(
                scatter(result.held, "model", limits),
                _baseline_picture(result, limits),
                station_map(result.held, "model"),
            ),
        ),
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
    said = paragraph(
        f"At {stations} the model is off by {number(overall['rmse'])} {UNIT} (RMSE), with a bias "
        f"of {number(overall['me'], signed=True)} {UNIT}.",
        kind="lead",
    )
    return Html(said + tiles(items))


def _baseline_section(result: ValidationResult) -> Html:
    """Set the model beside the baseline on the rows where both have a value."""
    if result.baseline is None:
        return Html("")
    rows = result.held.rows
    shared = np.isfinite(result.baseline)
    station = rows.station[shared]
    lines, errors = [], {}
    low, high = (bound[shared] for bound in result.held.bounds(0.9))
    for name, predicted in (("model", result.held.mean), ("baseline", result.baseline)):
        bounds = {"lower": low, "upper": high} if name == "model" else {}
        found = score(rows.y[shared], predicted[shared], station=station, **bounds)
        shown = "model" if name == "model" else result.baseline_name
        lines.append([shown, *score_cells(found)])
        errors[name] = (found["rmse"], station_rmse(rows.y[shared], predicted[shared], station))
    (ours, by_ours), (theirs, by_theirs) = errors["model"], errors["baseline"]
    better = "errs less than" if ours < theirs else "does not err less than"
    test = paired_tests(by_theirs, by_ours)
    return section(
        f"Model and {result.baseline_name} side by side",
        box(
            paragraph(
                strong(f"The model {better} {result.baseline_name}"),
                f": RMSE {number(ours)} against {number(theirs)} {UNIT} on the same "
                f"{plural(int(shared.sum()), 'row')}.",
                kind="lead",
            ),
            kind="good" if ours < theirs else "open",
        ),
        table(["source", *score_header()], lines, caption="On the rows where both have a value."),
        _test_line(test.n, test.shift, test.low, test.high, test.p),
    )


def _test_line(
    n: int, shift: float | None, low: float | None, high: float | None, p: float | None
) -> Html:
    if low is None or shift is None:
        return paragraph(
            f"With fewer than {FEWEST_STATIONS} stations the difference is not tested.",
            kind="small",
        )
    chance = "–" if p is None else "< 0.001" if p < 0.001 else number(p)
    return paragraph(
        f"RMSE by station, model − baseline, {count(n)} stations: Hodges–Lehmann shift "
        f"{number(shift, signed=True)} {UNIT} (95 % interval {number(low, signed=True)} to "
        f"{number(high, signed=True)}), Wilcoxon's signed-rank test p = {chance}. Descriptive: "
        "stations near each other are not independent.",
        kind="small",
    )


def _baseline_picture(result: ValidationResult, limits: tuple[float, float]) -> Html:
    if result.baseline is None:
        return Html("")
    rows = result.held.rows
    shared = int(np.isfinite(result.baseline).sum())
    return picture(
        scatter_figure(rows.y, result.baseline, f"by {result.baseline_name}", limits),
        f"Measured against {result.baseline_name}; {plural(shared, 'row')}.",
        f"Scatter of measured soil moisture against {result.baseline_name}",
    )


def _interval_section(result: ValidationResult) -> Html:
    share = station_coverage(result.held)
    note = None
    if share is not None:
        note = paragraph(f"Each station counting alike, 90 % intervals hold {percent(share)}.")
    return section(
        "Prediction intervals",
        paragraph(POINT_NOTE),
        note,
        coverage_part(result.held, "validated rows", raw=result.model.forest.has_distribution),
        heading("Margins"),
        margins_table(result.model.calibration),
    )
